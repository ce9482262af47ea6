// Which rules judge how kernels and functions use the processor and memory?
import ProfileModel

extension LimitRules {
  // MARK: Kernels

  /// Kernels of a mean self time below this are small; worth a word above that share of the wall time.
  static let smallKernelThresholds = (nanoseconds: 10_000.0, share: 0.2)

  static func smallKernels(_ facts: LimitFacts) -> LimitRule.Finding {
    guard case .measured(let breakdown, _) = facts.breakdown else { return cantTell(facts.breakdown) }
    let kernels = facts.run.mainKernels.filter { $0.calls > 0 && $0.selfNanoseconds > 0 }
    let small = kernels.filter { Double($0.selfNanoseconds) / Double($0.calls) < smallKernelThresholds.nanoseconds }
    let time = small.sum(\.selfNanoseconds)
    let calls = small.sum(\.calls)
    let part = fraction(time, of: breakdown.wallNanoseconds)
    guard part >= smallKernelThresholds.share, calls > 0 else { return .doesNotLimit }
    let mean = Double(time) / Double(calls)
    return verdict(
      "Small kernels: \(Words.prefixed(Double(calls)).trimmed) calls of \(Words.duration(mean)) each on average take "
        + "\(Words.percent(part)) of the run, much of it the cost of the call itself.",
      weight: part,
      [
        share("kernels below 10 µs a call, share of wall time", part, threshold: smallKernelThresholds.share),
        number("mean self time of these calls", mean, "ns", threshold: smallKernelThresholds.nanoseconds),
        number("these calls", Double(calls), "1"),
      ],
      [
        "Use a larger batch: it takes fewer, larger calls.",
        "Fuse chains of small operations, or use a fused optimizer and fused recurrent cells.",
      ])
  }

  /// Near a roof: this share of the attainable; and worth a word above that share of the wall time.
  static let roofThresholds = (near: 0.6, far: 0.4, share: 0.2)

  static func arithmetic(_ facts: LimitFacts) -> LimitRule.Finding {
    categories(facts) {
      $0.bound == .compute && $0.shareOfAttainable >= roofThresholds.near
    } verdict: { found in
      verdict(
        "\(found.names) \(found.isOne ? "is" : "are") limited by arithmetic: \(Words.percent(found.attainable)) of what this machine's floating-point "
          + "units can do, in \(Words.percent(found.part)) of the run.",
        weight: found.part, found.evidence(near: true),
        [
          "Less arithmetic helps: a smaller or sparser model, or a narrower type that the machine computes faster.",
          "A machine of more FLOP/s helps in proportion.",
        ])
    }
  }

  static func memoryBandwidth(_ facts: LimitFacts) -> LimitRule.Finding {
    categories(facts) {
      // Above the roof its bytes come from a cache, and memory is not what limits it.
      $0.bound == .memory && $0.shareOfAttainable >= roofThresholds.near && !$0.isServedFromCache
    } verdict: { found in
      verdict(
        "\(found.names) \(found.isOne ? "is" : "are") limited by memory bandwidth: \(Words.percent(found.attainable)) of the attainable, in "
          + "\(Words.percent(found.part)) of the run.",
        weight: found.part, found.evidence(near: true),
        [
          "Move fewer bytes: fuse operations that read and write the same tensors, work in place, use a narrower type.",
          "A batch that keeps intermediate tensors in the cache may help.",
        ])
    }
  }

  static func belowRoof(_ facts: LimitFacts) -> LimitRule.Finding {
    categories(facts) {
      $0.shareOfAttainable < roofThresholds.far
    } verdict: { found in
      verdict(
        "\(found.names) \(found.isOne ? "reaches" : "reach") only \(Words.percent(found.attainable)) of what the machine allows, in "
          + "\(Words.percent(found.part)) of the run.",
        // What could be won.
        weight: found.part * (1 - found.attainable), found.evidence(near: false),
        [
          "Look at the shapes in the roofline's table: small or odd sizes, one thread, or a layout that needs "
            + "reordering are the usual causes.",
          "Try a larger batch, another memory layout (channels last), or more threads.",
        ])
    }
  }

  /// Categories under the roof that share a trait.
  private struct Found {
    var points: [Roofline.Point]
    var wall: Int64

