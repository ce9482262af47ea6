// How does a document become Markdown (CommonMark with GitHub's tables)?
import ProfileModel

/// Writes a document as Markdown: the same words and numbers as the page, charts as their tables.
struct MarkdownRenderer {
  func text(_ document: ReportDocument) -> String {
    var out = "# \(Self.escaped(VisibleText.shortened(document.title, to: 300)))\n\n"
    out += "*\(Self.escaped(document.kicker))*\n\n"
    out += document.summary.map(Self.escaped).joined(separator: " ") + "\n\n"
    if let overview = document.overview { out += prose(overview) + "\n\n" }
    for fact in document.facts { out += "- **\(Self.escaped(fact.label))**: \(prose(fact.value))\n" }
    var figure = 0
    for section in document.sections {
      out += "\n## \(Self.escaped(section.title))\n\n"
      for block in section.blocks { out += text(block, figure: &figure) + "\n" }
    }
    return out + "\n\(Self.escaped(document.colophon))\n"
  }

  private func text(_ block: ReportDocument.Block, figure number: inout Int) -> String {
    switch block {
    case .paragraph(let text): return prose(text) + "\n"
    case .note(let note): return "> **\(note.level == .warning ? "Warning" : "Note")**: \(Self.escaped(note.message))\n"
    case .keyFigures(let figures):
      let table = Table(
        columns: [.name("Figure"), Table.Column("Value")], rows: figures.map { [Table.Cell($0.label), $0.cell] })
      return self.table(table)
    case .verdicts(let verdicts):
      return verdicts.map { verdict in
        let evidence = verdict.evidence.map { "\($0.label) \($0.value)" + ($0.bound.map { ", bound \($0)" } ?? "") }
          .joined(separator: "; ")
        let advice = verdict.advice.map { "\n  - \(Self.escaped($0))" }.joined()
        return "- **\(Self.escaped(verdict.statement))**"
          + (evidence.isEmpty ? "" : " (\(Self.escaped(evidence)))") + advice + "\n"
      }.joined()
    case .figure(let figure):
      number += 1
      let provenance = figure.provenance.map { " *(\(Self.escaped($0.words)))*" } ?? ""
      let caption = figure.caption.map { "\n\(prose($0))\n" } ?? ""
      return "**Figure \(number).** \(prose(figure.title))\(provenance)\n\n\(table(figure.table))\(caption)"
    case .table(let title, let table, _): return "### \(prose(title))\n\n\(self.table(table))"
    case .gaps(let gaps):
      return gaps.map { gap in
        let names = gap.names.map(Self.code).joined(separator: " ")
        let method = gap.method.map { "\n  - used instead: \(Self.escaped($0))" } ?? ""
        let remedy = gap.remedy.map { "\n  - what helps: \(Self.code($0))" } ?? ""
        let what = [Self.escaped(gap.what), names].filter { !$0.isEmpty }.joined(separator: " ")
        return "- **\(gap.state)**: \(what) — \(Self.escaped(gap.reason))\(method)\(remedy)\n"
      }.joined()
    case .provenanceLegend:
      return Provenance.Source.allCases.map { "- (\($0.mark)) \($0.rawValue): \(Self.escaped($0.explanation))\n" }
        .joined()
    }
  }

  private func table(_ table: Table) -> String {
    let common = table.columns.indices.map { table.commonProvenance(ofColumn: $0) }
    var out = "|"
    for (column, provenance) in zip(table.columns, common) {
      out += " \(Self.escaped(column.title))\(provenance.map { " (\($0.source.mark))" } ?? "") |"
    }
    out += "\n|" + table.columns.map { $0.isNumeric ? " ---: |" : " --- |" }.joined() + "\n"
    for row in table.rows {
      out += "|"
      for (index, cell) in row.enumerated() where index < table.columns.count {
        var text =
          cell.text.isEmpty
          ? ""
          : cell.isCode
            ? Self.code(VisibleText.shortened(cell.text, to: 200))
            : Self.escaped(VisibleText.shortened(cell.text, to: 500))
        if common[index] == nil, let provenance = cell.provenance { text += " (\(provenance.source.mark))" }
        out += " \(text) |"
      }
      out += "\n"
    }
    let reasons = Self.reasons(table)
    return out + (reasons.isEmpty ? "" : "\n\(reasons)") + (table.note.map { "\n\(prose($0))\n" } ?? "")
  }

  /// Why cells hold a dash, each reason once: Markdown has no hover.
  private static func reasons(_ table: Table) -> String {
    var seen: [String] = []
    for cell in table.rows.joined() {
      guard let unavailable = cell.unavailable else { continue }
      let words = HTMLTable.words(unavailable)
      if !seen.contains(words), seen.count < 8 { seen.append(words) }
    }
    return seen.map { "- \(NumberFormat.none): \(escaped($0))\n" }.joined()
  }

  private func prose(_ prose: Prose) -> String {
    prose.runs.map { run in
      switch run {
      case .text(let text): Self.escaped(text)
      case .strong(let text): "**\(Self.escaped(text))**"
      case .code(let text): Self.code(VisibleText.shortened(text, to: 300))
      case .value(let text, let provenance): "\(Self.escaped(text)) (\(provenance.source.mark))"
      case .missing(let unavailable): "\(NumberFormat.none) (\(Self.escaped(unavailable.reason)))"
      }
    }.joined()
  }

  /// Text that Markdown shows as it is: no emphasis, link, autolink, HTML or table cell comes of it.
  static func escaped(_ text: String) -> String {
    var result = ""
    for scalar in VisibleText.visible(text).unicodeScalars {
      switch scalar {
      case "\\", "`", "*", "_", "[", "]", "|", "~", "!", "#": result += "\\\(scalar)"
      case "<": result += "&lt;"
      case ">": result += "&gt;"
      case "&": result += "&amp;"
      // A bare address would become a link.
      case ":": result += result.hasSuffix("http") || result.hasSuffix("https") || result.hasSuffix("ftp") ? "\\:" : ":"
      case "@": result += "\\@"
      default: result.unicodeScalars.append(scalar)
      }
    }
    return result
  }

  /// A code span: its fence is longer than any run of backticks within.
  static func code(_ text: String) -> String {
    let visible = VisibleText.visible(text).replacing("|", with: "\\|")
    guard !visible.isEmpty else { return "" }
    var longest = 0
    var run = 0
    for character in visible {
      run = character == "`" ? run + 1 : 0
      longest = max(longest, run)
    }
    let fence = String(repeating: "`", count: longest + 1)
    // A space keeps a backtick at the edge from joining the fence.
    let pad = visible.hasPrefix("`") || visible.hasSuffix("`") ? " " : ""
    return fence + pad + visible + pad + fence
  }
}
