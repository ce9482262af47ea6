// Which members join first when clusters are merged from below?

/// Agglomerative clustering of the rows of a matrix by Euclidean distance.
public struct Dendrogram: Codable, Sendable, Equatable {
  /// How far apart two clusters are.
  public enum Linkage: String, Codable, Sendable, CaseIterable {
    /// By how much the sum of squares within clusters would grow (Ward 1963), as a distance: √(2 |A||B| / (|A|+|B|)) ‖a − b‖.
    case ward
    /// The mean distance between a member of one and a member of the other (UPGMA).
    case average
  }

  /// A step: two clusters become one. Clusters 0 ..< n are the members, n + i is what step i made.
  public struct Merge: Codable, Sendable, Equatable {
    /// The smaller cluster number.
    public var first: Int
    /// The larger one.
    public var second: Int
    /// Their distance.
    public var distance: Double
    /// Members of the new cluster.
    public var size: Int
  }

  /// How distances between clusters are defined.
  public var linkage: Linkage
  /// The number of members.
  public var count: Int
  /// n − 1 steps, nearest first.
  public var merges: [Merge]

  /// Merges the nearest clusters until one is left. Of equal distances the one with the smallest numbers comes first.
  public init(_ data: Matrix, linkage: Linkage) {
    self.linkage = linkage
    count = data.rows
    merges = []
    guard count > 1 else { return }
    var distances = data.distances
    var clusters = Array(0..<count)
    var sizes = [Int](repeating: 1, count: count)
    var active = Array(0..<count)
    for step in 0..<(count - 1) {
      var best = (distance: Double.infinity, i: 0, j: 0)
      for (index, i) in active.enumerated() {
        for j in active[(index + 1)...] where distances[i, j] < best.distance { best = (distances[i, j], i, j) }
      }
      let (i, j) = (best.i, best.j)
      let (a, b) = (Double(sizes[i]), Double(sizes[j]))
      // Lance and Williams 1967: the new cluster's distances from those of its parts.
      for k in active where k != i && k != j {
        let c = Double(sizes[k])
        let (ik, jk) = (distances[i, k], distances[j, k])
        let distance: Double
        switch linkage {
        case .average: distance = (a * ik + b * jk) / (a + b)
        case .ward:
          let squared =
            ((a + c) * ik * ik + (b + c) * jk * jk - c * best.distance * best.distance) / (a + b + c)
          distance = max(0, squared).squareRoot()
        }
        distances[i, k] = distance
        distances[k, i] = distance
      }
      sizes[i] += sizes[j]
      merges.append(
        Merge(
          first: min(clusters[i], clusters[j]), second: max(clusters[i], clusters[j]), distance: best.distance,
          size: sizes[i]))
      clusters[i] = count + step
      active.removeAll { $0 == j }
    }
  }

  /// The cluster of each member when `clusters` are left, numbered in the order of their first members.
  public func cut(into clusters: Int) -> [Int] {
    var parent = Array(0..<(2 * max(count, 1) - 1))
    func root(_ index: Int) -> Int {
      var index = index
      while parent[index] != index { index = parent[index] }
      return index
    }
    for (step, merge) in merges.prefix(max(0, count - max(1, clusters))).enumerated() {
      parent[merge.first] = count + step
      parent[merge.second] = count + step
    }
    return Clustering.numbered((0..<count).map(root))
  }

  /// The members from left to right so that no branches cross, the larger part of each merge last.
  public var leafOrder: [Int] {
    guard let last = merges.last, count > 1 else { return Array(0..<count) }
    func leaves(_ cluster: Int) -> [Int] {
      guard cluster >= count else { return [cluster] }
      return leaves(merges[cluster - count].first) + leaves(merges[cluster - count].second)
    }
    return leaves(last.first) + leaves(last.second)
  }
}
