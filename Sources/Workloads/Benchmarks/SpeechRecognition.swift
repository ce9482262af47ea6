// DC-AI-C6: what is said? Deep Speech 2 on LibriSpeech.

/// A convolution over frequency and time with batch normalization and a clipped rectifier. What lies beyond the end of
/// an utterance is kept at zero.
final class SpeechConvolution: Module {
  let conv: Conv2d
  let bn: BatchNorm2d

  /// Kernels and strides are (frequency, time); the padding keeps the middle of the kernel on the input.
  init(_ inputs: Int, _ outputs: Int, kernel: Size2D, stride: Size2D) {
    conv = Conv2d(
      inputs, outputs, kernel: kernel, stride: stride, padding: Size2D(kernel.height / 2, kernel.width / 2))
    bn = BatchNorm2d(outputs)
  }

  /// f32 [n, inputs, bins, frames] → [n, outputs, bins′, frames′].
  ///
  /// - Parameter mask: bool [n, 1, 1, frames′], true beyond the end; nil when all utterances are of one length.
  func callAsFunction(_ x: Tensor, mask: Tensor?) -> Tensor {
    scoped {
      func masked(_ x: Tensor) -> Tensor { mask.map { x.masked($0, with: 0) } ?? x }
      return masked(bn(masked(conv(x)))).hardtanh(0, 20)
    }
  }
}

/// A recurrent layer: batch normalization over all frames (but not of the first layer's input), then gated recurrent
/// units in both directions, of which the sum goes on.
final class SpeechRecurrence: Module {
  let batch_norm: BatchNorm2d?
  let rnn: GRU

  init(_ inputs: Int, _ hidden: Int, isFirst: Bool) {
    batch_norm = isFirst ? nil : BatchNorm2d(inputs)
    rnn = GRU(inputs, hidden, isBidirectional: true, isBatchFirst: false)
  }

  /// f32 [frames, n, inputs] → [frames, n, hidden]; zeros beyond the end of an utterance.
  ///
  /// - Parameter lengths: frames of each utterance, longest first; nil when all are of one length.
  func callAsFunction(_ x: Tensor, lengths: [Int]?) -> Tensor {
    scoped {
      let (frames, n) = (x.size(0), x.size(1))
      let normal = batch_norm.map { $0(x.view([frames * n, -1])).view([frames, n, -1]) } ?? x
      return rnn.scanned(normal, lengths: lengths).view([frames, n, 2, -1]).sum([2])
    }
  }
}

/// Deep Speech 2 (Amodei et al., ICML 2016), as the suite's reference implementation builds it: two convolutions over
/// the spectrogram, five bidirectional recurrent layers, and a classifier of letters for every second frame.
final class DeepSpeech2: Module {
  /// What makes the published network differ from the small one.
  struct Shape: Sendable {
    /// Frequencies of the spectrogram.
    var bins: Int
    /// Channels of both convolutions.
    var channels: Int
    /// (frequency, time) of the first and the second kernel.
    var kernels: [Size2D]
    /// Units of a direction.
    var hidden: Int
    /// Recurrent layers.
    var layers: Int

    /// 41 187 968 parameters; 25.93 G multiply-accumulates for ten seconds.
    static let paper = Shape(
      bins: 161, channels: 32, kernels: [Size2D(41, 11), Size2D(21, 11)], hidden: 800, layers: 5)
    /// Two recurrent layers, for spectrograms of 8 kHz.
    static let small = Shape(bins: 81, channels: 8, kernels: [Size2D(21, 11), Size2D(11, 5)], hidden: 48, layers: 2)
  }

  /// Only the first convolution skips every second frame.
  private static let strides = [Size2D(2, 2), Size2D(2, 1)]

  let conv: [SpeechConvolution]
  let rnns: [SpeechRecurrence]
  let bn: BatchNorm2d
  let fc: Linear

  init(_ shape: Shape) {
    var inputs = 1
    var bins = shape.bins
    conv = zip(shape.kernels, Self.strides).map { kernel, stride in
      defer {
        inputs = shape.channels
        bins = (bins - 1) / stride.height + 1
      }
      return SpeechConvolution(inputs, shape.channels, kernel: kernel, stride: stride)
    }
    let features = shape.channels * bins
    rnns = (0..<shape.layers).map {
      SpeechRecurrence($0 == 0 ? features : shape.hidden, shape.hidden, isFirst: $0 == 0)
    }
    bn = BatchNorm2d(shape.hidden)
    fc = Linear(shape.hidden, SpeechAlphabet.count, bias: false)
  }

