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
  /// The members' features on one scale. What a member was not measured for is missing, not zero.
  ///
  /// Axes and sizes differ in kind: each is scaled by its own spread, and a member that lies more than ``limit`` of it out is
  /// drawn in to there, so that one extreme does not make all others look alike; the remarks name it. Shares of one time
  /// are of one kind: their square roots are taken as they are (Hellinger's distance; Legendre and Gallagher, Oecologia 129,
  /// 2001), so that a category which hardly anyone uses weighs little. With both, each group has the same variance in all.
  public func features(_ selection: FeatureSelection, _ scaling: FeatureScaling = .robust) -> FeatureTable.Scaled {
    switch selection {
    case .patterns: drawnIn(patternTable.scaled(scaling))
    case .model: drawnIn(modelTable.scaled(scaling))
    case .categories: categoryTable.scaled(.centred)
    case .both: Self.joined(drawnIn(patternTable.scaled(scaling)), categoryTable.scaled(.centred))
    }
  }

  /// The members of whom at least half the features are known, and a sentence about each of the others. With nothing but other
  /// members' medians in its place, a member that failed would look like the most ordinary one.
  public func comparable(by selection: FeatureSelection) -> (set: MemberSet, leftOut: [String]) {
    // What was measured of nobody tells nothing about anybody.
    let features = featureTable(selection).features.filter { $0.values.contains { $0?.isFinite ?? false } }
    var kept = self
    var leftOut: [String] = []
    kept.members = members.indices.filter { row in
      let known = features.count { $0.values[row]?.isFinite ?? false }
      let isKept = 2 * known >= features.count
      if !isKept {
        leftOut.append(
          "\(members[row].title) has too few numbers to be compared with the others (\(known) of \(features.count) features)"
        )
      }
      return isKept
    }.map { members[$0] }
    return (kept, leftOut)
  }

  /// The same features before scaling; shares as their square roots.
  func featureTable(_ selection: FeatureSelection) -> FeatureTable {
    switch selection {
    case .patterns: patternTable
    case .model: modelTable
    case .categories: categoryTable
    case .both:
      FeatureTable(members: members.map(\.id), features: patternTable.features + categoryTable.features)
    }
  }

  /// Deviations from the median beyond which a member is drawn in.
  static let limit = 3.0

  private var patternTable: FeatureTable {
    var names: [String] = []
    for pattern in members.flatMap(\.patterns) where !names.contains(pattern.label) { names.append(pattern.label) }
    return FeatureTable(
      members: members.map(\.id),
      features: names.map { name in
        FeatureTable.Feature(name, members.map { member in member.patterns.first { $0.label == name }?.value.value })
      })
  }

  private var modelTable: FeatureTable {
    FeatureTable(
      members: members.map(\.id),
      features: diversityCharacteristics.map { characteristic in
        FeatureTable.Feature(
          "log \(characteristic.rawValue)",
          members.map { characteristic.value(of: $0).value.flatMap { $0 > 0 ? log10($0) : nil } })
      })
  }

  private var categoryTable: FeatureTable {
    let categories = KernelCategory.allCases.filter { category in
      members.contains { $0.categoryShares.value?.contains { $0.category == category && $0.share > 0 } ?? false }
    }
    return FeatureTable(
      members: members.map(\.id),
      features: categories.map { category in
        FeatureTable.Feature(
          category.rawValue,
          members.map { member in
            // Measured, and this category took no time: that is a zero.
            member.categoryShares.value.map { shares in
              max(0, shares.first { $0.category == category }?.share ?? 0).squareRoot()
            }
          })
      })
  }

  private func drawnIn(_ table: FeatureTable.Scaled) -> FeatureTable.Scaled {
    var table = table
    for column in 0..<table.matrix.columns {
      for row in 0..<table.matrix.rows where abs(table.matrix[row, column]) > Self.limit {
        let value = table.matrix[row, column]
        table.matrix[row, column] = value < 0 ? -Self.limit : Self.limit
        table.remarks.append(
          FeatureTable.Remark(
            feature: table.features[column],
            reason:
              "\(members[row].title) lies \(Words.significant(abs(value))) deviations \(value < 0 ? "below" : "above") the median and was drawn in to \(Words.significant(Self.limit))",
            isLeftOut: false))
      }
    }
    return table
  }

  /// Two groups of features beside each other, each divided by the square root of its variance in all.
  private static func joined(_ a: FeatureTable.Scaled, _ b: FeatureTable.Scaled) -> FeatureTable.Scaled {
    func spread(_ matrix: Matrix) -> Double {
      let variance = (0..<matrix.columns).reduce(0.0) { sum, column in
        let values = matrix.column(column)
        let mean = Statistics.mean(values)
        return sum + Statistics.mean(values.map { ($0 - mean) * ($0 - mean) })
      }
      return variance > 0 ? variance.squareRoot() : 1
    }
    let (one, two) = (spread(a.matrix), spread(b.matrix))
    var matrix = Matrix(rows: a.matrix.rows, columns: a.matrix.columns + b.matrix.columns)
    for row in 0..<matrix.rows {
      for column in 0..<a.matrix.columns { matrix[row, column] = a.matrix[row, column] / one }
      for column in 0..<b.matrix.columns { matrix[row, a.matrix.columns + column] = b.matrix[row, column] / two }
    }
    return FeatureTable.Scaled(
      members: a.members, features: a.features + b.features, matrix: matrix, scaling: a.scaling,
      remarks: a.remarks + b.remarks)
  }
}