    var names: String {
      let names = points.prefix(3).map(\.name)
      let list = Words.list(names)
      return (list.first.map { $0.uppercased() } ?? "") + list.dropFirst()
    }
    var isOne: Bool { points.count == 1 }
    var part: Double { fraction(points.sum(\.nanoseconds), of: wall) }
    /// Mean share of the attainable, weighted by time.
    var attainable: Double {
      let time = Double(points.sum(\.nanoseconds))
      return points.reduce(0) { $0 + $1.shareOfAttainable * Double($1.nanoseconds) } / max(1, time)
    }

    func evidence(near: Bool) -> [LimitedBy.Evidence] {
      [
        LimitRules.share("share of wall time", part, threshold: roofThresholds.share),
        LimitRules.share(
          "share of the attainable FLOP/s", attainable, threshold: near ? roofThresholds.near : roofThresholds.far),
      ]
        + points.prefix(3).flatMap {
          [
            LimitRules.number("\($0.name): arithmetic intensity", $0.intensity, "FLOP/B"),
            LimitRules.number("\($0.name): achieved", $0.flopsPerSecond, "FLOP/s"),
          ]
        }
    }
  }

  private static func categories(
    _ facts: LimitFacts, where isMeant: (Roofline.Point) -> Bool, verdict: (Found) -> LimitRule.Finding
  ) -> LimitRule.Finding {
    guard case .measured(let breakdown, _) = facts.breakdown else { return cantTell(facts.breakdown) }
    guard case .measured(let roofline, _) = facts.roofline else { return cantTell(facts.roofline) }
    let found = Found(points: roofline.categories.filter(isMeant), wall: breakdown.wallNanoseconds)
    return found.part >= roofThresholds.share ? verdict(found) : .doesNotLimit
  }

  // MARK: Any program

  /// One function above this share of CPU time is worth a word.
  static let hotFunctionThreshold = 0.3

  static func hotFunction(_ facts: LimitFacts) -> LimitRule.Finding {
    guard case .measured(let functions, _) = facts.functions else { return cantTell(facts.functions) }
    guard let hottest = functions.byFunction.hotspots.first, hottest.share >= hotFunctionThreshold,
      hottest.subject.kind != .unknown
    else { return .doesNotLimit }
    // Surely, not just by the luck of the samples.
    guard hottest.subject.interval.lower >= hotFunctionThreshold / 2 else { return .doesNotLimit }
    let busy = min(1, facts.ratio("cpu.busy").value ?? 1)
    return verdict(
      "One function, “\(Words.name(hottest.subject.function))”, takes \(Words.percent(hottest.share)) of the CPU time.",
      weight: hottest.share * busy,
      [
        share("share of sampled CPU time", hottest.share, threshold: hotFunctionThreshold),
        share("at least (95 % confidence)", hottest.subject.interval.lower),
        number("samples in it", Double(hottest.subject.samples), "1"),
      ],
      ["Start there: a faster algorithm or library for it, fewer calls, or more threads."])
  }

  /// CPU time in an OpenMP runtime above this share is worth a word: it does no work of its own.
  static let barrierThreshold = 0.1
  /// GCC's, Intel's and LLVM's OpenMP runtimes.
  static let openMPLibraries = ["libgomp", "libiomp", "libomp"]

  static func spinsAtBarriers(_ facts: LimitFacts) -> LimitRule.Finding {
    guard case .measured(let samples, _) = facts.samples else { return cantTell(facts.samples) }
    let busy = min(1, facts.ratio("cpu.busy").value ?? 1)
    let advice = [
      "Use fewer threads (OMP_NUM_THREADS), or give each more to do: the parallel parts are short or uneven.",
      "Where other programs share the CPUs, let waiting threads sleep: OMP_WAIT_POLICY=passive.",
    ]
    guard let waiting = facts.waiting.value, let part = waiting.barrierShare.value else {
      // Without thread states, the time in the runtime's library is the best there is.
      let found = samples.modules.filter { module in openMPLibraries.contains { module.name.hasPrefix($0) } }
      let part = fraction(found.sum(\.nanoseconds), of: samples.nanoseconds)
      guard part >= barrierThreshold, let library = found.first else { return .doesNotLimit }
      return verdict(
        "Threads spin at OpenMP barriers for \(Words.percent(part)) of the CPU time.", weight: part * busy,
        [
          share(
            "self time in \(Words.name(library.name, limit: 40)), share of CPU time", part, threshold: barrierThreshold)
        ], advice)
    }
    guard part >= barrierThreshold else { return .doesNotLimit }
    let isOpenMP = samples.modules.contains { module in openMPLibraries.contains { module.name.hasPrefix($0) } }
    let time = waiting.total.time(.spinning)
    var evidence = [
      share("spinning, share of the time on CPUs", part, threshold: barrierThreshold),
      number("spinning, all threads", Double(time), "ns"),
    ]
    if let interval = waiting.total.states.first(where: { $0.state == .spinning })?.interval {
      evidence.append(share("spinning, share of the threads' life, at least (95 % confidence)", interval.lower))
    }
    if let useful = waiting.usefulOccupancy.value { evidence.append(share("useful thread occupancy", useful)) }
    if let imbalance = waiting.imbalance.value {
      evidence.append(share("longest ÷ mean working time of the threads that meet − 1", imbalance))
    }
    var statement =
      "Limited by waiting at \(isOpenMP ? "OpenMP " : "")barriers: threads spin for \(Words.percent(part)) of the CPU time"
    if let worst = waiting.categories.value?.filter({ $0.category != nil })
      .max(by: { $0.time(.spinning) < $1.time(.spinning) }), worst.time(.spinning) > time / 4
    {
      statement +=
        ", most in \(worst.name) kernels (\(Words.percent(worst.share(.spinning))) of the threads' time there)"
      evidence.append(share("spinning in \(worst.name), share of the threads' time there", worst.share(.spinning)))
    }
    return verdict(statement + ".", weight: part * busy, evidence, advice)
  }

