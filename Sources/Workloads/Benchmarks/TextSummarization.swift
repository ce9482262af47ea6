// DC-AI-C14: what would the headline be? A pointer-generator network on Gigaword, taught by likelihood and by reward.

/// Ways to learn to write, and to write.
struct HeadlineWriter {
  let model: PointerGenerator
  /// Longest headline in words, with its end.
  let limit: Int
  /// The share of steps in which the decoder reads what it drew itself instead of the headline's word ("scheduled
  /// sampling", Bengio et al. 2015), so that it learns to go on after its own mistakes.
  var ownWords = 0.25

  /// Probabilities may be 0, as those of words that only another text of the batch has.
  static let smallest = 1e-12

  private func read(_ batch: TensorBatch) -> (memory: TextMemory, state: DecoderState) {
    typealias Input = HeadlineBatches.Input
    return model.encode(
      batch.inputs[Input.words], extended: batch.inputs[Input.extended],
      lengths: batch.inputs[Input.lengths].integers(), extraWords: batch.inputs[Input.extra].integers()[0])
  }

  /// The logarithm of each chosen word's probability: [n] from f32 [n, words] and i64 [n].
  private static func logProbability(_ probabilities: Tensor, of words: Tensor) -> Tensor {
    (probabilities.gathered(1, words.unsqueezed(1)).squeezed(1) + smallest).log()
  }

  /// Minus the mean log probability of a headline's word.
  func likelihoodLoss(_ batch: TensorBatch) -> Tensor {
    model.scoped {
      var (memory, state) = read(batch)
      let (inputs, targets) = (batch.inputs[HeadlineBatches.Input.decoder], batch.targets[HeadlineBatches.Target.words])
      let present = targets.differs(Double(WordVocabulary.padding)).to(.float32)
      var sum = Tensor(0)
      var own: Tensor?
      for step in 0..<targets.size(1) {
        var word = inputs.select(1, step)
        if let own {
          let usesOwn = Tensor.random([word.count]).isLess(ownWords)
          word = usesOwn.select(own, else: word)
        }
        let probabilities = model.step(word, memory, &state)
        sum = sum - (Self.logProbability(probabilities, of: targets.select(1, step)) * present.select(1, step)).sum()
        own = model.listed(withoutGradients { probabilities.detached().multinomial().squeezed(1) })
      }
      return sum / present.sum()
    }
  }

  /// Writes headlines by drawing each word, or by taking the likeliest: words [n, limit] up to and with the end, and for
  /// each headline the mean log probability of its words [n].
  private func write(_ batch: TensorBatch, isDrawn: Bool) -> (words: [[Int]], logProbability: Tensor) {
    var (memory, state) = read(batch)
    let n = batch.samples
    var word = Tensor.full([n], Double(WordVocabulary.begin), type: .int64)
    var isOpen = Tensor.ones([n])
    var (sum, length) = (Tensor.zeros([n]), Tensor.zeros([n]))
    var chosen: [Tensor] = []
    for _ in 0..<limit {
      let probabilities = model.step(word, memory, &state)
      let next = withoutGradients {
        isDrawn ? probabilities.detached().multinomial().squeezed(1) : probabilities.argmax(1)
      }
      sum = sum + Self.logProbability(probabilities, of: next) * isOpen
      length = length + isOpen
      chosen.append(next)
      isOpen = isOpen * next.differs(Double(WordVocabulary.end)).to(.float32)
      if isOpen.sum().item == 0 { break }
      word = model.listed(next)
    }
    let words = HeadlineBatches.rows(.stacked(chosen, dimension: 1)).map { row in
      Array(row.prefix { $0 != WordVocabulary.end })
    }
    return (words, sum / length)
  }

  /// The self-critical policy gradient (Rennie et al., CVPR 2017): headlines that are drawn become likelier as far as their
  /// ROUGE-L is above that of the likeliest headline, which is what the reader would get.
  func rewardLoss(_ batch: TensorBatch) -> Tensor {
    model.scoped {
      let references = HeadlineBatches.references(batch)
      let drawn = write(batch, isDrawn: true)
      let likeliest = withoutGradients { write(batch, isDrawn: false) }
      let advantages = references.indices.map { index in
        Float(
          Rouge.f1(candidate: drawn.words[index], reference: references[index])
            - Rouge.f1(candidate: likeliest.words[index], reference: references[index]))
      }
      return -(Tensor(advantages, shape: [advantages.count]) * drawn.logProbability).mean()
    }
  }

  /// A headline under way.
  private struct Hypothesis {
    var words: [Int] = []
    var logProbability = 0.0
    /// Each word counts alike, so that short headlines have no advantage.
    var score: Double { logProbability / Double(max(words.count, 1)) }
  }

