// DC-AI-C15: read a digit after straightening it. Spatial transformer network on MNIST.

/// The spatial transformer network (Jaderberg et al., NIPS 2015) for 28×28 digits: a small network looks at the image
/// and says how to turn, scale and shift it; the image is sampled anew by that affine map; a second network reads it.
///
/// f32 [n, 1, 28, 28] → log probabilities [n, 10]. 27 360 parameters.
final class SpatialTransformerNetwork: Module, Layer {
  let localization = Sequential(
    Conv2d(1, 8, kernel: 7), MaxPool2d(2), ReLU(inPlace: true),
    Conv2d(8, 10, kernel: 5), MaxPool2d(2), ReLU(inPlace: true))
  let fc_loc = Sequential(Linear(10 * 3 * 3, 32), ReLU(inPlace: true), Linear(32, 6))
  let conv1 = Conv2d(1, 10, kernel: 5)
  let conv2 = Conv2d(10, 20, kernel: 5)
  let conv2_drop = Dropout2d()
  let fc1 = Linear(320, 50)
  let dropout = Dropout()
  let fc2 = Linear(50, 10)

  override init() {
    super.init()
    // At first the map is the identity.
    if let last = fc_loc.layers.last as? Linear, let bias = last.bias {
      last.weight.fill(0)
      bias.copy(from: Tensor([1, 0, 0, 0, 1, 0], shape: [6]))
    }
  }

  /// The affine map for each image: [n, 2, 3].
  func transformation(_ x: Tensor) -> Tensor { fc_loc(localization(x).flattened(1)).view([-1, 2, 3]) }

  func forward(_ x: Tensor) -> Tensor {
    let straight = x.gridSample(transformation(x).affineGrid(x.shape))
    var y = conv1(straight).maxPool2d(2).relu()
    y = conv2_drop(conv2(y)).maxPool2d(2).relu()
    y = fc1(y.flattened(1)).relu()
    return fc2(dropout(y)).logSoftmax(1)
  }
}

/// Spatial transformer: the same network at both scales.
public final class SpatialTransformer: Benchmark {
  /// The facts.
  public static let info = BenchmarkInfo(
    id: "DC-AI-C15", name: "spatial-transformer", task: "Spatial transformer", model: "Spatial transformer network",
    dataSet: "MNIST",
    dataFormat: "train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-images-idx3-ubyte, t10k-labels-idx1-ubyte; "
      + "each plain or .gz",
    small: ScaleInfo(
      target: QualityTarget(metric: "top-1 accuracy", value: 0.99), batchSize: 64, maximumEpochs: 20,
      parameters: 27_360, forwardFLOPs: 1_552_008, optimizer: "Adam 0.001"),
    paper: ScaleInfo(
      target: QualityTarget(metric: "top-1 accuracy", value: 0.99), batchSize: 64, maximumEpochs: 60,
      parameters: 27_360, forwardFLOPs: 1_552_008, optimizer: "SGD 0.01"),
    published: PublishedSize(
      parameters: 27_360, forwardFLOPs: 1_542_600,
      source:
        "PyTorch's tutorial by torch.utils.flop_counter, which leaves out the product that makes the sampling grid (9408)"
    ))

  private let configuration: BenchmarkConfiguration
  private let train, test: GreyImageSource

  /// Reads MNIST, or draws warped digits: 12 000 and 2000, at paper scale as many as MNIST has.
  public init(_ configuration: BenchmarkConfiguration) throws {
    self.configuration = configuration
    if let directory = configuration.dataDirectory {
      func load(_ split: MNIST.Split) throws -> GreyImageSource {
        let images = try MNIST.load(directory: directory, split: split)
        guard images.height == 28, images.width == 28 else {
          throw DataError.unsuitable(
            path: directory, reason: "its images have \(images.width)×\(images.height) pixels, the network takes 28×28")
        }
        return GreyImageSource(images: images, origin: directory)
      }
      train = try load(.train)
      test = try load(.test)
    } else {
      let (many, few) = configuration.scale == .small ? (12_000, 2000) : (60_000, 10_000)
      func draw(_ count: Int, _ seed: UInt64) -> GreyImageSource {
        GreyImageSource(
          images: SyntheticGlyphs.images(count: count, seed: seed),
          origin: SyntheticGlyphs.origin(count: count, seed: seed))
      }
      train = draw(many, 1)
      test = draw(few, 2)
    }
  }

  /// Where the digits are from.
  public var dataDescription: String {
    "\(train.origin) (\(train.count) for training, \(test.count) for testing)"
  }

  /// Negative log likelihood.
  public func stage(_ name: String) throws -> TrainingStage {
    let model = SpatialTransformerNetwork()
    let held = DataLoader(ImageBatches(source: test), batchSize: 500)
    let optimizer: any Optimizer =
      configuration.scale == .small
      ? Adam(model.parameters(), learningRate: 1e-3) : SGD(model.parameters(), learningRate: 0.01)
    return TrainingStage(
      model: model, optimizer: optimizer,
      loader: DataLoader(
        ImageBatches(source: train), batchSize: configuration.batchSize, isShuffled: true, seed: configuration.seed),
      target: Self.info.scale(configuration.scale).target, maximumEpochs: configuration.maximumEpochs,
      loss: { model($0.inputs[0]).nllLoss($0.targets[0]) },
      evaluate: { try topOneAccuracy(held, model) })
  }

  /// Reads test digits.
  public func inference() throws -> InferenceTask {
    let model = SpatialTransformerNetwork()
    return InferenceTask(
      model: model, loader: DataLoader(ImageBatches(source: test), batchSize: configuration.batchSize),
      answer: { model($0.inputs[0]).argmax(1) })
  }
}
