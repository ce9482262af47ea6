// Which number a word or sub-word has, and how a sentence becomes numbers and text again.

/// Numbers of tokens. The first ones are special: padding, unknown, begin and end of a sentence.
struct Vocabulary: Sendable, Hashable {
  static let padding = 0
  static let unknown = 1
  static let begin = 2
  static let end = 3
  static let specials = ["<pad>", "<unk>", "<s>", "</s>"]

  let tokens: [String]
  private let numbers: [String: Int]

  /// The special tokens, then these, which must differ.
  init(_ tokens: [String]) {
    self.tokens = Self.specials + tokens
    numbers = Dictionary(uniqueKeysWithValues: zip(self.tokens, 0...))
  }

  /// Tokens that occur so often, the most frequent first and equally frequent ones in the order of their bytes.
  init(counts: [String: Int], minimum: Int = 1, limit: Int = .max) {
    let frequent = counts.filter { $0.value >= minimum && !Self.specials.contains($0.key) }
    let sorted = frequent.sorted {
      $0.value != $1.value ? $0.value > $1.value : $0.key.utf8.lexicographicallyPrecedes($1.key.utf8)
    }
    self.init(sorted.prefix(max(limit, 0)).map(\.key))
  }

  var count: Int { tokens.count }

  /// The number of a token, ``unknown`` for one that has none.
  func number(_ token: String) -> Int { numbers[token] ?? Self.unknown }
  /// Whether a token has a number.
  func contains(_ token: String) -> Bool { numbers[token] != nil }
}

/// What makes numbers of a sentence: whole words, or sub-words.
struct SentenceCoder: Sendable {
  let vocabulary: Vocabulary
  /// Cuts words into sub-words; whole words without it.
  let merges: BytePairEncoding?
  /// Whether tokens that end with "@@" are parts of words.
  let joins: Bool
  let lowercases: Bool

  init(vocabulary: Vocabulary, merges: BytePairEncoding? = nil, joins: Bool = false, lowercases: Bool = false) {
    (self.vocabulary, self.merges, self.joins, self.lowercases) = (vocabulary, merges, joins, lowercases)
  }

  /// The tokens of a sentence.
  func tokens(_ line: String) -> [String] {
    let words = words(of: lowercases ? line.lowercased() : line).map { String($0) }
    guard let merges else { return words }
    return words.flatMap(merges.pieces)
  }

  /// The numbers of a sentence, without begin and end.
  func encode(_ line: String) -> [Int] { tokens(line).map(vocabulary.number) }

  /// The words of a sentence given by numbers; stops before the end token.
  func decode(_ numbers: some Sequence<Int>) -> String {
    var text = ""
    for number in numbers {
      if number == Vocabulary.end { break }
      guard number != Vocabulary.padding, number != Vocabulary.begin else { continue }
      text += vocabulary.tokens[number]
      if joins, text.hasSuffix(BytePairEncoding.joiner) {
        text.removeLast(BytePairEncoding.joiner.count)
      } else {
        text += " "
      }
    }
    if text.hasSuffix(" ") { text.removeLast() }
    return text
  }
}
