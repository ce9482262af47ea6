// Do two samples differ, by how much, and is it more than chance; or are they surely the same but for a margin?
import Foundation
import ProfileModel

/// What two samples of one number, from side A and from side B, say about their difference.
public struct Contrast: Codable, Sendable, Equatable {
  /// The values of one side, one a repetition.
  public struct Sample: Codable, Sendable, Equatable {
    /// How many there are.
    public var count: Int
    /// Their mean; `nil` for none.
    public var mean: Double?
    /// Their median; `nil` for none.
    public var median: Double?
    /// The values, in the order of the repetitions.
    public var values: [Double]

    init(_ values: [Double]) {
      count = values.count
      let mean = values.reduce(0) { $0 + $1 / Double(values.count) }
      self.mean = values.isEmpty || !mean.isFinite ? nil : mean
      median = values.isEmpty ? nil : Statistics.median(values)
      self.values = values
    }
  }
  /// What can be said of B.
  public enum Finding: String, Codable, Sendable, Equatable {
    /// Surely less than A.
    case lower
    /// Surely more than A.
    case higher
    /// Surely as A, but for less than the margin.
    case same
    /// Neither is sure.
    case cantTell = "can't tell"
  }

  /// Side A.
  public var a: Sample
  /// Side B.
  public var b: Sample
  /// B ÷ A: of the geometric means, or of the means where a value is zero or negative.
  public var ratio: Measured<Double>
  /// 95 % confidence interval of the ratio.
  public var interval: Measured<Interval>
  /// The probability of a difference at least as large when there is none.
  public var pValue: Measured<Double>
  /// The same, corrected for the number of comparisons made (Holm); what the finding goes by.
  public var correctedP: Measured<Double>
  /// What can be said.
  public var finding: Finding
  /// Why nothing can be said and what would help; `nil` where something can.
  public var reason: Unavailable?

  /// Effect: ratio − 1, as 0.05 for 5 % more.
  public var effect: Double? { ratio.value.map { $0 - 1 } }
  /// 95 % confidence interval of the effect.
  public var effectInterval: (lower: Double, upper: Double)? {
    interval.value.flatMap { interval in interval.upper.map { (interval.lower - 1, $0 - 1) } }
  }
}

extension Contrast {
  /// A difference is called one below this p-value. Runs vary in more ways than a test assumes, and a wrong alarm costs a
  /// search for what is not there: so 0.5 %, not 5 %. Simulation finds two sets of runs of the same thing called
  /// different in less than 1 % of cases also with outliers, and a change of 3 % at 1 % noise missed in less than 1 % of
  /// cases with ten runs a side.
  public static let level = 0.005
  /// Of the intervals that are shown.
  public static let confidence = 0.95
  /// Differences below this share don't matter unless the user says otherwise.
  public static let defaultMargin = 0.02

  /// Compares two samples of finite values.
  ///
  /// - Parameter margin: `same` needs the whole interval within 1 ÷ (1 + margin) … 1 + margin. That is two one-sided tests
  ///   (Schuirmann 1987), each at 2.5 %.
  init(_ first: [Double], _ second: [Double], margin: Double = defaultMargin) {
    (a, b) = (Sample(first), Sample(second))
    let few = Self.few(first.count, second.count)
    interval = .unavailable(few ?? Unavailable("zero or negative in some repetitions: a ratio has no sure bounds"))
    pValue = .unavailable(few ?? Unavailable("the values are beyond arithmetic"))
    correctedP = pValue
    finding = .cantTell
    let isPositive = (first + second).allSatisfy { $0 > 0 }
    ratio = Self.ratio(first, second, isPositive: isPositive)
    if few == nil {
      if Self.isConstant(first), Self.isConstant(second) {
        compareConstants()
      } else if isPositive, let test = Self.test(first.map { log($0) }, second.map { log($0) }) {
        let bounds = test.interval(level: Self.confidence)
        if exp(bounds.lower).isFinite, exp(bounds.upper).isFinite {
          interval = Measured(
            Interval(lower: exp(bounds.lower), upper: exp(bounds.upper), level: Self.confidence), .derived,
            detail: "Welch's t on logarithms, \(Words.decimal(test.freedom, 1)) degrees of freedom")
        }
        pValue = Measured(test.pValue, .derived, detail: "Welch's t on logarithms")
      } else if let test = Self.test(first, second) {
        pValue = Measured(test.pValue, .derived, detail: "Welch's t")
      }
    }
    decide(correctedP: pValue.value, margin: margin)
  }

  /// Welch's test. Of few values beside many it finds too much: the degrees of freedom are themselves estimated, and of two
  /// runs against ten it calls equal ones different at the level of 0.5 % in 3 % of cases. So there are no more of them than
  /// two samples of the smaller one's size could have, which keeps all sizes below 1 %.
  static func test(_ first: [Double], _ second: [Double]) -> WelchTest? {
    Statistics.welch(first, second)?.limited(toFreedom: Double(2 * (min(first.count, second.count) - 1)))
  }

  /// Decides again, by a p-value that is corrected for many comparisons.
  mutating func decide(correctedP: Double?, margin: Double) {
    self.correctedP = correctedP.map { Measured($0, .derived, detail: "Holm's correction") } ?? pValue
    reason = nil
    finding = .cantTell
    if let bounds = interval.value, let upper = bounds.upper, bounds.lower >= 1 / (1 + margin), upper <= 1 + margin {
      finding = .same
    } else if let p = correctedP, p < Self.level, let a = a.mean, let b = b.mean {
      // By the ratio where there is one: of skewed values the means may differ the other way.
      finding = (ratio.value.map { $0 < 1 } ?? (b < a)) ? .lower : .higher
    } else {
      reason = whyNothing(correctedP: correctedP, margin: margin)
    }
  }

