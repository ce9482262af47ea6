// How does CUPTI's clock run against CLOCK_MONOTONIC?

/// Readings of both clocks. Where the agent's clock could be installed in CUPTI the two are the same; else CUPTI's is
/// the wall clock, which drifts and is set.
struct CuptiClock: Hashable, Sendable {
  /// Both clocks at one time, in nanoseconds.
  struct Pair: Hashable, Sendable {
    var cupti: UInt64
    var monotonic: UInt64
    /// Between the readings of `CLOCK_MONOTONIC` before and after: the pair is right to half of it.
    var width: UInt64
  }

  /// In the order in which they were taken.
  var pairs: [Pair] = []

  /// Whether CUPTI's clock is `CLOCK_MONOTONIC`: no pair says otherwise.
  var isMonotonic: Bool {
    pairs.allSatisfy { Self.distance($0.cupti, $0.monotonic) <= $0.width }
  }

  /// How much faster CUPTI's clock ran than `CLOCK_MONOTONIC`, from the first pair to the last; `nil` for fewer than two.
  var drift: Double? {
    guard let first = pairs.first, let last = pairs.last, last.monotonic > first.monotonic else { return nil }
    return Self.difference(last.cupti, first.cupti) / Self.difference(last.monotonic, first.monotonic) - 1
  }

  /// A time of CUPTI's on `CLOCK_MONOTONIC`: between two pairs on the line through them, outside with the nearest pair's
  /// offset. The time itself when there are no pairs.
  func monotonic(_ time: UInt64) -> UInt64 {
    guard let first = pairs.first, !isMonotonic else { return time }
    // The clock may have been set back: then a time can lie in several places, and the first is taken.
    for (a, b) in zip(pairs, pairs.dropFirst()) where a.cupti <= time && time <= b.cupti && a.cupti < b.cupti {
      let share = Self.difference(time, a.cupti) / Self.difference(b.cupti, a.cupti)
      return Self.add(a.monotonic, share * Self.difference(b.monotonic, a.monotonic))
    }
    let nearest = pairs.min { Self.distance($0.cupti, time) < Self.distance($1.cupti, time) } ?? first
    return Self.add(nearest.monotonic, Self.difference(time, nearest.cupti))
  }

  private static func distance(_ a: UInt64, _ b: UInt64) -> UInt64 { a > b ? a - b : b - a }

  /// Of times that are near each other; exact below 2⁵³ ns, 104 days.
  private static func difference(_ a: UInt64, _ b: UInt64) -> Double {
    a >= b ? Double(a - b) : -Double(b - a)
  }

  private static func add(_ time: UInt64, _ difference: Double) -> UInt64 {
    // A damaged file has any numbers: what leaves the range ends at its ends.
    guard difference.magnitude < 0x1p62 else { return difference < 0 ? 0 : .max }
    let whole = UInt64(difference.magnitude.rounded())
    if difference < 0 { return time - min(time, whole) }
    let (sum, overflowed) = time.addingReportingOverflow(whole)
    return overflowed ? .max : sum
  }
}
