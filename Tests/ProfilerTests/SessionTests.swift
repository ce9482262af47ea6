// Does a session pass signals and exit codes through, and does it leave a readable file whatever happens?
import Foundation
import Glibc
import ProfileModel
@testable import Profiler
import Testing

@Suite struct SessionTests {
  /// Profiles a run of the victim in a process of its own.
  func profile(_ command: [String], flags: [String] = [], input: String = "") throws -> (Programs.Result, Profile?) {
    let path = Programs.temporaryPath()
    defer { try? FileManager.default.removeItem(atPath: path) }
    let result = try Programs.run([Programs.driver, path] + flags + ["--"] + command, input: input)
    return (result, try? Self.read(path))
  }

  static func read(_ path: String) throws -> Profile { try Profile(contentsOf: path) }

  @Test("Exit statuses pass through", arguments: [0, 1, 42, 127, 255])
  func exitStatus(_ status: Int32) throws {
    let (result, profile) = try profile([Programs.victim, "exit", "\(status)"])
    #expect(result.exitCode == status)
    let repetition = try #require(profile?.repetitions.first?.repetition)
    #expect(repetition.state == .finished)
    #expect(repetition.exitStatus == status)
    #expect(repetition.signal == nil)
    #expect(repetition.wallNanoseconds > 0)
  }

  @Test("A killed target gives 128 and the signal", arguments: [SIGKILL, SIGSEGV, SIGABRT, SIGTERM])
  func killed(_ signal: Int32) throws {
    let (result, profile) = try profile([Programs.victim, "signal", "\(signal)"])
    #expect(result.exitCode == 128 + signal)
    let data = try #require(profile?.repetitions.first)
    #expect(data.repetition.signal == signal)
    #expect(data.repetition.exitStatus == nil)
    #expect(data.repetition.state == .finished)
    #expect(data.notes.contains { $0.message.contains("signal \(signal)") })
  }

  @Test("A crash leaves a whole profile")
  func crash() throws {
    let (result, profile) = try profile([Programs.victim, "crash"])
    #expect(result.exitCode == 128 + SIGSEGV)
    #expect(profile?.repetitions.first?.counters.isEmpty == false)
  }

  @Test("stdin, stdout and arguments reach the command untouched")
  func streams() throws {
    let text = String(repeating: "line\n", count: 5000)
    #expect(try profile([Programs.victim, "cat"], input: text).0.output == text)
    let (result, _) = try profile(["/bin/sh", "-c", "printf '%s|' \"$@\"", "sh", "a b", "", "ü", "--", "-r"])
    #expect(result.output == "a b||ü|--|-r|")
    #expect(result.errors.isEmpty)
  }

  @Test("The target finds its run directory, which is gone afterwards")
  func runDirectory() throws {
    let (result, _) = try profile([Programs.victim, "environment", "KIVIAT_RUN_DIRECTORY"])
    let path = result.output.trimmingCharacters(in: .newlines)
    #expect(path.hasPrefix("/"))
    #expect(!FileManager.default.fileExists(atPath: path))
    let (filled, _) = try profile([
      "/bin/sh", "-c", "cd $KIVIAT_RUN_DIRECTORY && mkdir -p a/b && echo x > a/b/c && pwd",
    ])
    #expect(!FileManager.default.fileExists(atPath: filled.output.trimmingCharacters(in: .newlines)))
  }

