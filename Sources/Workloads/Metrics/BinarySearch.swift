// Where in sorted elements does something begin?

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
