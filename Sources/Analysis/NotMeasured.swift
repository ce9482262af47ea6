// What could not be measured, or not fully: why, and what would help?
import ProfileModel

/// Things that were not measured for one common reason.
public struct NotMeasured: Codable, Sendable, Equatable {
  /// What kind of things they are.
  public enum Kind: String, Codable, Sendable, Equatable {
    case collector
    case counter
    case quantity
  }
  /// What kind of things they are.
  public var kind: Kind
  /// Their names.
  public var names: [String]
  /// Whether they were measured after all, but by a lesser method.
  public var isDegraded: Bool
  /// Whether the user switched them off.
  public var isSwitchedOff: Bool
  /// The method that was used, for a degraded collector.
  public var method: String?
  /// Why.
  public var reason: String
  /// The exact command or action that would help, if there is one.
  public var remedy: String?
}
