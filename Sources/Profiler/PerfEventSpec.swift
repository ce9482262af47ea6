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

  /// Whether it is one of the kernel's own names of CPU events, which a processor with several kinds of cores counts with
  /// one PMU for each kind.
  var isGeneric: Bool {
    kind == .hardware && config >> 32 == 0
      && [PERF_TYPE_HARDWARE.rawValue, PERF_TYPE_HW_CACHE.rawValue].contains(type)
  }

  /// The same event on one kind of core: the PMU's type stands in the upper half of `config` (`PERF_PMU_TYPE_SHIFT`).
  func on(_ pmu: CorePMU?) -> PerfEventSpec {
    guard let pmu, isGeneric else { return self }
    var spec = self
    spec.config |= UInt64(pmu.type) << 32
    return spec
  }

  /// Its place in a group: Intel's `slots` must lead the events of its metric register, which follow at once
  /// (Documentation of perf: topdown). Elsewhere the same codes mean something that may stand anywhere.
  var groupRank: Int {
    guard kind == .hardware, type != PERF_TYPE_HARDWARE.rawValue, type != PERF_TYPE_HW_CACHE.rawValue else { return 2 }
    return config == 0x400 ? 0 : (0x8000...0x8700).contains(config) && config & 0xFF == 0 ? 1 : 2
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
