// How do the groups of the metric catalogue become events to be counted on this machine?
import CPerfEvent
import Metrics

/// Turns events of the catalogue into specifications.
public struct MetricEvents: Sendable {
  var pmus = PMUDirectory()

  /// Makes one for this machine's PMUs.
  public init() {}

  /// Groups of events, each counted at the same time.
  ///
  /// Events that only the whole machine has (memory controllers) are left out: a process can't be counted there. They
  /// are what ``machineWide(_:)`` gives. A group is left out when nothing is left of it.
  ///
  /// - Parameters:
  ///   - groups: Which groups of the family.
  ///   - firstGroup: The number of the first one; later ones count up.
  /// - Throws: `EventError` for a name that perf and libpfm4 don't know.
  public func specs(
    _ groups: [MetricGroup], of family: MetricFamily, firstGroup: Int
  ) throws(EventError) -> [PerfEventSpec] {
    var specs: [PerfEventSpec] = []
    var number = firstGroup
    for group in groups {
      let members = group.events.compactMap { name in family.events.first { $0.name == name } }
        .filter { !$0.isMachineWide }
      guard !members.isEmpty else { continue }
      for event in members {
        var spec = try self.spec(event)
        spec.group = number
        specs.append(spec)
      }
      number += 1
    }
    return specs
  }

  /// One event, in no group.
  ///
  /// - Throws: `EventError`.
  public func spec(_ event: MetricEvent) throws(EventError) -> PerfEventSpec {
    switch event.encoding {
    case .named(let name):
      var parser = EventParser()
      parser.pmus = pmus
      let specs = try parser.parse([name])
      guard specs.count == 1, var spec = specs.first else {
        throw .malformed(name, detail: "it names \(specs.count) events; name one")
      }
      // Generic events of a hybrid processor are asked of the performance cores: config's upper half names their PMU.
      if let core = hybridCore, spec.type == PERF_TYPE_HARDWARE.rawValue || spec.type == PERF_TYPE_HW_CACHE.rawValue {
        spec.config |= UInt64(core) << 32
      }
      return spec
    case .raw:
      return PerfEventSpec(
        event.counterName, .hardware, type: coreType, config: event.encoding.config ?? 0)
    case .device(let pmu, let terms):
      return try pmus.spec(pmu: pmu, terms: terms, text: event.counterName)
    }
  }

  /// The events of memory controllers, one for each PMU of the kind, named `EVENT@PMU`. They count the whole machine:
  /// whoever opens them does it by CPU, on one of each PMU's `cpumask`.
  ///
  /// - Throws: `EventError` for terms that the PMU does not have.
  public func machineWide(_ family: MetricFamily) throws(EventError) -> [PerfEventSpec] {
    var specs: [PerfEventSpec] = []
    for event in family.events {
      guard case .device(let pattern, let terms) = event.encoding else { continue }
      let prefix = pattern.hasSuffix("*") ? String(pattern.dropLast()) : nil
      let names = pmus.pmus.filter { name in
        guard let prefix else { return name == pattern }
        return name.hasPrefix(prefix) && !name.dropFirst(prefix.count).isEmpty
          && name.dropFirst(prefix.count).allSatisfy(\.isNumber)
      }
      for pmu in names.sorted() {
        var spec = try pmus.spec(pmu: pmu, terms: terms, text: "\(event.counterName)@\(pmu)")
        // The catalogue has the scale.
        spec.scale = 1
        spec.unit = "1"
        specs.append(spec)
      }
    }
    return specs
  }

  /// The number of the performance cores' PMU on a hybrid processor.
  private var hybridCore: UInt32? { pmus.pmus.contains("cpu_core") ? type(of: "cpu_core") : nil }

  /// `perf_event_attr.type` of raw events: a PMU's own number where it is not the x86 one.
  private var coreType: UInt32 {
    let name = pmus.coreNames.first { $0 == "cpu_core" } ?? pmus.coreNames.first { $0.hasPrefix("armv8_") }
    return name.flatMap(type) ?? PERF_TYPE_RAW.rawValue
  }

  private func type(of pmu: String) -> UInt32? {
    contents(ofSmallFile: "\(pmus.root)/\(pmu)/type").flatMap { UInt32($0) }
  }
}
