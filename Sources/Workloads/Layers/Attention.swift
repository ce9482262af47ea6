// How a position of a sequence looks at others: multi-head attention, and what tells it where they are.
import Glibc

/// Multi-head attention (Vaswani et al. 2017). The projections to queries, keys and values that read the same tensor are
/// one product.
public final class MultiHeadAttention: Module {
  /// What keys and values are made of.
  public enum Source: Sendable {
    /// The same sequence as the queries.
    case itself
    /// Another sequence, such as the encoder's output.
    case memory
  }

  let heads: Int
  let dropout: Double
  /// Queries, keys and values, in this order: [3 width, width]; queries alone for a memory: [width, width].
  let in_proj: Linear
  /// Keys and values of a memory: [2 width, width].
  let memory_proj: Linear?
  /// What the heads found, mixed: [width, width].
  let out_proj: Linear

  /// Projections with Glorot's uniform initial values, each for itself; biases, if any, are zero.
  ///
  /// - Parameter dropout: the probability to drop a weight.
  public init(_ width: Int, heads: Int, source: Source = .itself, dropout: Double = 0, bias: Bool = true) {
    precondition(width % heads == 0, "\(heads) heads share a width of \(width)")
    self.heads = heads
    self.dropout = dropout
    in_proj = Linear(width, source == .itself ? 3 * width : width, bias: bias)
    memory_proj = source == .itself ? nil : Linear(width, 2 * width, bias: bias)
    out_proj = Linear(width, width, bias: bias)
    for projection in [in_proj, memory_proj, out_proj] {
      guard let projection else { continue }
      let weight = projection.weight.detached()
      for part in 0..<weight.size(0) / width {
        Initialization.xavierUniform()(weight.slice(0, part * width..<(part + 1) * width))
      }
      projection.bias?.fill(0)
    }
  }

  /// Attention of a sequence f32 [n, t, width] to itself; of each, the first `lengths` (i64 [n]) positions count.
  public func callAsFunction(_ x: Tensor, lengths: Tensor? = nil, isCausal: Bool = false) -> Tensor {
    scoped {
      let found = in_proj(x).attention(
        heads: heads, lengths: lengths, isCausal: isCausal, dropout: isTraining ? dropout : 0)
      return out_proj(found)
    }
  }

  /// Attention of x, f32 [n, t, width], to the keys and values of another sequence, [n, s, 2 width]. Attention to
  /// itself works on them too, when what was there before x is kept with ``keysAndValues(_:)``.
  public func callAsFunction(_ x: Tensor, keysAndValues: Tensor, lengths: Tensor? = nil) -> Tensor {
    scoped {
      let queries = memory_proj == nil ? in_proj(x).slice(2, 0..<x.size(2)) : in_proj(x)
      let found = queries.attention(
        memory: keysAndValues, heads: heads, lengths: lengths, dropout: isTraining ? dropout : 0)
      return out_proj(found)
    }
  }

  /// Keys and values of a sequence, side by side: f32 [n, s, width] → [n, s, 2 width].
  public func keysAndValues(_ x: Tensor) -> Tensor {
    scoped {
      if let memory_proj { return memory_proj(x) }
      return in_proj(x).slice(2, x.size(2)..<3 * x.size(2))
    }
  }

  /// One more position of a sequence that attends to itself and all before: x f32 [n, 1, width]; `past` becomes the
  /// keys and values up to here.
  func next(_ x: Tensor, past: inout Tensor?) -> Tensor {
    scoped {
      let all = in_proj(x)
      let own = all.slice(2, x.size(2)..<3 * x.size(2))
      let known = past.map { Tensor.concatenated([$0, own], dimension: 1) } ?? own
      past = known
      return out_proj(all.slice(2, 0..<x.size(2)).attention(memory: known, heads: heads))
    }
  }
}

/// Positions as waves of different lengths (Vaswani et al. 2017), added to embeddings.
public enum SinusoidalPositions {
  /// How sines and cosines share the width.
  public enum Order: Sendable {
    /// Sine and cosine of the first wave, of the second …: the paper's formula.
    case interleaved
    /// All sines, then all cosines: what the paper's authors run.
    case halves
  }

  /// The waves at positions 0 … `count` − 1: f32 [count, width].
  public static func table(_ count: Int, _ width: Int, _ order: Order = .interleaved) -> Tensor {
    precondition(width % 2 == 0, "every wave has a sine and a cosine")
    var values = [Float](repeating: 0, count: count * width)
    let waves = width / 2
    for position in 0..<count {
      for wave in 0..<waves {
        // From 1 to 10 000; the authors' program includes the last, the paper's formula does not.
        let steps = Double(order == .halves ? max(waves - 1, 1) : waves)
        let angle = Double(position) * exp(-log(10_000) * Double(wave) / steps)
        let place = position * width + (order == .halves ? wave : 2 * wave)
        values[place] = Float(sin(angle))
        values[place + (order == .halves ? waves : 1)] = Float(cos(angle))
      }
    }
    return Tensor(values, shape: [count, width])
  }
}
