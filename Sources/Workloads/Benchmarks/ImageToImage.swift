// DC-AI-C5: what is where in this photograph, learnt without a single example of an answer? CycleGAN on Cityscapes.

/// The residual block of the generator: two 3×3 convolutions with instance normalization, added to the input.
final class InstanceResidualBlock: Module, Layer {
  let conv_block: Sequential

  init(_ channels: Int) {
    conv_block = Sequential(
      ReflectionPad2d(1), Conv2d(channels, channels, kernel: 3), InstanceNorm2d(), ReLU(inPlace: true),
      ReflectionPad2d(1), Conv2d(channels, channels, kernel: 3), InstanceNorm2d())
  }

  func forward(_ x: Tensor) -> Tensor { x + conv_block(x) }
}

/// From an image to an image of the same size (Johnson et al., ECCV 2016), f32 [n, 3, h, w] in −1 … 1: a 7×7
/// convolution, convolutions of stride 2, residual blocks, transposed convolutions back, a 7×7 convolution, tanh.
final class ResNetGenerator: Module, Layer {
  let model: Sequential

  init(width: Int, downsamplings: Int, blocks: Int) {
    var layers: [any Layer] = [
      ReflectionPad2d(3), Conv2d(3, width, kernel: 7), InstanceNorm2d(), ReLU(inPlace: true),
    ]
    var channels = width
    for _ in 0..<downsamplings {
      layers += [
        Conv2d(channels, 2 * channels, kernel: 3, stride: 2, padding: 1), InstanceNorm2d(), ReLU(inPlace: true),
      ]
      channels *= 2
    }
    for _ in 0..<blocks { layers.append(InstanceResidualBlock(channels)) }
    for _ in 0..<downsamplings {
      layers += [
        ConvTranspose2d(channels, channels / 2, kernel: 3, stride: 2, padding: 1, outputPadding: 1),
        InstanceNorm2d(), ReLU(inPlace: true),
      ]
      channels /= 2
    }
    layers += [ReflectionPad2d(3), Conv2d(channels, 3, kernel: 7), Tanh()]
    model = Sequential(layers)
  }

  func forward(_ x: Tensor) -> Tensor { model(x) }
}

/// Which patches of an image look real (Isola et al., CVPR 2017): 4×4 convolutions, f32 [n, 3, h, w] →
/// [n, 1, h′, w′]. With three layers between the first and the last two, each result sees 70×70 pixels.
final class PatchDiscriminator: Module, Layer {
  let model: Sequential

  /// - Parameter layers: convolutions of stride 2; one of stride 1 and the last one follow.
  init(width: Int, layers count: Int) {
    var layers: [any Layer] = [Conv2d(3, width, kernel: 4, stride: 2, padding: 1), LeakyReLU(0.2)]
    var channels = width
    for number in 1...count {
      let next = width * min(1 << number, 8)
      layers += [
        Conv2d(channels, next, kernel: 4, stride: number < count ? 2 : 1, padding: 1), InstanceNorm2d(),
        LeakyReLU(0.2),
      ]
      channels = next
    }
    layers.append(Conv2d(channels, 1, kernel: 4, padding: 1))
    model = Sequential(layers)
  }

  func forward(_ x: Tensor) -> Tensor { model(x) }
}

/// Two generators that undo each other, and a discriminator for each side (Zhu et al., ICCV 2017): G makes X into Y,
/// F makes Y into X; X are photographs, Y label images.
final class CycleGAN: Module {
  /// What differs between the scales.
  struct Shape: Sendable {
    /// Width and height of an image.
    var side: Int
    /// Channels of the generators' first layer.
    var width: Int
    var downsamplings: Int
    var blocks: Int
    /// Channels of the discriminators' first layer.
    var discriminatorWidth: Int
    var discriminatorLayers: Int
    var learningRate: Double

    /// 28 285 832 parameters: generators of 11 378 179, discriminators of 2 764 737.
    static let paper = Shape(
      side: 256, width: 64, downsamplings: 2, blocks: 9, discriminatorWidth: 64, discriminatorLayers: 3,
      learningRate: 2e-4)
    /// 157 992 parameters: generators of 69 475, discriminators of 9521.
    static let small = Shape(
      side: 32, width: 16, downsamplings: 1, blocks: 3, discriminatorWidth: 16, discriminatorLayers: 1,
      learningRate: 5e-4)
  }

  /// X → Y, Y → X.
  let G, F: ResNetGenerator
  /// What looks like X, like Y.
  let D_X, D_Y: PatchDiscriminator

