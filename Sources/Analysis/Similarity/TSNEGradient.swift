// In which direction does a small map get better? Every pair, in double precision.
import Foundation

/// The Kullback–Leibler divergence of a map from the affinities, KL = Σ p log (p / q) over all ordered pairs, and its
/// gradient (van der Maaten and Hinton 2008): ∂KL/∂yᵢ = 4 Σⱼ (p − q) w (yᵢ − yⱼ), w = 1 / (1 + ‖yᵢ − yⱼ‖²), q = w / Σ w.
///
/// Points are 2 n numbers: first all x, then all y.
protocol TSNEGradient: AnyObject {
  /// Number of members.
  var count: Int { get }
  /// The gradient with the affinities multiplied by `exaggeration`.
  func gradient(
    at points: UnsafePointer<Double>, exaggeration: Double, into result: UnsafeMutablePointer<Double>)
  /// The divergence.
  func divergence(of points: UnsafePointer<Double>) -> Double
}

/// One pair after the other, each once: for up to some hundred members, and the naive version that the others are
/// tested against.
final class TSNEPairGradient: TSNEGradient {
  let count: Int
  private let affinities: TSNEBuffer<Double>
  private let forces: TSNEBuffer<Double>
  private let negativeEntropy: Double

  /// - Parameter affinities: members × members, symmetric, of sum one.
  init(_ affinities: TSNEBuffer<Double>, members n: Int) {
    (count, self.affinities) = (n, affinities)
    forces = TSNEBuffer(2 * n, repeating: 0)
    var entropy = 0.0
    for place in 0..<(n * n) where affinities.start[place] > 0 {
      entropy += affinities.start[place] * log(affinities.start[place])
    }
    negativeEntropy = entropy
  }

  func gradient(
    at points: UnsafePointer<Double>, exaggeration: Double, into result: UnsafeMutablePointer<Double>
  ) {
    let n = count
    let (xs, ys) = (points, points + n)
    let (gx, gy) = (result, result + n)
    let (rx, ry) = (forces.start, forces.start + n)
    result.update(repeating: 0, count: 2 * n)
    rx.update(repeating: 0, count: 2 * n)
    var half = 0.0
    for i in 0..<n {
      let (x, y) = (xs[i], ys[i])
      let row = affinities.start + i * n
      var (ax, ay, bx, by) = (0.0, 0.0, 0.0, 0.0)
      for j in 0..<i {
        let (dx, dy) = (x - xs[j], y - ys[j])
        let w = 1 / (1 + dx * dx + dy * dy)
        half += w
        let attraction = row[j] * w
        let repulsion = w * w
        ax += attraction * dx
        ay += attraction * dy
        bx += repulsion * dx
        by += repulsion * dy
        gx[j] -= attraction * dx
        gy[j] -= attraction * dy
        rx[j] -= repulsion * dx
        ry[j] -= repulsion * dy
      }
      gx[i] += ax
      gy[i] += ay
      rx[i] += bx
      ry[i] += by
    }
    let scale = half > 0 ? 1 / (2 * half) : 0
    for place in 0..<(2 * n) { result[place] = 4 * (exaggeration * result[place] - rx[place] * scale) }
  }

  func divergence(of points: UnsafePointer<Double>) -> Double {
    let n = count
    let (xs, ys) = (points, points + n)
    var (half, attraction) = (0.0, 0.0)
    for i in 0..<n {
      let row = affinities.start + i * n
      for j in 0..<i {
        let (dx, dy) = (xs[i] - xs[j], ys[i] - ys[j])
        let t = 1 + dx * dx + dy * dy
        half += 1 / t
        attraction += row[j] * log(t)
      }
    }
    // Rounding alone makes it negative.
    return half > 0 ? max(0, negativeEntropy + 2 * attraction + log(2 * half)) : 0
  }
}

/// All pairs four at a time in single precision, rows shared among threads: for up to some thousand members.
final class TSNEDenseGradient: TSNEGradient {
  let count: Int
  private let threads: Int
  /// Groups of four members in a row.
  private let groups: Int
  private let affinities: TSNEBuffer<SIMD4<Float>>
  private let points: TSNEBuffer<SIMD4<Float>>
  private let attractions: TSNEBuffer<SIMD2<Float>>
  private let repulsions: TSNEBuffer<SIMD2<Float>>
  private let sums: TSNEBuffer<Double>
  private let negativeEntropy: Double
  private static let block = 32

