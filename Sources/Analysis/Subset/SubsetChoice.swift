// Which few members stand for a suite, what do they save, and can that be defended?
import Foundation
import ProfileModel

/// A subset of a suite with everything that speaks for and against it.
public struct SubsetChoice: Codable, Sendable, Equatable {
  /// The suite's name.
  public var suite: String
  /// In plain words.
  public var title: String
  /// Where its numbers come from.
  public var source: String?
  /// Whether they were published by others.
  public var isPublished: Bool
  /// The machines that they were measured on.
  public var machines: [String]
  /// How the subset was chosen.
  public var options: SubsetOptions
  /// What the rules say.
  public var rules: SubsetRules
  /// Clusters of the members in the space of the features.
  public var grouping: Measured<Grouping>
  /// Indices of the chosen members, ascending. None when the rules leave none.
  public var chosen: [Int]
  /// How they were found, in a sentence.
  public var method: String
  /// What the subset lacks although an eligible member has it.
  public var unmet: [SubsetRules.Requirement]
  /// What it costs.
  public var cost: SubsetCost
  /// The suite and the subset beside other suites.
  public var comparisons: [SubsetComparison]
  /// How well it stands for the suite.
  public var evidence: Measured<SubsetEvidence>
  /// Why no subset, or not this one, can be defended.
  public var objections: [String]
  /// What a user of the subset has to know.
  public var caveats: [String]
  /// What the suite's source says about its numbers.
  public var remarks: [String]

  /// Whether nothing speaks against it.
  public var isDefensible: Bool { objections.isEmpty }
  /// Ids of the chosen members.
  public var chosenIDs: [String] { chosen.map { rules.members[$0].id } }

  /// Chooses a subset.
  ///
  /// - Parameters:
  ///   - others: suites whose cost the subset's is compared with.
  ///   - known: the clusters of these members by these options, where somebody has them already.
  public init(
    of set: MemberSet, _ options: SubsetOptions = SubsetOptions(), against others: [MemberSet] = [],
    grouping known: Grouping? = nil
  ) {
    suite = set.name
    title = set.title
    source = set.source
    isPublished = set.isPublished
    machines = set.machines
    self.options = options
    remarks = set.remarks
    let space = SubsetSpace.of(set, options.features)
    grouping = space.map { space in
      if let known, known.labels.count == set.members.count { return known }
      return Grouping(
        space.features, linkage: options.linkage, clusters: options.clusters, bootstraps: options.bootstraps,
        seed: options.seed)
    }
    rules = SubsetRules(set, options, grouping: grouping)
    let costs = set.costs(set.costBasis)
    (chosen, method) = Self.choose(rules, options, costs: costs.map(\.value), space: space.value)
    unmet = rules.unmet(by: chosen)
    let cost = SubsetCost(set, chosen: chosen)
    self.cost = cost
    comparisons = others.map { SubsetComparison(cost, machines: set.machines, with: $0) }
    let chosen = chosen
    evidence = space.map { SubsetEvidence(set, $0, chosen: chosen, costs: costs, options: options) }
    objections = []
    caveats = []
    objections = findObjections(set)
    caveats = findCaveats(set)
  }

