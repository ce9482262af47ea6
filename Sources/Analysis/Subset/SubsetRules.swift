// Which members may be in a subset, and what must it have among them?
import Foundation
import ProfileModel

/// What the rules say about every member of a suite, and what they ask of a subset as a whole.
public struct SubsetRules: Codable, Sendable, Equatable {
  /// A third of the members by rank.
  public enum Third: Int, Codable, Sendable, CaseIterable {
    /// The lowest third.
    case small
    /// The middle one.
    case medium
    /// The highest one.
    case large

    /// Its name.
    public var name: String { ["small", "medium", "large"][rawValue] }

    /// The third of each value by its rank among those that are known; values that are equal share the middle of their
    /// ranks and so their third. `nil` where there is no finite value.
    public static func ofEach(_ values: [Double?]) -> [Third?] {
      let known = values.compactMap { $0 }.filter(\.isFinite)
      return values.map { value in
        guard let value, value.isFinite else { return nil }
        let below = Double(known.count { $0 < value })
        let equal = Double(known.count { $0 == value })
        return Third(rawValue: min(2, Int(3 * (below + equal / 2) / Double(known.count))))
      }
    }
  }

  /// How a member stands to a rule.
  public enum Outcome: String, Codable, Sendable {
    /// The rule lets it in.
    case passes
    /// The rule keeps it out.
    case fails
    /// Nobody knows, which keeps it out.
    case unknown
    /// It is something that the rule asks of the subset.
    case covers
    /// It is nothing that the rule asks for.
    case coversNothing = "covers nothing"
  }

  /// What a rule says about a member.
  public struct Verdict: Codable, Sendable, Equatable {
    /// The rule.
    public var rule: SubsetRule
    /// What it says.
    public var outcome: Outcome
    /// Why.
    public var reason: String
  }

  /// A member with its verdicts.
  public struct Member: Codable, Sendable, Equatable {
    /// Its id.
    public var id: String
    /// In plain words.
    public var title: String
    /// One a rule that could be applied.
    public var verdicts: [Verdict]
    /// Whether no rule keeps it out.
    public var isEligible: Bool
  }

  /// Something that the subset must have.
  public struct Requirement: Codable, Sendable, Equatable {
    /// The rule that asks for it.
    public var rule: SubsetRule
    /// What its members are, as in “a member that is …”: `large by parameters`, `in cluster 2`.
    public var name: String
    /// Indices of the members that have it.
    public var members: [Int]
    /// Whether an eligible member has it: else the rule can't ask for it.
    public var canBeMet: Bool
  }

  /// A rule as it was applied, or why it could not be.
  public struct Applied: Codable, Sendable, Equatable {
    /// The rule.
    public var rule: SubsetRule
    /// What it came to in this suite; or why it could not be applied.
    public var explanation: String
    /// Whether it could be applied.
    public var isApplied: Bool
  }

  /// The rules.
  public var applied: [Applied]
  /// The members, in the suite's order.
  public var members: [Member]
  /// What the rules ask of the subset.
  public var requirements: [Requirement]

  /// Indices of the members that no rule keeps out.
  public var eligible: [Int] { members.indices.filter { members[$0].isEligible } }

  /// Applies the rules to every member.
  ///
  /// - Parameter grouping: clusters of the members, or why there are none.
  public init(_ set: MemberSet, _ options: SubsetOptions, grouping: Measured<Grouping>) {
    applied = []
    requirements = []
    members = set.members.map { Member(id: $0.id, title: $0.title, verdicts: [], isEligible: true) }
    // In the order of the enumeration, those about single members first: the others ask only for what is left.
    for rule in SubsetRule.allCases where options.rules.contains(rule) && rule.isAboutMembers {
      for index in members.indices {
        let verdict =
          rule == .variation
          ? Self.variation(set.members[index], limit: options.variationLimit) : Self.metric(set.members[index])
        members[index].verdicts.append(verdict)
        if verdict.outcome != .passes { members[index].isEligible = false }
      }
      let passed = members.count { $0.verdicts.last?.outcome == .passes }
      let limit = "\(Self.percent(options.variationLimit))"
      applied.append(
        Applied(
          rule: rule,
          explanation: rule == .variation
            ? "the coefficient of variation of the epochs to quality (population form) is below \(limit): \(passed) of \(members.count)"
            : "the metric is widely accepted: \(passed) of \(members.count)",
          isApplied: true))
    }
    if options.rules.contains(.diversity) { diversity(set) }
    if options.rules.contains(.clusters) { clusters(grouping, options.features) }
    if options.rules.contains(.extremes) { extremes(set) }
  }

