// Do real programs whose threads spend known times in known states come out as they are?
import Glibc
import ProfileModel
import Testing

@testable import Profiler

/// Runs a program with the collectors of the operating system's accounting, as a session does.
private struct HostRun {
  var data: RepetitionData
  var wall: Int64
  var usage: TargetUsage

  var states: [String: CollectorState] { Dictionary(uniqueKeysWithValues: data.collectors.map { ($0.collector, $0) }) }

  static let program = "\(Programs.folder)/ThreadStates"

  /// - Parameter step: which records the off-CPU collector gets: all, or none.
  init(_ arguments: [String], records: Bool = true) throws {
    let options = ProfileOptions(command: [Self.program] + arguments, output: "")
    let target = try LaunchedTarget(options.command, environment: [:])
    let source = PerfRecordSource(options: options)
    let tree = ProcessTree()
    if records { source.addConsumer(tree) }
    let offCPU =
      records
      ? OffCPUCollector(tree: tree, source: source)
      : OffCPUCollector(
        tree: tree, source: nil, looks: ThreadLooks(files: .live, architecture: Host.System.live().architecture),
        kernelFunction: { _ in nil }, kernelShowsAddresses: { true })
    let collectors: [any Collector] = [SeriesCollector(tree: tree), offCPU, MemoryCollector(tree: tree)]
    if records { source.open(pid: target.pid) }
    let context = TargetContext(pid: target.pid, options: options, runDirectory: "")
    for collector in collectors { _ = collector.prepare(context) }
    let start = Clock.monotonic
    try target.start()
    for collector in collectors { collector.start(monotonicNanoseconds: start) }
    var nextTick = start + 100_000_000
    while !target.hasEnded {
      usleep(2000)
      let now = Clock.monotonic
      source.drain(monotonicNanoseconds: now)
      guard now >= nextTick else { continue }
      for collector in collectors { collector.tick(monotonicNanoseconds: now) }
      nextTick += 100_000_000
    }
    let end = Clock.monotonic
    wall = Int64(end - start)
    source.finish()
    for collector in collectors { collector.stop(monotonicNanoseconds: end) }
    usage = try target.reap()
    for collector in collectors { collector.targetReaped(usage) }
    let path = Programs.temporaryPath()
    defer { unlink(path) }
    let writer = try ProfileWriter(creating: path)
    try writer.write { transaction in
      try transaction.repetition(Repetition(index: 0, startedAtUnixNanoseconds: 0, startMonotonicNanoseconds: 0))
      for collector in collectors {
        try collector.write(to: transaction, repetition: 0)
        try transaction.collector(collector.state, repetition: 0)
      }
    }
    data = try Profile(contentsOf: path).repetitions[0]
  }

  /// The first thread.
  var main: ThreadRecord { data.threads.first { $0.tid == $0.pid && $0.parentPID == getpid() } ?? data.threads[0] }
  var others: [ThreadRecord] {
    data.threads.filter { $0.tid != main.tid || $0.startNanoseconds != main.startNanoseconds }
  }
}

extension ThreadRecord {
  fileprivate var parts: [Int64] {
    [
      runningNanoseconds, runnableNanoseconds, blockedLockNanoseconds, blockedIONanoseconds, sleepingNanoseconds,
      blockedOtherNanoseconds,
    ].map { $0 ?? 0 }
  }
}

/// One after the other: they measure time, and the machine may have only two CPUs.
@Suite(.serialized, .enabled(if: Programs.canCount, "perf events are not permitted here"))
struct OffCPULiveTests {
  /// Whether the kernel's call chains of context switches can be had here, and the kernel's symbols.
  static let hasStacks = Programs.perf.noKernel == nil && KernelSymbols().areVisible
  private static let milliseconds = 1e6

  /// Every thread's parts add up to its lifetime within 1 %, and all lie within the run.
  private func check(_ run: HostRun) {
    for thread in run.data.threads {
      let life = thread.endNanoseconds - thread.startNanoseconds
      #expect(abs(thread.parts.reduce(0, +) - life) <= life / 100, "\(thread)")
      #expect(thread.parts.allSatisfy { $0 >= 0 })
      #expect(thread.startNanoseconds >= 0 && thread.endNanoseconds <= run.wall + 1_000_000, "\(thread)")
      // The rows by phase and category say the same, to the nanosecond.
      let rows = run.data.threadTimes.filter {
        $0.pid == thread.pid && $0.tid == thread.tid && $0.startNanoseconds == thread.startNanoseconds
      }
      #expect(rows.reduce(0) { $0 + $1.nanoseconds } == thread.parts.reduce(0, +))
      for (state, time) in zip([TimeState.working, .runnable, .lock, .io, .sleeping, .other], thread.parts) {
        #expect(rows.filter { $0.state == state }.reduce(0) { $0 + $1.nanoseconds } == time)
      }
      #expect(rows.allSatisfy { $0.phase == nil && $0.category == nil })
    }
  }

