// A network that writes a summary word by word: each one made by itself or copied from the text.

/// What the decoder looks back at: the text, read by the encoder.
struct TextMemory {
  /// A state for each word of the text: f32 [n, words, 2 hidden].
  var states: Tensor
  /// The states as the attention compares them: f32 [n, words, 2 hidden].
  var keys: Tensor
  /// 1 for a word, 0 for padding: f32 [n, words].
  var mask: Tensor
  /// The words' numbers in the extended vocabulary: i64 [n, words].
  var words: Tensor
  /// Words of the text that the vocabulary lacks, at most in any text of the batch.
  var extraWords: Int

  /// Rows in another order or several times (i64 [rows]).
  func rows(_ indices: Tensor) -> TextMemory {
    TextMemory(
      states: states.select(0, indices: indices), keys: keys.select(0, indices: indices),
      mask: mask.select(0, indices: indices), words: words.select(0, indices: indices), extraWords: extraWords)
  }
}

/// Where the decoder is.
struct DecoderState {
  /// The LSTM's h and c, each [n, hidden].
  var lstm: LSTMCell.State
  /// What the attention last saw of the text: [n, 2 hidden].
  var context: Tensor
  /// Sum of e^score of all former steps: [n, words]; nil at the first.
  var attended: Tensor?
  /// The decoder's own former outputs, [n, steps, hidden], and as the attention compares them; nil at the first step.
  var former: (outputs: Tensor, keys: Tensor)?

  /// Rows in another order or several times (i64 [rows]).
  func rows(_ indices: Tensor) -> DecoderState {
    func rows(_ x: Tensor) -> Tensor { x.select(0, indices: indices) }
    return DecoderState(
      lstm: (rows(lstm.h), rows(lstm.c)), context: rows(context), attended: attended.map(rows),
      former: former.map { (rows($0.outputs), rows($0.keys)) })
  }
}

/// Temporal attention to the text (Paulus, Xiong and Socher, ICLR 2018): what was attended to before counts less.
final class EncoderAttention: Module {
  let W_h, W_s, v: Linear

  init(_ hidden: Int) {
    W_h = Linear(2 * hidden, 2 * hidden, bias: false)
    W_s = Linear(2 * hidden, 2 * hidden)
    v = Linear(2 * hidden, 1, bias: false)
  }

  /// The context [n, 2 hidden], the weights [n, words], and the sum of e^score up to now.
  func callAsFunction(
    _ state: Tensor, _ memory: TextMemory, attended: Tensor?
  ) -> (context: Tensor, weights: Tensor, attended: Tensor) {
    scoped {
      let scores = v((memory.keys + W_s(state).unsqueezed(1)).tanh()).squeezed(2).exp()
      let penalized = (attended.map { scores / $0 } ?? scores) * memory.mask
      let weights = penalized / penalized.sum([1], keep: true)
      let context = weights.unsqueezed(1).bmm(memory.states).squeezed(1)
      return (context, weights, attended.map { $0 + scores } ?? scores + 1e-10)
    }
  }
}

/// Attention of the decoder to its own former outputs, against repetition (Paulus, Xiong and Socher, ICLR 2018).
final class DecoderAttention: Module {
  let W_prev, W_s, v: Linear

  init(_ hidden: Int) {
    W_prev = Linear(hidden, hidden, bias: false)
    W_s = Linear(hidden, hidden)
    v = Linear(hidden, 1, bias: false)
  }

  /// The context [n, hidden]; zeros at the first step.
  func callAsFunction(_ output: Tensor, _ former: (outputs: Tensor, keys: Tensor)?) -> Tensor {
    scoped {
      guard let former else { return output.detached().zerosLike() }
      let scores = v((former.keys + W_s(output).unsqueezed(1)).tanh()).squeezed(2)
      return scores.softmax(1).unsqueezed(1).bmm(former.outputs).squeezed(1)
    }
  }

  /// The former outputs with one more.
  func appended(_ output: Tensor, to former: (outputs: Tensor, keys: Tensor)?) -> (outputs: Tensor, keys: Tensor) {
    scoped {
      let (last, key) = (output.unsqueezed(1), W_prev(output).unsqueezed(1))
      guard let former else { return (last, key) }
      return (
        .concatenated([former.outputs, last], dimension: 1), .concatenated([former.keys, key], dimension: 1)
      )
    }
  }
}

