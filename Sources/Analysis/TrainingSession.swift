// When did a training run begin, when did each epoch and each evaluation, and what did they come to? What other suites'
// log formats tell, as plain values.
import ProfileModel

/// A training run as the intervals that MLPerf's and AI-Rank's logs are made of. Times are nanoseconds since 1970.
public struct TrainingSession: Sendable, Equatable {
  /// One epoch: training, then evaluation.
  public struct Epoch: Sendable, Equatable {
    /// Counted from 1 over all stages.
    public var number: Int
    /// `teacher`, `student`, or empty.
    public var stage: String
    /// When its first step began.
    public var start: Int64
    /// When its last step ended and its evaluation began.
    public var trainingEnd: Int64
    /// When its evaluation ended.
    public var end: Int64
    /// Samples trained on.
    public var samples: Int
    /// The quality on held-out data; NaN when it was no number.
    public var quality: Double
  }

  /// The benchmark's name, or its id where the profile has no name.
  public var benchmark: String
  /// The seed.
  public var seed: Int?
  /// Samples in a batch.
  public var batchSize: Int?
  /// `SGD learning_rate=0.1 momentum=0.9 …`, as the workload tells it.
  public var optimizer: String?
  /// The processor.
  public var platform: String?
  /// When the program began.
  public var initStart: Int64
  /// When the first step began.
  public var runStart: Int64
  /// When training was over, the last evaluation included.
  public var runStop: Int64
  /// The epochs that were finished, in order.
  public var epochs: [Epoch]
  /// The quality to reach.
  public var target: Double?
  /// The epoch whose evaluation reached the target; `nil` when none did.
  public var reachedEpoch: Int?
  /// Whether the run came to its end by itself.
  public var isComplete: Bool
}

extension TrainingSession {
  /// The session of a profile's shown repetition.
  public static func of(_ profile: Profile) -> Measured<TrainingSession> {
    guard let data = RunIdentity.shown(profile), let first = data.steps.first else {
      return .unavailable(Unavailable("the profile has no training step", remedy: "--mode train"))
    }
    let settings = profile.settings
    let zero = data.repetition.startedAtUnixNanoseconds
    let epochs = Self.epochs(data, from: zero)
    let lastStep = data.steps.last.map { zero + $0.timeNanoseconds } ?? zero
    let run = Run(profile, data)
    let isReached = run.number("training.reached").value.map { $0 != 0 } ?? false
    return Measured(
      TrainingSession(
        benchmark: settings["benchmark.name"] ?? settings["benchmark"] ?? "",
        seed: settings["seed"].flatMap { Int($0) },
        batchSize: settings["batch_size"].flatMap { Int($0) },
        // Of several stages the last: its quality is the benchmark's.
        optimizer: epochs.last.flatMap { $0.stage.isEmpty ? nil : settings["\($0.stage).optimizer"] }
          ?? settings["optimizer"] ?? settings.filter { $0.key.hasSuffix(".optimizer") }.min { $0.key < $1.key }?.value,
        platform: profile.host.first { $0.name == "host.cpu.model" }?.value.value?.text, initStart: zero,
        runStart: zero + first.timeNanoseconds - first.durationNanoseconds,
        runStop: max(lastStep, epochs.last?.end ?? lastStep), epochs: epochs,
        target: run.number("training.target").value,
        // Training ends with the epoch that reaches it, or goes on: the first that did counts.
        reachedEpoch: isReached ? reached(epochs, run)?.number : nil,
        isComplete: data.repetition.state == .finished && data.repetition.exitStatus == 0),
      .declared, detail: "training log of the workload")
  }

  /// Steps tell an epoch's number but not its stage: they belong to the epoch within whose time they end.
  private static func epochs(_ data: RepetitionData, from zero: Int64) -> [Epoch] {
    var steps = data.steps.sorted { $0.timeNanoseconds < $1.timeNanoseconds }[...]
    return data.epochs.sorted { $0.timeNanoseconds < $1.timeNanoseconds }.enumerated().map { index, epoch in
      let own = steps.prefix { $0.timeNanoseconds <= epoch.timeNanoseconds }
      steps = steps.dropFirst(own.count)
      let end = zero + epoch.timeNanoseconds
      let start = own.first.map { zero + $0.timeNanoseconds - $0.durationNanoseconds }
      return Epoch(
        number: index + 1, stage: epoch.stage, start: start ?? end - epoch.durationNanoseconds,
        trainingEnd: own.last.map { zero + $0.timeNanoseconds } ?? end, end: end, samples: epoch.samples,
        quality: epoch.quality)
    }
  }

  /// The first epoch of the last stage that is as good as the target. Which way is better the last one tells: it reached
  /// it.
  private static func reached(_ epochs: [Epoch], _ run: Run) -> Epoch? {
    guard let last = epochs.last, let target = run.number("training.target").value else { return epochs.last }
    let isHigherBetter = last.quality >= target
    return epochs.first {
      $0.stage == last.stage && (isHigherBetter ? $0.quality >= target : $0.quality <= target)
    }
  }
}
