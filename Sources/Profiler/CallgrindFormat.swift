// How is a file of Callgrind's read, as it comes and however it is damaged?
import ProfileModel

/// A function in a Callgrind file.
public struct CallgrindFunction: Hashable, Sendable {
  /// Its name, or its address where there is no symbol.
  public var name: String
  /// Library or executable.
  public var object: String

  /// Makes a function.
  public init(name: String, object: String) {
    self.name = name
    self.object = object
  }
}

/// A part of a Callgrind file: what was counted between two dumps.
public struct CallgrindPart: Sendable, Equatable {
  /// Process id; 0 when the file does not tell.
  public var pid: Int32 = 0
  /// The command line as Callgrind prints it, without quotes.
  public var command = ""
  /// Why it was written: `Program termination`, `Client Request: …`, `--dump-before=fork`.
  public var trigger = ""
  /// The events, in the order of all counts.
  public var events: [String] = []
  /// Self counts by function.
  public var functions: [CallgrindFunction: [UInt64]] = [:]
  /// The file's own sum, which ``sums`` has to be; `nil` when the part was cut off before it.
  public var totals: [UInt64]?

  /// The sum over all functions.
  public var sums: [UInt64] {
    functions.values.reduce(into: [UInt64](repeating: 0, count: events.count)) { sums, counts in
      for (index, count) in counts.enumerated() where index < sums.count {
        sums[index] = sums[index].addingReportingOverflow(count).partialValue
      }
    }
  }

  /// Whether the part is whole, and its counts add up to what the file says.
  public var isComplete: Bool {
    guard let totals else { return false }
    // Trailing zeros are left out in a file.
    return sums == totals + [UInt64](repeating: 0, count: max(0, events.count - totals.count))
  }
}

/// Text that is no Callgrind file.
public struct CallgrindFormatError: Error, Hashable, Sendable, CustomStringConvertible {
  /// The line, counted from 1.
  public var line: Int
  /// What is wrong with it.
  public var reason: String

  /// Cause and place.
  public var description: String { "line \(line) of Callgrind's counts: \(reason)" }
}

/// Reads Callgrind's format (valgrind.org/docs/manual/cl-format.html) in pieces of any size: several parts, compressed
/// names, relative positions, and inclusive costs of calls, which are left out of every sum. Memory grows with the names
/// and with the functions of one part alone.
public struct CallgrindParser {
  private enum Names { case function, object, file }

  private var pending: [UInt8] = []
  private var line = 0
  private var part = CallgrindPart()
  private var hasBody = false
  private var isStarted = false
  /// Counts by the numbers of function and object, which is what lines repeat.
  private var counts: [Key: [UInt64]] = [:]
  private var key = Key(function: -1, object: -1)
  private var positionColumns = 1
  /// The next line of numbers is the inclusive cost of a call.
  private var isCall = false
  /// Names by Callgrind's numbers, and our own numbers for names without one.
  private var functionNames = NameTable()
  private var objectNames = NameTable()
  private let onPart: (CallgrindPart) -> Void

  private struct Key: Hashable {
    var function: Int
    var object: Int
  }

  /// Names, by a dense number.
  private struct NameTable {
    var names: [String] = []
    var byID: [Int: Int] = [:]
    var byName: [String: Int] = [:]

    mutating func number(of name: String) -> Int {
      if let known = byName[name] { return known }
      names.append(name)
      byName[name] = names.count - 1
      return names.count - 1
    }
  }

  /// More than any program has; a file with more is none of Callgrind's, and memory has an end.
  static let maximumNames = 4_000_000
  static let maximumLine = 1 << 20
  static let maximumEvents = 64

  /// Makes a parser. `onPart` is called for each part as soon as it is read.
  public init(onPart: @escaping (CallgrindPart) -> Void) { self.onPart = onPart }

