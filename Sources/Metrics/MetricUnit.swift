// What is a quantity in a formula measured in, and which quantities may be added?

/// A product of powers of base units. Adding needs equal units; multiplying and dividing make new ones.
///
/// Slots are what a core can issue in a cycle times its cycles: they are no cycles, and a formula that takes one for
/// the other is wrong by the width of the core.
public struct MetricUnit: Hashable, Sendable, CustomStringConvertible {
  /// What everything is measured in.
  enum Base: String, CaseIterable {
    /// Instructions, loads, misses, operations.
    case count
    /// Cycles of a core.
    case cycles
    /// Places for a micro-operation, a core's width a cycle.
    case slots
    case bytes
    case seconds
  }

  private var exponents: [Base: Int]

  private init(_ exponents: [Base: Int]) { self.exponents = exponents.filter { $0.value != 0 } }

  /// A pure number.
  public static let ratio = MetricUnit([:])
  static let count = MetricUnit([.count: 1])

  /// Reads `slots`, `bytes/seconds`, `1/seconds`, `ratio`; `nil` for any other text.
  public init?(_ text: String) {
    let parts = text.split(separator: "/", omittingEmptySubsequences: false).map { $0.filter { $0 != " " } }
    guard (1...2).contains(parts.count) else { return nil }
    var exponents: [Base: Int] = [:]
    for (part, sign) in zip(parts, [1, -1]) {
      if part == "ratio" || part == "1" { continue }
      guard let base = Base(rawValue: part) else { return nil }
      exponents[base, default: 0] += sign
    }
    self.init(exponents)
  }

  /// The names that a unit is made of, for error messages.
  static let words = "count, cycles, slots, bytes, seconds and ratio, also one divided by another (bytes/seconds)"

  func times(_ other: MetricUnit) -> MetricUnit {
    MetricUnit(exponents.merging(other.exponents) { $0 + $1 })
  }

  func divided(by other: MetricUnit) -> MetricUnit {
    MetricUnit(exponents.merging(other.exponents.mapValues { -$0 }) { $0 + $1 })
  }

  /// As it is written: `bytes/seconds`.
  public var description: String {
    func product(_ sign: Int) -> String {
      Base.allCases.compactMap { base in
        let power = (exponents[base] ?? 0) * sign
        return power <= 0 ? nil : power == 1 ? base.rawValue : "\(base.rawValue)^\(power)"
      }.joined(separator: "·")
    }
    let (upper, lower) = (product(1), product(-1))
    if lower.isEmpty { return upper.isEmpty ? "ratio" : upper }
    return (upper.isEmpty ? "1" : upper) + "/" + lower
  }
}
