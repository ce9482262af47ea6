// What is known about one family of processors: its events, its metrics, and how they hang together?

/// One family of processors: what can be counted there and what follows from it.
public struct MetricFamily: Hashable, Sendable {
  /// A stable name: `intel-skylake-x`.
  public var name: String
  /// For people: `Intel Skylake-X, Cascade Lake`.
  public var title: String
  /// How its processors are recognised; empty for the fallback of every processor.
  public var cpus: [CPUPattern] = []
  /// How event code, unit mask and the other fields make up a raw configuration.
  public var layout = EventEncoding.Layout.intel
  /// General counters that a group may take, with both threads of a core in use.
  public var generalCounters = 4
  /// Where events and formulas come from, unless they say it themselves.
  public var source = ""
  /// Numbers that formulas use.
  public var constants: [MetricConstant] = []
  /// The part of the catalogue that it adds to.
  var base: String?
  /// What can be counted.
  public var events: [MetricEvent] = []
  /// Which events are counted at the same time.
  public var groups: [MetricGroup] = []
  /// What follows from the events.
  public var metrics: [Metric] = []
  /// What stands for the metrics of the published GPU characterizations.
  public var paper: [PaperMetric] = []
  /// What is true of every run, for the checks.
  public var consistency: [CountRelation] = []

  func event(_ name: String) -> MetricEvent? { events.first { $0.name == name } }
  func constant(_ name: String) -> MetricConstant? { constants.first { $0.name == name } }
  /// The metric of a name.
  public func metric(_ name: String) -> Metric? { metrics.first { $0.name == name } }

  /// The events that a metric needs, also through other metrics, in the order of its text.
  public func events(of metric: Metric) -> [MetricEvent] {
    var result: [MetricEvent] = []
    var seen: Set<String> = []
    func visit(_ name: String) {
      guard seen.insert(name).inserted else { return }
      if let event = event(name) { result.append(event) }
      for name in self.metric(name)?.formula.names ?? [] { visit(name) }
    }
    visit(metric.name)
    return result
  }

  /// The metrics of a level of the top-down tree, in the catalogue's order.
  public func level(_ level: Int, of parent: String? = nil) -> [Metric] {
    metrics.filter { $0.level == level && (parent == nil || $0.parent == parent) }
  }
}

/// An event as the hardware counts it.
public struct MetricEvent: Hashable, Sendable {
  /// The name that formulas use and that a profile keeps.
  public var name: String
  /// What the kernel is asked for.
  public var encoding: EventEncoding
  /// What one count is.
  public var unit: MetricUnit
  /// How much of the unit one count stands for: 64 bytes.
  public var scale = 1.0
  /// What it counts, in words.
  public var text: String
  /// Where its code comes from.
  public var source: String
  /// Which counter takes it.
  public var counter = Counter.general
  /// Whether it counts a whole machine and not a process.
  public var isMachineWide: Bool { if case .device = encoding { true } else { false } }
  var line: Int?
  /// The line of its file, from 1, for errors.
  public var sourceLine: Int? { line }

  /// Which counter takes an event.
  public enum Counter: String, Hashable, Sendable, CaseIterable {
    case general
    /// Takes two neighbouring counters (AMD's events with more than 15 counts a cycle).
    case paired
    /// Has a counter of its own.
    case fixed
    /// One of the fields of Intel's metrics register.
    case metric
  }

  /// The name of its counter in a profile.
  public var counterName: String { if case .named(let name) = encoding { name } else { name } }
}

/// What the kernel is asked for to count an event.
public enum EventEncoding: Hashable, Sendable {
  /// A name that perf or libpfm4 knows: `cycles`, `L1-dcache-loads`.
  case named(String)
  /// A code of the core's own PMU.
  case raw(EventFields, Layout)
  /// A PMU of `/sys/bus/event_source/devices`, `*` standing for a number, with terms as perf writes them.
  case device(pmu: String, terms: String)

  /// How a raw configuration is laid out.
  public enum Layout: String, Hashable, Sendable, CaseIterable {
    case intel
    case amd
    case arm
  }

