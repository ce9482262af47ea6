// What is wrong with a manifest, and where?

/// A manifest that can't be used: the file, the line, the cause and the way out.
public struct ManifestError: Error, Hashable, Sendable, CustomStringConvertible {
  /// The manifest.
  public var file: String
  /// Counted from 1; `nil` when the whole file is meant.
  public var line: Int?
  /// What is wrong, and what would be right.
  public var message: String

  /// Makes an error.
  public init(file: String, line: Int? = nil, _ message: String) {
    self.file = file
    self.line = line
    self.message = message
  }

  /// `suite.yaml:12: benchmark 'x' has no id`.
  public var description: String { "\(file)\(line.map { ":\($0)" } ?? ""): \(message)" }
}
