// DC-AI-C1: which of a thousand things does a photograph show? ResNet-50 on ImageNet.

/// Image classification: ResNet-50 v1.5 on ImageNet, or a small ResNet on 32×32 shapes.
public final class ImageClassification: Benchmark {
  /// The facts.
  public static let info = BenchmarkInfo(
    id: "DC-AI-C1", name: "image-classification", task: "Image classification", model: "ResNet-50 v1.5",
    dataSet: "ImageNet (ILSVRC 2012)",
    dataFormat: "train/CLASS/*.JPEG with val/CLASS/*.JPEG (or validation/CLASS/*.JPEG); JPEG and PNG files",
    small: ScaleInfo(
      target: QualityTarget(metric: "top-1 accuracy", value: 0.95), batchSize: 64, maximumEpochs: 8,
      parameters: 130_002, forwardFLOPs: 14_210_048, optimizer: "SGD 0.1, Nesterov 0.9, weight decay 1e-4, cosine"),
    paper: ScaleInfo(
      target: QualityTarget(metric: "top-1 accuracy", value: 0.749), batchSize: 256, maximumEpochs: 90,
      parameters: 25_557_032, forwardFLOPs: 8_178_368_512,
      optimizer:
        "SGD 0.1 at batch 256 (in proportion to the batch), momentum 0.9, weight decay 1e-4, ÷10 every 30 epochs"
    ),
    published: PublishedSize(
      parameters: 25_557_032, forwardFLOPs: 8_178_368_512,
      source: "torchvision's resnet50 by torch.utils.flop_counter, 224×224"))

  /// The published network has 1000 outputs, whatever the data.
  static let paperClasses = 1000

  private let configuration: BenchmarkConfiguration
  private let train, validation: any ImageSource
  private let classes: Int

  /// Opens the image folders, or sets up the synthetic shapes.
  public init(_ configuration: BenchmarkConfiguration) throws {
    self.configuration = configuration
    let isSmall = configuration.scale == .small
    let side = isSmall ? 32 : 224
    if let directory = configuration.dataDirectory {
      let folder = try ImageFolder(directory: directory, split: .train, side: side, seed: configuration.seed)
      guard isSmall || folder.classCount <= Self.paperClasses else {
        throw DataError.unsuitable(
          path: directory,
          reason: "it has \(folder.classCount) classes, ResNet-50 at paper scale has \(Self.paperClasses) outputs")
      }
      train = folder
      validation = try ImageFolder(
        directory: directory, split: .validation, side: side, classes: folder.classes, seed: configuration.seed)
      classes = isSmall ? folder.classCount : Self.paperClasses
    } else {
      // The seed of the data is fixed: runs with different seeds are runs on the same data.
      train = SyntheticShapes(count: isSmall ? 4000 : 12_800, side: side, seed: 1)
      validation = SyntheticShapes(count: isSmall ? 1000 : 1280, side: side, seed: 2)
      classes = isSmall ? train.classCount : Self.paperClasses
    }
  }

  /// Where the images are from.
  public var dataDescription: String {
    "\(train.origin) (\(train.count) for training, \(validation.count) for validation, \(train.classCount) classes)"
  }

  func model() -> ResNet {
    ResNet(configuration.scale == .small ? .small : .resNet50, classes: classes)
  }

  /// Cross entropy by stochastic gradient descent.
  public func stage(_ name: String) throws -> TrainingStage {
    let model = model()
    let settings = Self.info.scale(configuration.scale)
    let optimizer: SGD
    let schedule: LearningRateSchedule
    switch configuration.scale {
    case .small:
      optimizer = SGD(
        model.parameters(), learningRate: 0.1, momentum: 0.9, weightDecay: 1e-4, isNesterov: true)
      schedule = .cosine()
    case .paper:
      // Goyal et al. 2017: the rate in proportion to the batch.
      let rate = 0.1 * Double(configuration.batchSize) / Double(settings.batchSize)
      optimizer = SGD(model.parameters(), learningRate: rate, momentum: 0.9, weightDecay: 1e-4)
      schedule = .step(epochs: 30, factor: 0.1)
    }
    let held = DataLoader(ImageBatches(source: validation), batchSize: configuration.batchSize)
    var stage = TrainingStage(
      model: model, optimizer: optimizer, schedule: schedule,
      loader: DataLoader(
        ImageBatches(source: train), batchSize: configuration.batchSize, isShuffled: true, dropsLast: true,
        seed: configuration.seed),
      target: settings.target, maximumEpochs: configuration.maximumEpochs,
      loss: { model($0.inputs[0]).crossEntropy($0.targets[0]) },
      evaluate: { try topOneAccuracy(held, model) })
    stage.newWarnings = { [train, validation] in train.newWarnings() + validation.newWarnings() }
    return stage
  }

  /// Classifies validation images.
  public func inference() throws -> InferenceTask {
    let model = model()
    return InferenceTask(
      model: model,
      loader: DataLoader(ImageBatches(source: validation), batchSize: configuration.batchSize),
      answer: { model($0.inputs[0]).argmax(1) })
  }
}
