// What is asked of a subset: for which purpose, by which rules, how large?

/// A rule that a subset is chosen by. Each can be switched off.
public enum SubsetRule: String, Codable, Sendable, CaseIterable {
  /// It has small, medium and large members by parameters, by FLOPs and by epochs to quality: every third of the suite's
  /// members by rank that some eligible member is in.
  case diversity
  /// A member's coefficient of variation of the epochs to quality, population form, is below the limit.
  case variation
  /// A member's metric is widely accepted, so that all users end their runs at the same point.
  case metric
  /// It has a member of every cluster in the space of the features.
  case clusters
  /// It has the least and the greatest member by parameters, by FLOPs and by epochs to quality.
  case extremes

  /// Whether it decides about a member alone. The others are about the subset as a whole.
  public var isAboutMembers: Bool { self == .variation || self == .metric }
}

/// What a subset is for, as AIBench Training v1.1 names it.
public enum SubsetPreset: String, Codable, Sendable, CaseIterable {
  /// Repeatable performance ranking: the rules of section 5.4.1 of the technical report; as few members as possible.
  case rpr
  /// Workload characterization: the clusters and the extremes at the least cost; repeatability is not asked for.
  case wc

  /// In words.
  public var title: String {
    switch self {
    case .rpr: "repeatable performance ranking (RPR)"
    case .wc: "workload characterization (WC)"
    }
  }

  /// The rules that it comes with.
  public var rules: [SubsetRule] {
    switch self {
    case .rpr: [.diversity, .variation, .metric, .clusters]
    case .wc: [.clusters, .extremes]
    }
  }
}

/// How a subset is chosen.
public struct SubsetOptions: Codable, Sendable, Equatable {
  /// What for.
  public var preset: SubsetPreset
  /// The rules.
  public var rules: [SubsetRule]
  /// A variation from here on is too large; 0.02 in the technical report.
  public var variationLimit: Double
  /// By what members are compared.
  public var features: FeatureSelection
  /// How the tree of members is made that clusters are cut from.
  public var linkage: Dendrogram.Linkage
  /// How many clusters; `nil` for what silhouette and gap statistic say.
  public var clusters: Int?
  /// The number of members, when it is not the smallest one that the rules give.
  public var size: Int?
  /// Decides whatever is random.
  public var seed: UInt64
  /// Samples of members for the stability of the clusters.
  public var bootstraps: Int

  /// Options of a preset.
  ///
  /// - Parameter without: rules of the preset that are switched off.
  public init(
    _ preset: SubsetPreset = .rpr, without: [SubsetRule] = [], variationLimit: Double = 0.02,
    features: FeatureSelection = .both, linkage: Dendrogram.Linkage = .ward, clusters: Int? = nil, size: Int? = nil,
    seed: UInt64 = 1, bootstraps: Int = 200
  ) {
    self.preset = preset
    rules = preset.rules.filter { !without.contains($0) }
    self.variationLimit = variationLimit
    self.features = features
    self.linkage = linkage
    self.clusters = clusters
    self.size = size
    self.seed = seed
    self.bootstraps = bootstraps
  }
}
