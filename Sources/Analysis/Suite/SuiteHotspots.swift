// How many hotspot functions does a suite have, by share of time (the technical report's Figure 6), and which?
import ProfileModel

/// Native functions of all members by their share of the member's CPU time.
public struct SuiteHotspots: Codable, Sendable, Equatable {
  /// Functions within bounds.
  public struct Bucket: Codable, Sendable, Equatable {
    /// Share above which a function counts, 0…1 (exclusive).
    public var above: Double
    /// Share up to which it counts (inclusive).
    public var upTo: Double
    /// Pairs of a member and a function: a function that is hot in three members counts three times.
    public var count: Int
    /// Distinct functions that are in this bucket in some member.
    public var distinct: Int
  }
  /// A member's functions by share.
  public struct MemberCount: Codable, Sendable, Equatable {
    /// The member's id.
    public var id: String
    /// Functions in each bucket, in the order of the suite's.
    public var counts: [Int]
    /// The hottest one.
    public var hottest: MemberHotspot?
  }
  /// A function over the suite.
  public struct Function: Codable, Sendable, Equatable {
    /// Demangled name.
    public var function: String
    /// Library or executable.
    public var module: String
    /// The category by its name.
    public var category: KernelCategory
    /// Members in which it takes more than 10 %, with its share, most first.
    public var members: [MemberShare]
    /// The greatest share in any member.
    public var greatestShare: Double
  }
  /// A function's share in a member.
  public struct MemberShare: Codable, Sendable, Equatable {
    /// The member's id.
    public var id: String
    /// Share of its CPU time, 0…1.
    public var share: Double
  }

  /// Buckets: above 10 % (the report's threshold), 5–10 %, 1–5 %, 0.1–1 %.
  public var buckets: [Bucket]
  /// A count for each member that was sampled.
  public var members: [MemberCount]
  /// Functions that take more than 10 % of some member, most members first.
  public var hot: [Function]

  /// Lower bounds of the buckets.
  static let bounds = [0.1, 0.05, 0.01, 0.001]

  struct Key: Hashable {
    var function: String
    var module: String
  }

  init?(_ set: MemberSet) {
    let sampled = set.members.filter { $0.hotspots.value != nil }
    guard !sampled.isEmpty else { return nil }
    func bucket(_ share: Double) -> Int? { Self.bounds.firstIndex { share > $0 } }
    var counts = [Int](repeating: 0, count: Self.bounds.count)
    var distinct = [Set<Key>](repeating: [], count: Self.bounds.count)
    var hot: [Key: Function] = [:]
    members = sampled.map { member in
      let hotspots = member.hotspots.value ?? []
      var own = [Int](repeating: 0, count: Self.bounds.count)
      for hotspot in hotspots {
        guard let index = bucket(hotspot.share) else { continue }
        let key = Key(function: hotspot.function, module: hotspot.module)
        own[index] += 1
        counts[index] += 1
        distinct[index].insert(key)
        guard index == 0 else { continue }
        hot[
          key,
          default: Function(
            function: hotspot.function, module: hotspot.module, category: hotspot.category, members: [],
            greatestShare: 0)
        ].members.append(MemberShare(id: member.id, share: hotspot.share))
      }
      return MemberCount(id: member.id, counts: own, hottest: hotspots.first)
    }
    buckets = Self.bounds.indices.map {
      Bucket(
        above: Self.bounds[$0], upTo: $0 == 0 ? 1 : Self.bounds[$0 - 1], count: counts[$0], distinct: distinct[$0].count
      )
    }
    self.hot = hot.values.map { function in
      var function = function
      function.members.sort { ($1.share, $0.id) < ($0.share, $1.id) }
      function.greatestShare = function.members.first?.share ?? 0
      return function
    }.sorted {
      ($1.members.count, $1.greatestShare, $0.function, $0.module)
        < ($0.members.count, $0.greatestShare, $1.function, $1.module)
    }
  }
}
