// How often did an event happen while a counter took turns with others, and how sure is that?

/// The counts of a group of events that was on the counters for a part of the time, scaled up with an interval.
///
/// The kernel lets groups take turns of some milliseconds; the group is read at every tick. The time between two reads is a
/// stratum: within it the counts are scaled by enabled ÷ running time, and the sum over the strata is the estimate
/// (a separate ratio estimator; Cochran, *Sampling Techniques*, 1977, 6.10). Where the share of the time is the same in
/// all of them this is the usual count × enabled ÷ running; where it is not, as when a load changes its phase while more
/// groups compete, it is without that one's bias.
///
/// What happens inside a stratum is not seen, so its variance is taken from the differences of neighbouring strata's
/// rates (Cochran 8.11; Wolter, *Introduction to Variance Estimation*, 2007, 8.2). Two things make that honest:
///
/// - Where nothing tells a real change from neighbour to neighbour from an error, it counts as error: the interval is too wide
///   rather than too narrow.
/// - Few large differences, a few bursts in a quiet run, are little evidence. The degrees of freedom of Student's t are
///   Satterthwaite's (Cochran 5.4), (Σ vᵢ)² ÷ Σ vᵢ², so that one difference alone gives the factor 12.7.
///
/// Turns are regular, and a load may alternate nearly as fast as they come round. Then the same half of it is seen for many
/// turns on end, and the rates make a slow wave that is all error. Two things are for that:
///
/// - Turns taken at random would have the finite population correction 1 − f, f being the running share. Such a wave's error
///   is not reduced by it; at most 2 (1 − f) covers it, which is what is used.
/// - The wave may be longer than neighbouring strata show: variances are taken from single strata and from pairs of them,
///   and the greater one counts.
///
/// A real change of phase is no error. All groups see it, and each sees it in times of its own; so what they have in common is
/// taken off the differences (as with an auxiliary variable; Cochran 7.1), and what is left is the turns' doing, or that events
/// answer differently to a phase. A wave from turns is no common change: what one group sees more of, the others see less of.
/// The mean is of the *other* groups', so that a group does not take off what is its own. Where that makes the variance greater,
/// as when only the others change, it stays without.
///
/// What no estimate from these counts can see: a load that alternates exactly in step with the turns for the whole run.
/// Counting without turns (`--no-multiplex`) is for that.
struct MultiplexEstimate: Sendable {
  /// A total with its interval.
  struct Total: Equatable {
    /// Scaled up to the whole enabled time.
    var count: Double
    /// 95 % of intervals made in this way hold the true count; `nil` with fewer than two strata.
    var interval: ClosedRange<Double>?
  }

  /// Totals and rates of strata of one length.
  private struct Level {
    /// What is summed up of one event.
    struct Member {
      var pending = 0.0
      /// Counts per nanosecond in the last stratum.
      var rate = 0.0
      /// The last two strata's rates: their difference and their mean.
      var difference = 0.0
      var mean = 0.0
      /// By its own differences, and by what is left of them when the other groups' common change is taken off.
      var own = Variance()
      var adjusted = Variance()
    }

    /// A sum of variances with its degrees of freedom.
    struct Variance {
      var sum = 0.0
      var squares = 0.0

      mutating func add(_ variance: Double) {
        sum += variance
        squares += variance * variance
      }

      /// Half of an interval: n strata have n − 1 differences between them.
      func halfWidth(strata: Int) -> Double {
        let freedom = squares > 0 ? sum * sum / squares : Double(strata - 1)
        return MultiplexEstimate.studentFactor(freedom)
          * (sum * Double(strata) / Double(strata - 1)).squareRoot()
      }
    }

    var members: [Member]
    /// How many of the shortest strata make one of these.
    let length: Int
    private var parts = 0
    private var enabled = 0.0
    private var running = 0.0
    private(set) var strata = 0
    /// Of the last stratum: its running time, and the weight of its rate's variance.
    private var previousRunning = 0.0
    private var previousWeight = 0.0
    /// From a squared difference of the last two rates to a variance.
    private var factor = 0.0
    /// How the rates changed from the stratum before to the last, relative to their mean, in the mean over the events;
    /// `nil` when that is settled.
    private(set) var change: Double?

    init(length: Int, count: Int) {
      self.length = length
      members = [Member](repeating: Member(), count: count)
    }

    /// Takes one of the shortest strata.
    mutating func add(enabled more: Double, running moreRunning: Double, counts: [Double]) {
      enabled += more
      running += moreRunning
      for index in members.indices { members[index].pending += counts[index] }
      parts += 1
      guard parts == length else { return }
      let weight = enabled * enabled / running * min(1, 2 * (1 - running / enabled))
      // Two rates of one population differ by its variance over their times; that gives the population's, and with the
      // weights the variance of their scaled counts.
      factor = strata > 0 ? (weight + previousWeight) / 2 / (1 / running + 1 / previousRunning) : 0
      var changes = 0.0
      for index in members.indices {
        let rate = members[index].pending / running
        members[index].difference = rate - members[index].rate
        members[index].mean = (rate + members[index].rate) / 2
        if members[index].mean > 0 { changes += members[index].difference / members[index].mean }
        members[index].rate = rate
        members[index].pending = 0
      }
      change = strata > 0 ? changes / Double(members.count) : nil
      strata += 1
      (previousRunning, previousWeight) = (running, weight)
      (parts, enabled, running) = (0, 0, 0)
    }

