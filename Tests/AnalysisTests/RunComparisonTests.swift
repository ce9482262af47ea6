// Is what two sets of runs are said to be true as often as it is said? Against SciPy (Tests/Reference/comparison.py),
// against runs worked out by hand, and against simulated runs whose truth is known.
import Foundation
import ProfileModel
import Testing

@testable import Analysis

/// Noise with a known spread.
struct Noise {
  enum Shape: String, CaseIterable {
    case normal
    /// One run in ten is disturbed: five times the spread.
    case outliers
    /// One run in ten is disturbed, and a disturbed run is only ever slower.
    case slowOutliers
    /// Runs vary by factors.
    case logNormal
  }
  var generator: SeededGenerator

  init(_ seed: UInt64) { generator = SeededGenerator(seed) }

  mutating func normal() -> Double {
    // Box and Muller 1958.
    (-2 * log(1 - generator.unit())).squareRoot() * cos(2 * .pi * generator.unit())
  }

  mutating func value(_ shape: Shape, mean: Double, cv: Double) -> Double {
    switch shape {
    case .normal: mean * (1 + cv * normal())
    // However disturbed, a run takes some time.
    case .outliers: mean * max(0.05, 1 + cv * normal() * (generator.unit() < 0.1 ? 5 : 1))
    case .slowOutliers: mean * (1 + cv * normal() + (generator.unit() < 0.1 ? 5 * cv * abs(normal()) : 0))
    case .logNormal: mean * exp(cv * normal())
    }
  }

  mutating func values(_ count: Int, _ shape: Shape = .normal, mean: Double = 100, cv: Double) -> [Double] {
    (0..<count).map { _ in value(shape, mean: mean, cv: cv) }
  }
}

@Suite struct StudentTests {
  @Test(arguments: [
    (0.5, 0.5, 0.5, 0.5000000000000001), (0.1, 2.0, 3.0, 0.05230000000000001), (0.9, 2.0, 3.0, 0.9963),
    (0.3, 0.5, 20.0, 0.9998262021603298), (0.999, 50.0, 0.5, 0.7523690199653766),
    (1e-08, 3.0, 0.5, 3.12500001171875e-25), (0.2, 500.0, 1500.0, 2.9044344052777755e-08),
  ])
  func beta(x: Double, a: Double, b: Double, expected: Double) {
    #expect(abs(Statistics.regularizedBeta(x, complement: 1 - x, a, b) / expected - 1) < 1e-9)
  }

  @Test(arguments: [
    (0.0, 3.0, 0.5), (1.0, 1.0, 0.75), (-2.5, 4.0, 0.03338327240599407), (2.5, 4.0, 0.966616727594006),
    (-12.0, 7.3, 2.277892614785275e-06), (-40.0, 18.0, 2.4326308461524985e-19), (0.01, 2.2, 0.5035724366700314),
    (3.1, 1_000_000.0, 0.999032369924338), (1e-09, 5.0, 0.5000000003796067),
  ])
  func cumulative(t: Double, freedom: Double, expected: Double) {
    #expect(abs(Statistics.studentCDF(t, freedom) / expected - 1) < 1e-9)
  }

  @Test(arguments: [
    (0.975, 1.0, 12.706204736174694), (0.975, 4.7, 2.62072607535317), (0.9975, 18.0, 3.1965742222552294),
    (0.025, 3.0, -3.1824463052837086), (0.6, 2.5, 0.2814595127485477), (0.999999, 3.2, 81.92182876159865),
    (1e-12, 8.0, -69.69504323785961), (0.995, 1_000_000.0, 2.5758342201053344),
  ])
  func quantile(p: Double, freedom: Double, expected: Double) {
    #expect(abs(Statistics.studentQuantile(p, freedom) / expected - 1) < 1e-9)
  }

  @Test func quantilesInvertTheDistribution() {
    #expect(Statistics.studentQuantile(0.5, 3) == 0)
    for freedom in [0.7, 1, 2, 3.3, 8, 18, 500] {
      for p in [1e-9, 0.001, 0.0025, 0.3, 0.49, 0.51, 0.9, 0.9975] {
        #expect(abs(Statistics.studentCDF(Statistics.studentQuantile(p, freedom), freedom) / p - 1) < 1e-9)
      }
    }
    // Two degrees of freedom have a closed form.
    for t in [-30, -1, 0.2, 4.0] {
      #expect(isClose(Statistics.studentCDF(t, 2), 0.5 + t / (2 * (2 + t * t).squareRoot()), 1e-13))
    }
    #expect(Statistics.studentTails(.infinity, 3) == 0 && Statistics.studentTails(1e200, 3) == 0)
  }

