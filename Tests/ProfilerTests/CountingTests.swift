// Is counting exact over threads and processes? The oracles need no PMU: the program knows how often it did something.
import Foundation
import ProfileModel
@testable import Profiler
import Testing

@Suite struct CountingTests {
  @Test(
    "An execute breakpoint counts every call", .enabled(if: Programs.canBreak, "no breakpoint events here"),
    arguments: [1, 2, 3, 5, 10, 100, 1000, 10_000])
  func callsOnMainThread(_ calls: Int) throws {
    let event = "mem:\(try #require(Programs.markedAddress)):x:u"
    #expect(try Programs.count([event], ["calls", "\(calls)"]) == [event: Double(calls)])
  }

  @Test(
    "It counts in threads, children and grandchildren", .enabled(if: Programs.canBreak, "no breakpoint events here"),
    arguments: [
      (["threads", "3", "1000", "100"], 3100.0), (["fork", "777", "23"], 800),
      (["tree", "3", "1000", "100", "777", "23"], 3900), (["exec", Programs.victim, "threads", "2", "10", "1"], 21),
    ] as [([String], Double)])
  func callsInTheTree(_ arguments: [String], _ calls: Double) throws {
    let event = "mem:\(try #require(Programs.markedAddress)):x:u"
    #expect(try Programs.count([event], arguments) == [event: calls])
  }

  @Test(
    "System calls and forks are counted by tracepoint", .enabled(if: Programs.canTrace, "no tracepoints for this user"),
    arguments: [0, 1, 10, 5000])
  func tracepoints(_ writes: Int) throws {
    let counts = try Programs.count(["syscalls:sys_enter_write"], ["writes", "\(writes)"])
    #expect(counts["syscalls:sys_enter_write"] == Double(writes))
  }

  @Test("Threads and forks are counted", .enabled(if: Programs.canTrace, "no tracepoints for this user"))
  func forks() throws {
    // Three threads, a child, a grandchild.
    let counts = try Programs.count(["sched:sched_process_fork"], ["tree", "3", "1", "1", "1", "1"])
    #expect(counts["sched:sched_process_fork"] == 5)
  }

  @Test(
    "A group of two events over one program agrees with each alone",
    .enabled(if: Programs.canBreak && Programs.canTrace, "no breakpoints or tracepoints for this user"))
  func group() throws {
    let breakpoint = "mem:\(try #require(Programs.markedAddress)):x:u"
    let events = ["{task-clock,\(breakpoint),sched:sched_process_fork}"]
    let counts = try Programs.count(events, ["tree", "2", "50", "5", "7", "3"])
    #expect(counts[breakpoint] == 115)
    #expect(counts["sched:sched_process_fork"] == 4)
    #expect(try #require(counts["task-clock"]) > 0)
  }

  @Test(
    "Counts equal perf stat's on the same program",
    .enabled(if: Programs.canBreak && Programs.canTrace, "no breakpoints or tracepoints for this user"),
    .enabled(if: Programs.installed("perf") != nil, "perf is not installed"))
  func equalsPerf() throws {
    let breakpoint = "mem:\(try #require(Programs.markedAddress)):x:u"
    let arguments = ["tree", "2", "300", "20", "70", "5"]
    let events = [breakpoint, "syscalls:sys_enter_write", "sched:sched_process_fork", "syscalls:sys_enter_clone3"]
    let perf = try Programs.run(
      [
        try #require(Programs.installed("perf")), "stat", "-x,", "-e", events.joined(separator: ","), "--",
        Programs.victim,
      ] + arguments)
    let ours = try Programs.count(events, arguments)
    var theirs: [String: Double] = [:]
    for line in perf.errors.split(separator: "\n") {
      // value, unit, event, time running, percentage
      let fields = line.split(separator: ",", omittingEmptySubsequences: false)
      if fields.count > 4, let value = Double(fields[0]) { theirs[String(fields[2])] = value }
    }
    #expect(theirs.count == events.count)
    #expect(ours == theirs)
  }