    /// Takes the last difference into account.
    ///
    /// - Parameter common: How the other groups' rates changed meanwhile, relative to their means.
    mutating func settle(common: Double?) {
      guard change != nil else { return }
      change = nil
      for index in members.indices {
        let member = members[index]
        let rest = member.difference - (common ?? 0) * member.mean
        members[index].own.add(member.difference * member.difference * factor)
        members[index].adjusted.add(rest * rest * factor)
      }
    }

    func halfWidth(_ index: Int) -> Double {
      min(members[index].own.halfWidth(strata: strata), members[index].adjusted.halfWidth(strata: strata))
    }
  }

  private var single: Level
  private var pairs: Level
  /// Of each event the reading before, and the count scaled up.
  private var last: [UInt64]
  private var scaled: [Double]
  private var pending: [Double]
  private var lastEnabled: UInt64 = 0
  private var lastRunning: UInt64 = 0
  /// Nanoseconds since the last stratum was closed.
  private var pendingEnabled = 0.0
  private var pendingRunning = 0.0
  /// Nanoseconds of the closed strata.
  private var closedEnabled = 0.0

  /// Pairs fewer than these tell little, and their factor of few degrees of freedom would make any interval useless.
  private static let leastPairs = 4

  /// Whether it was seen to run less than it was enabled.
  var takesTurns: Bool { lastRunning < lastEnabled }

  /// An estimate for a group of `count` events.
  init(count: Int) {
    single = Level(length: 1, count: count)
    pairs = Level(length: 2, count: count)
    last = [UInt64](repeating: 0, count: count)
    scaled = [Double](repeating: 0, count: count)
    pending = scaled
  }

  /// How the group's rates changed with the last reading, over single strata and over pairs.
  var changes: (single: Double?, pairs: Double?) { (single.change, pairs.change) }

  /// Takes the last reading into account.
  ///
  /// - Parameter common: The mean of the other groups' ``changes``.
  mutating func settle(common: (single: Double?, pairs: Double?) = (nil, nil)) {
    single.settle(common: common.single)
    pairs.settle(common: common.pairs)
  }

  /// Takes a reading; all numbers are totals since the beginning. ``settle(common:)`` follows.
  mutating func add(_ reading: GroupReading) {
    pendingEnabled += Double(reading.enabled) - Double(lastEnabled)
    pendingRunning += Double(reading.running) - Double(lastRunning)
    (lastEnabled, lastRunning) = (reading.enabled, reading.running)
    for index in last.indices {
      pending[index] += Double(reading.counts[index]) - Double(last[index])
      last[index] = reading.counts[index]
    }
    // A stratum in which it never ran tells nothing: it goes together with the next.
    guard pendingRunning > 0, pendingEnabled > 0 else { return }
    let enabled = max(pendingEnabled, pendingRunning)
    for index in scaled.indices { scaled[index] += pending[index] * enabled / pendingRunning }
    single.add(enabled: enabled, running: pendingRunning, counts: pending)
    pairs.add(enabled: enabled, running: pendingRunning, counts: pending)
    closedEnabled += enabled
    (pendingEnabled, pendingRunning) = (0, 0)
    for index in pending.indices { pending[index] = 0 }
  }

  /// The total of one event so far; `nil` when the group never ran.
  func total(_ index: Int) -> Total? {
    guard closedEnabled > 0 else { return nil }
    // The end of the run, in which it had no turn any more, is taken to be as the rest.
    let stretch = (closedEnabled + max(0, pendingEnabled)) / closedEnabled
    let count = scaled[index] * stretch
    guard single.strata > 1 else { return Total(count: count, interval: nil) }
    let seen = Double(last[index])
    // Counts are whole: what is estimated to be constant may still be off by a count at each end of a turn.
    var half = max(single.halfWidth(index), count / max(seen, 1))
    if pairs.strata >= Self.leastPairs { half = max(half, pairs.halfWidth(index)) }
    // What was counted did happen.
    let low = min(count, max(seen, count - half * stretch))
    return Total(count: count, interval: low...(count + half * stretch))
  }

  /// 97.5 % of Student's t lie below it, for 95 % on both sides. From tables; between two entries straight in 1 ÷ freedom,
  /// which is never too small, as the function bends upwards.
  static func studentFactor(_ freedom: Double) -> Double {
    let table: [(freedom: Double, factor: Double)] = [
      (1, 12.7063), (2, 4.3027), (3, 3.1825), (4, 2.7765), (5, 2.5706), (6, 2.4470), (8, 2.3061), (10, 2.2282),
      (15, 2.1315), (20, 2.0860), (30, 2.0423), (60, 2.0003), (120, 1.9800), (.infinity, 1.9600),
    ]
    guard freedom > 1 else { return 12.7063 }
    for (lower, upper) in zip(table, table.dropFirst()) where freedom <= upper.freedom {
      let span = 1 / lower.freedom - 1 / upper.freedom
      let share = (1 / lower.freedom - 1 / freedom) / span
      return lower.factor + share * (upper.factor - lower.factor)
    }
    return 1.96
  }
}
