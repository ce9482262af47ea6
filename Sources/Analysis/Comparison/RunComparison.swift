// Is B faster than A, slower, or the same: two sets of runs of one command or benchmark, before and after a change?
import ProfileModel

/// Two sets of runs compared, number by number and kernel by kernel.
///
/// No number in it is NaN or infinite. All texts that come from the profiles (names, paths, settings) are untrusted and are
/// passed on as they are.
public struct RunComparison: Codable, Sendable, Equatable {
  /// What can be said of B.
  public enum Verdict: String, Codable, Sendable, Equatable {
    /// It surely does the same in less time, or more in the same time.
    case faster
    /// It surely takes more time.
    case slower
    /// Of a number that is no speed: surely more.
    case higher
    /// Surely less.
    case lower
    /// Surely as A, but for less than the margin.
    case same
    /// Nothing is sure.
    case cantTell = "can't tell"
  }
  /// One side.
  public struct Side: Codable, Sendable, Equatable {
    /// Repetitions that are no part of the sample.
    public struct LeftOut: Codable, Sendable, Equatable {
      /// How many.
      public var count: Int
      /// Why.
      public var reason: String
    }
    /// How the caller calls it: a path.
    public var name: String
    /// What was run, in one line.
    public var title: String
    /// Number of profiles.
    public var profiles: Int
    /// Number of repetitions in them.
    public var repetitions: Int
    /// Repetitions that count: they came to their end.
    public var counted: Int
    /// The others.
    public var leftOut: [LeftOut]
    /// When the first repetition began, nanoseconds since 1970.
    public var startedAtUnixNanoseconds: Int64?
  }
  /// One number on both sides.
  public struct Metric: Codable, Sendable, Equatable {
    /// A stable dotted name: `wall`, `training.samples_per_second`, `counter.instructions`.
    public var name: String
    /// In plain words.
    public var label: String
    /// Its unit.
    public var unit: String
    /// Whether B's is better, where one is sure and either way is better.
    public var isBetter: Bool?
    /// Both samples and their difference.
    public var contrast: Contrast
    /// What can be said.
    public var verdict: Verdict
  }
  /// Numbers that could not be compared for one common reason.
  public struct Gap: Codable, Sendable, Equatable {
    /// Their labels.
    public var labels: [String]
    /// Why.
    public var reason: String
    /// What would help.
    public var remedy: String?
  }

  /// Side A: before the change, or the machine to compare with.
  public var a: Side
  /// Side B.
  public var b: Side
  /// What can be said of B as a whole: the primary metric's verdict.
  public var verdict: Verdict
  /// The verdict in a sentence or two.
  public var summary: [String]
  /// Name of the metric that the verdict goes by; `nil` when there is none.
  public var primary: String?
  /// Why it is that one, or why there is none.
  public var primaryReason: String
  /// All metrics that both sides have, the primary one first.
  public var metrics: [Metric]
  /// Kernels by name.
  public var kernels: Measured<KernelComparison>
  /// The call trees, one upon the other.
  public var flame: Measured<FlameDifference>
  /// What else differs: settings, machine, model.
  public var differences: [SideDifference]
  /// What of it a reader must know before believing the verdict, as sentences.
  public var remarks: [String]
  /// What could not be compared, and why.
  public var notCompared: [Gap]
  /// Differences below this share count as none, 0…1.
  public var margin: Double
  /// How it is decided.
  public var method: String

  /// The primary metric.
  public var primaryMetric: Metric? { metrics.first { $0.name == primary } }
}

/// The profiles of one side.
public struct ComparedRuns: Sendable {
  /// What to call them: a path.
  public var name: String
  /// At least one; each with any number of repetitions.
  public var profiles: [Profile]

  /// Names a side's profiles.
  public init(name: String, profiles: [Profile]) {
    self.name = name
    self.profiles = profiles
  }
}