  @Test("What can't be started is told before the output is touched")
  func notStarted() throws {
    let folder = Programs.temporaryPath("")
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(atPath: folder) }
    let plain = "\(folder)/plain"
    try Data("text".utf8).write(to: URL(fileURLWithPath: plain))
    for (command, code, text) in [
      ("no-such-command", Int32(127), "not found in PATH"), ("\(folder)/nothing", 127, "was not found"),
      (plain, 126, "chmod +x"), (folder, 126, "directory"), ("", 127, "not found"),
    ] {
      let (result, profile) = try profile([command])
      #expect(result.exitCode == code, "\(command)")
      #expect(result.errors.contains(text), "\(command): \(result.errors)")
      #expect(profile == nil)
    }
    // This shows only at the exec itself.
    let script = "\(folder)/script"
    try Data("#!/no/such/interpreter\n".utf8).write(to: URL(fileURLWithPath: script))
    chmod(script, 0o755)
    let (result, profile) = try profile([script])
    #expect(result.exitCode == 127)
    #expect(result.errors.contains("interpreter"))
    #expect(profile?.repetitions.first?.repetition.state == .notStarted)
    let binary = "\(folder)/binary"
    try Data([0x7f, 0x45, 0x4c, 0x46, 0, 0, 0, 0]).write(to: URL(fileURLWithPath: binary))
    chmod(binary, 0o755)
    #expect([126, 127].contains(try self.profile([binary]).0.exitCode))
  }

  @Test("An output that can't be written is told before the run")
  func unwritable() throws {
    let marker = Programs.temporaryPath("")
    for output in ["/no/such/folder/x.kiviat", "/proc/x.kiviat"] {
      let result = try Programs.run([Programs.driver, output, "--", "/bin/sh", "-c", "touch \(marker)"])
      #expect(result.exitCode == 1)
      #expect(result.errors.contains(output))
    }
    #expect(!FileManager.default.fileExists(atPath: marker))
  }

  @Test("Repetitions are rows of their own")
  func repetitions() throws {
    let (result, profile) = try profile([Programs.victim, "calls", "10"], flags: ["-r", "3"])
    #expect(result.exitCode == 0)
    #expect(profile?.repetitions.map(\.repetition.index) == [0, 1, 2])
    #expect(profile?.repetitions.allSatisfy { $0.repetition.state == .finished && $0.counters.count == 19 } == true)
    #expect(profile?.settings["repetitions"] == "3")
  }

  @Test("The profile tells what was run, where, and what profiling cost")
  func contents() throws {
    let (_, profile) = try profile([Programs.victim, "busy", "1", "0.25"])
    let settings = try #require(profile?.settings)
    #expect(settings["kind"] == "command")
    let command = try JSONDecoder().decode([String].self, from: Data(try #require(settings["command"]).utf8))
    #expect(command == [Programs.victim, "busy", "1", "0.25"])
    #expect(settings["working_directory"] == FileManager.default.currentDirectoryPath)
    let data = try #require(profile?.repetitions.first)
    #expect((0.249e9...10e9).contains(Double(data.repetition.wallNanoseconds)))
    for name in ["profiler.cpu_time", "profiler.wall", "profiler.peak_rss", "cpu.user", "cpu.system"] {
      #expect(data.quantity(name)?.value.value?.number != nil, "\(name)")
    }
    #expect(data.collectors.map(\.collector) == ["counting"])
  }

  @Test(
    "A command that ends while its processes run on is not waited for, and they are named",
    arguments: ["daemonize", "orphan"])
  func survivors(_ mode: String) throws {
    let begin = Date()
    let (result, profile) = try profile([Programs.victim, mode, "12"])
    #expect(Date().timeIntervalSince(begin) < 11)
    #expect(result.exitCode == 0)
    let notes = try #require(profile?.repetitions.first?.notes)
    #expect(notes.contains { $0.message.contains("ran on") })
  }

  @Test("Settings are valid JSON whatever the arguments hold")
  func json() throws {
    let nasty = ["", "a\"b\\c", "tab\tline\nreturn\r", "\u{1}\u{1f}", "é漢👍", "</script>"]
    #expect(try JSONDecoder().decode([String].self, from: Data(JSON.array(nasty).utf8)) == nasty)
  }
}

/// Signals to a session that runs as a process of its own.
@Suite struct SessionSignalTests {
  /// Starts a session, waits until the victim says that it is ready, and hands over both.
  func withSession(
    _ command: [String], _ body: (Process, FileHandle, String) throws -> Void
  ) throws -> (code: Int32, wasSignalled: Bool, output: String, profile: Profile?) {
    let path = Programs.temporaryPath()
    defer { try? FileManager.default.removeItem(atPath: path) }
    let process = Programs.start([Programs.driver, path, "--", Programs.victim] + command)
    let pipe = Pipe()
    process.standardOutput = pipe
    process.standardError = FileHandle.nullDevice
    try process.run()
    let reader = pipe.fileHandleForReading
    var output = Data()
    while !output.contains(UInt8(ascii: "\n")) {
      let chunk = reader.availableData
      if chunk.isEmpty { break }
      output += chunk
    }
    #expect(String(decoding: output, as: UTF8.self).hasPrefix("ready"))
    try body(process, reader, path)
    output += reader.readDataToEndOfFile()
    process.waitUntilExit()
    return (
      process.terminationStatus, process.terminationReason == .uncaughtSignal,
      String(decoding: output, as: UTF8.self), try? SessionTests.read(path)
    )
  }

  @Test(
    "A signal sent to the profiler reaches the target, whose exit status still passes through",
    arguments: [SIGINT, SIGTERM, SIGHUP])
  func forwarded(_ signal: Int32) throws {
    let result = try withSession(["catch", "0.5"]) { process, _, _ in kill(process.processIdentifier, signal) }
    #expect(result.output.contains(signal < 10 ? "signal 0\(signal)" : "signal \(signal)"))
    #expect(result.code == 7 && !result.wasSignalled)
    let repetition = try #require(result.profile?.repetitions.first?.repetition)
    #expect(repetition.state == .interrupted)
    #expect(repetition.exitStatus == 7)
  }

  @Test("The second interrupt kills a stubborn target, and the file is whole")
  func twice() throws {
    let begin = Date()
    let result = try withSession(["stubborn", "20"]) { process, _, _ in
      kill(process.processIdentifier, SIGINT)
      usleep(300_000)
      kill(process.processIdentifier, SIGINT)
    }
    #expect(Date().timeIntervalSince(begin) < 10)
    #expect(result.code == 128 + SIGKILL)
    let data = try #require(result.profile?.repetitions.first)
    #expect(data.repetition.state == .interrupted)
    #expect(data.repetition.signal == SIGKILL)
    #expect(data.counters.first { $0.event == "task-clock" }?.value.value != nil || !Programs.canCount)
  }

  @Test(
    "Ctrl-C in a terminal reaches the target once; a second one kills it",
    arguments: [("catch", "1.5", 1, 7), ("stubborn", "30", 2, 128 + SIGKILL)] as [(String, String, Int, Int32)])
  func terminal(_ mode: String, _ seconds: String, _ presses: Int, _ exitCode: Int32) throws {
    let path = Programs.temporaryPath()
    defer { try? FileManager.default.removeItem(atPath: path) }
    let result = try Programs.run(
      [Programs.victim, "terminal", "\(presses)", Programs.driver, path, "--", Programs.victim, mode, seconds])
    #expect(result.exitCode == exitCode)
    if mode == "catch" { #expect(result.output.components(separatedBy: "signal 02").count == 2, "\(result.output)") }
    let data = try #require(try SessionTests.read(path).repetitions.first)
    #expect(data.repetition.state == .interrupted)
    #expect(data.counters.count == 19)
  }

  @Test("A profiler that is killed leaves a file which lacks at most the last second")
  func profilerKilled() throws {
    var lived = 0.0
    let result = try withSession(["stubborn", "4"]) { process, _, path in
      let begin = Date()
      usleep(3_300_000)
      kill(process.processIdentifier, SIGKILL)
      lived = Date().timeIntervalSince(begin)
    }
    #expect(result.wasSignalled)
    let repetition = try #require(result.profile?.repetitions.first?.repetition)
    #expect(repetition.state == .running)
    // A second between commits, and room for a busy machine.
    #expect(Double(repetition.wallNanoseconds) * 1e-9 > lived - 2)
  }

  @Test("What each signal leads to")
  func policy() {
    var policy = SignalPolicy()
    #expect(policy.receive(.init(number: SIGUSR1, isFromTerminal: false)) == .forward(SIGUSR1))
    #expect(!policy.isInterrupted)
    // The terminal sent it to the target as well.
    #expect(policy.receive(.init(number: SIGINT, isFromTerminal: true)) == .wait)
    #expect(policy.isInterrupted)
    #expect(policy.receive(.init(number: SIGINT, isFromTerminal: true)) == .kill)
    var polite = SignalPolicy()
    #expect(polite.receive(.init(number: SIGTERM, isFromTerminal: false)) == .forward(SIGTERM))
    #expect(polite.receive(.init(number: SIGHUP, isFromTerminal: true)) == .wait)
    #expect(polite.isInterrupted)
  }
}

@Suite struct SystemCallTests {
  @Test("A failing call throws its name and errno")
  func failure() {
    #expect(throws: SystemCallError(call: "open", code: ENOENT)) {
      try systemCall("open") { open("/no/such/file", O_RDONLY) }
    }
    #expect("\(SystemCallError(call: "open", code: ENOENT))" == "open: No such file or directory")
  }

  @Test("An interrupted call is made again")
  func interrupted() throws {
    var attempts = 0
    let result: Int32 = try systemCall("pause") {
      attempts += 1
      errno = EINTR
      return attempts < 4 ? -1 : 5
    }
    #expect(result == 5)
    #expect(attempts == 4)
  }

  @Test("Lists of the kernel")
  func lists() {
    #expect(numbers(inKernelList: "0-3,5") == [0, 1, 2, 3, 5])
    #expect(numbers(inKernelList: "7") == [7])
    #expect(numbers(inKernelList: "") == [])
    #expect(numbers(inKernelList: "x,3-1") == [])
  }
}
