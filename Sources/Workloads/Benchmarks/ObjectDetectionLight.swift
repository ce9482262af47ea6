// ML-SSD: which things does a photograph show, and where, in one pass? SSD300 with ResNet-34 on COCO.

/// The single-shot detector (Liu et al., ECCV 2016) as MLPerf Training has it. ResNet-34 up to its third stage, which
/// keeps the size here, gives a map of 38×38; pairs of a 1×1 and a 3×3 convolution lead to maps of 19, 10, 5, 3 and 1.
/// On each, two 3×3 convolutions say for every default box how to move it and what it holds.
final class SingleShotDetector: Module {
  /// What differs between the scales.
  struct Shape: Sendable {
    /// A 1×1 convolution to `narrow` channels and a 3×3 to `wide`.
    struct Pair: Sendable {
      var narrow, wide: Int
      /// Of the 3×3.
      var stride = 1
      var padding = 1
    }

    var side: Int
    var backbone: ResNet.Shape
    var additional: [Pair]
    var boxes: DefaultBoxes
    var selection: DetectionSelection

    /// Channels of each map.
    var channels: [Int] { [backbone.channels(of: 3)] + additional.map(\.wide) }

    /// 8732 default boxes; 19 972 534 parameters with 80 classes.
    static let ssd300 = Shape(
      side: 300,
      backbone: ResNet.Shape(width: 64, blocks: [3, 4, 6, 0], block: .basic, strides: [1, 2, 1, 2]),
      additional: [
        Pair(narrow: 256, wide: 512, stride: 2), Pair(narrow: 256, wide: 512, stride: 2),
        Pair(narrow: 128, wide: 256, stride: 2), Pair(narrow: 128, wide: 256, padding: 0),
        Pair(narrow: 128, wide: 256, padding: 0),
      ],
      boxes: DefaultBoxes(
        maps: [38, 19, 10, 5, 3, 1], sizes: [21, 45, 99, 153, 207, 261, 315],
        ratios: [[2], [2, 3], [2, 3], [2, 3], [2], [2]], image: 300),
      selection: DetectionSelection(score: 0.05, overlap: 0.5, limit: 200))

    /// The same on 64×64 pixels with maps of 16, 8 and 4: 1344 default boxes.
    static let small = Shape(
      side: 64,
      backbone: ResNet.Shape(width: 16, blocks: [1, 1, 1, 0], block: .basic, strides: [1, 1, 1, 1]),
      additional: [Pair(narrow: 32, wide: 64, stride: 2), Pair(narrow: 32, wide: 64, stride: 2)],
      boxes: DefaultBoxes(maps: [16, 8, 4], sizes: [12, 20, 30, 42], ratios: [[2], [2], [2]], image: 64),
      selection: DetectionSelection(score: 0.05, overlap: 0.5, limit: 200))
  }

  /// The default boxes' numbers are divided by these, SSD's "variances".
  static let coder = BoxCoder(deviations: [0.1, 0.1, 0.2, 0.2])

  let backbone: ResNet
  let additional: [Sequential]
  let locations, confidences: [Conv2d]
  private let classes: Int
  /// Corners of the default boxes as fractions of the image, f32 [boxes, 4].
  private let boxes: Tensor
  private let selection: DetectionSelection

  /// - Parameter classes: without the background.
  init(_ shape: Shape, classes: Int) {
    self.classes = classes + 1
    selection = shape.selection
    let corners = shape.boxes.corners.flatMap(\.coordinates)
    boxes = Tensor(corners, shape: [corners.count / 4, 4])
    backbone = ResNet(shape.backbone, classes: nil)
    let channels = shape.channels
    additional = zip(channels, shape.additional).map { inputs, pair in
      Sequential(
        Conv2d(inputs, pair.narrow, kernel: 1), ReLU(inPlace: true),
        Conv2d(
          pair.narrow, pair.wide, kernel: 3, stride: Size2D(pair.stride), padding: Size2D(pair.padding)),
        ReLU(inPlace: true))
    }
    let outputs = channels.enumerated().map { (inputs: $1, boxes: shape.boxes.count($0)) }
    locations = outputs.map { Conv2d($0.inputs, $0.boxes * 4, kernel: 3, padding: 1) }
    confidences = outputs.map { Conv2d($0.inputs, $0.boxes * (classes + 1), kernel: 3, padding: 1) }
    super.init()
    let pairs = additional.flatMap { $0.layers.compactMap { $0 as? Conv2d } }
    for layer in pairs + locations + confidences { Initialization.xavierUniform()(layer.weight) }
  }

