// Element-wise operations. Shapes broadcast as in PyTorch; comparisons give bool tensors.
import CTorch

extension Tensor {
  /// |x|.
  public func abs() -> Tensor { .checked(ct_abs(handle)) }
  /// eˣ.
  public func exp() -> Tensor { .checked(ct_exp(handle)) }
  /// Natural logarithm.
  public func log() -> Tensor { .checked(ct_log(handle)) }
  /// ln(1 + x).
  public func log1p() -> Tensor { .checked(ct_log1p(handle)) }
  /// √x.
  public func sqrt() -> Tensor { .checked(ct_sqrt(handle)) }
  /// 1/√x.
  public func rsqrt() -> Tensor { .checked(ct_rsqrt(handle)) }
  /// x².
  public func square() -> Tensor { .checked(ct_square(handle)) }
  /// 1/x.
  public func reciprocal() -> Tensor { .checked(ct_reciprocal(handle)) }
  /// Sine.
  public func sin() -> Tensor { .checked(ct_sin(handle)) }
  /// Cosine.
  public func cos() -> Tensor { .checked(ct_cos(handle)) }
  /// Hyperbolic tangent.
  public func tanh() -> Tensor { .checked(ct_tanh(handle)) }
  /// 1/(1 + e⁻ˣ).
  public func sigmoid() -> Tensor { .checked(ct_sigmoid(handle)) }
  /// ln sigmoid(x), without overflow.
  public func logSigmoid() -> Tensor { .checked(ct_log_sigmoid(handle)) }
  /// max(x, 0).
  public func relu() -> Tensor { .checked(ct_relu(handle)) }
  /// x Φ(x).
  public func gelu() -> Tensor { .checked(ct_gelu(handle)) }
  /// x sigmoid(x).
  public func silu() -> Tensor { .checked(ct_silu(handle)) }
  /// ln(1 + eˣ).
  public func softplus() -> Tensor { .checked(ct_softplus(handle)) }
  /// −1, 0 or 1.
  public func sign() -> Tensor { .checked(ct_sign(handle)) }
  /// The next integer below.
  public func floor() -> Tensor { .checked(ct_floor(handle)) }
  /// The nearest integer, ties to even.
  public func rounded() -> Tensor { .checked(ct_round(handle)) }
  /// The error function.
  public func erf() -> Tensor { .checked(ct_erf(handle)) }
  /// Whether it is zero.
  public func logicalNot() -> Tensor { .checked(ct_logical_not(handle)) }
  /// x where positive, else `slope` x.
  public func leakyRelu(_ slope: Double = 0.01) -> Tensor { .checked(ct_leaky_relu(handle, slope)) }
  /// x where positive, else α (eˣ − 1).
  public func elu(_ alpha: Double = 1) -> Tensor { .checked(ct_elu(handle, alpha)) }
  /// Cut to [low, high], as an activation.
  public func hardtanh(_ low: Double = -1, _ high: Double = 1) -> Tensor { .checked(ct_hardtanh(handle, low, high)) }
  /// Cut to [low, high].
  public func clamped(_ low: Double, _ high: Double) -> Tensor { .checked(ct_clamp(handle, low, high)) }
  /// xᵉ.
  public func pow(_ exponent: Double) -> Tensor { .checked(ct_pow_scalar(handle, exponent)) }
  /// xʸ, element by element.
  public func pow(_ exponent: Tensor) -> Tensor { .checked(ct_pow(handle, exponent.handle)) }

  // MARK: Operators

  /// Sum, element by element.
  public static func + (a: Tensor, b: Tensor) -> Tensor { .checked(ct_add(a.handle, b.handle)) }
  /// Sum, element by element.
  public static func + (a: Tensor, b: Double) -> Tensor { .checked(ct_add_scalar(a.handle, b)) }
  /// Difference, element by element.
  public static func - (a: Tensor, b: Tensor) -> Tensor { .checked(ct_sub(a.handle, b.handle)) }
  /// Difference, element by element.
  public static func - (a: Tensor, b: Double) -> Tensor { .checked(ct_sub_scalar(a.handle, b)) }
  /// Product, element by element.
  public static func * (a: Tensor, b: Tensor) -> Tensor { .checked(ct_mul(a.handle, b.handle)) }
  /// Product, element by element.
  public static func * (a: Tensor, b: Double) -> Tensor { .checked(ct_mul_scalar(a.handle, b)) }
  /// Quotient, element by element.
  public static func / (a: Tensor, b: Tensor) -> Tensor { .checked(ct_div(a.handle, b.handle)) }
  /// Quotient, element by element.
  public static func / (a: Tensor, b: Double) -> Tensor { .checked(ct_div_scalar(a.handle, b)) }
  /// Sum, element by element.
  public static func + (a: Double, b: Tensor) -> Tensor { b + a }
  /// Difference, element by element.
  public static func - (a: Double, b: Tensor) -> Tensor { .checked(ct_rsub_scalar(b.handle, a)) }
  /// Product, element by element.
  public static func * (a: Double, b: Tensor) -> Tensor { b * a }
  /// Quotient, element by element.
  public static func / (a: Double, b: Tensor) -> Tensor { b.reciprocal() * a }
  /// Negation.
  public static prefix func - (a: Tensor) -> Tensor { .checked(ct_neg(a.handle)) }

