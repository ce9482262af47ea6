// Does each rule speak when its number crosses the bound, stay silent below, and admit what was not measured?
import ProfileModel
import Testing

@testable import Analysis

@Suite struct LimitTests {
  static func facts(_ profile: Profile) -> LimitFacts {
    let run = run(profile)
    let tree = CallTree(run)
    return LimitFacts(
      run: run, breakdown: RuntimeBreakdown.of(run), roofline: Roofline.of(run), kernels: KernelHotspots.of(run),
      functions: FunctionHotspots.of(tree, run), samples: SampleBreakdown.of(tree, run), timeline: Timeline.of(run),
      waiting: WaitingBreakdown.of(tree, run), counters: CounterSummary.of(run),
      cost: ProfilerCost.of(run), training: TrainingCharacteristics.of(run))
  }

  static func verdict(_ rule: String, _ profile: Profile) throws -> LimitedBy.Verdict? {
    if case .limits(let verdict) = try finding(rule, profile) { verdict } else { nil }
  }

  static func finding(_ rule: String, _ profile: Profile) throws -> LimitRule.Finding {
    try #require(LimitRules.all.first { $0.name == rule }).find(facts(profile))
  }

  static func isUntold(_ rule: String, _ profile: Profile) throws -> Bool {
    if case .cantTell = try finding(rule, profile) { true } else { false }
  }

  /// A traced run of 1 s: `parts` are phase quantities and start-up in ms; one kernel of `kernel` ms.
  static func traced(
    kernels: [KernelRecord], host: [Quantity] = RooflineTests.host, _ clocks: [String: Double]
  ) -> Profile {
    profile(wall: 1_000_000_000, host: host) { data in
      data.kernels = kernels
      data.quantities = clocks.sorted { $0.key < $1.key }.map { quantity("phase.\($0.key).wall", $0.value * 1e6) }
    }
  }

  @Test func table() {
    let names = LimitRules.all.map(\.name)
    #expect(Set(names).count == names.count)
    #expect(LimitRules.all.allSatisfy { $0.question.last == "?" })
  }

  @Test(arguments: [(250.0, true), (249, false)])
  func startUp(milliseconds: Double, isLimit: Bool) throws {
    let profile = Self.traced(
      kernels: [kernel("mm", .gemm, self: 500_000_000)],
      ["startup": milliseconds, "exit": 0, "forward": 1000 - milliseconds])
    let verdict = try Self.verdict("start-up", profile)
    #expect((verdict != nil) == isLimit)
    if let verdict {
      #expect(isClose(verdict.weight, 0.25) && verdict.evidence[0].threshold == 0.25)
      #expect(verdict.statement.contains("25 %") && verdict.statement.contains("250 ms"))
    }
  }

  @Test(arguments: [(100.0, true), (99, false)])
  func waitsForData(milliseconds: Double, isLimit: Bool) throws {
    let profile = Self.traced(
      kernels: [kernel("mm", .gemm, self: 500_000_000), kernel("copy", .memoryCopy, .data, self: 50_000_000)],
      ["startup": 0, "exit": 0, "data": milliseconds + 50, "forward": 950 - milliseconds])
    #expect((try Self.verdict("waits-for-data", profile) != nil) == isLimit)
  }

  @Test(arguments: [(200.0, true), (199, false)])
  func framework(milliseconds: Double, isLimit: Bool) throws {
    let profile = Self.traced(
      kernels: [kernel("mm", .gemm, self: 100_000_000, calls: 1000)],
      ["startup": 900 - milliseconds, "exit": 0, "forward": 100 + milliseconds])
    let verdict = try Self.verdict("framework-overhead", profile)
    #expect((verdict != nil) == isLimit)
    #expect(verdict == nil || verdict?.evidence[1].value == 200_000)
  }

  @Test(arguments: [
    (Int64(200_000_000), Int64(50_000), true), (199_000_000, 50_000, false), (200_000_000, 20_000, false),
  ])
  func smallKernels(time: Int64, calls: Int64, isLimit: Bool) throws {
    let profile = Self.traced(kernels: [kernel("add", .elementWise, self: time, calls: calls)], ["forward": 1000])
    #expect((try Self.verdict("small-kernels", profile) != nil) == isLimit)
  }

