// Where does thread time go: running, waiting for a CPU, blocked on a lock, blocked on I/O, asleep?
import Glibc
import ProfileModel
import WorkloadLog

/// Collector `off-cpu`. It writes the rows of processes and threads, and for each thread how its time was spent, by what the
/// traced main thread did meanwhile. On-CPU time is written as working: telling spinning and page faults from it takes
/// samples, which the analysis has.
///
/// Three steps, best first; ``state`` says which one was taken:
/// 1. every context switch with the kernel's call chain (why a thread waits), and wake-ups (when it stopped waiting);
/// 2. every context switch without a chain, as far as an ordinary user may see; why threads wait is estimated by
///    looking at them every 100 ms;
/// 3. the scheduler's accounting in `/proc`, read every 100 ms.
public final class OffCPUCollector: Collector, PerfRecordConsumer {
  private enum Step { case stacks, switches, accounting }

  /// Waits of less than this in all are not worth reading the kernel's symbols, which takes longer than a short command.
  private static let worthSymbols: UInt64 = 20_000_000

  /// A switch with its call chain costs 2 to 15 µs. Above this many switches in a tick (5000 a second), chains and
  /// wake-ups are recorded in every tenth tick only, and waits without one are taken to be like those with one.
  static let switchesWithStacksPerTick: UInt64 = 500
  static let thinning = 10

  private let tree: ProcessTree
  private let source: PerfRecordSource?
  private let looks: ThreadLooks
  private let isTraced: Bool
  private let kernelFunction: (_ address: UInt64) -> String?
  private let kernelShowsAddresses: () -> Bool

  private var ledger = OffCPULedger()
  private var switchEvent = 0
  private var wakeupEvent: Int?
  private var step = Step.accounting
  private var usesWakeups = false
  private var ticks = 0
  private var switchesBefore: UInt64 = 0
  private var isThinning = false
  private var hasThinned = false
  private var recordsStacks = true
  private var pid: Int32 = 0
  private var tracePath = ""
  private var parts = ThreadParts()
  private var zero: UInt64 = 0
  private var now: UInt64 = 0
  private var kinds: [WaitKind?] = []
  private var exitStatus: [Int32: Int32] = [:]
  /// Threads that ended and are not written yet.
  private var finished: [ThreadLedger] = []
  /// The command's first thread: it is written to the end, for its exit status comes last.
  private var first: ThreadLedger?
  /// Time in unexplained waits of threads that are written already.
  private var writtenUnresolved: UInt64 = 0

  /// Collector state as of now.
  public private(set) var state = CollectorState("off-cpu", .unavailable, reason: "not started")
  /// `off-cpu`.
  public let name = "off-cpu"

  /// Makes a collector, and asks the source for what it needs.
  ///
  /// - Parameters:
  ///   - tree: shared with other collectors.
  ///   - source: not opened yet.
  ///   - isTraced: whether the target writes a kernel trace.
  public convenience init(tree: ProcessTree, source: PerfRecordSource, isTraced: Bool = false) {
    let symbols = KernelSymbols()
    self.init(
      tree: tree, source: source, looks: ThreadLooks(files: .live, architecture: Host.System.live().architecture),
      isTraced: isTraced, kernelFunction: { symbols.symbol(at: $0)?.name },
      kernelShowsAddresses: { symbols.areVisible })
  }

  init(
    tree: ProcessTree, source: PerfRecordSource?, looks: ThreadLooks, isTraced: Bool = false,
    kernelFunction: @escaping (_ address: UInt64) -> String?, kernelShowsAddresses: @escaping () -> Bool
  ) {
    self.tree = tree
    self.source = source
    self.looks = looks
    self.isTraced = isTraced
    self.kernelFunction = kernelFunction
    self.kernelShowsAddresses = kernelShowsAddresses
    if let source {
      switchEvent = source.requestSwitchStacks()
      // The numbers in a wake-up's payload are those of the whole machine: in a container they mean others.
      if !looks.isInNestedNamespace { wakeupEvent = source.addTracepoint("sched:sched_wakeup", callChain: false) }
      source.addConsumer(self)
    }
  }

  /// The records, in the order of time.
  public func consume(_ record: PerfRecord) { ledger.consume(record) }

