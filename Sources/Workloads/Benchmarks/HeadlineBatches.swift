// From sentences and headlines to numbers: the vocabulary's, and beyond it those of words that only the text has.

/// Headlines as a data set, longest text first.
///
/// Inputs: the text i64 [n, words] with the unknown word where the vocabulary lacks one; the same with numbers from the
/// vocabulary's size on there; lengths i64 [n]; how many such numbers i64 [1]; what the decoder reads i64 [n, steps], which
/// begins with the begin. Targets: what it should write i64 [n, steps], with the end, padded; and the headline to be
/// compared with, in which words that are neither in the vocabulary nor in the text are −1 and padding is −2.
struct HeadlineBatches: Dataset {
  let source: any HeadlineSource
  let vocabulary: WordVocabulary

  /// Where a batch's tensors are.
  enum Input { static let (words, extended, lengths, extra, decoder) = (0, 1, 2, 3, 4) }
  enum Target { static let (words, reference) = (0, 1) }

  /// A word of the headline that no model could know.
  static let unknowable = -1
  /// After the headline's end.
  static let nothing = -2

  var count: Int { source.count }

  func batch(_ indices: [Int], epoch: Int, random: inout SeededRandom) throws -> Batch {
    let pairs = try indices.map { try (index: $0, pair: source.pair($0)) }
      .sorted { ($1.pair.article.count, $0.index) < ($0.pair.article.count, $1.index) }.map(\.pair)
    let unknown = WordVocabulary.unknown
    var texts: [[Int]] = []
    var titles: [[Int]] = []
    var extra = 0
    for (article, title) in pairs {
      var own: [String: Int] = [:]
      texts.append(
        article.map { word in
          let number = vocabulary.number(of: word)
          if number != unknown { return number }
          let known = own[word] ?? vocabulary.count + own.count
          own[word] = known
          return known
        })
      titles.append(
        title.map { word in
          let number = vocabulary.number(of: word)
          return number != unknown ? number : own[word] ?? Self.unknowable
        })
      extra = max(extra, own.count)
    }
    let n = pairs.count
    func listed(_ number: Int) -> Int { number < 0 || number >= vocabulary.count ? unknown : number }
    func table(_ rows: [[Int]], padding: Int) -> HostTensor {
      let longest = rows.map(\.count).max() ?? 0
      return HostTensor(
        integers: rows.flatMap { $0 + [Int](repeating: padding, count: longest - $0.count) }, shape: [n, longest])
    }
    return Batch(
      samples: n,
      inputs: [
        table(texts.map { $0.map(listed) }, padding: WordVocabulary.padding),
        table(texts, padding: WordVocabulary.padding),
        HostTensor(integers: texts.map(\.count), shape: [n]),
        HostTensor(integers: [extra], shape: [1]),
        table(titles.map { [WordVocabulary.begin] + $0.map(listed) }, padding: WordVocabulary.padding),
      ],
      targets: [
        table(
          titles.map { $0.map { $0 == Self.unknowable ? unknown : $0 } + [WordVocabulary.end] },
          padding: WordVocabulary.padding),
        table(titles, padding: Self.nothing),
      ])
  }

  /// The headlines of a batch as numbers, without padding.
  static func references(_ batch: TensorBatch) -> [[Int]] {
    rows(batch.targets[Target.reference]).map { $0.filter { $0 != nothing } }
  }

  /// The rows of i64 [n, steps].
  static func rows(_ table: Tensor) -> [[Int]] {
    let (width, values) = (table.size(1), table.integers())
    return (0..<table.size(0)).map { Array(values[($0 * width)..<(($0 + 1) * width)]) }
  }
}
