// DC-AI-C12: how few bits does a picture need? The recurrent codec of Toderici et al. on ImageNet.

/// Makes bits of signals: f32 [n, channels, h, w] → ±1 [n, bits, h, w].
final class Binarizer: Module, Layer {
  let conv: Conv2d
  /// Whether training draws a bit with a probability that its signal gives.
  private let isStochastic: Bool

  init(_ channels: Int, bits: Int, isStochastic: Bool) {
    conv = Conv2d(channels, bits, kernel: 1, bias: false)
    self.isStochastic = isStochastic
  }

  /// The sign of a signal in −1 … 1, or +1 with probability (1 + signal) / 2. The gradient passes as if it were the
  /// signal itself, which it is on average (Raiko et al. 2015).
  func forward(_ x: Tensor) -> Tensor {
    let signal = conv(x).tanh()
    let values = signal.detached()
    let isOne: Tensor
    if isStochastic && isTraining {
      isOne = Tensor.random(values.shape).isLess((values + 1) / 2)
    } else {
      isOne = values.isGreaterOrEqual(0)
    }
    let bits = isOne.to(.float32) * 2 - 1
    // The bits themselves, to the last digit, with the gradient of the signal.
    return bits + (signal - values)
  }
}

/// What the codec keeps in mind from one iteration to the next.
struct CodecState {
  var encoder: [ConvLSTMCell.State?]
  var decoder: [ConvLSTMCell.State?]
}

/// An image as bits, iteration by iteration (Toderici et al., "Full resolution image compression with recurrent neural
/// networks", CVPR 2017; the LSTM variant with additive reconstruction). Each iteration encodes what the earlier ones
/// left over. No convolution has a bias.
final class RecurrentCodec: Module {
  /// What makes the published codec differ from the small one.
  struct Shape: Sendable {
    /// Channels of the first convolution, which halves the image.
    var stem: Int
    /// Hidden channels of the encoder's three cells, each of which halves the image.
    var encoder: [Int]
    /// Bits of a place, one in 16×16 pixels.
    var bits: Int
    /// Hidden channels of the decoder's four cells, after each of which four channels become 2×2 pixels.
    var decoder: [Int]
    /// Iterations of training, and of the best quality.
    var iterations: Int
    /// Whether training draws the bits at random.
    var isStochastic: Bool

    /// 35 456 800 parameters; a 32×32 patch is 128 bits an iteration, an eighth of a bit a pixel.
    static let paper = Shape(
      stem: 64, encoder: [256, 512, 512], bits: 32, decoder: [512, 512, 256, 128], iterations: 16, isStochastic: true)
    /// 204 476 parameters. Without chance in the bits it learns in half the time.
    static let small = Shape(
      stem: 16, encoder: [24, 32, 32], bits: 16, decoder: [32, 32, 32, 16], iterations: 4, isStochastic: false)
  }

  let conv1: Conv2d
  let rnn1, rnn2, rnn3: ConvLSTMCell
  let binarizer: Binarizer
  let dconv1: Conv2d
  let drnn1, drnn2, drnn3, drnn4: ConvLSTMCell
  let dconv2: Conv2d
  let shape: Shape

  init(_ shape: Shape) {
    self.shape = shape
    let (e, d) = (shape.encoder, shape.decoder)
    conv1 = Conv2d(3, shape.stem, kernel: 3, stride: 2, padding: 1, bias: false)
    rnn1 = ConvLSTMCell(shape.stem, e[0], kernel: 3, stride: 2, hiddenKernel: 1)
    rnn2 = ConvLSTMCell(e[0], e[1], kernel: 3, stride: 2, hiddenKernel: 1)
    rnn3 = ConvLSTMCell(e[1], e[2], kernel: 3, stride: 2, hiddenKernel: 1)
    binarizer = Binarizer(e[2], bits: shape.bits, isStochastic: shape.isStochastic)
    dconv1 = Conv2d(shape.bits, d[0], kernel: 1, bias: false)
    drnn1 = ConvLSTMCell(d[0], d[0], kernel: 3, stride: 1, hiddenKernel: 1)
    drnn2 = ConvLSTMCell(d[0] / 4, d[1], kernel: 3, stride: 1, hiddenKernel: 1)
    drnn3 = ConvLSTMCell(d[1] / 4, d[2], kernel: 3, stride: 1, hiddenKernel: 3)
    drnn4 = ConvLSTMCell(d[2] / 4, d[3], kernel: 3, stride: 1, hiddenKernel: 3)
    dconv2 = Conv2d(d[3] / 4, 3, kernel: 1, bias: false)
  }