  /// Images [n, 3, side, side] → box changes [n, boxes, 4] and logits [n, boxes, classes].
  func callAsFunction(_ images: Tensor) -> (deltas: Tensor, logits: Tensor) {
    scoped {
      let n = images.size(0)
      var maps = [backbone(images)]
      for layer in additional { maps.append(layer(maps[maps.count - 1])) }
      func joined(_ heads: [Conv2d], _ width: Int) -> Tensor {
        Tensor.concatenated(
          zip(heads, maps).map { $0($1).permuted([0, 2, 3, 1]).reshaped([n, -1, width]) }, dimension: 1)
      }
      return (joined(locations, 4), joined(confidences, classes))
    }
  }

  /// Smooth L1 of the boxes that have an object, and cross entropy of these and of three times as many of the others:
  /// those that are most mistaken. By the number of boxes with an object, then the mean over images.
  func loss(_ batch: TensorBatch) -> Tensor {
    let output = self(batch.inputs[0])
    return scoped {
      let (n, count) = (output.deltas.size(0), output.deltas.size(1))
      let labels = batch.targets[1]
      let isObject = labels.isGreater(0).to(.float32)
      let found = isObject.sum([1])
      let anchors = boxes.unsqueezed(0).expanded([n, count, 4]).reshaped([-1, 4])
      let targets = Self.coder.encode(batch.targets[0].reshaped([-1, 4]), from: anchors).reshaped([n, count, 4])
      let location = (output.deltas.smoothL1(targets, reduction: .none).sum([2]) * isObject).sum([1])

      let entropy = output.logits.reshaped([-1, classes]).crossEntropy(labels.reshaped([-1]), reduction: .none)
        .reshaped([n, count])
      // The place of each box among the others, the most mistaken first.
      let isLearnt = withoutGradients { () -> Tensor in
        let mistakes = entropy.detached().masked(labels.isGreater(0), with: 0)
        let rank = mistakes.sorted(dimension: 1, descending: true).indices.sorted(dimension: 1).indices.to(.float32)
        let negatives = (found * 3).clamped(0, Double(count)).unsqueezed(1)
        return rank.isLess(negatives).to(.float32) * (1 - isObject) + isObject
      }
      let classification = (entropy * isLearnt).sum([1])
      // An image without objects counts nothing.
      let weights = found.isGreater(0).to(.float32) / found.clamped(1, .infinity)
      return ((location + classification) * weights).mean()
    }
  }

  /// The objects of each image.
  func objects(_ images: Tensor, _ geometry: [ImageGeometry]) -> [DetectionSelection.Objects] {
    let output = self(images)
    return scoped {
      let probabilities = output.logits.softmax(2)
      return geometry.enumerated().map { place, image in
        let decoded = Self.coder.decode(output.deltas.select(0, place), from: boxes).clamped(0, 1)
        return selection(
          probabilities.select(0, place), (decoded * Double(image.width)).unsqueezed(1))
      }
    }
  }
}

/// Object detection, light: SSD300 on COCO, or on small scenes.
public final class ObjectDetectionLight: Benchmark {
  /// The facts.
  public static let info = BenchmarkInfo(
    id: "ML-SSD", name: "object-detection-light", task: "Object detection, light", model: "SSD300, ResNet-34",
    dataSet: "COCO 2017",
    dataFormat: "annotations/instances_{train,val}2017.json with train2017/*.jpg and val2017/*.jpg",
    small: ScaleInfo(
      target: QualityTarget(metric: "AP (COCO)", value: 0.6), batchSize: 16, maximumEpochs: 24,
      parameters: 175_856, forwardFLOPs: 60_522_496, optimizer: "SGD 0.005, momentum 0.9, weight decay 5e-4"),
    paper: ScaleInfo(
      target: QualityTarget(metric: "AP (COCO)", value: 0.212), batchSize: 32, maximumEpochs: 60,
      parameters: 19_972_534, forwardFLOPs: 31_724_157_440,
      optimizer: "SGD 0.0025 (in proportion to the batch of 32), momentum 0.9, weight decay 5e-4, ÷10 at epochs 43, 54"),
    published: PublishedSize(
      parameters: 19_970_000, forwardFLOPs: 31_720_000_000,
      source: "MLPerf Training's reference, its layers counted: 19.97 M and 15.86 G multiply-accumulates"))

