// The names of code that a process generated at run time, from the map file it writes for profilers.
import Foundation

/// `/tmp/perf-PID.map`: lines `START SIZE NAME`, numbers in hex, appended while the process compiles. Where ranges
/// overlap the later line wins, because code was replaced.
final class PerfMap {
  private let descriptor: Int32
  private var readBytes: off_t = 0
  /// The end of what was read, when it is half a line.
  private var rest: [UInt8] = []
  private var entries: [AddressIntervals.Entry] = []
  private var names: [String] = []
  private var intervals = AddressIntervals([])

  /// A map beyond this is read no further.
  private static let largest: off_t = 1 << 28

  /// Opens a map file; it stays open, so that a process which ends and takes its file along loses no names.
  ///
  /// - Parameter notBefore: an older file was left by another process of the same id.
  init?(path: String, notBefore: timespec? = nil) {
    descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)
    guard descriptor >= 0 else { return nil }
    var status = stat()
    guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
      close(descriptor)
      return nil
    }
    if let notBefore, status.st_mtim.tv_sec < notBefore.tv_sec {
      close(descriptor)
      return nil
    }
  }

  deinit { close(descriptor) }

  /// Reads what was appended since the last call; whether it was a name.
  func refresh() -> Bool {
    var status = stat()
    guard fstat(descriptor, &status) == 0, status.st_size > readBytes, readBytes < Self.largest else { return false }
    var chunk = [UInt8](repeating: 0, count: 1 << 16)
    let before = entries.count
    while readBytes < Self.largest {
      let count = pread(descriptor, &chunk, chunk.count, readBytes)
      if count < 0, errno == EINTR { continue }
      guard count > 0 else { break }
      readBytes += off_t(count)
      rest.append(contentsOf: chunk[..<count])
      consumeLines()
    }
    guard entries.count > before else { return false }
    intervals = AddressIntervals(entries)
    return true
  }

  private func consumeLines() {
    guard let end = rest.lastIndex(of: UInt8(ascii: "\n")) else {
      // No name is that long.
      if rest.count > 1 << 20 { rest.removeAll() }
      return
    }
    for line in rest[..<end].split(separator: UInt8(ascii: "\n")) { consume(line) }
    rest.removeSubrange(...end)
  }

  private func consume(_ line: ArraySlice<UInt8>) {
    let fields = line.split(separator: UInt8(ascii: " "), maxSplits: 2, omittingEmptySubsequences: true)
    guard fields.count == 3, let start = Self.hex(fields[0]), let size = Self.hex(fields[1]), size > 0 else { return }
    let (end, overflow) = start.addingReportingOverflow(size)
    guard !overflow else { return }
    entries.append(AddressIntervals.Entry(start: start, end: end, rank: entries.count))
    names.append(String(decoding: fields[2], as: UTF8.self).trimmingCharacters(in: .whitespaces))
  }

  private static func hex(_ field: ArraySlice<UInt8>) -> UInt64? {
    var text = String(decoding: field, as: UTF8.self)
    if text.hasPrefix("0x") || text.hasPrefix("0X") { text.removeFirst(2) }
    return UInt64(text, radix: 16)
  }

  /// The name of the code at an address.
  func name(at address: UInt64) -> String? { intervals.owner(of: address).map { names[$0] } }
}
