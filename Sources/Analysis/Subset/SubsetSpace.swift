// In which space are members near each other, and by which numbers is it judged whether one stands for another?
import Foundation
import ProfileModel

/// The members of a suite as points, and what has to be predicted of them.
struct SubsetSpace {
  /// Where near and far is decided: the space of the clusters.
  var features: FeatureTable.Scaled
  /// What is predicted: the numbers themselves, (x − mean) ÷ population standard deviation.
  var metrics: FeatureTable.Scaled

  /// The space of a suite, or why it has none.
  static func of(_ set: MemberSet, _ selection: FeatureSelection) -> Measured<SubsetSpace> {
    guard set.members.count > 2 else {
      return .unavailable(Unavailable("with fewer than three members there is nothing to compare"))
    }
    guard set.members.count <= Representation.memberLimit else {
      return .unavailable(Unavailable("more than \(Representation.memberLimit) members can’t be compared"))
    }
    let space = SubsetSpace(
      features: set.features(selection),
      metrics: set.metricTable(selection, categories: set.categoriesThatCount).scaled(.standard))
    guard !space.features.features.isEmpty, !space.metrics.features.isEmpty else {
      let remarks = space.features.features.isEmpty ? space.features.remarks : space.metrics.remarks
      let why =
        remarks.isEmpty
        ? "the members have no \(selection.noun)"
        : "of the members’ \(selection.noun) none can be used: "
          + remarks.prefix(3).map { "\($0.feature) (\($0.reason))" }.joined(separator: ", ")
      return .unavailable(
        Unavailable(why, remedy: selection == .model ? nil : "--features model compares parameters, FLOPs and epochs"))
    }
    return Measured(space, .derived, detail: "\(space.features.features.count) features")
  }
}

extension MemberSet {
  /// A category below this share of every member's kernel time is no metric: in units of its spread it would be noise.
  private static let leastShare = 0.01

  /// Categories that take at least ``leastShare`` of some member's kernel time, in the order of the enumeration.
  var categoriesThatCount: [KernelCategory] {
    KernelCategory.allCases.filter { category in
      members.contains { member in
        member.categoryShares.value?.contains { $0.category == category && $0.share >= Self.leastShare } ?? false
      }
    }
  }

  /// What a subset has to predict: axes, shares or sizes as they were measured; sizes by their logarithms, because they differ
  /// by orders of magnitude.
  func metricTable(_ selection: FeatureSelection, categories: [KernelCategory]) -> FeatureTable {
    var metrics: [FeatureTable.Feature] = []
    if selection == .patterns || selection == .both {
      var names: [String] = []
      for pattern in members.flatMap(\.patterns) where !names.contains(pattern.label) { names.append(pattern.label) }
      metrics += names.map { name in
        FeatureTable.Feature(name, members.map { member in member.patterns.first { $0.label == name }?.value.value })
      }
    }
    if selection == .categories || selection == .both {
      metrics += categories.map { category in
        FeatureTable.Feature(
          category.rawValue,
          members.map { member in
            // Measured, and this category took no time: that is a zero.
            member.categoryShares.value.map { shares in shares.first { $0.category == category }?.share ?? 0 }
          })
      }
    }
    if selection == .model {
      metrics += diversityCharacteristics.map { characteristic in
        FeatureTable.Feature(
          "log \(characteristic.rawValue)",
          members.map { characteristic.value(of: $0).value.flatMap { $0 > 0 ? log10($0) : nil } })
      }
    }
    return FeatureTable(members: members.map(\.id), features: metrics)
  }
}
