// Are groups opened, read, split and refused as the kernel has it, and is a counter never a silent zero?
import CPerfEvent
import Glibc
import ProfileModel
import Testing

@testable import Profiler

/// A collector on a simulated kernel.
struct SimulatedCounting {
  let perf: SimulatedPerf
  let collector: CountingCollector

  /// - Parameter pmuTypes: The kinds of cores, by the type of their PMU.
  init(
    _ settings: SimulatedPerf.Settings, _ specs: [PerfEventSpec], cores: [CorePMU] = [],
    rules: (SimulatedPerf) -> Void = { _ in }
  ) {
    perf = SimulatedPerf(settings)
    let devices = Dictionary(
      uniqueKeysWithValues: cores.map { ("/sys/bus/event_source/devices/\($0.name)/type", "\($0.type)\n") })
    let texts = devices.merging(["/proc/sys/kernel/perf_event_paranoid": "\(settings.paranoid)\n"]) { $1 }
    let access = PerfAccess.probe(perf, .fake(texts))
    rules(perf)
    let options = ProfileOptions(command: [], output: "")
    collector = CountingCollector(events: specs, options: options, access: access)
    _ = collector.prepare(TargetContext(pid: 42, options: options, runDirectory: ""))
    perf.exec()
    collector.start(monotonicNanoseconds: 1)
  }

  /// Runs for so many ticks of 100 ms, in which each event happens a thousand times a millisecond by the last digit of its
  /// code.
  func run(ticks: Int) {
    for _ in 0..<ticks {
      perf.advance(100_000_000) { attribute, from, to in Self.count(attribute, from, to) }
      collector.tick(monotonicNanoseconds: 1)
    }
    collector.stop(monotonicNanoseconds: 2)
  }

  static func count(_ attribute: perf_event_attr, _ from: UInt64, _ to: UInt64) -> Double {
    Double(attribute.config & 0xF + 1) * Double(to - from) / 1000
  }

  func total(_ event: String) -> CounterTotal? { collector.totals().first { $0.event == event } }
}

struct CountingGroupTests {
  private func events(_ text: String) throws -> [PerfEventSpec] { try EventParser().parse([text]) }
  private let bareMetal = SimulatedPerf.Settings(pmus: [.init(type: 4, counters: 4)], paranoid: -1)

  @Test func aGroupThatFitsIsExact() throws {
    let counting = SimulatedCounting(bareMetal, try events("{cycles,instructions},task-clock"))
    counting.run(ticks: 3)
    #expect(counting.collector.state.outcome == .measured)
    // Codes 0 and 1: one and two events a microsecond for 0.3 s.
    #expect(counting.total("cycles")?.value == Measured(300_000, .hardwareCounter))
    #expect(counting.total("instructions")?.value == Measured(600_000, .hardwareCounter))
    #expect(counting.total("task-clock")?.value.provenance?.source == .softwareCounter)
    #expect(counting.collector.totals().allSatisfy { $0.interval == nil })
    #expect(counting.total("cycles")?.runningNanoseconds == 300_000_000)
  }

  @Test func descriptorsAreClosed() throws {
    var counting: SimulatedCounting? = SimulatedCounting(bareMetal, try events("{cycles,instructions},branches"))
    let perf = try #require(counting?.perf)
    #expect(perf.openCount == 3)
    counting = nil
    #expect(perf.openCount == 0)
  }

  @Test func aGroupThatIsTooLargeIsSplitAndSaysSo() throws {
    let names = "cycles,instructions,cache-references,cache-misses,branches,branch-misses"
    let counting = SimulatedCounting(bareMetal, try events("{\(names)}"))
    counting.run(ticks: 20)
    for total in counting.collector.totals() {
      #expect(total.group == 0)
      #expect(total.value.provenance?.detail?.contains("split in 2") == true, "\(total.event)")
      #expect(total.value.provenance?.source == .scaledCounter)
    }
    // The parts are 4 and 2 members of 4 counters: each has every second turn, and a constant rate scales to the truth.
    let cycles = try #require(counting.total("cycles"))
    #expect(cycles.value.provenance?.runningFraction == 0.5)
    #expect(abs(try #require(cycles.value.value) - 2_000_000) <= 2)
    #expect(try #require(cycles.interval).contains(2_000_000))
  }

