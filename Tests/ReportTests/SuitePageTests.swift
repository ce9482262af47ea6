// Does a suite's page hold what the technical report's section 5 shows, in every format, and nothing that could act?
import Analysis
import Foundation
import ProfileModel
import Testing

@testable import Report

struct SuitePageTests {
  /// Suites of training runs, an external command and a benchmark that has no profile.
  static func set(_ name: String, _ count: Int, profile: Profile = Fixtures.training(repetitions: 4)) -> MemberSet {
    var members = (0..<count).map { index -> SuiteMember in
      var changed = profile
      changed.settings["suite.id"] = "B\(index)"
      changed.repetitions = changed.repetitions.map { data in
        var data = data
        // Each benchmark spends its time otherwise, so that there is something to compare.
        data.kernels = data.kernels.enumerated().map { position, kernel in
          var kernel = kernel
          kernel.selfNanoseconds = kernel.selfNanoseconds / Int64(1 + (position + index) % (count + 1))
          return kernel
        }
        return data
      }
      var member = SuiteMember(
        id: "B\(index)", title: "Benchmark \(index)",
        evidence: RunEvidence.of(changed, name: "B\(index).kiviat"))
      member.isMetricAccepted = index % 2 == 0
      member.metricReason = "because"
      return member
    }
    if count > 1 {
      members.append(
        SuiteMember(
          id: "cmd", title: "A program", evidence: RunEvidence.of(Fixtures.command(), name: "cmd.kiviat")))
      members.append(SuiteMember(id: "none", title: "Never run", evidence: []))
    }
    return MemberSet(
      name: name, title: "A suite called \(name)", source: "a test", members: members,
      machines: ["CPU one", "CPU two"],
      remarks: ["the profiles are from 2 machines"])
  }

  static let suite = SuiteCharacterization(of: set("first", 5))
  static let comparison = SuiteComparison(set("first", 5), set("second", 3))

  @Test func pageHasEverySection() {
    let document = SuitePage(suite: Self.suite, version: "0").document()
    #expect(
      document.sections.map(\.id) == [
        "words", "members", "model", "patterns", "similarity", "kernels", "breakdown", "hotspots", "stalls",
        "variation",
        "cost", "functions", "subset", "subset-rules", "subset-cost", "subset-evidence", "subset-wc", "roofline",
        "not-measured", "provenance",
      ])
    #expect(!document.summary.isEmpty)
  }

  @Test(arguments: ReportFormat.allCases)
  func formatsAreWholeAndLoadNothing(format: ReportFormat) throws {
    for text in [
      try Report.render(Self.suite, as: format, version: "0"),
      try Report.render(Self.comparison, as: format, version: "0"),
    ] {
      #expect(!text.isEmpty)
      #expect(!text.contains("http://") && !text.contains("https://"))
      if format == .html {
        #expect(Markup.problem(in: text) == nil)
        #expect(text.utf8.count < 2_000_000)
        #expect(!text.contains(">NaN") && !text.contains("src="))
      }
      if format == .json { #expect(try JSONSerialization.jsonObject(with: Data(text.utf8)) is [String: Any]) }
      if format == .text { #expect(text.split(separator: "\n").allSatisfy { $0.count <= 140 }) }
    }
  }

  @Test func whatIsMissingIsSaid() throws {
    let page = try Report.render(Self.suite, as: .markdown, version: "0")
    #expect(page.contains("there is no profile of it"))
    #expect(page.contains("the profiles are from 2 machines"))
    #expect(page.contains("Stall breakdown"))
  }

  @Test(arguments: [0, 1])
  func smallSuitesStillMakeAPage(count: Int) throws {
    let suite = SuiteCharacterization(of: Self.set("tiny", count))
    for format in ReportFormat.allCases { #expect(try !Report.render(suite, as: format, version: "0").isEmpty) }
    let page = try Report.render(suite, as: .markdown, version: "0")
    #expect(page.contains("similarity takes three or more"))
  }

  @Test func hostileNamesStayText() throws {
    var set = Self.set("<script>alert(1)</script>", 3, profile: HostileTests.profile)
    set.title = "</title><script>alert(2)</script>"
    set.members = set.members.map { member in
      var member = member
      member.title = "<img src=x onerror=alert(3)>" + member.id
      member.remarks = ["'\"><svg onload=alert(4)>"]
      return member
    }
    let texts = [
      try Report.render(SuiteCharacterization(of: set), as: .html, version: "0"),
      try Report.render(SuiteComparison(set, Self.set("x", 3)), as: .html, version: "0"),
    ]
    for text in texts {
      #expect(Markup.problem(in: text) == nil)
      #expect(!text.contains("<script>alert") && !text.contains("<img src=x") && !text.contains("<svg onload"))
    }
  }
}
