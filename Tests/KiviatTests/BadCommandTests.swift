// What happens when the command can't be started, dies, goes into the background, or is interrupted?
import Foundation
import ProfileModel
import Testing

@Suite(.serialized) struct BadCommandTests {
  let workplace: Workplace
  init() throws { workplace = try Workplace() }

  @Test func notFound() throws {
    let ended = try workplace.kiviat("profile", "-o", "p.kiviat", "--", "no-such-command-here")
    #expect(ended.status == 127)
    #expect(ended.errors.contains("no-such-command-here") && ended.errors.contains("PATH"), "\(ended)")
    #expect(!workplace.exists("p.kiviat"))
  }

  @Test(arguments: ["", ".", "..", "/"])
  func noProgramsName(_ name: String) throws {
    let ended = try workplace.kiviat("profile", "-q", "--", name)
    #expect([64, 126, 127].contains(ended.status) && ended.errors.contains("error"), "\(ended)")
    #expect(try FileManager.default.contentsOfDirectory(atPath: workplace.path).isEmpty)
  }

  @Test(arguments: ["./missing", "/no/such/folder/program"])
  func pathNotFound(_ path: String) throws {
    let ended = try workplace.kiviat("profile", "-o", "p.kiviat", "--", path)
    #expect(ended.status == 127 && ended.errors.contains(path), "\(ended)")
  }

  @Test func notExecutable() throws {
    try workplace.write("text", to: "data.txt")
    let ended = try workplace.kiviat("profile", "-o", "p.kiviat", "--", "./data.txt")
    #expect(ended.status == 126 && ended.errors.contains("chmod +x"), "\(ended)")
    #expect(!workplace.exists("p.kiviat"))
  }

  @Test func directoryIsNoCommand() throws {
    let ended = try workplace.kiviat("profile", "-o", "p.kiviat", "--", "/tmp")
    #expect(ended.status == 126 && ended.errors.contains("directory"), "\(ended)")
  }

  /// The kernel refuses it only at the exec: no interpreter, no known format.
  @Test(arguments: ["#!/no/such/interpreter\n", "\u{7F}ELF but not really"])
  func badExecutable(_ content: String) throws {
    try workplace.write(content, to: "program", mode: 0o755)
    let ended = try workplace.kiviat("profile", "-o", "p.kiviat", "--", "./program")
    #expect([126, 127].contains(ended.status) && ended.errors.contains("program"), "\(ended)")
  }

  /// A mistyped command must not cost the profile of the last one.
  @Test func oldProfileSurvivesMistypedCommand() throws {
    #expect(try workplace.kiviat("profile", "-q", "-o", "p.kiviat", "--", "true").status == 0)
    #expect(try workplace.kiviat("profile", "-q", "-o", "p.kiviat", "--", "no-such-command-here").status == 127)
    #expect(try workplace.profile().repetitions.first?.repetition.exitStatus == 0)
    #expect(!workplace.exists("p.kiviat.old"))
  }

  @Test func crashSaysWhy() throws {
    let ended = try workplace.kiviat("profile", "-q", "-o", "p.kiviat", "--", "sh", "-c", "kill -SEGV $$")
    #expect(ended.errors.contains("signal 11"), "\(ended)")
    let data = try #require(try workplace.profile().repetitions.first)
    #expect(data.notes.contains { $0.level == .warning && $0.message.contains("signal 11") })
    #expect((data.counter("task-clock")?.value.value ?? 0) > 0)
  }

  /// A command that leaves a process behind has ended; the rest is not waited for, and the report's reader is told.
  @Test func daemonIsNotWaitedFor() throws {
    let ended = try workplace.kiviat(
      "profile", "-q", "-o", "p.kiviat", "--", "sh", "-c", "setsid sleep 20 >/dev/null 2>&1 & echo $! >pid; exit 3")
    #expect(ended.status == 3 && ended.seconds < 15, "\(ended)")
    let notes = try #require(try workplace.profile().repetitions.first).notes
    #expect(notes.contains { $0.level == .warning && $0.message.contains("ran on") }, "\(notes)")
    if let text = try? String(contentsOfFile: workplace.file("pid"), encoding: .utf8),
      let pid = pid_t(text.trimmingCharacters(in: .whitespacesAndNewlines)), pid > 1
    {
      kill(pid, SIGKILL)
    }
  }