  @Test func slotsLeadTheirMetrics() throws {
    var slots = PerfEventSpec("slots", .hardware, type: 4, config: 0x400)
    slots.group = 0
    let metrics: [PerfEventSpec] = [
      ("topdown-retiring", 0x8000), ("topdown-bad-spec", 0x8100), ("topdown-be-bound", 0x8300),
    ].map { (name: String, config: UInt64) in
      var spec = PerfEventSpec(name, .hardware, type: 4, config: config)
      spec.group = 0
      return spec
    }
    var cycles = try events("cycles")[0]
    cycles.group = 0
    var settings = bareMetal
    settings.pmus[0].hasMetrics = true
    // The user's order is kept in the result, whatever order the kernel wants.
    let counting = SimulatedCounting(settings, [metrics[0], cycles, slots, metrics[1], metrics[2]])
    counting.run(ticks: 1)
    #expect(
      counting.collector.totals().map(\.event)
        == ["topdown-retiring", "cycles", "slots", "topdown-bad-spec", "topdown-be-bound"])
    #expect(counting.collector.totals().allSatisfy { $0.value.provenance?.source == .hardwareCounter })
    // Alone, an event of the metric register can't be counted, and the reason says what it needs.
    let alone = SimulatedCounting(settings, [metrics[0]])
    #expect(alone.total("topdown-retiring")?.value.unavailable?.remedy?.contains("slots") == true)
  }

  @Test func oldKernelsReadMembersOneByOne() throws {
    var settings = bareMetal
    settings.readsInheritedGroups = false
    let counting = SimulatedCounting(settings, try events("{cycles,instructions}"))
    counting.run(ticks: 1)
    #expect(counting.total("cycles")?.value == Measured(100_000, .hardwareCounter))
    #expect(counting.total("instructions")?.value == Measured(200_000, .hardwareCounter))
  }

  @Test func twoKindsOfCoresAddUp() throws {
    let settings = SimulatedPerf.Settings(
      pmus: [.init(type: 4, counters: 4), .init(type: 10, counters: 4)], paranoid: -1)
    let cores = [CorePMU(name: "cpu_core", type: 4), CorePMU(name: "cpu_atom", type: 10)]
    let specs = try events("{cycles,instructions}") + [PerfEventSpec("cpu_core/own/", .hardware, type: 4, config: 1)]
    let counting = SimulatedCounting(settings, specs, cores: cores)
    for type: UInt32 in [4, 10, 10, 4] {
      counting.perf.move(toCoresOf: type)
      counting.run(ticks: 1)
    }
    #expect(counting.total("cycles")?.value == Measured(400_000, .hardwareCounter))
    #expect(counting.total("instructions")?.value == Measured(800_000, .hardwareCounter))
    // An event of one PMU is what happened there, and is not scaled up to the other cores.
    let own = try #require(counting.total("cpu_core/own/"))
    #expect(own.value.value == 400_000 && own.value.provenance?.detail?.contains("one kind of core") == true)
    // What one kind can't count has no sum.
    var lacking = settings
    lacking.pmus[1].unknown = [3]
    let without = SimulatedCounting(lacking, try events("cache-misses"), cores: cores)
    let why = without.total("cache-misses")?.value.unavailable
    #expect(why?.reason.contains("cpu_atom") == true && why?.remedy?.contains("cpu_core") == true)
  }

  @Test func softwareInAHardwareGroupIsScaledWithIt() throws {
    let counting = SimulatedCounting(
      bareMetal, try events("{cycles,instructions,task-clock},{branches,branch-misses,cache-misses,bus-cycles}"))
    counting.run(ticks: 4)
    let clock = try #require(counting.total("task-clock"))
    #expect(clock.value.provenance?.runningFraction == 0.5 && clock.interval != nil)
  }

  @Test func belowAFifthItSaysSo() throws {
    var settings = bareMetal
    settings.pmus[0].counters = 1
    let counting = SimulatedCounting(
      settings, try events("cycles,instructions,branches,branch-misses,cache-misses,cache-references"))
    counting.run(ticks: 10)
    #expect(counting.total("cycles")?.value.provenance?.detail?.contains("of the time") == true)
    #expect(counting.collector.state.outcome == .degraded)
    #expect(counting.collector.state.reason?.contains("6 events ran less than 20 %") == true)
    #expect(counting.collector.state.remedy?.contains("--no-multiplex") == true)
  }

  @Test func whatNeverRanIsUnavailable() throws {
    // The group opens, but a counter is held by the watchdog when it comes to running: all or nothing.
    let perf = SimulatedCounting(bareMetal, try events("{cycles,instructions}"))
    perf.perf.move(toCoresOf: 99)
    perf.run(ticks: 2)
    for total in perf.collector.totals() {
      #expect(total.value.unavailable?.reason.contains("never ran") == true)
      #expect(total.value.unavailable?.remedy != nil)
      #expect(total.enabledNanoseconds > 0 && total.runningNanoseconds == 0)
    }
    #expect(perf.collector.state.outcome == .degraded)
  }

  /// Every failure of every call, at a leader alone and at a member of a group.
  @Test(
    arguments: [
      EACCES, EPERM, ENOENT, EINVAL, EMFILE, ENOSPC, EBUSY, EOPNOTSUPP, E2BIG, ENODEV, ENOMEM, ENFILE, ENOSYS, EIO,
      ESRCH,
    ],
    [false, true])
  func noSilentZero(code: Int32, inGroup: Bool) throws {
    let specs = try events(inGroup ? "{cycles,instructions,branches}" : "instructions,cycles")
    let config = UInt64(PERF_COUNT_HW_INSTRUCTIONS.rawValue)
    let counting = SimulatedCounting(bareMetal, specs) { perf in
      perf.refuse { attribute, _ in attribute.type == 0 && attribute.config == config ? code : nil }
    }
    counting.run(ticks: 2)
    let refused = try #require(counting.total("instructions"))
    #expect(refused.value.value == nil, "errno \(code)")
    #expect(refused.value.unavailable?.reason.isEmpty == false)
    if code != EIO { #expect(refused.value.unavailable?.remedy?.isEmpty == false, "errno \(code)") }
    #expect(counting.collector.state.outcome == .degraded)
    // The others are counted as if it had not been asked for.
    #expect(counting.total("cycles")?.value == Measured(200_000, .hardwareCounter))
  }

  /// A member that is refused in company only splits the group.
  @Test(arguments: [EINVAL, ENOSPC, EBUSY])
  func refusedInCompany(code: Int32) throws {
    let counting = SimulatedCounting(bareMetal, try events("{cycles,instructions,branches}")) { perf in
      perf.refuse { attribute, hasLeader in hasLeader && attribute.config == 1 ? code : nil }
    }
    counting.run(ticks: 1)
    for total in counting.collector.totals() {
      #expect(total.value.value != nil)
      #expect(total.value.provenance?.detail?.contains("not counted at the same time") == true)
    }
  }

  @Test(
    arguments: [
      (.error(EIO), "Input/output"), (.error(EBADF), "read"), (.words(0), "in error"), (.words(2), "2 of"),
    ] as [(SimulatedPerf.ReadFailure, String)], ["cycles", "{cycles,instructions}"])
  func failedReads(failure: (SimulatedPerf.ReadFailure, String), expression: String) throws {
    let counting = SimulatedCounting(bareMetal, try events(expression + ",branches")) { perf in
      let mode = failure.0
      perf.failReads { $0.config == 0 ? mode : nil }
    }
    counting.run(ticks: 2)
    let total = try #require(counting.total("cycles"))
    #expect(total.value.unavailable?.reason.contains(failure.1) == true)
    #expect(total.value.unavailable?.remedy != nil)
    #expect(counting.total("branches")?.value.value != nil)
  }

  @Test(arguments: [EPERM, ENOSYS])
  func aFilterClosesEverything(code: Int32) throws {
    var settings = bareMetal
    settings.filter = code
    let counting = SimulatedCounting(settings, try events("cycles,task-clock"))
    counting.run(ticks: 1)
    #expect(counting.collector.totals().allSatisfy { $0.value.unavailable?.remedy != nil })
    #expect(counting.collector.state.method.contains("rusage"))
  }

  @Test func noPMU() throws {
    let counting = SimulatedCounting(.init(paranoid: -1), try events("cycles,task-clock"))
    counting.run(ticks: 1)
    #expect(counting.total("cycles")?.value.unavailable?.reason.contains("no hardware PMU") == true)
    #expect(counting.total("task-clock")?.value.value != nil)
  }

  @Test(arguments: [-1, 0, 1, 2, 3, 4])
  func paranoidLevels(level: Int) throws {
    var settings = bareMetal
    settings.paranoid = level
    let counting = SimulatedCounting(settings, try events("cycles,context-switches"))
    counting.run(ticks: 1)
    let cycles = try #require(counting.total("cycles"))
    #expect(cycles.value.value == 100_000)
    #expect(cycles.value.provenance?.detail == (level >= 2 ? "user mode only" : nil))
    #expect((counting.total("context-switches")?.value.value == nil) == (level >= 2))
    settings.closesAtLevelThree = true
    let debian = SimulatedCounting(settings, try events("cycles"))
    debian.run(ticks: 1)
    #expect((debian.total("cycles")?.value.value == nil) == (level >= 3))
  }
}
