// What did one thread's time go to, and what did the traced main thread do meanwhile?
import ProfileModel

/// Time by the cell that it fell into.
struct TimeByCell: Hashable {
  /// By the cell's number; what is missing at the end is zero.
  private(set) var values: [UInt64] = []

  var total: UInt64 { values.reduce(0, +) }
  subscript(cell: Int) -> UInt64 { cell < values.count ? values[cell] : 0 }

  mutating func add(_ time: UInt64, to cell: Int) {
    while values.count <= cell { values.append(0) }
    values[cell] += time
  }
}

/// The time of one thread, by what it did and by cell. The parts add up to its lifetime by construction: every
/// nanosecond since ``start`` is booked when the state changes, and a span is split by the hands of a ``KernelClock``,
/// which have moved by just as much.
struct ThreadLedger {
  enum Activity: Hashable {
    case running
    /// Waiting for a CPU.
    case runnable
    /// Blocked, under the number of the kernel stack that it blocked in; −1 when that is not known.
    case blocked(stack: Int32)
  }
  /// Time blocked in one stack, and how often it went straight to running from there.
  struct Wait: Hashable {
    var nanoseconds: UInt64 = 0
    var count: UInt64 = 0
  }
  struct WaitKey: Hashable, Comparable {
    var stack: Int32
    var cell: Int

    static func < (a: WaitKey, b: WaitKey) -> Bool { (a.stack, a.cell) < (b.stack, b.cell) }
  }

  var pid: Int32
  var tid: Int32
  var parentPID: Int32
  var name: String
  /// CLOCK_MONOTONIC, nanoseconds.
  var start: UInt64
  /// When it ended; `nil` while it lives.
  var end: UInt64?
  private(set) var running = TimeByCell()
  private(set) var runnableByCell = TimeByCell()
  var waits: [WaitKey: Wait] = [:]
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
  /// The clock's hands at ``since``, and the segment; no hands for a thread that works for no traced one.
  private var marks: [Int64] = []
  private var segment = -1

  /// Time that it waited for a CPU, as far as records tell.
  var runnable: UInt64 { runnableByCell.total }

  init(
    pid: Int32, tid: Int32, parentPID: Int32, name: String, start: UInt64, activity: Activity,
    clock: KernelClock? = nil
  ) {
    self.pid = pid
    self.tid = tid
    self.parentPID = parentPID
    self.name = name
    self.start = start
    self.activity = activity
    since = start
    if let clock {
      clock.move(to: start)
      marks = clock.hands
      segment = clock.current.segment
    }
  }

  // MARK: - Booking

  /// Books the time up to `time` under the activity so far.
  mutating func book(until time: UInt64, _ clock: KernelClock? = nil) {
    guard time > since else { return }
    let elapsed = time - since
    if let clock, !marks.isEmpty {
      clock.move(to: time)
      let (cell, segment) = clock.current
      guard segment == self.segment else {
        for (cell, part) in spans(until: time, clock) { add(part, to: cell) }
        since = time
        return
      }
      // The same kernel all the while: most spans are short.
      marks[cell] += Int64(elapsed)
      add(elapsed, to: cell)
    } else {
      add(elapsed, to: 0)
    }
    since = time
  }

  /// Books the time up to `time` where only sums are known: how much of it the thread ran and waited for a CPU; the rest
  /// goes under the activity. Each is shared over the cells in proportion to their time.
  mutating func book(until time: UInt64, running: UInt64, runnable: UInt64, _ clock: KernelClock?) {
    guard time > since else { return }
    let elapsed = time - since
    let running = min(running, elapsed)
    let spans = spans(until: time, clock)
    since = time
    let whole = spans.map { Int64($0.time) }
    let ran = Apportionment.split(Int64(running), by: whole)
    let rest = zip(whole, ran).map { $0 - $1 }
    let waited = Apportionment.split(Int64(min(runnable, elapsed - running)), by: rest)
    for (index, span) in spans.enumerated() {
      self.running.add(UInt64(ran[index]), to: span.cell)
      runnableByCell.add(UInt64(waited[index]), to: span.cell)
      add(UInt64(rest[index] - waited[index]), to: span.cell)
    }
  }