  // MARK: Signals

  /// Starts a command on a terminal and waits until it runs.
  private func start(_ script: String) throws -> Running {
    let running = try workplace.start(
      Programs.kiviat + ["profile", "-q", "-o", "p.kiviat", "--", "sh", "-c", script], onTerminal: true)
    running.until { workplace.exists("ready") }
    return running
  }

  @Test func controlCOnce() throws {
    let running = try start(": >ready; exec sleep 30")
    running.pressControlC()
    let ended = try running.wait(timeout: 20)
    #expect(ended.status == 130, "\(ended)")
    let repetition = try #require(try workplace.profile().repetitions.first).repetition
    #expect(repetition.state == .interrupted && repetition.signal == SIGINT && repetition.wallNanoseconds > 0)
  }

  /// A command that cleans up on Ctrl-C is given the time for it, and its status counts.
  @Test func commandMayHandleControlC() throws {
    let running = try start("trap 'echo tidied >tidy; exit 9' INT; : >ready; while :; do sleep 0.05; done")
    running.pressControlC()
    let ended = try running.wait(timeout: 20)
    #expect(ended.status == 9, "\(ended)")
    #expect(workplace.exists("tidy"))
    let repetition = try #require(try workplace.profile().repetitions.first).repetition
    #expect(repetition.state == .interrupted && repetition.exitStatus == 9)
  }

  @Test func controlCTwiceKills() throws {
    let running = try start("trap '' INT; : >ready; while :; do sleep 0.05; done")
    running.pressControlC()
    usleep(300_000)
    #expect(kill(running.pid, 0) == 0, "once is not enough for a command that ignores it")
    running.pressControlC()
    let ended = try running.wait(timeout: 20)
    #expect(ended.status == 137, "\(ended)")
    let repetition = try #require(try workplace.profile().repetitions.first).repetition
    #expect(repetition.state == .interrupted && repetition.signal == SIGKILL)
  }

  @Test func controlCEndsTheRepetitions() throws {
    let running = try workplace.start(
      Programs.kiviat + [
        "profile", "-q", "-r", "50", "-o", "p.kiviat", "--", "sh", "-c", "echo >>ready; exec sleep 1",
      ],
      onTerminal: true)
    running.until { workplace.exists("ready") }
    running.pressControlC()
    let ended = try running.wait(timeout: 20)
    #expect(ended.status == 130 && ended.seconds < 20, "\(ended)")
    #expect(try workplace.profile().repetitions.count < 10)
  }

  /// A service manager ends a run so.
  @Test func terminationIsPassedOn() throws {
    let running = try workplace.start(
      Programs.kiviat + [
        "profile", "-q", "-o", "p.kiviat", "--", "sh", "-c",
        "trap 'exit 7' TERM; : >ready; while :; do sleep 0.05; done",
      ])
    running.until { workplace.exists("ready") }
    running.send(SIGTERM)
    let ended = try running.wait(timeout: 20)
    #expect(ended.status == 7, "\(ended)")
    #expect(try workplace.profile().repetitions.first?.repetition.exitStatus == 7)
  }

  /// The profiler itself is killed: what was measured is there, up to a second before.
  @Test func profilerKilled() throws {
    let running = try workplace.start(
      Programs.kiviat + ["profile", "-q", "-o", "p.kiviat", "--", "sh", "-c", "echo $$ >ready; exec sleep 30"])
    running.until { workplace.exists("ready") }
    usleep(2_500_000)
    running.send(SIGKILL)
    #expect(try running.wait(timeout: 20).status == 137)
    let data = try #require(try workplace.profile().repetitions.first)
    #expect(data.repetition.state == .running)
    // 2.5 s ran, less the second that may be lost; the rest is room for a busy machine.
    #expect(data.repetition.wallNanoseconds >= 1_000_000_000)
    if let pid = pid_t(
      (try String(contentsOfFile: workplace.file("ready"), encoding: .utf8)).trimmingCharacters(
        in: .whitespacesAndNewlines))
    {
      kill(pid, SIGKILL)
    }
    // And the place is free for the next run.
    #expect(try workplace.kiviat("profile", "-q", "-o", "p.kiviat", "--", "true").status == 0)
  }
}
