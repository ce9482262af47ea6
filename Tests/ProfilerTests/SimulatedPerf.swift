// A kernel with perf events for tests: it permits, refuses and rotates as Linux does.
import CPerfEvent
import Glibc
import Synchronization

@testable import Profiler

/// Perf events of a machine that we do not have.
///
/// Permissions follow kernel/events/core.c as of Linux 6 (measured as an ordinary user at each paranoid level), group sizes
/// the drivers' `validate_group`, and turns `ctx_sched_in`: at each turn the first group goes to the end of the queue, groups
/// are put on the counters from the front, and behind the first that does not fit no other gets on.
final class SimulatedPerf: PerfSystem {
  /// A PMU of `/sys/bus/event_source/devices`.
  struct PMU {
    var type: UInt32
    /// Events that it can count at once.
    var counters: Int
    /// Whether it has `slots` and the events of its metric register, which need no counter of their own.
    var hasMetrics = false
    /// Whether it counts for the whole machine only, as `power` does.
    var isUncore = false
    /// Codes that it does not know.
    var unknown: Set<UInt64> = []
  }

  struct Settings {
    /// The PMUs of the CPU first; the first of them counts the kernel's own names.
    var pmus: [PMU] = []
    var paranoid = 2
    /// `CAP_PERFMON` or root.
    var isPrivileged = false
    /// Debian's and Ubuntu's kernels close everything to ordinary users from level 3 on.
    var closesAtLevelThree = false
    /// What a seccomp filter answers to every open.
    var filter: Int32?
    /// Nanoseconds of a turn.
    var turn: UInt64 = 4_000_000
    /// Whether one read gives all members of an inherited group; Linux 4.13 and later.
    var readsInheritedGroups = true
  }

  /// How a read goes wrong.
  enum ReadFailure {
    case error(Int32)
    /// So many words and no more; none is the error state.
    case words(Int)
  }

  fileprivate struct Event {
    var attribute: perf_event_attr
    var leader: Int32
    var members: [Int32] = []
    var isEnabled: Bool
    var enabled: UInt64 = 0
    var running: UInt64 = 0
    var count = 0.0
    var pmu: Int?
  }

  fileprivate struct State {
    var settings: Settings
    var events: [Int32: Event] = [:]
    /// Leaders on counters, in the order of their turns.
    var queue: [Int32] = []
    var next: Int32 = 1000
    var inTurn: UInt64 = 0
    var now: UInt64 = 0
    var opened = 0
    var refuse: (@Sendable (perf_event_attr, _ hasLeader: Bool) -> Int32?)?
    var readFailure: (@Sendable (perf_event_attr) -> ReadFailure?)?
    var onlyCore: UInt32?
  }
  private let state: Mutex<State>

  init(_ settings: Settings) { state = Mutex(State(settings: settings)) }

  /// Refuses what this says, by its `errno`.
  func refuse(_ rule: @escaping @Sendable (perf_event_attr, _ hasLeader: Bool) -> Int32?) {
    state.withLock { $0.refuse = rule }
  }

  /// Fails reads of events whose leader this names.
  func failReads(_ rule: @escaping @Sendable (perf_event_attr) -> ReadFailure?) {
    state.withLock { $0.readFailure = rule }
  }

  /// How many descriptors are open.
  var openCount: Int { state.withLock { $0.events.count } }

  // MARK: - Calls

  func open(_ attribute: perf_event_attr, pid: Int32, cpu: Int32, leader: Int32) throws(SystemCallError) -> Int32 {
    let result: Result<Int32, SystemCallError> = state.withLock { state in
      if let code = state.refusal(attribute, pid: pid, leader: leader) {
        return .failure(SystemCallError(call: "perf_event_open", code: code))
      }
      state.next += 1
      let descriptor = state.next
      let pmu = state.pmu(of: attribute)
      state.events[descriptor] = Event(
        attribute: attribute, leader: leader < 0 ? descriptor : leader,
        isEnabled: attribute.disabled == 0 && leader < 0, pmu: pmu)
      let head = leader < 0 ? descriptor : leader
      state.events[head]?.members.append(descriptor)
      if leader < 0 { state.queue.append(descriptor) }
      return .success(descriptor)
    }
    return try result.get()
  }

