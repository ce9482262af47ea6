// Are intervals of ratios, and counts of several runs, what they should be?
import ProfileModel
import Testing

@testable import Analysis

struct CounterTests {
  private func scaled(_ event: String, _ value: Double, _ interval: ClosedRange<Double>?) -> CounterTotal {
    CounterTotal(
      event: event, value: .measured(value, Provenance(.scaledCounter, runningFraction: 0.5)),
      enabledNanoseconds: 100, runningNanoseconds: 50, interval: interval)
  }

  private func ratio(_ counters: [CounterTotal], _ name: String) throws -> NamedQuantity {
    try #require(
      CounterSummary.of(run(profile { $0.counters = counters })).ratios.first { $0.name == name })
  }

  @Test func ratiosCarryIntervals() throws {
    // 3 % and 4 % make 5 % of 2.
    let both = try ratio([scaled("instructions", 2000, 1940...2060), scaled("cycles", 1000, 960...1040)], "ipc")
    let interval = try #require(both.interval)
    #expect(both.value.value == 2 && both.value.provenance?.runningFraction == 0.5)
    let upper = try #require(interval.upper)
    #expect(abs(interval.lower - 1.9) < 1e-12 && abs(upper - 2.1) < 1e-12)
    // One exact operand: the other's 3 %.
    let exact = CounterTotal(event: "cycles", value: Measured(1000, .hardwareCounter))
    let one = try #require(try ratio([scaled("instructions", 2000, 1940...2060), exact], "ipc").interval)
    #expect(abs(one.lower - 1.94) < 1e-12)
    // Both exact, or one of which nobody can tell: none.
    let counted = CounterTotal(event: "instructions", value: Measured(1, .hardwareCounter))
    #expect(try ratio([counted, exact], "ipc").interval == nil)
    #expect(try ratio([scaled("instructions", 2000, nil), scaled("cycles", 1000, 960...1040)], "ipc").interval == nil)
    // Never below zero.
    #expect(try ratio([scaled("instructions", 2000, 0...40_000), exact], "ipc").interval?.lower == 0)
  }

  /// Three runs that count one round; `cycles` in the second, `instructions` in all.
  private func spread(_ instructions: [Double]) -> Profile {
    Profile(
      settings: ["counting.runs": "3"],
      repetitions: instructions.enumerated().map { index, count in
        var data = repetition(index, wall: 1000)
        let elsewhere = Measured<Double>.unavailable(Unavailable("it is counted in run 2 of 3, not in this one"))
        data.counters = [
          CounterTotal(event: "instructions", value: Measured(count, .hardwareCounter)),
          CounterTotal(
            event: "cycles", value: index % 3 == 1 ? Measured(500 + Double(index), .hardwareCounter) : elsewhere),
          CounterTotal(event: "branches", value: .unavailable(Unavailable("this CPU does not count it"))),
        ]
        return data
      })
  }

  @Test func countsOfOtherRunsStandInAndSaySo() throws {
    let profile = spread([1000, 1010, 990, 2000, 2020, 1980])
    let characterization = Characterization(of: profile)
    let cycles = try #require(characterization.counters.counters.first { $0.event == "cycles" })
    let shown = try #require(RunIdentity.shown(profile)).repetition.index
    // Of its own round of three.
    #expect(cycles.value.value == (shown < 3 ? 501 : 504))
    let detail = try #require(cycles.value.provenance?.detail)
    // A standard deviation of 10 in 1000.
    #expect(detail.contains("counted in run 2 of 3") && detail.contains("instructions vary by 1.00 %"))
    #expect(characterization.counters.ratios.first { $0.name == "ipc" }?.value.value != nil)
    #expect(characterization.notMeasured.filter { $0.kind == .counter }.flatMap(\.names) == ["branches"])
    // Beside other runs each has its own only.
    #expect(Run(profile, profile.repetitions[0]).count("cycles").value == nil)
    let statistics = try #require(RepetitionStatistics.of(profile).value)
    #expect(statistics.statistics.first { $0.name == "cycles" }?.values == [501, 504])
  }

  @Test func withoutThePlanNothingStandsIn() throws {
    var profile = spread([1000, 1010, 990])
    profile.settings = [:]
    let counters = Characterization(of: profile).counters.counters
    #expect(
      counters.first { $0.event == "cycles" }?.value.value
        == (RunIdentity.shown(profile)?.repetition.index == 1 ? 501 : nil))
  }
}
