// Into which groups do the members fall, how many groups are there, and how sure is that?
import Foundation

/// Groups of members.
public enum Clustering {
  /// The same groups, numbered in the order of their first members.
  static func numbered(_ labels: [Int]) -> [Int] {
    var numbers: [Int: Int] = [:]
    return labels.map { label in
      if let number = numbers[label] { return number }
      numbers[label] = numbers.count
      return numbers.count - 1
    }
  }

  // MARK: k-means

  /// Lloyd's k-means from k-means++ beginnings (Arthur and Vassilvitskii 2007), the best of `restarts`.
  static func kMeans(
    _ data: Matrix, clusters k: Int, restarts: Int = 20, seed: UInt64
  ) -> (labels: [Int], inertia: Double) {
    var random = SeededGenerator(seed)
    var best: (labels: [Int], inertia: Double) = (Array(repeating: 0, count: data.rows), .infinity)
    guard data.rows > 0, k > 0 else { return best }
    for _ in 0..<restarts {
      var centres = firstCentres(data, min(k, data.rows), &random)
      var labels = [Int](repeating: -1, count: data.rows)
      var inertia = Double.infinity
      for _ in 0..<300 {
        var changed = false
        inertia = 0
        for row in 0..<data.rows {
          var (nearest, distance) = (0, Double.infinity)
          for centre in 0..<centres.rows {
            let d = squaredDistance(data.row(row), centres.row(centre))
            if d < distance { (nearest, distance) = (centre, d) }
          }
          inertia += distance
          if labels[row] != nearest {
            labels[row] = nearest
            changed = true
          }
        }
        guard changed else { break }
        var sums = Matrix(rows: centres.rows, columns: data.columns)
        var sizes = [Double](repeating: 0, count: centres.rows)
        for row in 0..<data.rows {
          sizes[labels[row]] += 1
          for column in 0..<data.columns { sums[labels[row], column] += data[row, column] }
        }
        // A centre that lost all its members stays where it was.
        for centre in 0..<centres.rows where sizes[centre] > 0 {
          for column in 0..<data.columns { centres[centre, column] = sums[centre, column] / sizes[centre] }
        }
      }
      if inertia < best.inertia { best = (numbered(labels), inertia) }
    }
    return best
  }

  /// Rows drawn one after the other, each with a probability in proportion to its squared distance from those before.
  private static func firstCentres(_ data: Matrix, _ k: Int, _ random: inout SeededGenerator) -> Matrix {
    var chosen = [random.index(below: data.rows)]
    var distances = (0..<data.rows).map { data.squaredDistance($0, chosen[0]) }
    while chosen.count < k {
      let total = distances.reduce(0, +)
      var next = random.index(below: data.rows)
      if total > 0 {
        var remaining = random.unit() * total
        next = distances.lastIndex { $0 > 0 } ?? next
        for (row, distance) in distances.enumerated() where distance > 0 {
          remaining -= distance
          if remaining < 0 {
            next = row
            break
          }
        }
      }
      chosen.append(next)
      for row in 0..<data.rows { distances[row] = min(distances[row], data.squaredDistance(row, next)) }
    }
    return data.selecting(rows: chosen)
  }

  private static func squaredDistance(_ a: ArraySlice<Double>, _ b: ArraySlice<Double>) -> Double {
    zip(a, b).reduce(0) { $0 + ($1.0 - $1.1) * ($1.0 - $1.1) }
  }

  // MARK: How good

  /// The silhouette of each member (Rousseeuw 1987): (b − a) / max(a, b), a the mean distance to its own cluster, b to the
  /// nearest other one; 0 for a cluster of one. 1 is far from all others, below 0 nearer to another cluster.
  static func silhouettes(_ distances: Matrix, _ labels: [Int]) -> [Double] {
    let k = (labels.max() ?? -1) + 1
    let sizes = labels.reduce(into: [Int](repeating: 0, count: k)) { $0[$1] += 1 }
    return labels.indices.map { member in
      guard sizes[labels[member]] > 1, k > 1 else { return 0 }
      var sums = [Double](repeating: 0, count: k)
      for other in labels.indices where other != member { sums[labels[other]] += distances[member, other] }
      let own = sums[labels[member]] / Double(sizes[labels[member]] - 1)
      let nearest =
        (0..<k).filter { $0 != labels[member] && sizes[$0] > 0 }.map { sums[$0] / Double(sizes[$0]) }.min() ?? own
      return max(own, nearest) > 0 ? (nearest - own) / max(own, nearest) : 0
    }
  }

