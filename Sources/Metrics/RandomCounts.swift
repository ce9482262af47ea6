// Which counts could a run have had, as far as what always holds between them goes?
import ProfileModel

/// SplitMix64 (Steele, Lea, Flood 2014): the same counts in every run of the checks.
struct SplitMix: RandomNumberGenerator {
  var state: UInt64
  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var z = state
    z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
    z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
    return z ^ (z >> 31)
  }
}

/// Random counts of one family, not negative and consistent: each relation of the family holds.
struct RandomCounts {
  private let family: MetricFamily
  private(set) var events: [String: Double] = [:]
  private var constants: [String: Double] = [:]

  /// Makes counts from 1 to 10¹⁰, some 0; `nil` when they could not be made to fit.
  init?(_ family: MetricFamily, _ random: inout SplitMix) {
    self.family = family
    for constant in family.constants {
      constants[constant.name] = constant.value ?? Double.random(in: 1...1000, using: &random)
    }
    for event in family.events {
      let isZero = Double.random(in: 0..<1, using: &random) < 0.02
      events[event.name] = isZero ? 0 : exp10(Double.random(in: 0...10, using: &random))
    }
    // Scaling the left side down never breaks a relation with the same events on its left, so it comes to an end.
    for _ in 0..<60 {
      var isConsistent = true
      for relation in family.consistency {
        guard let left = value(relation.left), let right = value(relation.right) else { continue }
        let isOff = relation.isEqual ? abs(left - right) > 1e-12 * max(left, right) : left > right * (1 + 1e-12)
        guard isOff else { continue }
        isConsistent = false
        let moved = Set(relation.left.names).subtracting(relation.right.names)
        let share = relation.isEqual ? 1 : Double.random(in: 0.3..<1, using: &random)
        let factor = left > 0 && right > 0 ? right / left * share : 0
        for name in moved { events[name] = events[name].map { $0 * factor } }
      }
      if isConsistent { return }
    }
    return nil
  }

  private func exp10(_ exponent: Double) -> Double {
    var value = 1.0
    for _ in 0..<Int(exponent) { value *= 10 }
    return value * (1 + 9 * (exponent - exponent.rounded(.down)))
  }

  private func value(_ formula: Formula) -> Double? {
    (try? formula.value { name throws(Unavailable) in try operand(name) })?.value
  }

  private func operand(_ name: String) throws(Unavailable) -> Dual {
    if let number = events[name] ?? constants[name] { return Dual(value: number) }
    guard let metric = family.metric(name) else { throw Unavailable("unknown name '\(name)'") }
    return try metric.formula.value { name throws(Unavailable) in try operand(name) }
  }

  /// The value of a metric; `nil` where it would divide by zero.
  func value(_ metric: String) -> Double? { family.metric(metric).flatMap { value($0.formula) } }

  /// The counts that a metric came from, for a message.
  func counts(of metric: Metric) -> [String] {
    family.events(of: metric).map { "\($0.name) = \(events[$0.name] ?? 0)" }
  }

  /// Levels of the top-down tree whose parts don't add up to the whole.
  func sums(reported: inout Set<String>) -> [(line: Int?, message: String)] {
    var problems: [(line: Int?, message: String)] = []
    func check(_ whole: String, _ target: Double?, _ parts: [Metric]) {
      let values = parts.compactMap { value($0.name) }
      guard let target, !parts.isEmpty, values.count == parts.count, !reported.contains("sum of \(whole)") else {
        return
      }
      let sum = values.reduce(0, +)
      guard abs(sum - target) > 1e-9 else { return }
      reported.insert("sum of \(whole)")
      problems.append((parts[0].line, "the parts of \(whole) add up to \(sum) and not to \(target)"))
    }
    let first = family.level(1)
    check("level 1", 1, first)
    for parent in first { check(parent.name, value(parent.name), family.level(2, of: parent.name)) }
    return problems
  }
}
