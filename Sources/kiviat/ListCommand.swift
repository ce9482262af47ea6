// kiviat list: what can be profiled, and what can be counted.
import ArgumentParser
import Foundation
import Profiler

struct ListCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "list", abstract: "Lists benchmarks or events.",
    subcommands: [ListBenchmarks.self, ListEvents.self])
}

struct ListBenchmarks: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "benchmarks", abstract: "The built-in component benchmarks.")

  @Flag(name: .long, help: "As JSON.")
  var json = false

  func run() throws {
    let tool = try WorkloadTool.find()
    let text = try tool.run(["list"] + (json ? ["--json"] : []))
    try OutputFile("-").write(String(decoding: text, as: UTF8.self))
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
