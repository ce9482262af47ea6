// Which events happened in which kernels: per call, per operation, per byte, and the ratios that tell what a kernel waits for?
import ProfileModel

/// Events counted in the traced kernels of the main thread, self only, with the threads that worked for them.
public struct KernelEvents: Codable, Sendable, Equatable {
  /// An event's count over kernels taken together.
  public struct Count: Codable, Sendable, Equatable {
    /// The event.
    public var event: String
    /// `1` or `ns`.
    public var unit: String
    /// The count.
    public var value: Measured<Double>
    /// Where the true count lies with 95 % probability; `nil` for an exact count, and where it can't be told.
    public var interval: Interval?
    /// Mean of a call.
    public var perCall: Double?
    /// Share of what all counted kernels of the main thread have, 0…1.
    public var share: Double?
  }
  /// Kernels taken together.
  public struct Row: Codable, Sendable, Equatable {
    /// The category, or the operation's name.
    public var name: String
    /// The category in which they spend most of their time.
    public var category: KernelCategory
    /// Calls of those that were counted.
    public var calls: Int64
    /// Self time of those that were counted.
    public var nanoseconds: Int64
    /// Share of their self time that is of kernels that were counted, 0…1.
    public var counted: Double
    /// By event, in one order in all rows.
    public var counts: [Count]
    /// What follows: instructions per cycle, misses per 1000 instructions, instructions a FLOP, page faults a MiB. Only
    /// what the events allow.
    public var ratios: [NamedQuantity]
  }
  /// An event's count in all kernels against the whole run.
  public struct Total: Codable, Sendable, Equatable {
    /// The event.
    public var event: String
    /// `1` or `ns`.
    public var unit: String
    /// The count in the main thread's kernels.
    public var inKernels: Measured<Double>
    /// The share of the run's count that it is, 0…1; all processes and threads are the whole.
    public var shareOfRun: Measured<Double>
  }
  /// The events.
  public var totals: [Total]
  /// By category, most time first.
  public var categories: [Row]
  /// By name, most time first: those that make up 95 % of the counted time, at most ``limit``.
  public var kernels: [Row]
  /// Number of kernels by name, also of those not listed.
  public var kernelCount: Int

  /// How many kernels are listed at most.
  public static let limit = 40
}

extension KernelEvents {
  static func of(_ run: Run) -> Measured<KernelEvents> {
    guard !run.data.kernelCounters.isEmpty else {
      return .unavailable(
        run.failure(of: "kernel-counters")
          ?? run.failure(of: "kernel-trace")
          ?? Unavailable("no events were counted by kernel", remedy: "kiviat profile --kernel-events auto BENCHMARK"))
    }
    let kernels = run.mainKernels
    guard !kernels.isEmpty else { return .unavailable(run.noKernels) }
    let counters = Counters(run.data.kernelCounters, kernels: kernels)
    guard !counters.events.isEmpty else {
      return .unavailable(Unavailable("events were counted in no kernel of the main thread"))
    }
    let categories = counters.rows(KernelHotspots.group(kernels) { $0.category }) { $0.category.rawValue }
    let byName = counters.rows(KernelHotspots.group(kernels) { $0.name }) { $0.kernels[0].name }
    var listed: [Row] = []
    let whole = byName.sum(\.nanoseconds)
    var sum: Int64 = 0
    for row in byName.prefix(limit) where fraction(sum, of: whole) < 0.95 {
      listed.append(row)
      sum.add(row.nanoseconds)
    }
    let all = KernelGroup(kernels: kernels)
    let totals = counters.counts(all).map { count in
      Total(
        event: count.event, unit: count.unit, inKernels: count.value,
        shareOfRun: .combine(
          count.value, run.total(of: count.event), detail: "in the main thread's kernels ÷ in the whole process tree"
        ) { $0 / $1 })
    }
    return Measured(
      KernelEvents(totals: totals, categories: categories, kernels: listed, kernelCount: byName.count), .derived,
      detail: run.collector("kernel-counters")?.method)
  }

  /// Counts by kernel and event.
  private struct Counters {
    private(set) var events: [(name: String, unit: String)] = []
    private var records: [Int64: [String: KernelCounter]] = [:]
    private var wholes: [String: Double] = [:]

    init(_ counters: [KernelCounter], kernels: [KernelRecord]) {
      let main = Set(kernels.map(\.id))
      var known: [String: String] = [:]
      for counter in counters where main.contains(counter.kernel) {
        if known.updateValue(counter.unit, forKey: counter.event) == nil {
          events.append((counter.event, counter.unit))
        }
        if counter.value.value?.isFinite != false { records[counter.kernel, default: [:]][counter.event] = counter }
        if let value = counter.value.value, value.isFinite { wholes[counter.event, default: 0] += value }
      }
      // What is counted most is not what matters most: the order of names is as good as any, and stable.
      events.sort { $0.name < $1.name }
    }

    /// Groups with counts, most time first.
    func rows(_ groups: [(item: KernelGroup, nanoseconds: Int64)], name: (KernelGroup) -> String) -> [Row] {
      groups.compactMap { group, nanoseconds -> Row? in
        guard group.kernels.contains(where: { records[$0.id] != nil }) else { return nil }
        let counted = KernelGroup(
          kernels: group.kernels.filter { records[$0.id]?.values.contains { $0.value.value != nil } == true })
        let counts = counts(group)
        return Row(
          name: name(group), category: group.category, calls: counted.kernels.sum(\.calls),
          nanoseconds: counted.nanoseconds,
          counted: nanoseconds > 0 ? fraction(counted.nanoseconds, of: nanoseconds) : 1, counts: counts,
          ratios: Self.ratios(counts, counted))
      }.sorted { ($1.nanoseconds, $0.name) < ($0.nanoseconds, $1.name) }
    }

