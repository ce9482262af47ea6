// Does a wrong file of a user's say what is wrong, where, and what to do?
import ProfileModel
import Suites
import Testing

@testable import Metrics

@Suite struct UserMetricsTests {
  static func read(_ text: String, family: String = "intel-skylake-x") throws -> UserMetrics {
    try UserMetrics(text, named: "mine.yaml", to: #require(try CatalogueTests.catalogue.get().family(named: family)))
  }

  @Test func addsEventsAndMetrics() throws {
    let user = try Self.read(
      """
      events:
        splits: {event: 0xd0, umask: 0x41, counts: loads across two lines}
        walks: {perf: dTLB-load-misses, counts: walks}
      groups:
        mine: [splits, walks, instructions]
      metrics:
        split_share:
          unit: ratio
          formula: 1000 * splits / instructions
          group: mine
          text: loads across lines in a thousand instructions
        weighted: {unit: ratio, range: [0, 1], formula: retiring * frontend_bound, text: uses the catalogue's}
      """)
    #expect(user.metrics == ["split_share", "weighted"])
    #expect(user.events.map(\.counterName) == ["splits", "dTLB-load-misses"])
    #expect(user.family.event("splits")?.encoding.config == 0x41d0)
    let counters = [
      EvaluationTests.counter("splits", 5), EvaluationTests.counter("instructions", 1000),
    ]
    let metric = try #require(user.family.metric("split_share"))
    #expect(MetricEvaluation(user.family, counters: counters).result(metric).value.value == 5)
  }

  struct Wrong: CustomTestStringConvertible {
    var name: String
    var text: String
    var line: Int?
    var words: [String]
    var testDescription: String { name }
  }

  static let metrics = "metrics:\n  m: {unit: ratio, formula: "

  @Test(
    arguments: [
      Wrong(name: "no YAML", text: "metrics: [", line: 2, words: []),
      Wrong(name: "empty", text: "", line: nil, words: ["empty"]),
      Wrong(name: "a list", text: "- x", line: 1, words: ["must have fields"]),
      Wrong(
        name: "syntax", text: "metrics:\n  m:\n    unit: ratio\n    formula: 1 + (2\n    text: x", line: 4,
        words: ["syntax error at character 7", "')'", "missing"]),
      Wrong(
        name: "unknown event", text: metrics + "instrutions / cycles, text: x}", line: 2,
        words: ["unknown event or metric 'instrutions'", "did you mean 'instructions'"]),
      Wrong(name: "unknown metric", text: metrics + "retirin, text: x}", line: 2, words: ["did you mean 'retiring'"]),
      Wrong(
        name: "cycle",
        text: "metrics:\n  a: {unit: ratio, formula: b, text: x}\n  b: {unit: ratio, formula: a, text: x}", line: 2,
        words: ["a → b → a", "break it"]),
      Wrong(name: "itself", text: metrics + "m, text: x}", line: 2, words: ["m → m"]),
      Wrong(
        name: "unit of the formula", text: metrics + "instructions + cycles, text: x}", line: 2,
        words: ["units don't fit", "count", "cycles"]),
      Wrong(
        name: "unit of the metric", text: metrics + "instructions / cycles, text: x}", line: 2,
        words: ["count/cycles", "ratio"]),
      Wrong(
        name: "no unit", text: "metrics:\n  m: {unit: miles, formula: 1, text: x}", line: 2,
        words: ["'miles' is no unit"]),
      Wrong(
        name: "duplicate of the catalogue", text: "metrics:\n  retiring: {unit: ratio, formula: 1, text: x}", line: 2,
        words: ["duplicate", "another name"]),
      Wrong(
        name: "duplicate in the file",
        text: "events:\n  x: {perf: a, counts: x}\nmetrics:\n  x: {unit: count, formula: x, text: x}", line: 4,
        words: ["duplicate"]),
      Wrong(
        name: "out of range", text: metrics + "branch_misses / instructions, range: [0, 1], text: x}", line: 2,
        words: ["out of its range 0.0…1.0", "consistent"]),
      Wrong(
        name: "range turned round", text: metrics + "1, range: [1, 0], text: x}", line: 2, words: ["lower first"]),
      Wrong(
        name: "mask too large", text: "events:\n  x: {event: 0xd0, umask: 0x141, counts: x}", line: 2,
        words: ["'umask'", "0 to 255"]),
      Wrong(
        name: "no code", text: "events:\n  x: {counts: x}", line: 2, words: ["'perf'", "'event'", "'pmu'"]),
      Wrong(name: "misspelt field", text: metrics + "1, txt: x}", line: nil, words: ["'text' is missing"]),
      Wrong(
        name: "unknown field", text: metrics + "1, text: x, colour: red}", line: 2, words: ["no field 'colour'"]),
      Wrong(
        name: "group too large",
        text: """
          events:
            a: {event: 1, counts: x}
            b: {event: 2, counts: x}
            c: {event: 3, counts: x}
            d: {event: 4, counts: x}
            e: {event: 5, counts: x}
          groups:
            big: [a, b, c, d, e]
          """, line: 8, words: ["needs 5 counters", "make two of it"]),
      Wrong(name: "group of nothing", text: "groups:\n  g: [branchess]", line: 2, words: ["did you mean 'branches'"]),
      Wrong(
        name: "relation", text: "consistent: [cycles > 1]", line: 1, words: ["is no relation", "<="]),
      Wrong(name: "name", text: "metrics:\n  2x: {unit: ratio, formula: 1, text: x}", line: 2, words: ["is no name"]),
    ])
  func saysWhatIsWrong(_ wrong: Wrong) throws {
    let error = try #require(throws: ManifestError.self) { try Self.read(wrong.text) }
    #expect(error.file == "mine.yaml")
    if let line = wrong.line { #expect(error.line == line, "\(error)") }
    for word in wrong.words { #expect(error.message.contains(word), "\(error)") }
  }
}
