// How parameters begin. All draw from libtorch's generator: Torch.seed decides.
import CTorch
import Glibc

/// Initial values of a parameter, after PyTorch's `torch.nn.init`.
public enum Initialization: Sendable {
  case zeros
  case ones
  case constant(Double)
  case uniform(Double, Double)
  case normal(mean: Double = 0, deviation: Double)
  /// Glorot and Bengio 2010: uniform in ±gain √(6 / (in + out)).
  case xavierUniform(gain: Double = 1)
  /// Glorot and Bengio 2010: normal, σ = gain √(2 / (in + out)).
  case xavierNormal(gain: Double = 1)
  /// He et al. 2015 for a leaky ReLU of slope `a`, by inputs. `a` = √5 is PyTorch's default of layers.
  case kaimingUniform(a: Double = 0)
  /// He et al. 2015 for ReLU, by inputs or by outputs.
  case kaimingNormal(byOutputs: Bool = false)
  /// LeCun et al. 1998: uniform in ±√(3 / in).
  case lecunUniform
  /// Saxe et al. 2014: rows (all that leads to one output) of length 1 at right angles to each other, or columns where
  /// there are more outputs than inputs.
  case orthogonal

  /// Overwrites the tensor's values.
  public func callAsFunction(_ tensor: Tensor) {
    let (fanIn, fanOut) = Self.fans(tensor.shape)
    switch self {
    case .zeros: tensor.fill(0)
    case .ones: tensor.fill(1)
    case .constant(let value): tensor.fill(value)
    case .uniform(let low, let high): tensor.fillUniform(low, high)
    case .normal(let mean, let deviation): tensor.fillNormal(mean: mean, deviation: deviation)
    case .xavierUniform(let gain):
      let bound = 3.0.squareRoot() * gain * (2 / Double(fanIn + fanOut)).squareRoot()
      tensor.fillUniform(-bound, bound)
    case .xavierNormal(let gain):
      tensor.fillNormal(deviation: gain * (2 / Double(fanIn + fanOut)).squareRoot())
    case .kaimingUniform(let a):
      let gain = (2 / (1 + a * a)).squareRoot()
      let bound = 3.0.squareRoot() * gain / Double(fanIn).squareRoot()
      tensor.fillUniform(-bound, bound)
    case .kaimingNormal(let byOutputs):
      tensor.fillNormal(deviation: 2.0.squareRoot() / Double(byOutputs ? fanOut : fanIn).squareRoot())
    case .lecunUniform:
      let bound = (3 / Double(fanIn)).squareRoot()
      tensor.fillUniform(-bound, bound)
    case .orthogonal: Self.orthogonalize(tensor)
    }
  }

  /// Normal numbers, made orthonormal by Gram and Schmidt's method, twice because once loses digits.
  private static func orthogonalize(_ tensor: Tensor) {
    tensor.fillNormal()
    let rows = tensor.size(0)
    let columns = tensor.count / rows
    let isWide = rows <= columns
    let (count, length) = isWide ? (rows, columns) : (columns, rows)
    let values = tensor.doubles()
    var vectors = (0..<count).map { v in
      (0..<length).map { values[isWide ? v * length + $0 : $0 * count + v] }
    }
    for v in 0..<count {
      for _ in 0..<2 {
        for earlier in 0..<v {
          let overlap = zip(vectors[v], vectors[earlier]).reduce(0) { $0 + $1.0 * $1.1 }
          for place in 0..<length { vectors[v][place] -= overlap * vectors[earlier][place] }
        }
        let norm = vectors[v].reduce(0) { $0 + $1 * $1 }.squareRoot()
        for place in 0..<length { vectors[v][place] /= norm }
      }
    }
    let result = (0..<tensor.count).map { place in
      Float(isWide ? vectors[place / length][place % length] : vectors[place % count][place / count])
    }
    tensor.copy(from: Tensor(result, shape: tensor.shape))
  }

  /// Connections into and out of a unit: dimension 1 and 0, times the kernel.
  static func fans(_ shape: [Int]) -> (fanIn: Int, fanOut: Int) {
    guard shape.count >= 2 else { return (shape.first ?? 1, shape.first ?? 1) }
    let kernel = shape[2...].reduce(1, *)
    return (shape[1] * kernel, shape[0] * kernel)
  }
}