  /// The raw configuration; `nil` for a name or another PMU.
  public var config: UInt64? {
    guard case .raw(let fields, let layout) = self else { return nil }
    return fields.config(layout)
  }
}

/// The fields of a raw event.
public struct EventFields: Hashable, Sendable {
  /// Event code.
  public var event: UInt64
  /// Unit mask.
  public var umask: UInt64 = 0
  /// Counter mask: counts cycles with at least so many.
  public var cmask: UInt64 = 0
  /// Turns the comparison with the counter mask round.
  public var inv = false
  /// Counts beginnings only.
  public var edge = false
  /// Counts for both threads of the core.
  public var any = false

  /// `perf_event_attr.config` (Intel's and AMD's manuals: PERFEVTSEL).
  func config(_ layout: EventEncoding.Layout) -> UInt64 {
    var config = umask << 8 | cmask << 24
    config |= (edge ? 1 << 18 : 0) | (any ? 1 << 21 : 0) | (inv ? 1 << 23 : 0)
    switch layout {
    case .intel: return config | event
    case .amd: return config | event & 0xff | (event >> 8) << 32
    case .arm: return event
    }
  }
}

/// A number that formulas use: the width of the core, or what is known of the machine and of the run.
public struct MetricConstant: Hashable, Sendable {
  /// Its name in formulas.
  public var name: String
  /// What it is measured in.
  public var unit: MetricUnit
  /// Its value; `nil` when only the profile can tell.
  public var value: Double?
  /// The number of a profile that it is, where it has one: `host.pmu.slots`, `run.wall`.
  public var quantity: String?
  /// What it is, in words.
  public var text: String
}

/// Events that are counted at the same time.
public struct MetricGroup: Hashable, Sendable {
  /// Its name within the family.
  public var name: String
  /// Names of its events, the leader first.
  public var events: [String]
  var line: Int?
}

/// What can be told from events.
public struct Metric: Hashable, Sendable {
  /// A stable name.
  public var name: String
  /// A short label in plain words.
  public var title: String
  /// What it is measured in.
  public var unit: MetricUnit
  /// Where its value must lie; `nil` when it may be any number.
  public var range: ClosedRange<Double>?
  /// How it follows from events, constants and other metrics.
  public var formula: Formula
  /// The group that holds all its events; `nil` when they are counted in several.
  public var group: String?
  /// Level of the top-down tree.
  public var level: Int?
  /// What it is a part of, in the level above.
  public var parent: String?
  /// What it says, in words.
  public var text: String
  /// Where the formula comes from.
  public var source: String
  /// Whether it is an approximation of our own and no formula of the vendor.
  public var isEstimate = false
  /// Above this the vendor's method calls it worth a look.
  public var threshold: Double?
  /// Whether it is a step on the way and of no interest by itself.
  public var isHelper = false
  var line: Int?
}

/// One of the metrics of the published GPU characterizations, and what stands for it on a CPU.
public struct PaperMetric: Hashable, Sendable {
  /// nvprof's name: `achieved_occupancy`, `stall_inst_fetch`.
  public var name: String
  /// Metrics that stand for it; the first that can be told is taken.
  public var metrics: [String]
  /// Why nothing stands for it.
  public var absent: String?
  var line: Int?

  /// The five metrics and eight stall reasons of AIBench's characterization.
  public static let names = [
    "achieved_occupancy", "ipc_efficiency", "gld_efficiency", "gst_efficiency", "dram_utilization",
    "stall_inst_fetch", "stall_exec_dependency", "stall_memory_dependency", "stall_texture", "stall_sync",
    "stall_constant_memory_dependency", "stall_pipe_busy", "stall_memory_throttle",
  ]
}

/// What holds between counts of every run: `misses <= references`.
public struct CountRelation: Hashable, Sendable {
  var left: Formula
  var right: Formula
  /// Both sides are equal, and not just the left at most the right.
  var isEqual: Bool
  var line: Int?
}
