// The command: one verb a file. Parsing ends in validated options; the work is in Profiler, Analysis and Report.
import ArgumentParser
import Foundation
import ProfileModel
import Profiler

@main
struct Kiviat: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "kiviat",
    abstract: "Tells what a workload does to a machine.",
    discussion: """
      kiviat doctor                     what this machine can measure, and what it takes for the rest
      kiviat profile -- CMD ARGS        profile any command
      kiviat profile BENCHMARK          profile a built-in AI benchmark (kiviat list benchmarks)
      kiviat report NAME.kiviat         its characterization as one page
      kiviat compare A.kiviat B.kiviat  whether B is faster than A, and in what
      kiviat compare SUITE SUITE        what one suite covers and the other does not
      kiviat subset SUITE               the few benchmarks that stand for a suite
      """,
    version: "kiviat \(kiviatVersion)",
    subcommands: [
      ProfileCommand.self, ReportCommand.self, CompareCommand.self, SubsetCommand.self, DoctorCommand.self,
      ListCommand.self,
    ])

  /// What SIGPIPE was to do when we were started: commands inherit it.
  static let inheritedPipeSignal = signal(SIGPIPE, SIG_IGN)

  static func main() {
    // A reader that closes early (`kiviat report - | head`) is no crash: the write fails and says so.
    _ = inheritedPipeSignal
    do {
      var command = try parseAsRoot()
      try command.run()
    } catch let failure as Failure {
      end(failure.message, status: failure.status)
    } catch let error as LaunchError {
      // 127 and 126, as a shell: scripts tell a command that is missing from one that failed.
      end("\(error)", status: error.exitCode)
    } catch let error as EventError {
      end("\(error)", status: 64)
    } catch let error where error is ProfileError || error is SystemCallError {
      end("\(error)", status: 1)
    } catch {
      // Usage (64), help (0) and exit codes are ArgumentParser's to print.
      exit(withError: error)
    }
  }

  private static func end(_ message: String, status: Int32) -> Never {
    Terminal.error(message)
    Foundation.exit(status)
  }
}

/// The version that profiles and reports name.
let kiviatVersion = "0.1.0"

/// An error that ends the command with a status of its own.
struct Failure: Error {
  var message: String
  var status: Int32 = 1
}
