// Do raw codes agree with libpfm4's tables, where it has the processor?
import CPerfEvent
import CPfm
import Glibc
import Testing

@testable import Metrics

@Suite struct LibpfmTests {
  /// libpfm4 encodes for processors that are not here when its environment says so.
  static let isReady: Bool = {
    setenv("LIBPFM_ENCODE_INACTIVE", "1", 1)
    return pfm_initialize() == PFM_SUCCESS
  }()

  static func has(_ pmu: String) -> Bool {
    config("\(pmu)::\(pmu.hasPrefix("amd64") ? "RETIRED_INSTRUCTIONS" : "BR_MISP_RETIRED:ALL_BRANCHES")") != nil
  }

  static func config(_ name: String) -> UInt64? {
    guard isReady else { return nil }
    var attribute = perf_event_attr()
    attribute.size = UInt32(MemoryLayout<perf_event_attr>.size)
    let result = withUnsafeMutablePointer(to: &attribute) { pointer in
      var argument = pfm_perf_encode_arg_t()
      argument.attr = pointer
      argument.size = MemoryLayout<pfm_perf_encode_arg_t>.size
      return pfm_get_os_event_encoding(name, Int32(PFM_PLM3), PFM_OS_PERF_EVENT, &argument)
    }
    return result == PFM_SUCCESS ? attribute.config : nil
  }

  static func check(_ family: String, _ pmu: String, _ names: [String: String]) throws {
    let family = try #require(try CatalogueTests.catalogue.get().family(named: family))
    for (event, name) in names {
      let known = try #require(config("\(pmu)::\(name)"), "libpfm4 has no \(pmu)::\(name)")
      #expect(family.event(event)?.encoding.config == known, "\(event): libpfm4 has 0x\(String(known, radix: 16))")
    }
  }

  static let intel = [
    "mem_inst_retired.all_stores": "MEM_INST_RETIRED:ALL_STORES", "l2_rqsts.all_rfo": "L2_RQSTS:ALL_RFO",
  ]

  @Test(.enabled(if: has("skx"), "this libpfm4 has no Skylake-X")) func skylake() throws {
    try Self.check(
      "intel-skylake-x", "skx",
      Self.intel.merging([
        "idq_uops_not_delivered.core": "IDQ_UOPS_NOT_DELIVERED:CORE",
        "idq_uops_not_delivered.cycles_0": "IDQ_UOPS_NOT_DELIVERED:CYCLES_0_UOPS_DELIV_CORE",
        "uops_issued.any": "UOPS_ISSUED:ANY", "uops_retired.retire_slots": "UOPS_RETIRED:RETIRE_SLOTS",
        "int_misc.recovery_cycles_any": "INT_MISC:RECOVERY_CYCLES_ANY",
        "br_misp_retired.all_branches": "BR_MISP_RETIRED:ALL_BRANCHES", "machine_clears.count": "MACHINE_CLEARS:COUNT",
        "cycle_activity.stalls_total": "CYCLE_ACTIVITY:STALLS_TOTAL",
        "cycle_activity.stalls_mem_any": "CYCLE_ACTIVITY:STALLS_MEM_ANY",
        "exe_activity.bound_on_stores": "EXE_ACTIVITY:BOUND_ON_STORES",
        "exe_activity.1_ports_util": "EXE_ACTIVITY:1_PORTS_UTIL",
        "exe_activity.2_ports_util": "EXE_ACTIVITY:2_PORTS_UTIL", "arith.divider_active": "ARITH:DIVIDER_ACTIVE",
        "fp_arith.512b_single": "FP_ARITH:512B_PACKED_SINGLE",
      ]) { $1 })
  }

  @Test(.enabled(if: has("icx"), "this libpfm4 has no Ice Lake")) func iceLake() throws {
    try Self.check(
      "intel-ice-lake", "icx",
      Self.intel.merging([
        "slots": "TOPDOWN:SLOTS", "int_misc.uop_dropping": "INT_MISC:UOP_DROPPING",
        "int_misc.clears_count": "INT_MISC:CLEARS_COUNT",
        "idq_uops_not_delivered.cycles_0": "IDQ_UOPS_NOT_DELIVERED:CYCLES_0_UOPS_DELIV_CORE",
        "machine_clears.count": "MACHINE_CLEARS:COUNT", "cycle_activity.stalls_total": "CYCLE_ACTIVITY:STALLS_TOTAL",
        "cycle_activity.stalls_mem_any": "CYCLE_ACTIVITY:STALLS_MEM_ANY",
        "exe_activity.bound_on_stores": "EXE_ACTIVITY:BOUND_ON_STORES",
        "exe_activity.2_ports_util": "EXE_ACTIVITY:2_PORTS_UTIL", "arith.divider_active": "ARITH:DIVIDER_ACTIVE",
        "fp_arith.4_flops": "FP_ARITH_INST_RETIRED:4_FLOPS", "fp_arith.8_flops": "FP_ARITH_INST_RETIRED:8_FLOPS",
      ]) { $1 })
  }

