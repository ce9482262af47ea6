// How fast does it train, how does it converge, and when was the target quality reached?
import ProfileModel

/// Throughput and convergence of a training run.
public struct TrainingCharacteristics: Codable, Sendable, Equatable {
  /// Steps in a row, thinned for drawing.
  public struct StepPoint: Codable, Sendable, Equatable {
    /// First step in the point.
    public var firstStep: Int
    /// Last step in the point.
    public var lastStep: Int
    /// End of the last step, nanoseconds since exec.
    public var timeNanoseconds: Int64
    /// Mean loss of the steps; `nil` when none is a finite number.
    public var loss: Double?
    /// Least loss.
    public var minimumLoss: Double?
    /// Greatest loss.
    public var maximumLoss: Double?
    /// Samples per second over the steps; `nil` when they took no time.
    public var samplesPerSecond: Double?
  }
  /// An epoch.
  public struct EpochPoint: Codable, Sendable, Equatable {
    /// The stage's name, or empty.
    public var stage: String
    /// Counted from 0 within its stage.
    public var epoch: Int
    /// End, nanoseconds since exec.
    public var timeNanoseconds: Int64
    /// Training time, without evaluation.
    public var durationNanoseconds: Int64
    /// Samples seen.
    public var samples: Int
    /// Samples per second; `nil` when it took no time.
    public var samplesPerSecond: Double?
    /// Mean loss; `nil` when it is not a finite number.
    public var meanLoss: Double?
    /// The quality metric's name.
    public var metric: String
    /// Quality on held-out data; `nil` when it is not a finite number.
    public var quality: Double?
  }
  /// Number of optimizer steps.
  public var stepCount: Int
  /// Samples per second, median over the steps.
  public var samplesPerSecond: Measured<Double>
  /// Wall time of a step: median and other percentiles, nanoseconds; the first step is left out when there are more.
  public var stepTime: Measured<Percentiles>
  /// FLOP/s of training: FLOPs per sample × samples per second.
  public var flopsPerSecond: Measured<Double>
  /// Loss and throughput over the steps, thinned to a number that can be drawn; extremes are kept.
  public var steps: [StepPoint]
  /// All epochs.
  public var epochs: [EpochPoint]
  /// Steps whose loss is not a finite number: training has diverged when there are any.
  public var nonFiniteLossCount: Int
  /// The quality metric's name.
  public var metric: String?
  /// The quality to reach.
  public var target: Measured<Double>
  /// The quality at the end.
  public var quality: Measured<Double>
  /// Whether the target was reached.
  public var reached: Measured<Bool>
  /// Epochs until it was reached.
  public var epochsToQuality: Measured<Double>
  /// Time from the start of the first step until it was reached, evaluations included, nanoseconds.
  public var timeToQualityNanoseconds: Measured<Double>
  /// Training time of an epoch, without evaluation: the median over the last stage's epochs, nanoseconds.
  public var timePerEpochNanoseconds: Measured<Double>
  /// Energy of the processor package in the time to quality, joules; the whole machine's, whatever else runs on it.
  public var energyToQualityJoules: Measured<Double>
  /// Energy of the processor package in the training steps by sample, joules; the whole machine's.
  public var energyPerSampleJoules: Measured<Double>
  /// Why training diverged, when it did.
  public var divergence: String?
}

extension TrainingCharacteristics {
  /// Points that a chart can show.
  static let pointLimit = 400

  static func of(_ run: Run) -> Measured<TrainingCharacteristics> {
    guard !run.data.steps.isEmpty || !run.data.epochs.isEmpty else {
      return .unavailable(
        run.profile.settings["kind"] == "benchmark"
          ? Unavailable("the run logged no training step", remedy: "--mode train")
          : Unavailable("the target keeps no training log: only Kiviat's own benchmarks do"))
    }
    return Measured(TrainingCharacteristics(run), .declared, detail: "training log of the workload")
  }