  /// The best headlines that a beam search finds, without their end. Texts are searched together.
  func search(_ batch: TensorBatch, width: Int = 4) -> [[Int]] {
    model.scoped {
      let n = batch.samples
      var (memory, state) = read(batch)
      // The beams of a text lie beside each other. At first there is one; the others have no chance.
      let copies = Tensor(integers: (0..<(n * width)).map { $0 / width }, shape: [n * width])
      (memory, state) = (memory.rows(copies), state.rows(copies))
      var open = [[Hypothesis]](repeating: [Hypothesis](repeating: Hypothesis(), count: width), count: n)
      for text in 0..<n { for beam in 1..<width { open[text][beam].logProbability = -.infinity } }
      var ended = [[Hypothesis]](repeating: [], count: n)
      var word = Tensor.full([n * width], Double(WordVocabulary.begin), type: .int64)
      for _ in 0..<limit {
        let (values, indices) = (model.step(word, memory, &state) + Self.smallest).log().top(2 * width)
        let (logs, words) = (values.doubles(), indices.integers())
        var parents: [Int] = []
        for text in 0..<n {
          var next: [(hypothesis: Hypothesis, parent: Int)] = []
          for beam in 0..<width {
            let row = text * width + beam
            for place in (row * 2 * width)..<((row + 1) * 2 * width) {
              var longer = open[text][beam]
              longer.words.append(words[place])
              longer.logProbability += logs[place]
              next.append((longer, row))
            }
          }
          // A stable order: equals stay in the order of their beams.
          next = next.enumerated().sorted {
            ($1.element.hypothesis.logProbability, $0.offset) < ($0.element.hypothesis.logProbability, $1.offset)
          }.map(\.element)
          var kept: [(hypothesis: Hypothesis, parent: Int)] = []
          for candidate in next where kept.count < width {
            if candidate.hypothesis.words.last == WordVocabulary.end {
              if ended[text].count < width, candidate.hypothesis.words.count > 1 {
                ended[text].append(candidate.hypothesis)
              }
            } else {
              kept.append(candidate)
            }
          }
          open[text] = kept.map(\.hypothesis)
          parents += kept.map(\.parent)
        }
        if ended.allSatisfy({ $0.count >= width }) { break }
        state = state.rows(Tensor(integers: parents, shape: [n * width]))
        word = model.listed(Tensor(integers: open.joined().map { $0.words[$0.words.count - 1] }, shape: [n * width]))
      }
      return (0..<n).map { text in
        let best = (ended[text].isEmpty ? open[text] : ended[text]).max { $0.score < $1.score }
        return Array((best?.words ?? []).prefix { $0 != WordVocabulary.end })
      }
    }
  }
}

/// Text summarization: the pointer-generator on Gigaword, or a small one on sentences by a grammar.
public final class TextSummarization: Benchmark {
  /// The facts.
  public static let info = BenchmarkInfo(
    id: "DC-AI-C14", name: "text-summarization", task: "Text summarization",
    model: "Pointer-generator with temporal and intra-decoder attention", dataSet: "Gigaword headlines",
    dataFormat: "train.article.txt with train.title.txt, valid.article.filter.txt with valid.title.filter.txt (one "
      + "sentence a line), and vocab (lines \"word count\"; made from the training files when missing)",
    small: ScaleInfo(
      target: QualityTarget(metric: "ROUGE-L", value: 86), batchSize: 32, maximumEpochs: 25, parameters: 100_503,
      optimizer: "Adam 0.002, gradients to norm 2"),
    paper: ScaleInfo(
      target: QualityTarget(metric: "ROUGE-L", value: 41), batchSize: 200, maximumEpochs: 12, parameters: 48_234_833,
      forwardFLOPs: 1_370_284_544, optimizer: "Adam 0.001 (reward: 0.0001), gradients to norm 2"),
    published: PublishedSize(
      parameters: 48_234_833, forwardFLOPs: 2 * 1.52e9,
      source: "layers of the suite's reference implementation, 55 words in and 15 out",
      difference: "the reference multiplies the encoder's states by the attention's weights anew for every word that "
        + "it writes, and its own former states too; here each is multiplied once"))

  /// What differs between the scales, beside the model.
  private struct Settings {
    /// The quality that ends the teaching by likelihood.
    var likelihoodTarget: Double
    var rate, rewardRate: Double
    /// Longest headline with its end.
    var limit: Int
    /// Texts that are evaluated, from the first.
    var evaluated: Int

    static let paper = Settings(likelihoodTarget: 40.48, rate: 1e-3, rewardRate: 1e-4, limit: 15, evaluated: 2000)
    static let small = Settings(likelihoodTarget: 80, rate: 2e-3, rewardRate: 1e-3, limit: 8, evaluated: 300)
  }

