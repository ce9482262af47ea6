// What lies in a data directory: the one place that asks the file system, so that every loader fails alike.
import Foundation

/// A directory given with `--data`, checked to exist.
struct DataDirectory {
  let path: String

  /// - Throws: `DataError.directoryMissing`, `.notADirectory`.
  init(_ path: String) throws(DataError) {
    var isDirectory: ObjCBool = false
    guard FileManager.default.fileExists(atPath: path, isDirectory: &isDirectory) else {
      throw .directoryMissing(path: path)
    }
    guard isDirectory.boolValue else { throw .notADirectory(path: path) }
    self.path = path
  }

  /// The path of `name` in this directory.
  func path(of name: String) -> String { path.hasSuffix("/") ? path + name : path + "/" + name }

  /// The first of the names which exists here, as a path.
  func first(of names: [String]) -> String? {
    names.map(path(of:)).first { FileManager.default.fileExists(atPath: $0) }
  }

  /// The first of the names which is a directory here.
  func firstDirectory(of names: [String]) -> DataDirectory? {
    for name in names { if let directory = try? DataDirectory(path(of: name)) { return directory } }
    return nil
  }

  /// Names of the entries, sorted by their bytes so that the order is the same in every locale; hidden ones left out.
  func entries() throws(DataError) -> [String] {
    let names: [String]
    do {
      names = try FileManager.default.contentsOfDirectory(atPath: path)
    } catch {
      throw .unreadable(path: path, reason: error.localizedDescription)
    }
    return names.filter { !$0.hasPrefix(".") }.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
  }

  /// The sub-directories, sorted.
  func subdirectories() throws(DataError) -> [String] {
    var names: [String] = []
    for name in try entries() where (try? DataDirectory(path(of: name))) != nil { names.append(name) }
    return names
  }

  /// The error for a directory without any of the expected files, with what is there instead.
  func wrongFormat(expected: [String]) -> DataError {
    let all = (try? entries()) ?? []
    let found = all.count > 8 ? all.prefix(8) + ["… (\(all.count) entries)"] : all
    return .wrongFormat(path: path, expected: expected, found: Array(found))
  }
}
