// Is the ranking right, is recursion counted once, and do shares add up?
import ProfileModel
import Testing

@testable import Analysis

@Suite struct HotspotRankingTests {
  static func ranking(_ times: [Int64], least: Int = 100, limit: Int = 1000) -> HotspotRanking<Int> {
    HotspotRanking(times.enumerated().map { ($0.offset, $0.element) }, least: least, limit: limit) { $0 }
  }

  @Test func ranks() {
    let ranking = Self.ranking([50, 600, 0, 300, 50])
    #expect(ranking.hotspots.map(\.subject) == [1, 3, 0, 4])
    #expect(ranking.hotspots.map(\.rank) == [1, 2, 3, 4])
    #expect(zip(ranking.hotspots.map(\.cumulativeShare), [0.6, 0.9, 0.95, 1.0]).allSatisfy { isClose($0, $1) })
    #expect(ranking.count == 4 && ranking.countToEightyPercent == 2 && ranking.totalNanoseconds == 1000)
    // 1 / (0.36 + 0.09 + 0.0025 + 0.0025)
    #expect(isClose(ranking.effectiveNumber, 1 / 0.455))
    // > 10 %: 0.6, 0.3; 5–10 %: none, as 0.05 is not above 5 %; 1–5 %: two.
    #expect(ranking.buckets.map(\.count) == [2, 0, 2, 0, 0])
    #expect(isClose(ranking.buckets.reduce(0) { $0 + $1.share }, 1))
  }

  @Test func equalSharesHaveTheirNumberAsEffectiveNumber() {
    #expect(isClose(Self.ranking([Int64](repeating: 7, count: 25)).effectiveNumber, 25))
  }

  @Test func listsEightyPercentEvenBeyondTheLeast() {
    let ranking = Self.ranking([Int64](repeating: 1, count: 100), least: 10)
    #expect(ranking.hotspots.count == 80 && ranking.countToEightyPercent == 80)
    #expect(ranking.omittedCount == 20 && isClose(ranking.omittedShare, 0.2))
    #expect(Self.ranking([Int64](repeating: 1, count: 100), least: 10, limit: 30).hotspots.count == 30)
  }

  @Test func nothing() {
    let ranking = Self.ranking([])
    #expect(ranking.hotspots.isEmpty && ranking.effectiveNumber == 0 && ranking.omittedShare == 0)
    #expect(Self.ranking([0, -5]).count == 0)
  }
}

@Suite struct KernelHotspotTests {
  static let kernels = [
    kernel(
      "conv", .convolution, .forward, self: 300, calls: 2, module: "layer1", shapes: "[1, 3]", flops: 10, bytes: 4),
    kernel(
      "conv", .convolution, .backward, self: 100, calls: 2, module: "layer2", shapes: "[1, 3]", flops: 5, bytes: 4),
    kernel("conv", .convolution, .forward, self: 50, calls: 1, module: "layer2", shapes: "[2, 3]"),
    kernel("relu", .relu, .forward, self: 150, calls: 5, module: "layer1"),
    kernel("stack", .dataArrangement, .data, self: 900, thread: "prefetch"),
  ]

  @Test func groups() throws {
    let hotspots = try #require(KernelHotspots.of(run(profile { $0.kernels = Self.kernels })).value)
    #expect(hotspots.byName.hotspots.map(\.subject.name) == ["conv", "relu"])
    #expect(hotspots.byName.hotspots[0].nanoseconds == 450)
    #expect(hotspots.byName.hotspots[0].subject.calls == 5 && hotspots.byName.hotspots[0].subject.meanNanoseconds == 90)
    #expect(hotspots.byName.hotspots[0].subject.phases == [.forward, .backward])
    #expect(hotspots.byShape.hotspots.map(\.nanoseconds) == [400, 150, 50])
    #expect(hotspots.byShape.hotspots[0].subject.shapes == "[1, 3]")
    #expect(hotspots.byModule.hotspots.map(\.subject.name) == ["layer1", "layer2"])
    #expect(hotspots.byModule.hotspots.map(\.nanoseconds) == [450, 150])
    for total in [
      hotspots.byName.totalNanoseconds, hotspots.byShape.totalNanoseconds, hotspots.byModule.totalNanoseconds,
    ] {
      #expect(total == 600)
    }
  }

  @Test func partialFlopsSaySo() throws {
    let hotspots = try #require(KernelHotspots.of(run(profile { $0.kernels = Self.kernels })).value)
    let conv = hotspots.byName.hotspots[0].subject
    #expect(conv.flops.value == 15)
    #expect(conv.flops.provenance?.detail?.contains("2 of 3") == true)
    #expect(hotspots.byName.hotspots[1].subject.flops.unavailable?.reason == "no formula covers it")
  }
}

@Suite struct FunctionHotspotTests {
  static var example: Stacks {
    var stacks = Stacks()
    stacks.add("main work leaf", 60)
    stacks.add("main work", 20)
    stacks.add("main fib fib fib", 10)
    stacks.add("main other (small)", 10)
    return stacks
  }

  static func hotspots(_ stacks: Stacks) -> FunctionHotspots {
    FunctionHotspots(stacks.tree, Provenance(.sampled))
  }

