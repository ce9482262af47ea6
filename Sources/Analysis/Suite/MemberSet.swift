// Which benchmarks belong together, where do their numbers come from, and what has been left out?
import ProfileModel

/// The members of a suite, measured or published: what subsets are chosen from and suites are compared by.
public struct MemberSet: Codable, Sendable, Equatable {
  /// A range that a publication states for the whole suite, where it gives no number for each member.
  public struct StatedRange: Codable, Sendable, Equatable {
    /// The characteristic.
    public var characteristic: Characteristic
    /// Least value.
    public var least: Double
    /// Greatest value.
    public var greatest: Double
    /// Where it is printed.
    public var source: String
    /// What contradicts it.
    public var remark: String?

    /// Makes a range.
    public init(
      characteristic: Characteristic, least: Double, greatest: Double, source: String, remark: String? = nil
    ) {
      self.characteristic = characteristic
      self.least = least
      self.greatest = greatest
      self.source = source
      self.remark = remark
    }
  }

  /// Its name: `aibench`.
  public var name: String
  /// In plain words.
  public var title: String
  /// Where the choice of its members, or its numbers, come from.
  public var source: String?
  /// Whether the numbers were published by others and not measured by Kiviat.
  public var isPublished: Bool
  /// The members, in the suite's order.
  public var members: [SuiteMember]
  /// Ranges that a publication states.
  public var statedRanges: [StatedRange]
  /// The machines that the numbers were measured on; more than one can't be compared.
  public var machines: [String]
  /// What a reader has to know about the whole: files that could not be read, machines that differ, contradictions.
  public var remarks: [String]

  /// Makes a set.
  public init(
    name: String, title: String, source: String? = nil, isPublished: Bool = false, members: [SuiteMember],
    statedRanges: [StatedRange] = [], machines: [String] = [], remarks: [String] = []
  ) {
    self.name = name
    self.title = title
    self.source = source
    self.isPublished = isPublished
    self.members = members
    self.statedRanges = statedRanges
    self.machines = machines
    self.remarks = remarks
  }

  /// The member of that id.
  public subscript(id: String) -> SuiteMember? { members.first { $0.id == id } }
}

/// The characteristics by which the technical report compares models (Figure 2) and costs (Table 6).
public enum Characteristic: String, Codable, Sendable, CaseIterable {
  /// Learnable parameters.
  case parameters
  /// FLOPs of one sample's forward pass.
  case forwardFLOPs = "forward FLOPs"
  /// The same as OpCounter counts.
  case forwardOpCounter = "forward FLOPs by OpCounter"
  /// Epochs to the target quality.
  case epochs = "epochs to quality"
  /// Seconds of training an epoch.
  case secondsPerEpoch = "time per epoch"
  /// Seconds to the target quality.
  case secondsToQuality = "time to quality"

  /// The unit of its values.
  public var unit: String {
    switch self {
    case .parameters, .epochs: "1"
    case .forwardFLOPs, .forwardOpCounter: "FLOP"
    case .secondsPerEpoch, .secondsToQuality: "s"
    }
  }

  /// A member's value.
  public func value(of member: SuiteMember) -> Measured<Double> {
    switch self {
    case .parameters: member.parameters
    case .forwardFLOPs: member.forwardFLOPs
    case .forwardOpCounter: member.forwardOpCounter
    case .epochs: member.epochs
    case .secondsPerEpoch: member.secondsPerEpoch
    case .secondsToQuality: member.secondsToQuality
    }
  }
}
