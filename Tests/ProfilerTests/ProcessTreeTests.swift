// Are processes, their I/O and their energy followed rightly when they come, go and wrap around?
import Glibc
import ProfileModel
import Synchronization
import Testing

@testable import Profiler

/// A `/proc` and `/sys` that change from step to step.
final class ChangingFiles: Sendable {
  private let texts = Mutex<[String: String]>([:])
  private let failures = Mutex<[String: Int32]>([:])

  var files: HostFiles {
    HostFiles(
      read: { path in
        if let code = self.failures.withLock({ $0[path] }) { return .failure(.init(code: code)) }
        return self.texts.withLock { $0[path] }.map { .success(Array($0.utf8)) } ?? .failure(.init(code: ENOENT))
      },
      list: { folder in self.texts.withLock { HostFiles.fake($0).list(folder) } },
      resolve: { _ in nil })
  }

  func set(_ path: String, _ text: String?) { texts.withLock { $0[path] = text } }
  func fail(_ path: String, _ code: Int32?) { failures.withLock { $0[path] = code } }

  /// A process with one thread.
  func process(
    _ pid: Int32, parent: Int32, name: String = "x", state: String = "S", threads: Int = 1, pages: Int = 10,
    start: Int = 1, exit: Int = 0
  ) {
    let middle = "0 0 0 0 0 0 0 0 0 11 12 13 14 20 0"
    let tail = (0..<27).map { _ in "0" }.joined(separator: " ")
    set(
      "/proc/\(pid)/stat",
      "\(pid) (\(name)) \(state) \(parent) \(middle) \(threads) 0 \(start) 4096 \(pages) \(tail) \(exit)\n")
  }
  func io(_ pid: Int32, read: Int, write: Int) {
    set(
      "/proc/\(pid)/io",
      "rchar: 9\nwchar: 9\nsyscr: 1\nread_bytes: \(read)\nwrite_bytes: \(write)\ncancelled_write_bytes: 5\n")
  }
  func gone(_ pid: Int32) { texts.withLock { texts in texts = texts.filter { !$0.key.hasPrefix("/proc/\(pid)/") } } }
}

struct ProcessTreeTests {
  @Test func statusLinesAreRead() throws {
    let machine = ChangingFiles()
    machine.process(42, parent: 7, name: "a) R 1 (b", state: "Z", threads: 3, pages: 5, start: 99, exit: 256)
    guard case .success(let bytes) = machine.files.read("/proc/42/stat") else { return }
    let status = try #require(ProcessStatus(stat: bytes))
    #expect(status.pid == 42 && status.parentPID == 7 && status.name == "a) R 1 (b" && status.threads == 3)
    #expect(status.userTicks == 11 && status.systemTicks == 12 && status.childrenUserTicks == 13)
    #expect(status.startTicks == 99 && status.residentPages == 5 && status.exitCode == 256)
    #expect(!status.hasEnded)
    for length in 0..<bytes.count { _ = ProcessStatus(stat: Array(bytes.prefix(length))) }
  }

  @Test func descendantsAndOrphansBelongAndStrangersDoNot() {
    let machine = ChangingFiles()
    let tree = ProcessTree(files: machine.files)
    machine.process(1, parent: 0)
    machine.process(50, parent: 1)  // the profiler
    machine.process(60, parent: 50)  // another child that it had
    machine.process(100, parent: 50, start: 5)  // the target
    tree.follow(100, reaper: 50)
    machine.process(101, parent: 100, start: 6)
    machine.process(102, parent: 101, start: 7)
    machine.process(61, parent: 60, start: 6)
    machine.process(200, parent: 1)
    tree.refresh(monotonicNanoseconds: 1)
    #expect(Set(tree.processes.keys) == [100, 101, 102])
    // Its parent ends, the profiler inherits it; a daemon that was never seen before comes the same way.
    machine.gone(101)
    machine.process(102, parent: 50, start: 7)
    machine.process(103, parent: 50, start: 5)
    tree.refresh(monotonicNanoseconds: 2)
    #expect(Set(tree.processes.keys) == [100, 102, 103])
    #expect(tree.departed.map(\.pid) == [101])
    // The same time again reads nothing.
    machine.gone(102)
    tree.refresh(monotonicNanoseconds: 2)
    #expect(tree.processes[102] != nil)
    // A number that is used again is another process.
    machine.process(103, parent: 1, start: 9)
    tree.refresh(monotonicNanoseconds: 3)
    #expect(Set(tree.processes.keys) == [100])
  }

