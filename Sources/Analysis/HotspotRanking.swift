// Which few things take most of the time? Ranking with cumulative share, counts by share, concentration.
import ProfileModel

/// One ranked thing.
public struct Hotspot<Subject: Codable & Sendable & Equatable>: Codable, Sendable, Equatable {
  /// 1 for the hottest.
  public var rank: Int
  /// What it is.
  public var subject: Subject
  /// Its self time.
  public var nanoseconds: Int64
  /// Share of the ranking's total, 0…1.
  public var share: Double
  /// Share of this and all hotter ones together, 0…1.
  public var cumulativeShare: Double
}

/// Things by time, hottest first.
public struct HotspotRanking<Subject: Codable & Sendable & Equatable>: Codable, Sendable, Equatable {
  /// How many things have a share within bounds (the technical report's Figure 6).
  public struct Bucket: Codable, Sendable, Equatable {
    /// Share above which a thing counts, 0…1 (exclusive; 0 includes everything).
    public var above: Double
    /// Share up to which it counts, 0…1 (inclusive).
    public var upTo: Double
    /// How many things.
    public var count: Int
    /// Their share together, 0…1.
    public var share: Double
  }
  /// The hottest, up to a limit that goes well beyond 80 %.
  public var hotspots: [Hotspot<Subject>]
  /// Time of all things, also of those not listed.
  public var totalNanoseconds: Int64
  /// Number of things with any time, also of those not listed.
  public var count: Int
  /// How many of the hottest make up 80 % of the total; 0 when there is no time.
  public var countToEightyPercent: Int
  /// Number of things by share: above 10 %, 5–10 %, 1–5 %, 0.1–1 %, below.
  public var buckets: [Bucket]
  /// How many equally hot things would be as concentrated: 1/Σ share² (Hill number of order 2); 0 when there is no time.
  public var effectiveNumber: Double

  /// Number of things that are not listed.
  public var omittedCount: Int { count - hotspots.count }
  /// Share of the things that are not listed, 0…1.
  public var omittedShare: Double { hotspots.isEmpty ? 0 : max(0, 1 - hotspots[hotspots.count - 1].cumulativeShare) }
}

extension HotspotRanking {
  /// Lower bounds of the buckets: the technical report names 10 %; the others show the tail.
  static var bucketBounds: [Double] { [0.1, 0.05, 0.01, 0.001, 0] }

  /// Ranks by time. `subject` is made only for what is listed: what makes up 80 %, and at least `least` things.
  ///
  /// - Parameters:
  ///   - items: Time by thing; those without time are left out. Equal times stay in the order given.
  ///   - least: How many to list at least.
  ///   - limit: How many to list at most.
  init<Item>(
    _ items: [(item: Item, nanoseconds: Int64)], least: Int = 100, limit: Int = 1000, subject: (Item) -> Subject
  ) {
    let ranked = items.filter { $0.nanoseconds > 0 }.enumerated()
      .sorted { ($1.element.nanoseconds, $0.offset) < ($0.element.nanoseconds, $1.offset) }.map(\.element)
    let total = ranked.sum(\.nanoseconds)
    totalNanoseconds = total
    count = ranked.count
    let bounds = Self.bucketBounds
    buckets = bounds.indices.map {
      Bucket(above: bounds[$0], upTo: $0 == 0 ? 1 : bounds[$0 - 1], count: 0, share: 0)
    }
    hotspots = []
    countToEightyPercent = 0
    var cumulative: Int64 = 0
    var squares = 0.0
    for (index, entry) in ranked.enumerated() {
      let share = fraction(entry.nanoseconds, of: total)
      cumulative = cumulative.addingSaturating(entry.nanoseconds)
      let cumulativeShare = fraction(cumulative, of: total)
      squares += share * share
      if let bucket = bounds.firstIndex(where: { share > $0 }) {
        buckets[bucket].count += 1
        buckets[bucket].share += share
      }
      let isNeeded = countToEightyPercent == 0
      if isNeeded, cumulativeShare >= 0.8 - 1e-12 { countToEightyPercent = index + 1 }
      if index < limit, index < least || isNeeded {
        hotspots.append(
          Hotspot(
            rank: index + 1, subject: subject(entry.item), nanoseconds: entry.nanoseconds, share: share,
            cumulativeShare: cumulativeShare))
      }
    }
    effectiveNumber = squares > 0 ? 1 / squares : 0
  }
}
