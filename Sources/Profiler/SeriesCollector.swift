// How do CPU use, threads, memory, I/O and context switches of the process tree go over time?
import CPerfEvent
import Glibc
import ProfileModel

/// Collector `series`: a point every 100 ms.
///
/// CPU time and context switches come from two counters that the whole tree inherits: exact, and two reads a tick
/// however many threads there are. Where they are not permitted, the processes' own clocks and `/proc` stand in.
public final class SeriesCollector: Collector {
  /// A count over the whole tree that never falls; `nil` when it can't be read.
  typealias Total = () -> UInt64?
  /// Opens the counters on a process: CPU nanoseconds, context switches. A test hands in its own.
  typealias Counters = (_ pid: Int32) -> (cpu: Total?, switches: Total?)

  /// Beyond this many threads, reading each one's context switches would cost more than it tells.
  private static let threadsReadOneByOne = 256

  private let tree: ProcessTree
  private let files: HostFiles
  private let pageSize: Int
  private let openCounters: Counters
  private let processClock: (_ pid: Int32) -> UInt64?

  private var cpuCounter: Total?
  private var switchCounter: Total?
  private var cpuClocks = SumOverProcesses()
  private var threadSwitches = SumOverProcesses()
  private var traffic = StorageTraffic()
  private var start: UInt64 = 0
  private var last: Reading?
  private var pending: [SeriesPoint] = []
  private var hasPoints = false
  private var isDescribed = false
  private var skippedSwitches = false

  /// Collector states as of now.
  public private(set) var state = CollectorState("series", .unavailable, reason: "not started")
  /// `series`.
  public let name = "series"

  /// Totals at one time; `nil` where they can't be read.
  private struct Reading {
    var time: UInt64
    var cpu: UInt64?
    var switches: UInt64?
    var traffic: StorageTraffic.Bytes?
  }

  /// Makes a collector that shares the tree with others.
  public convenience init(tree: ProcessTree) {
    self.init(
      tree: tree, files: .live, pageSize: Int(getpagesize()), openCounters: Self.openInherited,
      processClock: Self.readProcessClock)
  }

  init(
    tree: ProcessTree, files: HostFiles, pageSize: Int, openCounters: @escaping Counters,
    processClock: @escaping (_ pid: Int32) -> UInt64?
  ) {
    self.tree = tree
    self.files = files
    self.pageSize = pageSize
    self.openCounters = openCounters
    self.processClock = processClock
  }

  /// Opens the counters on the suspended child.
  public func prepare(_ target: TargetContext) -> CollectorState {
    tree.follow(target.pid)
    (cpuCounter, switchCounter) = openCounters(target.pid)
    let methods = [
      cpuCounter == nil ? "process CPU clocks" : "task-clock counter",
      switchCounter == nil ? "context switches of each thread in /proc" : "context-switches counter",
      "/proc/PID/stat and io, every 100 ms",
    ]
    state = CollectorState("series", .measured, method: methods.joined(separator: ", "))
    if switchCounter == nil || cpuCounter == nil {
      state.outcome = .degraded
      state.reason =
        "no counter for \(cpuCounter == nil ? "CPU time" : "context switches"): what a process does between the last "
        + "reading and its end is missing"
      state.remedy = "sudo sysctl kernel.perf_event_paranoid=1"
    }
    return state
  }

  /// Time zero of the points.
  public func start(monotonicNanoseconds: UInt64) {
    start = monotonicNanoseconds
    last = Reading(time: start, cpu: 0, switches: 0, traffic: .init())
  }

  /// Takes a point of every series.
  public func tick(monotonicNanoseconds now: UInt64) {
    tree.refresh(monotonicNanoseconds: now)
    append("threads", Double(tree.living.reduce(0) { $0 + $1.threads }), now)
    append("memory.rss", Double(tree.living.reduce(0) { $0 + $1.residentPages } * Int64(pageSize)), now)
    readRates(now)
  }

  /// Takes a last point of the rates.
  public func stop(monotonicNanoseconds now: UInt64) {
    tree.refresh(monotonicNanoseconds: now)
    // What remains since the last tick; too short an interval says nothing.
    guard !hasPoints || now > (last?.time ?? 0) + 1_000_000 else { return }
    readRates(now)
  }

  /// Writes the points since the last write.
  public func write(to transaction: ProfileTransaction, repetition: Int) throws {
    if !isDescribed {
      for series in descriptions { try transaction.series(series) }
      isDescribed = true
    }
    for point in pending { try transaction.point(point, repetition: repetition) }
    // Points never change, so they are written once: memory stays constant over hours.
    pending.removeAll(keepingCapacity: true)
  }

  private func append(_ series: String, _ value: Double, _ time: UInt64) {
    pending.append(SeriesPoint(series: series, timeNanoseconds: Int64(time - start), value: value))
    hasPoints = true
  }