  /// Reads more.
  ///
  /// - Throws: `CallgrindFormatError`. Parts that were complete have been handed on; the parser is of no more use.
  public mutating func read(_ bytes: some Collection<UInt8>) throws(CallgrindFormatError) {
    var rest = bytes[...]
    while let end = rest.firstIndex(of: 0x0A) {
      if pending.isEmpty {
        try readLine(Array(rest[..<end]))
      } else {
        pending += rest[..<end]
        let whole = pending
        pending.removeAll(keepingCapacity: true)
        try readLine(whole)
      }
      rest = rest[rest.index(after: end)...]
    }
    pending += rest
    if pending.count > Self.maximumLine { throw error("a line of more than 1 MiB") }
  }

  /// The file has ended.
  ///
  /// - Throws: `CallgrindFormatError`, also when nothing in it was Callgrind's.
  public mutating func finish() throws(CallgrindFormatError) {
    // A last line without its end was cut off: its numbers may be, too.
    if !pending.isEmpty, pending.count <= Self.maximumLine, !isNumber(pending.first) {
      let whole = pending
      pending = []
      try readLine(whole)
    }
    endPart()
    if !isStarted { throw error("no events: line, so this is none of Callgrind's files") }
  }

  // MARK: Lines

  private func error(_ reason: String) -> CallgrindFormatError { CallgrindFormatError(line: line, reason: reason) }

  private func isNumber(_ byte: UInt8?) -> Bool {
    guard let byte else { return false }
    return (0x30...0x39).contains(byte) || byte == 0x2B || byte == 0x2D || byte == 0x2A
  }

  private mutating func readLine(_ bytes: [UInt8]) throws(CallgrindFormatError) {
    line += 1
    if bytes.count > Self.maximumLine { throw error("a line of more than 1 MiB") }
    var bytes = bytes[...]
    if bytes.last == 0x0D { bytes.removeLast() }
    while let first = bytes.first, first == 0x20 || first == 0x09 { bytes.removeFirst() }
    guard let first = bytes.first, first != 0x23 else { return }
    if isNumber(first) { return try readCosts(bytes) }
    // `fn=(3) name` or `events: Ir Dr`: whichever sign comes first.
    guard let sign = bytes.firstIndex(where: { $0 == 0x3D || $0 == 0x3A }) else {
      throw error("neither numbers nor a known word")
    }
    let word = String(decoding: bytes[..<sign], as: UTF8.self)
    let value = bytes[bytes.index(after: sign)...]
    if bytes[sign] == 0x3D {
      try readPosition(word, value)
    } else {
      try readHeader(word, text(value))
    }
  }

  private func text(_ bytes: ArraySlice<UInt8>) -> String {
    var bytes = bytes
    while bytes.first == 0x20 || bytes.first == 0x09 { bytes.removeFirst() }
    while bytes.last == 0x20 || bytes.last == 0x09 { bytes.removeLast() }
    return String(decoding: bytes, as: UTF8.self)
  }

  private mutating func readHeader(_ word: String, _ value: String) throws(CallgrindFormatError) {
    switch word {
    case "totals":
      part.totals = try numbers(value)
      endPart()
    case "part":
      // Only the first part of a file has the lines about the process.
      endPart()
    case "version", "creator", "pid", "cmd", "thread", "desc", "positions", "events", "event", "summary":
      // Descriptions begin a part when its counts have come already: a file whose totals are missing.
      if hasBody { endPart() }
      try readDescription(word, value)
    default:
      break
    }
  }

  private mutating func readDescription(_ word: String, _ value: String) throws(CallgrindFormatError) {
    switch word {
    case "pid": part.pid = Int32(value) ?? 0
    case "cmd": part.command = value
    case "desc":
      if value.hasPrefix("Trigger:") { part.trigger = text(Array(value.dropFirst(8).utf8)[...]) }
    case "positions":
      positionColumns = value.split(separator: " ").count
      guard (1...3).contains(positionColumns) else { throw error("positions: \(value.prefix(40))") }
    case "events":
      let events = value.split(separator: " ").map(String.init)
      guard !events.isEmpty, events.count <= Self.maximumEvents, Set(events).count == events.count else {
        throw error("\(events.count) events, or some named twice")
      }
      part.events = events
      isStarted = true
    default: break
    }
  }

  private func numbers(_ value: String) throws(CallgrindFormatError) -> [UInt64] {
    var result: [UInt64] = []
    for word in value.split(separator: " ") {
      guard let number = UInt64(word), result.count < part.events.count else {
        throw error("no sums: \(value.prefix(40))")
      }
      result.append(number)
    }
    return result
  }

