// Which event names does perf know, whatever the machine, and what are they to the kernel?
import CPerfEvent

/// The names that `perf list` shows on every machine, and their aliases.
enum EventNames {
  /// Events of `PERF_TYPE_HARDWARE`.
  static let hardware: [(names: [String], id: perf_hw_id)] = [
    (["cycles", "cpu-cycles"], PERF_COUNT_HW_CPU_CYCLES),
    (["instructions"], PERF_COUNT_HW_INSTRUCTIONS),
    (["cache-references"], PERF_COUNT_HW_CACHE_REFERENCES),
    (["cache-misses"], PERF_COUNT_HW_CACHE_MISSES),
    (["branches", "branch-instructions"], PERF_COUNT_HW_BRANCH_INSTRUCTIONS),
    (["branch-misses"], PERF_COUNT_HW_BRANCH_MISSES),
    (["bus-cycles"], PERF_COUNT_HW_BUS_CYCLES),
    (["stalled-cycles-frontend", "idle-cycles-frontend"], PERF_COUNT_HW_STALLED_CYCLES_FRONTEND),
    (["stalled-cycles-backend", "idle-cycles-backend"], PERF_COUNT_HW_STALLED_CYCLES_BACKEND),
    (["ref-cycles"], PERF_COUNT_HW_REF_CPU_CYCLES),
  ]

  /// Events of `PERF_TYPE_SOFTWARE`.
  static let software: [(names: [String], id: UInt64)] = [
    (["cpu-clock"], UInt64(PERF_COUNT_SW_CPU_CLOCK.rawValue)),
    (["task-clock"], UInt64(PERF_COUNT_SW_TASK_CLOCK.rawValue)),
    (["page-faults", "faults"], UInt64(PERF_COUNT_SW_PAGE_FAULTS.rawValue)),
    (["context-switches", "cs"], UInt64(PERF_COUNT_SW_CONTEXT_SWITCHES.rawValue)),
    (["cpu-migrations", "migrations"], UInt64(PERF_COUNT_SW_CPU_MIGRATIONS.rawValue)),
    (["minor-faults"], UInt64(PERF_COUNT_SW_PAGE_FAULTS_MIN.rawValue)),
    (["major-faults"], UInt64(PERF_COUNT_SW_PAGE_FAULTS_MAJ.rawValue)),
    (["alignment-faults"], UInt64(PERF_COUNT_SW_ALIGNMENT_FAULTS.rawValue)),
    (["emulation-faults"], UInt64(PERF_COUNT_SW_EMULATION_FAULTS.rawValue)),
    (["dummy"], UInt64(PERF_COUNT_SW_DUMMY.rawValue)),
    (["bpf-output"], UInt64(PERF_COUNT_SW_BPF_OUTPUT.rawValue)),
    (["cgroup-switches"], KernelABI.cgroupSwitches),
  ]

  /// perf's tool events: read from the clock and from `rusage`.
  static let accounting = ["duration_time", "user_time", "system_time"]

  /// Names of the caches, of what is done to them and of how it ends, the usual one first: `L1-dcache-load-misses`.
  static let caches: [(names: [String], id: perf_hw_cache_id)] = [
    (["L1-dcache", "L1-data", "L1-d", "l1d"], PERF_COUNT_HW_CACHE_L1D),
    (["L1-icache", "L1-instruction", "L1-i", "l1i"], PERF_COUNT_HW_CACHE_L1I),
    (["LLC", "L2"], PERF_COUNT_HW_CACHE_LL),
    (["dTLB", "d-tlb", "Data-TLB"], PERF_COUNT_HW_CACHE_DTLB),
    (["iTLB", "i-tlb", "Instruction-TLB"], PERF_COUNT_HW_CACHE_ITLB),
    (["branch", "bpu", "btb", "bpc"], PERF_COUNT_HW_CACHE_BPU),
    (["node"], PERF_COUNT_HW_CACHE_NODE),
  ]
  static let operations: [(names: [String], id: perf_hw_cache_op_id)] = [
    (["loads", "load", "read"], PERF_COUNT_HW_CACHE_OP_READ),
    (["stores", "store", "write"], PERF_COUNT_HW_CACHE_OP_WRITE),
    (
      ["prefetches", "prefetch", "speculative-read", "speculative-load"], PERF_COUNT_HW_CACHE_OP_PREFETCH
    ),
  ]
  static let results: [(names: [String], id: perf_hw_cache_op_result_id)] = [
    (["misses", "miss"], PERF_COUNT_HW_CACHE_RESULT_MISS),
    (["refs", "reference", "ops", "access"], PERF_COUNT_HW_CACHE_RESULT_ACCESS),
  ]

