// Is variation computed as the paper does, and is the verdict honest about how little is known?
import ProfileModel
import Testing

@testable import Analysis

@Suite struct RepetitionTests {
  static func profile(_ epochs: [Double], states: [Repetition.State] = []) -> Profile {
    Profile(
      repetitions: epochs.enumerated().map { index, epochs in
        var data = repetition(
          index, wall: Int64(epochs * 10), state: index < states.count ? states[index] : .finished)
        data.quantities = [quantity("training.epochs", epochs, "1"), quantity("model.parameters", 42, "1")]
        data.counters = [CounterTotal(event: "task-clock", unit: "ns", value: Measured(epochs * 7, .softwareCounter))]
        return data
      })
  }

  @Test func paper() throws {
    // The technical report's DC-AI-C16: 22.75 epochs in the mean, 1.90 %.
    let result = try #require(RepetitionStatistics.of(Self.profile([22, 23, 23, 23])).value)
    #expect(
      result.count == 4
        && result.statistics.map(\.name) == ["wall", "model.parameters", "training.epochs", "task-clock"])
    let epochs = try #require(result.statistics.first { $0.name == "training.epochs" })
    #expect(epochs.mean == 22.75 && epochs.median == 23 && epochs.minimum == 22 && epochs.maximum == 23)
    #expect(
      abs((epochs.populationCV.value ?? 0) - 0.0190) < 0.00005 && abs((epochs.sampleCV.value ?? 0) - 0.0220) < 0.00005)
    // Four runs don't tell whether the true variation is under 2 %.
    #expect(epochs.verdict == .cantTell)
    #expect(result.statistics.first { $0.name == "model.parameters" }?.verdict == .constant)
  }

  @Test func verdicts() throws {
    func verdict(_ values: [Double]) -> RepetitionStatistics.Verdict {
      RepetitionStatistics.statistic(.quantity, "x", "1", values).verdict
    }
    #expect(verdict([100, 150, 70, 120]) == .variable)
    #expect(verdict([1, 100, 10_000]) == .variable)
    #expect(verdict([100, 100.1, 99.9, 100.05, 99.95]) == .repeatable)
    #expect(verdict([0, 0]) == .constant)
    #expect(verdict([-1, 1]) == .cantTell)
    #expect(verdict([5]) == .cantTell)
    let wide = RepetitionStatistics.statistic(.quantity, "x", "1", [1, 100, 10_000])
    #expect(wide.interval.unavailable?.remedy != nil)
  }

  @Test func oneIsNotEnough() {
    #expect(RepetitionStatistics.of(Self.profile([5])).unavailable?.remedy == "kiviat profile -r 5")
    #expect(RepetitionStatistics.of(Profile()).value == nil)
    #expect(RepetitionStatistics.of(Self.profile([5, 6], states: [.finished, .interrupted])).value == nil)
  }

  @Test func unfinishedAreLeftOut() throws {
    let result = try #require(
      RepetitionStatistics.of(Self.profile([5, 6, 1], states: [.finished, .finished, .running])).value)
    #expect(result.count == 2 && result.leftOut == 1)
    #expect(result.statistics[0].values == [50, 60])
  }

  @Test func shownIsTheMedianOfTheFinished() {
    let profile = Self.profile([9, 5, 7, 1], states: [.finished, .finished, .finished, .interrupted])
    #expect(RunIdentity.shown(profile)?.repetition.index == 2)
    #expect(RunIdentity.shown(Self.profile([3], states: [.running]))?.repetition.index == 0)
    #expect(RunIdentity.shown(Profile()) == nil)
  }
}
