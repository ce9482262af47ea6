// Are estimates and intervals right? Against SciPy (Tests/Reference/statistics.py), closed forms and simulation.
import Foundation
import Testing

@testable import Analysis

@Suite struct StatisticsTests {
  @Test(arguments: [
    (0.5, 0.1, 0.34527915398142317), (0.5, 3.0, 0.9856941215645704), (2.0, 1.0, 0.2642411176571153),
    (4.5, 10.0, 0.9820875954701567), (50.0, 40.0, 0.07033506665939494), (50.0, 60.0, 0.9155933189063082),
    (0.01, 0.001, 0.9385706525261288),
  ])
  func gamma(a: Double, x: Double, expected: Double) {
    #expect(isClose(Statistics.regularizedGamma(a, x), expected, 1e-12))
  }

  @Test(arguments: [
    (0.025, 1.0, 0.0009820691171752555), (0.975, 1, 5.023886187314888), (0.025, 3, 0.21579528262389785),
    (0.975, 3, 9.348403604496148), (0.025, 4, 0.4844185570879299), (0.975, 4, 11.143286781877796),
    (0.5, 9, 8.342832692252955), (0.975, 99, 128.4219886438403), (0.99, 2, 9.21034037197618),
  ])
  func chiSquared(p: Double, k: Double, expected: Double) {
    #expect(isClose(Statistics.chiSquaredQuantile(p, k), expected, 1e-10))
  }

  @Test func normal() {
    #expect(isClose(Statistics.normalQuantile(0.975), 1.959963984540054, 1e-10))
    #expect(isClose(Statistics.normalQuantile(0.025), -1.959963984540054, 1e-10))
    #expect(Statistics.normalQuantile(0.5) == 0)
  }

  @Test(arguments: [
    (0, 10, 0.0, 0.27753279986288926), (5, 10, 0.236593090512564, 0.7634069094874361),
    (10, 10, 0.7224672001371109, 1.0), (17, 390, 0.027390781471325495, 0.06869219296718422),
    (390, 530, 0.69671422067662, 0.7715896097382627), (1, 1, 0.20654931437723745, 1.0),
  ])
  func wilson(successes: Int, n: Int64, lower: Double, upper: Double) throws {
    let interval = Statistics.wilson(Double(successes) / Double(n), count: n)
    #expect(isClose(interval.lower, lower, 1e-10))
    #expect(isClose(try #require(interval.upper), upper, 1e-10))
  }

  @Test func wilsonOfNothing() {
    #expect(Statistics.wilson(0.5, count: 0) == Interval(lower: 0, upper: 1))
    #expect(Statistics.wilson(.nan, count: 7) == Interval(lower: 0, upper: 1))
  }

  @Test(arguments: [(0, 1.0), (0.1, 1), (0.5, 3.5), (0.9, 6.9), (0.95, 7.95), (0.99, 8.79), (1, 9)])
  func quantile(p: Double, expected: Double) {
    #expect(isClose(Statistics.quantile(sorted: [1, 1, 2, 3, 4, 5, 6, 9], p), expected))
  }

  /// Values 1…n, so that a bound is its rank.
  @Test(arguments: [
    (5, 0.5, 0, 6), (6, 0.5, 1, 6), (10, 0.5, 2, 9), (100, 0.5, 40, 61), (100, 0.9, 84, 96), (100, 0.99, 97, 101),
    (1000, 0.99, 983, 997), (10000, 0.95, 9457, 9543),
  ])
  func ranks(n: Int, p: Double, lower: Int, upper: Int) throws {
    let interval = Statistics.quantileInterval(sorted: (1...n).map(Double.init), p)
    guard lower > 0 else {
      #expect(interval == nil)
      return
    }
    #expect(try #require(interval).lower == Double(lower))
    #expect(try #require(interval).upper == (upper <= n ? Double(upper) : nil))
  }

  /// The technical report's Table 5 values that integer epochs explain: it divides by n.
  @Test(arguments: [
    ([22.0, 23, 23, 23], 1.90, 2.20), ([9, 10, 12, 12], 12.08, 13.95), ([7, 11, 12, 15, 15], 24.72, 27.64),
  ])
  func variation(values: [Double], population: Double, sample: Double) throws {
    #expect(abs(try #require(Statistics.coefficientOfVariation(values, ddof: 0)) * 100 - population) < 0.005)
    #expect(abs(try #require(Statistics.coefficientOfVariation(values, ddof: 1)) * 100 - sample) < 0.005)
  }

  @Test func variationOfNothing() {
    #expect(Statistics.coefficientOfVariation([], ddof: 0) == nil)
    #expect(Statistics.coefficientOfVariation([1], ddof: 1) == nil)
    #expect(Statistics.coefficientOfVariation([-1, 1], ddof: 0) == nil)
    #expect(Statistics.coefficientOfVariation([1e300, -1.5e300], ddof: 0) == nil)
    #expect(Statistics.variationInterval(0.1, count: 1) == nil)
  }

  /// Exact bounds from the non-central t distribution: the approximation is within 1 % of them.
  @Test(arguments: [
    (4, 0.019, 0.010762156252469757, 0.07092178061919101), (5, 0.1, 0.05973915349804552, 0.29342192349373736),
    (10, 0.1, 0.06860522930167096, 0.1841772600739727), (10, 0.3, 0.20175207257676722, 0.5922900206657032),
    (30, 0.2, 0.15811520714959512, 0.27270129792523307),
  ])
  func variationInterval(n: Int, cv: Double, lower: Double, upper: Double) throws {
    let interval = try #require(Statistics.variationInterval(cv, count: n))
    #expect(abs(interval.lower / lower - 1) < 0.01)
    #expect(abs(try #require(interval.upper) / upper - 1) < 0.01)
  }

  /// 95 % of the intervals of normal samples hold the true coefficient: 1000 of them, so ±3 σ is ±2.1 points.
  @Test func coverage() throws {
    var random = Seeded(state: 1)
    let truth = 0.1
    var hits = 0
    for _ in 0..<1000 {
      let values = (0..<5).map { _ in
        let (u, v) = (Double.random(in: 0.0..<1, using: &random), Double.random(in: 0.0..<1, using: &random))
        return 1 + truth * (-2 * log(1 - u)).squareRoot() * cos(2 * .pi * v)
      }
      let cv = try #require(Statistics.coefficientOfVariation(values, ddof: 1))
      let interval = try #require(Statistics.variationInterval(cv, count: 5))
      if interval.lower <= truth, truth <= interval.upper ?? .infinity { hits += 1 }
    }
    #expect(abs(Double(hits) / 1000 - 0.95) < 0.021)
  }

  @Test func percentiles() throws {
    let percentiles = try #require(Percentiles([5, 1, 3, 2, 4]))
    #expect(percentiles.median == 3 && percentiles.mean == 3 && percentiles.minimum == 1 && percentiles.maximum == 5)
    #expect(percentiles[0.9]?.value == 4.6)
    #expect(percentiles[0.5]?.interval == nil)
    #expect(Percentiles([]) == nil)
    #expect(Percentiles([1, .nan]) == nil)
  }
}
