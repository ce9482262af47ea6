// What a running process has mapped, as `/proc/PID/maps` says (proc_pid_maps(5)).
import Foundation

/// The lines of a maps file.
enum ProcMaps {
  /// The executable mappings of a process; none when it is gone or not ours to look at.
  static func executableMappings(pid: Int32, procRoot: String = "/proc") -> [CodeMapping] {
    guard pid > 0, let bytes = readWholeFile("\(procRoot)/\(pid)/maps") else { return [] }
    return parse(String(decoding: bytes, as: UTF8.self))
  }

  /// `start-end perms offset dev inode   path`; lines that are not like that are skipped.
  static func parse(_ text: String) -> [CodeMapping] {
    text.split(separator: "\n").compactMap { line in
      let fields = line.split(separator: " ", maxSplits: 5, omittingEmptySubsequences: true)
      guard fields.count >= 5, fields[1].count >= 4, fields[1].dropFirst(2).first == "x" else { return nil }
      let range = fields[0].split(separator: "-")
      guard range.count == 2, let start = UInt64(range[0], radix: 16), let end = UInt64(range[1], radix: 16),
        start < end, let offset = UInt64(fields[2], radix: 16)
      else { return nil }
      let path = fields.count == 6 ? fields[5].drop { $0 == " " } : ""
      return CodeMapping(start: start, end: end, fileOffset: offset, path: path.isEmpty ? "//anon" : String(path))
    }
  }
}

/// The bytes of a file whose size is not known beforehand, as in `/proc`; `nil` when it can't be read.
func readWholeFile(_ path: String, limit: Int = 1 << 28) -> [UInt8]? {
  let descriptor = open(path, O_RDONLY | O_CLOEXEC)
  guard descriptor >= 0 else { return nil }
  defer { close(descriptor) }
  var bytes: [UInt8] = []
  var chunk = [UInt8](repeating: 0, count: 1 << 16)
  while bytes.count < limit {
    let count = read(descriptor, &chunk, chunk.count)
    if count < 0, errno == EINTR { continue }
    guard count >= 0 else { return bytes.isEmpty ? nil : bytes }
    guard count > 0 else { break }
    bytes.append(contentsOf: chunk[..<count])
  }
  return bytes
}
