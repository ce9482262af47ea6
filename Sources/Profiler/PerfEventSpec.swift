// What is an event to be counted or sampled, and how does it become a `perf_event_attr`?
import CPerfEvent
import Glibc

/// An event as `perf_event_open` takes it.
public struct PerfEventSpec: Hashable, Sendable {
  /// What counts it.
  public enum Kind: String, Hashable, Sendable {
    /// A CPU's performance counters.
    case hardware
    /// The kernel's software events.
    case software
    case tracepoint
    case breakpoint
    /// Another PMU of `/sys/bus/event_source/devices` (`msr`, `power`, uncore).
    case device
    /// Not an event: read from the clock or from `rusage` when the target ended, as perf's tool events are.
    case accounting
  }

  /// As the user wrote it.
  public var name: String
  /// What counts it.
  public var kind: Kind
  /// `perf_event_attr.type`.
  public var type: UInt32
  /// `perf_event_attr.config`.
  public var config: UInt64
  /// `perf_event_attr.config1`; a breakpoint's address.
  public var config1: UInt64 = 0
  /// `perf_event_attr.config2`; a breakpoint's length.
  public var config2: UInt64 = 0
  /// `perf_event_attr.bp_type` for breakpoints.
  public var breakpointType: UInt32 = 0
  /// Counts the kernel only (`:k`).
  public var excludesUser = false
  /// Counts user mode only (`:u`).
  public var excludesKernel = false
  /// `:p`, `:pp`, `:ppp`.
  public var precision: UInt8 = 0
  /// `1`, `ns`, or what a PMU's `.unit` file says.
  public var unit = "1"
  /// One count in the unit.
  public var scale = 1.0
  /// Number of its group of events that are scheduled together; `nil` when alone.
  public var group: Int?

  /// Makes a specification.
  public init(_ name: String, _ kind: Kind, type: UInt32, config: UInt64) {
    self.name = name
    self.kind = kind
    self.type = type
    self.config = config
  }

  /// Whether it happens in kernel mode only, so that counting user mode alone would give a false zero.
  var isKernelOnly: Bool {
    switch kind {
    case .tracepoint: return true
    case .software:
      return [
        UInt64(PERF_COUNT_SW_CONTEXT_SWITCHES.rawValue), UInt64(PERF_COUNT_SW_CPU_MIGRATIONS.rawValue),
        KernelABI.cgroupSwitches,
      ].contains(config)
    default: return false
    }
  }

  /// Whether user and kernel mode make no difference to it, as for clocks.
  var isModeless: Bool {
    kind == .software
      && [UInt64(PERF_COUNT_SW_CPU_CLOCK.rawValue), UInt64(PERF_COUNT_SW_TASK_CLOCK.rawValue)].contains(config)
  }

  /// The attribute for counting it: enabled when the target execs, inherited by all that it starts.
  func attribute() -> perf_event_attr {
    var attribute = perf_event_attr()
    attribute.size = UInt32(KIVIAT_ATTR_SIZE)
    attribute.type = type
    attribute.config = config
    if kind == .breakpoint {
      attribute.bp_type = breakpointType
      attribute.bp_addr = config1
      attribute.bp_len = config2
    } else {
      attribute.config1 = config1
      attribute.config2 = config2
    }
    attribute.exclude_user = excludesUser ? 1 : 0
    attribute.exclude_kernel = excludesKernel ? 1 : 0
    // `:k` asks for the kernel, not for a hypervisor below it.
    attribute.exclude_hv = excludesKernel || excludesUser ? 1 : 0
    attribute.precise_ip = UInt64(precision)
    attribute.disabled = 1
    attribute.enable_on_exec = 1
    attribute.inherit = 1
    attribute.read_format =
      UInt64(PERF_FORMAT_TOTAL_TIME_ENABLED.rawValue) | UInt64(PERF_FORMAT_TOTAL_TIME_RUNNING.rawValue)
    return attribute
  }
}

/// Numbers of the kernel's interface which are younger than the headers that this builds with, or macros.
enum KernelABI {
  static let cgroupSwitches: UInt64 = 11
  static let closeOnExec: UInt = 8
  static let breakpointRead: UInt32 = 1
  static let breakpointWrite: UInt32 = 2
  static let breakpointExecute: UInt32 = 4
}

/// An opened event.
final class PerfEvent {
  let descriptor: FileDescriptor
  /// Whether it leaves out the kernel because the caller may not look into it.
  let isReducedToUser: Bool

  private init(_ descriptor: FileDescriptor, isReducedToUser: Bool) {
    self.descriptor = descriptor
    self.isReducedToUser = isReducedToUser
  }

  /// Opens an event, without the kernel's part when only that is permitted.
  ///
  /// - Parameters:
  ///   - attribute: The event; where it may be reduced, `exclude_kernel` and `exclude_hv` are set on the second try.
  ///   - pid: The process; 0 for the calling thread.
  ///   - cpu: The only CPU to look at; −1 for all.
  ///   - leader: The first event of its group.
  ///   - mayReduce: Whether counting user mode alone still means something.
  /// - Throws: `SystemCallError` of the first try.
  static func open(
    _ attribute: perf_event_attr, pid: Int32, cpu: Int32 = -1, leader: PerfEvent? = nil, mayReduce: Bool
  ) throws(SystemCallError) -> PerfEvent {
    func attempt(_ attribute: perf_event_attr) throws(SystemCallError) -> FileDescriptor {
      var attribute = attribute
      let group = leader?.descriptor.raw ?? -1
      return FileDescriptor(
        try systemCall("perf_event_open") {
          kiviat_perf_event_open(&attribute, pid, cpu, group, KernelABI.closeOnExec)
        })
    }
    do {
      return PerfEvent(try attempt(attribute), isReducedToUser: false)
    } catch {
      guard mayReduce, error.code == EACCES || error.code == EPERM, attribute.exclude_kernel == 0,
        attribute.exclude_user == 0
      else { throw error }
      var reduced = attribute
      reduced.exclude_kernel = 1
      reduced.exclude_hv = 1
      guard let descriptor = try? attempt(reduced) else { throw error }
      return PerfEvent(descriptor, isReducedToUser: true)
    }
  }

  /// Reads `count` 64-bit words as the event's `read_format` lays them out; fewer when the event is in error state.
  func read(_ count: Int) throws(SystemCallError) -> [UInt64] {
    var words = [UInt64](repeating: 0, count: count)
    let raw = descriptor.raw
    let bytes = try systemCall("read") {
      words.withUnsafeMutableBytes { Glibc.read(raw, $0.baseAddress, $0.count) }
    }
    return Array(words.prefix(bytes / 8))
  }
}
