// Does reading a kernel trace survive what can be wrong with the file, and find what ran when?
import CKernelTrace
import Foundation
import ProfileModel
import Testing
import WorkloadLog

@testable import Profiler

/// A trace file made by hand: no libtorch needed.
final class HandMadeTrace {
  let directory: String
  var path: String { directory + "/" + WorkloadContract.traceFileName }
  let memory: UnsafeMutableRawPointer
  let size: Int
  var header: UnsafeMutablePointer<kiviat_trace_header> { memory.assumingMemoryBound(to: kiviat_trace_header.self) }
  var region: UnsafeMutableRawPointer { memory + KernelTraceReader.firstRegion }
  var thread: UnsafeMutablePointer<kiviat_trace_thread> { region.assumingMemoryBound(to: kiviat_trace_thread.self) }
  var ring: UnsafeMutablePointer<UInt64> {
    (region + Int(KIVIAT_TRACE_THREAD_BYTES)).assumingMemoryBound(to: UInt64.self)
  }
  var entries: UnsafeMutablePointer<kiviat_trace_entry> {
    (region + Int(KIVIAT_TRACE_THREAD_BYTES) + KernelTraceReader.ringSize * 8)
      .assumingMemoryBound(to: kiviat_trace_entry.self)
  }

  /// The counts of an entry.
  func counts(_ entry: Int) -> UnsafeMutablePointer<kiviat_trace_counts> {
    let size = Int(kiviat_trace_counts_bytes(header.pointee.event_count))
    return (UnsafeMutableRawPointer(entries + KernelTraceReader.entryLimit) + entry * size)
      .assumingMemoryBound(to: kiviat_trace_counts.self)
  }

  /// The sums of an event in an entry.
  func count(_ entry: Int, _ event: Int) -> UnsafeMutablePointer<kiviat_trace_count> {
    UnsafeMutableRawPointer(counts(entry) + 1).assumingMemoryBound(to: kiviat_trace_count.self) + event
  }

  init(events: Int = 0) throws {
    size = KernelTraceReader.firstRegion + KernelTraceReader.regionSize(events: events)
    directory = NSTemporaryDirectory() + "kiviat-trace-\(getpid())-\(UInt32.random(in: 0...UInt32.max))"
    try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
    let path = directory + "/" + WorkloadContract.traceFileName
    let descriptor = open(path, O_RDWR | O_CREAT, 0o600)
    defer { close(descriptor) }
    ftruncate(descriptor, size)
    memory = try #require(mmap(nil, size, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0))
    header.pointee.version = KIVIAT_TRACE_VERSION
    header.pointee.pid = 4321
    header.pointee.event_count = UInt32(events)
    header.pointee.opened_ns = 1_000_000
    header.pointee.phase = KIVIAT_PHASE_FORWARD.rawValue
    header.pointee.phase_since_ns = 2_000_000
    header.pointee.phase_ns.5 = 1_000_000
    header.pointee.thread_offset.0 = UInt64(KernelTraceReader.firstRegion)
    header.pointee.thread_count = 1
    thread.pointee.tid = 4321
    thread.pointee.name = string("main", at: 1)
    let name = string("aten::mm", at: 10)
    let shapes = string("[2, 3] [3, 4]", at: 30)
    entries[1].name = name
    entries[1].shapes = shapes
    entries[1].phase = UInt16(KIVIAT_PHASE_BACKWARD.rawValue)
    entries[1].flops_source = UInt16(KIVIAT_FLOPS_COUNTER.rawValue)
    entries[1].flops_per_call = 48
    entries[1].calls = 3
    entries[1].counted_calls = 2
    entries[1].total_ns = 900
    entries[1].self_ns = 600
    entries[1].cpu_calls = 1
    entries[1].cpu_wall_ns = 200
    entries[1].cpu_ns = 100
    thread.pointee.entry_count = 2
    header.pointee.magic = kiviat_trace_magic()
  }

  deinit {
    munmap(memory, size)
    try? FileManager.default.removeItem(atPath: directory)
  }

