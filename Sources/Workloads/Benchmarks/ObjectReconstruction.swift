// DC-AI-C13: what does a thing look like from all sides, when one picture shows it? Perspective transformer nets.

/// A picture → a volume, learned from silhouettes (Yan et al., "Perspective transformer nets: learning single-view 3D
/// object reconstruction without 3D supervision", NIPS 2016; layers and initial values of their TensorFlow program).
final class PerspectiveTransformerNet: Module, Layer {
  /// What makes the published network differ from the small one.
  struct Shape: Sendable {
    /// Width and height of a picture.
    var imageSide: Int
    /// Voxels along an edge of the volume; eight times as many as before the three deconvolutions.
    var volumeSide: Int
    /// Channels of the first convolution; everything else is in proportion.
    var filters: Int
    /// Units of the two dense layers.
    var dense: Int
    /// Numbers that describe a thing, and as many that describe its pose.
    var code: Int
    /// The first weights; the first biases are zero.
    var initialization: Initialization
    /// The last bias, which decides how full the first volumes are.
    var initialFilling: Double
    /// Pictures of a thing, evenly all around.
    var views: Int
    /// Silhouettes of each thing that a step compares.
    var silhouettes: Int

    /// 48 198 369 parameters: 64×64 pixels to 32³ voxels.
    static let paper = Shape(
      imageSide: 64, volumeSide: 32, filters: 64, dense: 1024, code: 512, initialization: .normal(deviation: 0.02),
      initialFilling: 0, views: 24, silhouettes: 24)
    /// 330 333 parameters: 32×32 pixels to 16³ voxels. A silhouette is as full as the fullest voxel of each ray, so that
    /// from half full volumes the first steps push everything towards empty, in some runs until nothing ever learns again.
    /// Nearly empty ones are pulled up where something is.
    static let small = Shape(
      imageSide: 32, volumeSide: 16, filters: 8, dense: 128, code: 64, initialization: .kaimingNormal(),
      initialFilling: -2, views: 8, silhouettes: 8)
  }

  let conv1, conv2, conv3: Conv2d
  let fc1, fc2: Linear
  let id: Linear
  /// The pose is what the encoder's pre-training learns beside the identity, by turning the thing. A volume does not
  /// need it, so here it is not computed, and its weights stay.
  let pose: Linear
  let fc3: Linear
  let deconv1, deconv2, deconv3: ConvTranspose3d
  let shape: Shape

  init(_ shape: Shape) {
    self.shape = shape
    let f = shape.filters
    func halving(_ inputs: Int, _ outputs: Int) -> Conv2d {
      Conv2d(inputs, outputs, kernel: 5, stride: 2, padding: 2)
    }
    conv1 = halving(3, f)
    conv2 = halving(f, 2 * f)
    conv3 = halving(2 * f, 4 * f)
    let places = shape.imageSide / 8 * (shape.imageSide / 8)
    fc1 = Linear(4 * f * places, shape.dense)
    fc2 = Linear(shape.dense, shape.dense)
    id = Linear(shape.dense, shape.code)
    pose = Linear(shape.dense, shape.code)
    let first = shape.volumeSide / 8
    fc3 = Linear(shape.code, 8 * f * first * first * first)
    // All double the side.
    deconv1 = ConvTranspose3d(8 * f, 4 * f, kernel: 4, stride: 2, padding: 1)
    deconv2 = ConvTranspose3d(4 * f, 3 * f / 2, kernel: 5, stride: 2, padding: 2, outputPadding: 1)
    deconv3 = ConvTranspose3d(3 * f / 2, 1, kernel: 6, stride: 2, padding: 2)
    super.init()
    for (path, parameter) in namedParameters() {
      (path.hasSuffix("bias") ? Initialization.zeros : shape.initialization)(parameter)
    }
    deconv3.bias?.detached().fill(shape.initialFilling)
  }

  /// What a thing is, whatever its pose: [n, 3, h, w] in 0 … 1 → [n, code].
  func encode(_ images: Tensor) -> Tensor {
    var x = conv1(images * 2 - 1).relu()
    x = conv2(x).relu()
    x = conv3(x).relu().flattened(1)
    x = fc2(fc1(x).relu()).relu()
    return id(x).relu()
  }

  /// [n, 3, h, w] → how likely each voxel is full, [n, 1, side, side, side].
  func forward(_ images: Tensor) -> Tensor {
    let first = shape.volumeSide / 8
    var x = fc3(encode(images)).relu().view([images.size(0), 8 * shape.filters, first, first, first])
    x = deconv1(x).relu()
    x = deconv2(x).relu()
    return deconv3(x).sigmoid()
  }
}

