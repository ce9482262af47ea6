// DC-AI-C19: which words are missing from a text? BERT's pre-training on Wikipedia.

/// Natural language processing: BERT base learns to guess hidden tokens, and whether one text follows another.
public final class NaturalLanguageProcessing: Benchmark {
  /// The facts.
  public static let info = BenchmarkInfo(
    id: "DC-AI-C19", name: "natural-language-processing", task: "Natural language processing",
    model: "BERT base, pre-training", dataSet: "Wikipedia",
    dataFormat: "train.txt and val.txt (or wiki.train.txt and wiki.valid.txt): a sentence a line, a blank line between "
      + "documents; vocab.txt with BERT's word pieces, else they are learnt",
    small: ScaleInfo(
      target: QualityTarget(metric: "masked-LM accuracy", value: 0.6), batchSize: 32, maximumEpochs: 20,
      parameters: 117_094, forwardFLOPs: 5_998_848,
      optimizer: "AdamW 0.002, weight decay 0.01, 100 steps of warm-up, linear, gradients up to 1"),
    paper: ScaleInfo(
      target: QualityTarget(metric: "masked-LM accuracy", value: 0.712), batchSize: 256, maximumEpochs: 40,
      parameters: 110_106_428, forwardFLOPs: 100_290_616_320,
      optimizer: "AdamW 0.0001, weight decay 0.01, 10 000 steps of warm-up, linear, gradients up to 1"),
    published: PublishedSize(
      parameters: 110e6, forwardFLOPs: 96_636_764_160,
      source: "Devlin et al. 2019; FLOPs of the twelve layers by formula, 512 tokens (small: 28)",
      difference: "3.8 % more FLOPs: the heads of the pre-training, with 76 hidden tokens of 512"))

  /// What differs between the scales.
  private struct Setting {
    var longest: Int
    var pieces: Int
    var warmUp: Int
    var rate: Double
  }

  private let configuration: BenchmarkConfiguration
  private let setting: Setting
  private let train, validation: PretrainingSamples
  private let shape: BERT.Shape
  /// Where the text is from.
  public let dataDescription: String
  /// Share of texts of which is known whether they follow, at the last evaluation.
  private var nextAccuracy = 0.0

  /// Reads documents, or makes some up.
  public init(_ configuration: BenchmarkConfiguration) throws {
    self.configuration = configuration
    let isSmall = configuration.scale == .small
    let setting =
      isSmall
      ? Setting(longest: 28, pieces: 100, warmUp: 100, rate: 2e-3)
      : Setting(longest: 512, pieces: 30_522, warmUp: 10_000, rate: 1e-4)
    self.setting = setting
    let texts: (train: any TextLines, validation: any TextLines)
    let origin: String
    var vocabulary: WordPiece?
    if let path = configuration.dataDirectory {
      let directory = try DataDirectory(path)
      guard let first = directory.first(of: ["train.txt", "wiki.train.txt"]),
        let second = directory.first(of: ["val.txt", "valid.txt", "wiki.valid.txt"])
      else {
        throw directory.wrongFormat(expected: ["train.txt with val.txt", "wiki.train.txt with wiki.valid.txt"])
      }
      texts = (try LineFile(path: first), try LineFile(path: second))
      if let file = directory.first(of: ["vocab.txt"]) { vocabulary = try WordPiece(path: file) }
      origin = path
    } else {
      let grammar = isSmall ? SyntheticGrammar.small : .paper
      // The seed of the data is fixed: runs with different seeds are runs on the same data.
      let (documents, held) = isSmall ? (400, 80) : (2000, 50)
      origin = grammar.origin(documents: documents + held, seed: 1)
      texts = (
        LinesInMemory(lines: grammar.lines(documents: documents, seed: 1), origin: origin),
        LinesInMemory(lines: grammar.lines(documents: held, seed: 2), origin: origin)
      )
    }
    let documents = try Documents(texts.train)
    let held = try Documents(texts.validation)
    let pieces = try vocabulary ?? Self.learn(texts.train, limit: setting.pieces)
    train = PretrainingSamples(documents, vocabulary: pieces, longest: setting.longest, padsToLongest: !isSmall)
    validation = PretrainingSamples(
      held, vocabulary: pieces, longest: setting.longest, padsToLongest: !isSmall, isFixed: true)
    // Made-up text has fewer pieces than BERT's vocabulary, which the model keeps.
    let isPublished = !isSmall && configuration.dataDirectory == nil
    shape =
      isSmall
      ? .small(vocabulary: pieces.count, positions: setting.longest)
      : .base(vocabulary: isPublished ? max(setting.pieces, pieces.count) : pieces.count)
    dataDescription =
      "\(origin) (\(documents.ranges.count) documents with \(train.count) sentences for training, "
      + "\(validation.count) sentences for validation, \(pieces.count) word pieces)"
  }

