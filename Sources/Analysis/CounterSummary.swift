// What did the event counters say, and which ratios follow from them?
import ProfileModel

/// Event totals of the shown repetition, and ratios of them.
public struct CounterSummary: Codable, Sendable, Equatable {
  /// The counts, in the user's order.
  public var counters: [CounterTotal]
  /// Ratios with their formulas in the provenance: threads busy, instructions per cycle, misses per kilo-instruction …
  /// Those whose events were not counted are unavailable with the reason of the missing event.
  public var ratios: [NamedQuantity]
}

extension CounterSummary {
  static func of(_ run: Run) -> CounterSummary {
    func ratio(
      _ name: String, _ label: String, _ unit: String, _ a: Measured<Double>, _ b: Measured<Double>, _ formula: String,
      factor: Double = 1, of events: [String]
    ) -> NamedQuantity {
      var quantity = NamedQuantity(
        name, label: label, unit: unit, .combine(a, b, detail: formula) { $0 / $1 * factor })
      quantity.interval = quantity.value.value.flatMap { interval(of: $0, events.compactMap(run.total)) }
      return quantity
    }
    let wall: Measured<Double> =
      run.wall > 0
      ? Measured(Double(run.wall), .clock) : .unavailable(Unavailable("the profile holds no wall time of this run"))
    let instructions = run.count("instructions")
    return CounterSummary(
      counters: run.counters.map { counter in
        guard let value = counter.value.value, !value.isFinite else { return counter }
        var counter = counter
        counter.value = .unavailable(Unavailable("not a number in this profile"))
        return counter
      },
      ratios: [
        ratio("cpu.busy", "hardware threads busy", "1", run.cpuTime, wall, "CPU time ÷ wall time", of: []),
        ratio(
          "context_switches.rate", "context switches", "1/s", run.count("context-switches"), run.cpuTime,
          "context-switches ÷ CPU time", factor: 1e9, of: ["context-switches"]),
        ratio(
          "page_faults.rate", "page faults", "1/s", run.count("page-faults"), run.cpuTime, "page-faults ÷ CPU time",
          factor: 1e9, of: ["page-faults"]),
        ratio(
          "ipc", "instructions per cycle", "1", instructions, run.count("cycles"), "instructions ÷ cycles",
          of: ["instructions", "cycles"]),
        ratio(
          "frequency", "clock while busy", "Hz", run.count("cycles"), run.cpuTime, "cycles ÷ CPU time", factor: 1e9,
          of: ["cycles", "task-clock"]),
        ratio(
          "branch.miss_share", "branches mispredicted", "1", run.count("branch-misses"), run.count("branches"),
          "branch-misses ÷ branches", of: ["branch-misses", "branches"]),
        ratio(
          "cache.mpki", "last-level cache misses per 1000 instructions", "1", run.count("cache-misses"), instructions,
          "1000 × cache-misses ÷ instructions", factor: 1000, of: ["cache-misses", "instructions"]),
        ratio(
          "l1d.miss_share", "L1 data loads that miss", "1", run.count("L1-dcache-load-misses"),
          run.count("L1-dcache-loads"), "L1-dcache-load-misses ÷ L1-dcache-loads",
          of: ["L1-dcache-load-misses", "L1-dcache-loads"]),
        ratio(
          "dtlb.mpki", "data TLB load misses per 1000 instructions", "1", run.count("dTLB-load-misses"), instructions,
          "1000 × dTLB-load-misses ÷ instructions", factor: 1000, of: ["dTLB-load-misses", "instructions"]),
      ])
  }

  /// Where a quotient of counts lies with 95 % probability, to first order: the relative half widths of the operands,
  /// added as squares. Operands that were counted at the same time err together, which makes the truth closer than this;
  /// `nil` when all of them are exact.
  static func interval(of value: Double, _ operands: [CounterTotal]) -> Interval? {
    var squares = 0.0
    for operand in operands {
      guard let interval = operand.interval, let count = operand.value.value, count > 0 else {
        // A scaled count of which nobody can tell how sure it is makes the quotient such.
        if operand.value.provenance?.source == .scaledCounter { return nil }
        continue
      }
      let relative = (interval.upperBound - interval.lowerBound) / 2 / count
      squares += relative * relative
    }
    guard squares > 0, value.isFinite, squares.isFinite else { return nil }
    let half = abs(value) * squares.squareRoot()
    return Interval(lower: Swift.max(0, value - half), upper: value + half)
  }
}
