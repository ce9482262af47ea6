// Which members of a suite are alike, into how many groups do they fall, and how sure is that?
import ProfileModel

/// Clusters in the space of the features, and maps of that space to look at.
public struct SuiteSimilarity: Codable, Sendable, Equatable {
  /// Two members and how far apart they are.
  public struct Pair: Codable, Sendable, Equatable {
    /// Ids.
    public var first: String
    /// Ids.
    public var second: String
    /// Euclidean distance in the space of scaled features.
    public var distance: Double
  }
  /// The groups that another choice of features gives.
  public struct Alternative: Codable, Sendable, Equatable {
    /// The features.
    public var selection: FeatureSelection
    /// How many of them could be used.
    public var features: Int
    /// How many groups they give.
    public var clusters: Int
    /// Adjusted Rand index with the groups that are used.
    public var agreement: Double
  }

  /// Which features.
  public var selection: FeatureSelection
  /// Members that can't be compared, a sentence each.
  public var leftOut: [String]
  /// The features on one scale; the members are those that can be compared.
  public var features: FeatureTable.Scaled
  /// Along which directions the members differ most.
  public var components: PrincipalComponents
  /// The groups.
  public var grouping: Grouping
  /// The map (t-SNE) of the members.
  public var map: SimilarityMap
  /// All pairs, nearest first.
  public var pairs: [Pair]
  /// What other features would give.
  public var alternatives: [Alternative]

  /// - Parameters:
  ///   - linkage: of the tree that is cut into groups.
  ///   - clusters: how many; `nil` for what silhouette and gap statistic say.
  init(
    _ all: MemberSet, _ selection: FeatureSelection, linkage: Dendrogram.Linkage, clusters: Int?, seed: UInt64
  ) throws(Unavailable) {
    let (set, leftOut) = all.comparable(by: selection)
    self.leftOut = leftOut
    guard set.members.count > 2 else {
      throw Unavailable(
        "\(Words.counted(set.members.count, "benchmark")): similarity takes three or more"
          + leftOut.map { "; \($0)" }.joined(),
        remedy: "profile more benchmarks of the suite")
    }
    let features = set.features(selection)
    guard !features.features.isEmpty else {
      throw Unavailable(
        "no feature could be used: " + features.remarks.map { "\($0.feature): \($0.reason)" }.joined(separator: "; "))
    }
    self.selection = selection
    self.features = features
    components = PrincipalComponents(features.matrix)
    grouping = Grouping(features, linkage: linkage, clusters: clusters, seed: seed)
    map = try SimilarityMap.of(features.matrix, seed: seed)
    let distances = features.matrix.distances
    let ids = features.members
    pairs = ids.indices.flatMap { a in
      ids.indices.filter { $0 > a }.map { Pair(first: ids[a], second: ids[$0], distance: distances[a, $0]) }
    }.sorted { ($0.distance, $0.first, $0.second) < ($1.distance, $1.first, $1.second) }
    let labels = grouping.labels
    alternatives = FeatureSelection.allCases.filter { $0 != selection }.compactMap { other in
      let table = set.features(other)
      guard !table.features.isEmpty else { return nil }
      let others = Grouping(table, linkage: linkage, bootstraps: 0, seed: seed)
      return Alternative(
        selection: other, features: table.features.count, clusters: others.clusters,
        agreement: Clustering.adjustedRand(labels, others.labels))
    }
  }

  /// The members of each cluster, by id.
  public var clusters: [[String]] {
    (0..<grouping.medoids.count).map { cluster in
      features.members.indices.filter { grouping.labels[$0] == cluster }.map { features.members[$0] }
    }
  }
}

extension SimilarityMap {
  /// A map with the usual settings; its failure is a reason that a report can show.
  ///
  /// - Parameter restarts: `nil` for as many as the number of members asks for.
  static func of(_ data: Matrix, seed: UInt64, restarts: Int? = nil) throws(Unavailable) -> SimilarityMap {
    do {
      return try SimilarityMap(data, Options(restarts: restarts, seed: seed))
    } catch {
      throw Unavailable("\(error)")
    }
  }
}
