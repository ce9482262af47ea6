// By what are the members of a suite compared with each other?
import Foundation
import ProfileModel

/// Which numbers of a member are its coordinates in the space where clusters are sought.
public enum FeatureSelection: String, Codable, Sendable, CaseIterable {
  /// The axes of the Kiviat diagram: how it computes and moves data. The technical report's choice for Figure 4.
  case patterns
  /// The shares of kernel time by category: what it computes.
  case categories
  /// Both, each group with the same weight.
  case both
  /// Parameters, FLOPs and epochs on a logarithmic scale: how large it is and how it learns.
  case model
}

extension MemberSet {
  /// The members' features before scaling. What a member was not measured for is missing, not zero.
  ///
  /// A category that takes less than 1 % of every member's kernel time is left out of the table and named in the remarks of
  /// ``features(_:)``: noise of that size would be blown up by scaling.
  public func featureTable(_ selection: FeatureSelection) -> FeatureTable {
    var features: [FeatureTable.Feature] = []
    if selection == .patterns || selection == .both {
      var names: [String] = []
      for pattern in members.flatMap(\.patterns) where !names.contains(pattern.label) { names.append(pattern.label) }
      features += names.map { name in
        FeatureTable.Feature(
          name, members.map { member in member.patterns.first { $0.label == name }?.value.value })
      }
    }
    if selection == .categories || selection == .both {
      features += categories(above: Self.leastShare).map { category in
        FeatureTable.Feature(
          category.rawValue,
          members.map { member in
            // Measured, and this category took no time: that is a zero.
            member.categoryShares.value.map { shares in shares.first { $0.category == category }?.share ?? 0 }
          })
      }
    }
    if selection == .model {
      for characteristic in diversityCharacteristics {
        features.append(
          FeatureTable.Feature(
            "log \(characteristic.rawValue)",
            members.map { characteristic.value(of: $0).value.flatMap { $0 > 0 ? log10($0) : nil } }))
      }
    }
    return FeatureTable(members: members.map(\.id), features: features)
  }

  /// The members' features on one scale; with both groups, each group weighs the same whatever its number of features.
  public func features(_ selection: FeatureSelection, _ scaling: FeatureScaling = .robust) -> FeatureTable.Scaled {
    var scaled = featureTable(selection).scaled(scaling)
    let small = categories(above: 0).filter { !categories(above: Self.leastShare).contains($0) }
    if selection == .categories || selection == .both {
      scaled.remarks += small.map {
        FeatureTable.Remark(
          feature: $0.rawValue, reason: "it takes less than 1 % of every member's kernel time", isLeftOut: true)
      }
    }
    if selection == .both {
      let shares = Set(KernelCategory.allCases.map(\.rawValue))
      let isShare = scaled.features.map { shares.contains($0) }
      let (ofShares, ofPatterns) = (isShare.count { $0 }, isShare.count { !$0 })
      for column in isShare.indices {
        let weight = 1 / Double(max(1, isShare[column] ? ofShares : ofPatterns)).squareRoot()
        for row in 0..<scaled.matrix.rows { scaled.matrix[row, column] *= weight }
      }
    }
    return scaled
  }

  /// A category below this share in every member says nothing about any.
  static let leastShare = 0.01

  /// Categories in which some member spends more than `share` of its kernel time, in the order of the enumeration.
  func categories(above share: Double) -> [KernelCategory] {
    KernelCategory.allCases.filter { category in
      members.contains { member in
        member.categoryShares.value?.contains { $0.category == category && $0.share > share } ?? false
      }
    }
  }
}
