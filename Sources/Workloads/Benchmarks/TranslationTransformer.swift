// The Transformer as a translator: what text-to-text translation and MLPerf's non-recurrent translation have in common.
import Glibc

/// "Attention Is All You Need" (Vaswani et al. 2017): an encoder reads the source, a decoder says the translation token by
/// token, looking at what it has said and at what the encoder read.
final class TranslationTransformer: Module {
  /// What makes the base model differ from the big one.
  struct Shape: Sendable {
    var stack: TransformerShape
    /// Whether both languages and the output have one table of embeddings; else the output shares the target's.
    var sharesEmbeddings: Bool
    /// Whether embeddings, of deviation 1/√width, are scaled by √width and dropped out. Else they have deviation 1,
    /// and the output is scaled by 1/√width.
    var scalesEmbeddings: Bool
    var positions: SinusoidalPositions.Order

    /// The model of AIBench (a PyTorch Transformer of the paper's base size): 47 241 216 parameters with the vocabularies
    /// 2911 and 3149 of Multi30k. It is normalized after each block, has biases at all projections, and its feed-forward
    /// layers are written as convolutions of width one, which are the same products.
    static let base = Shape(
      stack: TransformerShape(width: 512, heads: 8, hidden: 2048, layers: 6), sharesEmbeddings: false,
      scalesEmbeddings: false, positions: .interleaved)
    /// 170 496 parameters with vocabularies of 24.
    static let smallBase = Shape(
      stack: TransformerShape(width: 64, heads: 4, hidden: 128, layers: 2), sharesEmbeddings: false,
      scalesEmbeddings: false, positions: .interleaved)
    /// MLPerf's big model: 210 804 736 parameters with a vocabulary of 33 708. Normalized before each block, no biases at
    /// the projections of attention, dropout inside the feed-forward layers too.
    static let big = Shape(width: 1024, heads: 16, hidden: 4096, layers: 6)
    /// The same structure for short sentences.
    static let smallBig = Shape(width: 64, heads: 4, hidden: 128, layers: 2)

    init(
      stack: TransformerShape, sharesEmbeddings: Bool, scalesEmbeddings: Bool, positions: SinusoidalPositions.Order
    ) {
      (self.stack, self.sharesEmbeddings) = (stack, sharesEmbeddings)
      (self.scalesEmbeddings, self.positions) = (scalesEmbeddings, positions)
    }

    private init(width: Int, heads: Int, hidden: Int, layers: Int) {
      var stack = TransformerShape(width: width, heads: heads, hidden: hidden, layers: layers)
      stack.hiddenDropout = 0.1
      stack.normalization = .before
      stack.hasAttentionBias = false
      stack.epsilon = 1e-6
      self.init(stack: stack, sharesEmbeddings: true, scalesEmbeddings: true, positions: .halves)
    }
  }

  /// The longest sentence, in tokens; longer ones than in training may have to be translated.
  static let longest = 512

  let source_embedding, target_embedding: Embedding
  let positions: Buffer
  let dropout: Dropout
  let encoder: TransformerEncoder
  let decoder: TransformerDecoder
  private let shape: Shape

  init(_ shape: Shape, sourceVocabulary: Int, targetVocabulary: Int) {
    self.shape = shape
    let width = shape.stack.width
    let deviation = shape.scalesEmbeddings ? 1 / Double(width).squareRoot() : 1
    func embedding(_ tokens: Int) -> Embedding {
      Embedding(tokens, width, paddingIndex: Vocabulary.padding, initialization: .normal(deviation: deviation))
    }
    source_embedding = embedding(sourceVocabulary)
    target_embedding = shape.sharesEmbeddings ? source_embedding : embedding(targetVocabulary)
    positions = Buffer(SinusoidalPositions.table(Self.longest, width, shape.positions))
    dropout = Dropout(shape.scalesEmbeddings ? shape.stack.dropout : 0)
    encoder = TransformerEncoder(shape.stack)
    decoder = TransformerDecoder(shape.stack)
    if !shape.scalesEmbeddings {
      Initialization.xavierNormal()(target_embedding.weight)
      target_embedding.weight.detached().select(0, Vocabulary.padding).fill(0)
    }
  }

  private var rootWidth: Double { Double(shape.stack.width).squareRoot() }

