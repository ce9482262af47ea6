// How is a subset of a suite written out, in each format?
import Analysis
import Foundation

extension Report {
  /// A subset of a suite with the rules, the cost and the evidence.
  ///
  /// - Parameter color: whether the text format may use terminal colours.
  public static func render(_ choice: SubsetChoice, as format: ReportFormat, color: Bool = false) throws -> String {
    switch format {
    case .html: return HTMLRenderer(documents: [SubsetPage.document(choice)]).page()
    case .markdown: return MarkdownRenderer().text(SubsetPage.document(choice))
    case .json:
      let encoder = JSONEncoder()
      // Sorted, so that two results can be compared line by line.
      encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
      return String(decoding: try encoder.encode(SubsetRoot(subset: choice)), as: UTF8.self) + "\n"
    case .csv: return SubsetCSV(choice: choice).text()
    case .text: return SubsetText(choice: choice, color: color).text()
    }
  }

  /// What the JSON file is, for a program that finds it.
  private struct SubsetRoot: Encodable {
    var format = "kiviat-subset"
    var version = 1
    var subset: SubsetChoice
  }
}