  /// The state before the first iteration.
  var start: CodecState {
    CodecState(encoder: [nil, nil, nil], decoder: [nil, nil, nil, nil])
  }

  /// What is left over [n, 3, h, w] → bits as ±1 [n, bits, h / 16, w / 16].
  func encode(_ residual: Tensor, _ states: inout [ConvLSTMCell.State?]) -> Tensor {
    var x = conv1(residual)
    for (place, cell) in [rnn1, rnn2, rnn3].enumerated() {
      let state = cell(x, states[place])
      states[place] = state
      x = state.hidden
    }
    return binarizer(x)
  }

  /// Bits → their share of the image [n, 3, h, w], from −0.5 to 0.5.
  func decode(_ bits: Tensor, _ states: inout [ConvLSTMCell.State?]) -> Tensor {
    var x = dconv1(bits)
    for (place, cell) in [drnn1, drnn2, drnn3, drnn4].enumerated() {
      let state = cell(x, states[place])
      states[place] = state
      x = state.hidden.pixelShuffled(2)
    }
    return dconv2(x).tanh() / 2
  }

  /// One iteration: gives the bits and what is left over after them.
  func iterate(_ residual: Tensor, _ state: inout CodecState) -> (bits: Tensor, residual: Tensor) {
    scoped {
      let bits = encode(residual, &state.encoder)
      return (bits, residual - decode(bits, &state.decoder))
    }
  }

  /// The mean absolute leftover of images [n, 3, h, w] from −0.5 to 0.5, over all iterations: what training minimizes.
  func loss(_ images: Tensor) -> Tensor {
    var state = start
    var residual = images
    var sum: Tensor?
    for _ in 0..<shape.iterations {
      residual = iterate(residual, &state).residual
      let left = residual.abs().mean()
      sum = sum.map { $0 + left } ?? left
    }
    guard let sum else { preconditionFailure("a codec has at least one iteration") }
    return sum / Double(shape.iterations)
  }
}

/// Image compression: a codec that learns from 32×32 patches and is judged on whole images.
public final class ImageCompression: Benchmark {
  /// The facts.
  public static let info = BenchmarkInfo(
    id: "DC-AI-C12", name: "image-compression", task: "Image compression",
    model: "Recurrent codec of convolutional LSTMs (Toderici et al.)", dataSet: "ImageNet (ILSVRC 2012)",
    dataFormat: "JPEG and PNG files in train/ and val/ (or validation/), or in any folders; folders may be nested",
    small: ScaleInfo(
      target: QualityTarget(metric: "MS-SSIM", value: 0.65), batchSize: 16, maximumEpochs: 25,
      parameters: 204_476, forwardFLOPs: 69_566_464, optimizer: "Adam 0.003, gradients clipped at 1"),
    paper: ScaleInfo(
      target: QualityTarget(metric: "MS-SSIM", value: 0.99), batchSize: 32, maximumEpochs: 200,
      parameters: 35_456_800, forwardFLOPs: 23_643_815_936,
      optimizer: "Adam 5e-4, halved after 3, 10, 20, 50 and 100 epochs"),
    published: PublishedSize(
      parameters: 35_456_800, forwardFLOPs: 23_643_815_936,
      source: "the PyTorch implementation that AIBench uses: 16 iterations over a 32×32 patch"))

  /// Side of a training patch, in pixels.
  static let patchSide = 32

  /// The mean quality of held-out images after each iteration.
  struct Quality: Sendable {
    var bitsPerPixel: [Double] = []
    var similarity: [Double] = []
    var peakSignalToNoise: [Double] = []
  }

  /// The last evaluation.
  private(set) var quality = Quality()
  private let configuration: BenchmarkConfiguration
  private let shape: RecurrentCodec.Shape
  private let train, validation: any ImageSource

  /// Opens the image folders, or sets up the synthetic textures.
  public init(_ configuration: BenchmarkConfiguration) throws {
    self.configuration = configuration
    let isSmall = configuration.scale == .small
    shape = isSmall ? .small : .paper
    let evaluationSide = isSmall ? 64 : 256
    if let directory = configuration.dataDirectory {
      train = try ImagePatches(
        directory: directory, split: .train, side: Self.patchSide, seed: configuration.seed)
      validation = try ImagePatches(
        directory: directory, split: .validation, side: evaluationSide, seed: configuration.seed)
    } else {
      train = SyntheticTextures(count: isSmall ? 800 : 6400, side: Self.patchSide, seed: 1)
      validation = SyntheticTextures(count: isSmall ? 48 : 64, side: evaluationSide, seed: 2)
    }
  }

