// Estimates with their uncertainty: intervals, percentiles, variation.
import Foundation

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
    /// 95 % confidence interval; `nil`, or without an upper bound, where there are too few values.
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

  /// Percentiles of values, which need not be sorted; `nil` for no values or one that is not finite.
  public init?(_ values: [Double], levels: [Double] = [0.5, 0.9, 0.95, 0.99]) {
    guard !values.isEmpty, values.allSatisfy(\.isFinite) else { return nil }
    let sorted = values.sorted()
    count = sorted.count
    mean = Statistics.mean(sorted)
    minimum = sorted[0]
    maximum = sorted[sorted.count - 1]
    percentiles = levels.map {
      Percentile(
        level: $0, value: Statistics.quantile(sorted: sorted, $0),
        interval: Statistics.quantileInterval(sorted: sorted, $0))
    }
  }
}

/// Textbook statistics, checked against SciPy and closed forms (`Tests/Reference/statistics.py`).
enum Statistics {
  static func mean(_ values: [Double]) -> Double {
    values.isEmpty ? .nan : values.reduce(0, +) / Double(values.count)
  }

  /// Linear interpolation between order statistics at 1 + (n−1)·p (Hyndman and Fan's type 7).
  static func quantile(sorted: [Double], _ p: Double) -> Double {
    guard !sorted.isEmpty else { return .nan }
    let position = Double(sorted.count - 1) * min(max(p, 0), 1)
    let below = Int(position)
    guard below + 1 < sorted.count else { return sorted[sorted.count - 1] }
    return sorted[below] + (position - Double(below)) * (sorted[below + 1] - sorted[below])
  }

  static func median(_ values: [Double]) -> Double { quantile(sorted: values.sorted(), 0.5) }

