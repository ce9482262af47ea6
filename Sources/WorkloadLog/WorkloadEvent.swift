// What a workload tells about its own progress: one JSON object a line in the run directory's `workload.jsonl`.
// Written by `kiviat-workload`, read by `kiviat` while it grows.
import Foundation

/// One line of a workload's log. Times are `CLOCK_MONOTONIC` nanoseconds.
public enum WorkloadEvent: Hashable, Codable, Sendable {
  /// A setting that the workload settled: `batch_size`, `learning_rate`, `optimizer`, `threads`, `data` …
  case setting(name: String, value: String)
  /// A number that the workload declares: `model.parameters`, `model.forward_flops_per_sample` … `detail` names the
  /// convention or formula.
  case quantity(name: String, unit: String, value: Double, detail: String)
  /// What is being done now and how far it is, for the progress line.
  case progress(stage: String, completed: Double, total: Double, unit: String, time: UInt64)
  /// An optimizer step ended.
  case step(step: Int, epoch: Int, time: UInt64, durationNanoseconds: UInt64, samples: Int, loss: Double)
  /// An epoch ended and was evaluated.
  case epoch(
    epoch: Int, stage: String, time: UInt64, durationNanoseconds: UInt64, samples: Int, meanLoss: Double,
    metric: String, quality: Double)
  /// The target quality was reached (or training ended without).
  case result(reached: Bool, metric: String, target: Double, quality: Double, epochs: Int)
  /// Training diverged in this step and ends: its loss, or the quality after it, is no number. A run that tells this fails.
  case diverged(step: Int, message: String)
  /// An inference query ended.
  case query(index: Int, latencyNanoseconds: UInt64, samples: Int)
  /// The measured region began or ended: what lies outside it is set-up (loading, warm-up).
  case region(name: String, isBegin: Bool, time: UInt64)
  /// Something the user must know, such as that data are synthetic.
  case note(isWarning: Bool, message: String)
}

/// The contract between `kiviat` and a traced workload: environment variables and file names.
public enum WorkloadContract {
  /// The folder in which the workload puts its files. Unset when it runs by hand.
  public static let runDirectoryVariable = "KIVIAT_RUN_DIRECTORY"
  /// The log's name in that folder.
  public static let logFileName = "workload.jsonl"
  /// The kernel trace's name in that folder (`CKernelTrace` is its layout).
  public static let traceFileName = "kernels.trace"
  /// The name in that folder of the list of perf events to count by kernel, which the profiler puts there before the
  /// workload starts (`CKernelTrace` reads it). Not there when none is to be counted.
  public static let eventsFileName = "kernel.events"
}

extension WorkloadContract {
  /// JSON has no infinity and no NaN; a diverged loss is one.
  public static var floatEncoding: JSONEncoder.NonConformingFloatEncodingStrategy {
    .convertToString(positiveInfinity: "inf", negativeInfinity: "-inf", nan: "nan")
  }
  /// The way back of ``floatEncoding``.
  public static var floatDecoding: JSONDecoder.NonConformingFloatDecodingStrategy {
    .convertFromString(positiveInfinity: "inf", negativeInfinity: "-inf", nan: "nan")
  }
}
