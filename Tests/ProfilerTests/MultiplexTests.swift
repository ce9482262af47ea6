// Does the truth lie in the interval of a scaled count as often as it says? The oracle is a simulated PMU, which knows it.
import CPerfEvent
import Foundation
import ProfileModel
import Testing

@testable import Profiler

struct MultiplexTests {
  /// Kinds of loads; times are drawn anew for each seed.
  enum Load: String, CaseIterable {
    case constant, ramp, bursts, phases, alternating
  }

  /// Numbers as loads need them.
  struct Random: RandomNumberGenerator {
    private var source: TestRandom
    init(state: UInt64) { source = TestRandom(state: state) }
    mutating func next() -> UInt64 { source.next() }
    mutating func uniform(_ low: Double, _ high: Double) -> Double { .random(in: low..<high, using: &self) }
    mutating func exponential(_ mean: Double) -> Double { -mean * Foundation.log(1 - uniform(0, 1)) }
    mutating func normal(_ mean: Double, _ deviation: Double) -> Double {
      mean + deviation * (-2 * Foundation.log(1 - uniform(0, 1))).squareRoot() * Foundation.cos(uniform(0, 2 * .pi))
    }
  }

  /// Microseconds of the load's grid.
  static let grid = 250.0

  /// Counts from the beginning to each point of the grid.
  static func counts(of kind: Load, microseconds: Double, cycle: Double, _ random: inout Random) -> [Double] {
    let count = Int(microseconds / grid)
    var rates = [Double](repeating: 1, count: count)
    func fill(_ from: Double, _ to: Double, _ rate: Double, adding: Bool = false) {
      let range = max(0, Int(from / grid))..<max(Int(from / grid), min(count, Int(to / grid) + 1))
      for index in range where index < count { rates[index] = adding ? rates[index] + rate : rate }
    }
    var time = 0.0
    switch kind {
    case .constant: for index in rates.indices { rates[index] = max(0, random.normal(1, 0.05)) }
    case .ramp:
      let (a, b) = (random.uniform(0.1, 2), random.uniform(0.1, 2))
      for index in rates.indices { rates[index] = a + (b - a) * Double(index) / Double(count) }
    case .bursts:
      let (length, gap) = (random.uniform(20e3, 300e3), random.uniform(50e3, 500e3))
      rates = rates.map { $0 * 0.2 }
      while time < microseconds {
        time += random.exponential(gap)
        let burst = random.exponential(length)
        fill(time, time + burst, random.uniform(0.5, 3), adding: true)
        time += burst
      }
    case .phases:
      let mean = random.uniform(50e3, 2000e3)
      while time < microseconds {
        let length = random.exponential(mean)
        fill(time, time + length, random.uniform(0.1, 3))
        time += length
      }
    case .alternating:
      // Near the time in which all groups had their turn: 2 to 30 % off it, and no two phases of quite one length.
      let off = random.uniform(0.02, 0.3) * (Bool.random(using: &random) ? 1 : -1)
      let (share, high, jitter) = (random.uniform(0.3, 0.7), random.uniform(1.5, 5), random.uniform(0.02, 0.2))
      while time < microseconds {
        for (part, rate) in [(share, high), (1 - share, 1)] {
          let length = cycle * (1 + off) * part * max(0.1, random.normal(1, jitter))
          fill(time, time + length, rate)
          time += length
        }
      }
    }
    var sums = [0.0]
    sums.reserveCapacity(count + 1)
    // A thousand events a microsecond at rate 1.
    for rate in rates { sums.append((sums.last ?? 0) + rate * grid * 1000) }
    return sums
  }

  private static func happened(_ sums: [Double], until nanoseconds: UInt64) -> Double {
    let place = Double(nanoseconds) / 1000 / grid
    let index = min(Int(place), sums.count - 1)
    let next = min(index + 1, sums.count - 1)
    return sums[index] + (place - Double(index)) * (sums[next] - sums[index])
  }

  /// What a kind of load came to.
  struct Outcome {
    var covered = 0
    var widths: [Double] = []
    var errors: [Double] = []
    var missing = 0
  }

