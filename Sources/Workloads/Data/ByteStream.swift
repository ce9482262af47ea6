// Bytes and lines of a file, plain or gzip-compressed, read in pieces so that memory does not grow with the file.
import CZlib
import Foundation

/// Reads a file from beginning to end. zlib recognizes gzip by its magic number and passes anything else through.
final class ByteStream {
  let path: String
  private let handle: gzFile

  /// - Throws: `DataError.unreadable`.
  init(path: String) throws(DataError) {
    errno = 0
    guard let handle = gzopen(path, "rb") else {
      throw .unreadable(path: path, reason: errno == 0 ? "out of memory" : String(cString: strerror(errno)))
    }
    self.path = path
    self.handle = handle
    gzbuffer(handle, 1 << 18)
  }

  deinit { gzclose(handle) }

  /// Fills the buffer as far as the file goes and returns how many bytes were read; 0 at the end.
  ///
  /// - Throws: `DataError.corruptFile` where a compressed file is damaged or cut short.
  func read(into buffer: UnsafeMutableRawBufferPointer) throws(DataError) -> Int {
    guard let base = buffer.baseAddress, buffer.count > 0 else { return 0 }
    let count = gzread(handle, base, UInt32(min(buffer.count, 1 << 30)))
    var code: Int32 = 0
    let message = String(cString: gzerror(handle, &code))
    // A compressed file that ends early gives its last bytes first and says Z_BUF_ERROR beside them.
    guard count >= 0, code == Z_OK || code == Z_STREAM_END else {
      throw .corruptFile(
        path: path, reason: code == Z_BUF_ERROR ? "the compressed file ends early" : message)
    }
    return Int(count)
  }

  /// Everything up to the end of the file, or `limit` bytes.
  ///
  /// Memory grows with what is really there: a header that claims gigabytes reserves none.
  func readAll(limit: Int = 1 << 32) throws(DataError) -> [UInt8] {
    let chunk = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 18, alignment: 16)
    defer { chunk.deallocate() }
    var bytes: [UInt8] = []
    while bytes.count < limit {
      let count = try read(
        into: UnsafeMutableRawBufferPointer(rebasing: chunk[..<min(chunk.count, limit - bytes.count)]))
      if count == 0 { break }
      bytes.append(contentsOf: chunk[..<count])
    }
    return bytes
  }

  /// Calls `body` with every line, without its end-of-line (LF or CRLF), and its number from 1.
  func forEachLine(_ body: (UnsafeBufferPointer<UInt8>, Int) throws(DataError) -> Void) throws(DataError) {
    var capacity = 1 << 20
    var buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: capacity, alignment: 16)
    defer { buffer.deallocate() }
    var held = 0
    var number = 0
    func emit(_ start: Int, _ end: Int) throws(DataError) {
      number += 1
      let stop = end > start && buffer[end - 1] == 0x0D ? end - 1 : end
      let line = UnsafeRawBufferPointer(rebasing: buffer[start..<stop])
      let bound = line.bindMemory(to: UInt8.self)
      try body(bound, number)
    }
    while true {
      if held == capacity {
        guard capacity < 1 << 26 else {
          throw .corruptFile(path: path, reason: "line \(number + 1) is longer than 64 MB, so this is not a text file")
        }
        let larger = UnsafeMutableRawBufferPointer.allocate(byteCount: capacity * 2, alignment: 16)
        larger.copyMemory(from: UnsafeRawBufferPointer(buffer))
        buffer.deallocate()
        buffer = larger
        capacity *= 2
      }
      let count = try read(into: UnsafeMutableRawBufferPointer(rebasing: buffer[held...]))
      if count == 0 { break }
      let end = held + count
      var start = 0
      var search = held
      while search < end, let base = buffer.baseAddress,
        let found = memchr(base + search, 0x0A, end - search)
      {
        let newline = base.distance(to: found)
        try emit(start, newline)
        start = newline + 1
        search = start
      }
      held = end - start
      if start > 0, held > 0, let base = buffer.baseAddress { memmove(base, base + start, held) }
    }
    if held > 0 { try emit(0, held) }
  }
}

/// Fields of one line of text, read from left to right without making strings.
struct FieldScanner {
  private let line: UnsafeBufferPointer<UInt8>
  private var position = 0

  init(_ line: UnsafeBufferPointer<UInt8>) { self.line = line }

  /// True when nothing is left but spaces.
  var isAtEnd: Bool {
    line[position...].allSatisfy { $0 == 0x20 || $0 == 0x09 }
  }

  /// A decimal integer with an optional sign; nil where there is none or it does not fit 63 bits.
  mutating func integer() -> Int64? {
    var negative = false
    var index = position
    if index < line.count, line[index] == 0x2D {
      negative = true
      index += 1
    }
    let first = index
    var value: Int64 = 0
    while index < line.count {
      let digit = line[index] &- 0x30
      guard digit < 10 else { break }
      guard index - first < 18 else { return nil }
      value = value * 10 + Int64(digit)
      index += 1
    }
    guard index > first else { return nil }
    position = index
    return negative ? -value : value
  }

  /// Skips exactly these bytes.
  mutating func skip(_ separator: StaticString) -> Bool {
    let count = separator.utf8CodeUnitCount
    guard position + count <= line.count else { return false }
    for offset in 0..<count where line[position + offset] != separator.utf8Start[offset] { return false }
    position += count
    return true
  }

  /// Skips spaces and tabs; false where there is none.
  mutating func skipBlanks() -> Bool {
    let start = position
    while position < line.count, line[position] == 0x20 || line[position] == 0x09 { position += 1 }
    return position > start
  }

  /// The bytes up to the separator or the end, and moves before it.
  mutating func field(endingAt separator: UInt8) -> UnsafeBufferPointer<UInt8> {
    let start = position
    while position < line.count, line[position] != separator { position += 1 }
    return UnsafeBufferPointer(rebasing: line[start..<position])
  }

  /// The line for a message: at most 80 bytes, unprintable ones replaced.
  static func excerpt(_ line: UnsafeBufferPointer<UInt8>) -> String {
    let text = line.prefix(80).map { (0x20..<0x7F).contains($0) ? Character(UnicodeScalar($0)) : "·" }
    return String(text) + (line.count > 80 ? "…" : "")
  }
}
