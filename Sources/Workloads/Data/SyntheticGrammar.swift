// A stand-in for Wikipedia: sentences whose words agree with each other, in documents about one thing each.

/// Sentences "determiner adjective noun verb determiner noun". Determiner and verb agree with their nouns in number; which
/// verb it is depends on the first noun; a document is about one noun, which begins all of its sentences. So a hidden
/// word can be guessed from others, except some determiners, adjectives and the last noun.
public struct SyntheticGrammar: Sendable {
  /// Kinds of words.
  public var nouns, verbs, adjectives: Int
  /// Sentences of a document.
  public var sentences: ClosedRange<Int>

  /// 24 nouns, 12 verbs, 6 adjectives: some 80 word pieces.
  public static let small = SyntheticGrammar(nouns: 24, verbs: 12, adjectives: 6, sentences: 4...8)
  /// As many words as BERT's vocabulary has pieces.
  static let paper = SyntheticGrammar(nouns: 16_000, verbs: 8000, adjectives: 6000, sentences: 10...60)

  private static let singular = ["a", "this"]
  private static let plural = ["some", "these"]

  /// What the text is, for the log.
  func origin(documents: Int, seed: UInt64) -> String {
    "synthetic: \(documents) documents of agreeing made-up words (\(nouns) nouns, \(verbs) verbs, \(adjectives) "
      + "adjectives), seed \(seed)"
  }

  /// Draws documents: their sentences, a blank line after each document.
  func lines(documents: Int, seed: UInt64) -> [String] {
    func word(_ number: Int) -> String { SyntheticLanguage.spelling(number, ending: "") }
    var lines: [String] = []
    for document in 0..<documents {
      var random = SeededRandom(seed, 12, document)
      let topic = random.integer(below: nouns)
      let count = sentences.lowerBound + random.integer(below: sentences.count)
      for _ in 0..<count {
        let isPlural = random.chance(0.5)
        let isOtherPlural = random.chance(0.5)
        func determiner(_ isPlural: Bool) -> String {
          (isPlural ? Self.plural : Self.singular)[random.integer(below: 2)]
        }
        // Words of the three kinds have numbers of their own; neighbours look different.
        var sentence = [determiner(isPlural), word(nouns + verbs + random.integer(below: adjectives))]
        sentence.append(word(topic) + (isPlural ? "s" : ""))
        sentence.append(word(nouns + topic * 5 % verbs) + (isPlural ? "" : "t"))
        sentence.append(determiner(isOtherPlural))
        sentence.append(word(random.integer(below: nouns)) + (isOtherPlural ? "s" : ""))
        lines.append(sentence.joined(separator: " ") + " .")
      }
      lines.append("")
    }
    return lines
  }
}
