// What did each thread's time go to? Kept as a ledger that context-switch records are booked into.
import ProfileModel

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
  /// What the traced main thread does, and the process whose threads work for it; `nil` where nothing is traced.
  private(set) var clock: KernelClock?
  private var tracedPID: Int32 = 0

  static let maximumStacks = 8192
  /// Functions of a stack that are looked at; the outer ones are always the system call's entry.
  static let maximumDepth = 24

  /// Splits the time of a process's threads by what its traced main thread does. Before anything is booked.
  mutating func follow(_ clock: KernelClock, pid: Int32) {
    self.clock = clock
    tracedPID = pid
  }

  /// The target's first thread: it runs from time zero.
  mutating func begin(pid: Int32, name: String, at time: UInt64) {
    add(pid: pid, tid: pid, parentPID: 0, name: name, start: time, activity: .running)
  }

  /// Adds a thread.
  mutating func add(
    pid: Int32, tid: Int32, parentPID: Int32, name: String, start: UInt64, activity: ThreadLedger.Activity
  ) {
    living[tid] = ThreadLedger(
      pid: pid, tid: tid, parentPID: parentPID, name: name, start: start, activity: activity,
      clock: pid == tracedPID ? clock : nil)
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
      add(
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
      if !isOut { add(pid: pid, tid: tid, parentPID: 0, name: "", start: time, activity: .running) }
      return
    }
    let clock = clock
    update(tid) { thread in
      guard isOut else { return thread.change(to: .running, at: time, clock) }
      thread.change(to: isPreempted ? .runnable : .blocked(stack: thread.pendingStack), at: time, clock)
      thread.pendingStack = -1
    }
  }

  private mutating func wake(_ tid: Int32, at time: UInt64) {
    guard case .blocked = living[tid]?.activity else { return }
    let clock = clock
    update(tid) { $0.change(to: .runnable, at: time, clock) }
  }

  private mutating func end(_ tid: Int32, at time: UInt64) {
    guard var thread = living.removeValue(forKey: tid) else { return }
    thread.book(until: time, clock)
    thread.end = max(time, thread.start)
    ended.append(thread)
  }

  /// A new program has one thread, which bears the process's number whichever thread called exec.
  private mutating func exec(pid: Int32, at time: UInt64) {
    let others = living.values.filter { $0.pid == pid && $0.tid != pid }.map(\.tid)
    if living[pid] == nil {
      let parent = others.first.flatMap { living[$0]?.parentPID } ?? 0
      add(pid: pid, tid: pid, parentPID: parent, name: "", start: time, activity: .running)
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

  /// Keeps the waits of living threads few, once there are many.
  mutating func fold(_ kindOfStack: (Int32) -> WaitKind?) {
    for tid in living.keys where living[tid].map({ $0.waits.count > Self.waitsBeforeFolding }) == true {
      update(tid) { $0.fold(kindOfStack) }
    }
  }
  static let waitsBeforeFolding = 1024

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