  /// What must be near: nothing of it can be missing, and a busy machine adds some.
  private func near(_ value: Int64?, _ milliseconds: Double) -> Bool {
    let value = Double(value ?? 0) / Self.milliseconds
    return value > milliseconds * 0.9 && value < milliseconds * 1.6 + 60
  }

  @Test(.enabled(if: hasStacks, "kernel call chains are not permitted here"))
  func sleepingIsSleep() throws {
    let run = try HostRun(["sleep", "150"])
    check(run)
    #expect(near(run.main.sleepingNanoseconds, 150), "\(run.main)")
    #expect((run.main.blockedLockNanoseconds ?? 0) < 20_000_000)
    #expect(run.main.exitStatus == 0)
    #expect(abs(run.main.endNanoseconds - run.wall) < 50_000_000)
  }

  @Test(.enabled(if: hasStacks, "kernel call chains are not permitted here"))
  func readingAnEmptyPipeIsIO() throws {
    let run = try HostRun(["pipe", "150"])
    check(run)
    #expect(near(run.main.blockedIONanoseconds, 150), "\(run.main)")
    let writer = try #require(run.others.first)
    #expect(near(writer.sleepingNanoseconds, 150), "\(writer)")
    #expect(writer.pid == run.main.pid && writer.name == run.main.name)
  }

  @Test(.enabled(if: hasStacks, "kernel call chains are not permitted here"))
  func aTakenMutexIsALock() throws {
    let run = try HostRun(["lock", "150"])
    check(run)
    #expect(near(run.main.sleepingNanoseconds, 150), "\(run.main)")
    let waiter = try #require(run.others.first)
    #expect(near(waiter.blockedLockNanoseconds, 150), "\(waiter)")
  }

  @Test(.enabled(if: hasStacks, "kernel call chains are not permitted here"))
  func oneThreadThatDoesEverything() throws {
    let run = try HostRun(["mixed", "80"])
    check(run)
    #expect(near(run.main.sleepingNanoseconds, 80), "\(run.main)")
    #expect(near(run.main.blockedIONanoseconds, 80), "\(run.main)")
    // The mutex, and joining the thread that wrote.
    #expect(near(run.main.blockedLockNanoseconds, 80), "\(run.main)")
    #expect(near(run.main.runningNanoseconds, 80), "\(run.main)")
  }

  /// More computing threads than CPUs: each computes its due and waits for a CPU for the rest.
  @Test(.enabled(if: hasStacks, "kernel call chains are not permitted here"))
  func moreThreadsThanCPUsWaitForACPU() throws {
    let cpus = Host.read().cpu.available
    let threads = 2 * min(cpus, 16)
    let run = try HostRun(["spin", "\(threads)", "100"])
    check(run)
    let spinners = run.others
    #expect(spinners.count == threads)
    for thread in spinners { #expect(near(thread.runningNanoseconds, 100), "\(thread)") }
    let running = spinners.reduce(0) { $0 + ($1.runningNanoseconds ?? 0) }
    let runnable = spinners.reduce(0) { $0 + ($1.runnableNanoseconds ?? 0) }
    if cpus <= 16 { #expect(runnable > running / 4, "running \(running), runnable \(runnable)") }
    // The kernel's accounting of the same.
    let cpu = run.usage.userNanoseconds + run.usage.systemNanoseconds
    let counted = run.data.threads.reduce(0) { $0 + ($1.runningNanoseconds ?? 0) }
    #expect(Double(counted) > Double(cpu) * 0.9 && Double(counted) < Double(cpu) * 1.3 + 3e7, "\(counted) of \(cpu)")
    #expect(run.states["off-cpu"]?.outcome != .unavailable)
  }

  @Test(.enabled(if: hasStacks, "kernel call chains are not permitted here"))
  func waitingForAChildIsSleepAndTheChildHasItsStatus() throws {
    let run = try HostRun(["child", "120"])
    check(run)
    #expect(near(run.main.sleepingNanoseconds, 120))
    let child = try #require(run.others.first)
    #expect(child.parentPID == run.main.pid && child.pid != run.main.pid)
    #expect(near(child.sleepingNanoseconds, 120))
  }

  @Test func execOnAThread() throws {
    let run = try HostRun(["exec", "60"])
    check(run)
    let last = try #require(
      run.data.threads.filter { $0.tid == run.main.tid }.max { $0.endNanoseconds < $1.endNanoseconds })
    #expect(abs(last.endNanoseconds - run.wall) < 50_000_000)
  }

  @Test func manyShortThreadsAreAllSeen() throws {
    let run = try HostRun(["threads", "300"])
    check(run)
    #expect(run.data.threads.count == 301)
  }

  /// As many switches as two threads can make: nothing is lost, or it is said.
  @Test func heavySwitching() throws {
    let run = try HostRun(["pingpong", "20000"])
    check(run)
    let state = try #require(run.states["off-cpu"])
    let isLost = state.reason?.contains("records were lost") == true
    #expect(run.data.threads.count == 2 || isLost)
    if !isLost, Self.hasStacks {
      // Reading from the pipe, waiting for a CPU, or running: there is nothing else.
      #expect((run.main.blockedLockNanoseconds ?? 0) + (run.main.sleepingNanoseconds ?? 0) < run.wall / 5)
    }
  }

  /// Without any records: running is the kernel's sum, the rest is blocked, and looks tell why.
  @Test func accountingAlone() throws {
    let run = try HostRun(["spin", "2", "250"], records: false)
    check(run)
    #expect(run.states["off-cpu"]?.outcome == .degraded)
    // Who reads /proc alone can't tell an orphan of the target from a child of another test of this process.
    let own = run.data.threads.filter { $0.pid == run.main.pid }
    let running = own.reduce(0) { $0 + ($1.runningNanoseconds ?? 0) }
    let cpu = run.usage.userNanoseconds + run.usage.systemNanoseconds
    // What happened between the last tick and the end is missing.
    #expect(running <= cpu + 20_000_000 && running > cpu / 3, "\(running) of \(cpu)")
    let sleeper = try HostRun(["pipe", "400"], records: false)
    check(sleeper)
    #expect((sleeper.main.blockedIONanoseconds ?? 0) > 150_000_000, "\(sleeper.main)")
  }
}

@Suite(.serialized, .enabled(if: Programs.canCount, "perf events are not permitted here"))
struct SeriesLiveTests {
  private func integral(_ run: HostRun, _ series: String) -> Double {
    var last: Int64 = 0
    return run.data.points.filter { $0.series == series }.reduce(0) { sum, point in
      defer { last = point.timeNanoseconds }
      return sum + point.value * Double(point.timeNanoseconds - last) / 1e9
    }
  }

