// Which events happened in which traced kernel? Says what to count to the workload, and reads what it counted.
import CKernelTrace
import CPerfEvent
import Foundation
import ProfileModel
import WorkloadLog

/// Counts perf events by kernel: the tracer inside the workload reads them, this writes them into the profile.
public final class KernelCounterCollector: Collector {
  /// `kernel-counters`.
  public let name = "kernel-counters"
  /// What can be counted at once.
  public static let eventLimit = Int(KIVIAT_TRACE_EVENTS)

  private let events: [PerfEventSpec]
  private let access: PerfAccess
  private let trace: KernelTraceCollector
  private let isOff: Bool
  private var failure: String?
  /// Why there is nothing to count by default.
  private let nothingToCount: Unavailable?
  /// Calls when an entry's counts were last written, by thread and entry.
  private var written: [[UInt64]] = []

  /// Makes a collector.
  ///
  /// - Parameters:
  ///   - events: What to count, at most ``eventLimit``; none to count nothing; `nil` for ``defaultExpression``, where
  ///     there are hardware counters.
  ///   - options: With `counters` off nothing is counted.
  ///   - access: What perf events offer here.
  ///   - trace: Reads the trace.
  public init(
    events: [PerfEventSpec]?, options: ProfileOptions, access: PerfAccess, trace: KernelTraceCollector
  ) {
    // Software events alone are not worth their reading unless somebody asks for them.
    nothingToCount = events == nil ? access.noHardware : nil
    let usual = nothingToCount == nil ? (try? EventParser().parse([Self.defaultExpression])) ?? [] : []
    self.events = Array((events ?? usual).prefix(Self.eventLimit))
    self.access = access
    self.trace = trace
    isOff = self.events.isEmpty || options.counters == .off
  }

  /// What is counted when the user names nothing: what a processor's counters tell of a kernel. A group each, so that one
  /// read takes them all.
  public static let defaultExpression = "{cycles,instructions,cache-misses,branch-misses},{page-faults,task-clock}"

  /// Leaves the list of events where the workload looks for it.
  public func prepare(_ target: TargetContext) -> CollectorState {
    guard !isOff else { return state }
    do {
      try Self.lines(events).write(
        toFile: target.runDirectory + "/" + WorkloadContract.eventsFileName, atomically: true, encoding: .utf8)
    } catch {
      failure = "can't write the list of events: \(error.localizedDescription)"
    }
    return state
  }

  /// The list as `kiviat_counters_parse` reads it. Software events without a group share one, as they never wait for a
  /// counter; other events without a group have one each.
  static func lines(_ events: [PerfEventSpec]) -> String {
    let first = (events.compactMap(\.group).max() ?? -1) + 1
    return events.enumerated().map { position, event in
      var flags = 0
      if event.excludesUser { flags |= 1 }
      if event.excludesKernel { flags |= 2 }
      if event.isKernelOnly { flags |= 4 }
      let isAlone = event.kind == .hardware || event.kind == .device
      let group = event.group ?? (isAlone ? first + 1 + position : first)
      let fields: [UInt64] = [
        UInt64(event.type), event.config, event.config1, event.config2, UInt64(event.breakpointType), UInt64(flags),
        UInt64(event.precision), UInt64(group),
      ]
      // A name is for people here, and no part of it may end the line.
      let name = String(event.name.filter { !$0.isNewline }.prefix(60))
      return fields.map(String.init).joined(separator: ":") + ":" + name + "\n"
    }.joined()
  }

  /// Nothing to do: the tracer counts.
  public func start(monotonicNanoseconds: UInt64) {}
  /// Nothing to do: the tracer counts.
  public func tick(monotonicNanoseconds: UInt64) {}
  /// The counts are final now.
  public func stop(monotonicNanoseconds: UInt64) {}

  /// Measured when each event that was asked for is counted, from hardware where hardware was wanted.
  public var state: CollectorState {
    if let nothingToCount {
      return CollectorState(
        name, .unavailable, reason: nothingToCount.reason,
        remedy: "--kernel-events page-faults,task-clock counts software events by kernel")
    }
    guard !isOff else { return CollectorState(name, .off, reason: "switched off (--kernel-events none)") }
    if let failure { return CollectorState(name, .unavailable, reason: failure) }
    guard let reader = trace.reader else {
      let state = trace.state
      return CollectorState(name, .unavailable, reason: state.reason ?? "no kernel was traced", remedy: state.remedy)
    }
    guard reader.eventCount == events.count else {
      return CollectorState(
        name, .unavailable, reason: "the workload was not told which events to count",
        remedy: "use the kiviat-workload that came with this kiviat")
    }
    return state(reader)
  }

