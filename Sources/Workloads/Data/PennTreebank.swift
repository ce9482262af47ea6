// The Penn Treebank's text as Mikolov prepared it: a sentence a line, words between spaces, 10 000 different ones.

/// Words with numbers, and a text for training and one for validation.
struct WordText: Sendable, Equatable {
  var words: [String]
  var train: [Int32]
  var validation: [Int32]
}

/// `ptb.train.txt` and `ptb.valid.txt`. The end of a line is the word `<eos>`.
enum PennTreebank {
  static let endOfSentence = "<eos>"
  static let unknown = "<unk>"

  /// Reads both files; words are numbered in the order of their first appearance in the training text.
  ///
  /// - Throws: `DataError`; a word that only the validation text has is an error where there is no `<unk>`.
  static func load(directory path: String) throws(DataError) -> WordText {
    let directory = try DataDirectory(path)
    func file(_ part: String) throws(DataError) -> String {
      guard let file = directory.first(of: ["ptb.\(part).txt", "data/ptb.\(part).txt", "\(part).txt"]) else {
        throw directory.wrongFormat(expected: ["ptb.train.txt with ptb.valid.txt"])
      }
      return file
    }
    let (trainFile, validationFile) = (try file("train"), try file("valid"))
    var numbers: [String: Int32] = [:]
    var text = WordText(words: [], train: [], validation: [])
    try read(trainFile) { (word, _) throws(DataError) in
      if let known = numbers[word] {
        text.train.append(known)
      } else {
        numbers[word] = Int32(text.words.count)
        text.train.append(Int32(text.words.count))
        text.words.append(word)
      }
    }
    let unknownNumber = numbers[unknown]
    try read(validationFile) { (word, line) throws(DataError) in
      guard let number = numbers[word] ?? unknownNumber else {
        throw .malformedLine(
          path: validationFile, line: line, text: word, expected: "words of the training text, which has no \(unknown)")
      }
      text.validation.append(number)
    }
    return text
  }

  private static func read(_ path: String, _ body: (String, Int) throws(DataError) -> Void) throws(DataError) {
    var sentences = 0
    try ByteStream(path: path).forEachLine { (line, number) throws(DataError) in
      guard let text = String(validating: line, as: UTF8.self) else {
        throw .malformedLine(path: path, line: number, text: FieldScanner.excerpt(line), expected: "UTF-8 text")
      }
      let words = text.split { $0 == " " || $0 == "\t" }
      guard !words.isEmpty else { return }
      for word in words { try body(String(word), number) }
      try body(endOfSentence, number)
      sentences += 1
    }
    guard sentences > 0 else { throw .empty(path: path, expected: "a sentence a line") }
  }
}

/// Stand-in for a text: every word is of a class, and the last two classes decide on the next.
struct SyntheticText: Sendable {
  let classCount: Int
  let wordsPerClass: Int
  let trainCount: Int
  let validationCount: Int

  /// 200 words, learnt in seconds.
  static let small = SyntheticText(classCount: 10, wordsPerClass: 20, trainCount: 40_000, validationCount: 6000)
  /// As many words and as long a text as the Penn Treebank's.
  static let pennTreebank = SyntheticText(
    classCount: 50, wordsPerClass: 200, trainCount: 929_589, validationCount: 73_760)

  /// What the data are, for the log.
  func origin(seed: UInt64) -> String {
    "synthetic: text of \(classCount) classes of \(wordsPerClass) words, the next class by the last two, seed \(seed)"
  }

  /// The text. A class follows two others with a weight u⁶ (so that few are likely); within a class a word of rank r
  /// has the weight 1 / r.
  func text(seed: UInt64) -> WordText {
    var random = SeededRandom(seed, 31)
    func cumulative(_ weights: [Double]) -> [Double] {
      var sum = 0.0
      return weights.map {
        sum += $0
        return sum
      }
    }
    let following = (0..<classCount * classCount).map { _ in
      cumulative(
        (0..<classCount).map { _ in
          let u = random.uniform()
          return u * u * u * u * u * u
        })
    }
    let ranks = cumulative((1...wordsPerClass).map { 1 / Double($0) })
    func pick(_ cumulative: [Double], _ random: inout SeededRandom) -> Int {
      let wanted = random.uniform() * cumulative[cumulative.count - 1]
      var (low, high) = (0, cumulative.count - 1)
      while low < high {
        let middle = (low + high) / 2
        if cumulative[middle] <= wanted { low = middle + 1 } else { high = middle }
      }
      return low
    }
    func make(_ count: Int, _ stream: Int) -> [Int32] {
      var random = SeededRandom(seed, 32, stream)
      var (before, last) = (0, 0)
      return (0..<count).map { _ in
        (before, last) = (last, pick(following[before * classCount + last], &random))
        return Int32(last * wordsPerClass + pick(ranks, &random))
      }
    }
    return WordText(
      words: (0..<classCount * wordsPerClass).map { "word\($0)" }, train: make(trainCount, 0),
      validation: make(validationCount, 1))
  }
}

/// A text cut into columns that are read side by side, each where the former segment ended.
struct TextColumns: Sendable {
  let tokens: [Int32]
  let columns: Int
  /// Tokens of a segment at most.
  let segment: Int

  /// Tokens in a column.
  var length: Int { tokens.count / columns }
  /// Segments of the whole text; the last may be shorter. None where a column has less than two tokens.
  var count: Int { (max(length - 1, 0) + segment - 1) / segment }

  /// Tokens i64 [T, columns] and those that follow them, i64 [T columns].
  func segment(_ number: Int) -> (tokens: HostTensor, next: HostTensor) {
    let start = number * segment
    let steps = min(segment, length - 1 - start)
    func part(_ offset: Int) -> [Int] {
      (0..<steps).flatMap { step in
        (0..<columns).map { Int(tokens[$0 * length + start + step + offset]) }
      }
    }
    return (
      HostTensor(integers: part(0), shape: [steps, columns]), HostTensor(integers: part(1), shape: [steps * columns])
    )
  }
}