extension RunComparison {
  /// Why two sets of runs are not compared.
  public enum Refusal: Error, Sendable, Equatable, CustomStringConvertible {
    /// A side without a profile.
    case nothing(side: String)
    /// A side of several benchmarks.
    case mixed(side: String, benchmarks: [String])
    /// Different benchmarks.
    case differentBenchmarks(a: String, b: String)
    /// The same run on both sides.
    case sameRuns(count: Int)

    /// Cause and way out.
    public var description: String {
      switch self {
      case .nothing(let side): "\(side) has no profile"
      case .mixed(let side, let benchmarks):
        "\(side) holds runs of \(Words.list(benchmarks.map { Words.name($0) })): name the profile of one of them"
      case .differentBenchmarks(let a, let b):
        "A is \(Words.name(a)) and B is \(Words.name(b)): a comparison would say nothing about either; "
          + "--force compares them all the same"
      case .sameRuns(let count):
        "A and B have \(Words.count(count, "run")) in common: a run compared with itself says nothing; "
          + "profile it again for what varies from run to run: kiviat profile -r 5"
      }
    }
  }

  /// What a profile is of, as far as comparing goes: benchmarks by their id; all commands are one kind, since before and
  /// after a change they may have other names.
  public static func subject(of profile: Profile) -> String {
    let settings = profile.settings
    let isBenchmark = settings["kind"] == "benchmark" || (settings["kind"] == nil && settings["benchmark"] != nil)
    if isBenchmark { return settings["benchmark"] ?? "a benchmark without a name" }
    return settings["suite.id"] ?? "a command"
  }

  /// Compares B with A. Pure: the machine is not looked at.
  ///
  ///     let before = ComparedRuns(name: "before.kiviat", profiles: [try Profile(contentsOf: "before.kiviat")])
  ///     let after = ComparedRuns(name: "after.kiviat", profiles: [try Profile(contentsOf: "after.kiviat")])
  ///     print(try RunComparison(before, after).summary.joined(separator: " "))
  ///
  /// - Parameters:
  ///   - margin: differences below this share count as none; above 0.
  ///   - isForced: whether different benchmarks are compared all the same.
  /// - Throws: ``Refusal``.
  public init(
    _ first: ComparedRuns, _ second: ComparedRuns, margin: Double = Contrast.defaultMargin, isForced: Bool = false
  ) throws(Refusal) {
    precondition(margin > 0, "a margin is above 0")
    try Self.check(first, second, isForced: isForced)
    let isAnySuccess = (first.profiles + second.profiles).contains { profile in
      profile.repetitions.contains { $0.repetition.isFinished && $0.repetition.exitStatus == 0 }
    }
    let samples = [first, second].map { SideSample($0, needsSuccess: isAnySuccess) }
    let (one, two) = (samples[0], samples[1])
    (a, b) = (one.side, two.side)
    self.margin = margin
    let differences = SideDifference.all(one, two)
    self.differences = differences
    let length = RunLength(one, two)

    var gaps = GapCollector()
    var metrics = Self.metrics(one, two, length: length, margin: margin, &gaps)
    (primary, primaryReason) = Self.primary(one, two, metrics)
    let primary = primary
    if let index = metrics.firstIndex(where: { $0.name == primary }) {
      metrics.insert(metrics.remove(at: index), at: 0)
    }
    // The primary metric was chosen before anybody saw its numbers; the others are many.
    let others = metrics.indices.filter { metrics[$0].name != primary && metrics[$0].contrast.pValue.value != nil }
    let corrected = Statistics.holm(others.compactMap { metrics[$0].contrast.pValue.value })
    for (index, p) in zip(others, corrected) { metrics[index].contrast.decide(correctedP: p, margin: margin) }
    for index in metrics.indices { metrics[index].judge(one, two) }
    self.metrics = metrics
    kernels = KernelComparison.of(one, two, length: length, margin: margin)
    flame = FlameDifference.of(one, two)
    notCompared = gaps.gaps
    remarks = SideDifference.remarks(differences, one, two, length: length)
    method = Self.method(margin: margin)
    let shown = metrics.first { $0.name == primary }
    verdict = shown?.verdict ?? .cantTell
    summary = Self.summary(shown, why: primaryReason, margin: margin)
  }