  @Test(.enabled(if: has("spr"), "this libpfm4 has no Sapphire Rapids")) func sapphireRapids() throws {
    try Self.check(
      "intel-sapphire-rapids", "spr",
      Self.intel.merging([
        "slots": "TOPDOWN:SLOTS", "int_misc.uop_dropping": "INT_MISC:UOP_DROPPING",
        "exe_activity.bound_on_stores": "EXE_ACTIVITY:BOUND_ON_STORES", "arith.divider_active": "ARITH:DIV_ACTIVE",
        "fp_arith.scalar": "FP_ARITH_INST_RETIRED:SCALAR", "fp_arith.4_flops": "FP_ARITH_INST_RETIRED:4_FLOPS",
        "fp_arith.8_flops": "FP_ARITH_INST_RETIRED:8_FLOPS",
      ]) { $1 })
  }

  @Test(.enabled(if: has("amd64_fam19h_zen4"), "this libpfm4 has no Zen 4")) func zen4() throws {
    try Self.check(
      "amd-zen4", "amd64_fam19h_zen4",
      [
        "de_no_dispatch_per_slot.no_ops_from_frontend": "DISPATCH_STALLS_1:FE_NO_OPS",
        "de_no_dispatch_per_slot.backend_stalls": "DISPATCH_STALLS_1:BE_STALLS",
        "de_no_dispatch_per_slot.smt_contention": "DISPATCH_STALLS_1:SMT_CONTENTION",
        "frontend_empty_cycles": "DISPATCH_STALLS_1:FE_NO_OPS:c=6", "ex_ret_ops": "RETIRED_OPS",
        "ex_no_retire.load_not_complete": "CYCLES_NO_RETIRE:NOT_COMPLETE_MISSING_LOAD",
        "ex_no_retire.not_complete": "CYCLES_NO_RETIRE:NOT_COMPLETE_LOAD_AND_ALU", "resyncs": "RESYNCS",
        "ex_ret_ucode_ops": "RETIRED_UCODE_OPS", "ex_ret_brn_misp": "RETIRED_BRANCH_INSTRUCTIONS_MISPREDICTED",
        "scheduler_stalls.fp": "DISPATCH_RESOURCE_STALL_CYCLES_1:FP_SCHEDULER_RSRC_STALL",
        "fp_width.512b": "RETIRED_FP_OPS_BY_WIDTH:PACK512_UOPS_RETIRED",
        "ls_any_fills.dram": "ANY_DATA_CACHE_FILLS_FROM_SYSTEM:DRAM_IO_NEAR:DRAM_IO_FAR",
        "load_store_queue_stalls":
          "DISPATCH_RESOURCE_STALL_CYCLES_1:LOAD_QUEUE_RSRC_STALL:STORE_QUEUE_RSRC_STALL",
      ])
  }

  @Test(.enabled(if: has("amd64_fam19h_zen3"), "this libpfm4 has no Zen 3")) func zen3() throws {
    try Self.check(
      "amd-zen3", "amd64_fam19h_zen3",
      [
        "ex_ret_ops": "RETIRED_OPS", "op_queue_empty": "UOPS_QUEUE_EMPTY",
        "fp_ret_sse_avx_ops":
          "RETIRED_SSE_AVX_FLOPS:ADD_SUB_FLOPS:MULT_FLOPS:DIV_FLOPS:MAC_FLOPS",
      ])
  }

  @Test(.enabled(if: has("amd64_fam17h_zen2"), "this libpfm4 has no Zen 2")) func zen2() throws {
    try Self.check(
      "amd-zen2", "amd64_fam17h_zen2",
      [
        "ex_ret_ops": "RETIRED_UOPS", "op_queue_empty": "UOPS_QUEUE_EMPTY",
        "dispatched": "UOPS_DISPATCHED_FROM_DECODER:DECODER_DISPATCHED:OPCACHE_DISPATCHED",
        "load_store_queue_stalls":
          "DISPATCH_RESOURCE_STALL_CYCLES_1:LOAD_QUEUE_RSRC_STALL:STORE_QUEUE_RSRC_STALL",
      ])
  }
}