  /// The time since ``since`` by cell, and the marks set to `time`.
  private mutating func spans(until time: UInt64, _ clock: KernelClock?) -> [(cell: Int, time: UInt64)] {
    guard let clock, !marks.isEmpty else { return [(0, time - since)] }
    clock.move(to: time)
    segment = clock.current.segment
    let hands = clock.hands
    defer { marks = hands }
    var result: [(cell: Int, time: UInt64)] = []
    for cell in hands.indices where hands[cell] != marks[cell] {
      // A record so late that the clock has forgotten what ran then: nothing is guessed.
      guard hands[cell] > marks[cell] else { return [(0, time - since)] }
      result.append((cell, UInt64(hands[cell] - marks[cell])))
    }
    return result
  }

  private mutating func add(_ time: UInt64, to cell: Int) {
    guard time > 0 else { return }
    switch activity {
    case .running: running.add(time, to: cell)
    case .runnable: runnableByCell.add(time, to: cell)
    case .blocked(let stack): waits[WaitKey(stack: stack, cell: cell), default: Wait()].nanoseconds += time
    }
  }

  mutating func change(to next: Activity, at time: UInt64, _ clock: KernelClock? = nil) {
    book(until: time, clock)
    // Woken up unseen: a part of this wait was one for a CPU.
    if next == .running, case .blocked(let stack) = activity {
      let cell = marks.isEmpty ? 0 : clock?.current.cell ?? 0
      waits[WaitKey(stack: stack, cell: cell), default: Wait()].count += 1
    }
    activity = next
  }

  /// Puts waits in stacks of one kind together, so that they stay few however many stacks there are.
  mutating func fold(_ kindOfStack: (Int32) -> WaitKind?) {
    var first: [WaitKind: Int32] = [:]
    var folded: [WaitKey: Wait] = [:]
    for (key, wait) in waits.sorted(by: { $0.key < $1.key }) {
      var key = key
      if let kind = kindOfStack(key.stack) {
        key.stack = first[kind] ?? key.stack
        first[kind] = key.stack
      }
      folded[key, default: Wait()].nanoseconds += wait.nanoseconds
      folded[key, default: Wait()].count += wait.count
    }
    waits = folded
  }

  // MARK: - Results

  /// Time in one cell by state.
  struct Split: Hashable {
    var running: UInt64 = 0
    var runnable: UInt64 = 0
    var waits: [WaitKind: UInt64] = [:]
    /// Time whose cause was not recorded, but estimated from looks or from other waits.
    var estimated: UInt64 = 0

    subscript(kind: WaitKind) -> UInt64 { waits[kind] ?? 0 }
    var total: UInt64 { running + runnable + waits.values.reduce(0, +) }
  }