  /// Frames that come out of so many.
  static func outputFrames(_ frames: Int) -> Int { (frames - 1) / 2 + 1 }

  /// Spectrograms f32 [n, 1, bins, frames] → log probabilities of the letters [frames′, n, 29].
  ///
  /// - Parameter lengths: frames′ of each utterance, longest first.
  func callAsFunction(_ spectrograms: Tensor, lengths: [Int]) -> Tensor {
    scoped {
      let frames = Self.outputFrames(spectrograms.size(3))
      let isPadded = lengths.contains { $0 < frames }
      let mask = isPadded ? Self.mask(lengths, frames: frames) : nil
      var x = conv.reduce(spectrograms) { $1($0, mask: mask) }
      // [n, channels, bins, frames] → [frames, n, channels × bins].
      x = x.flattened(1, 2).permuted([2, 0, 1]).contiguous()
      x = rnns.reduce(x) { $1($0, lengths: isPadded ? lengths : nil) }
      let (n, width) = (x.size(1), x.size(2))
      return fc(bn(x.view([frames * n, width]))).view([frames, n, -1]).logSoftmax(2)
    }
  }

  private static func mask(_ lengths: [Int], frames: Int) -> Tensor {
    let beyond = Tensor(integers: lengths, shape: [lengths.count, 1])
    return Tensor.range(frames).unsqueezed(0).isGreaterOrEqual(beyond).view([lengths.count, 1, 1, frames])
  }

  /// The most likely letters of each utterance, from log probabilities [frames, n, 29].
  static func decode(_ probabilities: Tensor, lengths: [Int]) -> [String] {
    let n = lengths.count
    let best = probabilities.argmax(2).integers()
    return lengths.enumerated().map { utterance, length in
      SpeechAlphabet.decode((0..<length).lazy.map { best[$0 * n + utterance] })
    }
  }
}

/// Speech recognition: Deep Speech 2 on LibriSpeech, or a small one on melodies that stand for words.
public final class SpeechRecognition: Benchmark {
  /// The facts.
  public static let info = BenchmarkInfo(
    id: "DC-AI-C6", name: "speech-recognition", task: "Speech recognition",
    model: "Deep Speech 2 (2 convolutions, 5 bidirectional GRU)", dataSet: "LibriSpeech",
    dataFormat: "train-*/SPEAKER/CHAPTER/*.flac (or 16-bit .wav) with SPEAKER-CHAPTER.trans.txt, and dev-clean (or "
      + "test-clean) alike; 16 kHz, one channel",
    small: ScaleInfo(
      target: QualityTarget(metric: "WER", value: 0.1, isHigherBetter: false), batchSize: 24, maximumEpochs: 30,
      parameters: 98_008, optimizer: "Adam 0.002, gradients to norm 400"),
    paper: ScaleInfo(
      target: QualityTarget(metric: "WER", value: 0.0533, isHigherBetter: false), batchSize: 20, maximumEpochs: 70,
      parameters: 41_187_968, forwardFLOPs: 51_813_192_192,
      optimizer: "SGD 3e-4, Nesterov 0.9, weight decay 1e-5, ÷1.1 every epoch, gradients to norm 400"),
    published: PublishedSize(
      parameters: 41_187_968, forwardFLOPs: 51.86e9,
      source: "layers of the suite's reference implementation (deepspeech.pytorch), for ten seconds of speech"))

  /// Limit of the gradients' joint norm.
  static let gradientLimit = 400.0

  /// Where the utterances are from.
  public let dataDescription: String
  private let configuration: BenchmarkConfiguration
  private let train, validation: any SpeechSource
  private var errors = RecognitionErrors()