  init(_ shape: Shape) {
    func generator() -> ResNetGenerator {
      ResNetGenerator(width: shape.width, downsamplings: shape.downsamplings, blocks: shape.blocks)
    }
    func discriminator() -> PatchDiscriminator {
      PatchDiscriminator(width: shape.discriminatorWidth, layers: shape.discriminatorLayers)
    }
    (G, F, D_X, D_Y) = (generator(), generator(), discriminator(), discriminator())
    super.init()
    for (path, parameter) in namedParameters() {
      (path.hasSuffix("bias") ? Initialization.zeros : .normal(deviation: 0.02))(parameter)
    }
  }

  var generatorParameters: [Parameter] { G.parameters() + F.parameters() }
  var discriminatorParameters: [Parameter] { D_X.parameters() + D_Y.parameters() }

  /// How far the patches of `images` are from being taken for real (1) or made (0): least squares (Mao et al., 2017).
  static func adversarial(_ discriminator: PatchDiscriminator, _ images: Tensor, isReal: Bool) -> Tensor {
    let patches = discriminator(images)
    return patches.squaredError(isReal ? patches.onesLike() : patches.zerosLike())
  }

  /// What the generators minimize, and the images that they made on the way.
  ///
  /// - Parameter cycleWeight: λ. An image which is already of the other kind should stay as it is, with weight λ / 2.
  func generatorLoss(x: Tensor, y: Tensor, cycleWeight: Double = 10) -> (loss: Tensor, madeX: Tensor, madeY: Tensor) {
    let (madeX, madeY) = (F(y), G(x))
    let adversarial =
      Self.adversarial(D_Y, madeY, isReal: true) + Self.adversarial(D_X, madeX, isReal: true)
    let cycle = F(madeY).absoluteError(x) + G(madeX).absoluteError(y)
    let identity = G(y).absoluteError(y) + F(x).absoluteError(x)
    return (adversarial + cycle * cycleWeight + identity * (cycleWeight / 2), madeX, madeY)
  }

  /// What the discriminators minimize, of real images and of made ones.
  func discriminatorLoss(x: Tensor, y: Tensor, madeX: Tensor, madeY: Tensor) -> Tensor {
    func loss(_ discriminator: PatchDiscriminator, _ real: Tensor, _ made: Tensor) -> Tensor {
      (Self.adversarial(discriminator, real, isReal: true) + Self.adversarial(discriminator, made, isReal: false)) * 0.5
    }
    return loss(D_X, x, madeX) + loss(D_Y, y, madeY)
  }
}

/// Made images of earlier steps, so that a discriminator does not forget them (Shrivastava et al., CVPR 2017).
struct ImagePool {
  private let capacity: Int
  private var images: [Tensor] = []
  private var random: SeededRandom

  /// Of at most `capacity` images.
  init(capacity: Int = 50, random: SeededRandom) {
    self.capacity = capacity
    self.random = random
  }

  /// For each image [n, …], itself, or as likely one of the pool, whose place it takes.
  mutating func exchange(_ made: Tensor) -> Tensor {
    let result = (0..<made.size(0)).map { index -> Tensor in
      // A copy, because a slice would keep its whole batch in memory.
      let image = made.detached().slice(0, index..<index + 1).clone()
      if images.count < capacity {
        images.append(image)
        return image
      }
      guard random.chance(0.5) else { return image }
      let place = random.integer(below: capacity)
      defer { images[place] = image }
      return images[place]
    }
    return Tensor.concatenated(result)
  }
}

/// Image to image: CycleGAN from street photographs to label images and back.
public final class ImageToImage: Benchmark {
  /// The facts.
  public static let info = BenchmarkInfo(
    id: "DC-AI-C5", name: "image-to-image", task: "Image-to-image translation", model: "CycleGAN",
    dataSet: "Cityscapes",
    dataFormat:
      "trainA, trainB, testA, testB with JPEG or PNG files: A photographs, B label images in Cityscapes' colours",
    small: ScaleInfo(
      target: QualityTarget(metric: "per-pixel accuracy", value: 0.94), batchSize: 4, maximumEpochs: 20,
      parameters: 157_992, forwardFLOPs: 42_663_936, optimizer: "Adam 5e-4 (0.5, 0.999)"),
    paper: ScaleInfo(
      target: QualityTarget(metric: "per-pixel accuracy", value: 0.58), batchSize: 1, maximumEpochs: 200,
      parameters: 28_285_832, forwardFLOPs: 99_103_014_912,
      optimizer: "Adam 2e-4 (0.5, 0.999), from the middle on down to 0"),
    published: PublishedSize(
      parameters: 28_286_000, forwardFLOPs: 99.1e9,
      source: "Zhu et al. 2017; their PyTorch implementation prints 11.378 M and 2.765 M. FLOPs are one generator's"))

  private let configuration: BenchmarkConfiguration
  private let shape: CycleGAN.Shape
  private let palette: LabelPalette
  private let train, test: ImagePairs

