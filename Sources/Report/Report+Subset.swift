// How is a subset of a suite written out, in each format?
import Analysis

extension Report {
  /// A subset of a suite with the rules, the cost and the evidence.
  ///
  /// - Parameters:
  ///   - version: Kiviat's own, for the last line.
  ///   - color: whether the text format may use terminal colours.
  public static func render(
    _ choice: SubsetChoice, as format: ReportFormat, version: String, color: Bool = false
  ) throws -> String {
    switch format {
    case .html: HTMLRenderer(documents: [SubsetPage.document(choice, version: version)]).page()
    case .markdown: MarkdownRenderer().text(SubsetPage.document(choice, version: version))
    case .json: try SuiteJSON.text("kiviat-subset", choice)
    case .csv: SubsetCSV(choice: choice).text()
    case .text: SubsetText(choice: choice, color: color).text()
    }
  }

  /// The figures and tables of a subset as files for papers.
  public static func figures(of choice: SubsetChoice, version: String) -> [FigureFile] {
    FigureFiles.files(of: [SubsetPage.document(choice, version: version)])
  }
}
