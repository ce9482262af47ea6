// Which records does the kernel write about the target, and who gets them?
import CPerfEvent
import Glibc
import ProfileModel

/// Samples and what else the kernel records about the process tree, from one ring buffer per CPU.
///
/// Collectors ask in their initializers for what they need (``requestSampling()``, ``addTracepoint(_:callChain:)`` …)
/// and register as consumers. The session opens the source before it calls their `prepare`, where they find out what
/// they got, and drains it until the target ended, before it calls their `stop`:
///
/// ```swift
/// let aggregator = SampleAggregator()
/// source.requestSampling()
/// source.addConsumer(aggregator)
/// ```
public final class PerfRecordSource {
  /// ``PerfSample/event`` of the sampling event. Tracepoints count from 1.
  public static let samplingEvent = 0

  /// `sample_regs_user`: all general registers, instruction pointer and flags. ``PerfSample/userRegisters`` has one
  /// value for each bit set, lowest first, as numbered by the kernel's `asm/perf_regs.h`.
  public static var userRegisterMask: UInt64 {
    #if arch(arm64)
      (1 << 33) - 1  // x0…x30, sp, pc
    #else
      0xff_0fff  // ax…ss, r8…r15: the segment registers between them can't be had
    #endif
  }

  /// Bytes of the user stack in a sample, with `--unwind dwarf`.
  static let stackBytes: UInt32 = 8192
  /// Records wait this long for those of other rings; a virtual CPU is seldom held back longer.
  static let reorderWindow: UInt64 = 50_000_000

  private let options: ProfileOptions
  private let access: PerfAccess
  private var consumers: [any PerfRecordConsumer] = []
  private var wantsSampling = false
  private var wantsContextSwitches = false
  private var tracepoints: [Tracepoint] = []

  private var rings: [PerfRing] = []
  /// One per ring: owns it, and records mappings, names, forks and exits.
  private var trackers: [PerfEvent] = []
  private var samplers: [PerfEvent] = []
  private var decoder = PerfRecordDecoder()
  private var merger = PerfRecordMerger()
  private var countsLost = true
  private var lostRecords: UInt64 = 0
  private var lostSamples: UInt64 = 0

  /// Samples of the sampling event that were delivered.
  public private(set) var samplesTaken = 0
  /// The size of one ring, bytes; 0 when there is none.
  public private(set) var ringBytes = 0
  /// Why there are no records at all; `nil` when there are, or when nobody asked for them.
  public private(set) var unavailable: Unavailable?
  /// How sampling goes: the state of a `sampling` collector, before its own findings.
  public private(set) var samplingState = CollectorState("sampling", .off)
  /// Whether a sample's period is time (`cpu-clock`, nanoseconds) and not a number of cycles.
  public private(set) var periodIsTime = true

  /// Records and samples that the kernel could not write because a ring was full.
  public var samplesLost: Int { Int(max(lostSamples, countsLost ? 0 : lostRecords)) }
  /// Records of all kinds that were lost, as far as the kernel said so.
  public var recordsLost: Int { Int(max(lostRecords, lostSamples)) }

  private struct Tracepoint {
    var name: String
    var callChain: Bool
    /// An event that needs no tracefs, in place of a tracepoint.
    var spec: PerfEventSpec?
    var unavailable: Unavailable?
    var events: [PerfEvent] = []
  }

  /// Makes a source that records nothing until somebody asks for something.
  ///
  /// - Parameters:
  ///   - options: Frequency, unwinding and choice of counters.
  ///   - access: What perf events offer here; tried out by default.
  public init(options: ProfileOptions, access: PerfAccess = .probe()) {
    self.options = options
    self.access = access
  }

  // MARK: - What collectors ask for

  /// Registers a reader of all records.
  public func addConsumer(_ consumer: any PerfRecordConsumer) { consumers.append(consumer) }

  /// Asks for samples, at the frequency and with the unwinding of the options; frequency 0 keeps them off.
  public func requestSampling() { wantsSampling = true }

  /// Asks for ``PerfRecord/contextSwitch(pid:tid:isOut:isPreempted:time:)`` records.
  public func requestContextSwitches() { wantsContextSwitches = true }

  /// Asks for a sample with ``PerfSample/raw`` whenever the target's threads hit a tracepoint (`sched:sched_switch`).
  ///
  /// - Parameters:
  ///   - name: System and name with a colon between.
  ///   - callChain: Whether the samples have call chains.
  /// - Returns: The value of ``PerfSample/event``; ``problem(withTracepoint:)`` tells whether it could be opened.
  public func addTracepoint(_ name: String, callChain: Bool) -> Int {
    tracepoints.append(Tracepoint(name: name, callChain: callChain))
    return tracepoints.count
  }

