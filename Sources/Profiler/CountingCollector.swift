// How often did each event happen in the whole process tree?
import CPerfEvent
import Glibc
import ProfileModel

/// Counts events from the target's exec on, in all threads and processes that it starts.
///
/// Members of a group are opened together and read with one call, so that a ratio's operands belong together. Groups that
/// take turns on the counters are read at every tick; see ``MultiplexEstimate``.
public final class CountingCollector: Collector {
  /// `counting`.
  public let name = "counting"
  /// Which step of the degradation ladder was reached, and why not a higher one.
  public private(set) var state = CollectorState("counting", .off)

  /// A share of the time below which a scaled count is an estimate from little.
  static let leastRunningShare = 0.2

  private let specs: [PerfEventSpec]
  private let isOff: Bool
  private let access: PerfAccess
  private let plan: CountingPlan?
  /// Which run of the plan this is.
  private let run: Int
  private var groups: [CountedGroup] = []
  /// Which group counts an event, and as which member, by position.
  private var places: [Int: (group: Int, member: Int)] = [:]
  private var refused: [Int: Unavailable] = [:]
  private var ticks = 0
  private var startTime: UInt64 = 0
  private var endTime: UInt64?
  private var usage: TargetUsage?

  /// Makes a collector.
  ///
  /// - Parameters:
  ///   - events: What to count; see ``EventParser``.
  ///   - options: With `counters` off nothing is counted.
  ///   - access: What perf events offer here; tried out by default.
  ///   - plan: Which events are counted in which run; `nil` for all in each.
  ///   - repetition: Which repetition this is: the plan's runs follow each other, again and again.
  public init(
    events: [PerfEventSpec], options: ProfileOptions, access: PerfAccess = .probe(), plan: CountingPlan? = nil,
    repetition: Int = 0
  ) {
    specs = events
    isOff = options.counters == .off
    self.access = access
    self.plan = plan.flatMap { $0.runs.count > 1 ? $0 : nil }
    run = repetition % max(1, plan?.runs.count ?? 1)
  }

  /// Whether this run counts an event.
  private func isWanted(_ position: Int) -> Bool { plan?.runs[run].contains(position) ?? true }

  /// Opens the events on the suspended child.
  public func prepare(_ target: TargetContext) -> CollectorState {
    guard !isOff else {
      state = CollectorState(name, .off, reason: "switched off (--counters off)")
      return state
    }
    var opener = GroupOpener(access: access, pid: target.pid)
    for members in Self.groups(of: specs) {
      groups += opener.open(members.filter { isWanted($0.position) })
    }
    refused = opener.refused
    for (index, group) in groups.enumerated() {
      for (member, position) in group.positions.enumerated() { places[position] = (index, member) }
    }
    state = summary(of: [])
    return state
  }

  /// Events that are wanted together, in the order in which they were named; those without a group are alone.
  static func groups(of specs: [PerfEventSpec]) -> [[(position: Int, spec: PerfEventSpec)]] {
    var result: [[(position: Int, spec: PerfEventSpec)]] = []
    var known: [Int: Int] = [:]
    for (position, spec) in specs.enumerated() where spec.kind != .accounting {
      if let group = spec.group, let index = known[group] {
        result[index].append((position, spec))
      } else {
        if let group = spec.group { known[group] = result.count }
        result.append([(position, spec)])
      }
    }
    return result
  }

  /// Which step of the ladder was reached: hardware and kernel, user mode only, software only, accounting only.
  private func summary(of totals: [CounterTotal]) -> CollectorState {
    if let reason = access.noEvents {
      return CollectorState(
        name, .degraded, method: "kernel accounting (rusage) only", reason: reason.reason, remedy: reason.remedy)
    }
    let hasHardware = places.keys.contains { specs[$0].kind == .hardware }
    let isReduced = groups.contains { $0.parts.contains { $0.events.contains(where: \.isReducedToUser) } }
    var causes: [Unavailable] = []
    let found =
      refused.sorted { $0.key < $1.key }.map(\.value) + (isReduced ? [access.noKernel].compactMap(\.self) : [])
      + Self.causes(in: totals)
    for cause in found where !causes.contains(cause) { causes.append(cause) }
    let method =
      (hasHardware ? "hardware and software events" : "software events")
      + (isReduced ? ", user mode only" : ", user and kernel") + ", whole process tree"
      + (plan.map { "; run \(run + 1) of the \($0.runs.count) that count all events" } ?? "")
    let outcome: CollectorState.Outcome =
      groups.isEmpty && !specs.contains { $0.kind == .accounting } && !causes.isEmpty
      ? .unavailable : causes.isEmpty ? .measured : .degraded
    return CollectorState(
      name, outcome, method: outcome == .unavailable ? "" : method,
      reason: causes.isEmpty ? nil : causes.map(\.reason).joined(separator: "; "),
      remedy: causes.compactMap(\.remedy).first)
  }

