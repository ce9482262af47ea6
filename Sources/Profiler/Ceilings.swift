// The roofline's ceilings of this machine: measured once, then kept beside the user's other caches.
import CCeilings
import Foundation
import ProfileModel

/// What this machine can do at most: floating-point operations a second and bytes a second.
public struct Ceilings: Hashable, Codable, Sendable {
  /// `ceiling.flops.f32`, `ceiling.flops.f64` in FLOP/s; `ceiling.bandwidth.dram`, `.l1`, `.l2`, `.l3` in B/s. All
  /// hardware threads that the process may use, together.
  public var quantities: [Quantity]
  /// When they were measured, seconds since 1970.
  public var measuredAtUnixSeconds: Int64
  /// What they hold for.
  public var key: Key

  /// A machine and a build: when one changes, the ceilings are measured again.
  public struct Key: Hashable, Codable, Sendable {
    /// ``Host/identifier``.
    public var host: String
    /// Marketing name of the processor.
    public var cpuModel: String
    /// Threads that measured.
    public var cpus: Int
    /// The build that measured.
    public var kiviatVersion: String
    /// How they were measured: 2, since repetitions beside other work are thrown away; 3, since threads end together.
    public var method = 3

    /// The key of a host.
    public init(host: Host, kiviatVersion: String) {
      self.host = host.identifier
      cpuModel = host.cpu.model ?? "unknown"
      cpus = host.usableThreads
      self.kiviatVersion = kiviatVersion
    }
  }

  /// Measures for about two seconds with every hardware thread that the process may use.
  public static func measure(host: Host = .read(), kiviatVersion: String) -> Ceilings {
    let cpus = Array(host.cpu.availableCPUs.prefix(host.usableThreads))
    let measurement = CeilingsMeasurement(cpus: cpus.isEmpty ? [0] : cpus, simd: kiviat_simd_best())
    var quantities = measurement.flops()
    quantities.append(measurement.triad(totalElements: host.triadElements(threads: measurement.cpus.count)))
    for (name, level, type) in [("l1", 1, "Data"), ("l2", 2, "Unified"), ("l3", 3, "Unified")] {
      guard let cache = host.cpu.cache(level: level, type: type) else { continue }
      // Half, for what else lives in the cache; threads that share it share the half.
      let share = Int(cache.bytes) / 2 / min(cache.sharedBy, measurement.cpus.count)
      quantities.append(
        measurement.read("ceiling.bandwidth.\(name)", bytesPerThread: share, level: name.uppercased()))
    }
    return Ceilings(
      quantities: quantities, measuredAtUnixSeconds: Int64(Date().timeIntervalSince1970),
      key: Key(host: host, kiviatVersion: kiviatVersion))
  }

  /// Whether nothing stayed unmeasured because of other work.
  public var isComplete: Bool { quantities.allSatisfy { $0.value.value != nil } }

  /// The ceilings kept for this host, or freshly measured ones, which are then kept if other work left room to measure them
  /// all. A cache that isn't written costs two seconds the next time and nothing else.
  ///
  /// - Parameters:
  ///   - directory: where the cache lives; `nil` for `$XDG_CACHE_HOME/kiviat`, else `~/.cache/kiviat`.
  ///   - willMeasure: called before the two seconds begin.
  public static func cached(
    for host: Host, kiviatVersion: String, directory: String? = nil, willMeasure: () -> Void = {}
  ) -> Ceilings {
    let key = Key(host: host, kiviatVersion: kiviatVersion)
    if let kept = load(key, directory: directory) { return kept }
    willMeasure()
    let ceilings = measure(host: host, kiviatVersion: kiviatVersion)
    if ceilings.isComplete { try? ceilings.save(directory: directory) }
    return ceilings
  }

  /// The kept ceilings, or `nil` when there are none, they are of another machine or build, or the file is damaged.
  public static func load(_ key: Key, directory: String? = nil) -> Ceilings? {
    guard let folder = directory ?? defaultDirectory,
      let data = FileManager.default.contents(atPath: path(key, in: folder)),
      let ceilings = try? JSONDecoder().decode(Ceilings.self, from: data), ceilings.key == key,
      ceilings.quantities.allSatisfy({ $0.value.value.map { ($0.number ?? 0) > 0 } ?? true })
    else { return nil }
    return ceilings
  }

  /// Keeps the ceilings. The file appears whole or not at all.
  ///
  /// - Throws: what `FileManager` and `Data` throw when the folder can't be written.
  public func save(directory: String? = nil) throws {
    guard let folder = directory ?? Self.defaultDirectory else { return }
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
    try encoder.encode(self).write(to: URL(fileURLWithPath: Self.path(key, in: folder)), options: .atomic)
  }

  private static func path(_ key: Key, in folder: String) -> String { "\(folder)/ceilings-\(key.host).json" }

  /// `$XDG_CACHE_HOME/kiviat`, else `~/.cache/kiviat`; `nil` when neither variable is set (XDG Base Directory
  /// Specification: a relative path counts as not set).
  static var defaultDirectory: String? {
    let environment = ProcessInfo.processInfo.environment
    if let cache = environment["XDG_CACHE_HOME"], cache.hasPrefix("/") { return cache + "/kiviat" }
    return environment["HOME"].map { $0 + "/.cache/kiviat" }
  }
}

extension Host {
  /// Threads that can run at a time: those that the process may run on, less where its control group sets a limit.
  var usableThreads: Int {
    max(1, min(max(cpu.available, 1), container.cpuLimit.map { Int($0.rounded(.up)) } ?? .max))
  }

  /// Elements of each triad array: four times the last-level caches (STREAM's rule), at least 32 MiB, at most 1 GiB
  /// and, all three together, an eighth of the memory that may be used.
  func triadElements(threads: Int) -> Int {
    let cache = cpu.lastLevelCache
    let instances = cache.map { (threads + $0.sharedBy - 1) / $0.sharedBy } ?? 1
    let wanted = max(4 * Int(cache?.bytes ?? 0) * instances, 32 << 20)
    let memory = min(memoryAvailable ?? 1 << 30, container.memoryLimit ?? .max)
    return max(min(wanted, 1 << 30, Int(memory) / 8 / 3), 1 << 20) / 8
  }
}
