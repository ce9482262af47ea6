// DC-AI-C9: which things does a photograph show, and where? Faster R-CNN with ResNet-101 on PASCAL VOC.

/// Faster R-CNN (Ren, He, Girshick and Sun, NIPS 2015) with the "C4" arrangement of its ResNet version. The first
/// three stages see the whole image; on their map, a region proposal network says where objects may be. Each proposed
/// region is pooled from the map to 7×7, and the fourth stage, which sees regions only, leads to its class and box.
///
/// Frozen normalization everywhere, and frozen stem and first stage, are the published training's.
final class FasterRCNN: Module {
  /// What differs between the scales.
  struct Shape: Sendable {
    var backbone: ResNet.Shape
    var proposals: RegionProposalNetwork.Settings
    /// Regions of an image to learn from.
    var sampling: RegionSampling
    var selection: DetectionSelection
    /// Whether the stem and the first stage stay what they were: those of a trained classifier.
    var freezesFirstStage: Bool

    /// From the image to the map.
    var stride: Int { proposals.anchors[0].stride }

    /// 47 462 111 parameters with 20 classes: ResNet-101, nine anchors of 128², 256² and 512² pixels at a stride of 16.
    static let paper = Shape(
      backbone: ResNet.Shape(
        width: 64, blocks: [3, 4, 23, 3], block: .bottleneckV1, stem: .reducingWithoutPadding,
        normalization: ResidualNormalization(isFrozen: true, lastScale: 1 / 33.0.squareRoot(), stemScale: 1 / 64)),
      proposals: RegionProposalNetwork.Settings(
        inputs: 1024, channels: 512,
        anchors: [AnchorGenerator(stride: 16, base: 16, scales: [8, 16, 32], ratios: [0.5, 1, 2])],
        hasBackgroundOutput: true),
      sampling: RegionSampling(count: 128), selection: DetectionSelection(score: 0, overlap: 0.3),
      freezesFirstStage: true)

    /// The same with an eighth of the channels, one block a stage, and six anchors at a stride of 8.
    static let small = Shape(
      backbone: ResNet.Shape(
        width: 8, blocks: [1, 1, 1, 1], block: .bottleneckV1, stem: .reducingWithoutPadding, strides: [1, 2, 1, 2],
        normalization: ResidualNormalization(isFrozen: true, lastScale: 0.5, stemScale: 1 / 64)),
      proposals: RegionProposalNetwork.Settings(
        inputs: 128, channels: 64,
        anchors: [AnchorGenerator(stride: 8, base: 16, scales: [1, 1.625], ratios: [0.7, 1, 1.4])],
        hasBackgroundOutput: true, examples: 64, trained: (before: 200, after: 60), tested: (before: 100, after: 30)),
      sampling: RegionSampling(count: 24), selection: DetectionSelection(score: 0.01, overlap: 0.3),
      freezesFirstStage: false)
  }

  let backbone: ResNet
  let proposals: RegionProposalNetwork
  let predictor: BoxPredictor
  private let shape: Shape

  /// - Parameter classes: without the background.
  init(_ shape: Shape, classes: Int) {
    self.shape = shape
    backbone = ResNet(shape.backbone, classes: nil)
    proposals = RegionProposalNetwork(shape.proposals)
    predictor = BoxPredictor(shape.backbone.channels(of: 4), classes: classes + 1)
    super.init()
    if shape.freezesFirstStage {
      backbone.conv1.freeze()
      backbone.layer1.freeze()
    }
  }

  /// The map that proposals and regions share: images [n, 3, h, w] → [n, 1024, h / 16, w / 16].
  func map(_ images: Tensor) -> Tensor {
    backbone.scoped { backbone.layer3(backbone.layer2(backbone.layer1(backbone.stem(images)))) }
  }

  /// Regions f32 [k, 5] of the map → logits [k, classes] and box changes [k, 4 classes].
  func head(_ map: Tensor, _ regions: Tensor) -> (logits: Tensor, deltas: Tensor) {
    scoped {
      let pooled = map.roiAlign(regions, size: 7, scale: 1 / Double(shape.stride))
      return predictor(backbone.layer4(pooled).mean([2, 3]))
    }
  }

  /// The four losses together: proposals' classes and boxes, regions' classes and boxes.
  func loss(_ batch: TensorBatch, _ sampler: ExampleSampler) -> Tensor {
    let geometry = ImageGeometry.read(batch.inputs[1])
    let truth = DetectionTruth.read(batch)
    let map = map(batch.inputs[0])
    let output = proposals([map])
    let sampled = shape.sampling(proposals.proposals(output, geometry), truth, sampler)
    return proposals.loss(output, truth, geometry, sampler)
      + predictor.loss(head(map, sampled.regions), sampled)
  }

  /// The objects of each image.
  func objects(_ images: Tensor, _ geometry: [ImageGeometry]) -> [DetectionSelection.Objects] {
    let map = map(images)
    let boxes = proposals.proposals(proposals([map]), geometry)
    return shape.selection.objects(head(map, regionsOfImages(boxes)), boxes, geometry)
  }
}

