// ML-MaskRCNN: which things does a photograph show, where, and which pixels are theirs? Mask R-CNN on COCO.

/// Mask R-CNN (He, Gkioxari, Dollár and Girshick, ICCV 2017) with ResNet-50 and a feature pyramid, as MLPerf Training
/// has it. All four stages see the whole image; the pyramid makes five maps of them. One region proposal network looks
/// at every map. A proposed region is pooled from the map that suits its size, to 7×7 for its class and box, and, when
/// it holds an object, to 14×14 for the object's mask of 28×28.
final class MaskRCNN: Module {
  /// What differs between the scales.
  struct Shape: Sendable {
    var backbone: ResNet.Shape
    /// Of the pyramid's maps.
    var channels: Int
    var proposals: RegionProposalNetwork.Settings
    var pooling: PyramidPooling
    /// Of the box head's two hidden layers.
    var hidden: Int
    var maskChannels: Int
    var sampling: RegionSampling
    var selection = DetectionSelection()
    /// Whether the stem and the first stage stay what they were: those of a trained classifier.
    var freezesFirstStage: Bool

    private static func anchors(_ sizes: [Int]) -> [AnchorGenerator] {
      sizes.enumerated().map { level, size in
        AnchorGenerator(
          stride: 4 << level, base: 4 << level, scales: [Double(size) / Double(4 << level)], ratios: [0.5, 1, 2])
      }
    }

    /// 44 400 693 parameters with 80 classes.
    static let paper = Shape(
      backbone: ResNet.Shape(
        width: 64, blocks: [3, 4, 6, 3], block: .bottleneckV1,
        normalization: ResidualNormalization(isFrozen: true, lastScale: 0.25, stemScale: 1 / 64)),
      channels: 256,
      proposals: RegionProposalNetwork.Settings(
        inputs: 256, channels: 256, anchors: anchors([32, 64, 128, 256, 512]), trained: (before: 2000, after: 2000),
        tested: (before: 1000, after: 1000)),
      pooling: PyramidPooling(stride: 4, maps: 4, canonical: 224), hidden: 1024, maskChannels: 256,
      sampling: RegionSampling(count: 512), freezesFirstStage: true)

    /// The same with an eighth of the channels and one block a stage, for objects of 12 to 30 pixels.
    static let small = Shape(
      backbone: ResNet.Shape(
        width: 8, blocks: [1, 1, 1, 1], block: .bottleneckV1,
        normalization: ResidualNormalization(isFrozen: true, lastScale: 0.5, stemScale: 1 / 64)),
      channels: 32,
      proposals: RegionProposalNetwork.Settings(
        inputs: 32, channels: 32, anchors: anchors([14, 22, 32, 44, 64]), examples: 64,
        trained: (before: 100, after: 60), tested: (before: 60, after: 30)),
      pooling: PyramidPooling(stride: 4, maps: 4, canonical: 48), hidden: 64, maskChannels: 16,
      sampling: RegionSampling(count: 24), freezesFirstStage: false)
  }

  let backbone: ResNet
  let pyramid: FeaturePyramid
  let proposals: RegionProposalNetwork
  let fc6, fc7: Linear
  let predictor: BoxPredictor
  let mask: MaskHead
  private let shape: Shape

  /// - Parameter classes: without the background.
  init(_ shape: Shape, classes: Int) {
    self.shape = shape
    backbone = ResNet(shape.backbone, classes: nil)
    pyramid = FeaturePyramid((1...4).map(shape.backbone.channels), channels: shape.channels)
    proposals = RegionProposalNetwork(shape.proposals)
    fc6 = Linear(shape.channels * 49, shape.hidden)
    fc7 = Linear(shape.hidden, shape.hidden)
    predictor = BoxPredictor(shape.hidden, classes: classes + 1)
    mask = MaskHead(shape.channels, channels: shape.maskChannels, classes: classes + 1)
    super.init()
    for layer in [fc6, fc7] {
      Initialization.kaimingUniform(a: 1)(layer.weight)
      layer.bias?.fill(0)
    }
    if shape.freezesFirstStage {
      backbone.conv1.freeze()
      backbone.layer1.freeze()
    }
  }

  /// The pyramid of images [n, 3, h, w]: maps of 1/4 to 1/64 of their size.
  func maps(_ images: Tensor) -> [Tensor] { pyramid(backbone.scoped { backbone.stages(images) }) }

  /// Regions f32 [k, 5] → logits [k, classes] and box changes [k, 4 classes].
  func boxHead(_ maps: [Tensor], _ regions: Tensor) -> (logits: Tensor, deltas: Tensor) {
    scoped {
      let pooled = shape.pooling(maps, regions, size: 7).flattened(1)
      return predictor(fc7(fc6(pooled).reluInPlace()).reluInPlace())
    }
  }

  /// Regions f32 [k, 5] → logits of the masks [k, classes, 28, 28].
  func maskHead(_ maps: [Tensor], _ regions: Tensor) -> Tensor {
    scoped { mask(shape.pooling(maps, regions, size: 14)) }
  }