  @Test func cpuUseAddsUpToTheKernelsAccounting() throws {
    let run = try HostRun(["spin", "2", "200"])
    let cpu = Double(run.usage.userNanoseconds + run.usage.systemNanoseconds) / 1e9
    let use = integral(run, "cpu.use")
    #expect(abs(use - cpu) < cpu * 0.1 + 0.01, "\(use) of \(cpu)")
    #expect(run.data.points.filter { $0.series == "threads" }.contains { $0.value == 3 })
  }

  @Test func memoryOfAllProcessesIsAddedUp() throws {
    let run = try HostRun(["hold", "3", "40", "400"])
    let peak = try #require(run.data.quantity("memory.peak_rss")?.value.value?.number)
    #expect(peak > 120 * 1048576 && peak < 200 * 1048576, "\(peak / 1048576) MiB")
    let series = run.data.points.filter { $0.series == "memory.rss" }.map(\.value).max() ?? 0
    #expect(series == peak)
  }

  @Test func aSingleProcessHasTheKernelsHighWaterMark() throws {
    let run = try HostRun(["hold", "1", "64", "250"])
    let peak = try #require(run.data.quantity("memory.peak_rss"))
    #expect(peak.value.value?.number ?? 0 > 64 * 1048576)
  }

  @Test func aShortCommandHasNoInventedPeak() throws {
    let run = try HostRun(["sleep", "1"])
    let peak = try #require(run.data.quantity("memory.peak_rss")).value
    // Either the kernel told it, or there is no number.
    #expect(peak.value == nil ? peak.unavailable?.reason.contains("at most") == true : peak.provenance != nil)
  }

  @Test func bytesWrittenByAChildAreCounted() throws {
    let path = Programs.temporaryPath(".data")
    defer { unlink(path) }
    let run = try HostRun(["write", "8", path])
    let written = integral(run, "io.write")
    // On a memory file system nothing goes to storage.
    let mounts = HostFiles.live.text("/proc/self/mountinfo") ?? ""
    let isMemory = mounts.split(separator: "\n").contains { $0.contains(" /tmp ") && $0.contains(" - tmpfs ") }
    if !isMemory { #expect(written >= 8 * 1048576 * 0.99 && written < 12 * 1048576, "\(written)") }
    for series in ["io.read", "io.write", "cpu.use", "context_switches"] {
      #expect(run.data.points.filter { $0.series == series }.allSatisfy { $0.value >= 0 })
    }
  }

  @Test func contextSwitchesAreCounted() throws {
    let run = try HostRun(["pingpong", "2000"])
    let switches = integral(run, "context_switches")
    let kernel = Double(run.usage.voluntarySwitches + run.usage.involuntarySwitches)
    if run.data.points.contains(where: { $0.series == "context_switches" }), Programs.perf.noKernel == nil {
      #expect(abs(switches - kernel) < kernel * 0.05 + 20, "\(switches) of \(kernel)")
    }
  }
}
