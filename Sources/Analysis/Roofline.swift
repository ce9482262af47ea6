// How close is the work to what this machine could do, and is it bound by memory or by arithmetic?
import ProfileModel

/// The roofline (Williams, Waterman, Patterson, CACM 2009) against ceilings measured on this machine.
public struct Roofline: Codable, Sendable, Equatable {
  /// A roof.
  public struct Ceiling: Codable, Sendable, Equatable {
    /// Arithmetic or bandwidth.
    public enum Kind: String, Codable, Sendable, Equatable {
      case compute
      case bandwidth
    }
    /// The host quantity: `ceiling.flops.f32`, `ceiling.bandwidth.dram`.
    public var name: String
    /// Arithmetic or bandwidth.
    public var kind: Kind
    /// FLOP/s or B/s, above zero.
    public var value: Double
    /// Whether points are judged by it; the others are drawn for orientation.
    public var isUsed: Bool
    /// How it was measured.
    public var provenance: Provenance
  }
  /// What limits a point, by its place under the roof.
  public enum Bound: String, Codable, Sendable, Equatable {
    /// Left of the ridge: bytes limit.
    case memory
    /// Right of the ridge: arithmetic limits.
    case compute
  }
  /// Work at a place under the roof.
  public struct Point: Codable, Sendable, Equatable {
    /// What the point stands for.
    public enum Level: String, Codable, Sendable, Equatable {
      /// All placed kernels of the main thread.
      case whole
      case category
      /// One kernel by name and shapes.
      case kernel
    }
    /// What the point stands for.
    public var level: Level
    /// The category's or operation's name; `all kernels`.
    public var name: String
    /// Input shapes, for a kernel.
    public var shapes: String?
    /// The category; `nil` for the whole.
    public var category: KernelCategory?
    /// Self time in which the work was done.
    public var nanoseconds: Int64
    /// Share of the main thread's kernel time, 0…1.
    public var shareOfKernels: Double
    /// Floating-point operations.
    public var flops: Double
    /// Bytes moved, each tensor once.
    public var bytes: Double
    /// Arithmetic intensity, FLOP/B.
    public var intensity: Double
    /// Achieved FLOP/s.
    public var flopsPerSecond: Double
    /// Achieved B/s.
    public var bytesPerSecond: Double
    /// What the roof allows at this intensity, FLOP/s.
    public var attainableFlopsPerSecond: Double
    /// Achieved by attainable; above 1 when operands came from a cache, which the memory roof does not see.
    public var shareOfAttainable: Double
    /// What limits it.
    public var bound: Bound
    /// Above the roof by more than the ceilings' error (5 %): operands came from a cache.
    public var isServedFromCache: Bool
  }
  /// Work that has no place: no FLOPs or no bytes are known.
  public struct Unplaced: Codable, Sendable, Equatable {
    /// Operation name.
    public var name: String
    /// Its category.
    public var category: KernelCategory
    /// Its self time.
    public var nanoseconds: Int64
    /// Share of the main thread's kernel time, 0…1.
    public var shareOfKernels: Double
    /// Why it can't be placed.
    public var reason: String
    /// Achieved B/s where only bytes are known.
    public var bytesPerSecond: Double?
  }
  /// All roofs.
  public var ceilings: [Ceiling]
  /// Arithmetic roof in use, FLOP/s.
  public var peakFlopsPerSecond: Double
  /// Memory roof in use, B/s.
  public var peakBytesPerSecond: Double
  /// Intensity at which the two meet, FLOP/B.
  public var ridge: Double
  /// All placed work together; `nil` when nothing could be placed.
  public var whole: Point?
  /// One point a category, most time first.
  public var categories: [Point]
  /// The hottest kernels by name and shape, most time first.
  public var kernels: [Point]
  /// What has no place, by operation, most time first.
  public var unplaced: [Unplaced]
  /// Share of kernel time that could be placed, 0…1.
  public var placedShare: Double
  /// Share of placed kernel time that lies left of the ridge, 0…1.
  public var memoryBoundShare: Double
}
