// The layers with parameters, with PyTorch's default initial values.
import Glibc

/// PyTorch's default for weights and biases: uniform in ±1/√inputs.
private func initialize(_ weight: Parameter, _ bias: Parameter?) {
  Initialization.kaimingUniform(a: 5.0.squareRoot())(weight)
  if let bias {
    let bound = 1 / Double(Initialization.fans(weight.shape).fanIn).squareRoot()
    Initialization.uniform(-bound, bound)(bias)
  }
}

/// [*, inputs] → [*, outputs].
public final class Linear: Module, Layer {
  /// [outputs, inputs].
  public let weight: Parameter
  /// [outputs].
  public let bias: Parameter?

  /// A layer with random weights.
  public init(_ inputs: Int, _ outputs: Int, bias: Bool = true) {
    weight = Parameter([outputs, inputs])
    self.bias = bias ? Parameter([outputs]) : nil
    initialize(weight, self.bias)
  }

  /// x weightᵀ + bias.
  public func forward(_ x: Tensor) -> Tensor { x.linear(weight, bias) }
}

/// [N, inputs, L] → [N, outputs, L′].
public final class Conv1d: Module, Layer {
  /// [outputs, inputs / groups, kernel].
  public let weight: Parameter
  /// [outputs].
  public let bias: Parameter?
  let stride, padding, dilation, groups: Int

  /// A layer with random weights.
  public init(
    _ inputs: Int, _ outputs: Int, kernel: Int, stride: Int = 1, padding: Int = 0, dilation: Int = 1, groups: Int = 1,
    bias: Bool = true
  ) {
    weight = Parameter([outputs, inputs / groups, kernel])
    self.bias = bias ? Parameter([outputs]) : nil
    (self.stride, self.padding, self.dilation, self.groups) = (stride, padding, dilation, groups)
    initialize(weight, self.bias)
  }

  /// The convolution.
  public func forward(_ x: Tensor) -> Tensor {
    x.conv1d(weight, bias, stride: stride, padding: padding, dilation: dilation, groups: groups)
  }
}

/// [N, inputs, H, W] → [N, outputs, H′, W′].
public final class Conv2d: Module, Layer {
  /// [outputs, inputs / groups, kernel height, kernel width].
  public let weight: Parameter
  /// [outputs].
  public let bias: Parameter?
  let stride, padding, dilation: Size2D
  let groups: Int

  /// A layer with random weights.
  public init(
    _ inputs: Int, _ outputs: Int, kernel: Size2D, stride: Size2D = 1, padding: Size2D = 0, dilation: Size2D = 1,
    groups: Int = 1, bias: Bool = true
  ) {
    weight = Parameter([outputs, inputs / groups, kernel.height, kernel.width])
    self.bias = bias ? Parameter([outputs]) : nil
    (self.stride, self.padding, self.dilation, self.groups) = (stride, padding, dilation, groups)
    initialize(weight, self.bias)
  }

  /// The convolution.
  public func forward(_ x: Tensor) -> Tensor {
    x.conv2d(weight, bias, stride: stride, padding: padding, dilation: dilation, groups: groups)
  }
}

/// [N, inputs, H, W] → [N, outputs, H′, W′], the gradient of a convolution run forward.
public final class ConvTranspose2d: Module, Layer {
  /// [inputs, outputs / groups, kernel height, kernel width].
  public let weight: Parameter
  /// [outputs].
  public let bias: Parameter?
  let stride, padding, outputPadding, dilation: Size2D
  let groups: Int

  /// A layer with random weights.
  public init(
    _ inputs: Int, _ outputs: Int, kernel: Size2D, stride: Size2D = 1, padding: Size2D = 0, outputPadding: Size2D = 0,
    dilation: Size2D = 1, groups: Int = 1, bias: Bool = true
  ) {
    weight = Parameter([inputs, outputs / groups, kernel.height, kernel.width])
    self.bias = bias ? Parameter([outputs]) : nil
    (self.stride, self.padding, self.outputPadding) = (stride, padding, outputPadding)
    (self.dilation, self.groups) = (dilation, groups)
    initialize(weight, self.bias)
  }

  /// The transposed convolution.
  public func forward(_ x: Tensor) -> Tensor {
    x.convTranspose2d(
      weight, bias, stride: stride, padding: padding, outputPadding: outputPadding, dilation: dilation,
      groups: groups)
  }
}

/// [N, inputs, D, H, W] → [N, outputs, D′, H′, W′].
public final class Conv3d: Module, Layer {
  /// [outputs, inputs / groups, kernel depth, height, width].
  public let weight: Parameter
  /// [outputs].
  public let bias: Parameter?
  let stride, padding, dilation: Size3D
  let groups: Int

  /// A layer with random weights.
  public init(
    _ inputs: Int, _ outputs: Int, kernel: Size3D, stride: Size3D = 1, padding: Size3D = 0, dilation: Size3D = 1,
    groups: Int = 1, bias: Bool = true
  ) {
    weight = Parameter([outputs, inputs / groups] + kernel.list)
    self.bias = bias ? Parameter([outputs]) : nil
    (self.stride, self.padding, self.dilation, self.groups) = (stride, padding, dilation, groups)
    initialize(weight, self.bias)
  }

  /// The convolution.
  public func forward(_ x: Tensor) -> Tensor {
    x.conv3d(weight, bias, stride: stride, padding: padding, dilation: dilation, groups: groups)
  }
}

