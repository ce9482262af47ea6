// The first page in words: what does a suite stress, how do its members differ, what is redundant?
import Foundation
import ProfileModel

/// Sentences about a suite, each made from its numbers; what was not measured makes no sentence.
enum SuiteWords {
  static func of(_ suite: SuiteCharacterization) -> [String] {
    [
      stress(suite.set), efficiency(suite.set), spread(suite.set), groups(suite), redundancy(suite),
      repeatability(suite.set), cost(suite),
    ].compactMap { $0 }
  }

  private static func title(_ id: String, _ set: MemberSet) -> String { set[id].map(\.title) ?? id }

  /// Which categories take the time?
  private static func stress(_ set: MemberSet) -> String? {
    let traced = set.members.filter { $0.categoryShares.value != nil }
    guard !traced.isEmpty else { return nil }
    func share(_ member: SuiteMember, _ category: KernelCategory) -> Double {
      member.categoryShares.value?.first { $0.category == category }?.share ?? 0
    }
    let means = KernelCategory.allCases.map { category in
      (category, Statistics.mean(traced.map { share($0, category) }))
    }.filter { $0.1 > 0 }.sorted { ($1.1, $0.0.rawValue) < ($0.1, $1.0.rawValue) }
    guard let first = means.first else { return nil }
    let leaders = means.prefix(4).map { "\($0.0.rawValue) (\(Words.percent($0.1)))" }
    let led = traced.count { $0.categoryShares.value?.first?.category == first.0 }
    return
      "The kernel time of its members goes, on average, to \(Words.list(leaders)); \(first.0.rawValue) leads in \(led) of \(traced.count)."
  }

  private static func efficiency(_ set: MemberSet) -> String? {
    let values = set.members.compactMap { member -> (String, Double)? in
      member.patterns.first { $0.name == AccessPattern.computeEfficiency.rawValue }?.value.value.map {
        (member.title, $0)
      }
    }
    guard values.count > 1, let least = values.min(by: { $0.1 < $1.1 }), let most = values.max(by: { $0.1 < $1.1 })
    else { return nil }
    return
      "Its kernels reach between \(Words.percent(least.1)) (\(least.0)) and \(Words.percent(most.1)) (\(most.0)) of the machine's measured arithmetic peak."
  }

  /// How far apart are the members in size and cost?
  private static func spread(_ set: MemberSet) -> String? {
    let parts = [(Characteristic.forwardFLOPs, "FLOPs"), (.parameters, "parameters"), (.epochs, "epochs to quality")]
      .compactMap { characteristic, name -> String? in
        let values = set.members.compactMap { member in
          characteristic.value(of: member).value.flatMap { $0 > 0 && $0.isFinite ? (member.title, $0) : nil }
        }
        guard values.count > 1, let least = values.min(by: { $0.1 < $1.1 }),
          let most = values.max(by: { $0.1 < $1.1 }), most.1 > least.1
        else { return nil }
        return
          "\(name) by a factor of \(Words.prefixed(most.1 / least.1).trimmingCharacters(in: .whitespaces)) (least \(least.0), most \(most.0))"
      }
    return parts.isEmpty ? nil : "Its members differ in \(Words.list(parts))."
  }

  /// Which groups are there?
  private static func groups(_ suite: SuiteCharacterization) -> String? {
    guard let similarity = suite.similarity.value else { return nil }
    let grouping = similarity.grouping
    guard grouping.clusters > 1 else {
      return
        "By the features that were compared there is no group that stands apart: the members are spread evenly, or alike."
    }
    let candidate = grouping.candidates.first { $0.clusters == grouping.clusters }
    let names = similarity.clusters.map { members in
      let shown = members.prefix(members.count > 6 ? 4 : 6).map { title($0, suite.set) }
      let more = members.count > shown.count ? " and \(members.count - shown.count) more" : ""
      return "{" + shown.joined(separator: "; ") + more + "}"
    }
    let stability = candidate.map {
      " Over bootstrap samples the groups come again with an adjusted Rand index of \(Words.decimal($0.stability, 2)) ± \(Words.decimal($0.stabilityDeviation, 2)) (1 is the same groups, 0 chance)."
    }
    let doubt =
      grouping.byGap == grouping.clusters
      ? ""
      : " The silhouette gives \(grouping.bySilhouette) groups, the gap statistic \(grouping.byGap): the number is not certain."
    return "They fall into \(grouping.clusters) groups: \(Words.list(names)).\(stability ?? "")\(doubt)"
  }

  /// Which members say the same?
  private static func redundancy(_ suite: SuiteCharacterization) -> String? {
    guard let similarity = suite.similarity.value, similarity.pairs.count > 2 else { return nil }
    let median = Statistics.median(similarity.pairs.map(\.distance))
    guard median > 0 else { return "All members have the same features: each stands for all others." }
    let close = similarity.pairs.filter { $0.distance < redundantBelow * median }
    guard !close.isEmpty else {
      let nearest = similarity.pairs[0]
      return
        "None is redundant: the nearest two, \(title(nearest.first, suite.set)) and \(title(nearest.second, suite.set)), are \(Words.percent(nearest.distance / median)) of the median distance apart."
    }
    let names = close.prefix(4).map {
      "\(title($0.first, suite.set)) and \(title($0.second, suite.set)) (\(Words.percent($0.distance / median)) of the median distance)"
    }
    let more = close.count > 4 ? ", and \(close.count - 4) more pairs" : ""
    return
      "Nearly redundant are \(names.joined(separator: "; "))\(more): where one has been run, the other tells little more."
  }

  /// A pair nearer than this share of the median distance is called nearly redundant.
  static let redundantBelow = 0.25

  private static func repeatability(_ set: MemberSet) -> String? {
    let known = set.members.compactMap { member in member.variation.value.map { (member.title, $0) } }
    guard !known.isEmpty else { return nil }
    let below = known.filter { $0.1.populationCV < RepetitionStatistics.repeatableBelow }
    let sure = below.filter { ($0.1.interval.value?.upper ?? .infinity) < RepetitionStatistics.repeatableBelow }
    let worst = known.max { $0.1.populationCV < $1.1.populationCV }
    var text = "Epochs to quality vary by less than 2 % from run to run in \(below.count) of \(known.count)"
    text += sure.count < below.count ? " (surely so, by the interval, in \(sure.count))" : ""
    if let worst { text += "; most in \(worst.0), \(Words.percent(worst.1.populationCV))" }
    return text + "."
  }

  private static func cost(_ suite: SuiteCharacterization) -> String? {
    guard let total = suite.cost.seconds.value, suite.cost.timed > 1 else { return nil }
    let top = suite.cost.costliest.prefix(3)
    let without =
      suite.cost.untimed.isEmpty
      ? "" : " (without \(Words.list(suite.cost.untimed.map { title($0, suite.set) })), which have no time to quality)"
    return
      "One session of each costs \(Words.hours(total))\(without); \(Words.list(top.map { title($0.id, suite.set) })) take \(Words.percent(top.reduce(0) { $0 + $1.share })) of it."
  }
}