  /// The five losses together: proposals' classes and boxes, regions' classes and boxes, masks.
  func loss(_ batch: TensorBatch, _ sampler: ExampleSampler) -> Tensor {
    let geometry = ImageGeometry.read(batch.inputs[1])
    let truth = DetectionTruth.read(batch)
    let maps = maps(batch.inputs[0])
    let output = proposals(maps)
    let sampled = shape.sampling(proposals.proposals(output, geometry), truth, sampler)
    let loss =
      proposals.loss(output, truth, geometry, sampler)
      + predictor.loss(boxHead(maps, sampled.regions), sampled)
    guard !sampled.owners.isEmpty else { return loss }
    let found = sampled.regions.slice(0, 0..<sampled.owners.count)
    return loss + mask.loss(maskHead(maps, found), sampled, truth)
  }

  /// The objects of each image, with the probabilities of their pixels, f32 [d, 28, 28].
  func objects(
    _ images: Tensor, _ geometry: [ImageGeometry]
  ) -> [(objects: DetectionSelection.Objects, masks: Tensor)] {
    let maps = maps(images)
    let boxes = proposals.proposals(proposals(maps), geometry)
    let found = shape.selection.objects(boxHead(maps, regionsOfImages(boxes)), boxes, geometry)
    let labels = found.flatMap(\.labels)
    guard !labels.isEmpty else { return found.map { ($0, Tensor.zeros([0, 28, 28])) } }
    // Masks are made for the chosen boxes only, after their places have been corrected.
    let masks = mask.probabilities(maskHead(maps, regionsOfImages(found.map(\.boxes))), labels)
    var start = 0
    return found.map { objects in
      defer { start += objects.labels.count }
      return (objects, masks.slice(0, start..<start + objects.labels.count))
    }
  }
}

/// Object detection, heavy: Mask R-CNN on COCO, or on small scenes.
public final class ObjectDetectionHeavy: Benchmark {
  /// The facts.
  public static let info = BenchmarkInfo(
    id: "ML-MaskRCNN", name: "object-detection-heavy", task: "Object detection, heavy",
    model: "Mask R-CNN, ResNet-50 FPN",
    dataSet: "COCO 2017",
    dataFormat: "annotations/instances_{train,val}2017.json with train2017/*.jpg and val2017/*.jpg",
    small: ScaleInfo(
      target: QualityTarget(metric: "mask AP (COCO)", value: 0.6), batchSize: 8, maximumEpochs: 24,
      parameters: 309_183, forwardFLOPs: 45_535_936, optimizer: "Adam 0.001, gradients clipped at 10"),
    paper: ScaleInfo(
      target: QualityTarget(metric: "box AP (COCO)", value: 0.377), batchSize: 16, maximumEpochs: 13,
      parameters: 44_400_693, forwardFLOPs: 453_051_314_688,
      optimizer:
        "SGD 0.02 at batch 16 (in proportion to the batch), momentum 0.9, weight decay 1e-4, 500 steps of warm-up, "
        + "÷10 at epochs 8, 11"),
    published: PublishedSize(
      parameters: 44_454_513,
      source: "torchvision's maskrcnn_resnet50_fpn, 44 401 393 and the 53 120 of its frozen normalizations. It has 91 "
        + "outputs, ours 81. FLOPs are those of an image of 800×1088, 1000 regions and 100 objects (small: 64×64, 30 and 4)"
    ))

  /// COCO's.
  static let paperClasses = 80

  private let configuration: BenchmarkConfiguration
  private let train, validation: any ObjectSource
  /// Boxes' and masks' measures at the last evaluation.
  private var quality: (boxes: COCOAveragePrecision, masks: COCOAveragePrecision)?

  /// Opens the annotations, or sets up the synthetic scenes.
  public init(_ configuration: BenchmarkConfiguration) throws {
    self.configuration = configuration
    let isSmall = configuration.scale == .small
    if let directory = configuration.dataDirectory {
      train = try COCO(directory: directory, split: .train, skipsEmpty: true)
      validation = try COCO(directory: directory, split: .val)
      if !isSmall, train.classNames.count > Self.paperClasses {
        throw DataError.unsuitable(
          path: directory,
          reason: "it has \(train.classNames.count) categories, Mask R-CNN at paper scale has \(Self.paperClasses)")
      }
      guard train.classNames == validation.classNames else {
        throw DataError.unsuitable(
          path: directory, reason: "the categories of the training and the validation annotations differ")
      }
      for source in [train, validation] {
        for index in 0..<source.count where source.annotations(index).contains(where: { $0.outline == nil }) {
          throw DataError.unsuitable(path: directory, reason: "an object of image \(index) has no segmentation")
        }
      }
    } else if isSmall {
      train = SyntheticScenes(count: 480, width: 64, height: 64, seed: 1, hasOutlines: true)
      validation = SyntheticScenes(count: 200, width: 64, height: 64, seed: 2, hasOutlines: true)
    } else {
      train = SyntheticScenes(count: 12_800, width: 640, height: 480, seed: 1, hasOutlines: true)
      validation = SyntheticScenes(count: 640, width: 640, height: 480, seed: 2, hasOutlines: true)
    }
  }

