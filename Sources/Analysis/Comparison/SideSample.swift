// Which repetitions of a side count, and how long were its runs?
import ProfileModel

extension Repetition {
  /// Whether the target came to an end of its own.
  var isFinished: Bool { state == .finished && signal == nil }
}

/// The runs of one side of a comparison: the repetitions that count, with their numbers.
struct SideSample {
  /// A repetition that counts.
  struct Counted {
    var run: Run
    var numbers: [ComparedNumber]
  }
  var side: RunComparison.Side
  var profiles: [Profile]
  var runs: [Counted] = []
  /// Which way each number is better.
  var directions: [String: ComparedNumber.Direction] = [:]

  /// - Parameter needsSuccess: whether repetitions that ended with another status than 0 are left out. They are when any
  ///   run of either side ended with 0: what failed did not do the same work, and would be the faster for it.
  init(_ compared: ComparedRuns, needsSuccess: Bool) {
    profiles = compared.profiles
    var reasons: [(reason: String, count: Int)] = []
    func leaveOut(_ reason: String) {
      if let index = reasons.firstIndex(where: { $0.reason == reason }) {
        reasons[index].count += 1
      } else {
        reasons.append((reason, 1))
      }
    }
    for profile in profiles {
      for data in profile.repetitions {
        let repetition = data.repetition
        if data.quantity("training.diverged")?.value.value != nil {
          leaveOut("training diverged")
        } else if !repetition.isFinished || (needsSuccess && repetition.exitStatus != 0) {
          leaveOut(RunIdentity.ending(repetition))
        } else {
          let run = Run(profile, data)
          runs.append(Counted(run: run, numbers: ComparedNumber.all(run)))
        }
      }
    }
    for number in runs.flatMap(\.numbers) { directions[number.name] = number.direction }
    let repetitions = profiles.flatMap(\.repetitions).map(\.repetition)
    let identity = compared.profiles.first.map { RunIdentity.of($0, shown: RunIdentity.shown($0)) }
    side = RunComparison.Side(
      name: compared.name, title: identity?.title ?? "", profiles: profiles.count, repetitions: repetitions.count,
      counted: runs.count, leftOut: reasons.map { RunComparison.Side.LeftOut(count: $0.count, reason: $0.reason) },
      startedAtUnixNanoseconds: repetitions.map(\.startedAtUnixNanoseconds).filter { $0 != 0 }.min())
  }

  /// Whether it is of one of Kiviat's benchmarks.
  var isBenchmark: Bool { profiles.contains { RunIdentity.of($0, shown: nil).kind == .benchmark } }
  /// Whether any run logged a step or a query.
  var hasLog: Bool { runs.contains { !$0.run.data.steps.isEmpty || !$0.run.data.queries.isEmpty } }

  /// The values that a setting has on this side, in ascending order; none where no profile has it.
  func values(ofSetting name: String) -> [String] {
    Set(profiles.compactMap { $0.settings[name] }).sorted { Self.isBefore($0, $1) }
  }

  /// Numbers by their value, texts by the alphabet.
  private static func isBefore(_ a: String, _ b: String) -> Bool {
    guard let x = Double(a), let y = Double(b), x != y else { return a < b }
    return x < y
  }
}

/// How long the runs were, in steps or queries, so that runs of different lengths can be compared by the step.
struct RunLength {
  /// What a run is counted in.
  enum Unit: String {
    case step
    case query
    case run
  }
  var unit: Unit
  /// Steps or queries by repetition, of either side; 1 for whole runs.
  var counts: [[Int]]

  init(_ one: SideSample, _ two: SideSample) {
    let sides = [one, two]
    let runs = sides.flatMap(\.runs).map(\.run.data)
    // A side of another mode has neither steps nor queries of the other's kind: whole runs are left.
    if !runs.isEmpty, runs.allSatisfy({ !$0.steps.isEmpty }) {
      unit = .step
    } else if !runs.isEmpty, runs.allSatisfy({ !$0.queries.isEmpty }) {
      unit = .query
    } else {
      unit = .run
    }
    let unit = unit
    counts = sides.map { side in
      side.runs.map { counted in
        switch unit {
        case .step: counted.run.data.steps.count
        case .query: counted.run.data.queries.count
        case .run: 1
        }
      }
    }
    asked = ["steps", "epochs", "mode", "scale"].filter {
      one.isBenchmark && one.values(ofSetting: $0) != two.values(ofSetting: $0)
    }
  }

  /// Settings that decide a run's length and differ.
  private let asked: [String]

  /// Whether all runs of both sides were equally long.
  var isEqual: Bool { Set(counts.flatMap { $0 }).count <= 1 }

  /// Why wall time, energy and other totals of the runs don't compare; `nil` when they do. Runs that were to reach a quality
  /// may well differ in length: then that is a result.
  var whyTotalsDontCompare: String? {
    asked.isEmpty || (isEqual && !asked.contains("mode") && !asked.contains("scale"))
      ? nil : "the runs were asked for different work (\(Words.list(asked))), so their totals don't compare"
  }

  /// `640 steps`, `600 to 640 steps`.
  func words(side: Int) -> String {
    guard unit != .run, let least = counts[side].min(), let most = counts[side].max() else { return "no steps" }
    let noun = unit == .step ? "steps" : "queries"
    return least == most ? "\(least) \(noun)" : "\(least) to \(most) \(noun)"
  }
}
