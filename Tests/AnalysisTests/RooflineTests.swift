// Are points under the roof where arithmetic puts them? Roof: 100 GFLOP/s, 10 GB/s, ridge at 10 FLOP/B.
import ProfileModel
import Testing

@testable import Analysis

@Suite struct RooflineTests {
  static let host = [
    quantity("ceiling.flops.f32", 100e9, "FLOP/s"), quantity("ceiling.flops.f64", 50e9, "FLOP/s"),
    quantity("ceiling.bandwidth.dram", 10e9, "B/s"), quantity("ceiling.bandwidth.l2", 80e9, "B/s"),
  ]

  static func roofline(_ kernels: [KernelRecord], host: [Quantity] = host) -> Measured<Roofline> {
    Roofline.of(run(profile(host: host) { $0.kernels = kernels }))
  }

  @Test func places() throws {
    let roofline = try #require(
      Self.roofline([
        // 1 s: 80 GFLOP on 1 GB: 80 FLOP/B, 80 % of the peak.
        kernel("mm", .gemm, self: 1_000_000_000, shapes: "[8, 8]", flops: 80e9, bytes: 1e9),
        // 1 s: 1 GFLOP on 8 GB: 0.125 FLOP/B allows 1.25 GFLOP/s; 80 %.
        kernel("add", .elementWise, self: 1_000_000_000, flops: 1e9, bytes: 8e9),
        kernel("embedding", .embedding, self: 500_000_000, bytes: 1e9),
        kernel("view", .allocation, self: 500_000_000, flops: 0, bytes: 0),
      ]).value)
    #expect(roofline.ridge == 10)
    let gemm = try #require(roofline.categories.first { $0.category == .gemm })
    #expect(gemm.bound == .compute && isClose(gemm.intensity, 80) && isClose(gemm.shareOfAttainable, 0.8))
    #expect(isClose(gemm.flopsPerSecond, 80e9) && isClose(gemm.bytesPerSecond, 1e9))
    let add = try #require(roofline.categories.first { $0.category == .elementWise })
    #expect(
      add.bound == .memory && isClose(add.attainableFlopsPerSecond, 1.25e9) && isClose(add.shareOfAttainable, 0.8))
    let whole = try #require(roofline.whole)
    #expect(isClose(whole.intensity, 9) && whole.bound == .memory && isClose(whole.flopsPerSecond, 40.5e9))
    #expect(isClose(roofline.placedShare, 2.0 / 3) && roofline.memoryBoundShare == 0.5)
    #expect(roofline.unplaced.map(\.name) == ["embedding", "view"])
    #expect(roofline.unplaced[0].reason == "no formula covers it" && roofline.unplaced[0].bytesPerSecond == 2e9)
    #expect(roofline.unplaced[1].reason.contains("no floating-point"))
    #expect(roofline.ceilings.count == 4 && roofline.ceilings.count { $0.isUsed } == 2)
    let shares = roofline.placedShare + roofline.unplaced.reduce(0) { $0 + $1.shareOfKernels }
    #expect(isClose(shares, 1))
  }

  @Test func doublePrecisionHasItsOwnRoof() throws {
    let roofline = try #require(
      Self.roofline([kernel("mm", .gemm, self: 1_000_000_000, types: "f64 f64", flops: 40e9, bytes: 1e9)]).value)
    #expect(roofline.whole?.attainableFlopsPerSecond == 40e9 || roofline.whole?.attainableFlopsPerSecond == 50e9)
    #expect(isClose(try #require(roofline.whole).shareOfAttainable, 0.8))
  }

  @Test func aboveTheMemoryRoofMeansCache() throws {
    let roofline = try #require(
      Self.roofline([kernel("add", .elementWise, self: 1_000_000_000, flops: 4e9, bytes: 16e9)]).value)
    #expect(roofline.whole?.isServedFromCache == true && isClose(roofline.whole?.shareOfAttainable ?? 0, 1.6))
  }

  /// A machine can't compute more than it can: then the ceiling is wrong, and every share of it too.
  @Test func aCeilingThatARunExceedsIsRefused() throws {
    let fast = kernel("mm", .gemm, self: 1_000_000_000, flops: 120e9, bytes: 1e9)
    let why = try #require(Self.roofline([fast]).unavailable)
    #expect(why.reason.contains("120 GFLOP/s") && why.reason.contains("100 GFLOP/s") && why.remedy != nil)
    // Within the ceilings' own error, or in too little time to tell.
    #expect(Self.roofline([kernel("mm", .gemm, self: 1_000_000_000, flops: 104e9, bytes: 1e9)]).value != nil)
    let short = kernel("mm", .gemm, self: 1_000_000, flops: 120e6, bytes: 1e6)
    let long = kernel("add", .elementWise, self: 1_000_000_000, flops: 1e9, bytes: 8e9)
    #expect(Self.roofline([short, long]).value != nil)
  }

  @Test func withoutCeilings() {
    let kernels = [kernel("mm", self: 1, flops: 1, bytes: 1)]
    #expect(Self.roofline(kernels, host: []).unavailable?.remedy != nil)
    #expect(
      Self.roofline(kernels, host: [missing("ceiling.flops.f32", "no AVX", remedy: "fix")]).unavailable
        == Unavailable("no AVX", remedy: "fix"))
    #expect(Self.roofline(kernels, host: [quantity("ceiling.flops.f32", 0), Self.host[2]]).value == nil)
    #expect(Self.roofline([], host: Self.host).value == nil)
  }

  @Test func nothingToPlace() throws {
    let roofline = try #require(
      Self.roofline([kernel("a", self: 0, flops: 1, bytes: 1), kernel("b", self: 5, flops: .nan, bytes: 1)]).value)
    #expect(roofline.whole == nil && roofline.placedShare == 0 && roofline.memoryBoundShare == 0)
    #expect(roofline.unplaced.map(\.name) == ["b"])
  }
}
