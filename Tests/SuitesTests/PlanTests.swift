// Which runs does a suite come to, and is its record read back as it was written?
import Foundation
import Testing

@testable import Suites

@Suite struct PlanTests {
  static let known = [
    BuiltInBenchmark(
      name: "recommendation", id: "DC-AI-C10",
      targets: [.small: ("HR@10", SuiteTarget(value: 0.8)), .paper: ("HR@10", SuiteTarget(value: 0.635))])
  ]

  static func suite(_ fields: String = "") throws -> Suite {
    try ManifestTests.suite(
      """
      suite: s
      defaults: {seed: 5, steps: 9}
      benchmarks:
        - {id: A, benchmark: recommendation, repeats: 3\(fields)}
        - {id: B, command: [train, "a b", c], environment: {X: 1}}
      """)
  }

  @Test func repeatsHaveSeedsAndFilesOfTheirOwn() throws {
    let suite = try Self.suite()
    let runs = try suite.plan(selected: try suite.selected(only: []), builtIn: Self.known)
    #expect(runs.map(\.profile) == ["A.kiviat", "A@2.kiviat", "A@3.kiviat", "B.kiviat"])
    #expect(runs.map { $0.settings["seed"] } == ["5", "6", "7", "5"])
    #expect(Set(runs.map(\.settings)).count == 4 && runs.allSatisfy { $0.state == .pending })
    #expect(runs[0].settings["benchmark"] == "recommendation" && runs[3].settings["environment.X"] == "1")
  }

  @Test func theCommandLineComesFirst() throws {
    var settings = RunSettings()
    (settings.epochs, settings.scale) = (2, .paper)
    let suite = try Self.suite().overridden(by: settings, repeats: 1)
    #expect(suite.benchmarks.map(\.repeats) == [1, 1])
    #expect(suite.benchmarks[0].settings.steps == nil && suite.benchmarks[0].settings.epochs == 2)
    #expect(suite.benchmarks[0].settings.seed == 5 && suite.benchmarks[0].settings.scale == .paper)
    #expect(try Self.suite().overridden(by: RunSettings(), toQuality: true).benchmarks[0].settings.steps == nil)
  }

  @Test func someOfThem() throws {
    let suite = try Self.suite()
    #expect(try suite.selected(only: ["b"]) == ["B"])
    #expect(try suite.selected(only: ["Recommendation"]) == ["A"])
    #expect(throws: Suite.PlanFailure.unknownID("C", suite: "s", known: ["A", "B"])) { try suite.selected(only: ["C"]) }
    // What is left out need not be there.
    let runs = try suite.plan(selected: ["B"], builtIn: [])
    #expect(runs.map(\.state) == [.leftOut, .leftOut, .leftOut, .pending])
  }

  @Test func unknownBenchmark() throws {
    let suite = try Self.suite()
    #expect {
      try suite.plan(selected: ["A"], builtIn: [])
    } throws: {
      "\($0)".contains("s.yaml:4") && "\($0)".contains("'recommendation'") && "\($0)".contains("'A'")
    }
  }

  @Test(
    arguments: [
      ("", nil), (", metric: HR@10, target: {value: 0.5, better: higher}", 0.5),
      (", metric: HR@10, target: {value: 0.8, better: higher}", nil),
      (", metric: HR@10, target: {value: 0.5, better: higher, scale: paper}", nil),
      (", metric: P@3, target: {value: 0.5, better: higher, scale: paper}", nil),
    ] as [(String, Double?)])
  func targets(_ fields: String, _ target: Double?) throws {
    #expect(try Self.suite(fields).benchmarks[0].ownTarget(builtIn: Self.known)?.value == target)
  }

  @Test func aTargetInAnotherMetric() throws {
    let suite = try Self.suite(", metric: P@3, target: {value: 0.5, better: higher}")
    #expect {
      try suite.benchmarks[0].ownTarget(builtIn: Self.known)
    } throws: {
      "\($0)".contains("'P@3'") && "\($0)".contains("'HR@10'")
    }
  }

  @Test func theRecordComesBack() throws {
    let folder = NSTemporaryDirectory() + "kiviat-record-\(UUID().uuidString)"
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(atPath: folder) }
    #expect(try SuiteRecord.read(folder: folder) == nil)
    let suite = try Self.suite(", metric: HR@10, target: {value: 0.5, better: lower}")
    var record = SuiteRecord(
      kiviat: "1", suite: suite, runs: try suite.plan(selected: ["A", "B"], builtIn: Self.known))
    record.runs[0].state = .diverged
    record.runs[0].reason = "the loss is nan"
    (record.runs[1].quality, record.runs[1].isReached, record.runs[1].seconds) = (0.75, true, 2)
    try record.write(folder: folder)
    #expect(try SuiteRecord.read(folder: folder) == record)

    let path = folder + "/suite.json"
    for (text, words) in [
      ("", "no record"), ("{\"format\": \"kiviat-suite\", \"version\": 1}", "damaged"), ("[]", "damaged"),
      ("{\"format\": \"kiviat-suite\", \"version\": 99}", "newer"),
    ] {
      try text.write(toFile: path, atomically: true, encoding: .utf8)
      #expect { try SuiteRecord.read(folder: folder) } throws: { "\($0)".contains(words) }
    }
  }
}
