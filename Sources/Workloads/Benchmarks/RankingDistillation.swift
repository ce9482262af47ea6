// What does a student learn from its teacher's ranking? The losses and weights of ranking distillation.
import Foundation

/// Ranking distillation (Tang and Wang, KDD 2018): the teacher's first K items are further positive examples for the
/// student, the more so the higher the teacher ranks them and the lower the student still does.
struct RankingDistillation: Sendable {
  /// Items taken from the teacher's ranking.
  var itemCount = 10
  /// How slowly a position's importance falls.
  var positionScale = 1.0
  /// How soon a difference in rank counts fully.
  var rankScale = 0.1
  /// Random items by which the student's rank of an item is estimated.
  var rankSamples = 100
  /// The epoch from which the student's own rank counts (from 0).
  var dynamicStart = 10
  /// The weight of the distillation loss beside the ranking loss.
  var share = 1.0

  /// The static weights by position, f32 [K]: exp(−r / λ) for r = 1 … K, normalized to a sum of 1.
  var positionWeights: [Float] {
    let raw = (1...itemCount).map { exp(-Double($0) / positionScale) }
    let sum = raw.reduce(0, +)
    return raw.map { Float($0 / sum) }
  }

  /// The weights by the difference between teacher and student, f32 [n, K]: max(0, tanh(μ (rank − r))) with the
  /// teacher's rank r = 0 … K − 1 and the student's, which is estimated as ⌊items × share of samples scored higher⌋.
  ///
  /// - Parameters:
  ///   - scores: the student's of the teacher's items, [n, K].
  ///   - samples: the student's of random items, [n, m].
  ///   - items: how many items there are.
  func rankWeights(scores: Tensor, samples: Tensor, items: Int) -> Tensor {
    let higher = scores.unsqueezed(2).isLess(samples.unsqueezed(1)).to(.float32).mean([2])
    let rank = (higher * Double(items)).floor()
    let teacherRank = Tensor.range(itemCount, type: .float32)
    return ((rank - teacherRank) * rankScale).tanh().clamped(0, 1)
  }

  /// Point-wise ranking loss: the sum of −ln σ(s) over positive and −ln(1 − σ(s)) over negative items, averaged over
  /// the batch. Scores are [n, p] and [n, q].
  static func rankingLoss(positives: Tensor, negatives: Tensor) -> Tensor {
    -(positives.logSigmoid().sum([1]) + (-negatives).logSigmoid().sum([1])).mean()
  }

  /// The weighted loss of the teacher's items: share × Σ w (−ln σ(s)), averaged over the batch. Weights take no gradient.
  func loss(scores: Tensor, weights: Tensor) -> Tensor {
    -(scores.logSigmoid() * weights.detached()).sum([1]).mean() * share
  }
}
