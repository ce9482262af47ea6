// Does a profiled suite become a page, and do suites compare, by the commands that the README shows?
import Foundation
import Testing

struct SuiteReportTests {
  /// Three commands that do different things, twice each, one of them failing.
  private static func suite(_ workplace: Workplace) throws {
    try workplace.write(
      """
      suite: s
      title: Three commands
      repeats: 2
      benchmarks:
        - {id: A, command: ['true'], title: Nothing}
        - {id: B, command: [sh, -c, 'i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done'], title: Counting}
        - {id: C, command: [sleep, '0.05'], title: Sleeping}
        - {id: D, command: ['false'], title: Failing}
      """, to: "s.yaml")
    #expect(try workplace.kiviat("profile", "s.yaml", "-q").status == 1)
  }

  @Test func commandsAsASuite() throws {
    let workplace = try Workplace()
    try Self.suite(workplace)
    let ended = try workplace.kiviat("report", "s", "--figures", "paper")
    #expect(ended.status == 0 && ended.errors.contains("wrote s/report.html"), "\(ended)")
    let page = try String(contentsOfFile: workplace.file("s/report.html"), encoding: .utf8)
    for words in [
      "Three commands", "Counting", "does not count: exited with status 1", "Not measured", "Kiviat diagrams",
    ] {
      #expect(page.contains(words), "\(words)")
    }
    let files = try FileManager.default.contentsOfDirectory(atPath: workplace.file("paper"))
    #expect(files.contains { $0.hasSuffix(".svg") } && files.contains { $0.hasSuffix(".tex") })
    // The same profiles and seed give the same bytes.
    let json = try workplace.kiviat("report", "s", "--format", "json", "-o", "-")
    #expect(json.status == 0 && json.text.contains("\"kiviat-suite-report\""))
    #expect(try workplace.kiviat("report", "s", "--format", "json", "-o", "-").output == json.output)
    let csv = try workplace.kiviat("report", "s", "--format", "csv", "-o", "-")
    #expect(csv.text.hasPrefix("suite,benchmark,run,attribute") && csv.text.contains("s,B,B@2.kiviat,\"wall time\","))

    // A file that is no profile is named and does not end the report.
    try workplace.write("nothing", to: "s/E.kiviat")
    let damaged = try workplace.kiviat("report", "s", "--format", "text")
    #expect(damaged.status == 0 && damaged.text.contains("E.kiviat"), "\(damaged)")

    let beside = try workplace.kiviat("compare", "s", "published:mlperf")
    #expect(beside.status == 0 && beside.text.contains("About the numbers"), "\(beside)")
    let mixed = try workplace.kiviat("compare", "s", "s/A.kiviat")
    #expect(mixed.status == 64 && mixed.errors.contains("is a suite and the other side is not"), "\(mixed)")
  }

  @Test func publishedSuites() throws {
    let workplace = try Workplace()
    let text = try workplace.kiviat("compare", "published:aibench", "published:mlperf")
    #expect(text.status == 0, "\(text)")
    // The technical report's "1.3x to 6.4x".
    for words in ["1.38", "6.44", "1.96", "225.41 h", "361.72 h", "38 % less"] {
      #expect(text.text.contains(words), "\(words)")
    }
    let page = try workplace.kiviat(
      "compare", "published:aibench", "published:mlperf", "-o", "x.html", "--figures", "f")
    #expect(page.status == 0 && workplace.exists("f"), "\(page)")
    let report = try workplace.kiviat("report", "published:aibench")
    #expect(report.status == 0 && workplace.exists("published-aibench.html"), "\(report)")
    let subset = try workplace.kiviat("subset", "published:aibench", "--features", "model", "--figures", "g")
    #expect(subset.status == 0 && workplace.exists("g"), "\(subset)")
    let unknown = try workplace.kiviat("compare", "published:aibench", "published:none")
    #expect(unknown.status == 64 && unknown.errors.contains("there are aibench"), "\(unknown)")
  }
}