  /// Where the images are from.
  public var dataDescription: String {
    "\(train.origin) (\(train.count) for training in patches of \(Self.patchSide)×\(Self.patchSide), "
      + "\(validation.count) of \(validation.shape[1])×\(validation.shape[2]) for validation)"
  }

  func model() -> RecurrentCodec {
    let model = RecurrentCodec(shape)
    guard configuration.scale == .small else { return model }
    for (_, parameter) in model.namedParameters() { Initialization.orthogonal(parameter) }
    return model
  }

  /// Mean absolute error by Adam.
  public func stage(_ name: String) throws -> TrainingStage {
    let isSmall = configuration.scale == .small
    let settings = Self.info.scale(configuration.scale)
    let model = model()
    var stage = TrainingStage(
      model: model, optimizer: Adam(model.parameters(), learningRate: isSmall ? 3e-3 : 5e-4),
      schedule: isSmall ? .constant : .milestones([3, 10, 20, 50, 100], factor: 0.5),
      loader: DataLoader(
        ImageBatches(source: train), batchSize: configuration.batchSize, isShuffled: true, dropsLast: true,
        seed: configuration.seed),
      target: settings.target, maximumEpochs: configuration.maximumEpochs, gradientLimit: isSmall ? 1 : nil,
      loss: { model.loss($0.inputs[0]) },
      evaluate: { [self] in
        quality = try evaluate(model)
        return quality.similarity.last ?? .nan
      })
    stage.measures = { [self] in measures }
    stage.newWarnings = { [train, validation] in train.newWarnings() + validation.newWarnings() }
    return stage
  }

  /// Compresses held-out images to a rising number of bits.
  func evaluate(_ model: RecurrentCodec) throws -> Quality {
    // Sixteen iterations at 256×256 take 1.5 GB for eight images.
    let loader = DataLoader(ImageBatches(source: validation), batchSize: 8)
    let iterations = shape.iterations
    var quality = Quality(
      bitsPerPixel: (1...iterations).map { Double($0 * shape.bits) / 256 },
      similarity: [Double](repeating: 0, count: iterations),
      peakSignalToNoise: [Double](repeating: 0, count: iterations))
    let batches = loader.batches(epoch: 0)
    while let batch = try batches.nextBatch()?.tensors() {
      let images = batch.inputs[0]
      var state = model.start
      var residual = images
      for iteration in 0..<iterations {
        residual = model.iterate(residual, &state).residual
        let decoded = (images - residual + 0.5).clamped(0, 1)
        let similarity = ImageQuality.multiScaleSimilarity(decoded, images + 0.5)
        let errors = ImageQuality.squaredErrors(decoded, images + 0.5)
        let count = Double(validation.count)
        quality.similarity[iteration] += similarity.reduce(0, +) / count
        // An exact copy has no error; a thousandth of a grey value stands for it.
        let ratios = errors.map { ImageQuality.peakSignalToNoise(max($0, 1e-11)) }
        quality.peakSignalToNoise[iteration] += ratios.reduce(0, +) / count
      }
    }
    return quality
  }

  /// `PSNR in dB at 0.5 bits a pixel` …
  private var measures: [(name: String, value: Double)] {
    quality.bitsPerPixel.indices.flatMap { index in
      let rate = "\(quality.bitsPerPixel[index]) bpp"
      return [
        (name: "MS-SSIM at \(rate)", value: quality.similarity[index]),
        (name: "PSNR at \(rate)", value: quality.peakSignalToNoise[index]),
      ]
    }
  }

  /// Makes the bits of all iterations: ±1 [n, iterations × bits, h / 16, w / 16].
  public func inference() throws -> InferenceTask {
    let model = model()
    return InferenceTask(
      model: model, loader: DataLoader(ImageBatches(source: validation), batchSize: configuration.batchSize),
      answer: { batch in
        var state = model.start
        var residual = batch.inputs[0]
        var all: [Tensor] = []
        for _ in 0..<model.shape.iterations {
          let (bits, rest) = model.iterate(residual, &state)
          all.append(bits)
          residual = rest
        }
        return Tensor.concatenated(all, dimension: 1)
      })
  }
}
