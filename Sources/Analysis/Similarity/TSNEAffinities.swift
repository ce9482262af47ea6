// How strongly should two members attract each other on the map?
import Foundation

/// Affinities of t-SNE (van der Maaten and Hinton 2008): a Gaussian around each member, as wide as the wanted perplexity
/// asks for, made symmetric. They sum to one.
enum TSNEAffinities {
  /// The greatest perplexity for so many members: a third of the others, for three times the perplexity is how far the
  /// Gaussians reach; for a handful two, or what one can have at all.
  static func greatestPerplexity(members n: Int) -> Double {
    n < 3 ? 1 : max(Double(n - 1) / 3, min(2, 0.75 * Double(n - 1)))
  }

  /// Probabilities exp(−β d) / Σ exp(−β d) with the entropy log `perplexity`.
  ///
  /// Newton's method on log β within a bracket: −β² Var(d) is the entropy's derivative. Where as many members as the
  /// perplexity share the least distance, no β has that little entropy; its limit is the uniform distribution over them.
  ///
  /// - Parameters:
  ///   - squared: squared distances, finite.
  ///   - perplexity: above 1.
  ///   - result: as many probabilities.
  static func calibrate(
    _ squared: UnsafeBufferPointer<Double>, perplexity: Double, into result: UnsafeMutablePointer<Double>
  ) {
    let count = squared.count
    guard count > 0 else { return }
    var (least, sum) = (squared[0], 0.0)
    for d in squared { least = min(least, d) }
    var ties = 0
    for d in squared {
      sum += d - least
      if d == least { ties += 1 }
    }
    func uniform(where included: (Double) -> Bool, of number: Int) {
      for place in 0..<count { result[place] = included(squared[place]) ? 1 / Double(number) : 0 }
    }
    guard Double(ties) < perplexity else { return uniform(where: { $0 == least }, of: ties) }
    guard perplexity < Double(count) else { return uniform(where: { _ in true }, of: count) }
    let target = log(perplexity)
    // Distances as multiples of their mean, so that neither β nor a product with it leaves the range.
    let mean = sum / Double(count)
    let scale = 1 / mean
    guard scale.isFinite else { return uniform(where: { _ in true }, of: count) }
    var (low, high) = (-Double.infinity, Double.infinity)
    var logBeta = 0.0
    for _ in 0..<200 {
      let beta = exp(logBeta)
      var (z, first, second) = (0.0, 0.0, 0.0)
      for place in 0..<count {
        let d = (squared[place] - least) * scale
        let p = exp(-beta * d)
        result[place] = p
        z += p
        first += p * d
        second += p * d * d
      }
      first /= z
      second = max(second / z - first * first, 0)
      for place in 0..<count { result[place] /= z }
      let excess = log(z) + beta * first - target
      if abs(excess) < 1e-13 { break }
      if excess > 0 { low = max(low, logBeta) } else { high = min(high, logBeta) }
      var next = logBeta + excess / max(beta * beta * second, 1e-300)
      // A step of more than e³ is a guess; outside the bracket it is a wrong one.
      next = min(max(next, logBeta - 3), logBeta + 3)
      if next <= low || next >= high {
        next = low.isFinite && high.isFinite ? (low + high) / 2 : logBeta + (excess > 0 ? 1 : -1)
      }
      if next == logBeta { break }
      logBeta = next
    }
  }

  /// Affinities of all pairs, members × members; the diagonal is 0.
  static func dense(_ data: Matrix, perplexity: Double, threads: Int) -> TSNEBuffer<Double> {
    let (n, d) = (data.rows, data.columns)
    let conditional = TSNEBuffer<Double>(n * n, repeating: 0)
    let joint = TSNEBuffer<Double>(n * n, repeating: 0)
    guard n > 1 else { return joint }
    // A feature after the other, so that the distances to all members are one pass that vectorizes.
    let features = TSNEBuffer<Double>(n * d, repeating: 0)
    for row in 0..<n { for column in 0..<d { features.start[column * n + row] = data.values[row * d + column] } }
    TSNEBlocks.ranges(n, size: 16, threads: threads) { rows in
      let squared = TSNEBuffer<Double>(n, repeating: 0)
      let probabilities = TSNEBuffer<Double>(n, repeating: 0)
      for i in rows {
        squared.start.update(repeating: 0, count: n)
        for column in 0..<d {
          let values = features.start + column * n
          let own = values[i]
          for j in 0..<n {
            let difference = values[j] - own
            squared.start[j] += difference * difference
          }
        }
        // The member itself goes to the end, out of the way.
        squared.start[i] = squared.start[n - 1]
        calibrate(
          UnsafeBufferPointer(start: squared.start, count: n - 1), perplexity: perplexity,
          into: probabilities.start)
        let row = conditional.start + i * n
        row.update(from: probabilities.start, count: n - 1)
        row[n - 1] = i < n - 1 ? row[i] : 0
        row[i] = 0
      }
    }
    let half = 1 / (2 * Double(n))
    TSNEBlocks.ranges(n, size: 16, threads: threads) { rows in
      for i in rows {
        for j in 0..<n {
          joint.start[i * n + j] = (conditional.start[i * n + j] + conditional.start[j * n + i]) * half
        }
      }
    }
    return joint
  }
}

