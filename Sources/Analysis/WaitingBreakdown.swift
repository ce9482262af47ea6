// What did thread time go to: work, spinning in barriers, page faults, or waiting, and for what?
import ProfileModel

/// Where the time of all threads went: a stall breakdown that needs no hardware counter. All states of a thread add up
/// to its life, those of a phase or category to the threads' time in it.
///
/// Idle threads, which want a CPU for less than a hundredth of their life (pools that are kept but not used), have a part of their
/// own among phases, categories and threads: what they wait for says nothing about the kernels that run meanwhile.
public struct WaitingBreakdown: Codable, Sendable, Equatable {
  /// Time in one state.
  public struct StateTime: Codable, Sendable, Equatable {
    /// The state.
    public var state: TimeState
    /// The time of all threads that the part is about.
    public var nanoseconds: Int64
    /// Share of that part's time, 0…1.
    public var share: Double
    /// Sampling error of the share; `nil` where nothing was sampled.
    public var interval: Interval?
  }
  /// The time of some threads, or of all in some part of the run.
  public struct Part: Codable, Sendable, Equatable {
    /// What it is, in words: a phase, a category, a thread's name.
    public var name: String
    /// The phase; `nil` for parts of another kind, and for what was not traced.
    public var phase: KernelRecord.Phase?
    /// The kernels' category; `nil` for parts of another kind, and outside any kernel.
    public var category: KernelCategory?
    /// How many threads had time in it.
    public var threads: Int
    /// The time of all of them.
    public var nanoseconds: Int64
    /// States with time, in the order of `TimeState`.
    public var states: [StateTime]

    /// The share of a state, 0 where it has no time.
    public func share(_ state: TimeState) -> Double { states.first { $0.state == state }?.share ?? 0 }
    /// The time of a state.
    public func time(_ state: TimeState) -> Int64 { states.first { $0.state == state }?.nanoseconds ?? 0 }
  }

  /// All threads, the whole run.
  public var total: Part
  /// By thread: main threads and pools, by name; most time first.
  public var threads: [Part]
  /// By phase of the traced main thread, with what lies outside the trace and idle threads last; unavailable where
  /// nothing is traced.
  public var phases: Measured<[Part]>
  /// By category of the kernel that the traced main thread ran, most time first, then the time outside kernels,
  /// outside the trace and of idle threads.
  public var categories: Measured<[Part]>
  /// Exec to exit.
  public var wallNanoseconds: Int64
  /// The threads' lives: the sum of the states over it should be 1.
  public var lifeNanoseconds: Int64
  /// States ÷ life. Within 1 % of 1, the breakdown is complete.
  public var accounted: Double
  /// Share of the time on a CPU that samples tell apart into work, spinning and page faults.
  public var splitShare: Double
  /// Samples that do.
  public var samples: Int64
  /// Why page faults are not told from work, where they are not.
  public var noPageFaults: Unavailable?

  /// Working time ÷ (wall time × hardware threads).
  public var usefulOccupancy: Measured<Double>
  /// Spinning ÷ time on a CPU.
  public var barrierShare: Measured<Double>
  /// Among threads that meet at barriers: the longest working time ÷ the mean, less 1; 0 when all work alike.
  public var imbalance: Measured<Double>
}

extension WaitingBreakdown {
  /// Threads that are listed by name; the rest are one part.
  static let partLimit = 12
  /// Samples below which a share is not taken from a cell alone but from all such cells of its thread.
  static let fewSamples: Int64 = 30
  /// The names of parts that are no phase or category.
  static let outsideKernels = "outside kernels"
  /// Start-up, exit, and other processes.
  static let untraced = "outside the trace"
  /// Threads that want a CPU for less than this share of their life.
  static let idle = "idle threads"
  static let idleShare = 0.01

  static func of(_ tree: CallTree, _ run: Run) -> Measured<WaitingBreakdown> {
    let rows = ThreadTimes.rows(of: run)
    guard !rows.isEmpty else {
      return .unavailable(
        run.failure(of: "off-cpu") ?? Unavailable("thread states were not told apart on this machine"))
    }
    let isSampled = tree.samples > 0
    let sources = Set(rows.map(\.provenance.source))
    let source: Provenance.Source =
      isSampled ? .sampled : sources.count == 1 ? sources.first ?? .derived : .kernelAccounting
    let detail = [
      run.collector("off-cpu")?.method, isSampled ? "time on CPUs split by \(tree.samples) samples" : nil,
    ].compactMap(\.self).joined(separator: "; ")
    return Measured(WaitingBreakdown(tree, run, rows), source, detail: detail)
  }