  /// What the chosen ones lack although an eligible member has it.
  public func unmet(by chosen: [Int]) -> [Requirement] {
    requirements.filter { $0.canBeMet && !$0.members.contains(where: chosen.contains) }
  }

  // MARK: Rules about a member

  static func variation(_ member: SuiteMember, limit: Double) -> Verdict {
    func verdict(_ outcome: Outcome, _ reason: String) -> Verdict {
      Verdict(rule: .variation, outcome: outcome, reason: reason)
    }
    switch member.variation {
    case .unavailable(let why): return verdict(.unknown, why.reason)
    case .measured(let variation, _):
      guard variation.populationCV.isFinite else { return verdict(.unknown, "its variation is no number") }
      let value = "\(percent(variation.populationCV)) over \(variation.count) runs"
      guard variation.populationCV < limit else { return verdict(.fails, value) }
      return verdict(.passes, "\(value); \(support(variation, limit: limit))")
    }
  }

  /// Whether the interval agrees that the variation is below the limit, in words.
  static func support(_ variation: RunVariation, limit: Double) -> String {
    switch variation.interval {
    case .unavailable(let why): "no confidence interval: \(why.reason)"
    case .measured(let interval, _):
      if let upper = interval.upper {
        upper < limit
          ? "so says its 95 % interval too, up to \(percent(upper))"
          : "but its 95 % interval goes up to \(percent(upper))"
      } else {
        "but its 95 % interval has no upper bound"
      }
    }
  }

  static func metric(_ member: SuiteMember) -> Verdict {
    let reason = member.metricReason ?? member.metric
    switch member.isMetricAccepted {
    case true?: return Verdict(rule: .metric, outcome: .passes, reason: reason ?? "accepted")
    case false?: return Verdict(rule: .metric, outcome: .fails, reason: reason ?? "not accepted")
    case nil:
      return Verdict(rule: .metric, outcome: .unknown, reason: "nobody says whether its metric is widely accepted")
    }
  }

  // MARK: Rules about the subset

  private mutating func diversity(_ set: MemberSet) {
    var covered = members.map { _ in [String]() }
    var unknown: [String] = []
    var isKnown = false
    var used: [String] = []
    for characteristic in set.diversityCharacteristics {
      let thirds = Third.ofEach(set.members.map { characteristic.value(of: $0).value })
      let missing = thirds.count { $0 == nil }
      guard Self.isEnough(thirds.count - missing, of: thirds.count) else {
        unknown.append("\(characteristic.shortName) of \(missing), too many to rank the others")
        continue
      }
      used.append(characteristic.rawValue)
      if missing > 0 { unknown.append("\(characteristic.shortName) of \(missing)") }
      for third in Third.allCases {
        let having = thirds.indices.filter { thirds[$0] == third }
        guard !having.isEmpty else { continue }
        isKnown = true
        for index in having { covered[index].append("\(characteristic.shortName) \(third.name)") }
        requirements.append(requirement(.diversity, "\(third.name) by \(characteristic.shortName)", having))
      }
    }
    let note = unknown.isEmpty ? "" : "; not known: " + unknown.joined(separator: ", ")
    close(
      .diversity, covered, isApplied: isKnown,
      isKnown
        ? "small, medium and large by \(used.joined(separator: ", "))\(note)"
        : "parameters, FLOPs and epochs are known of too few members")
  }

  /// Ranks among a minority say nothing about the suite.
  private static func isEnough(_ known: Int, of count: Int) -> Bool { known > 2 && 2 * known > count }

