// Region pooling and non-maximum suppression. Boxes are [x1, y1, x2, y2] with continuous edges: width = x2 − x1.
import CTorch

extension Tensor {
  /// Pools features [N, C, H, W] under each region, f32 [K, 5] of (image, x1, y1, x2, y2), to [K, C, size]. Each bin is
  /// the mean of `sampling`² bilinear samples.
  ///
  /// - Parameters:
  ///   - scale: features' pixels for one of the image, 1/16 for a stride of 16.
  ///   - isAligned: whether values are at the pixels' centres, as in later versions of Mask R-CNN, or at their corners.
  public func roiAlign(
    _ regions: Tensor, size: Size2D, scale: Double, sampling: Int = 2, isAligned: Bool = false
  ) -> Tensor {
    .checked(ct_roi_align(handle, regions.handle, scale, size.height, size.width, sampling, isAligned))
  }

  /// Indices (i64) of those of these boxes [N, 4] that overlap no better one by an IoU above `threshold`, best first.
  ///
  /// - Parameters:
  ///   - scores: [N]. Boxes with a score that is not a number are left out; of equal ones the first is better.
  ///   - groups: i64 [N], such as classes: boxes of different groups do not compete.
  ///   - limit: how many are kept at most.
  public func nonMaximumSuppression(
    scores: Tensor, groups: Tensor? = nil, threshold: Double, limit: Int? = nil
  ) -> Tensor {
    .checked(ct_nms(handle, scores.handle, groups?.handle, threshold, limit ?? 0))
  }
}
