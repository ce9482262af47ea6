// How are the characterization of a suite and the comparison of two written out?
import Analysis
import Foundation

extension Report {
  /// The report of a suite.
  ///
  /// - Parameter version: Kiviat's own, for the last line.
  public static func render(
    _ suite: SuiteCharacterization, as format: ReportFormat, version: String
  ) throws -> String {
    switch format {
    case .html: HTMLRenderer(documents: [SuitePage(suite: suite, version: version).document()]).page()
    case .markdown: MarkdownRenderer().text(SuitePage(suite: suite, version: version).document())
    case .json: try SuiteJSON.text("kiviat-suite-report", suite)
    case .csv: SuiteCSV(set: suite.set).text()
    case .text: SuiteText.text(suite)
    }
  }

  /// The figures and tables of a suite's report as files for papers.
  public static func figures(of suite: SuiteCharacterization, version: String) -> [FigureFile] {
    FigureFiles.files(of: [SuitePage(suite: suite, version: version).document()])
  }

  /// The figures and tables of the comparison of two suites.
  public static func figures(of comparison: SuiteComparison, version: String) -> [FigureFile] {
    FigureFiles.files(of: [SuiteComparisonPage(comparison: comparison, version: version).document()])
  }

  /// The comparison of two suites.
  public static func render(
    _ comparison: SuiteComparison, as format: ReportFormat, version: String
  ) throws -> String {
    switch format {
    case .html:
      HTMLRenderer(documents: [SuiteComparisonPage(comparison: comparison, version: version).document()]).page()
    case .markdown: MarkdownRenderer().text(SuiteComparisonPage(comparison: comparison, version: version).document())
    case .json: try SuiteJSON.text("kiviat-suite-comparison", comparison)
    case .csv: SuiteCSV(set: comparison.first).text() + SuiteCSV(set: comparison.second).text(withHeader: false)
    case .text: SuiteText.text(comparison)
    }
  }
}

/// A result about suites as JSON: `Codable` of the result struct, with a format and its version.
enum SuiteJSON {
  /// Raised when a key changes its meaning or goes.
  static let version = 1

  private struct Root<Content: Encodable>: Encodable {
    var format: String
    var version: Int
    var report: Content
  }

  static func text(_ format: String, _ content: some Encodable) throws -> String {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
    let data = try encoder.encode(Root(format: format, version: version, report: content))
    return String(decoding: data, as: UTF8.self) + "\n"
  }
}
