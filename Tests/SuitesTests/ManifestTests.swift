// Is a manifest read as it was meant, and is everything that is wrong with one told with its line?
import Foundation
import Testing

@testable import Suites

@Suite struct ManifestTests {
  static func suite(_ text: String) throws -> Suite { try Suite(manifest: text, named: "s.yaml", folder: "/home/me") }

  /// A manifest with one benchmark of these fields.
  static func benchmark(_ fields: String) throws -> SuiteBenchmark {
    let indented = fields.split(separator: "\n").map { "    \($0)" }.joined(separator: "\n")
    return try suite("suite: mine\nbenchmarks:\n  -\n\(indented)\n").benchmarks[0]
  }

  static func error(_ text: String) -> ManifestError? {
    do {
      _ = try suite(text)
      return nil
    } catch { return error as? ManifestError }
  }

  @Test func everyField() throws {
    let suite = try Self.suite(
      """
      suite: mine
      title: My own
      source: a paper
      repeats: 3
      defaults: {scale: paper, seed: 7, steps: 20}
      benchmarks:
        - id: A
          title: Pictures
          benchmark: image-classification
          metric: top-1 accuracy
          target: {value: 0.9, better: higher, scale: small}
          widely-accepted-metric: {value: true, reason: everybody uses it}
          settings: {epochs: 2, batch: 32, data: data/imagenet, mode: train, threads: 2}
        - id: B
          command: [python3, train.py, "--rate", 0.1]
          directory: ~/work
          environment: {OMP_NUM_THREADS: 1}
          quality: {file: out/result.json, pointer: /best}
          metric: perplexity
          target: {value: 12, better: lower}
          repeats: 1
      """)
    #expect(suite.name == "mine" && suite.title == "My own" && suite.source == "a paper")
    let (a, b) = (suite.benchmarks[0], suite.benchmarks[1])
    #expect(a.workload == .builtIn("image-classification") && a.title == "Pictures" && a.repeats == 3)
    #expect(a.metric == "top-1 accuracy" && a.target == SuiteTarget(value: 0.9, scale: .small))
    #expect(a.acceptedMetric == AcceptedMetric(isAccepted: true, reason: "everybody uses it"))
    // Epochs of its own take the place of the steps of all.
    #expect(
      a.settings.pairs.map { "\($0.name)=\($0.value)" } == [
        "mode=train", "scale=paper", "epochs=2", "seed=7", "batch=32", "threads=2", "data=/home/me/data/imagenet",
      ])
    #expect(a.place == "s.yaml:7")
    let command = ExternalCommand(
      arguments: ["python3", "train.py", "--rate", "0.1"], directory: NSHomeDirectory() + "/work",
      environment: ["OMP_NUM_THREADS": "1"], quality: .json(file: "out/result.json", pointer: "/best"))
    #expect(b.workload == .command(command) && b.repeats == 1 && b.settings.steps == 20)
    #expect(b.target == SuiteTarget(value: 12, isHigherBetter: false))
  }

  @Test func aCommandRunsWhereItsManifestLies() throws {
    let benchmark = try Self.benchmark("id: a\ncommand: [./train]")
    guard case .command(let command) = benchmark.workload else { return #expect(Bool(false)) }
    #expect(command.directory == "/home/me" && command.quality == nil && benchmark.settings == RunSettings())
  }

  private static let head = "suite: s\nbenchmarks:\n"

  @Test(
    arguments: [
      ("", nil, "empty"),
      ("- a\n", 1, "must have fields"),
      ("suite: [s\nbenchmarks: []\n", nil, "no YAML"),
      ("suite: s\nbenchmarks:\n\t- id: a\n", 3, "no YAML"),
      ("suite: s\n", 1, "'benchmarks' is missing"),
      ("benchmarks: [{id: a, benchmark: b}]\n", 1, "'suite' is missing"),
      ("suite: s\nbenchmarks: {}\n", 2, "must be a list"),
      ("suite: s\nbenchmarks: []\n", 2, "at least one"),
      ("suite: ../s\nbenchmarks: []\n", 1, "begins with a letter or digit"),
      (head + "  - benchmark: b\n", 3, "benchmark 1: 'id' is missing"),
      (head + "  - id: a\n", 3, "neither 'benchmark'"),
      (head + "  - id: a\n    benchmark: b\n    command: [c]\n", 3, "both"),
      (head + "  - id: a\n    benchmark: b\n    colour: red\n", 5, "no field 'colour'"),
      (head + "  - id: a\n    benchmark: b\n  - id: A\n    benchmark: c\n", 5, "'A' is there already, in line 3"),
      (head + "  - id: a/b\n    benchmark: b\n", 3, "letters, digits"),
      (head + "  - id: .hidden\n    benchmark: b\n", 3, "begins with a letter or digit"),
      (head + "  - id: a\n    benchmark: [b]\n", 4, "must be a text"),
      (head + "  - id: a\n    command: python3 train.py\n", 4, "one by one"),
      (head + "  - id: a\n    command: []\n", 4, "program is missing"),
      (head + "  - id: a\n    command: [c]\n    target: {value: 1, better: higher}\n    metric: m\n", 3, "'quality'"),
      (
        head + "  - id: a\n    command: [c]\n    quality: {pattern: x}\n    target: {value: 1, better: higher}\n", 3,
        "'metric'"
      ),
      (head + "  - id: a\n    command: [c]\n    quality: {pattern: '(['}\n", 5, "no regular expression"),
      (head + "  - id: a\n    command: [c]\n    quality: {file: x}\n", 5, "'pointer'"),
      (head + "  - id: a\n    command: [c]\n    quality: {file: x, pointer: best}\n", 5, "begins with '/'"),
      (head + "  - id: a\n    benchmark: b\n    quality: {pattern: x}\n", 3, "is for a command"),
      (head + "  - id: a\n    benchmark: b\n    target: 0.9\n", 5, "target must have fields"),
      (
        head + "  - id: a\n    benchmark: b\n    target: {value: high, better: higher}\n", 5,
        "must be a number, but is 'high'"
      ),
      (head + "  - id: a\n    benchmark: b\n    target: {value: .nan, better: higher}\n", 5, "must be a number"),
      (head + "  - id: a\n    benchmark: b\n    target: {value: 1}\n", 5, "'better' is missing"),
      (head + "  - id: a\n    benchmark: b\n    target: {value: 1, better: more}\n", 5, "higher or lower"),
      (head + "  - id: a\n    benchmark: b\n    widely-accepted-metric: true\n", 5, "must have fields"),
      (head + "  - id: a\n    benchmark: b\n    widely-accepted-metric: {value: true}\n", 5, "'reason' is missing"),
      (head + "  - id: a\n    benchmark: b\n    repeats: 0\n", 5, "1 to 10000"),
      (head + "  - id: a\n    benchmark: b\n    repeats: many\n", 5, "whole number"),
      (head + "  - id: a\n    benchmark: b\n    settings: {steps: 1, epochs: 2}\n", 5, "not both"),
      (head + "  - id: a\n    benchmark: b\n    settings:\n      scale: huge\n", 6, "small or paper"),
      (head + "  - id: a\n    benchmark: b\n    settings: {batch: -4}\n", 5, "1 to"),
      (head + "  - id: a\n    id: b\n    benchmark: b\n", 3, "'id'"),
    ] as [(String, Int?, String)])
  func bad(_ text: String, _ line: Int?, _ words: String) throws {
    let error = try #require(Self.error(text), "it was taken")
    #expect(error.description.contains(words), "\(error)")
    #expect(error.description.hasPrefix("s.yaml"))
    if let line { #expect(error.line == line, "\(error)") }
  }

  @Test func badFiles() throws {
    let folder = NSTemporaryDirectory() + "kiviat-manifests-\(UUID().uuidString)"
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(atPath: folder) }
    func words(_ name: String, _ data: Data?) throws -> String {
      if let data { try data.write(to: URL(fileURLWithPath: "\(folder)/\(name)")) }
      do {
        _ = try Suite(manifestAt: "\(folder)/\(name)")
        return "taken"
      } catch { return "\(error)" }
    }
    #expect(try words("missing.yaml", nil).contains("no such manifest"))
    #expect(try words("", nil).contains("folder"))
    #expect(try words("empty.yaml", Data()).contains("empty"))
    #expect(try words("binary.yaml", Data([0xFF, 0xFE, 0x80])).contains("UTF-8"))
    #expect(try words("control.yaml", Data("suite: \u{1}".utf8)).contains("control.yaml"))
    #expect(try words("huge.yaml", Data(repeating: 0x20, count: 2 << 20)).contains("1 MiB"))
    #expect(try words("good.yaml", Data("suite: s\nbenchmarks: [{id: a, benchmark: b}]\n".utf8)) == "taken")
  }

  // MARK: Built-in suites

  @Test func builtInSuites() throws {
    let suites = try Suite.builtIn.map { try $0.suite() }
    #expect(suites.map(\.name) == ["aibench", "aibench-v1.1", "mlperf-training"])
    #expect(suites.map(\.name) == Suite.builtIn.map(\.name))
    #expect(suites[0].benchmarks.map(\.id) == (1...17).map { "DC-AI-C\($0)" })
    #expect(suites[1].benchmarks.map(\.id) == (1...19).map { "DC-AI-C\($0)" })
    #expect(
      suites[2].benchmarks.map(\.id) == [
        "ML-ResNet50", "ML-SSD", "ML-MaskRCNN", "ML-GNMT", "ML-Transformer", "ML-NCF", "ML-MiniGo",
      ])
    for suite in suites {
      for benchmark in suite.benchmarks {
        #expect(benchmark.target != nil && benchmark.metric != nil && benchmark.title != nil, "\(benchmark.id)")
        #expect(benchmark.acceptedMetric?.reason.isEmpty == false && benchmark.settings.scale == .small)
        guard case .builtIn = benchmark.workload else { return #expect(Bool(false), "\(benchmark.id)") }
      }
    }
    // What version 1.1 shares with the report is the same there.
    for (a, b) in zip(suites[0].benchmarks, suites[1].benchmarks) {
      #expect(a.workload == b.workload && a.target == b.target && a.metric == b.metric)
    }
    // The technical report names two tasks without a widely accepted metric.
    #expect(
      suites[0].benchmarks.filter { $0.acceptedMetric?.isAccepted == false }.map(\.id) == ["DC-AI-C2", "DC-AI-C5"])
  }
}
