// What is around an image when a convolution looks beyond its border.

/// The image's own mirror image, as many pixels on every side.
public final class ReflectionPad2d: Module, Layer {
  let amount: Int
  /// Of `amount` pixels.
  public init(_ amount: Int) { self.amount = amount }
  /// [N, C, H, W] → [N, C, H + 2 amount, W + 2 amount].
  public func forward(_ x: Tensor) -> Tensor {
    x.reflectionPadded(left: amount, right: amount, top: amount, bottom: amount)
  }
}
