// How long does an inference query take, in the median and in the tail, and how many samples a second is that?
import Foundation
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
  /// Energy of the processor package by sample, joules: its mean power while the model was served, warm-up included, by the
  /// time of a sample; the whole machine's.
  public var energyPerSampleJoules: Measured<Double>
  /// Histogram of the latency, equal widths on a logarithmic scale when the latencies span more than a decade.
  public var histogram: [Bin]
}

extension InferenceCharacteristics {
  /// Bars of the histogram at most.
  static let binLimit = 40

  static func of(_ run: Run) -> Measured<InferenceCharacteristics> {
    let queries = run.data.queries
    let latencies = queries.map { Double(max(0, $0.latencyNanoseconds)) }
    guard let percentiles = Percentiles(latencies) else {
      return .unavailable(
        run.profile.settings["kind"] == "benchmark"
          ? Unavailable("the run logged no inference query", remedy: "--mode infer")
          : Unavailable("the target keeps no inference log: only Kiviat's own benchmarks do"))
    }
    let samples = queries.reduce(0) { $0 &+ $1.samples }
    let seconds = latencies.reduce(0, +) / 1e9
    let rate: Measured<Double> =
      seconds > 0
      ? Measured(Double(samples) / seconds, .derived, detail: "samples ÷ sum of latencies")
      : .unavailable(Unavailable("no query took measurable time"))
    let result = InferenceCharacteristics(
      queryCount: queries.count, sampleCount: samples, latency: percentiles, samplesPerSecond: rate,
      flopsPerSecond: .combine(
        run.number("model.forward_flops_per_sample"), rate, detail: "FLOPs per sample × samples per second"
      ) { $0 * $1 },
      energyPerSampleJoules: energyPerSample(run, rate), histogram: histogram(latencies, percentiles))
    return Measured(result, .clock, detail: "latency of each query, after warm-up")
  }

  /// Queries have no times of their own, so the power is that of the loop they are in.
  private static func energyPerSample(_ run: Run, _ rate: Measured<Double>) -> Measured<Double> {
    guard case .measured(let samplesPerSecond, _) = rate else { return rate }
    do {
      let power = try PowerSeries(run)
      let begin = run.number("phase.startup.wall").value ?? 0
      let end = Double(run.wall) - (run.number("phase.exit.wall").value ?? 0)
      guard end - begin >= EnergyUse.leastReadings * power.spacing, let watts = power.watts(from: begin, to: end) else {
        return .unavailable(
          Unavailable("inference took less than \(Int(EnergyUse.leastReadings)) readings of the energy meter"))
      }
      return Measured(
        watts / samplesPerSecond, .derived,
        detail: "mean power.package while serving ÷ samples per second; other processes included")
    } catch {
      return .unavailable(error)
    }
  }

  private static func histogram(_ values: [Double], _ range: Percentiles) -> [Bin] {
    guard range.maximum > range.minimum else {
      return [Bin(fromNanoseconds: range.minimum, toNanoseconds: range.maximum, count: values.count)]
    }
    let isLogarithmic = range.minimum > 0 && range.maximum / range.minimum > 10
    let from = isLogarithmic ? log(range.minimum) : range.minimum
    let to = isLogarithmic ? log(range.maximum) : range.maximum
    // Sturges would be too coarse for a skewed distribution: √n bars.
    let bins = min(binLimit, max(1, Int(Double(values.count).squareRoot().rounded(.up))))
    var counts = [Int](repeating: 0, count: bins)
    for value in values {
      let position = ((isLogarithmic ? log(value) : value) - from) / (to - from) * Double(bins)
      counts[max(0, min(bins - 1, Int(position)))] += 1
    }
    func edge(_ index: Int) -> Double {
      if index == 0 { return range.minimum }
      if index == bins { return range.maximum }
      let value = from + (to - from) * Double(index) / Double(bins)
      return isLogarithmic ? exp(value) : value
    }
    return counts.indices.map {
      Bin(fromNanoseconds: edge($0), toNanoseconds: edge($0 + 1), count: counts[$0])
    }
  }
}