  private init(_ run: Run) {
    let steps = run.data.steps
    let none = Unavailable("no training step took measurable time")
    let rates = steps.compactMap { Self.rate($0.samples, $0.durationNanoseconds) }
    stepCount = steps.count
    samplesPerSecond =
      rates.isEmpty
      ? .unavailable(none) : Measured(Statistics.median(rates), .derived, detail: "median over \(rates.count) steps")
    // The first step also sets up the library's primitives and caches.
    let timed = steps.count > 1 ? steps.dropFirst() : steps[...]
    stepTime =
      Percentiles(timed.map { Double($0.durationNanoseconds) }).map { Measured($0, .clock) } ?? .unavailable(none)
    flopsPerSecond = .combine(
      run.number("model.training_flops_per_sample"), samplesPerSecond, detail: "FLOPs per sample × samples per second"
    ) { $0 * $1 }
    self.steps = Self.thin(steps)
    epochs = run.data.epochs.map {
      EpochPoint(
        stage: $0.stage, epoch: $0.epoch, timeNanoseconds: $0.timeNanoseconds,
        durationNanoseconds: $0.durationNanoseconds, samples: $0.samples,
        samplesPerSecond: Self.rate($0.samples, $0.durationNanoseconds), meanLoss: Self.finite($0.meanLoss),
        metric: $0.metric, quality: Self.finite($0.quality))
    }
    nonFiniteLossCount = steps.count { !$0.loss.isFinite }
    metric = epochs.last?.metric
    target = run.number("training.target")
    let declared = run.number("training.quality")
    quality =
      declared.value != nil
      ? declared : epochs.last?.quality.map { Measured($0, .declared, detail: "last epoch") } ?? declared
    reached = run.number("training.reached").map { $0 != 0 }
    epochsToQuality = Self.whenReached(run, run.number("training.epochs"))
    let begin = steps.first.map { $0.timeNanoseconds.addingSaturating(-max(0, $0.durationNanoseconds)) } ?? 0
    let end = run.data.epochs.map(\.timeNanoseconds).max()
    timeToQualityNanoseconds = Self.whenReached(
      run,
      end.map {
        Measured(Double($0) - Double(begin), .clock, detail: "first step to the end of the epoch that reached it")
      }
        ?? .unavailable(Unavailable("the run logged no epoch")))
    let lastStage = epochs.last?.stage
    let epochTimes = epochs.filter { $0.stage == lastStage }.map { Double($0.durationNanoseconds) }
    timePerEpochNanoseconds =
      epochTimes.isEmpty
      ? .unavailable(Unavailable("no epoch was finished", remedy: "--epochs 1"))
      : Measured(
        Statistics.median(epochTimes), .clock,
        detail: "median of \(epochTimes.count) \(epochTimes.count == 1 ? "epoch" : "epochs"), without evaluation")
    energyPerSampleJoules = Self.energyPerSample(run)
    energyToQualityJoules = Self.whenReached(run, Self.energy(run, from: begin, to: end ?? begin))
    divergence = run.data.quantity("training.diverged")?.value.provenance?.detail
  }

  /// The package's energy between two times: its power by the time that each point stands for.
  private static func energy(_ run: Run, from begin: Int64, to end: Int64) -> Measured<Double> {
    do {
      return Measured(
        try PowerSeries(run).joules(from: Double(begin), to: Double(end)), .hardwareCounter,
        detail: "power.package over the time to quality; other processes included")
    } catch {
      return .unavailable(error)
    }
  }

  /// The package's energy in the training steps, by sample.
  private static func energyPerSample(_ run: Run) -> Measured<Double> {
    let samples = run.data.steps.reduce(0) { $0 &+ $1.samples }
    guard samples > 0 else { return .unavailable(Unavailable("the training steps have no samples")) }
    do {
      let joules = EnergyUse.training(run, try PowerSeries(run))
      guard case .measured(let value, _) = joules else { return joules }
      return Measured(
        value / Double(samples), .derived,
        detail: "power.package over the training steps ÷ samples; other processes included")
    } catch {
      return .unavailable(error)
    }
  }

  /// The value if the target quality was reached, else why not.
  static func whenReached(_ run: Run, _ value: Measured<Double>) -> Measured<Double> {
    switch run.number("training.reached") {
    case .measured(let reached, _) where reached != 0: value
    case .measured:
      .unavailable(Unavailable("training ended before the target quality was reached", remedy: "--to-quality"))
    case .unavailable: .unavailable(Unavailable("this run did not train to a target quality", remedy: "--to-quality"))
    }
  }

  /// Steps in equal groups; extremes are kept in each.
  private static func thin(_ steps: [TrainingStep]) -> [StepPoint] {
    groups(count: steps.count, limit: pointLimit).map { range in
      let group = steps[range]
      let losses = group.map(\.loss).filter(\.isFinite)
      return StepPoint(
        firstStep: group[range.lowerBound].step, lastStep: group[range.upperBound - 1].step,
        timeNanoseconds: group[range.upperBound - 1].timeNanoseconds,
        loss: losses.isEmpty ? nil : finite(Statistics.mean(losses)), minimumLoss: losses.min(),
        maximumLoss: losses.max(),
        samplesPerSecond: rate(
          group.reduce(0) { $0 &+ $1.samples }, group.sum { max(0, $0.durationNanoseconds) }))
    }
  }

  private static func rate(_ samples: Int, _ nanoseconds: Int64) -> Double? {
    nanoseconds > 0 ? Double(samples) / (Double(nanoseconds) / 1e9) : nil
  }

  private static func finite(_ value: Double) -> Double? { value.isFinite ? value : nil }
}

/// Splits 0..<count into at most `limit` runs of nearly equal length.
func groups(count: Int, limit: Int) -> [Range<Int>] {
  let parts = min(count, limit)
  return (0..<max(0, parts)).map { part in part * count / parts..<(part + 1) * count / parts }
}
