// The options that a built-in benchmark takes, handed on to `kiviat-workload run`.
import ArgumentParser
import Suites

struct BenchmarkOptions: ParsableArguments {
  enum Mode: String, ExpressibleByArgument, CaseIterable { case train, infer }
  enum Scale: String, ExpressibleByArgument, CaseIterable { case small, paper }
  enum Device: String, ExpressibleByArgument, CaseIterable { case cpu, cuda }

  @Option(help: "train or infer. Default: train.")
  var mode: Mode?

  @Option(help: "small (minutes on two cores) or paper (the published model). Default: small.")
  var scale: Scale?

  @Option(help: "Stop after this many steps (training) or queries (inference).")
  var steps: Int?

  @Option(help: "Stop after this many epochs.")
  var epochs: Int?

  @Flag(help: "Train until the target quality is reached; the default where neither --steps nor --epochs is given.")
  var toQuality = false

  @Option(help: "Seed of everything random. Default: 1.")
  var seed: UInt64?

  @Option(help: "Samples per batch.")
  var batch: Int?

  @Option(help: "Threads that libtorch computes with. Default: one per core.")
  var threads: Int?

  @Option(help: "cpu or cuda. Default: cpu.")
  var device: Device?

  @Option(help: "Folder with the benchmark's own data set; a synthetic stand-in without.")
  var data: String?

  func check() throws {
    for (name, value) in [("--steps", steps), ("--epochs", epochs), ("--batch", batch), ("--threads", threads)] {
      if let value, value < 1 { throw ValidationError("\(name) \(value): must be at least 1") }
    }
    if toQuality, steps != nil || epochs != nil {
      throw ValidationError("--to-quality ends at the target: leave out --steps and --epochs")
    }
    if mode == .infer, toQuality || epochs != nil {
      throw ValidationError("inference takes --steps (queries), not --epochs or --to-quality")
    }
  }

  /// As `kiviat-workload run` takes them.
  var arguments: [String] {
    pairs.flatMap { ["--\($0)", $1] } + (toQuality ? ["--to-quality"] : [])
  }

  /// What the user gave, by option name.
  var given: [String] { pairs.map { "--\($0.0)" } + (toQuality ? ["--to-quality"] : []) }

  /// The first option that only makes sense for one benchmark.
  var notForSuites: String? { data != nil ? "--data" : device != nil ? "--device" : nil }

  /// As they take the place of a suite's own settings.
  var suiteSettings: RunSettings {
    var settings = RunSettings()
    settings.mode = mode.flatMap { RunSettings.Mode(rawValue: $0.rawValue) }
    settings.scale = scale.flatMap { RunSettings.Scale(rawValue: $0.rawValue) }
    (settings.steps, settings.epochs, settings.seed) = (steps, epochs, seed)
    (settings.batch, settings.threads) = (batch, threads)
    return settings
  }

  /// As the profile records them.
  var settings: [String: String] { Dictionary(uniqueKeysWithValues: pairs) }

  private var pairs: [(String, String)] {
    let all: [(String, String?)] = [
      ("mode", mode?.rawValue), ("scale", scale?.rawValue), ("steps", steps.map(String.init)),
      ("epochs", epochs.map(String.init)), ("seed", seed.map(String.init)), ("batch", batch.map(String.init)),
      ("threads", threads.map(String.init)), ("device", device?.rawValue), ("data", data),
    ]
    return all.compactMap { name, value in value.map { (name, $0) } }
  }
}
