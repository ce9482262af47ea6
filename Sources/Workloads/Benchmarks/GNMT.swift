// Google's Neural Machine Translation: recurrent encoder and decoder, and the attention between them.

/// Additive attention (Bahdanau et al. 2015), normalized: a query's score of a key is g v·tanh(W q + U k + b) / |v|.
final class BahdanauAttention: Module {
  let linear_q, linear_k: Linear
  /// v.
  let linear_att: Parameter
  /// g.
  let normalize_scalar: Parameter
  /// b.
  let normalize_bias: Parameter

  init(_ width: Int) {
    linear_q = Linear(width, width, bias: false)
    linear_k = Linear(width, width, bias: false)
    linear_att = Parameter([width])
    normalize_scalar = Parameter(Tensor.full([1], 1 / Double(width).squareRoot()))
    normalize_bias = Parameter([width])
  }

  /// The keys of a memory f32 [n, s, width], made once for all queries.
  func keys(_ memory: Tensor) -> Tensor { scoped { linear_k(memory) } }

  /// What queries f32 [n, t, width] find in the memory [n, s, width], and its shares [n, t, s]. `isPadding` (bool
  /// [n, 1, s]) is where nothing is to be found.
  func callAsFunction(
    _ queries: Tensor, keys: Tensor, memory: Tensor, isPadding: Tensor
  ) -> (context: Tensor, weights: Tensor) {
    scoped {
      let q = linear_q(queries) + normalize_bias
      let sum = q.unsqueezed(2) + keys.unsqueezed(1)
      let v = linear_att * (normalize_scalar / linear_att.norm())
      let scores = sum.tanh().matmul(v)
      let weights = scores.masked(isPadding, with: -65_504).softmax(-1)
      return (weights.bmm(memory), weights)
    }
  }
}

/// GNMT (Wu et al. 2016) as MLPerf runs it ("v2"). Encoder: LSTMs, the first of both directions, from the third on with
/// the way past them. Decoder: the first LSTM asks what of the source matters; its answer goes, beside the result of the
/// layer before, into every further one. Both languages have one table of embeddings; the output has its own weights.
final class GNMT: Module {
  /// What makes the published model differ from the small one.
  struct Shape: Sendable {
    var width: Int
    /// Layers of encoder and of decoder.
    var layers: Int
    var dropout: Double

    /// 160 671 297 parameters with a vocabulary of 32 320.
    static let paper = Shape(width: 1024, layers: 4, dropout: 0.2)
    /// Without dropout: at this width it would only delay what there is to learn.
    static let small = Shape(width: 64, layers: 3, dropout: 0)
  }

  let embedding: Embedding
  let encoder_forward, encoder_backward: LSTM
  let encoder: [LSTM]
  let query: LSTM
  let attention: BahdanauAttention
  let decoder: [LSTM]
  let classifier: Linear
  let dropout: Dropout

  init(_ shape: Shape, vocabulary: Int) {
    let width = shape.width
    embedding = Embedding(vocabulary, width, paddingIndex: Vocabulary.padding)
    encoder_forward = LSTM(width, width)
    encoder_backward = LSTM(width, width)
    encoder = (1..<shape.layers).map { LSTM($0 == 1 ? 2 * width : width, width) }
    query = LSTM(width, width)
    attention = BahdanauAttention(width)
    decoder = (1..<shape.layers).map { _ in LSTM(2 * width, width) }
    classifier = Linear(width, vocabulary)
    dropout = Dropout(shape.dropout)
    super.init()
    // Wu et al.: everything uniform between −0.1 and 0.1; the attention's own parts as they are made.
    for (path, parameter) in namedParameters() where !path.hasPrefix("attention.normalize") {
      Initialization.uniform(-0.1, 0.1)(parameter)
    }
    embedding.weight.detached().select(0, Vocabulary.padding).fill(0)
  }

  /// What the decoder knows of the sources.
  struct Memory {
    var values, keys: Tensor
    /// Bool [n, 1, s].
    var isPadding: Tensor

    func repeated(_ times: Int) -> Memory {
      Memory(
        values: values.repeatedRows(times), keys: keys.repeatedRows(times), isPadding: isPadding.repeatedRows(times))
    }
  }

  /// Sources i64 [n, s] and where each place of theirs is when the tokens are read from the last to the first (i64
  /// [n × s], numbers of [n × s]; padding stays) → the memory.
  func encode(_ source: Tensor, reversed: Tensor) -> Memory {
    scoped {
      let shape = source.shape
      func turned(_ x: Tensor) -> Tensor {
        x.flattened(0, 1).select(0, indices: reversed).reshaped([shape[0], shape[1], x.size(2)])
      }
      let x = dropout(embedding(source))
      // The second direction reads the tokens in reverse, so that padding stays at the end for it too.
      var y = Tensor.concatenated([encoder_forward(x), turned(encoder_backward(turned(x)))], dimension: 2)
      for (number, layer) in encoder.enumerated() {
        let output = layer(dropout(y))
        y = number == 0 ? output : output + y
      }
      return Memory(
        values: y, keys: attention.keys(y), isPadding: source.equals(Double(Vocabulary.padding)).unsqueezed(1))
    }
  }

  /// The states of all decoder layers.
  typealias States = [LSTM.State?]

  /// States before the first token.
  var initialStates: States { [LSTM.State?](repeating: nil, count: decoder.count + 1) }

  /// Logits f32 [n × t, vocabulary] of the tokens after targets i64 [n, t]; where it looked, [n, t, s].
  func decode(_ target: Tensor, _ memory: Memory, _ states: inout States) -> (logits: Tensor, weights: Tensor) {
    scoped {
      let asked = query(dropout(embedding(target)), states[0])
      states[0] = asked.state
      let (context, weights) = attention(
        asked.output, keys: memory.keys, memory: memory.values, isPadding: memory.isPadding)
      var x = asked.output
      for (number, layer) in decoder.enumerated() {
        let result = layer(dropout(Tensor.concatenated([x, context], dimension: 2)), states[number + 1])
        states[number + 1] = result.state
        x = number == 0 ? result.output : result.output + x
      }
      return (classifier(x.flattened(0, 1)), weights)
    }
  }

  /// Logits f32 [n × t, vocabulary] of each next token, given sources and the targets so far.
  func callAsFunction(_ source: Tensor, reversed: Tensor, target: Tensor) -> Tensor {
    var states = initialStates
    return decode(target, encode(source, reversed: reversed), &states).logits
  }

  /// Translates sources token by token.
  func translate(
    _ source: Tensor, lengths: [Int], reversed: Tensor, by search: BeamSearch, extra: Int
  ) -> [[Int]] {
    withoutGradients {
      let steps = Steps(self, memory: encode(source, reversed: reversed).repeated(search.width))
      return search.translate(steps, sourceLengths: lengths, longest: source.size(1) + extra)
    }
  }

  private final class Steps: SequenceDecoder {
    private let model: GNMT
    private let memory: Memory
    private var states: States

    init(_ model: GNMT, memory: Memory) {
      self.model = model
      self.memory = memory
      states = model.initialStates
    }

    func append(_ tokens: Tensor) -> (logProbabilities: Tensor, attention: Tensor?) {
      let result = model.decode(tokens.unsqueezed(1), memory, &states)
      return (result.logits.logSoftmax(), result.weights.squeezed(1))
    }

    func select(rows: Tensor) {
      states = states.map { $0.map { ($0.h.select(1, indices: rows), $0.c.select(1, indices: rows)) } }
    }
  }
}