  /// 0.5 s of a kernel at `share` of the roof of 100 GFLOP/s and 10 GB/s.
  static func underRoof(share: Double, isMemoryBound: Bool) -> Profile {
    traced(
      kernels: [
        isMemoryBound
          ? kernel("add", .elementWise, self: 500_000_000, flops: 0.5e9 * share, bytes: 5e9 * share)
          : kernel("conv", .convolution, self: 500_000_000, flops: 50e9 * share, bytes: 0.5e9 * share)
      ], ["forward": 1000])
  }

  @Test(arguments: [(0.7, "arithmetic"), (0.5, ""), (0.3, "below-ceilings")])
  func computeBound(share: Double, expected: String) throws {
    for rule in ["arithmetic", "memory-bandwidth", "below-ceilings"] {
      let verdict = try Self.verdict(rule, Self.underRoof(share: share, isMemoryBound: false))
      #expect((verdict != nil) == (rule == expected), "\(rule)")
      if rule == "below-ceilings", let verdict { #expect(isClose(verdict.weight, 0.5 * 0.7)) }
    }
  }

  @Test(arguments: [(0.7, "memory-bandwidth"), (0.5, ""), (0.3, "below-ceilings")])
  func memoryBound(share: Double, expected: String) throws {
    for rule in ["arithmetic", "memory-bandwidth", "below-ceilings"] {
      let verdict = try Self.verdict(rule, Self.underRoof(share: share, isMemoryBound: true))
      #expect((verdict != nil) == (rule == expected), "\(rule)")
      if let verdict { #expect(verdict.statement.hasPrefix("Element-wise")) }
    }
  }

  @Test func rooflineRulesNeedCeilings() throws {
    var profile = Self.underRoof(share: 0.7, isMemoryBound: true)
    profile.host = [missing("ceiling.flops.f32", "not measured here")]
    #expect(try Self.isUntold("memory-bandwidth", profile))
  }

  static func sampled(_ paths: [(String, Int64)]) -> Profile {
    var stacks = Stacks()
    for (path, count) in paths { stacks.add(path, count) }
    return stacks.profile(wall: 10_000)
  }

  @Test func hotFunction() throws {
    let verdict = try #require(
      try Self.verdict(
        "hot-function", Self.sampled([("main hot", 310), ("main a", 690 / 3), ("main b", 230), ("main c", 230)])))
    #expect(verdict.statement.contains("“hot”") && verdict.statement.contains("31 %"))
    let flat = Self.sampled([("a", 250), ("b", 250), ("c", 250), ("d", 250)])
    #expect(try Self.verdict("hot-function", flat) == nil)
    // One of three samples is a third, and shows nothing.
    #expect(try Self.verdict("hot-function", Self.sampled([("a", 1), ("b", 1), ("c", 1)])) == nil)
    #expect(try Self.isUntold("hot-function", profile()))
  }

  static func busy(_ busy: Double, of threads: Double, limit: Double? = nil) -> Profile {
    profile(
      wall: 1_000_000,
      host: [quantity("host.cpu.logical", threads, "1")] + (limit.map { [quantity("host.cpu.limit", $0, "1")] } ?? [])
    ) {
      $0.quantities = [quantity("cpu.user", busy * 1e6), quantity("cpu.system", 0)]
    }
  }

  @Test func idleProcessors() throws {
    let serial = try #require(try Self.verdict("idle-processors", Self.busy(1, of: 2)))
    #expect(serial.statement == "One hardware thread is busy, of 2." && serial.weight == 0.5)
    #expect(try Self.verdict("idle-processors", Self.busy(1.3, of: 2)) == nil)
    #expect(try Self.verdict("idle-processors", Self.busy(1, of: 1)) == nil)
    // A container that may use one CPU has no idle ones.
    #expect(try Self.verdict("idle-processors", Self.busy(1, of: 64, limit: 1)) == nil)
    #expect(try #require(try Self.verdict("idle-processors", Self.busy(16, of: 64))).statement.hasPrefix("16.0 of 64"))
    #expect(try Self.isUntold("idle-processors", profile()))
  }

  /// 1000 ns of one thread on two hardware threads; half a CPU to itself, half waiting for one: nothing is idle.
  @Test func otherPrograms() throws {
    var crowded = profile(host: [quantity("host.cpu.logical", 2, "1")]) { data in
      data.threads = (1...2).map { TimelineTests.thread($0, 0, 1000, [400, 600, 0, 0, 0, 0]) }
      data.quantities = [quantity("cpu.user", 800), quantity("cpu.system", 0)]
    }
    #expect(try Self.verdict("idle-processors", crowded) == nil)
    let verdict = try #require(try Self.verdict("too-many-threads", crowded))
    #expect(verdict.statement.hasPrefix("Other programs") && isClose(verdict.weight, 0.6))
    crowded.repetitions[0].threads += (3...4).map { TimelineTests.thread($0, 0, 1000, [400, 600, 0, 0, 0, 0]) }
    #expect(try #require(try Self.verdict("too-many-threads", crowded)).statement.hasPrefix("Threads that could run"))
  }

  /// One thread of 1000 ns with the given times.
  static func waiting(_ times: [Int64?], cpu: Double = 0) -> Profile {
    profile { data in
      data.threads = [TimelineTests.thread(1, 0, 1000, times)]
      data.quantities = [quantity("cpu.user", cpu), quantity("cpu.system", 0)]
    }
  }

  @Test func waits() throws {
    #expect(try Self.verdict("waits-on-locks", Self.waiting([700, 0, 150, 0, 150, 0])) != nil)
    #expect(try Self.verdict("waits-on-locks", Self.waiting([700, 0, 149, 0, 151, 0])) == nil)
    #expect(try Self.verdict("waits-on-io", Self.waiting([700, 0, 0, 200, 100, 0])) != nil)
    #expect(try Self.isUntold("waits-on-io", Self.waiting([700, 0, 0, nil, 0, 300])))
    #expect(try Self.verdict("too-many-threads", Self.waiting([700, 200, 0, 0, 100, 0])) != nil)
    #expect(try Self.verdict("too-many-threads", Self.waiting([900, 100, 0, 0, 0, 0])) == nil)
    #expect(try Self.verdict("asleep", Self.waiting([100, 0, 0, 0, 900, 0], cpu: 100)) != nil)
    // A parent that waits for its busy children does not limit them.
    #expect(try Self.verdict("asleep", Self.waiting([100, 0, 0, 0, 900, 0], cpu: 2000)) == nil)
    for rule in ["waits-on-locks", "waits-on-io", "too-many-threads", "asleep"] {
      #expect(try Self.isUntold(rule, profile()))
    }
  }

  /// A pool of workers idle on a lock does not hold up the thread that works.
  @Test func idleWorkersAreNotAWait() throws {
    let pool = profile { data in
      data.threads = [
        TimelineTests.thread(1, 0, 1000, [1000, 0, 0, 0, 0, 0]),
        TimelineTests.thread(2, 0, 1000, [10, 0, 990, 0, 0, 0]),
      ]
    }
    #expect(try Self.verdict("waits-on-locks", pool) == nil)
  }

  @Test func stalls() throws {
    func counted(_ instructions: Double) -> Profile {
      profile { data in
        data.counters = [
          CounterTotal(event: "instructions", value: Measured(instructions, .hardwareCounter)),
          CounterTotal(event: "cycles", value: Measured(1000, .hardwareCounter)),
        ]
      }
    }
    #expect(isClose(try #require(try Self.verdict("stalls", counted(400))).weight, 0.6))
    #expect(try Self.verdict("stalls", counted(1000)) == nil)
    #expect(try Self.isUntold("stalls", profile()))
  }

  @Test func barriers() throws {
    func spinning(_ count: Int64) -> Profile {
      var stacks = Stacks()
      stacks.add("main work", 100 - count)
      stacks.add("main gomp_team_barrier_wait_end", count)
      for (id, frame) in stacks.frames where frame.function.hasPrefix("gomp") {
        stacks.frames[id]?.module = "/usr/lib/x86_64-linux-gnu/libgomp.so.1.0.0"
      }
      return stacks.profile()
    }
    #expect(isClose(try #require(try Self.verdict("spins-at-barriers", spinning(20))).weight, 0.2))
    #expect(try Self.verdict("spins-at-barriers", spinning(9)) == nil)
    #expect(try Self.isUntold("spins-at-barriers", profile()))
  }

  @Test func operatingSystem() throws {
    let faults = Self.sampled([("main [asm_exc_page_fault] [clear_page]", 10), ("main work", 80)])
    #expect(isClose(try #require(try Self.verdict("page-faults", faults)).weight, 1.0 / 9))
    // The name counts only for code of the operating system's kernel.
    #expect(try Self.isUntold("page-faults", Self.sampled([("main handle_mm_fault", 10)])))
    func system(_ part: Double) -> Profile {
      profile { $0.quantities = [quantity("cpu.user", 1000 * (1 - part)), quantity("cpu.system", 1000 * part)] }
    }
    #expect(try Self.verdict("system-time", system(0.25)) != nil)
    #expect(try Self.verdict("system-time", system(0.24)) == nil)
    #expect(try Self.isUntold("system-time", profile()))
    #expect(try Self.isUntold("system-time", system(.nan)))
  }

  @Test func measurement() throws {
    var failed = profile()
    failed.repetitions[0].repetition.exitStatus = 3
    #expect(try #require(try Self.verdict("failed", failed)).statement.contains("exited with status 3"))
    #expect(try Self.verdict("failed", profile()) == nil)
    failed.repetitions[0].repetition.signal = 9
    #expect(try #require(try Self.verdict("failed", failed)).statement.contains("SIGKILL"))

    var diverged = TrainingTests.example
    #expect(try Self.verdict("diverged", diverged) == nil)
    diverged.repetitions[0].steps[3].loss = .nan
    #expect(try #require(try Self.verdict("diverged", diverged)).statement.contains("1 of 4"))

    func cost(_ time: Double, lost: Double) -> Profile {
      profile {
        $0.quantities = [
          quantity("cpu.user", 1000), quantity("cpu.system", 0), quantity("profiler.cpu_time", time),
          quantity("samples.taken", 1000 - lost, "1"), quantity("samples.lost", lost, "1"),
        ]
      }
    }
    #expect(try Self.verdict("profiler-cost", cost(50, lost: 0)) != nil)
    #expect(try Self.verdict("profiler-cost", cost(49, lost: 0)) == nil)
    #expect(try Self.verdict("lost-samples", cost(0, lost: 10)) != nil)
    #expect(try Self.verdict("lost-samples", cost(0, lost: 9)) == nil)
    #expect(try Self.verdict("few-samples", Self.sampled([("a", 99)])) != nil)
    #expect(try Self.verdict("few-samples", Self.sampled([("a", 100)])) == nil)
    let gap = Self.traced(
      kernels: [kernel("mm", .gemm, self: 1)], ["startup": 100, "exit": 100, "forward": 700])
    #expect(isClose(try #require(try Self.verdict("does-not-add-up", gap)).weight, 0.1))
  }

  @Test func summaryPutsTheHeaviestFirst() {
    func rule(_ name: String, _ weight: Double, warning: Bool = false) -> LimitRule {
      LimitRule(name: name, question: "?", isAboutMeasurement: warning) { _ in
        LimitRules.verdict("\(name) limits.", weight: weight, [], ["Mend \(name)."])
      }
    }
    let limits = LimitedBy.of(
      Self.facts(profile()),
      rules: [rule("a", 0.1), rule("b", 0.9), rule("c", 0.5), rule("d", 7), rule("w", 0.2, warning: true)])
    #expect(limits.verdicts.map(\.rule) == ["d", "b", "c", "a", "w"])
    #expect(limits.verdicts[0].weight == 1 && limits.verdicts[4].isAboutMeasurement)
    #expect(limits.summary == ["w limits.", "d limits.", "b limits.", "c limits.", "Mend d."])
  }

  @Test func saysWhenItCantTell() {
    let untold = LimitRule(name: "a", question: "?") { _ in .cantTell(Unavailable("no clock")) }
    let silent = LimitRule(name: "b", question: "?") { _ in .doesNotLimit }
    #expect(
      LimitedBy.of(Self.facts(profile()), rules: [untold]).summary == ["What limits this run can't be told: no clock."])
    #expect(
      LimitedBy.of(Self.facts(profile()), rules: [untold, silent]).summary
        == ["Nothing that was measured stands out as a limit."])
  }

  @Test func words() {
    #expect(Words.percent(0.374) == "37 %" && Words.percent(0.0042) == "0.4 %" && Words.percent(0) == "0 %")
    #expect(
      Words.duration(850) == "850 ns" && Words.duration(12_300) == "12.3 µs" && Words.duration(4.56e9) == "4.56 s")
    #expect(Words.duration(720e9) == "12 min" && Words.prefixed(1.234e9) == "1.23 G")
    #expect(Words.name("a\nb\u{1b}[31m") == "a b [31m" && Words.name(String(repeating: "x", count: 99)).count == 80)
    #expect(Words.list(["a", "b", "c"]) == "a, b and c" && Words.list([]).isEmpty)
  }
}
