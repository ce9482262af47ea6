// Which metrics exist, of which events by which formula, on which processor?
import ProfileModel
import Suites
import Synchronization

/// The catalogue that comes with Kiviat: a file of YAML for each family of processors (`Resources/`).
public struct MetricCatalogue: Sendable {
  /// The families, the fallback of all processors last.
  public let families: [MetricFamily]

  /// The catalogue.
  ///
  /// - Throws: `ManifestError`; a test reads and checks all files, so that those built in have none.
  public static func builtIn() throws(ManifestError) -> MetricCatalogue {
    var families: [MetricFamily] = []
    for name in names { families.append(try family(inFile: name)) }
    return MetricCatalogue(families: families)
  }

  /// The names of all families, the fallback last.
  public static var names: [String] { files.map(\.name) + ["generic"] }

  /// The family of a processor, without reading what the others have.
  ///
  /// - Throws: `ManifestError`, which none of the files built in makes.
  public static func family(of cpu: CPUIdentity?) throws(ManifestError) -> MetricFamily {
    if let family = read.withLock({ $0[cpu] }) { return family }
    let family = try familyFromFiles(of: cpu)
    read.withLock { $0[cpu] = family }
    return family
  }

  /// Families that were read already: a suite asks for the same one with each of its runs.
  private static let read = Mutex<[CPUIdentity?: MetricFamily]>([:])

  private static func familyFromFiles(of cpu: CPUIdentity?) throws(ManifestError) -> MetricFamily {
    guard let cpu else { return try family(inFile: "generic") }
    for (name, bytes) in files {
      // A file says how its processors are recognised in one line; a test compares with the whole file.
      let line = String(decoding: bytes, as: UTF8.self).split(separator: "\n").first { $0.hasPrefix("cpus:") }
      let patterns = try CatalogueReader(file: "\(name).yaml").patterns(
        Suite.compose(line.map(String.init) ?? "cpus: []", named: "\(name).yaml"))
      if patterns.contains(where: { $0.matches(cpu) }) { return try family(inFile: name) }
    }
    return try family(inFile: "generic")
  }

  /// A family with the parts that it extends.
  private static func family(inFile name: String, depth: Int = 0) throws(ManifestError) -> MetricFamily {
    let file = "\(name).yaml"
    guard depth < 8, let bytes = (files + shared).first(where: { $0.name == name })?.bytes else {
      throw ManifestError(file: file, "there is no such part of the catalogue")
    }
    let root = try Suite.compose(String(decoding: bytes, as: UTF8.self), named: file)
    let family = try CatalogueReader(file: file).family(root)
    guard family.name == name else { throw ManifestError(file: file, "its 'family' must be '\(name)', as its file") }
    return name == "generic"
      ? family : family.extending(try Self.family(inFile: family.base ?? "generic", depth: depth + 1))
  }

  /// Parts that families share.
  private static let shared: [(name: String, bytes: [UInt8])] = [
    ("generic", PackageResources.generic_yaml), ("intel", PackageResources.intel_yaml),
    ("amd", PackageResources.amd_yaml), ("amd-pipeline", PackageResources.amd_pipeline_yaml),
    ("arm", PackageResources.arm_yaml),
  ]
  private static let files: [(name: String, bytes: [UInt8])] = [
    ("intel-skylake-x", PackageResources.intel_skylake_x_yaml),
    ("intel-ice-lake", PackageResources.intel_ice_lake_yaml),
    ("intel-sapphire-rapids", PackageResources.intel_sapphire_rapids_yaml),
    ("intel-granite-rapids", PackageResources.intel_granite_rapids_yaml),
    ("amd-zen2", PackageResources.amd_zen2_yaml), ("amd-zen3", PackageResources.amd_zen3_yaml),
    ("amd-zen4", PackageResources.amd_zen4_yaml), ("amd-zen5", PackageResources.amd_zen5_yaml),
    ("arm-neoverse-n1", PackageResources.arm_neoverse_n1_yaml),
    ("arm-neoverse-n2", PackageResources.arm_neoverse_n2_yaml),
    ("arm-neoverse-v1", PackageResources.arm_neoverse_v1_yaml),
    ("arm-neoverse-v2", PackageResources.arm_neoverse_v2_yaml),
  ]

  /// The family of a processor; the fallback when it is none of the others, or not known.
  public func family(of cpu: CPUIdentity?) -> MetricFamily {
    families.first { family in family.cpus.contains { pattern in cpu.map(pattern.matches) ?? false } }
      ?? families[families.count - 1]
  }

  /// The family of a name.
  public func family(named name: String) -> MetricFamily? { families.first { $0.name == name } }
}

extension MetricFamily {
  /// This family with all of another that it does not say itself.
  func extending(_ base: MetricFamily) -> MetricFamily {
    func merged<Part>(_ own: [Part], _ others: [Part], _ name: (Part) -> String) -> [Part] {
      let names = Set(own.map(name))
      return own + others.filter { !names.contains(name($0)) }
    }
    var result = self
    result.constants = merged(constants, base.constants, \.name)
    result.events = merged(events, base.events, \.name)
    result.groups = merged(groups, base.groups, \.name)
    result.metrics = merged(metrics, base.metrics, \.name)
    result.paper = PaperMetric.names.compactMap { name in
      (paper + base.paper).first { $0.name == name }
    }
    result.consistency = consistency + base.consistency
    return result
  }
}

/// Metrics that a user added in a file of their own.
public struct UserMetrics: Hashable, Sendable {
  /// The family with the user's events, groups and metrics.
  public var family: MetricFamily
  /// Names of the user's metrics.
  public var metrics: [String]
  /// The user's events.
  public var events: [MetricEvent]
  /// The user's groups.
  public var groups: [MetricGroup]

  /// Reads a user's file and checks it as the catalogue is checked.
  ///
  /// - Parameters:
  ///   - text: YAML: `events`, `metrics`, `groups`, `constants`, `consistent`.
  ///   - file: What errors call it.
  ///   - base: What the file may refer to.
  ///   - triesCounts: Whether ranges are tried with random counts, which takes a moment.
  /// - Throws: `ManifestError` with the line.
  public init(
    _ text: String, named file: String, to base: MetricFamily, triesCounts: Bool = true
  ) throws(ManifestError) {
    let own = try CatalogueReader(file: file).additions(try Suite.compose(text, named: file), to: base)
    let taken = Set(base.events.map(\.name) + base.metrics.map(\.name) + base.constants.map(\.name))
    let lines = own.events.map { ($0.name, $0.line) } + own.metrics.map { ($0.name, $0.line) }
    if let (name, line) = lines.first(where: { taken.contains($0.0) }) {
      throw ManifestError(
        file: file, line: line, "'\(name)' is a duplicate: the catalogue of \(base.title) has it; choose another name")
    }
    family = own.extending(base)
    metrics = own.metrics.map(\.name)
    events = own.events
    groups = own.groups
    if let problem = CatalogueCheck(family, file: file, only: own).problems(triesCounts: triesCounts).first {
      throw problem
    }
  }
}
