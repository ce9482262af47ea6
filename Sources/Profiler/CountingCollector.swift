// How often did each event happen in the whole process tree?
import CPerfEvent
import Glibc
import ProfileModel

/// Counts events from the target's exec on, in all threads and processes that it starts.
///
/// Each event is read on its own: members of a group were counted at the same time, and once the target has ended
/// nothing moves between two reads.
public final class CountingCollector: Collector {
  /// `counting`.
  public let name = "counting"
  /// Which step of the degradation ladder was reached, and why not a higher one.
  public private(set) var state = CollectorState("counting", .off)

  private let specs: [PerfEventSpec]
  private let isOff: Bool
  private let access: PerfAccess
  private var events: [Slot] = []
  private var startTime: UInt64 = 0
  private var endTime: UInt64?
  private var usage: TargetUsage?

  /// An event, opened or not.
  private struct Slot {
    var spec: PerfEventSpec
    var event: PerfEvent?
    var unavailable: Unavailable?
  }

  /// Makes a collector.
  ///
  /// - Parameters:
  ///   - events: What to count; see ``EventParser``.
  ///   - options: With `counters` off nothing is counted.
  ///   - access: What perf events offer here; tried out by default.
  public init(events: [PerfEventSpec], options: ProfileOptions, access: PerfAccess = .probe()) {
    specs = events
    isOff = options.counters == .off
    self.access = access
  }

  /// Opens the events on the suspended child.
  public func prepare(_ target: TargetContext) -> CollectorState {
    guard !isOff else {
      state = CollectorState(name, .off, reason: "switched off (--counters off)")
      return state
    }
    var leaders: [Int: PerfEvent] = [:]
    // A group is counted whole or not at all: where one member can't be opened, the next becomes the leader.
    for spec in specs {
      var slot = Slot(spec: spec)
      if spec.kind != .accounting {
        do {
          slot.event = try open(spec, pid: target.pid, leader: spec.group.flatMap { leaders[$0] })
          if let group = spec.group, leaders[group] == nil { leaders[group] = slot.event }
        } catch {
          slot.unavailable = error
        }
      }
      events.append(slot)
    }
    state = summary()
    return state
  }

  private func open(_ spec: PerfEventSpec, pid: Int32, leader: PerfEvent?) throws(Unavailable) -> PerfEvent {
    if let reason = access.noEvents { throw reason }
    if spec.kind == .hardware, let reason = access.noHardware { throw reason }
    if spec.kind == .software, spec.isKernelOnly, spec.excludesKernel {
      throw Unavailable("it happens in the kernel only, which :u leaves out", remedy: "name it without :u")
    }
    var attribute = spec.attribute()
    if leader != nil {
      // The leader starts them all; a member that waits for itself would never run.
      attribute.disabled = 0
      attribute.enable_on_exec = 0
    }
    do {
      return try PerfEvent.open(
        attribute, pid: pid, leader: leader, mayReduce: !spec.isKernelOnly && spec.kind != .device)
    } catch {
      throw access.explanation(of: error, opening: spec)
    }
  }

  /// Which step of the ladder was reached: hardware and kernel, user mode only, software only, accounting only.
  private func summary() -> CollectorState {
    if let reason = access.noEvents {
      return CollectorState(
        name, .degraded, method: "kernel accounting (rusage) only", reason: reason.reason, remedy: reason.remedy)
    }
    let opened = events.filter { $0.event != nil }
    let hasHardware = opened.contains { $0.spec.kind == .hardware }
    let isReduced = opened.contains { $0.event?.isReducedToUser == true }
    var causes: [Unavailable] = []
    for cause in events.compactMap(\.unavailable) + (isReduced ? [access.noKernel].compactMap(\.self) : [])
    where !causes.contains(cause) {
      causes.append(cause)
    }
    let method =
      (hasHardware ? "hardware and software events" : "software events")
      + (isReduced ? ", user mode only" : ", user and kernel") + ", whole process tree"
    let outcome: CollectorState.Outcome =
      opened.isEmpty && !events.contains { $0.spec.kind == .accounting } && !causes.isEmpty
      ? .unavailable : causes.isEmpty ? .measured : .degraded
    return CollectorState(
      name, outcome, method: outcome == .unavailable ? "" : method,
      reason: causes.isEmpty ? nil : causes.map(\.reason).joined(separator: "; "),
      remedy: causes.compactMap(\.remedy).first)
  }

