import Foundation
import ProfileModel
import Testing

@testable import Profiler

private final class FixedSource: SamplingSource {
  var samplingState = CollectorState("sampling", .measured, method: "cpu-clock at 499 Hz")
  var periodIsTime = true
  var samplesLost = 0
}

private final class EvenThreads: KernelAttributor {
  func runningKernel(pid: Int32, tid: Int32, at monotonicNanoseconds: UInt64) -> Int64? {
    tid % 2 == 0 ? Int64(tid) * 10 : nil
  }
}

private let kernelMarker = UInt64(bitPattern: -128)
private let userMarker = UInt64(bitPattern: -512)
private let guestMarker = UInt64(bitPattern: -2560)

@Suite struct SampleAggregatorTests {
  private let folder: TestFolder
  private let source = FixedSource()

  init() throws { folder = try TestFolder() }

  private func aggregator(_ stacks: CallStacks? = nil, attributor: (any KernelAttributor)? = nil) -> SampleAggregator {
    SampleAggregator(source: source, stacks: stacks ?? self.stacks(), attributor: attributor)
  }

  private func stacks() -> CallStacks {
    CallStacks(symbolizer: Symbolizer(kernel: KernelSymbols(procRoot: "/nonexistent", cacheDirectory: nil)))
  }

  private func map(_ pid: Int32, _ path: String, at address: UInt64 = 0x10_0000) -> PerfRecord {
    .mapping(PerfMapping(pid: pid, tid: pid, address: address, length: 0x1_0000, pageOffset: 0, path: path, time: 0))
  }

  private func sample(
    _ chain: [UInt64], pid: Int32 = 999_999_001, tid: Int32 = 999_999_001, period: UInt64 = 1_000_000, event: Int = 0
  ) -> PerfRecord {
    .sample(PerfSample(event: event, pid: pid, tid: tid, cpu: 0, time: 5, period: period, callChain: chain))
  }

  private func writer(_ name: String = "p.kiviat") throws -> ProfileWriter {
    let writer = try ProfileWriter(creating: "\(folder.path)/\(name)")
    try writer.write {
      try $0.repetition(Repetition(index: 0, startedAtUnixNanoseconds: 1, startMonotonicNanoseconds: 0))
    }
    return writer
  }

  private func names(_ profile: Profile, _ sample: SampleTotal) -> [String] {
    profile.frames(ofStack: sample.stack).map(\.function)
  }

  private let pid: Int32 = 999_999_001

  @Test func samplesOfOneStackAreOneRow() throws {
    let aggregator = aggregator()
    let writer = try writer()
    aggregator.consume(map(pid, "/x/prog"))
    for _ in 0..<3 { aggregator.consume(sample([userMarker, 0x10_0040, 0x10_0101])) }
    // Another leaf under the same caller, another thread, another event.
    aggregator.consume(sample([userMarker, 0x10_0050, 0x10_0101], period: 7))
    aggregator.consume(sample([userMarker, 0x10_0040, 0x10_0101], tid: 5))
    aggregator.consume(sample([userMarker, 0x10_0040], event: 1))
    try writer.write { try aggregator.write(to: $0, repetition: 0) }
    aggregator.consume(sample([userMarker, 0x10_0040, 0x10_0101]))
    aggregator.stop(monotonicNanoseconds: 9)
    try writer.write { try aggregator.write(to: $0, repetition: 0) }
    let profile = try Profile(contentsOf: writer.path)
    let samples = profile.repetitions[0].samples
    #expect(samples.map(\.samples).sorted() == [1, 1, 4])
    let main = try #require(samples.first { $0.samples == 4 })
    #expect(main.weightNanoseconds == 4_000_000)
    // The caller's return address 0x101 lies behind the call.
    #expect(names(profile, main) == ["prog+0x40", "prog+0x100"])
    #expect(samples.first { $0.tid == 5 }?.stack == main.stack)
    #expect(samples.contains { names(profile, $0) == ["prog+0x50", "prog+0x100"] && $0.weightNanoseconds == 7 })
    #expect(profile.stacks.count == 3)
    #expect(profile.repetitions[0].quantity("samples.taken")?.value.value == .number(6))
  }

