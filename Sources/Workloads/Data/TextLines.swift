// Lines of text by number: of a file too large for memory, or made up. Only where each line begins is kept.
import Foundation

/// Lines that may be read in any order, from any thread.
protocol TextLines: Sendable {
  /// The number of lines.
  var count: Int { get }
  /// For messages: a path, or what the text is.
  var origin: String { get }
  /// The UTF-8 of a line, without its end, counted from 0.
  func bytes(_ index: Int) throws(DataError) -> [UInt8]
}

extension TextLines {
  /// A line as text.
  ///
  /// - Throws: `DataError.malformedLine` where it is not UTF-8.
  func line(_ index: Int) throws(DataError) -> String {
    let bytes = try bytes(index)
    guard let text = String(validating: bytes, as: UTF8.self) else {
      let excerpt = bytes.withUnsafeBufferPointer(FieldScanner.excerpt)
      throw .malformedLine(path: origin, line: index + 1, text: excerpt, expected: "UTF-8 text")
    }
    return text
  }
}

/// Lines in memory.
struct LinesInMemory: TextLines {
  let lines: [String]
  let origin: String

  var count: Int { lines.count }
  func bytes(_ index: Int) throws(DataError) -> [UInt8] { Array(lines[index].utf8) }
}

/// Lines of a file that stays on the disk. Eight bytes a line are kept in memory.
final class LineFile: TextLines {
  let origin: String
  private let descriptor: Int32
  /// Where each line begins, and the end of the file.
  private let starts: [UInt64]

  /// Looks through the file once.
  ///
  /// - Throws: `DataError.unreadable`, or `.unsuitable` for a compressed file, in which no line can be looked up.
  init(path: String) throws(DataError) {
    errno = 0
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { throw .unreadable(path: path, reason: String(cString: strerror(errno))) }
    var starts: [UInt64] = [0]
    var buffer = [UInt8](repeating: 0, count: 1 << 18)
    var offset: UInt64 = 0
    var last: UInt8 = 0x0A
    while true {
      let count = read(descriptor, &buffer, buffer.count)
      if count < 0 {
        if errno == EINTR { continue }
        let reason = String(cString: strerror(errno))
        close(descriptor)
        throw .unreadable(path: path, reason: reason)
      }
      if count == 0 { break }
      if offset == 0, count > 1, buffer[0] == 0x1F, buffer[1] == 0x8B {
        close(descriptor)
        throw .unsuitable(path: path, reason: "it is compressed; text is read line by line in any order, so unpack it")
      }
      buffer.withUnsafeBufferPointer { bytes in
        for index in 0..<count where bytes[index] == 0x0A { starts.append(offset + UInt64(index) + 1) }
        last = bytes[count - 1]
      }
      offset += UInt64(count)
    }
    // A last line without its end counts too.
    if last != 0x0A { starts.append(offset) }
    origin = path
    self.descriptor = descriptor
    self.starts = starts
  }

  deinit { close(descriptor) }

  var count: Int { starts.count - 1 }

  func bytes(_ index: Int) throws(DataError) -> [UInt8] {
    let start = starts[index]
    let size = Int(starts[index + 1] - start)
    var bytes = [UInt8](repeating: 0, count: size)
    var done = 0
    while done < size {
      let count = bytes.withUnsafeMutableBytes { buffer in
        pread(descriptor, buffer.baseAddress?.advanced(by: done), size - done, off_t(start) + off_t(done))
      }
      if count < 0 && errno == EINTR { continue }
      guard count > 0 else {
        let reason = count == 0 ? "it became shorter while it was read" : String(cString: strerror(errno))
        throw .unreadable(path: origin, reason: reason)
      }
      done += count
    }
    if bytes.last == 0x0A { bytes.removeLast() }
    if bytes.last == 0x0D { bytes.removeLast() }
    return bytes
  }
}

/// The words of a line: what is between white space.
func words(of line: String) -> [Substring] { line.split(whereSeparator: \.isWhitespace) }
