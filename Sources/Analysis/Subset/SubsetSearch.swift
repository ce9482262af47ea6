// Which subsets stand best for the suite at their cost?
import Foundation

/// The search for the subset with the least member error: all subsets where they can be counted, else one member after the
/// other with exchanges.
struct SubsetSearch {
  /// Up to so many members all subsets are looked at: 2^20 take some tenths of a second.
  static let exhaustiveLimit = 20
  /// Up to so many subsets of one size are looked at, else exchanges.
  static let sizeLimit = 200_000

  let representation: Representation
  /// A member's cost; `nil` where it is not known: it is represented, but can't represent.
  let costs: [Double?]

  /// A subset with its error and cost.
  struct Found: Equatable {
    var mask: UInt64
    var error: Double
    var cost: Double
  }

  /// The members that can be taken.
  var candidates: [Int] { costs.indices.filter { costs[$0] != nil } }
  /// Whether all subsets are looked at.
  var isExhaustive: Bool { candidates.count <= Self.exhaustiveLimit }

  /// The best of each size, 1 … candidates, and the subsets that none beats in error at the same or less cost, cheapest first.
  func run() -> (best: [Found], front: [Found]) {
    let candidates = candidates
    guard !candidates.isEmpty else { return ([], []) }
    guard isExhaustive else {
      let best = descend(candidates)
      return (best, Self.front(best))
    }
    let subsets = 1 << candidates.count
    var errors = [Double](repeating: .infinity, count: subsets)
    var costs = [Double](repeating: 0, count: subsets)
    var masks = [UInt64](repeating: 0, count: subsets)
    var best = [Found?](repeating: nil, count: candidates.count + 1)
    for number in 1..<subsets {
      // The cost and the members of a subset are those without its lowest member, and that one.
      let lowest = number.trailingZeroBitCount
      let rest = number & (number - 1)
      costs[number] = costs[rest] + (self.costs[candidates[lowest]] ?? 0)
      masks[number] = masks[rest] | 1 << UInt64(candidates[lowest])
      errors[number] = representation.memberError(masks[number])
      let found = Found(mask: masks[number], error: errors[number], cost: costs[number])
      let size = number.nonzeroBitCount
      if best[size].map({ Self.isBetter(found, than: $0) }) ?? true { best[size] = found }
    }
    let order = (1..<subsets).sorted { (a: Int, b: Int) -> Bool in
      if costs[a] != costs[b] { return costs[a] < costs[b] }
      if errors[a] != errors[b] { return errors[a] < errors[b] }
      return a < b
    }
    var front: [Found] = []
    for number in order where errors[number] < (front.last?.error ?? .infinity) - Self.tolerance {
      front.append(Found(mask: masks[number], error: errors[number], cost: costs[number]))
    }
    return (best.compactMap { $0 }, front)
  }

  /// The best subset of `size` of these members, to stand for those of `suite` (all without one). All are looked at when there
  /// are not too many.
  func best(size: Int, among members: [Int], of suite: UInt64? = nil) -> Found? {
    guard size > 0, size <= members.count else { return nil }
    if Self.combinations(members.count, size) <= Double(Self.sizeLimit) {
      var best: Found?
      Self.forEachSubset(of: members, size: size) { mask in
        let found = Found(mask: mask, error: representation.memberError(mask, of: suite), cost: cost(mask))
        if best.map({ Self.isBetter(found, than: $0) }) ?? true { best = found }
      }
      return best
    }
    return descend(members, upTo: size, of: suite).last
  }

  /// The sum of the known costs.
  func cost(_ mask: UInt64) -> Double { Representation.members(mask).reduce(0) { $0 + (costs[$1] ?? 0) } }

  /// Differences below are rounding.
  static let tolerance = 1e-12

  /// Less error; then less cost; then the earlier members.
  static func isBetter(_ a: Found, than b: Found) -> Bool {
    if abs(a.error - b.error) > tolerance { return a.error < b.error }
    if a.cost != b.cost { return a.cost < b.cost }
    return a.mask < b.mask
  }

  /// Those that none beats in error at the same or less cost, cheapest first.
  static func front(_ all: [Found]) -> [Found] {
    var front: [Found] = []
    let order = all.sorted { (a: Found, b: Found) -> Bool in a.cost != b.cost ? a.cost < b.cost : isBetter(a, than: b) }
    for found in order
    where found.error < (front.last?.error ?? .infinity) - tolerance { front.append(found) }
    return front
  }

  /// One member after the other, always the one that helps most, then exchanges of one for another while they help. The best
  /// found of each size.
  private func descend(_ members: [Int], upTo most: Int? = nil, of suite: UInt64? = nil) -> [Found] {
    var results: [Found] = []
    var mask: UInt64 = 0
    func found(_ mask: UInt64) -> Found {
      Found(mask: mask, error: representation.memberError(mask, of: suite), cost: cost(mask))
    }
    for _ in 0..<min(most ?? members.count, members.count) {
      let next = members.filter { mask >> UInt64($0) & 1 == 0 }.map { found(mask | 1 << UInt64($0)) }
      guard var best = next.min(by: { Self.isBetter($0, than: $1) }) else { break }
      var improved = true
      while improved {
        improved = false
        let inside = members.filter { best.mask >> UInt64($0) & 1 == 1 }
        let outside = members.filter { best.mask >> UInt64($0) & 1 == 0 }
        let start = best.mask
        for out in inside {
          for into in outside {
            let other = found(start & ~(1 << UInt64(out)) | 1 << UInt64(into))
            if Self.isBetter(other, than: best) { (best, improved) = (other, true) }
          }
        }
      }
      results.append(best)
      mask = best.mask
    }
    return results
  }

  // MARK: Subsets of one size

  /// n over k.
  static func combinations(_ n: Int, _ k: Int) -> Double {
    guard k >= 0, k <= n else { return 0 }
    return (0..<min(k, n - k)).reduce(1.0) { ($0 * Double(n - $1) / Double($1 + 1)).rounded() }
  }

  /// Every subset of that size, as masks of the members themselves.
  static func forEachSubset(of members: [Int], size: Int, _ body: (UInt64) -> Void) {
    guard size > 0, size <= members.count else { return }
    var chosen = Array(0..<size)
    while true {
      body(Representation.mask(chosen.map { members[$0] }))
      // The last place that can move on; those behind it follow.
      guard let place = chosen.indices.last(where: { chosen[$0] < members.count - size + $0 }) else { return }
      chosen[place] += 1
      for later in (place + 1)..<max(size, place + 1) { chosen[later] = chosen[later - 1] + 1 }
    }
  }

  /// The member errors of all subsets of that size of all members; of `samples` random ones when there are too many.
  func distribution(size: Int, samples: Int = 10_000, seed: UInt64) -> (errors: [Double], isExact: Bool) {
    let members = Array(0..<representation.count)
    var errors: [Double] = []
    if Self.combinations(members.count, size) <= Double(Self.sizeLimit) {
      Self.forEachSubset(of: members, size: size) { errors.append(representation.memberError($0)) }
      return (errors, true)
    }
    var random = SeededGenerator(seed ^ 0x5EED)
    for _ in 0..<samples {
      var left = members
      var mask: UInt64 = 0
      for _ in 0..<size { mask |= 1 << UInt64(left.remove(at: random.index(below: left.count))) }
      errors.append(representation.memberError(mask))
    }
    return (errors, false)
  }
}