/// The pointer-generator network (See, Liu and Manning, ACL 2017) with the attentions of Paulus et al.: an LSTM reads the
/// text in both directions, another writes. Each word is drawn from a mixture: of the vocabulary, or of the text's words
/// as far as they are attended to, also those that the vocabulary lacks.
final class PointerGenerator: Module {
  /// What makes the published network differ from the small one.
  struct Shape: Sendable {
    /// Words of the vocabulary.
    var words: Int
    /// Width of a word's embedding.
    var embedding: Int
    /// Width of the decoder's state, and of each direction of the encoder's.
    var hidden: Int

    /// 48 234 833 parameters.
    static let paper = Shape(words: 50_000, embedding: 256, hidden: 512)
    /// Narrow; its vocabulary is what the data have.
    static let small = Shape(words: 0, embedding: 32, hidden: 48)
  }

  let embeds: Embedding
  let lstm: LSTM
  let reduce_h, reduce_c: Linear
  let enc_attention: EncoderAttention
  let dec_attention: DecoderAttention
  let x_context: Linear
  let cell: LSTMCell
  let p_gen_linear: Linear
  /// First and second layer before the softmax over the vocabulary.
  let V, V1: Linear

  init(_ shape: Shape) {
    let (embedding, hidden) = (shape.embedding, shape.hidden)
    embeds = Embedding(shape.words, embedding, initialization: .normal(deviation: 0.1))
    lstm = LSTM(embedding, hidden, isBidirectional: true)
    reduce_h = Linear(2 * hidden, hidden)
    reduce_c = Linear(2 * hidden, hidden)
    enc_attention = EncoderAttention(hidden)
    dec_attention = DecoderAttention(hidden)
    x_context = Linear(2 * hidden + embedding, embedding)
    cell = LSTMCell(embedding, hidden)
    p_gen_linear = Linear(5 * hidden + embedding, 1)
    V = Linear(4 * hidden, hidden)
    V1 = Linear(hidden, shape.words)
  }

  /// Reads texts.
  ///
  /// - Parameters:
  ///   - words: i64 [n, words], those that the vocabulary lacks as the unknown word.
  ///   - extended: the same with numbers from the vocabulary's size on for those that it lacks.
  ///   - lengths: words of each text, longest first.
  ///   - extraWords: how many numbers beyond the vocabulary the batch uses.
  func encode(
    _ words: Tensor, extended: Tensor, lengths: [Int], extraWords: Int
  ) -> (memory: TextMemory, state: DecoderState) {
    scoped {
      let longest = words.size(1)
      let (packed, last) = lstm(embeds(words).packed(lengths: lengths, isBatchFirst: true))
      let states = packed.padded(steps: longest, isBatchFirst: true)
      // [2, n, hidden] → [n, 2 hidden] → [n, hidden].
      func reduced(_ x: Tensor, _ layer: Linear) -> Tensor {
        layer(x.permuted([1, 0, 2]).reshaped([lengths.count, -1])).relu()
      }
      let ends = Tensor(integers: lengths, shape: [lengths.count, 1])
      let memory = TextMemory(
        states: states, keys: enc_attention.W_h(states),
        mask: Tensor.range(longest).unsqueezed(0).isLess(ends).to(.float32), words: extended, extraWords: extraWords)
      let state = DecoderState(
        lstm: (reduced(last.h, reduce_h), reduced(last.c, reduce_c)),
        context: .zeros([lengths.count, states.size(2)]))
      return (memory, state)
    }
  }

  /// Probabilities of the next word, f32 [n, vocabulary + extra words], after `word` (i64 [n], in the vocabulary).
  func step(_ word: Tensor, _ memory: TextMemory, _ state: inout DecoderState) -> Tensor {
    scoped {
      let x = x_context(.concatenated([embeds(word), state.context], dimension: 1))
      state.lstm = cell(x, state.lstm)
      let (h, both) = (state.lstm.h, Tensor.concatenated([state.lstm.h, state.lstm.c], dimension: 1))
      let (context, weights, attended) = enc_attention(both, memory, attended: state.attended)
      let own = dec_attention(h, state.former)
      (state.context, state.attended) = (context, attended)
      state.former = dec_attention.appended(h, to: state.former)

      let generates = p_gen_linear(.concatenated([context, own, both, x], dimension: 1)).sigmoid()
      let made = V1(V(.concatenated([h, context, own], dimension: 1))).softmax(1) * generates
      let wide = memory.extraWords == 0 ? made : made.padded([0, memory.extraWords])
      return wide.scatterAdded(1, memory.words, weights * (1 - generates))
    }
  }

  /// The word as the decoder reads it: the unknown one in place of those that the vocabulary lacks.
  func listed(_ words: Tensor) -> Tensor {
    words.masked(words.isGreaterOrEqual(Double(embeds.weight.size(0))), with: Double(WordVocabulary.unknown))
  }
}
