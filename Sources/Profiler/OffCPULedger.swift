// What did each thread's time go to? Kept as a ledger that context-switch records are booked into.
import ProfileModel

/// The time of one thread, by what it did. The parts add up to its lifetime by construction: every nanosecond since
/// ``start`` is booked when the state changes.
struct ThreadLedger {
  enum Activity: Hashable {
    case running
    /// Waiting for a CPU.
    case runnable
    /// Blocked, under the number of the kernel stack that it blocked in; −1 when that is not known.
    case blocked(stack: Int32)
  }
  /// Time blocked in one stack, and how often.
  struct Wait: Hashable {
    var nanoseconds: UInt64 = 0
    var count: UInt64 = 0
  }

  var pid: Int32
  var tid: Int32
  var parentPID: Int32
  var name: String
  /// CLOCK_MONOTONIC, nanoseconds.
  var start: UInt64
  /// When it ended; `nil` while it lives.
  var end: UInt64?
  var running: UInt64 = 0
  var runnable: UInt64 = 0
  var waits: [Int32: Wait] = [:]
  var activity: Activity
  /// Since when.
  var since: UInt64
  /// The stack of the switch that is about to happen.
  var pendingStack: Int32 = -1
  /// Looks at the blocked thread, by what it was found waiting for.
  var looks: [WaitKind: UInt64] = [:]
  /// The kernel's own sum of the time that it waited for a CPU (`schedstat`), as last read, and how much of that the
  /// ledger knew then.
  var runDelay: UInt64?
  var runnableAtRunDelay: UInt64 = 0

  init(pid: Int32, tid: Int32, parentPID: Int32, name: String, start: UInt64, activity: Activity) {
    self.pid = pid
    self.tid = tid
    self.parentPID = parentPID
    self.name = name
    self.start = start
    self.activity = activity
    since = start
  }

  /// Books the time up to `time` under the activity so far.
  mutating func book(until time: UInt64) {
    guard time > since else { return }
    let elapsed = time - since
    since = time
    switch activity {
    case .running: running += elapsed
    case .runnable: runnable += elapsed
    case .blocked(let stack): waits[stack, default: Wait()].nanoseconds += elapsed
    }
  }

  mutating func change(to next: Activity, at time: UInt64) {
    book(until: time)
    activity = next
    if case .blocked(let stack) = next { waits[stack, default: Wait()].count += 1 }
  }

  /// The thread's row, with the time of the present activity booked up to `now`.
  ///
  /// - Parameters:
  ///   - zero: time zero of the profile.
  ///   - sharesUnexplained: whether stacks were recorded for a part of the time only, so that waits without one are
  ///     taken to be like those with one.
  ///   - kindOfStack: what waiting in a stack means; `nil` when it is not resolved.
  func record(
    at now: UInt64, zero: UInt64, sharesUnexplained: Bool = false, kindOfStack: (Int32) -> WaitKind?
  ) -> ThreadRecord {
    var ledger = self
    ledger.book(until: end ?? now)
    var row = ThreadRecord(
      pid: pid, tid: tid, parentPID: parentPID, name: name, startNanoseconds: Int64(start) - Int64(zero),
      endNanoseconds: Int64(end ?? max(now, start)) - Int64(zero))
    var runnable = ledger.runnable
    var waits = ledger.waits
    // Without wake-up records a wait for the CPU after a block is still booked as blocked. The kernel's sum tells how
    // long those waits were; each block had one, so they are taken off in proportion to the number of blocks.
    if let runDelay, runDelay > runnableAtRunDelay {
      runnable += Self.takeOff(runDelay - runnableAtRunDelay, from: &waits)
    }
    var byKind: [WaitKind: UInt64] = [:]
    let unexplained = waits.removeValue(forKey: -1)?.nanoseconds ?? 0
    for (stack, wait) in waits { byKind[kindOfStack(stack) ?? .other, default: 0] += wait.nanoseconds }
    // Unexplained time is shared out as the looks found the thread, or as its explained waits are.
    Self.share(unexplained, by: looks.isEmpty && sharesUnexplained ? byKind : looks, into: &byKind)
    row.runningNanoseconds = Int64(ledger.running)
    row.runnableNanoseconds = Int64(runnable)
    row.blockedLockNanoseconds = Int64(byKind[.lock] ?? 0)
    row.blockedIONanoseconds = Int64(byKind[.io] ?? 0)
    row.sleepingNanoseconds = Int64(byKind[.sleep] ?? 0)
    row.blockedOtherNanoseconds = Int64(byKind[.other] ?? 0)
    return row
  }

