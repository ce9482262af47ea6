// Which processes belong to the target now: the child, all that it started, and orphans among them.
import Glibc

/// A process as `/proc/PID/stat` shows it.
struct ProcessStatus: Hashable, Sendable {
  var pid: Int32
  var parentPID: Int32
  /// `R`, `S`, `D`, `Z` …
  var state: UInt8
  /// The main thread's name.
  var name: String
  var threads: Int
  /// Start, clock ticks since boot.
  var startTicks: UInt64
  /// CPU time in clock ticks: its own threads', and that of children it has waited for.
  var userTicks: UInt64
  var systemTicks: UInt64
  var childrenUserTicks: UInt64
  var childrenSystemTicks: UInt64
  /// Resident pages.
  var residentPages: Int64
  /// As `wait` reports it; valid for a zombie, and only shown to those who may trace the process.
  var exitCode: Int32

  /// Whether it has ended and waits to be reaped. A process whose main thread ended before others has not.
  var hasEnded: Bool { (state == UInt8(ascii: "Z") && threads <= 1) || state == UInt8(ascii: "X") }

  /// Reads a line of `/proc/PID/stat` or `/proc/PID/task/TID/stat` (`proc_pid_stat(5)`). The name stands in
  /// parentheses and may itself hold any character, so the last `)` ends it.
  init?(stat bytes: [UInt8]) {
    guard let open = bytes.firstIndex(of: UInt8(ascii: "(")), let close = bytes.lastIndex(of: UInt8(ascii: ")")),
      open < close, let pid = Int32(String(decoding: bytes[..<open], as: UTF8.self).filter(\.isNumber))
    else { return nil }
    let fields = bytes[(close + 1)...].split { $0 == 0x20 || $0 == 0x0A }
    guard fields.count >= 22, let state = fields[0].first else { return nil }
    // Numbered from field 3 (state) as in the manual page.
    func number(_ field: Int) -> UInt64 {
      field - 3 < fields.count
        ? fields[field - 3].reduce(0) { $1 >= 0x30 && $1 <= 0x39 ? $0 &* 10 &+ UInt64($1 - 0x30) : $0 } : 0
    }
    self.pid = pid
    self.state = state
    name = String(decoding: bytes[(open + 1)..<close], as: UTF8.self)
    parentPID = Int32(truncatingIfNeeded: number(4))
    userTicks = number(14)
    systemTicks = number(15)
    childrenUserTicks = number(16)
    childrenSystemTicks = number(17)
    threads = Int(truncatingIfNeeded: number(20))
    startTicks = number(22)
    residentPages = Int64(truncatingIfNeeded: number(24))
    exitCode = Int32(truncatingIfNeeded: number(52))
  }
}

/// Follows the target's processes. Fork records tell exactly who belongs to it; without them `/proc` is searched: a
/// process belongs to the tree if its parent does, or if it is an orphan that the profiler, as subreaper, inherited.
///
/// One tree is shared by the collectors of a session: the first that asks in a tick reads `/proc`, the others get what
/// it read.
public final class ProcessTree: PerfRecordConsumer {
  private let files: HostFiles
  private var root: Int32 = 0
  private var rootStartTicks: UInt64 = 0
  private var reaper: Int32 = 0
  private var members: Set<Int32> = []
  private var outsiders: Set<Int32> = []
  private var hasRecords = false
  private var refreshedAt: UInt64?

  /// The members that `/proc` still shows, by pid, as of the last refresh. Zombies are among them.
  private(set) var processes: [Int32: ProcessStatus] = [:]
  /// Members that disappeared in the last refresh, as they were seen last.
  private(set) var departed: [ProcessStatus] = []
  /// Why the tree can't be read, when it can't.
  private(set) var problem: String?

  /// Makes a tree; ``follow(_:reaper:)`` gives it a target.
  public init(files: HostFiles = .live) { self.files = files }

  /// Begins with the suspended child.
  ///
  /// - Parameter reaper: who inherits the target's orphans: the profiler itself. Children of it that are older than the
  ///   target are none of the target's.
  public func follow(_ pid: Int32, reaper: Int32 = getpid()) {
    root = pid
    self.reaper = reaper
    members = [pid]
    outsiders = []
    processes = [:]
    departed = []
    refreshedAt = nil
    hasRecords = false
    problem = nil
    rootStartTicks = status(pid)?.startTicks ?? 0
  }

  /// The target's first process.
  var rootPID: Int32 { root }
  /// Who inherits orphans.
  var reaperPID: Int32 { reaper }
  /// Members that live, in no particular order.
  var living: some Collection<ProcessStatus> { processes.values.lazy.filter { !$0.hasEnded } }

  /// Learns of new processes.
  public func consume(_ record: PerfRecord) {
    switch record {
    case .fork(let pid, let parent, _, _, _):
      if pid != parent { members.insert(pid) }
      hasRecords = true
    case .name: hasRecords = true
    default: break
    }
  }

  /// Brings ``processes`` up to date, at most once for a time.
  func refresh(monotonicNanoseconds now: UInt64) {
    guard refreshedAt != now else { return }
    refreshedAt = now
    if !hasRecords { search() }
    departed = []
    var seen: [Int32: ProcessStatus] = [:]
    for pid in members {
      if let status = status(pid) {
        // A number used again by somebody else.
        if let before = processes[pid], before.startTicks != status.startTicks {
          departed.append(before)
          members.remove(pid)
        } else {
          seen[pid] = status
        }
      } else {
        if let before = processes[pid] { departed.append(before) }
        members.remove(pid)
      }
    }
    if seen.isEmpty, processes.isEmpty, departed.isEmpty {
      problem = "/proc/\(root)/stat can't be read (is /proc mounted?)"
    } else {
      problem = nil
    }
    processes = seen
  }

  private func listed() -> [Int32] { files.list("/proc").compactMap { Int32($0) } }

  private func status(_ pid: Int32) -> ProcessStatus? {
    guard case .success(let bytes) = files.read("/proc/\(pid)/stat") else { return nil }
    return ProcessStatus(stat: bytes)
  }

  /// Judges the processes that are new since the last search. Only those are read, so that a tick stays cheap on a
  /// machine with thousands of processes.
  private func search() {
    let now = Set(listed())
    outsiders.formIntersection(now)
    var parents: [Int32: Int32] = [:]
    var orphans: Set<Int32> = []
    for pid in now where !members.contains(pid) && !outsiders.contains(pid) {
      guard let status = status(pid) else { continue }
      parents[pid] = status.parentPID
      if status.parentPID == reaper, status.startTicks >= rootStartTicks { orphans.insert(pid) }
    }
    // A new process's parent may be new as well: go up until somebody is known.
    func belongs(_ pid: Int32) -> Bool {
      var next = pid
      for _ in 0...parents.count {
        guard let parent = parents[next] else { return false }
        if members.contains(parent) || orphans.contains(next) { return true }
        next = parent
      }
      return false
    }
    let found = parents.keys.filter(belongs)
    members.formUnion(found)
    outsiders.formUnion(Set(parents.keys).subtracting(found))
  }
}
