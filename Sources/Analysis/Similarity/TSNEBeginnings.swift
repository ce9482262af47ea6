// Where does a map begin?
import Foundation

/// Where maps begin.
struct TSNEBeginnings: Sendable {
  /// Standard deviation along the first axis: so small that all points feel each other.
  static let deviation = 1e-4
  private let scores: [Double]
  private let seed: UInt64
  private let count: Int

  init(_ data: Matrix, seed: UInt64) {
    (self.seed, count) = (seed, data.rows)
    scores = Self.principal(data, seed: seed)
  }

  /// The beginning of a restart: 0 along the two principal components, the others normally distributed.
  func points(restart: Int) -> [Double] {
    var random = SeededGenerator(seed ^ (UInt64(restart) &* 0xD1B5_4A32_D192_ED03))
    // Even along the components some noise: identical members, or all on one line, would never part.
    let noise = (0..<(2 * count)).map { _ in Self.deviation * random.normal() }
    guard restart == 0, !scores.isEmpty else { return noise }
    return zip(scores, noise).map { $0 + 0.01 * $1 }
  }

  /// The first two principal components, the greater one with the standard deviation; empty where all members are equal.
  /// By iterating on a subspace, for two or three digits are enough and there may be many features.
  private static func principal(_ data: Matrix, seed: UInt64) -> [Double] {
    let (n, d) = (data.rows, data.columns)
    guard n > 1, d > 0 else { return [] }
    var random = SeededGenerator(seed ^ 0x9CA)
    var vectors = (0..<2).map { _ in (0..<d).map { _ in random.normal() } }
    var scores = [Double](repeating: 0, count: 2 * n)
    for iteration in 0..<20 {
      orthonormalize(&vectors)
      for (place, vector) in vectors.enumerated() {
        for row in 0..<n {
          var sum = 0.0
          for column in 0..<d { sum += data.values[row * d + column] * vector[column] }
          scores[place * n + row] = sum
        }
      }
      guard iteration < 19 else { break }
      for place in 0..<2 {
        var next = [Double](repeating: 0, count: d)
        for row in 0..<n {
          let score = scores[place * n + row]
          for column in 0..<d { next[column] += score * data.values[row * d + column] }
        }
        vectors[place] = next
      }
    }
    let variances = (0..<2).map { place in
      scores[(place * n)..<((place + 1) * n)].reduce(0) { $0 + $1 * $1 } / Double(n)
    }
    let greatest = max(variances[0], variances[1]).squareRoot()
    guard greatest > 0 else { return [] }
    return scores.map { $0 / greatest * deviation }
  }

  private static func orthonormalize(_ vectors: inout [[Double]]) {
    for place in vectors.indices {
      for earlier in 0..<place {
        let product = zip(vectors[place], vectors[earlier]).reduce(0) { $0 + $1.0 * $1.1 }
        for column in vectors[place].indices { vectors[place][column] -= product * vectors[earlier][column] }
      }
      let norm = vectors[place].reduce(0) { $0 + $1 * $1 }.squareRoot()
      // One direction alone: the second vector is nothing.
      let scale = norm > 1e-150 ? 1 / norm : 0
      for column in vectors[place].indices { vectors[place][column] *= scale }
    }
  }
}

extension SeededGenerator {
  /// Normally distributed with variance 1 (Box and Muller 1958).
  fileprivate mutating func normal() -> Double {
    let radius = (-2 * log(1 - unit())).squareRoot()
    return radius * cos(2 * Double.pi * unit())
  }
}
