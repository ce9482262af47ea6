// How are system calls made: every one retries when interrupted and says its name when it fails.
import Glibc

/// A system call that failed.
public struct SystemCallError: Error, Hashable, Sendable, CustomStringConvertible {
  /// The call: `perf_event_open`, `mmap` …
  public var call: String
  /// Its `errno`.
  public var code: Int32

  /// Makes an error.
  public init(call: String, code: Int32) {
    self.call = call
    self.code = code
  }

  /// `perf_event_open: Permission denied`.
  public var description: String { "\(call): \(String(cString: strerror(code)))" }
}

/// Makes a system call that returns −1 on failure, again and again while a signal interrupts it.
///
/// - Parameters:
///   - name: The call, for the message.
///   - body: The call and nothing else, so that nothing can change `errno` in between.
/// - Throws: `SystemCallError`.
@discardableResult
func systemCall<Result: FixedWidthInteger & SignedInteger>(
  _ name: StaticString, _ body: () -> Result
) throws(SystemCallError) -> Result {
  while true {
    let result = body()
    if result != -1 { return result }
    let code = errno
    if code != EINTR { throw SystemCallError(call: "\(name)", code: code) }
  }
}

/// A file descriptor that closes itself.
final class FileDescriptor {
  let raw: Int32
  private let closing: (Int32) -> Void

  // close is not retried: on Linux the descriptor is gone even when it reports EINTR.
  init(_ raw: Int32, closing: @escaping (Int32) -> Void = { close($0) }) {
    self.raw = raw
    self.closing = closing
  }

  deinit { closing(raw) }
}

/// Clocks, in nanoseconds.
enum Clock {
  /// `CLOCK_MONOTONIC`, the clock of every time in a profile.
  static var monotonic: UInt64 { read(CLOCK_MONOTONIC) }
  /// CPU time of the calling thread.
  static var threadCPU: UInt64 { read(CLOCK_THREAD_CPUTIME_ID) }
  /// Wall clock since 1970.
  static var realtime: UInt64 { read(CLOCK_REALTIME) }

  private static func read(_ clock: clockid_t) -> UInt64 {
    var time = timespec()
    clock_gettime(clock, &time)
    return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
  }
}

/// The text of a small file such as those of `/proc` and `/sys`, without its last line break; `nil` when it can't be
/// read. Foundation's reader is avoided: its first use costs milliseconds, and these files have no size to ask for.
func contents(ofSmallFile path: String, limit: Int = 1 << 20) -> String? {
  guard let descriptor = try? systemCall("open", { open(path, O_RDONLY | O_CLOEXEC) }) else { return nil }
  defer { close(descriptor) }
  var bytes: [UInt8] = []
  while bytes.count < limit {
    let chunk = [UInt8](unsafeUninitializedCapacity: 4096) { buffer, count in
      count = (try? systemCall("read", { read(descriptor, buffer.baseAddress, buffer.count) })) ?? 0
    }
    if chunk.isEmpty { break }
    bytes += chunk
  }
  while bytes.last == UInt8(ascii: "\n") { bytes.removeLast() }
  return String(decoding: bytes, as: UTF8.self)
}

/// The names in a directory, sorted, without `.` and `..`; empty when it can't be read.
func names(inDirectory path: String) -> [String] {
  guard let directory = opendir(path) else { return [] }
  defer { closedir(directory) }
  var names: [String] = []
  while let entry = readdir(directory) {
    let name = withUnsafePointer(to: &entry.pointee.d_name) {
      $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
    }
    if name != "." && name != ".." { names.append(name) }
  }
  return names.sorted()
}

/// Parses a kernel list of numbers: `0-3,5` is 0, 1, 2, 3, 5.
func numbers(inKernelList text: String) -> [Int] {
  text.split(separator: ",").flatMap { part -> [Int] in
    let ends = part.split(separator: "-").compactMap { Int($0) }
    guard let first = ends.first, let last = ends.last, first <= last, last - first < 1 << 16 else { return [] }
    return Array(first...last)
  }
}