  /// - Parameter affinities: members × members, symmetric, of sum one.
  init(_ dense: TSNEBuffer<Double>, members n: Int, threads: Int) {
    (count, self.threads) = (n, threads)
    groups = (n + 3) / 4
    affinities = TSNEBuffer(n * groups, repeating: .zero)
    // The padding is so far away that it weighs nothing, yet the square of its distance is finite.
    points = TSNEBuffer(2 * groups, repeating: SIMD4(repeating: 1e18))
    attractions = TSNEBuffer(n, repeating: .zero)
    repulsions = TSNEBuffer(n, repeating: .zero)
    sums = TSNEBuffer(n, repeating: 0)
    let (sums, affinities, groups) = (sums, affinities, groups)
    TSNEBlocks.ranges(n, size: Self.block, threads: threads) { rows in
      for i in rows {
        var entropy = 0.0
        let row = UnsafeMutableRawPointer(affinities.start + i * groups).assumingMemoryBound(to: Float.self)
        for j in 0..<n {
          let p = dense.start[i * n + j]
          row[j] = Float(p)
          if p > 0 { entropy += p * log(p) }
        }
        sums.start[i] = entropy
      }
    }
    negativeEntropy = sums.values.reduce(0, +)
  }

  private func take(_ positions: UnsafePointer<Double>) {
    let xs = UnsafeMutableRawPointer(points.start).assumingMemoryBound(to: Float.self)
    let ys = UnsafeMutableRawPointer(points.start + groups).assumingMemoryBound(to: Float.self)
    for i in 0..<count {
      xs[i] = Float(positions[i])
      ys[i] = Float(positions[count + i])
    }
  }

  func gradient(
    at positions: UnsafePointer<Double>, exaggeration: Double, into result: UnsafeMutablePointer<Double>
  ) {
    take(positions)
    let (n, groups) = (count, groups)
    let (xs, ys) = (UnsafePointer(points.start), UnsafePointer(points.start + groups))
    let (affinities, attractions, repulsions, sums) = (
      affinities.start, attractions.start, repulsions.start, sums.start
    )
    TSNEBlocks.ranges(n, size: Self.block, threads: threads) { rows in
      for i in rows {
        let x = SIMD4(repeating: xs[i / 4][i % 4])
        let y = SIMD4(repeating: ys[i / 4][i % 4])
        let row = affinities + i * groups
        var (ax, ay) = (SIMD4<Float>.zero, SIMD4<Float>.zero)
        var (rx, ry) = (SIMD4<Float>.zero, SIMD4<Float>.zero)
        var z = SIMD4<Float>.zero
        for group in 0..<groups {
          let dx = x - xs[group]
          let dy = y - ys[group]
          let w = 1 / (1 + dx * dx + dy * dy)
          let attraction = row[group] * w
          let repulsion = w * w
          ax += attraction * dx
          ay += attraction * dy
          rx += repulsion * dx
          ry += repulsion * dy
          z += w
        }
        attractions[i] = SIMD2(ax.sum(), ay.sum())
        repulsions[i] = SIMD2(rx.sum(), ry.sum())
        sums[i] = Double(z.sum()) - 1
      }
    }
    var z = 0.0
    for i in 0..<n { z += sums[i] }
    let scale = z > 0 ? 1 / z : 0
    for i in 0..<n {
      result[i] = 4 * (exaggeration * Double(attractions[i].x) - Double(repulsions[i].x) * scale)
      result[n + i] = 4 * (exaggeration * Double(attractions[i].y) - Double(repulsions[i].y) * scale)
    }
  }

  func divergence(of positions: UnsafePointer<Double>) -> Double {
    let (n, groups) = (count, groups)
    let logarithms = TSNEBuffer<Double>(n, repeating: 0)
    let affinities = UnsafeRawPointer(affinities.start).assumingMemoryBound(to: Float.self)
    let sums = sums.start
    TSNEBlocks.ranges(n, size: Self.block, threads: threads) { rows in
      for i in rows {
        let (x, y) = (positions[i], positions[n + i])
        let row = affinities + i * groups * 4
        var (z, sum) = (0.0, 0.0)
        for j in 0..<i {
          let (dx, dy) = (x - positions[j], y - positions[n + j])
          let t = 1 + dx * dx + dy * dy
          z += 1 / t
          sum += Double(row[j]) * log(t)
        }
        sums[i] = z
        logarithms.start[i] = sum
      }
    }
    var (z, sum) = (0.0, 0.0)
    for i in 0..<n {
      z += sums[i]
      sum += logarithms.start[i]
    }
    return z > 0 ? max(0, negativeEntropy + 2 * sum + log(2 * z)) : 0
  }
}
