// What do a metric's counts come to, and how sure is it?
import ProfileModel

/// The counts of one run, and what else is known about it, for the formulas of one family.
///
/// The 95 % interval of a metric is propagated to first order: the half widths of its counts' intervals, each times the
/// formula's slope by that count, are added in quadrature (JCGM 100:2008, 5.1.2). Counts are taken as independent.
public struct MetricEvaluation: Sendable {
  private let family: MetricFamily
  private let counters: [CounterTotal]
  private let quantities: [String: Measured<Double>]
  private let reason: Unavailable?
  private let indices: [String: [Int]]

  /// Makes an evaluation.
  ///
  /// - Parameters:
  ///   - counters: The run's counts. One event may be there several times, in several groups.
  ///   - quantities: What the constants of the family are looked up in.
  ///   - reason: Why nothing was counted at all, where that is so; it then stands for every missing event.
  public init(
    _ family: MetricFamily, counters: [CounterTotal], quantities: [String: Measured<Double>] = [:],
    reason: Unavailable? = nil
  ) {
    self.family = family
    self.counters = counters
    self.quantities = quantities
    self.reason = reason
    var indices: [String: [Int]] = [:]
    for (index, counter) in counters.enumerated() {
      // A PMU that is there several times has a counter each: `imc_reads@uncore_imc_0`.
      let name = counter.event.split(separator: "@", maxSplits: 1).first.map(String.init) ?? counter.event
      indices[name, default: []].append(index)
      if name != counter.event { indices[counter.event, default: []].append(index) }
    }
    self.indices = indices
  }

  /// A metric's value with its 95 % interval.
  public struct Result: Hashable, Sendable {
    /// The value, with provenance `derived` and the smallest running share of its counts.
    public var value: Measured<Double>
    /// Where the true value lies with 95 % probability; `nil` when all counts are exact, or when it can't be told.
    public var interval: ClosedRange<Double>?
  }

  /// The value of a metric.
  ///
  /// Without a value: an event's or a constant's own reason, a division by zero, or counts that contradict each other
  /// so much that the value is out of its range.
  public func result(_ metric: Metric) -> Result {
    do {
      return try finished(metric, try value(of: metric, preferring: nil, Known()))
    } catch {
      return Result(value: .unavailable(error), interval: nil)
    }
  }

  private func finished(_ metric: Metric, _ dual: Dual) throws(Unavailable) -> Result {
    guard dual.value.isFinite else { throw Unavailable("\(metric.title) is no number") }
    var value = dual.value
    var detail = metric.isEstimate ? "estimate: \(metric.formula.text)" : metric.formula.text
    if let range = metric.range, !range.contains(value) {
      let slack = Self.slack * (range.upperBound - range.lowerBound)
      guard value > range.lowerBound - slack, value < range.upperBound + slack else {
        throw Unavailable(
          "the counts contradict each other: \(metric.title) would be \(Self.short(value)), out of "
            + "\(Self.short(range.lowerBound))…\(Self.short(range.upperBound))",
          remedy: "count fewer events at once, or run longer")
      }
      // Counts that took turns, or whose counters start some cycles apart, miss the edge by a little.
      value = min(max(value, range.lowerBound), range.upperBound)
      detail += "; \(Self.short(dual.value)) taken for \(Self.short(value))"
    }
    let fractions = dual.gradient.keys.compactMap { counters[$0].value.provenance?.runningFraction }
    let provenance = Provenance(.derived, runningFraction: fractions.min(), detail: detail)
    return Result(value: .measured(value, provenance), interval: interval(metric, value, dual))
  }

  /// How far beyond its range a value is still taken for its edge, as a share of the range.
  static let slack = 0.05

  private static func short(_ value: Double) -> String {
    "\((value * 10_000).rounded() / 10_000)"
  }

