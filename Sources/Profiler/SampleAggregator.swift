// Where the CPU time went: samples summed up by call stack, thread and traced kernel.
import Foundation
import ProfileModel

/// Takes the samples that a ``SampleAggregator`` adds up, and knows how that goes.
public protocol SamplingSource: AnyObject {
  /// What is sampled, how often and by which means; or why nothing is.
  var samplingState: CollectorState { get }
  /// Whether a sample's period is nanoseconds of CPU time.
  var periodIsTime: Bool { get }
  /// Samples that the kernel could not deliver so far.
  var samplesLost: Int { get }
}

/// Collector `sampling`. Feed it all records in time order; it keeps totals, not samples, so its memory follows the
/// variety of the target's call stacks and not the length of the run.
public final class SampleAggregator: PerfRecordConsumer, Collector {
  private struct Key: Hashable {
    /// A node of the address tree, or the number of a stack.
    var stack: Int64
    var pid: Int32
    var tid: Int32
    /// −1 for none.
    var kernel: Int64
  }
  private struct Total {
    var samples: Int64 = 0
    var weight: Int64 = 0

    static func += (a: inout Total, b: Total) {
      a.samples += b.samples
      a.weight += b.weight
    }
    static func -= (a: inout Total, b: Total) {
      a.samples -= b.samples
      a.weight -= b.weight
    }
  }

  /// `sampling`.
  public let name = "sampling"
  /// The index of the sampling event among the source's events; samples of others are not for us.
  public static let samplingEvent = PerfRecordSource.samplingEvent
  /// Tells the traced kernel at a sample's time; `nil` when the target traces none.
  public var attributor: (any KernelAttributor)?
  /// The target's CPU time so far, nanoseconds: with hardware cycles it turns sample counts into time.
  public var taskClockNanoseconds: (() -> UInt64?)?

  private let source: (any SamplingSource)?
  private let stacks: CallStacks
  private let spaces: AddressSpaces
  private var unwinding = ProfileOptions.Unwinding.framePointer
  private var frequency = 499
  private var isStopped = false

  /// By node: samples since the last write that are not symbolized yet.
  private var pending: [Key: Total] = [:]
  /// By stack: what the file is to hold.
  private var totals: [Key: Total] = [:]
  private var changed: Set<Key> = []
  /// What the last write held: it may not have got through.
  private var inFlight: Set<Key> = []
  private var writes = WriteCheck()
  /// By node: samples counted under a stack that may yet get better names.
  private var provisional: [Key: (total: Total, stack: Int64)] = [:]

  private var taken = 0
  private var lostRecords: UInt64 = 0
  private var unattributed = 0
  private var sawKernel = false
  private var unwound = 0
  private var truncated = 0
  private var fellBack = 0

  /// Time that symbolizing may take between two writes, so that the ring buffers are read in time. The rest is done at the
  /// next write, and all of it at the end.
  private static let symbolizingBudget: UInt64 = 200_000_000
  private static let mostProvisional = 100_000

  /// Makes a collector.
  ///
  /// - Parameters:
  ///   - source: where the samples come from; asked for its state. `nil` in tests that feed records themselves.
  ///   - stacks: shared by the repetitions of one profile.
  ///   - attributor: see ``attributor``.
  public init(
    source: (any SamplingSource)?, stacks: CallStacks = CallStacks(), attributor: (any KernelAttributor)? = nil
  ) {
    self.source = source
    self.stacks = stacks
    spaces = AddressSpaces(instances: stacks.instances)
    self.attributor = attributor
  }

  /// Makes a collector of what `source` is to sample: asks it to, and listens to it.
  public convenience init(
    sampling source: PerfRecordSource, stacks: CallStacks, attributor: (any KernelAttributor)? = nil
  ) {
    self.init(source: source, stacks: stacks, attributor: attributor)
    source.requestSampling()
    source.addConsumer(self)
  }

  // MARK: - Collector

  /// Takes over unwinding and frequency from the options.
  public func prepare(_ target: TargetContext) -> CollectorState {
    unwinding = target.options.unwinding
    frequency = max(1, target.options.frequency)
    return state
  }

  /// Nothing to start: the source does.
  public func start(monotonicNanoseconds: UInt64) {}

  /// Nothing to do: samples come by themselves.
  public func tick(monotonicNanoseconds: UInt64) {}

  /// All samples have come: the next write symbolizes what is left.
  public func stop(monotonicNanoseconds: UInt64) { isStopped = true }

  /// The source's state, and what became of its samples here.
  public var state: CollectorState {
    var state = source?.samplingState ?? CollectorState(name, .measured, method: "records fed in")
    guard state.outcome == .measured || state.outcome == .degraded else { return state }
    if source?.periodIsTime == false {
      state.method += "; a sample stands for the CPU time divided by the samples"
    }
    func degrade(_ reason: String, remedy: String?) {
      state.outcome = .degraded
      state.reason = [state.reason, reason].compactMap(\.self).joined(separator: "; ")
      state.remedy = state.remedy ?? remedy
    }
    if sawKernel, !stacks.symbolizer.kernel.areVisible {
      degrade("kernel functions have no names, /proc/kallsyms hides them", remedy: "sudo sysctl kernel.kptr_restrict=0")
    }
    if truncated > 0 {
      degrade("\(percent(truncated, of: unwound)) of the unwound stacks reach beyond the copied part", remedy: nil)
    }
    if fellBack > 0 {
      degrade(
        "\(percent(fellBack, of: unwound + fellBack)) of the stacks could not be unwound and show frame pointers' chain",
        remedy: nil)
    }
    return state
  }