  func string(_ text: String, at offset: Int) -> UInt32 {
    let start = Int(KIVIAT_TRACE_HEADER_BYTES) + offset
    for (index, byte) in (Array(text.utf8) + [0]).enumerated() {
      memory.storeBytes(of: byte, toByteOffset: start + index, as: UInt8.self)
    }
    return UInt32(start)
  }

  /// Appends a transition at nanoseconds since the trace was opened.
  func transition(_ time: UInt64, _ entry: UInt32) {
    ring[Int(thread.pointee.position) % KernelTraceReader.ringSize] = kiviat_trace_transition(time, entry)
    thread.pointee.position += 1
  }

  var target: TargetContext {
    TargetContext(pid: 4321, options: ProfileOptions(command: [], output: ""), runDirectory: directory)
  }
}

@Suite struct KernelTraceTests {
  @Test func recordsCarryTheirProvenance() throws {
    let trace = try HandMadeTrace()
    let collector = KernelTraceCollector()
    #expect(collector.prepare(trace.target).outcome == .unavailable)
    collector.start(monotonicNanoseconds: 400_000)
    collector.tick(monotonicNanoseconds: 2_000_000)
    collector.stop(monotonicNanoseconds: 7_000_000)
    #expect(collector.state.outcome == .measured)
    let path = trace.directory + "/p.kiviat"
    let writer = try ProfileWriter(creating: path)
    try writer.write {
      try $0.repetition(
        Repetition(
          index: 0, startedAtUnixNanoseconds: 0, startMonotonicNanoseconds: 400_000, wallNanoseconds: 6_600_000))
      try collector.write(to: $0, repetition: 0)
    }
    let data = try #require(try Profile(contentsOf: path).repetitions.first)
    let kernel = try #require(data.kernels.first)
    #expect(data.kernels.count == 1)
    #expect(kernel.name == "aten::mm" && kernel.shapes == "[2, 3] [3, 4]" && kernel.category == .gemm)
    #expect(kernel.phase == .backward && kernel.thread == "main" && kernel.calls == 3)
    #expect(kernel.flops.value == 96 && kernel.flops.provenance?.detail?.hasPrefix("flop_counter") == true)
    #expect(kernel.bytes.value == nil)
    // 100 of 200 ns in the call that was read: half of 600.
    #expect(kernel.threadCPUNanoseconds.value == 300)
    func number(_ name: String) -> Double? { data.quantity(name)?.value.value?.number }
    // Killed in the forward phase: it counts until the process ended.
    #expect(number("phase.forward.wall") == 5_000_000)
    #expect(number("phase.other.wall") == 1_000_000)
    #expect(number("phase.startup.wall") == 600_000)
    #expect(number("phase.exit.wall") == 0)
    #expect(number("kernel_trace.ops") == 3)
  }

  @Test func theKernelOfASampleIsTheOneThatRan() throws {
    let trace = try HandMadeTrace()
    // Times are kept in units of 16 ns.
    trace.transition(1008, 1)
    trace.transition(5008, KIVIAT_TRACE_IDLE)
    trace.transition(9008, 1)
    let collector = KernelTraceCollector()
    _ = collector.prepare(trace.target)
    collector.start(monotonicNanoseconds: 0)
    func running(_ time: UInt64, pid: Int32 = 4321, tid: Int32 = 4321) -> Int64? {
      collector.runningKernel(pid: pid, tid: tid, at: 1_000_000 + time)
    }
    #expect(running(900) == nil)
    #expect(running(1008) == 1)
    #expect(running(4999) == 1)
    #expect(running(5008) == nil)
    #expect(running(9500) == 1)
    // A worker thread computes for the main one; another process does not.
    #expect(running(2000, tid: 99) == 1)
    #expect(running(2000, pid: 99) == nil)
    #expect(collector.runningKernel(pid: 4321, tid: 4321, at: 10) == nil)
  }

