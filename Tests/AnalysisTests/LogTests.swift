// Are throughput, convergence and latency read rightly from a workload's log?
import ProfileModel
import Testing

@testable import Analysis

@Suite struct TrainingTests {
  /// Four steps of 10 samples: 2 s, then 1 s each, from second 5 on; two epochs.
  static let example = profile(wall: 20_000_000_000, settings: ["kind": "benchmark"]) { data in
    for (index, second) in [7, 8, 9, 10].enumerated() {
      data.steps.append(
        TrainingStep(
          step: index, epoch: index / 2, timeNanoseconds: Int64(second) * 1_000_000_000,
          durationNanoseconds: index == 0 ? 2_000_000_000 : 1_000_000_000, samples: 10, loss: 4 - Double(index)))
    }
    for index in 0..<2 {
      data.epochs.append(
        TrainingEpoch(
          epoch: index, stage: "", timeNanoseconds: Int64(9 + 2 * index) * 1_000_000_000,
          durationNanoseconds: 2_000_000_000, samples: 20, meanLoss: 3, metric: "accuracy",
          quality: 0.5 + Double(index) / 4))
    }
    data.quantities = [
      quantity("training.target", 0.7, "1"), quantity("training.quality", 0.75, "1"),
      quantity("training.reached", 1, "1"), quantity("training.epochs", 2, "1"),
      quantity("model.training_flops_per_sample", 6e9, "FLOP"),
    ]
  }

  @Test func numbers() throws {
    let training = try #require(TrainingCharacteristics.of(run(Self.example)).value)
    #expect(training.samplesPerSecond.value == 10 && training.flopsPerSecond.value == 60e9)
    #expect(training.stepTime.value?.median == 1e9 && training.stepTime.value?.count == 3)
    #expect(training.steps.map(\.loss) == [4, 3, 2, 1])
    #expect(training.epochs.map(\.samplesPerSecond) == [10, 10])
    #expect(training.reached.value == true && training.epochsToQuality.value == 2)
    // First step begins at 5 s, the second epoch ends at 11 s.
    #expect(training.timeToQualityNanoseconds.value == 6e9)
    #expect(training.metric == "accuracy" && training.quality.value == 0.75 && training.target.value == 0.7)
    #expect(ModelCharacteristics.of(run(Self.example)).epochsToQuality.value == 2)
  }

  @Test func timeAndEnergy() throws {
    var example = Self.example
    #expect(try #require(TrainingCharacteristics.of(run(example)).value).timePerEpochNanoseconds.value == 2e9)
    // Not over time: the whole run's energy is not the training's.
    example.repetitions[0].quantities.append(quantity("energy.package", 99, "J"))
    #expect(try #require(TrainingCharacteristics.of(run(example)).value).energyToQualityJoules.value == nil)
    // 10 W until second 8, then 20 W: from 5 to 8 and from 8 to 11.
    for second in [4, 8, 12, 16] {
      example.repetitions[0].points.append(
        SeriesPoint(
          series: "power.package", timeNanoseconds: Int64(second) * 1_000_000_000, value: second <= 8 ? 10 : 20))
    }
    let training = try #require(TrainingCharacteristics.of(run(example)).value)
    #expect(training.energyToQualityJoules.value == 90)
    example.repetitions[0].quantities[2] = quantity("training.reached", 0, "1")
    #expect(try #require(TrainingCharacteristics.of(run(example)).value).energyToQualityJoules.value == nil)
    let without = try #require(TrainingCharacteristics.of(run(Self.example)).value)
    #expect(without.energyToQualityJoules.value == nil && without.divergence == nil)
  }

  @Test func toldDivergence() throws {
    var example = Self.example
    example.repetitions[0].quantities.append(
      Quantity("training.diverged", unit: "1", Measured(.number(3), .declared, detail: "the loss is nan in step 3")))
    example.repetitions[0].repetition.exitStatus = 1
    let all = Characterization(of: example)
    #expect(all.training.value?.divergence == "the loss is nan in step 3")
    #expect(all.identity.ending == "exited with status 1: training diverged, the loss is nan in step 3")
  }

  /// A suite's command tells its quality and nothing else of its training.
  @Test func qualityOfACommand() {
    let told = profile(settings: ["kind": "command", "suite.id": "X", "suite.title": "Mine", "metric": "BLEU"]) {
      $0.quantities = [quantity("training.quality", 24.5, "1")]
    }
    let all = Characterization(of: told)
    #expect(all.headline.contains { $0.label == "BLEU" && $0.value.value == 24.5 } && all.identity.title == "X: Mine")
  }