  /// Finds out which step can be taken, from what the source got.
  public func prepare(_ target: TargetContext) -> CollectorState {
    pid = target.pid
    tracePath = target.runDirectory + "/" + WorkloadContract.traceFileName
    tree.follow(pid)
    guard let source, source.unavailable == nil else {
      let why = source?.unavailable ?? Unavailable("no context-switch records")
      step = .accounting
      state = CollectorState(
        "off-cpu", .degraded, method: "scheduler accounting in /proc, every 100 ms; causes of waits from looks",
        reason: why.reason, remedy: why.remedy)
      return state
    }
    if let why = source.problem(withTracepoint: switchEvent) {
      step = .switches
      state = CollectorState(
        "off-cpu", .degraded, method: "every context switch; causes of waits estimated from looks every 100 ms",
        reason: "no kernel stacks of context switches: \(why.reason)", remedy: why.remedy)
      return state
    }
    step = .stacks
    ledger.switchEvent = switchEvent
    let wakeupProblem =
      wakeupEvent == nil
      ? Unavailable("in a process namespace of its own, wake-ups can't be told apart")
      : wakeupEvent.flatMap { source.problem(withTracepoint: $0) }
    usesWakeups = wakeupProblem == nil
    ledger.wakeupEvent = usesWakeups ? wakeupEvent : nil
    let method = "every context switch with the kernel's call chain, "
    if let wakeupProblem {
      state = CollectorState(
        "off-cpu", .degraded,
        method: method + "waits for a CPU after a wake-up from the scheduler's accounting (schedstat)",
        reason: "no wake-up records: \(wakeupProblem.reason)", remedy: wakeupProblem.remedy)
    } else {
      state = CollectorState("off-cpu", .measured, method: method + "and every wake-up")
    }
    if !kernelShowsAddresses() {
      state.outcome = .degraded
      state.reason = [state.reason, "kernel functions are hidden (kernel.kptr_restrict): waits can't be told apart"]
        .compactMap(\.self).joined(separator: "; ")
      state.remedy = state.remedy ?? "sudo sysctl kernel.kptr_restrict=0"
    }
    return state
  }

  /// The first thread runs from here on.
  public func start(monotonicNanoseconds: UInt64) {
    zero = monotonicNanoseconds
    now = zero
    if isTraced { ledger.follow(KernelClock(path: tracePath, pid: pid, startingAt: zero), pid: pid) }
    if step != .accounting { ledger.begin(pid: pid, name: "", at: zero) }
  }

  /// Reads what the records do not tell.
  public func tick(monotonicNanoseconds time: UInt64) {
    now = time
    // The trace's ring forgets: it is read now, also where no record asks for it.
    ledger.clock?.move(to: time)
    tree.refresh(monotonicNanoseconds: time)
    noteExits()
    switch step {
    case .stacks:
      thinOut()
      // Without wake-ups the scheduler's own sums tell how long threads waited for a CPU.
      if !usesWakeups || isThinning { looks.readRunDelays(&ledger) }
    case .switches: looks.look(at: &ledger, readsRunDelay: true)
    case .accounting: looks.account(tree.processes.values, departed: tree.departed, in: &ledger, at: time, zero: zero)
    }
    finished += ledger.takeEnded()
  }

  /// Books what still lives, and notes what was lost.
  public func stop(monotonicNanoseconds time: UInt64) {
    now = time
    tree.refresh(monotonicNanoseconds: time)
    noteExits()
    if step == .accounting {
      looks.account(tree.processes.values, departed: tree.departed, in: &ledger, at: time, zero: zero)
    }
    ledger.finish(at: time)
    finished += ledger.takeEnded()
    if let lost = ledger.clock?.lostNanoseconds, lost > 0 {
      state.outcome = .degraded
      state.reason = [
        state.reason,
        "for \(lost / 1_000_000) ms the kernel trace ran faster than it was read: time of no known kernel",
      ].compactMap(\.self).joined(separator: "; ")
    }
    if ledger.lost > 0 {
      state.outcome = .degraded
      state.reason = [state.reason, "\(ledger.lost) records were lost: some waits are booked as what came before"]
        .compactMap(\.self).joined(separator: "; ")
    }
  }

  /// The exit status of the command.
  public func targetReaped(_ usage: TargetUsage) {
    if let status = usage.exitStatus { exitStatus[pid] = status }
  }

  /// Writes the rows of the threads that are new or still change.
  public func write(to transaction: ProfileTransaction, repetition: Int) throws {
    resolveStacks()
    ledger.fold(kind(ofStack:))
    for thread in finished {
      try write(thread, hasEnded: true, to: transaction, repetition: repetition)
    }
    let writesParts = parts.isTime
    for thread in ledger.living.values {
      try write(thread, hasEnded: false, writesParts: writesParts, to: transaction, repetition: repetition)
    }
    if let first, !finished.contains(where: first.isSame), !ledger.living.values.contains(where: first.isSame) {
      try write(first, hasEnded: true, writesParts: false, to: transaction, repetition: repetition)
    }
    // What ended never changes again.
    if let root = finished.first(where: { $0.tid == pid && $0.pid == pid }) { first = root }
    writtenUnresolved += unresolved(finished)
    finished.removeAll()
  }

