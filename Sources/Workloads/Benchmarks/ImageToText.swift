// DC-AI-C4: what does a photograph show, in a sentence? Show and Tell on COCO.

/// The neural image caption generator (Vinyals et al., CVPR 2015: "Show and Tell"), as the suite's reference
/// implementation builds it: the features of a convolutional network, brought to the words' width and normalized, are
/// the first input of an LSTM; after them come the words that are there already, and each output says which comes next.
/// (The reference also has a word that begins each caption, and counts how well it is foretold; that word is the same
/// for every caption, so here the image itself stands for it.)
final class CaptionGenerator: Module {
  /// What makes the published network differ from the small one.
  struct Shape: Sendable {
    /// Width of a word's embedding.
    var embedding: Int
    /// Width of the LSTM's state.
    var hidden: Int

    /// With Inception-v3 and COCO's 9957 words 34 197 925 parameters, of which 10 363 357 are trained.
    static let paper = Shape(embedding: 299, hidden: 512)
    /// For 19 words.
    static let small = Shape(embedding: 32, hidden: 64)
  }

  let encoder: any ImageEncoder
  let linear: Linear
  let bn: BatchNorm2d
  let embed: Embedding
  let lstm: LSTM
  let output: Linear

  /// Whether the encoder stays as it is, because another task has taught it.
  let isFrozen: Bool

  init(_ shape: Shape, encoder: any ImageEncoder, isFrozen: Bool, words: Int) {
    self.encoder = encoder
    self.isFrozen = isFrozen
    linear = Linear(type(of: encoder).featureCount, shape.embedding)
    bn = BatchNorm2d(shape.embedding, momentum: 0.01)
    embed = Embedding(words, shape.embedding)
    lstm = LSTM(shape.embedding, shape.hidden)
    output = Linear(shape.hidden, words)
  }

  /// What training changes.
  var trained: [Parameter] {
    namedParameters().filter { !isFrozen || !$0.path.hasPrefix("encoder.") }.map(\.parameter)
  }

  /// Images f32 [n, 3, h, w] → f32 [n, embedding].
  func encode(_ images: Tensor) -> Tensor {
    func features() -> Tensor { encoder.scoped { encoder.features(images) } }
    guard isFrozen else { return bn(linear(features())) }
    // No gradient, and the statistics of its normalization stay too.
    if encoder.isTraining { encoder.train(false) }
    return bn(linear(withoutGradients(features)))
  }

  /// What comes next at every place: logits [sum of lengths, words], in the order of a packed sequence.
  ///
  /// - Parameters:
  ///   - images: f32 [n, 3, h, w].
  ///   - words: i64 [n, longest], the captions from their first word, padded.
  ///   - lengths: of the captions with their end, longest first. A caption of k words has k + 1 inputs: the image and
  ///     every word.
  func callAsFunction(_ images: Tensor, words: Tensor, lengths: [Int]) -> Tensor {
    scoped {
      let inputs = Tensor.concatenated([encode(images).unsqueezed(1), embed(words)], dimension: 1)
      return output(lstm(inputs.packed(lengths: lengths, isBatchFirst: true)).output.data)
    }
  }

  /// The most likely words, one after another: i64 [n, limit]; what follows an end means nothing.
  func describe(_ images: Tensor, limit: Int) -> Tensor {
    scoped {
      var input = encode(images).unsqueezed(1)
      var state: LSTM.State?
      var words: [Tensor] = []
      for _ in 0..<limit {
        let (outputs, next) = lstm(input, state)
        state = next
        let word = output(outputs.squeezed(1)).argmax(1)
        words.append(word)
        input = embed(word).unsqueezed(1)
      }
      return .stacked(words, dimension: 1)
    }
  }
}

/// Image to text: Show and Tell on COCO, or a small one on drawings of two things.
public final class ImageToText: Benchmark {
  /// The facts.
  public static let info = BenchmarkInfo(
    id: "DC-AI-C4", name: "image-to-text", task: "Image to text",
    model: "Show and Tell (Inception-v3, LSTM)", dataSet: "COCO captions",
    dataFormat: "annotations/captions_train2014.json and captions_val2014.json with train2014/*.jpg and val2014/*.jpg "
      + "(or 2017)",
    small: ScaleInfo(
      target: QualityTarget(metric: "perplexity", value: 1.8, isHigherBetter: false), batchSize: 64, maximumEpochs: 25,
      parameters: 80_859, forwardFLOPs: 5_749_976, optimizer: "Adam 0.004"),
    paper: ScaleInfo(
      target: QualityTarget(metric: "perplexity", value: 4.2, isHigherBetter: false), batchSize: 128,
      maximumEpochs: 60, parameters: 34_197_925, forwardFLOPs: 5_808_149_184, optimizer: "Adam 0.001"),
    published: PublishedSize(
      parameters: 34.198e6, forwardFLOPs: 2 * (2.838e9 + 10 * 6.76e6),
      source: "layers of the suite's reference implementation: Inception-v3 at 224 pixels, nine words and an end"))