/// 3D object reconstruction: volumes from single pictures, learned from silhouettes.
public final class ObjectReconstruction: Benchmark {
  /// The facts.
  public static let info = BenchmarkInfo(
    id: "DC-AI-C13", name: "3d-object-reconstruction", task: "3D object reconstruction",
    model: "Perspective transformer nets", dataSet: "ShapeNetCore",
    dataFormat:
      "SYNSET_train.tfrecords with SYNSET_val.tfrecords (image, vox), or ShapeNetVox32/ with ShapeNetRendering/",
    small: ScaleInfo(
      target: QualityTarget(metric: "IoU", value: 0.45), batchSize: 16, maximumEpochs: 15, parameters: 330_333,
      forwardFLOPs: 12_267_520, optimizer: "Adam 0.001"),
    paper: ScaleInfo(
      target: QualityTarget(metric: "IoU", value: 0.4583), batchSize: 6, maximumEpochs: 100,
      parameters: 48_198_369, forwardFLOPs: 4_679_139_328, optimizer: "Adam 1e-4, weight decay 0.001"),
    published: PublishedSize(
      parameters: 48_198_369, source: "the authors' TensorFlow program, with the pose unit of its pre-training"))

  /// The weight of the silhouettes' error.
  static let projectionWeight = 10.0

  private let configuration: BenchmarkConfiguration
  private let shape: PerspectiveTransformerNet.Shape
  private let train, validation: any Solids

  /// Finds the solids, or sets up the synthetic ones.
  public init(_ configuration: BenchmarkConfiguration) throws {
    self.configuration = configuration
    let isSmall = configuration.scale == .small
    let shape: PerspectiveTransformerNet.Shape = isSmall ? .small : .paper
    self.shape = shape
    if let path = configuration.dataDirectory {
      let directory = try DataDirectory(path)
      let hasRecords = try ShapeNetRecords.isThere(directory)
      func solids(_ split: SolidSplit) throws(DataError) -> any Solids {
        hasRecords
          ? try ShapeNetRecords(directory, split: split, imageSide: shape.imageSide, volumeSide: shape.volumeSide)
          : try ShapeNetFolders(directory, split: split, imageSide: shape.imageSide, volumeSide: shape.volumeSide)
      }
      train = try solids(.train)
      validation = try solids(.validation)
    } else {
      func solids(_ count: Int, seed: UInt64) -> SyntheticSolids {
        SyntheticSolids(
          count: count, views: shape.views, imageSide: shape.imageSide, volumeSide: shape.volumeSide, seed: seed)
      }
      train = solids(isSmall ? 640 : 1200, seed: 1)
      validation = solids(isSmall ? 32 : 24, seed: 2)
    }
  }

  /// Where the solids are from.
  public var dataDescription: String {
    "\(train.origin) (\(train.count) solids for training, \(validation.count) for validation, \(train.views) pictures "
      + "each)"
  }

  func model() -> PerspectiveTransformerNet { PerspectiveTransformerNet(shape) }

  /// The error of silhouettes: ten times half the squared error, summed over a silhouette, the mean over all of them.
  static func projectionLoss(
    _ volumes: Tensor, _ truth: Tensor, _ projector: PerspectiveProjector, views: [Int]
  ) -> Tensor {
    let silhouettes = withoutGradients { projector(truth, views: views) }
    let error = projector(volumes, views: views).squaredError(silhouettes, reduction: .sum)
    return error * (projectionWeight / 2 / Double(views.count))
  }

  /// Silhouettes from random sides, by Adam.
  public func stage(_ name: String) throws -> TrainingStage {
    let model = model()
    let isSmall = configuration.scale == .small
    let projector = PerspectiveProjector(side: shape.volumeSide, views: shape.views)
    let (shape, seed) = (shape, configuration.seed)
    let optimizer =
      isSmall
      ? Adam(model.parameters(), learningRate: 1e-3)
      : Adam(model.parameters(), learningRate: 1e-4, weightDecay: 1e-3)
    return TrainingStage(
      model: model, optimizer: optimizer,
      loader: DataLoader(
        SolidBatches(source: train, hasAllViews: false), batchSize: configuration.batchSize, isShuffled: true,
        dropsLast: true, seed: seed),
      target: Self.info.scale(configuration.scale).target, maximumEpochs: configuration.maximumEpochs,
      step: { step in
        var random = SeededRandom(seed, 14, step.number)
        let views = (0..<step.batch.samples).flatMap { _ in
          random.permutation(shape.views).prefix(shape.silhouettes)
        }
        let loss = step.forward {
          Self.projectionLoss(model(step.batch.inputs[0]), step.batch.targets[0], projector, views: views)
        }
        step.update(optimizer, by: loss)
        return loss.item
      },
      evaluate: { [self] in try evaluate(model) })
  }

  /// The mean intersection over union of volumes made from every picture of the validation set.
  func evaluate(_ model: PerspectiveTransformerNet) throws -> Double {
    let loader = DataLoader(SolidBatches(source: validation, hasAllViews: true), batchSize: 16)
    let batches = loader.batches(epoch: 0)
    var (sum, count) = (0.0, 0)
    while let batch = try batches.nextBatch()?.tensors() {
      let overlaps = VolumeOverlap.intersectionOverUnion(model(batch.inputs[0]), batch.targets[0])
      sum += overlaps.reduce(0, +)
      count += overlaps.count
    }
    return sum / Double(count)
  }

  /// Volumes [n, 1, side, side, side] of pictures.
  public func inference() throws -> InferenceTask {
    let model = model()
    return InferenceTask(
      model: model,
      loader: DataLoader(
        SolidBatches(source: validation, hasAllViews: true), batchSize: configuration.batchSize),
      answer: { model($0.inputs[0]) })
  }
}
