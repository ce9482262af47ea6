// Where is the quality of a command's run, and what is it?
import Foundation

/// How a command tells the quality that it reached.
public enum QualitySource: Sendable, Hashable, Codable {
  /// The last line of its output that matches; the number is the pattern's first group, or all that matches.
  case output(pattern: String)
  /// The same in a file that the run wrote; relative to the folder in which the command ran.
  case file(String, pattern: String)
  /// A number of a JSON file that the run wrote, by JSON pointer (RFC 6901): `/best/accuracy`.
  case json(file: String, pointer: String)

  /// A quality that can't be read.
  public enum Failure: Error, Hashable, Sendable, CustomStringConvertible {
    case badPattern(String, detail: String)
    case noMatch(pattern: String, where: String)
    case notANumber(String, where: String)
    case noFile(String)
    case staleFile(String)
    case badJSON(String, detail: String)
    case noValue(pointer: String, file: String)

    /// Cause and place.
    public var description: String {
      switch self {
      case .badPattern(let pattern, let detail): "'\(pattern)' is no regular expression: \(detail)"
      case .noMatch(let pattern, let place): "no line of \(place) matches '\(pattern)'"
      case .notANumber(let text, let place): "'\(text)' in \(place) is no number"
      case .noFile(let path): "the command wrote no file \(path)"
      case .staleFile(let path): "\(path) is older than the run: the command did not write it"
      case .badJSON(let path, let detail): "\(path) is no JSON: \(detail)"
      case .noValue(let pointer, let path): "\(path) has nothing at \(pointer.isEmpty ? "its root" : pointer)"
      }
    }
  }

  /// Where it is read, in words, for a provenance.
  public var description: String {
    switch self {
    case .output(let pattern): "last match of '\(pattern)' in the command's output"
    case .file(let path, let pattern): "last match of '\(pattern)' in \(path)"
    case .json(let path, let pointer): "\(pointer) of \(path)"
    }
  }

  /// Whether a pattern can be used.
  ///
  /// - Throws: ``Failure``.
  static func check(pattern: String) throws(Failure) { _ = try regex(pattern) }

  private static func regex(_ pattern: String) throws(Failure) -> Regex<AnyRegexOutput> {
    do { return try Regex(pattern) } catch { throw .badPattern(pattern, detail: "\(error)") }
  }

  /// The quality of a run that ended.
  ///
  /// - Parameters:
  ///   - output: the file with what the command wrote to its standard streams.
  ///   - directory: where it ran.
  ///   - start: when, in seconds since 1970: an older file is of an earlier run.
  /// - Throws: ``Failure``.
  public func read(output: String, directory: String, startedAt start: Double) throws(Failure) -> Double {
    func written(_ path: String) throws(Failure) -> String {
      let path = path.hasPrefix("/") ? path : directory + "/" + path
      var status = stat()
      guard stat(path, &status) == 0, status.st_mode & S_IFMT == S_IFREG else { throw .noFile(path) }
      // File systems keep times in steps of up to two seconds.
      guard Double(status.st_mtim.tv_sec) >= start - 2 else { throw .staleFile(path) }
      return path
    }
    switch self {
    case .output(let pattern): return try Self.lastMatch(of: pattern, in: output, named: "the output")
    case .file(let path, let pattern): return try Self.lastMatch(of: pattern, in: try written(path), named: path)
    case .json(let path, let pointer): return try Self.number(at: pointer, of: try written(path))
    }
  }

  // MARK: - Patterns

  /// The number in the last matching line. Reads from the end, so that a long log costs no more than a short one.
  static func lastMatch(of pattern: String, in path: String, named name: String) throws(Failure) -> Double {
    let regex = try regex(pattern)
    guard let lines = LinesFromTheEnd(path: path) else { throw .noFile(path) }
    while let line = lines.next() {
      // Of several in a line the last.
      guard let match = line.matches(of: regex).last else { continue }
      let group = match.output.count > 1 ? match.output[1].substring : match.output[0].substring
      let text = String(group ?? "")
      guard let number = Double(text.trimmingCharacters(in: .whitespaces)) else {
        throw .notANumber(text, where: name)
      }
      return number
    }
    throw .noMatch(pattern: pattern, where: name)
  }

  // MARK: - JSON

  /// The number at a JSON pointer.
  static func number(at pointer: String, of path: String) throws(Failure) -> Double {
    guard let data = FileManager.default.contents(atPath: path) else { throw .noFile(path) }
    var value: Any
    do {
      value = try JSONSerialization.jsonObject(with: data, options: .fragmentsAllowed)
    } catch {
      let detail = (error as NSError).userInfo["NSDebugDescription"] as? String
      throw .badJSON(path, detail: detail ?? error.localizedDescription)
    }
    for token in pointer.split(separator: "/", omittingEmptySubsequences: false).dropFirst() {
      // RFC 6901, section 4: ~1 first, so that ~01 becomes ~1.
      let token = String(token).replacing("~1", with: "/").replacing("~0", with: "~")
      if let object = value as? [String: Any], let next = object[token] {
        value = next
      } else if let list = value as? [Any], let index = Int(token), list.indices.contains(index) {
        value = list[index]
      } else {
        throw .noValue(pointer: pointer, file: path)
      }
    }
    // A truth is an NSNumber too: of one byte.
    guard let number = value as? NSNumber, String(cString: number.objCType) != "c" else {
      throw .notANumber("\(value)", where: "\(path) at \(pointer)")
    }
    return number.doubleValue
  }
}

/// The lines of a file, the last one first, with a bounded part of it in memory.
public final class LinesFromTheEnd {
  /// Bytes that are read at once.
  private static let block = 1 << 16
  /// A longer line is taken in parts.
  private static let longestLine = 1 << 20

  private let descriptor: Int32
  private var offset: Int
  /// What was read and is not given out yet: the file from `offset` on.
  private var bytes: [UInt8] = []

  /// Opens the file; `nil` when it can't be read.
  public init?(path: String) {
    descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { return nil }
    offset = Int(lseek(descriptor, 0, SEEK_END))
  }

  deinit { if descriptor >= 0 { close(descriptor) } }

  /// The line before, without its end; `nil` at the file's beginning.
  public func next() -> String? {
    while true {
      if let newline = bytes.lastIndex(of: UInt8(ascii: "\n")) {
        let line = String(decoding: bytes[(newline + 1)...], as: UTF8.self)
        bytes.removeSubrange(newline...)
        return line
      }
      if offset <= 0 || bytes.count > Self.longestLine {
        guard !bytes.isEmpty else { return nil }
        defer { bytes = [] }
        return String(decoding: bytes, as: UTF8.self)
      }
      let count = min(Self.block, offset)
      var block = [UInt8](repeating: 0, count: count)
      let read = pread(descriptor, &block, count, off_t(offset - count))
      guard read == count else { return nil }
      offset -= count
      bytes = block + bytes
    }
  }
}