  @Test func forkRecordsReplaceTheSearch() {
    let machine = ChangingFiles()
    let tree = ProcessTree(files: machine.files)
    machine.process(100, parent: 50)
    tree.follow(100, reaper: 50)
    tree.consume(.name(pid: 100, tid: 100, name: "x", isExec: true, time: 0))
    machine.process(101, parent: 100)
    tree.refresh(monotonicNanoseconds: 1)
    #expect(Set(tree.processes.keys) == [100])
    tree.consume(.fork(pid: 101, parentPID: 100, tid: 101, parentTID: 100, time: 1))
    tree.consume(.fork(pid: 100, parentPID: 100, tid: 105, parentTID: 100, time: 1))
    tree.refresh(monotonicNanoseconds: 2)
    #expect(Set(tree.processes.keys) == [100, 101])
  }

  @Test func storageTrafficMovesToTheParentThatWaits() {
    let machine = ChangingFiles()
    let tree = ProcessTree(files: machine.files)
    var traffic = StorageTraffic()
    func step(_ time: UInt64) {
      tree.refresh(monotonicNanoseconds: time)
      traffic.update(tree.processes.values, departed: tree.departed, files: machine.files)
    }
    machine.process(100, parent: 50)
    machine.io(100, read: 10, write: 1)
    tree.follow(100, reaper: 50)
    machine.process(101, parent: 100)
    machine.io(101, read: 100, write: 20)
    step(1)
    #expect(traffic.total == .init(read: 110, written: 21))
    // The child reads 50 more and ends; the parent waits for it, and reads 5 itself.
    machine.gone(101)
    machine.io(100, read: 165, write: 21)
    step(2)
    #expect(traffic.total == .init(read: 165, written: 21))
    // An orphan's bytes go to the profiler, which is not of the tree.
    machine.process(102, parent: 50)
    machine.io(102, read: 1000, write: 0)
    step(3)
    machine.gone(102)
    step(4)
    #expect(traffic.total == .init(read: 1165, written: 21))
    machine.io(100, read: 170, write: 30)
    step(5)
    #expect(traffic.total == .init(read: 1170, written: 30))
    // Not readable any more: nothing is lost, and it is said.
    machine.fail("/proc/100/io", EACCES)
    step(6)
    #expect(traffic.total == .init(read: 1170, written: 30) && traffic.refused == 1)
    #expect(StorageTraffic.parse(Array("rchar: 1\n".utf8)) == nil)
  }

  @Test func sumsNeverFall() {
    var sum = SumOverProcesses()
    sum.update([(1, 100), (2, 50)])
    #expect(sum.total == 150)
    sum.update([(1, 110)])
    #expect(sum.total == 160)
    // 2 again, another process; 1 can't be read for once.
    sum.update([(1, nil), (2, 3)])
    #expect(sum.total == 163)
    sum.update([(1, 120), (2, 1)])
    #expect(sum.total == 120 + 50 + 3 + 1)
    sum.update([])
    #expect(sum.total == 174)
  }

  /// Points of a series with two processes, one of which ends between ticks.
  @Test func seriesOfAMadeUpRun() throws {
    let machine = ChangingFiles()
    let tree = ProcessTree(files: machine.files)
    let clocks = Mutex<[Int32: UInt64]>([:])
    let collector = SeriesCollector(
      tree: tree, files: machine.files, pageSize: 4096, openCounters: { _ in (nil, nil) },
      processClock: { pid in clocks.withLock { $0[pid] } })
    machine.process(100, parent: getpid(), threads: 2, pages: 100)
    machine.io(100, read: 0, write: 0)
    let state = collector.prepare(
      TargetContext(pid: 100, options: ProfileOptions(command: [], output: ""), runDirectory: ""))
    #expect(state.outcome == .degraded && state.remedy != nil)
    collector.start(monotonicNanoseconds: 1_000)
    machine.process(101, parent: 100, threads: 3, pages: 50)
    machine.io(101, read: 1000, write: 0)
    clocks.withLock { $0 = [100: 30_000_000, 101: 20_000_000] }
    collector.tick(monotonicNanoseconds: 100_001_000)
    machine.gone(101)
    clocks.withLock { $0 = [100: 130_000_000] }
    machine.io(100, read: 3000, write: 500)
    collector.tick(monotonicNanoseconds: 200_001_000)
    collector.stop(monotonicNanoseconds: 200_001_500)
    let points = try write(collector).points
    func values(_ series: String) -> [Double] { points.filter { $0.series == series }.map(\.value) }
    #expect(values("threads") == [5, 2])
    #expect(values("memory.rss") == [150 * 4096, 100 * 4096])
    #expect(values("cpu.use") == [0.5, 1.0])
    #expect(values("io.read") == [10_000, 20_000])
    #expect(values("io.write") == [0, 5_000])
    #expect(points.filter { $0.series == "threads" }.map(\.timeNanoseconds) == [100_000_000, 200_000_000])
  }