  @Test func whatTheRingForgotIsNotGuessed() throws {
    let trace = try HandMadeTrace()
    for step in 0..<UInt64(KernelTraceReader.ringSize + 100) {
      trace.transition(step * 32, step % 2 == 0 ? 1 : KIVIAT_TRACE_IDLE)
    }
    let reader = try #require(try KernelTraceReader(path: trace.path))
    #expect(reader.runningEntry(0, at: 1_000_000 + 64) == nil)
    let late = UInt64(KernelTraceReader.ringSize) * 32
    #expect(reader.runningEntry(0, at: 1_000_000 + late + 16) == 1)
    #expect(reader.runningEntry(0, at: 1_000_000 + late + 48) == nil)
  }

  @Test func aTimeAfterTheClockOfTheRingWrappedIsFound() throws {
    let trace = try HandMadeTrace()
    // 44 bits of 16 ns.
    let wrap = UInt64(1) << 48
    trace.transition(wrap - 1600, 1)
    trace.transition(wrap + 1600, KIVIAT_TRACE_IDLE)
    let reader = try #require(try KernelTraceReader(path: trace.path))
    #expect(reader.runningEntry(0, at: 1_000_000 + wrap + 16) == 1)
    #expect(reader.runningEntry(0, at: 1_000_000 + wrap + 3200) == nil)
  }

