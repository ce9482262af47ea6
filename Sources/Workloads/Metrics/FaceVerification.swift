// Do two photographs show the same person? The measure of Labeled Faces in the Wild.

/// Verification by a distance threshold, in folds (Huang et al. 2007, "View 2"): for each fold, the threshold which is
/// best on all other folds decides its pairs; the accuracy is the mean over the folds.
struct FaceVerification: Sendable {
  /// The thresholds to choose from: 0 to 30 in steps of 0.01.
  static let thresholds = (0...3000).map { Double($0) / 100 }

  /// A fold's pairs.
  struct Fold: Sendable {
    /// Euclidean distances between the embeddings.
    var distances: [Double]
    /// Whether both show the same person.
    var isSame: [Bool]
  }

  /// Pairs that are the same below the threshold or different from it on, for each threshold.
  private static func correct(_ fold: Fold) -> [Int] {
    // One pass over the pairs, one over the thresholds: counts by the first threshold above each distance.
    var same = [Int](repeating: 0, count: thresholds.count + 1)
    var different = same
    for (distance, isSame) in zip(fold.distances, fold.isSame) {
      // NaN is above every threshold, and so is no match.
      let first = distance.isNaN ? thresholds.count : thresholds.partitioningIndex { distance < $0 }
      if isSame { same[first] += 1 } else { different[first] += 1 }
    }
    var (accepted, falselyAccepted) = (0, 0)
    let differentCount = fold.isSame.count { !$0 }
    return thresholds.indices.map { index in
      accepted += same[index]
      falselyAccepted += different[index]
      return accepted + differentCount - falselyAccepted
    }
  }

  /// The mean accuracy over the folds; NaN with fewer than two, or with an empty one. The first of equally good
  /// thresholds is taken.
  static func accuracy(_ folds: [Fold]) -> Double {
    guard folds.count > 1, folds.allSatisfy({ !$0.distances.isEmpty }) else { return .nan }
    let correct = folds.map(correct)
    let all = thresholds.indices.map { index in correct.reduce(0) { $0 + $1[index] } }
    let accuracies = zip(folds, correct).map { fold, own in
      let others = thresholds.indices.map { all[$0] - own[$0] }
      let best = others.indices.max { others[$0] < others[$1] } ?? 0
      // `max` gives the last of equals.
      let first = others.firstIndex(of: others[best]) ?? best
      return Double(own[first]) / Double(fold.distances.count)
    }
    return accuracies.reduce(0, +) / Double(accuracies.count)
  }
}

extension Array {
  /// The first index from which on all elements satisfy the predicate, which is false before and true after it.
  func partitioningIndex(_ predicate: (Element) -> Bool) -> Int {
    var (low, high) = (0, count)
    while low < high {
      let middle = (low + high) / 2
      if predicate(self[middle]) { high = middle } else { low = middle + 1 }
    }
    return low
  }
}
