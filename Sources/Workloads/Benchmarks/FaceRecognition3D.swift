// DC-AI-C8: whose face is this, seen in colour and in depth? ResNet-50 with a fourth channel.

/// 3D face recognition: a residual network classifies people by red, green, blue and distance.
public final class FaceRecognition3D: Benchmark {
  /// The facts.
  public static let info = BenchmarkInfo(
    id: "DC-AI-C8", name: "3d-face-recognition", task: "3D face recognition", model: "ResNet-50 on RGB-D",
    dataSet: "Intellifusion RGB-D faces (not public)",
    dataFormat: "train.csv and test.csv with the columns rgb_image_path (JPEG or PNG), dep_image_path (.npy), cls_name",
    small: ScaleInfo(
      target: QualityTarget(metric: "top-1 accuracy", value: 0.9), batchSize: 32, maximumEpochs: 18,
      parameters: 135_214, forwardFLOPs: 14_367_744, optimizer: "SGD 0.02, Nesterov 0.9, cosine"),
    paper: ScaleInfo(
      target: QualityTarget(metric: "top-1 accuracy", value: 0.9464), batchSize: 16, maximumEpochs: 50,
      parameters: 24_029_565, forwardFLOPs: 8_253_984_768,
      optimizer: "SGD 0.001, momentum 0.9, ÷10 every 7 epochs"),
    published: PublishedSize(
      parameters: 25_557_032, forwardFLOPs: 8_178_368_512, source: "ResNet-50 v1.5 on RGB with 1000 classes",
      difference: "a fourth input channel (+3136), and a last layer for the report's 253 people (−1 530 603)"))

  /// People of the report's data set.
  static let paperClasses = 253

  private let configuration: BenchmarkConfiguration
  private let train, test: any ImageSource
  private let classes: Int

  /// Reads the lists, or sets up drawn heads.
  public init(_ configuration: BenchmarkConfiguration) throws {
    self.configuration = configuration
    let isSmall = configuration.scale == .small
    let side = isSmall ? 32 : 224
    if let path = configuration.dataDirectory {
      let directory = try DataDirectory(path)
      let list = try RGBDFaces(
        directory, part: ["train"], side: side, framing: .randomCrop(enlarged: side), seed: configuration.seed)
      train = list
      test = try RGBDFaces(
        directory, part: ["test", "val"], side: side, framing: .whole, classes: list.classes, seed: configuration.seed)
      classes = list.classCount
    } else {
      classes = isSmall ? 30 : Self.paperClasses
      train = SyntheticHeads(count: isSmall ? 960 : 12_800, people: classes, side: side, seed: 1)
      test = SyntheticHeads(count: isSmall ? 300 : 1280, people: classes, side: side, seed: 2)
    }
  }

  /// Where the faces are from.
  public var dataDescription: String {
    "\(train.origin) (\(train.count) for training, \(test.count) for testing, \(classes) people)"
  }

  func model() -> ResNet {
    var shape = configuration.scale == .small ? ResNet.Shape.small : .resNet50
    shape.inputs = 4
    return ResNet(shape, classes: classes)
  }

  /// Cross entropy by stochastic gradient descent.
  public func stage(_ name: String) throws -> TrainingStage {
    let model = model()
    let isSmall = configuration.scale == .small
    let held = DataLoader(ImageBatches(source: test), batchSize: configuration.batchSize)
    var stage = TrainingStage(
      model: model,
      optimizer: SGD(model.parameters(), learningRate: isSmall ? 0.02 : 0.001, momentum: 0.9, isNesterov: isSmall),
      schedule: isSmall ? .cosine() : .step(epochs: 7, factor: 0.1),
      loader: DataLoader(
        ImageBatches(source: train), batchSize: configuration.batchSize, isShuffled: true, dropsLast: true,
        seed: configuration.seed),
      target: Self.info.scale(configuration.scale).target, maximumEpochs: configuration.maximumEpochs,
      loss: { model($0.inputs[0]).crossEntropy($0.targets[0]) },
      evaluate: { try topOneAccuracy(held, model) })
    stage.newWarnings = { [train, test] in train.newWarnings() + test.newWarnings() }
    return stage
  }

  /// Names the person on each photograph.
  public func inference() throws -> InferenceTask {
    let model = model()
    return InferenceTask(
      model: model, loader: DataLoader(ImageBatches(source: test), batchSize: configuration.batchSize),
      answer: { model($0.inputs[0]).argmax(1) })
  }
}
