// Does a subset's report say what was found in every format, and do names stay text in it?
import Analysis
import Foundation
import ProfileModel
import Testing

@testable import Report

struct SubsetPageTests {
  static func member(_ index: Int, _ name: String) -> SuiteMember {
    let x = Double(index)
    var member = SuiteMember(id: "m\(index)", title: name, because: "not measured")
    member.patterns = [
      NamedQuantity("a", label: "occupancy", unit: "1", Measured(x, .derived)),
      NamedQuantity("b", label: "IPC", unit: "1", Measured((x * 5).truncatingRemainder(dividingBy: 7), .derived)),
    ]
    member.metric = name
    member.metricReason = name
    member.isMetricAccepted = index != 3
    member.parameters = Measured(x + 1, .declared)
    member.forwardFLOPs = Measured(x + 1, .declared)
    member.epochs = Measured(x + 1, .declared)
    member.secondsToQuality = index == 4 ? .unavailable(Unavailable(name)) : Measured(3600 * (x + 1), .clock)
    member.variation = Measured(RunVariation(populationCV: 0.01, count: 5), .published)
    return member
  }

  static func choice(_ names: [String], count: Int = 9) -> SubsetChoice {
    var set = MemberSet(
      name: "made", title: names[0], source: names[1 % names.count],
      members: (0..<count).map { member($0, names[$0 % names.count]) })
    set.machines = names
    set.remarks = names
    var other = set
    other.members[0].lowerBounds = [.secondsToQuality]
    return SubsetChoice(of: set, SubsetOptions(bootstraps: 20), against: [other])
  }

  static let plain = choice((0..<9).map { "Benchmark \($0)" })

  @Test func everyFormatNamesTheSubset() throws {
    let choice = Self.plain
    #expect(!choice.chosen.isEmpty)
    for format in ReportFormat.allCases {
      let text = try Report.render(choice, as: format, version: "1")
      for id in choice.chosenIDs { #expect(text.contains(id), "\(format)") }
      #expect(text == (try Report.render(choice, as: format, version: "1")))
    }
    let page = try Report.render(choice, as: .html, version: "1")
    #expect(Markup.problem(in: page) == nil)
    for words in ["The rules", "least error at each cost", "What each benchmark costs", "without m0, a lower bound"] {
      #expect(page.contains(words), "\(words)")
    }
  }

  @Test func jsonIsTheResult() throws {
    struct Root: Decodable {
      var format: String
      var version: Int
      var report: SubsetChoice
    }
    let text = try Report.render(Self.plain, as: .json, version: "1")
    let root = try JSONDecoder().decode(Root.self, from: Data(text.utf8))
    #expect(root.format == "kiviat-subset" && root.version == 1 && root.report == Self.plain)
  }

  @Test func everyRowOfTheTableHasItsFields() throws {
    let lines = try Report.render(Self.plain, as: .csv, version: "1").components(separatedBy: "\r\n").dropLast()
    #expect(lines.first == "suite,section,name,attribute,value,unit,source,detail,reason")
    // Outside quotes there are as many commas in every row.
    for line in lines {
      let outside = line.components(separatedBy: "\"").enumerated().filter { $0.offset % 2 == 0 }.map(\.element)
        .joined()
      #expect(outside.count { $0 == "," } == 8, "\(line)")
    }
  }

  @Test func namesStayText() throws {
    let choice = Self.choice(HostileTests.names)
    let page = try Report.render(choice, as: .html, version: "1")
    #expect(Markup.problem(in: page) == nil)
    #expect(!page.contains("<script>alert") && !page.contains("<img src=x") && !page.contains("<svg onload"))
    #expect(!page.contains("\u{202E}") && !page.contains("\u{1B}"))
    for format in [ReportFormat.text, .markdown, .csv] {
      let text = try Report.render(choice, as: format, version: "1")
      #expect(!text.contains("\u{1B}[31m") && !text.contains("\u{202E}") && !text.contains("\u{0}"), "\(format)")
    }
  }

  @Test func aSuiteWithoutASubset() throws {
    let none = SubsetChoice(of: MemberSet(name: "none", title: "None", members: []))
    #expect(!none.isDefensible)
    for format in ReportFormat.allCases { #expect(!(try Report.render(none, as: format, version: "1")).isEmpty) }
    #expect(try Report.render(none, as: .text, version: "1").contains("No subset"))
  }
}