  private func readRates(_ now: UInt64) {
    var reading = Reading(time: now)
    let processes = tree.processes.values
    if let cpuCounter {
      reading.cpu = cpuCounter()
    } else {
      cpuClocks.update(processes.map { ($0.pid, processClock($0.pid)) })
      reading.cpu = cpuClocks.total
    }
    if let switchCounter {
      reading.switches = switchCounter()
    } else {
      reading.switches = readThreadSwitches()
    }
    traffic.update(processes, departed: tree.departed, files: files)
    if traffic.refused > 0, traffic.refused == processes.count {
      degrade(
        "no I/O series: /proc/PID/io may not be read for this process",
        "run kiviat as the user of the command, or as root")
    } else {
      reading.traffic = traffic.total
    }
    if let last, now > last.time {
      let seconds = Double(now - last.time) / 1e9
      func rate(_ series: String, _ before: UInt64?, _ after: UInt64?, per unit: Double = 1) {
        guard let before, let after, after >= before else { return }
        append(series, Double(after - before) / unit / seconds, now)
      }
      rate("cpu.use", last.cpu, reading.cpu, per: 1e9)
      rate("context_switches", last.switches, reading.switches)
      rate("io.read", last.traffic?.read, reading.traffic?.read)
      rate("io.write", last.traffic?.written, reading.traffic?.written)
    }
    last = reading
  }

  private func readThreadSwitches() -> UInt64? {
    guard tree.living.reduce(0, { $0 + $1.threads }) <= Self.threadsReadOneByOne else {
      degrade("no context switches while there were more than \(Self.threadsReadOneByOne) threads", state.remedy)
      return nil
    }
    var readings: [(Int32, UInt64?)] = []
    for process in tree.processes.values {
      for name in files.list("/proc/\(process.pid)/task") {
        guard let tid = Int32(name), let status = files.text("/proc/\(process.pid)/task/\(name)/status") else {
          continue
        }
        let counts = ["voluntary_ctxt_switches", "nonvoluntary_ctxt_switches"].compactMap { key in
          field(key, in: status).flatMap { UInt64($0) }
        }
        readings.append((tid, counts.count == 2 ? counts[0] + counts[1] : nil))
      }
    }
    threadSwitches.update(readings)
    return threadSwitches.total
  }

  private func degrade(_ reason: String, _ remedy: String?) {
    guard state.reason?.contains(reason) != true else { return }
    state.outcome = .degraded
    state.reason = [state.reason, reason].compactMap(\.self).joined(separator: "; ")
    state.remedy = state.remedy ?? remedy
  }

  private var descriptions: [Series] {
    let counted = "counter inherited by the whole process tree"
    return [
      Series(
        name: "cpu.use", unit: "1",
        provenance: cpuCounter == nil
          ? Provenance(.kernelAccounting, detail: "CPU clocks of the processes; 1 is one hardware thread busy")
          : Provenance(.softwareCounter, detail: "task-clock, \(counted); 1 is one hardware thread busy")),
      Series(
        name: "threads", unit: "1", provenance: Provenance(.kernelAccounting, detail: "/proc/PID/stat, all processes")),
      Series(
        name: "memory.rss", unit: "B",
        provenance: Provenance(
          .kernelAccounting,
          detail: "sum of the resident sets of all processes; pages that they share count once for each")),
      Series(
        name: "io.read", unit: "B/s",
        provenance: Provenance(
          .kernelAccounting,
          detail: "bytes fetched from storage (/proc/PID/io read_bytes); the page cache is no storage")),
      Series(
        name: "io.write", unit: "B/s",
        provenance: Provenance(
          .kernelAccounting,
          detail: "bytes sent towards storage (/proc/PID/io write_bytes), counted when written to the page cache")),
      Series(
        name: "context_switches", unit: "1/s",
        provenance: switchCounter == nil
          ? Provenance(.kernelAccounting, detail: "/proc/PID/task/TID/status")
          : Provenance(.softwareCounter, detail: "context-switches, \(counted)")),
    ]
  }
}

/// A sum over processes or threads that come and go: what has gone stays counted, so the total never falls.
struct SumOverProcesses {
  private var last: [Int32: UInt64] = [:]
  private var gone: UInt64 = 0
  private(set) var total: UInt64 = 0

  mutating func update(_ readings: [(id: Int32, value: UInt64?)]) {
    var now: [Int32: UInt64] = [:]
    for (id, value) in readings {
      let before = last.removeValue(forKey: id)
      if let value, let before, value < before {
        // The number was used again.
        gone += before
        now[id] = value
      } else {
        now[id] = value ?? before
      }
    }
    gone += last.values.reduce(0, +)
    last = now
    total = max(total, now.values.reduce(gone, +))
  }
}

extension SeriesCollector {
  /// Opens `task-clock` and `context-switches`, inherited by everything that the child will start.
  private static func openInherited(_ pid: Int32) -> (cpu: Total?, switches: Total?) {
    func open(_ name: String, _ config: perf_sw_ids) -> Total? {
      let spec = PerfEventSpec(name, .software, type: PERF_TYPE_SOFTWARE.rawValue, config: UInt64(config.rawValue))
      // Context switches happen in the kernel: without it there would be a false zero.
      guard let event = try? PerfEvent.open(spec.attribute(), pid: pid, mayReduce: spec.isModeless) else { return nil }
      return { (try? event.read(3))?.first }
    }
    return (
      open("task-clock", PERF_COUNT_SW_TASK_CLOCK), open("context-switches", PERF_COUNT_SW_CONTEXT_SWITCHES)
    )
  }

  /// The CPU time of another process with all its threads, those that ended included (`clock_getcpuclockid(3)`).
  private static func readProcessClock(_ pid: Int32) -> UInt64? {
    var clock = clockid_t()
    var time = timespec()
    guard clock_getcpuclockid(pid, &clock) == 0, clock_gettime(clock, &time) == 0 else { return nil }
    return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
  }
}