  /// What a collector writes, read back from a file.
  private func write(_ collector: any Collector) throws -> RepetitionData {
    let path = Programs.temporaryPath()
    defer { unlink(path) }
    let writer = try ProfileWriter(creating: path)
    try writer.write { transaction in
      try transaction.repetition(Repetition(index: 0, startedAtUnixNanoseconds: 0, startMonotonicNanoseconds: 0))
      try collector.write(to: transaction, repetition: 0)
    }
    return try #require(try Profile(contentsOf: path).repetitions.first)
  }
}

struct EnergyTests {
  private let context = TargetContext(pid: 1, options: ProfileOptions(command: [], output: ""), runDirectory: "")

  private func zone(_ machine: ChangingFiles, _ name: String, _ label: String, _ microjoules: UInt64) {
    machine.set("/sys/class/powercap/\(name)/name", label)
    machine.set("/sys/class/powercap/\(name)/energy_uj", "\(microjoules)\n")
    machine.set("/sys/class/powercap/\(name)/max_energy_range_uj", "1000000\n")
  }

  private func collector(_ machine: ChangingFiles) -> EnergyCollector {
    EnergyCollector { PowercapMeter.all(machine.files).map { ($0, "RAPL through powercap") } }
  }

  @Test func zonesAreAddedUpAndWrapAround() {
    let machine = ChangingFiles()
    zone(machine, "intel-rapl:0", "package-0", 900_000)
    zone(machine, "intel-rapl:1", "package-1", 100_000)
    zone(machine, "intel-rapl:0:0", "core", 0)
    zone(machine, "intel-rapl:0:1", "dram", 5)
    // The second view of the same package is not counted again.
    zone(machine, "intel-rapl-mmio:0", "package-0", 77)
    let energy = collector(machine)
    #expect(energy.prepare(context).outcome == .measured)
    energy.start(monotonicNanoseconds: 0)
    zone(machine, "intel-rapl:0", "package-0", 100_000)  // wrapped around: 200 000 µJ
    zone(machine, "intel-rapl:1", "package-1", 400_000)
    energy.tick(monotonicNanoseconds: 1)
    zone(machine, "intel-rapl:0", "package-0", 90_000)  // once more: 990 000 µJ
    zone(machine, "intel-rapl:0:0", "core", 250_000)
    energy.stop(monotonicNanoseconds: 2)
    let values = Dictionary(uniqueKeysWithValues: energy.quantities.map { ($0.name, $0.value.value?.number ?? -1) })
    #expect(abs(values["energy.package", default: 0] - (0.2 + 0.3 + 0.99)) < 1e-9)
    #expect(values["energy.core"] == 0.25 && values["energy.dram"] == 0)
    #expect(energy.quantities.allSatisfy { $0.unit == "J" && $0.value.provenance?.source == .hardwareCounter })
  }

  @Test func powerOverTime() throws {
    let machine = ChangingFiles()
    zone(machine, "intel-rapl:0", "package-0", 0)
    let energy = collector(machine)
    _ = energy.prepare(context)
    energy.start(monotonicNanoseconds: 1_000_000_000)
    zone(machine, "intel-rapl:0", "package-0", 500_000)
    energy.tick(monotonicNanoseconds: 1_100_000_000)
    zone(machine, "intel-rapl:0", "package-0", 700_000)
    energy.stop(monotonicNanoseconds: 1_200_000_000)
    let path = Programs.temporaryPath()
    defer { unlink(path) }
    try ProfileWriter(creating: path).write { transaction in
      try transaction.repetition(Repetition(index: 0, startedAtUnixNanoseconds: 0, startMonotonicNanoseconds: 0))
      try energy.write(to: transaction, repetition: 0)
    }
    let profile = try Profile(contentsOf: path)
    let points = try #require(profile.repetitions.first).points
    // 0.5 J and 0.2 J in a tenth of a second each.
    #expect(points.map(\.timeNanoseconds) == [100_000_000, 200_000_000])
    #expect(zip(points, [5.0, 2.0]).allSatisfy { abs($0.value - $1) < 1e-9 })
    #expect(profile.series.map(\.name) == ["power.package"] && profile.series.first?.unit == "W")
  }

  @Test func closedToUsers() {
    let machine = ChangingFiles()
    zone(machine, "intel-rapl:0", "package-0", 1)
    machine.fail("/sys/class/powercap/intel-rapl:0/energy_uj", EACCES)
    let energy = collector(machine)
    let state = energy.prepare(context)
    #expect(state.outcome == .unavailable && state.remedy == "sudo chmod a+r /sys/class/powercap/*/energy_uj")
    #expect(energy.quantities.first?.value.unavailable != nil)
  }

