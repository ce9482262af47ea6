// How much energy did the machine take while the command ran?
import CPerfEvent
import Glibc
import ProfileModel

/// A meter of one part of the machine (package, cores, memory).
protocol EnergyMeter: AnyObject {
  /// `package`, `core`, `uncore`, `dram`, `psys`, `gpu`.
  var domain: String { get }
  /// Joules since the first call; `nil` when it can't be read any more.
  func read() -> Double?
}

/// Collector `energy`: RAPL through powercap, else through the `power` PMU.
///
/// The meters measure the whole machine, whatever else runs on it.
public final class EnergyCollector: Collector {
  /// Opens the meters, or says why there are none.
  typealias Meters = () -> Result<(meters: [any EnergyMeter], method: String), Unavailable>

  private let openMeters: Meters
  private var meters: [any EnergyMeter] = []
  private var joules: [String: Double] = [:]
  /// The last reading of the package, for its power.
  private var last: (time: UInt64, joules: Double)?
  private var start: UInt64 = 0
  private var points: [SeriesPoint] = []
  private var isDescribed = false
  /// Parts of the machine whose meter stopped being readable: their sums end there.
  private var lost: Set<String> = []

  /// Collector state as of now.
  public private(set) var state = CollectorState("energy", .unavailable, reason: "not started")
  /// `energy`.
  public let name = "energy"

  /// Makes a collector for this machine.
  public convenience init() { self.init(.live, KernelPerf()) }

  /// Makes a collector for a machine.
  convenience init(_ files: HostFiles, _ system: any PerfSystem) {
    self.init {
      let powercap = PowercapMeter.all(files)
      if case .success(let meters) = powercap { return .success((meters, "RAPL through powercap")) }
      let power = PowerPMUMeter.all(files, system)
      if case .success(let meters) = power { return .success((meters, "RAPL through the power PMU")) }
      // The better explanation is that of the interface that is there but closed.
      guard case .failure(let first) = powercap, case .failure(let second) = power else {
        return powercap.map { ($0, "") }
      }
      return .failure(first.remedy == nil ? second : first)
    }
  }

  init(openMeters: @escaping Meters) { self.openMeters = openMeters }

  /// Opens the meters.
  public func prepare(_ target: TargetContext) -> CollectorState {
    switch openMeters() {
    case .success(let (found, method)):
      meters = found
      state = CollectorState("energy", .measured, method: "\(method), whole machine")
    case .failure(let why):
      state = CollectorState("energy", .unavailable, reason: why.reason, remedy: why.remedy)
    }
    return state
  }

  /// The first reading.
  public func start(monotonicNanoseconds: UInt64) {
    start = monotonicNanoseconds
    readAll(monotonicNanoseconds)
  }

  /// Often enough that no counter wraps around twice: the 32 bits of a package at 61 µJ last for minutes.
  public func tick(monotonicNanoseconds: UInt64) { readAll(monotonicNanoseconds) }

  /// The last reading.
  public func stop(monotonicNanoseconds: UInt64) { readAll(monotonicNanoseconds) }

  /// Writes `energy.…`, and the package's power since the last write.
  public func write(to transaction: ProfileTransaction, repetition: Int) throws {
    for quantity in quantities { try transaction.quantity(quantity, repetition: repetition) }
    if !points.isEmpty, !isDescribed {
      try transaction.series(
        Series(
          name: "power.package", unit: "W",
          provenance: Provenance(.hardwareCounter, detail: "\(state.method); other processes included")))
      isDescribed = true
    }
    for point in points { try transaction.point(point, repetition: repetition) }
    points.removeAll(keepingCapacity: true)
  }

  private func readAll(_ now: UInt64) {
    var sums: [String: Double] = [:]
    var failed: Set<String> = []
    for meter in meters {
      if let value = meter.read() { sums[meter.domain, default: 0] += value } else { failed.insert(meter.domain) }
    }
    // A sum without one socket would be a wrong number: the last whole one stays.
    for (domain, sum) in sums where !failed.contains(domain) { joules[domain] = sum }
    // Nor is what it shows after a pause a power: it may have started anew.
    if failed.contains("package") { last = nil }
    if let package = sums["package"], !failed.contains("package") {
      if let last, now > last.time {
        let watts = (package - last.joules) / (Double(now - last.time) / 1e9)
        points.append(SeriesPoint(series: "power.package", timeNanoseconds: Int64(now - start), value: watts))
      }
      last = (now, package)
    }
    lost.formUnion(failed)
    if !lost.isEmpty {
      state.outcome = .degraded
      state.reason = "the meter of \(lost.sorted().joined(separator: ", ")) could not be read to the end"
    }
  }

  /// `energy.package`, `energy.core`, `energy.dram` … in joules; all sockets together.
  var quantities: [Quantity] {
    guard !meters.isEmpty else {
      return [
        Quantity(
          "energy.package", unit: "J",
          .unavailable(Unavailable(state.reason ?? "not measured", remedy: state.remedy)))
      ]
    }
    return joules.sorted { $0.key < $1.key }.map { domain, value in
      let count = meters.count { $0.domain == domain }
      return Quantity(
        "energy.\(domain)", unit: "J",
        Measured(
          .number(value), .hardwareCounter,
          detail: "\(state.method)\(count > 1 ? ", \(count) sockets together" : ""); other processes included"
            + (lost.contains(domain) ? "; not to the end: its meter stopped being readable" : "")))
    }
  }
}