  /// Numbers that vary on neither side have no error to be measured by. Equal ones are the same; of different ones the
  /// number of repetitions alone says how surely they differ, since a coarse scale such as whole epochs may hide variation.
  private mutating func compareConstants() {
    if a.values.first == b.values.first {
      interval = Measured(
        Interval(lower: 1, upper: 1, level: Self.confidence), .derived, detail: "the same number in every repetition")
      pValue = Measured(1, .derived, detail: "the same number in every repetition")
    } else {
      interval = .unavailable(Unavailable("the number varies on neither side: nothing to make an interval from"))
      pValue = Measured(
        Statistics.leastRearrangementP(a.count, b.count), .derived,
        detail: "rearrangement test: the number varies on neither side")
    }
  }

  private func whyNothing(correctedP: Double?, margin: Double) -> Unavailable {
    if let few = Self.few(a.count, b.count) { return few }
    if let p = pValue.value, p < Self.level {
      return Unavailable("sure on its own, not among so many comparisons", remedy: remedy(margin: margin))
    }
    if let (lower, upper) = effectInterval {
      return Unavailable(
        "anything from \(Words.change(lower)) to \(Words.change(upper)) is possible", remedy: remedy(margin: margin))
    }
    if case .unavailable(let why) = pValue { return why }
    return Unavailable(
      "with \(Words.count(a.count, "repetition")) and \(b.count) it may be chance", remedy: remedy(margin: margin))
  }

  /// How many repetitions a side would find a difference as large as the margin nine times in ten, at the variation seen:
  /// normal approximation, n = 2 s² (z + z′)² ÷ margin². Where the interval leaves out 0, the difference that was seen takes the
  /// margin's place: it need not be found more finely than that.
  private func remedy(margin: Double) -> String {
    let least = max(5, min(a.count, b.count) + 1)
    guard a.values.allSatisfy({ $0 > 0 }), b.values.allSatisfy({ $0 > 0 }), margin > 0 else {
      return "kiviat profile -r \(max(least, 10))"
    }
    let (one, two) = (Statistics.moments(a.values.map { log($0) }), Statistics.moments(b.values.map { log($0) }))
    let variance = (one.variance + two.variance) / 2
    let isApart = effectInterval.map { $0.lower > 0 || $0.upper < 0 } ?? false
    let size = isApart ? max(margin, abs(two.mean - one.mean)) : margin
    let sum = Statistics.normalQuantile(1 - Self.level / 2) + Statistics.normalQuantile(0.9)
    let needed = (2 * variance * sum * sum / (size * size)).rounded(.up)
    guard needed <= 50 else {
      return needed < 1e6
        ? "a quieter machine; at this variation it takes about \(Int(needed)) repetitions a side" : "a quieter machine"
    }
    return "kiviat profile -r \(max(least, Int(needed)))"
  }

  /// Why there are too few values, when there are.
  private static func few(_ first: Int, _ second: Int) -> Unavailable? {
    let few = [("A", first), ("B", second)].filter { $0.1 < 2 }
    guard let fewest = few.min(by: { $0.1 < $1.1 }) else { return nil }
    if fewest.1 == 0 {
      let sides = Words.list(few.filter { $0.1 == 0 }.map(\.0))
      return Unavailable("no repetition of \(sides) has it")
    }
    return Unavailable(
      "one repetition of \(Words.list(few.map(\.0))) tells nothing about how much it varies",
      remedy: "kiviat profile -r 5")
  }

  private static func ratio(_ first: [Double], _ second: [Double], isPositive: Bool) -> Measured<Double> {
    guard !first.isEmpty, !second.isEmpty else {
      return .unavailable(few(first.count, second.count) ?? Unavailable("no values"))
    }
    let result: Double
    if isPositive {
      result = exp(Statistics.mean(second.map { log($0) }) - Statistics.mean(first.map { log($0) }))
    } else {
      let (a, b) = (Statistics.mean(first), Statistics.mean(second))
      if a == b { return Measured(1, .derived, detail: "equal means") }
      guard a > 0, b >= 0 else {
        return .unavailable(Unavailable(a == 0 ? "A's mean is zero" : "a mean is negative: no ratio"))
      }
      result = b / a
    }
    guard result.isFinite, isPositive ? result > 0 : true else {
      return .unavailable(Unavailable("the ratio is beyond arithmetic"))
    }
    return Measured(result, .derived, detail: isPositive ? "B ÷ A, geometric means" : "B ÷ A, means")
  }

  private static func isConstant(_ values: [Double]) -> Bool { values.allSatisfy { $0 == values.first } }
}

extension Words {
  /// `+5.1 %`, `−0.3 %`, `×12` for what is more than ten times as much.
  static func change(_ effect: Double) -> String {
    if effect > 9 { return "×\(significant(effect + 1))" }
    let text = decimal(abs(effect) * 100, abs(effect) < 0.9995 ? 1 : 0)
    let isNothing = text.allSatisfy { $0 == "0" || $0 == "." }
    return "\(isNothing ? "" : effect < 0 ? "−" : "+")\(text) %"
  }

  /// `1 repetition`, `5 repetitions`.
  static func count(_ number: Int, _ noun: String) -> String { "\(number) \(noun)\(number == 1 ? "" : "s")" }
}