  func read(_ descriptor: Int32, _ count: Int) throws(SystemCallError) -> [UInt64] {
    let result: Result<[UInt64], SystemCallError> = state.withLock { state in
      guard let event = state.events[descriptor] else { return .failure(SystemCallError(call: "read", code: EBADF)) }
      let leader = state.events[event.leader] ?? event
      var words: [UInt64]
      if event.attribute.read_format & UInt64(PERF_FORMAT_GROUP.rawValue) != 0 {
        words = [UInt64(event.members.count), leader.enabled, leader.running]
        words += event.members.map { UInt64(state.events[$0]?.count ?? 0) }
      } else {
        words = [UInt64(event.count), leader.enabled, leader.running]
      }
      switch state.readFailure?(leader.attribute) {
      case .error(let code): return .failure(SystemCallError(call: "read", code: code))
      case .words(let few): words = Array(words.prefix(few))
      case nil: break
      }
      // A buffer that is too small is refused.
      return words.count > count ? .failure(SystemCallError(call: "read", code: ENOSPC)) : .success(words)
    }
    return try result.get()
  }

  func enable(_ descriptor: Int32) throws(SystemCallError) {
    state.withLock { $0.events[descriptor]?.isEnabled = true }
  }

  func disable(_ descriptor: Int32) throws(SystemCallError) {
    state.withLock { $0.events[descriptor]?.isEnabled = false }
  }

  func close(_ descriptor: Int32) {
    state.withLock { state in
      guard let event = state.events.removeValue(forKey: descriptor) else { return }
      state.queue.removeAll { $0 == descriptor }
      state.events[event.leader]?.members.removeAll { $0 == descriptor }
    }
  }

  // MARK: - Time

  /// The target's exec: what waits for it is enabled.
  func exec() {
    state.withLock { state in
      for (descriptor, event) in state.events where event.attribute.enable_on_exec == 1 {
        state.events[descriptor]?.isEnabled = true
      }
    }
  }

  /// Moves the target to cores of one PMU.
  func move(toCoresOf type: UInt32) { state.withLock { $0.onlyCore = type } }

  /// Lets the target run.
  ///
  /// - Parameter count: How often the event of that code happens from one time to another, nanoseconds since the beginning.
  func advance(
    _ nanoseconds: UInt64, count: (_ attribute: perf_event_attr, _ from: UInt64, _ to: UInt64) -> Double
  ) {
    state.withLock { state in
      var left = nanoseconds
      while left > 0 {
        let step = min(left, state.settings.turn - state.inTurn)
        state.run(step, count)
        state.now += step
        state.inTurn += step
        left -= step
        guard state.inTurn == state.settings.turn else { continue }
        state.inTurn = 0
        // Only groups of a PMU take turns.
        if let first = state.queue.firstIndex(where: { state.usesPMU($0) }) {
          state.queue.append(state.queue.remove(at: first))
        }
      }
    }
  }
}

extension SimulatedPerf.State {
  /// Index of the PMU that counts it; `nil` for the kernel's software.
  func pmu(of attribute: perf_event_attr) -> Int? {
    switch attribute.type {
    case PERF_TYPE_HARDWARE.rawValue, PERF_TYPE_HW_CACHE.rawValue:
      let type = UInt32(attribute.config >> 32)
      return settings.pmus.firstIndex { type == 0 ? !$0.isUncore : $0.type == type }
    case PERF_TYPE_SOFTWARE.rawValue, PERF_TYPE_TRACEPOINT.rawValue, PERF_TYPE_BREAKPOINT.rawValue: return nil
    default: return settings.pmus.firstIndex { $0.type == attribute.type }
    }
  }