  /// Opens the four folders, or sets up drawn streets.
  public init(_ configuration: BenchmarkConfiguration) throws {
    self.configuration = configuration
    let isSmall = configuration.scale == .small
    shape = isSmall ? .small : .paper
    let (side, seed) = (shape.side, configuration.seed)
    if let directory = configuration.dataDirectory {
      let enlarged = side * 286 / 256
      train = try ImagePairs.folder(
        directory, "train", side: side, framing: .randomCrop(enlarged: enlarged), isPaired: false, seed: seed)
      test = try ImagePairs.folder(directory, "test", side: side, framing: .whole, isPaired: true, seed: seed)
      palette = .cityscapes
    } else {
      // Other scenes on each side: nothing is paired. As many as Cityscapes has at paper scale.
      let counts = isSmall ? (train: 100, test: 100) : (train: 2975, test: 500)
      train = ImagePairs(
        a: SyntheticStreets(.photographs, count: counts.train, side: side, seed: 1),
        b: SyntheticStreets(.labels, count: counts.train, side: side, seed: 2), isPaired: false)
      test = ImagePairs(
        a: SyntheticStreets(.photographs, count: counts.test, side: side, seed: 3),
        b: SyntheticStreets(.labels, count: counts.test, side: side, seed: 3), isPaired: true)
      palette = .streets
    }
  }

  /// Where the images are from.
  public var dataDescription: String {
    "\(train.a.origin); \(train.b.origin) (\(train.a.count) and \(train.b.count) for training, \(test.count) pairs held out)"
  }

  /// First the generators learn from the discriminators as they are, then these from real and made images.
  public func stage(_ name: String) throws -> TrainingStage {
    let model = CycleGAN(shape)
    let generators = Adam(model.generatorParameters, learningRate: shape.learningRate, betas: (0.5, 0.999))
    let discriminators = Adam(model.discriminatorParameters, learningRate: shape.learningRate, betas: (0.5, 0.999))
    var pools = (
      x: ImagePool(random: SeededRandom(configuration.seed, 7)),
      y: ImagePool(random: SeededRandom(configuration.seed, 8))
    )
    var confusion = ConfusionMatrix(classCount: palette.classCount)
    var stage = TrainingStage(
      model: model, optimizer: generators,
      schedule: configuration.scale == .small ? .constant : .linearDecay(after: 0.5),
      loader: DataLoader(train, batchSize: configuration.batchSize, isShuffled: true, seed: configuration.seed),
      target: Self.info.scale(configuration.scale).target, maximumEpochs: configuration.maximumEpochs,
      step: { step in
        let (x, y) = (step.batch.inputs[0], step.batch.inputs[1])
        let judging = model.discriminatorParameters
        for parameter in judging { parameter.requiresGradient = false }
        let made = step.forward { model.generatorLoss(x: x, y: y) }
        step.update(generators, by: made.loss)
        for parameter in judging { parameter.requiresGradient = true }
        let loss = step.forward {
          model.discriminatorLoss(
            x: x, y: y, madeX: pools.x.exchange(made.madeX), madeY: pools.y.exchange(made.madeY))
        }
        step.update(discriminators, by: loss)
        return made.loss.item
      },
      evaluate: { [unowned self] in
        confusion = try evaluate(model.G)
        return confusion.perPixelAccuracy
      })
    stage.measures = {
      [("per-class accuracy", confusion.perClassAccuracy), ("class IoU", confusion.classIoU)]
    }
    stage.newWarnings = { [train, test] in train.newWarnings() + test.newWarnings() }
    return stage
  }

  /// Compares the label images that G makes of held-out photographs with the true ones, pixel by pixel.
  func evaluate(_ generator: any Layer) throws -> ConfusionMatrix {
    var confusion = ConfusionMatrix(classCount: palette.classCount)
    let batches = DataLoader(test, batchSize: configuration.batchSize).batches(epoch: 0)
    while let batch = try batches.nextBatch()?.tensors() {
      let made = withoutGradients { generator(batch.inputs[0]).floats() }
      let real = batch.inputs[1].floats()
      let size = real.count / batch.samples
      for sample in 0..<batch.samples {
        let range = (sample * size)..<((sample + 1) * size)
        confusion.add(truth: palette.classes(planes: real[range]), prediction: palette.classes(planes: made[range]))
      }
    }
    return confusion
  }

  /// Makes label images [n, 3, side, side] of photographs.
  public func inference() throws -> InferenceTask {
    let model = CycleGAN(shape)
    return InferenceTask(
      model: model, loader: DataLoader(test, batchSize: configuration.batchSize),
      answer: { model.G($0.inputs[0]) })
  }
}
