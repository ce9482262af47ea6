// Criteo's click logs (Display Advertising Challenge, Kaggle 2014): 45 840 617 impressions of seven days in one file.

/// Numbers for the categories of one field, in order of first appearance: an open hash table of eight bytes a slot,
/// because the field with most categories has ten million.
struct CategoryTable: Sendable {
  private var keys = [UInt32](repeating: 0, count: 16)
  /// −1 where the slot is empty.
  private var numbers = [Int32](repeating: -1, count: 16)
  private(set) var count = 0

  private func slot(of key: UInt32) -> Int {
    // Fibonacci hashing: the ids are hashes already, but of unknown quality.
    let mask = keys.count - 1
    var slot = Int(truncatingIfNeeded: (UInt64(key) &* 0x9E37_79B9_7F4A_7C15) >> 32) & mask
    while numbers[slot] >= 0, keys[slot] != key { slot = (slot + 1) & mask }
    return slot
  }

  /// The number of a category, a new one for a new category.
  mutating func number(of key: UInt32) -> Int {
    let place = slot(of: key)
    if numbers[place] >= 0 { return Int(numbers[place]) }
    keys[place] = key
    numbers[place] = Int32(count)
    count += 1
    if count * 3 > keys.count * 2 { grow() }
    return count - 1
  }

  /// The number of a category that is already known.
  func known(_ key: UInt32) -> Int? {
    let number = numbers[slot(of: key)]
    return number >= 0 ? Int(number) : nil
  }

  private mutating func grow() {
    let (oldKeys, oldNumbers) = (keys, numbers)
    keys = [UInt32](repeating: 0, count: oldKeys.count * 2)
    numbers = [Int32](repeating: -1, count: oldKeys.count * 2)
    for (key, number) in zip(oldKeys, oldNumbers) where number >= 0 {
      let place = slot(of: key)
      keys[place] = key
      numbers[place] = number
    }
  }
}

/// The click log `train.txt`: a line an impression, oldest first, with fields between tabs: clicked (0 or 1), 13
/// integers, 26 categories of 8 hexadecimal digits. All but the first may be empty.
struct Criteo: Sendable {
  static let fileNames = ["train.txt", "criteo/train.txt", "dac/train.txt"]
  static let expectation =
    "0 or 1, 13 integers and 26 categories of 8 hexadecimal digits, with tabs between (empty where missing)"
  /// Lines that stay together when an epoch is shuffled: the file is read in pieces of some 30 KB.
  static let linesPerBlock = 128

  let lines: LineBlocks
  let tables: [CategoryTable]

  /// Reads the file once to check every line, number the categories and find the lines again.
  ///
  /// - Throws: `DataError`.
  init(directory path: String) throws(DataError) {
    let directory = try DataDirectory(path)
    guard let file = directory.first(of: Self.fileNames) else {
      throw directory.wrongFormat(expected: ["train.txt (Criteo Display Advertising Challenge)"])
    }
    var tables = [CategoryTable](repeating: CategoryTable(), count: Impression.categoryFields)
    lines = try LineBlocks(path: file, linesPerBlock: Self.linesPerBlock) { (line, number) throws(DataError) in
      let fields = try Self.fields(of: line, path: file, number: number)
      for (field, key) in fields.keys.enumerated() { _ = tables[field].number(of: key) }
    }
    guard lines.lineCount > 0 else { throw .empty(path: file, expected: "lines of \(Self.expectation)") }
    self.tables = tables
  }

  /// The fields of a line; an empty category is category 0, as in the DLRM reference.
  static func fields(
    of line: UnsafeBufferPointer<UInt8>, path: String, number: Int
  ) throws(DataError) -> (isClicked: Bool, counts: [Int?], keys: [UInt32]) {
    func malformed(_ detail: String) -> DataError {
      .malformedLine(
        path: path, line: number, text: FieldScanner.excerpt(line), expected: "\(expectation); \(detail)")
    }
    var scanner = FieldScanner(line)
    guard let label = scanner.integer(), label == 0 || label == 1 else { throw malformed("the first field is not") }
    var counts: [Int?] = []
    counts.reserveCapacity(Impression.countFields)
    for field in 0..<Impression.countFields {
      guard scanner.skip("\t") else { throw malformed("there is no field \(field + 2)") }
      counts.append(scanner.integer().map { Int($0) })
    }
    var keys: [UInt32] = []
    keys.reserveCapacity(Impression.categoryFields)
    for field in 0..<Impression.categoryFields {
      guard scanner.skip("\t") else { throw malformed("field \(field + Impression.countFields + 1) ends wrongly") }
      let digits = scanner.field(endingAt: 0x09)
      guard digits.isEmpty || digits.count == 8, let key = hexadecimal(digits) else {
        throw malformed("field \(field + Impression.countFields + 2) is not")
      }
      keys.append(key)
    }
    // A tab after the last field would be a forty-first.
    guard !scanner.skip("\t") else { throw malformed("there are more than 40 fields") }
    return (label == 1, counts, keys)
  }

