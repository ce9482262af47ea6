// kiviat compare: is B faster than A? Two sets of runs of one command or benchmark, before and after a change.
import Analysis
import ArgumentParser
import Foundation
import ProfileModel
import Report

struct CompareCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "compare", abstract: "Compares two sets of runs, or two suites.",
    discussion: """
      kiviat profile -r 10 -o before.kiviat -- make check
      kiviat profile -r 10 -o after.kiviat -- make check
      kiviat compare before.kiviat after.kiviat                a summary on stdout
      kiviat compare before.kiviat after.kiviat -o diff.html   a page with charts
      kiviat compare runs-before runs-after                    folders with one benchmark's repeats
      kiviat compare aibench mlperf-training -o both.html      suites: what one covers and the other does not
      kiviat compare published:aibench published:mlperf        suites by published numbers

      Every finished repetition counts as one value, so profile with -r 5 or more. The exit status is 0 when B is \
      the same or better, 3 when it is worse, 4 when it can’t be told. Suites are no better or worse: 0.
      """)

  @Argument(
    help: ArgumentHelp(
      "The runs to compare with: a profile, or a folder of repeats; or a suite: a folder, or published:NAME.",
      valueName: "A"))
  var first: String

  @Argument(help: ArgumentHelp("The runs, or the suite, in question.", valueName: "B"))
  var second: String

  @Option(name: .shortAndLong, help: "Where to write: a file, or - for stdout. Default: text on stdout.")
  var output: String?

  @Option(name: .long, help: "html, markdown, json, csv or text.")
  var format: ReportFormat?

  @Option(name: .long, help: "Differences below this share count as none.")
  var margin: Double = Contrast.defaultMargin

  @Flag(name: .long, help: "Compare also different benchmarks.")
  var force = false

  @Option(
    name: .long,
    help: ArgumentHelp(
      "A folder for every figure as SVG, and the numbers of every figure and table as CSV and LaTeX.", valueName: "dir")
  )
  var figures: String?

  @OptionGroup(title: "Of suites")
  var similarity: SimilarityOptions

  func validate() throws {
    guard margin > 0, margin < 1 else {
      throw ValidationError("--margin \(margin): a share between 0 and 1, such as 0.02 for 2 %")
    }
  }

  /// What was asked for, else what the output's name says, else HTML for a file and text for stdout.
  private var chosenFormat: ReportFormat {
    let suffix = output?.split(separator: ".").last.map(String.init)
    return format ?? ReportFormat.allCases.first { $0.fileExtension == suffix }
      ?? (output == nil || output == "-" ? .text : .html)
  }

  func run() throws {
    // The one place that decides what is compared.
    switch try (Subject(first), Subject(second)) {
    case (.runs(let a), .runs(let b)): try compare(a, b)
    case (.suite(let a), .suite(let b)): try compareSuites(a, b)
    case (.suite(let name), .runs), (.runs, .suite(let name)):
      throw Failure(
        message:
          "\(name) is a suite and the other side is not: name two suites, or the profile of one benchmark, such as \(name)/ID.kiviat",
        status: 64)
    }
  }

  /// What an argument names.
  private enum Subject {
    /// Runs of one benchmark or command.
    case runs([String])
    /// A folder with several benchmarks, or published numbers.
    case suite(String)

    init(_ argument: String) throws {
      guard !argument.hasPrefix(MemberSetArgument.prefix) else {
        self = .suite(argument)
        return
      }
      let paths = try ProfilePaths.profiles(argument)
      guard paths.count > 1 else {
        self = .runs(paths)
        return
      }
      // `ID.kiviat`, `ID@2.kiviat`: in a suite's folder, names tell benchmarks apart without reading them.
      let ids = Set(paths.map { path in ProfilePaths.benchmark(path) })
      let isSuite = FileManager.default.fileExists(atPath: argument + "/suite.json")
      self = isSuite && ids.count > 1 ? .suite(argument) : .runs(paths)
    }
  }

  private func compareSuites(_ a: String, _ b: String) throws {
    // Before the work, so that a bad path fails at once.
    let file = try OutputFile(output ?? "-")
    let folder = try figures.map(FigureFolder.init)
    let comparison = SuiteComparison(
      try MemberSetArgument.memberSet(a), try MemberSetArgument.memberSet(b), features: similarity.features,
      seed: similarity.seed)
    try file.write(Report.render(comparison, as: chosenFormat, version: kiviatVersion))
    if let written = file.path {
      Terminal.info("wrote \(written)")
    }
    if let folder { Terminal.info(try folder.write(Report.figures(of: comparison, version: kiviatVersion))) }
  }

  private func compare(_ a: [String], _ b: [String]) throws {
    let format = chosenFormat
    // Before the work, so that a bad path fails at once.
    let file = try OutputFile(output ?? "-")
    let folder = try figures.map(FigureFolder.init)
    for path in a where b.contains(where: { ProfilePaths.isSameFile($0, path) }) {
      throw Failure(
        message: "\(path) is on both sides: a run compared with itself says nothing; profile it again with -r 5",
        status: 64)
    }
    let comparison: RunComparison
    do {
      comparison = try RunComparison(
        ComparedRuns(name: first, profiles: a.map { try Profile(contentsOf: $0) }),
        ComparedRuns(name: second, profiles: b.map { try Profile(contentsOf: $0) }), margin: margin, isForced: force)
    } catch let refusal as RunComparison.Refusal {
      throw Failure(message: "\(refusal)", status: 64)
    }
    let color = file.path == nil && isatty(STDOUT_FILENO) == 1 && Terminal.isColorWanted
    try file.write(Report.render(comparison, as: format, color: color))
    if let written = file.path {
      Terminal.info(comparison.summary.joined(separator: " "))
      Terminal.info("wrote \(written)")
    }
    if let folder { Terminal.info(try folder.write(Report.figures(of: comparison))) }
    let status = Self.status(comparison)
    if status != 0 { throw ExitCode(status) }
  }

  /// What scripts go by.
  static func status(_ comparison: RunComparison) -> Int32 {
    switch comparison.verdict {
    case .faster, .same: 0
    case .slower: 3
    // The primary metric is a speed; no other kind of number gets here.
    case .cantTell, .higher, .lower: 4
    }
  }
}
