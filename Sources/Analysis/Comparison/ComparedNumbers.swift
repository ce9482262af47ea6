// Which numbers of a run are compared with another's, and which way is each of them better?
import ProfileModel

/// One number of one repetition, as comparisons see it.
struct ComparedNumber {
  /// Which way is better.
  enum Direction {
    /// Less time.
    case shorter
    /// More work in the same time.
    case faster
    /// Less of something else that costs.
    case less
    /// Neither.
    case none
  }
  var name: String
  var label: String
  var unit: String
  var direction: Direction
  /// Whether it adds up over the whole run, so that runs of different lengths don't compare.
  var isTotal = false
  /// Whether it follows from others: where neither side has it, the others' absence says enough.
  var isDerived = false
  var value: Measured<Double>
}

extension ComparedNumber {
  /// The numbers of a repetition, those that a reader looks for first at the beginning.
  static func all(_ run: Run) -> [ComparedNumber] {
    var result: [ComparedNumber] = []
    func add(
      _ name: String, _ label: String, _ unit: String, _ direction: Direction, isTotal: Bool = false,
      _ value: Measured<Double>
    ) {
      result.append(
        ComparedNumber(name: name, label: label, unit: unit, direction: direction, isTotal: isTotal, value: value))
    }
    add(
      "wall", "wall time", "ns", .shorter, isTotal: true,
      run.wall > 0 ? Measured(Double(run.wall), .clock) : .unavailable(Unavailable("the run has no wall time")))
    add("cpu.time", "CPU time", "ns", .shorter, isTotal: true, run.cpuTime)
    training(run, add: { add($0, $1, $2, $3, isTotal: false, $4) })
    inference(run, add: { add($0, $1, $2, $3, isTotal: false, $4) })
    add("memory.peak_rss", "peak memory", "B", .less, run.number("memory.peak_rss", from: "memory"))
    add(
      "energy.package", "energy of the processor", "J", .less, isTotal: true,
      run.number("energy.package", from: "energy"))
    let counters = CounterSummary.of(run)
    for ratio in counters.ratios {
      add(ratio.name, ratio.label, ratio.unit, .none, ratio.value)
      result[result.count - 1].isDerived = true
    }
    for counter in counters.counters {
      add("counter.\(counter.event)", counter.event, counter.unit, .none, isTotal: true, counter.value)
    }
    return result.map { number in
      guard let value = number.value.value, !value.isFinite else { return number }
      var number = number
      number.value = .unavailable(Unavailable("not a number in this profile"))
      return number
    }
  }

  private typealias Add = (String, String, String, Direction, Measured<Double>) -> Void

  private static func training(_ run: Run, add: Add) {
    guard case .measured(let training, _) = TrainingCharacteristics.of(run) else { return }
    add("training.samples_per_second", "training throughput", "1/s", .faster, training.samplesPerSecond)
    for (level, name) in [(0.5, "median"), (0.99, "p99")] {
      add(
        "training.step_time.\(level == 0.5 ? "p50" : "p99")", "time of a step, \(name)", "ns", .shorter,
        percentile(training.stepTime, level))
    }
    add("training.time_per_epoch", "time per epoch", "ns", .shorter, training.timePerEpochNanoseconds)
    add("training.time_to_quality", "time to quality", "ns", .shorter, training.timeToQualityNanoseconds)
    add("training.epochs_to_quality", "epochs to quality", "1", .less, training.epochsToQuality)
    // Whether more of it is better depends on the metric, which a profile does not tell.
    add("training.quality", training.metric ?? "quality", "1", .none, training.quality)
    add("training.energy_to_quality", "energy to quality", "J", .less, training.energyToQualityJoules)
    add("training.energy_per_sample", "energy per sample", "J", .less, training.energyPerSampleJoules)
  }

  private static func inference(_ run: Run, add: Add) {
    guard case .measured(let inference, _) = InferenceCharacteristics.of(run) else { return }
    add("inference.samples_per_second", "inference throughput", "1/s", .faster, inference.samplesPerSecond)
    for level in inference.latency.percentiles {
      let name = "p\(Words.decimal(level.level * 100, 0))"
      add("inference.latency.\(name)", "latency, \(name)", "ns", .shorter, Measured(level.value, .clock))
    }
  }

  private static func percentile(_ percentiles: Measured<Percentiles>, _ level: Double) -> Measured<Double> {
    switch percentiles {
    case .unavailable(let why): .unavailable(why)
    case .measured(let all, let provenance):
      all[level].map { .measured($0.value, provenance) } ?? .unavailable(Unavailable("no such percentile"))
    }
  }
}