  /// The events enabled themselves at the exec.
  public func start(monotonicNanoseconds: UInt64) { startTime = monotonicNanoseconds }

  /// Nothing to do: the kernel counts.
  public func tick(monotonicNanoseconds: UInt64) {}

  /// The counts are final now.
  public func stop(monotonicNanoseconds: UInt64) { endTime = monotonicNanoseconds }

  /// Takes the accounting, which stands in for events that could not be opened.
  public func targetReaped(_ usage: TargetUsage) { self.usage = usage }

  /// The counts so far, in the user's order.
  public func totals() -> [CounterTotal] { events.map(total) }

  /// Writes the counts so far.
  public func write(to transaction: ProfileTransaction, repetition: Int) throws {
    for (position, slot) in events.enumerated() {
      try transaction.counter(total(slot), position: position, repetition: repetition)
    }
  }

  private func total(_ slot: Slot) -> CounterTotal {
    let spec = slot.spec
    var total = CounterTotal(
      event: spec.name, unit: spec.unit, group: spec.group, value: .unavailable(Unavailable("not read")))
    if spec.kind == .accounting {
      total.value = accounted(spec)
      return total
    }
    guard let event = slot.event else {
      total.value = substitute(for: spec) ?? .unavailable(slot.unavailable ?? Unavailable("not opened"))
      return total
    }
    guard let words = try? event.read(3), words.count == 3 else {
      total.value = .unavailable(
        Unavailable("the event is in error: its counter could not be scheduled", remedy: "count fewer events at once"))
      return total
    }
    let reading = CounterReading(count: words[0], enabled: words[1], running: words[2])
    total.enabledNanoseconds = Int64(clamping: reading.enabled)
    total.runningNanoseconds = Int64(clamping: reading.running)
    let isCounter = spec.kind == .hardware || spec.kind == .device
    total.value = reading.value(
      isHardware: isCounter, scale: spec.scale,
      detail: event.isReducedToUser && !spec.isModeless ? "user mode only" : nil)
    return total
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

/// What reading a counter gives: a count, and for how long it was wanted and for how long it really ran.
struct CounterReading: Hashable {
  var count: UInt64
  /// Nanoseconds.
  var enabled: UInt64
  var running: UInt64

  /// The value with its provenance: exact when the counter always ran, scaled up by `enabled / running` when it took
  /// turns with others, and none when it never ran.
  ///
  /// - Parameters:
  ///   - isHardware: Whether a counter of the CPU or of a device counted, and not software.
  ///   - scale: Size of one count in the event's unit.
  ///   - detail: What the reader needs to know.
  func value(isHardware: Bool, scale: Double, detail: String?) -> Measured<Double> {
    let exact = Double(count) * scale
    guard isHardware else { return Measured(exact, .softwareCounter, detail: detail) }
    if running == 0 {
      return .unavailable(
        enabled == 0
          ? Unavailable("the target never ran while it was enabled")
          : Unavailable(
            "the counter never ran: its group needs more counters than are free",
            remedy: "count fewer events in a group, or free a counter: sudo sysctl kernel.nmi_watchdog=0"))
    }
    guard running < enabled else { return Measured(exact, .hardwareCounter, detail: detail) }
    let fraction = Double(running) / Double(enabled)
    return .measured(exact / fraction, Provenance(.scaledCounter, runningFraction: fraction, detail: detail))
  }
}