    func counts(_ group: KernelGroup) -> [Count] {
      events.map { event in
        var sum = 0.0
        var variance = 0.0
        var unknown = 0.0
        var calls: Int64 = 0
        var found: [Provenance] = []
        var why: Unavailable?
        var wanted = 0
        for kernel in group.kernels {
          guard let counter = records[kernel.id]?[event.name] else { continue }
          wanted += 1
          switch counter.value {
          case .unavailable(let unavailable): why = why ?? unavailable
          case .measured(let value, let provenance):
            sum += value
            calls.add(kernel.calls)
            found.append(provenance)
            if let interval = counter.interval {
              // Cut off at zero on the left, so the right half is the margin.
              let margin = interval.upperBound - value
              variance += margin * margin
            } else if provenance.source == .sampled {
              unknown += value
            }
          }
        }
        guard !found.isEmpty, sum.isFinite, variance.isFinite else {
          return Count(
            event: event.name, unit: event.unit,
            value: .unavailable(why ?? Unavailable("not counted in these kernels")))
        }
        let margin = variance.squareRoot()
        let whole = wholes[event.name] ?? 0
        return Count(
          event: event.name, unit: event.unit,
          value: .measured(sum, Self.provenance(found, wanted: wanted)),
          // Where the error of more than a hundredth is unknown, that of the sum is.
          interval: margin > 0 && unknown <= 0.01 * sum
            ? Interval(lower: max(0, sum - margin), upper: sum + margin) : nil,
          perCall: calls > 0 ? sum / Double(calls) : nil, share: whole > 0 ? sum / whole : nil)
      }
    }

    /// The weakest of the sources, and the smallest share of time.
    private static func provenance(_ all: [Provenance], wanted: Int) -> Provenance {
      let sources: [Provenance.Source] = [.sampled, .scaledCounter, .hardwareCounter, .softwareCounter]
      let source = sources.first { source in all.contains { $0.source == source } } ?? all[0].source
      let sampled = all.count { $0.source == .sampled }
      var details: [String] = []
      if sampled > 0, all.count > 1 {
        details.append("\(sampled) of \(all.count) variants estimated from some of their calls")
      }
      if sampled > 0, all.count == 1, let detail = all[0].detail { details.append(detail) }
      if all.count < wanted { details.append("\(wanted - all.count) variants not counted") }
      return Provenance(
        source, runningFraction: all.compactMap(\.runningFraction).min(),
        detail: details.isEmpty ? nil : details.joined(separator: "; "))
    }

    private static func ratios(_ counts: [Count], _ group: KernelGroup) -> [NamedQuantity] {
      var ratios: [NamedQuantity] = []
      func count(_ event: String) -> Measured<Double>? { counts.first { $0.event == event }?.value }
      func add(
        _ name: String, _ label: String, _ unit: String, _ a: Measured<Double>?, _ b: Measured<Double>?,
        _ formula: String, factor: Double = 1
      ) {
        guard let a, let b, a.value != nil, b.value != nil else { return }
        let ratio = Measured.combine(a, b, detail: formula) { $0 / $1 * factor }
        if ratio.value != nil { ratios.append(NamedQuantity(name, label: label, unit: unit, ratio)) }
      }
      let instructions = count("instructions")
      let cycles = count("cycles") ?? count("cpu-cycles")
      add("ipc", "instructions a cycle", "1", instructions, cycles, "instructions ÷ cycles")
      let llc = counts.contains { $0.event == "cache-misses" } ? "cache-misses" : "LLC-load-misses"
      add(
        "llc.mpki", "last-level misses per 1000 instructions", "1", count(llc), instructions,
        "1000 × \(llc) ÷ instructions", factor: 1000)
      add(
        "branch.mpki", "branch misses per 1000 instructions", "1", count("branch-misses"), instructions,
        "1000 × branch-misses ÷ instructions", factor: 1000)
      // Work of the kernels that have some: none is not zero.
      let flops = group.sum(\.flops)
      let bytes = group.sum(\.bytes)
      if flops.value ?? 0 > 0 {
        add(
          "instructions.per_flop", "instructions a FLOP", "1", instructions, flops,
          "instructions ÷ FLOPs of the kernels")
      }
      if bytes.value ?? 0 > 0 {
        let faults = counts.contains { $0.event == "page-faults" } ? "page-faults" : "minor-faults"
        add(
          "page_faults.per_mebibyte", "page faults a MiB", "1", count(faults), bytes,
          "2²⁰ × \(faults) ÷ bytes of the operands", factor: 1_048_576)
      }
      return ratios
    }
  }
}

extension Run {
  /// The count of an event over the whole run, also where it is known under another name.
  fileprivate func total(of event: String) -> Measured<Double> {
    let count = count(event)
    guard count.value == nil, event == "page-faults" || event == "faults" else { return count }
    return .combine(self.count("minor-faults"), self.count("major-faults"), detail: "minor + major page faults") {
      $0 + $1
    }
  }
}
