// What does a suite cost, what does its subset, and what is that compared with another suite?
import ProfileModel

/// The cost of a suite and of some of its members.
public struct SubsetCost: Codable, Sendable, Equatable {
  /// By what a benchmark's cost is counted, the same for all members of a suite.
  public enum Basis: String, Codable, Sendable {
    /// Seconds of training to the target quality.
    case timeToQuality = "time to quality"
    /// Seconds of a run, mean over the runs that count.
    case wallTime = "wall time of a run"
    /// No time is known: every benchmark counts one.
    case number = "number of benchmarks"

    /// `s`, or `1` for a number.
    public var unit: String { self == .number ? "1" : "s" }
  }

  /// A sum over members.
  public struct Total: Codable, Sendable, Equatable {
    /// In the unit of the basis.
    public var value: Double
    /// Number of members in the sum.
    public var counted: Int
    /// Members whose cost is not known.
    public var missing: [String]
    /// Members of which only a lower bound is known, which is what the sum has.
    public var lowerBounds: [String]
  }

  /// One member that decides the sum.
  public struct Concentration: Codable, Sendable, Equatable {
    /// Its id.
    public var member: String
    /// Its title.
    public var title: String
    /// Its share of the subset's cost, 0…1.
    public var shareOfSubset: Double
    /// Its share of the suite's cost, 0…1.
    public var shareOfSuite: Double
    /// The subset's cost without it.
    public var subsetWithout: Double
    /// The suite's cost without it.
    public var suiteWithout: Double
    /// What is saved when neither counts it, 0…1.
    public var savedWithout: Double
  }

  /// By what costs are counted.
  public var basis: Basis
  /// Each member's, in the suite's order.
  public var members: [Measured<Double>]
  /// All members.
  public var suite: Total
  /// The subset.
  public var subset: Total
  /// 1 − subset ÷ suite.
  public var saved: Measured<Double>
  /// The member that is more than half of the subset's cost.
  public var concentration: Concentration?

  /// Costs of a suite and of the members with these indices.
  public init(_ set: MemberSet, chosen: [Int]) {
    basis = set.costBasis
    members = set.costs(basis)
    suite = set.cost(of: Array(set.members.indices), basis)
    subset = set.cost(of: chosen, basis)
    saved = Self.saved(subset, of: suite, as: "suite")
    concentration = nil
    guard chosen.count > 1, saved.value != nil,
      let most = chosen.filter({ members[$0].value != nil })
        .max(by: { (members[$0].value ?? 0, -$0) < (members[$1].value ?? 0, -$1) }),
      let cost = members[most].value, cost > subset.value / 2, suite.value > cost
    else { return }
    let (rest, all) = (max(0, subset.value - cost), suite.value - cost)
    concentration = Concentration(
      member: set.members[most].id, title: set.members[most].title, shareOfSubset: cost / subset.value,
      shareOfSuite: cost / suite.value, subsetWithout: rest, suiteWithout: all, savedWithout: 1 - rest / all)
  }

  /// 1 − part ÷ whole.
  static func saved(_ part: Total, of whole: Total, as name: String) -> Measured<Double> {
    guard part.counted > 0 else { return .unavailable(Unavailable("the subset’s cost is not known")) }
    guard part.missing.isEmpty else {
      return .unavailable(Unavailable("the cost of \(part.missing.joined(separator: ", ")) is not known"))
    }
    guard whole.value > 0 else { return .unavailable(Unavailable("the \(name)’s cost is not known")) }
    return Measured(1 - part.value / whole.value, .derived, detail: "1 − cost ÷ the \(name)’s cost")
  }
}

/// A suite and its subset beside another suite.
public struct SubsetComparison: Codable, Sendable, Equatable {
  /// The other suite's name.
  public var name: String
  /// Its title.
  public var title: String
  /// Its cost.
  public var cost: SubsetCost.Total
  /// How much less the subset costs, 0…1.
  public var savedBySubset: Measured<Double>
  /// How much less the whole suite costs, 0…1; negative when it costs more.
  public var savedBySuite: Measured<Double>
  /// The same without those members of the other suite of which only a lower bound is known.
  public var withoutLowerBounds: WithoutLowerBounds?
  /// What the other suite's source says about its numbers.
  public var remarks: [String]

