// kiviat list: what can be profiled, and what can be counted.
import ArgumentParser
import Foundation
import Profiler
import Suites

struct ListCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "list", abstract: "Lists suites, benchmarks, events or metrics.",
    subcommands: [ListSuites.self, ListBenchmarks.self, ListEvents.self, ListMetrics.self])
}

struct ListBenchmarks: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "benchmarks", abstract: "The built-in component benchmarks.")

  @Flag(name: .long, help: "As JSON.")
  var json = false

  func run() throws {
    let tool = try WorkloadTool.find()
    if json {
      try OutputFile("-").write(String(decoding: try tool.run(["list", "--json"]), as: UTF8.self))
    } else {
      try OutputFile("-").write(BenchmarkTable.text(try tool.benchmarks()))
    }
  }
}

struct ListSuites: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "suites", abstract: "The suites that come with Kiviat; others are manifests (docs/suites.md).")

  @Flag(name: .long, help: "As JSON, with their benchmarks.")
  var json = false

  func run() throws {
    let suites = try Suite.builtIn.map { builtIn in
      do { return try builtIn.suite() } catch { throw Failure(message: "\(error)") }
    }
    if json {
      let encoder = JSONEncoder()
      encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
      try OutputFile("-").write(String(decoding: encoder.encode(suites), as: UTF8.self) + "\n")
      return
    }
    let rows = suites.map { [$0.name, "\($0.benchmarks.count) benchmarks", $0.title] }
    try OutputFile("-").write(SuiteTable.aligned(rows).map { $0 + "\n" }.joined())
  }
}

struct ListEvents: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "events", abstract: "Events for -e: the kernel's, this machine's PMUs' and libpfm4's.")

  @Argument(help: "Show only names that contain this.")
  var filter: String?

  func run() throws {
    var lines: [String] = []
    for (source, names) in EventParser().knownNames() {
      let names = names.filter { name in filter.map { name.localizedCaseInsensitiveContains($0) } ?? true }
      if !names.isEmpty { lines += ["# \(source)"] + names + [""] }
    }
    if lines.isEmpty { throw Failure(message: "no event's name contains \(filter ?? "")") }
    try OutputFile("-").write(lines.dropLast().joined(separator: "\n") + "\n")
  }
}
