// Estimates with their uncertainty: intervals, percentiles, variation.

/// A confidence interval.
public struct Interval: Codable, Sendable, Equatable {
  /// Lower bound.
  public var lower: Double
  /// Upper bound; `nil` when the data bound it on one side only.
  public var upper: Double?
  /// Confidence level, 0…1.
  public var level: Double

  /// Makes an interval.
  public init(lower: Double, upper: Double?, level: Double = 0.95) {
    self.lower = lower
    self.upper = upper
    self.level = level
  }
}

/// Percentiles of a set of values, each with a distribution-free confidence interval from order statistics.
public struct Percentiles: Codable, Sendable, Equatable {
  /// One percentile.
  public struct Percentile: Codable, Sendable, Equatable {
    /// 0…1: 0.99 for p99.
    public var level: Double
    /// The value, by linear interpolation between order statistics (as NumPy and R's type 7).
    public var value: Double
    /// 95 % confidence interval; bounds are absent where there are too few values.
    public var interval: Interval?
  }
  /// Number of values.
  public var count: Int
  /// Mean.
  public var mean: Double
  /// Least value.
  public var minimum: Double
  /// Greatest value.
  public var maximum: Double
  /// p50, p90, p95, p99.
  public var percentiles: [Percentile]

  /// The percentile of that level, if it was asked for.
  public subscript(level: Double) -> Percentile? { percentiles.first { $0.level == level } }
  /// The median.
  public var median: Double { self[0.5]?.value ?? mean }
}