  /// Asks for a sample with the kernel's call chain whenever a thread of the target leaves a CPU, just before its
  /// ``PerfRecord/contextSwitch(pid:tid:isOut:isPreempted:time:)`` record. What `sched:sched_switch` would tell, without
  /// tracefs.
  ///
  /// - Returns: As for ``addTracepoint(_:callChain:)``.
  public func requestSwitchStacks() -> Int {
    requestContextSwitches()
    let spec = PerfEventSpec(
      "context-switches", .software, type: PERF_TYPE_SOFTWARE.rawValue,
      config: UInt64(PERF_COUNT_SW_CONTEXT_SWITCHES.rawValue))
    tracepoints.append(Tracepoint(name: spec.name, callChain: true, spec: spec))
    return tracepoints.count
  }

  /// Switches an event that was asked for off, and on again, in all threads of the target.
  func setRecording(_ isOn: Bool, ofTracepoint event: Int) {
    for opened in tracepoints[event - 1].events {
      try? isOn ? opened.enable() : opened.disable()
    }
  }

  /// Why a tracepoint could not be opened; `nil` when it could. Valid from `prepare` on.
  public func problem(withTracepoint event: Int) -> Unavailable? {
    unavailable ?? tracepoints[event - 1].unavailable
  }

  // MARK: - What the session does

  /// Opens everything asked for on a suspended child. It begins at the child's exec.
  public func open(pid: Int32) {
    guard !consumers.isEmpty else { return }
    if wantsSampling, options.frequency == 0 {
      samplingState = CollectorState("sampling", .off, reason: "switched off (-F 0)")
    }
    if let reason = access.noEvents {
      giveUp(reason)
      return
    }
    let cpus = numbers(inKernelList: contents(ofSmallFile: "/sys/devices/system/cpu/online") ?? "0").map(Int32.init)
    do {
      try openRings(pid: pid, cpus: cpus)
    } catch {
      giveUp(access.explanation(of: error))
      return
    }
    if wantsSampling, options.frequency > 0 { openSamplers(pid: pid, cpus: cpus) }
    for index in tracepoints.indices { open(tracepoint: index, pid: pid, cpus: cpus) }
  }

  /// Descriptors that poll readable when a ring is a quarter full.
  public var pollDescriptors: [Int32] { trackers.map(\.descriptor.raw) }

  /// Reads the rings and delivers what is older than the reordering window.
  public func drain(monotonicNanoseconds now: UInt64) {
    guard !rings.isEmpty else { return }
    for ring in rings {
      ring.drain { bytes in
        if let record = decoder.decode(bytes) { merger.append(record) }
      }
    }
    deliver(before: now < Self.reorderWindow ? 0 : now - Self.reorderWindow)
  }

  /// Stops recording, delivers everything that is left and counts what was lost.
  public func finish() {
    for event in trackers + samplers + tracepoints.flatMap(\.events) { try? event.disable() }
    drain(monotonicNanoseconds: 0)
    deliver(before: .max)
    if countsLost {
      lostSamples = samplers.reduce(0) { sum, event in sum + ((try? event.read(2))?.dropFirst().first ?? 0) }
    }
    if decoder.throttled > 0 {
      degrade("the kernel throttled sampling \(decoder.throttled) times", "use a lower frequency (-F)")
    }
    if samplesLost > 0 {
      degrade(
        "\(samplesLost) samples were lost because a ring of \(ringBytes >> 10) KiB was full",
        "use a lower frequency (-F)")
    }
  }

  private func deliver(before bound: UInt64) {
    merger.flush(before: bound) { record in
      switch record {
      case .sample(let sample) where sample.event == Self.samplingEvent: samplesTaken += 1
      case .lost(let count, _): lostRecords += count
      default: break
      }
      for consumer in consumers { consumer.consume(record) }
    }
  }

  // MARK: - Opening

  private func giveUp(_ reason: Unavailable) {
    unavailable = reason
    trackers = []
    rings = []
    if wantsSampling, options.frequency > 0 {
      samplingState = CollectorState("sampling", .unavailable, reason: reason.reason, remedy: reason.remedy)
    }
  }

