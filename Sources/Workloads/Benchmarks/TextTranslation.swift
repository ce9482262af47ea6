// DC-AI-C3: what does an English sentence mean in German? A Transformer on pairs of sentences.

/// Text-to-text translation: the Transformer's base model.
///
/// The technical report's table says "recurrent neural networks" and WMT English-German; its text and program have this
/// Transformer, and its times fit the 29 000 pairs of WMT16's multimodal task (Multi30k), whose vocabularies these are.
public final class TextTranslation: Benchmark {
  /// The facts.
  public static let info = BenchmarkInfo(
    id: "DC-AI-C3", name: "text-to-text-translation", task: "Text-to-text translation",
    model: "Transformer (base)", dataSet: "WMT English-German (Multi30k)",
    dataFormat: "train.en with train.de and val.en with val.de: a sentence a line, words between blanks",
    small: ScaleInfo(
      target: QualityTarget(metric: "token accuracy", value: 0.9), batchSize: 64, maximumEpochs: 20,
      parameters: 170_496, forwardFLOPs: 2_744_320,
      optimizer: "Adam 0.002, betas 0.9 and 0.98, 150 steps of warm-up, then 1/√step"),
    paper: ScaleInfo(
      target: QualityTarget(metric: "token accuracy", value: 0.55), batchSize: 256, maximumEpochs: 100,
      parameters: 47_241_216, forwardFLOPs: 1_377_868_800,
      optimizer: "Adam 512^-0.5 min(step^-0.5, step 4000^-1.5), betas 0.9 and 0.98"),
    published: PublishedSize(
      parameters: 47_241_216, forwardFLOPs: 1_377_868_800,
      source:
        "AIBench's program with Multi30k's vocabularies of 2911 and 3149 words; FLOPs by formula, 15 tokens on each "
        + "side (small: 8)"))

  private let configuration: BenchmarkConfiguration
  private let data: TranslationData
  /// Made-up text at paper scale has fewer words than Multi30k's vocabularies, which the model keeps.
  private let vocabularies: (source: Int, target: Int)

  /// Multi30k's, words that occur five times or more.
  static let paperVocabularies = (source: 2911, target: 3149)

  /// Reads parallel text, or makes a language up.
  public init(_ configuration: BenchmarkConfiguration) throws {
    self.configuration = configuration
    let isSmall = configuration.scale == .small
    if let directory = configuration.dataDirectory {
      data = try TranslationData(directory: directory, units: .words(minimumCount: 5), longest: 50)
      vocabularies = (data.source.vocabulary.count, data.target.vocabulary.count)
    } else {
      let special = Vocabulary.specials.count
      let language =
        isSmall
        ? SyntheticLanguage.small
        : SyntheticLanguage(
          sourceWords: Self.paperVocabularies.source - special, targetWords: Self.paperVocabularies.target - special,
          length: 6...20)
      // The seed of the data is fixed: runs with different seeds are runs on the same data.
      let (train, validation) = isSmall ? (3200, 500) : (29_000, 1014)
      data = try TranslationData(
        train: try language.parallelText(count: train, seed: 1),
        validation: try language.parallelText(count: validation, seed: 2), units: .words(minimumCount: 1),
        longest: 50, origin: language.origin(count: train + validation, seed: 1))
      vocabularies =
        isSmall ? (data.source.vocabulary.count, data.target.vocabulary.count) : Self.paperVocabularies
    }
  }

  /// Where the text is from.
  public var dataDescription: String { data.description }

  func model() -> TranslationTransformer {
    TranslationTransformer(
      configuration.scale == .small ? .smallBase : .base, sourceVocabulary: vocabularies.source,
      targetVocabulary: vocabularies.target)
  }

  /// Cross entropy to the next token, a tenth of it to all tokens alike (label smoothing).
  public func stage(_ name: String) throws -> TrainingStage {
    let model = model()
    let isSmall = configuration.scale == .small
    let warmUp = isSmall ? 150 : 4000
    // The published formula's peak, at the end of the warm-up.
    let peak = isSmall ? 2e-3 : 1 / (512 * Double(warmUp)).squareRoot()
    let validation = DataLoader(data.validation, batchSize: configuration.batchSize)
    return TrainingStage(
      model: model,
      optimizer: Adam(model.parameters(), learningRate: peak, betas: (0.9, 0.98), epsilon: 1e-9),
      schedule: .inverseSquareRoot(warmUp: warmUp),
      loader: DataLoader(
        data.train, batchSize: configuration.batchSize, isShuffled: true, dropsLast: true, seed: configuration.seed),
      target: Self.info.scale(configuration.scale).target, maximumEpochs: configuration.maximumEpochs,
      loss: { batch in
        model(batch.inputs[0], lengths: batch.inputs[1], target: batch.inputs[2])
          .crossEntropy(batch.targets[0].flattened(), labelSmoothing: 0.1, ignoring: Vocabulary.padding)
      },
      evaluate: {
        try TranslationQuality.tokenAccuracy(validation) {
          model($0.inputs[0], lengths: $0.inputs[1], target: $0.inputs[2])
        }
      })
  }

  /// Translates sentences, the most probable word after the other.
  public func inference() throws -> InferenceTask {
    let model = model()
    return InferenceTask(
      model: model, loader: DataLoader(data.validation, batchSize: configuration.batchSize),
      answer: { batch in
        TranslationQuality.tensor(
          model.translate(batch.inputs[0], lengths: batch.inputs[1], by: BeamSearch(), extra: 10))
      })
  }
}