  /// - Parameter isMixed: Whether events answer to two loads that have nothing to do with each other, and not to one.
  static func outcome(_ kind: Load, seconds: Double, seeds: Range<UInt64>, isMixed: Bool = false) -> Outcome {
    var outcome = Outcome()
    for seed in seeds {
      var random = Random(state: seed &* 0x1234_5678_9ABC_DEF1)
      let counters = Int.random(in: 1...4, using: &random)
      let count = counters + Int.random(in: 1...8, using: &random)
      let turns: [Double] = [1, 2, 4]
      let turn = turns[Int.random(in: 0..<3, using: &random)]
      let settings = SimulatedPerf.Settings(
        pmus: [.init(type: 4, counters: counters)], paranoid: -1, turn: UInt64(turn * 1e6))
      let specs = (0..<count).map { PerfEventSpec("r\($0)", .hardware, type: 4, config: UInt64($0) + 1) }
      let counting = SimulatedCounting(settings, specs)
      // Events answer differently to a phase: some hardly, some as much as it is.
      let answers = (0..<count).map { _ in random.uniform(0, 1) }
      let sums: [Double] = Self.counts(
        of: kind, microseconds: seconds * 1e6, cycle: Double(count) * turn * 1e3, &random)
      let others: [Double] =
        isMixed
        ? Self.counts(of: kind, microseconds: seconds * 1e6, cycle: Double(count) * turn * 1e3, &random) : []
      func rest(_ from: UInt64, _ to: UInt64) -> Double {
        isMixed ? happened(others, until: to) - happened(others, until: from) : Double(to - from)
      }
      var time: UInt64 = 0
      let end = UInt64(seconds * 1e9)
      while time < end {
        // Ticks come late, never early.
        let step = min(end - time, 100_000_000 + UInt64(random.exponential(500_000)))
        counting.perf.advance(step) { attribute, from, to in
          let answer = answers[Int(attribute.config) - 1]
          return answer * (happened(sums, until: to) - happened(sums, until: from))
            + (1 - answer) * rest(from, to)
        }
        counting.collector.tick(monotonicNanoseconds: time)
        time += step
      }
      counting.collector.stop(monotonicNanoseconds: end)
      for (index, total) in counting.collector.totals().enumerated() {
        let truth = answers[index] * (sums.last ?? 0) + (1 - answers[index]) * rest(0, end)
        guard let interval = total.interval, let estimate = total.value.value else {
          outcome.missing += 1
          continue
        }
        if interval.contains(truth) { outcome.covered += 1 }
        outcome.widths.append((interval.upperBound - interval.lowerBound) / 2 / truth)
        outcome.errors.append(abs(estimate - truth) / truth)
      }
    }
    return outcome
  }

  /// The widths are a third above what was measured: an interval that says nothing would hold the truth as well.
  @Test(
    arguments: [
      (.constant, 0.002), (.ramp, 0.006), (.bursts, 0.12), (.phases, 0.06), (.alternating, 0.07),
    ] as [(Load, Double)])
  func intervalsHoldTheTruth(kind: Load, widest: Double) {
    let outcome = Self.outcome(kind, seconds: 2, seeds: 1..<41)
    let count = outcome.widths.count
    #expect(outcome.missing == 0)
    #expect(count > 200)
    let coverage = Double(outcome.covered) / Double(count)
    let width = outcome.widths.sorted()[count / 2]
    let error = outcome.errors.sorted()[count / 2]
    if ProcessInfo.processInfo.environment["KIVIAT_SHOW"] != nil {
      print(
        "\(kind.rawValue): \(coverage) of \(count) hold the truth, median half width \(width), median error \(error)")
    }
    #expect(coverage >= 0.95, "\(kind.rawValue): \(outcome.covered) of \(count)")
    #expect(width <= widest, "\(kind.rawValue): median half width \(width)")
  }

  /// Six ticks are little evidence, and a long run has much; the promise is the same.
  @Test(arguments: Load.allCases, [0.6, 10])
  func shortAndLongRuns(kind: Load, seconds: Double) {
    let outcome = Self.outcome(kind, seconds: seconds, seeds: seconds < 1 ? 101..<141 : 201..<216)
    let count = outcome.widths.count
    #expect(count > 80)
    if ProcessInfo.processInfo.environment["KIVIAT_SHOW"] != nil {
      print(
        "\(kind.rawValue), \(seconds) s: \(outcome.covered) of \(count) hold the truth, \(outcome.widths.sorted()[count / 2])"
      )
    }
    #expect(Double(outcome.covered) >= 0.95 * Double(count), "\(kind.rawValue): \(outcome.covered) of \(count)")
  }

  /// What the other groups see is then misleading.
  @Test(arguments: Load.allCases)
  func eventsThatHaveLittleInCommon(kind: Load) {
    let outcome = Self.outcome(kind, seconds: 2, seeds: 301..<331, isMixed: true)
    let count = outcome.widths.count
    #expect(count > 150)
    if ProcessInfo.processInfo.environment["KIVIAT_SHOW"] != nil {
      print(
        "\(kind.rawValue), mixed: \(outcome.covered) of \(count) hold the truth, \(outcome.widths.sorted()[count / 2])")
    }
    #expect(Double(outcome.covered) >= 0.95 * Double(count), "\(kind.rawValue): \(outcome.covered) of \(count)")
  }

  @Test func aConstantRateScalesExactly() {
    var estimate = MultiplexEstimate(count: 1)
    for tick in 1...10 as ClosedRange<UInt64> {
      estimate.add(GroupReading(enabled: tick * 100, running: tick * 25, counts: [tick * 1000]))
      estimate.settle()
    }
    let total = estimate.total(0)
    // A quarter of the time: 10 000 counted are 40 000, give or take a count at either end, scaled.
    #expect(total?.count == 40_000)
    #expect(total?.interval == 39_996...40_004)
  }