  /// The agreement of two groupings beyond chance (Hubert and Arabie 1985): 1 is the same grouping, 0 what chance gives.
  static func adjustedRand(_ a: [Int], _ b: [Int]) -> Double {
    precondition(a.count == b.count, "groupings of the same members")
    func pairs(_ n: Int) -> Double { Double(n) * Double(n - 1) / 2 }
    var table: [[Int]: Int] = [:]
    var (rows, columns): ([Int: Int], [Int: Int]) = ([:], [:])
    for (x, y) in zip(a, b) {
      table[[x, y], default: 0] += 1
      rows[x, default: 0] += 1
      columns[y, default: 0] += 1
    }
    let index = table.values.reduce(0) { $0 + pairs($1) }
    let (left, right) = (rows.values.reduce(0) { $0 + pairs($1) }, columns.values.reduce(0) { $0 + pairs($1) })
    guard a.count > 1 else { return 1 }
    let expected = left * right / pairs(a.count)
    let greatest = (left + right) / 2
    return greatest == expected ? 1 : (index - expected) / (greatest - expected)
  }

  /// Half the mean squared distance between members of a cluster, summed over clusters: k-means' inertia.
  static func dispersion(_ data: Matrix, _ labels: [Int]) -> Double {
    let k = (labels.max() ?? -1) + 1
    var sums = Matrix(rows: k, columns: data.columns)
    var sizes = [Double](repeating: 0, count: k)
    for row in 0..<data.rows {
      sizes[labels[row]] += 1
      for column in 0..<data.columns { sums[labels[row], column] += data[row, column] }
    }
    var total = 0.0
    for row in 0..<data.rows {
      for column in 0..<data.columns {
        let difference = data[row, column] - sums[labels[row], column] / sizes[labels[row]]
        total += difference * difference
      }
    }
    return total
  }

  /// The gap statistic of one number of clusters (Tibshirani, Walther and Hastie 2001): how much smaller the logarithm of
  /// the dispersion is than for points without clusters, spread evenly over the data's own box along its components.
  struct Gap: Sendable, Equatable {
    /// Number of clusters.
    var clusters: Int
    /// mean log W of references − log W.
    var gap: Double
    /// Standard error of the references: √(1 + 1/B) σ.
    var error: Double
  }

  /// The gap statistic for 1 … `most` clusters of a clustering rule.
  static func gaps(
    _ data: Matrix, upTo most: Int, references: Int = 100, seed: UInt64, cluster: (Matrix, Int) -> [Int]
  ) -> [Gap] {
    // Along the principal components, so that the box has the data's shape.
    let scores = PrincipalComponents(data).scores
    var random = SeededGenerator(seed)
    let ranges = (0..<scores.columns).map { column -> (Double, Double) in
      let values = scores.column(column)
      return (values.min() ?? 0, values.max() ?? 0)
    }
    let samples = (0..<references).map { _ -> Matrix in
      var sample = Matrix(rows: scores.rows, columns: scores.columns)
      for row in 0..<scores.rows {
        for column in 0..<scores.columns {
          let (low, high) = ranges[column]
          sample[row, column] = low + (high - low) * random.unit()
        }
      }
      return sample
    }
    func logDispersion(_ points: Matrix, _ k: Int) -> Double {
      log(max(dispersion(points, cluster(points, k)), .leastNormalMagnitude))
    }
    return (1...max(1, most)).map { k in
      let expected = samples.map { logDispersion($0, k) }
      let mean = Statistics.mean(expected)
      let deviation =
        (expected.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(max(1, references))).squareRoot()
      return Gap(
        clusters: k, gap: mean - logDispersion(data, k),
        error: deviation * (1 + 1 / Double(max(1, references))).squareRoot())
    }
  }
}
