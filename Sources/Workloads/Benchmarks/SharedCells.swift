// What do all cells of the search share? One language model with weights for every edge that a graph could have.

/// How much is dropped while the shared weights learn.
struct SearchDropout: Sendable {
  /// Of the weights from the former state.
  var weights = 0.0
  /// Of the embedded words; the same numbers in all steps of a segment.
  var inputs = 0.0
  /// Of the cell's outputs; the same numbers in all steps of a segment.
  var outputs = 0.0
  /// Of words of the vocabulary.
  var words = 0.0

  /// Of the reference implementation.
  static let paper = SearchDropout(weights: 0.5, inputs: 0.65, outputs: 0.4, words: 0.1)
}

/// The shared model: a language model around any cell of the search space. A node j that follows node i computes
/// c = σ(hᵢ Wᵢⱼᶜ) and hⱼ = c f(hᵢ Wᵢⱼʰ) + (1 − c) hᵢ; for every pair i < j there are two matrices, of which a graph uses
/// those of its edges. Words and output layer share their matrix.
///
/// Tokens i64 [T, n], state f32 [n, h] → logits [T n, words], state [n, h].
final class SharedCells: Module {
  /// Above this norm a state is scaled down; some graphs let it grow without end.
  static let largestNorm = 25.0

  let encoder: Embedding
  /// Of the output layer.
  let decoderBias: Parameter
  let w_xc, w_xh: Linear
  let w_hc, w_hh: Parameter
  /// By ``edge(from:to:)``.
  let w_c, w_h: [Linear]
  let norm: OutputNorm
  let nodes, hidden: Int
  private let dropout: SearchDropout

  /// Normalizes the outputs of a segment by their own mean and variance, also in evaluation: running statistics would
  /// be those of other graphs. (The reference normalizes each step of a segment by itself; a segment of one sample,
  /// as a query has, would have nothing left.)
  final class OutputNorm: Module, Layer {
    let weight, bias: Parameter
    init(_ width: Int) {
      weight = Parameter(Tensor.ones([width]))
      bias = Parameter([width])
    }
    func forward(_ x: Tensor) -> Tensor {
      x.batchNorm(weight: weight, bias: bias, runningMean: nil, runningVariance: nil, isTraining: true)
    }
  }

  init(words: Int, hidden: Int, nodes: Int, dropout: SearchDropout, range: Double) {
    (self.nodes, self.hidden, self.dropout) = (nodes, hidden, dropout)
    let uniform = Initialization.uniform(-range, range)
    encoder = Embedding(words, hidden, initialization: uniform)
    decoderBias = Parameter([words])
    (w_xc, w_xh) = (Linear(hidden, hidden), Linear(hidden, hidden))
    (w_hc, w_hh) = (Parameter([hidden, hidden]), Parameter([hidden, hidden]))
    let edges = nodes * (nodes - 1) / 2
    w_c = (0..<edges).map { _ in Linear(hidden, hidden, bias: false) }
    w_h = (0..<edges).map { _ in Linear(hidden, hidden, bias: false) }
    norm = OutputNorm(hidden)
    super.init()
    for parameter in parameters() where parameter !== decoderBias && parameter.rank == 2 { uniform(parameter) }
  }

  /// The number of the edge's matrices.
  static func edge(from: Int, to: Int) -> Int { to * (to - 1) / 2 + from }

  /// A state to begin with.
  func zeroState(_ samples: Int) -> Tensor { Tensor.zeros([samples, hidden]) }

  func callAsFunction(_ tokens: Tensor, _ state: Tensor, _ graph: CellGraph) -> (logits: Tensor, state: Tensor) {
    scoped {
      let (steps, samples) = (tokens.size(0), tokens.size(1))
      var x = encoder(tokens)
      if isTraining, dropout.words > 0 {
        x = x * kept([encoder.weight.size(0), 1], dropout.words).embedding(tokens)
      }
      x = drop(x, dropout.inputs)
      // The products with the input do not wait for the state, so that one product serves all steps.
      let (inputGates, inputs) = (w_xc(x), w_xh(x))
      let gateWeight = w_hc.dropout(dropout.weights, isTraining: isTraining)
      let weight = w_hh.dropout(dropout.weights, isTraining: isTraining)
      var state = state
      var outputs: [Tensor] = []
      outputs.reserveCapacity(steps)
      for step in 0..<steps {
        let gate = (inputGates.select(0, step) + state.linear(gateWeight)).sigmoid()
        let value = graph.activations[0](inputs.select(0, step) + state.linear(weight))
        var values = [Self.update(gate, value, state)]
        for node in 1..<graph.count {
          let from = graph.predecessors[node - 1]
          let edge = Self.edge(from: from, to: node)
          let before = values[from]
          values.append(Self.update(w_c[edge](before).sigmoid(), graph.activations[node](w_h[edge](before)), before))
        }
        let ends = graph.looseEnds.map { values[$0] }
        let sum = ends.dropFirst().reduce(ends[0]) { $0 + $1 }
        outputs.append(ends.count == 1 ? sum : sum * (1 / Double(ends.count)))
        state = Self.limited(values[graph.count - 1])
      }
      let normalized = norm(Tensor.concatenated(outputs)).view([steps, samples, hidden])
      let logits = drop(normalized, dropout.outputs).view([steps * samples, hidden])
        .linear(encoder.weight, decoderBias)
      return (logits, state)
    }
  }

  /// c f + (1 − c) h.
  private static func update(_ gate: Tensor, _ value: Tensor, _ before: Tensor) -> Tensor {
    gate * value + (1 - gate) * before
  }

  /// The state with every sample's norm at most the largest; the factor is not followed by gradients.
  private static func limited(_ state: Tensor) -> Tensor {
    let norm = withoutGradients { state.square().sum([1], keep: true).sqrt() }
    guard norm.max().item > largestNorm else { return state }
    return state * withoutGradients { (largestNorm / norm).clamped(0, 1) }
  }

  /// Zeros with the probability, else 1 / (1 − p).
  private func kept(_ shape: [Int], _ probability: Double) -> Tensor {
    Tensor.ones(shape).dropout(probability, isTraining: true)
  }

  /// Dropout of [T, n, h] with one mask for all steps (Gal and Ghahramani 2016).
  private func drop(_ x: Tensor, _ probability: Double) -> Tensor {
    guard isTraining, probability > 0 else { return x }
    return x * kept([1, x.size(1), x.size(2)], probability)
  }
}
