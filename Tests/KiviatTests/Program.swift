// How do the tests run the built programs? As a person at a terminal does: with a working directory, streams and signals.
import Foundation
import ProfileModel
import Testing

/// What a program left when it ended.
struct Ended: CustomStringConvertible {
  /// As a shell gives it: the exit status, or 128 and the signal.
  var status: Int32
  var output: Data
  var errors: String
  var seconds: Double

  var text: String { String(decoding: output, as: UTF8.self) }
  var description: String {
    "status \(status) after \(seconds) s\nstdout: \(text.prefix(2000))\nstderr: \(errors.prefix(4000))"
  }
}

/// A folder for one test, gone after it, and the programs run in it.
final class Workplace {
  let path: String

  init() throws {
    path = FileManager.default.temporaryDirectory.appendingPathComponent("kiviat-e2e-\(UUID().uuidString)").path
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
  }

  deinit { try? FileManager.default.removeItem(atPath: path) }

  func file(_ name: String) -> String { path + "/" + name }
  func exists(_ name: String) -> Bool { access(file(name), F_OK) == 0 }
  func profile(_ name: String = "p.kiviat") throws -> Profile { try Profile(contentsOf: file(name)) }
  func write(_ text: String, to name: String, mode: mode_t = 0o644) throws {
    guard mode & 0o111 != 0 else {
      try text.write(toFile: file(name), atomically: true, encoding: .utf8)
      chmod(file(name), mode)
      return
    }
    // What is to be run is written by another process: between fork and exec of a program that another test starts, our
    // descriptor is open in it, too, and a file that is open for writing can't be run (ETXTBSY).
    try text.write(toFile: file("\(name).source"), atomically: true, encoding: .utf8)
    _ = try start(["/bin/cp", file("\(name).source"), file(name)]).wait()
    try FileManager.default.removeItem(atPath: file("\(name).source"))
    chmod(file(name), mode)
  }

  /// Runs `kiviat` with these arguments to its end.
  func kiviat(
    _ arguments: String..., input: Data = Data(), environment: [String: String] = [:], timeout: Double = 60
  ) throws -> Ended {
    try start(Programs.kiviat + arguments, input: input, environment: environment).wait(timeout: timeout)
  }

  /// Starts a program in a session of its own.
  ///
  /// - Parameter onTerminal: Its streams are a terminal, on which Ctrl-C can be typed.
  func start(
    _ command: [String], input: Data = Data(), environment: [String: String] = [:], onTerminal: Bool = false
  ) throws -> Running {
    try Running(command, in: self, input: input, environment: environment, onTerminal: onTerminal)
  }
}

/// The programs beside the test bundle.
enum Programs {
  /// Where the build put the tests and the programs.
  static let folder: String = {
    let own = (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? CommandLine.arguments[0]
    return (own as NSString).deletingLastPathComponent
  }()

  static var kiviat: [String] { [folder + "/kiviat"] }
  static let workload = folder + "/kiviat-workload"
  static var hasWorkload: Bool { access(workload, X_OK) == 0 }
}

/// A program that runs.
final class Running {
  struct SpawnError: Error { var code: Int32 }

  /// `POSIX_SPAWN_SETSID` of glibc's spawn.h, which Swift doesn't see.
  private static let newSession: Int16 = 0x80

  let pid: pid_t
  private let workplace: Workplace
  private let outputPath: String
  private let errorPath: String
  private var terminal: Int32 = -1
  private var typed = ""
  private let started = ContinuousClock.now

  fileprivate init(
    _ command: [String], in workplace: Workplace, input: Data, environment: [String: String], onTerminal: Bool
  ) throws {
    self.workplace = workplace
    // Outside the workplace: a test may look at what lies there.
    let unique = FileManager.default.temporaryDirectory.appendingPathComponent("kiviat-e2e-\(UUID().uuidString)").path
    (outputPath, errorPath) = (unique + ".out", unique + ".err")
    let inputPath = unique + ".in"
    try input.write(to: URL(fileURLWithPath: inputPath))
    defer { unlink(inputPath) }

    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    if onTerminal {
      terminal = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC)
      // Unlock it and ask for its number: TIOCSPTLCK, TIOCGPTN (posix_openpt and ptsname are not in Swift's Glibc).
      var number: Int32 = 0
      _ = ioctl(terminal, 0x4004_5431, &number)
      _ = ioctl(terminal, 0x8004_5430, &number)
      // A session's leader that opens a terminal has it as its own: what is typed there comes as signals.
      posix_spawn_file_actions_addopen(&actions, 0, "/dev/pts/\(number)", O_RDWR, 0)
      posix_spawn_file_actions_adddup2(&actions, 0, 1)
      posix_spawn_file_actions_adddup2(&actions, 0, 2)
    } else {
      posix_spawn_file_actions_addopen(&actions, 0, inputPath, O_RDONLY, 0)
      posix_spawn_file_actions_addopen(&actions, 1, outputPath, O_WRONLY | O_CREAT | O_TRUNC, 0o600)
      posix_spawn_file_actions_addopen(&actions, 2, errorPath, O_WRONLY | O_CREAT | O_TRUNC, 0o600)
    }

