// How many pixels have the right class? The measures of semantic segmentation.

/// Pixels by their true and their predicted class (Long et al., CVPR 2015): n_ij is the number of pixels of class i
/// that were taken for class j, t_i = Σ_j n_ij.
struct ConfusionMatrix: Sendable {
  /// Classes that are measured.
  let classCount: Int
  /// n_ij; the last column is void, which no class is.
  private var pixels: [Int]

  /// An empty matrix.
  init(classCount: Int) {
    self.classCount = classCount
    pixels = [Int](repeating: 0, count: classCount * (classCount + 1))
  }

  /// Counts the pixels of an image. True classes of `classCount` and more are void and don't count; a pixel predicted
  /// void is wrong.
  mutating func add(truth: [UInt8], prediction: [UInt8]) {
    precondition(truth.count == prediction.count, "\(truth.count) and \(prediction.count) pixels")
    for (label, predicted) in zip(truth, prediction) where Int(label) < classCount {
      pixels[Int(label) * (classCount + 1) + min(Int(predicted), classCount)] += 1
    }
  }

  private func count(_ truth: Int, _ prediction: Int) -> Int { pixels[truth * (classCount + 1) + prediction] }
  private func total(_ truth: Int) -> Int { (0...classCount).reduce(0) { $0 + count(truth, $1) } }

  /// Σ n_ii / Σ t_i.
  var perPixelAccuracy: Double {
    let right = (0..<classCount).reduce(0) { $0 + count($1, $1) }
    return Double(right) / Double(pixels.reduce(0, +))
  }

  /// The mean of n_ii / t_i over the classes that occur.
  var perClassAccuracy: Double {
    mean { truth in
      let total = total(truth)
      return total == 0 ? nil : Double(count(truth, truth)) / Double(total)
    }
  }

  /// The mean of n_ii / (t_i + Σ_j n_ji − n_ii) over the classes that occur or were predicted.
  var classIoU: Double {
    mean { truth in
      let union = total(truth) + (0..<classCount).reduce(0) { $0 + count($1, truth) } - count(truth, truth)
      return union == 0 ? nil : Double(count(truth, truth)) / Double(union)
    }
  }

  private func mean(_ value: (Int) -> Double?) -> Double {
    let values = (0..<classCount).compactMap(value)
    return values.isEmpty ? .nan : values.reduce(0, +) / Double(values.count)
  }
}
