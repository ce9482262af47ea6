// Do the tracer's sums become the counts, intervals and reasons that they stand for?
import CKernelTrace
import Foundation
import ProfileModel
import Testing
import WorkloadLog

@testable import Profiler

/// Adds calls up as the tracer does (Sources/CTorch/trace_counters.cpp), from a list of draws.
private func counts(
  calls: Int, draws: [(weight: Double, values: [Double])], enabled: Double = 1, running: Double = 1
) -> KernelCounts {
  var sums = kiviat_trace_counts()
  var event = kiviat_trace_count()
  for (number, draw) in draws.enumerated() {
    let factor = sums.root_weight * (sums.root_weight - 1)
    let n = Double(sums.root_calls)
    if factor > 0 { sums.draws += 1 }
    sums.calls_squared += factor * n * n
    event.squared += factor * event.in_root * event.in_root
    event.by_calls += factor * event.in_root * n
    (sums.root, sums.root_weight, sums.root_calls, event.in_root) = (UInt64(number + 1), draw.weight, 0, 0)
    for value in draw.values {
      sums.calls += 1
      sums.weighted_calls += draw.weight
      sums.root_calls += 1
      event.value += draw.weight * value
      event.enabled_ns += draw.weight * enabled
      event.running_ns += draw.weight * running
      event.in_root += value
    }
  }
  return KernelCounts(calls: UInt64(calls), sums: sums, events: [event])
}

@Suite struct KernelCountTests {
  @Test func whereEachCallWasReadTheSumIsTheCount() throws {
    let all = counts(calls: 3, draws: [(1, [5]), (1, [7, 1])])
    #expect(all.estimate(0) == .init(value: 13, margin: 0, runningFraction: 1, isSampled: false))
    let spec = PerfEventSpec("page-faults", .software, type: 1, config: 2)
    let record = all.record(0, of: spec, isReduced: false, kernel: 9)
    #expect(record.kernel == 9 && record.event == "page-faults" && record.interval == nil)
    #expect(record.value == Measured(13, .softwareCounter, detail: "less the cost of reading"))
  }

  @Test func byHand() throws {
    // Five draws of weight 4, a call each: 1, 2, 3, 2, 2 in 20 calls. The mean is 2, the total 40; the squares about the
    // mean are 2, times w (w - 1) = 12 and 5/4 is 30; t of four degrees of freedom is 2.776.
    let five = counts(calls: 20, draws: [1, 2, 3, 2, 2].map { (4, [$0]) })
    let estimate = try #require(five.estimate(0))
    #expect(abs(estimate.value - 40) < 1e-9)
    #expect(abs(try #require(estimate.margin) - 2.776 * 30.0.squareRoot()) < 0.06)
    // Two calls in one draw are not two draws: 1 + 3 and 2 + 2 are the same.
    let pairs = counts(calls: 40, draws: [(4, [1, 3]), (4, [2, 2]), (4, [4, 0]), (4, [3, 1]), (4, [0, 4])])
    let equal = try #require(pairs.estimate(0))
    #expect(abs(equal.value - 80) < 1e-9)
    #expect(try #require(equal.margin) < 1e-5)
    // Too few draws to know their scatter.
    let four = counts(calls: 16, draws: [1, 2, 3, 2].map { (4, [$0]) })
    #expect(try #require(four.estimate(0)).margin == nil)
    let record = four.record(
      0, of: PerfEventSpec("page-faults", .software, type: 1, config: 2), isReduced: false, kernel: 1)
    #expect(record.interval == nil && record.value.provenance?.source == .sampled)
    #expect(record.value.provenance?.detail?.hasPrefix("read in 4 of 16 calls") == true)
  }

  @Test func firstCallsStandForNoOthers() throws {
    let first = counts(calls: 60, draws: [(1, [500])])
    #expect(first.estimate(0) == nil)
    let spec = PerfEventSpec("page-faults", .software, type: 1, config: 2)
    let why = first.record(0, of: spec, isReduced: false, kernel: 1).value.unavailable
    #expect(why?.reason.hasPrefix("only the first of its calls was read") == true)
    // With one draw for the other 59: 500 and 59 times 3, by the ratio to the number of calls.
    let both = try #require(counts(calls: 60, draws: [(1, [500]), (59, [3])]).estimate(0))
    #expect(abs(both.value - 677) < 1e-9)
  }

  @Test func aCounterThatTookTurnsIsScaled() throws {
    let half = counts(calls: 2, draws: [(1, [100]), (1, [140])], enabled: 10, running: 4)
    let spec = PerfEventSpec("cycles", .hardware, type: 0, config: 0)
    let record = half.record(0, of: spec, isReduced: true, kernel: 1)
    #expect(abs(try #require(record.value.value) - 600) < 1e-9)
    #expect(record.value.provenance?.source == .scaledCounter && record.value.provenance?.runningFraction == 0.4)
    #expect(record.value.provenance?.detail == "user mode only; less the cost of reading")
    #expect(record.interval == nil)
    let never = counts(calls: 1, draws: [(1, [0])], enabled: 10, running: 0)
    #expect(never.estimate(0) == nil)
    #expect(never.record(0, of: spec, isReduced: false, kernel: 1).value.unavailable != nil)
  }