  /// `scipy.stats.ttest_ind(equal_var=False)`.
  @Test(arguments: [
    (
      [10.1, 9.9, 10.0, 10.2], [10.6, 10.4, 10.7],
      [4.727455680310753, 3.9593147751605997, 0.009351860230903767, 0.2119935207894224, 0.8213398125439091]
    ),
    (
      [1.0, 2.0], [1.5, 9.0],
      [0.9912279006826347, 1.0355443217945932, 0.49824742120655413, -40.59095925400241, 48.09095925400241]
    ),
    (
      [5.0, 5.0, 5.0], [5.1, 5.3, 5.2, 5.25],
      [4.977090372037503, 3.0, 0.01558735812149629, 0.07662345581019858, 0.34837654418980035]
    ),
    (
      [0.0, 0.0, 1.0, 3.0], [2.0, 2.0, 4.0, 4.0, 1.0],
      [1.7253243712550148, 6.390552995391705, 0.13219364449598706, -0.6359768393696132, 3.8359768393696134]
    ),
  ])
  func welch(a: [Double], b: [Double], expected: [Double]) throws {
    let test = try #require(Statistics.welch(a, b))
    let interval = test.interval(level: 0.95)
    let numbers = [
      test.difference / test.standardError, test.freedom, test.pValue, interval.lower, interval.upper,
    ]
    for (number, expected) in zip(numbers, expected) { #expect(isClose(number, expected, 1e-9)) }
  }

  /// `2 * scipy.stats.t.sf(abs(t), 4)`: two samples of three have four degrees of freedom at most.
  @Test func fewBesideMany() throws {
    let (few, many) = ([1.0, 1.1, 1.05], (0..<20).map { 1 + Double($0 % 3) })
    let test = try #require(Statistics.welch(few, many))
    #expect(isClose(test.freedom, 19.827942785944693) && isClose(test.pValue, 0.0001072422399643488))
    let limited = try #require(Contrast.test(few, many))
    #expect(limited.freedom == 4 && limited.pValue > test.pValue)
    #expect(isClose(test.limited(toFreedom: 1.5).pValue, 0.0689789227172647))
    let even = try #require(Contrast.test(few, few.map { $0 * 2 }))
    #expect(even == Statistics.welch(few, few.map { $0 * 2 }))
  }

  @Test func welchOfNothing() throws {
    #expect(Statistics.welch([1], [1, 2]) == nil && Statistics.welch([], []) == nil)
    #expect(Statistics.welch([1, .infinity], [1, 2]) == nil)
    #expect(try #require(Statistics.welch([1, 1], [1, 1])).pValue == 1)
    #expect(try #require(Statistics.welch([1, 1], [2, 2])).pValue == 0)
  }

  /// The ratio of geometric means with its interval is the same test on logarithms.
  @Test func ratio() throws {
    let contrast = Contrast([100.0, 102.0, 99.0, 101.0, 98.5], [104.0, 103.0, 105.5, 102.5, 104.5])
    #expect(isClose(try #require(contrast.ratio.value), 1.037992084683479))
    #expect(isClose(try #require(contrast.interval.value).lower, 1.0184005181341103))
    #expect(isClose(try #require(contrast.interval.value?.upper), 1.0579605456599652))
    #expect(isClose(try #require(contrast.pValue.value), 0.002106589277103996))
    #expect(contrast.finding == .higher)
  }

  @Test(arguments: [
    (2, 2, 0.3333333333333333), (5, 5, 0.007936507936507936), (6, 6, 0.0021645021645021645),
    (3, 10, 0.006993006993006993),
  ])
  func rearrangement(n: Int, m: Int, expected: Double) {
    #expect(isClose(Statistics.leastRearrangementP(n, m), expected, 1e-12))
  }
}

@Suite struct CoverageTests {
  /// (a) The 95 % interval of the coefficient of variation holds the truth 95 times in a hundred.
  @Test(arguments: [4, 5, 10], [0.01, 0.05, 0.2])
  func variationInterval(count: Int, cv: Double) throws {
    var noise = Noise(UInt64(count) * 1000 + UInt64(cv * 100))
    let intervals = try #require(Statistics.VariationIntervals(count: count))
    let trials = 4000
    var covered = 0
    for _ in 0..<trials {
      let sample = try #require(Statistics.coefficientOfVariation(noise.values(count, cv: cv), ddof: 1))
      let interval = try #require(intervals.interval(sample))
      if interval.lower <= cv, cv <= interval.upper ?? .infinity { covered += 1 }
    }
    let share = Double(covered) / Double(trials)
    #expect((0.93...0.97).contains(share), "\(share)")
  }

