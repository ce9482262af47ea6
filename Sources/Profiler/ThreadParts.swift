// Which rows of `thread_time` does a thread's time come to?
import ProfileModel

/// Makes the rows and remembers which the file has, so that a time which moved on (a cause that became known) does not
/// stay behind under its old name.
struct ThreadParts {
  /// How times are known.
  struct Sources {
    /// Running, waiting for a CPU, and waits with a cause that was recorded.
    var known: Provenance
    /// Waits whose cause is an estimate.
    var estimated: Provenance
  }
  private struct Thread: Hashable {
    var pid: Int32
    var tid: Int32
    var start: Int64
  }
  private static let states: [TimeState] = [.working, .runnable, .lock, .io, .sleeping, .other]
  /// By thread that lives: cells × states that are in the file.
  private var written: [Thread: Set<Int>] = [:]
  private var commits = 0
  private var rowsOfLiving = 0

  /// Rows of living threads that may be written with every commit, and with every how manieth where there are more.
  /// A row costs some 4 µs: that keeps it below a hundredth of one CPU, for up to 64 threads or so.
  private static let rowsPerCommit = 2000
  private static let rareCommits = 8

  /// Whether it is time to write what still changes. Call it once in each commit.
  var isTime: Bool {
    mutating get {
      commits += 1
      guard rowsOfLiving <= Self.rowsPerCommit || commits % Self.rareCommits == 0 else { return false }
      rowsOfLiving = 0
      return true
    }
  }

  /// The rows that are new or have changed in kind.
  mutating func rows(
    _ thread: ThreadRecord, _ splits: [Int: ThreadLedger.Split], _ sources: Sources, hasEnded: Bool
  ) -> [ThreadTime] {
    let key = Thread(pid: thread.pid, tid: thread.tid, start: thread.startNanoseconds)
    var before = written[key] ?? []
    var rows: [ThreadTime] = []
    func row(_ number: Int, _ nanoseconds: UInt64, _ provenance: Provenance) {
      let cell = TraceCell(number: number / Self.states.count)
      rows.append(
        ThreadTime(
          pid: thread.pid, tid: thread.tid, startNanoseconds: thread.startNanoseconds, phase: cell.phase,
          category: cell.category, state: Self.states[number % Self.states.count], nanoseconds: Int64(nanoseconds),
          provenance: provenance))
    }
    var now: Set<Int> = []
    for (cell, split) in splits.sorted(by: { $0.key < $1.key }) {
      let times = [split.running, split.runnable, split[.lock], split[.io], split[.sleep], split[.other]]
      for (state, time) in times.enumerated() where time > 0 {
        let number = cell * Self.states.count + state
        now.insert(number)
        row(number, time, state >= 2 && split.estimated > 0 ? sources.estimated : sources.known)
      }
    }
    before.subtract(now)
    for number in before.sorted() { row(number, 0, sources.known) }
    written[key] = hasEnded ? nil : now.union(before)
    if !hasEnded { rowsOfLiving += rows.count }
    return rows
  }
}

extension ThreadLedger {
  /// Whether two are of one thread.
  func isSame(_ other: ThreadLedger) -> Bool { tid == other.tid && start == other.start }
}