  private func degrade(_ reason: String, _ remedy: String?) {
    guard samplingState.outcome != .off else { return }
    samplingState.outcome = .degraded
    samplingState.reason = [samplingState.reason, reason].compactMap(\.self).joined(separator: "; ")
    samplingState.remedy = samplingState.remedy ?? remedy
  }

  /// What all events share.
  private func attribute(type: UInt32, config: UInt64, sampleType: UInt64) -> perf_event_attr {
    var attribute = perf_event_attr()
    attribute.size = UInt32(KIVIAT_ATTR_SIZE)
    attribute.type = type
    attribute.config = config
    attribute.sample_type = PerfRecordDecoder.commonType | sampleType
    attribute.sample_id_all = 1
    attribute.disabled = 1
    attribute.enable_on_exec = 1
    // Into threads and children; the kernel maps an inherited event only when it is bound to one CPU.
    attribute.inherit = 1
    attribute.use_clockid = 1
    attribute.clockid = CLOCK_MONOTONIC
    attribute.watermark = 1
    attribute.read_format = countsLost ? UInt64(KIVIAT_FORMAT_LOST) : 0
    return attribute
  }

  /// A ring on each CPU, all of one size: a greedy first one would leave nothing to the others, for the memory that a
  /// user may lock is counted in sum.
  private func openRings(pid: Int32, cpus: [Int32]) throws(SystemCallError) {
    let large = options.unwinding == .dwarf
    // Programs that switch a lot write a lot.
    var bytes = large ? 8 << 20 : wantsContextSwitches ? 4 << 20 : 2 << 20
    while bytes * cpus.count > 256 << 20, bytes > 256 << 10 { bytes /= 2 }
    while true {
      do {
        try openRings(pid: pid, cpus: cpus, bytes: bytes)
        ringBytes = bytes
        return
      } catch {
        trackers = []
        rings = []
        if error.call == "perf_event_open", error.code == EINVAL, countsLost {
          countsLost = false  // before Linux 6.0
        } else if error.call == "mmap", error.code == EPERM || error.code == ENOMEM, bytes > 32 << 10 {
          bytes /= 2
        } else {
          throw error
        }
      }
    }
  }

  private func openRings(pid: Int32, cpus: [Int32], bytes: Int) throws(SystemCallError) {
    for cpu in cpus {
      var attribute = attribute(
        type: PERF_TYPE_SOFTWARE.rawValue, config: UInt64(PERF_COUNT_SW_DUMMY.rawValue), sampleType: 0)
      attribute.mmap = 1
      attribute.mmap2 = 1
      attribute.comm = 1
      attribute.comm_exec = 1
      attribute.task = 1
      attribute.context_switch = wantsContextSwitches ? 1 : 0
      attribute.wakeup_watermark = UInt32(bytes / 4)
      // It counts nothing, so leaving out the kernel costs nothing and opens it to every user.
      attribute.exclude_kernel = 1
      attribute.exclude_hv = 1
      let tracker = try PerfEvent.open(attribute, pid: pid, cpu: cpu, mayReduce: false)
      rings.append(try PerfRing(tracker.descriptor, bytes: bytes))
      trackers.append(tracker)
    }
  }

  /// Opens an event on every CPU, writing into that CPU's ring.
  private func openOnAll(
    _ attribute: perf_event_attr, index: Int, pid: Int32, cpus: [Int32], mayReduce: Bool
  ) throws(SystemCallError) -> [PerfEvent] {
    var events: [PerfEvent] = []
    for (position, cpu) in cpus.enumerated() {
      let event = try PerfEvent.open(attribute, pid: pid, cpu: cpu, mayReduce: mayReduce)
      let raw = event.descriptor.raw
      let ring = trackers[position].descriptor.raw
      try systemCall("ioctl(PERF_EVENT_IOC_SET_OUTPUT)") { kiviat_perf_set_output(raw, ring) }
      var identifier: UInt64 = 0
      try systemCall("ioctl(PERF_EVENT_IOC_ID)") { kiviat_perf_id(raw, &identifier) }
      decoder.layouts[identifier] = PerfRecordDecoder.Layout(
        event: index, sampleType: attribute.sample_type, registers: attribute.sample_regs_user.nonzeroBitCount)
      events.append(event)
    }
    return events
  }

