// What does a person in a terminal need to see of a comparison, in at most 40 lines?
import Analysis
import ProfileModel

/// The summary for a terminal: 40 lines, 100 columns at most.
struct RunComparisonText {
  /// Lines at most.
  static let lineLimit = 40
  /// Columns at most.
  static let width = 100

  let comparison: RunComparison
  var color = false

  func text() -> String {
    var lines: [String] = []
    for (index, sentence) in comparison.summary.enumerated() {
      lines += wrapped(VisibleText.visible(sentence), indent: 0).map { index == 0 ? paint($0, verdictColor) : $0 }
    }
    for (label, side) in [("A", comparison.a), ("B", comparison.b)] {
      let counted =
        side.counted == side.repetitions ? "\(side.counted)" : "\(side.counted) of \(side.repetitions)"
      let runs = "\(counted) \(side.repetitions == 1 ? "repetition" : "repetitions")"
      lines.append(cut("  \(label)  \(VisibleText.visible(side.name)): \(VisibleText.visible(side.title)), \(runs)"))
    }
    for remark in comparison.remarks.prefix(6) {
      lines += wrapped("Note: " + VisibleText.visible(remark), indent: 2).prefix(3).map { paint($0, "33") }
    }
    lines.append("")
    lines += table(
      comparison.metrics.prefix(14).map {
        Row(label: $0.label, contrast: $0.contrast, unit: $0.unit, verdict: $0.verdict)
      })
    if comparison.metrics.count > 14 { lines.append("  and \(comparison.metrics.count - 14) more") }
    lines += kernels()
    if lines.count > Self.lineLimit { lines = Array(lines.prefix(Self.lineLimit)) }
    return lines.joined(separator: "\n") + "\n"
  }

  private func kernels() -> [String] {
    guard case .measured(let kernels, _) = comparison.kernels, !kernels.kernels.isEmpty else { return [] }
    var lines = ["", paint("  Kernels that differ most, time a \(kernels.unit)", "1")]
    lines += table(
      kernels.kernels.prefix(6).map { Row(label: $0.name, contrast: $0.contrast, unit: "ns", verdict: $0.verdict) })
    for (word, singles) in [("Only in B", kernels.appeared), ("Only in A", kernels.vanished)] where !singles.isEmpty {
      let names = singles.prefix(3).map { VisibleText.shortened(VisibleText.visible($0.name), to: 40) }
      lines.append(
        cut("  \(word): " + names.joined(separator: ", ") + (singles.count > 3 ? " and \(singles.count - 3) more" : ""))
      )
    }
    return lines
  }

  private struct Row {
    var label: String
    var contrast: Contrast
    var unit: String
    var verdict: RunComparison.Verdict
  }

  private func table(_ rows: [Row]) -> [String] {
    let cells = rows.map { row -> [String] in
      let contrast = row.contrast
      let interval = contrast.effectInterval.map {
        "\(RunComparisonPage.change($0.lower)) to \(RunComparisonPage.change($0.upper))"
      }
      return [
        VisibleText.shortened(VisibleText.visible(row.label), to: 32),
        contrast.a.mean.map { NumberFormat.quantity($0, unit: row.unit) } ?? NumberFormat.none,
        contrast.b.mean.map { NumberFormat.quantity($0, unit: row.unit) } ?? NumberFormat.none,
        contrast.effect.map(RunComparisonPage.change) ?? NumberFormat.none, interval ?? "",
      ]
    }
    let widths = (0..<5).map { column in cells.map { $0[column].count }.max() ?? 0 }
    return zip(rows, cells).map { row, cells in
      let padded = cells.enumerated().map { index, cell in
        let pad = String(repeating: " ", count: widths[index] - cell.count)
        return index == 0 || index == 4 ? cell + pad : pad + cell
      }
      return "  " + padded.joined(separator: "  ") + "  " + paint(row.verdict.rawValue, color(row))
    }
  }

  private var verdictColor: String {
    switch comparison.verdict {
    case .faster: "1;32"
    case .slower: "1;31"
    default: "1"
    }
  }

  private func color(_ row: Row) -> String {
    switch row.verdict {
    case .faster: "32"
    case .slower: "31"
    case .cantTell: "2"
    case .higher, .lower, .same: "0"
    }
  }

  private func wrapped(_ text: String, indent: Int) -> [String] {
    var lines: [String] = []
    var line = ""
    for word in text.split(separator: " ") {
      let word = VisibleText.shortened(String(word), to: Self.width - indent)
      if !line.isEmpty, line.count + 1 + word.count > Self.width - indent {
        lines.append(line)
        line = ""
      }
      line += (line.isEmpty ? "" : " ") + word
    }
    if !line.isEmpty { lines.append(line) }
    return lines.map { String(repeating: " ", count: indent) + $0 }
  }

  private func cut(_ text: String) -> String { VisibleText.shortened(text, to: Self.width) }

  private func paint(_ text: String, _ code: String) -> String { color ? "\u{1B}[\(code)m\(text)\u{1B}[0m" : text }
}