  private mutating func readPosition(_ word: String, _ value: ArraySlice<UInt8>) throws(CallgrindFormatError) {
    switch word {
    case "fn": key.function = try number(of: value, in: \.functionNames)
    case "ob": key.object = try number(of: value, in: \.objectNames)
    case "cfn": _ = try number(of: value, in: \.functionNames)
    case "cob": _ = try number(of: value, in: \.objectNames)
    case "calls": isCall = true
    case "fl", "fi", "fe", "cfi", "cfl", "jfi", "jfn", "jump", "jcnd": break
    default: throw error("'\(word.prefix(40))=' is no word of this format")
    }
  }

  /// The number of `name`, `(id) name` (which tells the id) or `(id)`.
  private mutating func number(
    of value: ArraySlice<UInt8>, in table: WritableKeyPath<CallgrindParser, NameTable>
  ) throws(CallgrindFormatError) -> Int {
    var rest = value
    var id: Int?
    if rest.first == 0x28, let close = rest.firstIndex(of: 0x29),
      let number = Int(String(decoding: rest[rest.index(after: rest.startIndex)..<close], as: UTF8.self))
    {
      id = number
      rest = rest[rest.index(after: close)...]
    }
    let name = text(rest)
    if let id, name.isEmpty {
      guard let known = self[keyPath: table].byID[id] else { throw error("the name (\(id)) was never told") }
      return known
    }
    guard self[keyPath: table].names.count < Self.maximumNames else { throw error("too many names") }
    let number = self[keyPath: table].number(of: name)
    if let id { self[keyPath: table].byID[id] = number }
    return number
  }

  /// `position… count…`: the counts of a line of code, or of a call.
  private mutating func readCosts(_ bytes: ArraySlice<UInt8>) throws(CallgrindFormatError) {
    guard !part.events.isEmpty else { throw error("counts before the line that names them (events:)") }
    let isInclusive = isCall
    isCall = false
    if isInclusive {
      hasBody = true
      return
    }
    guard key.function >= 0 else { throw error("counts of no function (fn=)") }
    let size = part.events.count
    var counts = self.counts.removeValue(forKey: key) ?? [UInt64](repeating: 0, count: size)
    var column = 0
    var index = bytes.startIndex
    while index < bytes.endIndex {
      while index < bytes.endIndex, bytes[index] == 0x20 || bytes[index] == 0x09 { index += 1 }
      guard index < bytes.endIndex else { break }
      let start = index
      while index < bytes.endIndex, bytes[index] != 0x20, bytes[index] != 0x09 { index += 1 }
      defer { column += 1 }
      // Which line or address it was is not kept.
      guard column >= positionColumns else { continue }
      guard column - positionColumns < size else { throw error("more counts than events") }
      var number: UInt64 = 0
      for byte in bytes[start..<index] {
        guard (0x30...0x39).contains(byte) else { throw error("a count that is no number") }
        let (tenfold, isTooMuch) = number.multipliedReportingOverflow(by: 10)
        let (sum, isMore) = tenfold.addingReportingOverflow(UInt64(byte - 0x30))
        guard !isTooMuch, !isMore else { throw error("a count beyond 64 bits") }
        number = sum
      }
      let (sum, isTooMuch) = counts[column - positionColumns].addingReportingOverflow(number)
      guard !isTooMuch else { throw error("counts that add up beyond 64 bits") }
      counts[column - positionColumns] = sum
    }
    hasBody = true
    self.counts[key] = counts
  }

  /// Hands the part on, when there is one.
  private mutating func endPart() {
    defer {
      counts.removeAll(keepingCapacity: true)
      hasBody = false
      isCall = false
      (part.trigger, part.totals) = ("", nil)
    }
    guard hasBody || part.totals != nil, !part.events.isEmpty else { return }
    var whole = part
    for (key, counts) in counts {
      let function = CallgrindFunction(
        name: functionNames.names[key.function], object: key.object >= 0 ? objectNames.names[key.object] : "")
      whole.functions[function] = counts
    }
    onPart(whole)
  }
}
