// Linear algebra and the functions that neural networks are made of. Images are [N, C, H, W].
import CTorch

/// How a loss sums up over its elements.
public enum Reduction: Int32, Sendable {
  case none = 0
  case mean = 1
  case sum = 2
}

/// A height and a width, such as a kernel's.
public struct Size2D: Hashable, Sendable, ExpressibleByIntegerLiteral {
  /// Along the image's columns.
  public var height: Int
  /// Along the image's rows.
  public var width: Int

  /// A height and a width.
  public init(_ height: Int, _ width: Int) {
    self.height = height
    self.width = width
  }
  /// A square.
  public init(integerLiteral value: Int) { self.init(value, value) }
  /// A square.
  public init(_ side: Int) { self.init(side, side) }

  var list: [Int] { [height, width] }
}

/// A depth, a height and a width, such as a volume's kernel has.
public struct Size3D: Hashable, Sendable, ExpressibleByIntegerLiteral {
  /// From slice to slice, along the columns, along the rows.
  public var depth, height, width: Int

  /// A depth, a height and a width.
  public init(_ depth: Int, _ height: Int, _ width: Int) {
    (self.depth, self.height, self.width) = (depth, height, width)
  }
  /// A cube.
  public init(integerLiteral value: Int) { self.init(value, value, value) }
  /// A cube.
  public init(_ side: Int) { self.init(side, side, side) }

  var list: [Int] { [depth, height, width] }
}

