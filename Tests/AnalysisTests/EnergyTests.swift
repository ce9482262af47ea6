// Is energy split by phases and epochs as the meter's readings have it?
import ProfileModel
import Testing

@testable import Analysis

struct EnergyTests {
  private static let second: Int64 = 1_000_000_000

  /// Four steps of a second from second 5 and from second 10, each followed by a second of evaluation.
  static let example = profile(wall: 20 * second, settings: ["kind": "benchmark"]) { data in
    for epoch in 0..<2 {
      for step in 0..<4 {
        data.steps.append(
          TrainingStep(
            step: 4 * epoch + step, epoch: epoch, timeNanoseconds: Int64(6 + 5 * epoch + step) * second,
            durationNanoseconds: second, samples: 10, loss: 1))
      }
      data.epochs.append(
        TrainingEpoch(
          epoch: epoch, stage: "", timeNanoseconds: Int64(10 + 5 * epoch) * second, durationNanoseconds: 4 * second,
          samples: 40, meanLoss: 1, metric: "accuracy", quality: 0.5))
    }
    data.quantities = [
      quantity("phase.forward.wall", 2e9, "ns"), quantity("phase.backward.wall", 4e9, "ns"),
      quantity("phase.optimizer.wall", 1e9, "ns"), quantity("phase.data.wall", 1e9, "ns"),
      quantity("phase.startup.wall", 5e9, "ns"), quantity("phase.exit.wall", 5e9, "ns"),
      quantity("energy.package", 365, "J"),
    ]
    // Watts from second to second, read every tenth.
    let watts = [(0, 5, 10.0), (5, 9, 20), (9, 10, 40), (10, 14, 30), (14, 15, 50), (15, 20, 5)]
    for (from, to, power) in watts {
      for tenth in from * 10 + 1...to * 10 {
        data.points.append(
          SeriesPoint(series: "power.package", timeNanoseconds: Int64(tenth) * second / 10, value: power))
      }
    }
  }

  private func close(_ value: Double?, _ expected: Double) -> Bool { value.map { abs($0 - expected) < 1e-6 } ?? false }

  @Test func phasesAndEpochs() throws {
    let energy = try #require(EnergyUse.of(run(Self.example)).value)
    // 4 × 20 + 4 × 30 in steps, 40 + 50 in evaluation, 75 in start-up and exit.
    #expect(energy.runJoules.value == 365)
    #expect(close(energy.trainingJoules.value, 200))
    let phases = try #require(energy.phases.value)
    #expect(phases.map(\.phase) == [.data, .forward, .backward, .optimizer, .evaluation])
    for (phase, joules) in zip(phases, [25.0, 50, 100, 25, 90]) {
      #expect(close(phase.joules, joules) && close(phase.share, joules / 365), "\(phase.phase)")
    }
    #expect(energy.epochs.map(\.epoch) == [0, 1])
    #expect(close(energy.epochs[0].joules.value, 120) && close(energy.epochs[1].joules.value, 170))
    #expect(energy.method.contains("100 ms"))
    // Less time in the phases: what is left of the steps is the rest of the loop, whatever "other" clocked.
    var partly = Self.example
    partly.repetitions[0].quantities[1] = quantity("phase.backward.wall", 2e9, "ns")
    partly.repetitions[0].quantities.append(quantity("phase.other.wall", 9e9, "ns"))
    let parts = try #require(EnergyUse.of(run(partly)).value?.phases.value)
    #expect(parts.map(\.phase) == [.data, .forward, .backward, .optimizer, .evaluation, .other])
    #expect(close(parts[5].joules, 50) && close(parts[2].joules, 50))
  }

  @Test func perSample() throws {
    let training = try #require(TrainingCharacteristics.of(run(Self.example)).value)
    #expect(close(training.energyPerSampleJoules.value, 200.0 / 80))
    var serving = Self.example
    serving.repetitions[0].steps = []
    serving.repetitions[0].epochs = []
    // 100 queries of 2 samples in 50 ms each: 40 samples a second, at 290 J in the ten seconds between start-up and exit.
    serving.repetitions[0].queries = (0..<100).map {
      InferenceQuery(index: $0, latencyNanoseconds: Self.second / 20, samples: 2)
    }
    let inference = try #require(InferenceCharacteristics.of(run(serving)).value)
    #expect(close(inference.energyPerSampleJoules.value, 29.0 / 40))
    #expect(EnergyUse.of(run(serving)).value == nil)
  }

  @Test func whatCannotBeToldSaysWhy() throws {
    // No meter: the collector's reason.
    var none = Self.example
    none.repetitions[0].points = []
    none.repetitions[0].quantities = [
      Quantity("energy.package", unit: "J", .unavailable(Unavailable("root only", remedy: "sudo chmod")))
    ]
    #expect(EnergyUse.of(run(none)).unavailable == Unavailable("root only", remedy: "sudo chmod"))
    let training = try #require(TrainingCharacteristics.of(run(none)).value)
    #expect(training.energyPerSampleJoules.unavailable?.remedy == "sudo chmod")
    // An epoch of four readings.
    var short = Self.example
    short.repetitions[0].epochs[0].timeNanoseconds = 5 * Self.second + 400_000_000
    let energy = try #require(EnergyUse.of(run(short)).value)
    #expect(energy.epochs[0].joules.value == nil && energy.epochs[1].joules.value != nil)
    // No clock in the phases.
    var unclocked = Self.example
    unclocked.repetitions[0].quantities.removeAll { $0.name.hasPrefix("phase.") }
    #expect(try #require(EnergyUse.of(run(unclocked)).value).phases.value == nil)
  }

  @Test func damagedTimesDoNotTrap() {
    var odd = Self.example
    odd.repetitions[0].steps[3].durationNanoseconds = .max
    odd.repetitions[0].steps[4].timeNanoseconds = .min
    odd.repetitions[0].epochs[0].timeNanoseconds = .min
    odd.repetitions[0].points[0].timeNanoseconds = .max
    _ = Characterization(of: odd)
  }
}