  func usesPMU(_ leader: Int32) -> Bool { events[leader]?.members.contains { events[$0]?.pmu != nil } == true }

  private static func isMetric(_ attribute: perf_event_attr) -> Bool {
    attribute.type > 3 && (0x8000...0x8700).contains(attribute.config)
  }

  /// Counters that a group takes of each PMU.
  private func demand(_ leader: Int32) -> [Int: Int] {
    var demand: [Int: Int] = [:]
    for member in events[leader]?.members ?? [] {
      guard let event = events[member], let pmu = event.pmu else { continue }
      if settings.pmus[pmu].hasMetrics, Self.isMetric(event.attribute) || event.attribute.config == 0x400 { continue }
      demand[pmu, default: 0] += 1
    }
    return demand
  }

  /// The `errno` of an open, or `nil`.
  func refusal(_ attribute: perf_event_attr, pid: Int32, leader: Int32) -> Int32? {
    if let filter = settings.filter { return filter }
    if !settings.isPrivileged {
      if settings.closesAtLevelThree, settings.paranoid >= 3 { return EACCES }
      if pid == -1, settings.paranoid >= 1 { return EACCES }
      if attribute.exclude_kernel == 0, settings.paranoid >= 2 { return EACCES }
      if attribute.type == PERF_TYPE_TRACEPOINT.rawValue, settings.paranoid >= 2 { return EACCES }
    }
    if let code = refuse?(attribute, leader >= 0) { return code }
    if attribute.inherit == 1, attribute.read_format & UInt64(PERF_FORMAT_GROUP.rawValue) != 0,
      !settings.readsInheritedGroups
    {
      return EINVAL
    }
    switch attribute.type {
    case PERF_TYPE_SOFTWARE.rawValue: return attribute.config < 12 ? nil : ENOENT
    case PERF_TYPE_TRACEPOINT.rawValue: return nil
    case PERF_TYPE_BREAKPOINT.rawValue:
      return events.values.count { $0.attribute.type == PERF_TYPE_BREAKPOINT.rawValue } < 4 ? nil : ENOSPC
    default: break
    }
    guard let index = pmu(of: attribute) else { return ENOENT }
    let pmu = settings.pmus[index]
    if pmu.isUncore { return pid == -1 ? nil : EINVAL }
    if pmu.unknown.contains(attribute.config & 0xFFFF_FFFF), attribute.type != pmu.type { return ENOENT }
    if pmu.hasMetrics, Self.isMetric(attribute) {
      guard let head = events[leader], head.attribute.config == 0x400, head.pmu == index else { return EINVAL }
      return nil
    }
    guard leader >= 0 else { return nil }
    let taken = demand(leader)
    // One group is on one PMU of a CPU.
    if taken.keys.contains(where: { $0 != index }) { return EINVAL }
    return taken[index, default: 0] < pmu.counters ? nil : EINVAL
  }

  /// A span in which nothing changes on the counters.
  fileprivate mutating func run(_ step: UInt64, _ count: (perf_event_attr, UInt64, UInt64) -> Double) {
    var free = settings.pmus.map(\.counters)
    var isClosed = settings.pmus.map { _ in false }
    for leader in queue {
      guard let head = events[leader], head.isEnabled else { continue }
      events[leader]?.enabled += step
      let demand = demand(leader)
      let pmus = Set(head.members.compactMap { events[$0]?.pmu })
      // A group of another kind of core does not run here.
      if let onlyCore, pmus.contains(where: { settings.pmus[$0].type != onlyCore }) { continue }
      if pmus.contains(where: { isClosed[$0] }) { continue }
      guard demand.allSatisfy({ free[$0.key] >= $0.value }) else {
        for pmu in pmus { isClosed[pmu] = true }
        continue
      }
      for (pmu, counters) in demand { free[pmu] -= counters }
      events[leader]?.running += step
      for member in head.members {
        guard let event = events[member] else { continue }
        events[member]?.count += count(event.attribute, now, now + step)
      }
    }
  }
}
