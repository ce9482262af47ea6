// DC-AI-C7: are these two photographs of the same person? FaceNet, trained on VGGFace2, asked on LFW.

/// From a face to a point on a sphere, near those of the same person (Schroff, Kalenichenko and Philbin, CVPR 2015),
/// with a residual network as trunk: f32 [n, 3, side, side] → [n, dimensions] of length 10.
final class FaceNet: Module, Layer {
  /// What differs between the scales.
  struct Shape: Sendable {
    var trunk: ResNet.Shape
    /// Width and height of an image.
    var side: Int
    /// Width and height of what the trunk gives.
    var features: Int
    var dimensions: Int

    /// 23 644 096 parameters: 21 284 672 of ResNet-34, 2 359 424 of the layer behind it.
    static let paper = Shape(trunk: .resNet34, side: 182, features: 6, dimensions: 128)
    /// 110 152 parameters: one block a stage, on 32×32.
    static let small = Shape(
      trunk: ResNet.Shape(width: 8, blocks: [1, 1, 1, 1], block: .basic, stem: .plain), side: 32, features: 4,
      dimensions: 32)
  }

  /// The radius of the sphere. On a larger one, distances spread more for the same angles (Ranjan et al. 2017).
  static let radius = 10.0

  let trunk: ResNet
  let embedding: Linear

  init(_ shape: Shape) {
    trunk = ResNet(shape.trunk, classes: nil)
    embedding = Linear(shape.trunk.channels(of: 4) * shape.features * shape.features, shape.dimensions)
  }

  func forward(_ x: Tensor) -> Tensor {
    // No pooling: where an eye is matters.
    let y = embedding(trunk(x).flattened(1))
    return y / y.norm([1], keep: true).clamped(1e-12, .infinity) * Self.radius
  }
}

/// The triplet loss: a photograph should be nearer to one of the same person than to another's, by a margin. Triplets
/// that hold it already are left out of the mean.
struct TripletLoss: Sendable {
  var margin = 0.5

  /// Of points f32 [n, d] each.
  func callAsFunction(anchors: Tensor, positives: Tensor, negatives: Tensor) -> Tensor {
    let near = Self.distances(anchors, positives)
    let far = Self.distances(anchors, negatives)
    let excess = (near - far + margin).relu()
    let hard = withoutGradients { max(excess.isGreater(0).to(.float32).sum().item, 1) }
    return excess.sum() / hard
  }

  /// Euclidean distances [n]; PyTorch's ε keeps the gradient of equal points finite.
  static func distances(_ a: Tensor, _ b: Tensor) -> Tensor { (a - b + 1e-6).norm([1]) }
}

/// Face embedding: FaceNet with triplet loss.
public final class FaceEmbedding: Benchmark {
  /// The facts.
  public static let info = BenchmarkInfo(
    id: "DC-AI-C7", name: "face-embedding", task: "Face embedding", model: "FaceNet (ResNet-34 trunk)",
    dataSet: "VGGFace2, LFW",
    dataFormat: "train/PERSON/*.jpg (or .png), lfw/NAME/NAME_0001.jpg and lfw/pairs.txt (or pairs.txt)",
    small: ScaleInfo(
      target: QualityTarget(metric: "verification accuracy", value: 0.9), batchSize: 32, maximumEpochs: 20,
      parameters: 110_152, forwardFLOPs: 8_372_224, optimizer: "Adam 0.001"),
    paper: ScaleInfo(
      target: QualityTarget(metric: "verification accuracy", value: 0.9897), batchSize: 64, maximumEpochs: 200,
      parameters: 23_644_096, forwardFLOPs: 5_181_967_744,
      optimizer: "Adam 0.001, ÷10 every 50 epochs"),
    published: PublishedSize(
      parameters: 24_934_096, forwardFLOPs: 5_181_967_744,
      source: "AIBench's code (its report says about 24 million); FLOPs of one photograph",
      difference: "1 290 000 parameters of the code are a classifier whose output no loss uses; it is left out here"))

