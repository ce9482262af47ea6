// Lines of a plain text file at any place of it: what a shuffled epoch over a file larger than memory needs.
import Foundation

/// A text file cut into blocks of consecutive lines. One pass over the file finds where they begin; afterwards any
/// block is one read. Only the blocks' places stay in memory.
struct LineBlocks: Sendable {
  /// Closes the file when nobody reads it any more.
  private final class Descriptor: Sendable {
    let number: Int32
    init(_ number: Int32) { self.number = number }
    deinit { close(number) }
  }

  let path: String
  /// Lines of every block but the last.
  let linesPerBlock: Int
  let lineCount: Int
  /// Where each block begins, and where the last ends.
  private let offsets: [Int]
  private let descriptor: Descriptor

  /// The number of blocks.
  var count: Int { offsets.count - 1 }

  /// Reads the whole file once and shows every line, without its end-of-line (LF or CRLF), with its number from 1.
  ///
  /// - Throws: `DataError` where the file can't be read or is compressed, and what `body` throws.
  init(
    path: String, linesPerBlock: Int, scanning body: (UnsafeBufferPointer<UInt8>, Int) throws(DataError) -> Void
  ) throws(DataError) {
    self.path = path
    self.linesPerBlock = linesPerBlock
    errno = 0
    let number = open(path, O_RDONLY | O_CLOEXEC)
    guard number >= 0 else { throw .unreadable(path: path, reason: String(cString: strerror(errno))) }
    descriptor = Descriptor(number)
    var offsets = [0]
    var lines = 0
    var place = 0
    let chunk = 1 << 22
    var held: [UInt8] = []
    while true {
      let fresh = try Self.read(number, path: path, at: place + held.count, count: chunk)
      if place == 0, held.isEmpty, fresh.starts(with: [0x1F, 0x8B]) {
        throw .unsuitable(
          path: path, reason: "it is compressed, and its lines are read at random places; unpack it with gunzip")
      }
      held += fresh
      guard held.count < 1 << 26 else {
        throw .corruptFile(path: path, reason: "line \(lines + 1) is longer than 64 MB, so this is not a text file")
      }
      if fresh.isEmpty, !held.isEmpty { held.append(0x0A) }
      let end = try held.withUnsafeBufferPointer { (buffer) throws(DataError) -> Int in
        var start = 0
        while let newline = Self.newline(in: buffer, from: start) {
          lines += 1
          try body(Self.line(buffer, start, newline), lines)
          start = newline + 1
          if lines % linesPerBlock == 0 { offsets.append(place + start) }
        }
        return start
      }
      place += end
      held.removeFirst(end)
      if fresh.isEmpty { break }
    }
    if lines % linesPerBlock != 0 { offsets.append(place) }
    lineCount = lines
    self.offsets = offsets
  }

  /// Reads a block and shows its lines with their numbers from 1.
  ///
  /// - Throws: `DataError.unreadable` where the file has become shorter, and what `body` throws.
  func forEachLine(
    ofBlock block: Int, _ body: (UnsafeBufferPointer<UInt8>, Int) throws(DataError) -> Void
  ) throws(DataError) {
    let wanted = offsets[block + 1] - offsets[block]
    var bytes = try Self.read(descriptor.number, path: path, at: offsets[block], count: wanted)
    // The last line of the file may lack its end-of-line, which was counted for it.
    guard bytes.count >= wanted - 1 else {
      throw .unreadable(path: path, reason: "it has become shorter since it was opened")
    }
    if bytes.last != 0x0A { bytes.append(0x0A) }
    try bytes.withUnsafeBufferPointer { (buffer) throws(DataError) in
      var start = 0
      var number = block * linesPerBlock + 1
      while let newline = Self.newline(in: buffer, from: start) {
        try body(Self.line(buffer, start, newline), number)
        start = newline + 1
        number += 1
      }
    }
  }

  private static func line(
    _ buffer: UnsafeBufferPointer<UInt8>, _ start: Int, _ newline: Int
  ) -> UnsafeBufferPointer<UInt8> {
    let stop = newline > start && buffer[newline - 1] == 0x0D ? newline - 1 : newline
    return UnsafeBufferPointer(rebasing: buffer[start..<stop])
  }

  private static func newline(in buffer: UnsafeBufferPointer<UInt8>, from start: Int) -> Int? {
    guard start < buffer.count, let base = buffer.baseAddress,
      let found = memchr(base + start, 0x0A, buffer.count - start)
    else { return nil }
    return UnsafeRawPointer(base).distance(to: UnsafeRawPointer(found))
  }

  private static func read(_ number: Int32, path: String, at place: Int, count: Int) throws(DataError) -> [UInt8] {
    var failure: Int32 = 0
    let bytes = [UInt8](unsafeUninitializedCapacity: count) { buffer, initialized in
      initialized = 0
      while initialized < count, let base = buffer.baseAddress {
        let got = pread(number, base + initialized, count - initialized, off_t(place + initialized))
        if got < 0 && errno == EINTR { continue }
        if got < 0 { failure = errno }
        guard got > 0 else { break }
        initialized += got
      }
    }
    guard failure == 0 else { throw .unreadable(path: path, reason: String(cString: strerror(failure))) }
    return bytes
  }
}
