// Are efficiencies what arithmetic makes of them? Two hardware threads; peaks 100 GFLOP/s (50 in double precision); L1 64 KiB in
// all at 400 GB/s, L2 2 MiB in all at 80, L3 8 MiB at 40, DRAM 10.
import ProfileModel
import Testing

@testable import Analysis

@Suite struct EfficiencyTests {
  static let host = [
    quantity("ceiling.flops.f32", 100e9, "FLOP/s"), quantity("ceiling.flops.f64", 50e9, "FLOP/s"),
    quantity("ceiling.bandwidth.dram", 10e9, "B/s"), quantity("ceiling.bandwidth.l1", 400e9, "B/s"),
    quantity("ceiling.bandwidth.l2", 80e9, "B/s"), quantity("ceiling.bandwidth.l3", 40e9, "B/s"),
    quantity("host.cpu.available", 2), quantity("host.cache.l1d", 32_768, "B"),
    quantity("host.cache.l1d.shared_by", 1), quantity("host.cache.l2", 1_048_576, "B"),
    quantity("host.cache.l2.shared_by", 1), quantity("host.cache.l3", 8_388_608, "B"),
    quantity("host.cache.l3.shared_by", 2),
  ]

  static func efficiency(_ kernels: [KernelRecord], host: [Quantity] = host) -> Measured<Efficiency> {
    let run = run(profile(host: host) { $0.kernels = kernels })
    return Efficiency.of(run, roofline: Roofline.of(run), waiting: WaitingBreakdown.of(CallTree(run), run))
  }

  @Test func levelsByTheBytesOfOneCall() throws {
    let second: Int64 = 1_000_000_000
    // Bytes of one call: the whole of a level, and one more.
    let sizes = [65_536.0, 65_537, 2_097_152, 2_097_153, 8_388_608, 8_388_609]
    let kernels = sizes.enumerated().map { index, size in
      kernel("add\(index)", .elementWise, self: second, calls: 1000, flops: 1, bytes: size * 1000)
    }
    let result = try #require(Self.efficiency(kernels).value)
    let byName = Dictionary(uniqueKeysWithValues: result.kernels.map { ($0.name, $0) })
    let levels = (0..<sizes.count).map { byName["add\($0)"]?.levels.first?.level }
    #expect(levels == ["L1", "L2", "L2", "L3", "L3", "DRAM"])
    #expect(result.levels.map(\.bytes) == [65_536, 2_097_152, 8_388_608, nil])
    let rates = [400e9, 80e9, 80e9, 40e9, 40e9, 10e9]
    for (index, size) in sizes.enumerated() {
      let row = try #require(byName["add\(index)"])
      #expect(isClose(row.bandwidth ?? 0, size * 1000 / rates[index]))
      #expect(isClose(row.dram ?? 0, size * 1000 / 10e9))
      #expect(row.levels.count == 1 && isClose(row.levels[0].efficiency, row.bandwidth ?? 0))
    }
    // All together: the times at the levels add up.
    let ideal = zip(sizes, rates).reduce(0) { $0 + $1.0 * 1000 / $1.1 }
    #expect(isClose(result.whole.bandwidth ?? 0, ideal / 6))
    #expect(result.whole.levels.map(\.level) == ["L1", "L2", "L3", "DRAM"])
    #expect(isClose(result.whole.levels.reduce(0) { $0 + $1.share }, 1))
  }