  private static func hexadecimal(_ digits: UnsafeBufferPointer<UInt8>) -> UInt32? {
    var value: UInt32 = 0
    for digit in digits {
      switch digit {
      case 0x30...0x39: value = value << 4 | UInt32(digit - 0x30)
      case 0x61...0x66: value = value << 4 | UInt32(digit - 0x61 + 10)
      case 0x41...0x46: value = value << 4 | UInt32(digit - 0x41 + 10)
      default: return nil
      }
    }
    return value
  }

  /// Impressions of the blocks for training, or of the held-out ones: the last seventh, which is the seventh day.
  func part(isTraining: Bool, seed: UInt64) throws(DataError) -> CriteoPart {
    // A file of few lines is cut inside its only block.
    let held = max(lines.lineCount / 7, 1)
    let part = CriteoPart(
      criteo: self, lineNumbers: isTraining ? 0..<(lines.lineCount - held) : (lines.lineCount - held)..<lines.lineCount,
      isTraining: isTraining, seed: seed)
    guard part.count > 0 else {
      throw .unsuitable(path: lines.path, reason: "its only line leaves none to train with")
    }
    return part
  }
}

/// Some consecutive lines of the log. For training its blocks come in another order in every epoch, the lines of a
/// block together, so that a file which is larger than memory is read in pieces and not line by line.
struct CriteoPart: ImpressionSource {
  let criteo: Criteo
  /// From 0.
  let lineNumbers: Range<Int>
  let isTraining: Bool
  let seed: UInt64

  var count: Int { lineNumbers.count }
  var tableRows: [Int] { criteo.tables.map(\.count) }
  var isShuffledByLoader: Bool { false }

  /// Whole blocks; what is left of the last one comes at the end of each epoch.
  private var blockCount: Int { count / Criteo.linesPerBlock }

  func impressions(_ indices: [Int], epoch: Int) throws -> [Impression] {
    let blocks = blockCount
    let size = Criteo.linesPerBlock
    var (start, step) = (0, 1)
    if isTraining, blocks > 1 {
      // Start and step decide an order without a table; a step without a common factor visits every block.
      var random = SeededRandom(seed, epoch, -2)
      start = random.integer(below: blocks)
      repeat { step = 1 + random.integer(below: blocks - 1) } while Self.greatestCommonDivisor(blocks, step) != 1
    }
    var cached: (block: Int, impressions: [Impression])?
    return try indices.map { index in
      let place = index / size < blocks ? (start + index / size * step) % blocks * size + index % size : index
      let line = lineNumbers.lowerBound + place
      let block = line / size
      if cached?.block != block { cached = (block, try read(block)) }
      return cached?.impressions[line % size] ?? Impression(isClicked: false, counts: [], categories: [])
    }
  }

  private func read(_ block: Int) throws(DataError) -> [Impression] {
    var result: [Impression] = []
    let path = criteo.lines.path
    try criteo.lines.forEachLine(ofBlock: block) { (line, number) throws(DataError) in
      let fields = try Criteo.fields(of: line, path: path, number: number)
      var categories: [Int] = []
      for (table, key) in zip(criteo.tables, fields.keys) {
        guard let category = table.known(key) else {
          throw .unreadable(path: path, reason: "line \(number) has changed since it was opened")
        }
        categories.append(category)
      }
      result.append(Impression(isClicked: fields.isClicked, counts: fields.counts, categories: categories))
    }
    return result
  }

  private static func greatestCommonDivisor(_ a: Int, _ b: Int) -> Int { b == 0 ? a : greatestCommonDivisor(b, a % b) }
}
