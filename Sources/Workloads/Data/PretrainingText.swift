// Documents to learn a language from: a sentence a line, a blank line between documents.

/// Text and where its documents begin and end.
struct Documents: Sendable {
  let text: any TextLines
  /// Lines of each document.
  let ranges: [Range<Int>]

  /// Looks through the text once.
  ///
  /// - Throws: `DataError.empty` where there are not two documents: a sentence that does not follow comes from another.
  init(_ text: any TextLines) throws(DataError) {
    var ranges: [Range<Int>] = []
    var start: Int?
    for index in 0..<text.count {
      let isBlank = try text.bytes(index).allSatisfy { $0 == 0x20 || $0 == 0x09 }
      if isBlank {
        if let first = start { ranges.append(first..<index) }
        start = nil
      } else if start == nil {
        start = index
      }
    }
    if let first = start { ranges.append(first..<text.count) }
    guard ranges.count > 1 else {
      throw .empty(path: text.origin, expected: "two documents or more, a sentence a line and a blank line between")
    }
    self.text = text
    self.ranges = ranges
  }
}

/// Samples of BERT's pre-training (Devlin et al. 2019): two pieces of text, of which the second follows the first in half
/// of the samples, with some tokens to be guessed. Made anew from the text in every epoch.
///
/// Inputs: tokens i64 [n, t], segments (0, then 1) i64 [n, t], lengths i64 [n], places of the masked tokens in [n × t],
/// i64 [m]. Targets: the masked tokens i64 [m], whether the second piece is a random one i64 [n].
struct PretrainingSamples: Dataset {
  let documents: Documents
  let vocabulary: WordPiece
  /// The longest sample, special tokens included.
  let longest: Int
  /// Most masked tokens of a sample.
  let mostMasked: Int
  /// Whether all samples are filled up to the longest.
  let padsToLongest: Bool
  /// Whether the epoch changes the masks: not for evaluation.
  let isFixed: Bool
  /// Document and line of each sample's first sentence.
  private let starts: [(document: Int32, line: Int32)]

  static let maskedShare = 0.15

  init(
    _ documents: Documents, vocabulary: WordPiece, longest: Int, padsToLongest: Bool, isFixed: Bool = false
  ) {
    self.documents = documents
    self.vocabulary = vocabulary
    self.longest = longest
    self.padsToLongest = padsToLongest
    self.isFixed = isFixed
    mostMasked = max(1, Int(Double(longest) * Self.maskedShare))
    starts = documents.ranges.enumerated().flatMap { number, range in range.map { (Int32(number), Int32($0)) } }
  }

  var count: Int { starts.count }

  /// One sample before padding.
  struct Sample: Equatable {
    var tokens: [Int] = []
    var segments: [Int] = []
    /// Where tokens are to be guessed, and which they are.
    var masked: [(place: Int, token: Int)] = []
    var isRandomNext = false

    static func == (a: Sample, b: Sample) -> Bool {
      a.tokens == b.tokens && a.segments == b.segments && a.isRandomNext == b.isRandomNext
        && a.masked.map(\.place) == b.masked.map(\.place) && a.masked.map(\.token) == b.masked.map(\.token)
    }
  }

  func batch(_ indices: [Int], epoch: Int, random: inout SeededRandom) throws -> Batch {
    var samples: [Sample] = []
    for index in indices {
      if isFixed { random = SeededRandom(7, index) }
      samples.append(try sample(index, &random))
    }
    let width = padsToLongest ? longest : samples.map(\.tokens.count).max() ?? 0
    func rows(_ values: (Sample) -> [Int], filler: Int) -> HostTensor {
      let all = samples.flatMap { sample in
        let row = values(sample)
        return row + [Int](repeating: filler, count: width - row.count)
      }
      return HostTensor(integers: all, shape: [samples.count, width])
    }
    let places = samples.enumerated().flatMap { row, sample in sample.masked.map { row * width + $0.place } }
    let tokens = samples.flatMap { $0.masked.map(\.token) }
    return Batch(
      samples: samples.count,
      inputs: [
        rows(\.tokens, filler: vocabulary.padding), rows(\.segments, filler: 0),
        HostTensor(integers: samples.map(\.tokens.count), shape: [samples.count]),
        HostTensor(integers: places, shape: [places.count]),
      ],
      targets: [
        HostTensor(integers: tokens, shape: [tokens.count]),
        HostTensor(integers: samples.map { $0.isRandomNext ? 1 : 0 }, shape: [samples.count]),
      ])
  }

  private func encoded(_ line: Int) throws(DataError) -> [Int] {
    vocabulary.encode(try documents.text.line(line))
  }

  /// Sentences from the sample's first on, as many as there is room for, divided somewhere; or a random text instead of
  /// the second part.
  func sample(_ index: Int, _ random: inout SeededRandom) throws(DataError) -> Sample {
    let start = starts[index]
    let range = documents.ranges[Int(start.document)]
    let room = longest - 3
    // A tenth of the samples are shorter, so that short texts are not unknown.
    let wanted = random.chance(0.1) ? 2 + random.integer(below: max(room - 1, 1)) : room
    var sentences: [[Int]] = []
    var size = 0
    for line in Int(start.line)..<range.upperBound where size < wanted {
      sentences.append(try encoded(line))
      size += sentences.last?.count ?? 0
    }
    let firstCount = sentences.count > 1 ? 1 + random.integer(below: sentences.count - 1) : 1
    var first = sentences[..<firstCount].flatMap { $0 }
    var second: [Int] = []
    let isRandomNext = sentences.count == 1 || random.chance(0.5)
    if isRandomNext {
      var other = random.integer(below: documents.ranges.count - 1)
      if other >= Int(start.document) { other += 1 }
      let lines = documents.ranges[other]
      var line = lines.lowerBound + random.integer(below: lines.count)
      while second.count < wanted - first.count || second.isEmpty, line < lines.upperBound {
        second += try encoded(line)
        line += 1
      }
    } else {
      second = sentences[firstCount...].flatMap { $0 }
    }
    while first.count + second.count > max(wanted, 2) {
      // The longer one gives up a token, at either end, so that neither always begins with a sentence.
      let isFront = random.chance(0.5)
      if first.count > second.count {
        first.remove(at: isFront ? 0 : first.count - 1)
      } else {
        second.remove(at: isFront ? 0 : second.count - 1)
      }
    }
    var sample = Sample()
    sample.isRandomNext = isRandomNext
    sample.tokens = [vocabulary.classification] + first + [vocabulary.separator] + second + [vocabulary.separator]
    sample.segments =
      [Int](repeating: 0, count: first.count + 2) + [Int](repeating: 1, count: second.count + 1)
    mask(&sample, &random)
    return sample
  }

  /// 15 % of the tokens are to be guessed: 80 % of them hidden, 10 % replaced by another, 10 % left as they are.
  private func mask(_ sample: inout Sample, _ random: inout SeededRandom) {
    var places = sample.tokens.indices.filter {
      sample.tokens[$0] != vocabulary.classification && sample.tokens[$0] != vocabulary.separator
    }
    let count = min(mostMasked, max(1, Int((Double(sample.tokens.count) * Self.maskedShare).rounded())))
    random.shuffle(&places)
    for place in places.prefix(count).sorted() {
      sample.masked.append((place, sample.tokens[place]))
      if random.chance(0.8) {
        sample.tokens[place] = vocabulary.mask
      } else if random.chance(0.5) {
        sample.tokens[place] = random.integer(below: vocabulary.count)
      }
    }
  }
}
