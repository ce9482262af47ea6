// ML-Transformer: how good are translations without recurrence? MLPerf's Transformer, judged by BLEU.

/// Translation, non-recurrent: the Transformer's big model on WMT17 English-German, sub-words of one vocabulary.
public final class NonrecurrentTranslation: Benchmark {
  /// The facts.
  public static let info = BenchmarkInfo(
    id: "ML-Transformer", name: "translation-nonrecurrent", task: "Translation, non-recurrent",
    model: "Transformer (big)", dataSet: "WMT17 English-German",
    dataFormat: "train.en with train.de and newstest2014.en with newstest2014.de (or val.en with val.de): a sentence a "
      + "line; bpe.codes and vocab.bpe, else both are learnt",
    small: ScaleInfo(
      target: QualityTarget(metric: "BLEU", value: 60), batchSize: 64, maximumEpochs: 25, parameters: 169_024,
      forwardFLOPs: 2_765_824, optimizer: "Adam 0.003, betas 0.9 and 0.98, 150 steps of warm-up, then 1/√step"),
    // 128 sentences of WMT have about the 4096 tokens of the reference's batch.
    paper: ScaleInfo(
      target: QualityTarget(metric: "BLEU", value: 25), batchSize: 128, maximumEpochs: 20, parameters: 210_804_736,
      forwardFLOPs: 13_558_874_112,
      optimizer: "Adam 2 × 1024^-0.5 min(step^-0.5, step 16000^-1.5), betas 0.9 and 0.997"),
    published: PublishedSize(
      parameters: 210.8e6, forwardFLOPs: 13_558_874_112,
      source: "MLPerf Training v0.6 reference with its 33 708 sub-words; FLOPs by formula, 32 tokens on each side "
        + "(small: 8)"))

  /// Tokens of MLPerf's vocabulary.
  static let paperVocabulary = 33_708

  private let configuration: BenchmarkConfiguration
  private let data: TranslationData
  private let vocabulary: Int
  /// Of the last evaluation.
  private var bleu = BLEU()

  /// Reads parallel text, or makes a language up.
  public init(_ configuration: BenchmarkConfiguration) throws {
    self.configuration = configuration
    if let directory = configuration.dataDirectory {
      let merges = configuration.scale == .small ? 500 : 32_000
      data = try TranslationData(directory: directory, units: .subwords(merges: merges), longest: 64)
      vocabulary = data.target.vocabulary.count
    } else if configuration.scale == .small {
      data = try Self.smallData(train: 3200, validation: 200)
      vocabulary = data.target.vocabulary.count
    } else {
      data = try Self.paperData(vocabulary: Self.paperVocabulary)
      vocabulary = Self.paperVocabulary
    }
  }

  /// The small language in sub-words: frequent words are one, others two or three.
  static func smallData(
    _ language: SyntheticLanguage = .small, train: Int, validation: Int
  ) throws -> TranslationData {
    // The seed of the data is fixed: runs with different seeds are runs on the same data.
    return try TranslationData(
      train: language.parallelText(count: train, seed: 1),
      validation: language.parallelText(count: validation, seed: 2), units: .subwords(merges: 60), longest: 50,
      origin: language.origin(count: train + validation, seed: 1))
  }

  /// As many words as WMT has sub-words, and as long sentences.
  static func paperData(vocabulary: Int) throws -> TranslationData {
    let words = vocabulary - Vocabulary.specials.count
    let language = SyntheticLanguage(sourceWords: words / 2, targetWords: words - words / 2, length: 10...50)
    let (train, validation) = (20_000, 500)
    return try TranslationData(
      train: language.parallelText(count: train, seed: 1),
      validation: language.parallelText(count: validation, seed: 2), units: .sharedWords, longest: 50,
      origin: language.origin(count: train + validation, seed: 1))
  }

  /// Where the text is from.
  public var dataDescription: String { data.description }

  func model() -> TranslationTransformer {
    TranslationTransformer(
      configuration.scale == .small ? .smallBig : .big, sourceVocabulary: vocabulary, targetVocabulary: vocabulary)
  }

  /// Beam 4 with α 0.6, as published.
  static let search = BeamSearch(width: 4, lengthExponent: 0.6)

  /// Cross entropy to the next token, a tenth of it to all tokens alike; judged by the BLEU of found translations.
  public func stage(_ name: String) throws -> TrainingStage {
    let model = model()
    let isSmall = configuration.scale == .small
    let warmUp = isSmall ? 150 : 16_000
    let peak = isSmall ? 3e-3 : 2 / (1024 * Double(warmUp)).squareRoot()
    let data = data
    // Translating four ways takes memory for four.
    let batchSize = max(configuration.batchSize / (isSmall ? 1 : 4), 1)
    var stage = TrainingStage(
      model: model,
      optimizer: Adam(
        model.parameters(), learningRate: peak, betas: (0.9, isSmall ? 0.98 : 0.997), epsilon: 1e-9),
      schedule: .inverseSquareRoot(warmUp: warmUp),
      loader: DataLoader(
        data.train, batchSize: configuration.batchSize, isShuffled: true, dropsLast: true, seed: configuration.seed),
      target: Self.info.scale(configuration.scale).target, maximumEpochs: configuration.maximumEpochs,
      loss: { batch in
        model(batch.inputs[0], lengths: batch.inputs[1], target: batch.inputs[2])
          .crossEntropy(batch.targets[0].flattened(), labelSmoothing: 0.1, ignoring: Vocabulary.padding)
      },
      evaluate: { [unowned self] in
        bleu = try TranslationQuality.bleu(data.validation, batchSize: batchSize) {
          // The small language's translations are as long as the source; the published limit is for real ones.
          model.translate($0.inputs[0], lengths: $0.inputs[1], by: Self.search, extra: isSmall ? 5 : 50)
        }
        return bleu.score
      })
    stage.measures = { [unowned self] in
      [("output words", Double(bleu.length)), ("reference words", Double(bleu.referenceLength))]
    }
    return stage
  }

  /// Translates sentences, four beginnings at a time.
  public func inference() throws -> InferenceTask {
    let model = model()
    let extra = configuration.scale == .small ? 5 : 50
    return InferenceTask(
      model: model, loader: DataLoader(data.validation, batchSize: configuration.batchSize),
      answer: { batch in
        TranslationQuality.tensor(
          model.translate(batch.inputs[0], lengths: batch.inputs[1], by: Self.search, extra: extra))
      })
  }
}