  private mutating func extremes(_ set: MemberSet) {
    var covered = members.map { _ in [String]() }
    var isKnown = false
    var used: [String] = []
    for characteristic in set.diversityCharacteristics {
      let values = set.members.map { characteristic.value(of: $0).value.flatMap { $0.isFinite ? $0 : nil } }
      guard let least = values.compactMap({ $0 }).min(), let greatest = values.compactMap({ $0 }).max() else {
        continue
      }
      guard Self.isEnough(values.count { $0 != nil }, of: values.count) else { continue }
      isKnown = true
      used.append(characteristic.rawValue)
      for (name, extreme) in [("least", least), ("greatest", greatest)] {
        let having = values.indices.filter { values[$0] == extreme }
        for index in having { covered[index].append("\(characteristic.shortName) \(name)") }
        requirements.append(requirement(.extremes, "the \(name) by \(characteristic.shortName)", having))
      }
    }
    close(
      .extremes, covered, isApplied: isKnown,
      isKnown
        ? "the least and the greatest member by \(used.joined(separator: ", "))"
        : "parameters, FLOPs and epochs are known of too few members")
  }

  private mutating func clusters(_ grouping: Measured<Grouping>, _ selection: FeatureSelection) {
    switch grouping {
    case .unavailable(let why):
      applied.append(Applied(rule: .clusters, explanation: "can’t be applied: \(why.reason)", isApplied: false))
    case .measured(let grouping, _):
      var covered = members.map { _ in [String]() }
      for cluster in 0..<grouping.clusters {
        let having = grouping.labels.indices.filter { grouping.labels[$0] == cluster }
        for index in having { covered[index].append("cluster \(cluster + 1)") }
        requirements.append(requirement(.clusters, "in cluster \(cluster + 1)", having))
      }
      let stability = grouping.candidates.first { $0.clusters == grouping.clusters }?.stability ?? .nan
      close(
        .clusters, covered, isApplied: true,
        "\(grouping.clusters == 1 ? "one cluster" : "\(grouping.clusters) clusters") by \(selection.noun); stability \(Self.rounded(stability, 2)) (adjusted Rand index over bootstrap samples)"
      )
    }
  }

  private func requirement(_ rule: SubsetRule, _ name: String, _ having: [Int]) -> Requirement {
    Requirement(rule: rule, name: name, members: having, canBeMet: having.contains { members[$0].isEligible })
  }

  private mutating func close(_ rule: SubsetRule, _ covered: [[String]], isApplied: Bool, _ explanation: String) {
    applied.append(
      Applied(
        rule: rule, explanation: isApplied ? explanation : "can’t be applied: \(explanation)", isApplied: isApplied))
    guard isApplied else { return }
    for (index, what) in covered.enumerated() {
      members[index].verdicts.append(
        Verdict(
          rule: rule, outcome: what.isEmpty ? .coversNothing : .covers,
          reason: what.isEmpty ? "not known" : what.joined(separator: ", ")))
    }
  }

  // MARK: Words

  static func percent(_ share: Double) -> String { "\(rounded(share * 100, 2)) %" }

  static func rounded(_ value: Double, _ decimals: Int) -> String {
    let text = String(format: "%.\(decimals)f", value)
    guard text.contains(".") else { return text }
    return String(text.reversed().drop { $0 == "0" }.drop { $0 == "." }.reversed())
  }
}

extension Characteristic {
  /// In a word.
  var shortName: String {
    switch self {
    case .parameters: "parameters"
    case .forwardFLOPs, .forwardOpCounter: "FLOPs"
    case .epochs: "epochs"
    case .secondsPerEpoch, .secondsToQuality: rawValue
    }
  }
}

extension MemberSet {
  /// By what diversity is judged: model complexity, computational cost and convergence (technical report, Figure 2).
  ///
  /// The cost is what OpCounter counts, as in the report, unless the exact FLOPs are known for more members.
  public var diversityCharacteristics: [Characteristic] { [.parameters, computationalCost, .epochs] }

  /// OpCounter's FLOPs or the exact ones, whichever are known for more members.
  public var computationalCost: Characteristic {
    func known(_ characteristic: Characteristic) -> Int {
      members.count { characteristic.value(of: $0).value?.isFinite ?? false }
    }
    return known(.forwardFLOPs) > known(.forwardOpCounter) ? .forwardFLOPs : .forwardOpCounter
  }
}