  private static func choose(
    _ rules: SubsetRules, _ options: SubsetOptions, costs: [Double?], space: SubsetSpace?
  ) -> (chosen: [Int], method: String) {
    let eligible = rules.eligible
    guard !eligible.isEmpty else { return ([], "no member passes the rules") }
    if let size = options.size {
      guard let space else { return ([], "a subset of a given size is chosen by features, of which there are none") }
      let search = SubsetSearch(representation: Representation(space), costs: costs)
      // Members of unknown cost may be in it: they were asked for by size, not by cost.
      guard let best = search.best(size: size, among: eligible) else {
        return ([], "\(eligible.count) members pass the rules, fewer than the \(size) asked for")
      }
      let exact = SubsetSearch.combinations(eligible.count, size) <= Double(SubsetSearch.sizeLimit)
      return (
        Representation.members(best.mask),
        "of the \(eligible.count) members that pass the rules, the \(size) with the least member error \(exact ? "of all such subsets" : "that exchanges of single members found")"
      )
    }
    let requirements = rules.requirements.filter(\.canBeMet)
    guard !requirements.isEmpty else {
      return (eligible, "all members that pass the rules: no rule about the whole could be applied")
    }
    // What one requirement's members also meet needs no bit of its own: fewer bits, the same subsets.
    let sets = requirements.map { Set($0.members.filter(eligible.contains)) }
    let needed = sets.indices.filter { index in
      !sets.indices.contains { other in
        other != index && sets[other].isSubset(of: sets[index]) && (sets[other] != sets[index] || other < index)
      }
    }
    let candidates = eligible.map { member in
      SubsetCover.Candidate(
        covers: needed.enumerated().reduce(0) { $0 | (sets[$1.element].contains(member) ? 1 << UInt64($1.offset) : 0) },
        cost: costs[member])
    }
    let aim: SubsetCover.Aim = options.preset == .rpr ? .fewest : .cheapest
    let best = SubsetCover.best(candidates, covering: Representation.all(needed.count), aim: aim) ?? []
    return (
      best.map { eligible[$0] }.sorted(),
      eligible.count == 1
        ? "the only member that passes the rules"
        : aim == .fewest
          ? "the fewest of the \(eligible.count) members that pass the rules which have all that the rules ask for, and of equally few the cheapest"
          : "the cheapest of the \(eligible.count) members that pass the rules which have all that the rules ask for"
    )
  }

  // MARK: What speaks against it

  /// Below this adjusted Rand index the recovery of clusters is poor (Steinley 2004).
  static let leastStability = 0.65
  /// Fewer members need no subset.
  static let leastMembers = 4

  private func findObjections(_ set: MemberSet) -> [String] {
    var found: [String] = []
    if set.members.count < Self.leastMembers {
      found.append(
        "The suite has \(set.members.count == 1 ? "one member" : "\(set.members.count) members"): a subset of so few saves little and leaves out much."
      )
    }
    if options.rules.contains(.variation), set.members.allSatisfy({ $0.variation.value == nil }), !set.members.isEmpty {
      found.append(
        "The variation between runs is not known of any member (\(set.members[0].variation.unavailable?.reason ?? "no runs")), so no subset can be called repeatable."
      )
    } else if options.rules.contains(.variation),
      2 * set.members.count(where: { $0.variation.value == nil }) > set.members.count
    {
      found.append(
        "The variation between runs is known of \(set.members.count { $0.variation.value != nil }) of \(set.members.count) members: a choice among so few is no choice."
      )
    } else if rules.eligible.isEmpty {
      found.append("No member passes the rules.")
    } else if chosen.isEmpty {
      found.append("No subset was found: \(method).")
    } else if chosen.count == set.members.count {
      found.append("The rules need every member: there is no subset.")
    }
    if let clusters = grouping.value, options.rules.contains(.clusters), !chosen.isEmpty, clusters.clusters > 1 {
      let covered = Set(chosen.map { clusters.labels[$0] }).count
      if 2 * covered <= clusters.clusters {
        found.append(
          "It is in \(covered) of \(clusters.clusters) clusters: no member of the others passes the rules, so it stands for a part of the suite only."
        )
      }
    }
    if let clusters = grouping.value, let chance = evidence.value?.chance, chance.shareWorse <= 0.5 {
      let stability = clusters.candidates.first { $0.clusters == clusters.clusters }?.stability ?? 0
      if stability < Self.leastStability || clusters.clusters == 1 {
        found.append(
          "It stands for the suite no better than a random subset of its size (\(SubsetRules.percent(chance.shareWorse)) of them are worse), and \(clusters.clusters == 1 ? "there are no clusters" : "the clusters are not stable (adjusted Rand index \(SubsetRules.rounded(stability, 2)))")."
        )
      }
    }
    return found
  }

