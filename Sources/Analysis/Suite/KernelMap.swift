// How alike are the kernels of a suite: thousands of points, one a kernel with its operands in a benchmark?
import Foundation
import ProfileModel

/// A map of kernels by what they do: work, traffic, time of a call, and how often it comes.
public struct KernelMap: Codable, Sendable, Equatable {
  /// A kernel on the map.
  public struct Point: Codable, Sendable, Equatable {
    /// The member's id.
    public var member: String
    /// Operation name.
    public var name: String
    /// Input shapes.
    public var shapes: String
    /// The category.
    public var category: KernelCategory
    /// Share of the member's kernel time, 0…1.
    public var share: Double
  }
  /// The kernels, in the order of the map's points.
  public var points: [Point]
  /// The features by which they are compared.
  public var features: [String]
  /// The map.
  public var map: SimilarityMap
  /// Kernels that are not on it, because they take less time than ``leastShare`` or there is no room.
  public var leftOut: Int
  /// Their share of the kernel time: mean over the members.
  public var leftOutShare: Double

  /// Kernels below this share of their member's kernel time are left out.
  static let leastShare = 0.0005
  /// Points on a map at most.
  static let limit = 1500

  init(_ set: MemberSet, seed: UInt64) throws(Unavailable) {
    let all = set.members.flatMap { member in member.kernels.map { (member.id, $0) } }
    guard !all.isEmpty else { throw Unavailable("no kernels were traced: only Kiviat's own benchmarks trace them") }
    let kept = all.filter { $0.1.share >= Self.leastShare }.enumerated()
      .sorted { ($1.element.1.share, $0.offset) < ($0.element.1.share, $1.offset) }.prefix(Self.limit).map(\.element)
    guard kept.count > 2 else { throw Unavailable("\(kept.count) kernels take enough time to be compared") }
    func log1(_ value: Double?) -> Double? { value.map { log10(1 + max(0, $0)) } }
    let table = FeatureTable(
      members: kept.map { "\($0.0) \($0.1.name)" },
      features: [
        .init("log calls", kept.map { log1($0.1.calls) }),
        .init("log time of a call", kept.map { log1($0.1.calls > 0 ? $0.1.nanoseconds / $0.1.calls : nil) }),
        .init("log FLOPs of a call", kept.map { log1($0.1.flopsPerCall) }),
        .init("log bytes of a call", kept.map { log1($0.1.bytesPerCall) }),
        .init(
          "log FLOP/s",
          kept.map { kernel in
            log1(kernel.1.flopsPerCall.map { $0 * kernel.1.calls / (kernel.1.nanoseconds / 1e9) })
          }),
        .init(
          "log B/s",
          kept.map { kernel in
            log1(kernel.1.bytesPerCall.map { $0 * kernel.1.calls / (kernel.1.nanoseconds / 1e9) })
          }),
      ]
    ).scaled()
    guard !table.features.isEmpty else {
      throw Unavailable(
        "no feature of the kernels could be used: "
          + table.remarks.map { "\($0.feature): \($0.reason)" }.joined(separator: "; "))
    }
    points = kept.map {
      Point(member: $0.0, name: $0.1.name, shapes: $0.1.shapes, category: $0.1.category, share: $0.1.share)
    }
    features = table.features
    map = try SimilarityMap.of(table.matrix, seed: seed, restarts: 2)
    leftOut = all.count - kept.count
    let keptShare = kept.reduce(0.0) { $0 + $1.1.share }
    let allShare = all.reduce(0.0) { $0 + $1.1.share }
    leftOutShare = allShare > 0 ? (allShare - keptShare) / allShare : 0
  }
}