/// [N, inputs, D, H, W] → [N, outputs, D′, H′, W′], the gradient of a convolution run forward.
public final class ConvTranspose3d: Module, Layer {
  /// [inputs, outputs / groups, kernel depth, height, width].
  public let weight: Parameter
  /// [outputs].
  public let bias: Parameter?
  let stride, padding, outputPadding, dilation: Size3D
  let groups: Int

  /// A layer with random weights.
  public init(
    _ inputs: Int, _ outputs: Int, kernel: Size3D, stride: Size3D = 1, padding: Size3D = 0, outputPadding: Size3D = 0,
    dilation: Size3D = 1, groups: Int = 1, bias: Bool = true
  ) {
    weight = Parameter([inputs, outputs / groups] + kernel.list)
    self.bias = bias ? Parameter([outputs]) : nil
    (self.stride, self.padding, self.outputPadding) = (stride, padding, outputPadding)
    (self.dilation, self.groups) = (dilation, groups)
    initialize(weight, self.bias)
  }

  /// The transposed convolution.
  public func forward(_ x: Tensor) -> Tensor {
    x.convTranspose3d(
      weight, bias, stride: stride, padding: padding, outputPadding: outputPadding, dilation: dilation,
      groups: groups)
  }
}

/// Normalizes groups of channels of each sample.
public final class GroupNorm: Module, Layer {
  /// Scale [C].
  public let weight: Parameter
  /// Shift [C].
  public let bias: Parameter
  let groups: Int
  let epsilon: Double

  /// Scale 1, shift 0.
  public init(_ groups: Int, channels: Int, epsilon: Double = 1e-5) {
    weight = Parameter(Tensor.ones([channels]))
    bias = Parameter([channels])
    (self.groups, self.epsilon) = (groups, epsilon)
  }

  /// The normalized input.
  public func forward(_ x: Tensor) -> Tensor { x.groupNorm(groups, weight: weight, bias: bias, epsilon: epsilon) }
}

/// Normalizes each channel of each image by its own statistics, without scale and shift (Ulyanov et al. 2016).
public final class InstanceNorm2d: Module, Layer {
  let epsilon: Double

  /// With PyTorch's default ε.
  public init(epsilon: Double = 1e-5) { self.epsilon = epsilon }

  /// The normalized input.
  public func forward(_ x: Tensor) -> Tensor { x.instanceNorm(epsilon: epsilon) }
}

/// Normalizes each channel of [N, C, H, W] (or [N, C]).
public final class BatchNorm2d: Module, Layer {
  /// Scale and shift [C].
  public let weight: Parameter
  /// Shift [C].
  public let bias: Parameter
  /// Mean of each channel, followed over the batches [C].
  public let running_mean: Buffer
  /// Variance of each channel, followed over the batches [C].
  public let running_var: Buffer
  /// Whether it stays what it is in training too: a fixed scale and shift of each channel.
  public let isFrozen: Bool
  let momentum: Double
  let epsilon: Double

  /// Scale 1, shift 0, mean 0, variance 1. `momentum` is the weight of the newest batch.
  public init(_ channels: Int, momentum: Double = 0.1, epsilon: Double = 1e-5, isFrozen: Bool = false) {
    weight = Parameter(Tensor.ones([channels]))
    bias = Parameter([channels])
    running_mean = Buffer(Tensor.zeros([channels]))
    running_var = Buffer(Tensor.ones([channels]))
    self.momentum = momentum
    self.epsilon = epsilon
    self.isFrozen = isFrozen
    super.init()
    if isFrozen { freeze() }
  }

  /// By the batch's statistics when training, else by the running ones.
  public func forward(_ x: Tensor) -> Tensor {
    x.batchNorm(
      weight: weight, bias: bias, runningMean: running_mean, runningVariance: running_var,
      isTraining: isTraining && !isFrozen, momentum: momentum, epsilon: epsilon)
  }
}

/// Normalizes over the last dimensions.
public final class LayerNorm: Module, Layer {
  /// Scale and shift of the normalized shape.
  public let weight: Parameter
  /// Shift of the normalized shape.
  public let bias: Parameter
  let shape: [Int]
  let epsilon: Double

  /// Scale 1, shift 0.
  public init(_ shape: [Int], epsilon: Double = 1e-5) {
    weight = Parameter(Tensor.ones(shape))
    bias = Parameter(shape)
    self.shape = shape
    self.epsilon = epsilon
  }

  /// The normalized input.
  public func forward(_ x: Tensor) -> Tensor {
    x.layerNorm(shape, weight: weight, bias: bias, epsilon: epsilon)
  }
}

/// Rows of a table: i64 [*] → [*, width].
public final class Embedding: Module, Layer {
  /// [rows, width].
  public let weight: Parameter
  let paddingIndex: Int?

  /// Standard normal rows, or `initialization`'s; the row `paddingIndex` stays zero.
  public init(
    _ rows: Int, _ width: Int, paddingIndex: Int? = nil, initialization: Initialization = .normal(deviation: 1)
  ) {
    weight = Parameter([rows, width])
    self.paddingIndex = paddingIndex
    initialization(weight)
    if let paddingIndex { weight.detached().select(0, paddingIndex).fill(0) }
  }

  /// The rows.
  public func forward(_ x: Tensor) -> Tensor { weight.embedding(x, paddingIndex: paddingIndex) }
}