  /// Standard deviation ÷ |mean|. `ddof` 0 divides by n (population), 1 by n − 1 (sample). `nil` when undefined.
  static func coefficientOfVariation(_ values: [Double], ddof: Int) -> Double? {
    guard values.count > ddof, values.count > 0 else { return nil }
    let mean = mean(values)
    guard mean != 0, mean.isFinite else { return nil }
    let squares = values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) }
    let result = (squares / Double(values.count - ddof)).squareRoot() / abs(mean)
    return result.isFinite ? result : nil
  }

  /// Distribution-free interval of a quantile: the number of values below it is binomial(n, p), so order statistics
  /// bound it whatever the distribution (David and Nagaraja, Order Statistics, 7.1). `nil` when even the least value
  /// is not surely below it; no upper bound when the greatest is not surely above it.
  static func quantileInterval(sorted: [Double], _ p: Double, level: Double = 0.95) -> Interval? {
    let n = sorted.count
    guard n > 0, p > 0, p < 1 else { return nil }
    let tail = (1 - level) / 2
    // lower rank l: the largest with P(B ≤ l − 1) ≤ tail; upper rank u: the smallest with P(B ≥ u) ≤ tail.
    var lower = 0
    var upper = n + 1
    var below = 0.0
    let spread = 12 * (Double(n) * p * (1 - p)).squareRoot() + 12
    let from = max(0, Int(Double(n) * p - spread))
    let to = min(n, Int(Double(n) * p + spread))
    for k in from...to {
      let mass = exp(logBinomial(n, k) + Double(k) * log(p) + Double(n - k) * log1p(-p))
      below += mass
      if below <= tail { lower = k + 1 }
      // P(B ≥ k + 1) = 1 − P(B ≤ k).
      if upper > n, k + 1 <= n, 1 - below <= tail { upper = k + 1 }
    }
    guard lower >= 1 else { return nil }
    return Interval(lower: sorted[lower - 1], upper: upper <= n ? sorted[upper - 1] : nil, level: level)
  }

  private static func logBinomial(_ n: Int, _ k: Int) -> Double {
    lgamma(Double(n) + 1) - lgamma(Double(k) + 1) - lgamma(Double(n - k) + 1)
  }

  /// Wilson's score interval of a proportion seen in `count` trials: right also near 0 and 1, unlike ±1.96 σ.
  static func wilson(_ proportion: Double, count: Int64, level: Double = 0.95) -> Interval {
    guard count > 0, proportion.isFinite else { return Interval(lower: 0, upper: 1, level: level) }
    let p = min(max(proportion, 0), 1)
    let n = Double(count)
    let z = level == 0.95 ? normal95 : normalQuantile((1 + level) / 2)
    let scale = 1 / (1 + z * z / n)
    let center = scale * (p + z * z / (2 * n))
    let half = scale * z * (p * (1 - p) / n + z * z / (4 * n * n)).squareRoot()
    return Interval(lower: max(0, center - half), upper: min(1, center + half), level: level)
  }

  private static let normal95 = normalQuantile(0.975)

  /// The value below which a standard normal variable falls with probability p, 0 < p < 1.
  static func normalQuantile(_ p: Double) -> Double {
    // χ² with one degree of freedom is the square of a standard normal variable.
    let root = chiSquaredQuantile(abs(2 * p - 1), 1).squareRoot()
    return p < 0.5 ? -root : root
  }

  /// The value below which a χ² variable of `k` degrees of freedom falls with probability p, 0 ≤ p < 1.
  static func chiSquaredQuantile(_ p: Double, _ k: Double) -> Double {
    guard p > 0 else { return 0 }
    var low = 0.0
    var high = max(1, k)
    while regularizedGamma(k / 2, high / 2) < p, high < 1e9 { high *= 2 }
    // Bisection down to neighbouring numbers: robust, and this is no hot path.
    for _ in 0..<200 {
      let middle = (low + high) / 2
      if middle == low || middle == high { break }
      if regularizedGamma(k / 2, middle / 2) < p { low = middle } else { high = middle }
    }
    return (low + high) / 2
  }

  /// The regularized lower incomplete gamma function P(a, x): power series below a + 1, Lentz's continued fraction
  /// above (DLMF 8.11.4 and 8.9.2).
  static func regularizedGamma(_ a: Double, _ x: Double) -> Double {
    guard x > 0 else { return 0 }
    let factor = exp(a * log(x) - x - lgamma(a))
    if x < a + 1 {
      var term = 1 / a
      var sum = term
      var n = a
      while abs(term) > abs(sum) * 1e-17, n < a + 100_000 {
        n += 1
        term *= x / n
        sum += term
      }
      return min(1, sum * factor)
    }
    let tiny = 1e-300
    var b = x + 1 - a
    var c = 1 / tiny
    var d = 1 / b
    var h = d
    for i in 1..<100_000 {
      let an = -Double(i) * (Double(i) - a)
      b += 2
      d = an * d + b
      if abs(d) < tiny { d = tiny }
      c = b + an / c
      if abs(c) < tiny { c = tiny }
      d = 1 / d
      let delta = d * c
      h *= delta
      if abs(delta - 1) < 1e-16 { break }
    }
    return max(0, 1 - factor * h)
  }

  /// Above this coefficient of variation the interval of ``variationInterval(_:count:level:)`` loses its level.
  static let variationLimit = 0.33

  /// Confidence intervals of coefficients of variation (sample form), each of `count` values: McKay's χ² approximation as
  /// modified by Vangel (The American Statistician 50, 1996). Assumes roughly normal values; good below 0.33.
  struct VariationIntervals {
    private let count: Double
    private let level: Double
    /// The χ² quantiles depend on the count alone.
    private let quantiles: (low: Double, high: Double)

    /// `nil` for fewer than two values.
    init?(count: Int, level: Double = 0.95) {
      guard count >= 2 else { return nil }
      self.count = Double(count)
      self.level = level
      quantiles = (
        chiSquaredQuantile((1 - level) / 2, self.count - 1), chiSquaredQuantile((1 + level) / 2, self.count - 1)
      )
    }

    /// The interval of a coefficient of variation.
    func interval(_ cv: Double) -> Interval? {
      guard cv.isFinite, cv >= 0 else { return nil }
      guard cv > 0 else { return Interval(lower: 0, upper: 0, level: level) }
      func bound(_ u: Double) -> Double? {
        let radicand = ((u + 2) / count - 1) * cv * cv + u / (count - 1)
        return radicand > 0 ? cv / radicand.squareRoot() : nil
      }
      guard let lower = bound(quantiles.high) else { return nil }
      return Interval(lower: lower, upper: bound(quantiles.low), level: level)
    }
  }

  /// Confidence interval of a coefficient of variation `cv` (sample form) of `count` values.
  static func variationInterval(_ cv: Double, count: Int, level: Double = 0.95) -> Interval? {
    VariationIntervals(count: count, level: level)?.interval(cv)
  }
}
