// What is this workload limited by, and what can be done about it?
import ProfileModel

/// The first paragraph of a report, as data: verdicts with their evidence, strongest first.
public struct LimitedBy: Codable, Sendable, Equatable {
  /// A number that supports a verdict.
  public struct Evidence: Codable, Sendable, Equatable {
    /// What it is, in words.
    public var label: String
    /// The value.
    public var value: Double
    /// `share` (0…1), `ns`, `1`, `FLOP/s`, `B/s`, `1/s` …
    public var unit: String
    /// The bound that the rule compares with, when this is the number that decides.
    public var threshold: Double?
  }
  /// What one rule found.
  public struct Verdict: Codable, Sendable, Equatable {
    /// The rule's stable name: `waits-for-data`.
    public var rule: String
    /// One sentence: what limits, with the number that shows it.
    public var statement: String
    /// How much of the run's time (or capacity) it is about, 0…1; verdicts are ordered by it.
    public var weight: Double
    /// The measured numbers behind it.
    public var evidence: [Evidence]
    /// What to do, best first; each a sentence.
    public var advice: [String]
    /// A warning about the measurement rather than a limit of the workload.
    public var isAboutMeasurement: Bool
  }
  /// A rule that could not be applied, for want of a measurement.
  public struct CantTell: Codable, Sendable, Equatable {
    /// The rule's stable name.
    public var rule: String
    /// What it would have told.
    public var question: String
    /// Why it can't.
    public var reason: Unavailable
  }
  /// The paragraph: two or three sentences, the strongest verdicts first; says so when nothing can be told.
  public var summary: [String]
  /// What limits the workload, heaviest first.
  public var verdicts: [Verdict]
  /// What could not be judged.
  public var cantTell: [CantTell]
}
