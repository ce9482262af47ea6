// Stacks of attention and feed-forward layers: encoder and decoder of the Transformer.

/// What makes one Transformer differ from another.
public struct TransformerShape: Sendable {
  /// Where the normalization of a block stands.
  public enum Normalization: Sendable {
    /// norm(x + f(x)): the paper, BERT.
    case after
    /// x + f(norm(x)), and once more at the end of a stack: what trains deep stacks without a warm-up so long.
    case before
  }
  /// What a feed-forward layer bends its numbers with.
  public enum Activation: Sendable {
    case relu
    case gelu
  }

  /// Numbers of a position.
  public var width: Int
  /// Parts of the width that attend each by itself.
  public var heads: Int
  /// Numbers inside the feed-forward layers.
  public var hidden: Int
  /// Layers of a stack.
  public var layers: Int
  /// Dropout of each block's result.
  public var dropout = 0.1
  /// Dropout of attention weights.
  public var attentionDropout = 0.1
  /// Dropout inside the feed-forward layers.
  public var hiddenDropout = 0.0
  /// Where blocks are normalized.
  public var normalization = Normalization.after
  /// Inside the feed-forward layers.
  public var activation = Activation.relu
  /// Whether the projections of attention have biases.
  public var hasAttentionBias = true
  /// Added to variances.
  public var epsilon = 1e-5

  /// A shape with the paper's dropout.
  public init(width: Int, heads: Int, hidden: Int, layers: Int) {
    (self.width, self.heads, self.hidden, self.layers) = (width, heads, hidden, layers)
  }
}

/// The same two-layer network at every position: [*, width] → [*, width].
final class FeedForward: Module, Layer {
  let linear1, linear2: Linear
  let dropout: Dropout
  private let activation: TransformerShape.Activation

  init(_ shape: TransformerShape) {
    linear1 = Linear(shape.width, shape.hidden)
    linear2 = Linear(shape.hidden, shape.width)
    dropout = Dropout(shape.hiddenDropout)
    activation = shape.activation
    for layer in [linear1, linear2] {
      Initialization.xavierUniform()(layer.weight)
      layer.bias?.fill(0)
    }
  }

  func forward(_ x: Tensor) -> Tensor {
    let inside = linear1(x)
    return linear2(dropout(activation == .relu ? inside.reluInPlace() : inside.gelu()))
  }
}

/// What is around every block: normalization, dropout and the way past it.
final class ResidualNorm: Module {
  let norm: LayerNorm
  let dropout: Dropout
  private let normalization: TransformerShape.Normalization

  init(_ shape: TransformerShape) {
    norm = LayerNorm([shape.width], epsilon: shape.epsilon)
    dropout = Dropout(shape.dropout)
    normalization = shape.normalization
  }

  func callAsFunction(_ x: Tensor, _ block: (Tensor) -> Tensor) -> Tensor {
    scoped {
      switch normalization {
      case .after: norm(x + dropout(block(x)))
      case .before: x + dropout(block(norm(x)))
      }
    }
  }
}

/// Attention to the sequence itself, then a feed-forward layer.
public final class TransformerEncoderLayer: Module {
  let self_attn: MultiHeadAttention
  let feed_forward: FeedForward
  let residual1, residual2: ResidualNorm

  init(_ shape: TransformerShape) {
    self_attn = MultiHeadAttention(
      shape.width, heads: shape.heads, dropout: shape.attentionDropout, bias: shape.hasAttentionBias)
    feed_forward = FeedForward(shape)
    residual1 = ResidualNorm(shape)
    residual2 = ResidualNorm(shape)
  }

  func callAsFunction(_ x: Tensor, lengths: Tensor?) -> Tensor {
    scoped { residual2(residual1(x) { self_attn($0, lengths: lengths) }) { feed_forward($0) } }
  }
}

/// A stack of encoder layers.
public final class TransformerEncoder: Module {
  let layers: [TransformerEncoderLayer]
  /// The last one's normalization, where blocks are normalized before.
  let norm: LayerNorm?

  /// Layers with random weights.
  public init(_ shape: TransformerShape) {
    layers = (0..<shape.layers).map { _ in TransformerEncoderLayer(shape) }
    norm = shape.normalization == .before ? LayerNorm([shape.width], epsilon: shape.epsilon) : nil
  }

