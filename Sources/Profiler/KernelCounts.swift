// How often did an event happen in all calls of a kernel, when only some of them were read?
import CKernelTrace
import Glibc
import ProfileModel

/// The sums that the tracer keeps of one kernel's calls, and the estimate that follows from them.
///
/// Calls of root operations are drawn each with a probability p and stand for 1/p calls (Poisson sampling); a kernel's
/// calls inside one of them are one cluster. The total is estimated by the ratio to the known number of calls:
/// N · Σ w x / Σ w n, whose variance is (N / Σ w n)² · Σ w (w − 1) (x − m n)², m = Σ w x / Σ w n (Särndal, Swensson,
/// Wretman: Model Assisted Survey Sampling, 1992, section 7.7). It has no error where each call was read.
struct KernelCounts: Equatable {
  /// All calls of the kernel, read or not.
  var calls: UInt64
  var sums: kiviat_trace_counts
  var events: [kiviat_trace_count]

  static func == (a: KernelCounts, b: KernelCounts) -> Bool {
    a.calls == b.calls && a.sums.sequence == b.sums.sequence && a.sums.calls == b.sums.calls
  }

  /// What is known of one event.
  struct Estimate: Equatable {
    /// The count in all calls.
    var value: Double
    /// Half of the 95 % interval; 0 for an exact count, `nil` where the error can't be told.
    var margin: Double?
    /// The share of the time in which the counter ran, 0…1; 1 for software events.
    var runningFraction: Double
    /// Whether not all calls were read.
    var isSampled: Bool
  }

  /// Whether any call was read that stands for others.
  private var hasDraws: Bool { sums.draws > 0 || sums.root_weight > 1 }

  /// Fewer draws than this tell nothing of their own scatter.
  static let leastDraws = 5.0

  /// The estimate of an event by its position; `nil` when its counter never ran while the kernel did, or when nothing was read
  /// but first calls.
  func estimate(_ position: Int) -> Estimate? {
    let event = events[position]
    guard sums.weighted_calls > 0, event.value.isFinite else { return nil }
    var fraction = 1.0
    if event.enabled_ns > 0 {
      guard event.running_ns > 0 else { return nil }
      fraction = min(1, event.running_ns / event.enabled_ns)
    }
    let isSampled = sums.calls < calls
    // The first call of an operation is another than the rest: it finds nothing made. It stands for itself alone.
    guard !isSampled || hasDraws else { return nil }
    // The writer may have added a call between the two numbers.
    let whole = isSampled ? Double(calls) : sums.weighted_calls
    let scale = whole / sums.weighted_calls / fraction
    // Readings of several threads are not of one moment, so a count of nothing may come out just below it.
    let value = max(0, event.value * scale)
    guard isSampled else {
      return Estimate(value: value, margin: fraction < 1 ? nil : 0, runningFraction: fraction, isSampled: false)
    }
    return Estimate(value: value, margin: margin(event, scale: scale), runningFraction: fraction, isSampled: true)
  }

  private func margin(_ event: kiviat_trace_count, scale: Double) -> Double? {
    // The last draw is not in the sums yet.
    let (calls, weight) = (Double(sums.root_calls), sums.root_weight)
    let spread = weight * (weight - 1)
    let draws = Double(sums.draws) + (spread > 0 && calls > 0 ? 1 : 0)
    guard draws >= Self.leastDraws else { return nil }
    let unread = Double(self.calls) - Double(sums.calls)
    if event.value <= 0 {
      // Not one in so many calls: the upper end of the Poisson interval of a count of 0, -ln 0.025.
      return 3.689 * unread / Double(sums.calls)
    }
    let mean = event.value / sums.weighted_calls
    let squares =
      event.squared + spread * event.in_root * event.in_root
      - 2 * mean * (event.by_calls + spread * event.in_root * calls)
      + mean * mean * (sums.calls_squared + spread * calls * calls)
    let variance = max(0, squares) * draws / (draws - 1)
    return Self.quantile(freedom: draws - 1) * variance.squareRoot() * scale
  }

  /// The 97.5 % quantile of Student's t by its expansion about the normal one (Abramowitz and Stegun 26.7.5); within 0.3 %
  /// from four degrees of freedom on.
  static func quantile(freedom: Double) -> Double {
    let z = 1.959963985
    let z2 = z * z
    let first = z * (z2 + 1) / 4
    let second = z * (5 * z2 * z2 + 16 * z2 + 3) / 96
    let third = z * (3 * z2 * z2 * z2 + 19 * z2 * z2 + 17 * z2 - 15) / 384
    return z + (first + (second + third / freedom) / freedom) / freedom
  }

  /// The record of an event.
  func record(_ position: Int, of spec: PerfEventSpec, isReduced: Bool, kernel: Int64) -> KernelCounter {
    func record(_ value: Measured<Double>, _ interval: ClosedRange<Double>? = nil) -> KernelCounter {
      KernelCounter(kernel: kernel, event: spec.name, unit: spec.unit, value: value, interval: interval)
    }
    guard let estimate = estimate(position) else {
      if sums.calls < calls, !hasDraws {
        return record(
          .unavailable(
            Unavailable(
              "only the first of its calls was read: reading takes long beside its operations",
              remedy: "a longer run")))
      }
      return record(
        .unavailable(
          Unavailable("its counter never ran while this kernel did", remedy: "count fewer events: --kernel-events")))
    }
    let isProcessor = spec.kind == .hardware || spec.kind == .device
    let isScaled = estimate.runningFraction < 1
    var details: [String] = []
    if estimate.isSampled { details.append("read in \(sums.calls) of \(calls) calls") }
    if isReduced, !spec.isModeless { details.append("user mode only") }
    details.append("less the cost of reading")
    let source: Provenance.Source =
      estimate.isSampled
      ? .sampled : !isProcessor ? .softwareCounter : isScaled ? .scaledCounter : .hardwareCounter
    let provenance = Provenance(
      source, runningFraction: isScaled ? estimate.runningFraction : nil, detail: details.joined(separator: "; "))
    let value = estimate.value * spec.scale
    guard let margin = estimate.margin, margin > 0 || estimate.isSampled else {
      return record(.measured(value, provenance))
    }
    let half = margin * spec.scale
    return record(.measured(value, provenance), max(0, value - half)...(value + half))
  }
}
