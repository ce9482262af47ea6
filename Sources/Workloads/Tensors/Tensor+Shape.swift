// Shapes, selection, reductions and sorting. Dimensions may be negative: −1 is the last.
import CTorch

extension Tensor {
  /// The same elements in another shape; one size may be −1. Copies only where strides demand it.
  public func reshaped(_ shape: [Int]) -> Tensor { .checked(ct_reshape(handle, shape, shape.count)) }
  /// The same storage in another shape; one size may be −1.
  public func view(_ shape: [Int]) -> Tensor { .checked(ct_view(handle, shape, shape.count)) }
  /// Dimensions in another order.
  public func permuted(_ order: [Int]) -> Tensor { .checked(ct_permute(handle, order, order.count)) }
  /// Two dimensions exchanged.
  public func transposed(_ first: Int = -2, _ second: Int = -1) -> Tensor {
    .checked(ct_transpose(handle, first, second))
  }
  /// Dimensions `first` … `last` made one.
  public func flattened(_ first: Int = 0, _ last: Int = -1) -> Tensor { .checked(ct_flatten(handle, first, last)) }
  /// Without a dimension of size 1.
  public func squeezed(_ dimension: Int) -> Tensor { .checked(ct_squeeze(handle, dimension)) }
  /// With a new dimension of size 1.
  public func unsqueezed(_ dimension: Int) -> Tensor { .checked(ct_unsqueeze(handle, dimension)) }
  /// Sizes of 1 repeated without a copy; −1 keeps a size.
  public func expanded(_ shape: [Int]) -> Tensor { .checked(ct_expand(handle, shape, shape.count)) }
  /// The elements `range` of a dimension, every `step`-th.
  public func slice(_ dimension: Int, _ range: Range<Int>, step: Int = 1) -> Tensor {
    .checked(ct_slice(handle, dimension, range.lowerBound, range.upperBound, step))
  }
  /// One element of a dimension, which goes.
  public func select(_ dimension: Int, _ index: Int) -> Tensor { .checked(ct_select(handle, dimension, index)) }
  /// The elements of a dimension that `indices` (i64, [k]) name.
  public func select(_ dimension: Int, indices: Tensor) -> Tensor {
    .checked(ct_index_select(handle, dimension, indices.handle))
  }
  /// Per element of `indices` (i64) the value at that place in `dimension`.
  public func gathered(_ dimension: Int, _ indices: Tensor) -> Tensor {
    .checked(ct_gather(handle, dimension, indices.handle))
  }
  /// This plus `source`'s elements at the places in `dimension` that `indices` (i64) name.
  public func scatterAdded(_ dimension: Int, _ indices: Tensor, _ source: Tensor) -> Tensor {
    .checked(ct_scatter_add(handle, dimension, indices.handle, source.handle))
  }
  /// Mirrored along dimensions.
  public func flipped(_ dimensions: [Int]) -> Tensor { .checked(ct_flip(handle, dimensions, dimensions.count)) }
  /// Padded with `value`: amounts are (before, after) pairs from the last dimension on.
  public func padded(_ amounts: [Int], value: Double = 0) -> Tensor {
    .checked(ct_pad(handle, amounts, amounts.count, value))
  }
  /// Images [N, C, H, W] with their own mirror image around them.
  public func reflectionPadded(left: Int, right: Int, top: Int, bottom: Int) -> Tensor {
    .checked(ct_reflection_pad2d(handle, [left, right, top, bottom]))
  }
  /// Copies of this one beside each other, so many along each dimension.
  public func repeated(_ counts: [Int]) -> Tensor { .checked(ct_repeat(handle, counts, counts.count)) }
  /// Zeros above the `diagonal`-th diagonal of the last two dimensions.
  public func lowerTriangle(_ diagonal: Int = 0) -> Tensor { .checked(ct_tril(handle, diagonal)) }
  /// The places (i64, [n, rank]) of all elements that are not zero, in row-major order.
  public func nonzero() -> Tensor { .checked(ct_nonzero(handle)) }
  /// Draws `count` columns (i64, [rows, count]) of each row, with probabilities in proportion to the row's values.
  public func multinomial(_ count: Int = 1, replacement: Bool = true) -> Tensor {
    .checked(ct_multinomial(handle, count, replacement))
  }
  /// [N, C r², H, W] → [N, C, H r, W r]: channels become neighbouring pixels (Shi et al. 2016).
  public func pixelShuffled(_ factor: Int) -> Tensor { .checked(ct_pixel_shuffle(handle, factor)) }
  /// Images [N, C, H, W] at another size, each pixel its nearest neighbour's.
  public func upsampledNearest(_ size: Size2D) -> Tensor {
    .checked(ct_upsample_nearest2d(handle, size.height, size.width))
  }
  /// Images [N, C, H, W] at another size, interpolated.
  public func upsampledBilinear(_ size: Size2D, alignCorners: Bool = false) -> Tensor {
    .checked(ct_upsample_bilinear2d(handle, size.height, size.width, alignCorners))
  }
  /// Tensors one after another along a dimension.
  public static func concatenated(_ tensors: [Tensor], dimension: Int = 0) -> Tensor {
    withHandles(tensors) { checked(ct_cat($0, $1, dimension)) }
  }
  /// Tensors of one shape along a new dimension.
  public static func stacked(_ tensors: [Tensor], dimension: Int = 0) -> Tensor {
    withHandles(tensors) { checked(ct_stack($0, $1, dimension)) }
  }