  @Test func notReached() throws {
    var example = Self.example
    example.repetitions[0].quantities[2] = quantity("training.reached", 0, "1")
    let training = try #require(TrainingCharacteristics.of(run(example)).value)
    #expect(training.reached.value == false && training.epochsToQuality.value == nil)
    #expect(training.timeToQualityNanoseconds.unavailable?.remedy == "--to-quality")
  }

  @Test func divergence() throws {
    var example = Self.example
    for index in 1..<4 { example.repetitions[0].steps[index].loss = index == 1 ? .nan : .infinity }
    example.repetitions[0].epochs[1].quality = .nan
    let training = try #require(TrainingCharacteristics.of(run(example)).value)
    #expect(training.nonFiniteLossCount == 3)
    #expect(training.steps.map(\.loss) == [4, nil, nil, nil])
    #expect(training.epochs[1].quality == nil)
  }

  @Test func thinningKeepsExtremesAndMeans() throws {
    var data = Self.example
    data.repetitions[0].steps = (0..<10_007).map {
      TrainingStep(
        step: $0, epoch: 0, timeNanoseconds: Int64($0), durationNanoseconds: 1, samples: 1,
        loss: $0 == 5000 ? 99 : Double($0 % 7))
    }
    let training = try #require(TrainingCharacteristics.of(run(data)).value)
    #expect(training.steps.count == TrainingCharacteristics.pointLimit && training.stepCount == 10_007)
    #expect(training.steps.compactMap(\.maximumLoss).max() == 99 && training.steps.compactMap(\.minimumLoss).min() == 0)
    #expect(training.steps.first?.firstStep == 0 && training.steps.last?.lastStep == 10_006)
    for (a, b) in zip(training.steps, training.steps.dropFirst()) { #expect(a.lastStep + 1 == b.firstStep) }
  }

  @Test func unavailable() {
    #expect(TrainingCharacteristics.of(run(profile())).value == nil)
    #expect(
      TrainingCharacteristics.of(run(profile(settings: ["kind": "benchmark"]))).unavailable?.remedy == "--mode train")
    let model = ModelCharacteristics.of(run(profile(settings: ["kind": "command"])))
    #expect(model.parameters.unavailable?.remedy == "kiviat list benchmarks")
  }

  @Test func groupsCoverEverything() {
    for count in [0, 1, 2, 3, 5, 10, 399, 400, 401, 12_345] {
      let ranges = groups(count: count, limit: 400)
      #expect(ranges.count == min(count, 400))
      #expect(ranges.flatMap(Array.init) == Array(0..<count))
    }
  }
}

@Suite struct InferenceTests {
  static func example(_ latencies: [Int64]) -> Profile {
    profile { data in
      data.queries = latencies.enumerated().map {
        InferenceQuery(index: $0.offset, latencyNanoseconds: $0.element, samples: 2)
      }
      data.quantities = [quantity("model.forward_flops_per_sample", 1e6)]
    }
  }

  @Test func numbers() throws {
    let inference = try #require(InferenceCharacteristics.of(run(Self.example((1...100).map { $0 * 1000 }))).value)
    #expect(inference.latency.median == 50_500 && isClose(inference.latency[0.99]?.value ?? 0, 99_010))
    #expect(inference.latency[0.5]?.interval == Interval(lower: 40_000, upper: 61_000))
    // The greatest of 100 values is not surely above their 99th percentile.
    #expect(inference.latency[0.99]?.interval == Interval(lower: 97_000, upper: nil))
    // 200 samples in 5.05 ms.
    #expect(isClose(inference.samplesPerSecond.value ?? 0, 200 / 5.05e-3))
    #expect(isClose(inference.flopsPerSecond.value ?? 0, 200e6 / 5.05e-3))
  }

  @Test(arguments: [[5], [5, 5, 5], [1, 1_000_000], (1...50).map { $0 }, [0, 0], [0, 5]] as [[Int64]])
  func histogramHoldsEveryQuery(latencies: [Int64]) throws {
    let histogram = try #require(InferenceCharacteristics.of(run(Self.example(latencies))).value).histogram
    #expect(histogram.reduce(0) { $0 + $1.count } == latencies.count)
    #expect(histogram.first?.fromNanoseconds == Double(latencies.min() ?? 0))
    #expect(histogram.last?.toNanoseconds == Double(latencies.max() ?? 0))
    for (a, b) in zip(histogram, histogram.dropFirst()) { #expect(a.toNanoseconds == b.fromNanoseconds) }
  }

  @Test func unavailable() {
    #expect(InferenceCharacteristics.of(run(profile())).value == nil)
    let zero = InferenceCharacteristics.of(run(Self.example([0, 0]))).value
    #expect(zero?.samplesPerSecond.value == nil)
  }
}