/// A zone of `/sys/class/powercap` (`Documentation/power/powercap/powercap.rst`): microjoules that wrap around.
final class PowercapMeter: EnergyMeter {
  let domain: String
  private let files: HostFiles
  private let path: String
  private let range: UInt64
  private var last: UInt64?
  private var microjoules: UInt64 = 0
  /// It wrapped around, and the kernel does not tell at what.
  private var isLost = false

  private init(domain: String, files: HostFiles, path: String, range: UInt64) {
    self.domain = domain
    self.files = files
    self.path = path
    self.range = range
  }

  func read() -> Double? {
    guard !isLost, let now = files.text(path).flatMap({ UInt64($0) }) else { return nil }
    if let last {
      if now < last, range == 0 {
        isLost = true
        return nil
      }
      microjoules &+= now >= last ? now - last : range - min(last, range) &+ now
    }
    last = now
    return Double(microjoules) / 1e6
  }

  /// All zones: `intel-rapl:0` is a socket, `intel-rapl:0:1` a part of it.
  static func all(_ files: HostFiles) -> Result<[any EnergyMeter], Unavailable> {
    let root = "/sys/class/powercap"
    // `intel-rapl-mmio` is a second view of the same packages.
    let zones = files.list(root).filter { $0.hasPrefix("intel-rapl:") || $0.hasPrefix("amd-rapl:") }.sorted()
    guard !zones.isEmpty else {
      return .failure(Unavailable("no RAPL energy meter (/sys/class/powercap has no zone)"))
    }
    var meters: [any EnergyMeter] = []
    for zone in zones {
      let path = "\(root)/\(zone)/energy_uj"
      switch files.read(path) {
      case .success: break
      case .failure(let failure) where failure.code == EACCES || failure.code == EPERM:
        return .failure(
          Unavailable(
            "the energy meters are open to root only (CVE-2020-8694)",
            remedy: "sudo chmod a+r /sys/class/powercap/*/energy_uj"))
      case .failure: continue
      }
      guard let name = files.text("\(root)/\(zone)/name") else { continue }
      // `package-0`, `package-1`, `package-0-die-1`: the sockets are added up.
      let domain = name.hasPrefix("package") ? "package" : name
      let range = files.text("\(root)/\(zone)/max_energy_range_uj").flatMap { UInt64($0) } ?? 0
      meters.append(PowercapMeter(domain: domain, files: files, path: path, range: range))
    }
    return meters.isEmpty
      ? .failure(Unavailable("the energy meters of /sys/class/powercap can't be read")) : .success(meters)
  }
}

/// An event of the `power` PMU (`energy-pkg`, `energy-cores`, `energy-ram`), one counter a socket.
final class PowerPMUMeter: EnergyMeter {
  let domain: String
  private let scale: Double
  private let event: PerfEvent
  private var first: UInt64?

  private init(domain: String, scale: Double, event: PerfEvent) {
    self.domain = domain
    self.scale = scale
    self.event = event
  }

  func read() -> Double? {
    guard let words = try? event.read(3), words.count == 3 else { return nil }
    let now = words[0]
    let first = first ?? now
    self.first = first
    return Double(now &- first) * scale
  }

  private static let domains = [
    "energy-pkg": "package", "energy-cores": "core", "energy-ram": "dram", "energy-gpu": "gpu", "energy-psys": "psys",
  ]

  static func all(_ files: HostFiles, _ system: any PerfSystem) -> Result<[any EnergyMeter], Unavailable> {
    let root = "/sys/bus/event_source/devices/power"
    guard let type = files.number("\(root)/type").flatMap({ UInt32(exactly: $0) }) else {
      return .failure(Unavailable("no RAPL energy meter (no powercap zone, no power PMU)"))
    }
    let cpus = numbers(inKernelList: files.text("\(root)/cpumask") ?? "0")
    var meters: [any EnergyMeter] = []
    for (event, domain) in domains.sorted(by: { $0.key < $1.key }) {
      guard let text = files.text("\(root)/events/\(event)"), text.hasPrefix("event=0x"),
        let config = UInt64(text.dropFirst("event=0x".count), radix: 16),
        let scale = files.text("\(root)/events/\(event).scale").flatMap({ Double($0) })
      else { continue }
      var attribute = PerfEventSpec("energy", .device, type: type, config: config).attribute()
      attribute.disabled = 0
      attribute.inherit = 0
      attribute.enable_on_exec = 0
      for cpu in cpus {
        do {
          let event = try PerfEvent.open(attribute, on: system, pid: -1, cpu: Int32(cpu), mayReduce: false)
          meters.append(PowerPMUMeter(domain: domain, scale: scale, event: event))
        } catch {
          guard error.code == EACCES || error.code == EPERM else {
            return .failure(Unavailable("the power PMU does not count (\(error))"))
          }
          return .failure(
            Unavailable(
              "the power PMU counts for the whole machine, which this user may not",
              remedy: "sudo sysctl kernel.perf_event_paranoid=0"))
        }
      }
    }
    return meters.isEmpty ? .failure(Unavailable("the power PMU has no energy event")) : .success(meters)
  }
}
