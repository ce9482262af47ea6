// Which name may a mistyped one have meant?

/// Finds names that a mistyped one may have meant.
package enum Suggestion {
  /// How many single-character insertions, deletions, replacements and swaps of neighbours lead from one text to the
  /// other (optimal string alignment distance; Damerau 1964).
  package static func distance(_ first: some Collection<UInt8>, _ second: some Collection<UInt8>) -> Int {
    let a = Array(first)
    let b = Array(second)
    if a.isEmpty || b.isEmpty { return max(a.count, b.count) }
    var beforeLast = [Int](repeating: 0, count: b.count + 1)
    var last = Array(0...b.count)
    for i in 1...a.count {
      var row = [i] + [Int](repeating: 0, count: b.count)
      for j in 1...b.count {
        let replaced = last[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1)
        row[j] = min(last[j] + 1, row[j - 1] + 1, replaced)
        if i > 1, j > 1, a[i - 1] == b[j - 2], a[i - 2] == b[j - 1] { row[j] = min(row[j], beforeLast[j - 2] + 1) }
      }
      beforeLast = last
      last = row
    }
    return last[b.count]
  }

  /// At most three candidates that are nearest to `name` and near enough to be meant, nearest first.
  package static func nearest(to name: String, among candidates: some Sequence<String>) -> [String] {
    let wanted = Array(name.lowercased().utf8)
    let limit = max(2, wanted.count / 3)
    var found: [(distance: Int, name: String)] = []
    for candidate in Set(candidates) where abs(candidate.utf8.count - wanted.count) <= limit {
      let distance = distance(wanted, candidate.lowercased().utf8)
      if distance <= limit { found.append((distance, candidate)) }
    }
    found.sort { ($0.distance, $0.name) < ($1.distance, $1.name) }
    guard let best = found.first else { return [] }
    return found.prefix { $0.distance <= best.distance + 1 }.prefix(3).map(\.name)
  }
}
