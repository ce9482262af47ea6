// Does a profile's characterization hold what its counts say about its processor?
import ProfileModel
import Testing

@testable import Analysis

@Suite struct MetricSummaryTests {
  static func text(_ name: String, _ text: String) -> Quantity {
    Quantity(name, Measured(.text(text), .kernelAccounting))
  }

  /// A Zen 4 with counts whose top-down result is plain: 6 million slots.
  static func zen4(settings: [String: String] = [:], scaled: Bool = false) -> Profile {
    let host = [
      text("host.cpu.vendor", "AuthenticAMD"), quantity("host.cpu.family", 25, "1"),
      quantity("host.cpu.model_number", 0x11, "1"), quantity("host.cpu.logical", 4, "1"),
      quantity("host.cpu.available", 4, "1"), quantity("ceiling.bandwidth.dram", 1e9, "B/s"),
    ]
    let counts: [(String, Double)] = [
      ("ls_not_halted_cyc", 1e6), ("ex_ret_ops", 2_400_000), ("de_src_op_disp.all", 3_000_000),
      ("de_no_dispatch_per_slot.no_ops_from_frontend", 1_200_000),
      ("de_no_dispatch_per_slot.backend_stalls", 1_500_000), ("de_no_dispatch_per_slot.smt_contention", 300_000),
    ]
    return profile(wall: 500_000_000, settings: settings, host: host) { data in
      data.counters = counts.map { name, value in
        CounterTotal(
          event: name, group: 8,
          value: scaled
            ? .measured(value, Provenance(.scaledCounter, runningFraction: 0.25)) : Measured(value, .hardwareCounter),
          interval: scaled ? value * 0.99...value * 1.01 : nil)
      }
      data.counters.append(CounterTotal(event: "task-clock", unit: "ns", value: Measured(1e9, .softwareCounter)))
    }
  }

  static func value(_ summary: MetricSummary, _ name: String) -> Double? {
    summary.metrics.first { $0.name == name }?.value.value
  }

  @Test func theTreeIsEvaluatedForTheRecordedProcessor() throws {
    let summary = Characterization(of: Self.zen4()).metrics
    #expect(summary.family == "amd-zen4")
    #expect(summary.nothingCounted == nil)
    #expect(summary.treeUnit == "slots")
    let expected = [
      "frontend_bound": 0.2, "backend_bound": 0.25, "smt_contention": 0.05, "retiring": 0.4, "bad_speculation": 0.1,
    ]
    for (name, value) in expected {
      #expect(abs((Self.value(summary, name) ?? .nan) - value) < 1e-12, "\(name)")
    }
    #expect(abs(try #require(summary.unaccounted)) < 1e-12)
    // 1 s of CPU time in 0.5 s on four hardware threads.
    #expect(Self.value(summary, "achieved_occupancy") == 0.5)
    let latency = try #require(summary.metrics.first { $0.name == "fetch_latency" })
    #expect(latency.value.unavailable?.reason == "frontend_empty_cycles was not counted")
    #expect(latency.level == 2 && latency.parent == "frontend_bound")
    // Steps on the way are of no interest by themselves.
    #expect(!summary.metrics.contains { $0.name == "total_slots" })
  }