  private static func learn(_ text: any TextLines, limit: Int) throws(DataError) -> WordPiece {
    var counts: [String: Int] = [:]
    for index in 0..<text.count {
      for word in WordPiece.words(try text.line(index)) { counts[word, default: 0] += 1 }
    }
    return WordPiece(learning: limit, from: counts)
  }

  func model() -> BERT { BERT(shape) }

  /// The sum of both guesses' cross entropies.
  public func stage(_ name: String) throws -> TrainingStage {
    let model = model()
    var stage = TrainingStage(
      model: model,
      optimizer: Adam(
        model.parameters(), learningRate: setting.rate, epsilon: 1e-6, weightDecay: 0.01, isDecoupled: true),
      schedule: .linear(warmUp: setting.warmUp),
      loader: DataLoader(
        train, batchSize: configuration.batchSize, isShuffled: true, dropsLast: true, seed: configuration.seed),
      target: Self.info.scale(configuration.scale).target, maximumEpochs: configuration.maximumEpochs,
      gradientLimit: 1,
      loss: { batch in
        let states = model(batch.inputs[0], segments: batch.inputs[1], lengths: batch.inputs[2])
        return model.guesses(states, at: batch.inputs[3]).crossEntropy(batch.targets[0])
          + model.relationship(states).crossEntropy(batch.targets[1])
      }, evaluate: { [unowned self] in try evaluate(model) })
    stage.measures = { [unowned self] in [("next-sentence accuracy", nextAccuracy)] }
    return stage
  }

  /// The share of hidden tokens that are guessed right; the masks are the same every time.
  private func evaluate(_ model: BERT) throws -> Double {
    var right = (tokens: 0.0, next: 0.0)
    var count = (tokens: 0, next: 0)
    let batches = DataLoader(validation, batchSize: configuration.batchSize).batches(epoch: 0)
    while let batch = try batches.nextBatch()?.tensors() {
      let states = model(batch.inputs[0], segments: batch.inputs[1], lengths: batch.inputs[2])
      let guesses = model.guesses(states, at: batch.inputs[3]).argmax(1)
      right.tokens += guesses.equals(batch.targets[0]).to(.int64).sum().item
      right.next += model.relationship(states).argmax(1).equals(batch.targets[1]).to(.int64).sum().item
      count.tokens += batch.targets[0].count
      count.next += batch.samples
    }
    nextAccuracy = right.next / Double(max(count.next, 1))
    return right.tokens / Double(max(count.tokens, 1))
  }

  /// Guesses the hidden tokens of texts.
  public func inference() throws -> InferenceTask {
    let model = model()
    return InferenceTask(
      model: model, loader: DataLoader(validation, batchSize: configuration.batchSize),
      answer: { batch in
        let states = model(batch.inputs[0], segments: batch.inputs[1], lengths: batch.inputs[2])
        return model.guesses(states, at: batch.inputs[3]).argmax(1)
      })
  }
}