  private func interval(_ metric: Metric, _ value: Double, _ dual: Dual) -> ClosedRange<Double>? {
    var variance = 0.0
    for (index, slope) in dual.gradient.sorted(by: { $0.key < $1.key }) {
      let counter = counters[index]
      if let interval = counter.interval {
        let halfWidth = (interval.upperBound - interval.lowerBound) / 2
        variance += slope * slope * halfWidth * halfWidth
      } else if let fraction = counter.value.provenance?.runningFraction, fraction < 1 {
        return nil
      }
    }
    guard variance > 0, variance.isFinite else { return nil }
    let halfWidth = variance.squareRoot()
    guard let range = metric.range else { return value - halfWidth...value + halfWidth }
    return max(value - halfWidth, range.lowerBound)...min(value + halfWidth, range.upperBound)
  }

  /// Metrics that were computed on the way to another one, so that none is computed twice.
  private final class Known {
    var values: [String: Swift.Result<Dual, Unavailable>] = [:]
    var depth = 0
  }

  /// Operands of one formula are taken from one group, so that they were counted at the same time.
  private func value(of metric: Metric, preferring caller: Int?, _ known: Known) throws(Unavailable) -> Dual {
    let group = bestGroup(for: metric, preferring: caller)
    let key = "\(metric.name) \(group ?? -1)"
    if let value = known.values[key] { return try value.get() }
    // A family that passed its check has no cycle.
    known.depth += 1
    defer { known.depth -= 1 }
    guard known.depth < 64 else { throw Unavailable("'\(metric.name)' refers to itself") }
    let result: Swift.Result<Dual, Unavailable>
    do {
      result = .success(
        try metric.formula.value { name throws(Unavailable) in
          if let event = family.event(name) { return try count(event, in: group) }
          if let constant = family.constant(name) { return try number(constant) }
          guard let part = family.metric(name) else { throw Unavailable("'\(name)' is not in the catalogue") }
          return try value(of: part, preferring: group, known)
        })
    } catch {
      result = .failure(error)
    }
    known.values[key] = result
    return try result.get()
  }

  private func bestGroup(for metric: Metric, preferring caller: Int?) -> Int? {
    var found: [Int: Int] = [:]
    for event in family.events(of: metric) {
      for group in Set((indices[event.counterName] ?? []).compactMap { measured($0) ? counters[$0].group : nil }) {
        found[group, default: 0] += 1
      }
    }
    if let caller, let best = found.values.max(), found[caller] == best { return caller }
    return found.max { ($0.value, $1.key) < ($1.value, $0.key) }?.key
  }

  private func measured(_ index: Int) -> Bool { counters[index].value.value?.isFinite ?? false }

  private func count(_ event: MetricEvent, in group: Int?) throws(Unavailable) -> Dual {
    let places = indices[event.counterName] ?? []
    if event.isMachineWide, places.count > 1 {
      var sum = Dual(value: 0)
      for index in places { sum = sum + (try single(index, event)) }
      return sum
    }
    let candidates = places.filter(measured)
    let index =
      candidates.first { group != nil && counters[$0].group == group } ?? candidates.first ?? places.first
    guard let index else {
      throw reason ?? Unavailable("\(event.counterName) was not counted", remedy: "kiviat profile without -e")
    }
    return try single(index, event)
  }

  private func single(_ index: Int, _ event: MetricEvent) throws(Unavailable) -> Dual {
    switch counters[index].value {
    case .unavailable(let why): throw why
    case .measured(let value, _):
      guard value.isFinite else { throw Unavailable("\(event.counterName) is not a number in this profile") }
      // The gradient is by the count as the profile has it, whose interval is in the same unit.
      return Dual(value: value * event.scale, gradient: [index: event.scale])
    }
  }

  private func number(_ constant: MetricConstant) throws(Unavailable) -> Dual {
    if let name = constant.quantity, let measured = quantities[name] {
      switch measured {
      case .measured(let value, _) where value.isFinite: return Dual(value: value)
      case .measured: throw Unavailable("\(name) is not a number in this profile")
      case .unavailable(let why): if constant.value == nil { throw why }
      }
    }
    guard let value = constant.value else {
      throw Unavailable("\(constant.quantity ?? constant.name) is not in this profile")
    }
    return Dual(value: value)
  }
}
