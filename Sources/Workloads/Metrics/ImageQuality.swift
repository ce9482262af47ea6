// How much does one image look like another? PSNR and the multi-scale structural similarity.
import Foundation

/// Measures of images [N, C, H, W] with values from 0 to 1 against their originals.
public enum ImageQuality {
  /// The mean squared error of each image.
  public static func squaredErrors(_ images: Tensor, _ originals: Tensor) -> [Double] {
    (images.to(.float64) - originals.to(.float64)).square().mean([1, 2, 3]).doubles()
  }

  /// The peak signal-to-noise ratio of a mean squared error, in dB, for a peak of 1.
  public static func peakSignalToNoise(_ squaredError: Double) -> Double { -10 * log10(squaredError) }

  /// The weight of each scale, finest first (Wang, Simoncelli and Bovik 2003, from experiments with viewers).
  public static let scaleWeights = [0.0448, 0.2856, 0.3001, 0.2363, 0.1333]
  /// The window: 11 × 11 pixels, a Gaussian of σ = 1.5.
  static let windowSize = 11
  static let windowDeviation = 1.5
  /// (0.01 L)² and (0.03 L)², which keep the quotients tame; L is 1.
  static let c1 = 0.0001
  static let c2 = 0.0009

  /// The multi-scale structural similarity of each image: Π csⱼ^wⱼ over the first four scales, times ssim₅^w₅, each a
  /// mean over places and channels. Every scale is half as large as the one before (means of 2 × 2 pixels; an odd
  /// last row or column counts twice).
  ///
  /// Eleven pixels on all five scales take images of 176 pixels. On a scale that is smaller than the window, the
  /// window is as large as the image and its σ smaller in proportion. A negative mean counts as 0, because it has no
  /// real power. 1 is an exact copy.
  public static func multiScaleSimilarity(_ images: Tensor, _ originals: Tensor) -> [Double] {
    var (x, y) = (images.to(.float64), originals.to(.float64))
    var result = [Double](repeating: 1, count: x.size(0))
    for (scale, weight) in scaleWeights.enumerated() {
      if scale > 0 { (x, y) = (halved(x), halved(y)) }
      let (similarity, contrast) = structuralSimilarity(x, y)
      let values = scale + 1 < scaleWeights.count ? contrast : similarity
      for index in result.indices { result[index] *= pow(max(values[index], 0), weight) }
    }
    return result
  }

  /// The structural similarity of each image and, without its brightness term, the similarity of contrast and
  /// structure (Wang et al. 2004).
  static func structuralSimilarity(_ x: Tensor, _ y: Tensor) -> (similarity: [Double], contrast: [Double]) {
    let (count, channels, height, width) = (x.size(0), x.size(1), x.size(2), x.size(3))
    let side = min(windowSize, height, width)
    let window = Tensor(doubles: gaussian(side), shape: [side])
    // One filter for all: images, squares and products lie in the first dimension.
    let all = Tensor.stacked([x, y, x * x, y * y, x * y]).reshaped([5 * count * channels, 1, height, width])
    let means = all.conv2d(window.view([1, 1, 1, side])).conv2d(window.view([1, 1, side, 1]))
      .reshaped([5, count, channels, height - side + 1, width - side + 1])
    let (mx, my) = (means.select(0, 0), means.select(0, 1))
    let (xx, yy, xy) = (mx * mx, my * my, mx * my)
    let covariance = means.select(0, 4) - xy
    let variances = means.select(0, 2) - xx + (means.select(0, 3) - yy)
    let contrast = (covariance * 2 + c2) / (variances + c2)
    let brightness = (xy * 2 + c1) / (xx + yy + c1)
    return ((brightness * contrast).mean([1, 2, 3]).doubles(), contrast.mean([1, 2, 3]).doubles())
  }

  /// A normalized Gaussian of `side` places; narrower than the full window in proportion.
  static func gaussian(_ side: Int) -> [Double] {
    let deviation = windowDeviation * Double(side) / Double(windowSize)
    let values = (0..<side).map { place in
      let distance = Double(place) - Double(side - 1) / 2
      return exp(-distance * distance / (2 * deviation * deviation))
    }
    let sum = values.reduce(0, +)
    return values.map { $0 / sum }
  }

  private static func halved(_ x: Tensor) -> Tensor {
    var x = x
    for dimension in [2, 3] where x.size(dimension) % 2 == 1 {
      let last = x.size(dimension) - 1
      x = Tensor.concatenated([x, x.slice(dimension, last..<last + 1)], dimension: dimension)
    }
    return x.avgPool2d(2)
  }
}
