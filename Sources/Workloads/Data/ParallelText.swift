// Sentences in two languages, line by line: train.en with train.de and so on.
import Foundation

/// Two texts of which each line of one is the translation of the same line of the other.
struct ParallelText: Sendable {
  let source, target: any TextLines

  /// - Throws: `DataError.corruptFile` where one has more lines, `.empty` where there is none.
  init(source: any TextLines, target: any TextLines) throws(DataError) {
    guard source.count > 0 else { throw .empty(path: source.origin, expected: "a sentence a line") }
    guard source.count == target.count else {
      throw .corruptFile(
        path: target.origin,
        reason: "it has \(target.count) lines and \(source.origin) has \(source.count), so one of them is cut short "
          + "or of another data set")
    }
    self.source = source
    self.target = target
  }

  /// Opens the first of the files `NAME.SOURCE` with `NAME.TARGET` that is there.
  init(
    in directory: DataDirectory, names: [String], languages: (source: String, target: String)
  ) throws(DataError) {
    for name in names {
      guard let source = directory.first(of: ["\(name).\(languages.source)"]) else { continue }
      guard let target = directory.first(of: ["\(name).\(languages.target)"]) else {
        throw directory.wrongFormat(
          expected: ["\(name).\(languages.target) beside \(name).\(languages.source)"])
      }
      self = try ParallelText(source: LineFile(path: source), target: LineFile(path: target))
      return
    }
    throw directory.wrongFormat(
      expected: names.map { "\($0).\(languages.source) with \($0).\(languages.target)" })
  }

  var count: Int { source.count }
  /// Whether the text is cut into sub-words already, as MLPerf's preparation of WMT leaves it.
  var isCut: Bool { source.origin.contains(".bpe.") }

  /// How often each word occurs in one of the texts or both.
  static func wordCounts(_ texts: [any TextLines], lowercases: Bool) throws(DataError) -> [String: Int] {
    var counts: [String: Int] = [:]
    for text in texts {
      for index in 0..<text.count {
        let line = try text.line(index)
        for word in words(of: lowercases ? line.lowercased() : line) { counts[String(word), default: 0] += 1 }
      }
    }
    return counts
  }
}

/// Pairs of sentences as numbers, read from the text when they are asked for.
///
/// Inputs: sources i64 [n, s], their lengths i64 [n], targets i64 [n, t] that begin with the begin token. Targets: the
/// same sentences one place earlier, up to the end token, i64 [n, t]. Rows are filled up with padding.
struct TranslationPairs: BucketedDataset {
  let text: ParallelText
  let source, target: SentenceCoder
  /// Whether an end token ends sources too.
  let endsSources: Bool
  /// Lines whose sentences are neither empty nor too long.
  private let lines: [Int32]
  /// The longer of each pair's sentences, in tokens.
  private let lengths: [UInt16]
  private let bucketWidth: Int

  /// Looks through the text once, for the sentences' lengths.
  ///
  /// - Parameter longest: sentences of more tokens are left out.
  init(
    _ text: ParallelText, source: SentenceCoder, target: SentenceCoder, longest: Int, endsSources: Bool = true,
    bucketWidth: Int = 10
  ) throws(DataError) {
    var lines: [Int32] = []
    var lengths: [UInt16] = []
    for index in 0..<text.count {
      let first = source.tokens(try text.source.line(index)).count
      let second = target.tokens(try text.target.line(index)).count
      guard first > 0, second > 0, max(first, second) <= longest else { continue }
      lines.append(Int32(index))
      lengths.append(UInt16(max(first, second)))
    }
    guard !lines.isEmpty else {
      throw .empty(
        path: text.source.origin, expected: "sentences of 1 to \(longest) tokens with translations as long")
    }
    self.text = text
    self.source = source
    self.target = target
    self.endsSources = endsSources
    self.lines = lines
    self.lengths = lengths
    self.bucketWidth = bucketWidth
  }

  var count: Int { lines.count }
  func bucket(of index: Int) -> Int { Int(lengths[index]) / bucketWidth }

  /// The translation that a human made.
  func reference(_ index: Int) throws(DataError) -> String {
    let line = try text.target.line(Int(lines[index]))
    return text.isCut ? line.replacingOccurrences(of: BytePairEncoding.joiner + " ", with: "") : line
  }

  func batch(_ indices: [Int], epoch: Int, random: inout SeededRandom) throws -> Batch {
    let sources = try indices.map { index in
      source.encode(try text.source.line(Int(lines[index]))) + (endsSources ? [Vocabulary.end] : [])
    }
    let targets = try indices.map { target.encode(try text.target.line(Int(lines[$0]))) }
    return Batch(
      samples: indices.count,
      inputs: [
        .padded(sources), HostTensor(integers: sources.map(\.count), shape: [sources.count]),
        .padded(targets.map { [Vocabulary.begin] + $0 }),
      ], targets: [.padded(targets.map { $0 + [Vocabulary.end] })])
  }
}

extension HostTensor {
  /// Rows of different lengths, filled up with padding: i64 [rows, longest].
  static func padded(_ rows: [[Int]]) -> HostTensor {
    let longest = rows.map(\.count).max() ?? 0
    let values = rows.flatMap { $0 + [Int](repeating: Vocabulary.padding, count: longest - $0.count) }
    return HostTensor(integers: values, shape: [rows.count, longest])
  }
}
