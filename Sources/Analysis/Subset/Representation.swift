// How well do some members stand for all of a suite?
import Foundation

/// The definition of the error by which subsets are judged.
///
/// Each member that is left out is predicted to be like its representative: the member of the subset that is nearest to it
/// in the space of the features. Metrics are as they were measured, none drawn in or transformed, in units of their spread
/// over the suite (population standard deviation), so an error of 1 is as far off as members usually are from their mean.
///
/// - member error: |member − representative|, mean over the metrics and over the members that are left out; 0 when none is.
/// - mean error: |Σ w · representative − mean of the suite|, mean over the metrics; w is the share of the members that a
///   representative stands for, itself included.
struct Representation {
  /// Most members: a subset is a bit mask.
  static let memberLimit = 62

  /// Number of members.
  let count: Int
  /// Members × metrics, in spreads from the suite's mean.
  let values: Matrix
  /// How far off a member is when another one stands for it, members × members, row-major.
  let errors: [Double]
  /// The members from near to far, seen from each; itself first. Of equally near ones the first in the suite's order.
  private let order: [Int32]

  /// The error of a subset.
  struct Errors: Equatable {
    var member: Double
    var mean: Double
  }

  init(_ space: SubsetSpace) {
    self.init(distances: space.features.matrix.distances, values: space.metrics.matrix)
  }

  /// Near and far by these distances, judged by these values in spreads.
  init(distances: Matrix, values: Matrix) {
    let n = values.rows
    count = n
    self.values = values
    var errors = [Double](repeating: 0, count: n * n)
    for a in 0..<n {
      for b in 0..<a {
        let gap = zip(values.row(a), values.row(b)).reduce(0) { $0 + abs($1.0 - $1.1) }
        errors[a * n + b] = gap / Double(max(1, values.columns))
        errors[b * n + a] = errors[a * n + b]
      }
    }
    self.errors = errors
    order = (0..<n).flatMap { member in
      (0..<n).sorted { a, b in
        let (x, y) = (a == member ? -1 : distances[member, a], b == member ? -1 : distances[member, b])
        return x != y ? x < y : a < b
      }.map { Int32($0) }
    }
  }

  /// The member of the subset that stands for a member: itself when it is in it. The subset must not be empty.
  func representative(of member: Int, in subset: UInt64) -> Int {
    for place in (member * count)..<((member + 1) * count) where subset >> UInt64(order[place]) & 1 == 1 {
      return Int(order[place])
    }
    return member
  }

  /// The member error over those of `suite`, all without one; infinite for an empty subset.
  func memberError(_ subset: UInt64, of suite: UInt64? = nil) -> Double {
    let suite = suite ?? Self.all(count)
    guard subset != 0 else { return .infinity }
    var (sum, left) = (0.0, 0)
    order.withUnsafeBufferPointer { order in
      errors.withUnsafeBufferPointer { errors in
        var rest = suite & ~subset
        while rest != 0 {
          let member = rest.trailingZeroBitCount
          rest &= rest - 1
          var place = member * count
          while subset >> UInt64(order[place]) & 1 == 0 { place += 1 }
          sum += errors[member * count + Int(order[place])]
          left += 1
        }
      }
    }
    return left > 0 ? sum / Double(left) : 0
  }

  /// Both errors.
  func errors(_ subset: UInt64) -> Errors {
    guard subset != 0 else { return Errors(member: .infinity, mean: .infinity) }
    return Errors(member: memberError(subset), mean: meanError(assignment(subset), in: values))
  }

  /// Who stands for each member.
  func assignment(_ subset: UInt64) -> [Int] { (0..<count).map { representative(of: $0, in: subset) } }

  /// The mean error of an assignment, judged by the values given.
  func meanError(_ assignment: [Int], in values: Matrix) -> Double {
    guard count > 0, values.columns > 0 else { return 0 }
    var sum = 0.0
    for column in 0..<values.columns {
      var gap = 0.0
      for (member, representative) in assignment.enumerated() {
        gap += values[representative, column] - values[member, column]
      }
      sum += abs(gap) / Double(count)
    }
    return sum / Double(values.columns)
  }

  static func all(_ count: Int) -> UInt64 { count >= 64 ? .max : (1 << UInt64(count)) - 1 }
  static func mask(_ members: [Int]) -> UInt64 { members.reduce(0) { $0 | 1 << UInt64($1) } }
  static func members(_ mask: UInt64) -> [Int] { (0..<64).filter { mask >> UInt64($0) & 1 == 1 } }
}