extension Tensor {
  /// The product of matrices [n, k] and [k, m], or of batches of them.
  public func matmul(_ other: Tensor) -> Tensor { .checked(ct_matmul(handle, other.handle)) }
  /// [n, k] × [k, m] → [n, m].
  public func mm(_ other: Tensor) -> Tensor { .checked(ct_mm(handle, other.handle)) }
  /// [b, n, k] × [b, k, m] → [b, n, m].
  public func bmm(_ other: Tensor) -> Tensor { .checked(ct_bmm(handle, other.handle)) }
  /// This times `scale` + the products a × b of batches of matrices times `productScale`.
  public func baddbmm(_ a: Tensor, _ b: Tensor, scale: Double = 1, productScale: Double = 1) -> Tensor {
    .checked(ct_baddbmm(handle, a.handle, b.handle, scale, productScale))
  }
  /// This + a × b.
  public func addmm(_ a: Tensor, _ b: Tensor) -> Tensor { .checked(ct_addmm(handle, a.handle, b.handle)) }
  /// [*, in] × weight [out, in]ᵀ + bias [out] → [*, out].
  public func linear(_ weight: Tensor, _ bias: Tensor? = nil) -> Tensor {
    .checked(ct_linear(handle, weight.handle, bias?.handle))
  }
  /// [N, in, L], weight [out, in / groups, k] → [N, out, L′].
  public func conv1d(
    _ weight: Tensor, _ bias: Tensor? = nil, stride: Int = 1, padding: Int = 0, dilation: Int = 1, groups: Int = 1
  ) -> Tensor {
    .checked(ct_conv1d(handle, weight.handle, bias?.handle, stride, padding, dilation, groups))
  }
  /// [N, in, H, W], weight [out, in / groups, kh, kw] → [N, out, H′, W′].
  public func conv2d(
    _ weight: Tensor, _ bias: Tensor? = nil, stride: Size2D = 1, padding: Size2D = 0, dilation: Size2D = 1,
    groups: Int = 1
  ) -> Tensor {
    .checked(ct_conv2d(handle, weight.handle, bias?.handle, stride.list, padding.list, dilation.list, groups))
  }
  /// [N, in, H, W], weight [in, out / groups, kh, kw] → [N, out, H′, W′].
  public func convTranspose2d(
    _ weight: Tensor, _ bias: Tensor? = nil, stride: Size2D = 1, padding: Size2D = 0, outputPadding: Size2D = 0,
    dilation: Size2D = 1, groups: Int = 1
  ) -> Tensor {
    .checked(
      ct_conv_transpose2d(
        handle, weight.handle, bias?.handle, stride.list, padding.list, outputPadding.list, groups, dilation.list))
  }
  /// [N, in, D, H, W], weight [out, in / groups, kd, kh, kw] → [N, out, D′, H′, W′].
  public func conv3d(
    _ weight: Tensor, _ bias: Tensor? = nil, stride: Size3D = 1, padding: Size3D = 0, dilation: Size3D = 1,
    groups: Int = 1
  ) -> Tensor {
    .checked(ct_conv3d(handle, weight.handle, bias?.handle, stride.list, padding.list, dilation.list, groups))
  }
  /// [N, in, D, H, W], weight [in, out / groups, kd, kh, kw] → [N, out, D′, H′, W′].
  public func convTranspose3d(
    _ weight: Tensor, _ bias: Tensor? = nil, stride: Size3D = 1, padding: Size3D = 0, outputPadding: Size3D = 0,
    dilation: Size3D = 1, groups: Int = 1
  ) -> Tensor {
    .checked(
      ct_conv_transpose3d(
        handle, weight.handle, bias?.handle, stride.list, padding.list, outputPadding.list, groups, dilation.list))
  }
  /// Normalizes groups of channels of each sample of [N, C, …].
  public func groupNorm(_ groups: Int, weight: Tensor?, bias: Tensor?, epsilon: Double = 1e-5) -> Tensor {
    .checked(ct_group_norm(handle, groups, weight?.handle, bias?.handle, epsilon))
  }
  /// Normalizes each channel of each sample of [N, C, …] by its own statistics.
  public func instanceNorm(weight: Tensor? = nil, bias: Tensor? = nil, epsilon: Double = 1e-5) -> Tensor {
    .checked(ct_instance_norm(handle, weight?.handle, bias?.handle, epsilon))
  }
  /// Normalizes every channel of [N, C, …]: by the batch's statistics when training (and updates the running ones),
  /// else by the running ones.
  public func batchNorm(
    weight: Tensor?, bias: Tensor?, runningMean: Tensor?, runningVariance: Tensor?, isTraining: Bool,
    momentum: Double = 0.1, epsilon: Double = 1e-5
  ) -> Tensor {
    .checked(
      ct_batch_norm(
        handle, weight?.handle, bias?.handle, runningMean?.handle, runningVariance?.handle, isTraining, momentum,
        epsilon))
  }
  /// Normalizes over the last dimensions, which have `shape`.
  public func layerNorm(_ shape: [Int], weight: Tensor?, bias: Tensor?, epsilon: Double = 1e-5) -> Tensor {
    .checked(ct_layer_norm(handle, shape, shape.count, weight?.handle, bias?.handle, epsilon))
  }
  /// The largest in each window; the stride is the kernel when none is given.
  public func maxPool2d(
    _ kernel: Size2D, stride: Size2D? = nil, padding: Size2D = 0, ceilMode: Bool = false
  ) -> Tensor {
    .checked(ct_max_pool2d(handle, kernel.list, (stride ?? kernel).list, padding.list, ceilMode))
  }
  /// The mean of each window; the stride is the kernel when none is given.
  public func avgPool2d(
    _ kernel: Size2D, stride: Size2D? = nil, padding: Size2D = 0, countPadding: Bool = true
  ) -> Tensor {
    .checked(ct_avg_pool2d(handle, kernel.list, (stride ?? kernel).list, padding.list, countPadding))
  }
  /// The means of as many windows as `size` says.
  public func adaptiveAvgPool2d(_ size: Size2D) -> Tensor {
    .checked(ct_adaptive_avg_pool2d(handle, size.height, size.width))
  }
  /// Zeros with a probability and the rest scaled up, when training.
  public func dropout(_ probability: Double, isTraining: Bool) -> Tensor {
    .checked(ct_dropout(handle, probability, isTraining))
  }
  /// Zeros whole channels with a probability and scales the rest up, when training.
  public func dropout2d(_ probability: Double, isTraining: Bool) -> Tensor {
    .checked(ct_dropout2d(handle, probability, isTraining))
  }
  /// Multi-head attention (Vaswani et al. 2017): softmax(Q Kᵀ / √(width of a head)) V for each of `heads` equal parts of
  /// the width; weights and what they weigh are dropped as ``dropout(_:isTraining:)`` does.
  ///
  /// - Parameters:
  ///   - memory: keys and values side by side, [n, s, 2 width], for queries [n, t, width]. Without it this tensor has
  ///     queries, keys and values side by side, [n, t, 3 width].
  ///   - lengths: i64 [n]; of each sequence's keys only so many count, those after them are padding.
  ///   - isCausal: each query sees no later key than its own; the last query's is the last key.
  /// - Returns: [n, t, width].
  public func attention(
    memory: Tensor? = nil, heads: Int, lengths: Tensor? = nil, isCausal: Bool = false, dropout: Double = 0
  ) -> Tensor {
    var output: OpaquePointer?
    Tensor.check(ct_attention(handle, memory?.handle, heads, lengths?.handle, isCausal, dropout, &output, nil))
    return .checked(output)
  }
  /// Rows of this table [rows, width] that `indices` (i64, any shape) name: [*, width]. The row `paddingIndex` gets
  /// no gradient.
  public func embedding(_ indices: Tensor, paddingIndex: Int? = nil) -> Tensor {
    .checked(ct_embedding(handle, indices.handle, paddingIndex ?? -1))
  }
  /// How the rows of a bag become one.
  public enum BagMode: Int32, Sendable {
    case sum = 0
    case mean = 1
    case max = 2
  }
  /// Rows of this table [rows, width], joined by bags: `indices` (i64, [n]) are cut at `offsets` (i64, [bags], the
  /// first is 0): [bags, width].
  ///
  /// With `isSparse` the table's gradient has only the rows that were named, which plain ``SGD`` can follow; for sums
  /// and means.
  public func embeddingBag(
    _ indices: Tensor, offsets: Tensor, mode: BagMode = .sum, isSparse: Bool = false
  ) -> Tensor {
    .checked(ct_embedding_bag(handle, indices.handle, offsets.handle, mode.rawValue, isSparse))
  }
  /// e^x normalized to a sum of 1 along a dimension.
  public func softmax(_ dimension: Int = -1) -> Tensor { .checked(ct_softmax(handle, dimension)) }
  /// The logarithm of ``softmax(_:)``.
  public func logSoftmax(_ dimension: Int = -1) -> Tensor { .checked(ct_log_softmax(handle, dimension)) }

