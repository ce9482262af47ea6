// Do counts of kernels add up by category and name, with their errors, and do the ratios follow?
import ProfileModel
import Testing

@testable import Analysis

@Suite struct KernelEventTests {
  static func count(
    _ kernel: Int64, _ event: String, _ value: Double, _ source: Provenance.Source = .softwareCounter,
    _ margin: Double? = nil
  ) -> KernelCounter {
    KernelCounter(
      kernel: kernel, event: event, value: Measured(value, source),
      interval: margin.map { max(0, value - $0)...(value + $0) })
  }

  static func profile(_ counters: [KernelCounter], _ change: (inout RepetitionData) -> Void = { _ in }) -> Profile {
    AnalysisTests.profile { data in
      data.kernels = [
        kernel("conv", .convolution, self: 600, calls: 2, flops: 1000, bytes: 1_048_576, id: 1),
        kernel("conv", .convolution, .backward, self: 200, calls: 4, flops: 1000, bytes: 1_048_576, id: 2),
        kernel("relu", .relu, self: 100, calls: 10, id: 3),
        kernel("stack", .dataArrangement, self: 900, thread: "prefetch", id: 4),
      ]
      data.kernelCounters = counters
      change(&data)
    }
  }

  static func events(_ profile: Profile) throws -> KernelEvents {
    try #require(KernelEvents.of(run(profile)).value)
  }

  @Test func countsOfAKernelsVariantsAddUp() throws {
    let profile = Self.profile([
      Self.count(1, "page-faults", 30), Self.count(2, "page-faults", 60), Self.count(3, "page-faults", 10),
      Self.count(4, "page-faults", 1000),
    ]) {
      $0.counters = [
        CounterTotal(event: "minor-faults", value: Measured(390, .softwareCounter)),
        CounterTotal(event: "major-faults", value: Measured(10, .softwareCounter)),
      ]
    }
    let events = try Self.events(profile)
    #expect(events.kernels.map(\.name) == ["conv", "relu"] && events.kernelCount == 2)
    #expect(events.categories.map(\.category) == [.convolution, .relu])
    let conv = try #require(events.categories.first)
    #expect(conv.calls == 6 && conv.nanoseconds == 800 && conv.counted == 1)
    #expect(conv.counts[0].value == Measured(90, .softwareCounter))
    #expect(conv.counts[0].perCall == 15 && conv.counts[0].share == 0.9 && conv.counts[0].interval == nil)
    // 90 in operands of 2 MiB.
    #expect(conv.ratios.map(\.name) == ["page_faults.per_mebibyte"] && conv.ratios[0].value.value == 45)
    // The thread that prefetches is not the main one's.
    #expect(events.totals[0].inKernels.value == 100)
    #expect(events.totals[0].shareOfRun.value == 0.25)
  }

  @Test func errorsAddUpAsThoseOfIndependentEstimates() throws {
    let events = try Self.events(
      Self.profile([Self.count(1, "page-faults", 300, .sampled, 3), Self.count(2, "page-faults", 600, .sampled, 4)]))
    let count = try #require(events.categories.first?.counts.first)
    #expect(count.interval == Interval(lower: 895, upper: 905))
    #expect(count.value.provenance?.source == .sampled)
    #expect(count.value.provenance?.detail == "2 of 2 variants estimated from some of their calls")
    // Where a large part has no known error, the sum has none.
    let vague = try Self.events(
      Self.profile([Self.count(1, "page-faults", 300, .sampled, 3), Self.count(2, "page-faults", 600, .sampled)]))
    #expect(vague.categories[0].counts[0].interval == nil)
  }

  @Test func hardwareEventsGiveTheUsualRatios() throws {
    let events = try Self.events(
      Self.profile([
        Self.count(1, "instructions", 6000, .hardwareCounter), Self.count(1, "cycles", 2000, .hardwareCounter),
        Self.count(1, "cache-misses", 30, .scaledCounter), Self.count(1, "branch-misses", 12, .hardwareCounter),
      ]))
    let conv = try #require(events.kernels.first)
    // Of its two variants one was counted.
    #expect(conv.calls == 2 && conv.counted == 0.75)
    let ratios = Dictionary(uniqueKeysWithValues: conv.ratios.map { ($0.name, $0.value.value) })
    #expect(ratios["ipc"] == 3 && ratios["llc.mpki"] == 5 && ratios["branch.mpki"] == 2)
    #expect(ratios["instructions.per_flop"] == 6)
  }

  @Test func whatCouldNotBeCountedHasItsReason() throws {
    var never = Self.count(1, "cycles", 0)
    never.value = .unavailable(Unavailable("the counter never ran"))
    let events = try Self.events(Self.profile([never, Self.count(3, "page-faults", .nan)]))
    #expect(events.categories.map(\.counts.count).allSatisfy { $0 == 2 })
    #expect(events.categories[0].counts[0].value.unavailable?.reason == "the counter never ran")
    #expect(events.categories[0].counted == 0 && events.categories[0].calls == 0)
    let none = KernelEvents.of(
      run(
        Self.profile([]) {
          $0.collectors = [CollectorState("kernel-counters", .off, reason: "switched off (--kernel-events none)")]
        }))
    #expect(none.unavailable?.reason == "switched off (--kernel-events none)")
    #expect(KernelEvents.of(run(Self.profile([Self.count(4, "page-faults", 5)]))).unavailable != nil)
    #expect(
      KernelEvents.of(run(AnalysisTests.profile { $0.kernelCounters = [Self.count(1, "x", 1)] })).unavailable != nil)
  }
}