  /// A suite's axes are the technical report's five metrics where hardware counts; what nothing stands for has no axis.
  @Test func axesOfTheKiviatDiagram() throws {
    let patterns = try #require(RunEvidence.of(Self.zen4(), name: "a").first).run.patterns
    let names = patterns.map(\.name)
    #expect(names.first == "thread occupancy" && names.last == "compute efficiency")
    #expect(names.contains("IPC efficiency") && !names.contains("store efficiency"))
    #expect(!names.contains { $0.contains("simulated") } && !names.contains("kernel share"))
    // Not counted here: said, and no zero.
    let summary = Characterization(of: Self.zen4()).metrics
    for (axis, name) in [("IPC efficiency", "ipc_efficiency"), ("load efficiency", "gld_efficiency")] {
      #expect(
        patterns.first { $0.name == axis }?.value == summary.published.first { $0.name == name }?.value, "\(axis)")
    }
  }

  @Test func aProcessorWithoutSlotEventsDividesItsCycles() {
    let host = [
      Self.text("host.cpu.vendor", "Arm"), quantity("host.cpu.family", 3, "1"),
      quantity("host.cpu.model_number", 0xd0c, "1"),
    ]
    let summary = Characterization(
      of: profile(host: host) { data in
        data.counters = [("cpu_cycles", 1e6), ("stall_frontend", 2e5), ("stall_backend", 3e5)].map {
          CounterTotal(event: $0.0, value: Measured($0.1, .hardwareCounter))
        }
      }
    ).metrics
    #expect(summary.family == "arm-neoverse-n1")
    #expect(summary.treeUnit == "cycles")
    #expect(Self.value(summary, "not_stalled") == 0.5)
  }

  @Test func intervalsAndRunningSharesArePassedOn() throws {
    let summary = Characterization(of: Self.zen4(scaled: true)).metrics
    let retiring = try #require(summary.metrics.first { $0.name == "retiring" })
    #expect(retiring.value.provenance?.runningFraction == 0.25)
    // Two relative half widths of 1 % in quadrature.
    let interval = try #require(retiring.interval)
    #expect(abs((interval.upper ?? 0) - 0.4 * (1 + 0.01 * 2.0.squareRoot())) < 1e-12)
    #expect(interval.level == 0.95)
  }

  @Test func whatThePaperMeasuredIsToldOrExplained() {
    let summary = Characterization(of: Self.zen4()).metrics
    func entry(_ name: String) -> PublishedMetric? { summary.published.first { $0.name == name } }
    #expect(summary.published.count == 13)
    #expect(entry("achieved_occupancy")?.value.value == 0.5)
    #expect(entry("stall_texture")?.metric == nil)
    #expect(entry("stall_texture")?.value.unavailable?.reason == "a CPU has no texture units")
    #expect(entry("stall_inst_fetch")?.metric == "fetch_latency")
    #expect(entry("stall_inst_fetch")?.value.value == nil)
  }

  @Test func ownMetricsComeWithTheProfile() throws {
    let file = """
      metrics:
        wasted: {unit: ratio, range: [0, 1], formula: bad_speculation + smt_contention, text: of no use}
      """
    let settings = ["metrics.file": file, "metrics.file.name": "mine.yaml"]
    let characterization = Characterization(of: Self.zen4(settings: settings))
    let own = try #require(characterization.metrics.metrics.first { $0.name == "wasted" })
    #expect(abs((own.value.value ?? 0) - 0.15) < 1e-12)
    #expect(own.isUser)
    #expect(characterization.metrics.fileProblem == nil)
    // The text is no setting to be shown.
    #expect(characterization.identity.settings.map(\.name) == ["metrics.file.name"])
    let damaged = Characterization(of: Self.zen4(settings: ["metrics.file": "metrics: ["])).metrics
    #expect(damaged.fileProblem?.hasPrefix("metrics:") == true)
    #expect(Self.value(damaged, "retiring") != nil)
  }

  @Test func filesThatDoubleThemselvesEnd() throws {
    var file = "metrics:\n  m0: {unit: ratio, formula: bad_speculation, text: x}\n"
    for index in 1...50 { file += "  m\(index): {unit: ratio, formula: m\(index - 1) + m\(index - 1), text: x}\n" }
    let summary = Characterization(of: Self.zen4(settings: ["metrics.file": file])).metrics
    #expect(abs((Self.value(summary, "m50") ?? 0) / (0.1 * 0x1p50) - 1) < 1e-12)
  }

  @Test func withoutCountersOnlyWhatNeedsNone() {
    let why = Unavailable("no hardware PMU", remedy: "another machine")
    let profile = profile(wall: 1_000_000_000, host: [quantity("host.cpu.available", 2, "1")]) { data in
      data.counters = [
        CounterTotal(event: "task-clock", unit: "ns", value: Measured(1e9, .softwareCounter)),
        CounterTotal(event: "cycles", value: .unavailable(why)),
      ]
    }
    let summary = Characterization(of: profile).metrics
    #expect(summary.family == "generic")
    #expect(summary.nothingCounted == why)
    #expect(summary.metrics.map(\.name) == ["achieved_occupancy", "lock_share"])
    #expect(Self.value(summary, "achieved_occupancy") == 0.5)
    #expect(summary.leftOut > 5)
    #expect(summary.unaccounted == nil)
    #expect(summary.published.first { $0.name == "gld_efficiency" }?.value == .unavailable(why))
  }
}
