// What did comparing two suites show, in sentences?
import Foundation
import ProfileModel

enum SuiteComparisonWords {
  static func of(_ comparison: SuiteComparison) -> [String] {
    [peaks(comparison), coverage(comparison), outside(comparison), hotspots(comparison), cost(comparison)]
      .compactMap { $0 }
  }

  private static func peaks(_ comparison: SuiteComparison) -> String? {
    let ratios = comparison.ranges.filter(\.isLogarithmic).compactMap { range in
      range.peakRatio.value.map { (range.name, $0) }
    }
    guard !ratios.isEmpty else { return nil }
    let parts = ratios.map { "\(Words.significant($0.1))× in \($0.0)" }
    return
      "The greatest members of \(comparison.first.name) stand to those of \(comparison.second.name) as \(Words.list(parts))."
  }

  private static func coverage(_ comparison: SuiteComparison) -> String? {
    guard let joint = comparison.joint.value else { return nil }
    func part(_ name: String, _ coverage: SuiteComparison.Coverage) -> String {
      let hull = coverage.hull.map { " and \(Words.percent($0)) of its area in the plane of the two main components" }
      return
        "\(name) covers \(Words.percent(coverage.range)) of the range of both together (mean over \(joint.features.features.count) features)\(hull ?? "")"
    }
    return part(comparison.first.name, joint.first) + "; " + part(comparison.second.name, joint.second) + "."
  }

  private static func outside(_ comparison: SuiteComparison) -> String? {
    guard let joint = comparison.joint.value else { return nil }
    func sentence(_ set: MemberSet, _ members: [SuiteComparison.Outside], _ other: MemberSet) -> String {
      members.isEmpty
        ? "No member of \(set.name) lies outside \(other.name)."
        : "Of \(set.name), \(Words.list(members.map { set[$0.id]?.title ?? $0.id })) \(members.count == 1 ? "lies" : "lie") outside \(other.name)."
    }
    return sentence(comparison.first, joint.second.outside, comparison.second) + " "
      + sentence(comparison.second, joint.first.outside, comparison.first)
  }

  private static func hotspots(_ comparison: SuiteComparison) -> String? {
    guard let hotspots = comparison.hotspots.value else { return nil }
    let (one, two) = (hotspots.first.hot.count, hotspots.second.hot.count)
    return
      "\(comparison.first.name) has \(one) functions that take more than 10 % of some member's time, \(comparison.second.name) \(two); \(hotspots.inBoth) are hot in both, \(hotspots.onlyFirst.count) in \(comparison.first.name) alone, \(hotspots.onlySecond.count) in \(comparison.second.name) alone."
  }

  private static func cost(_ comparison: SuiteComparison) -> String? {
    guard let one = comparison.cost.first.seconds.value, let two = comparison.cost.second.seconds.value,
      let saving = comparison.cost.saving.value
    else { return nil }
    let verdict =
      saving >= 0
      ? "\(Words.percent(saving)) less" : "\(Words.percent(-saving)) more"
    return
      "A session of every member costs \(Words.hours(one)) in \(comparison.first.name) and \(Words.hours(two)) in \(comparison.second.name): \(verdict)."
  }
}
