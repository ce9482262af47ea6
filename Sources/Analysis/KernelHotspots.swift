// Which traced kernels take most of the kernel time: by name, by name and shape, by module path?
import ProfileModel

/// A traced kernel, or several of one name, shape or module taken together.
public struct KernelSubject: Codable, Sendable, Equatable {
  /// Operation name; for a ranking by module, the module path (empty: outside any module).
  public var name: String
  /// Input shapes and types, in a ranking by shape.
  public var shapes: String?
  /// Input types, in a ranking by shape.
  public var types: String?
  /// The category in which it spends most of its time.
  public var category: KernelCategory
  /// The phases in which it ran.
  public var phases: [KernelRecord.Phase]
  /// Number of calls.
  public var calls: Int64
  /// Mean self time of a call.
  public var meanNanoseconds: Double
  /// Floating-point operations of all calls.
  public var flops: Measured<Double>
  /// Bytes read and written by all calls, each tensor once.
  public var bytes: Measured<Double>
}

/// The kernels of the main thread by self time.
public struct KernelHotspots: Codable, Sendable, Equatable {
  /// By operation name.
  public var byName: HotspotRanking<KernelSubject>
  /// By operation name and input shapes and types.
  public var byShape: HotspotRanking<KernelSubject>
  /// By module path.
  public var byModule: HotspotRanking<KernelSubject>
}
