// Do the ceilings' loops compute what they claim, and are the rates plausible?
import CCeilings
import Foundation
import ProfileModel
import Synchronization
import Testing

@testable import Profiler

/// Timing tests one after the other, so that they don't take each other's CPUs.
@Suite(.serialized)
struct CeilingsTests {
  static let simds = [KIVIAT_SIMD_GENERIC, kiviat_simd_best()]

  /// x ← x/2 + 1 from 1…12 is exact in binary for a few steps, fused or not.
  @Test(arguments: [0, 1, 2, 7])
  func multiplyAddsAreDone(iterations: Int) {
    for simd in Self.simds {
      let lanes = kiviat_simd_bytes(simd) / 4
      var expected = 0.0
      for chain in 1...Int(KIVIAT_FMA_CHAINS) {
        var x = Double(chain)
        for _ in 0..<iterations { x = x * 0.5 + 1 }
        expected += x
      }
      #expect(kiviat_fma_f32(simd, UInt64(iterations), 0.5, 1) == expected * Double(lanes))
      #expect(kiviat_fma_f64(simd, UInt64(iterations), 0.5, 1) == expected * Double(lanes / 2))
    }
  }

  @Test(arguments: [0, 1, 2, 3, 7, 8, 9, 64, 1003])
  func triadIsRight(count: Int) {
    for streaming in [Int32(0), 1] {
      for offset in [0, 1] {
        var a = [Double](repeating: -1, count: count + 2)
        let b = (0..<count).map { Double($0) + 0.5 }
        let c = (0..<count).map { Double($0 * $0) }
        a.withUnsafeMutableBufferPointer { buffer in
          guard let base = buffer.baseAddress else { return }
          kiviat_triad(base + offset, b, c, 3, count, 2, streaming)
        }
        let expected = zip(b, c).map { $0 + 3 * $1 }
        #expect(Array(a[offset..<offset + count]) == expected)
        // Nothing beside the array was written.
        #expect(a.last == -1 && (offset == 0 || a[0] == -1))
      }
    }
  }