  @Test func kernelAndUserPartsAreToldApart() throws {
    let aggregator = aggregator()
    let writer = try writer()
    aggregator.consume(map(pid, "/x/prog"))
    aggregator.consume(
      sample([
        kernelMarker, 0xffff_ffff_8100_0010, 0xffff_ffff_8100_0020, userMarker, 0x10_0040, 0x10_0101, guestMarker,
        0x77_7777,
      ]))
    aggregator.consume(sample([userMarker, 0x10_0040, 3, 0]))
    aggregator.consume(sample([userMarker, 0x10_0050, 0x10_0101, 0xffff_ffff_8100_0010, 0x10_0201]))
    aggregator.consume(sample([]))
    try writer.write { try aggregator.write(to: $0, repetition: 0) }
    let profile = try Profile(contentsOf: writer.path)
    let found = Set(profile.repetitions[0].samples.map { names(profile, $0) })
    // Without kernel symbols the kernel's part is one frame, and addresses in the zero page are no code.
    #expect(
      found == [["[kernel]", "prog+0x40", "prog+0x100"], ["prog+0x40"], ["prog+0x50", "prog+0x100"], ["[unknown]"]])
    #expect(aggregator.state.outcome == .degraded)
    #expect(aggregator.state.remedy == "sudo sysctl kernel.kptr_restrict=0")
  }

  @Test func samplesBelongToTheKernelThatRan() throws {
    let aggregator = aggregator(attributor: EvenThreads())
    let writer = try writer()
    aggregator.consume(map(pid, "/x/prog"))
    for tid in Int32(1)...5 { aggregator.consume(sample([userMarker, 0x10_0040], tid: tid)) }
    try writer.write { try aggregator.write(to: $0, repetition: 0) }
    let data = try Profile(contentsOf: writer.path).repetitions[0]
    #expect(data.samples.map(\.kernel) == [nil, 20, nil, 40, nil])
    #expect(data.quantity("samples.unattributed")?.value.value == .number(3))
  }

  @Test func execAndForkChangeWhatAnAddressMeans() throws {
    let aggregator = aggregator()
    let writer = try writer()
    aggregator.consume(map(pid, "/x/old"))
    aggregator.consume(sample([userMarker, 0x10_0040]))
    aggregator.consume(.fork(pid: 999_999_002, parentPID: pid, tid: 999_999_002, parentTID: pid, time: 1))
    aggregator.consume(.name(pid: pid, tid: pid, name: "new", isExec: true, time: 1))
    aggregator.consume(map(pid, "/x/new"))
    aggregator.consume(sample([userMarker, 0x10_0040]))
    aggregator.consume(sample([userMarker, 0x10_0040], pid: 999_999_002, tid: 999_999_002))
    aggregator.consume(map(pid, "/x/over"))
    aggregator.consume(sample([userMarker, 0x10_0040]))
    try writer.write { try aggregator.write(to: $0, repetition: 0) }
    let profile = try Profile(contentsOf: writer.path)
    let found = profile.repetitions[0].samples.map { "\($0.pid) \(names(profile, $0)[0])" }
    #expect(
      Set(found) == [
        "999999001 old+0x40", "999999001 new+0x40", "999999002 old+0x40", "999999001 over+0x40",
      ])
  }

  @Test func generatedCodeGetsItsNameAlsoWhenThatComesLate() throws {
    let aggregator = aggregator()
    let writer = try writer()
    let path = "/tmp/perf-\(pid).map"
    unlink(path)
    defer { unlink(path) }
    aggregator.consume(map(pid, "//anon"))
    aggregator.consume(sample([userMarker, 0x10_0040]))
    try writer.write { try aggregator.write(to: $0, repetition: 0) }
    var profile = try Profile(contentsOf: writer.path)
    #expect(profile.repetitions[0].samples.map { names(profile, $0) } == [["[code generated at run time]"]])
    // The process is long gone, but its map is there at the end.
    let late = self.aggregator()
    late.consume(map(pid, "//anon"))
    late.consume(sample([userMarker, 0x10_0040], period: 3))
    try "100000 100 jit_avx2_conv_fwd_kernel_f32\n".write(toFile: path, atomically: true, encoding: .utf8)
    late.stop(monotonicNanoseconds: 1)
    let second = try self.writer("late.kiviat")
    try second.write { try late.write(to: $0, repetition: 0) }
    profile = try Profile(contentsOf: second.path)
    #expect(profile.repetitions[0].samples.map { names(profile, $0) } == [["jit_avx2_conv_fwd_kernel_f32"]])
    #expect(profile.frames.values.map(\.kind) == [.jit])
  }

  @Test func aNameThatComesAfterTheFirstWriteMovesTheSamples() throws {
    // A process that lives, as its map is looked for again only while it does.
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/bin/sleep")
    process.arguments = ["100"]
    try process.run()
    defer {
      kill(process.processIdentifier, SIGKILL)
      process.waitUntilExit()
    }
    let pid = process.processIdentifier
    let path = "/tmp/perf-\(pid).map"
    defer { unlink(path) }
    let aggregator = aggregator()
    let writer = try writer()
    aggregator.consume(.name(pid: pid, tid: pid, name: "jit", isExec: true, time: 0))
    aggregator.consume(map(pid, "//anon"))
    aggregator.consume(sample([userMarker, 0x10_0040], pid: pid, tid: pid, period: 3))
    try writer.write { try aggregator.write(to: $0, repetition: 0) }
    try "100000 100 compiled\n".write(toFile: path, atomically: true, encoding: .utf8)
    aggregator.consume(sample([userMarker, 0x10_0040], pid: pid, tid: pid, period: 5))
    try writer.write { try aggregator.write(to: $0, repetition: 0) }
    let profile = try Profile(contentsOf: writer.path)
    let rows = profile.repetitions[0].samples.filter { $0.samples != 0 }
    #expect(rows.map { names(profile, $0) } == [["compiled"]])
    #expect(rows.map(\.samples) == [2])
    #expect(rows.map(\.weightNanoseconds) == [8])
  }

  @Test func repetitionsShareFramesAndStacks() throws {
    let stacks = stacks()
    let writer = try writer()
    try writer.write {
      try $0.repetition(Repetition(index: 1, startedAtUnixNanoseconds: 1, startMonotonicNanoseconds: 0))
    }
    for repetition in 0..<2 {
      let aggregator = aggregator(stacks)
      aggregator.consume(map(pid, "/x/prog"))
      aggregator.consume(sample([userMarker, 0x10_0040 + UInt64(repetition) * 16, 0x10_0101]))
      aggregator.consume(sample([userMarker, 0x10_0100, 0x10_0101]))
      aggregator.stop(monotonicNanoseconds: 9)
      try writer.write { try aggregator.write(to: $0, repetition: repetition) }
    }
    let profile = try Profile(contentsOf: writer.path)
    #expect(profile.repetitions.map { $0.samples.count } == [2, 2])
    for data in profile.repetitions {
      #expect(data.samples.contains { names(profile, $0) == ["prog+0x100", "prog+0x100"] })
    }
    #expect(profile.frames.count == 3)
    #expect(profile.stacks.count == 4)
  }

  @Test func theSameProcessNumberInAnotherRepetitionIsAnotherProcess() throws {
    let stacks = stacks()
    let writer = try writer()
    for (repetition, path) in ["/x/first", "/x/second"].enumerated() {
      let aggregator = aggregator(stacks)
      aggregator.consume(map(pid, path))
      aggregator.consume(sample([userMarker, 0x10_0040, 0x10_0101]))
      aggregator.stop(monotonicNanoseconds: 9)
      try writer.write {
        try $0.repetition(Repetition(index: repetition, startedAtUnixNanoseconds: 1, startMonotonicNanoseconds: 0))
        try aggregator.write(to: $0, repetition: repetition)
      }
    }
    let profile = try Profile(contentsOf: writer.path)
    #expect(
      profile.repetitions.map { names(profile, $0.samples[0]) } == [
        ["first+0x40", "first+0x100"], ["second+0x40", "second+0x100"],
      ])
  }

  @Test func cyclesShareTheCPUTime() throws {
    source.periodIsTime = false
    let aggregator = aggregator()
    aggregator.taskClockNanoseconds = { 8_000 }
    let writer = try writer()
    aggregator.consume(map(pid, "/x/prog"))
    for index in 0..<4 {
      aggregator.consume(sample([userMarker, index == 0 ? 0x10_0040 : 0x10_0080], period: 123_456))
    }
    try writer.write { try aggregator.write(to: $0, repetition: 0) }
    var samples = try Profile(contentsOf: writer.path).repetitions[0].samples
    #expect(samples.reduce(0) { $0 + $1.weightNanoseconds } == 4 * (1_000_000_000 / 499))
    aggregator.stop(monotonicNanoseconds: 1)
    try writer.write { try aggregator.write(to: $0, repetition: 0) }
    samples = try Profile(contentsOf: writer.path).repetitions[0].samples
    #expect(samples.map(\.weightNanoseconds).sorted() == [2_000, 6_000])
    #expect(aggregator.state.method.contains("CPU time divided by the samples"))
  }

  @Test func rowsOfAFailedWriteAreWrittenAgain() throws {
    struct DiskFull: Error {}
    let aggregator = aggregator()
    let writer = try writer()
    aggregator.consume(map(pid, "/x/prog"))
    aggregator.consume(sample([userMarker, 0x10_0040, 0x10_0101]))
    try writer.write { try aggregator.write(to: $0, repetition: 0) }
    aggregator.consume(sample([userMarker, 0x10_0050, 0x10_0101]))
    for _ in 0..<2 {
      #expect(throws: DiskFull.self) {
        try writer.write {
          try aggregator.write(to: $0, repetition: 0)
          throw DiskFull()
        }
      }
    }
    aggregator.consume(sample([userMarker, 0x10_0060, 0x10_0101]))
    try writer.write { try aggregator.write(to: $0, repetition: 0) }
    let profile = try Profile(contentsOf: writer.path)
    #expect(
      Set(profile.repetitions[0].samples.map { names(profile, $0) }) == [
        ["prog+0x40", "prog+0x100"], ["prog+0x50", "prog+0x100"], ["prog+0x60", "prog+0x100"],
      ])
  }

  @Test func whatIsNotSampledIsNotZero() throws {
    source.samplingState = CollectorState("sampling", .unavailable, reason: "refused", remedy: "be root")
    let aggregator = aggregator()
    let writer = try writer()
    aggregator.stop(monotonicNanoseconds: 1)
    try writer.write { try aggregator.write(to: $0, repetition: 0) }
    let data = try Profile(contentsOf: writer.path).repetitions[0]
    for name in ["samples.taken", "samples.lost", "samples.unattributed"] {
      #expect(data.quantity(name)?.value.unavailable == Unavailable("refused", remedy: "be root"))
    }
    #expect(aggregator.state == source.samplingState)
  }

  @Test func randomChainsKeepTheirCounts() throws {
    var random = TestRandom(state: 21)
    let aggregator = aggregator()
    let writer = try writer()
    aggregator.consume(map(pid, "/x/prog"))
    var expected: [[String]: Int64] = [:]
    for step in 0..<3000 {
      let chain = (0..<Int.random(in: 1...6, using: &random)).map { _ in
        0x10_0000 + 16 * UInt64.random(in: 1...4, using: &random)
      }
      aggregator.consume(sample([userMarker] + chain, tid: Int32.random(in: 1...3, using: &random)))
      let names = chain.enumerated().map { "prog+0x\(String($1 - 0x10_0000 - ($0 == 0 ? 0 : 1), radix: 16))" }
      expected[names, default: 0] += 1
      if step % 700 == 0 { try writer.write { try aggregator.write(to: $0, repetition: 0) } }
    }
    aggregator.stop(monotonicNanoseconds: 1)
    try writer.write { try aggregator.write(to: $0, repetition: 0) }
    let profile = try Profile(contentsOf: writer.path)
    var found: [[String]: Int64] = [:]
    for sample in profile.repetitions[0].samples { found[names(profile, sample), default: 0] += sample.samples }
    #expect(found == expected)
  }
}
