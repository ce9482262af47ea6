// How much do two solids have in common?

/// The intersection over union of volumes.
public enum VolumeOverlap {
  /// The intersection over union of each pair of volumes [N, …]: voxels of at least `threshold` in both, by voxels of
  /// at least it in one or the other. Two empty volumes are the same: 1.
  public static func intersectionOverUnion(
    _ volumes: Tensor, _ truth: Tensor, threshold: Double = 0.5
  ) -> [Double] {
    let predicted = volumes.isGreaterOrEqual(threshold).flattened(1)
    let actual = truth.isGreaterOrEqual(threshold).flattened(1)
    let common = predicted.and(actual).to(.float64).sum([1]).doubles()
    let either = predicted.or(actual).to(.float64).sum([1]).doubles()
    return zip(common, either).map { $1 == 0 ? 1 : $0 / $1 }
  }
}
