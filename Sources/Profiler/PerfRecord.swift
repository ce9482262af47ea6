// The records that `perf_event` ring buffers deliver, decoded. Times are CLOCK_MONOTONIC nanoseconds.

/// A decoded ring-buffer record.
public enum PerfRecord: Sendable {
  case sample(PerfSample)
  /// An executable mapping appeared.
  case mapping(PerfMapping)
  /// A process or thread has a new name; `isExec` when by exec, which clears its mappings.
  case name(pid: Int32, tid: Int32, name: String, isExec: Bool, time: UInt64)
  /// A new process (`pid != parentPID`) or thread (`pid == parentPID`).
  case fork(pid: Int32, parentPID: Int32, tid: Int32, parentTID: Int32, time: UInt64)
  case exit(pid: Int32, parentPID: Int32, tid: Int32, parentTID: Int32, time: UInt64)
  /// A thread left (`isOut`) or entered a CPU; `isPreempted` when it left although it could have gone on.
  case contextSwitch(pid: Int32, tid: Int32, isOut: Bool, isPreempted: Bool, time: UInt64)
  /// Records that did not fit into the ring.
  case lost(count: UInt64, time: UInt64)

  /// When it happened.
  public var time: UInt64 {
    switch self {
    case .sample(let sample): sample.time
    case .mapping(let mapping): mapping.time
    case .name(_, _, _, _, let time), .fork(_, _, _, _, let time), .exit(_, _, _, _, let time),
      .contextSwitch(_, _, _, _, let time), .lost(_, let time):
      time
    }
  }
}

/// One sample.
public struct PerfSample: Sendable {
  /// Which opened event took it: an index into the source's events.
  public var event: Int
  /// The process, as the kernel's records name it.
  public var pid: Int32
  /// The thread.
  public var tid: Int32
  /// The CPU that it was taken on.
  public var cpu: Int32
  /// `CLOCK_MONOTONIC`, nanoseconds.
  public var time: UInt64
  /// Nanoseconds for `cpu-clock`, event counts for others.
  public var period: UInt64
  /// Leaf first, with the kernel's context markers (`PERF_CONTEXT_USER` …) still inside.
  public var callChain: [UInt64]
  /// User registers in the kernel's order of ``PerfRecordSource/userRegisterMask``, and a copy of the top of the user stack; empty
  /// unless DWARF unwinding asked for them.
  public var userRegisters: [UInt64]
  /// See ``userRegisters``.
  public var userStack: [UInt8]
  /// A tracepoint's payload.
  public var raw: [UInt8]

  /// Makes a sample.
  public init(
    event: Int, pid: Int32, tid: Int32, cpu: Int32, time: UInt64, period: UInt64, callChain: [UInt64] = [],
    userRegisters: [UInt64] = [], userStack: [UInt8] = [], raw: [UInt8] = []
  ) {
    self.event = event
    self.pid = pid
    self.tid = tid
    self.cpu = cpu
    self.time = time
    self.period = period
    self.callChain = callChain
    self.userRegisters = userRegisters
    self.userStack = userStack
    self.raw = raw
  }
}

/// One executable mapping.
public struct PerfMapping: Sendable {
  /// The process.
  public var pid: Int32
  /// The thread that made it.
  public var tid: Int32
  /// Where it begins.
  public var address: UInt64
  /// Bytes.
  public var length: UInt64
  /// Offset into the file, bytes.
  public var pageOffset: UInt64
  /// File path, `[vdso]`, `//anon` …
  public var path: String
  /// `CLOCK_MONOTONIC`, nanoseconds.
  public var time: UInt64

  /// Makes a mapping.
  public init(
    pid: Int32, tid: Int32, address: UInt64, length: UInt64, pageOffset: UInt64, path: String, time: UInt64
  ) {
    self.pid = pid
    self.tid = tid
    self.address = address
    self.length = length
    self.pageOffset = pageOffset
    self.path = path
    self.time = time
  }
}

/// Something that reads the records of a target in time order.
public protocol PerfRecordConsumer: AnyObject {
  /// Called with non-decreasing times, save for records that came later than the source's reordering window.
  func consume(_ record: PerfRecord)
}

/// Tells which traced kernel ran on a thread at a time, so that samples can be attributed to kernels.
public protocol KernelAttributor: AnyObject {
  /// The id (as in ``KernelRecord/id``) of the innermost traced kernel that ran in `pid` when `tid` was sampled. A
  /// worker thread (OpenMP) that traces nothing itself belongs to the kernel on its process's computing thread.
  func runningKernel(pid: Int32, tid: Int32, at monotonicNanoseconds: UInt64) -> Int64?
}
