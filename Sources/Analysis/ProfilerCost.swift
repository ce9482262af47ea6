// What did measuring itself cost, and what was lost?
import ProfileModel

/// The profiler's own cost in the shown repetition.
public struct ProfilerCost: Codable, Sendable, Equatable {
  /// CPU time of the profiler process, nanoseconds.
  public var cpuNanoseconds: Measured<Double>
  /// That as a share of the target's CPU time.
  public var cpuShare: Measured<Double>
  /// Time that profiling took beyond the target's run (setting up, writing), nanoseconds.
  public var wallNanoseconds: Measured<Double>
  /// Peak memory of the profiler, bytes.
  public var peakMemoryBytes: Measured<Double>
  /// Kernels traced.
  public var tracedCalls: Measured<Double>
  /// Cost of tracing one kernel, nanoseconds.
  public var tracingNanosecondsPerCall: Measured<Double>
  /// Calls × cost: what tracing added to the target, nanoseconds.
  public var tracingNanoseconds: Measured<Double>
  /// That as a share of the target's wall time.
  public var tracingShare: Measured<Double>
  /// Samples taken.
  public var samplesTaken: Measured<Double>
  /// Samples lost.
  public var samplesLost: Measured<Double>
  /// Lost ÷ (taken + lost), 0…1.
  public var lostShare: Measured<Double>
  /// Samples that belong to no known function or thread.
  public var samplesUnattributed: Measured<Double>
}

extension ProfilerCost {
  static func of(_ run: Run) -> ProfilerCost {
    let cpu = run.number("profiler.cpu_time")
    let tracing = Measured.combine(
      run.number("kernel_trace.ops", from: "kernel-trace"),
      run.number("kernel_trace.cost_per_op", from: "kernel-trace"),
      detail: "traced calls × cost of a call"
    ) { $0 * $1 }
    let taken = run.number("samples.taken", from: "sampling")
    let lost = run.number("samples.lost", from: "sampling")
    return ProfilerCost(
      cpuNanoseconds: cpu,
      cpuShare: .combine(cpu, run.cpuTime, detail: "profiler's CPU time ÷ target's") { $0 / $1 },
      wallNanoseconds: run.number("profiler.wall"), peakMemoryBytes: run.number("profiler.peak_rss"),
      tracedCalls: run.number("kernel_trace.ops", from: "kernel-trace"),
      tracingNanosecondsPerCall: run.number("kernel_trace.cost_per_op", from: "kernel-trace"),
      tracingNanoseconds: tracing,
      tracingShare: .combine(
        tracing, Measured(Double(run.wall), .clock), detail: "tracing time ÷ wall time"
      ) { $0 / $1 },
      samplesTaken: taken, samplesLost: lost,
      lostShare: .combine(lost, taken, detail: "lost ÷ (taken + lost)") { $0 / ($0 + $1) },
      samplesUnattributed: run.number("samples.unattributed", from: "sampling"))
  }
}
