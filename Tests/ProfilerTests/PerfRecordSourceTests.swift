// Do all samples and records of a process tree arrive, in order, at low and at high rates?
import Foundation
import Glibc
import ProfileModel
@testable import Profiler
import Testing

/// Keeps what it is given.
private final class Recorder: PerfRecordConsumer {
  var samples: [PerfSample] = []
  var others: [PerfRecord] = []
  var isInOrder = true
  private var newest: UInt64 = 0

  func consume(_ record: PerfRecord) {
    isInOrder = isInOrder && record.time >= newest
    newest = max(newest, record.time)
    if case .sample(let sample) = record { samples.append(sample) } else { others.append(record) }
  }
}

// One after the other: each wants the processors for itself.
@Suite(.serialized, .enabled(if: Programs.canCount, "no perf events here")) struct PerfRecordSourceTests {
  /// Records a run of the victim, draining as the session does.
  private func record(
    _ arguments: [String], frequency: Int = 499, unwinding: ProfileOptions.Unwinding = .framePointer,
    prepare: (PerfRecordSource) -> Void = { $0.requestSampling() }
  ) throws -> (source: PerfRecordSource, recorder: Recorder, usage: TargetUsage) {
    var options = ProfileOptions(command: [Programs.victim] + arguments, output: "")
    options.frequency = frequency
    options.unwinding = unwinding
    // The samples' weights are compared with processor time.
    options.counters = .off
    let source = PerfRecordSource(options: options)
    let recorder = Recorder()
    source.addConsumer(recorder)
    prepare(source)
    let target = try LaunchedTarget(options.command, environment: [:])
    source.open(pid: target.pid)
    try target.start()
    var descriptors = source.pollDescriptors.map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
    descriptors.append(pollfd(fd: target.endDescriptor?.raw ?? -1, events: Int16(POLLIN), revents: 0))
    while !target.hasEnded {
      poll(&descriptors, nfds_t(descriptors.count), 50)
      for index in source.pollDescriptors.indices where descriptors[index].revents & Int16(POLLHUP) != 0 {
        descriptors[index].fd = -1
      }
      source.drain(monotonicNanoseconds: Clock.monotonic)
    }
    source.finish()
    return (source, recorder, try target.reap())
  }

  @Test("Two busy threads lose no sample, and the samples stand for their time", arguments: [999, 4000])
  func losesNothing(_ frequency: Int) throws {
    let (source, recorder, usage) = try record(["busy", "2", "0.7"], frequency: frequency)
    #expect(source.samplesLost == 0)
    #expect(source.recordsLost == 0)
    #expect(source.samplesTaken == recorder.samples.count)
    #expect(recorder.isInOrder)
    #expect(source.samplingState.outcome == .measured || Programs.perf.noKernel != nil)
    let time = Double(usage.userNanoseconds + usage.systemNanoseconds)
    let sampled = recorder.samples.reduce(0.0) { $0 + Double($1.period) }
    // A timer that restarts at every switch misses a little; measured: 0.97 of the time at 999 Hz.
    #expect(sampled / time > 0.75 && sampled / time < 1.05, "\(sampled / time)")
    #expect(
      recorder.samples.allSatisfy { $0.event == 0 && $0.period == 1_000_000_000 / UInt64(frequency) || $0.period > 0 })
    let threads = Set(recorder.samples.map(\.tid))
    #expect(threads.count >= 2)
    // Almost all of it is computing in user mode.
    let inUserMode = recorder.samples.count { $0.callChain.contains(UInt64(bitPattern: -512)) }
    #expect(Double(inUserMode) > 0.9 * Double(recorder.samples.count))
  }

  @Test("Names, mappings, threads and processes are reported")
  func sideRecords() throws {
    let (_, recorder, _) = try record(["tree", "3", "1", "1", "1", "1"])
    var threads = 0
    var processes = 0
    var exits = 0
    var paths: Set<String> = []
    var execs = 0
    for record in recorder.others {
      switch record {
      case .fork(let pid, let parent, _, _, _): if pid == parent { threads += 1 } else { processes += 1 }
      case .exit: exits += 1
      case .mapping(let mapping): paths.insert((mapping.path as NSString).lastPathComponent)
      case .name(_, _, _, true, _): execs += 1
      default: break
      }
    }
    #expect(threads == 3)
    #expect(processes == 2)
    #expect(exits == 6)
    // The victim execs itself once more, to have fixed addresses.
    #expect(execs == (Programs.markedAddress == nil ? 1 : 2))
    #expect(paths.contains("TestVictim"))
    #expect(paths.contains { $0.hasPrefix("libc.so") })
    #expect(recorder.isInOrder)
  }

  @Test("DWARF unwinding gets registers and stack")
  func dwarf() throws {
    let (source, recorder, _) = try record(["busy", "2", "0.3"], frequency: 999, unwinding: .dwarf)
    #expect(source.samplesLost == 0)
    let withStack = recorder.samples.filter { !$0.userStack.isEmpty }
    #expect(Double(withStack.count) > 0.9 * Double(recorder.samples.count))
    for sample in withStack {
      #expect(sample.userRegisters.count == PerfRecordSource.userRegisterMask.nonzeroBitCount)
      #expect(sample.userStack.count <= Int(PerfRecordSource.stackBytes))
    }
    #if arch(x86_64)
      // In user mode the sampled address is register IP, and the copied stack begins at register SP.
      let sample = try #require(withStack.first { $0.callChain.first == UInt64(bitPattern: -512) })
      #expect(sample.userRegisters[8] == sample.callChain[1])
    #endif
  }

  @Test("Context switches come on request, and each exit from a processor follows an entry")
  func contextSwitches() throws {
    let (_, recorder, usage) = try record(["sleep", "0.1"]) { $0.requestContextSwitches() }
    var outs = 0
    for case .contextSwitch(_, _, let isOut, _, _) in recorder.others where isOut { outs += 1 }
    #expect(recorder.samples.isEmpty)
    // The kernel counts switches too: from the fork on, and also the last one, when the thread is gone already.
    let counted = usage.voluntarySwitches + usage.involuntarySwitches
    #expect(outs >= 1 && Int64(outs) <= counted + 1)
  }

  @Test("A tracepoint's samples carry its payload", .enabled(if: Programs.canTrace, "no tracepoints for this user"))
  func tracepoint() throws {
    var event = 0
    let (source, recorder, _) = try record(["writes", "25"]) {
      event = $0.addTracepoint("syscalls:sys_enter_write", callChain: true)
    }
    #expect(event == 1)
    #expect(source.problem(withTracepoint: event) == nil)
    #expect(recorder.samples.count == 25)
    for sample in recorder.samples {
      #expect(sample.event == event)
      // common_type, flags, preemption count, then common_pid.
      #expect(sample.raw.count >= 8)
      let pid = sample.raw.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: 4, as: Int32.self) }
      #expect(pid == sample.tid)
      #expect(!sample.callChain.isEmpty)
    }
  }

  @Test("A tracepoint that does not exist is explained")
  func unknownTracepoint() throws {
    var event = 0
    let (source, _, _) = try record(["exit", "0"]) {
      event = $0.addTracepoint("sched:no_such_thing", callChain: false)
    }
    #expect(source.problem(withTracepoint: event) != nil)
  }

  @Test("Nobody asks, nothing is opened; frequency 0 is off")
  func off() throws {
    let options = ProfileOptions(command: ["true"], output: "")
    let source = PerfRecordSource(options: options)
    source.open(pid: 0)
    #expect(source.pollDescriptors.isEmpty)
    let (quiet, recorder, _) = try record(["exit", "0"], frequency: 0)
    #expect(quiet.samplingState.outcome == .off)
    #expect(recorder.samples.isEmpty)
    #expect(!recorder.others.isEmpty)
  }

  @Test("Without perf events the source says why")
  func unavailable() {
    var access = PerfAccess(paranoid: 2, maximumSampleRate: 100_000)
    access.noEvents = access.explanation(of: SystemCallError(call: "perf_event_open", code: EPERM))
    let source = PerfRecordSource(options: ProfileOptions(command: ["true"], output: ""), access: access)
    source.addConsumer(Recorder())
    source.requestSampling()
    source.open(pid: 0)
    #expect(source.samplingState.outcome == .unavailable)
    #expect(source.samplingState.remedy?.contains("PERFMON") == true)
    #expect(source.unavailable != nil)
    source.drain(monotonicNanoseconds: 1)
    source.finish()
  }

  @Test("A frequency above the kernel's limit is lowered to it, and told")
  func limit() throws {
    var options = ProfileOptions(command: ["true"], output: "")
    options.frequency = 1_000_000
    options.counters = .off
    let access = PerfAccess.probe()
    let source = PerfRecordSource(options: options, access: access)
    source.addConsumer(Recorder())
    source.requestSampling()
    let target = try LaunchedTarget([Programs.victim, "exit", "0"], environment: [:])
    source.open(pid: target.pid)
    #expect(source.samplingState.outcome == .degraded)
    #expect(source.samplingState.method.contains("\(access.maximumSampleRate) Hz"))
    #expect(source.samplingState.remedy?.contains("perf_event_max_sample_rate=1000000") == true)
  }
}