  private init(_ tree: CallTree, _ run: Run, _ rows: [ThreadTime]) {
    let split = OnCPUSplit(tree, run, rows)
    var total = Tally()
    var byThread: [ThreadKey: Tally] = [:]
    var byPhase: [PhaseKey: Tally] = [:]
    var byCategory: [CategoryKey: Tally] = [:]
    for (row, parts) in zip(rows, split.parts) {
      for part in parts where part.nanoseconds > 0 {
        total.add(part, of: ThreadKey(row))
        byThread[ThreadKey(row), default: Tally()].add(part, of: ThreadKey(row))
      }
    }
    let idle = Set(byThread.filter { $0.value.isIdle }.keys)
    for (row, parts) in zip(rows, split.parts) {
      let thread = ThreadKey(row)
      let isIdle = idle.contains(thread)
      let phase: PhaseKey = isIdle ? .idle : row.phase.map { .phase($0) } ?? .untraced
      let category: CategoryKey =
        isIdle ? .idle : row.phase == nil ? .untraced : row.category.map { .category($0) } ?? .outside
      for part in parts where part.nanoseconds > 0 {
        byPhase[phase, default: Tally()].add(part, of: thread)
        byCategory[category, default: Tally()].add(part, of: thread)
      }
    }
    let all = total.part("all threads")
    self.total = all
    threads = Self.groups(byThread, run)

    let isTraced = rows.contains { $0.phase != nil }
    let noCells: Unavailable =
      run.mainKernels.isEmpty
      ? run.noKernels
      : Unavailable("thread time by kernel is in profiles of layout version 2 and later", remedy: "profile it again")
    if isTraced {
      phases = Measured(
        (KernelRecord.Phase.allCases.map { PhaseKey.phase($0) } + [.untraced, .idle]).compactMap { key in
          guard let tally = byPhase[key] else { return nil }
          switch key {
          case .idle: return tally.part(Self.idle)
          case .untraced: return tally.part(Self.untraced)
          case .phase(let phase):
            var part = tally.part(phase.rawValue)
            part.phase = phase
            return part
          }
        }, .derived, detail: "by the phase of the traced main thread")
      categories = Measured(
        byCategory.sorted { $0.key.order($0.value) < $1.key.order($1.value) }.map { key, tally in
          switch key {
          case .outside: return tally.part(Self.outsideKernels)
          case .untraced: return tally.part(Self.untraced)
          case .idle: return tally.part(Self.idle)
          case .category(let category):
            var part = tally.part(category.rawValue)
            part.category = category
            return part
          }
        }, .derived, detail: "by the kernel that the traced main thread ran")
    } else {
      phases = .unavailable(noCells)
      categories = .unavailable(noCells)
    }

    wallNanoseconds = run.wall
    lifeNanoseconds = run.data.threads.sum { max(0, $0.endNanoseconds.addingSaturating(-max(0, $0.startNanoseconds))) }
    accounted = fraction(all.nanoseconds, of: lifeNanoseconds)
    let onCPU = [TimeState.working, .spinning, .pageFault].sum { all.time($0) }
    splitShare = fraction(split.splitNanoseconds, of: onCPU)
    samples = split.samples
    noPageFaults = split.noPageFaults

    let working = all.time(.working)
    let wall = Double(run.wall)
    let isSplit = onCPU > 0 && splitShare >= 0.5
    let noSplit = split.samples == 0 ? run.noSamples : Unavailable("too few samples tell work from spinning")
    if !isSplit {
      usefulOccupancy = .unavailable(noSplit)
      barrierShare = .unavailable(noSplit)
      imbalance = .unavailable(noSplit)
    } else {
      usefulOccupancy = .combine(
        Measured(Double(working), .sampled), run.hardwareThreads,
        detail: "working time ÷ (wall time × hardware threads)"
      ) { $0 / (wall * $1) }
      barrierShare = Measured(
        fraction(all.time(.spinning), of: onCPU), .sampled, detail: "spinning ÷ time on a CPU")
      imbalance = Self.imbalance(byThread)
    }
  }

  /// Threads meet where they spin. Those of a process that have a good part of the CPU time of its busiest are a team;
  /// others, such as one that only logs, meet nobody.
  private static func imbalance(_ threads: [ThreadKey: Tally]) -> Measured<Double> {
    let byProcess = Dictionary(grouping: threads, by: \.key.pid).mapValues { all -> [Int64] in
      func onCPU(_ tally: Tally) -> Int64 {
        [TimeState.working, .spinning, .pageFault].sum { tally.times[$0] ?? 0 }
      }
      let busiest = all.map { onCPU($0.value) }.max() ?? 0
      return all.filter { ($0.value.times[.spinning] ?? 0) > 0 && onCPU($0.value) >= busiest / 5 }
        .map { $0.value.times[.working] ?? 0 }
    }
    guard let team = byProcess.values.max(by: { $0.sum { $0 } < $1.sum { $0 } }), team.count > 1 else {
      return .unavailable(Unavailable("no two threads of a process were seen to meet at barriers"))
    }
    let mean = Double(team.sum { $0 }) / Double(team.count)
    guard mean > 0 else { return .unavailable(Unavailable("threads that meet at barriers did no work")) }
    return Measured(
      Double(team.max() ?? 0) / mean - 1, .sampled, detail: "longest ÷ mean working time of \(team.count) threads − 1")
  }

