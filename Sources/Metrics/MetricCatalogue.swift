// Which metrics exist, of which events by which formula, on which processor?
import ProfileModel
import Suites

/// The catalogue that comes with Kiviat: a file of YAML for each family of processors (`Resources/`).
public struct MetricCatalogue: Sendable {
  /// The families, the fallback of all processors last.
  public let families: [MetricFamily]

  /// The catalogue.
  ///
  /// - Throws: `ManifestError`; a test reads and checks all files, so that those built in have none.
  public static func builtIn() throws(ManifestError) -> MetricCatalogue {
    var parts: [String: MetricFamily] = [:]
    for (name, bytes) in shared + files {
      let file = "\(name).yaml"
      let root = try Suite.compose(String(decoding: bytes, as: UTF8.self), named: file)
      let family = try CatalogueReader(file: file).family(root)
      guard family.name == name else { throw ManifestError(file: file, "its 'family' must be '\(name)', as its file") }
      // Parts stand before those that extend them.
      let base = family.base ?? "generic"
      if name != "generic", parts[base] == nil {
        throw ManifestError(file: file, "'extends': there is no part '\(base)' before it")
      }
      parts[name] = parts[base].map(family.extending) ?? family
    }
    return MetricCatalogue(families: (files.map(\.name) + ["generic"]).compactMap { parts[$0] })
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

  /// Reads a user's file and checks it as the catalogue is checked.
  ///
  /// - Parameters:
  ///   - text: YAML: `events`, `metrics`, `groups`, `constants`, `consistent`.
  ///   - file: What errors call it.
  ///   - base: What the file may refer to.
  /// - Throws: `ManifestError` with the line.
  public init(_ text: String, named file: String, to base: MetricFamily) throws(ManifestError) {
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
    if let problem = CatalogueCheck(family, file: file, only: own).problems().first { throw problem }
  }
}