/// Everything that a detector claims about a data set's images.
func detections(
  _ loader: DataLoader, _ objects: (Tensor, [ImageGeometry]) -> [DetectionSelection.Objects]
) throws -> [DetectedObject] {
  var all: [DetectedObject] = []
  let batches = loader.batches(epoch: 0)
  while let batch = try batches.nextBatch()?.tensors() {
    let geometry = ImageGeometry.read(batch.inputs[1])
    for (image, found) in objects(batch.inputs[0], geometry).enumerated() { all += found.detections(geometry[image]) }
  }
  return all
}

/// Object detection: Faster R-CNN on PASCAL VOC 2007, or on small scenes.
public final class ObjectDetection: Benchmark {
  /// The facts.
  public static let info = BenchmarkInfo(
    id: "DC-AI-C9", name: "object-detection", task: "Object detection", model: "Faster R-CNN, ResNet-101 C4",
    dataSet: "PASCAL VOC 2007",
    dataFormat: "JPEGImages/*.jpg with Annotations/*.xml and ImageSets/Main/{trainval,test}.txt, or VOCdevkit/VOC2007",
    small: ScaleInfo(
      target: QualityTarget(metric: "mAP@0.5 (VOC 2007)", value: 0.8), batchSize: 8, maximumEpochs: 24,
      parameters: 209_664, forwardFLOPs: 107_245_568, optimizer: "Adam 0.001, gradients clipped at 10"),
    paper: ScaleInfo(
      target: QualityTarget(metric: "mAP@0.5 (VOC 2007)", value: 0.75), batchSize: 1, maximumEpochs: 20,
      parameters: 47_462_111, forwardFLOPs: 314_317_223_424,
      optimizer: "SGD 0.001, momentum 0.9, weight decay 1e-4, ÷10 every 5 epochs"),
    published: PublishedSize(
      forwardFLOPs: 315_604_000_000,
      source:
        "AIBench technical report, figure 2: 157 802 M multiply-accumulates, its largest model; ours are those of "
        + "an image of 600×901 and 300 regions (small: 64×64 and 30)"))

  private let configuration: BenchmarkConfiguration
  private let train, test: any ObjectSource

  /// Opens the annotations, or sets up the synthetic scenes.
  public init(_ configuration: BenchmarkConfiguration) throws {
    self.configuration = configuration
    if let directory = configuration.dataDirectory {
      train = try VOC(directory: directory, split: .train)
      test = try VOC(directory: directory, split: .test)
    } else if configuration.scale == .small {
      train = SyntheticScenes(count: 480, width: 64, height: 64, seed: 1)
      test = SyntheticScenes(count: 200, width: 64, height: 64, seed: 2)
    } else {
      // As many as VOC 2007 has, of its usual size.
      train = SyntheticScenes(count: 5011, width: 500, height: 375, seed: 1)
      test = SyntheticScenes(count: 4952, width: 500, height: 375, seed: 2)
    }
  }

  /// Where the images are from.
  public var dataDescription: String {
    "\(train.origin) (\(train.count) for training, \(test.count) for testing, \(train.classNames.count) classes)"
  }

  /// The published network has VOC's twenty classes, whatever the data.
  func model() -> FasterRCNN {
    configuration.scale == .small
      ? FasterRCNN(.small, classes: train.classNames.count) : FasterRCNN(.paper, classes: VOC.classes.count)
  }

  private func batches(_ source: any ObjectSource) -> DetectionBatches {
    // Images of one batch are padded to one size; the stride keeps their maps apart from rounding.
    DetectionBatches(
      source: source, size: configuration.scale == .small ? .square(64) : .fitted(shorter: 600, longer: 1000))
  }

  /// The four losses by stochastic gradient descent, alternating nothing: proposals and regions learn together.
  public func stage(_ name: String) throws -> TrainingStage {
    let model = model()
    let settings = Self.info.scale(configuration.scale)
    let isSmall = configuration.scale == .small
    let sampler = ExampleSampler(seed: configuration.seed)
    var training = batches(train)
    training.mirrors = true
    let held = DataLoader(batches(test), batchSize: configuration.batchSize)
    let source = test
    return TrainingStage(
      model: model,
      optimizer: isSmall
        ? Adam(model.parameters(), learningRate: 1e-3)
        : SGD(model.parameters(), learningRate: 1e-3, momentum: 0.9, weightDecay: 1e-4),
      schedule: isSmall ? .constant : .step(epochs: 5, factor: 0.1),
      loader: DataLoader(
        training, batchSize: configuration.batchSize, isShuffled: true, dropsLast: true, seed: configuration.seed),
      target: settings.target, maximumEpochs: configuration.maximumEpochs, gradientLimit: isSmall ? 10 : nil,
      loss: { model.loss($0, sampler) },
      evaluate: {
        VOCAveragePrecision.mean(
          try detections(held, model.objects), truth: (0..<source.count).map(source.annotations),
          classes: source.classNames.count)
      })
  }

  /// Finds the objects of test images: rows of (class, score, x1, y1, x2, y2).
  public func inference() throws -> InferenceTask {
    let model = model()
    return InferenceTask(
      model: model, loader: DataLoader(batches(test), batchSize: configuration.batchSize),
      answer: { batch in
        Tensor.concatenated(model.objects(batch.inputs[0], ImageGeometry.read(batch.inputs[1])).map(\.tensor))
      })
  }
}