  // MARK: Groups

  /// A thread: ids are used again.
  struct ThreadKey: Hashable {
    var pid: Int32
    var tid: Int32
    var start: Int64

    init(_ row: ThreadTime) { (pid, tid, start) = (row.pid, row.tid, row.startNanoseconds) }
    init(_ row: ThreadRecord) { (pid, tid, start) = (row.pid, row.tid, row.startNanoseconds) }
  }
  private enum PhaseKey: Hashable {
    case phase(KernelRecord.Phase)
    case untraced
    case idle
  }
  private enum CategoryKey: Hashable {
    case category(KernelCategory)
    case outside
    case untraced
    case idle

    /// Categories by their time, then the rest.
    func order(_ tally: Tally) -> (Int, Int64, String) {
      switch self {
      case .category(let category): (0, -tally.nanoseconds, category.rawValue)
      case .outside: (1, 0, "")
      case .untraced: (2, 0, "")
      case .idle: (3, 0, "")
      }
    }
  }
  private struct GroupKey: Hashable {
    var name: String
    var isMain: Bool
    var isIdle: Bool
  }

  /// Times by state, with the sampling error of those that samples tell apart.
  struct Tally {
    var times: [TimeState: Int64] = [:]
    /// Squares of the half widths, by the pool of samples that a share comes from: one pool errs as a whole.
    var errors: [TimeState: [Int: Double]] = [:]
    var threads: Set<ThreadKey> = []
    var nanoseconds: Int64 { times.values.sum { $0 } }
    /// Whether it hardly wants a CPU.
    var isIdle: Bool {
      let wanted = [TimeState.working, .spinning, .pageFault, .runnable].sum { times[$0] ?? 0 }
      return fraction(wanted, of: nanoseconds) < WaitingBreakdown.idleShare
    }

    mutating func add(_ part: OnCPUSplit.Part, of thread: ThreadKey) {
      times[part.state, default: 0].add(part.nanoseconds)
      if let error = part.error { errors[part.state, default: [:]][error.pool, default: 0] += error.halfWidth }
      threads.insert(thread)
    }

    mutating func add(_ other: Tally) {
      times.merge(other.times) { $0.addingSaturating($1) }
      for (state, pools) in other.errors { errors[state, default: [:]].merge(pools) { $0 + $1 } }
      threads.formUnion(other.threads)
    }

    func part(_ name: String) -> WaitingBreakdown.Part {
      let all = nanoseconds
      return WaitingBreakdown.Part(
        name: name, threads: threads.count, nanoseconds: all,
        states: TimeState.allCases.compactMap { state in
          guard let time = times[state], time > 0 else { return nil }
          let share = fraction(time, of: all)
          let half = errors[state].map { $0.values.reduce(0) { $0 + $1 * $1 }.squareRoot() / Double(max(1, all)) }
          return WaitingBreakdown.StateTime(
            state: state, nanoseconds: time, share: share,
            interval: half.map { Interval(lower: max(0, share - $0), upper: min(1, share + $0), level: 0.95) })
        })
    }
  }

  /// Main threads and pools: threads of one name together, whatever number it ends with.
  private static func groups(_ threads: [ThreadKey: Tally], _ run: Run) -> [Part] {
    let names = Dictionary(run.data.threads.map { (ThreadKey($0), $0.name) }) { first, _ in first }
    var groups: [GroupKey: Tally] = [:]
    for (thread, tally) in threads {
      let name = names[thread] ?? "thread \(thread.tid)"
      let isMain = thread.pid == thread.tid
      groups[GroupKey(name: poolName(name), isMain: isMain, isIdle: !isMain && tally.isIdle), default: Tally()]
        .add(tally)
    }
    let sorted = groups.sorted {
      ($1.value.nanoseconds, $0.key.name, $0.key.isMain ? 0 : 1)
        < ($0.value.nanoseconds, $1.key.name, $1.key.isMain ? 0 : 1)
    }
    var parts = sorted.prefix(partLimit).map { key, tally in
      let count = tally.threads.count
      return tally.part(
        key.isMain
          ? count == 1 ? "\(key.name), main thread" : "\(key.name), \(count) processes"
          : "\(key.name), \(Words.counted(count, key.isIdle ? "idle thread" : "thread"))")
    }
    if sorted.count > partLimit {
      var rest = Tally()
      for (_, tally) in sorted.dropFirst(partLimit) { rest.add(tally) }
      parts.append(rest.part("\(rest.threads.count) other threads"))
    }
    return parts
  }

  /// `worker-3` and `worker-12` are of one pool.
  static func poolName(_ name: String) -> String {
    var end = name.unicodeScalars[...]
    while let last = end.last, ("0"..."9").contains(last) { end.removeLast() }
    guard end.count < name.unicodeScalars.count else { return name }
    while let last = end.last, "-_:#/. ".unicodeScalars.contains(last) { end.removeLast() }
    return end.isEmpty ? name : String(end)
  }
}
