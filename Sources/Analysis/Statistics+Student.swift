// Is the difference of two means more than chance? Student's t distribution, Welch's test, and many tests at once.
import Foundation

/// What Welch's test says about the difference of two means.
struct WelchTest: Sendable, Equatable {
  /// Mean of the second sample less that of the first.
  var difference: Double
  /// Standard error of the difference.
  var standardError: Double
  /// Degrees of freedom by Welch and Satterthwaite.
  var freedom: Double
  /// The probability of a difference at least as large, either way, when there is none.
  var pValue: Double

  /// The same test with no more degrees of freedom than so many.
  func limited(toFreedom limit: Double) -> WelchTest {
    guard freedom > limit, standardError > 0 else { return self }
    var result = self
    result.freedom = limit
    result.pValue = Statistics.studentTails(difference / standardError, limit)
    return result
  }

  /// Confidence interval of the difference.
  func interval(level: Double) -> (lower: Double, upper: Double) {
    let half = standardError > 0 ? Statistics.studentQuantile((1 + level) / 2, freedom) * standardError : 0
    return (difference - half, difference + half)
  }
}

/// Checked against SciPy (`Tests/Reference/comparison.py`).
extension Statistics {
  /// Mean and sample variance (n − 1); the variance of a single value is 0.
  static func moments(_ values: [Double]) -> (mean: Double, variance: Double) {
    let mean = mean(values)
    guard values.count > 1 else { return (mean, 0) }
    return (mean, values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(values.count - 1))
  }

  /// Welch's test of two samples whose variances may differ (Biometrika 34, 1947); `nil` with fewer than two values on a
  /// side, or values beyond arithmetic.
  static func welch(_ first: [Double], _ second: [Double]) -> WelchTest? {
    guard first.count > 1, second.count > 1 else { return nil }
    let (a, b) = (moments(first), moments(second))
    let (u, v) = (a.variance / Double(first.count), b.variance / Double(second.count))
    let difference = b.mean - a.mean
    guard difference.isFinite, (u + v).isFinite else { return nil }
    guard u + v > 0 else {
      return WelchTest(
        difference: difference, standardError: 0, freedom: Double(first.count + second.count - 2),
        pValue: difference == 0 ? 1 : 0)
    }
    // As shares of their sum, so that tiny variances don't underflow when squared.
    let share = u / (u + v)
    let freedom = 1 / (share * share / Double(first.count - 1) + (1 - share) * (1 - share) / Double(second.count - 1))
    let error = (u + v).squareRoot()
    return WelchTest(
      difference: difference, standardError: error, freedom: freedom,
      pValue: studentTails(difference / error, freedom))
  }

  /// The probability that a t variable of `freedom` degrees of freedom is at least as far from 0 as `t`, either way.
  static func studentTails(_ t: Double, _ freedom: Double) -> Double {
    let square = t * t
    guard square.isFinite else { return 0 }
    return regularizedBeta(
      freedom / (freedom + square), complement: square / (freedom + square), freedom / 2, 0.5)
  }

  /// The probability that a t variable of `freedom` degrees of freedom is at most `t`.
  static func studentCDF(_ t: Double, _ freedom: Double) -> Double {
    let tail = studentTails(t, freedom) / 2
    return t < 0 ? tail : 1 - tail
  }

  /// The value below which a t variable of `freedom` degrees of freedom falls with probability p, 0 < p < 1.
  static func studentQuantile(_ p: Double, _ freedom: Double) -> Double {
    guard p != 0.5 else { return 0 }
    let tails = 2 * min(p, 1 - p)
    var low = 0.0
    var high = 2.0
    while studentTails(high, freedom) > tails, high < 1e150 { (low, high) = (high, high * 2) }
    // Newton's method, kept within bounds that close in: the density is the slope.
    let scale = exp(lgamma((freedom + 1) / 2) - lgamma(freedom / 2)) / (freedom * .pi).squareRoot()
    var t = (low + high) / 2
    for _ in 0..<200 {
      let excess = studentTails(t, freedom) - tails
      if excess > 0 { low = t } else { high = t }
      let slope = 2 * scale * pow(1 + t * t / freedom, -(freedom + 1) / 2)
      var next = t + excess / slope
      if !(next > low && next < high) { next = (low + high) / 2 }
      if abs(next - t) <= 1e-15 * t { break }
      t = next
    }
    return p < 0.5 ? -t : t
  }

  /// The regularized incomplete beta function I_x(a, b) by Lentz's evaluation of its continued fraction (DLMF 8.17.22).
  ///
  /// - Parameter y: 1 − x, apart because the difference would lose its digits near 1.
  static func regularizedBeta(_ x: Double, complement y: Double, _ a: Double, _ b: Double) -> Double {
    guard x > 0 else { return 0 }
    guard y > 0 else { return 1 }
    let factor = exp(a * log(x) + b * log(y) + lgamma(a + b) - lgamma(a) - lgamma(b))
    // The fraction converges fast below the mean; above it, its mirror image does.
    return x <= (a + 1) / (a + b + 2)
      ? min(1, factor * betaFraction(x, a, b) / a) : max(0, 1 - factor * betaFraction(y, b, a) / b)
  }

  private static func betaFraction(_ x: Double, _ a: Double, _ b: Double) -> Double {
    let tiny = 1e-300
    func away(_ value: Double) -> Double { abs(value) < tiny ? tiny : value }
    var c = 1.0
    var d = 1 / away(1 - (a + b) * x / (a + 1))
    var result = d
    for step in 1..<100_000 {
      let m = Double(step)
      let even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
      d = 1 / away(1 + even * d)
      c = away(1 + even / c)
      result *= d * c
      let odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
      d = 1 / away(1 + odd * d)
      c = away(1 + odd / c)
      result *= d * c
      if abs(d * c - 1) < 1e-15 { break }
    }
    return result
  }

  /// Holm's correction (Scandinavian Journal of Statistics 6, 1979): with these in the place of the p-values, a level holds
  /// for all comparisons together, however they depend on each other.
  static func holm(_ pValues: [Double]) -> [Double] {
    var result = pValues
    var least = 0.0
    let ascending = pValues.indices.sorted { (pValues[$0], $0) < (pValues[$1], $1) }
    for (rank, index) in ascending.enumerated() {
      least = max(least, min(1, Double(pValues.count - rank) * pValues[index]))
      result[index] = least
    }
    return result
  }

  /// The two-sided p-value of a rearrangement test of two samples that don't overlap at all: the least that so many values
  /// can give, whatever their distribution.
  static func leastRearrangementP(_ first: Int, _ second: Int) -> Double {
    let ways = lgamma(Double(first + second) + 1) - lgamma(Double(first) + 1) - lgamma(Double(second) + 1)
    return min(1, 2 * exp(-ways))
  }
}
