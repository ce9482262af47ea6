// Recurrent layers, with PyTorch's parameters, names, gate orders and initial values.
import CTorch

/// What the layers of an LSTM or GRU have: for each layer and direction weights of the input and of the state, then
/// their biases, under PyTorch's names: `weight_ih_l0`, `weight_hh_l0`, `bias_ih_l0`, `bias_hh_l0`, the other
/// direction's with `_reverse`.
public class RecurrentLayer: Module {
  /// Width of the state.
  public let hidden: Int
  /// How many layers lie on each other.
  public let layers: Int
  /// Whether a second network reads the sequence from its end.
  public let isBidirectional: Bool
  /// Whether sequences are [N, T, …] rather than [T, N, …].
  public let isBatchFirst: Bool
  let hasBiases: Bool
  /// Probability to drop a number between two layers while training.
  let dropout: Double
  private let named: [(name: String, tensor: Parameter)]

  override var namedOwnParameters: [(name: String, tensor: Parameter)] { named }

  init(
    gates: Int, inputs: Int, hidden: Int, layers: Int, isBidirectional: Bool, isBatchFirst: Bool, bias: Bool,
    dropout: Double
  ) {
    (self.hidden, self.layers, self.isBidirectional) = (hidden, layers, isBidirectional)
    (self.isBatchFirst, hasBiases, self.dropout) = (isBatchFirst, bias, dropout)
    let directions = isBidirectional ? 2 : 1
    let bound = 1 / Double(hidden).squareRoot()
    var named: [(name: String, tensor: Parameter)] = []
    for layer in 0..<layers {
      for direction in 0..<directions {
        let suffix = "l\(layer)" + (direction == 1 ? "_reverse" : "")
        named.append(("weight_ih_\(suffix)", Parameter([gates * hidden, layer == 0 ? inputs : hidden * directions])))
        named.append(("weight_hh_\(suffix)", Parameter([gates * hidden, hidden])))
        if bias {
          named.append(("bias_ih_\(suffix)", Parameter([gates * hidden])))
          named.append(("bias_hh_\(suffix)", Parameter([gates * hidden])))
        }
      }
    }
    for (_, parameter) in named { Initialization.uniform(-bound, bound)(parameter) }
    self.named = named
  }

  /// Zeros [layers × directions, N, H] for a batch like `x`.
  func zeroState(for x: Tensor) -> Tensor {
    Tensor.zeros([layers * (isBidirectional ? 2 : 1), x.size(isBatchFirst ? 0 : 1), hidden], type: x.type)
  }

  func withParameters<Result>(_ body: (UnsafePointer<OpaquePointer?>?, Int) -> Result) -> Result {
    Tensor.withHandles(named.map(\.tensor)) { body($0, $1) }
  }
}

/// Long short-term memory (Hochreiter and Schmidhuber 1997; gates i, f, g, o), several layers, one or both directions.
public final class LSTM: RecurrentLayer, Layer {
  /// h and c, each [layers × directions, N, H].
  public typealias State = (h: Tensor, c: Tensor)

  /// Weights and biases uniform in ±1/√hidden.
  public init(
    _ inputs: Int, _ hidden: Int, layers: Int = 1, isBidirectional: Bool = false, isBatchFirst: Bool = true,
    bias: Bool = true, dropout: Double = 0
  ) {
    super.init(
      gates: 4, inputs: inputs, hidden: hidden, layers: layers, isBidirectional: isBidirectional,
      isBatchFirst: isBatchFirst, bias: bias, dropout: dropout)
  }

  /// All outputs of the last layer [N, T, directions × H] from a state of zeros.
  public func forward(_ x: Tensor) -> Tensor { run(x, nil).output }

  /// All outputs of the last layer, and the last state.
  public func callAsFunction(_ x: Tensor, _ state: State?) -> (output: Tensor, state: State) {
    scoped { run(x, state) }
  }

  private func run(_ x: Tensor, _ state: State?) -> (output: Tensor, state: State) {
    let state = state ?? (zeroState(for: x), zeroState(for: x))
    var (output, h, c): (OpaquePointer?, OpaquePointer?, OpaquePointer?)
    let done = Tensor.withHandles([state.h, state.c]) { states, _ in
      withParameters { parameters, count in
        ct_lstm(
          x.handle, states, parameters, count, hasBiases, layers, dropout, isTraining, isBidirectional, isBatchFirst,
          &output, &h, &c)
      }
    }
    Tensor.check(done)
    return (.checked(output), (.checked(h), .checked(c)))
  }
}

