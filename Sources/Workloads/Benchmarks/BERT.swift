// BERT: a Transformer's encoder that reads text in both directions, and what it is trained with.

/// "BERT" (Devlin et al. 2019): embeddings of tokens, places and segments, a stack of encoder layers with GELU, and what
/// guesses hidden tokens and whether the second piece of text follows the first.
final class BERT: Module {
  /// What makes the published models differ from the small one.
  struct Shape: Sendable {
    var stack: TransformerShape
    var vocabulary: Int
    /// The longest text, in tokens.
    var positions: Int

    private init(width: Int, heads: Int, hidden: Int, layers: Int, vocabulary: Int, positions: Int) {
      stack = TransformerShape(width: width, heads: heads, hidden: hidden, layers: layers)
      stack.activation = .gelu
      stack.epsilon = 1e-12
      self.vocabulary = vocabulary
      self.positions = positions
    }

    /// 109 482 240 parameters, with the heads of the pre-training 110 106 428.
    static func base(vocabulary: Int = 30_522) -> Shape {
      Shape(width: 768, heads: 12, hidden: 3072, layers: 12, vocabulary: vocabulary, positions: 512)
    }
    /// 335 141 888 parameters, with the heads 336 226 108.
    static func large(vocabulary: Int = 30_522) -> Shape {
      Shape(width: 1024, heads: 16, hidden: 4096, layers: 24, vocabulary: vocabulary, positions: 512)
    }
    static func small(vocabulary: Int, positions: Int) -> Shape {
      var shape = Shape(width: 64, heads: 4, hidden: 256, layers: 2, vocabulary: vocabulary, positions: positions)
      // In a few hundred steps nothing is learnt too well.
      shape.stack.dropout = 0.05
      shape.stack.attentionDropout = 0.05
      return shape
    }
  }

  let word_embeddings, position_embeddings, token_type_embeddings: Embedding
  let norm: LayerNorm
  let dropout: Dropout
  let encoder: TransformerEncoder
  /// Of the first token's result: what is known of the whole text.
  let pooler: Linear
  /// The head that guesses tokens: a layer with GELU and normalization, then the embeddings of all tokens.
  let transform: Linear
  let transform_norm: LayerNorm
  let decoder_bias: Parameter
  /// The head that guesses whether the second piece is a random one.
  let seq_relationship: Linear

  init(_ shape: Shape) {
    let width = shape.stack.width
    let initialization = Initialization.normal(deviation: 0.02)
    word_embeddings = Embedding(shape.vocabulary, width, initialization: initialization)
    position_embeddings = Embedding(shape.positions, width, initialization: initialization)
    token_type_embeddings = Embedding(2, width, initialization: initialization)
    norm = LayerNorm([width], epsilon: shape.stack.epsilon)
    dropout = Dropout(shape.stack.dropout)
    encoder = TransformerEncoder(shape.stack)
    pooler = Linear(width, width)
    transform = Linear(width, width)
    transform_norm = LayerNorm([width], epsilon: shape.stack.epsilon)
    decoder_bias = Parameter([shape.vocabulary])
    seq_relationship = Linear(width, 2)
    super.init()
    for (_, module) in namedModules() {
      if let linear = module as? Linear {
        initialization(linear.weight)
        linear.bias?.fill(0)
      }
    }
  }

  /// Tokens and segments i64 [n, t], of which the first `lengths` (i64 [n]) count → f32 [n, t, width].
  func callAsFunction(_ tokens: Tensor, segments: Tensor, lengths: Tensor) -> Tensor {
    scoped {
      let places = position_embeddings(Tensor.range(tokens.size(1)))
      let x = norm(word_embeddings(tokens) + token_type_embeddings(segments) + places)
      return encoder(dropout(x), lengths: lengths)
    }
  }

  /// Logits of the tokens at places (i64 [m], of n × t): f32 [m, vocabulary].
  func guesses(_ states: Tensor, at places: Tensor) -> Tensor {
    scoped {
      let hidden = transform_norm(transform(states.flattened(0, 1).select(0, indices: places)).gelu())
      return hidden.linear(word_embeddings.weight, decoder_bias)
    }
  }

  /// Logits of "the second piece follows" and "it is a random one": f32 [n, 2].
  func relationship(_ states: Tensor) -> Tensor {
    scoped { seq_relationship(pooler(states.select(1, 0)).tanh()) }
  }
}
