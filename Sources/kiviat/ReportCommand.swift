// kiviat report: a profile's characterization as a page, or as data.
import Analysis
import ArgumentParser
import Foundation
import ProfileModel
import Report

struct ReportCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "report", abstract: "Shows what a profile says.",
    discussion: """
      kiviat report run.kiviat                       writes run.html
      kiviat report run.kiviat --format text         a summary on stdout
      kiviat report run.kiviat --format json -o -    everything, as documented in docs/report-json.md
      kiviat report *.kiviat -o all.html             several profiles on one page
      kiviat report aibench                          a suite's folder: its characterization, aibench/report.html
      kiviat report published:aibench                the same of published numbers
      kiviat report run.kiviat --figures figures     besides, each figure as SVG, its numbers as CSV and LaTeX
      """)

  @Argument(help: ArgumentHelp("Profiles that `kiviat profile` wrote, or folders of them.", valueName: "profile"))
  var profiles: [String]

  @Option(name: .shortAndLong, help: "Where to write: a file, or - for stdout. Default: beside the profile.")
  var output: String?

  @Option(name: .long, help: "html, markdown, json, csv or text.")
  var format: ReportFormat?

  @Option(
    name: .long,
    help: ArgumentHelp(
      "A folder for every figure as SVG, and the numbers of every figure and table as CSV and LaTeX.", valueName: "dir")
  )
  var figures: String?

  @OptionGroup(title: "Of a suite")
  var similarity: SimilarityOptions

  func validate() throws {
    if profiles.isEmpty { throw ValidationError("name a profile: kiviat report NAME.kiviat") }
    if profiles.count > 1, output == nil, chosenFormat != .text {
      throw ValidationError("several profiles make one report: say where with -o (- for stdout)")
    }
  }

  /// What was asked for, else what the output's name says, else HTML.
  private var chosenFormat: ReportFormat {
    let suffix = output?.split(separator: ".").last.map(String.init)
    return format ?? ReportFormat.allCases.first { $0.fileExtension == suffix } ?? .html
  }

  /// Whether the argument is a folder of profiles or published numbers.
  private var isSuite: Bool {
    ProfilePaths.isFolder(profiles[0]) || profiles[0].hasPrefix(MemberSetArgument.prefix)
  }

  /// Beside the profile, in the folder; `published-NAME.html` here for published numbers.
  private func defaultOutput(_ format: ReportFormat) -> String {
    guard profiles[0].hasPrefix(MemberSetArgument.prefix) else {
      return ProfilePaths.report(besides: profiles[0], format)
    }
    let name = profiles[0].dropFirst(MemberSetArgument.prefix.count).split(separator: "/").last.map(String.init) ?? ""
    return "published-" + name.replacingSuffix(".yaml", with: "." + format.fileExtension)
  }

  func run() throws {
    let format = chosenFormat
    let target = output ?? (format == .text ? "-" : defaultOutput(format))
    // Before the work, so that a bad path fails at once.
    let file = try OutputFile(target)
    let folder = try figures.map(FigureFolder.init)
    let color = file.path == nil && isatty(STDOUT_FILENO) == 1 && Terminal.isColorWanted
    if profiles.count == 1, isSuite {
      let suite = SuiteCharacterization(
        of: try MemberSetArgument.memberSet(profiles[0]), features: similarity.features, linkage: similarity.linkage,
        clusters: similarity.clusters, seed: similarity.seed)
      if !suite.set.isPublished { for remark in suite.set.remarks { Terminal.warning(remark) } }
      try file.write(Report.render(suite, as: format, version: kiviatVersion))
      if let written = file.path { Terminal.info("wrote \(written)") }
      if let folder { Terminal.info(try folder.write(Report.figures(of: suite, version: kiviatVersion))) }
      return
    }
    let paths = try profiles.flatMap(ProfilePaths.profiles)
    let characterizations = try paths.map { Characterization(of: try Profile(contentsOf: $0)) }
    try file.write(Report.render(characterizations, as: format, color: color))
    if let written = file.path { Terminal.info("wrote \(written)") }
    if let folder { Terminal.info(try folder.write(Report.figures(of: characterizations))) }
  }
}

extension ReportFormat: ExpressibleByArgument {}

extension String {
  /// The string with its ending replaced, or the new ending added where the old one is not there.
  func replacingSuffix(_ suffix: String, with other: String) -> String {
    (hasSuffix(suffix) ? String(dropLast(suffix.count)) : self) + other
  }
}
