// --log-format and --log: the training log in the form of another suite.
import ArgumentParser
import Foundation
import ProfileModel
import Report

struct TrainingLogOptions: ParsableArguments {
  @Option(name: .customLong("log-format"), help: "Also write a training log: mllog (MLPerf's) or airank (AI-Rank's).")
  var format: TrainingLogFormat?

  @Option(name: .customLong("log"), help: "Where to: a file, or - for stdout. Beside a suite's profiles by itself.")
  var path: String?

  func check(isCommand: Bool, isSuite: Bool, count: Int, repetitions: Int) throws {
    guard format != nil || path != nil else { return }
    if isCommand { throw ValidationError("--log-format is for benchmarks: a command keeps its own log") }
    if isSuite {
      if path != nil { throw ValidationError("a suite's logs go beside its profiles: leave out --log") }
      return
    }
    guard format != nil else { throw ValidationError("--log needs --log-format mllog or --log-format airank") }
    guard path != nil else { throw ValidationError("--log-format needs --log FILE (- for stdout)") }
    if count > 1 { throw ValidationError("--log takes the log of one benchmark: profile one at a time, or a suite") }
    if repetitions > 1 { throw ValidationError("--log takes the log of one run: leave out -r") }
  }

  /// Opened before the run, so that a bad path fails at once.
  func file() throws -> OutputFile? { try path.map { try OutputFile($0) } }
}

extension TrainingLogFormat: ExpressibleByArgument {}

extension TrainingLogFormat {
  /// Writes the log of a profile's only run; of a run that did not train there is none, and a warning says so.
  func write(profileAt path: String, to file: OutputFile) throws {
    do {
      try file.write(text(Profile(contentsOf: path)))
    } catch let failure as Failure {
      Terminal.warning("\(path): \(failure)")
    }
  }
}