  private func state(_ reader: KernelTraceReader) -> CollectorState {
    var causes: [Unavailable: [String]] = [:]
    var order: [Unavailable] = []
    func add(_ why: Unavailable, _ name: String) {
      if causes[why] == nil { order.append(why) }
      causes[why, default: []].append(name)
    }
    var counted: [String] = []
    for (position, spec) in events.enumerated() {
      let event = reader.event(position)
      if event.failure != 0 {
        let error = SystemCallError(call: "perf_event_open", code: event.failure)
        add(access.explanation(of: error, opening: spec), spec.name)
      } else {
        counted.append(spec.name)
        if event.is_reduced != 0, !spec.isModeless, let why = access.noKernel { add(why, "\(spec.name) in the kernel") }
      }
    }
    let header = reader.header
    var reasons = order.map { "\((causes[$0] ?? []).joined(separator: ", ")): \($0.reason)" }
    if header.uncounted_threads > 0 {
      reasons.append(
        "\(header.uncounted_threads) traced threads had no counters: their counts are in the main thread's")
    }
    if !events.contains(where: { $0.kind == .hardware }), let why = access.noHardware {
      order.append(why)
      reasons.append("software events only: \(why.reason)")
    }
    let method =
      "\(counted.joined(separator: ", ")): read at the begin and end of kernels, "
      + (header.inherits != 0 ? "with the threads that they start" : "on the one thread that computes")
      + ", in a part of the calls of short ones"
    return CollectorState(
      name, counted.isEmpty ? .unavailable : reasons.isEmpty ? .measured : .degraded,
      method: counted.isEmpty ? "" : method, reason: reasons.isEmpty ? nil : reasons.joined(separator: "; "),
      remedy: order.compactMap(\.remedy).first)
  }

  /// Writes the counts of the kernels that were read since the last call, and what reading cost.
  public func write(to transaction: ProfileTransaction, repetition: Int) throws {
    guard !isOff, let reader = trace.reader, reader.eventCount > 0, reader.eventCount == events.count else { return }
    let failed = (0..<reader.eventCount).map { reader.event($0).failure != 0 }
    let reduced = (0..<reader.eventCount).map { reader.event($0).is_reduced != 0 }
    for thread in 0..<reader.threadCount {
      if written.count <= thread { written.append([]) }
      for index in 0..<reader.entryCount(thread) {
        if written[thread].count <= index { written[thread].append(0) }
        let calls = reader.calls(thread, index)
        // More calls make another estimate, even when none of them was read.
        guard calls != written[thread][index], let counts = reader.counts(thread, index) else { continue }
        written[thread][index] = calls
        for (position, spec) in events.enumerated() where !failed[position] {
          try transaction.kernelCounter(
            counts.record(
              position, of: spec, isReduced: reduced[position], kernel: KernelTraceCollector.id(thread, index)),
            repetition: repetition)
        }
      }
    }
    for quantity in quantities(reader) { try transaction.quantity(quantity, repetition: repetition) }
  }

  private func quantities(_ reader: KernelTraceReader) -> [Quantity] {
    let header = reader.header
    guard header.counter_reading_ns > 0 else { return [] }
    return [
      Quantity(
        "kernel_trace.counter_cost", unit: "ns",
        Measured(
          .number(header.counter_reading_ns), .clock,
          detail: "calibrated at start: reading all events once; in no kernel's time and counts")),
      Quantity(
        "kernel_trace.counter_overhead", unit: "ns",
        Measured(
          .number(Double(header.counter_overhead_ns)), .clock,
          detail: "time spent reading events by kernel, in no kernel's time")),
      Quantity(
        "kernel_trace.counter_earlier_threads", unit: "1",
        Measured(
          .number(Double(header.earlier_threads)), .declared,
          detail: "threads that were there before counting began: what they did for a kernel is not in its counts")),
    ]
  }
}