  /// (b) Two sets of runs of the same thing are called different in at most 1 % of trials: by the p-value alone, and all the
  /// more by the finding.
  @Test(arguments: Noise.Shape.allCases, [2, 4, 5, 10])
  func sameThingIsNotCalledDifferent(shape: Noise.Shape, count: Int) throws {
    for (cv, other) in [(0.01, count), (0.1, count), (0.05, 10)] {
      var noise = Noise(UInt64(count * 10_000 + other * 100) + UInt64(cv * 100) + UInt64(shape.rawValue.count) << 32)
      let trials = 2000
      var alarms = 0
      for _ in 0..<trials {
        let (a, b) = (noise.values(count, shape, cv: cv), noise.values(other, shape, cv: cv))
        // The interval takes most of a comparison's time: it is only asked for where the p-value is small.
        guard try #require(Contrast.test(a.map { log($0) }, b.map { log($0) })).pValue < Contrast.level else {
          continue
        }
        let contrast = Contrast(a, b)
        #expect(contrast.finding != .cantTell)
        alarms += 1
      }
      #expect(Double(alarms) <= 0.01 * Double(trials), "\(shape) \(count)/\(other) \(cv): \(alarms) of \(trials)")
    }
  }

  /// (c) A true change of 3 % at 1 % noise is found with ten runs a side, whichever way it goes.
  @Test(arguments: [1.03, 1 / 1.03])
  func aChangeOfThreePercentIsFound(change: Double) {
    var noise = Noise(change > 1 ? 31 : 32)
    let trials = 600
    var found = 0
    for _ in 0..<trials {
      let contrast = Contrast(noise.values(10, cv: 0.01), noise.values(10, mean: 100 * change, cv: 0.01))
      if contrast.finding == (change > 1 ? .higher : .lower) { found += 1 }
    }
    #expect(Double(found) >= 0.95 * Double(trials), "\(found) of \(trials)")
  }

  /// `same` is said wrongly as seldom: of runs that differ by just the margin, in at most 2.5 %, the level of each one-sided
  /// test; and it is said of equal runs when there are enough of them.
  @Test func sameIsSaidForAReason() {
    var noise = Noise(77)
    let trials = 1000
    var wrong = 0
    var right = 0
    for _ in 0..<trials {
      let apart = Contrast(noise.values(10, .logNormal, cv: 0.01), noise.values(10, .logNormal, mean: 102, cv: 0.01))
      if apart.finding == .same { wrong += 1 }
      if Contrast(noise.values(10, cv: 0.01), noise.values(10, cv: 0.01)).finding == .same { right += 1 }
    }
    // 2.5 % and three standard errors of so many trials.
    #expect(Double(wrong) <= 0.04 * Double(trials), "\(wrong)")
    #expect(Double(right) >= 0.9 * Double(trials), "\(right)")
  }

  /// The 95 % interval of the ratio holds the truth 95 times in a hundred.
  @Test(arguments: [4, 10])
  func ratioInterval(count: Int) {
    var noise = Noise(UInt64(count))
    let trials = 2000
    var covered = 0
    for _ in 0..<trials {
      let contrast = Contrast(
        noise.values(count, .logNormal, cv: 0.05), noise.values(count, .logNormal, mean: 120, cv: 0.1))
      if let interval = contrast.interval.value, interval.lower <= 1.2, 1.2 <= interval.upper ?? 0 { covered += 1 }
    }
    let share = Double(covered) / Double(trials)
    #expect((0.935...0.965).contains(share), "\(share)")
  }

  /// Holm's correction: among forty kernels of the same runs, in at most 1 % of comparisons is even one called different.
  @Test func noneOfManyIsCalledDifferent() {
    var noise = Noise(5)
    let trials = 100
    var alarms = 0
    for _ in 0..<trials {
      var contrasts = (0..<40).map { _ in Contrast(noise.values(5, cv: 0.05), noise.values(5, cv: 0.05)) }
      let corrected = Statistics.holm(contrasts.compactMap(\.pValue.value))
      for index in contrasts.indices { contrasts[index].decide(correctedP: corrected[index], margin: 0.02) }
      if contrasts.contains(where: { $0.finding == .higher || $0.finding == .lower }) { alarms += 1 }
    }
    #expect(Double(alarms) <= 0.01 * Double(trials), "\(alarms)")
  }
}

@Suite struct ContrastTests {
  @Test func tooFewShowTheEffectAlone() {
    for (a, b) in [([100.0], [110.0]), ([100], [110, 110.5, 109]), ([99, 100, 101], [110])] {
      let contrast = Contrast(a, b)
      #expect(abs((contrast.effect ?? 0) - 0.1) < 0.002)
      #expect(contrast.finding == .cantTell && contrast.reason?.remedy == "kiviat profile -r 5")
      #expect(contrast.interval.value == nil && contrast.pValue.value == nil)
    }
    let none = Contrast([], [1, 2])
    #expect(none.effect == nil && none.finding == .cantTell && none.reason?.reason == "no repetition of A has it")
    #expect(Contrast([], []).reason?.reason == "no repetition of A and B has it")
  }

