// Sequences of different lengths without their padding, which recurrent layers then do not compute.
import CTorch

/// Sequences one beside the other: the first step of all, then the second of all that have it, and so on.
public struct PackedSequence {
  /// [sum of lengths, width].
  public var data: Tensor
  /// How many sequences have each step: i64 [longest].
  public let sizes: Tensor

  /// Other values in the same order.
  public func with(_ data: Tensor) -> PackedSequence { PackedSequence(data: data, sizes: sizes) }

  /// With zeros behind the shorter sequences: [steps, n, width], or [n, steps, width] when the batch comes first.
  public func padded(steps: Int, isBatchFirst: Bool = false) -> Tensor {
    .checked(ct_pad_packed(data.handle, sizes.handle, isBatchFirst, steps))
  }
}

extension Tensor {
  /// Sequences [steps, n, width] (or [n, steps, width] when the batch comes first) without what lies beyond their
  /// lengths, longest first.
  public func packed(lengths: [Int], isBatchFirst: Bool = false) -> PackedSequence {
    var (data, sizes): (OpaquePointer?, OpaquePointer?)
    Tensor.check(ct_pack_padded(handle, lengths, lengths.count, isBatchFirst, &data, &sizes))
    return PackedSequence(data: .checked(data), sizes: .checked(sizes))
  }
}

extension RecurrentLayer {
  /// Zeros [layers × directions, n, hidden] for the sequences.
  fileprivate func zeroState(for x: PackedSequence) -> Tensor {
    // The first step is there for all sequences.
    let n = x.sizes.select(0, 0).integers()[0]
    return .zeros([layers * (isBidirectional ? 2 : 1), n, hidden], type: x.data.type)
  }
}

extension GRU {
  /// The same as ``forward(_:)`` of a single layer with biases, by one operation a direction instead of some forty small
  /// ones a step.
  ///
  /// - Parameters:
  ///   - x: f32 [steps, n, inputs].
  ///   - lengths: steps of each sequence; nil when all have all. Beyond them the outputs are zero, and the backward
  ///     direction begins at each sequence's own end.
  /// - Returns: [steps, n, directions × hidden].
  public func scanned(_ x: Tensor, lengths: [Int]? = nil) -> Tensor {
    precondition(layers == 1 && hasBiases && !isBatchFirst, "one layer with biases, steps first")
    return scoped {
      let lengths = lengths.map { Tensor(integers: $0, shape: [$0.count]) }
      let parameters = namedOwnParameters.map(\.tensor)
      let directions = stride(from: 0, to: parameters.count, by: 4).map { first -> Tensor in
        let gates = x.linear(parameters[first], parameters[first + 2])
        return withExtendedLifetime((gates, lengths)) {
          .checked(
            ct_gru_scan(
              gates.handle, parameters[first + 1].handle, parameters[first + 3].handle, lengths?.handle, first > 0))
        }
      }
      return directions.count == 1 ? directions[0] : .concatenated(directions, dimension: 2)
    }
  }
}

extension LSTM {
  /// All outputs of the last layer, and each sequence's last state.
  public func callAsFunction(_ x: PackedSequence) -> (output: PackedSequence, state: State) {
    scoped {
      let zeros = zeroState(for: x)
      var (output, h, c): (OpaquePointer?, OpaquePointer?, OpaquePointer?)
      let done = Tensor.withHandles([zeros, zeros]) { states, _ in
        withParameters { parameters, count in
          ct_lstm_packed(
            x.data.handle, x.sizes.handle, states, parameters, count, hasBiases, layers, dropout, isTraining,
            isBidirectional, &output, &h, &c)
        }
      }
      Tensor.check(done)
      return (x.with(.checked(output)), (.checked(h), .checked(c)))
    }
  }
}