  private let configuration: BenchmarkConfiguration
  private let shape: FaceNet.Shape
  private let train: any FacePhotographs
  private let pairs: FacePairs

  /// Opens the folders, or sets up drawn faces.
  public init(_ configuration: BenchmarkConfiguration) throws {
    self.configuration = configuration
    let isSmall = configuration.scale == .small
    shape = isSmall ? .small : .paper
    if let path = configuration.dataDirectory {
      let directory = try DataDirectory(path)
      guard let folder = directory.firstDirectory(of: ["train"]) else {
        throw directory.wrongFormat(expected: ["train/PERSON/*.jpg", "lfw/NAME/NAME_0001.jpg", "lfw/pairs.txt"])
      }
      pairs = try LabeledFaces.load(directory, side: shape.side)
      // Mirrored or not, otherwise whole: the photographs are aligned.
      train = try IdentityFolders(
        folder, side: shape.side, framing: .randomCrop(enlarged: shape.side), seed: configuration.seed)
    } else {
      // The people that are asked for are not those of training.
      let people = isSmall ? (train: 60, held: 30) : (train: 1000, held: 100)
      train = SyntheticFaces(identities: people.train, photographsEach: 20, side: shape.side, seed: 1)
      pairs = SyntheticFaces(identities: people.held, photographsEach: 8, side: shape.side, seed: 2)
        .pairs(each: isSmall ? 50 : 30)
    }
  }

  /// Where the photographs are from.
  public var dataDescription: String {
    "\(train.origin) (\(train.identityCount) people for training; "
      + "\(pairs.folds.count) folds of \(pairs.folds[0].count) pairs from \(pairs.photographs.count) photographs)"
  }

  /// Triplets in an epoch.
  private var tripletsPerEpoch: Int { configuration.scale == .small ? 1024 : 10_000 }

  /// Draws triplets and pulls them into order.
  public func stage(_ name: String) throws -> TrainingStage {
    let model = FaceNet(shape)
    let loss = TripletLoss()
    var stage = TrainingStage(
      model: model, optimizer: Adam(model.parameters(), learningRate: 1e-3),
      schedule: configuration.scale == .small ? .constant : .step(epochs: 50, factor: 0.1),
      loader: DataLoader(
        FaceTriplets(photographs: train, count: tripletsPerEpoch), batchSize: configuration.batchSize,
        seed: configuration.seed),
      target: Self.info.scale(configuration.scale).target, maximumEpochs: configuration.maximumEpochs,
      loss: { batch in
        let points = model(batch.inputs[0])
        let n = batch.samples
        return loss(
          anchors: points.slice(0, 0..<n), positives: points.slice(0, n..<2 * n),
          negatives: points.slice(0, 2 * n..<3 * n))
      },
      evaluate: { [unowned self] in try verify(model) })
    stage.newWarnings = { [train, pairs] in train.newWarnings() + pairs.photographs.newWarnings() }
    return stage
  }

  /// The verification accuracy on people that are not in training.
  func verify(_ model: any Layer) throws -> Double {
    let batches = DataLoader(ImageBatches(source: pairs.photographs), batchSize: configuration.batchSize)
      .batches(epoch: 0)
    var points: [Float] = []
    while let batch = try batches.nextBatch()?.tensors() {
      points += withoutGradients { model(batch.inputs[0]).floats() }
    }
    let width = shape.dimensions
    return FaceVerification.accuracy(
      pairs.folds.map { fold in
        let distances = fold.map { pair in
          (0..<width).reduce(0.0) { sum, index in
            let difference = Double(points[pair.first * width + index] - points[pair.second * width + index])
            return sum + difference * difference
          }.squareRoot()
        }
        return FaceVerification.Fold(distances: distances, isSame: fold.map(\.isSame))
      })
  }

  /// Embeds photographs: f32 [n, dimensions].
  public func inference() throws -> InferenceTask {
    let model = FaceNet(shape)
    return InferenceTask(
      model: model, loader: DataLoader(ImageBatches(source: pairs.photographs), batchSize: configuration.batchSize),
      answer: { model($0.inputs[0]) })
  }
}