  @Test func selfAndInclusive() throws {
    let hotspots = Self.hotspots(Self.example)
    #expect(hotspots.byFunction.hotspots.map(\.subject.function) == ["leaf", "work", "fib", "other"])
    #expect(hotspots.byFunction.hotspots.map(\.subject.samples) == [60, 20, 10, 10])
    #expect(hotspots.byFunction.totalNanoseconds == 1000)
    let inclusive = Dictionary(
      uniqueKeysWithValues: hotspots.byInclusive.map { ($0.function, $0.inclusiveNanoseconds) })
    // fib is three deep and counts once.
    #expect(inclusive == ["main": 1000, "work": 800, "leaf": 600, "fib": 100, "other": 100, "small": 100])
    #expect(hotspots.byInclusive.first?.function == "main" && hotspots.byInclusive[0].samples == 0)
    for hotspot in hotspots.byFunction.hotspots {
      #expect(hotspot.nanoseconds <= hotspot.subject.inclusiveNanoseconds)
      #expect(hotspot.subject.interval.lower <= hotspot.share)
      #expect(hotspot.subject.interval.upper ?? 0 >= hotspot.share)
    }
  }

  @Test func inlinedCodeBelongsToItsFunction() throws {
    let hotspots = Self.hotspots(Self.example)
    let inlined = try #require(hotspots.byInlinedFunction)
    #expect(inlined.hotspots.map(\.subject.function).contains("small"))
    #expect(!inlined.hotspots.map(\.subject.function).contains("other"))
    var plain = Stacks()
    plain.add("main", 1)
    #expect(Self.hotspots(plain).byInlinedFunction == nil)
  }

  @Test func inlinedWithoutACallerIsItself() {
    var stacks = Stacks()
    stacks.add("(alone) (deeper)", 3)
    #expect(Self.hotspots(stacks).byFunction.hotspots.map(\.subject.function) == ["alone"])
  }

  @Test func recursionThroughAnotherFunctionCountsOnce() {
    var stacks = Stacks()
    stacks.add("main a b a b", 4)
    stacks.add("main a b", 6)
    let inclusive = Dictionary(
      uniqueKeysWithValues: Self.hotspots(stacks).byInclusive.map { ($0.function, $0.inclusiveNanoseconds) })
    #expect(inclusive == ["main": 100, "a": 100, "b": 100])
  }

  @Test func unavailable() {
    let none = profile { $0.collectors = [CollectorState("sampling", .unavailable, reason: "r", remedy: "m")] }
    #expect(FunctionHotspots.of(CallTree(run(none)), run(none)).unavailable == Unavailable("r", remedy: "m"))
    #expect(FlameGraph.of(CallTree(run(none)), run(none)).unavailable?.reason == "r")
    #expect(SampleBreakdown.of(CallTree(run(none)), run(none)).unavailable?.reason == "r")
  }
}

@Suite struct CategoryFunctionTests {
  @Test func byTracedKernel() throws {
    var stacks = Stacks()
    stacks.add("main sgemm_kernel", 30, kernel: 1)
    stacks.add("worker sgemm_kernel", 30, tid: 2, kernel: 1)
    stacks.add("main pack", 20, kernel: 1)
    stacks.add("main copy", 10, kernel: 2)
    stacks.add("main", 10)
    let profile = stacks.profile { data in
      data.kernels = [
        kernel("addmm", .gemm, self: 500, calls: 4, id: 1), kernel("mm", .gemm, self: 100, id: 3),
        kernel("cat", .dataArrangement, self: 200, id: 2),
      ]
    }
    let rows = try #require(CategoryFunctions.of(stacks.tree, run(profile)).value)
    #expect(rows.map(\.category) == [.gemm, .dataArrangement])
    #expect(rows[0].basis == .tracedKernel && rows[0].samples == 80 && rows[0].nanoseconds == 600)
    #expect(rows[0].functions.map(\.function) == ["sgemm_kernel", "pack"])
    #expect(rows[0].functions.map(\.share) == [0.75, 0.25])
    #expect(rows[0].kernels.map(\.name) == ["addmm", "mm"] && isClose(rows[0].kernels[0].share, 500.0 / 600))

    let breakdown = try #require(SampleBreakdown.of(stacks.tree, run(profile)).value)
    #expect(breakdown.categories.map(\.name) == ["GEMM", "data arrangement", SampleBreakdown.outsideKernels])
    #expect(breakdown.categories.map(\.samples) == [80, 10, 10])
  }

  @Test func byNameWithoutTrace() throws {
    var stacks = Stacks()
    stacks.add("main sgemm_kernel_HASWELL", 60)
    stacks.add("main parse", 30)
    stacks.add("main [do_sys_poll]", 10)
    let profile = stacks.profile {
      $0.threads = [
        ThreadRecord(pid: 1, tid: 1, parentPID: 0, name: "program", startNanoseconds: 0, endNanoseconds: 1000)
      ]
    }
    let rows = try #require(CategoryFunctions.of(stacks.tree, run(profile)).value)
    #expect(rows.allSatisfy { $0.basis == .functionName && $0.kernels.isEmpty })
    #expect(rows.first { $0.category == .gemm }?.functions.map(\.function) == ["sgemm_kernel_HASWELL"])
    #expect(rows.sum(\.samples) == 100)
    let breakdown = try #require(SampleBreakdown.of(stacks.tree, run(profile)).value)
    #expect(breakdown.modules.map(\.name) == ["program", "[kernel]"])
    #expect(breakdown.kinds.map(\.name) == ["user", "kernel"] && breakdown.threads.map(\.name) == ["program"])
    for parts in [breakdown.categories, breakdown.modules, breakdown.kinds, breakdown.threads] {
      #expect(isClose(parts.reduce(0) { $0 + $1.share }, 1))
      #expect(parts.sum(\.samples) == 100)
    }
  }

  @Test func fileNames() {
    #expect(SampleBreakdown.fileName("/usr/lib/libc.so.6") == "libc.so.6")
    #expect(SampleBreakdown.fileName("[kernel]") == "[kernel]")
    #expect(SampleBreakdown.fileName("") == "[unknown]")
    #expect(SampleBreakdown.fileName("/odd/") == "/odd/")
  }
}
