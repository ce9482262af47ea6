// What did processes and threads do over time, and does each thread's time add up?
import ProfileModel

/// Processes, threads and machine use over time.
public struct Timeline: Codable, Sendable, Equatable {
  /// What a thread can be doing.
  public enum ThreadState: String, Codable, Sendable, Equatable, CaseIterable {
    case running
    /// Waiting for a CPU.
    case runnable
    /// Blocked on a lock, condition variable or barrier.
    case lock = "blocked on a lock"
    /// Blocked on storage, network, pipe or terminal.
    case io = "blocked on I/O"
    /// Asleep by its own wish.
    case sleeping
    /// Blocked, and why is not known.
    case other = "blocked, cause unknown"
  }
  /// Time in one state.
  public struct StateTime: Codable, Sendable, Equatable {
    /// The state.
    public var state: ThreadState
    /// The time; unavailable where the state could not be told from the others.
    public var nanoseconds: Measured<Int64>
    /// Share of the thread's (or all threads') life, 0…1; `nil` where the time is not known.
    public var share: Double?
  }
  /// One thread.
  public struct ThreadLife: Codable, Sendable, Equatable {
    /// Process id.
    public var pid: Int32
    /// Thread id.
    public var tid: Int32
    /// The parent process.
    public var parentPID: Int32
    /// Last name.
    public var name: String
    /// Whether it is its process's first thread.
    public var isMain: Bool
    /// Begin, nanoseconds since exec.
    public var startNanoseconds: Int64
    /// End, nanoseconds since exec.
    public var endNanoseconds: Int64
    /// Time by state, in the order of ``ThreadState``.
    public var states: [StateTime]
    /// Life less the known states; negative when they exceed it.
    public var unaccountedNanoseconds: Int64
    /// Exit status, where known.
    public var exitStatus: Int32?
  }
  /// One time series, thinned for drawing.
  public struct Plot: Codable, Sendable, Equatable {
    /// Points in a row taken together.
    public struct Point: Codable, Sendable, Equatable {
      /// Middle of the interval, nanoseconds since exec.
      public var timeNanoseconds: Int64
      /// Mean of the points.
      public var mean: Double
      /// Least value.
      public var minimum: Double
      /// Greatest value.
      public var maximum: Double
    }
    /// The series' name: `cpu.use`, `memory.rss`.
    public var name: String
    /// Its unit.
    public var unit: String
    /// Where its points come from.
    public var provenance: Provenance
    /// The points, at most a few hundred.
    public var points: [Point]
    /// Number of points before thinning.
    public var originalCount: Int
    /// Mean of all points.
    public var mean: Double
    /// Least value.
    public var minimum: Double
    /// Greatest value.
    public var maximum: Double
  }
  /// Exec to exit.
  public var wallNanoseconds: Int64
  /// Threads by start, the longest-running kept when there are very many.
  public var threads: [ThreadLife]
  /// Threads that are not listed (they are in the totals).
  public var omittedThreadCount: Int
  /// Number of processes.
  public var processCount: Int
  /// Life of all threads together.
  public var threadNanoseconds: Int64
  /// Time of all threads by state, in the order of ``ThreadState``.
  public var totals: [StateTime]
  /// All threads' life less the known states.
  public var unaccountedNanoseconds: Int64
  /// Whether the states add up to the threads' life within 1 %; unavailable when no state was measured.
  public var addsUp: Measured<Bool>
  /// Time series.
  public var series: [Plot]
}

extension Timeline {
  /// Threads that a page can list.
  static let threadLimit = 200
  /// Points that a chart can show.
  static let pointLimit = 400
  /// States within this share of a life add up.
  static let tolerance = 0.01

