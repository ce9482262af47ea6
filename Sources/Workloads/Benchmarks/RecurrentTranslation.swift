// ML-GNMT: how good are translations by recurrent networks? MLPerf's GNMT, judged by BLEU.

/// Translation, recurrent: GNMT on WMT16 English-German, sub-words of one vocabulary.
public final class RecurrentTranslation: Benchmark {
  /// The facts.
  public static let info = BenchmarkInfo(
    id: "ML-GNMT", name: "translation-recurrent", task: "Translation, recurrent", model: "GNMT v2",
    dataSet: "WMT16 English-German",
    dataFormat:
      "train.en with train.de and newstest2014.en with newstest2014.de (or val.en with val.de), or as MLPerf's "
      + "preparation leaves them (train.tok.clean.bpe.32000.en …); bpe.codes and vocab.bpe, else both are learnt",
    small: ScaleInfo(
      target: QualityTarget(metric: "BLEU", value: 25), batchSize: 64, maximumEpochs: 30, parameters: 296_625,
      forwardFLOPs: 4_644_864, optimizer: "Adam 0.004, gradients up to 5"),
    paper: ScaleInfo(
      target: QualityTarget(metric: "BLEU", value: 24), batchSize: 128, maximumEpochs: 6, parameters: 160_671_297,
      forwardFLOPs: 8_160_018_432,
      optimizer: "Adam 0.001, gradients up to 5, 200 steps of warm-up, halved four times in the last third"),
    published: PublishedSize(
      parameters: 160_671_297, forwardFLOPs: 8_160_018_432,
      source: "MLPerf Training v0.6 reference with 32 320 sub-words; FLOPs by formula, 32 tokens on each side "
        + "(small: 8)"))

  /// Tokens of MLPerf's vocabulary, filled up to a multiple of 32.
  static let paperVocabulary = 32_320

  private let configuration: BenchmarkConfiguration
  private let data: TranslationData
  private let train, validation: ReversiblePairs
  private let vocabulary: Int
  /// Of the last evaluation.
  private var bleu = BLEU()

  /// Reads parallel text, or makes a language up.
  public init(_ configuration: BenchmarkConfiguration) throws {
    self.configuration = configuration
    if let directory = configuration.dataDirectory {
      let merges = configuration.scale == .small ? 500 : 32_000
      data = try TranslationData(directory: directory, units: .subwords(merges: merges), longest: 50)
      vocabulary = data.target.vocabulary.count
    } else if configuration.scale == .small {
      data = try NonrecurrentTranslation.smallData(.short, train: 6400, validation: 200)
      vocabulary = data.target.vocabulary.count
    } else {
      data = try NonrecurrentTranslation.paperData(vocabulary: Self.paperVocabulary)
      vocabulary = Self.paperVocabulary
    }
    train = ReversiblePairs(pairs: data.train)
    validation = ReversiblePairs(pairs: data.validation)
  }

  /// Where the text is from.
  public var dataDescription: String { data.description }

  func model() -> GNMT { GNMT(configuration.scale == .small ? .small : .paper, vocabulary: vocabulary) }

  /// Beam 5, α 0.6 and β 0.1, as published.
  static let search = BeamSearch(width: 5, lengthExponent: 0.6, coverageWeight: 0.1)

  /// Cross entropy to the next token, a tenth of it to all tokens alike; judged by the BLEU of found translations.
  public func stage(_ name: String) throws -> TrainingStage {
    let model = model()
    let isSmall = configuration.scale == .small
    let data = data
    let validation = validation
    let batchSize = max(configuration.batchSize / (isSmall ? 1 : 4), 1)
    var stage = TrainingStage(
      model: model, optimizer: Adam(model.parameters(), learningRate: isSmall ? 4e-3 : 1e-3),
      schedule: isSmall ? .constant : .halvings(warmUp: 200, start: 0.666, count: 4),
      loader: DataLoader(
        train, batchSize: configuration.batchSize, isShuffled: true, dropsLast: true, seed: configuration.seed),
      target: Self.info.scale(configuration.scale).target, maximumEpochs: configuration.maximumEpochs,
      gradientLimit: 5,
      loss: { batch in
        model(batch.inputs[0], reversed: batch.inputs[3], target: batch.inputs[2])
          .crossEntropy(batch.targets[0].flattened(), labelSmoothing: 0.1, ignoring: Vocabulary.padding)
      },
      evaluate: { [unowned self] in
        bleu = try TranslationQuality.bleu(data.validation, validation, batchSize: batchSize) {
          Self.translate($0, by: model, isSmall: isSmall)
        }
        return bleu.score
      })
    stage.measures = { [unowned self] in
      [("output words", Double(bleu.length)), ("reference words", Double(bleu.referenceLength))]
    }
    return stage
  }

  private static func translate(_ batch: TensorBatch, by model: GNMT, isSmall: Bool) -> [[Int]] {
    model.translate(
      batch.inputs[0], lengths: batch.inputs[1].integers(), reversed: batch.inputs[3], by: search,
      extra: isSmall ? 5 : 50)
  }

  /// Translates sentences, five beginnings at a time.
  public func inference() throws -> InferenceTask {
    let model = model()
    let isSmall = configuration.scale == .small
    return InferenceTask(
      model: model, loader: DataLoader(validation, batchSize: configuration.batchSize),
      answer: { TranslationQuality.tensor(Self.translate($0, by: model, isSmall: isSmall)) })
  }
}

/// Pairs of sentences for a network that reads from both ends. Inputs have one more: for each place of the sources, in
/// [n × s], the place that has its token when they are read from the last token to the first.
struct ReversiblePairs: BucketedDataset {
  let pairs: TranslationPairs

  var count: Int { pairs.count }
  func bucket(of index: Int) -> Int { pairs.bucket(of: index) }

  func batch(_ indices: [Int], epoch: Int, random: inout SeededRandom) throws -> Batch {
    var batch = try pairs.batch(indices, epoch: epoch, random: &random)
    let width = batch.inputs[0].shape[1]
    guard case .integers(let lengths) = batch.inputs[1].storage else { return batch }
    let places = lengths.enumerated().flatMap { row, length in
      (0..<width).map { row * width + ($0 < length ? length - 1 - $0 : $0) }
    }
    batch.inputs.append(HostTensor(integers: places, shape: [places.count]))
    return batch
  }
}
