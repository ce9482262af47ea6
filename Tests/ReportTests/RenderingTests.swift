// Do the pages hold what they should, in every format, and nothing that could act?
import Analysis
import Foundation
import ProfileModel
import Testing

@testable import Report

struct RenderingTests {
  static let profiles: [(name: String, profile: Profile)] = [
    ("training", Fixtures.training()), ("training-5", Fixtures.training(repetitions: 5)),
    ("command", Fixtures.command()), ("inference", Fixtures.inference()), ("empty", Profile()),
  ]

  /// Leaves the pages where a person can look at them.
  @Test(.enabled(if: ProcessInfo.processInfo.environment["KIVIAT_REPORT_SAMPLES"] != nil, "no folder asked for"))
  func writesSamples() throws {
    let folder = try #require(ProcessInfo.processInfo.environment["KIVIAT_REPORT_SAMPLES"])
    for (name, profile) in Self.profiles + [("hostile", HostileTests.profile), ("large", LargeTests.profile)] {
      let characterization = Characterization(of: profile)
      for format in ReportFormat.allCases {
        let text = try Report.render(characterization, as: format)
        try text.write(toFile: "\(folder)/\(name).\(format.fileExtension)", atomically: true, encoding: .utf8)
      }
    }
  }

  @Test(arguments: profiles.map(\.name), ReportFormat.allCases)
  func loadsNothingFromAnywhere(name: String, format: ReportFormat) throws {
    let profile = try #require(Self.profiles.first { $0.name == name }?.profile)
    let text = try Report.render(Characterization(of: profile), as: format)
    #expect(!text.contains("http://") && !text.contains("https://"))
    #expect(!text.isEmpty)
    if format == .html {
      #expect(text.utf8.count < 2_000_000)
      #expect(!text.contains("xmlns") && !text.contains("<link rel='stylesheet'") && !text.contains("src="))
      #expect(!text.contains("NaN") && !text.lowercased().contains("infinity"))
    }
  }

  @Test func trainingPageHasEverySectionThatItHasDataFor() {
    let document = ReportBuilder(characterization: Characterization(of: Fixtures.training(repetitions: 5))).document()
    #expect(
      document.sections.map(\.id) == [
        "limits", "key-figures", "breakdown", "cpu-time", "kernels", "functions", "categories", "roofline", "model",
        "training", "threads", "series", "counters", "variation", "flame", "host", "not-measured", "cost",
      ])
  }

  @Test func sectionsWithoutDataAreOnlyInNotMeasured() throws {
    let document = ReportBuilder(characterization: Characterization(of: Fixtures.command())).document()
    let ids = document.sections.map(\.id)
    for absent in ["breakdown", "kernels", "roofline", "training", "inference", "variation", "model"] {
      #expect(!ids.contains(absent))
    }
    let section = try #require(document.sections.first { $0.id == "not-measured" })
    let tables = section.blocks.compactMap { block -> Table? in
      if case .table(_, let table, _) = block { table } else { nil }
    }
    let names = tables.flatMap { $0.rows.map { $0[0].text } }
    for absent in ["Runtime breakdown", "Hotspot kernels", "Roofline", "Training", "Inference", "Variation"] {
      #expect(names.contains(absent))
    }
  }

  @Test func anEmptyProfileStillMakesEveryFormat() throws {
    let characterization = Characterization(of: Profile())
    for format in ReportFormat.allCases { #expect(try !Report.render(characterization, as: format).isEmpty) }
  }

  @Test func severalProfilesMakeOneDocumentWithDistinctAnchors() throws {
    let both = [Fixtures.training(), Fixtures.command()].map { Characterization(of: $0) }
    let page = try Report.render(both, as: .html)
    let ids = page.matches(of: #/\sid='([^']+)'/#).map { String($0.output.1) }
    #expect(Set(ids).count == ids.count)
    #expect(ids.contains("p1-breakdown") && ids.contains("p2-functions"))
    let json = try #require(
      JSONSerialization.jsonObject(with: Data(try Report.render(both, as: .json).utf8)) as? [String: Any])
    #expect((json["reports"] as? [Any])?.count == 2)
  }

  @Test(arguments: profiles.map(\.name))
  func theTerminalSummaryIsShortAndPlain(name: String) throws {
    let profile = try #require(Self.profiles.first { $0.name == name }?.profile)
    let text = try Report.render(Characterization(of: profile), as: .text)
    let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
    #expect(lines.count <= TextReport.lineLimit + 1)
    #expect(!text.contains("\u{1B}"))
    #expect(lines.allSatisfy { $0.count <= 116 })
    let colored = try Report.render([Characterization(of: profile)], as: .text, color: true)
    #expect(colored.contains("\u{1B}[1m"))
  }

  @Test(arguments: profiles.map(\.name))
  func everyTagIsClosed(name: String) throws {
    let profile = try #require(Self.profiles.first { $0.name == name }?.profile)
    #expect(Markup.problem(in: try Report.render(Characterization(of: profile), as: .html)) == nil)
  }
}

/// A strict reader of our own pages: every element closed in order, attributes quoted.
enum Markup {
  static func problem(in page: String) -> String? {
    let empty: Set = ["meta", "link", "input", "!DOCTYPE"]
    var open: [String] = []
    var rest = Substring(page)
    while let start = rest.firstIndex(of: "<") {
      rest = rest[start...]
      guard let end = rest.firstIndex(of: ">") else { return "unclosed tag at \(rest.prefix(60))" }
      let tag = rest[rest.index(after: rest.startIndex)..<end]
      let name = String(tag.prefix { !$0.isWhitespace && $0 != "/" || $0 == "/" && tag.first == "/" })
      rest = rest[rest.index(after: end)...]
      if name.hasPrefix("/") {
        guard open.last == String(name.dropFirst()) else { return "</\(name.dropFirst())> closes <\(open.last ?? "")>" }
        open.removeLast()
        continue
      }
      let quotes = tag.filter { $0 == "'" }.count
      if tag.contains("<") || quotes % 2 != 0 && !tag.contains("\"") { return "odd quotes in <\(tag.prefix(80))>" }
      if tag.hasSuffix("/") || empty.contains(name) { continue }
      if name == "script" || name == "style" {
        guard let close = rest.range(of: "</\(name)>") else { return "<\(name)> is not closed" }
        rest = rest[close.upperBound...]
        continue
      }
      open.append(name)
    }
    return open.isEmpty ? nil : "<\(open.joined(separator: "><"))> not closed"
  }
}
