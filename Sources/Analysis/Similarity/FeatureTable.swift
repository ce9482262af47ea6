// What is compared when workloads are compared: features, on one scale, with those named that can't be used.
import Foundation

/// How a feature's values become comparable with another's.
public enum FeatureScaling: String, Codable, Sendable, CaseIterable {
  /// (x − mean) / population standard deviation.
  case standard
  /// (x − median) / (1.4826 × median absolute deviation): one extreme member does not squeeze all others together. A feature
  /// of which more than half the values are equal has no deviation by that measure and is scaled by its standard deviation.
  case robust
  /// x − mean: for features in one unit, which are to keep their proportions.
  case centred
}

/// Members by features. A value that was not measured is missing, not zero.
public struct FeatureTable: Codable, Sendable, Equatable {
  /// A feature.
  public struct Feature: Codable, Sendable, Equatable {
    /// Its name.
    public var name: String
    /// One value a member.
    public var values: [Double?]

    /// Makes a feature.
    public init(_ name: String, _ values: [Double?]) {
      self.name = name
      self.values = values
    }
  }

  /// What was done with a feature before it could be compared.
  public struct Remark: Codable, Sendable, Equatable {
    /// The feature.
    public var feature: String
    /// Why it is left out or changed.
    public var reason: String
    /// Whether it takes no part.
    public var isLeftOut: Bool
  }

  /// Names of the members.
  public var members: [String]
  /// The features.
  public var features: [Feature]

  /// Makes a table. Every feature must have one value a member.
  public init(members: [String], features: [Feature]) {
    precondition(features.allSatisfy { $0.values.count == members.count }, "one value a member")
    self.members = members
    self.features = features
  }

  /// The features on one scale, members × those that are left, and what happened to the others.
  public struct Scaled: Codable, Sendable, Equatable {
    /// Names of the members.
    public var members: [String]
    /// Names of the features that take part.
    public var features: [String]
    /// Members × features.
    public var matrix: Matrix
    /// How they were scaled.
    public var scaling: FeatureScaling
    /// Features that were left out or filled in.
    public var remarks: [Remark]
  }

  /// More of a feature's values may not be missing.
  static let missingLimit = 0.25

  /// Brings the features to one scale.
  ///
  /// A feature that is the same for all members says nothing and is left out. A missing value is replaced by the median of
  /// the feature's others, which places the member in the middle; a feature with more than a quarter missing is left out.
  /// Infinite values and NaN count as missing.
  public func scaled(_ scaling: FeatureScaling = .robust) -> Scaled {
    var columns: [[Double]] = []
    var names: [String] = []
    var remarks: [Remark] = []
    for feature in features {
      let known = feature.values.compactMap { $0 }.filter(\.isFinite)
      let missing = feature.values.count - known.count
      func leaveOut(_ reason: String) {
        remarks.append(Remark(feature: feature.name, reason: reason, isLeftOut: true))
      }
      guard !known.isEmpty else {
        leaveOut("it was measured for no member")
        continue
      }
      guard Double(missing) <= Self.missingLimit * Double(feature.values.count) else {
        leaveOut("it was not measured for \(missing) of \(feature.values.count) members")
        continue
      }
      let median = Statistics.median(known)
      let filled = feature.values.map { value in value.flatMap { $0.isFinite ? $0 : nil } ?? median }
      let (least, greatest) = (filled.min() ?? 0, filled.max() ?? 0)
      // Rounding apart: a difference in the last digits is none.
      guard greatest - least > 1e-12 * max(abs(least), abs(greatest)) else {
        leaveOut("it is the same for all members")
        continue
      }
      if missing > 0 {
        remarks.append(
          Remark(
            feature: feature.name,
            reason:
              "it was not measured for \(missing) of \(feature.values.count) members, which got the others' median",
            isLeftOut: false))
      }
      names.append(feature.name)
      columns.append(Self.scale(filled, scaling))
    }
    var matrix = Matrix(rows: members.count, columns: columns.count)
    for (column, values) in columns.enumerated() {
      for (row, value) in values.enumerated() { matrix[row, column] = value }
    }
    return Scaled(members: members, features: names, matrix: matrix, scaling: scaling, remarks: remarks)
  }

  private static func scale(_ values: [Double], _ scaling: FeatureScaling) -> [Double] {
    if scaling == .robust {
      let median = Statistics.median(values)
      let deviation = 1.4826 * Statistics.median(values.map { abs($0 - median) })
      if deviation > 0 { return values.map { ($0 - median) / deviation } }
    }
    let mean = Statistics.mean(values)
    if scaling == .centred { return values.map { $0 - mean } }
    let deviation = (values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(values.count)).squareRoot()
    return values.map { ($0 - mean) / deviation }
  }
}