  @Test("The default set tells of every event, counted or not", .enabled(if: Programs.canCount, "no perf events here"))
  func defaultSet() throws {
    let specs = EventParser().defaultSet()
    #expect(specs.count == 19)
    let counts = try Programs.count([], ["touch", "8"])
    // 8 MiB of fresh memory in pages of 4 to 64 KiB, or in huge ones.
    #expect(try #require(counts["minor-faults"]) > 0)
    #expect(try #require(counts["task-clock"]) > 1000)
    if Programs.perf.noHardware != nil { #expect(counts["cycles"] == nil) } else { #expect(counts["cycles"] != nil) }
  }

  @Test("Clocks count time in nanoseconds", .enabled(if: Programs.canCount, "no perf events here"))
  func taskClock() throws {
    let counts = try Programs.count(["task-clock", "user_time", "system_time", "duration_time"], ["mix", "0.2"])
    let taskClock = try #require(counts["task-clock"])
    // The program stops when its own clock of processor time reads 0.2 s; rusage may be kept in ticks of 4 ms.
    #expect(abs(taskClock - 0.2e9) < 0.02e9)
    #expect(abs(try #require(counts["user_time"]) + (counts["system_time"] ?? 0) - taskClock) < 0.02e9)
    #expect(try #require(counts["duration_time"]) >= 0.99 * taskClock)
  }

  @Test(
    "What user mode never does is not counted as zero there", .enabled(if: Programs.canCount, "no perf events here"))
  func userModeOfKernelEvents() throws {
    let counts = try Programs.count(["context-switches:u", "task-clock:u"], ["sleep", "0.01"])
    #expect(counts["context-switches:u"] == nil)
    #expect(try #require(counts["task-clock:u"]) > 0)
  }

  @Test("A reading becomes a value: exact, scaled, or none")
  func readings() {
    func value(_ reading: CounterReading, isHardware: Bool = true, scale: Double = 1) -> Measured<Double> {
      reading.value(isHardware: isHardware, scale: scale).0
    }
    let exact = CounterReading(count: 100, enabled: 50, running: 50)
    #expect(value(exact) == Measured(100, .hardwareCounter))
    #expect(exact.value(isHardware: false, scale: 1, details: ["d"]).0 == Measured(100, .softwareCounter, detail: "d"))
    let half = value(CounterReading(count: 100, enabled: 50, running: 25), scale: 0.5)
    #expect(half.value == 100 && half.provenance?.runningFraction == 0.5)
    let never = value(CounterReading(count: 0, enabled: 50, running: 0))
    #expect(never.value == nil)
    #expect(never.unavailable?.remedy != nil)
    #expect(value(CounterReading(count: 0, enabled: 0, running: 0)).value == nil)
    // An exact zero is a value: software events alone are never multiplexed.
    let software = CounterReading(count: 0, enabled: 0, running: 0, mayTakeTurns: false)
    #expect(value(software, isHardware: false).value == 0)
    let looked = CounterReading(
      count: 100, enabled: 50, running: 25, estimate: .init(count: 210, interval: 190...230))
    #expect(looked.value(isHardware: true, scale: 0.1).1 == 19...23)
  }

  @Test("Without perf events the kernel's accounting stands in, and says so")
  func ladder() throws {
    var access = PerfAccess(paranoid: 4, maximumSampleRate: 100_000)
    let reason = access.explanation(of: SystemCallError(call: "perf_event_open", code: EPERM))
    access.noEvents = reason
    access.noHardware = reason
    access.noKernel = reason
    let options = ProfileOptions(command: [Programs.victim, "touch", "4"], output: "")
    let target = try LaunchedTarget(options.command, environment: [:])
    let collector = CountingCollector(events: EventParser().defaultSet(), options: options, access: access)
    let state = collector.prepare(TargetContext(pid: target.pid, options: options, runDirectory: ""))
    #expect(state.outcome == .degraded)
    #expect(state.remedy?.contains("PERFMON") == true)
    try target.start()
    while !target.hasEnded { usleep(1000) }
    #expect(collector.totals().allSatisfy { $0.value.value == nil })
    collector.targetReaped(try target.reap())
    let totals = collector.totals()
    let faults = try #require(totals.first { $0.event == "minor-faults" })
    #expect(faults.value.provenance?.source == .kernelAccounting)
    #expect(try #require(faults.value.value) > 0)
    // Nothing accounts for cycles or migrations.
    for event in ["cycles", "cpu-migrations"] {
      #expect(totals.first { $0.event == event }?.value.value == nil)
    }
  }

  @Test("Refusals name the command that helps")
  func explanations() {
    let access = PerfAccess(paranoid: 2, maximumSampleRate: 100_000)
    func remedy(_ code: Int32, _ kind: PerfEventSpec.Kind = .software) -> String? {
      access.explanation(
        of: SystemCallError(call: "perf_event_open", code: code), opening: PerfEventSpec("e", kind, type: 1, config: 0)
      ).remedy
    }
    #expect(remedy(EACCES) == "sudo sysctl kernel.perf_event_paranoid=1")
    #expect(remedy(EACCES, .tracepoint) == "sudo sysctl kernel.perf_event_paranoid=-1")
    #expect(remedy(EACCES, .device) == "sudo sysctl kernel.perf_event_paranoid=0")
    #expect(remedy(EPERM)?.contains("--cap-add PERFMON") == true)
    #expect(remedy(EMFILE)?.hasPrefix("ulimit") == true)
    #expect(
      access.explanation(of: SystemCallError(call: "mmap", code: EPERM)).remedy
        == "sudo sysctl kernel.perf_event_mlock_kb=4096")
  }
}