  // MARK: Comparison

  /// The larger of two elements.
  public func maximum(_ other: Tensor) -> Tensor { .checked(ct_maximum(handle, other.handle)) }
  /// The smaller of two elements.
  public func minimum(_ other: Tensor) -> Tensor { .checked(ct_minimum(handle, other.handle)) }
  /// Whether elements are equal.
  public func equals(_ other: Tensor) -> Tensor { .checked(ct_eq(handle, other.handle)) }
  /// Whether elements differ.
  public func differs(_ other: Tensor) -> Tensor { .checked(ct_ne(handle, other.handle)) }
  /// Whether elements are less than.
  public func isLess(_ other: Tensor) -> Tensor { .checked(ct_lt(handle, other.handle)) }
  /// Whether elements are at most.
  public func isLessOrEqual(_ other: Tensor) -> Tensor { .checked(ct_le(handle, other.handle)) }
  /// Whether elements are greater than.
  public func isGreater(_ other: Tensor) -> Tensor { .checked(ct_gt(handle, other.handle)) }
  /// Whether elements are at least.
  public func isGreaterOrEqual(_ other: Tensor) -> Tensor { .checked(ct_ge(handle, other.handle)) }
  /// Whether both are not zero.
  public func and(_ other: Tensor) -> Tensor { .checked(ct_logical_and(handle, other.handle)) }
  /// Whether one is not zero.
  public func or(_ other: Tensor) -> Tensor { .checked(ct_logical_or(handle, other.handle)) }
  /// Whether elements equal the number.
  public func equals(_ other: Double) -> Tensor { .checked(ct_eq_scalar(handle, other)) }
  /// Whether elements differ from the number.
  public func differs(_ other: Double) -> Tensor { .checked(ct_ne_scalar(handle, other)) }
  /// Whether elements are less than the number.
  public func isLess(_ other: Double) -> Tensor { .checked(ct_lt_scalar(handle, other)) }
  /// Whether elements are at most the number.
  public func isLessOrEqual(_ other: Double) -> Tensor { .checked(ct_le_scalar(handle, other)) }
  /// Whether elements are greater than the number.
  public func isGreater(_ other: Double) -> Tensor { .checked(ct_gt_scalar(handle, other)) }
  /// Whether elements are at least the number.
  public func isGreaterOrEqual(_ other: Double) -> Tensor { .checked(ct_ge_scalar(handle, other)) }
  /// Elements of `a` where this (bool) is true, else of `b`.
  public func select(_ a: Tensor, else b: Tensor) -> Tensor { .checked(ct_where(handle, a.handle, b.handle)) }
  /// `value` where `mask` (bool) is true, else this.
  public func masked(_ mask: Tensor, with value: Double) -> Tensor {
    .checked(ct_masked_fill(handle, mask.handle, value))
  }

  // MARK: In place. A leaf that requires gradients may be changed only inside `withoutGradients`.

  /// Adds `scale` × other to this.
  public func add(inPlace other: Tensor, scale: Double = 1) { Tensor.check(ct_add_(handle, other.handle, scale)) }
  /// Subtracts other from this.
  public func subtract(inPlace other: Tensor) { Tensor.check(ct_sub_(handle, other.handle)) }
  /// Multiplies this by other.
  public func multiply(inPlace other: Tensor) { Tensor.check(ct_mul_(handle, other.handle)) }
  /// Divides this by other.
  public func divide(inPlace other: Tensor) { Tensor.check(ct_div_(handle, other.handle)) }
  /// Adds a number to this.
  public func add(inPlace number: Double) { Tensor.check(ct_add_scalar_(handle, number)) }
  /// Multiplies this by a number.
  public func multiply(inPlace number: Double) { Tensor.check(ct_mul_scalar_(handle, number)) }
  /// max(x, 0), overwriting this tensor; gives it back.
  public func reluInPlace() -> Tensor {
    Tensor.check(ct_relu_(handle))
    return self
  }
  /// Zeros everywhere.
  public func zero() { Tensor.check(ct_zero_(handle)) }
  /// Cuts to [low, high].
  public func clamp(inPlace range: ClosedRange<Double>) {
    Tensor.check(ct_clamp_(handle, range.lowerBound, range.upperBound))
  }
}
