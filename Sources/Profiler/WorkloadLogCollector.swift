// What does a workload tell about its progress: steps, epochs, queries, settings and numbers of its own?
import Foundation
import ProfileModel
import WorkloadLog

/// Follows the log of `kiviat-workload` while it grows.
public final class WorkloadLogCollector: Collector {
  /// `workload-log`.
  public let name = "workload-log"
  private var path = ""
  private var file: FileHandle?
  /// The beginning of a line whose end is not written yet.
  private var rest = Data()
  private var pending: [WorkloadEvent] = []
  private var start: UInt64 = 0
  private var regions: [String: (begin: UInt64?, total: UInt64)] = [:]
  private var noteCount = 0
  private var damagedLines = 0
  private var lines = 0
  private let decoder = JSONDecoder()

  /// What the workload does now, for a progress line; `nil` before it told.
  public private(set) var progress: Progress?

  /// How far a workload is.
  public struct Progress: Sendable, Equatable {
    /// `training, epoch 3`.
    public var stage: String
    /// Units done and all units; the total is 0 when it is not known.
    public var completed: Double
    /// All units; 0 when that is not known.
    public var total: Double
    /// `steps`, `queries` …
    public var unit: String
    /// When, `CLOCK_MONOTONIC` nanoseconds.
    public var time: UInt64
    /// The last quality and its metric, when an epoch has ended: `top-1 accuracy 0.93`.
    public var quality: String?
  }

  /// Where notes begin among a repetition's: the session's own come first.
  static let firstNote = 1000

  /// Makes a collector.
  public init() { decoder.nonConformingFloatDecodingStrategy = WorkloadContract.floatDecoding }

  /// Learns where the log will be.
  public func prepare(_ target: TargetContext) -> CollectorState {
    path = target.runDirectory + "/" + WorkloadContract.logFileName
    return state
  }

  /// Time zero of the profile.
  public func start(monotonicNanoseconds: UInt64) { start = monotonicNanoseconds }
  /// Reads what was added to the log.
  public func tick(monotonicNanoseconds: UInt64) { read() }
  /// Reads the log's end.
  public func stop(monotonicNanoseconds: UInt64) { read() }

  /// Measured once a line was read; degraded when some were damaged.
  public var state: CollectorState {
    guard lines > 0 || damagedLines > 0 else {
      return CollectorState(
        name, .unavailable, reason: "the target is not one of kiviat's benchmarks and writes no log",
        remedy: "kiviat profile BENCHMARK (kiviat list benchmarks tells which there are)")
    }
    if damagedLines > 0 {
      return CollectorState(
        name, .degraded, method: "the workload's log", reason: "\(damagedLines) lines of it could not be understood")
    }
    return CollectorState(name, .measured, method: "the workload's log")
  }

  // MARK: - Reading

  private func read() {
    if file == nil { file = FileHandle(forReadingAtPath: path) }
    guard let file, let data = try? file.readToEnd(), !data.isEmpty else { return }
    rest.append(data)
    while let newline = rest.firstIndex(of: UInt8(ascii: "\n")) {
      take(rest[rest.startIndex..<newline])
      rest = rest[rest.index(after: newline)...]
    }
    rest = Data(rest)
  }

  private func take(_ line: Data) {
    guard !line.isEmpty else { return }
    guard let event = try? decoder.decode(WorkloadEvent.self, from: line) else {
      damagedLines += 1
      return
    }
    lines += 1
    switch event {
    case .progress(let stage, let completed, let total, let unit, let time):
      progress = Progress(
        stage: stage, completed: completed, total: total, unit: unit, time: time, quality: progress?.quality)
    case .region(let region, let isBegin, let time):
      var known = regions[region] ?? (nil, 0)
      if isBegin {
        known.begin = time
      } else if let begin = known.begin {
        known = (nil, known.total + (time - min(time, begin)))
      }
      regions[region] = known
      pending.append(event)
    case .epoch(_, _, _, _, _, _, let metric, let quality):
      progress?.quality = "\(metric) \(String(format: "%.4g", quality))"
      pending.append(event)
    default:
      pending.append(event)
    }
  }

  // MARK: - Writing

  /// Writes what was read since the last call.
  public func write(to transaction: ProfileTransaction, repetition: Int) throws {
    let events = pending
    for event in events { try write(event, to: transaction, repetition: repetition) }
    // Only now: a transaction that failed is tried again.
    pending.removeFirst(events.count)
  }

  private func relative(_ time: UInt64) -> Int64 { Int64(clamping: time) - Int64(clamping: start) }

  private func write(_ event: WorkloadEvent, to transaction: ProfileTransaction, repetition: Int) throws {
    func quantity(_ name: String, _ unit: String, _ value: Double, _ source: Provenance.Source, _ detail: String) throws
    {
      // SQLite has no NaN: what is not a number was not measured.
      let measured: Measured<QuantityValue> =
        value.isFinite
        ? Measured(.number(value), source, detail: detail) : .unavailable(Unavailable("the workload reported \(value)"))
      try transaction.quantity(Quantity(name, unit: unit, measured), repetition: repetition)
    }
    switch event {
    case .setting(let name, let value): try transaction.setting(name, value)
    case .quantity(let name, let unit, let value, let detail): try quantity(name, unit, value, .declared, detail)
    case .step(let step, let epoch, let time, let duration, let samples, let loss):
      try transaction.step(
        TrainingStep(
          step: step, epoch: epoch, timeNanoseconds: relative(time), durationNanoseconds: Int64(clamping: duration),
          samples: samples, loss: loss), repetition: repetition)
    case .epoch(let epoch, let stage, let time, let duration, let samples, let meanLoss, let metric, let quality):
      try transaction.epoch(
        TrainingEpoch(
          epoch: epoch, stage: stage, timeNanoseconds: relative(time), durationNanoseconds: Int64(clamping: duration),
          samples: samples, meanLoss: meanLoss, metric: metric, quality: quality),
        repetition: repetition)
    case .result(let reached, let metric, let target, let quality, let epochs):
      try transaction.setting("metric", metric)
      try quantity("training.target", "1", target, .declared, metric)
      try quantity("training.quality", "1", quality, .declared, "\(metric) on held-out data at the end")
      try quantity("training.reached", "1", reached ? 1 : 0, .declared, "whether the target quality was reached")
      try quantity("training.epochs", "1", Double(epochs), .declared, "epochs of the last stage")
    case .diverged(let step, let message):
      try quantity("training.diverged", "1", Double(step), .declared, message)
      try transaction.note(
        Note(.warning, "training diverged: \(message)"), position: Self.firstNote + noteCount, repetition: repetition)
      noteCount += 1
    case .query(let index, let latency, let samples):
      try transaction.query(
        InferenceQuery(index: index, latencyNanoseconds: Int64(clamping: latency), samples: samples),
        repetition: repetition)
    case .region(let region, let isBegin, _):
      guard !isBegin, let total = regions[region]?.total else { return }
      try quantity("region.\(region).wall", "ns", Double(total), .clock, "between the region's begin and end")
    case .note(let isWarning, let message):
      try transaction.note(
        Note(isWarning ? .warning : .info, message), position: Self.firstNote + noteCount, repetition: repetition)
      noteCount += 1
    case .progress: break
    }
  }
}
