// DC-AI-C2: what would another photograph of a bedroom look like? Wasserstein GAN on LSUN.

/// From noise to an image: a multi-layer perceptron of four layers, f32 [n, latent] → [n, 3 side²], without a limit on
/// the values.
final class MLPGenerator: Module, Layer {
  let main: Sequential

  init(latent: Int, hidden: Int, outputs: Int) {
    main = Sequential(
      Linear(latent, hidden), ReLU(inPlace: true), Linear(hidden, hidden), ReLU(inPlace: true),
      Linear(hidden, hidden), ReLU(inPlace: true), Linear(hidden, outputs))
  }

  func forward(_ x: Tensor) -> Tensor { main(x) }
}

/// From an image to a number which is high for real ones: four layers, f32 [n, 3 side²] → [n, 1]. Not a probability:
/// the difference of its means over real and generated images is what it maximizes.
final class MLPCritic: Module, Layer {
  let main: Sequential

  init(inputs: Int, hidden: Int) {
    main = Sequential(
      Linear(inputs, hidden), ReLU(inPlace: true), Linear(hidden, hidden), ReLU(inPlace: true),
      Linear(hidden, hidden), ReLU(inPlace: true), Linear(hidden, 1))
  }

  func forward(_ x: Tensor) -> Tensor { main(x) }
}

/// The Wasserstein GAN (Arjovsky, Chintala and Bottou, ICML 2017) with perceptrons for both networks. As long as the
/// critic is K-Lipschitz, which the clipping of its weights to ±c ensures for some K, its advantage
/// mean D(real) − mean D(G(z)), at the best critic, is K times the earth mover's distance between both distributions.
final class WassersteinGAN: Module {
  /// What differs between the scales.
  struct Shape: Sendable {
    /// Width and height of an image.
    var side: Int
    /// Numbers of noise.
    var latent: Int
    /// Units of each hidden layer.
    var hidden: Int
    /// c: the critic's weights stay in −c … c.
    var clip: Double
    var learningRate: Double
    /// Critic steps for each step of the generator.
    var criticSteps = 5
    /// As many at first and now and then, so that the critic is nearly the best one.
    var manyCriticSteps = 100
    /// Of so many of the generator's first steps, and of every 500th after them.
    var warmUp = 25

    /// 6 880 768 parameters of the generator, 6 817 793 of the critic.
    static let paper = Shape(side: 64, latent: 100, hidden: 512, clip: 0.01, learningRate: 5e-5)
    /// 136 320 parameters of the generator, 131 585 of the critic.
    static let small = Shape(
      side: 16, latent: 32, hidden: 128, clip: 0.05, learningRate: 5e-4, manyCriticSteps: 20)

    /// Numbers of an image.
    var pixels: Int { 3 * side * side }

    /// The critic's steps before a step of the generator, by the number of those before it.
    func criticSteps(before generatorStep: Int) -> Int {
      generatorStep < warmUp || generatorStep % 500 == 0 ? manyCriticSteps : criticSteps
    }
  }

  let generator: MLPGenerator
  let critic: MLPCritic

  init(_ shape: Shape) {
    generator = MLPGenerator(latent: shape.latent, hidden: shape.hidden, outputs: shape.pixels)
    critic = MLPCritic(inputs: shape.pixels, hidden: shape.hidden)
  }

  /// mean D(real) − mean D(generated) of images f32 [n, 3 side²].
  func advantage(real: Tensor, generated: Tensor) -> Tensor { critic(real).mean() - critic(generated).mean() }

  /// Keeps the critic's weights in −c … c.
  func clipCritic(_ limit: Double) {
    withoutGradients { for parameter in critic.parameters() { parameter.clamp(inPlace: -limit...limit) } }
  }
}

/// Image generation: a Wasserstein GAN on bedrooms.
public final class ImageGeneration: Benchmark {
  /// The facts.
  public static let info = BenchmarkInfo(
    id: "DC-AI-C2", name: "image-generation", task: "Image generation", model: "Wasserstein GAN (MLP)",
    dataSet: "LSUN bedroom",
    dataFormat: "train/ and val/ with JPEG or PNG files, in folders or not; or such files alone, every tenth held out",
    small: ScaleInfo(
      target: QualityTarget(metric: "sliced Wasserstein distance", value: 0.08, isHigherBetter: false), batchSize: 64,
      maximumEpochs: 30, parameters: 267_905, forwardFLOPs: 270_336,
      optimizer: "RMSprop 5e-4, clip 0.05"),
    paper: ScaleInfo(
      target: QualityTarget(metric: "EM estimate", value: 0.505, isHigherBetter: false), batchSize: 64,
      maximumEpochs: 25, parameters: 13_698_561, forwardFLOPs: 13_733_888,
      optimizer: "RMSprop 5e-5, clip 0.01"),
    published: PublishedSize(
      parameters: 13_698_561, forwardFLOPs: 13_733_888,
      source: "Arjovsky et al. 2017 (4-layer ReLU-MLP, 512 hidden units) at 64×64; FLOPs are the generator's"))

  /// Images that the quality is measured on, of each kind.
  static let judged = 1000

  private let configuration: BenchmarkConfiguration
  private let shape: WassersteinGAN.Shape
  private let train, held: any ImageSource

  /// Opens the image folders, or sets up drawn bedrooms.
  public init(_ configuration: BenchmarkConfiguration) throws {
    self.configuration = configuration
    let isSmall = configuration.scale == .small
    shape = isSmall ? .small : .paper
    if let directory = configuration.dataDirectory {
      (train, held) = try Self.folders(DataDirectory(directory), side: shape.side, seed: configuration.seed)
    } else {
      train = SyntheticBedrooms(count: isSmall ? 32_000 : 12_800, side: shape.side, seed: 1)
      held = SyntheticBedrooms(count: Self.judged, side: shape.side, seed: 2)
    }
  }

