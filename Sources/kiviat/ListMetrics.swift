// kiviat list metrics: what can be told about a processor, from which events, and whether this machine can.
import ArgumentParser
import Foundation
import Metrics
import Profiler

struct ListMetrics: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "metrics",
    abstract: "Metrics of this machine's processor: what each says, and whether it can be measured here.")

  @Option(name: .long, help: "Another family of processors: its name, or all.")
  var cpu: String?

  @Option(name: .long, help: "A YAML file with events and metrics of your own (docs/metrics-format.md).")
  var metrics: String?

  @Option(name: .long, help: "text, or markdown: the whole catalogue.")
  var format: Format = .text

  enum Format: String, ExpressibleByArgument, CaseIterable {
    case text
    case markdown
  }

  func validate() throws {
    if format == .markdown, cpu != nil || metrics != nil {
      throw ValidationError("--format markdown is the whole catalogue: leave out --cpu and --metrics")
    }
  }

  func run() throws {
    if format == .markdown {
      try OutputFile("-").write(try Self.catalogue().markdown)
      return
    }
    let host = Profiler.Host.read()
    let here = MetricFamily.ofThisMachine(host)
    var families = here.map { [$0] } ?? []
    if let cpu {
      let catalogue = try Self.catalogue()
      if cpu == "all" {
        families = catalogue.families
      } else if let family = catalogue.family(named: cpu) {
        families = [family]
      } else {
        let names = catalogue.families.map(\.name).joined(separator: ", ")
        throw Failure(message: "there is no family '\(cpu)'; there are \(names), and all", status: 64)
      }
    }
    let access = PerfAccess.probe()
    var text = ""
    for family in families {
      let file = try metrics.map { try MetricsFile($0, family: family) }
      let table = MetricTable(
        family: file?.metrics.family ?? family, own: Set(file?.metrics.metrics ?? []), isHere: family == here,
        access: access)
      text += (text.isEmpty ? "" : "\n") + table.text
    }
    try OutputFile("-").write(text)
  }

  private static func catalogue() throws -> MetricCatalogue {
    do { return try MetricCatalogue.builtIn() } catch { throw Failure(message: "\(error)") }
  }
}

/// The metrics of one family for a terminal.
struct MetricTable {
  var family: MetricFamily
  /// Names of the user's own.
  var own: Set<String>
  /// Whether this machine's processor is one of the family.
  var isHere: Bool
  var access: PerfAccess

  var text: String {
    var lines = ["# \(family.name): \(family.title)"]
    let metrics = family.metrics.filter { !$0.isHelper }
    if isHere {
      lines.append(
        access.noHardware.map { why in
          "# this machine: \(why.reason): only what needs no hardware counter"
            + (why.remedy.map { "; what would help: \($0)" } ?? "")
        } ?? "# this machine's processor, and its counters are open")
    } else {
      lines.append("# not this machine's processor")
    }
    let heads = SuiteTable.aligned(
      metrics.map { metric in [metric.name, "\(metric.unit)", mark(metric), metric.title + note(metric)] })
    for (head, metric) in zip(heads, metrics) { lines += [head] + Self.wrapped(metric.text) }
    return lines.joined(separator: "\n") + "\n"
  }

  /// Indented lines of at most 120 columns.
  private static func wrapped(_ text: String) -> [String] {
    var lines: [String] = []
    for word in text.split(separator: " ") {
      if let last = lines.last, last.count + 1 + word.count <= 120 {
        lines[lines.count - 1] = "\(last) \(word)"
      } else {
        lines.append("    \(word)")
      }
    }
    return lines
  }

  private func note(_ metric: Metric) -> String {
    var notes: [String] = []
    if let level = metric.level { notes.append("top-down \(level)") }
    if metric.isEstimate { notes.append("estimate") }
    if own.contains(metric.name) { notes.append("yours") }
    return notes.isEmpty ? "" : " (\(notes.joined(separator: ", ")))"
  }

  /// Whether it can be measured here, in a word or two.
  private func mark(_ metric: Metric) -> String {
    let events = family.events(of: metric)
    if events.isEmpty { return isHere ? "yes" : "-" }
    guard isHere else { return "-" }
    if events.contains(where: \.isMachineWide) { return "whole machine only" }
    let needsPMU = events.contains { event in
      guard let spec = try? MetricEvents().spec(event) else { return true }
      return spec.kind == .hardware
    }
    if needsPMU { return access.noHardware == nil ? "yes" : "no" }
    return access.noEvents == nil ? "yes" : "no"
  }
}
