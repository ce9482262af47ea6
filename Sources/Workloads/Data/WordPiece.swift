// How BERT cuts text: words and punctuation in lower case without accents, then the longest known pieces of each word.
import Foundation

/// A vocabulary of word pieces (Wu et al. 2016; the files of Devlin et al. 2019): pieces inside a word begin with "##".
struct WordPiece: Sendable {
  static let inside = "##"
  static let specials = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
  /// Longer words are unknown, as in BERT.
  static let longestWord = 100

  let pieces: [String]
  private let numbers: [String: Int]
  let padding, unknown, classification, separator, mask: Int

  private init?(_ pieces: [String]) {
    self.pieces = pieces
    let numbers = Dictionary(zip(pieces, 0...), uniquingKeysWith: { first, _ in first })
    self.numbers = numbers
    let special = Self.specials.compactMap { numbers[$0] }
    guard special.count == Self.specials.count else { return nil }
    (padding, unknown, classification, separator, mask) = (special[0], special[1], special[2], special[3], special[4])
  }

  /// Learns from how often words occur: characters, then the most frequent pairs of neighbours joined, up to `limit`
  /// pieces.
  init(learning limit: Int, from words: [String: Int]) {
    var pieces = Self.specials
    let sorted = words.sorted { $0.key.utf8.lexicographicallyPrecedes($1.key.utf8) }
    let cut = sorted.map { (Self.characters($0.key), $0.value) }
    pieces += Set(cut.flatMap(\.0)).sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
    var learner = PairLearner(cut, join: Self.joined)
    for pair in learner.learn(max(limit - pieces.count, 0), minimum: 2) {
      pieces.append(Self.joined(pair.first, pair.second))
    }
    var seen = Set<String>()
    guard let vocabulary = WordPiece(pieces.filter { seen.insert($0).inserted }) else {
      // The special pieces stand at the beginning.
      fatalError("a learnt vocabulary has the special pieces")
    }
    self = vocabulary
  }

  /// Reads `vocab.txt`: a piece a line, of which the number is the line's, from 0.
  ///
  /// - Throws: `DataError`.
  init(path: String) throws(DataError) {
    let lines = try LineFile(path: path)
    var pieces: [String] = []
    for index in 0..<lines.count { pieces.append(try lines.line(index)) }
    guard let vocabulary = WordPiece(pieces) else {
      let missing = Self.specials.filter { !pieces.contains($0) }
      throw .corruptFile(path: path, reason: "the pieces \(missing.joined(separator: ", ")) are not in it")
    }
    self = vocabulary
  }

  var count: Int { pieces.count }

  private static func characters(_ word: String) -> [String] {
    word.unicodeScalars.enumerated().map { $0.offset == 0 ? String($0.element) : inside + String($0.element) }
  }

  private static func joined(_ first: String, _ second: String) -> String { first + second.dropFirst(inside.count) }

  /// Words and punctuation marks, in lower case and without accents; Chinese characters each by itself.
  static func words(_ text: String) -> [String] {
    var result: [String] = []
    var word = String.UnicodeScalarView()
    func end() {
      if !word.isEmpty { result.append(String(word)) }
      word.removeAll()
    }
    for scalar in text.lowercased().decomposedStringWithCanonicalMapping.unicodeScalars {
      let category = scalar.properties.generalCategory
      if scalar.properties.isWhitespace {
        end()
      } else if category == .nonspacingMark || category == .control || category == .format || scalar.value == 0xFFFD {
        continue
      } else if isPunctuation(scalar, category) || scalar.properties.isIdeographic {
        end()
        result.append(String(scalar))
      } else {
        word.append(scalar)
      }
    }
    end()
    return result
  }

  private static func isPunctuation(_ scalar: Unicode.Scalar, _ category: Unicode.GeneralCategory) -> Bool {
    switch category {
    case .connectorPunctuation, .dashPunctuation, .openPunctuation, .closePunctuation, .initialPunctuation,
      .finalPunctuation, .otherPunctuation:
      true
    default:
      // ASCII's other marks, such as $ and ~, which Unicode counts as symbols.
      (33...47).contains(scalar.value) || (58...64).contains(scalar.value) || (91...96).contains(scalar.value)
        || (123...126).contains(scalar.value)
    }
  }

  /// The numbers of a text's pieces: of each word the longest known beginning, then of the rest.
  func encode(_ text: String) -> [Int] { Self.words(text).flatMap(encode(word:)) }

  private func encode(word: String) -> [Int] {
    let scalars = Array(word.unicodeScalars)
    guard scalars.count <= Self.longestWord else { return [unknown] }
    var result: [Int] = []
    var start = 0
    while start < scalars.count {
      var end = scalars.count
      var found: Int?
      while end > start {
        var piece = String.UnicodeScalarView(scalars[start..<end])
        if start > 0 { piece.insert(contentsOf: Self.inside.unicodeScalars, at: piece.startIndex) }
        found = numbers[String(piece)]
        if found != nil { break }
        end -= 1
      }
      guard let found else { return [unknown] }
      result.append(found)
      start = end
    }
    return result
  }
}
