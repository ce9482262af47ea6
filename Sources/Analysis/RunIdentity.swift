// What was run, with which settings, when, and how did it end?
import ProfileModel

/// What a profile is a profile of.
public struct RunIdentity: Codable, Sendable, Equatable {
  /// What kind of target it was.
  public enum Kind: String, Codable, Sendable, Equatable {
    /// Any program.
    case command
    /// One of Kiviat's component benchmarks.
    case benchmark
  }
  /// Where a benchmark's data came from.
  public enum DataOrigin: Codable, Sendable, Equatable {
    /// Made in memory; the description says how.
    case synthetic(description: String)
    /// Read from that directory.
    case real(directory: String)
    /// The profile does not say (always so for a plain command).
    case notStated
  }
  /// One setting of the run.
  public struct Setting: Codable, Sendable, Equatable {
    /// The setting's name: `batch_size`.
    public var name: String
    /// Its value as text.
    public var value: String
  }

  /// One line: the benchmark's name with mode and scale, or the command line.
  public var title: String
  /// What kind of target it was.
  public var kind: Kind
  /// The command and its arguments; empty when the profile does not say.
  public var command: [String]
  /// Real data or made up.
  public var data: DataOrigin
  /// All settings, by name.
  public var settings: [Setting]
  /// The Kiviat that profiled; `nil` when the profile does not say.
  public var kiviatVersion: String?
  /// Layout version of the profile file.
  public var schemaVersion: Int32
  /// The repetition that all single-run results are about: the one of median wall time among those that finished.
  /// `nil` when the profile holds no repetition.
  public var repetition: Repetition?
  /// How many repetitions the profile holds.
  public var repetitionCount: Int
  /// Whether the shown repetition ended by itself with status 0.
  public var succeeded: Bool
  /// How it ended, in words: `exited with status 0`, `killed by signal 9 (SIGKILL)`.
  public var ending: String
}