  /// Below this share of the hardware threads busy, the rest is worth a word.
  static let idleThreshold = 0.6

  static func idleProcessors(_ facts: LimitFacts) -> LimitRule.Finding {
    let busy = facts.ratio("cpu.busy")
    guard case .measured(let busy, _) = busy else { return cantTell(busy) }
    guard case .measured(let threads, _) = facts.run.hardwareThreads else { return cantTell(facts.run.hardwareThreads) }
    // A thread that waits for a CPU does not leave one idle: another program has it.
    let waiting = facts.waitingForCPU ?? 0
    let idle = 1 - (busy + waiting) / threads
    guard threads >= 2, idle >= 1 - idleThreshold else { return .doesNotLimit }
    let isSerial = busy > 0.8 && busy < 1.2
    return verdict(
      isSerial
        ? "One hardware thread is busy, of \(Words.decimal(threads, 0))."
        : "\(Words.significant(busy)) of \(Words.decimal(threads, 0)) hardware threads are busy on average.",
      weight: idle,
      [
        share("hardware threads idle", idle, threshold: 1 - idleThreshold),
        number("hardware threads busy", busy, "1"), number("hardware threads", threads, "1"),
      ],
      isSerial
        ? ["Run the work on more threads or processes: the program is serial, or was told to use one thread."]
        : ["Find what the threads wait for (timeline and thread times), or run more work at once."])
  }

  /// Waiting for a CPU above this share of the time in which threads want one.
  static let runnableThreshold = 0.2

  static func tooManyThreads(_ facts: LimitFacts) -> LimitRule.Finding {
    func total(_ state: Timeline.ThreadState) -> Measured<Int64> {
      facts.timeline.totals.first { $0.state == state }?.nanoseconds ?? .unavailable(Unavailable("no threads"))
    }
    guard case .measured(let running, _) = total(.running) else { return cantTell(total(.running)) }
    guard case .measured(let runnable, _) = total(.runnable) else { return cantTell(total(.runnable)) }
    let part = fraction(runnable, of: running.addingSaturating(runnable))
    guard part >= runnableThreshold else { return .doesNotLimit }
    let evidence = [share("runnable ÷ (running + runnable)", part, threshold: runnableThreshold)]
    let wanted = fraction(running.addingSaturating(runnable), of: facts.timeline.wallNanoseconds)
    if let threads = facts.run.hardwareThreads.value, wanted <= threads {
      return verdict(
        "Other programs hold the CPUs: threads that could run wait for one for \(Words.percent(part)) of their time.",
        weight: part,
        evidence + [number("hardware threads wanted", wanted, "1"), number("hardware threads", threads, "1")],
        ["Measure again on a machine that does nothing else: all times here are too long."])
    }
    return verdict(
      "Threads that could run wait for a CPU for \(Words.percent(part)) of their time.", weight: part, evidence,
      [
        "Use as many threads as there are hardware threads (OMP_NUM_THREADS), and no second pool beside it.",
        "Check that nothing else was running on the machine.",
      ])
  }

  /// Instructions per cycle below this mean that most cycles wait.
  static let ipcThreshold = 1.0