  /// The specification of a name of these tables, of a cache event or of a raw code (`r1a8`); `nil` for any other.
  static func spec(_ name: String) -> PerfEventSpec? {
    if let id = hardware.first(where: { $0.names.contains(name) })?.id {
      return PerfEventSpec(name, .hardware, type: PERF_TYPE_HARDWARE.rawValue, config: UInt64(id.rawValue))
    }
    if let id = software.first(where: { $0.names.contains(name) })?.id {
      var spec = PerfEventSpec(name, .software, type: PERF_TYPE_SOFTWARE.rawValue, config: id)
      if spec.isModeless { spec.unit = "ns" }
      return spec
    }
    if let position = accounting.firstIndex(of: name) {
      var spec = PerfEventSpec(name, .accounting, type: .max, config: UInt64(position))
      spec.unit = "ns"
      return spec
    }
    if name.first == "r", name.count > 1, name.count <= 17,
      let config = UInt64(name.dropFirst(), radix: 16), !name.contains("+"), !name.contains("-")
    {
      return PerfEventSpec(name, .hardware, type: PERF_TYPE_RAW.rawValue, config: config)
    }
    return cacheConfig(name).map { PerfEventSpec(name, .hardware, type: PERF_TYPE_HW_CACHE.rawValue, config: $0) }
  }

  /// `config` of a cache event: cache, operation and result in a byte each.
  private static func cacheConfig(_ name: String) -> UInt64? {
    let lowered = name.lowercased()
    for cache in caches {
      for alias in cache.names where lowered.hasPrefix(alias.lowercased()) {
        var rest = lowered.dropFirst(alias.count)
        guard rest.first == "-" else { continue }
        var operation = PERF_COUNT_HW_CACHE_OP_READ
        var result = PERF_COUNT_HW_CACHE_RESULT_ACCESS
        var isKnown = true
        if let (id, length) = prefix(rest.dropFirst(), operations.map { ($0.names, $0.id) }) {
          operation = id
          rest = rest.dropFirst(1 + length)
        }
        if rest.first == "-", let (id, length) = prefix(rest.dropFirst(), results.map { ($0.names, $0.id) }) {
          result = id
          rest = rest.dropFirst(1 + length)
        }
        isKnown = rest.isEmpty
        if isKnown {
          return UInt64(cache.id.rawValue) | UInt64(operation.rawValue) << 8 | UInt64(result.rawValue) << 16
        }
      }
    }
    return nil
  }

  /// The entry whose name is the next word or words of `text`, and how long that name is.
  private static func prefix<ID>(_ text: Substring, _ table: [(names: [String], id: ID)]) -> (ID, Int)? {
    for (names, id) in table {
      for name in names where text.hasPrefix(name) {
        let after = text.dropFirst(name.count).first
        if after == nil || after == "-" { return (id, name.count) }
      }
    }
    return nil
  }

  /// Every usual name, for lists and suggestions.
  static let all: [String] = {
    let cacheEvents = caches.flatMap { cache in
      operations.flatMap { operation in
        [
          "\(cache.names[0])-\(operation.names[0])",
          "\(cache.names[0])-\(operation.names[1])-misses",
        ]
      }
    }
    return hardware.flatMap(\.names) + software.flatMap(\.names) + accounting + cacheEvents
  }()

  /// What is counted when the user names nothing: each pair whose ratio is of interest is a group, so that both are
  /// counted at the same time when there are fewer counters than events.
  static let defaultExpressions = [
    "task-clock", "context-switches", "cpu-migrations", "minor-faults", "major-faults",
    "{cycles,instructions}", "{branches,branch-misses}", "{cache-references,cache-misses}",
    "{L1-dcache-loads,L1-dcache-load-misses}", "{LLC-loads,LLC-load-misses}", "{dTLB-loads,dTLB-load-misses}",
    "{iTLB-loads,iTLB-load-misses}",
  ]
}
