// Sub-words for words of an open vocabulary: byte-pair encoding (Sennrich, Haddow and Birch, ACL 2016).

/// Pairs of symbols to be made one, in order. A word is first its characters, the last one marked `</w>`.
///
/// The files are those of subword-nmt: `#version: 0.2`, then a pair a line, and sub-words that do not end a word end
/// with "@@" in text.
struct BytePairEncoding: Sendable {
  /// What a sub-word ends with in text, unless it ends its word.
  static let joiner = "@@"
  static let wordEnd = "</w>"

  /// Two neighbours.
  struct Pair: Hashable, Sendable {
    var first, second: String

    /// For a fixed order of equally frequent pairs.
    func precedes(_ other: Pair) -> Bool {
      first != other.first
        ? first.utf8.lexicographicallyPrecedes(other.first.utf8)
        : second.utf8.lexicographicallyPrecedes(other.second.utf8)
    }
  }

  /// The pairs, the first to be merged first.
  let merges: [Pair]
  private let ranks: [Pair: Int]

  init(merges: [Pair]) {
    self.merges = merges
    ranks = Dictionary(zip(merges, 0...), uniquingKeysWith: { first, _ in first })
  }

  /// Learns from how often words occur: the most frequent pair of neighbours becomes one symbol, so many times, or until
  /// no pair occurs twice.
  init(learning count: Int, from words: [String: Int]) {
    var learner = PairLearner(
      words.sorted { $0.key.utf8.lexicographicallyPrecedes($1.key.utf8) }.map { (Self.characters($0.key), $0.value) })
    self.init(merges: learner.learn(count, minimum: 2))
  }

  /// Reads a file of merges.
  ///
  /// - Throws: `DataError`, naming the line that is not a pair.
  init(path: String) throws(DataError) {
    var merges: [Pair] = []
    let lines = try LineFile(path: path)
    for index in 0..<lines.count {
      let line = try lines.line(index)
      if line.hasPrefix("#") && index == 0 || line.isEmpty { continue }
      let parts = line.split(separator: " ", omittingEmptySubsequences: false)
      guard parts.count == 2, parts.allSatisfy({ !$0.isEmpty }) else {
        throw .malformedLine(path: path, line: index + 1, text: line, expected: "two symbols with a space between")
      }
      merges.append(Pair(first: String(parts[0]), second: String(parts[1])))
    }
    guard !merges.isEmpty else { throw .empty(path: path, expected: "a pair of symbols a line") }
    self.init(merges: merges)
  }

  /// A word's characters, the last one marked.
  static func characters(_ word: String) -> [String] {
    var symbols = word.unicodeScalars.map { String($0) }
    if let last = symbols.popLast() { symbols.append(last + wordEnd) }
    return symbols
  }

  /// A word as sub-words: the merges in their order, wherever they fit; "@@" after all but the last.
  func pieces(_ word: String) -> [String] {
    var symbols = Self.characters(word)
    while symbols.count > 1 {
      var best: (rank: Int, pair: Pair)?
      for index in 1..<symbols.count {
        let pair = Pair(first: symbols[index - 1], second: symbols[index])
        if let rank = ranks[pair], rank < best?.rank ?? .max { best = (rank, pair) }
      }
      guard let pair = best?.pair else { break }
      symbols = PairLearner.merged(symbols, pair)
    }
    return symbols.map { symbol in
      symbol.hasSuffix(Self.wordEnd) ? String(symbol.dropLast(Self.wordEnd.count)) : symbol + Self.joiner
    }
  }
}

/// Finds the most frequent pairs of neighbours, one after another. What each merge changes is looked up by the words that
/// contain the pair, and the most frequent pair by a heap, so that tens of thousands of merges take seconds.
struct PairLearner {
  typealias Pair = BytePairEncoding.Pair

  private var words: [(symbols: [String], count: Int)]
  /// What two neighbours are called when they are one.
  private let join: (String, String) -> String
  private var counts: [Pair: Int] = [:]
  /// Words that have, or once had, a pair.
  private var places: [Pair: Set<Int>] = [:]
  private var heap: [(count: Int, pair: Pair)] = []

  init(_ words: [(symbols: [String], count: Int)], join: @escaping (String, String) -> String = { $0 + $1 }) {
    self.words = words
    self.join = join
    for (number, word) in words.enumerated() {
      for pair in Self.pairs(word.symbols) {
        counts[pair, default: 0] += word.count
        places[pair, default: []].insert(number)
      }
    }
    for (pair, count) in counts { push(count, pair) }
  }

  private static func pairs(_ symbols: [String]) -> [Pair] {
    symbols.count < 2 ? [] : (1..<symbols.count).map { Pair(first: symbols[$0 - 1], second: symbols[$0]) }
  }

  /// Every place of a pair made one symbol, from the left.
  static func merged(
    _ symbols: [String], _ pair: Pair, join: (String, String) -> String = { $0 + $1 }
  ) -> [String] {
    var result: [String] = []
    var index = 0
    while index < symbols.count {
      if index + 1 < symbols.count, symbols[index] == pair.first, symbols[index + 1] == pair.second {
        result.append(join(pair.first, pair.second))
        index += 2
      } else {
        result.append(symbols[index])
        index += 1
      }
    }
    return result
  }

  /// The next merges: at most `limit`, of pairs that occur at least `minimum` times.
  mutating func learn(_ limit: Int, minimum: Int) -> [Pair] {
    var merges: [Pair] = []
    while merges.count < limit, let best = pop() {
      // Counts in the heap may be old; the present one is then in it too.
      guard counts[best.pair] == best.count else { continue }
      guard best.count >= minimum else { break }
      merges.append(best.pair)
      merge(best.pair)
    }
    return merges
  }

  private mutating func merge(_ pair: Pair) {
    var changed: Set<Pair> = []
    for number in places[pair] ?? [] {
      let word = words[number]
      for old in Self.pairs(word.symbols) {
        counts[old, default: 0] -= word.count
        changed.insert(old)
      }
      words[number].symbols = Self.merged(word.symbols, pair, join: join)
      for new in Self.pairs(words[number].symbols) {
        counts[new, default: 0] += word.count
        places[new, default: []].insert(number)
        changed.insert(new)
      }
    }
    places[pair] = nil
    counts[pair] = nil
    for other in changed where other != pair {
      if let count = counts[other], count > 0 { push(count, other) } else { counts[other] = nil }
    }
  }

  // MARK: A heap with the most frequent pair on top, of equally frequent ones the first by its bytes.

  private func isAbove(_ a: Int, _ b: Int) -> Bool {
    heap[a].count != heap[b].count ? heap[a].count > heap[b].count : heap[a].pair.precedes(heap[b].pair)
  }

  private mutating func push(_ count: Int, _ pair: Pair) {
    heap.append((count, pair))
    var child = heap.count - 1
    while child > 0, isAbove(child, (child - 1) / 2) {
      heap.swapAt(child, (child - 1) / 2)
      child = (child - 1) / 2
    }
  }

  private mutating func pop() -> (count: Int, pair: Pair)? {
    guard !heap.isEmpty else { return nil }
    heap.swapAt(0, heap.count - 1)
    let top = heap.removeLast()
    var parent = 0
    while true {
      var best = parent
      for child in [2 * parent + 1, 2 * parent + 2] where child < heap.count && isAbove(child, best) { best = child }
      if best == parent { return top }
      heap.swapAt(parent, best)
      parent = best
    }
  }
}
