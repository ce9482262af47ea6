// Which suite does a word on the command line mean?
import ArgumentParser
import Foundation
import Suites

/// What only suites take.
struct SuiteOptions: ParsableArguments {
  @Flag(help: "Go on with a suite: what is complete in its folder, with the same settings, is not run again.")
  var resume = false

  @Option(help: ArgumentHelp("Run only these benchmarks of the suite, by id.", valueName: "id,…"))
  var only: [String] = []

  /// What the user gave, by option name.
  var given: [String] { (resume ? ["--resume"] : []) + (only.isEmpty ? [] : ["--only"]) }

  /// The ids, also when they came in one word.
  var ids: [String] { only.flatMap { $0.split(separator: ",").map(String.init) } }
}

/// A suite that comes with Kiviat, or a manifest of the user's.
struct SuiteArgument {
  let suite: Suite
  /// The manifest, as it was read.
  let manifest: String

  /// Whether a word names a suite: a benchmark has no slash and no ending.
  static func isSuite(_ word: String) -> Bool {
    Suite.builtIn.contains { $0.name == word.lowercased() } || word.contains("/") || word.hasSuffix(".yaml")
      || word.hasSuffix(".yml")
  }

  init(_ word: String) throws {
    do {
      if let builtIn = Suite.builtIn.first(where: { $0.name == word.lowercased() }) {
        suite = try builtIn.suite()
        manifest = builtIn.manifest
      } else {
        suite = try Suite(manifestAt: word)
        manifest = try String(contentsOfFile: word, encoding: .utf8)
      }
    } catch {
      throw Failure(message: "\(error)", status: 64)
    }
  }
}