  /// What counting itself turned out to lack: events that never ran, and those that ran too little.
  private static func causes(in totals: [CounterTotal]) -> [Unavailable] {
    var causes = totals.compactMap { total in
      total.enabledNanoseconds > 0 && total.runningNanoseconds == 0 ? total.value.unavailable : nil
    }
    let rare = totals.count { ($0.value.provenance?.runningFraction ?? 1) < leastRunningShare }
    if rare > 0 {
      causes.append(
        Unavailable(
          "\(rare) \(rare == 1 ? "event" : "events") ran less than \(Int(leastRunningShare * 100)) % of the time",
          remedy: "count fewer events at once (-e), or all in several runs: --no-multiplex"))
    }
    return causes
  }

  /// The events enabled themselves at the exec.
  public func start(monotonicNanoseconds: UInt64) { startTime = monotonicNanoseconds }

  /// Reads the groups that take turns. A read of inherited events costs an interrupt for each thread that runs, so groups
  /// which so far always ran are looked at once a second.
  public func tick(monotonicNanoseconds: UInt64) {
    ticks += 1
    look { $0.isHardware && ($0.takesTurns || ticks % 10 == 1) }
  }

  /// Reads groups, and has each know how the others changed.
  private func look(at isWanted: (CountedGroup) -> Bool) {
    for index in groups.indices where isWanted(groups[index]) { groups[index].look() }
    let turns = groups.indices.filter { groups[$0].takesTurns }
    let changes = turns.map { groups[$0].estimate.changes }
    let single = OthersMean(changes.map(\.single))
    let pairs = OthersMean(changes.map(\.pairs))
    for (place, index) in turns.enumerated() {
      groups[index].estimate.settle(common: (single.without(place), pairs.without(place)))
    }
  }

  /// The mean of all values but one.
  private struct OthersMean {
    let values: [Double?]
    let sum: Double
    let count: Int

    init(_ values: [Double?]) {
      self.values = values
      sum = values.reduce(0) { $0 + ($1 ?? 0) }
      count = values.count { $0 != nil }
    }

    func without(_ place: Int) -> Double? {
      let others = count - (values[place] == nil ? 0 : 1)
      return others > 0 ? (sum - (values[place] ?? 0)) / Double(others) : nil
    }
  }

  /// The counts are final now.
  public func stop(monotonicNanoseconds: UInt64) {
    endTime = monotonicNanoseconds
    guard !isOff else { return }
    look { _ in true }
    state = summary(of: totals())
  }

  /// Takes the accounting, which stands in for events that could not be opened.
  public func targetReaped(_ usage: TargetUsage) { self.usage = usage }

  /// The counts so far, in the user's order.
  public func totals() -> [CounterTotal] {
    guard !isOff else { return [] }
    let counts = groups.map { $0.totals(specs, isHybrid: access.corePMUs.count > 1) }
    return specs.indices.map { position in
      let spec = specs[position]
      var total = CounterTotal(
        event: spec.name, unit: spec.unit, group: spec.group, value: .unavailable(Unavailable("not opened")))
      if spec.kind == .accounting {
        total.value = accounted(spec)
      } else if let plan, !isWanted(position), let other = plan.run(of: position) {
        total.value = .unavailable(
          Unavailable("it is counted in run \(other + 1) of \(plan.runs.count), not in this one"))
      } else if let place = places[position] {
        total = counts[place.group][place.member]
      } else {
        total.value = substitute(for: spec) ?? .unavailable(refused[position] ?? Unavailable("not opened"))
      }
      return total
    }
  }

  /// Writes the counts so far.
  public func write(to transaction: ProfileTransaction, repetition: Int) throws {
    for (position, total) in totals().enumerated() {
      try transaction.counter(total, position: position, repetition: repetition)
    }
  }

  /// perf's tool events.
  private func accounted(_ spec: PerfEventSpec) -> Measured<Double> {
    if spec.name == "duration_time" {
      let end = endTime ?? Clock.monotonic
      return startTime == 0
        ? .unavailable(Unavailable("the target has not started")) : Measured(Double(end - startTime), .clock)
    }
    guard let usage else { return .unavailable(Unavailable("known only when the target has ended")) }
    return Measured(
      Double(spec.name == "user_time" ? usage.userNanoseconds : usage.systemNanoseconds), .kernelAccounting,
      detail: TargetUsage.scope)
  }

  /// The kernel's own accounting of what could not be counted.
  private func substitute(for spec: PerfEventSpec) -> Measured<Double>? {
    guard let usage, spec.kind == .software, !spec.excludesUser, !spec.excludesKernel else { return nil }
    let value: Int64? =
      switch spec.config {
      case UInt64(PERF_COUNT_SW_TASK_CLOCK.rawValue), UInt64(PERF_COUNT_SW_CPU_CLOCK.rawValue):
        usage.userNanoseconds + usage.systemNanoseconds
      case UInt64(PERF_COUNT_SW_CONTEXT_SWITCHES.rawValue):
        usage.voluntarySwitches + usage.involuntarySwitches
      case UInt64(PERF_COUNT_SW_PAGE_FAULTS.rawValue): usage.minorFaults + usage.majorFaults
      case UInt64(PERF_COUNT_SW_PAGE_FAULTS_MIN.rawValue): usage.minorFaults
      case UInt64(PERF_COUNT_SW_PAGE_FAULTS_MAJ.rawValue): usage.majorFaults
      default: nil
      }
    return value.map { Measured(Double($0), .kernelAccounting, detail: TargetUsage.scope) }
  }
}
