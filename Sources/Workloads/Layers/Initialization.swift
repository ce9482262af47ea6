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
    }
  }

  /// Connections into and out of a unit: dimension 1 and 0, times the kernel.
  static func fans(_ shape: [Int]) -> (fanIn: Int, fanOut: Int) {
    guard shape.count >= 2 else { return (shape.first ?? 1, shape.first ?? 1) }
    let kernel = shape[2...].reduce(1, *)
    return (shape[1] * kernel, shape[0] * kernel)
  }
}