  static func withHandles<Result>(
    _ tensors: [Tensor], _ body: (UnsafePointer<OpaquePointer?>?, Int) -> Result
  ) -> Result {
    // The array keeps the tensors alive while libtorch looks at their handles.
    withExtendedLifetime(tensors) {
      let handles: [OpaquePointer?] = tensors.map(\.handle)
      return handles.withUnsafeBufferPointer { body($0.baseAddress, $0.count) }
    }
  }

  // MARK: Reductions

  /// Of all elements: shape [].
  public func sum() -> Tensor { .checked(ct_sum(handle)) }
  /// Of all elements: shape [].
  public func mean() -> Tensor { .checked(ct_mean(handle)) }
  /// Of all elements: shape [].
  public func max() -> Tensor { .checked(ct_max(handle)) }
  /// Of all elements: shape [].
  public func min() -> Tensor { .checked(ct_min(handle)) }
  /// √Σx²: shape [].
  public func norm() -> Tensor { .checked(ct_norm(handle)) }
  /// The 2-norm over dimensions, which go or stay with size 1.
  public func norm(_ dimensions: [Int], keep: Bool = false) -> Tensor {
    .checked(ct_norm_over(handle, dimensions, dimensions.count, keep))
  }
  /// log Σ eˣ over a dimension, which goes or stays with size 1.
  public func logSumExp(_ dimension: Int, keep: Bool = false) -> Tensor {
    .checked(ct_logsumexp(handle, dimension, keep))
  }
  /// Over dimensions, which go or stay with size 1.
  public func sum(_ dimensions: [Int], keep: Bool = false) -> Tensor {
    .checked(ct_sum_over(handle, dimensions, dimensions.count, keep))
  }
  /// Over dimensions, which go or stay with size 1.
  public func mean(_ dimensions: [Int], keep: Bool = false) -> Tensor {
    .checked(ct_mean_over(handle, dimensions, dimensions.count, keep))
  }
  /// Over dimensions, which go or stay with size 1; `unbiased` divides by n − 1.
  public func variance(_ dimensions: [Int], unbiased: Bool = true, keep: Bool = false) -> Tensor {
    .checked(ct_variance(handle, dimensions, dimensions.count, unbiased, keep))
  }
  /// The largest along a dimension and where (i64).
  public func max(_ dimension: Int, keep: Bool = false) -> (values: Tensor, indices: Tensor) {
    Tensor.pair { ct_max_over(handle, dimension, keep, &$0, &$1) }
  }
  /// The smallest along a dimension and where (i64).
  public func min(_ dimension: Int, keep: Bool = false) -> (values: Tensor, indices: Tensor) {
    Tensor.pair { ct_min_over(handle, dimension, keep, &$0, &$1) }
  }
  /// Where the largest along a dimension is (i64).
  public func argmax(_ dimension: Int, keep: Bool = false) -> Tensor { .checked(ct_argmax(handle, dimension, keep)) }
  /// Running sums along a dimension.
  public func cumulativeSum(_ dimension: Int) -> Tensor { .checked(ct_cumsum(handle, dimension)) }
  /// The `k` largest along a dimension, descending, and where (i64).
  public func top(_ k: Int, dimension: Int = -1) -> (values: Tensor, indices: Tensor) {
    Tensor.pair { ct_topk(handle, k, dimension, &$0, &$1) }
  }
  /// Sorted along a dimension and where from (i64); ties keep their order.
  public func sorted(dimension: Int = -1, descending: Bool = false) -> (values: Tensor, indices: Tensor) {
    Tensor.pair { ct_sort(handle, dimension, descending, &$0, &$1) }
  }

  private static func pair(
    _ body: (inout OpaquePointer?, inout OpaquePointer?) -> Bool
  ) -> (values: Tensor, indices: Tensor) {
    var values: OpaquePointer?
    var indices: OpaquePointer?
    check(body(&values, &indices))
    return (checked(values), checked(indices))
  }
}
