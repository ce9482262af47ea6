// The groups that a suite's members fall into, with how sure their number and their members are.
import Foundation

/// Clusters in the space of the features, never on a map of it.
public struct Grouping: Codable, Sendable, Equatable {
  /// How good a number of clusters is.
  public struct Candidate: Codable, Sendable, Equatable {
    /// Number of clusters.
    public var clusters: Int
    /// Mean silhouette; `nil` for one cluster, which has none.
    public var silhouette: Double?
    /// Gap statistic.
    public var gap: Double
    /// Its standard error.
    public var gapError: Double
    /// Adjusted Rand index between the groups and those of bootstrap samples: mean and standard deviation.
    public var stability: Double
    /// Standard deviation over the bootstrap samples.
    public var stabilityDeviation: Double
    /// Adjusted Rand index between these groups and k-means'.
    public var agreementWithKMeans: Double
  }

  /// The tree.
  public var dendrogram: Dendrogram
  /// 1, 2, … clusters.
  public var candidates: [Candidate]
  /// The number with the highest mean silhouette.
  public var bySilhouette: Int
  /// The smallest number whose gap is within one standard error of the largest gap.
  public var byGap: Int
  /// The number that is used.
  public var clusters: Int
  /// Each member's cluster.
  public var labels: [Int]
  /// Each member's silhouette.
  public var silhouettes: [Double]
  /// The member nearest to the mean of its cluster, a cluster each.
  public var medoids: [Int]

  /// Groups members.
  ///
  /// - Parameters:
  ///   - clusters: how many; `nil` for the number by silhouette, or one when by the gap statistic there is only one and no
  ///     cluster is well apart.
  ///   - bootstraps: samples of members, with replacement, for the stability.
  public init(
    _ table: FeatureTable.Scaled, linkage: Dendrogram.Linkage = .ward, clusters wanted: Int? = nil,
    bootstraps: Int = 200, seed: UInt64 = 1
  ) {
    let data = table.matrix
    let n = data.rows
    let dendrogram = Dendrogram(data, linkage: linkage)
    self.dendrogram = dendrogram
    let distances = data.distances
    // Clusters of fewer than two members on average say nothing, and every gap statistic grows towards them.
    let most = max(1, min(max(2, n / 2), n - 1, 10))
    let gaps = Clustering.gaps(data, upTo: most, references: 50, seed: seed) { points, k in
      Dendrogram(points, linkage: linkage).cut(into: k)
    }
    var random = SeededGenerator(seed ^ 0xB007)
    let samples = (0..<bootstraps).map { _ in (0..<n).map { _ in random.index(below: max(n, 1)) } }
    let trees = samples.map { Dendrogram(data.selecting(rows: $0), linkage: linkage) }
    candidates = gaps.map { gap in
      let labels = dendrogram.cut(into: gap.clusters)
      let agreements = zip(samples, trees).map { sample, tree in
        Self.agreement(of: labels, with: tree, on: sample, clusters: gap.clusters)
      }
      let mean = Statistics.mean(agreements)
      let spread =
        (agreements.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(max(1, agreements.count - 1))).squareRoot()
      let silhouettes = Clustering.silhouettes(distances, labels)
      return Candidate(
        clusters: gap.clusters, silhouette: gap.clusters > 1 ? Statistics.mean(silhouettes) : nil, gap: gap.gap,
        gapError: gap.error, stability: mean, stabilityDeviation: spread,
        agreementWithKMeans: Clustering.adjustedRand(
          labels, Clustering.kMeans(data, clusters: gap.clusters, seed: seed).labels))
    }
    let candidates = candidates
    bySilhouette =
      candidates.filter { $0.silhouette != nil }.max {
        ($0.silhouette ?? 0, -$0.clusters) < ($1.silhouette ?? 0, -$1.clusters)
      }?
      .clusters ?? 1
    // The first number as good as the best one, not the first that the next one doesn't beat: three groups at equal distances
    // gain nothing from a cut into two.
    let best = candidates.max { ($0.gap, -$0.clusters) < ($1.gap, -$1.clusters) }
    byGap = candidates.first { [best] in $0.gap >= (best?.gap ?? 0) - (best?.gapError ?? 0) }?.clusters ?? 1
    // Silhouettes know no single cluster; below a quarter there is "no substantial structure" (Kaufman and Rousseeuw 1990).
    let silhouette = candidates.first { [bySilhouette] in $0.clusters == bySilhouette }?.silhouette ?? 0
    clusters = wanted.map { max(1, min($0, n)) } ?? (byGap == 1 && silhouette < 0.25 ? 1 : bySilhouette)
    labels = dendrogram.cut(into: clusters)
    silhouettes = Clustering.silhouettes(distances, labels)
    medoids = (0..<((labels.max() ?? -1) + 1)).map { [labels] cluster in
      let members = labels.indices.filter { labels[$0] == cluster }
      let mean = (0..<data.columns).map { column in Statistics.mean(members.map { data[$0, column] }) }
      func distance(_ member: Int) -> Double {
        zip(data.row(member), mean).reduce(0) { $0 + ($1.0 - $1.1) * ($1.0 - $1.1) }
      }
      return members.min { (distance($0), $0) < (distance($1), $1) } ?? 0
    }
  }

  /// The adjusted Rand index between groups and those of a bootstrap sample's tree. Only members that the sample holds can be
  /// compared; one that it holds twice counts once.
  static func agreement(of labels: [Int], with tree: Dendrogram, on sample: [Int], clusters: Int) -> Double {
    let cut = tree.cut(into: clusters)
    var first: [Int: Int] = [:]
    for (place, member) in sample.enumerated() where first[member] == nil { first[member] = place }
    let members = first.keys.sorted()
    return Clustering.adjustedRand(members.map { labels[$0] }, members.compactMap { first[$0].map { cut[$0] } })
  }
}
