// Does the page show where the slots went, and say once why it can't?
import Analysis
import ProfileModel
import Testing

@testable import Report

@Suite struct MetricSectionTests {
  static func profile(_ counters: [CounterTotal]) -> Profile {
    func number(_ name: String, _ value: Double) -> Quantity {
      Quantity(name, unit: "1", Measured(.number(value), .kernelAccounting))
    }
    var data = RepetitionData(
      repetition: Repetition(
        index: 0, startedAtUnixNanoseconds: 0, startMonotonicNanoseconds: 0, wallNanoseconds: 2_000_000_000,
        state: .finished, exitStatus: 0))
    data.counters = counters
    return Profile(
      host: [
        Quantity("host.cpu.vendor", Measured(.text("AuthenticAMD"), .kernelAccounting)),
        number("host.cpu.family", 25), number("host.cpu.model_number", 0x11), number("host.cpu.available", 2),
      ], repetitions: [data])
  }

  static let counted: [CounterTotal] = [
    ("ls_not_halted_cyc", 1e6), ("ex_ret_ops", 2_400_000), ("de_src_op_disp.all", 3_000_000),
    ("de_no_dispatch_per_slot.no_ops_from_frontend", 1_200_000), ("de_no_dispatch_per_slot.backend_stalls", 1_500_000),
    ("de_no_dispatch_per_slot.smt_contention", 300_000), ("frontend_empty_cycles", 150_000),
    ("ex_no_retire.not_complete", 400_000), ("ex_no_retire.load_not_complete", 300_000), ("ex_ret_brn_misp", 7000),
    ("resyncs", 3000), ("ex_ret_ucode_ops", 24_000), ("ex_ret_instr", 2_000_000), ("fp_ret_sse_avx_ops", 5_000_000),
    ("task-clock", 1.5e9),
  ].map { name, value in
    CounterTotal(
      event: name,
      value: .measured(value, Provenance(.scaledCounter, runningFraction: 0.42)), interval: value * 0.98...value * 1.02)
  }

  static func page(_ counters: [CounterTotal], as format: ReportFormat) throws -> String {
    try Report.render([Characterization(of: profile(counters))], as: format)
  }

  @Test func theTreeIsABarAndATable() throws {
    let page = try Self.page(Self.counted, as: .html)
    #expect(page.contains("id='metrics'") || page.contains("id=\"metrics\""))
    #expect(page.contains("40.0\u{202F}% of the processor’s slots: retiring"))
    for words in ["fetch latency", "memory bound", "95\u{202F}% interval", "ex_ret_ops / total_slots"] {
      #expect(page.contains(words), "\(words)")
    }
    let markdown = try Self.page(Self.counted, as: .markdown)
    #expect(markdown.contains("back-end bound"))
    let text = try Self.page(Self.counted, as: .text)
    #expect(text.contains("The processor's slots"))
    let csv = try Self.page(Self.counted, as: .csv)
    #expect(csv.contains("metric,retiring,value,0.4,"))
    #expect(csv.contains("metric,retiring,lower,"))
  }

  @Test func theReasonIsToldOnce() throws {
    let why = Unavailable("no hardware PMU here")
    let counters = ["cycles", "instructions"].map { CounterTotal(event: $0, value: .unavailable(why)) }
    let profile = Self.profile(counters + [CounterTotal(event: "task-clock", value: Measured(1e9, .softwareCounter))])
    let builder = ReportBuilder(characterization: Characterization(of: profile))
    let section = try #require(builder.metrics)
    var reasons = 0
    for block in section.blocks {
      switch block {
      case .paragraph(let prose): reasons += prose.plain.contains("no hardware PMU here") ? 1 : 0
      case .table(_, let table, _):
        #expect(table.rows.count == 1)
        #expect(table.rows[0][0].text == "hardware threads busy")
      default: Issue.record("an unexpected block")
      }
    }
    #expect(reasons == 1)
  }
}