  /// Takes up to `amount` off the waits, in proportion to their counts and never more than a wait has. Returns what
  /// was taken.
  static func takeOff(_ amount: UInt64, from waits: inout [Int32: Wait]) -> UInt64 {
    var left = amount
    // A wait that is used up leaves its part to the others: as many rounds as there are waits are enough.
    for _ in waits {
      let open = waits.filter { $0.value.nanoseconds > 0 && $0.value.count > 0 }
      let counts = open.reduce(0) { $0 + $1.value.count }
      guard left > 0, counts > 0 else { break }
      let round = left
      for (stack, wait) in open {
        let share = min(
          wait.nanoseconds, left, UInt64((Double(round) * Double(wait.count) / Double(counts)).rounded(.up)))
        waits[stack]?.nanoseconds -= share
        left -= share
      }
    }
    return amount - left
  }

  private static func share(_ amount: UInt64, by weights: [WaitKind: UInt64], into byKind: inout [WaitKind: UInt64]) {
    let all = weights.values.reduce(0, +)
    let kinds = weights.keys.filter { weights[$0] != 0 }.sorted { $0.rawValue < $1.rawValue }
    guard all > 0, let last = kinds.last else {
      byKind[.other, default: 0] += amount
      return
    }
    var left = amount
    for kind in kinds {
      let part =
        kind == last ? left : min(left, UInt64(Double(amount) * Double(weights[kind] ?? 0) / Double(all)))
      byKind[kind, default: 0] += part
      left -= part
    }
  }
}

/// All threads of the target, from context-switch, wake-up, fork, exec and exit records in the order of time.
///
/// Memory stays bounded by the number of living threads: a thread that ended is kept only until it is written, and
/// stacks are numbered, 8192 at most.
struct OffCPULedger {
  /// Which samples are which: ``PerfSample/event``; `nil` for not recorded.
  var switchEvent: Int?
  var wakeupEvent: Int?
  private(set) var living: [Int32: ThreadLedger] = [:]
  private(set) var ended: [ThreadLedger] = []
  /// Kernel addresses of each numbered stack, innermost first.
  private(set) var stacks: [[UInt64]] = []
  private var numbers: [UInt64: Int32] = [:]
  /// Records that the kernel could not write.
  private(set) var lost: UInt64 = 0
  /// Context switches seen.
  private(set) var switches: UInt64 = 0

  static let maximumStacks = 8192
  /// Functions of a stack that are looked at; the outer ones are always the system call's entry.
  static let maximumDepth = 24

  /// The target's first thread: it runs from time zero.
  mutating func begin(pid: Int32, name: String, at time: UInt64) {
    living[pid] = ThreadLedger(
      pid: pid, tid: pid, parentPID: 0, name: name, start: time, activity: .running)
  }

  mutating func consume(_ record: PerfRecord) {
    switch record {
    case .contextSwitch(let pid, let tid, let isOut, let isPreempted, let time):
      switches += isOut ? 1 : 0
      contextSwitch(pid: pid, tid: tid, isOut: isOut, isPreempted: isPreempted, time: time)
    case .sample(let sample):
      if sample.event == switchEvent {
        let stack = number(of: sample.callChain)
        update(sample.tid) { $0.pendingStack = stack }
      } else if sample.event == wakeupEvent, let tid = Self.wokenThread(sample.raw) {
        wake(tid, at: sample.time)
      }
    case .fork(let pid, let parentPID, let tid, let parentTID, let time):
      let parent = living[parentTID]
      // Another thread with this number must have ended without our seeing it.
      end(tid, at: time)
      living[tid] = ThreadLedger(
        pid: pid, tid: tid, parentPID: pid == parentPID ? parent?.parentPID ?? 0 : parentPID,
        name: parent?.name ?? "", start: time, activity: .runnable)
    case .exit(_, _, let tid, _, let time): end(tid, at: time)
    case .name(let pid, let tid, let name, let isExec, let time):
      if isExec { exec(pid: pid, at: time) }
      living[tid]?.name = name
    case .lost(let count, _): lost += count
    case .mapping: break
    }
  }