  @Test func constants() {
    let same = Contrast([5, 5, 5], [5, 5])
    #expect(same.finding == .same && same.effect == 0 && same.pValue.value == 1)
    // Whole epochs: 5, 5 against 6, 6 may well be chance; ten against ten is none.
    #expect(Contrast([5, 5], [6, 6]).finding == .cantTell)
    #expect(Contrast([5, 5], [6, 6]).interval.value == nil)
    let many = [Double](repeating: 5, count: 10)
    #expect(Contrast(many, many.map { $0 + 1 }).finding == .higher)
    #expect(Contrast(many, many.map { $0 - 1 }).finding == .lower)
  }

  @Test func zerosHaveNoLogarithm() {
    let contrast = Contrast([0, 0, 1, 0, 2], [100, 102, 98, 101, 99])
    #expect(contrast.finding == .higher && contrast.interval.value == nil && (contrast.effect ?? 0) > 100)
    let vanished = Contrast([100, 102, 98, 101, 99], [0, 0, 0, 0, 0])
    #expect(vanished.finding == .lower && vanished.effect == -1)
    let appeared = Contrast([0, 0, 0, 0, 0], [100, 102, 98, 101, 99])
    #expect(appeared.finding == .higher && appeared.effect == nil)
    #expect(Contrast([0, 0], [0, 0]).finding == .same)
    #expect(Contrast([-2, -3], [-2.5, -2.4]).effect == nil)
  }

  @Test(arguments: [
    [1e308, 1.1e308, 1.2e308], [3e-308, 4e-308, 5e-308], [-1e308, 1e308, 0], [Double.leastNonzeroMagnitude, 1, 1e300],
  ])
  func extremes(_ values: [Double]) throws {
    for contrast in [Contrast(values, [1, 2, 3]), Contrast([1, 2, 3], values), Contrast(values, values)] {
      for number in [contrast.ratio.value, contrast.pValue.value, contrast.interval.value?.lower, contrast.a.mean] {
        #expect(number?.isFinite ?? true)
      }
      // What is not finite can't be written.
      #expect(try JSONEncoder().encode(contrast).count > 0)
    }
  }

  @Test func reasonsAndRemedies() throws {
    let noisy = Contrast([100, 110, 95], [104, 96, 112])
    #expect(noisy.finding == .cantTell)
    let reason = try #require(noisy.reason)
    #expect(reason.reason.contains("is possible") && reason.remedy?.contains("a quieter machine") == true)
    // s = 1 %: 2 s² (2.807 + 1.282)² ÷ 2 %² = 8.4 repetitions.
    let calm = Contrast([100, 101, 99], [101.5, 100.5, 102.5])
    #expect(calm.finding == .cantTell && calm.reason?.remedy == "kiviat profile -r 9", "\(calm)")
  }

  @Test func holm() {
    // By hand: sorted 0.01, 0.02, 0.03, 0.5 times 4, 3, 2, 1, never falling.
    #expect(
      zip(Statistics.holm([0.03, 0.01, 0.5, 0.02]), [0.06, 0.04, 0.5, 0.06]).allSatisfy { isClose($0, $1) })
    #expect(Statistics.holm([]) == [] && Statistics.holm([0.4]) == [0.4] && Statistics.holm([0.9, 0.8]) == [1, 1])
  }

  @Test func marginsAreTheUsers() {
    let (a, b) = ([100.0, 101, 99, 100, 100.5], [104.0, 103, 105, 104, 104.5])
    #expect(Contrast(a, b).finding == .higher)
    #expect(Contrast(a, b, margin: 0.1).finding == .same)
  }
}