/// Gated recurrent units (Cho et al. 2014; gates r, z, n), several layers, one or both directions.
public final class GRU: RecurrentLayer, Layer {
  /// Weights and biases uniform in ±1/√hidden.
  public init(
    _ inputs: Int, _ hidden: Int, layers: Int = 1, isBidirectional: Bool = false, isBatchFirst: Bool = true,
    bias: Bool = true, dropout: Double = 0
  ) {
    super.init(
      gates: 3, inputs: inputs, hidden: hidden, layers: layers, isBidirectional: isBidirectional,
      isBatchFirst: isBatchFirst, bias: bias, dropout: dropout)
  }

  /// All outputs of the last layer [N, T, directions × H] from a state of zeros.
  public func forward(_ x: Tensor) -> Tensor { run(x, nil).output }

  /// All outputs of the last layer, and the last state [layers × directions, N, H].
  public func callAsFunction(_ x: Tensor, _ state: Tensor?) -> (output: Tensor, state: Tensor) {
    scoped { run(x, state) }
  }

  private func run(_ x: Tensor, _ state: Tensor?) -> (output: Tensor, state: Tensor) {
    let state = state ?? zeroState(for: x)
    var (output, h): (OpaquePointer?, OpaquePointer?)
    let done = withParameters { parameters, count in
      ct_gru(
        x.handle, state.handle, parameters, count, hasBiases, layers, dropout, isTraining, isBidirectional,
        isBatchFirst, &output, &h)
    }
    Tensor.check(done)
    return (.checked(output), .checked(h))
  }
}

/// One step of an LSTM.
public final class LSTMCell: Module {
  /// h and c, each [N, H].
  public typealias State = (h: Tensor, c: Tensor)
  let weight_ih, weight_hh: Parameter
  let bias_ih, bias_hh: Parameter?

  /// Weights and biases uniform in ±1/√hidden.
  public init(_ inputs: Int, _ hidden: Int, bias: Bool = true) {
    weight_ih = Parameter([4 * hidden, inputs])
    weight_hh = Parameter([4 * hidden, hidden])
    bias_ih = bias ? Parameter([4 * hidden]) : nil
    bias_hh = bias ? Parameter([4 * hidden]) : nil
    let bound = 1 / Double(hidden).squareRoot()
    for parameter in [weight_ih, weight_hh, bias_ih, bias_hh].compactMap({ $0 }) {
      Initialization.uniform(-bound, bound)(parameter)
    }
  }

  /// The next state for inputs [N, inputs].
  public func callAsFunction(_ x: Tensor, _ state: State) -> State {
    scoped {
      var (h, c): (OpaquePointer?, OpaquePointer?)
      let done = Tensor.withHandles([state.h, state.c]) { states, _ in
        ct_lstm_cell(
          x.handle, states, weight_ih.handle, weight_hh.handle, bias_ih?.handle, bias_hh?.handle, &h, &c)
      }
      Tensor.check(done)
      return (.checked(h), .checked(c))
    }
  }
}

/// One step of a GRU.
public final class GRUCell: Module {
  let weight_ih, weight_hh: Parameter
  let bias_ih, bias_hh: Parameter?

  /// Weights and biases uniform in ±1/√hidden.
  public init(_ inputs: Int, _ hidden: Int, bias: Bool = true) {
    weight_ih = Parameter([3 * hidden, inputs])
    weight_hh = Parameter([3 * hidden, hidden])
    bias_ih = bias ? Parameter([3 * hidden]) : nil
    bias_hh = bias ? Parameter([3 * hidden]) : nil
    let bound = 1 / Double(hidden).squareRoot()
    for parameter in [weight_ih, weight_hh, bias_ih, bias_hh].compactMap({ $0 }) {
      Initialization.uniform(-bound, bound)(parameter)
    }
  }

  /// The next state [N, H] for inputs [N, inputs].
  public func callAsFunction(_ x: Tensor, _ state: Tensor) -> Tensor {
    scoped {
      .checked(
        ct_gru_cell(
          x.handle, state.handle, weight_ih.handle, weight_hh.handle, bias_ih?.handle, bias_hh?.handle))
    }
  }
}