  private func percent(_ part: Int, of whole: Int) -> String {
    let share = 100 * Double(part) / Double(max(whole, 1))
    return share < 0.1 ? "less than 0.1 %" : String(format: "%.1f %%", share)
  }

  // MARK: - Records

  /// Follows the mappings and adds up the samples.
  public func consume(_ record: PerfRecord) {
    switch record {
    case .sample(let sample):
      if sample.event == Self.samplingEvent { add(sample) }
    case .lost(let count, _):
      lostRecords += count
    default:
      spaces.apply(record)
    }
  }

  private func add(_ sample: PerfSample) {
    taken += 1
    let (node, user) = stacks.node(of: sample, in: spaces.space(of: sample.pid), unwinding: unwinding == .dwarf)
    switch user {
    case .framePointers: break
    case .unwound(let isTruncated):
      unwound += 1
      truncated += isTruncated ? 1 : 0
    case .fellBack: fellBack += 1
    }
    if let first = sample.callChain.dropFirst().first, CallChain.isKernel(first) { sawKernel = true }
    let kernel = attributor?.runningKernel(pid: sample.pid, tid: sample.tid, at: sample.time)
    if attributor != nil, kernel == nil { unattributed += 1 }
    let weight = source?.periodIsTime == false ? 1_000_000_000 / Int64(frequency) : Int64(clamping: sample.period)
    let key = Key(stack: Int64(node), pid: sample.pid, tid: sample.tid, kernel: kernel ?? -1)
    pending[key, default: Total()] += Total(samples: 1, weight: weight)
  }

  // MARK: - Writing

  /// Symbolizes what is new, and writes the rows that changed.
  public func write(to transaction: ProfileTransaction, repetition: Int) throws {
    rename(stacks.symbolizer.refreshPerfMaps())
    symbolize()
    if isStopped { weighByTaskClock() }
    try stacks.write(to: transaction)
    if writes.lastOneFailed(now: transaction) { changed.formUnion(inFlight) }
    inFlight = changed
    for key in changed {
      guard let total = totals[key] else { continue }
      try transaction.sample(
        SampleTotal(
          stack: key.stack, pid: key.pid, tid: key.tid, kernel: key.kernel < 0 ? nil : key.kernel,
          samples: total.samples, weightNanoseconds: total.weight), repetition: repetition)
    }
    changed.removeAll(keepingCapacity: true)
    // The tree may only be forgotten when no node is in use.
    if pending.isEmpty, stacks.trim() { provisional.removeAll() }
    for quantity in quantities { try transaction.quantity(quantity, repetition: repetition) }
  }

  /// Names what was sampled since the last write.
  private func symbolize() {
    let begin = Clock.monotonic
    var done: [Key] = []
    for (key, total) in pending {
      let (stack, isProvisional) = stacks.stack(of: Int32(key.stack))
      count(total, of: key, under: stack)
      if isProvisional, provisional.count < Self.mostProvisional {
        provisional[key, default: (Total(), stack)].total += total
      }
      guard !isStopped else { continue }
      done.append(key)
      if Clock.monotonic - begin > Self.symbolizingBudget { break }
    }
    if isStopped || done.count == pending.count {
      pending.removeAll(keepingCapacity: true)
    } else {
      for key in done { pending[key] = nil }
    }
  }

  /// Generated code got names since it was sampled: moves its samples to the stacks that have them.
  private func rename(_ mapsGrew: Bool) {
    guard mapsGrew else { return }
    for (key, entry) in provisional {
      let (stack, isProvisional) = stacks.stack(of: Int32(key.stack))
      if stack != entry.stack {
        var old = key
        old.stack = entry.stack
        totals[old]? -= entry.total
        changed.insert(old)
        count(entry.total, of: key, under: stack)
      }
      provisional[key] = isProvisional ? (entry.total, stack) : nil
    }
  }

  private func count(_ total: Total, of key: Key, under stack: Int64) {
    var key = key
    key.stack = stack
    totals[key, default: Total()] += total
    changed.insert(key)
  }

  /// Samples of hardware cycles come F times a second only roughly: in the end they share the CPU time as it was counted.
  private func weighByTaskClock() {
    guard source?.periodIsTime == false, taken > 0, let clock = taskClockNanoseconds?() else { return }
    let each = Double(clock) / Double(taken)
    for (key, total) in totals {
      totals[key]?.weight = Int64(each * Double(total.samples))
      changed.insert(key)
    }
  }

  private var quantities: [Quantity] {
    let source: Measured<QuantityValue> = Measured(
      .number(Double(taken)), .softwareCounter, detail: "samples read from the ring buffers")
    let lost = max(UInt64(self.source?.samplesLost ?? 0), self.source == nil ? lostRecords : 0)
    return [
      Quantity("samples.taken", unit: "1", isUnavailable.map { .unavailable($0) } ?? source),
      Quantity(
        "samples.lost", unit: "1",
        isUnavailable.map { .unavailable($0) }
          ?? Measured(.number(Double(lost)), .softwareCounter, detail: "records that found a ring buffer full")),
      Quantity(
        "samples.unattributed", unit: "1",
        attributor == nil || isUnavailable != nil
          ? .unavailable(isUnavailable ?? Unavailable("the target traces no kernels"))
          : Measured(.number(Double(unattributed)), .softwareCounter, detail: "samples outside any traced kernel")),
    ]
  }

  private var isUnavailable: Unavailable? {
    let state = state
    switch state.outcome {
    case .measured, .degraded: return nil
    case .unavailable, .off: return Unavailable(state.reason ?? "sampling is off", remedy: state.remedy)
    }
  }
}

extension PerfRecordSource: SamplingSource {}
