// Which is the smallest set of members that has everything asked for, and of these the cheapest?

/// Exact set cover by dynamic programming over what is covered: the best way to each set of requirements, member by member.
/// With r requirements and n members it takes at most n · 2^min(n, r) steps.
enum SubsetCover {
  /// A member that may be taken.
  struct Candidate {
    /// One bit for each requirement that it meets.
    var covers: UInt64
    /// `nil` when it is not known, which is worse than any cost.
    var cost: Double?
  }

  /// What is better.
  enum Aim {
    /// The fewest members, then the least cost.
    case fewest
    /// The least cost, then the fewest members.
    case cheapest
  }

  private struct State {
    var count = 0
    var unknownCosts = 0
    var cost = 0.0
    /// Place of the last member in the list of steps.
    var last = -1

    func isBetter(than other: State, _ aim: Aim) -> Bool {
      switch aim {
      case .fewest: (count, unknownCosts, cost) < (other.count, other.unknownCosts, other.cost)
      case .cheapest: (unknownCosts, cost, count) < (other.unknownCosts, other.cost, other.count)
      }
    }
  }

  /// Indices of the chosen candidates, ascending; `nil` when all together don't meet all. Of equally good sets the one
  /// that was there first in the order of the candidates.
  static func best(_ candidates: [Candidate], covering wanted: UInt64, aim: Aim) -> [Int]? {
    var states: [UInt64: State] = [0: State()]
    var steps: [(member: Int, before: Int)] = []
    for (index, candidate) in candidates.enumerated() where candidate.covers & wanted != 0 {
      var next = states
      // Sorted: of equally good ways the same one in every process.
      for covered in states.keys.sorted() {
        guard let state = states[covered] else { continue }
        let together = (covered | candidate.covers) & wanted
        guard together != covered else { continue }
        var new = state
        new.count += 1
        if let cost = candidate.cost { new.cost += cost } else { new.unknownCosts += 1 }
        if let known = next[together], !new.isBetter(than: known, aim) { continue }
        new.last = steps.count
        steps.append((index, state.last))
        next[together] = new
      }
      states = next
    }
    guard var place = states[wanted]?.last else { return nil }
    var members: [Int] = []
    while place >= 0 {
      members.append(steps[place].member)
      place = steps[place].before
    }
    return members.reversed()
  }
}
