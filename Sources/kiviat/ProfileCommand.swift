// kiviat profile: measures a command or a built-in benchmark and writes a profile.
import Analysis
import ArgumentParser
import Foundation
import ProfileModel
import Profiler
import Report

struct ProfileCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "profile", abstract: "Profiles any command, or built-in benchmarks.",
    usage: """
      kiviat profile [OPTIONS] -- COMMAND [ARGUMENTS]
      kiviat profile [OPTIONS] BENCHMARK...
      """,
    discussion: """
      stdin, stdout, signals and the exit status pass through to the command and back, as with `perf stat`. The \
      whole process tree is measured. Ctrl-C ends the command and leaves a complete profile.
      """)

  @Argument(
    help: ArgumentHelp(
      "Built-in benchmarks, by id or name (kiviat list benchmarks); or, after --, a command and its arguments.",
      valueName: "benchmark"))
  var words: [String] = []

  /// What stands after `--`. The parser puts it behind the benchmarks, in the same list.
  private var command: [String] {
    CommandLine.arguments.split(separator: "--", maxSplits: 1).dropFirst().first.map(Array.init) ?? []
  }
  private var benchmarks: [String] { words.dropLast(command.count) }

  @Option(name: .shortAndLong, help: "The profile to write; a folder for several benchmarks. Default: NAME.kiviat.")
  var output: String?

  @Option(
    name: [.customShort("r"), .customLong("repeat")], help: "Run it this often; gives the variation between runs.")
  var repetitions = 1

  @Option(
    name: .customShort("e"),
    help: "Events to count, perf's and libpfm4's names, groups in {braces} (kiviat list events).")
  var events: [String] = []

  @Option(name: [.customShort("F"), .customLong("frequency")], help: "Samples per second and CPU; 0 for none.")
  var frequency = 499

  @Option(name: .long, help: "How to walk call stacks: fp (frame pointers), dwarf or none.")
  var unwind: ProfileOptions.Unwinding = .framePointer

  @Option(name: .long, help: "Counters: auto, hardware (fail without them) or off.")
  var counters: ProfileOptions.Counters = .auto

  @Flag(name: .shortAndLong, help: "No summary on stderr.")
  var quiet = false

  @OptionGroup(title: "For benchmarks")
  var benchmark: BenchmarkOptions

  func validate() throws {
    if benchmarks.isEmpty == command.isEmpty {
      throw ValidationError(
        benchmarks.isEmpty
          ? "say what to profile: kiviat profile -- COMMAND, or kiviat profile BENCHMARK"
          : "profile a command or benchmarks, not both at once")
    }
    guard repetitions >= 1 else { throw ValidationError("-r \(repetitions): run it at least once") }
    guard frequency >= 0, frequency <= 100_000 else {
      throw ValidationError("-F \(frequency): a frequency is 0 (no sampling) to 100000 samples per second")
    }
    if !command.isEmpty, let option = benchmark.given.first {
      throw ValidationError("\(option) is for benchmarks; a command takes its own options after --")
    }
    try benchmark.check()
  }

  func run() throws {
    if command.isEmpty {
      try profileBenchmarks()
    } else {
      let name = (command[0] as NSString).lastPathComponent
      ProfileSession.leave(status: try profile(command, named: name, output: output ?? "\(name).kiviat"))
    }
  }

  /// One after the other; a failed one does not stop the others, but makes the exit status.
  private func profileBenchmarks() throws {
    let tool = try WorkloadTool.find()
    let known = try tool.benchmarks()
    let chosen = try benchmarks.map(known.named)
    if chosen.count > 1, let output { try createFolder(output) }
    var worst: Int32 = 0
    for one in chosen {
      let path =
        chosen.count == 1 ? output ?? "\(one.name).kiviat" : (output.map { $0 + "/" } ?? "") + "\(one.name).kiviat"
      let status = try profile(
        [tool.path, "run", one.id] + benchmark.arguments, named: one.name, output: path,
        settings: ["kind": "benchmark", "benchmark": one.id, "benchmark.name": one.name].merging(benchmark.settings) {
          $1
        },
        // oneDNN then names the code that it generates, so that a report can say which convolution kernel ran.
        environment: ["ONEDNN_JIT_PROFILE": "2"])
      if worst == 0 { worst = status }
    }
    ProfileSession.leave(status: worst)
  }

  /// Profiles one command and gives its exit status.
  private func profile(
    _ command: [String], named name: String, output: String, settings: [String: String] = [:],
    environment: [String: String] = [:]
  ) throws -> Int32 {
    var options = ProfileOptions(command: command, output: output)
    options.repetitions = repetitions
    options.events = events
    options.frequency = frequency
    options.unwinding = unwind
    options.counters = counters
    options.environment = environment
    options.settings = settings.merging(["kiviat.version": kiviatVersion]) { $1 }
    let isBenchmark = !settings.isEmpty

    let events = try EventParser().parse(options: options.events)
    let host = Host.read()
    // A benchmark's roofline needs this machine's ceilings. They take seconds the first time, so a plain command,
    // which has no FLOPs to place under them, never waits for them.
    let ceilings =
      isBenchmark
      ? Ceilings.cached(for: host, kiviatVersion: kiviatVersion).quantities
      : Ceilings.load(Ceilings.Key(host: host, kiviatVersion: kiviatVersion))?.quantities ?? []

    var line = ProgressLine()
    let collectors = Collectors(events: events, isTraced: isBenchmark)
    let session = ProfileSession(options: options, makeCollectors: collectors.make)
    // The session keeps it off itself; the command gets it as we got it.
    signal(SIGPIPE, Kiviat.inheritedPipeSignal)
    defer { signal(SIGPIPE, SIG_IGN) }
    let outcome = try session.run(
      prologue: { transaction in
        for quantity in host.quantities + ceilings { try transaction.quantity(quantity, repetition: -1) }
      },
      progress: { progress in
        guard isBenchmark else { return }
        var what = name
        if progress.repetitions > 1 { what += " \(progress.repetition + 1)/\(progress.repetitions)" }
        if let stage = collectors.log?.progress {
          if let quality = stage.quality { what += ", \(quality)" }
          line.update(what, stage: stage.stage, completed: stage.completed / max(stage.total, 1))
        } else {
          line.update(what, stage: "starting", completed: nil)
        }
      })
    line.clear()
    for note in outcome.notes where note.level == .warning { Terminal.warning(note.message) }
    if !quiet {
      let characterization = try Characterization(of: Profile(contentsOf: output))
      Terminal.info(try Report.render([characterization], as: .text, color: Terminal.hasColor))
      Terminal.info("wrote \(output); the whole story: kiviat report \(output)")
    }
    return outcome.exitCode
  }

  private func createFolder(_ path: String) throws {
    do {
      try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    } catch {
      throw Failure(message: "can't make the folder \(path): \(error.localizedDescription); choose another with -o")
    }
  }
}

extension ProfileOptions.Unwinding: ExpressibleByArgument {}
extension ProfileOptions.Counters: ExpressibleByArgument {}