@Suite struct RunComparisonTests {
  /// Runs of a command.
  static func command(
    _ walls: [Double], settings: [String: String] = [:], host: [Quantity] = [],
    _ change: (Int, inout RepetitionData) -> Void = { _, _ in }
  ) -> Profile {
    let repetitions = walls.enumerated().map { index, wall in
      var data = repetition(index, wall: Int64(wall))
      data.quantities = [quantity("memory.peak_rss", 1e6 + Double(index), "B")]
      change(index, &data)
      return data
    }
    return Profile(
      settings: ["kind": "command", "command": #"["make"]"#].merging(settings) { $1 }, host: host,
      repetitions: repetitions)
  }

  /// Runs of a benchmark: steps of that many nanoseconds.
  static func training(
    _ steps: [Double], count: Int = 20, batch: Int = 64, settings: [String: String] = [:],
    _ change: (Int, inout RepetitionData) -> Void = { _, _ in }
  ) -> Profile {
    let repetitions = steps.enumerated().map { index, step in
      var data = repetition(index, wall: Int64(step) * Int64(count) + 1000)
      data.steps = (0..<count).map {
        TrainingStep(
          step: $0, epoch: 0, timeNanoseconds: Int64(step) * Int64($0 + 1), durationNanoseconds: Int64(step),
          samples: batch, loss: 1)
      }
      data.kernels = [
        kernel("aten::mm", .gemm, self: Int64(step) * Int64(count) / 2, calls: Int64(count), id: 1),
        kernel("aten::add", .elementWise, .backward, self: 100_000 * Int64(count), calls: 2 * Int64(count), id: 2),
        kernel("aten::eval", .elementWise, .evaluation, self: 5_000_000, id: 3),
      ]
      change(index, &data)
      return data
    }
    return Profile(
      settings: [
        "kind": "benchmark", "benchmark": "DC-AI-C1", "mode": "train", "scale": "small", "seed": "1",
        "batch_size": "\(batch)", "steps": "\(count)",
      ].merging(settings) { $1 }, repetitions: repetitions)
  }

  static func compare(_ a: Profile, _ b: Profile, margin: Double = 0.02, isForced: Bool = false) throws -> RunComparison
  {
    try RunComparison(
      ComparedRuns(name: "a.kiviat", profiles: [a]), ComparedRuns(name: "b.kiviat", profiles: [b]), margin: margin,
      isForced: isForced)
  }

  static let calm = [1000e6, 1004e6, 997e6, 1001e6, 999e6]

  @Test func aCommandGoesByItsWallTime() throws {
    let slower = try Self.compare(Self.command(Self.calm), Self.command(Self.calm.map { $0 * 1.1 }))
    #expect(slower.verdict == .slower && slower.primary == "wall" && slower.metrics[0].name == "wall")
    #expect(abs((slower.metrics[0].contrast.effect ?? 0) - 0.1) < 1e-6)
    #expect(slower.metrics[0].isBetter == false)
    #expect(slower.summary[0].hasPrefix("B is slower: wall time +10.0 % (95 % interval +9."), "\(slower.summary)")
    let faster = try Self.compare(Self.command(Self.calm), Self.command(Self.calm.map { $0 * 0.9 }))
    #expect(faster.verdict == .faster && faster.metrics[0].isBetter == true)
    let same = try Self.compare(Self.command(Self.calm), Self.command(Self.calm.reversed()))
    #expect(same.verdict == .same && same.summary[0].contains("B is as fast as A"))
    let unsure = try Self.compare(Self.command([1e9, 1.3e9, 0.8e9]), Self.command([1.1e9, 0.9e9, 1.2e9]))
    #expect(unsure.verdict == .cantTell && unsure.summary[0].hasPrefix("Can’t tell"))
    let single = try Self.compare(Self.command([1e9]), Self.command([2e9]))
    #expect(single.verdict == .cantTell && single.summary[0].contains("+100 %"))
    #expect(single.summary.last == "What would help: kiviat profile -r 5.", "\(single.summary)")
  }

  @Test func aBenchmarkGoesByItsThroughput() throws {
    let steps = [10e6, 10.04e6, 9.97e6, 10.01e6, 9.99e6]
    let result = try Self.compare(Self.training(steps), Self.training(steps.map { $0 * 1.25 }))
    #expect(result.primary == "training.samples_per_second" && result.verdict == .slower)
    #expect(abs((result.primaryMetric?.contrast.effect ?? 0) + 0.2) < 1e-4)
    let step = try #require(result.metrics.first { $0.name == "training.step_time.p50" })
    #expect(step.verdict == .slower && abs((step.contrast.effect ?? 0) - 0.25) < 1e-4)
    let kernels = try #require(result.kernels.value)
    #expect(kernels.unit == "step" && kernels.kernels.map(\.name) == ["aten::mm", "aten::add"])
    #expect(kernels.kernels[0].verdict == .slower && kernels.kernels[1].verdict == .same)
    #expect(isClose(kernels.kernels[0].differenceNanoseconds, 0.25 * 0.5 * 10.002e6, 1e-3))
    #expect(kernels.kernels[1].callsA == 2 && kernels.appeared.isEmpty && kernels.vanished.isEmpty)
  }

  @Test func runsOfDifferentLengthsCompareByTheStep() throws {
    let steps = [10e6, 10.04e6, 9.97e6, 10.01e6, 9.99e6]
    let result = try Self.compare(Self.training(steps, count: 20), Self.training(steps.reversed(), count: 50))
    #expect(result.verdict == .same)
    #expect(!result.metrics.contains { $0.name == "wall" })
    #expect(result.notCompared.contains { $0.labels.contains("wall time") && $0.reason.contains("steps") })
    let kernels = try #require(result.kernels.value)
    #expect(kernels.kernels.allSatisfy { $0.verdict == .same } && kernels.basis.contains("20 steps and 50 steps"))
    #expect(result.remarks.contains { $0.contains("steps asked for differ") })
  }

  @Test func kernelsAppearAndVanish() throws {
    let steps = [10e6, 10.1e6, 9.9e6]
    let result = try Self.compare(
      Self.training(steps),
      Self.training(steps) { _, data in data.kernels[1].name = "aten::fused" })
    let kernels = try #require(result.kernels.value)
    #expect(kernels.vanished.map(\.name) == ["aten::add"] && kernels.appeared.map(\.name) == ["aten::fused"])
    #expect(kernels.appeared[0].nanoseconds == 100_000 && kernels.appeared[0].calls == 2)
    // 0.1 ms beside 5 ms.
    #expect(abs(kernels.appeared[0].share - 0.0196) < 0.0005)
  }

  @Test func manyProfilesAreOneSample() throws {
    let a = Self.calm.map { Self.command([$0]) }
    let b = Self.calm.map { Self.command([$0 * 1.1]) }
    let result = try RunComparison(ComparedRuns(name: "a", profiles: a), ComparedRuns(name: "b", profiles: b))
    #expect(result.verdict == .slower && result.a.profiles == 5 && result.a.counted == 5)
    #expect(result.metrics[0].contrast.a.values == Self.calm)
  }

  @Test func refusals() {
    let a = Self.command(Self.calm) { index, data in data.repetition.startedAtUnixNanoseconds = 100 + Int64(index) }
    #expect(throws: RunComparison.Refusal.sameRuns(count: 5)) { try Self.compare(a, a) }
    let other = Self.training([1e6], settings: ["benchmark": "DC-AI-C2"])
    #expect(throws: RunComparison.Refusal.differentBenchmarks(a: "DC-AI-C1", b: "DC-AI-C2")) {
      try Self.compare(Self.training([1e6]), other)
    }
    #expect(throws: RunComparison.Refusal.self) { try Self.compare(a, other) }
    #expect(throws: RunComparison.Refusal.nothing(side: "x")) {
      try RunComparison(ComparedRuns(name: "x", profiles: []), ComparedRuns(name: "y", profiles: [a]))
    }
    #expect(throws: RunComparison.Refusal.mixed(side: "x", benchmarks: ["DC-AI-C1", "DC-AI-C2"])) {
      try RunComparison(
        ComparedRuns(name: "x", profiles: [Self.training([1e6]), other]), ComparedRuns(name: "y", profiles: [a]))
    }
    for refusal: RunComparison.Refusal in [
      .nothing(side: "x"), .mixed(side: "x", benchmarks: ["p", "q"]), .differentBenchmarks(a: "p", b: "q"),
      .sameRuns(count: 1),
    ] { #expect(refusal.description.count > 10) }
  }

  @Test func differentBenchmarksAreComparedWhenForced() throws {
    let result = try Self.compare(
      Self.training([1e6, 1.01e6]), Self.training([2e6, 2.02e6], settings: ["benchmark": "DC-AI-C2"]), isForced: true)
    #expect(result.remarks.contains { $0.hasPrefix("The benchmarks are different ones") })
  }

  @Test func unfinishedAndFailedRunsAreLeftOut() throws {
    let b = Self.command(Self.calm + [1, 2, 3, 4]) { index, data in
      if index == 5 { data.repetition.state = .interrupted }
      if index == 6 { data.repetition.state = .running }
      if index == 7 { data.repetition.exitStatus = 1 }
      if index == 8 { data.repetition.signal = 11 }
    }
    let result = try Self.compare(Self.command(Self.calm), b)
    #expect(result.b.counted == 5 && result.b.repetitions == 9 && result.b.leftOut.map(\.count) == [1, 1, 1, 1])
    #expect(result.verdict == .same && result.remarks[0].hasPrefix("4 of 9 repetitions of B are left out"))
    // A crash at once is not faster.
    let crash = Self.command([1, 2, 3, 4, 5]) { _, data in data.repetition.exitStatus = 1 }
    let crashed = try Self.compare(Self.command(Self.calm), crash)
    #expect(crashed.verdict == .cantTell && crashed.primary == nil && crashed.b.counted == 0)
    // What always ends with 1, such as a search that finds nothing, is compared.
    let search = Self.command(Self.calm) { _, data in data.repetition.exitStatus = 1 }
    #expect(try Self.compare(search, search).verdict == .same)
  }

  @Test func emptyProfiles() throws {
    let none = Profile(settings: ["kind": "command"])
    for (a, b) in [(none, none), (Self.command(Self.calm), none), (none, Self.command(Self.calm))] {
      let result = try Self.compare(a, b)
      #expect(result.verdict == .cantTell && result.metrics.isEmpty && result.primary == nil)
      #expect(result.summary[0].hasPrefix("Can’t tell") && result.kernels.value == nil && result.flame.value == nil)
    }
    #expect(try Self.compare(none, Self.command(Self.calm)).remarks.contains("A holds no repetition."))
  }

  @Test func valuesThatAreNoNumbersAreLeftOut() throws {
    let b = Self.command(Self.calm) { index, data in
      data.quantities = [quantity("memory.peak_rss", index < 4 ? .nan : 5e6, "B")]
      data.counters = [CounterTotal(event: "x", value: Measured(.infinity, .softwareCounter))]
    }
    let result = try Self.compare(Self.command(Self.calm), b)
    let memory = try #require(result.metrics.first { $0.name == "memory.peak_rss" })
    #expect(memory.contrast.b.values == [5e6] && memory.verdict == .cantTell)
    #expect(!result.metrics.contains { $0.name == "counter.x" })
    #expect(try JSONEncoder().encode(result).count > 0)
  }

  @Test func onlyOneSideHasIt() throws {
    let a = Self.command(Self.calm) { _, data in
      data.counters = [CounterTotal(event: "instructions", value: Measured(1e9, .hardwareCounter))]
    }
    let b = Self.command(Self.calm) { _, data in
      data.counters = [
        CounterTotal(event: "instructions", value: .unavailable(Unavailable("no PMU", remedy: "run on the host")))
      ]
    }
    let result = try Self.compare(a, b)
    #expect(
      result.notCompared.contains {
        $0.labels == ["instructions"] && $0.reason == "B has none: no PMU" && $0.remedy == "run on the host"
      }, "\(result.notCompared)")
  }

  @Test func whatElseDiffers() throws {
    func host(_ model: String, _ memory: Double, ceiling: Double) -> [Quantity] {
      [
        Quantity("host.cpu.model", Measured(.text(model), .kernelAccounting)),
        Quantity("host.memory.available", unit: "B", Measured(.number(memory), .kernelAccounting)),
        Quantity("host.memory.total", unit: "B", Measured(.number(8e9), .kernelAccounting)),
        Quantity("ceiling.bandwidth.dram", unit: "B/s", Measured(.number(ceiling), .clock)),
      ]
    }
    var a = Self.training([1e6, 1.01e6, 0.99e6], settings: ["frequency": "499", "working_directory": "/x"])
    var b = Self.training(
      [1e6, 1.01e6, 0.99e6], batch: 128, settings: ["seed": "2", "frequency": "99", "working_directory": "/y"])
    a.host = host("Xeon", 1e9, ceiling: 100)
    b.host = host("EPYC", 2e9, ceiling: 102)
    let result = try Self.compare(a, b)
    #expect(
      result.differences.map { "\($0.kind.rawValue) \($0.name) \($0.a) \($0.b)" } == [
        #"work batch_size ["64"] ["128"]"#, #"work seed ["1"] ["2"]"#, #"measurement frequency ["499"] ["99"]"#,
        #"machine host.cpu.model ["Xeon"] ["EPYC"]"#, #"other working_directory ["/x"] ["/y"]"#,
      ], "\(result.differences)")
    for word in ["batch sizes differ", "seeds differ: 1 in A, 2 in B", "different machines", "measured otherwise"] {
      #expect(result.remarks.contains { $0.contains(word) }, "\(word): \(result.remarks)")
    }
    let modes = try Self.compare(Self.training([1e6, 1e6]), Self.training([1e6, 1e6], settings: ["scale": "paper"]))
    #expect(modes.remarks.contains { $0.hasPrefix("The scales differ: small in A, paper in B") })
  }

  @Test func trainingAndInferenceHaveNoSpeedInCommon() throws {
    let infer = Self.training([1e6, 1.01e6], settings: ["mode": "infer"]) { _, data in
      data.queries = data.steps.map {
        InferenceQuery(index: $0.step, latencyNanoseconds: $0.durationNanoseconds, samples: 1)
      }
      data.steps = []
    }
    let result = try Self.compare(Self.training([1e6, 1.01e6]), infer)
    #expect(result.verdict == .cantTell && result.primary == nil && result.primaryReason.contains("in common"))
    let queries = try Self.compare(infer, infer)
    #expect(queries.primary == "inference.samples_per_second" && queries.kernels.value?.unit == "query")
  }

  /// Simulated runs through the whole comparison: no more wrong alarms than by the numbers alone.
  @Test func simulatedProfiles() throws {
    var noise = Noise(2026)
    var alarms = 0
    var found = 0
    let trials = 150
    for _ in 0..<trials {
      let a = Self.command(noise.values(10, .slowOutliers, mean: 1e9, cv: 0.01))
      let b = Self.command(noise.values(10, .slowOutliers, mean: 1e9, cv: 0.01))
      let verdict = try Self.compare(a, b).verdict
      if verdict == .faster || verdict == .slower { alarms += 1 }
      let c = Self.command(noise.values(10, mean: 1e9, cv: 0.01))
      let d = Self.command(noise.values(10, mean: 1.03e9, cv: 0.01))
      if try Self.compare(c, d).verdict == .slower { found += 1 }
    }
    #expect(alarms <= 4 && found >= 142, "\(alarms) \(found)")
  }

  @Test func theSameEveryTime() throws {
    let encoder = JSONEncoder()
    encoder.outputFormatting = .sortedKeys
    let texts = try (0..<3).map { _ in
      try encoder.encode(Self.compare(Self.training([1e6, 1.1e6, 1e6]), Self.training([1.2e6, 1.1e6, 1.3e6])))
    }
    #expect(Set(texts).count == 1)
  }
}