  private let configuration: BenchmarkConfiguration
  private let shape: SingleShotDetector.Shape
  private let train, validation: any ObjectSource
  /// All measures of the last evaluation.
  private var quality: COCOAveragePrecision?

  /// Opens the annotations, or sets up the synthetic scenes.
  public init(_ configuration: BenchmarkConfiguration) throws {
    self.configuration = configuration
    let isSmall = configuration.scale == .small
    shape = isSmall ? .small : .ssd300
    if let directory = configuration.dataDirectory {
      train = try COCO(directory: directory, split: .train, skipsEmpty: true)
      validation = try COCO(directory: directory, split: .val)
      if !isSmall, train.classNames.count > Self.paperClasses {
        throw DataError.unsuitable(
          path: directory,
          reason: "it has \(train.classNames.count) categories, SSD300 at paper scale has \(Self.paperClasses)")
      }
      guard train.classNames == validation.classNames else {
        throw DataError.unsuitable(
          path: directory, reason: "the categories of the training and the validation annotations differ")
      }
    } else if isSmall {
      train = SyntheticScenes(count: 800, width: 64, height: 64, seed: 1)
      validation = SyntheticScenes(count: 200, width: 64, height: 64, seed: 2)
    } else {
      train = SyntheticScenes(count: 12_800, width: 640, height: 480, seed: 1)
      validation = SyntheticScenes(count: 640, width: 640, height: 480, seed: 2)
    }
  }

  /// COCO's.
  static let paperClasses = 80

  /// Where the images are from.
  public var dataDescription: String {
    "\(train.origin) (\(train.count) for training, \(validation.count) for validation, "
      + "\(train.classNames.count) classes)"
  }

  /// The published network has COCO's classes, whatever the data.
  func model() -> SingleShotDetector {
    SingleShotDetector(
      shape, classes: configuration.scale == .small ? train.classNames.count : Self.paperClasses)
  }

  private func batches(_ source: any ObjectSource, augments: Bool) -> SingleShotBatches {
    SingleShotBatches(source: source, side: shape.side, boxes: shape.boxes.corners, augments: augments)
  }

  /// The matching loss by stochastic gradient descent.
  public func stage(_ name: String) throws -> TrainingStage {
    let model = model()
    let settings = Self.info.scale(configuration.scale)
    let isSmall = configuration.scale == .small
    let held = DataLoader(batches(validation, augments: false), batchSize: configuration.batchSize)
    let source = validation
    let rate = isSmall ? 5e-3 : 2.5e-3 * Double(configuration.batchSize) / Double(settings.batchSize)
    var stage = TrainingStage(
      model: model,
      optimizer: SGD(model.parameters(), learningRate: rate, momentum: 0.9, weightDecay: 5e-4),
      // 160 000 and 200 000 steps of 32 images, of COCO's 118 287.
      schedule: isSmall ? .constant : .milestones([43, 54], factor: 0.1),
      loader: DataLoader(
        batches(train, augments: true), batchSize: configuration.batchSize, isShuffled: true, dropsLast: true,
        seed: configuration.seed),
      target: settings.target, maximumEpochs: configuration.maximumEpochs,
      loss: { model.loss($0) },
      evaluate: { [self] in
        let quality = COCOAveragePrecision(
          try detections(held, model.objects), truth: (0..<source.count).map(source.annotations),
          classes: source.classNames.count)
        self.quality = quality
        return quality.average
      })
    stage.measures = { [self] in
      quality.map { [("AP", $0.average), ("AP50", $0.at50), ("AP75", $0.at75)] } ?? []
    }
    return stage
  }

  /// Finds the objects of validation images: rows of (class, score, x1, y1, x2, y2).
  public func inference() throws -> InferenceTask {
    let model = model()
    return InferenceTask(
      model: model, loader: DataLoader(batches(validation, augments: false), batchSize: configuration.batchSize),
      answer: { batch in
        Tensor.concatenated(model.objects(batch.inputs[0], ImageGeometry.read(batch.inputs[1])).map(\.tensor))
      })
  }
}
