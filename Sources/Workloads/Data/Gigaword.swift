// Gigaword's headlines: a file of sentences and a file of titles, line by line.
import Foundation

/// The annotated Gigaword corpus as Rush et al. (EMNLP 2015) prepared it: one tokenized lower-case sentence a line, digits
/// as #, unknown words as <unk> or UNK in the validation files. Read at random places: memory does not grow with the files.
struct Gigaword: HeadlineSource {
  /// A part of the data set.
  enum Split {
    case train
    case validation

    /// Names of the articles' and the titles' file.
    var names: [(articles: String, titles: String)] {
      switch self {
      case .train: [("train.article.txt", "train.title.txt")]
      case .validation:
        [("valid.article.filter.txt", "valid.title.filter.txt"), ("valid.article.txt", "valid.title.txt")]
      }
    }
  }

  /// The reference implementation cuts sentences and headlines.
  static let longestArticle = 55
  static let longestTitle = 14

  let origin: String
  private let articles, titles: LineBlocks
  /// Lines in a block: what is read for one line.
  private static let linesPerBlock = 8

  var count: Int { articles.lineCount }

  /// Looks through both files once.
  ///
  /// - Parameter counting: called with the words of every line.
  /// - Throws: `DataError`.
  init(directory path: String, split: Split, counting: (ArraySlice<String>) -> Void = { _ in }) throws(DataError) {
    let directory = try DataDirectory(path)
    let expected = split.names.map { "\($0.articles) with \($0.titles)" }
    let pairs = split.names.map { (directory.first(of: [$0.articles]), directory.first(of: [$0.titles])) }
    guard case (let articlePath?, let titlePath?)? = pairs.first(where: { $0.0 != nil && $0.1 != nil }) else {
      throw directory.wrongFormat(expected: expected)
    }
    func open(_ path: String) throws(DataError) -> LineBlocks {
      try LineBlocks(path: path, linesPerBlock: Self.linesPerBlock) { (line, number) throws(DataError) in
        guard !FieldScanner(line).isAtEnd else {
          throw .malformedLine(
            path: path, line: number, text: "", expected: "the words of a sentence, not an empty line")
        }
        counting(Self.words(line)[...])
      }
    }
    articles = try open(articlePath)
    titles = try open(titlePath)
    guard articles.lineCount == titles.lineCount else {
      throw .unsuitable(
        path: titlePath,
        reason: "it has \(titles.lineCount) lines for the \(articles.lineCount) of \(articlePath)")
    }
    guard articles.lineCount > 0 else { throw .empty(path: articlePath, expected: "a sentence a line") }
    origin = path
  }

  private static func words(_ line: UnsafeBufferPointer<UInt8>) -> [String] {
    line.split { $0 == 0x20 || $0 == 0x09 }.map { String(decoding: $0, as: UTF8.self) }
  }

  func pair(_ index: Int) throws -> (article: [String], title: [String]) {
    (
      Array(try line(index, of: articles).prefix(Self.longestArticle)),
      Array(try line(index, of: titles).prefix(Self.longestTitle))
    )
  }

  private func line(_ index: Int, of file: LineBlocks) throws(DataError) -> [String] {
    var words: [String] = []
    try file.forEachLine(ofBlock: index / Self.linesPerBlock) { (line, number) throws(DataError) in
      if number == index + 1 { words = Self.words(line) }
    }
    return words
  }

  /// The vocabulary: the first words of the file `vocab` (lines `word count`, the most frequent first), or the most
  /// frequent words of the training files.
  ///
  /// - Parameter limit: with the four specials.
  static func load(
    directory path: String, limit: Int
  ) throws(DataError) -> (train: Gigaword, validation: Gigaword, vocabulary: WordVocabulary) {
    let directory = try DataDirectory(path)
    let validation = try Gigaword(directory: path, split: .validation)
    guard let file = directory.first(of: ["vocab"]) else {
      var counts: [String: Int] = [:]
      let train = try Gigaword(directory: path, split: .train) { for word in $0 { counts[word, default: 0] += 1 } }
      let words = WordVocabulary.frequent(counts, atLeast: 1).words.dropFirst(WordVocabulary.specials.count)
      return (train, validation, WordVocabulary(words.prefix(limit - WordVocabulary.specials.count)))
    }
    let train = try Gigaword(directory: path, split: .train)
    var words: [String] = []
    try ByteStream(path: file).forEachLine { (line, number) throws(DataError) in
      let fields = Self.words(line)
      if fields.isEmpty { return }
      guard fields.count == 2, Int(fields[1]) != nil else {
        throw .malformedLine(
          path: file, line: number, text: FieldScanner.excerpt(line),
          expected: "a word, a space and how often it occurs")
      }
      words.append(fields[0])
    }
    guard !words.isEmpty else { throw .empty(path: file, expected: "lines of a word and its count") }
    return (train, validation, WordVocabulary(words.prefix(limit - WordVocabulary.specials.count)))
  }
}
