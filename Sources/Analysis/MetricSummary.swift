// What do the event counts say about the processor: top-down, bandwidth, arithmetic, the published GPU metrics?
import Metrics
import ProfileModel

/// The metrics of the catalogue, and of the user's own file, for the processor of this profile.
public struct MetricSummary: Codable, Sendable, Equatable {
  /// The processor's family in the catalogue: `intel-skylake-x`.
  public var family: String
  /// The same for people.
  public var familyTitle: String
  /// Why no hardware event was counted; absent when some were.
  public var nothingCounted: Unavailable?
  /// Metrics in the order of the catalogue, top-down first. Where no hardware event was counted, only those that need
  /// none.
  public var metrics: [EvaluatedMetric]
  /// How many metrics of the family are left out because nothing was counted.
  public var leftOut: Int
  /// What the top-down tree divides: `slots`, or `cycles` on a processor that has no events for slots.
  public var treeUnit: String
  /// What level 1 of the top-down tree leaves of the slots, 0…1 or a little below 0; absent without a tree.
  public var unaccounted: Double?
  /// Why the metrics of the user's file are missing; absent where there are none, or all could be read.
  public var fileProblem: String?
  /// What stands for the five metrics and eight stall reasons of the published GPU characterizations.
  public var published: [PublishedMetric]
}

/// A metric with its definition and its value in this run.
public struct EvaluatedMetric: Codable, Sendable, Equatable {
  /// Its stable name in the catalogue.
  public var name: String
  /// In plain words.
  public var label: String
  /// `1`, `1/cycle`, `B/s`, `FLOP` …
  public var unit: String
  /// Whether it is a part of a whole, to be shown as a percentage.
  public var isRatio: Bool
  /// The value; its provenance has the formula and the smallest running share of its counts.
  public var value: Measured<Double>
  /// 95 % interval, propagated to first order from those of the counts; absent for exact counts and where it can't be told.
  public var interval: Interval?
  /// How it follows from events, constants and other metrics.
  public var formula: String
  /// What it says.
  public var definition: String
  /// Where the formula comes from.
  public var origin: String
  /// Whether it is an approximation and no formula of the vendor.
  public var isEstimate: Bool
  /// Whether it comes from the user's own file.
  public var isUser: Bool
  /// Level of the top-down tree.
  public var level: Int?
  /// Of which metric of level 1 it is a part.
  public var parent: String?
  /// Above this the vendor's method calls it worth a look.
  public var threshold: Double?
}

/// A metric of the published GPU characterizations and what stands for it on this processor.
public struct PublishedMetric: Codable, Sendable, Equatable {
  /// nvprof's name: `stall_inst_fetch`.
  public var name: String
  /// The metric that stands for it; absent when none does.
  public var metric: String?
  /// Its value, or why there is none.
  public var value: Measured<Double>
}

extension MetricSummary {
  /// The setting that holds the text of a user's file, and the one that holds its name.
  static let fileSetting = "metrics.file"
  static let fileNameSetting = "metrics.file.name"

  static func of(_ run: Run) -> MetricSummary {
    guard let base = try? MetricCatalogue.family(of: CPUIdentity(host: run.profile.host)) else {
      // A test reads every file of the catalogue: this can't be reached.
      return MetricSummary(
        family: "generic", familyTitle: "any processor", nothingCounted: Unavailable("the catalogue can't be read"),
        metrics: [], leftOut: 0, treeUnit: "slots", published: [])
    }
    var user: UserMetrics?
    var fileProblem: String?
    if let text = run.profile.settings[fileSetting] {
      let name = run.profile.settings[fileNameSetting] ?? "metrics"
      do {
        user = try UserMetrics(text, named: name, to: base, triesCounts: false)
      } catch {
        // The catalogue may have grown since, or the profile is damaged.
        fileProblem = error.description
      }
    }
    let family = user?.family ?? base
    let nothing = run.nothingCounted
    let evaluation = MetricEvaluation(
      family, counters: run.data.counters, quantities: run.metricQuantities,
      reason: nothing ?? run.failure(of: "counting"))
    let own = Set(user?.metrics ?? [])
    let shown = (family.level(1) + family.level(2) + family.metrics.filter { $0.level == nil && !$0.isHelper })
      .filter { metric in
        // Metrics without any event need no PMU.
        nothing == nil || own.contains(metric.name) || family.events(of: metric).isEmpty
      }
    let results = Dictionary(shown.map { ($0.name, evaluation.result($0)) }) { first, _ in first }
    let metrics = shown.map { metric in
      EvaluatedMetric(metric, results[metric.name], isUser: own.contains(metric.name))
    }
    let first = metrics.filter { $0.level == 1 }.compactMap(\.value.value)
    let isWhole = !first.isEmpty && first.count == family.level(1).count
    return MetricSummary(
      family: family.name, familyTitle: family.title, nothingCounted: nothing, metrics: metrics,
      leftOut: family.metrics.count { !$0.isHelper } - shown.count,
      treeUnit: family.treeUnit, unaccounted: isWhole ? 1 - first.reduce(0, +) : nil, fileProblem: fileProblem,
      published: family.paper.map { PublishedMetric($0, family, evaluation) })
  }
}

