// How much do results vary from repetition to repetition (the technical report's Table 5)?
import ProfileModel

/// Variation of every number that the repetitions have in common.
public struct RepetitionStatistics: Codable, Sendable, Equatable {
  /// What the variation allows to say.
  public enum Verdict: String, Codable, Sendable, Equatable {
    /// The same number every time.
    case constant
    /// Coefficient of variation surely below 2 % (the paper's rule for a repeatable benchmark).
    case repeatable
    /// Surely above 2 %.
    case variable
    /// The confidence interval contains 2 %, or there is none: more repetitions would tell.
    case cantTell = "can't tell"
  }
  /// One number over the repetitions.
  public struct Statistic: Codable, Sendable, Equatable {
    /// What kind of number it is.
    public enum Kind: String, Codable, Sendable, Equatable {
      case wallTime = "wall time"
      case quantity
      case counter
      case derived
    }
    /// What kind of number it is.
    public var kind: Kind
    /// Its name: `wall`, `memory.peak_rss`, `task-clock`.
    public var name: String
    /// Its unit.
    public var unit: String
    /// The values, in the order of the repetitions that have it.
    public var values: [Double]
    /// Mean.
    public var mean: Double
    /// Median.
    public var median: Double
    /// Least value.
    public var minimum: Double
    /// Greatest value.
    public var maximum: Double
    /// Coefficient of variation with the population's standard deviation (n), as the paper computes it.
    public var populationCV: Measured<Double>
    /// Coefficient of variation with the sample's standard deviation (n − 1).
    public var sampleCV: Measured<Double>
    /// Confidence interval of the coefficient of variation (of the sample form).
    public var interval: Measured<Interval>
    /// What can be said.
    public var verdict: Verdict
  }
  /// Number of repetitions that finished, and so count.
  public var count: Int
  /// Repetitions that did not finish and are left out.
  public var leftOut: Int
  /// Repetitions that count and ended with another status than 0.
  public var failed: Int
  /// Wall time first, then quantities and counters by name.
  public var statistics: [Statistic]
  /// How intervals are computed and what they assume.
  public var method: String
}
