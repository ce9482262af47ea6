// kiviat subset: which few benchmarks stand for a suite.
import Analysis
import ArgumentParser
import Foundation
import References
import Report

struct SubsetCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "subset", abstract: "Chooses the few benchmarks that stand for a suite.",
    discussion: """
      kiviat subset aibench                                   of a folder of profiles
      kiviat subset published:aibench --against published:mlperf
                                                              of numbers that others published
      kiviat subset aibench --preset wc -o subset.html        for workload characterization, as a page

      Published numbers: \(References.names.joined(separator: ", ")), or your own file (published:path/to/file.yaml).
      Presets: rpr (repeatable performance ranking) has the rules diversity, variation, metric and clusters and takes as few
      benchmarks as they allow; wc (workload characterization) has clusters and extremes and takes the cheapest.
      """)

  @Argument(help: ArgumentHelp("Folders of profiles, or published:NAME.", valueName: "suite"))
  var suites: [String]

  @Option(help: "rpr or wc.")
  var preset: SubsetPreset = .rpr

  @Option(help: ArgumentHelp("Rules that are switched off.", valueName: "rule,…"))
  var without: [String] = []

  @Option(help: ArgumentHelp("Coefficients of variation from here on are too large.", valueName: "share"))
  var limitVariation = 0.02

  @Option(
    help: ArgumentHelp(
      "As many benchmarks as this, those with the least error, in place of the fewest.", valueName: "number"))
  var size: Int?

  @Option(help: ArgumentHelp("Another suite, whose cost is compared.", valueName: "suite"))
  var against: [String] = []

  @Option(name: .shortAndLong, help: "Where to write: a file, or - for stdout.")
  var output = "-"

  @Option(
    help: ArgumentHelp(
      "A folder for every figure as SVG, and the numbers of every figure and table as CSV and LaTeX.", valueName: "dir")
  )
  var figures: String?

  @Option(help: "html, markdown, json, csv or text. Default: by the output’s name, else text.")
  var format: ReportFormat?

  @OptionGroup(title: "How benchmarks are compared")
  var similarity: SimilarityOptions

  func validate() throws {
    if suites.isEmpty { throw ValidationError("name a suite: kiviat subset published:aibench") }
    if suites.count > 1, output != "-" {
      throw ValidationError("several suites have several results: one at a time with -o")
    }
    if suites.count > 1, figures != nil {
      throw ValidationError("several suites have several results: one at a time with --figures")
    }
    if suites.count > 1, format == .html || format == .json || format == .csv {
      throw ValidationError("several suites have several results: one at a time as \(format?.rawValue ?? "")")
    }
    if let size, size < 1 { throw ValidationError("--size must be 1 or more") }
    if !(limitVariation > 0 && limitVariation.isFinite) {
      throw ValidationError("--limit-variation must be above 0: 0.02 is 2 %")
    }
    _ = try switchedOff()
  }

  private func switchedOff() throws -> [SubsetRule] {
    try without.flatMap { $0.split(separator: ",") }.map { word in
      guard let rule = SubsetRule(rawValue: String(word)), preset.rules.contains(rule) else {
        throw ValidationError(
          "--without \(word): the preset \(preset.rawValue) has \(preset.rules.map(\.rawValue).joined(separator: ", "))"
        )
      }
      return rule
    }
  }

  func run() throws {
    let suffix = output.split(separator: ".").last.map(String.init)
    let format = format ?? ReportFormat.allCases.first { $0.fileExtension == suffix } ?? .text
    // Before the work, so that a bad path fails at once.
    let file = try OutputFile(output)
    let folder = try figures.map(FigureFolder.init)
    let color = file.path == nil && isatty(STDOUT_FILENO) == 1 && Terminal.isColorWanted
    let options = SubsetOptions(
      preset, without: try switchedOff(), variationLimit: limitVariation, features: similarity.features ?? .both,
      linkage: similarity.linkage, clusters: similarity.clusters, size: size, seed: similarity.seed)
    let others = try against.map(MemberSetArgument.memberSet)
    let sets = try suites.map(MemberSetArgument.memberSet)
    let choices = sets.map { all in
      var (set, leftOut) = all.comparable(by: options.features)
      set.remarks += leftOut
      return SubsetChoice(of: set, options, against: others)
    }
    let texts = try choices.map { try Report.render($0, as: format, version: kiviatVersion, color: color) }
    try file.write(texts.joined(separator: format == .markdown ? "\n---\n\n" : "\n"))
    if let written = file.path { Terminal.info("wrote \(written)") }
    if let folder, let choice = choices.first {
      Terminal.info(try folder.write(Report.figures(of: choice, version: kiviatVersion)))
    }
  }
}

extension SubsetPreset: ExpressibleByArgument {}