  private func write(
    _ thread: ThreadLedger, hasEnded: Bool, writesParts: Bool = true, to transaction: ProfileTransaction,
    repetition: Int
  ) throws {
    let splits = thread.splits(at: now, sharesUnexplained: hasThinned, ledger.clock, kindOfStack: kind(ofStack:))
    let row = row(of: thread, splits)
    try transaction.thread(row, repetition: repetition)
    guard writesParts else { return }
    for part in parts.rows(row, splits, provenance, hasEnded: hasEnded) {
      try transaction.threadTime(part, repetition: repetition)
    }
  }

  private func kind(ofStack stack: Int32) -> WaitKind? {
    stack >= 0 && Int(stack) < kinds.count ? kinds[Int(stack)] : nil
  }

  private func row(of thread: ThreadLedger, _ splits: [Int: ThreadLedger.Split]) -> ThreadRecord {
    var row = thread.record(at: now, zero: zero, splits: splits)
    if thread.parentPID == 0 { row.parentPID = thread.pid == pid ? getpid() : 0 }
    if thread.tid == thread.pid { row.exitStatus = exitStatus[thread.pid] }
    return row
  }

  /// How times of each kind are known in the step that was taken.
  private var provenance: ThreadParts.Sources {
    switch step {
    case .stacks, .switches:
      ThreadParts.Sources(
        known: Provenance(.softwareCounter, detail: "context switches"),
        estimated: Provenance(
          .sampled,
          detail: step == .stacks
            ? "context switches; causes of some waits as of others or as looks found them"
            : "context switches; causes of waits from looks every 100 ms"))
    case .accounting:
      ThreadParts.Sources(
        known: Provenance(
          .kernelAccounting,
          detail: ledger.clock == nil ? "schedstat every 100 ms" : "schedstat every 100 ms, shared over the kernels"),
        estimated: Provenance(.sampled, detail: "schedstat every 100 ms; causes of waits from looks"))
    }
  }

  /// Keeps the cost of programs that switch all the time within bounds.
  private func thinOut() {
    ticks += 1
    let switches = ledger.switches - switchesBefore
    switchesBefore = ledger.switches
    isThinning = switches > (isThinning ? Self.switchesWithStacksPerTick / 2 : Self.switchesWithStacksPerTick)
    let isOn = !isThinning || ticks % Self.thinning == 0
    if isOn != recordsStacks {
      source?.setRecording(isOn, ofTracepoint: switchEvent)
      if let wakeupEvent, usesWakeups { source?.setRecording(isOn, ofTracepoint: wakeupEvent) }
    }
    recordsStacks = isOn
    guard isThinning, !hasThinned else { return }
    hasThinned = true
    state.outcome = .degraded
    state.reason = [
      state.reason, "more than 5000 context switches a second: causes of waits estimated from a tenth of that time",
    ].compactMap(\.self).joined(separator: "; ")
  }

  /// The status of a process can be seen while it waits to be reaped.
  private func noteExits() {
    for process in tree.processes.values where process.hasEnded && process.exitCode & 0x7f == 0 {
      exitStatus[process.pid] = process.exitCode >> 8 & 0xff
    }
  }

  /// Finds out what waiting in each new stack means, once it is worth it.
  private func resolveStacks() {
    while kinds.count < ledger.stacks.count { kinds.append(nil) }
    let open = kinds.indices.filter { kinds[$0] == nil }
    guard !open.isEmpty else { return }
    let time = writtenUnresolved + unresolved(finished) + unresolved(ledger.living.values)
    guard time >= Self.worthSymbols else { return }
    for index in open {
      kinds[index] = OffCPURules.kind(ofStack: ledger.stacks[index].lazy.compactMap { self.kernelFunction($0) })
    }
  }

  /// Time that threads waited in stacks which are not resolved.
  private func unresolved(_ threads: some Sequence<ThreadLedger>) -> UInt64 {
    threads.reduce(0) { sum, thread in
      thread.waits.reduce(sum) {
        $1.key.stack >= 0 && kinds[Int($1.key.stack)] == nil ? $0 + $1.value.nanoseconds : $0
      }
    }
  }
}