  /// How much the likelihood counts beside the reward.
  static let likelihoodShare = 0.25
  /// Limit of the gradients' joint norm.
  static let gradientLimit = 2.0
  /// Words of the published model with its four specials.
  static let paperWords = 50_000

  /// The training stages, in order.
  public let stageNames = ["likelihood", "reward"]
  /// Where the sentences are from.
  public let dataDescription: String
  private let configuration: BenchmarkConfiguration
  private let settings: Settings
  private let train, validation: HeadlineBatches
  private var taught: PointerGenerator?

  /// Looks through the files, or sets up the grammar.
  public init(_ configuration: BenchmarkConfiguration) throws {
    self.configuration = configuration
    let isSmall = configuration.scale == .small
    settings = isSmall ? .small : .paper
    if let directory = configuration.dataDirectory {
      let data = try Gigaword.load(directory: directory, limit: isSmall ? 5000 : Self.paperWords)
      train = HeadlineBatches(source: data.train, vocabulary: data.vocabulary)
      validation = HeadlineBatches(source: data.validation, vocabulary: data.vocabulary)
    } else {
      // At paper scale words that are never said fill the vocabulary, and fillers the sentences.
      let words = SyntheticHeadlines.words
      let rest = isSmall ? 0 : Self.paperWords - words.count - WordVocabulary.specials.count
      let vocabulary = WordVocabulary(words + (0..<rest).map { "unused\($0)" })
      func pairs(_ count: Int, seed: UInt64) -> HeadlineBatches {
        HeadlineBatches(
          source: SyntheticHeadlines(count: count, length: isSmall ? nil : Gigaword.longestArticle, seed: seed),
          vocabulary: vocabulary)
      }
      train = pairs(isSmall ? 1000 : 20_000, seed: 1)
      validation = pairs(isSmall ? settings.evaluated : 2000, seed: 2)
    }
    dataDescription =
      "\(train.source.origin) (\(train.count) for training, \(validation.count) for validation, "
      + "\(train.vocabulary.count) words)"
  }

  func model() -> PointerGenerator {
    var shape = configuration.scale == .small ? PointerGenerator.Shape.small : .paper
    shape.words = train.vocabulary.count
    return PointerGenerator(shape)
  }

  /// First the headlines' words are made likely; then, with the same model, headlines that are good as a whole.
  public func stage(_ name: String) throws -> TrainingStage {
    let isLikelihood = name == stageNames[0]
    // Without a taught model (as when only the second stage's cost is measured) it begins anew.
    let model = isLikelihood ? model() : taught ?? model()
    taught = model
    let writer = HeadlineWriter(model: model, limit: settings.limit)
    let final = Self.info.scale(configuration.scale).target
    return TrainingStage(
      name: name, model: model,
      optimizer: Adam(model.parameters(), learningRate: isLikelihood ? settings.rate : settings.rewardRate),
      loader: DataLoader(
        train, batchSize: configuration.batchSize, isShuffled: true, dropsLast: true, seed: configuration.seed),
      target: isLikelihood ? QualityTarget(metric: final.metric, value: settings.likelihoodTarget) : final,
      maximumEpochs: configuration.maximumEpochs, gradientLimit: Self.gradientLimit,
      loss: { batch in
        let likelihood = writer.likelihoodLoss(batch)
        if isLikelihood { return likelihood }
        let share = Self.likelihoodShare
        return share * likelihood + (1 - share) * writer.rewardLoss(batch)
      },
      evaluate: { [self] in try evaluate(writer) })
  }

  /// Mean ROUGE-L F1 × 100 of the headlines that the beam search finds.
  private func evaluate(_ writer: HeadlineWriter) throws -> Double {
    var sum = 0.0
    var count = 0
    let limit = (settings.evaluated + configuration.batchSize - 1) / configuration.batchSize
    let batches = DataLoader(validation, batchSize: configuration.batchSize).batches(epoch: 0, limit: limit)
    while let batch = try batches.nextBatch()?.tensors() {
      for (candidate, reference) in zip(writer.search(batch), HeadlineBatches.references(batch)) {
        sum += Rouge.f1(candidate: candidate, reference: reference)
        count += 1
      }
    }
    return count == 0 ? .nan : 100 * sum / Double(count)
  }

  /// Writes headlines for validation sentences by beam search: i64 [n, limit], padded.
  public func inference() throws -> InferenceTask {
    let model = model()
    let writer = HeadlineWriter(model: model, limit: settings.limit)
    return InferenceTask(
      model: model, loader: DataLoader(validation, batchSize: configuration.batchSize),
      answer: { batch in
        let headlines = writer.search(batch)
        return Tensor(
          integers: headlines.flatMap {
            $0 + [Int](repeating: WordVocabulary.padding, count: writer.limit - $0.count)
          }, shape: [headlines.count, writer.limit])
      })
  }
}
