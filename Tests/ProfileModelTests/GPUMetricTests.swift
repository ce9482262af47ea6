// Do nvprof's names mean metrics that today's chips have, and are their formulas right?
import Foundation
import Testing

@testable import ProfileModel

@Suite("nvprof's metrics on today's GPUs")
struct GPUMetricTests {
  /// Tests/GPU/metric-passes.tsv, what CUPTI 12.9 and 13.0 answered: passes by metric and chip, `nil` where it is not.
  static let passes: (chips: [String], rows: [String: [Int?]]) = {
    let path = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .appendingPathComponent("GPU/metric-passes.tsv")
    let lines = ((try? String(contentsOf: path, encoding: .utf8)) ?? "").split(separator: "\n")
    var rows: [String: [Int?]] = [:]
    for line in lines.dropFirst() {
      let fields = line.split(separator: "\t")
      rows[String(fields[0])] = fields.dropFirst().map { Int($0) }
    }
    return (lines.first?.split(separator: "\t").dropFirst().map(String.init) ?? [], rows)
  }()

  @Test("Every term of every alias exists on every chip that the alias is for")
  func exist() throws {
    try #require(Self.passes.chips.count == 8)
    for (column, chip) in Self.passes.chips.enumerated() {
      let metrics = GPUMetric.metrics(ofChip: chip)
      for term in metrics.flatMap(\.terms) {
        let passes = try #require(Self.passes.rows[term.metric])
        #expect(passes[column] != nil, "\(term.metric) on \(chip)")
      }
      // The paper's five metrics and eight stalls; a chip without one lacks the metric.
      let aliases = Set(metrics.map(\.alias))
      #expect(
        aliases.isSuperset(of: [
          "achieved_occupancy", "ipc_efficiency", "gld_efficiency", "gst_efficiency", "dram_utilization",
          "stall_inst_fetch", "stall_exec_dependency", "stall_memory_dependency", "stall_texture", "stall_sync",
          "stall_pipe_busy", "stall_memory_throttle", "dram_read_bytes", "flop_count_sp",
        ]))
      let miss = "smsp__warp_issue_stalled_imc_miss_per_warp_active.pct"
      #expect(aliases.contains("stall_constant_memory_dependency") == (Self.passes.rows[miss]?[column] != nil))
      // Kernel replay pays for each pass; the training loop's budget is made with these.
      #expect(try #require(Self.passes.rows["group headline"]?[column]) <= 3)
      #expect(try #require(Self.passes.rows["group stall"]?[column]) <= 7)
    }
  }

  @Test("No alias has two rows for the same chips, and none is without terms")
  func rows() {
    #expect(Set(GPUMetric.all.map { [$0.alias, $0.chips] }).count == GPUMetric.all.count)
    #expect(GPUMetric.all.allSatisfy { !$0.terms.isEmpty && !$0.definition.isEmpty })
    #expect(Set(GPUMetric.all.map(\.formula)) == Set(GPUMetric.Formula.allCases))
  }

  @Test("Rows are chosen by chip")
  func chips() throws {
    func terms(_ alias: String, _ chip: String) -> [String]? {
      GPUMetric.metrics(ofChip: chip).first { $0.alias == alias }?.terms.map(\.metric)
    }
    #expect(terms("dram_read_bytes", "GB202") == ["fbpa__dram_read_bytes.sum"])
    #expect(terms("dram_read_bytes", "GB100") == ["dram__bytes_read.sum"])
    #expect(terms("stall_exec_dependency", "GH100")?.count == 3)
    #expect(terms("stall_exec_dependency", "GA100")?.count == 2)
    #expect(terms("stall_constant_memory_dependency", "GB100") == nil)
    #expect(terms("bulk_copy_instructions", "GA100") == nil)
  }

  @Test("Formulas, by hand")
  func formulas() throws {
    let metrics = GPUMetric.metrics(ofChip: "GA100")
    func value(_ alias: String, _ values: [String: Double]) -> Double? {
      metrics.first { $0.alias == alias }?.value(from: values, among: metrics)
    }
    #expect(value("achieved_occupancy", ["sm__warps_active.avg.pct_of_peak_sustained_active": 12.3716]) == 0.123716)
    let dram = "dram__throughput.avg.pct_of_peak_sustained_elapsed"
    #expect(
      [0, 0.1, 10, 10.1, 99, 100, 104].map { value("dram_utilization", [dram: $0]) } == [0, 1, 1, 2, 10, 10, 10])
    let flops = ["fadd": 10.0, "fmul": 20, "ffma": 100]
    #expect(
      value(
        "flop_count_sp",
        Dictionary(
          uniqueKeysWithValues: flops.map { ("smsp__sass_thread_inst_executed_op_\($0.key)_pred_on.sum", $0.value) }))
        == 230)
    // 0/0: nothing was loaded.
    let load = "smsp__sass_average_data_bytes_per_sector_mem_global_op_ld.pct"
    #expect(value("gld_efficiency", [load: .nan]) == nil)
    #expect(value("gld_efficiency", [:]) == nil)
  }

  @Test("Stalls add up to 100 whatever the share of cycles that issued")
  func stalls() throws {
    for chip in Self.passes.chips {
      let metrics = GPUMetric.metrics(ofChip: chip)
      let stalls = metrics.filter { $0.formula == .stallShare }
      var values: [String: Double] = [:]
      // A warp issued in 40 % of its cycles: the reasons share the other 60.
      let reasons = stalls.flatMap(\.terms).map(\.metric)
      let weights = reasons.indices.map { Double($0 + 1) }
      for (reason, weight) in zip(reasons, weights) { values[reason] = 60 * weight / weights.reduce(0, +) }
      let shares = try stalls.map { try #require($0.value(from: values, among: metrics)) }
      #expect(abs(shares.reduce(0, +) - 100) < 1e-9)
      let first = try #require(stalls.first)
      let sum = first.terms.reduce(0) { $0 + (values[$1.metric] ?? 0) }
      #expect(abs(shares[0] - sum / 0.6) < 1e-9)
      // No stalls at all, or one that is missing: no number.
      #expect(first.value(from: values.mapValues { _ in 0 }, among: metrics) == nil)
      values[try #require(reasons.last)] = nil
      #expect(first.value(from: values, among: metrics) == nil)
    }
  }

  @Test("Patterns are a shell's")
  func patterns() {
    #expect(GPUMetric.matches("GB202", "GB20[2-9]"))
    #expect(!GPUMetric.matches("GB100", "GB20[2-9]"))
    #expect(!GPUMetric.matches("GB20", "GB20[2-9]"))
    #expect(GPUMetric.matches("AD102", "[!G]*") && !GPUMetric.matches("GA100", "[!G]*"))
    #expect(GPUMetric.matches("", "*") && GPUMetric.matches("x", "*") && !GPUMetric.matches("", "x"))
    #expect(GPUMetric.matches("GA102", "G*2") && !GPUMetric.matches("GA100", "G*2"))
  }

  @Test("A wrong row is refused with its line")
  func wrong() {
    let head = "alias\tgroup\tunit\tformula\tterms\tchips\tdefinition\n"
    for row in [
      "a\tb", "a\tg\tu\tnone\tt\t*\td", "a\tg\tu\tsum\t2 3 t\t*\td", "a\tg\tu\tsum\tx t\t*\td", "a\tg\tu\tsum\t\t*\td",
    ] {
      #expect(throws: GPUMetric.SyntaxError.self) { try GPUMetric.parse(head + row) }
    }
    #expect((try? GPUMetric.parse("# a\n\n" + head))?.isEmpty == true)
  }
}
