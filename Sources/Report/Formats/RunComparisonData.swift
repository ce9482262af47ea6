// How does a comparison of runs become data for programs? docs/report-json.md documents both formats.
import Analysis
import Foundation
import ProfileModel

/// Everything as JSON: `Codable` of the result struct, with a format version.
struct RunComparisonJSON {
  /// Of the layout. Raised when a key changes its meaning or goes; new keys don't raise it.
  static let version = 1
  /// What the file is, for a program that finds it.
  static let format = "kiviat-comparison"

  let comparison: RunComparison

  private struct Root: Encodable {
    var format = RunComparisonJSON.format
    var version = RunComparisonJSON.version
    var comparison: RunComparison
  }

  func text() throws -> String {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
    return String(decoding: try encoder.encode(Root(comparison: comparison)), as: UTF8.self) + "\n"
  }
}

/// One tidy table (RFC 4180) with a row a metric, kernel, function or setting.
struct RunComparisonCSV {
  let comparison: RunComparison

  private static let header = [
    "section", "name", "unit", "verdict", "a", "b", "n_a", "n_b", "median_a", "median_b", "ratio", "ratio_lower",
    "ratio_upper", "p", "p_corrected", "reason",
  ]

  func text() -> String {
    var rows = [Self.header]
    for metric in comparison.metrics {
      rows.append(row("metric", metric.name, metric.unit, metric.verdict, metric.contrast))
    }
    if case .measured(let kernels, _) = comparison.kernels {
      let unit = "ns/\(kernels.unit)"
      rows.append(row("kernels", "all", unit, kernels.totalVerdict, kernels.total))
      for kernel in kernels.kernels { rows.append(row("kernel", kernel.name, unit, kernel.verdict, kernel.contrast)) }
      for kernel in kernels.appeared {
        rows.append(row("kernel_appeared", kernel.name, unit, b: NumberFormat.exact(kernel.nanoseconds)))
      }
      for kernel in kernels.vanished {
        rows.append(row("kernel_vanished", kernel.name, unit, a: NumberFormat.exact(kernel.nanoseconds)))
      }
    }
    if case .measured(let flame, _) = comparison.flame {
      for change in flame.changes {
        rows.append(
          row(
            "function_share", flame.functions[change.function].name, "share", a: NumberFormat.exact(change.shareA),
            b: NumberFormat.exact(change.shareB),
            reason: change.isBeyondSamplingError ? "" : "may be sampling error"))
      }
    }
    for difference in comparison.differences {
      rows.append(
        row(
          "difference.\(difference.kind.rawValue)", difference.name, "", a: difference.a.joined(separator: "; "),
          b: difference.b.joined(separator: "; ")))
    }
    for gap in comparison.notCompared {
      for label in gap.labels { rows.append(row("not_compared", label, "", reason: gap.reason)) }
    }
    return rows.map { $0.map(CSVReport.field).joined(separator: ",") + "\r\n" }.joined()
  }

  private func row(
    _ section: String, _ name: String, _ unit: String, a: String = "", b: String = "", reason: String = ""
  ) -> [String] {
    [section, name, unit, "", a, b] + [String](repeating: "", count: 9) + [reason]
  }

  private func row(
    _ section: String, _ name: String, _ unit: String, _ verdict: RunComparison.Verdict, _ contrast: Contrast
  ) -> [String] {
    func number(_ value: Double?) -> String { value.map(NumberFormat.exact) ?? "" }
    return [
      section, name, unit, verdict.rawValue, number(contrast.a.mean), number(contrast.b.mean), "\(contrast.a.count)",
      "\(contrast.b.count)", number(contrast.a.median), number(contrast.b.median), number(contrast.ratio.value),
      number(contrast.interval.value?.lower), number(contrast.interval.value?.upper), number(contrast.pValue.value),
      number(contrast.correctedP.value), contrast.reason?.reason ?? "",
    ]
  }
}
