// How far are two sets of samples apart, when neither has labels?

/// The sliced Wasserstein distance (Rabin et al. 2012): both sets are projected on random directions of length one;
/// in one dimension, the earth mover's distance is the mean difference of the sorted values; the mean over directions
/// is the measure.
struct SlicedWasserstein {
  /// Unit vectors in columns, f32 [dimensions, directions].
  let directions: Tensor

  /// Random directions; the same for the same seed.
  init(dimensions: Int, directions count: Int = 128, seed: UInt64 = 1) {
    var random = SeededRandom(seed, 5)
    var values = [Float](repeating: 0, count: dimensions * count)
    for direction in 0..<count {
      let vector = (0..<dimensions).map { _ in random.normal() }
      let length = vector.reduce(0) { $0 + $1 * $1 }.squareRoot()
      for (row, value) in vector.enumerated() { values[row * count + direction] = Float(value / max(length, 1e-12)) }
    }
    directions = Tensor(values, shape: [dimensions, count])
  }

  /// The distance between two sets of equally many samples, f32 [n, …] each.
  func callAsFunction(_ a: Tensor, _ b: Tensor) -> Double {
    precondition(a.size(0) == b.size(0), "\(a.size(0)) and \(b.size(0)) samples")
    return withoutGradients {
      let sorted = [a, b].map { $0.flattened(1).matmul(directions).sorted(dimension: 0).values }
      return (sorted[0] - sorted[1]).abs().mean().item
    }
  }
}

/// The median of the last values, as the earth mover's estimate of a critic is smoothed (Arjovsky et al. 2017, fig. 3).
struct MedianFilter {
  private let length: Int
  private var values: [Double] = []

  /// Of the last `length` values.
  init(length: Int = 101) { self.length = length }

  /// Takes in a value.
  mutating func add(_ value: Double) {
    values.append(value)
    if values.count > length { values.removeFirst() }
  }

  /// The median of the last values, the upper of two; NaN before the first.
  var median: Double { values.isEmpty ? .nan : values.sorted()[values.count / 2] }
}
