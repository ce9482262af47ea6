// How good is a ranking? Measures over the ranks of the relevant items, each with its definition.
import Foundation

/// Ranks of relevant items among all that could be recommended, and what follows from them.
///
/// Ranks count from 0. Ties count against the model: an item comes after every irrelevant item of the same score. A
/// model that gives every item one score thus has no hit, whichever way a sort would have put them. A score that is
/// not a number comes last.
public enum RankingMetrics {
  /// The ranks of the relevant items, best first.
  ///
  /// - Parameters:
  ///   - relevant: indices into `scores`; each once.
  ///   - scores: of every item; −∞ for items that must not be recommended.
  public static func ranks<Scores: RandomAccessCollection>(of relevant: [Int], in scores: Scores) -> [Int]
  where Scores.Element == Float, Scores.Index == Int {
    let isRelevant = Set(relevant)
    let start = scores.startIndex
    // Irrelevant items that are not below, then the better ones of the relevant items.
    let above = relevant.map { item -> (above: Int, score: Float) in
      let score = scores[start + item]
      var notBelow = 0
      // The comparison is negated so that a score which is not a number is never above another.
      for other in scores where !(other < score) { notBelow += other.isNaN && !score.isNaN ? 0 : 1 }
      for other in isRelevant {
        let score2 = scores[start + other]
        if !(score2 < score), !(score2.isNaN && !score.isNaN) { notBelow -= 1 }
      }
      return (notBelow, score)
    }
    return above.sorted { $0.above < $1.above }.enumerated().map { $0.offset + $0.element.above }
  }

  /// 1 where the only relevant item is among the first `k`, else 0: HR@k.
  public static func hit(rank: Int, k: Int) -> Double { rank < k ? 1 : 0 }

  /// Normalized discounted cumulative gain of a single relevant item: 1 / log₂(rank + 2) among the first `k`.
  public static func gain(rank: Int, k: Int) -> Double { rank < k ? 1 / log2(Double(rank + 2)) : 0 }

  /// The share of the first `k` items that are relevant: P@k.
  public static func precision(ranks: [Int], k: Int) -> Double { Double(ranks.count { $0 < k }) / Double(k) }

  /// The share of the relevant items that are among the first `k`: R@k. 0 when nothing is relevant.
  public static func recall(ranks: [Int], k: Int) -> Double {
    ranks.isEmpty ? 0 : Double(ranks.count { $0 < k }) / Double(ranks.count)
  }

  /// Discounted cumulative gain of the first `k` items over that of the best ranking: nDCG@k.
  public static func normalizedGain(ranks: [Int], k: Int) -> Double {
    guard !ranks.isEmpty else { return 0 }
    let best = (0..<min(k, ranks.count)).reduce(0.0) { $0 + 1 / log2(Double($1 + 2)) }
    return ranks.reduce(0.0) { $0 + gain(rank: $1, k: k) } / best
  }

  /// The mean of the precision at every relevant item (average precision; its mean over users is MAP).
  public static func averagePrecision(ranks: [Int]) -> Double {
    guard !ranks.isEmpty else { return 0 }
    let sum = ranks.sorted().enumerated().reduce(0.0) { $0 + Double($1.offset + 1) / Double($1.element + 1) }
    return sum / Double(ranks.count)
  }
}

/// Means over users of the measures of a ranking with several relevant items.
public struct RankingQuality: Sendable, Hashable {
  /// The cuts that are reported.
  public static let cuts = [3, 5, 10]
  /// P@k, R@k and nDCG@k at `cuts`.
  public private(set) var precision = [Double](repeating: 0, count: cuts.count)
  /// R@k at `cuts`.
  public private(set) var recall = [Double](repeating: 0, count: cuts.count)
  /// nDCG@k at `cuts`.
  public private(set) var normalizedGain = [Double](repeating: 0, count: cuts.count)
  /// MAP.
  public private(set) var meanAveragePrecision = 0.0
  private var users = 0

  /// No user yet.
  public init() {}

  /// Takes a user's ranks into the means. Users without a relevant item do not count.
  public mutating func add(ranks: [Int]) {
    guard !ranks.isEmpty else { return }
    users += 1
    func update(_ mean: inout Double, _ value: Double) { mean += (value - mean) / Double(users) }
    for (index, k) in Self.cuts.enumerated() {
      update(&precision[index], RankingMetrics.precision(ranks: ranks, k: k))
      update(&recall[index], RankingMetrics.recall(ranks: ranks, k: k))
      update(&normalizedGain[index], RankingMetrics.normalizedGain(ranks: ranks, k: k))
    }
    update(&meanAveragePrecision, RankingMetrics.averagePrecision(ranks: ranks))
  }

  /// All measures with their names.
  public var named: [(name: String, value: Double)] {
    var list: [(String, Double)] = []
    for (index, k) in Self.cuts.enumerated() {
      list += [("P@\(k)", precision[index]), ("R@\(k)", recall[index]), ("nDCG@\(k)", normalizedGain[index])]
    }
    return list + [("MAP", meanAveragePrecision)]
  }
}
