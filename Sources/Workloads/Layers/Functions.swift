// The layers without parameters.

/// max(x, 0).
public final class ReLU: Module, Layer {
  let inPlace: Bool
  /// `inPlace` overwrites the input, as reference models do to save memory.
  public init(inPlace: Bool = false) { self.inPlace = inPlace }
  /// max(x, 0).
  public func forward(_ x: Tensor) -> Tensor { inPlace ? x.reluInPlace() : x.relu() }
}

/// x where positive, else `slope` x.
public final class LeakyReLU: Module, Layer {
  let slope: Double
  /// With PyTorch's default slope.
  public init(_ slope: Double = 0.01) { self.slope = slope }
  /// x where positive, else `slope` x.
  public func forward(_ x: Tensor) -> Tensor { x.leakyRelu(slope) }
}

/// 1/(1 + e⁻ˣ).
public final class Sigmoid: Module, Layer {
  /// 1/(1 + e⁻ˣ).
  public func forward(_ x: Tensor) -> Tensor { x.sigmoid() }
}

/// Hyperbolic tangent.
public final class Tanh: Module, Layer {
  /// Hyperbolic tangent.
  public func forward(_ x: Tensor) -> Tensor { x.tanh() }
}

/// e^x normalized along a dimension.
public final class Softmax: Module, Layer {
  let dimension: Int
  /// Along `dimension`.
  public init(_ dimension: Int = -1) { self.dimension = dimension }
  /// e^x normalized.
  public func forward(_ x: Tensor) -> Tensor { x.softmax(dimension) }
}

/// The largest in each window.
public final class MaxPool2d: Module, Layer {
  let kernel, stride, padding: Size2D
  let ceilMode: Bool
  /// The stride is the kernel when none is given.
  public init(_ kernel: Size2D, stride: Size2D? = nil, padding: Size2D = 0, ceilMode: Bool = false) {
    (self.kernel, self.stride, self.padding, self.ceilMode) = (kernel, stride ?? kernel, padding, ceilMode)
  }
  /// [N, C, H, W] → [N, C, H′, W′].
  public func forward(_ x: Tensor) -> Tensor {
    x.maxPool2d(kernel, stride: stride, padding: padding, ceilMode: ceilMode)
  }
}

/// The mean of each window.
public final class AvgPool2d: Module, Layer {
  let kernel, stride, padding: Size2D
  /// The stride is the kernel when none is given.
  public init(_ kernel: Size2D, stride: Size2D? = nil, padding: Size2D = 0) {
    (self.kernel, self.stride, self.padding) = (kernel, stride ?? kernel, padding)
  }
  /// [N, C, H, W] → [N, C, H′, W′].
  public func forward(_ x: Tensor) -> Tensor { x.avgPool2d(kernel, stride: stride, padding: padding) }
}

/// The means of as many windows as asked for.
public final class AdaptiveAvgPool2d: Module, Layer {
  let size: Size2D
  /// The output's height and width.
  public init(_ size: Size2D) { self.size = size }
  /// [N, C, H, W] → [N, C, size].
  public func forward(_ x: Tensor) -> Tensor { x.adaptiveAvgPool2d(size) }
}

/// Dimensions made one.
public final class Flatten: Module, Layer {
  let first, last: Int
  /// All but the first by default.
  public init(_ first: Int = 1, _ last: Int = -1) { (self.first, self.last) = (first, last) }
  /// [N, …] → [N, product].
  public func forward(_ x: Tensor) -> Tensor { x.flattened(first, last) }
}

/// Drops numbers while training.
public final class Dropout: Module, Layer {
  let probability: Double
  /// The probability to drop a number.
  public init(_ probability: Double = 0.5) { self.probability = probability }
  /// Zeros with the probability, the rest scaled up.
  public func forward(_ x: Tensor) -> Tensor { x.dropout(probability, isTraining: isTraining) }
}

/// Drops whole channels while training.
public final class Dropout2d: Module, Layer {
  let probability: Double
  /// The probability to drop a channel.
  public init(_ probability: Double = 0.5) { self.probability = probability }
  /// Zeros with the probability, the rest scaled up.
  public func forward(_ x: Tensor) -> Tensor { x.dropout2d(probability, isTraining: isTraining) }
}

/// The input.
public final class Identity: Module, Layer {
  /// The input.
  public func forward(_ x: Tensor) -> Tensor { x }
}
