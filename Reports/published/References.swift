// Which suites' published numbers come with Kiviat, and how are they read?
import Analysis
import Foundation
import Suites

/// Numbers that others published about their suites, as sets of members.
public enum References {
  /// What one types after `published:`.
  public static let names = files.map(\.name)

  /// The reference with that name, or the reference file at that path: what has a slash or ends in `.yaml` or `.yml` is a path.
  ///
  /// - Throws: `ManifestError` with file and line.
  public static func memberSet(named name: String) throws -> MemberSet {
    if let file = files.first(where: { $0.name == name.lowercased() }) {
      return try memberSet(reference: String(decoding: file.bytes, as: UTF8.self), named: "\(file.name).yaml")
    }
    guard name.contains("/") || name.hasSuffix(".yaml") || name.hasSuffix(".yml") else {
      throw ManifestError(
        file: "published:\(name)",
        "there is no such reference; there are \(names.joined(separator: ", ")), and files by their path (./\(name).yaml)"
      )
    }
    return try memberSet(reference: text(at: name), named: name)
  }

  /// Reads a reference's text; `file` is what errors call it.
  ///
  /// - Throws: `ManifestError` with file and line.
  public static func memberSet(reference text: String, named file: String) throws(ManifestError) -> MemberSet {
    try ReferenceReader(file: file).memberSet(try Suite.compose(text, named: file))
  }

  private static let files: [(name: String, bytes: [UInt8])] = [
    ("aibench", PackageResources.aibench_yaml), ("mlperf", PackageResources.mlperf_yaml),
    ("aibench-v1.1", PackageResources.aibench_v1_1_yaml), ("aiotbench", PackageResources.aiotbench_yaml),
    ("ai-matrix-cnn", PackageResources.ai_matrix_cnn_yaml),
  ]

  /// No reference of this length was written by a person.
  private static let longest = 1 << 20

  private static func text(at path: String) throws(ManifestError) -> String {
    var isDirectory: ObjCBool = false
    guard FileManager.default.fileExists(atPath: path, isDirectory: &isDirectory), !isDirectory.boolValue else {
      throw ManifestError(
        file: path, isDirectory.boolValue ? "it is a folder, not a reference file" : "there is no such reference file")
    }
    guard let handle = FileHandle(forReadingAtPath: path), let bytes = try? handle.read(upToCount: longest + 1) else {
      throw ManifestError(file: path, "it can't be read, or is empty")
    }
    guard bytes.count <= longest else {
      throw ManifestError(file: path, "it is longer than 1 MiB: that is no reference")
    }
    guard let text = String(bytes: bytes, encoding: .utf8) else {
      throw ManifestError(file: path, "it is not UTF-8 text")
    }
    return text
  }
}