  @Test func noneInManyCallsIsNotSurelyNone() throws {
    let none = counts(calls: 1000, draws: (0..<100).map { _ in (10, [0]) })
    let record = none.record(
      0, of: PerfEventSpec("page-faults", .software, type: 1, config: 2), isReduced: false, kernel: 1)
    #expect(record.value.value == 0)
    // -ln 0.025 a hundred calls, for the 900 that were not read.
    let upper = try #require(record.interval).upperBound
    #expect(abs(upper - 9 * 3.689) < 0.01)
  }

  @Test func ofAHundredIntervalsSomeNinetyFiveHoldTheTruth() throws {
    var random = TestRandom(state: 11)
    var held = 0
    let trials = 400
    for _ in 0..<trials {
      var truth = 0.0
      var draws: [(Double, [Double])] = []
      var calls = 0
      for root in 0..<600 {
        // Calls within a root operation are alike, and their number varies.
        let level = Double.random(in: 0..<8, using: &random)
        let values = (0..<Int.random(in: 1...4, using: &random)).map { _ in
          (level + Double.random(in: 0..<2, using: &random)).rounded()
        }
        truth += values.reduce(0, +)
        calls += values.count
        let chance = root == 0 ? 1 : 0.1
        if Double.random(in: 0..<1, using: &random) < chance { draws.append((1 / chance, values)) }
      }
      let estimate = try #require(counts(calls: calls, draws: draws).estimate(0))
      if abs(estimate.value - truth) <= (try #require(estimate.margin)) { held += 1 }
    }
    // Binomial with 0.95 and 400: five standard deviations are 5.4 in a hundred.
    let share = Double(held) / Double(trials)
    #expect(share > 0.895 && share < 1)
  }

  @Test(arguments: [(4.0, 2.776), (9, 2.262), (29, 2.045), (1e6, 1.960)])
  func quantilesAreThoseOfTheTable(_ freedom: Double, _ expected: Double) {
    #expect(abs(KernelCounts.quantile(freedom: freedom) - expected) < 0.003 * expected)
  }
}

@Suite struct KernelCounterCollectorTests {
  static func spec(_ name: String, _ kind: PerfEventSpec.Kind, type: UInt32 = 1, config: UInt64 = 2) -> PerfEventSpec {
    PerfEventSpec(name, kind, type: type, config: config)
  }
  static var noPMU: PerfAccess {
    var access = PerfAccess(paranoid: 2, maximumSampleRate: 100_000)
    access.noHardware = Unavailable("no hardware PMU", remedy: "bare metal")
    return access
  }

  /// Collects from a trace made by hand and gives what the profile holds.
  private func collected(
    _ trace: HandMadeTrace, _ events: [PerfEventSpec], access: PerfAccess = noPMU
  ) throws -> (data: RepetitionData, state: CollectorState) {
    let kernels = KernelTraceCollector()
    let options = ProfileOptions(command: [], output: "")
    let collector = KernelCounterCollector(events: events, options: options, access: access, trace: kernels)
    _ = kernels.prepare(trace.target)
    #expect(collector.prepare(trace.target).outcome == .unavailable)
    kernels.start(monotonicNanoseconds: 0)
    kernels.tick(monotonicNanoseconds: 1)
    kernels.stop(monotonicNanoseconds: 9_000_000)
    let path = trace.directory + "/p.kiviat"
    let writer = try ProfileWriter(creating: path)
    try writer.write {
      try $0.repetition(Repetition(index: 0, startedAtUnixNanoseconds: 0, startMonotonicNanoseconds: 0))
      try kernels.write(to: $0, repetition: 0)
      try collector.write(to: $0, repetition: 0)
      // Nothing changed since.
      try collector.write(to: $0, repetition: 0)
    }
    return (try #require(try Profile(contentsOf: path).repetitions.first), collector.state)
  }

  @Test func countsAndReasonsReachTheProfile() throws {
    let trace = try HandMadeTrace(events: 3)
    let events = [
      Self.spec("page-faults", .software), Self.spec("instructions", .hardware, type: 0, config: 1),
      Self.spec("cpu-migrations", .software, config: 4),
    ]
    trace.header.pointee.event.1.failure = EMFILE
    trace.header.pointee.event.2.failure = EACCES
    trace.header.pointee.counter_reading_ns = 1500
    trace.header.pointee.counter_overhead_ns = 77
    trace.header.pointee.uncounted_threads = 2
    trace.counts(1).pointee.calls = 3
    trace.counts(1).pointee.weighted_calls = 3
    trace.count(1, 0).pointee.value = 12
    let (data, state) = try collected(trace, events)
    #expect(data.kernelCounters.count == 1)
    let counter = try #require(data.kernelCounters.first)
    #expect(counter.kernel == data.kernels[0].id && counter.event == "page-faults" && counter.value.value == 12)
    #expect(data.quantity("kernel_trace.counter_cost")?.value.value?.number == 1500)
    #expect(data.quantity("kernel_trace.counter_overhead")?.value.value?.number == 77)
    #expect(state.outcome == .degraded && state.method.hasPrefix("page-faults: read"))
    #expect(state.method.contains("the one thread that computes"))
    let reason = try #require(state.reason)
    #expect(reason.contains("instructions: too many open files"))
    #expect(reason.contains("cpu-migrations: kernel.perf_event_paranoid is 2"))
    #expect(reason.contains("2 traced threads had no counters"))
    #expect(state.remedy == "ulimit -n 65536")
  }

  @Test func aKernelThatWasNeverReadHasNoRow() throws {
    let (data, state) = try collected(try HandMadeTrace(events: 1), [Self.spec("page-faults", .software)])
    #expect(data.kernels.count == 1 && data.kernelCounters.isEmpty)
    #expect(state.outcome == .degraded && state.reason == "software events only: no hardware PMU")
    #expect(state.remedy == "bare metal")
  }

  @Test func aCountThatIsBeingWrittenWhenTheWriterDiesIsRead() throws {
    let trace = try HandMadeTrace(events: 2)
    trace.counts(1).pointee.sequence = 5
    trace.counts(1).pointee.calls = 3
    trace.counts(1).pointee.weighted_calls = 3
    trace.count(1, 1).pointee.value = -4
    let reader = try #require(try KernelTraceReader(path: trace.path))
    #expect(reader.threadCount == 1)
    // Just below nothing is nothing.
    #expect(reader.counts(0, 1)?.estimate(1)?.value == 0)
    trace.count(1, 0).pointee.value = .nan
    #expect(reader.counts(0, 1)?.estimate(0) == nil)
  }

  @Test func aTraceWithoutTheEventsSaysSo() throws {
    let (data, state) = try collected(try HandMadeTrace(), [Self.spec("page-faults", .software)])
    #expect(data.kernelCounters.isEmpty)
    #expect(state.outcome == .unavailable && state.reason?.contains("not told which events") == true)
  }

  @Test func moreEventsThanATraceHasAreNoTrace() throws {
    let trace = try HandMadeTrace(events: 1)
    trace.header.pointee.event_count = 9
    #expect(throws: KernelTraceReader.Failure.notATrace(path: trace.path)) {
      try KernelTraceReader(path: trace.path)
    }
  }