@Suite struct FlameDifferenceTests {
  @Test func mergesByPath() throws {
    var before = Stacks()
    before.add("main work sort", 60)
    before.add("main work", 20)
    before.add("main old", 20)
    var after = Stacks()
    after.add("main new", 50)
    after.add("main work sort", 100)
    after.add("main work", 50)
    let flame = FlameDifference(a: [before.tree], b: [after.tree])
    func path(_ index: Int) -> String {
      let node = flame.nodes[index]
      return (node.parent.map { path($0) + " " } ?? "") + flame.functions[node.function].name
    }
    let nodes = Dictionary(uniqueKeysWithValues: flame.nodes.indices.map { (path($0), flame.nodes[$0]) })
    #expect(Set(nodes.keys) == ["main", "main work", "main work sort", "main old", "main new"])
    let work = try #require(nodes["main work"])
    #expect(work.shareA == 0.8 && work.shareB == 0.75 && work.selfShareA == 0.2 && work.selfShareB == 0.25)
    #expect(nodes["main"]?.shareA == 1 && nodes["main"]?.difference == 0)
    #expect(nodes["main old"]?.shareB == 0 && nodes["main new"]?.shareA == 0 && nodes["main new"]?.shareB == 0.25)
    #expect(nodes["main new"]?.isBeyondSamplingError == true && work.isBeyondSamplingError == false)
    #expect(flame.nanosecondsA == 1000 && flame.nanosecondsB == 2000 && flame.samplesB == 200)
    // Parents first, siblings by their weight on side B.
    #expect(flame.nodes.indices.map(path) == ["main", "main work", "main work sort", "main new", "main old"])
    #expect(flame.changes.map { flame.functions[$0.function].name } == ["new", "old", "sort", "work"])
    #expect(flame.prunedCount == 0)
  }