  /// Reads the transcripts, or composes melodies.
  public init(_ configuration: BenchmarkConfiguration) throws {
    self.configuration = configuration
    let isSmall = configuration.scale == .small
    if let directory = configuration.dataDirectory {
      // The small network's kernels are for 8 kHz, but its spectrograms may just as well be of 16 kHz.
      train = try LibriSpeech(directory: directory, split: .train, sampleRate: 16_000)
      validation = try LibriSpeech(directory: directory, split: .validation, sampleRate: 16_000)
    } else {
      let kind = isSmall ? SyntheticSpeech.Kind.small : .librispeech
      train = SyntheticSpeech(kind, count: isSmall ? 600 : 2000, seed: 1)
      validation = SyntheticSpeech(kind, count: isSmall ? 150 : 200, seed: 2)
    }
    dataDescription = "\(train.origin) (\(train.count) for training, \(validation.count) for validation)"
  }

  func model() -> DeepSpeech2 {
    var shape = configuration.scale == .small ? DeepSpeech2.Shape.small : .paper
    shape.bins = Spectrogram(sampleRate: train.sampleRate).binCount
    return DeepSpeech2(shape)
  }

  /// Connectionist temporal classification (Graves et al. 2006): the sum over all ways to lay the letters onto the
  /// frames; a mean over the batch.
  public func stage(_ name: String) throws -> TrainingStage {
    let model = model()
    let settings = Self.info.scale(configuration.scale)
    let isSmall = configuration.scale == .small
    let optimizer: any Optimizer =
      isSmall
      ? Adam(model.parameters(), learningRate: 2e-3)
      : SGD(model.parameters(), learningRate: 3e-4, momentum: 0.9, weightDecay: 1e-5, isNesterov: true)
    let batches = SpeechBatches(
      train, batchSize: configuration.batchSize, isShuffled: true, seed: configuration.seed)
    var stage = TrainingStage(
      model: model, optimizer: optimizer, schedule: isSmall ? .constant : .step(epochs: 1, factor: 1 / 1.1),
      loader: DataLoader(batches, batchSize: configuration.batchSize, seed: configuration.seed),
      target: settings.target, maximumEpochs: configuration.maximumEpochs, gradientLimit: Self.gradientLimit,
      loss: { Self.loss(model, $0) },
      evaluate: { [self] in
        errors = try evaluate(model)
        return errors.wordErrorRate
      })
    stage.measures = { [unowned self] in [("CER", errors.characterErrorRate)] }
    return stage
  }

  /// Frames that come out for each utterance of a batch.
  private static func lengths(_ batch: TensorBatch) -> [Int] {
    batch.inputs[1].integers().map(DeepSpeech2.outputFrames)
  }

  static func loss(_ model: DeepSpeech2, _ batch: TensorBatch) -> Tensor {
    let lengths = lengths(batch)
    let probabilities = model(batch.inputs[0], lengths: lengths)
    // Letters spoken faster than the frames can hold have no probability at all; such an utterance counts 0.
    return probabilities.ctcLoss(
      batch.targets[0], inputLengths: lengths, targetLengths: batch.targets[1].integers(), reduction: .sum,
      zeroInfinity: true) / Double(batch.samples)
  }

  private func evaluate(_ model: DeepSpeech2) throws -> RecognitionErrors {
    var errors = RecognitionErrors()
    let held = SpeechBatches(validation, batchSize: configuration.batchSize, isShuffled: false, seed: 0)
    let batches = DataLoader(held, batchSize: configuration.batchSize).batches(epoch: 0)
    var number = 0
    while let batch = try batches.nextBatch()?.tensors() {
      let lengths = Self.lengths(batch)
      let texts = DeepSpeech2.decode(model(batch.inputs[0], lengths: lengths), lengths: lengths)
      for (utterance, text) in zip(held.bin(number, epoch: 0).reversed(), texts) {
        errors.add(reference: validation.transcript(utterance), hypothesis: text)
      }
      number += 1
    }
    return errors
  }

  /// Recognizes validation utterances: the most likely letter of every frame [frames, n].
  public func inference() throws -> InferenceTask {
    let model = model()
    let held = SpeechBatches(validation, batchSize: configuration.batchSize, isShuffled: true, seed: 1)
    return InferenceTask(
      model: model, loader: DataLoader(held, batchSize: configuration.batchSize),
      answer: { model($0.inputs[0], lengths: Self.lengths($0)).argmax(2) })
  }
}