  /// `train` and `val` where there are both, else every tenth image of the directory is held out, at most 1000.
  private static func folders(
    _ directory: DataDirectory, side: Int, seed: UInt64
  ) throws(DataError) -> (train: ImageFiles, held: ImageFiles) {
    func files(_ folder: DataDirectory, _ names: [String]) -> ImageFiles {
      ImageFiles(folder, names: names, side: side, framing: .centre, seed: seed)
    }
    if let train = directory.firstDirectory(of: ["train"]),
      let held = directory.firstDirectory(of: ["val", "validation"])
    {
      return (files(train, try ImageFiles.names(in: train)), files(held, try ImageFiles.names(in: held)))
    }
    let names = try ImageFiles.names(in: directory)
    guard names.count > 1 else {
      throw .unsuitable(path: directory.path, reason: "one image can't be both trained on and held out")
    }
    let step = max(10, names.count / judged)
    let isHeld = { (index: Int) in index % step == min(step, names.count) - 1 }
    return (
      files(directory, names.indices.filter { !isHeld($0) }.map { names[$0] }),
      files(directory, names.indices.filter(isHeld).map { names[$0] })
    )
  }

  /// Where the images are from.
  public var dataDescription: String { "\(train.origin) (\(train.count) for training, \(held.count) held out)" }

  /// The critic follows every batch; the generator takes a step when the critic has had its share.
  public func stage(_ name: String) throws -> TrainingStage {
    let model = WassersteinGAN(shape)
    let (shape, target) = (shape, Self.info.scale(configuration.scale).target)
    let criticOptimizer = RMSprop(model.critic.parameters(), learningRate: shape.learningRate)
    let generatorOptimizer = RMSprop(model.generator.parameters(), learningRate: shape.learningRate)
    var estimate = MedianFilter()
    var quality = Quality()
    var generatorSteps = 0
    var criticSteps = 0
    let judge = try judge()
    var stage = TrainingStage(
      model: model, optimizer: criticOptimizer,
      loader: DataLoader(
        ImageBatches(source: train), batchSize: configuration.batchSize, isShuffled: true, dropsLast: true,
        seed: configuration.seed),
      target: target, maximumEpochs: configuration.maximumEpochs,
      step: { step in
        let real = step.batch.inputs[0].flattened(1)
        let noise = { Tensor.randomNormal([step.batch.samples, shape.latent]) }
        phase(.optimizer) { model.clipCritic(shape.clip) }
        let advantage = step.forward {
          let generated = withoutGradients { model.generator(noise()) }
          return model.advantage(real: real, generated: generated)
        }
        step.update(criticOptimizer, by: -advantage)
        let value = advantage.item
        estimate.add(value)
        criticSteps += 1
        guard criticSteps >= shape.criticSteps(before: generatorSteps) else { return value }
        criticSteps = 0
        generatorSteps += 1
        // The critic judges, but does not learn from it.
        let judging = model.critic.parameters()
        for parameter in judging { parameter.requiresGradient = false }
        defer { for parameter in judging { parameter.requiresGradient = true } }
        let loss = step.forward { -model.critic(model.generator(noise())).mean() }
        step.update(generatorOptimizer, by: loss)
        return value
      },
      evaluate: {
        quality = Quality(slicedWasserstein: judge(model.generator), emEstimate: estimate.median)
        return quality.named.first { $0.name == target.metric }?.value ?? .nan
      })
    stage.measures = { quality.named }
    stage.newWarnings = { [train, held] in train.newWarnings() + held.newWarnings() }
    return stage
  }

  /// The measures of an evaluation.
  struct Quality {
    var slicedWasserstein = Double.nan
    var emEstimate = Double.nan

    var named: [(name: String, value: Double)] {
      [("sliced Wasserstein distance", slicedWasserstein), ("EM estimate", emEstimate)]
    }
  }

  /// The sliced Wasserstein distance of a generator's images to held-out ones, always from the same noise.
  private func judge() throws -> (MLPGenerator) -> Double {
    let count = min(held.count, Self.judged)
    var random = SeededRandom(1, 6)
    let batch = try ImageBatches(source: held).batch(Array(0..<count), epoch: 0, random: &random)
    let real = batch.tensors().inputs[0].flattened(1)
    let noise = Tensor((0..<(count * shape.latent)).map { _ in Float(random.normal()) }, shape: [count, shape.latent])
    let distance = SlicedWasserstein(dimensions: shape.pixels)
    return { generator in distance(withoutGradients { generator(noise) }, real) }
  }

  /// Makes images [n, 3, side, side] from noise.
  public func inference() throws -> InferenceTask {
    let model = WassersteinGAN(shape)
    let shape = shape
    return InferenceTask(
      model: model,
      loader: DataLoader(
        Noise(count: Self.judged, width: shape.latent), batchSize: configuration.batchSize, seed: configuration.seed),
      answer: { model.generator($0.inputs[0]).view([$0.samples, 3, shape.side, shape.side]) })
  }
}

/// Standard normal numbers, f32 [n, width]: what a generator is asked with.
struct Noise: Dataset {
  let count: Int
  let width: Int

  func batch(_ indices: [Int], epoch: Int, random: inout SeededRandom) -> Batch {
    let values = (0..<(indices.count * width)).map { _ in Float(random.normal()) }
    return Batch(samples: indices.count, inputs: [HostTensor(values, shape: [indices.count, width])])
  }
}