  @Test func repetitionsAddUpAndModulesMayMove() {
    var one = Stacks()
    one.add("main f", 10)
    var two = Stacks()
    two.add("main f", 30)
    for (id, frame) in two.frames {
      var frame = frame
      frame.module = "/other/place/program"
      two.frames[id] = frame
    }
    let flame = FlameDifference(a: [one.tree, two.tree], b: [one.tree])
    #expect(flame.nodes.count == 2 && flame.nanosecondsA == 200 && flame.nanosecondsB == 100)
    #expect(flame.changes.isEmpty)
  }

  @Test func pruningKeepsTheTreeWhole() {
    var generator = SeededGenerator(3)
    func stacks() -> Stacks {
      var stacks = Stacks()
      for _ in 0..<400 {
        let depth = 1 + generator.index(below: 8)
        stacks.add((0..<depth).map { _ in "f\(generator.index(below: 5))" }.joined(separator: " "), 1)
      }
      return stacks
    }
    let (a, b) = (stacks().tree, stacks().tree)
    let whole = FlameDifference(a: [a], b: [b], limit: 100_000, leastThreshold: 0)
    for limit in [1, 10, 50] {
      let flame = FlameDifference(a: [a], b: [b], limit: limit)
      #expect(flame.nodes.count <= limit && flame.nodes.count + flame.prunedCount == whole.nodes.count)
      for (index, node) in flame.nodes.enumerated() {
        #expect((node.parent ?? -1) < index && max(node.shareA, node.shareB) >= flame.threshold)
        if let parent = node.parent {
          #expect(flame.nodes[parent].shareA >= node.shareA && flame.nodes[parent].shareB >= node.shareB)
        }
      }
    }
    // Shares add up: own times of all nodes are the whole.
    #expect(isClose(whole.nodes.reduce(0) { $0 + $1.selfShareA }, 1))
    #expect(isClose(whole.nodes.reduce(0) { $0 + $1.selfShareB }, 1))
  }

  /// Two proportions' test: p = 0.0014, 0.013, 1 and 8e-6 by the reference script; the level is 0.005.
  @Test(arguments: [
    (0.1, 0.12, 5000, 5000, true), (0.1, 0.12, 3000, 3000, false), (0.5, 0.5, 10, 10, false),
    (0.0, 0.01, 2000, 500, true), (0.0, 1.0, 0, 10, false),
  ])
  func samplingError(a: Double, b: Double, n: Int64, m: Int64, expected: Bool) {
    #expect(FlameDifference.isBeyondSamplingError(a, b, n, m) == expected)
  }
}
