// May this process write that path? Takes the path for one writer and moves an older profile out of the way.
import Foundation

/// An empty file at a path, open and locked for one writer.
struct ProfileFileClaim {
  /// Holds the lock: as long as it is open, no other Kiviat writes the path.
  let descriptor: Int32
  private let path: String
  private let hasMovedOld: Bool

  /// - Throws: `ProfileError` `.notWritable`, `.inUse` or `.wouldOverwrite`; then everything is as it was.
  init(_ path: String) throws {
    self.path = path
    let first = try Self.lock(path)
    var status = stat()
    guard fstat(first, &status) == 0, status.st_size > 0 else {
      descriptor = first
      hasMovedOld = false
      return
    }
    defer { close(first) }
    guard ProfileFileHeader(descriptor: first)?.isProfile == true else {
      throw ProfileError.wouldOverwrite(path: path)
    }
    // A journal that a killed writer left belongs to the old file: without it the old file can't be rolled back, and
    // beside the new one it would be rolled into that.
    if access(path + "-journal", F_OK) == 0 { rename(path + "-journal", path + ".old-journal") }
    guard rename(path, path + ".old") == 0 else {
      throw ProfileError.notWritable(path: path, detail: String(cString: strerror(errno)))
    }
    do {
      descriptor = try Self.lock(path)
    } catch {
      Self.moveBack(path)
      throw error
    }
    hasMovedOld = true
  }

  /// Undoes the claim: nothing was written.
  func giveUp() {
    unlink(path)
    unlink(path + "-journal")
    if hasMovedOld { Self.moveBack(path) }
    close(descriptor)
  }

  private static func moveBack(_ path: String) {
    rename(path + ".old", path)
    if access(path + ".old-journal", F_OK) == 0 { rename(path + ".old-journal", path + "-journal") }
  }

  private static func lock(_ path: String) throws -> Int32 {
    // O_NONBLOCK: a FIFO or a terminal must not keep us waiting before it is refused.
    let descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NONBLOCK, 0o644)
    guard descriptor >= 0 else {
      let cause = errno
      // Not NSString.deletingLastPathComponent: Foundation on Linux traps on ".".
      let folder = path.lastIndex(of: "/").map { path[..<$0] } ?? ""
      let detail =
        cause == ENOENT && !folder.isEmpty ? "the folder \(folder) does not exist" : String(cString: strerror(cause))
      throw ProfileError.notWritable(path: path, detail: detail)
    }
    var status = stat()
    guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
      close(descriptor)
      throw ProfileError.notWritable(path: path, detail: "it is not a regular file")
    }
    guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
      close(descriptor)
      throw ProfileError.inUse(path: path)
    }
    return descriptor
  }
}