  @Test func filesThatAreNoTracesSaySo() throws {
    let directory = NSTemporaryDirectory() + "kiviat-notrace-\(getpid())"
    try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(atPath: directory) }
    let path = directory + "/" + WorkloadContract.traceFileName
    func failure(_ data: Data) -> KernelTraceReader.Failure? {
      #expect(FileManager.default.createFile(atPath: path, contents: data))
      do {
        let reader = try KernelTraceReader(path: path)
        #expect(reader == nil)
        return nil
      } catch { return error }
    }
    #expect(try KernelTraceReader(path: directory + "/none") == nil)
    #expect(failure(Data()) == nil)
    #expect(failure(Data("short".utf8)) == .truncated(path: path))
    #expect(failure(Data(repeating: 7, count: KernelTraceReader.firstRegion)) == .notATrace(path: path))
    // The file is there, its magic number is not yet.
    #expect(failure(Data(count: KernelTraceReader.firstRegion)) == nil)
    var future = Data(count: KernelTraceReader.firstRegion)
    withUnsafeBytes(of: kiviat_trace_magic()) { future.replaceSubrange(0..<8, with: $0) }
    future[8] = 99
    #expect(failure(future) == .otherVersion(path: path, version: 99))
    let collector = KernelTraceCollector()
    _ = collector.prepare(
      TargetContext(pid: 1, options: ProfileOptions(command: [], output: ""), runDirectory: directory))
    collector.tick(monotonicNanoseconds: 1)
    #expect(collector.state.outcome == .unavailable)
    #expect(collector.state.reason?.contains("99") == true)
  }

  @Test func offsetsThatLeadNowhereAreHarmless() throws {
    let trace = try HandMadeTrace()
    trace.header.pointee.thread_offset.1 = 1 << 62
    trace.header.pointee.thread_offset.2 = 5
    trace.header.pointee.thread_count = 4_000_000
    trace.thread.pointee.entry_count = .max
    trace.entries[1].name = .max
    trace.entries[1].shapes = 3
    trace.entries[1].phase = 77
    let collector = KernelTraceCollector()
    _ = collector.prepare(trace.target)
    collector.start(monotonicNanoseconds: 0)
    collector.stop(monotonicNanoseconds: 9_000_000)
    let writer = try ProfileWriter(creating: trace.directory + "/p.kiviat")
    try writer.write { try collector.write(to: $0, repetition: 0) }
    trace.ring[0] = .max
    trace.thread.pointee.position = 1
    #expect(collector.runningKernel(pid: 4321, tid: 1, at: 5_000_000) == nil)
  }

  @Test func anEntryWhoseWriterDiedInsideIsStillRead() throws {
    let trace = try HandMadeTrace()
    trace.entries[1].sequence = 7
    let reader = try #require(try KernelTraceReader(path: trace.path))
    #expect(reader.threadCount == 1)
    #expect(reader.entry(0, 1).calls == 3)
  }

  @Test func theLogBecomesRowsAndProgress() throws {
    let directory = NSTemporaryDirectory() + "kiviat-log-\(getpid())"
    try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(atPath: directory) }
    let log = directory + "/" + WorkloadContract.logFileName
    let encoder = JSONEncoder()
    encoder.nonConformingFloatEncodingStrategy = WorkloadContract.floatEncoding
    func lines(_ events: [WorkloadEvent]) throws -> Data {
      Data(try events.flatMap { try encoder.encode($0) + Data("\n".utf8) })
    }
    let first = try lines([
      .setting(name: "seed", value: "7"), .region(name: "training", isBegin: true, time: 1000),
      .step(step: 0, epoch: 0, time: 2000, durationNanoseconds: 900, samples: 4, loss: 2.5),
      .progress(stage: "training", completed: 1, total: 10, unit: "steps", time: 2000),
    ])
    let second = try lines([
      .region(name: "training", isBegin: false, time: 5000),
      .epoch(
        epoch: 0, stage: "", time: 3000, durationNanoseconds: 1000, samples: 4, meanLoss: .nan, metric: "HR@10",
        quality: 0.5),
      .result(reached: false, metric: "HR@10", target: 0.6, quality: 0.5, epochs: 1),
      .quantity(name: "model.parameters", unit: "1", value: 12, detail: "d"),
      .query(index: 0, latencyNanoseconds: 70, samples: 1), .note(isWarning: true, message: "note"),
      .diverged(step: 3, message: "the loss is nan"),
    ])
    let collector = WorkloadLogCollector()
    _ = collector.prepare(
      TargetContext(pid: 1, options: ProfileOptions(command: [], output: ""), runDirectory: directory))
    collector.start(monotonicNanoseconds: 500)
    collector.tick(monotonicNanoseconds: 1)
    #expect(collector.state.outcome == .unavailable)
    // A line arrives in two parts, and one is damaged.
    try (first + second.prefix(20)).write(to: URL(fileURLWithPath: log))
    collector.tick(monotonicNanoseconds: 2)
    #expect(collector.progress?.completed == 1)
    let handle = try #require(FileHandle(forWritingAtPath: log))
    try handle.seekToEnd()
    try handle.write(contentsOf: second.dropFirst(20) + Data("{broken}\n".utf8))
    collector.stop(monotonicNanoseconds: 3)
    #expect(collector.state.outcome == .degraded)
    #expect(collector.progress?.quality == "HR@10 0.5")
    let path = directory + "/p.kiviat"
    let writer = try ProfileWriter(creating: path)
    try writer.write {
      try $0.repetition(Repetition(index: 0, startedAtUnixNanoseconds: 0, startMonotonicNanoseconds: 500))
      try collector.write(to: $0, repetition: 0)
    }
    let profile = try Profile(contentsOf: path)
    let data = try #require(profile.repetitions.first)
    #expect(profile.settings["seed"] == "7")
    #expect(data.steps.first?.timeNanoseconds == 1500 && data.steps.first?.loss == 2.5)
    #expect(data.epochs.first?.quality == 0.5)
    #expect(data.quantity("region.training.wall")?.value.value?.number == 4000)
    #expect(data.quantity("training.reached")?.value.value?.number == 0)
    #expect(data.quantity("model.parameters")?.value.value?.number == 12)
    #expect(data.queries.first?.latencyNanoseconds == 70)
    #expect(data.epochs.first?.meanLoss.isNaN == true)
    #expect(data.quantity("training.diverged")?.value.value?.number == 3)
    #expect(data.quantity("training.diverged")?.value.provenance?.detail == "the loss is nan")
    #expect(data.notes.map(\.message) == ["note", "training diverged: the loss is nan"])
  }
}