  /// Words of the published model with its four specials.
  static let paperWords = 9957
  /// Longest caption that is made, in words.
  static let longestCaption = 20

  private let configuration: BenchmarkConfiguration
  private let train, validation: any CaptionSource

  /// Reads the captions, or sets up the drawings.
  public init(_ configuration: BenchmarkConfiguration) throws {
    self.configuration = configuration
    let isSmall = configuration.scale == .small
    let side = isSmall ? 32 : 224
    if let directory = configuration.dataDirectory {
      let known = try CocoCaptions(directory: directory, split: .train, side: side, seed: configuration.seed)
      train = known
      validation = try CocoCaptions(
        directory: directory, split: .validation, side: side, vocabulary: known.vocabulary, seed: configuration.seed)
    } else {
      let words = isSmall ? nil : Self.paperWords
      train = SyntheticDrawings(imageCount: isSmall ? 1500 : 6400, side: side, words: words, seed: 1)
      validation = SyntheticDrawings(imageCount: isSmall ? 250 : 640, side: side, words: words, seed: 2)
    }
  }

  /// Where the images and captions are from.
  public var dataDescription: String {
    "\(train.origin) (\(train.count) captions for training, \(validation.count) for validation, "
      + "\(train.vocabulary.count) words)"
  }

  func model() -> CaptionGenerator {
    let words = train.vocabulary.count
    switch configuration.scale {
    case .paper: return CaptionGenerator(.paper, encoder: InceptionV3(), isFrozen: true, words: words)
    // No other task has taught the small encoder, so it learns with the decoder.
    case .small: return CaptionGenerator(.small, encoder: SmallInception(), isFrozen: false, words: words)
    }
  }

  private static func logits(_ model: CaptionGenerator, _ batch: TensorBatch) -> Tensor {
    model(batch.inputs[0], words: batch.inputs[1], lengths: batch.inputs[2].integers())
  }

  /// Cross entropy of every next word by Adam.
  public func stage(_ name: String) throws -> TrainingStage {
    let model = model()
    let held = DataLoader(CaptionBatches(source: validation), batchSize: configuration.batchSize)
    return TrainingStage(
      model: model,
      optimizer: Adam(model.trained, learningRate: configuration.scale == .small ? 4e-3 : 1e-3),
      loader: DataLoader(
        CaptionBatches(source: train), batchSize: configuration.batchSize, isShuffled: true, dropsLast: true,
        seed: configuration.seed),
      target: Self.info.scale(configuration.scale).target, maximumEpochs: configuration.maximumEpochs,
      loss: { Self.logits(model, $0).crossEntropy($0.targets[0]) },
      evaluate: {
        var perplexity = Perplexity()
        let batches = held.batches(epoch: 0)
        while let batch = try batches.nextBatch()?.tensors() {
          let loss = Self.logits(model, batch).crossEntropy(batch.targets[0], reduction: .sum)
          perplexity.add(crossEntropy: loss.item, words: batch.targets[0].count)
        }
        return perplexity.value
      })
  }

  /// Describes validation images.
  public func inference() throws -> InferenceTask {
    let model = model()
    return InferenceTask(
      model: model, loader: DataLoader(CaptionBatches(source: validation), batchSize: configuration.batchSize),
      answer: { model.describe($0.inputs[0], limit: Self.longestCaption) })
  }
}

/// Images with captions as a data set, longest caption first: inputs images f32 [n, 3, h, w], words i64 [n, longest]
/// (padded), lengths with the end i64 [n]; targets i64 [sum of lengths], the next words in the order of a packed
/// sequence: the first of every caption, then the second of every one that has it.
struct CaptionBatches: Dataset {
  let source: any CaptionSource

  var count: Int { source.count }

  func batch(_ indices: [Int], epoch: Int, random: inout SeededRandom) throws -> Batch {
    let captions = indices.map { (index: $0, words: source.caption($0)) }
      .sorted { ($1.words.count, $0.index) < ($0.words.count, $1.index) }
    let size = source.shape.reduce(1, *)
    let pixels = try [Float](unsafeUninitializedCapacity: captions.count * size) { buffer, count in
      for (place, caption) in captions.enumerated() {
        let planes = UnsafeMutableBufferPointer(rebasing: buffer[(place * size)..<((place + 1) * size)])
        try source.write(caption.index, epoch: epoch, into: planes)
        count = (place + 1) * size
      }
    }
    let longest = captions[0].words.count
    var next: [Int] = []
    for place in 0...longest {
      for (_, words) in captions where words.count >= place {
        next.append(place < words.count ? words[place] : WordVocabulary.end)
      }
    }
    let n = captions.count
    return Batch(
      samples: n,
      inputs: [
        HostTensor(pixels, shape: [n] + source.shape),
        HostTensor(
          integers: captions.flatMap {
            $0.words + [Int](repeating: WordVocabulary.padding, count: longest - $0.words.count)
          }, shape: [n, longest]),
        HostTensor(integers: captions.map { $0.words.count + 1 }, shape: [n]),
      ], targets: [HostTensor(integers: next, shape: [next.count])])
  }
}
