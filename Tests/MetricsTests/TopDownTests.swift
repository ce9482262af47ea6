// Do counts give the top-down result that the vendors' published formulas give, computed here by hand?
import ProfileModel
import Testing

@testable import Metrics

@Suite struct TopDownTests {
  static func evaluate(
    _ name: String, _ counts: [String: Double], _ quantities: [String: Double] = [:]
  ) throws -> (String) -> Double {
    let family = try #require(try CatalogueTests.catalogue.get().family(named: name))
    for event in counts.keys { #expect(family.event(event) != nil, "\(name) has no event \(event)") }
    let evaluation = MetricEvaluation(
      family,
      counters: counts.sorted { $0.key < $1.key }.map {
        CounterTotal(event: family.event($0.key)?.counterName ?? $0.key, value: Measured($0.value, .hardwareCounter))
      }, quantities: quantities.mapValues { Measured($0, .kernelAccounting) })
    return { metric in
      family.metric(metric).flatMap { evaluation.result($0).value.value } ?? .nan
    }
  }

  static func expect(
    _ value: (String) -> Double, _ expected: [String: Double], sourceLocation: SourceLocation = #_sourceLocation
  ) {
    for (metric, expected) in expected {
      #expect(abs(value(metric) - expected) < 1e-12, "\(metric): \(value(metric))", sourceLocation: sourceLocation)
    }
  }

  static func sumsUp(_ name: String, _ value: (String) -> Double) throws {
    let family = try #require(try CatalogueTests.catalogue.get().family(named: name))
    #expect(abs(family.level(1).map { value($0.name) }.reduce(0, +) - 1) < 1e-12)
    for parent in family.level(1) {
      let children = family.level(2, of: parent.name)
      guard !children.isEmpty else { continue }
      #expect(abs(children.map { value($0.name) }.reduce(0, +) - value(parent.name)) < 1e-12, "\(parent.name)")
    }
  }

  @Test(arguments: [1.0, 2.0]) func skylake(threads: Double) throws {
    // One million cycles of the core as one of its threads sees them; THREAD_ANY and RECOVERY_CYCLES_ANY count both.
    let value = try Self.evaluate(
      "intel-skylake-x",
      [
        "cpu_clk_unhalted.thread_any": 1e6 * threads, "idq_uops_not_delivered.core": 600_000,
        "idq_uops_not_delivered.cycles_0": 100_000, "uops_issued.any": 2_000_000,
        "uops_retired.retire_slots": 1_800_000, "uops_retired.macro_fused": 200_000, "inst_retired.any": 1_700_000,
        "int_misc.recovery_cycles_any": 25_000 * threads, "br_misp_retired.all_branches": 3000,
        "machine_clears.count": 1000, "cycle_activity.stalls_total": 400_000,
        "cycle_activity.stalls_mem_any": 250_000, "exe_activity.bound_on_stores": 50_000,
        "exe_activity.1_ports_util": 100_000, "exe_activity.2_ports_util": 150_000, "arith.divider_active": 60_000,
      ], ["run.threads_per_core": threads])
    let slots = 4.0 * 1e6
    let frontend = 600_000 / slots
    let bad = (2_000_000 - 1_800_000 + 4.0 * 25_000) / slots
    let retiring = 1_800_000 / slots
    let backend = 1 - frontend - (2_000_000 + 4.0 * 25_000) / slots
    let latency = 4.0 * 100_000 / slots
    let heavy = (1_800_000 + 200_000 - 1_700_000) / slots
    let memory =
      backend * (250_000 + 50_000) / (400_000 + 100_000 + retiring * 150_000 + 50_000)
    Self.expect(
      value,
      [
        "frontend_bound": frontend, "bad_speculation": bad, "retiring": retiring, "backend_bound": backend,
        "fetch_latency": latency, "fetch_bandwidth": frontend - latency, "branch_mispredicts": bad * 3000 / 4000,
        "machine_clears": bad * 1000 / 4000, "heavy_operations": heavy, "light_operations": retiring - heavy,
        "memory_bound": memory, "core_bound": backend - memory, "ipc_efficiency": 1_700_000 / (4.0 * 1e6),
        "stall_memory_throttle": 50_000 / 1e6, "stall_memory_dependency": memory - 50_000 / 1e6,
        "stall_pipe_busy": min(backend - memory, 60_000 / 1e6),
      ])
    try Self.sumsUp("intel-skylake-x", value)
  }

  @Test func iceLake() throws {
    let value = try Self.evaluate(
      "intel-ice-lake",
      [
        "slots": 5_000_000, "topdown.retiring": 2_000_000, "topdown.bad_speculation": 500_000,
        "topdown.frontend_bound": 1_000_000, "topdown.backend_bound": 1_500_000, "int_misc.uop_dropping": 40_000,
        "int_misc.clears_count": 2000, "idq_uops_not_delivered.cycles_0": 90_000,
        "br_misp_retired.all_branches": 900, "machine_clears.count": 100, "cycle_activity.stalls_total": 300_000,
        "cycle_activity.stalls_mem_any": 200_000, "exe_activity.bound_on_stores": 10_000,
        "exe_activity.1_ports_util": 80_000, "exe_activity.2_ports_util": 70_000,
      ])
    let frontend = 1_000_000 / 5_000_000.0 - 40_000 / 5_000_000.0
    let retiring = 2_000_000 / 5_000_000.0
    let backend = 1_500_000 / 5_000_000.0 + 5 * 2000 / 5_000_000.0
    let bad = max(0, 1 - frontend - backend - retiring)
    let latency = (5 * 90_000 - 40_000) / 5_000_000.0
    let memory = backend * (200_000 + 10_000) / (300_000 + 80_000 + retiring * 70_000 + 10_000)
    Self.expect(
      value,
      [
        "frontend_bound": frontend, "bad_speculation": bad, "retiring": retiring, "backend_bound": backend,
        "fetch_latency": latency, "fetch_bandwidth": frontend - latency, "branch_mispredicts": bad * 0.9,
        "machine_clears": bad * 0.1, "memory_bound": memory, "core_bound": backend - memory,
      ])
    try Self.sumsUp("intel-ice-lake", value)
  }

  @Test(arguments: ["intel-sapphire-rapids", "intel-granite-rapids"]) func sapphireRapids(name: String) throws {
    let value = try Self.evaluate(
      name,
      [
        "slots": 6_000_000, "topdown.retiring": 1_800_000, "topdown.bad_speculation": 600_000,
        "topdown.frontend_bound": 1_200_000, "topdown.backend_bound": 2_400_000,
        "topdown.heavy_operations": 300_000, "topdown.branch_mispredicts": 450_000,
        "topdown.fetch_latency": 700_000, "topdown.memory_bound": 1_500_000, "int_misc.uop_dropping": 60_000,
      ])
    let sum = 1_800_000.0 + 600_000 + 1_200_000 + 2_400_000
    let dropped = 60_000 / 6_000_000.0
    let frontend = 1_200_000 / sum - dropped
    let (retiring, backend) = (1_800_000 / sum, 2_400_000 / sum)
    let bad = max(0, 1 - frontend - backend - retiring)
    let latency = 700_000 / sum - dropped
    Self.expect(
      value,
      [
        "frontend_bound": frontend, "bad_speculation": bad, "retiring": retiring, "backend_bound": backend,
        "fetch_latency": latency, "fetch_bandwidth": frontend - latency, "branch_mispredicts": 450_000 / sum,
        "machine_clears": bad - 450_000 / sum, "heavy_operations": 300_000 / sum,
        "light_operations": retiring - 300_000 / sum, "memory_bound": 1_500_000 / sum,
        "core_bound": backend - 1_500_000 / sum,
      ])
    try Self.sumsUp(name, value)
  }

  @Test(arguments: [("amd-zen4", 6.0), ("amd-zen5", 8.0)]) func zen(name: String, width: Double) throws {
    let slots = width * 1e6
    let (empty, stalled, other) = (0.2 * slots, 0.25 * slots, 0.05 * slots)
    let dispatched = slots - empty - stalled - other
    let retired = 0.9 * dispatched
    let value = try Self.evaluate(
      name,
      [
        "ls_not_halted_cyc": 1e6, "ex_ret_ops": retired, "de_src_op_disp.all": dispatched,
        "de_no_dispatch_per_slot.no_ops_from_frontend": empty, "de_no_dispatch_per_slot.backend_stalls": stalled,
        "de_no_dispatch_per_slot.smt_contention": other, "frontend_empty_cycles": 120_000,
        "ex_no_retire.not_complete": 400_000, "ex_no_retire.load_not_complete": 300_000, "ex_ret_brn_misp": 700,
        "resyncs": 300, "ex_ret_ucode_ops": 0.1 * retired,
      ])
    let bad = (dispatched - retired) / slots
    let latency = width * 120_000 / slots
    Self.expect(
      value,
      [
        "frontend_bound": 0.2, "backend_bound": 0.25, "smt_contention": 0.05, "retiring": retired / slots,
        "bad_speculation": bad, "fetch_latency": latency, "fetch_bandwidth": 0.2 - latency,
        "branch_mispredicts": bad * 0.7, "pipeline_restarts": bad * 0.3, "memory_bound": 0.25 * 0.75,
        "core_bound": 0.25 * 0.25, "microcode": 0.1 * retired / slots, "fastpath": 0.9 * retired / slots,
      ])
    try Self.sumsUp(name, value)
  }

  @Test(arguments: ["amd-zen2", "amd-zen3"]) func olderZenAreEstimates(name: String) throws {
    let value = try Self.evaluate(
      name,
      [
        "ls_not_halted_cyc": 1e6, "ex_ret_ops": 2_400_000, "dispatched": 2_700_000, "op_queue_empty": 150_000,
        "load_store_queue_stalls": 100_000, "register_stalls": 200_000, "integer_stalls": 100_000,
      ])
    let slots = 6.0 * 1e6
    let (retiring, bad, frontend) = (2_400_000 / slots, 300_000 / slots, 0.15)
    let backend = 1 - retiring - bad - frontend
    Self.expect(
      value,
      [
        "retiring": retiring, "bad_speculation": bad, "frontend_bound": frontend, "backend_bound": backend,
        "memory_bound": backend / 4, "core_bound": backend * 3 / 4,
      ])
    try Self.sumsUp(name, value)
  }

  @Test func neoverseWithoutSlotEvents() throws {
    let value = try Self.evaluate(
      "arm-neoverse-n1", ["cpu_cycles": 1e6, "stall_frontend": 200_000, "stall_backend": 350_000])
    Self.expect(value, ["frontend_bound": 0.2, "backend_bound": 0.35, "not_stalled": 0.45])
    try Self.sumsUp("arm-neoverse-n1", value)
  }

  /// Front end, back end, retired and executed operations, mispredictions; V1 and V2 have eight slots, N2 five.
  @Test func neoverseWithSlotEvents() throws {
    let base: [String: Double] = [
      "cpu_cycles": 1e6, "op_retired": 2_400_000, "op_spec": 3_000_000, "stall_frontend": 150_000,
      "stall_backend": 400_000, "stall_backend_mem": 300_000,
    ]
    let share = 2_400_000 / 3_000_000.0

    let v2 = base.merging(
      ["stall_slot": 4_000_000, "stall_slot_frontend": 1_500_000, "stall_slot_backend": 2_500_000]
    ) { $1 }
    var value = try Self.evaluate("arm-neoverse-v2", v2, ["host.pmu.slots": 8])
    let used = 1 - 4_000_000 / 8e6
    Self.expect(
      value,
      [
        "frontend_bound": 1_500_000 / 8e6, "backend_bound": 2_500_000 / 8e6, "retiring": share * used,
        "bad_speculation": (1 - share) * used, "memory_bound": 2_500_000 / 8e6 * 0.75,
        "core_bound": 2_500_000 / 8e6 * 0.25, "memory_stalls": 0.3, "execution_stalls": 0.1, "fetch_stalls": 0.15,
      ])
    try Self.sumsUp("arm-neoverse-v2", value)

    value = try Self.evaluate("arm-neoverse-v1", v2.merging(["br_mis_pred": 20_000]) { $1 })
    let flushed = 20_000 * 4 / 1e6
    Self.expect(
      value,
      [
        "frontend_bound": 1_500_000 / 8e6 - flushed, "backend_bound": 2_500_000 / 8e6, "retiring": share * used,
        "bad_speculation": (1 - share) * used + flushed,
      ])
    try Self.sumsUp("arm-neoverse-v1", value)

    let n2 = base.merging(
      ["stall_slot": 3_200_000, "stall_slot_frontend": 1_700_000, "stall_slot_backend": 1_500_000]
    ) { $1 }
    value = try Self.evaluate("arm-neoverse-n2", n2, ["host.pmu.slots": 5])
    let rest = 1 - (3_200_000 - 1e6) / 5e6
    Self.expect(
      value,
      [
        "frontend_bound": (1_700_000 - 1e6) / 5e6, "backend_bound": 1_500_000 / 5e6, "retiring": share * rest,
        "bad_speculation": (1 - share) * rest,
      ])
    try Self.sumsUp("arm-neoverse-n2", value)
  }

  @Test func floatingPointAndBandwidth() throws {
    var value = try Self.evaluate(
      "intel-sapphire-rapids",
      [
        "fp_arith.scalar": 100, "fp_arith.128b_double": 10, "fp_arith.4_flops": 20, "fp_arith.8_flops": 30,
        "fp_arith.512b_single": 40, "imc_reads": 3_000_000, "imc_writes": 1_000_000, "llc_load_misses": 1000,
      ], ["run.wall": 2, "ceiling.bandwidth.dram": 256e6])
    // 100 scalar, 10 on two numbers, 20 on four, 30 on eight, 40 on sixteen.
    let operations = 1080.0
    Self.expect(
      value,
      [
        "fp_operations": operations, "fp_rate": operations / 2, "fp_vector_width": operations / 200,
        "dram_bandwidth": 64 * 4_000_000 / 2, "dram_utilization": 64 * 4_000_000 / 2 / 256e6,
        "dram_bandwidth_estimate": 64 * 1000 / 2,
      ])
    let channels = Dictionary(uniqueKeysWithValues: (0..<8).map { ("df_channel_\($0)", 1000.0) })
    value = try Self.evaluate("amd-zen2", channels, ["run.wall": 4])
    Self.expect(value, ["dram_bandwidth": 64 * 8 * 1000 / 4])
    value = try Self.evaluate(
      "amd-zen4", ["fp_ret_sse_avx_ops": 5000, "ls_any_fills.dram": 100], ["run.wall": 0.5])
    Self.expect(value, ["fp_operations": 5000, "fp_rate": 10_000, "dram_bandwidth_estimate": 64 * 100 / 0.5])
  }
}
