// Collector `quality`: what quality did a suite's command reach, by its own output?
import Foundation
import ProfileModel
import Profiler
import Suites

/// Reads the quality of a command when it has ended, and judges it by its target.
final class QualityCollector: Collector {
  let name = "quality"
  private let source: QualitySource
  private let metric: String
  private let target: SuiteTarget?
  private let output: String
  private let directory: String
  private var startedAt = 0.0
  private var quality: Double?
  private(set) var state = CollectorState("quality", .unavailable, reason: "the command has not ended")

  init(_ source: QualitySource, metric: String, target: SuiteTarget?, output: String, directory: String) {
    self.source = source
    self.metric = metric
    self.target = target
    self.output = output
    self.directory = directory
  }

  func prepare(_ target: TargetContext) -> CollectorState { state }
  func start(monotonicNanoseconds: UInt64) { startedAt = Date().timeIntervalSince1970 }
  func tick(monotonicNanoseconds: UInt64) {}
  func stop(monotonicNanoseconds: UInt64) {}

  func targetReaped(_ usage: TargetUsage) {
    do {
      quality = try source.read(output: output, directory: directory, startedAt: startedAt)
      state = CollectorState(name, .measured, method: source.description)
    } catch {
      state = CollectorState(name, .unavailable, method: source.description, reason: error.description)
    }
  }

  func write(to transaction: ProfileTransaction, repetition: Int) throws {
    guard let quality else { return }
    func quantity(_ name: String, _ value: Double, _ detail: String) throws {
      // SQLite has no NaN: what is not a number was not measured.
      let measured: Measured<QuantityValue> =
        value.isFinite
        ? Measured(.number(value), .declared, detail: detail) : .unavailable(Unavailable("the command told \(value)"))
      try transaction.quantity(Quantity(name, unit: "1", measured), repetition: repetition)
    }
    try transaction.setting("metric", metric)
    try quantity("training.quality", quality, "\(metric): \(source.description)")
    if let target {
      try quantity("training.target", target.value, metric)
      try quantity("training.reached", target.isReached(by: quality) ? 1 : 0, "whether the target quality was reached")
    }
  }
}
