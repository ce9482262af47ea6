// How a workload tells what it does: to kiviat as a log of JSON lines, to a person as text.
import Foundation
import WorkloadLog

/// `CLOCK_MONOTONIC`, nanoseconds.
public func monotonicNanoseconds() -> UInt64 {
  var now = timespec()
  clock_gettime(CLOCK_MONOTONIC, &now)
  return UInt64(now.tv_sec) * 1_000_000_000 + UInt64(now.tv_nsec)
}

/// Writes the workload's log.
public final class WorkloadReporter {
  /// Where the log goes.
  public enum Destination: Equatable, Sendable {
    /// `workload.jsonl` in kiviat's run directory.
    case directory(String)
    /// Readable lines on standard output.
    case standardOutput
    /// Nowhere, for tests.
    case nowhere
  }

  /// A log that can't be written.
  public enum Failure: Error, CustomStringConvertible {
    case notWritable(path: String, detail: String)

    /// Cause and place.
    public var description: String {
      switch self {
      case .notWritable(let path, let detail): "can't write \(path): \(detail)"
      }
    }
  }

  private let destination: Destination
  private let descriptor: Int32
  private let encoder = JSONEncoder()
  private var lastLine: UInt64 = 0
  private var lastProgress: UInt64 = 0
  /// Durations of the epoch's steps, for its readable line.
  private var stepDurations: [UInt64] = []
  /// What was reported, when the destination is nowhere.
  private(set) var events: [WorkloadEvent] = []

  /// Opens the log.
  ///
  /// - Throws: ``Failure`` when the file can't be made.
  public init(_ destination: Destination) throws {
    self.destination = destination
    // A diverged loss is a number too.
    encoder.nonConformingFloatEncodingStrategy = WorkloadContract.floatEncoding
    guard case .directory(let directory) = destination else {
      descriptor = -1
      return
    }
    let path = directory + "/" + WorkloadContract.logFileName
    descriptor = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o600)
    guard descriptor >= 0 else {
      throw Failure.notWritable(path: path, detail: String(cString: strerror(errno)))
    }
  }

  deinit {
    if descriptor >= 0 { close(descriptor) }
  }

  /// Reports an event.
  public func report(_ event: WorkloadEvent) {
    switch destination {
    case .nowhere: events.append(event)
    case .standardOutput:
      // Unbuffered, so that lines reach a pipe as they are written.
      if let line = readable(event) { send(Data((line + "\n").utf8), to: STDOUT_FILENO) }
    case .directory:
      // One write a line, so that a killed workload leaves whole lines.
      guard var line = try? encoder.encode(event) else { return }
      line.append(UInt8(ascii: "\n"))
      send(line, to: descriptor)
    }
  }

  private func send(_ line: Data, to descriptor: Int32) {
    line.withUnsafeBytes { bytes in
      var rest = bytes[...]
      while !rest.isEmpty {
        let written = write(descriptor, UnsafeRawBufferPointer(rebasing: rest).baseAddress, rest.count)
        if written < 0 && errno == EINTR { continue }
        // A log that can't be written any more must not stop the training it tells about.
        guard written > 0 else { return }
        rest = rest.dropFirst(written)
      }
    }
  }

  /// Reports how far a stage is, at most five times a second.
  public func progress(_ stage: String, _ completed: Int, of total: Int, unit: String, at time: UInt64) {
    guard time - lastProgress >= 200_000_000 || completed == total else { return }
    lastProgress = time
    report(.progress(stage: stage, completed: Double(completed), total: Double(total), unit: unit, time: time))
  }

  /// Reports a number that the workload declares.
  public func quantity(_ name: String, _ unit: String, _ value: Double, _ detail: String) {
    report(.quantity(name: name, unit: unit, value: value, detail: detail))
  }

  private func readable(_ event: WorkloadEvent) -> String? {
    func seconds(_ nanoseconds: UInt64) -> String { String(format: "%.2f s", Double(nanoseconds) * 1e-9) }
    switch event {
    case .setting(let name, let value): return "\(name): \(value)"
    case .quantity(let name, let unit, let value, let detail):
      return String(format: "%@ = %.10g %@ (%@)", name, value, unit, detail)
    case .step(let step, let epoch, let time, let duration, let samples, let loss):
      stepDurations.append(duration)
      // A line a second is enough to read.
      guard time - lastLine >= 1_000_000_000 else { return nil }
      lastLine = time
      let rate = Double(samples) / (Double(duration) * 1e-9)
      return String(format: "epoch %d  step %d  loss %.4f  %.1f samples/s", epoch, step, loss, rate)
    case .epoch(let epoch, let stage, _, let duration, let samples, let loss, let metric, let quality):
      let rate = Double(samples) / (Double(duration) * 1e-9)
      let name = stage.isEmpty ? "" : stage + " "
      let median = Double(stepDurations.sorted()[safe: stepDurations.count / 2] ?? 0) * 1e-6
      stepDurations.removeAll()
      return String(
        format: "%@epoch %d done in %@  mean loss %.4f  %@ %.4f  %.1f samples/s  median step %.3f ms", name, epoch,
        seconds(duration), loss, metric, quality, rate, median)
    case .result(let reached, let metric, let target, let quality, let epochs):
      return String(
        format: "%@: %@ %.4f after %d epochs (target %.4f)", reached ? "target reached" : "target not reached", metric,
        quality, epochs, target)
    case .diverged(_, let message): return "training diverged: \(message)"
    case .note(let isWarning, let message): return (isWarning ? "warning: " : "note: ") + message
    case .progress, .query, .region: return nil
    }
  }
}

extension Array {
  fileprivate subscript(safe index: Int) -> Element? { indices.contains(index) ? self[index] : nil }
}
