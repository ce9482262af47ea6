// Is a metric as sure as its counts, and is there none where there can be none?
import ProfileModel
import Testing

@testable import Metrics

@Suite struct EvaluationTests {
  static func family(_ metrics: String) throws -> UserMetrics {
    try UserMetrics(
      """
      events:
        a: {perf: a-event, counts: a}
        b: {perf: b-event, counts: b}
        c: {perf: c-event, counts: c}
      metrics:
      \(metrics)
      """, named: "test.yaml", to: #require(try CatalogueTests.catalogue.get().family(named: "generic")))
  }

  static let share = "  share: {unit: ratio, formula: a / b, text: a share}"

  static func counter(
    _ event: String, _ value: Double, _ interval: ClosedRange<Double>? = nil, running: Double? = nil, group: Int? = nil
  ) -> CounterTotal {
    CounterTotal(
      event: event, group: group,
      value: .measured(value, Provenance(running == nil ? .hardwareCounter : .scaledCounter, runningFraction: running)),
      interval: interval)
  }

  static func result(
    _ metrics: String, _ name: String, _ counters: [CounterTotal], reason: Unavailable? = nil
  ) throws -> MetricEvaluation.Result {
    let family = try family(metrics).family
    return MetricEvaluation(family, counters: counters, reason: reason).result(try #require(family.metric(name)))
  }

  @Test func intervalsAreAddedInQuadrature() throws {
    let result = try Self.result(
      Self.share, "share",
      [
        Self.counter("a-event", 300, 290...310, running: 0.5), Self.counter("b-event", 1000, 960...1040, running: 0.25),
      ])
    #expect(result.value.value == 0.3)
    #expect(result.value.provenance?.source == .derived)
    #expect(result.value.provenance?.runningFraction == 0.25)
    // Of a quotient the relative half widths: 10/300 and 40/1000.
    let relative = (10.0 / 300 * 10 / 300 + 40.0 / 1000 * 40 / 1000).squareRoot()
    let interval = try #require(result.interval)
    #expect(abs(interval.upperBound - 0.3 * (1 + relative)) < 1e-12)
    #expect(abs(interval.lowerBound - 0.3 * (1 - relative)) < 1e-12)
  }

  @Test func oneCountInBothPartsIsOneVariable() throws {
    // a ÷ (a + b) with a sure b: slope b/(a+b)².
    let metric = "  part: {unit: ratio, range: [0, 1], formula: a / (a + b), text: a part}"
    let result = try Self.result(
      metric, "part", [Self.counter("a-event", 100, 80...120, running: 0.5), Self.counter("b-event", 300)])
    let half = 20.0 * 300 / (400 * 400)
    let interval = try #require(result.interval)
    #expect(abs(interval.upperBound - (0.25 + half)) < 1e-12)
    #expect(abs(interval.lowerBound - (0.25 - half)) < 1e-12)
  }

  @Test func exactCountsHaveNoInterval() throws {
    let counters = [Self.counter("a-event", 1), Self.counter("b-event", 4)]
    #expect(try Self.result(Self.share, "share", counters).interval == nil)
    // A scaled count of unknown spread leaves the metric's unknown too, whatever the others say.
    let scaled = [Self.counter("a-event", 1, 0.5...1.5), Self.counter("b-event", 4, running: 0.5)]
    #expect(try Self.result(Self.share, "share", scaled).interval == nil)
  }

  @Test func missingCountsSayWhy() throws {
    let missing = CounterTotal(event: "a-event", value: .unavailable(Unavailable("broken", remedy: "mend it")))
    let counters = [missing, Self.counter("b-event", 4)]
    #expect(
      try Self.result(Self.share, "share", counters).value == .unavailable(Unavailable("broken", remedy: "mend it")))
    let none = try Self.result(Self.share, "share", [], reason: Unavailable("no PMU"))
    #expect(none.value.unavailable?.reason == "no PMU")
    let one = try Self.result(Self.share, "share", [Self.counter("a-event", 1)])
    #expect(one.value.unavailable?.reason == "b-event was not counted")
    let zero = try Self.result(Self.share, "share", [Self.counter("a-event", 1), Self.counter("b-event", 0)])
    #expect(zero.value.unavailable?.reason == "division by zero: b is 0")
    let wrong = try Self.result(Self.share, "share", [Self.counter("a-event", .nan), Self.counter("b-event", 1)])
    #expect(wrong.value.unavailable != nil)
  }

  @Test func operandsComeFromOneGroup() throws {
    // b was counted with a in group 3, and alone before and after.
    let counters = [
      Self.counter("b-event", 1000, group: 1), Self.counter("a-event", 30, group: 3),
      Self.counter("b-event", 100, group: 3), Self.counter("b-event", 2000, group: 4),
    ]
    #expect(try Self.result(Self.share, "share", counters).value.value == 0.3)
    let metrics =
      "  whole: {unit: count, formula: b + c, text: all}\n  share: {unit: ratio, formula: a / whole, text: part}"
    let nested = [
      Self.counter("b-event", 1000, group: 1), Self.counter("c-event", 1000, group: 1),
      Self.counter("a-event", 30, group: 2), Self.counter("b-event", 60, group: 2),
      Self.counter("c-event", 40, group: 2),
    ]
    #expect(try Self.result(metrics, "share", nested).value.value == 0.3)
  }

  @Test func valuesBeyondTheirRangeAreNotPassedOn() throws {
    let metric =
      "  part: {unit: ratio, range: [0, 1], formula: 'min(a / b, c / b)', text: a part}\nconsistent: [a <= b]"
    func part(_ a: Double) throws -> Measured<Double> {
      try Self.result(
        metric, "part", [Self.counter("a-event", a), Self.counter("b-event", 100), Self.counter("c-event", 1e9)]
      ).value
    }
    #expect(try part(103).value == 1)
    #expect(try part(103).provenance?.detail?.contains("taken for 1.0") == true)
    #expect(try part(300).value == nil)
    #expect(try part(300).unavailable?.reason.contains("contradict") == true)
  }

  @Test func pmusOfOneKindAreAddedUp() throws {
    let family = try #require(try CatalogueTests.catalogue.get().family(named: "amd-zen4"))
    let counters = (0..<3).flatMap { index in
      [
        CounterTotal(event: "umc_reads@amd_umc_\(index)", value: Measured(10, .hardwareCounter)),
        CounterTotal(event: "umc_writes@amd_umc_\(index)", value: Measured(5, .hardwareCounter)),
      ]
    }
    let evaluation = MetricEvaluation(
      family, counters: counters, quantities: ["run.wall": Measured(2, .clock)])
    let metric = try #require(family.metric("dram_bandwidth"))
    #expect(evaluation.result(metric).value.value == 1440.0)
  }
}
