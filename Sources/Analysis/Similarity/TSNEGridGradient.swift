// In which direction does a large map get better?
import Foundation

/// Attraction along neighbours' pairs, repulsion by a grid: for large maps.
final class TSNEGridGradient: TSNEGradient {
  let count: Int
  private let threads: Int
  private let affinities: TSNESparseAffinities
  private let grid: TSNEGrid
  private let points: TSNEBuffer<Float>
  private let pairs: TSNEBuffer<SIMD2<Float>>
  private let attractions: TSNEBuffer<SIMD2<Float>>
  private let repulsions: TSNEBuffer<SIMD4<Float>>

  init(_ affinities: TSNESparseAffinities, members n: Int, threads: Int, isAlwaysInterpolated: Bool = false) {
    (count, self.threads, self.affinities) = (n, threads, affinities)
    grid = TSNEGrid(threads: threads, isAlwaysInterpolated: isAlwaysInterpolated)
    points = TSNEBuffer(2 * n, repeating: 0)
    pairs = TSNEBuffer(n, repeating: .zero)
    attractions = TSNEBuffer(n, repeating: .zero)
    repulsions = TSNEBuffer(n, repeating: .zero)
  }

  /// Returns Σ w over all ordered pairs.
  private func repel(_ positions: UnsafePointer<Double>) -> Double {
    for i in 0..<count {
      let point = SIMD2(Float(positions[i]), Float(positions[count + i]))
      (points.start[i], points.start[count + i]) = (point.x, point.y)
      pairs.start[i] = point
    }
    grid.potential(points.start, points.start + count, count: count, into: repulsions.start)
    var z = 0.0
    for i in 0..<count { z += Double(repulsions.start[i].x) }
    // Rounding must not make it none.
    return max(z, 1e-30)
  }

  func gradient(
    at positions: UnsafePointer<Double>, exaggeration: Double, into result: UnsafeMutablePointer<Double>
  ) {
    let n = count
    let z = repel(positions)
    let (starts, others, values) = (affinities.starts.start, affinities.others.start, affinities.values.start)
    let (points, attractions) = (pairs.start, attractions.start)
    TSNEBlocks.ranges(n, size: 256, threads: threads) { rows in
      for i in rows {
        let own = points[i]
        let (x, y) = (SIMD4(repeating: own.x), SIMD4(repeating: own.y))
        var (ax, ay) = (SIMD4<Float>.zero, SIMD4<Float>.zero)
        var place = starts[i]
        let end = starts[i + 1]
        while place + 4 <= end {
          let (a, b) = (points[Int(others[place])], points[Int(others[place + 1])])
          let (c, d) = (points[Int(others[place + 2])], points[Int(others[place + 3])])
          let dx = x - SIMD4(a.x, b.x, c.x, d.x)
          let dy = y - SIMD4(a.y, b.y, c.y, d.y)
          let p = UnsafeRawPointer(values + place).loadUnaligned(as: SIMD4<Float>.self)
          let w = p / (1 + dx * dx + dy * dy)
          ax += w * dx
          ay += w * dy
          place += 4
        }
        var sum = SIMD2(ax.sum(), ay.sum())
        while place < end {
          let difference = own - points[Int(others[place])]
          sum += difference * (values[place] / (1 + (difference * difference).sum()))
          place += 1
        }
        attractions[i] = sum
      }
    }
    let scale = 0.5 / z
    for i in 0..<n {
      let (attraction, repulsion) = (attractions[i], repulsions.start[i])
      result[i] = 4 * (exaggeration * Double(attraction.x) + scale * Double(repulsion.y))
      result[n + i] = 4 * (exaggeration * Double(attraction.y) + scale * Double(repulsion.z))
    }
  }

  func divergence(of positions: UnsafePointer<Double>) -> Double {
    let n = count
    let z = repel(positions)
    let sums = TSNEBuffer<Double>(n, repeating: 0)
    let (starts, others, values) = (affinities.starts.start, affinities.others.start, affinities.values.start)
    TSNEBlocks.ranges(n, size: 256, threads: threads) { rows in
      for i in rows {
        let (x, y) = (positions[i], positions[n + i])
        var sum = 0.0
        for place in starts[i]..<starts[i + 1] {
          let j = Int(others[place])
          let (dx, dy) = (x - positions[j], y - positions[n + j])
          sum += Double(values[place]) * log(1 + dx * dx + dy * dy)
        }
        sums.start[i] = sum
      }
    }
    var sum = 0.0
    for i in 0..<n { sum += sums.start[i] }
    return affinities.negativeEntropy + sum + log(z)
  }
}
