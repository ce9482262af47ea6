// A stand-in for two human languages: made-up words, of which each has a translation, in the opposite order.

/// A language and another one. Each word of the first has one word of the second, by a fixed permutation; a sentence's
/// translation says them in reverse. So a model has to learn a dictionary, and where to look: at the far end first.
public struct SyntheticLanguage: Sendable {
  /// Words of the first language and of the second, at least as many.
  ///
  /// The second's further words are forms: where the word before (in the first language) has an odd number, a word has
  /// its other form, as far as there are any.
  public var sourceWords, targetWords: Int
  /// Words of a sentence.
  public var length: ClosedRange<Int>

  /// Twenty words, sentences of 4 to 10.
  public static let small = SyntheticLanguage(sourceWords: 20, targetWords: 20, length: 4...10)
  /// The same words in shorter sentences.
  public static let short = SyntheticLanguage(sourceWords: 20, targetWords: 20, length: 2...6)

  /// What the text is, for the log.
  func origin(count: Int, seed: UInt64) -> String {
    "synthetic: \(count) sentences of \(length.lowerBound) to \(length.upperBound) of \(sourceWords) made-up words, "
      + "translated word by word and reversed, seed \(seed)"
  }

  private static let consonants = Array("bdfgklmnprstvz")
  private static let vowels = Array("aeiou")

  /// Different numbers below 343 000 have different spellings, of three syllables from the 71st word on.
  static func spelling(_ number: Int, ending: String) -> String {
    func syllable(_ k: Int) -> String { String([consonants[k % 14], vowels[k / 14]]) }
    // 3 is no divisor of 70² and 27 none of 70³, so this only changes the order, such that neighbours look different.
    let two = number < 4900
    var rest = two ? number * 1009 % 4900 : number * 90_001 % 343_000
    var word = ""
    for _ in 0..<(two ? 2 : 3) {
      word += syllable(rest % 70)
      rest /= 70
    }
    return word + ending
  }

  /// Draws so many pairs of sentences. The dictionary is the same for every seed.
  func text(count: Int, seed: UInt64) -> (source: [String], target: [String]) {
    var fixed = SeededRandom(1, 10)
    let dictionary = fixed.permutation(sourceWords)
    let sourceSpelling = (0..<sourceWords).map { Self.spelling($0, ending: "") }
    let targetSpelling = (0..<targetWords).map { Self.spelling($0, ending: "n") }
    var source: [String] = []
    var target: [String] = []
    for index in 0..<count {
      var random = SeededRandom(seed, 11, index)
      let size = length.lowerBound + random.integer(below: length.count)
      let words = (0..<size).map { _ in random.integer(below: sourceWords) }
      source.append(words.map { sourceSpelling[$0] }.joined(separator: " "))
      var translated: [String] = []
      for (place, word) in words.enumerated() {
        let other = sourceWords + word
        let hasOtherForm = place > 0 && words[place - 1] % 2 == 1 && other < targetWords
        translated.append(targetSpelling[hasOtherForm ? other : dictionary[word]])
      }
      target.append(translated.reversed().joined(separator: " "))
    }
    return (source, target)
  }

  /// The same as parallel text.
  func parallelText(count: Int, seed: UInt64) throws(DataError) -> ParallelText {
    let text = text(count: count, seed: seed)
    let origin = origin(count: count, seed: seed)
    return try ParallelText(
      source: LinesInMemory(lines: text.source, origin: origin),
      target: LinesInMemory(lines: text.target, origin: origin))
  }
}
