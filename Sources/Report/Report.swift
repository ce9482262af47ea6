// How is a characterization written out: as which format, to the last byte?
import Analysis

/// The formats of a report.
public enum ReportFormat: String, CaseIterable, Sendable {
  /// One self-contained page with charts.
  case html
  /// The same content as text and tables.
  case markdown
  /// Everything, for programs: `docs/report-json.md`.
  case json
  /// One long tidy table of every number, for a spreadsheet or data frame.
  case csv
  /// The summary for a terminal, at most 40 lines a profile.
  case text

  /// The usual extension of a file in this format, without a dot.
  public var fileExtension: String {
    switch self {
    case .html: "html"
    case .markdown: "md"
    case .json: "json"
    case .csv: "csv"
    case .text: "txt"
    }
  }
}

/// Writes characterizations out. Names, paths and messages in a profile are untrusted and are escaped for each format.
public enum Report {
  /// The report of one profile.
  public static func render(_ characterization: Characterization, as format: ReportFormat) throws -> String {
    try render([characterization], as: format)
  }

  /// The report of several profiles, one after the other in one document.
  ///
  /// - Parameter color: whether the text format may use terminal colours; the caller decides by terminal and `NO_COLOR`.
  public static func render(
    _ characterizations: [Characterization], as format: ReportFormat, color: Bool = false
  ) throws -> String {
    switch format {
    case .html:
      // A page stays small enough to mail: its profiles share the room that one has for itself, and what each needs in any
      // case, half of a page, comes on top.
      HTMLRenderer(
        documents: characterizations.map {
          ReportBuilder(
            characterization: $0, detail: characterizations.count == 1 ? 1 : 0.5 / Double(characterizations.count)
          ).document()
        }
      ).page()
    case .markdown:
      characterizations.map { MarkdownRenderer().text(ReportBuilder(characterization: $0).document()) }
        .joined(separator: "\n---\n\n")
    case .json: try JSONReport(characterizations).text()
    case .csv: CSVReport(characterizations).text()
    case .text: characterizations.map { TextReport($0, color: color).text() }.joined(separator: "\n")
    }
  }
}
