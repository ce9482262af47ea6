// How does a characterization become JSON for programs? docs/report-json.md documents it.
import Analysis
import Foundation
import ProfileModel

/// Everything as JSON: `Codable` of the result structs, with a format version.
struct JSONReport {
  /// Of the JSON layout: a consumer checks it. Raised when a key changes its meaning or goes; new keys don't raise it.
  static let version = 1
  /// What the file is, for a program that finds it.
  static let format = "kiviat-report"

  let characterizations: [Characterization]

  init(_ characterizations: [Characterization]) { self.characterizations = characterizations }

  private struct Root: Encodable {
    var format = JSONReport.format
    var version = JSONReport.version
    var reports: [Characterization]
  }

  func text() throws -> String {
    let encoder = JSONEncoder()
    // Sorted, so that two reports can be compared line by line.
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
    let data = try encoder.encode(Root(reports: characterizations))
    return String(decoding: data, as: UTF8.self) + "\n"
  }
}
