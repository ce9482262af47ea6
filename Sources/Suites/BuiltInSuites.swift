// Which suites come with Kiviat?

extension Suite {
  /// A suite that comes with Kiviat.
  public struct BuiltIn: Sendable {
    /// What one types.
    public var name: String
    /// The manifest, as a user would write it.
    public var manifest: String

    /// The suite. A test reads them all.
    public func suite() throws(ManifestError) -> Suite {
      try Suite(manifest: manifest, named: "\(name).yaml", folder: "/")
    }
  }

  /// Those there are.
  public static let builtIn: [BuiltIn] = [
    BuiltIn(name: "aibench", manifest: text(PackageResources.aibench_yaml)),
    BuiltIn(name: "aibench-v1.1", manifest: text(PackageResources.aibench_v1_1_yaml)),
    BuiltIn(name: "mlperf-training", manifest: text(PackageResources.mlperf_training_yaml)),
  ]

  private static func text(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }
}
