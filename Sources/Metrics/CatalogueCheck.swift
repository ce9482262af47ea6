// Is a family's part of the catalogue, or a user's file, right in itself?
import ProfileModel
import Suites

/// Checks names, units, cycles, groups and, with random counts, ranges and sums.
public struct CatalogueCheck {
  private let family: MetricFamily
  private let file: String
  /// What is to be checked: all of the family, or what a user added.
  private let own: MetricFamily
  private let isUserFile: Bool

  /// Makes a check of a whole family.
  public init(_ family: MetricFamily) {
    self.init(family, file: "\(family.name).yaml", only: nil)
  }

  init(_ family: MetricFamily, file: String, only own: MetricFamily?) {
    self.family = family
    self.file = file
    self.own = own ?? family
    isUserFile = own != nil
  }

  /// What is wrong, in the order of the questions: an early problem may be the cause of later ones.
  ///
  /// - Parameter triesCounts: Whether ranges and sums are tried with random counts.
  public func problems(triesCounts: Bool = true) -> [ManifestError] {
    let early = duplicates() + unknownNames() + cycles()
    if !early.isEmpty { return early }
    let structure = units() + groups() + levels() + paper()
    return structure.isEmpty && triesCounts ? randomCounts() : structure
  }

  private func error(_ line: Int?, _ message: String) -> ManifestError {
    ManifestError(file: file, line: line, message)
  }

  private func duplicates() -> [ManifestError] {
    var seen: Set<String> = []
    let all: [(String, Int?)] =
      family.constants.map { ($0.name, nil) } + family.events.map { ($0.name, $0.line) }
      + family.metrics.map { ($0.name, $0.line) }
    return all.compactMap { name, line in
      seen.insert(name).inserted
        ? nil : error(line, "'\(name)' is a duplicate: it is already an event, a constant or a metric")
    }
  }

  private func unknownNames() -> [ManifestError] {
    let known = family.events.map(\.name) + family.constants.map(\.name) + family.metrics.map(\.name)
    let names = Set(known)
    func unknown(_ name: String, _ line: Int?, _ place: String, _ candidates: [String]) -> ManifestError {
      let nearest = Suggestion.nearest(to: name, among: candidates)
      let hint =
        nearest.isEmpty
        ? "define it under 'events'" : "did you mean \(nearest.map { "'\($0)'" }.joined(separator: " or "))?"
      return error(line, "\(place): unknown event or metric '\(name)'; \(hint)")
    }
    var problems: [ManifestError] = []
    for metric in own.metrics {
      for name in metric.formula.names where !names.contains(name) {
        problems.append(unknown(name, metric.line, "metric '\(metric.name)'", known))
      }
    }
    for relation in own.consistency {
      for name in relation.left.names + relation.right.names where !names.contains(name) {
        problems.append(unknown(name, relation.line, "'consistent'", known))
      }
    }
    let events = family.events.map(\.name)
    for group in own.groups {
      for name in group.events where !events.contains(name) {
        problems.append(unknown(name, group.line, "group '\(group.name)'", events))
      }
    }
    return problems
  }

  private func cycles() -> [ManifestError] {
    var done: Set<String> = []
    var problems: [ManifestError] = []
    func visit(_ name: String, _ path: [String]) {
      if let start = path.firstIndex(of: name) {
        let cycle = (path[start...] + [name]).joined(separator: " → ")
        problems.append(
          error(family.metric(path[start])?.line, "metrics refer to each other in a cycle: \(cycle); break it"))
        return
      }
      guard !done.contains(name), let metric = family.metric(name) else { return }
      for next in metric.formula.names { visit(next, path + [name]) }
      done.insert(name)
    }
    for metric in own.metrics where problems.isEmpty { visit(metric.name, []) }
    return problems
  }

  private func unit(of name: String) -> MetricUnit? {
    family.event(name)?.unit ?? family.constant(name)?.unit ?? family.metric(name)?.unit
  }

  private func units() -> [ManifestError] {
    var problems: [ManifestError] = []
    for metric in own.metrics {
      do {
        let found = try metric.formula.unit(unit)
        if found != metric.unit {
          problems.append(
            error(
              metric.line,
              "metric '\(metric.name)': its formula gives \(found), but 'unit' says \(metric.unit); units don't fit"))
        }
      } catch {
        problems.append(self.error(metric.line, "metric '\(metric.name)' at \(error)"))
      }
    }
    for relation in own.consistency {
      do {
        let left = try relation.left.unit(unit)
        let right = try relation.right.unit(unit)
        if left != right {
          problems.append(error(relation.line, "'consistent': units don't fit: \(left) and \(right)"))
        }
      } catch {
        problems.append(self.error(relation.line, "'consistent' at \(error)"))
      }
    }
    return problems
  }

