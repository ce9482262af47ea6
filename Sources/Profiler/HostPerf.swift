// What does this kernel let this process measure: PMUs, paranoid level, capabilities, limits?

/// The settings that decide which counters and samples can be had.
public struct HostPerf: Hashable, Sendable {
  /// Every PMU that the kernel offers: `cpu`, `power`, `software`, `tracepoint` …
  public var pmus: [String] = []
  /// Slots of the core in a cycle, where its PMU tells (`caps/slots` of Arm's).
  public var slots: Int?
  /// `kernel.perf_event_paranoid`; `nil` when the kernel has no `perf_event` at all.
  public var paranoid: Int?
  /// `kernel.kptr_restrict`.
  public var kptrRestrict: Int?
  /// `kernel.perf_event_mlock_kb`, in bytes.
  public var ringBytesPerCPU: Int64?
  /// `kernel.perf_event_max_sample_rate`, Hz.
  public var maximumSampleRate: Int64?
  /// `kernel.perf_event_max_stack`, frames.
  public var maximumStack: Int64?
  /// Whether the NMI watchdog keeps one hardware counter busy.
  public var hasNMIWatchdog = false
  /// `RLIMIT_MEMLOCK`, soft, in bytes; `nil` for unlimited.
  public var memoryLockLimit: Int64?
  /// `RLIMIT_NOFILE`, soft; `nil` for unlimited.
  public var openFilesLimit: Int64?
  /// `kernel.yama.ptrace_scope`; 0 where there is no Yama.
  public var ptraceScope = 0
  /// Effective capabilities (`CapEff`).
  public var capabilities: UInt64 = 0
  /// Effective user.
  public var isRoot = false
  /// Filter mode of this process: 0 none, 1 strict, 2 filter.
  public var seccomp = 0

  /// Capability numbers (`linux/capability.h`).
  public enum Capability: Int, Sendable {
    case ipcLock = 14
    case ptrace = 19
    case admin = 21
    case syslog = 34
    case perfmon = 38
  }

  /// Whether this process holds a capability.
  public func has(_ capability: Capability) -> Bool { capabilities >> UInt64(capability.rawValue) & 1 == 1 }

  /// Whether `perf_event` restrictions do not apply to this process.
  public var isPrivileged: Bool { has(.perfmon) || has(.admin) }

  /// The PMUs that count cycles and instructions of a CPU core.
  public var hardwarePMUs: [String] { pmus.filter(Self.isCore) }

  /// Whether a PMU of that name counts cycles and instructions of a CPU core.
  static func isCore(_ name: String) -> Bool {
    ["cpu", "cpu_core", "cpu_atom", "cpu_lowpower", "cpum_cf"].contains(name)
      || ["armv8_", "armv9_", "apple_"].contains { name.hasPrefix($0) }
  }

  static func read(_ files: HostFiles) -> HostPerf {
    var perf = HostPerf()
    perf.pmus = files.list("/sys/bus/event_source/devices").sorted()
    perf.slots = perf.pmus.first { $0.hasPrefix("armv8_") || $0.hasPrefix("armv9_") }
      .flatMap { files.text("/sys/bus/event_source/devices/\($0)/caps/slots") }
      .flatMap { $0.hasPrefix("0x") ? Int($0.dropFirst(2), radix: 16) : Int($0) }.flatMap { $0 > 0 ? $0 : nil }
    let kernel = "/proc/sys/kernel"
    perf.paranoid = files.number("\(kernel)/perf_event_paranoid").map(Int.init)
    perf.kptrRestrict = files.number("\(kernel)/kptr_restrict").map(Int.init)
    perf.ringBytesPerCPU = files.number("\(kernel)/perf_event_mlock_kb").map { $0 << 10 }
    perf.maximumSampleRate = files.number("\(kernel)/perf_event_max_sample_rate")
    perf.maximumStack = files.number("\(kernel)/perf_event_max_stack")
    perf.hasNMIWatchdog = files.number("\(kernel)/nmi_watchdog") == 1
    perf.ptraceScope = files.number("\(kernel)/yama/ptrace_scope").map(Int.init) ?? 0
    let limits = files.text("/proc/self/limits") ?? ""
    perf.memoryLockLimit = limit("Max locked memory", in: limits)
    perf.openFilesLimit = limit("Max open files", in: limits)
    let status = files.text("/proc/self/status") ?? ""
    perf.capabilities = field("CapEff", in: status).flatMap { UInt64($0, radix: 16) } ?? 0
    perf.seccomp = field("Seccomp", in: status).flatMap { Int($0) } ?? 0
    // Real, effective, saved, file system.
    perf.isRoot = field("Uid", in: status)?.split(whereSeparator: { $0 == "\t" || $0 == " " }).dropFirst().first == "0"
    return perf
  }

  /// The soft limit of a row of `/proc/self/limits`.
  private static func limit(_ name: String, in text: String) -> Int64? {
    for line in text.split(separator: "\n") where line.hasPrefix(name) {
      return line.dropFirst(name.count).split(separator: " ").first.flatMap { Int64($0) }
    }
    return nil
  }
}
