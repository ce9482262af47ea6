// Runs one profiling session as a process of its own, for tests of signals, exit codes and cost:
// SessionDriver OUTPUT [-r N] [-F HZ] -- COMMAND...
import Glibc
import Profiler

/// Counts what comes, so that the rings are really read.
final class RecordCounter: PerfRecordConsumer {
  var records = 0

  func consume(_ record: PerfRecord) { records += 1 }
}

func complain(_ text: String) {
  let line = text + "\n"
  _ = write(STDERR_FILENO, line, line.utf8.count)
}

let arguments = Array(CommandLine.arguments.dropFirst())
guard let separator = arguments.firstIndex(of: "--"), separator > 0 else {
  complain("usage: SessionDriver OUTPUT [-r N] [-F HZ] -- COMMAND...")
  exit(64)
}
var options = ProfileOptions(command: Array(arguments[(separator + 1)...]), output: arguments[0])
if let flag = arguments[..<separator].firstIndex(of: "-r") { options.repetitions = Int(arguments[flag + 1]) ?? 1 }
if let flag = arguments[..<separator].firstIndex(of: "-F") { options.frequency = Int(arguments[flag + 1]) ?? 499 }

// A test runner starts its processes from threads that block signals, and a mask is inherited.
var none = sigset_t()
sigemptyset(&none)
sigprocmask(SIG_SETMASK, &none, nil)

do {
  let events = EventParser().defaultSet()
  let session = ProfileSession(options: options) { context in
    context.source.requestSampling()
    context.source.addConsumer(RecordCounter())
    return [CountingCollector(events: events, options: context.options, access: context.access)]
  }
  let outcome = try session.run()
  for note in outcome.notes { complain("\(note.level.rawValue): \(note.message)") }
  exit(outcome.exitCode)
} catch let error as LaunchError {
  complain("\(error)")
  exit(error.exitCode)
} catch {
  complain("\(error)")
  exit(1)
}