  /// f32 [n, s, width] → [n, s, width]; of each sequence the first `lengths` (i64 [n]) positions count.
  public func callAsFunction(_ x: Tensor, lengths: Tensor? = nil) -> Tensor {
    scoped {
      let y = layers.reduce(x) { $1($0, lengths: lengths) }
      return norm?(y) ?? y
    }
  }
}

/// Attention to the positions so far, attention to the memory, then a feed-forward layer.
public final class TransformerDecoderLayer: Module {
  let self_attn, memory_attn: MultiHeadAttention
  let feed_forward: FeedForward
  let residual1, residual2, residual3: ResidualNorm

  init(_ shape: TransformerShape) {
    func attention(_ source: MultiHeadAttention.Source) -> MultiHeadAttention {
      MultiHeadAttention(
        shape.width, heads: shape.heads, source: source, dropout: shape.attentionDropout,
        bias: shape.hasAttentionBias)
    }
    self_attn = attention(.itself)
    memory_attn = attention(.memory)
    feed_forward = FeedForward(shape)
    residual1 = ResidualNorm(shape)
    residual2 = ResidualNorm(shape)
    residual3 = ResidualNorm(shape)
  }

  func callAsFunction(_ x: Tensor, memory: Tensor, lengths: Tensor?) -> Tensor {
    scoped {
      // Padding comes after the sequence, so that no position but padding itself would see it.
      let known = residual1(x) { self_attn($0, isCausal: true) }
      let found = residual2(known) {
        memory_attn($0, keysAndValues: memory_attn.keysAndValues(memory), lengths: lengths)
      }
      return residual3(found) { feed_forward($0) }
    }
  }

  func next(_ x: Tensor, past: inout Tensor?, memory: Tensor, lengths: Tensor?) -> Tensor {
    scoped {
      let known = residual1(x) { self_attn.next($0, past: &past) }
      let found = residual2(known) { memory_attn($0, keysAndValues: memory, lengths: lengths) }
      return residual3(found) { feed_forward($0) }
    }
  }
}

/// A stack of decoder layers.
public final class TransformerDecoder: Module {
  let layers: [TransformerDecoderLayer]
  /// The last one's normalization, where blocks are normalized before.
  let norm: LayerNorm?

  /// Layers with random weights.
  public init(_ shape: TransformerShape) {
    layers = (0..<shape.layers).map { _ in TransformerDecoderLayer(shape) }
    norm = shape.normalization == .before ? LayerNorm([shape.width], epsilon: shape.epsilon) : nil
  }

  /// A whole sequence at once, as in training: x f32 [n, t, width], memory f32 [n, s, width] of which the first
  /// `lengths` (i64 [n]) positions count → [n, t, width].
  public func callAsFunction(_ x: Tensor, memory: Tensor, lengths: Tensor? = nil) -> Tensor {
    scoped {
      let y = layers.reduce(x) { $1($0, memory: memory, lengths: lengths) }
      return norm?(y) ?? y
    }
  }

  /// What decoding keeps from position to position: per layer the keys and values of the positions so far and those of
  /// the memory.
  public struct Cache {
    var past: [Tensor?]
    let memory: [Tensor]
    let lengths: Tensor?

    /// Keeps the beginnings that `rows` (i64) name, in their order. Their memories have to be the same.
    mutating func select(rows: Tensor) { past = past.map { $0?.select(0, indices: rows) } }
  }

  /// The cache before the first position.
  public func cache(memory: Tensor, lengths: Tensor? = nil) -> Cache {
    scoped {
      Cache(
        past: layers.map { _ in nil }, memory: layers.map { $0.memory_attn.keysAndValues(memory) }, lengths: lengths)
    }
  }

  /// One more position: x f32 [n, 1, width] → [n, 1, width].
  public func next(_ x: Tensor, _ cache: inout Cache) -> Tensor {
    scoped {
      var y = x
      for (number, layer) in layers.enumerated() {
        y = layer.next(y, past: &cache.past[number], memory: cache.memory[number], lengths: cache.lengths)
      }
      return norm?(y) ?? y
    }
  }
}
