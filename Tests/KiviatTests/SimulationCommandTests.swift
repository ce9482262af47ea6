// Does `--counters simulated` simulate what it says, and does a profile without counters tell the command that would?
import Foundation
import ProfileModel
import Testing

@Suite(.serialized) struct SimulationCommandTests {
  let workplace: Workplace
  init() throws { workplace = try Workplace() }

  private func kiviat(_ arguments: [String]) throws -> Ended {
    try workplace.start(Programs.kiviat + arguments).wait(timeout: 120)
  }

  /// The states of the collector in a profile.
  private func states(_ name: String) throws -> [CollectorState] {
    try Profile(contentsOf: workplace.file(name)).repetitions.compactMap { repetition in
      repetition.collectors.first { $0.collector == "simulation" }
    }
  }

  private static let hasValgrind = FileManager.default.isExecutableFile(atPath: "/usr/bin/valgrind")

  @Test(
    "A profile without hardware counters names the command that simulates",
    arguments: [
      (["-o", "p.kiviat", "--", "true"], "kiviat profile --counters simulated -o p.kiviat -- true"),
      (
        ["--counters", "auto", "-o", "p.kiviat", "--", "sh", "-c", "true 'a b' --counters auto"],
        "kiviat profile --counters simulated -o p.kiviat -- sh -c 'true '\\''a b'\\'' --counters auto'"
      ),
      (
        ["--counters=auto", "-q", "-o", "p.kiviat", "--", "true"],
        "kiviat profile --counters simulated -q -o p.kiviat -- true"
      ),
    ])
  func named(arguments: [String], command: String) throws {
    let ended = try kiviat(["profile"] + arguments)
    #expect(ended.status == 0, "\(ended)")
    let profile = try Profile(contentsOf: workplace.file("p.kiviat"))
    // Where the processor's counters count, there is nothing to add.
    let counts = profile.repetitions[0].counter("cycles")?.value.value != nil
    #expect(try states("p.kiviat").map(\.remedy) == (counts ? [] : [command]))
  }

  @Test("Switched off is off")
  func off() throws {
    #expect(try kiviat(["profile", "-q", "--counters", "off", "-o", "q.kiviat", "--", "true"]).status == 0)
    #expect(try states("q.kiviat").isEmpty)
  }

  @Test(
    "Limits that make no sense are refused",
    arguments: [
      ["--simulation-limit", "0"], ["--simulation-limit", "nan"], ["--simulation-iterations", "0"],
      ["--simulation-batch", "0"],
    ])
  func refused(arguments: [String]) throws {
    let ended = try kiviat(
      ["profile", "--counters", "simulated"] + arguments + ["-o", "r.kiviat", "--", "true"])
    #expect(ended.status == 64 && ended.errors.contains(arguments[0]), "\(ended)")
    #expect(!workplace.exists("r.kiviat"))
  }

  @Test(
    "A command is simulated, its output comes once, and the report says simulated",
    .enabled(if: hasValgrind, "Valgrind is not installed: sudo apt-get install valgrind"))
  func simulated() throws {
    let ended = try kiviat([
      "profile", "-q", "--counters", "simulated", "-o", "s.kiviat", "--", "sh", "-c", "echo once; exit 3",
    ])
    #expect(ended.status == 3)
    #expect(ended.text == "once\n")
    #expect(try states("s.kiviat").map(\.outcome) == [.measured])
    let report = try kiviat(["report", "s.kiviat", "--format", "markdown", "-o", "-"])
    #expect(report.text.contains("Simulated counts and stalls"), "\(report.text.prefix(400))")
  }
}
