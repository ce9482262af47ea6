// What may this process do with perf events on this machine, and what would allow more?
import CPerfEvent
import Glibc
import ProfileModel

/// What `perf_event_open` offers here.
public struct PerfAccess: Sendable {
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

  /// Tries it out on the calling thread.
  public static func probe() -> PerfAccess {
    let paranoid = contents(ofSmallFile: "/proc/sys/kernel/perf_event_paranoid").flatMap { Int($0) }
    let rate = contents(ofSmallFile: "/proc/sys/kernel/perf_event_max_sample_rate").flatMap { Int($0) }
    var access = PerfAccess(paranoid: paranoid, maximumSampleRate: rate ?? 100_000)

    func attempt(_ type: perf_type_id, _ config: UInt64, kernel: Bool) -> SystemCallError? {
      var spec = PerfEventSpec("probe", .software, type: type.rawValue, config: config)
      spec.excludesKernel = !kernel
      var attribute = spec.attribute()
      // The probe shall count nothing.
      attribute.enable_on_exec = 0
      attribute.inherit = 0
      do {
        _ = try PerfEvent.open(attribute, pid: 0, mayReduce: false)
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
        error.code == ENOENT || error.code == EOPNOTSUPP ? Self.noPMU : access.explanation(of: error)
    }
    if let error = attempt(PERF_TYPE_SOFTWARE, clock, kernel: true) {
      access.noKernel = access.explanation(of: error)
    }
    return access
  }

  /// The kernel drives no PMU: in a virtual machine the host keeps it.
  static var noPMU: Unavailable {
    let flags = contents(ofSmallFile: "/proc/cpuinfo", limit: 16384) ?? ""
    return flags.contains(" hypervisor")
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
    case ENOENT, ENODEV, EOPNOTSUPP:
      if spec?.kind == .hardware { return noHardware ?? Unavailable("this CPU does not count it") }
      return Unavailable("this kernel does not offer it")
    case EINVAL where spec?.kind == .device:
      return Unavailable("this PMU counts for the whole machine only, not for a process")
    case EINVAL:
      return Unavailable("the kernel refuses this event, or its group holds more than there are counters")
    case EBUSY:
      return Unavailable(
        "another user of the counters holds them", remedy: "sudo sysctl kernel.nmi_watchdog=0")
    case EMFILE, ENFILE:
      return Unavailable("too many open files", remedy: "ulimit -n 65536")
    case ENOSPC where spec?.kind == .breakpoint:
      return Unavailable("all breakpoint registers of the CPU are taken: count fewer breakpoints at once")
    default:
      return Unavailable("\(error)")
    }
  }
}
