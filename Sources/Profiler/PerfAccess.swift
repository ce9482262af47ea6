// What may this process do with perf events on this machine, and what would allow more?
import CPerfEvent
import Glibc
import ProfileModel

/// The PMU of one kind of core.
struct CorePMU: Hashable, Sendable {
  /// `cpu`, `cpu_core`, `armv8_pmuv3_0` …
  var name: String
  /// Its number for `perf_event_attr.type`.
  var type: UInt32
}

/// What `perf_event_open` offers here.
public struct PerfAccess: Sendable {
  /// Who opens events.
  var system: any PerfSystem = KernelPerf()
  /// The PMUs of the CPU: several where there are several kinds of cores.
  var corePMUs: [CorePMU] = []
  /// `kernel.perf_event_paranoid`; `nil` where the kernel has no perf events or hides the file.
  public var paranoid: Int?
  /// `kernel.perf_event_max_sample_rate`, samples per second.
  public var maximumSampleRate: Int
  /// Why there are no hardware counters; `nil` when there are.
  public var noHardware: Unavailable?
  /// Why there are no perf events at all; `nil` when there are.
  public var noEvents: Unavailable?
  /// Why the kernel's side can't be seen; `nil` when it can.
  public var noKernel: Unavailable?

  /// Makes an account of what was found out.
  init(paranoid: Int?, maximumSampleRate: Int) {
    self.paranoid = paranoid
    self.maximumSampleRate = maximumSampleRate
  }

  /// Tries it out on the calling thread.
  public static func probe() -> PerfAccess { probe(KernelPerf(), .live) }

  /// Tries it out on a machine.
  static func probe(_ system: any PerfSystem, _ files: HostFiles) -> PerfAccess {
    let kernel = "/proc/sys/kernel"
    var access = PerfAccess(
      paranoid: files.number("\(kernel)/perf_event_paranoid").map(Int.init),
      maximumSampleRate: files.number("\(kernel)/perf_event_max_sample_rate").map(Int.init) ?? 100_000)
    access.system = system
    let devices = "/sys/bus/event_source/devices"
    access.corePMUs = files.list(devices).filter(HostPerf.isCore).sorted().compactMap { name in
      files.number("\(devices)/\(name)/type").flatMap { UInt32(exactly: $0) }.map { CorePMU(name: name, type: $0) }
    }

    func attempt(_ type: perf_type_id, _ config: UInt64, kernel: Bool) -> SystemCallError? {
      var spec = PerfEventSpec("probe", .software, type: type.rawValue, config: config)
      spec.excludesKernel = !kernel
      var attribute = spec.attribute()
      // The probe shall count nothing.
      attribute.enable_on_exec = 0
      attribute.inherit = 0
      do {
        _ = try PerfEvent.open(attribute, on: system, pid: 0, mayReduce: false)
        return nil
      } catch {
        return error
      }
    }

    let clock = UInt64(PERF_COUNT_SW_TASK_CLOCK.rawValue)
    if let error = attempt(PERF_TYPE_SOFTWARE, clock, kernel: false) {
      access.noEvents = access.explanation(of: error)
      access.noHardware = access.noEvents
      access.noKernel = access.noEvents
      return access
    }
    if let error = attempt(PERF_TYPE_HARDWARE, UInt64(PERF_COUNT_HW_CPU_CYCLES.rawValue), kernel: false) {
      access.noHardware =
        error.code == ENOENT || error.code == EOPNOTSUPP ? noPMU(files) : access.explanation(of: error)
    }
    if let error = attempt(PERF_TYPE_SOFTWARE, clock, kernel: true) {
      access.noKernel = access.explanation(of: error)
    }
    return access
  }

  /// The kernel drives no PMU: in a virtual machine the host keeps it.
  private static func noPMU(_ files: HostFiles) -> Unavailable {
    // The flags of the first processor are in the first lines.
    (files.head("/proc/cpuinfo", 16384) ?? "").contains(" hypervisor")
      ? Unavailable(
        "no hardware PMU (the host of this virtual machine keeps it)",
        remedy: "give the guest a virtual PMU (QEMU: -cpu host,pmu=on), or run on the host or on a bare-metal instance")
      : Unavailable("no hardware PMU (the kernel drives none on this CPU)")
  }

  /// Why a `perf_event_open` failed, in words, with the command that helps.
  ///
  /// - Parameters:
  ///   - error: What it threw.
  ///   - spec: The event, where it makes a difference.
  func explanation(of error: SystemCallError, opening spec: PerfEventSpec? = nil) -> Unavailable {
    let level = paranoid.map { "kernel.perf_event_paranoid is \($0)" } ?? "perf events are restricted"
    switch error.code {
    case EACCES where spec?.kind == .tracepoint:
      return Unavailable(
        "\(level): tracepoints are not open to this user", remedy: "sudo sysctl kernel.perf_event_paranoid=-1")
    case EACCES where spec?.kind == .device:
      return Unavailable(
        "\(level): PMUs of the whole machine are not open to this user",
        remedy: "sudo sysctl kernel.perf_event_paranoid=0")
    case EACCES:
      return Unavailable(
        "\(level): the kernel's side is not open to this user", remedy: "sudo sysctl kernel.perf_event_paranoid=1")
    case EPERM where error.call == "mmap":
      return Unavailable(
        "no locked memory left for a ring buffer", remedy: "sudo sysctl kernel.perf_event_mlock_kb=4096")
    case EPERM, ENOSYS:
      return Unavailable(
        "perf_event_open is blocked (a container's seccomp profile, or a kernel without perf events)",
        remedy: "start the container with --cap-add PERFMON, or with --security-opt seccomp=unconfined")
    case ENOENT, ENODEV, EOPNOTSUPP, ENXIO:
      if spec?.kind == .hardware, let noHardware { return noHardware }
      return Unavailable(
        spec?.kind == .hardware ? "this CPU does not count it" : "this kernel does not offer it",
        remedy: "choose another: kiviat list events")
    case EINVAL where spec?.kind == .device:
      return Unavailable(
        "this PMU counts for the whole machine only, not for a process", remedy: "choose another: kiviat list events")
    case EINVAL where spec?.groupRank == 1:
      return Unavailable(
        "it is a part of slots, and counts only in one group with it", remedy: "-e '{slots,…}'")
    case EINVAL:
      return Unavailable(
        "the kernel refuses this event here (its code, its modifiers)", remedy: "choose another: kiviat list events")
    case EBUSY:
      return Unavailable(
        "another user of the counters holds them", remedy: "sudo sysctl kernel.nmi_watchdog=0")
    case EMFILE, ENFILE:
      return Unavailable("too many open files", remedy: "ulimit -n 65536")
    case ENOSPC where spec?.kind == .breakpoint:
      return Unavailable(
        "all breakpoint registers of the CPU are taken", remedy: "count fewer breakpoints at once")
    case ENOSPC:
      return Unavailable("all counters that can count it are taken", remedy: "count fewer events at once (-e)")
    case E2BIG:
      return Unavailable(
        "this kernel is older than the interface that was asked of it (E2BIG)", remedy: "boot Linux 5.4 or newer")
    case ENOMEM:
      return Unavailable("the kernel has no memory for another event", remedy: "count fewer events at once (-e)")
    case ESRCH:
      return Unavailable("the target ended before it could be counted", remedy: "run it again")
    default:
      return Unavailable("\(error)")
    }
  }
}