  private mutating func contextSwitch(pid: Int32, tid: Int32, isOut: Bool, isPreempted: Bool, time: UInt64) {
    guard living[tid] != nil else {
      // A thread whose fork record was lost. It can only be alive if it enters a CPU.
      if !isOut {
        living[tid] = ThreadLedger(pid: pid, tid: tid, parentPID: 0, name: "", start: time, activity: .running)
      }
      return
    }
    update(tid) { thread in
      guard isOut else { return thread.change(to: .running, at: time) }
      thread.change(to: isPreempted ? .runnable : .blocked(stack: thread.pendingStack), at: time)
      thread.pendingStack = -1
    }
  }

  private mutating func wake(_ tid: Int32, at time: UInt64) {
    if case .blocked = living[tid]?.activity { living[tid]?.change(to: .runnable, at: time) }
  }

  private mutating func end(_ tid: Int32, at time: UInt64) {
    guard var thread = living.removeValue(forKey: tid) else { return }
    thread.book(until: time)
    thread.end = max(time, thread.start)
    ended.append(thread)
  }

  /// A new program has one thread, which bears the process's number whichever thread called exec.
  private mutating func exec(pid: Int32, at time: UInt64) {
    let others = living.values.filter { $0.pid == pid && $0.tid != pid }.map(\.tid)
    if living[pid] == nil {
      let parent = others.first.flatMap { living[$0]?.parentPID } ?? 0
      living[pid] = ThreadLedger(pid: pid, tid: pid, parentPID: parent, name: "", start: time, activity: .running)
    }
    for tid in others { end(tid, at: time) }
  }

  /// The end of the target: what still lives is booked up to here.
  mutating func finish(at time: UInt64) {
    for tid in Array(living.keys) { end(tid, at: time) }
  }

  /// Hands over the threads that ended since the last call.
  mutating func takeEnded() -> [ThreadLedger] {
    defer { ended.removeAll() }
    return ended
  }

  /// Changes a living thread.
  mutating func update(_ tid: Int32, _ change: (inout ThreadLedger) -> Void) {
    if let index = living.index(forKey: tid) { change(&living.values[index]) }
  }

  /// Adds a thread that was found by looking.
  mutating func add(_ thread: ThreadLedger) { living[thread.tid] = thread }

  /// Ends a thread that was found to be gone.
  mutating func remove(_ tid: Int32, at time: UInt64) { end(tid, at: time) }

  /// `PERF_CONTEXT_MAX`: what lies above are markers of a chain's parts, not addresses.
  private static let firstMarker = UInt64(bitPattern: -4095)
  private static let kernelMarker = UInt64(bitPattern: -128)

  /// The number of a chain's kernel part; −1 when it has none or there are too many.
  private mutating func number(of chain: [UInt64]) -> Int32 {
    var hash: UInt64 = 0xcbf2_9ce4_8422_2325
    var depth = 0
    var isKernel = false
    for address in chain {
      if address >= Self.firstMarker {
        if isKernel { break }
        isKernel = address == Self.kernelMarker
      } else if isKernel, depth < Self.maximumDepth {
        hash = (hash ^ address) &* 0x100_0000_01b3
        hash ^= hash >> 29
        depth += 1
      }
    }
    guard depth > 0 else { return -1 }
    if let known = numbers[hash] { return known }
    guard stacks.count < Self.maximumStacks else { return -1 }
    let kernel = chain.drop { $0 != Self.kernelMarker }.dropFirst().prefix { $0 < Self.firstMarker }
    let number = Int32(stacks.count)
    stacks.append(Array(kernel.prefix(Self.maximumDepth)))
    numbers[hash] = number
    return number
  }

  /// The thread that a `sched:sched_wakeup` sample tells of: after the 8 common bytes and the name of 16 comes its
  /// number (`include/trace/events/sched.h`; the same since Linux 2.6.32).
  static func wokenThread(_ raw: [UInt8]) -> Int32? {
    guard raw.count >= 28 else { return nil }
    return raw.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: 24, as: Int32.self) }
  }
}
