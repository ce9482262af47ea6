// Are the measures of a ranking what their definitions say, on cases worked out by hand?
import Foundation
import Testing

@testable import Workloads

struct RankingMetricsTests {
  @Test func ranksAreThoseOfTheSortedScores() {
    #expect(RankingMetrics.ranks(of: [2], in: [0.1, 0.9, 0.5, 0.7] as [Float]) == [2])
    #expect(RankingMetrics.ranks(of: [1, 0], in: [0.1, 0.9, 0.5, 0.7] as [Float]) == [0, 3])
    #expect(RankingMetrics.ranks(of: [], in: [0.1] as [Float]) == [])
    // A part of a larger array, as rows of a matrix are.
    let matrix: [Float] = [9, 9, 1, 3, 2, 9]
    #expect(RankingMetrics.ranks(of: [0, 2], in: matrix[2..<5]) == [1, 2])
  }

  @Test func tiesCountAgainstTheModel() {
    let equal = [Float](repeating: 1, count: 10)
    #expect(RankingMetrics.ranks(of: [0], in: equal) == [9])
    #expect(RankingMetrics.ranks(of: [0, 5], in: equal) == [8, 9])
    #expect(RankingMetrics.ranks(of: [1], in: [1, 1, 0] as [Float]) == [1])
  }

  @Test func whatIsNotANumberComesLast() {
    #expect(RankingMetrics.ranks(of: [0], in: [.nan, 1, 2] as [Float]) == [2])
    #expect(RankingMetrics.ranks(of: [1], in: [.nan, 1, 0] as [Float]) == [0])
    #expect(RankingMetrics.ranks(of: [0], in: [Float](repeating: .nan, count: 5)) == [4])
    #expect(RankingMetrics.ranks(of: [0], in: [-.infinity, -.infinity, 0] as [Float]) == [2])
  }

  @Test func ranksEqualASort() {
    var generator = SeededRandom(1)
    for _ in 0..<200 {
      let count = 1 + generator.integer(below: 20)
      let scores = (0..<count).map { _ in Float(generator.integer(below: 8)) }
      let relevant = Array(generator.permutation(count).prefix(generator.integer(below: count + 1)))
      let isRelevant = Set(relevant)
      // The definition: sort by score, irrelevant items first among equals.
      let order = (0..<count).sorted {
        scores[$0] != scores[$1] ? scores[$0] > scores[$1] : !isRelevant.contains($0) && isRelevant.contains($1)
      }
      let expected = order.enumerated().filter { isRelevant.contains($0.element) }.map(\.offset)
      #expect(RankingMetrics.ranks(of: relevant, in: scores) == expected)
    }
  }

  @Test func singleItemMeasures() {
    #expect((0..<12).map { RankingMetrics.hit(rank: $0, k: 10) } == [1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0])
    #expect(RankingMetrics.gain(rank: 0, k: 10) == 1)
    #expect(RankingMetrics.gain(rank: 2, k: 10) == 0.5)
    #expect(abs(RankingMetrics.gain(rank: 1, k: 10) - 0.6309297536) < 1e-9)
    #expect(RankingMetrics.gain(rank: 10, k: 10) == 0)
  }

  @Test func severalItemMeasures() {
    // Relevant items at the first, third and sixth place, one of them beyond the cut.
    let ranks = [0, 2, 5]
    #expect(RankingMetrics.precision(ranks: ranks, k: 5) == 0.4)
    #expect(RankingMetrics.precision(ranks: ranks, k: 10) == 0.3)
    #expect(abs(RankingMetrics.recall(ranks: ranks, k: 5) - 2.0 / 3) < 1e-12)
    // Gains 1 + 1/2; the best would be 1 + 1/log₂3 + 1/2.
    #expect(abs(RankingMetrics.normalizedGain(ranks: ranks, k: 5) - 1.5 / 2.1309297536) < 1e-9)
    // Fewer places than relevant items: the best is 1 + 1/log₂3.
    #expect(abs(RankingMetrics.normalizedGain(ranks: ranks, k: 2) - 1 / 1.6309297536) < 1e-9)
    // Precisions 1/1, 2/3, 3/6.
    #expect(abs(RankingMetrics.averagePrecision(ranks: ranks) - (1 + 2.0 / 3 + 0.5) / 3) < 1e-12)
    for measure in [RankingMetrics.recall(ranks:k:), RankingMetrics.normalizedGain(ranks:k:)] {
      #expect(measure([], 10) == 0)
      #expect(measure([0, 1, 2], 10) == 1)
    }
  }

  @Test func qualityIsTheMeanOverUsers() {
    var quality = RankingQuality()
    quality.add(ranks: [0])
    quality.add(ranks: [])
    quality.add(ranks: [3, 4])
    let named = Dictionary(uniqueKeysWithValues: quality.named)
    #expect(abs((named["P@5"] ?? 0) - (0.2 + 0.4) / 2) < 1e-12)
    #expect(abs((named["R@3"] ?? 0) - 0.5) < 1e-12)
    #expect(abs((named["MAP"] ?? 0) - (1 + (0.25 + 0.4) / 2) / 2) < 1e-12)
    #expect(quality.named.count == 10)
  }
}