  @Test(arguments: [0, 1, 15, 16, 31, 64, 65, 1000])
  func readingSumsUp(count: Int) {
    let values = (0..<count).map { Double($0 % 17) }
    let sum = values.reduce(0, +)
    for simd in Self.simds { #expect(kiviat_read(simd, values, count, 3) == 3 * sum) }
  }

  @Test func threadsAllRunAndMeetAtTheBarrier() {
    let parties = 4
    let barrier = SpinBarrier(parties: parties)
    let results = onEveryCPU(Array(repeating: 0, count: parties)) { worker in
      for _ in 0..<3 { barrier.wait() }
      return worker
    }
    #expect(results == [0, 1, 2, 3])
  }

  /// One thread, short: a core does at most 2 (AVX-512: 2, NEON: 4) fused multiply-adds a cycle, and single precision has twice
  /// the lanes of double. There is no lower bound: other work on the machine may slow any measurement.
  @Test func flopsArePlausible() throws {
    var measurement = CeilingsMeasurement(cpus: [Host.read().cpu.availableCPUs.first ?? 0], simd: kiviat_simd_best())
    measurement.repetitionNanoseconds = 4_000_000
    measurement.repetitions = 15
    let flops = measurement.flops()
    // On a machine that is never quiet there are no ceilings.
    guard let single = flops[0].value.value?.number, let double = flops[1].value.value?.number else {
      #expect(flops[0].value.unavailable?.reason.contains("other work") ?? true)
      return
    }
    #expect(single > 0 && double > 0)
    let host = Host.read()
    let frequency = host.cpu.maximumFrequency ?? 6.5e9  // no CPU sold runs faster
    let lanes = Double(kiviat_simd_bytes(kiviat_simd_best()) / 4)
    #expect(single <= frequency * 2 * 4 * lanes * 1.05)
    #expect(double <= frequency * 2 * 4 * lanes / 2 * 1.05)
    #expect(flops[0].value.provenance?.source == .clock)
    #expect(flops[0].value.provenance?.detail?.contains("12 independent chains") == true)
  }

  @Test func bandwidthsArePlausible() throws {
    var measurement = CeilingsMeasurement(cpus: [0], simd: kiviat_simd_best())
    measurement.repetitionNanoseconds = 4_000_000
    measurement.repetitions = 5
    let (l1, dram) = (
      measurement.read("l1", bytesPerThread: 16 << 10, level: "L1"), measurement.triad(totalElements: 4 << 20)
    )
    guard let cache = l1.value.value?.number, let memory = dram.value.value?.number else { return }
    // A cache is not slower than memory, and no core moves more than four 64-byte vectors a cycle.
    #expect(cache > memory)
    #expect(cache < 6.5e9 * 4 * 64)
    #expect(memory > 1e8)
  }

  /// Repetitions in which a thread lost its CPU say what the machine can do beside other work, and that is no ceiling.
  @Test func disturbedRepetitionsDoNotCount() {
    typealias Span = CeilingsMeasurement.Timing.Span
    var (first, second) = (CeilingsMeasurement.Timing(), CeilingsMeasurement.Timing())
    first.spans = [
      Span(start: 0, end: 100, cpu: 100), Span(start: 200, end: 300, cpu: 99), Span(start: 0, end: 9, cpu: 5),
    ]
    second.spans = [
      Span(start: 10, end: 130, cpu: 120), Span(start: 200, end: 400, cpu: 120), Span(start: 0, end: 9, cpu: 9),
    ]
    #expect(CeilingsMeasurement.undisturbed([first, second]) == [130])
    #expect(CeilingsMeasurement.undisturbed([first]) == [100, 100])
    #expect(CeilingsMeasurement.undisturbed([]) == [])
  }

  /// Four busy threads on the one CPU that is measured: there is never a repetition without them.
  @Test func besideOtherWorkThereIsNoCeiling() throws {
    let cpu = Host.read().cpu.availableCPUs.first ?? 0
    let isDone = Atomic<Bool>(false)
    var measurement = CeilingsMeasurement(cpus: [cpu], simd: KIVIAT_SIMD_GENERIC)
    measurement.repetitionNanoseconds = 40_000_000
    measurement.repetitions = 3
    measurement.batches = 1
    let results = onEveryCPU(Array(repeating: cpu, count: 5)) { [measurement] worker -> Unavailable? in
      guard worker == 0 else {
        while !isDone.load(ordering: .relaxed) {}
        return nil
      }
      defer { isDone.store(true, ordering: .relaxed) }
      return measurement.read("l1", bytesPerThread: 16 << 10, level: "L1").value.unavailable
    }
    let why = try #require(results.first ?? nil)
    #expect(why.reason.contains("other work") && why.remedy != nil)
  }

  private func sample(_ key: Ceilings.Key) -> Ceilings {
    Ceilings(
      quantities: [Quantity("ceiling.flops.f32", unit: "FLOP/s", Measured(.number(1e11), .clock, detail: "test"))],
      measuredAtUnixSeconds: 1, key: key)
  }

  @Test func keptCeilingsAreReadBackOnlyForTheSameMachineAndBuild() throws {
    let folder = NSTemporaryDirectory() + "kiviat-ceilings-\(UUID().uuidString)"
    defer { try? FileManager.default.removeItem(atPath: folder) }
    let host = Machines.host(Machines.intelHybrid)
    let key = Ceilings.Key(host: host, kiviatVersion: "1.0")
    #expect(Ceilings.load(key, directory: folder) == nil)
    try sample(key).save(directory: folder)
    #expect(Ceilings.load(key, directory: folder) == sample(key))
    #expect(Ceilings.load(Ceilings.Key(host: host, kiviatVersion: "1.1"), directory: folder) == nil)
    var fewer = Machines.intelHybrid
    fewer["/proc/self/status"] = "Cpus_allowed_list:\t0-1\n"
    #expect(Ceilings.load(Ceilings.Key(host: Machines.host(fewer), kiviatVersion: "1.0"), directory: folder) == nil)
    // A damaged file is as good as none.
    let file = try #require(FileManager.default.contentsOfDirectory(atPath: folder).first)
    try Data("{\"quantities\": [".utf8).write(to: URL(fileURLWithPath: "\(folder)/\(file)"))
    #expect(Ceilings.load(key, directory: folder) == nil)
  }

  @Test func arraysAreFarLargerThanTheCacheAndFitIntoMemory() {
    let host = Machines.host(Machines.intelHybrid)
    // 36 MiB last-level cache: 4 × 36 MiB an array.
    #expect(host.triadElements(threads: 6) == 4 * 36 << 20 / 8)
    var small = Machines.intelHybrid
    small["/proc/meminfo"] = "MemAvailable: 65536 kB\n"
    #expect(Machines.host(small).triadElements(threads: 6) * 8 * 3 <= 8 << 20)
  }
}
