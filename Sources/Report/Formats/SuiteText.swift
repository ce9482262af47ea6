// What does a person in a terminal need to see of a suite, or of two?
import Analysis
import Foundation
import ProfileModel

/// Sentences and one table, 100 columns at most.
enum SuiteText {
  static let width = 100

  static func text(_ suite: SuiteCharacterization) -> String {
    var lines = [VisibleText.visible(suite.set.title), ""]
    lines += suite.set.remarks.flatMap { paragraph("Warning: " + $0) }
    lines += suite.words.flatMap(paragraph) + [""]
    lines += table(
      ["benchmark", "runs", "epochs", "CV (n)", "to quality", "group"],
      suite.set.members.map { member in
        let cluster = suite.similarity.value.flatMap { similarity in
          similarity.features.members.firstIndex(of: member.id).map { similarity.grouping.labels[$0] + 1 }
        }
        return [
          member.title, "\(member.runs.count(where: \.isCounted))",
          member.epochs.value.map { NumberFormat.decimal($0) } ?? NumberFormat.none,
          member.variation.value.map { NumberFormat.percent($0.populationCV) } ?? NumberFormat.none,
          member.secondsToQuality.value.map(SuitePage.seconds) ?? NumberFormat.none, cluster.map(String.init) ?? "—",
        ]
      })
    return lines.joined(separator: "\n") + "\n"
  }

  static func text(_ comparison: SuiteComparison) -> String {
    var lines = [VisibleText.visible("\(comparison.first.title) and \(comparison.second.title)"), ""]
    lines += comparison.words.flatMap(paragraph) + [""]
    lines += table(
      ["characteristic", comparison.first.name, comparison.second.name, "ratio of peaks"],
      comparison.ranges.map { range in
        func side(_ side: Measured<SuiteComparison.Range.Side>) -> String {
          side.value.map {
            "\(NumberFormat.quantity($0.least, unit: range.unit)) – \(NumberFormat.quantity($0.greatest, unit: range.unit))"
          } ?? NumberFormat.none
        }
        return [
          range.name, side(range.first), side(range.second),
          range.peakRatio.value.map { NumberFormat.decimal($0) } ?? NumberFormat.none,
        ]
      })
    if !comparison.remarks.isEmpty { lines += ["", "About the numbers:"] + comparison.remarks.flatMap(paragraph) }
    return lines.joined(separator: "\n") + "\n"
  }

  /// A paragraph, broken into lines.
  private static func paragraph(_ text: String) -> [String] {
    var lines = [""]
    for word in VisibleText.visible(text).split(separator: " ") {
      let last = lines[lines.count - 1]
      if last.isEmpty {
        lines[lines.count - 1] = "  " + word
      } else if last.count + 1 + word.count <= width {
        lines[lines.count - 1] = last + " " + word
      } else {
        lines.append("  " + word)
      }
    }
    return lines
  }

  private static func table(_ header: [String], _ rows: [[String]]) -> [String] {
    let cells = ([header] + rows).map { $0.map { VisibleText.shortened(VisibleText.visible($0), to: 48) } }
    let widths = header.indices.map { column in cells.map { $0[column].count }.max() ?? 0 }
    return cells.map { row in
      let parts = row.enumerated().map { column, text -> String in
        let pad = String(repeating: " ", count: max(0, widths[column] - text.count))
        return column == 0 ? text + pad : pad + text
      }
      return "  " + parts.joined(separator: "  ")
    }
  }
}
