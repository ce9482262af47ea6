// The data of a translation benchmark: text to learn from and text to be judged by, and how both become numbers.
import Foundation

/// Parallel text for training and validation with its vocabularies.
struct TranslationData {
  let train, validation: TranslationPairs
  /// What the text is and how much of it.
  let description: String

  var source: SentenceCoder { train.source }
  var target: SentenceCoder { train.target }

  /// How a benchmark cuts sentences.
  enum Units {
    /// Words in lower case that occur often enough; each language has its own vocabulary.
    case words(minimumCount: Int)
    /// Words as they are, of one vocabulary for both languages.
    case sharedWords
    /// Sub-words, so many merges, of one vocabulary for both languages.
    case subwords(merges: Int)
  }

  static let languages = (source: "en", target: "de")
  private static let trainNames = ["train", "train.tok.clean.bpe.32000", "train.tok.clean"]
  private static let validationNames = [
    "val", "valid", "dev", "newstest2014", "newstest2014.tok.bpe.32000", "newstest2013",
  ]

  /// Reads `train.en`, `train.de`, `val.en`, `val.de` (or as MLPerf's preparation names them) from a directory.
  ///
  /// - Throws: `DataError`.
  init(directory path: String, units: Units, longest: Int) throws(DataError) {
    let directory = try DataDirectory(path)
    let train = try ParallelText(in: directory, names: Self.trainNames, languages: Self.languages)
    let validation = try ParallelText(in: directory, names: Self.validationNames, languages: Self.languages)
    var merges: BytePairEncoding?
    var vocabulary: Vocabulary?
    if case .subwords = units {
      if let codes = directory.first(of: ["bpe.codes", "bpe.32000", "codes.bpe"]) {
        merges = try BytePairEncoding(path: codes)
      }
      if let file = directory.first(of: ["vocab.bpe", "vocab.bpe.32000"]) {
        vocabulary = try Self.readVocabulary(file)
      }
    }
    try self.init(
      train: train, validation: validation, units: units, longest: longest, origin: path, merges: merges,
      vocabulary: vocabulary)
  }

  /// Makes data of text. What is not given is learnt from the training text.
  init(
    train: ParallelText, validation: ParallelText, units: Units, longest: Int, origin: String,
    merges: BytePairEncoding? = nil, vocabulary: Vocabulary? = nil
  ) throws(DataError) {
    let source: SentenceCoder
    let target: SentenceCoder
    switch units {
    case .words(let minimum):
      func coder(_ lines: any TextLines) throws(DataError) -> SentenceCoder {
        let counts = try ParallelText.wordCounts([lines], lowercases: true)
        return SentenceCoder(vocabulary: Vocabulary(counts: counts, minimum: minimum), lowercases: true)
      }
      source = try coder(train.source)
      target = try coder(train.target)
    case .sharedWords:
      let counts = try ParallelText.wordCounts([train.source, train.target], lowercases: false)
      source = SentenceCoder(vocabulary: Vocabulary(counts: counts))
      target = source
    case .subwords(let count):
      var merges = merges
      var vocabulary = vocabulary
      if vocabulary == nil || (merges == nil && !train.isCut) {
        let counts = try ParallelText.wordCounts([train.source, train.target], lowercases: false)
        if merges == nil && !train.isCut { merges = BytePairEncoding(learning: count, from: counts) }
        if vocabulary == nil {
          var pieces: [String: Int] = [:]
          for (word, count) in counts {
            for piece in train.isCut ? [word] : merges?.pieces(word) ?? [word] { pieces[piece, default: 0] += count }
          }
          vocabulary = Vocabulary(counts: pieces)
        }
      }
      // Text that is cut already has no word left to cut, but its pieces have to be joined again.
      let coder = SentenceCoder(
        vocabulary: vocabulary ?? Vocabulary([]), merges: train.isCut ? nil : merges, joins: true)
      source = coder
      target = coder
    }
    self.train = try TranslationPairs(train, source: source, target: target, longest: longest)
    // Nothing that is asked for is left out because it is long, but memory has an end.
    self.validation = try TranslationPairs(validation, source: source, target: target, longest: 4 * longest)
    let vocabularies =
      source.vocabulary == target.vocabulary
      ? "\(source.vocabulary.count) tokens for both languages"
      : "\(source.vocabulary.count) and \(target.vocabulary.count) words"
    description =
      "\(origin) (\(self.train.count) sentences for training, \(self.validation.count) for validation, \(vocabularies))"
  }

  /// A token a line; special tokens may be there.
  private static func readVocabulary(_ path: String) throws(DataError) -> Vocabulary {
    let lines = try LineFile(path: path)
    var tokens: [String] = []
    var seen = Set(Vocabulary.specials)
    for index in 0..<lines.count {
      // A count may follow.
      guard let token = words(of: try lines.line(index)).first.map({ String($0) }) else { continue }
      if seen.insert(token).inserted { tokens.append(token) }
    }
    guard !tokens.isEmpty else { throw .empty(path: path, expected: "a token a line") }
    return Vocabulary(tokens)
  }
}
