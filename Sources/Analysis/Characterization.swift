// What does this workload do to the machine? All answers about one profile, as plain values for a report to draw.
import ProfileModel

/// The characterization of one profile: every question's answer, without any formatting.
///
/// No number in it is NaN or infinite: what is not a number is absent or ``Measured/unavailable(_:)``. All texts
/// that come from the profile (names, paths, shapes, messages) are untrusted and are passed on as they are.
public struct Characterization: Codable, Sendable, Equatable {
  /// What was run, how, when, and how it ended.
  public var identity: RunIdentity
  /// The handful of numbers that a reader looks for first, in order of interest.
  public var headline: [NamedQuantity]
  /// What the workload is limited by and what to do about it.
  public var limits: LimitedBy
  /// Where the main thread's wall time went, by kernel category and phase.
  public var breakdown: Measured<RuntimeBreakdown>
  /// Where CPU time went by native code: category, module, kind and thread of the sampled function.
  public var cpuBreakdown: Measured<SampleBreakdown>
  /// The kernels that take most of the kernel time.
  public var kernelHotspots: Measured<KernelHotspots>
  /// The native functions that take most of the CPU time.
  public var functionHotspots: Measured<FunctionHotspots>
  /// The functions and kernels that make up each category (the technical report's Table 7).
  public var categoryFunctions: Measured<[CategoryFunctions]>
  /// Work done against what the machine could do.
  public var roofline: Measured<Roofline>
  /// Size and cost of the model.
  public var model: ModelCharacteristics
  /// Throughput and convergence of training.
  public var training: Measured<TrainingCharacteristics>
  /// Latency and throughput of inference.
  public var inference: Measured<InferenceCharacteristics>
  /// Processes, threads and machine use over time.
  public var timeline: Timeline
  /// Event counts and the ratios derived from them.
  public var counters: CounterSummary
  /// How much the numbers vary from repetition to repetition.
  public var repetitions: Measured<RepetitionStatistics>
  /// Call tree for an icicle or flame graph.
  public var flameGraph: Measured<FlameGraph>
  /// What could not be measured, or not fully, why, and what would help.
  public var notMeasured: [NotMeasured]
  /// What measuring itself cost.
  public var profilerCost: ProfilerCost
  /// Facts about the host, as the profile holds them.
  public var host: [Quantity]
  /// Warnings and remarks of the profiler and of the workload.
  public var notes: [Note]
}

/// A number with a name for machines, a label for people, and a unit.
public struct NamedQuantity: Codable, Sendable, Equatable {
  /// A stable dotted name: `wall`, `memory.peak_rss`.
  public var name: String
  /// A short label in plain words.
  public var label: String
  /// `ns`, `B`, `FLOP`, `1/s`, `1` …
  public var unit: String
  /// The value.
  public var value: Measured<Double>

  /// Makes a named quantity.
  public init(_ name: String, label: String, unit: String, _ value: Measured<Double>) {
    self.name = name
    self.label = label
    self.unit = unit
    self.value = value
  }
}