  // MARK: Losses

  /// Minus the log probability [N, C] of the target class (i64, [N]).
  public func nllLoss(_ target: Tensor, reduction: Reduction = .mean, ignoring: Int = -100) -> Tensor {
    .checked(ct_nll_loss(handle, target.handle, reduction.rawValue, ignoring))
  }
  /// Cross entropy of logits [N, C] to the target class (i64, [N]).
  public func crossEntropy(
    _ target: Tensor, reduction: Reduction = .mean, labelSmoothing: Double = 0, ignoring: Int = -100
  ) -> Tensor {
    .checked(ct_cross_entropy(handle, target.handle, reduction.rawValue, labelSmoothing, ignoring))
  }
  /// Binary cross entropy of logits to targets (f32) of the same shape, weighted when `weight` is given.
  public func binaryCrossEntropy(
    _ target: Tensor, weight: Tensor? = nil, reduction: Reduction = .mean
  ) -> Tensor {
    .checked(ct_bce_with_logits(handle, target.handle, weight?.handle, reduction.rawValue))
  }
  /// The squared error.
  public func squaredError(_ target: Tensor, reduction: Reduction = .mean) -> Tensor {
    .checked(ct_mse_loss(handle, target.handle, reduction.rawValue))
  }

  /// The absolute error.
  public func absoluteError(_ target: Tensor, reduction: Reduction = .mean) -> Tensor {
    .checked(ct_l1_loss(handle, target.handle, reduction.rawValue))
  }
  /// The squared error up to `beta` (÷ 2 `beta`), the absolute error beyond it (− `beta` / 2).
  public func smoothL1(_ target: Tensor, beta: Double = 1, reduction: Reduction = .mean) -> Tensor {
    .checked(ct_smooth_l1_loss(handle, target.handle, reduction.rawValue, beta))
  }
  /// Connectionist temporal classification (Graves et al. 2006) of log probabilities [T, N, C] to label sequences
  /// (i64, [N, S], padded).
  /// - Parameters:
  ///   - inputLengths: frames of each sample.
  ///   - targetLengths: labels of each sample.
  ///   - zeroInfinity: samples whose labels do not fit into their frames count 0, not ∞.
  public func ctcLoss(
    _ targets: Tensor, inputLengths: [Int], targetLengths: [Int], blank: Int = 0, reduction: Reduction = .mean,
    zeroInfinity: Bool = false
  ) -> Tensor {
    precondition(inputLengths.count == targetLengths.count, "one length a sample")
    return .checked(
      ct_ctc_loss(
        handle, targets.handle, inputLengths, targetLengths, inputLengths.count, blank, reduction.rawValue,
        zeroInfinity))
  }

  // MARK: Sampling

  /// The sampling grid [N, H, W, 2] of affine maps [N, 2, 3] for images of shape `size` [N, C, H, W].
  public func affineGrid(_ size: [Int], alignCorners: Bool = false) -> Tensor {
    .checked(ct_affine_grid(handle, size, size.count, alignCorners))
  }
  /// Bilinear samples [N, C, H′, W′] at a grid [N, H′, W′, 2] of places in −1…1, zeros outside; of volumes
  /// [N, C, D, H, W] trilinear ones at a grid [N, D′, H′, W′, 3].
  public func gridSample(_ grid: Tensor, alignCorners: Bool = false) -> Tensor {
    .checked(ct_grid_sample(handle, grid.handle, alignCorners))
  }
}
