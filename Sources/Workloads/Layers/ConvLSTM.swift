// A recurrent cell whose states are images: what video prediction and image compression are made of.

/// A convolutional LSTM cell (Shi et al., NIPS 2015, without peepholes): gates i, f, g, o from convolutions over input
/// and hidden state; c′ = σ(f) c + σ(i) tanh(g), h′ = σ(o) tanh(c′).
public final class ConvLSTMCell: Module {
  /// Hidden state and cell state, both [N, width, H, W].
  public struct State {
    /// What the cell gives.
    public var hidden: Tensor
    /// What the cell remembers.
    public var cell: Tensor
  }

  /// From the input to the gates, or from input and hidden state together.
  let input: Conv2d
  /// From the hidden state to the gates, where that has a convolution of its own.
  let hidden: Conv2d?
  let width: Int

  /// One convolution over input and hidden state, one on top of the other, as in Finn et al. 2016. The cell forgets
  /// little at first: the forget gates' bias begins at 1, to which Finn et al. add a trained 0.
  public init(_ inputs: Int, _ width: Int, kernel: Int) {
    input = Conv2d(inputs + width, 4 * width, kernel: Size2D(kernel), padding: Size2D(kernel / 2))
    hidden = nil
    self.width = width
    super.init()
    if let bias = input.bias {
      Initialization.zeros(bias)
      bias.detached().slice(0, width..<2 * width).fill(1)
    }
  }

  /// A convolution with a stride over the input and one over the hidden state, as in Toderici et al. 2017.
  public init(_ inputs: Int, _ width: Int, kernel: Int, stride: Int, hiddenKernel: Int) {
    input = Conv2d(
      inputs, 4 * width, kernel: Size2D(kernel), stride: Size2D(stride), padding: Size2D(kernel / 2), bias: false)
    hidden = Conv2d(width, 4 * width, kernel: Size2D(hiddenKernel), padding: Size2D(hiddenKernel / 2), bias: false)
    self.width = width
  }

  /// One step: [N, inputs, H, W] → the next state; `nil` is the state before the first, of zeros.
  public func callAsFunction(_ x: Tensor, _ state: State?) -> State {
    scoped {
      let gates: Tensor
      let cell: Tensor?
      if let hidden {
        let fromInput = input(x)
        // A hidden state of zeros adds nothing, but the first step computes what every step does.
        gates = fromInput + hidden(state?.hidden ?? zeros(like: fromInput))
        cell = state?.cell
      } else {
        let before = state?.hidden ?? zeros(like: x)
        gates = input(Tensor.concatenated([x, before], dimension: 1))
        cell = state?.cell
      }
      let (i, f) = (gate(gates, 0).sigmoid(), gate(gates, 1).sigmoid())
      let (g, o) = (gate(gates, 2).tanh(), gate(gates, 3).sigmoid())
      let next = cell.map { f * $0 + i * g } ?? i * g
      return State(hidden: o * next.tanh(), cell: next)
    }
  }

  private func gate(_ gates: Tensor, _ number: Int) -> Tensor {
    gates.slice(1, number * width..<(number + 1) * width)
  }

  private func zeros(like x: Tensor) -> Tensor { Tensor.zeros([x.size(0), width, x.size(2), x.size(3)]) }
}