  /// Where the images are from.
  public var dataDescription: String {
    "\(train.origin) (\(train.count) for training, \(validation.count) for validation, "
      + "\(train.classNames.count) classes)"
  }

  /// The published network has COCO's classes, whatever the data.
  func model() -> MaskRCNN {
    configuration.scale == .small
      ? MaskRCNN(.small, classes: train.classNames.count) : MaskRCNN(.paper, classes: Self.paperClasses)
  }

  private func batches(_ source: any ObjectSource) -> DetectionBatches {
    // The coarsest stage has a stride of 32, and enlarging it must meet the finer ones.
    DetectionBatches(
      source: source, size: configuration.scale == .small ? .square(64) : .fitted(shorter: 800, longer: 1333),
      multiple: 32)
  }

  /// The five losses by stochastic gradient descent.
  public func stage(_ name: String) throws -> TrainingStage {
    let model = model()
    let settings = Self.info.scale(configuration.scale)
    let isSmall = configuration.scale == .small
    let sampler = ExampleSampler(seed: configuration.seed)
    var training = batches(train)
    training.mirrors = true
    training.hasMasks = true
    let held = DataLoader(batches(validation), batchSize: configuration.batchSize)
    let rate = 0.02 * Double(configuration.batchSize) / Double(settings.batchSize)
    var stage = TrainingStage(
      model: model,
      optimizer: isSmall
        ? Adam(model.parameters(), learningRate: 1e-3)
        : SGD(model.parameters(), learningRate: rate, momentum: 0.9, weightDecay: 1e-4),
      // 60 000 and 80 000 steps of 16 images, of COCO's 118 287.
      schedule: isSmall ? .constant : .warmUp(steps: 500, then: .milestones([8, 11], factor: 0.1)),
      loader: DataLoader(
        training, batchSize: configuration.batchSize, isShuffled: true, dropsLast: true, seed: configuration.seed),
      target: settings.target, maximumEpochs: configuration.maximumEpochs, gradientLimit: isSmall ? 10 : nil,
      loss: { model.loss($0, sampler) },
      evaluate: { [self] in
        let quality = try evaluate(model, held)
        self.quality = quality
        return isSmall ? quality.masks.average : quality.boxes.average
      })
    stage.measures = { [self] in
      quality.map {
        [
          ("box AP", $0.boxes.average), ("box AP50", $0.boxes.at50), ("box AP75", $0.boxes.at75),
          ("mask AP", $0.masks.average), ("mask AP50", $0.masks.at50), ("mask AP75", $0.masks.at75),
        ]
      } ?? []
    }
    return stage
  }

  private func evaluate(
    _ model: MaskRCNN, _ loader: DataLoader
  ) throws -> (boxes: COCOAveragePrecision, masks: COCOAveragePrecision) {
    var claims: [DetectedObject] = []
    var sizes: [(width: Int, height: Int)] = []
    let batches = loader.batches(epoch: 0)
    while let batch = try batches.nextBatch()?.tensors() {
      let geometry = ImageGeometry.read(batch.inputs[1])
      for (shape, found) in zip(geometry, model.objects(batch.inputs[0], geometry)) {
        // Masks are judged in the image's own pixels.
        let size = (
          width: Int((Float(shape.width) / shape.horizontal).rounded()),
          height: Int((Float(shape.height) / shape.vertical).rounded())
        )
        sizes.append(size)
        let pixels = found.masks.floats()
        let side = found.masks.size(1)
        claims += found.objects.detections(shape).enumerated().map { place, claim in
          var claim = claim
          claim.mask = MaskHead.paste(
            pixels[(place * side * side)..<((place + 1) * side * side)], side: side, box: claim.box,
            width: size.width, height: size.height)
          return claim
        }
      }
    }
    let truth = (0..<validation.count).map(validation.annotations)
    let classes = validation.classNames.count
    return (
      COCOAveragePrecision(claims, truth: truth, classes: classes),
      COCOAveragePrecision(claims, truth: truth, sizes: sizes, classes: classes, overlap: .masks)
    )
  }

  /// Finds the objects of validation images: rows of (class, score, x1, y1, x2, y2) and the probabilities of 28×28
  /// pixels.
  public func inference() throws -> InferenceTask {
    let model = model()
    return InferenceTask(
      model: model, loader: DataLoader(batches(validation), batchSize: configuration.batchSize),
      answer: { batch in
        Tensor.concatenated(
          model.objects(batch.inputs[0], ImageGeometry.read(batch.inputs[1])).map {
            Tensor.concatenated([$0.objects.tensor, $0.masks.flattened(1)], dimension: 1)
          })
      })
  }
}
