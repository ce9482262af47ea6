// How are the built-in benchmarks listed for a person, in 120 columns?
import Foundation

/// Three lines a benchmark: what it is, and either scale with target and size.
enum BenchmarkTable {
  static let width = 120

  static func text(_ benchmarks: [WorkloadTool.Benchmark]) -> String {
    let id = (benchmarks.map(\.id.count).max() ?? 0) + 2
    let name = (benchmarks.map(\.name.count).max() ?? 0) + 2
    let scales = benchmarks.flatMap { [row("paper", $0.paper), row("small", $0.small)] }
    let lines = SuiteTable.aligned(scales, right: [2, 3])
    var result = ""
    for (index, benchmark) in benchmarks.enumerated() {
      let head = pad(benchmark.id, id) + pad(benchmark.name, name)
      result += wrapped("\(benchmark.task): \(benchmark.model) on \(benchmark.dataSet)", after: head) + "\n"
      for line in lines[(2 * index)...(2 * index + 1)] { result += String(repeating: " ", count: id) + line + "\n" }
    }
    return result
  }

  private static func row(_ name: String, _ scale: WorkloadTool.Benchmark.Scale) -> [String] {
    let target = scale.target
    return [
      name, "\(target.metric) \(target.isHigherBetter ? "≥" : "≤") \(SuiteTable.number(target.value))",
      scale.parameters.map { "\(short($0)) parameters" } ?? "parameters vary",
      scale.forwardFLOPs.map { "\(short($0))FLOP a sample" } ?? "FLOPs vary",
    ]
  }

  /// `25.6 M`, `8.18 G`: three digits.
  static func short(_ value: Double) -> String {
    let units: [(Double, String)] = [(1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")]
    guard let (factor, unit) = units.first(where: { value >= $0.0 * 0.9995 }) else { return "\(Int(value)) " }
    let scaled = value / factor
    return String(format: scaled < 9.995 ? "%.2f" : scaled < 99.95 ? "%.1f" : "%.0f", scaled) + " " + unit
  }

  private static func pad(_ text: String, _ width: Int) -> String {
    text + String(repeating: " ", count: max(width - text.count, 1))
  }

  private static func wrapped(_ text: String, after head: String) -> String {
    var lines = [head]
    var isEmpty = true
    for word in text.split(separator: " ") {
      if !isEmpty, lines[lines.count - 1].count + 1 + word.count > width {
        lines.append(String(repeating: " ", count: head.count))
        isEmpty = true
      }
      lines[lines.count - 1] += (isEmpty ? "" : " ") + word
      isEmpty = false
    }
    return lines.joined(separator: "\n")
  }
}