/// Affinities of neighbours; all others are 0.
final class TSNESparseAffinities {
  /// Where each member's pairs begin, and their number at the end.
  let starts: TSNEBuffer<Int>
  /// The other member of each pair, ascending within a member.
  let others: TSNEBuffer<Int32>
  /// The affinity of each pair. Each is there twice, from either side.
  let values: TSNEBuffer<Float>
  /// Σ p log p over all pairs.
  let negativeEntropy: Double

  /// Affinities of members with their neighbours.
  init(_ neighbours: NearestNeighbours, perplexity: Double, threads: Int) {
    let (n, k) = (neighbours.rows, neighbours.count)
    let conditional = TSNEBuffer<Double>(n * k, repeating: 0)
    neighbours.squaredDistances.withUnsafeBufferPointer { squared in
      TSNEBlocks.ranges(n, size: 256, threads: threads) { rows in
        for i in rows {
          TSNEAffinities.calibrate(
            UnsafeBufferPointer(rebasing: squared[(i * k)..<((i + 1) * k)]), perplexity: perplexity,
            into: conditional.start + i * k)
        }
      }
    }
    // Each member's own neighbours and those it is a neighbour of; who is both comes twice and is merged.
    let indices = neighbours.indices
    var places = [Int](repeating: 0, count: n + 1)
    for i in 0..<n { places[i + 1] = k }
    for j in indices { places[Int(j) + 1] += 1 }
    for i in 0..<n { places[i + 1] += places[i] }
    var ends = places
    var pairs = [(other: Int32, value: Double)](repeating: (0, 0), count: places[n])
    // By ascending i, so that the second kind is in order already.
    for i in 0..<n {
      for place in (i * k)..<((i + 1) * k) {
        let j = Int(indices[place])
        pairs[ends[j]] = (Int32(i), conditional.start[place])
        ends[j] += 1
      }
    }
    for i in 0..<n {
      for place in (i * k)..<((i + 1) * k) {
        pairs[ends[i]] = (indices[place], conditional.start[place])
        ends[i] += 1
      }
    }
    let merged = TSNEBuffer<Int>(n, repeating: 0)
    pairs.withUnsafeMutableBufferPointer { pairs in
      TSNEBlocks.ranges(n, size: 256, threads: threads) { rows in
        for i in rows {
          var own = UnsafeMutableBufferPointer(rebasing: pairs[places[i]..<places[i + 1]])
          own.sort { $0.other < $1.other }
          var last = -1
          for pair in own {
            if last >= 0, own[last].other == pair.other {
              own[last].value += pair.value
            } else {
              last += 1
              own[last] = pair
            }
          }
          merged.start[i] = last + 1
        }
      }
    }
    starts = TSNEBuffer(n + 1, repeating: 0)
    for i in 0..<n { starts.start[i + 1] = starts.start[i] + merged.start[i] }
    others = TSNEBuffer(starts.start[n], repeating: 0)
    values = TSNEBuffer(starts.start[n], repeating: 0)
    let half = 1 / (2 * Double(n))
    var entropy = 0.0
    for i in 0..<n {
      for offset in 0..<merged.start[i] {
        let pair = pairs[places[i] + offset]
        let p = pair.value * half
        others.start[starts.start[i] + offset] = pair.other
        values.start[starts.start[i] + offset] = Float(p)
        if p > 0 { entropy += p * log(p) }
      }
    }
    negativeEntropy = entropy
  }
}