  @Test func switchedOffItLeavesNoList() throws {
    let trace = try HandMadeTrace()
    var options = ProfileOptions(command: [], output: "")
    let kernels = KernelTraceCollector()
    let none = KernelCounterCollector(events: [], options: options, access: Self.noPMU, trace: kernels)
    #expect(none.prepare(trace.target).outcome == .off)
    // Nobody chose: without hardware counters there is nothing, and that is said.
    let usual = KernelCounterCollector(events: nil, options: options, access: Self.noPMU, trace: kernels)
    let state = usual.prepare(trace.target)
    #expect(state.outcome == .unavailable && state.remedy?.contains("--kernel-events") == true)
    let counted = PerfAccess(paranoid: 2, maximumSampleRate: 1)
    let hardware = KernelCounterCollector(events: nil, options: options, access: counted, trace: kernels)
    #expect(hardware.prepare(trace.target).reason?.contains("--kernel-events") != true)
    try FileManager.default.removeItem(atPath: trace.directory + "/" + WorkloadContract.eventsFileName)
    options.counters = .off
    let off = KernelCounterCollector(
      events: [Self.spec("page-faults", .software)], options: options, access: Self.noPMU, trace: kernels)
    #expect(off.prepare(trace.target).outcome == .off)
    #expect(!FileManager.default.fileExists(atPath: trace.directory + "/" + WorkloadContract.eventsFileName))
  }

  @Test func theListIsWhatTheTracerReads() throws {
    let specs = try EventParser().parse([
      "{cycles,instructions:u},page-faults,cache-misses,context-switches,mem:0x1234:x:u"
    ])
    // Type, config, config1, config2, breakpoint, flags, precision, group.
    #expect(
      KernelCounterCollector.lines(specs) == """
        0:0:0:0:0:0:0:0:cycles
        0:1:0:0:0:2:0:0:instructions:u
        1:2:0:0:0:0:0:1:page-faults
        0:3:0:0:0:0:0:5:cache-misses
        1:3:0:0:0:4:0:1:context-switches
        5:0:4660:8:4:2:0:1:mem:0x1234:x:u

        """)
    var parsed = [kiviat_counter_event](repeating: kiviat_counter_event(), count: KernelCounterCollector.eventLimit)
    #expect(kiviat_counters_parse(KernelCounterCollector.lines(specs), &parsed) == 6)
    #expect(parsed.prefix(6).map(\.group) == [0, 0, 1, 5, 1, 1])
    #expect(parsed[5].config1 == 0x1234 && parsed[5].breakpoint_type == 4)
    let events = try EventParser().parse([KernelCounterCollector.defaultExpression])
    #expect(events.count <= KernelCounterCollector.eventLimit && events.allSatisfy { $0.group != nil })
  }
}