  private func openSamplers(pid: Int32, cpus: [Int32]) {
    var sampleType = PerfRecordDecoder.bit(PERF_SAMPLE_IP) | PerfRecordDecoder.bit(PERF_SAMPLE_PERIOD)
    if options.unwinding != .none { sampleType |= PerfRecordDecoder.bit(PERF_SAMPLE_CALLCHAIN) }
    if options.unwinding == .dwarf {
      sampleType |= PerfRecordDecoder.bit(PERF_SAMPLE_REGS_USER) | PerfRecordDecoder.bit(PERF_SAMPLE_STACK_USER)
    }
    var refusals: [Unavailable] = []
    var frequency = options.frequency
    if frequency > access.maximumSampleRate {
      frequency = access.maximumSampleRate
      refusals.append(
        Unavailable(
          "kernel.perf_event_max_sample_rate is \(frequency)",
          remedy: "sudo sysctl kernel.perf_event_max_sample_rate=\(options.frequency)"))
    }

    func attempt(_ spec: PerfEventSpec) throws(SystemCallError) {
      var attribute = attribute(type: spec.type, config: spec.config, sampleType: sampleType)
      attribute.freq = 1
      attribute.sample_freq = UInt64(frequency)
      if options.unwinding == .dwarf {
        attribute.sample_regs_user = Self.userRegisterMask
        attribute.sample_stack_user = Self.stackBytes
      }
      samplers = try openOnAll(attribute, index: Self.samplingEvent, pid: pid, cpus: cpus, mayReduce: true)
      let userOnly = samplers.contains(where: \.isReducedToUser)
      if userOnly, let reason = access.noKernel { refusals.append(reason) }
      let stacks =
        switch options.unwinding {
        case .framePointer: "frame pointers"
        case .dwarf: "DWARF unwinding of \(Self.stackBytes >> 10) KiB of stack"
        case .none: "no call stacks"
        }
      samplingState = CollectorState(
        "sampling", refusals.isEmpty ? .measured : .degraded,
        method: "\(spec.name) at \(frequency) Hz, \(userOnly ? "user mode only" : "user and kernel"), \(stacks)",
        reason: refusals.isEmpty ? nil : refusals.map(\.reason).joined(separator: "; "),
        remedy: refusals.compactMap(\.remedy).first)
    }

    let cycles = PerfEventSpec(
      "cycles", .hardware, type: PERF_TYPE_HARDWARE.rawValue, config: UInt64(PERF_COUNT_HW_CPU_CYCLES.rawValue))
    let clock = PerfEventSpec(
      "cpu-clock", .software, type: PERF_TYPE_SOFTWARE.rawValue, config: UInt64(PERF_COUNT_SW_CPU_CLOCK.rawValue))
    if options.counters != .off {
      if let reason = access.noHardware {
        refusals.append(reason)
      } else {
        do {
          periodIsTime = false
          return try attempt(cycles)
        } catch {
          refusals.append(access.explanation(of: error, opening: cycles))
        }
      }
      if options.counters == .hardware {
        samplingState = CollectorState(
          "sampling", .unavailable, reason: refusals.last?.reason, remedy: refusals.last?.remedy)
        return
      }
    }
    do {
      periodIsTime = true
      try attempt(clock)
    } catch {
      samplers = []
      let reason = access.explanation(of: error, opening: clock)
      samplingState = CollectorState("sampling", .unavailable, reason: reason.reason, remedy: reason.remedy)
    }
  }

  private func open(tracepoint index: Int, pid: Int32, cpus: [Int32]) {
    let name = tracepoints[index].name
    do {
      let own = tracepoints[index].spec
      let spec: PerfEventSpec
      if let own { spec = own } else { spec = try TracepointDirectory.find().spec(name) }
      var sampleType = PerfRecordDecoder.bit(PERF_SAMPLE_PERIOD)
      if own == nil { sampleType |= PerfRecordDecoder.bit(PERF_SAMPLE_RAW) }
      if tracepoints[index].callChain { sampleType |= PerfRecordDecoder.bit(PERF_SAMPLE_CALLCHAIN) }
      var attribute = attribute(type: spec.type, config: spec.config, sampleType: sampleType)
      attribute.sample_period = 1
      if own != nil {
        // What waits is told by the kernel's innermost functions; short records let more of them fit.
        attribute.exclude_callchain_user = 1
        attribute.sample_max_stack = 20
      }
      do {
        tracepoints[index].events = try openOnAll(
          attribute, index: index + 1, pid: pid, cpus: cpus, mayReduce: false)
      } catch {
        tracepoints[index].unavailable = access.explanation(of: error, opening: spec)
      }
    } catch {
      tracepoints[index].unavailable = error.unavailable
    }
  }
}
