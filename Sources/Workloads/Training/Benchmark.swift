// What a component benchmark is: facts about it, and the parts that the loops need to train it and to ask it.

/// How large a benchmark runs.
public enum Scale: String, Sendable, CaseIterable, Codable {
  /// The same structure, trained in about a minute on two cores.
  case small
  /// The published architecture.
  case paper
}

/// Whether a run learns or answers.
public enum Mode: String, Sendable, CaseIterable, Codable {
  case train
  case infer
}

/// When a model is good enough.
public struct QualityTarget: Sendable, Equatable, Codable {
  /// `top-1 accuracy`, `HR@10` …
  public var metric: String
  /// The value to reach, in the metric's unit.
  public var value: Double
  /// Accuracy: true; perplexity, error: false.
  public var isHigherBetter: Bool

  /// Makes a target.
  public init(metric: String, value: Double, isHigherBetter: Bool = true) {
    self.metric = metric
    self.value = value
    self.isHigherBetter = isHigherBetter
  }

  /// Whether a quality is good enough. NaN never is.
  public func isReached(by quality: Double) -> Bool { isHigherBetter ? quality >= value : quality <= value }
}

/// What a scale settles.
public struct ScaleInfo: Sendable, Codable {
  /// When the model is good enough.
  public var target: QualityTarget
  /// Samples in a training batch.
  public var batchSize: Int
  /// Where training ends when the target is not reached.
  public var maximumEpochs: Int
  /// Trainable numbers of the model, where they do not depend on the data.
  public var parameters: Int?
  /// FLOPs of a forward pass over one sample, by `torch.utils.flop_counter`'s convention (a multiply-accumulate is 2),
  /// where they do not depend on the data.
  public var forwardFLOPs: Double?
  /// What trains: `SGD 0.02, Nesterov 0.9, cosine`.
  public var optimizer: String

  /// Makes the settings of a scale.
  public init(
    target: QualityTarget, batchSize: Int, maximumEpochs: Int, parameters: Int?, forwardFLOPs: Double? = nil,
    optimizer: String
  ) {
    self.target = target
    self.batchSize = batchSize
    self.maximumEpochs = maximumEpochs
    self.parameters = parameters
    self.forwardFLOPs = forwardFLOPs
    self.optimizer = optimizer
  }
}

/// What the model's authors, or a reference implementation, say of its size: beside it stands what is measured here.
public struct PublishedSize: Sendable, Codable, Equatable {
  /// Trainable numbers.
  public var parameters: Double?
  /// FLOPs of a forward pass over one sample, a multiply-accumulate counted as 2.
  public var forwardFLOPs: Double?
  /// The paper or the implementation.
  public var source: String
  /// Why ours differs, where it does by more than 1 %.
  public var difference: String?

  /// Makes the figures of a source.
  public init(parameters: Double? = nil, forwardFLOPs: Double? = nil, source: String, difference: String? = nil) {
    self.parameters = parameters
    self.forwardFLOPs = forwardFLOPs
    self.source = source
    self.difference = difference
  }
}

/// What `kiviat list benchmarks` tells.
public struct BenchmarkInfo: Sendable, Codable {
  /// `DC-AI-C1`.
  public var id: String
  /// `image-classification`: what one types.
  public var name: String
  /// `Image classification`.
  public var task: String
  /// `ResNet-50`.
  public var model: String
  /// `ImageNet`.
  public var dataSet: String
  /// What `--data` expects there.
  public var dataFormat: String
  /// Settings of the small scale.
  public var small: ScaleInfo
  /// Settings of the published architecture.
  public var paper: ScaleInfo
  /// The published size of the model.
  public var published: PublishedSize?

  /// Makes the facts of a benchmark.
  public init(
    id: String, name: String, task: String, model: String, dataSet: String, dataFormat: String, small: ScaleInfo,
    paper: ScaleInfo, published: PublishedSize? = nil
  ) {
    self.id = id
    self.name = name
    self.task = task
    self.model = model
    self.dataSet = dataSet
    self.dataFormat = dataFormat
    self.small = small
    self.paper = paper
    self.published = published
  }

  /// The settings of a scale.
  public func scale(_ scale: Scale) -> ScaleInfo { scale == .small ? small : paper }
}

/// What a user asked of a benchmark, defaults filled in.
public struct BenchmarkConfiguration: Sendable {
  /// How large it runs.
  public var scale: Scale
  /// Whether it learns or answers.
  public var mode: Mode
  /// Decides data, order and initial values.
  public var seed: UInt64
  /// Samples in a batch or query.
  public var batchSize: Int
  /// Where the data set lies; `nil` for the synthetic stand-in.
  public var dataDirectory: String?
  /// Epochs that training may take, for schedules.
  public var maximumEpochs: Int

