// Which suite's numbers does a word on the command line mean: measured ones in a folder, or published ones?
import Analysis
import Foundation
import References

/// `published:NAME`, `published:path/to/file.yaml`, or a folder of profiles.
enum MemberSetArgument {
  /// What marks published numbers.
  static let prefix = "published:"

  /// The members with their numbers.
  static func memberSet(_ word: String) throws -> MemberSet {
    guard word.hasPrefix(prefix) else { return try measured(word) }
    do {
      return try References.memberSet(named: String(word.dropFirst(prefix.count)))
    } catch {
      throw Failure(message: "\(error)", status: 64)
    }
  }

  private static func measured(_ folder: String) throws -> MemberSet {
    var isDirectory: ObjCBool = false
    guard FileManager.default.fileExists(atPath: folder, isDirectory: &isDirectory) else {
      let hint =
        References.names.contains(folder.lowercased())
        ? "; its published numbers are \(prefix)\(folder.lowercased())" : ""
      throw Failure(message: "there is no folder \(folder): `kiviat profile SUITE -o DIR` makes one\(hint)", status: 64)
    }
    guard isDirectory.boolValue else {
      throw Failure(
        message: "\(folder) is no folder of profiles; a file of published numbers is \(prefix)\(folder)", status: 64)
    }
    return try SuiteMembers.read(folder: folder)
  }
}
