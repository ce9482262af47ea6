// How is a comparison of runs written out: as which format, to the last byte?
import Analysis
import Foundation
import ProfileModel

extension Report {
  /// The comparison of two sets of runs.
  ///
  /// - Parameter color: whether the text format may use terminal colours; the caller decides by terminal and `NO_COLOR`.
  public static func render(
    _ comparison: RunComparison, as format: ReportFormat, color: Bool = false
  ) throws -> String {
    switch format {
    case .html: HTMLRenderer(documents: [RunComparisonPage(comparison: comparison).document()]).page()
    case .markdown: MarkdownRenderer().text(RunComparisonPage(comparison: comparison).document())
    case .json: try RunComparisonJSON(comparison: comparison).text()
    case .csv: RunComparisonCSV(comparison: comparison).text()
    case .text: RunComparisonText(comparison: comparison, color: color).text()
    }
  }

  /// The figures and tables of a comparison as files for papers.
  public static func figures(of comparison: RunComparison) -> [FigureFile] {
    FigureFiles.files(of: [RunComparisonPage(comparison: comparison).document()])
  }
}
