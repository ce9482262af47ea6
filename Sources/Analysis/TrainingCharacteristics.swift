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
}
