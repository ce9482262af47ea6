// How is a target simulated, and which command would do it?
import ArgumentParser
import Foundation
import Profiler

/// What `--counters simulated` takes.
struct SimulatingOptions: ParsableArguments {
  @Option(
    name: .customLong("simulation-limit"),
    help: ArgumentHelp(
      "End the simulated run after so many seconds; what was counted by then is kept.", valueName: "seconds"))
  var limit = 600.0

  @Option(
    name: .customLong("simulation-iterations"),
    help: ArgumentHelp("Training steps or queries of a benchmark that are counted.", valueName: "n"))
  var iterations = 2

  @Option(
    name: .customLong("simulation-batch"),
    help: ArgumentHelp(
      "Samples per batch in a benchmark's simulated run. Default: as in the measured one.", valueName: "n"))
  var batch: Int?

  func validate() throws {
    guard limit > 0, limit <= 1e7 else {
      throw ValidationError("--simulation-limit \(limit): must be more than 0 and at most 10000000 seconds")
    }
    guard (1...1000).contains(iterations) else {
      throw ValidationError("--simulation-iterations \(iterations): must be 1 to 1000")
    }
    if let batch, batch < 1 { throw ValidationError("--simulation-batch \(batch): must be at least 1") }
  }

  /// The simulated run of a target.
  func options(of target: ProfileRunner.Target, cpu: HostCPU) -> SimulationOptions {
    var options = SimulationOptions(command: target.command, cpu: cpu)
    options.limitSeconds = limit
    guard target.isBenchmark else { return options }
    options.isTraced = true
    options.iterations = iterations
    var replaced = ["--steps", "--epochs", "--threads"]
    if batch != nil { replaced.append("--batch") }
    var command: [String] = []
    var isValue = false
    for argument in target.command {
      if isValue {
        isValue = false
      } else if replaced.contains(argument) {
        isValue = true
      } else if argument != "--to-quality" {
        command.append(argument)
      }
    }
    // One more than are counted: the end of the last is the beginning of the next.
    let steps = SimulationOptions.skippedIterations + SimulationOptions.warmingIterations + iterations + 1
    command += ["--steps", "\(steps)", "--threads", "1"]
    if let batch {
      command += ["--batch", "\(batch)"]
      options.remarks.append("batches of \(batch), unlike the measured run")
    }
    options.command = command
    // The code that oneDNN generates has no name in Callgrind anyway.
    options.environment["ONEDNN_JIT_PROFILE"] = "0"
    return options
  }

  /// This very command with a simulation, as a shell takes it.
  static var remedy: String { remedy(of: CommandLine.arguments) }

  /// A command of `kiviat profile` with a simulation.
  static func remedy(of arguments: [String]) -> String {
    var own = Array(arguments.prefix { $0 != "--" })
    let target = Array(arguments.dropFirst(own.count))
    if let index = own.firstIndex(of: "--counters") { own.removeSubrange(index..<min(index + 2, own.count)) }
    own.removeAll { $0.hasPrefix("--counters=") }
    if let first = own.first { own[0] = (first as NSString).lastPathComponent }
    let place = own.firstIndex(of: "profile").map { $0 + 1 } ?? own.count
    own.insert(contentsOf: ["--counters", "simulated"], at: place)
    return (own + target).map(quoted).joined(separator: " ")
  }

  private static func quoted(_ argument: String) -> String {
    let plain = Set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./=:,+@%")
    if !argument.isEmpty, argument.allSatisfy(plain.contains) { return argument }
    return "'" + argument.replacing("'", with: "'\\''") + "'"
  }
}