  /// Makes a configuration.
  public init(
    scale: Scale, mode: Mode = .train, seed: UInt64 = 1, batchSize: Int, dataDirectory: String? = nil,
    maximumEpochs: Int
  ) {
    self.scale = scale
    self.mode = mode
    self.seed = seed
    self.batchSize = batchSize
    self.dataDirectory = dataDirectory
    self.maximumEpochs = maximumEpochs
  }
}

/// A component benchmark. `BenchmarkRegistry.all` lists them.
///
/// The initializer opens or makes the data (and throws when they can't be used); models are made by the stages. The
/// process is seeded before.
public protocol Benchmark: AnyObject {
  /// Facts that need no data.
  static var info: BenchmarkInfo { get }
  /// Opens the data.
  init(_ configuration: BenchmarkConfiguration) throws
  /// `synthetic: 4 000 shapes, 32 × 32` or the directory and what was found there.
  var dataDescription: String { get }
  /// The stages of training in order; one named "" for most.
  var stageNames: [String] { get }
  /// What trains in a stage; called when the stage begins, after the earlier ones ended.
  func stage(_ name: String) throws -> TrainingStage
  /// What answers queries.
  func inference() throws -> InferenceTask
}

extension Benchmark {
  /// One stage without a name.
  public var stageNames: [String] { [""] }
}

/// Everything that the training loop needs.
public struct TrainingStage {
  /// `teacher`, `student`, or "".
  public var name: String
  /// What is trained.
  public var model: Module
  /// What changes its parameters.
  public var optimizer: any Optimizer
  /// How the learning rate changes.
  public var schedule: LearningRateSchedule
  /// Where training batches come from.
  public var loader: DataLoader
  /// The quality that ends the stage; the last stage's is the benchmark's.
  public var target: QualityTarget
  /// Where training ends when the target is not reached.
  public var maximumEpochs: Int
  /// What a step does, and the loss that it reports. ``init(name:model:optimizer:schedule:loader:target:maximumEpochs:gradientLimit:loss:evaluate:)``
  /// makes the usual one: forward pass, backward pass, update.
  public var step: (TrainingStep) throws -> Double
  /// The quality on held-out data, without gradients and in evaluation mode. Called after each epoch.
  public var evaluate: () throws -> Double
  /// Called before each epoch, with its number.
  public var willBeginEpoch: (Int) throws -> Void = { _ in }
  /// Further measures of the last evaluation, beside the one that decides: `NDCG@10` …
  public var measures: () -> [(name: String, value: Double)] = { [] }
  /// What the user must know and has not been told yet, such as images that could not be read. Asked after each epoch.
  public var newWarnings: () -> [String] = { [] }

  /// Makes a stage whose step is more than one loss and one update: adversaries, a controller, self-play.
  ///
  /// - Parameters:
  ///   - model: a module that holds everything trained.
  ///   - optimizer: the main one of those that `step` uses.
  public init(
    name: String = "", model: Module, optimizer: any Optimizer, schedule: LearningRateSchedule = .constant,
    loader: DataLoader, target: QualityTarget, maximumEpochs: Int,
    step: @escaping (TrainingStep) throws -> Double, evaluate: @escaping () throws -> Double
  ) {
    self.name = name
    self.model = model
    self.optimizer = optimizer
    self.schedule = schedule
    self.loader = loader
    self.target = target
    self.maximumEpochs = maximumEpochs
    self.step = step
    self.evaluate = evaluate
  }

  /// Makes a stage that follows the gradient of one loss.
  ///
  /// - Parameters:
  ///   - gradientLimit: of the gradients' joint norm.
  ///   - loss: the mean loss over a batch, a scalar.
  public init(
    name: String = "", model: Module, optimizer: any Optimizer, schedule: LearningRateSchedule = .constant,
    loader: DataLoader, target: QualityTarget, maximumEpochs: Int, gradientLimit: Double? = nil,
    loss: @escaping (TensorBatch) -> Tensor, evaluate: @escaping () throws -> Double
  ) {
    self.init(
      name: name, model: model, optimizer: optimizer, schedule: schedule, loader: loader, target: target,
      maximumEpochs: maximumEpochs,
      step: { step in
        let loss = step.forward { loss(step.batch) }
        step.update(optimizer, by: loss, gradientLimit: gradientLimit)
        return loss.item
      }, evaluate: evaluate)
  }
}

/// Everything that the inference loop needs.
public struct InferenceTask {
  /// What answers.
  public var model: Module
  /// Queries are its batches, again from the start when they run out.
  public var loader: DataLoader
  /// The answer to a query. Runs without gradients and in evaluation mode.
  public var answer: (TensorBatch) -> Tensor

  /// Makes a task.
  public init(model: Module, loader: DataLoader, answer: @escaping (TensorBatch) -> Tensor) {
    self.model = model
    self.loader = loader
    self.answer = answer
  }
}