  static func stalls(_ facts: LimitFacts) -> LimitRule.Finding {
    let ipc = facts.ratio("ipc")
    guard case .measured(let ipc, _) = ipc else { return cantTell(ipc) }
    guard ipc < ipcThreshold else { return .doesNotLimit }
    var evidence = [number("instructions per cycle", ipc, "1", threshold: ipcThreshold)]
    for ratio in facts.counters.ratios where ["cache.mpki", "dtlb.mpki", "branch.miss_share"].contains(ratio.name) {
      if let value = ratio.value.value { evidence.append(number(ratio.label, value, "1")) }
    }
    return verdict(
      "The processor retires \(Words.significant(ipc)) instructions per cycle: most cycles wait for memory or for "
        + "earlier instructions.",
      weight: (1 - ipc) * min(1, facts.ratio("cpu.busy").value ?? 1), evidence,
      ["Look at cache and TLB misses: smaller or blocked data, sequential access, huge pages."])
  }

  /// Page faults above this share of CPU time are worth a word.
  static let pageFaultThreshold = 0.1
  /// The kernel's page-fault handlers: x86, arm64, and what both call.
  static let pageFaultFunctions: Set<String> = [
    "asm_exc_page_fault", "exc_page_fault", "do_user_addr_fault", "do_page_fault", "handle_mm_fault",
  ]

  static func pageFaults(_ facts: LimitFacts) -> LimitRule.Finding {
    guard case .measured(let functions, _) = facts.functions else { return cantTell(facts.functions) }
    guard functions.byInclusive.contains(where: { $0.kind == .kernel }) else {
      return .cantTell(Unavailable("the samples hold no functions of the operating system's kernel"))
    }
    let part =
      functions.byInclusive.filter { $0.kind == .kernel && pageFaultFunctions.contains($0.function) }
      .map(\.inclusiveShare).max() ?? 0
    guard part >= pageFaultThreshold else { return .doesNotLimit }
    var evidence = [share("page-fault handling, share of CPU time", part, threshold: pageFaultThreshold)]
    var place = ""
    if let waiting = facts.waiting.value, waiting.total.time(.pageFault) > 0 {
      let time = waiting.total.time(.pageFault)
      evidence.append(number("in page faults, all threads", Double(time), "ns"))
      if let worst = waiting.categories.value?.filter({ $0.category != nil })
        .max(by: { $0.time(.pageFault) < $1.time(.pageFault) }), worst.time(.pageFault) > time / 4
      {
        place = ", most in \(worst.name) kernels"
        evidence.append(share("in page faults, share of the threads' time in \(worst.name)", worst.share(.pageFault)))
      }
    }
    if let rate = facts.ratio("page_faults.rate").value { evidence.append(number("page faults", rate, "1/s")) }
    return verdict(
      "Limited by page faults: they take \(Words.percent(part)) of the CPU time\(place); memory is asked for and given back all the time.",
      weight: part * min(1, facts.ratio("cpu.busy").value ?? 1), evidence,
      [
        "Keep memory instead of returning it: MALLOC_TRIM_THRESHOLD_ and MALLOC_MMAP_THRESHOLD_, or LD_PRELOAD a caching "
          + "allocator (jemalloc, tcmalloc).",
        "Reuse buffers; use huge pages for large arrays.",
      ])
  }

  /// System time above this share of CPU time is worth a word.
  static let systemThreshold = 0.25

  static func systemTime(_ facts: LimitFacts) -> LimitRule.Finding {
    let system = facts.run.number("cpu.system")
    let part = Measured.combine(system, facts.run.number("cpu.user"), detail: "system ÷ CPU time") { $0 / ($0 + $1) }
    guard case .measured(let part, _) = part else { return cantTell(part) }
    guard part >= systemThreshold else { return .doesNotLimit }
    var evidence = [share("system time, share of CPU time", part, threshold: systemThreshold)]
    for name in ["page_faults.rate", "context_switches.rate"] {
      if let ratio = facts.counters.ratios.first(where: { $0.name == name }), let value = ratio.value.value {
        evidence.append(number(ratio.label, value, "1/s"))
      }
    }
    return verdict(
      "The operating system takes \(Words.percent(part)) of the CPU time.",
      weight: part * min(1, facts.ratio("cpu.busy").value ?? 1), evidence,
      [
        "See which system calls: many small reads and writes, memory mapping, or switching between threads are the "
          + "usual causes (`perf trace -s` counts them)."
      ])
  }
}

extension String {
  /// Without the blank that a number without prefix ends with.
  fileprivate var trimmed: String { last == " " ? String(dropLast()) : self }
}
