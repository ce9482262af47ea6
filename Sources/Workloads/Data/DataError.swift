// What can be wrong with a data directory, and what to do about it.

/// Why a data set cannot be used. Every message names the path, what is wrong and what would be right.
public enum DataError: Error, Hashable, CustomStringConvertible {
  /// The directory named by `--data` does not exist.
  case directoryMissing(path: String)
  /// The path names a file where a directory belongs.
  case notADirectory(path: String)
  /// The directory exists, but holds nothing of the expected format. `expected` lists the file names looked for,
  /// `found` the first names there.
  case wrongFormat(path: String, expected: [String], found: [String])
  /// The right folders or files, but no sample in them.
  case empty(path: String, expected: String)
  /// A file that cannot be opened or read; `reason` is the operating system's.
  case unreadable(path: String, reason: String)
  /// A file that is not in its format: wrong magic number, sizes that do not fit, cut short.
  case corruptFile(path: String, reason: String)
  /// A line of a text file that does not follow the format. Lines count from 1.
  case malformedLine(path: String, line: Int, text: String, expected: String)
  /// An image that cannot be decoded. `reason` is the decoder's own message.
  case corruptImage(path: String, reason: String)
  /// The data set is sound but does not fit the benchmark.
  case unsuitable(path: String, reason: String)

  /// The cause and the way out.
  public var description: String {
    switch self {
    case .directoryMissing(let path):
      "data directory \(path) does not exist. Give an existing one with --data DIR, "
        + "or leave --data out to use synthetic data."
    case .notADirectory(let path):
      "\(path) is a file; --data takes the directory that holds the data set."
    case .wrongFormat(let path, let expected, let found):
      "\(path) does not hold this benchmark's data set. Expected \(expected.joined(separator: ", or ")); found "
        + (found.isEmpty ? "nothing" : found.joined(separator: ", ")) + "."
    case .empty(let path, let expected):
      "\(path) holds no sample: expected \(expected)."
    case .unreadable(let path, let reason):
      "cannot read \(path): \(reason)."
    case .corruptFile(let path, let reason):
      "\(path) is damaged: \(reason). Fetch the file again."
    case .malformedLine(let path, let line, let text, let expected):
      "\(path), line \(line): expected \(expected), found \"\(text)\". Mend or remove the line."
    case .corruptImage(let path, let reason):
      "cannot decode the image \(path): \(reason). Replace the file or remove it from the data set."
    case .unsuitable(let path, let reason):
      "\(path) does not suit this benchmark: \(reason)."
    }
  }
}