  static func of(_ run: Run) -> Timeline {
    let all = run.data.threads
    let kept = all.enumerated().sorted {
      (Self.activity($1.element), $0.offset) < (Self.activity($0.element), $1.offset)
    }.prefix(threadLimit)
    let threads = kept.map { Self.life($0.element) }
      .sorted { ($0.startNanoseconds, $0.pid, $0.tid) < ($1.startNanoseconds, $1.pid, $1.tid) }
    let life = all.sum(Self.span)
    let why = run.failure(of: "off-cpu") ?? Unavailable("this state was not told apart on this machine")
    let totals = ThreadState.allCases.map { state -> StateTime in
      let known = all.compactMap { Self.time($0, state) }
      guard !known.isEmpty else { return StateTime(state: state, nanoseconds: .unavailable(why), share: nil) }
      let time = known.sum { $0 }
      return StateTime(
        state: state, nanoseconds: Measured(time, .kernelAccounting, detail: run.collector("off-cpu")?.method),
        share: fraction(time, of: life))
    }
    let unaccounted = life.addingSaturating(-totals.compactMap(\.nanoseconds.value).sum { $0 })
    return Timeline(
      wallNanoseconds: run.wall, threads: threads, omittedThreadCount: all.count - threads.count,
      processCount: Set(all.map(\.pid)).count, threadNanoseconds: life, totals: totals,
      unaccountedNanoseconds: unaccounted,
      addsUp: totals.allSatisfy { $0.nanoseconds.value == nil } || life <= 0
        ? .unavailable(why)
        : Measured(abs(fraction(unaccounted, of: life)) <= tolerance, .derived, detail: "states against thread life"),
      series: Self.plots(run))
  }

  private static func span(_ thread: ThreadRecord) -> Int64 {
    max(0, thread.endNanoseconds.addingSaturating(-max(0, thread.startNanoseconds)))
  }

  /// What makes a thread worth listing: CPU time, or its life where that is not known.
  private static func activity(_ thread: ThreadRecord) -> Int64 { thread.runningNanoseconds ?? span(thread) }

  private static func time(_ thread: ThreadRecord, _ state: ThreadState) -> Int64? {
    switch state {
    case .running: thread.runningNanoseconds
    case .runnable: thread.runnableNanoseconds
    case .lock: thread.blockedLockNanoseconds
    case .io: thread.blockedIONanoseconds
    case .sleeping: thread.sleepingNanoseconds
    case .other: thread.blockedOtherNanoseconds
    }
  }

  private static func life(_ thread: ThreadRecord) -> ThreadLife {
    let span = span(thread)
    let states = ThreadState.allCases.map { state in
      let time = time(thread, state)
      return StateTime(
        state: state,
        nanoseconds: time.map { Measured($0, .kernelAccounting) }
          ?? .unavailable(Unavailable("this state was not told apart")),
        share: time.map { fraction($0, of: span) })
    }
    return ThreadLife(
      pid: thread.pid, tid: thread.tid, parentPID: thread.parentPID, name: thread.name,
      isMain: thread.pid == thread.tid, startNanoseconds: thread.startNanoseconds,
      endNanoseconds: thread.endNanoseconds, states: states,
      unaccountedNanoseconds: span.addingSaturating(-states.compactMap(\.nanoseconds.value).sum { $0 }),
      exitStatus: thread.exitStatus)
  }

  private static func plots(_ run: Run) -> [Plot] {
    let points = Dictionary(grouping: run.data.points.filter(\.value.isFinite), by: \.series)
    return run.profile.series.compactMap { series in
      guard let points = points[series.name]?.sorted(by: { $0.timeNanoseconds < $1.timeNanoseconds }),
        let minimum = points.map(\.value).min(), let maximum = points.map(\.value).max()
      else { return nil }
      let thinned = groups(count: points.count, limit: pointLimit).map { range in
        let values = points[range].map(\.value)
        let (first, last) = (points[range.lowerBound].timeNanoseconds, points[range.upperBound - 1].timeNanoseconds)
        return Plot.Point(
          timeNanoseconds: first + (last - first) / 2, mean: mean(values), minimum: values.min() ?? 0,
          maximum: values.max() ?? 0)
      }
      return Plot(
        name: series.name, unit: series.unit, provenance: series.provenance, points: thinned,
        originalCount: points.count, mean: mean(points.map(\.value)), minimum: minimum, maximum: maximum)
    }
  }

  /// A mean that does not overflow where the values do not.
  private static func mean(_ values: [Double]) -> Double {
    let count = Double(values.count)
    return values.reduce(0) { $0 + $1 / count }
  }
}
