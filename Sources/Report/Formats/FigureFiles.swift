// Which files does a report's figures become, for papers and slides?
import Analysis
import ProfileModel

/// A file that a figure or a table became.
public struct FigureFile: Hashable, Sendable {
  /// ASCII letters, digits, `-` and one `.`: no folder.
  public var name: String
  /// UTF-8 text.
  public var contents: String

  /// Makes a file.
  public init(name: String, contents: String) {
    self.name = name
    self.contents = contents
  }
}

extension Report {
  /// Every figure of the profiles' reports as SVG, and the numbers of every figure and table as CSV and as LaTeX.
  ///
  /// A figure has the number that it has on the page: `03-roofline.svg`, `03-roofline.csv`, `03-roofline.tex`; a table on its
  /// own is `t02-kernels-….csv` and `.tex`. Of several profiles each has a prefix: `p1-`, `p2-`.
  public static func figures(of characterizations: [Characterization]) -> [FigureFile] {
    FigureFiles.files(of: characterizations.map { ReportBuilder(characterization: $0).document() })
  }
}

/// Figures and tables of documents as files.
enum FigureFiles {
  /// The files, in the order of the page; their names differ from each other.
  static func files(of documents: [ReportDocument]) -> [FigureFile] {
    documents.enumerated().flatMap { index, document in
      files(of: document, prefix: documents.count > 1 ? "p\(index + 1)-" : "")
    }
  }

  private static func files(of document: ReportDocument, prefix: String) -> [FigureFile] {
    var files: [FigureFile] = []
    var taken: Set<String> = []
    var (figures, tables) = (0, 0)
    func unique(_ name: String) -> String {
      var result = name
      var number = 2
      while !taken.insert(result).inserted {
        result = "\(name)-\(number)"
        number += 1
      }
      return result
    }
    func add(_ table: Table, name: String, caption: Prose, origin: String, provenance: Provenance? = nil) {
      files.append(FigureFile(name: name + ".csv", contents: CSVTable.text(table, provenance: provenance)))
      files.append(
        FigureFile(
          name: name + ".tex",
          contents: LaTeXTable.text(
            table, caption: caption, label: name, origin: origin, provenance: provenance)))
    }
    func addTable(_ table: Table, section: ReportDocument.Section, title: Prose) {
      tables += 1
      let words = slug(title)
      let parts = [slug(section.id), words].filter { !$0.isEmpty }
      add(
        table, name: unique("\(prefix)t\(two(tables))-\(parts.isEmpty ? "table" : parts.joined(separator: "-"))"),
        caption: title, origin: "Kiviat, table \(tables) of the report on \(document.title)")
    }
    for section in document.sections {
      for block in section.blocks {
        switch block {
        case .figure(let figure):
          figures += 1
          let name = unique("\(prefix)\(two(figures))-\(self.name(of: figure, in: section))")
          files.append(
            FigureFile(
              name: name + ".svg",
              contents: StandaloneSVG.text(
                figure.drawing, title: figure.title.plain, description: description(of: figure))))
          add(
            figure.table, name: name, caption: figure.title,
            origin: "Kiviat, the numbers of figure \(figures) of the report on \(document.title)",
            provenance: figure.provenance)
        case .table(let title, let table, _): addTable(table, section: section, title: title)
        case .keyFigures(let figures):
          let rows = figures.map { [Table.Cell($0.label), $0.cell] }
          addTable(
            Table(columns: [.name("Figure"), Table.Column("Value")], rows: rows), section: section, title: "")
        case .paragraph, .note, .verdicts, .gaps, .provenanceLegend: continue
        }
      }
    }
    return files
  }

  /// A figure's section and kind: its title has measured numbers and names in it, which differ from run to run.
  private static func name(of figure: ReportDocument.Figure, in section: ReportDocument.Section) -> String {
    let kind =
      switch figure.drawing {
      case .flame: "flame-graph"
      case .chart(let chart): hyphenated(String(describing: type(of: chart)))
      }
    let place = slug(section.id)
    // Not `roofline-roofline`.
    return place.isEmpty ? kind : kind.hasPrefix(place) ? kind : "\(place)-\(kind)"
  }

  /// `StackedBarChart` is `stacked-bar`.
  private static func hyphenated(_ typeName: String) -> String {
    let name = typeName.hasSuffix("Chart") ? String(typeName.dropLast(5)) : typeName
    var result = ""
    for character in name {
      if character.isUppercase, !result.isEmpty { result += "-" }
      result += character.lowercased()
    }
    return result
  }

  private static func description(of figure: ReportDocument.Figure) -> String {
    let summary =
      switch figure.drawing {
      case .flame(let chart): chart.summary
      case .chart(let chart): chart.summary
      }
    return [summary, figure.caption?.plain ?? "", figure.provenance.map { "Values: \($0.words)." } ?? ""]
      .filter { !$0.isEmpty }.joined(separator: " ")
  }

  /// The words of a title that are the same for every run: names of things and numbers are not.
  private static func slug(_ title: Prose) -> String {
    let words = title.runs.map { run in
      switch run {
      case .text(let text), .strong(let text): text
      case .code, .value, .missing: " "
      }
    }
    return slug(words.joined())
  }

  /// Lowercase ASCII with hyphens, at most 40 characters, without words that hold a digit.
  static func slug(_ text: String) -> String {
    var words: [String] = [""]
    for scalar in text.unicodeScalars.prefix(400) {
      switch scalar {
      case "a"..."z", "0"..."9": words[words.count - 1].unicodeScalars.append(scalar)
      case "A"..."Z": words[words.count - 1] += String(scalar).lowercased()
      // A letter that we can't write would leave half a word.
      case "'", "’": continue
      default: words.append("")
      }
    }
    var result = ""
    for word in words where !word.isEmpty && !word.contains(where: \.isNumber) {
      let longer = result.isEmpty ? String(word.prefix(40)) : "\(result)-\(word)"
      guard longer.utf8.count <= 40 else { break }
      result = longer
    }
    return result
  }

  private static func two(_ number: Int) -> String { number < 10 ? "0\(number)" : "\(number)" }
}
