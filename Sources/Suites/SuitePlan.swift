// Which runs does a suite come to, with which settings, and which of them are done already?

/// What `kiviat profile` knows of a built-in benchmark.
public struct BuiltInBenchmark: Sendable, Hashable {
  /// What manifests call it.
  public var name: String
  /// Its id.
  public var id: String
  /// Its metric and target by scale.
  public var targets: [RunSettings.Scale: (metric: String, target: SuiteTarget)]

  /// Makes the facts of a benchmark.
  public init(name: String, id: String, targets: [RunSettings.Scale: (metric: String, target: SuiteTarget)]) {
    self.name = name
    self.id = id
    self.targets = targets
  }

  /// By name.
  public static func == (a: BuiltInBenchmark, b: BuiltInBenchmark) -> Bool { a.name == b.name }
  /// By name.
  public func hash(into hasher: inout Hasher) { hasher.combine(name) }
}

extension Suite {
  /// A suite that can't be run.
  public enum PlanFailure: Error, Hashable, Sendable, CustomStringConvertible {
    case unknownBenchmark(name: String, id: String, place: String, known: [String])
    case otherMetric(id: String, place: String, wanted: String, measured: String)
    case unknownID(String, suite: String, known: [String])

    /// Cause and way out.
    public var description: String {
      switch self {
      case .unknownBenchmark(let name, let id, let place, let known):
        "\(place): benchmark '\(id)': there is no built-in benchmark '\(name)'; there are "
          + known.joined(separator: ", ")
      case .otherMetric(let id, let place, let wanted, let measured):
        "\(place): benchmark '\(id)': its target is in '\(wanted)', but it measures '\(measured)'"
      case .unknownID(let id, let suite, let known):
        "--only \(id): suite \(suite) has no benchmark of that id; there are \(known.joined(separator: ", "))"
      }
    }
  }

  /// The suite with the command line's settings in the place of the manifest's.
  ///
  /// - Parameter toQuality: no limit of steps or epochs: only the target ends a run.
  public func overridden(by settings: RunSettings, toQuality: Bool = false, repeats: Int? = nil) -> Suite {
    var result = self
    for index in result.benchmarks.indices {
      if toQuality { (result.benchmarks[index].settings.steps, result.benchmarks[index].settings.epochs) = (nil, nil) }
      result.benchmarks[index].settings = result.benchmarks[index].settings.overridden(by: settings)
      if let repeats { result.benchmarks[index].repeats = repeats }
    }
    return result
  }

  /// The benchmarks of these ids or built-in names; all where none is named.
  ///
  /// - Throws: ``PlanFailure``.
  public func selected(only ids: [String]) throws(PlanFailure) -> Set<String> {
    guard !ids.isEmpty else { return Set(benchmarks.map(\.id)) }
    var result: Set<String> = []
    for id in ids {
      let found = benchmarks.filter {
        $0.id.lowercased() == id.lowercased() || $0.workload == .builtIn(id.lowercased())
      }
      guard !found.isEmpty else { throw .unknownID(id, suite: name, known: benchmarks.map(\.id)) }
      result.formUnion(found.map(\.id))
    }
    return result
  }

  /// Every run, pending, or left out when it is not selected. Repeats of one benchmark follow one another.
  ///
  /// - Throws: ``PlanFailure``.
  public func plan(selected: Set<String>, builtIn known: [BuiltInBenchmark]) throws(PlanFailure) -> [SuiteRun] {
    var runs: [SuiteRun] = []
    for benchmark in benchmarks {
      let isSelected = selected.contains(benchmark.id)
      for number in 1...benchmark.repeats {
        // One that is left out may be unknown here.
        let settings = isSelected ? try benchmark.identity(number: number, builtIn: known) : [:]
        var run = SuiteRun(id: benchmark.id, number: number, settings: settings)
        if !isSelected { run.state = .leftOut }
        runs.append(run)
      }
    }
    return runs
  }
}

extension SuiteBenchmark {
  /// The seed of a repeat: they count up.
  public func seed(number: Int) -> UInt64 { (settings.seed ?? 1) &+ UInt64(number - 1) }

  /// The settings of a repeat.
  public func settings(number: Int) -> RunSettings {
    var result = settings
    result.seed = seed(number: number)
    return result
  }

  /// The target that a run is to be given: the manifest's where it is meant for the run's scale and is not the
  /// benchmark's own anyway.
  ///
  /// - Throws: ``Suite/PlanFailure``.
  public func ownTarget(builtIn known: [BuiltInBenchmark]) throws(Suite.PlanFailure) -> SuiteTarget? {
    guard case .builtIn(let name) = workload else { return nil }
    guard
      let benchmark = known.first(where: { $0.name == name.lowercased() || $0.id.lowercased() == name.lowercased() })
    else {
      throw .unknownBenchmark(name: name, id: id, place: place, known: known.map(\.name))
    }
    let scale = settings.scale ?? .small
    guard let target, target.scale == nil || target.scale == scale, settings.mode != .infer,
      let (measured, own) = benchmark.targets[scale]
    else { return nil }
    if let metric, metric != measured {
      throw .otherMetric(id: id, place: place, wanted: metric, measured: measured)
    }
    return target.value == own.value ? nil : target
  }

  /// Everything that decides what a run comes to, by name: two runs with the same are the same run.
  func identity(number: Int, builtIn known: [BuiltInBenchmark]) throws(Suite.PlanFailure) -> [String: String] {
    var result = Dictionary(uniqueKeysWithValues: settings(number: number).pairs.map { ($0.name, $0.value) })
    switch workload {
    case .builtIn(let name):
      result["benchmark"] = name
      if let target = try ownTarget(builtIn: known) { result["target"] = "\(target.value)" }
    case .command(let command):
      // Parted by a character that is in no argument.
      result["command"] = command.arguments.joined(separator: "\u{1F}")
      result["directory"] = command.directory
      for (name, value) in command.environment { result["environment.\(name)"] = value }
      if let quality = command.quality { result["quality"] = quality.description }
      if let target { result["target"] = "\(target.value)" }
    }
    return result
  }
}