  @Test func arithmeticAndTheRoof() throws {
    let second: Int64 = 1_000_000_000
    let result = try #require(
      Self.efficiency([
        // Arithmetic limits: 0.8 s at the peak, 0.1 s of DRAM.
        kernel("mm", .gemm, self: second, shapes: "[8, 8]", flops: 80e9, bytes: 1e9),
        // The same in double precision: 40 GFLOP take 0.8 s.
        kernel("dmm", .gemm, self: second, types: "f64 f64", flops: 40e9, bytes: 1e9),
        // Memory limits: 0.6 s of DRAM.
        kernel("add", .elementWise, self: second, flops: 1e9, bytes: 6e9),
        // No FLOPs known: only bandwidth.
        kernel("embedding", .embedding, self: second, bytes: 5e9),
        // Moves nothing, computes nothing: compute efficiency is a measured zero, bandwidth is not known.
        kernel("view", .allocation, self: second, flops: 0, bytes: 0),
      ]).value)
    func row(_ category: KernelCategory) throws -> Efficiency.Row {
      try #require(result.categories.first { $0.category == category })
    }
    let gemm = try row(.gemm)
    #expect(isClose(gemm.compute ?? 0, 0.8) && isClose(gemm.roof ?? 0, 0.8) && isClose(gemm.bandwidth ?? 0, 0.1))
    let add = try row(.elementWise)
    #expect(isClose(add.compute ?? 0, 0.01) && isClose(add.roof ?? 0, 0.6) && isClose(add.dram ?? 0, 0.6))
    let embedding = try row(.embedding)
    #expect(embedding.compute == nil && embedding.roof == nil && isClose(embedding.bandwidth ?? 0, 0.5))
    let view = try row(.allocation)
    #expect(view.compute == 0 && view.bandwidth == nil && view.levels.isEmpty)
    // 1.61 s of 4 s whose FLOPs are known; 0.8 + 0.8 + 0.6 s of 3 s whose roof is known.
    #expect(isClose(result.whole.compute ?? 0, 1.61 / 4) && isClose(result.whole.roof ?? 0, 2.2 / 3))
    #expect(isClose(result.categories.reduce(0) { $0 + $1.shareOfKernels }, 1))
  }

  /// Working time of all threads while a category's kernels ran ÷ (their time × two hardware threads).
  @Test func occupancyCountsWorkAlone() throws {
    func row(_ state: TimeState, _ time: Int64, _ category: KernelCategory?, tid: Int32 = 1) -> ThreadTime {
      ThreadTime(
        pid: 1, tid: tid, startNanoseconds: 0, phase: .forward, category: category, state: state, nanoseconds: time,
        provenance: Provenance(.softwareCounter))
    }
    let run = run(
      profile(host: Self.host) {
        $0.kernels = [
          kernel("mm", .gemm, self: 1000, flops: 1, bytes: 1),
          kernel("add", .elementWise, self: 500, flops: 1, bytes: 1),
        ]
        $0.threadTimes = [
          row(.working, 1000, .gemm), row(.working, 600, .gemm, tid: 2), row(.lock, 400, .gemm, tid: 2),
          row(.working, 500, .elementWise), row(.lock, 500, .elementWise, tid: 2), row(.working, 300, nil),
        ]
      })
    let result = try #require(
      Efficiency.of(run, roofline: Roofline.of(run), waiting: WaitingBreakdown.of(CallTree(run), run)).value)
    #expect(isClose(result.categories.first { $0.category == .gemm }?.occupancy ?? 0, 1600.0 / 2000))
    #expect(isClose(result.categories.first { $0.category == .elementWise }?.occupancy ?? 0, 500.0 / 1000))
    #expect(isClose(result.whole.occupancy ?? 0, 2100.0 / 3000))
    #expect(result.kernels.allSatisfy { $0.occupancy == nil })
    #expect(
      try #require(Self.efficiency([kernel("mm", .gemm, self: 9, flops: 1, bytes: 1)]).value).whole.occupancy == nil)
  }

  /// Machines that tell no caches, or whose ceilings are missing.
  @Test func lessIsKnown() throws {
    let kernels = [kernel("add", .elementWise, self: 1_000_000_000, flops: 1, bytes: 1e9)]
    let noCaches = Self.host.filter { !$0.name.hasPrefix("host.cache") }
    let result = try #require(Self.efficiency(kernels, host: noCaches).value)
    #expect(result.levels.map(\.name) == ["DRAM"] && isClose(result.whole.bandwidth ?? 0, 0.1))
    #expect(Self.efficiency(kernels, host: []).unavailable?.remedy != nil)
    #expect(Self.efficiency([]).value == nil)
    // Files that don't say who shares a cache: two cores with a first and second level each, one third level.
    let old = Self.host.filter { !$0.name.hasSuffix("shared_by") }
    #expect(
      try #require(Self.efficiency(kernels, host: old).value).levels.map(\.bytes) == [
        65_536, 2_097_152, 8_388_608, nil,
      ])
    let hostile = [kernel("x", self: 1, flops: .nan, bytes: -1), kernel("y", self: .max, flops: 1e300, bytes: 1e300)]
    if case .measured(let odd, _) = Self.efficiency(hostile) { #expect((odd.whole.compute ?? 0).isFinite) }
  }
}