  /// Three strata by hand: rates 1, 3, 2 in half the time of 100 each.
  @Test func byHand() throws {
    var estimate = MultiplexEstimate(count: 1)
    for (tick, count) in [(1, 50), (2, 200), (3, 300)] as [(UInt64, UInt64)] {
      estimate.add(GroupReading(enabled: tick * 100, running: tick * 50, counts: [count]))
      estimate.settle()
    }
    let total = try #require(estimate.total(0))
    #expect(total.count == 600)
    // d² = 4 and 1; per unit of time d² × 25; weight 100² ÷ 50 × min(1, 2 × ½) = 200; so v = 20 000 and 5000.
    // V = 25 000 × 3 ÷ 2, freedom = 25 000² ÷ (20 000² + 5000²) = 1.4706.
    let factor = MultiplexEstimate.studentFactor(25_000.0 * 25_000 / (20_000.0 * 20_000 + 5000 * 5000))
    let interval = try #require(total.interval)
    #expect(abs(interval.upperBound - (600 + factor * 37_500.squareRoot())) < 1e-9)
    // 300 were seen.
    #expect(interval.lowerBound == 300)
  }

  /// Rates 1, 1, 3, 3, 1, 1, 3, 3: pairs differ more than neighbours do.
  @Test func slowWaves() throws {
    var estimate = MultiplexEstimate(count: 1)
    var count: UInt64 = 0
    for tick in 1...8 as ClosedRange<UInt64> {
      count += (tick - 1) / 2 % 2 == 0 ? 50 : 150
      estimate.add(GroupReading(enabled: tick * 100, running: tick * 50, counts: [count]))
      estimate.settle()
    }
    let total = try #require(estimate.total(0))
    #expect(total.count == 1600)
    // Pairs: d² = 4, per unit of time × 50 = 200; weight 200² ÷ 100 = 400; three of 80 000, × 4 ÷ 3; three degrees of freedom.
    let interval = try #require(total.interval)
    #expect(abs(interval.upperBound - (1600 + 3.1825 * 320_000.0.squareRoot())) < 1e-6)
    #expect(interval.lowerBound == 800)
  }

  /// What all groups see is no error.
  @Test func commonChangesAreTakenOff() throws {
    var estimate = MultiplexEstimate(count: 1)
    for (tick, count, common) in [(1, 50, nil), (2, 200, 1.0), (3, 300, -0.4)] as [(UInt64, UInt64, Double?)] {
      estimate.add(GroupReading(enabled: tick * 100, running: tick * 50, counts: [count]))
      // Rates 1, 3, 2: the changes are 2 of a mean of 2, and −1 of a mean of 2.5.
      #expect(estimate.changes.single == common)
      estimate.settle(common: (common, nil))
    }
    let total = try #require(estimate.total(0))
    // Only the two counts at the ends of a turn are left.
    #expect(total == MultiplexEstimate.Total(count: 600, interval: 598...602))
  }

  @Test func strataWithoutATurnGoWithTheNext() throws {
    var estimate = MultiplexEstimate(count: 1)
    #expect(estimate.total(0) == nil)
    estimate.add(GroupReading(enabled: 100, running: 0, counts: [0]))
    #expect(estimate.total(0) == nil)
    estimate.add(GroupReading(enabled: 200, running: 50, counts: [10]))
    #expect(estimate.total(0) == MultiplexEstimate.Total(count: 40, interval: nil))
    // At the end without a turn: as the rest.
    estimate.add(GroupReading(enabled: 300, running: 50, counts: [10]))
    #expect(estimate.total(0)?.count == 60)
  }

  /// The factor against the integral of Student's density, by Simpson's rule.
  @Test(arguments: [1.0, 1.5, 2, 2.5, 3, 4, 7, 9, 12, 25, 47, 200, 10_000])
  func studentFactors(freedom: Double) {
    let factor = MultiplexEstimate.studentFactor(freedom)
    let scale = exp(lgamma((freedom + 1) / 2) - lgamma(freedom / 2)) / (freedom * .pi).squareRoot()
    func density(_ t: Double) -> Double { scale * pow(1 + t * t / freedom, -(freedom + 1) / 2) }
    let steps = 20_000
    let h = factor / Double(steps)
    let sum = (0...steps).reduce(0.0) { sum, i in
      sum + density(Double(i) * h) * (i == 0 || i == steps ? 1 : i.isMultiple(of: 2) ? 2 : 4)
    }
    let inside = 2 * sum * h / 3
    #expect(inside > 0.94999)
    // Between the entries it may be wider, most of all between 1 and 2.
    #expect(inside < (freedom < 2 ? 0.97 : 0.9525))
  }
}
