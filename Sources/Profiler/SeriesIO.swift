// How many bytes has the process tree read from and written to storage so far?

/// Adds up `/proc/PID/io` over a tree in which processes come and go.
///
/// The kernel adds a child's bytes to its parent's when the parent waits for it, so a process that disappears takes its
/// bytes along only when nobody of the tree waited for it.
struct StorageTraffic {
  struct Bytes: Hashable {
    var read: UInt64 = 0
    var written: UInt64 = 0
  }

  private var last: [Int32: Bytes] = [:]
  private var lost = Bytes()
  /// The total; it never falls.
  private(set) var total = Bytes()
  /// Processes whose `io` could not be read.
  private(set) var refused = 0

  /// Reads `read_bytes` and `write_bytes` of `/proc/PID/io` (`proc_pid_io(5)`).
  static func parse(_ bytes: [UInt8]) -> Bytes? {
    var result = Bytes()
    var found = 0
    for line in bytes.split(separator: 0x0A) {
      guard let colon = line.firstIndex(of: UInt8(ascii: ":")) else { continue }
      let value = line[(colon + 1)...].reduce(0 as UInt64) {
        $1 >= 0x30 && $1 <= 0x39 ? $0 &* 10 &+ UInt64($1 - 0x30) : $0
      }
      let key = line[..<colon]
      if key.elementsEqual("read_bytes".utf8) {
        result.read = value
        found += 1
      } else if key.elementsEqual("write_bytes".utf8) {
        result.written = value
        found += 1
      }
    }
    return found == 2 ? result : nil
  }

  /// One reading.
  mutating func update(_ processes: some Collection<ProcessStatus>, departed: [ProcessStatus], files: HostFiles) {
    var now: [Int32: Bytes] = [:]
    refused = 0
    for process in processes {
      guard case .success(let text) = files.read("/proc/\(process.pid)/io"), let bytes = Self.parse(text) else {
        refused += 1
        // What was known stays.
        now[process.pid] = last[process.pid]
        continue
      }
      now[process.pid] = bytes
    }
    // What each parent gained in this step; children's bytes that came to it are taken from that.
    var gains = now.mapValues { _ in Bytes() }
    for (pid, bytes) in now {
      let before = last[pid] ?? Bytes()
      gains[pid] = Bytes(read: bytes.read &- before.read, written: bytes.written &- before.written)
    }
    for child in departed {
      guard let bytes = last[child.pid] else { continue }
      if let gain = gains[child.parentPID], gain.read >= bytes.read, gain.written >= bytes.written {
        gains[child.parentPID] = Bytes(read: gain.read - bytes.read, written: gain.written - bytes.written)
      } else {
        lost.read += bytes.read
        lost.written += bytes.written
      }
    }
    last = now
    let sum = now.values.reduce(lost) { Bytes(read: $0.read + $1.read, written: $0.written + $1.written) }
    total = Bytes(read: max(total.read, sum.read), written: max(total.written, sum.written))
  }
}
