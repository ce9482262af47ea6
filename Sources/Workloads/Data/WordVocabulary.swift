// Words and their numbers, with the four that stand for no word.

/// A word list: numbers 0 to 3 are padding, begin, end and the unknown word; words follow.
struct WordVocabulary: Sendable, Hashable {
  static let padding = 0
  static let begin = 1
  static let end = 2
  static let unknown = 3
  static let specials = ["<pad>", "<start>", "<end>", "<unk>"]

  /// By number.
  let words: [String]
  private let numbers: [String: Int]

  /// Words in this order, each once; a special's name among them is left out.
  init(_ words: some Sequence<String>) {
    var all = Self.specials
    var numbers = Dictionary(uniqueKeysWithValues: all.enumerated().map { ($1, $0) })
    for word in words where numbers[word] == nil {
      numbers[word] = all.count
      all.append(word)
    }
    self.words = all
    self.numbers = numbers
  }

  /// With the specials.
  var count: Int { words.count }

  /// A word's number; `unknown` for one that is not in the list.
  func number(of word: String) -> Int { numbers[word] ?? Self.unknown }

  /// The words that occur at least so often, the most frequent first; equals in alphabetical order.
  static func frequent(_ counts: [String: Int], atLeast minimum: Int) -> WordVocabulary {
    WordVocabulary(
      counts.filter { $0.value >= minimum }.sorted { ($1.value, $0.key) < ($0.value, $1.key) }.map(\.key))
  }

  /// Lower-case words and punctuation marks, each on its own: `A man's hat.` → a, man's, hat and a full stop.
  static func tokens(_ text: String) -> [String] {
    var tokens: [String] = []
    var word = ""
    func finish() {
      if !word.isEmpty { tokens.append(word) }
      word = ""
    }
    for character in text.lowercased() {
      if character.isLetter || character.isNumber || (character == "'" || character == "-") && !word.isEmpty {
        word.append(character)
      } else {
        finish()
        if !character.isWhitespace { tokens.append(String(character)) }
      }
    }
    finish()
    return tokens
  }
}