  /// Tokens i64 [n, t] at positions from `first` on → f32 [n, t, width].
  private func embedded(_ tokens: Tensor, _ embedding: Embedding, first: Int = 0) -> Tensor {
    let vectors = embedding(tokens)
    let places = positions.slice(0, first..<first + tokens.size(1))
    return shape.scalesEmbeddings ? dropout(vectors * rootWidth + places) : vectors + places
  }

  /// What the decoder looks at: sources i64 [n, s] of which the first `lengths` (i64 [n]) tokens count →
  /// f32 [n, s, width].
  func encode(_ source: Tensor, lengths: Tensor) -> Tensor {
    scoped { encoder(embedded(source, source_embedding), lengths: lengths) }
  }

  /// Decoder's results f32 [*, width] → logits f32 [*, target vocabulary].
  func logits(_ x: Tensor) -> Tensor {
    let table = target_embedding.weight
    return shape.scalesEmbeddings ? x.linear(table) : (x * (1 / rootWidth)).linear(table)
  }

  /// Logits f32 [n × t, vocabulary] of each next token, given sources and the targets so far, i64 [n, t].
  func callAsFunction(_ source: Tensor, lengths: Tensor, target: Tensor) -> Tensor {
    scoped {
      let memory = encode(source, lengths: lengths)
      let said = decoder(embedded(target, target_embedding), memory: memory, lengths: lengths)
      return logits(said.flattened(0, 1))
    }
  }

  /// Translates sources token by token.
  func translate(_ source: Tensor, lengths: Tensor, by search: BeamSearch, extra: Int) -> [[Int]] {
    withoutGradients {
      scoped {
        let steps = TransformerSteps(
          self, memory: encode(source, lengths: lengths).repeatedRows(search.width),
          lengths: lengths.repeatedRows(search.width))
        let longest = min(source.size(1) + extra, Self.longest)
        return search.translate(steps, sourceLengths: lengths.integers(), longest: longest)
      }
    }
  }

  /// The decoder's next token, with what it computed for the tokens before.
  private final class TransformerSteps: SequenceDecoder {
    private let model: TranslationTransformer
    private var cache: TransformerDecoder.Cache
    private var position = 0

    init(_ model: TranslationTransformer, memory: Tensor, lengths: Tensor) {
      self.model = model
      cache = model.decoder.cache(memory: memory, lengths: lengths)
    }

    func append(_ tokens: Tensor) -> (logProbabilities: Tensor, attention: Tensor?) {
      let x = model.embedded(tokens.unsqueezed(1), model.target_embedding, first: position)
      position += 1
      return (model.logits(model.decoder.next(x, &cache).squeezed(1)).logSoftmax(), nil)
    }

    func select(rows: Tensor) { cache.select(rows: rows) }
  }
}

/// What every translation benchmark measures.
enum TranslationQuality {
  /// The share of target tokens that are the model's first choice when it is told all tokens before.
  ///
  /// - Parameter logits: of a batch, f32 [n × t, vocabulary].
  static func tokenAccuracy(_ loader: DataLoader, _ logits: (TensorBatch) -> Tensor) throws -> Double {
    var right = 0.0
    var count = 0.0
    let batches = loader.batches(epoch: 0)
    while let batch = try batches.nextBatch()?.tensors() {
      let target = batch.targets[0].flattened()
      let isToken = target.differs(Double(Vocabulary.padding))
      let isRight = logits(batch).argmax(1).equals(target).and(isToken)
      right += isRight.to(.int64).sum().item
      count += isToken.to(.int64).sum().item
    }
    return count > 0 ? right / count : .nan
  }

  /// BLEU of translations against the references, without regard to case.
  ///
  /// - Parameter samples: the pairs, with whatever else the model reads.
  static func bleu(
    _ pairs: TranslationPairs, _ samples: (any Dataset)? = nil, batchSize: Int,
    _ translate: (TensorBatch) -> [[Int]]
  ) throws -> BLEU {
    var bleu = BLEU()
    var index = 0
    let batches = DataLoader(samples ?? pairs, batchSize: batchSize).batches(epoch: 0)
    while let batch = try batches.nextBatch()?.tensors() {
      for translation in translate(batch) {
        bleu.add(
          BLEU.tokens(pairs.target.decode(translation)), reference: BLEU.tokens(try pairs.reference(index)))
        index += 1
      }
    }
    return bleu
  }

  /// Translations as one tensor, i64 [n, longest], filled up with padding.
  static func tensor(_ translations: [[Int]]) -> Tensor { HostTensor.padded(translations).tensor() }
}