  @Test func aMeterThatFailsLeavesTheLastWholeSum() {
    let machine = ChangingFiles()
    zone(machine, "intel-rapl:0", "package-0", 0)
    zone(machine, "intel-rapl:1", "package-1", 0)
    let energy = collector(machine)
    _ = energy.prepare(context)
    energy.start(monotonicNanoseconds: 0)
    zone(machine, "intel-rapl:0", "package-0", 500_000)
    energy.tick(monotonicNanoseconds: 1)
    machine.fail("/sys/class/powercap/intel-rapl:1/energy_uj", EIO)
    zone(machine, "intel-rapl:0", "package-0", 700_000)
    energy.stop(monotonicNanoseconds: 2)
    #expect(energy.quantities.first?.value.value == .number(0.5))
    #expect(energy.state.outcome == .degraded)
  }

  @Test func powerPMU() throws {
    let root = "/sys/bus/event_source/devices/power"
    let files = HostFiles.fake([
      "\(root)/type": "20\n", "\(root)/cpumask": "0,8\n", "\(root)/events/energy-pkg": "event=0x02\n",
      "\(root)/events/energy-pkg.scale": "2.3283064365386962890625e-10\n",
      "\(root)/events/energy-ram": "event=0x03\n",
      "\(root)/events/energy-ram.scale": "2.3283064365386962890625e-10\n",
    ])
    var settings = SimulatedPerf.Settings(pmus: [.init(type: 20, counters: 8, isUncore: true)], paranoid: 0)
    let perf = SimulatedPerf(settings)
    let energy = EnergyCollector(files, perf)
    #expect(energy.prepare(context).method.contains("power PMU"))
    #expect(perf.openCount == 4)
    energy.start(monotonicNanoseconds: 0)
    perf.advance(1_000_000_000) { attribute, from, to in
      Double(to - from) / 1e9 * Double(UInt64(1) << 32) * (attribute.config == 2 ? 1 : 0.25)
    }
    energy.stop(monotonicNanoseconds: 1)
    // 2³² units of 2⁻³² J on each of two sockets, and a quarter of that in their memory.
    let values = Dictionary(uniqueKeysWithValues: energy.quantities.map { ($0.name, $0.value.value?.number ?? -1) })
    #expect(abs(values["energy.package", default: 0] - 2) < 1e-6)
    #expect(abs(values["energy.dram", default: 0] - 0.5) < 1e-6)
    settings.paranoid = 1
    guard case .failure(let why) = PowerPMUMeter.all(files, SimulatedPerf(settings)) else {
      Issue.record("an ordinary user may not count for the whole machine at level 1")
      return
    }
    #expect(why.remedy == "sudo sysctl kernel.perf_event_paranoid=0")
  }

  @Test func aWrapOfUnknownRangeEndsTheSum() {
    let machine = ChangingFiles()
    zone(machine, "intel-rapl:0", "package-0", 100)
    machine.set("/sys/class/powercap/intel-rapl:0/max_energy_range_uj", nil)
    let energy = collector(machine)
    _ = energy.prepare(context)
    energy.start(monotonicNanoseconds: 0)
    machine.set("/sys/class/powercap/intel-rapl:0/energy_uj", "500100\n")
    energy.tick(monotonicNanoseconds: 1)
    machine.set("/sys/class/powercap/intel-rapl:0/energy_uj", "7\n")
    energy.tick(monotonicNanoseconds: 2)
    machine.set("/sys/class/powercap/intel-rapl:0/energy_uj", "900000\n")
    energy.stop(monotonicNanoseconds: 3)
    #expect(energy.quantities.first?.value.value == .number(0.5))
    #expect(energy.quantities.first?.value.provenance?.detail?.contains("not to the end") == true)
    #expect(energy.state.outcome == .degraded)
  }

  /// A range of 64 bits is no reason to trap.
  @Test func wideCountersWrapToo() {
    let machine = ChangingFiles()
    zone(machine, "intel-rapl:0", "package-0", UInt64.max - 999_999)
    machine.set("/sys/class/powercap/intel-rapl:0/max_energy_range_uj", "\(UInt64.max)\n")
    let energy = collector(machine)
    _ = energy.prepare(context)
    energy.start(monotonicNanoseconds: 0)
    machine.set("/sys/class/powercap/intel-rapl:0/energy_uj", "1000001\n")
    energy.stop(monotonicNanoseconds: 1)
    #expect(energy.quantities.first?.value.value == .number(2))
  }

  @Test func noMeterAtAll() {
    guard case .failure(let why) = PowercapMeter.all(.fake([:])) else { return }
    #expect(why.reason.contains("powercap"))
  }
}
