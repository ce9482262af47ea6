// DC-AI-C1: which of a thousand things does a photograph show? ResNet-50 on ImageNet.

/// The residual block with a bottleneck (He et al., CVPR 2016): 1×1 to `planes` channels, 3×3, 1×1 to four times as
/// many, each with batch normalization; added to the input. "v1.5" has the stride in the 3×3, where the first version
/// had it in the first 1×1.
final class Bottleneck: Module, Layer {
  static let expansion = 4
  let conv1, conv2, conv3: Conv2d
  let bn1, bn2, bn3: BatchNorm2d
  /// Brings the input to the shape of the output where they differ.
  let downsample: Sequential?

  init(_ inputs: Int, planes: Int, stride: Int) {
    let outputs = planes * Self.expansion
    conv1 = Conv2d(inputs, planes, kernel: 1, bias: false)
    bn1 = BatchNorm2d(planes)
    conv2 = Conv2d(planes, planes, kernel: 3, stride: Size2D(stride), padding: 1, bias: false)
    bn2 = BatchNorm2d(planes)
    conv3 = Conv2d(planes, outputs, kernel: 1, bias: false)
    bn3 = BatchNorm2d(outputs)
    downsample =
      stride == 1 && inputs == outputs
      ? nil
      : Sequential(
        Conv2d(inputs, outputs, kernel: 1, stride: Size2D(stride), bias: false), BatchNorm2d(outputs))
  }

  func forward(_ x: Tensor) -> Tensor {
    var y = bn1(conv1(x)).reluInPlace()
    y = bn2(conv2(y)).reluInPlace()
    y = bn3(conv3(y))
    return (y + (downsample?(x) ?? x)).reluInPlace()
  }
}

/// A residual network of bottleneck blocks: f32 [n, 3, h, w] → logits [n, classes].
final class ResNet: Module, Layer {
  /// What makes a ResNet-50 differ from the small one.
  struct Shape: Sendable {
    /// Channels of the first stage's bottleneck and of the stem; doubled from stage to stage.
    var width: Int
    /// Blocks of each of the four stages.
    var blocks: [Int]
    /// Whether the stem halves the image twice (7×7 convolution, pooling), or keeps its size (3×3), as for 32×32.
    var reducesInStem: Bool

    /// 25 557 032 parameters with 1000 classes; 4.09 G multiply-accumulates for 224×224.
    static let resNet50 = Shape(width: 64, blocks: [3, 4, 6, 3], reducesInStem: true)
    /// 130 002 parameters with 10 classes.
    static let small = Shape(width: 8, blocks: [1, 1, 1, 1], reducesInStem: false)
  }

  let conv1: Conv2d
  let bn1: BatchNorm2d
  let maxpool: MaxPool2d?
  let layer1, layer2, layer3, layer4: Sequential
  let avgpool = AdaptiveAvgPool2d(1)
  let fc: Linear

  init(_ shape: Shape, classes: Int) {
    let width = shape.width
    conv1 =
      shape.reducesInStem
      ? Conv2d(3, width, kernel: 7, stride: 2, padding: 3, bias: false)
      : Conv2d(3, width, kernel: 3, padding: 1, bias: false)
    bn1 = BatchNorm2d(width)
    maxpool = shape.reducesInStem ? MaxPool2d(3, stride: 2, padding: 1) : nil
    var channels = width
    func stage(_ number: Int) -> Sequential {
      let planes = width << number
      let blocks = (0..<shape.blocks[number]).map { block in
        defer { channels = planes * Bottleneck.expansion }
        return Bottleneck(channels, planes: planes, stride: number > 0 && block == 0 ? 2 : 1)
      }
      return Sequential(blocks)
    }
    layer1 = stage(0)
    layer2 = stage(1)
    layer3 = stage(2)
    layer4 = stage(3)
    fc = Linear(channels, classes)
    super.init()
    for (_, module) in namedModules() {
      if let convolution = module as? Conv2d {
        Initialization.kaimingNormal(byOutputs: true)(convolution.weight)
      }
    }
  }

  func forward(_ x: Tensor) -> Tensor {
    var y = bn1(conv1(x)).reluInPlace()
    if let maxpool { y = maxpool(y) }
    y = layer4(layer3(layer2(layer1(y))))
    return fc(avgpool(y).flattened(1))
  }
}

/// Image classification: ResNet-50 v1.5 on ImageNet, or a small ResNet on 32×32 shapes.
public final class ImageClassification: Benchmark {
  /// The facts.
  public static let info = BenchmarkInfo(
    id: "DC-AI-C1", name: "image-classification", task: "Image classification", model: "ResNet-50 v1.5",
    dataSet: "ImageNet (ILSVRC 2012)",
    dataFormat: "train/CLASS/*.JPEG with val/CLASS/*.JPEG (or validation/CLASS/*.JPEG); JPEG and PNG files",
    small: ScaleInfo(
      target: QualityTarget(metric: "top-1 accuracy", value: 0.95), batchSize: 64, maximumEpochs: 8,
      parameters: 130_002, optimizer: "SGD 0.1, Nesterov 0.9, weight decay 1e-4, cosine"),
    paper: ScaleInfo(
      target: QualityTarget(metric: "top-1 accuracy", value: 0.749), batchSize: 256, maximumEpochs: 90,
      parameters: 25_557_032,
      optimizer:
        "SGD 0.1 at batch 256 (in proportion to the batch), momentum 0.9, weight decay 1e-4, ÷10 every 30 epochs"
    ))

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