    var attributes = posix_spawnattr_t()
    posix_spawnattr_init(&attributes)
    defer { posix_spawnattr_destroy(&attributes) }
    var none = sigset_t()
    sigemptyset(&none)
    posix_spawnattr_setsigmask(&attributes, &none)
    var all = sigset_t()
    sigfillset(&all)
    posix_spawnattr_setsigdefault(&attributes, &all)
    posix_spawnattr_setflags(
      &attributes, Int16(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF) | Self.newSession)

    let variables = ProcessInfo.processInfo.environment.merging(["NO_COLOR": "1"]) { $1 }.merging(environment) { $1 }
    var arguments = (["env", "-C", workplace.path] + command).map { strdup($0) } + [nil]
    var environ = variables.map { strdup("\($0.key)=\($0.value)") } + [nil]
    defer { for pointer in arguments + environ { free(pointer) } }
    var pid: pid_t = 0
    let code = posix_spawnp(&pid, "env", &actions, &attributes, &arguments, &environ)
    guard code == 0 else { throw SpawnError(code: code) }
    self.pid = pid
  }

  /// Sends a signal to the program alone.
  func send(_ signal: Int32) { kill(pid, signal) }

  /// Types Ctrl-C on its terminal.
  func pressControlC() { _ = Glibc.write(terminal, "\u{3}", 1) }

  /// Waits until `condition` holds, at most ten seconds.
  func until(_ condition: () -> Bool) {
    for _ in 0..<1000 where !condition() { usleep(10_000) }
  }

  /// Waits for its end; after `timeout` seconds it is killed with all its session, and the test has failed.
  func wait(timeout: Double = 60) throws -> Ended {
    var status: Int32 = 0
    while waitpid(pid, &status, WNOHANG) == 0 {
      drainTerminal()
      if started.duration(to: .now) > .seconds(timeout) {
        Issue.record("still running after \(timeout) s")
        kill(-pid, SIGKILL)
        kill(pid, SIGKILL)
        waitpid(pid, &status, 0)
        break
      }
      usleep(2000)
    }
    drainTerminal()
    if terminal >= 0 { close(terminal) }
    let duration = started.duration(to: .now).components
    defer { for path in [outputPath, errorPath] { unlink(path) } }
    return Ended(
      status: status & 0x7F == 0 ? status >> 8 & 0xFF : 128 + (status & 0x7F),
      output: FileManager.default.contents(atPath: outputPath) ?? Data(typed.utf8),
      errors: FileManager.default.contents(atPath: errorPath).map { String(decoding: $0, as: UTF8.self) } ?? typed,
      seconds: Double(duration.seconds) + Double(duration.attoseconds) / 1e18)
  }

  /// A terminal that nobody reads fills up and stops its writers.
  private func drainTerminal() {
    guard terminal >= 0 else { return }
    var descriptor = pollfd(fd: terminal, events: Int16(POLLIN), revents: 0)
    var bytes = [UInt8](repeating: 0, count: 4096)
    while poll(&descriptor, 1, 0) > 0, descriptor.revents & Int16(POLLIN) != 0 {
      let count = read(terminal, &bytes, bytes.count)
      guard count > 0 else { return }
      typed += String(decoding: bytes[..<count], as: UTF8.self)
    }
  }
}

/// What the tests may find on a machine.
enum Machine {
  static let isRoot = geteuid() == 0
  static let paranoid = (try? String(contentsOfFile: "/proc/sys/kernel/perf_event_paranoid", encoding: .utf8))
    .flatMap { Int($0.trimmingCharacters(in: .whitespacesAndNewlines)) }
  static func has(_ program: String) -> Bool {
    ProcessInfo.processInfo.environment["PATH", default: "/usr/bin:/bin"].split(separator: ":")
      .contains { access("\($0)/\(program)", X_OK) == 0 }
  }
}