extension EvaluatedMetric {
  fileprivate init(_ metric: Metric, _ result: MetricEvaluation.Result?, isUser: Bool) {
    self.init(
      name: metric.name, label: metric.title, unit: metric.unit.profileUnit,
      isRatio: metric.range == 0...1,
      value: result?.value ?? .unavailable(Unavailable("not evaluated")),
      interval: result?.interval.map { Interval(lower: $0.lowerBound, upper: $0.upperBound) },
      formula: metric.formula.text, definition: metric.text, origin: metric.source, isEstimate: metric.isEstimate,
      isUser: isUser, level: metric.level, parent: metric.parent, threshold: metric.threshold)
  }
}

extension PublishedMetric {
  fileprivate init(_ paper: PaperMetric, _ family: MetricFamily, _ evaluation: MetricEvaluation) {
    let candidates = paper.metrics.compactMap { name in
      family.metric(name).map { (name, evaluation.result($0).value) }
    }
    let chosen = candidates.first { $0.1.value != nil } ?? candidates.first
    self.init(
      name: paper.name, metric: chosen?.0,
      value: chosen?.1 ?? .unavailable(Unavailable(paper.absent ?? "nothing stands for it")))
  }
}

extension MetricFamily {
  /// What level 1 of the tree divides.
  fileprivate var treeUnit: String {
    let slots = MetricUnit("slots")
    return level(1).contains { events(of: $0).contains { $0.unit == slots } } ? "slots" : "cycles"
  }
}

extension MetricUnit {
  /// As profiles name units.
  var profileUnit: String {
    switch description {
    case "ratio": "1"
    case "bytes/seconds": "B/s"
    case "bytes": "B"
    case "seconds": "s"
    case "count": "1"
    case "count/seconds", "1/seconds": "1/s"
    case "count/cycles": "1/cycle"
    default: description
    }
  }
}

extension Run {
  /// Why no hardware event was counted; `nil` when one was.
  fileprivate var nothingCounted: Unavailable? {
    let hardware: Set<Provenance.Source> = [.hardwareCounter, .scaledCounter, .simulated]
    if data.counters.contains(where: { $0.value.provenance.map { hardware.contains($0.source) } ?? false }) {
      return nil
    }
    if let why = failure(of: "counting") { return why }
    if let cycles = data.counter("cycles")?.value.unavailable { return cycles }
    return data.counters.lazy.compactMap(\.value.unavailable).first
      ?? Unavailable("no hardware event was counted", remedy: "kiviat profile without -e")
  }

  /// What the catalogue's constants are looked up in.
  fileprivate var metricQuantities: [String: Measured<Double>] {
    func seconds(_ value: Measured<Double>) -> Measured<Double> { value.map { $0 / 1e9 } }
    var result: [String: Measured<Double>] = [
      "run.wall": wall > 0
        ? Measured(Double(wall) / 1e9, .clock)
        : .unavailable(Unavailable("the profile holds no wall time of this run")),
      "run.cpu_time": seconds(cpuTime), "run.hardware_threads": hardwareThreads,
      "host.pmu.slots": hostNumber("host.pmu.slots"),
      "ceiling.bandwidth.dram": hostNumber("ceiling.bandwidth.dram"),
    ]
    let locks = data.threads.compactMap(\.blockedLockNanoseconds)
    if !data.threads.isEmpty, locks.count == data.threads.count {
      let life = data.threads.sum { max(0, $0.endNanoseconds.addingSaturating(-max($0.startNanoseconds, 0))) }
      result["run.thread_time"] = Measured(Double(life) / 1e9, .kernelAccounting)
      result["run.lock_time"] = Measured(Double(locks.sum { $0 }) / 1e9, .kernelAccounting)
    } else {
      let why = failure(of: "off-cpu") ?? Unavailable("what threads waited for is not in this profile")
      result["run.thread_time"] = .unavailable(why)
      result["run.lock_time"] = .unavailable(why)
    }
    if let logical = hostNumber("host.cpu.logical").value, let physical = hostNumber("host.cpu.physical").value,
      physical > 0, logical >= physical
    {
      result["run.threads_per_core"] = Measured((logical / physical).rounded(), .kernelAccounting)
    }
    return result
  }
}