  private func findCaveats(_ set: MemberSet) -> [String] {
    var found: [String] = []
    if let why = evidence.unavailable, !chosen.isEmpty {
      let clusters = options.rules.contains(.clusters) ? "The rule of clusters can’t be applied, and how" : "How"
      found.append(
        "\(clusters) well the subset stands for the others is not known: \(why.reason)\(why.remedy.map { "; \($0)" } ?? "")."
      )
    }
    for rule in rules.applied where !rule.isApplied && rule.rule != .clusters {
      found.append("The rule of \(rule.rule.rawValue) \(rule.explanation).")
    }
    let impossible = rules.requirements.filter { !$0.canBeMet }
    if !impossible.isEmpty, !rules.eligible.isEmpty {
      found.append("No member that passes the rules is \(impossible.map(\.name).joined(separator: ", nor ")).")
    }
    if !unmet.isEmpty {
      found.append(
        "The subset lacks a member that is \(unmet.map(\.name).joined(separator: "; one that is ")), which passes the rules."
      )
    }
    if options.rules.contains(.variation) {
      let doubtful = chosen.filter { index in
        guard let variation = set.members[index].variation.value else { return false }
        guard let upper = variation.interval.value?.upper else { return true }
        return upper >= options.variationLimit
      }
      if !doubtful.isEmpty {
        found.append(
          "The number of runs does not support a variation below \(SubsetRules.percent(options.variationLimit)) of \(doubtful.map { set.members[$0].title }.joined(separator: ", ")): the 95 % interval goes beyond it, or there is none."
        )
      }
    }
    if let stability = grouping.value.flatMap({ groups in
      groups.candidates.first { $0.clusters == groups.clusters }?.stability
    }), let clusters = grouping.value?.clusters, clusters > 1, stability < Self.leastStability {
      found.append(
        "The clusters are not stable: adjusted Rand index \(SubsetRules.rounded(stability, 2)) over bootstrap samples, below \(Self.leastStability)."
      )
    }
    if let chance = evidence.value?.chance, chance.shareWorse <= 0.5,
      !objections.contains(where: { $0.contains("no better than a random subset") })
    {
      found.append(
        "It stands for the suite no better than a random subset of its size: \(SubsetRules.percent(chance.shareWorse)) of them are worse."
      )
    }
    if let concentration = cost.concentration {
      found.append(
        "\(concentration.title) alone is \(share(concentration.shareOfSubset)) of the subset’s cost and \(share(concentration.shareOfSuite)) of the suite’s. If neither counted it, \(share(concentration.savedWithout)) would be saved in place of \(share(cost.saved.value ?? 0))."
      )
    }
    if !cost.suite.missing.isEmpty {
      found.append(
        "The suite’s cost is the sum over \(cost.suite.counted) of \(set.members.count) members; it is not known of \(cost.suite.missing.joined(separator: ", "))."
      )
    }
    if !cost.suite.lowerBounds.isEmpty {
      found.append("Only a lower bound is known of the cost of \(cost.suite.lowerBounds.joined(separator: ", ")).")
    }
    if cost.basis != .timeToQuality {
      found.append("Costs are by \(cost.basis.rawValue), because too few members have a time to quality.")
    }
    if set.machines.count > 1 {
      found.append("The members were measured on different machines: \(set.machines.joined(separator: "; ")).")
    }
    return found
  }

  private func share(_ value: Double) -> String { "\(SubsetRules.rounded(value * 100, 1)) %" }
}

extension FeatureSelection {
  /// What they are, in words.
  public var noun: String {
    switch self {
    case .patterns: "computation and memory access patterns"
    case .categories: "shares of kernel time by category"
    case .both: "access patterns and shares of kernel time"
    case .model: "parameters, FLOPs and epochs"
    }
  }
}
