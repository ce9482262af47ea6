// Do users' own metrics get into a profile and its report, and are wrong files refused before anything runs?
import Foundation
import ProfileModel
import Testing

@Suite(.serialized) struct MetricsCommandTests {
  let workplace: Workplace
  init() throws { workplace = try Workplace() }

  static let file = """
    constants:
      each: {unit: count, value: 1, text: one}
    events:
      faults: {perf: page-faults, counts: page faults}
    metrics:
      fault_number: {unit: ratio, formula: faults / each, text: page faults}
    """

  @Test func ownMetricsAreCountedKeptAndShown() throws {
    try workplace.write(Self.file, to: "mine.yaml")
    let ended = try workplace.kiviat("profile", "-q", "--metrics", "mine.yaml", "-o", "p.kiviat", "--", "true")
    #expect(ended.status == 0, "\(ended)")
    let profile = try workplace.profile()
    #expect(profile.settings["metrics.file"] == Self.file)
    #expect(profile.settings["metrics.file.name"] == "mine.yaml")
    // The file is no longer needed.
    try FileManager.default.removeItem(atPath: workplace.file("mine.yaml"))
    let report = try workplace.kiviat("report", "p.kiviat", "--format", "csv", "-o", "-")
    #expect(report.text.contains("metric,fault_number,value,"), "\(report)")
    let counted = profile.repetitions[0].counters.first { $0.event == "page-faults" }?.value.value
    if let counted { #expect(report.text.contains("metric,fault_number,value,\(Int(counted)),")) }
  }

  @Test(
    arguments: [
      ("events:\n  x: {perf: page-fault, counts: x}", "mine.yaml:2: event 'x': unknown event 'page-fault'"),
      ("metrics:\n  x: {unit: ratio, formula: 1 +, text: x}", "mine.yaml:2:"),
      ("metrics:\n  x: {unit: ratio, formula: cycels, text: x}", "did you mean 'cycles'"),
    ])
  func wrongFilesAreRefusedBeforeTheRun(_ text: String, _ message: String) throws {
    try workplace.write(text, to: "mine.yaml")
    let ended = try workplace.kiviat("profile", "-q", "--metrics", "mine.yaml", "--", "touch", "begun")
    #expect(ended.status == 64 && ended.errors.contains(message), "\(ended)")
    #expect(!workplace.exists("begun"))
    let listed = try workplace.kiviat("list", "metrics", "--metrics", "mine.yaml")
    #expect(listed.status == 64 && listed.errors.contains(message), "\(listed)")
  }

  @Test func missingFilesAreRefused() throws {
    for path in ["nothing.yaml", "."] {
      let ended = try workplace.kiviat("profile", "-q", "--metrics", path, "--", "touch", "begun")
      #expect(ended.status == 64 && ended.errors.contains("--metrics \(path)"), "\(ended)")
      #expect(!workplace.exists("begun"))
    }
  }

  @Test func listsMetricsOfAnyProcessor() throws {
    let here = try workplace.kiviat("list", "metrics")
    #expect(here.status == 0 && here.text.contains("achieved_occupancy"), "\(here)")
    let other = try workplace.kiviat("list", "metrics", "--cpu", "arm-neoverse-v2")
    #expect(other.text.contains("# arm-neoverse-v2: Arm Neoverse V2") && other.text.contains("retiring"), "\(other)")
    let all = try workplace.kiviat("list", "metrics", "--cpu", "all")
    #expect(all.text.split(separator: "\n").count { $0.hasPrefix("# ") && $0.contains(": ") } >= 13, "\(all)")
    let none = try workplace.kiviat("list", "metrics", "--cpu", "z80")
    #expect(none.status == 64 && none.errors.contains("amd-zen4"), "\(none)")
    let markdown = try workplace.kiviat("list", "metrics", "--format", "markdown")
    #expect(markdown.text.hasPrefix("# Metrics\n"), "\(markdown)")
  }
}
