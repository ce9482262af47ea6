// How long does an inference query take, in the median and in the tail, and how many samples a second is that?
import ProfileModel

/// Latency and throughput of inference, warm-up left out by the workload.
public struct InferenceCharacteristics: Codable, Sendable, Equatable {
  /// A bar of the latency histogram.
  public struct Bin: Codable, Sendable, Equatable {
    /// Lower bound, nanoseconds, inclusive.
    public var fromNanoseconds: Double
    /// Upper bound, nanoseconds, exclusive but for the last bin.
    public var toNanoseconds: Double
    /// Number of queries.
    public var count: Int
  }
  /// Number of queries.
  public var queryCount: Int
  /// Number of samples in all queries.
  public var sampleCount: Int
  /// Percentiles of the latency, nanoseconds.
  public var latency: Percentiles
  /// Samples a second, queries one after another: samples ÷ sum of latencies.
  public var samplesPerSecond: Measured<Double>
  /// FLOP/s: FLOPs of a forward pass × samples per second.
  public var flopsPerSecond: Measured<Double>
  /// Histogram of the latency, equal widths on a logarithmic scale when the latencies span more than a decade.
  public var histogram: [Bin]
}
