// How far is what was recognized from what was said? Edit distance and the error rates made of it.

/// The Levenshtein distance: the fewest insertions, deletions and substitutions that turn one sequence into another.
public func editDistance<Element: Equatable>(_ a: [Element], _ b: [Element]) -> Int {
  // One row of the table at a time: row[j] is the distance of a's beginning to b's first j elements.
  var row = Array(0...b.count)
  for (i, element) in a.enumerated() {
    var diagonal = row[0]
    row[0] = i + 1
    for j in b.indices {
      let substituted = diagonal + (element == b[j] ? 0 : 1)
      diagonal = row[j + 1]
      row[j + 1] = min(substituted, row[j] + 1, diagonal + 1)
    }
  }
  return row[b.count]
}

/// Word and character error rates over a set of utterances: the sum of the edit distances over the sum of the
/// references' lengths, as NIST's sclite counts. May exceed 1, when much is inserted.
public struct RecognitionErrors: Sendable, Hashable {
  private var wordErrors = 0
  private var words = 0
  private var characterErrors = 0
  private var characters = 0

  /// No utterance yet.
  public init() {}

  /// Takes an utterance into the rates. Words are what lies between spaces; characters are counted without spaces.
  public mutating func add(reference: String, hypothesis: String) {
    let (said, heard) = (reference.split(separator: " "), hypothesis.split(separator: " "))
    wordErrors += editDistance(said, heard)
    words += said.count
    let (letters, heardLetters) = (Array(said.joined().utf8), Array(heard.joined().utf8))
    characterErrors += editDistance(letters, heardLetters)
    characters += letters.count
  }

  /// WER; NaN when nothing was said.
  public var wordErrorRate: Double { words == 0 ? .nan : Double(wordErrors) / Double(words) }
  /// CER; NaN when nothing was said.
  public var characterErrorRate: Double { characters == 0 ? .nan : Double(characterErrors) / Double(characters) }
}
