// How does a suite's table look in a terminal?
import Foundation
import Report
import Suites

/// One line a run.
enum SuiteTable {
  /// The table, a heading first.
  static func rows(_ record: SuiteRecord) -> [String] {
    var cells = [["id", "benchmark", "state", "time", "samples/s", "epochs", "quality", "target"]]
    for run in record.runs where run.state != .leftOut {
      let benchmark = record.suite.benchmarks.first { $0.id == run.id }
      let quality = run.quality.map { "\(number($0)) \(run.metric ?? "")" } ?? ""
      let target = run.target.map { number($0) + (run.isReached == true ? " reached" : " missed") } ?? ""
      cells.append([
        run.id + (run.number > 1 ? " (\(run.number))" : ""), benchmark?.workloadName ?? "", run.state.rawValue,
        run.seconds.map(ProgressLine.clock) ?? "", run.samplesPerSecond.map(number) ?? "", run.epochs.map(number) ?? "",
        quality, target,
      ])
    }
    return aligned(cells, right: [3, 4, 5])
  }

  /// Columns as wide as their widest cell, two spaces between.
  static func aligned(_ cells: [[String]], right: Set<Int> = []) -> [String] {
    let count = cells.map(\.count).max() ?? 0
    let widths = (0..<count).map { column in cells.map { column < $0.count ? $0[column].count : 0 }.max() ?? 0 }
    return cells.map { row in
      let padded = row.enumerated().map { column, text in
        let pad = String(repeating: " ", count: widths[column] - text.count)
        return right.contains(column) ? pad + text : text + pad
      }
      var line = padded.joined(separator: "  ")
      while line.hasSuffix(" ") { line.removeLast() }
      return line
    }
  }

  /// Four digits that count.
  static func number(_ value: Double) -> String {
    abs(value) < 1e15 && (value == value.rounded() || abs(value) >= 1000)
      ? String(Int(value.rounded())) : String(format: "%.4g", value)
  }
}
