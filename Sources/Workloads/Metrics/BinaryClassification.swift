// How well do scores separate two classes? Accuracy, and the area under the ROC curve.

/// Scores of positive and negative samples, and what follows from them.
struct BinaryClassification: Sendable {
  private var scores: [Float] = []
  private var positives: [Bool] = []

  /// Takes logits (positive: above 0) and what is true.
  mutating func add(logits: [Float], isPositive: [Bool]) {
    precondition(logits.count == isPositive.count, "\(logits.count) logits for \(isPositive.count) samples")
    scores += logits
    positives += isPositive
  }

  /// The share of samples on their right side of a probability of one half. NaN without samples, or where a score is
  /// not a number: a diverged model has no accuracy.
  var accuracy: Double {
    guard !scores.isEmpty, !scores.contains(where: \.isNaN) else { return .nan }
    return Double(zip(scores, positives).count { ($0 > 0) == $1 }) / Double(scores.count)
  }

  /// The area under the receiver operating characteristic: the probability that a random positive sample scores above
  /// a random negative one, where a tie counts one half. By ranks (Mann and Whitney 1947). NaN where a class is empty
  /// or a score is not a number.
  var areaUnderCurve: Double {
    guard !scores.contains(where: \.isNaN) else { return .nan }
    let order = scores.indices.sorted { scores[$0] < scores[$1] }
    var sum = 0.0
    var first = 0
    while first < order.count {
      var end = first
      var hits = 0
      while end < order.count, scores[order[end]] == scores[order[first]] {
        if positives[order[end]] { hits += 1 }
        end += 1
      }
      // Equal scores share the mean of their ranks, from 1.
      sum += Double(hits) * (Double(first + end + 1) / 2)
      first = end
    }
    let positiveCount = Double(positives.count { $0 })
    let pairs = positiveCount * (Double(positives.count) - positiveCount)
    guard pairs > 0 else { return .nan }
    return (sum - positiveCount * (positiveCount + 1) / 2) / pairs
  }
}