  private func groups() -> [ManifestError] {
    var problems: [ManifestError] = []
    for group in own.groups {
      let events = group.events.compactMap(family.event)
      let general = events.reduce(0) { $0 + ($1.counter == .general ? 1 : $1.counter == .paired ? 2 : 0) }
      let isOfCore = !events.contains(where: \.isMachineWide)
      if isOfCore, general > family.generalCounters {
        problems.append(
          error(
            group.line,
            "group '\(group.name)' needs \(general) counters, but \(family.title) has \(family.generalCounters) for a "
              + "group; make two of it"))
      }
      if events.contains(where: { $0.counter == .metric }), events.first?.counter != .fixed {
        problems.append(error(group.line, "group '\(group.name)': the slots must lead a group of metric events"))
      }
      if Set(group.events).count != group.events.count {
        problems.append(error(group.line, "group '\(group.name)' has an event twice"))
      }
    }
    for metric in own.metrics {
      guard let name = metric.group else { continue }
      guard let group = family.groups.first(where: { $0.name == name }) else {
        let nearest = Suggestion.nearest(to: name, among: family.groups.map(\.name)).first
        problems.append(
          error(
            metric.line,
            "metric '\(metric.name)': there is no group '\(name)'\(nearest.map { "; did you mean '\($0)'?" } ?? "")"))
        continue
      }
      for event in family.events(of: metric) where !group.events.contains(event.name) {
        problems.append(
          error(metric.line, "metric '\(metric.name)' needs '\(event.name)', which group '\(name)' does not count"))
      }
    }
    return problems
  }

  private func levels() -> [ManifestError] {
    own.metrics.compactMap { metric in
      switch (metric.level, metric.parent) {
      case (nil, nil), (1, nil): return nil
      case (2, let parent?) where family.metric(parent)?.level == 1: return nil
      default:
        return error(
          metric.line, "metric '\(metric.name)': level 1 has no parent, level 2 has one of level 1, others have neither"
        )
      }
    }
  }

  private func paper() -> [ManifestError] {
    guard !isUserFile else { return [] }
    var problems: [ManifestError] = PaperMetric.names.filter { name in !family.paper.contains { $0.name == name } }.map
    {
      error(nil, "'paper' does not say what stands for \($0), or why nothing does")
    }
    for entry in family.paper {
      if !PaperMetric.names.contains(entry.name) {
        problems.append(error(entry.line, "'\(entry.name)' is no metric of the paper"))
      }
      for name in entry.metrics where family.metric(name) == nil {
        problems.append(error(entry.line, "'\(entry.name)': there is no metric '\(name)'"))
      }
    }
    return problems
  }

  // MARK: - Random counts

  /// Trials with random counts; each trial checks every metric.
  private static let trials = 400

  private func randomCounts() -> [ManifestError] {
    var random = SplitMix(state: 1)
    var problems: [ManifestError] = []
    var reported: Set<String> = []
    var fitting = 0
    for _ in 0..<Self.trials {
      guard let trial = RandomCounts(family, &random) else { continue }
      fitting += 1
      for metric in own.metrics where !reported.contains(metric.name) {
        guard let value = trial.value(metric.name) else { continue }
        let slack = 1e-9
        if let range = metric.range, value < range.lowerBound - slack || value > range.upperBound + slack {
          reported.insert(metric.name)
          let counts = trial.counts(of: metric).joined(separator: ", ")
          problems.append(
            error(
              metric.line,
              "metric '\(metric.name)' is \(value), out of its range \(range.lowerBound)…\(range.upperBound), when "
                + "\(counts): widen 'range', use min, max or clamp, or say under 'consistent' what can't be"))
        }
      }
      if !isUserFile { problems += trial.sums(reported: &reported).map { error($0.line, $0.message) } }
    }
    if fitting < Self.trials / 10 {
      problems.append(
        error(own.consistency.first?.line, "'consistent': hardly any counts fulfil all relations at once"))
    }
    return problems
  }
}