  private static func check(_ first: ComparedRuns, _ second: ComparedRuns, isForced: Bool) throws(Refusal) {
    for side in [first, second] {
      guard !side.profiles.isEmpty else { throw .nothing(side: side.name) }
      let subjects = side.profiles.map(subject)
      let different = subjects.indices.filter { subjects.firstIndex(of: subjects[$0]) == $0 }.map { subjects[$0] }
      guard different.count == 1 || isForced else { throw .mixed(side: side.name, benchmarks: different) }
    }
    let (a, b) = (subject(of: first.profiles[0]), subject(of: second.profiles[0]))
    guard a == b || isForced else { throw .differentBenchmarks(a: a, b: b) }
    // A run is known by when it began: no two begin in the same nanosecond.
    let runs = [first, second].map { side in
      Set(side.profiles.flatMap { $0.repetitions.map(\.repetition) }.filter { $0.startedAtUnixNanoseconds != 0 })
    }
    let common = runs[0].intersection(runs[1]).count
    guard common == 0 else { throw .sameRuns(count: common) }
  }

  private static func metrics(
    _ one: SideSample, _ two: SideSample, length: RunLength, margin: Double, _ gaps: inout GapCollector
  ) -> [Metric] {
    let sides = [one, two].map { NumberTable($0.runs) }
    var names = sides[0].names
    names += sides[1].names.filter { !names.contains($0) }
    return names.compactMap { name -> Metric? in
      guard let number = sides[0].numbers[name]?.first ?? sides[1].numbers[name]?.first else { return nil }
      let values = sides.map { side in (side.numbers[name] ?? []).compactMap(\.value.value) }
      if values.contains(where: \.isEmpty) {
        let index = values[0].isEmpty ? 0 : 1
        let isNeither = values[0].isEmpty && values[1].isEmpty
        if isNeither, number.isDerived { return nil }
        let why =
          sides[index].numbers[name]?.first?.value.unavailable
          ?? Unavailable(sides[index].count == 0 ? "no repetition came to its end" : "not in its profiles")
        gaps.add(
          number.label, isNeither ? why.reason : "\(index == 0 ? "A" : "B") has none: \(why.reason)", why.remedy)
        return nil
      }
      if number.isTotal, let why = length.whyTotalsDontCompare {
        gaps.add(number.label, why, nil)
        return nil
      }
      return Metric(
        name: name, label: number.label, unit: number.unit, isBetter: nil,
        contrast: Contrast(values[0], values[1], margin: margin), verdict: .cantTell)
    }
  }

  /// Commands: what their user waits for. Benchmarks: samples a second, which batch size and number of steps don't change.
  private static func primary(
    _ one: SideSample, _ two: SideSample, _ metrics: [Metric]
  ) -> (name: String?, reason: String) {
    if let empty = [("A", one), ("B", two)].first(where: { $0.1.runs.isEmpty })?.0 {
      return (nil, "no repetition of \(empty) came to an end that counts")
    }
    let kinds = [one, two].map(\.isBenchmark)
    if kinds.contains(false) || [one, two].allSatisfy({ !$0.hasLog }) {
      return metrics.contains { $0.name == "wall" }
        ? ("wall", "wall time: what whoever runs it waits for")
        : (nil, "the wall times don’t compare, and the runs have no other measure of speed")
    }
    for (name, reason) in [
      (
        "training.samples_per_second",
        "samples a second: of a training step, whatever the number of steps, with neither start-up nor evaluation"
      ),
      (
        "inference.samples_per_second",
        "samples a second: of the queries alone, whatever their number, with neither start-up nor warm-up"
      ),
    ] where metrics.contains(where: { $0.name == name }) { return (name, reason) }
    return (nil, "the two sides have no measure of speed in common: samples a second are not in both")
  }