  /// The thread's time by cell, with the time of the present activity booked up to `now`.
  ///
  /// - Parameters:
  ///   - sharesUnexplained: whether stacks were recorded for a part of the time only, so that waits without one are
  ///     taken to be like those with one.
  ///   - kindOfStack: what waiting in a stack means; `nil` when it is not resolved.
  func splits(
    at now: UInt64, sharesUnexplained: Bool = false, _ clock: KernelClock? = nil, kindOfStack: (Int32) -> WaitKind?
  ) -> [Int: Split] {
    var ledger = self
    ledger.book(until: end ?? now, clock)
    var result: [Int: Split] = [:]
    for (cell, time) in ledger.running.values.enumerated() where time > 0 {
      result[cell, default: Split()].running = time
    }
    for (cell, time) in ledger.runnableByCell.values.enumerated() where time > 0 {
      result[cell, default: Split()].runnable = time
    }
    var waits = ledger.waits
    // Without wake-up records a wait for the CPU after a block is still booked as blocked. The kernel's sum tells how
    // long those waits were; each block had one, so they are taken off in proportion to the number of blocks.
    if let runDelay, runDelay > runnableAtRunDelay {
      _ = Self.takeOff(runDelay - runnableAtRunDelay, from: &waits)
      for (key, wait) in ledger.waits {
        let taken = wait.nanoseconds - (waits[key]?.nanoseconds ?? 0)
        if taken > 0 { result[key.cell, default: Split()].runnable += taken }
      }
    }
    var unexplained: [Int: UInt64] = [:]
    for (key, wait) in waits where wait.nanoseconds > 0 {
      if key.stack < 0 {
        unexplained[key.cell] = wait.nanoseconds
      } else {
        result[key.cell, default: Split()].waits[kindOfStack(key.stack) ?? .other, default: 0] += wait.nanoseconds
      }
    }
    // Unexplained time is shared out as the looks found the thread, or as its explained waits are.
    var explained: [WaitKind: UInt64] = [:]
    for split in result.values { explained.merge(split.waits) { $0 + $1 } }
    for (cell, time) in unexplained {
      let own = result[cell]?.waits ?? [:]
      let weights = !looks.isEmpty || !sharesUnexplained ? looks : own.isEmpty ? explained : own
      for (kind, part) in Self.share(time, by: weights) {
        result[cell, default: Split()].waits[kind, default: 0] += part
      }
      result[cell, default: Split()].estimated += time
    }
    return result
  }

  /// The thread's row: what its splits add up to. Parameters as for `splits`.
  ///
  /// - Parameter zero: time zero of the profile.
  func record(
    at now: UInt64, zero: UInt64, sharesUnexplained: Bool = false, kindOfStack: (Int32) -> WaitKind?
  ) -> ThreadRecord {
    record(
      at: now, zero: zero,
      splits: splits(at: now, sharesUnexplained: sharesUnexplained, kindOfStack: kindOfStack))
  }

  /// The thread's row from its splits.
  func record(at now: UInt64, zero: UInt64, splits: [Int: Split]) -> ThreadRecord {
    var row = ThreadRecord(
      pid: pid, tid: tid, parentPID: parentPID, name: name, startNanoseconds: Int64(start) - Int64(zero),
      endNanoseconds: Int64(end ?? max(now, start)) - Int64(zero))
    func sum(_ part: (Split) -> UInt64) -> Int64 { Int64(splits.values.reduce(0) { $0 + part($1) }) }
    row.runningNanoseconds = sum(\.running)
    row.runnableNanoseconds = sum(\.runnable)
    row.blockedLockNanoseconds = sum { $0[.lock] }
    row.blockedIONanoseconds = sum { $0[.io] }
    row.sleepingNanoseconds = sum { $0[.sleep] }
    row.blockedOtherNanoseconds = sum { $0[.other] }
    return row
  }

  /// Takes up to `amount` off the waits, in proportion to their counts and never more than a wait has. Returns what
  /// was taken.
  static func takeOff<Key: Hashable & Comparable>(_ amount: UInt64, from waits: inout [Key: Wait]) -> UInt64 {
    var left = amount
    // A wait that is used up leaves its part to the others: as many rounds as there are waits are enough.
    for _ in waits {
      let open = waits.filter { $0.value.nanoseconds > 0 && $0.value.count > 0 }.sorted { $0.key < $1.key }
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

  private static func share(_ amount: UInt64, by weights: [WaitKind: UInt64]) -> [(kind: WaitKind, time: UInt64)] {
    let kinds = WaitKind.allCases
    let parts = Apportionment.split(Int64(amount), by: kinds.map { Int64(weights[$0] ?? 0) })
    guard parts.contains(where: { $0 > 0 }) else { return [(.other, amount)] }
    return zip(kinds, parts).filter { $0.1 > 0 }.map { ($0, UInt64($1)) }
  }
}