  /// What is left when lower bounds don't count.
  public struct WithoutLowerBounds: Codable, Sendable, Equatable {
    /// The other suite's cost.
    public var cost: SubsetCost.Total
    /// How much less the subset costs.
    public var savedBySubset: Measured<Double>
    /// How much less the whole suite costs.
    public var savedBySuite: Measured<Double>
  }

  /// Compares costs. The other suite's are counted as the suite's own.
  public init(_ cost: SubsetCost, machines: [String], with other: MemberSet) {
    name = other.name
    title = other.title
    let all = Array(other.members.indices)
    func saved(_ part: SubsetCost.Total, _ whole: SubsetCost.Total) -> Measured<Double> {
      whole.counted == 0
        ? .unavailable(Unavailable("no \(cost.basis.rawValue) is known of \(other.name)"))
        : SubsetCost.saved(part, of: whole, as: "other suite")
    }
    // What the suite's own sum lacks is said beside it, and is no reason to keep silent.
    var suite = cost.suite
    suite.missing = []
    let total = other.cost(of: all, cost.basis)
    self.cost = total
    savedBySubset = saved(cost.subset, total)
    savedBySuite = saved(suite, total)
    if !total.lowerBounds.isEmpty {
      let rest = other.cost(of: all.filter { !total.lowerBounds.contains(other.members[$0].id) }, cost.basis)
      withoutLowerBounds = WithoutLowerBounds(
        cost: rest, savedBySubset: saved(cost.subset, rest), savedBySuite: saved(suite, rest))
    }
    remarks = other.remarks
    if !machines.isEmpty, !other.machines.isEmpty, Set(machines) != Set(other.machines) {
      remarks.insert(
        "The two suites were measured on different machines, so their times can’t be compared: \(machines.joined(separator: "; ")) and \(other.machines.joined(separator: "; ")).",
        at: 0)
    }
  }
}

extension MemberSet {
  /// Time to quality where more than half the members have one; else the runs' wall time; else nothing but their number.
  var costBasis: SubsetCost.Basis {
    for basis in [SubsetCost.Basis.timeToQuality, .wallTime]
    where 2 * costs(basis).count(where: { $0.value != nil }) > members.count { return basis }
    return .number
  }

  /// Each member's cost. What is negative or no number is not known.
  func costs(_ basis: SubsetCost.Basis) -> [Measured<Double>] {
    members.map { member in
      let cost: Measured<Double>
      switch basis {
      case .timeToQuality: cost = member.secondsToQuality
      case .wallTime:
        let walls = member.runs.filter { $0.isCounted && $0.wallSeconds.isFinite }.map(\.wallSeconds)
        cost =
          walls.isEmpty
          ? .unavailable(Unavailable("no run of it counts"))
          : Measured(Statistics.mean(walls), .clock, detail: "mean over \(walls.count) runs")
      case .number: cost = Measured(1, .derived, detail: "a benchmark")
      }
      guard let value = cost.value, !(value.isFinite && value >= 0) else { return cost }
      return .unavailable(Unavailable("its \(basis.rawValue) is no number"))
    }
  }

  /// The sum over the members with these indices.
  func cost(of indices: [Int], _ basis: SubsetCost.Basis) -> SubsetCost.Total {
    let costs = costs(basis)
    let known = indices.filter { costs[$0].value != nil }
    return SubsetCost.Total(
      value: known.reduce(0) { $0 + (costs[$1].value ?? 0) }, counted: known.count,
      missing: indices.filter { costs[$0].value == nil }.map { members[$0].id },
      lowerBounds: basis == .timeToQuality
        ? known.filter { members[$0].lowerBounds.contains(.secondsToQuality) }.map { members[$0].id } : [])
  }
}
