// Where do the target and the collectors meet on disk while it runs?
import Glibc
import ProfileModel

/// A private folder of one repetition, deleted when it is no longer needed.
final class RunDirectory {
  /// Its path.
  let path: String

  /// Makes it in `TMPDIR`, or in `/tmp`.
  ///
  /// - Throws: `SystemCallError`.
  init() throws(SystemCallError) {
    let parent = getenv("TMPDIR").map { String(cString: $0) } ?? ""
    var template = Array("\(parent.isEmpty ? "/tmp" : parent)/kiviat-XXXXXX".utf8CString)
    guard mkdtemp(&template) != nil else { throw SystemCallError(call: "mkdtemp", code: errno) }
    path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }

  deinit { Self.remove(path, depth: 0) }

  /// Deletes a tree without following links.
  private static func remove(_ path: String, depth: Int) {
    if rmdir(path) == 0 || unlink(path) == 0 { return }
    var status = stat()
    guard depth < 64, lstat(path, &status) == 0, status.st_mode & S_IFMT == S_IFDIR else { return }
    for name in names(inDirectory: path) { remove("\(path)/\(name)", depth: depth + 1) }
    rmdir(path)
  }
}