  private static func summary(_ metric: Metric?, why: String, margin: Double) -> [String] {
    guard let metric else { return ["Can’t tell whether B is faster or slower: \(why)."] }
    let contrast = metric.contrast
    let label = Words.name(metric.label)
    let seen = contrast.effect.map { "\(label) \(Words.change($0))" } ?? "\(label) does not compare"
    let numbers =
      (contrast.effectInterval.map { "95 % interval \(Words.change($0.lower)) to \(Words.change($0.upper)); " } ?? "")
      + "\(Words.count(contrast.a.count, "repetition")) of A, \(contrast.b.count) of B"
    switch metric.verdict {
    case .faster, .slower, .higher, .lower: return ["B is \(metric.verdict.rawValue): \(seen) (\(numbers))."]
    case .same:
      return [
        "B is as fast as A: \(seen) (\(numbers)); differences below \(Words.plainPercent(margin)) count as none."
      ]
    case .cantTell:
      return ["Can’t tell whether B is faster or slower: \(seen) (\(numbers))."]
        + (contrast.reason.map { ["\($0.reason.prefix(1).uppercased())\($0.reason.dropFirst())."] } ?? [])
        + (contrast.reason?.remedy.map { ["What would help: \($0)."] } ?? [])
    }
  }

  static func method(margin: Double) -> String {
    """
    Each finished repetition is one value. The effect is B ÷ A − 1 of the geometric means; its 95 % interval and p-value are \
    of Welch's t test on logarithms, which lets the sides vary differently (of the values themselves, without an interval, \
    where one is zero). It gets no more degrees of freedom than two samples of the smaller one's size have. B is called different when p is below \(Words.decimal(Contrast.level * 100, 1)) %, and the same \
    when the whole interval is within ±\(Words.plainPercent(margin)) (two one-sided tests); otherwise it can’t be told. The \
    metric that the verdict goes by is decided by its own p-value, the other metrics and the kernels by Holm's correction \
    for their number: the chance that even one among them is called different wrongly stays below \
    \(Words.decimal(Contrast.level * 100, 1)) %. Repetitions that followed one another share the state of their machine: \
    where a small difference matters, run A and B in turns.
    """
  }
}

extension RunComparison.Metric {
  /// Turns the finding into a verdict, by which way is better.
  fileprivate mutating func judge(_ one: SideSample, _ two: SideSample) {
    let direction = (one.directions[name] ?? two.directions[name]) ?? .none
    switch (contrast.finding, direction) {
    case (.same, _): verdict = .same
    case (.cantTell, _): verdict = .cantTell
    case (.lower, .shorter), (.higher, .faster): (verdict, isBetter) = (.faster, true)
    case (.higher, .shorter), (.lower, .faster): (verdict, isBetter) = (.slower, false)
    case (.lower, .less): (verdict, isBetter) = (.lower, true)
    case (.higher, .less): (verdict, isBetter) = (.higher, false)
    case (.lower, .none): verdict = .lower
    case (.higher, .none): verdict = .higher
    }
  }
}

/// Numbers by name, of all repetitions of a side.
private struct NumberTable {
  var names: [String] = []
  var numbers: [String: [ComparedNumber]] = [:]
  var count: Int

  init(_ runs: [SideSample.Counted]) {
    count = runs.count
    for run in runs {
      for number in run.numbers {
        if numbers[number.name] == nil { names.append(number.name) }
        numbers[number.name, default: []].append(number)
      }
    }
  }
}

/// Gaps with one reason and one remedy in one row, in the order of their first appearance.
private struct GapCollector {
  var gaps: [RunComparison.Gap] = []

  mutating func add(_ label: String, _ reason: String, _ remedy: String?) {
    if let index = gaps.firstIndex(where: { $0.reason == reason && $0.remedy == remedy }) {
      gaps[index].labels.append(label)
    } else {
      gaps.append(RunComparison.Gap(labels: [label], reason: reason, remedy: remedy))
    }
  }
}

extension Words {
  /// A share without needless decimals: `2 %`, `0.5 %`.
  static func plainPercent(_ share: Double) -> String {
    let percent = share * 100
    return percent == percent.rounded() ? "\(decimal(percent, 0)) %" : "\(significant(percent)) %"
  }
}
