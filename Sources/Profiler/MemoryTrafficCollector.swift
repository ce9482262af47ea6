// How many bytes did the machine's memory controllers move while the command ran?
import CPerfEvent
import Glibc
import ProfileModel

/// Collector `memory-traffic`: counts on the PMUs of memory controllers, which know no processes. They count what every
/// program on the machine does, on all sockets.
public final class MemoryTrafficCollector: Collector {
  /// `memory-traffic`.
  public let name = "memory-traffic"
  /// Whether the controllers could be opened, and why not.
  public private(set) var state = CollectorState("memory-traffic", .off)

  /// An event on a controller's PMU, on one CPU of each socket.
  private struct Slot {
    var spec: PerfEventSpec
    var events: [PerfEvent] = []
    var first: [CounterReading] = []
    var last: [CounterReading] = []
    var unavailable: Unavailable?
  }

  private let specs: [PerfEventSpec]
  private let access: PerfAccess
  private let files: HostFiles
  private let firstPosition: Int
  private var slots: [Slot] = []

  /// Makes a collector.
  ///
  /// - Parameters:
  ///   - events: ``MetricEvents/machineWide(_:)``.
  ///   - access: What perf events offer here.
  ///   - files: Where the PMUs tell on which CPUs they count.
  ///   - firstPosition: Where its counts stand among those of the profile.
  public init(
    events: [PerfEventSpec], access: PerfAccess, files: HostFiles = .live, firstPosition: Int
  ) {
    specs = events
    self.access = access
    self.files = files
    self.firstPosition = firstPosition
  }

  /// Opens each event on a CPU of every socket.
  public func prepare(_ target: TargetContext) -> CollectorState {
    if target.options.counters == .off {
      state = CollectorState(name, .off, reason: "switched off (--counters off)")
      return state
    }
    slots = specs.map { spec in
      var slot = Slot(spec: spec)
      do throws(SystemCallError) {
        for cpu in cpus(of: spec) {
          var attribute = spec.attribute()
          attribute.inherit = 0
          attribute.enable_on_exec = 0
          attribute.disabled = 0
          // Controllers don't know modes, and refuse them.
          attribute.exclude_kernel = 0
          attribute.exclude_user = 0
          attribute.exclude_hv = 0
          attribute.read_format =
            UInt64(PERF_FORMAT_TOTAL_TIME_ENABLED.rawValue) | UInt64(PERF_FORMAT_TOTAL_TIME_RUNNING.rawValue)
          slot.events.append(
            try PerfEvent.open(attribute, on: access.system, pid: -1, cpu: Int32(cpu), mayReduce: false))
        }
      } catch {
        slot.events = []
        slot.unavailable = access.explanation(of: error, opening: spec)
      }
      return slot
    }
    let causes = slots.compactMap(\.unavailable)
    state =
      causes.count == slots.count
      ? CollectorState(name, .unavailable, reason: causes.first?.reason, remedy: causes.first?.remedy)
      : CollectorState(
        name, causes.isEmpty ? .measured : .degraded,
        method: "\(slots.count - causes.count) counters of memory controllers, whole machine",
        reason: causes.first?.reason, remedy: causes.first?.remedy)
    return state
  }

  /// `EVENT@PMU`: the PMU says on which CPUs it counts, one a socket.
  private func cpus(of spec: PerfEventSpec) -> [Int] {
    let pmu = spec.name.split(separator: "@").last.map(String.init) ?? ""
    let listed = files.text("/sys/bus/event_source/devices/\(pmu)/cpumask").map(numbers(inKernelList:)) ?? []
    return listed.isEmpty ? [0] : listed
  }

  /// The counts so far belong to others.
  public func start(monotonicNanoseconds: UInt64) { for index in slots.indices { slots[index].first = read(index) } }

  /// Nothing to do: the controllers count 48 bits and more.
  public func tick(monotonicNanoseconds: UInt64) {}

  /// The last reading.
  public func stop(monotonicNanoseconds: UInt64) { for index in slots.indices { slots[index].last = read(index) } }

  /// Reads an event on all sockets; after a failure the event is unavailable, for a sum without one would be a wrong number.
  private func read(_ index: Int) -> [CounterReading] {
    guard slots[index].unavailable == nil else { return [] }
    do {
      return try slots[index].events.map { event in
        let words = try event.read(3)
        guard words.count == 3 else {
          throw Unavailable("the counter of the memory controller is in error", remedy: "end its other users")
        }
        return CounterReading(count: words[0], enabled: words[1], running: words[2])
      }
    } catch let why as Unavailable {
      slots[index].unavailable = why
    } catch {
      slots[index].unavailable = Unavailable("the counter of the memory controller can't be read (\(error))")
    }
    return []
  }

  /// Writes the counts between start and now.
  public func write(to transaction: ProfileTransaction, repetition: Int) throws {
    for (index, total) in totals().enumerated() {
      try transaction.counter(total, position: firstPosition + index, repetition: repetition)
    }
  }

  /// One count for each event and PMU, the sockets added up.
  func totals() -> [CounterTotal] {
    slots.indices.map { index in
      let last = slots[index].last.isEmpty ? read(index) : slots[index].last
      let slot = slots[index]
      var total = CounterTotal(
        event: slot.spec.name, unit: slot.spec.unit, value: .unavailable(Unavailable("the run has not begun")))
      if let why = slot.unavailable {
        total.value = .unavailable(why)
        return total
      }
      guard last.count == slot.first.count, !last.isEmpty else { return total }
      var (scaled, enabled, running) = (0.0, UInt64(0), UInt64(0))
      for (before, after) in zip(slot.first, last) {
        let (on, ran) = (after.enabled &- before.enabled, after.running &- before.running)
        guard ran > 0 || on == 0 else {
          total.value = .unavailable(
            Unavailable(
              "the counter of a memory controller never ran: others use it", remedy: "end the other profilers"))
          return total
        }
        scaled += Double(after.count &- before.count) * (ran > 0 ? Double(on) / Double(ran) : 1)
        enabled = max(enabled, on)
        running = running == 0 ? ran : min(running, ran)
      }
      total.enabledNanoseconds = Int64(clamping: enabled)
      total.runningNanoseconds = Int64(clamping: running)
      let share = enabled > 0 ? Double(running) / Double(enabled) : 1
      total.value = .measured(
        scaled * slot.spec.scale,
        Provenance(
          share < 1 ? .scaledCounter : .hardwareCounter, runningFraction: share < 1 ? share : nil,
          detail: "whole machine, other programs included"))
      return total
    }
  }
}
