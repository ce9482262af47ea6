// How is the target started, held back before its exec, and waited for?
import CPerfEvent
import Glibc
import ProfileModel

/// A command that can't be started.
public enum LaunchError: Error, Hashable, Sendable, CustomStringConvertible {
  /// Nothing of that name, neither as a path nor in `PATH`.
  case notFound(String)
  /// It is there, but its interpreter (of `#!`, or the dynamic loader) is not.
  case noInterpreter(String)
  /// The folder in which it is to run is not there.
  case noDirectory(String)
  /// A file that may not be executed, a directory, or no program.
  case notExecutable(String, reason: String)
  /// `fork` or `pipe` failed.
  case system(SystemCallError)

  /// Cause and way out.
  public var description: String {
    switch self {
    case .notFound(let command):
      command.contains("/")
        ? "'\(command)' was not found" : "command '\(command)' was not found in PATH; give its path, or install it"
    case .noInterpreter(let command):
      "'\(command)' can't be started: the interpreter that it names does not exist; look at its first line (#!), or at"
        + " its loader with: file '\(command)'"
    case .noDirectory(let path): "the folder \(path) in which the command is to run is not there"
    case .notExecutable(let command, let reason):
      "'\(command)' can't be executed: \(reason)"
    case .system(let error):
      "can't start a process: \(error)"
    }
  }

  /// The exit status that a shell would give: 127 when not found, 126 when not executable.
  public var exitCode: Int32 {
    switch self {
    case .notFound, .noInterpreter, .noDirectory: 127
    case .notExecutable: 126
    case .system: 1
    }
  }
}

private let denied = "permission denied; if it is a program, make it executable with chmod +x"

/// What the kernel accounted for the target when it was reaped.
public struct TargetUsage: Hashable, Sendable {
  /// What these numbers cover, for a provenance's detail.
  public static let scope = "the command and those descendants that were waited for (rusage)"

  /// Exit status when it exited, `nil` when a signal killed it.
  public var exitStatus: Int32?
  /// The signal that killed it.
  public var signal: Int32?
  /// CPU time in user mode.
  public var userNanoseconds: Int64
  /// CPU time in the kernel.
  public var systemNanoseconds: Int64
  /// The largest resident set of any one process of the tree, bytes.
  public var peakResidentBytes: Int64
  /// What the child, still a copy of the profiler, occupied before its exec, bytes. The kernel keeps the maximum over
  /// the exec, so a peak not above this is only an upper bound.
  public var residentBytesBeforeExec: Int64
  /// Page faults that needed no I/O.
  public var minorFaults: Int64
  /// Page faults that waited for I/O.
  public var majorFaults: Int64
  /// Context switches because the thread waited for something.
  public var voluntarySwitches: Int64
  /// Context switches because another thread was to run.
  public var involuntarySwitches: Int64

  /// Exit code as a shell passes it on: the status, or 128 and the signal.
  public var exitCode: Int32 { exitStatus ?? (128 + (signal ?? 0)) }

  init(status: Int32, usage: rusage, residentBytesBeforeExec: Int64) {
    // WIFEXITED and its kin are macros: the low 7 bits are the signal, the second byte is the status.
    let killer = status & 0x7f
    exitStatus = killer == 0 ? (status >> 8) & 0xff : nil
    signal = killer == 0 ? nil : killer
    func nanoseconds(_ time: timeval) -> Int64 { Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_usec) * 1000 }
    userNanoseconds = nanoseconds(usage.ru_utime)
    systemNanoseconds = nanoseconds(usage.ru_stime)
    peakResidentBytes = Int64(usage.ru_maxrss) * 1024
    self.residentBytesBeforeExec = residentBytesBeforeExec
    minorFaults = Int64(usage.ru_minflt)
    majorFaults = Int64(usage.ru_majflt)
    voluntarySwitches = Int64(usage.ru_nvcsw)
    involuntarySwitches = Int64(usage.ru_nivcsw)
  }
}

/// The child: forked and suspended, then running, then ended, then reaped.
final class LaunchedTarget {
  let pid: Int32
  /// Polls readable when the child ends; `nil` where the kernel has no pidfd (before 5.3).
  let endDescriptor: FileDescriptor?
  private var release: FileDescriptor?
  private let failure: FileDescriptor
  private let command: String
  private let residentBytesBeforeExec: Int64
  private var isReaped = false

  /// Whether a command can be found and executed, told before anything is written or started.
  ///
  /// - Parameter directory: where it is to run, when not here.
  /// - Throws: `LaunchError`.
  static func check(_ command: String, path: String? = nil, directory: String? = nil) throws(LaunchError) {
    func problem(_ file: String) -> LaunchError? {
      var status = stat()
      guard stat(file, &status) == 0 else {
        return errno == EACCES ? .notExecutable(command, reason: denied) : .notFound(command)
      }
      if status.st_mode & S_IFMT == S_IFDIR { return .notExecutable(command, reason: "it is a directory") }
      guard access(file, X_OK) == 0 else { return .notExecutable(command, reason: denied) }
      return nil
    }
    guard !command.isEmpty else { throw .notFound(command) }
    if let directory {
      var status = stat()
      guard stat(directory, &status) == 0, status.st_mode & S_IFMT == S_IFDIR else { throw .noDirectory(directory) }
    }
    if command.contains("/") {
      if let problem = problem(command.hasPrefix("/") ? command : "\(directory ?? ".")/\(command)") { throw problem }
      return
    }
    let path = path ?? getenv("PATH").map { String(cString: $0) } ?? "/bin:/usr/bin"
    var worst = LaunchError.notFound(command)
    for directory in path.split(separator: ":", omittingEmptySubsequences: false) {
      guard let problem = problem("\(directory.isEmpty ? "." : directory)/\(command)") else { return }
      // A directory of that name in PATH is not the command, as for a shell.
      if case .notExecutable(_, let reason) = problem, reason == denied { worst = problem }
    }
    throw worst
  }

  /// Forks a child that waits before its exec.
  ///
  /// - Parameters:
  ///   - command: The program, looked up in `PATH` when it has no slash, and its arguments.
  ///   - environment: Variables to add to our own or to replace there.
  ///   - directory: Where it runs; `nil` for here.
  ///   - output: A file that takes its standard output and error; `nil` for ours.
  /// - Throws: `LaunchError.system`.
  init(
    _ command: [String], environment: [String: String], directory: String? = nil, output: String? = nil
  ) throws(LaunchError) {
    self.command = command[0]
    var outputFile: FileDescriptor?
    if let output {
      do {
        outputFile = FileDescriptor(
          try systemCall("open") { open(output, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644) })
      } catch {
        throw .system(SystemCallError(call: "open \(output)", code: error.code))
      }
    }
    var arguments: [UnsafeMutablePointer<CChar>?] = command.map { strdup($0) } + [nil]
    let additions = environment.map { strdup("\($0.key)=\($0.value)") }
    defer { for pointer in arguments + additions { free(pointer) } }
    // Ours is passed on byte for byte: it need not be UTF-8.
    var variables: [UnsafeMutablePointer<CChar>?] = []
    if var entry = kiviat_environment() {
      while let variable = entry.pointee {
        let name = String(
          decoding: UnsafeBufferPointer(start: variable, count: strcspn(variable, "="))
            .map { UInt8(bitPattern: $0) }, as: UTF8.self)
        if environment[name] == nil { variables.append(variable) }
        entry += 1
      }
    }
    variables += additions + [nil]

    var launch = kiviat_launch()
    do {
      let descriptor = outputFile?.raw ?? -1
      try systemCall("fork") {
        kiviat_launch_suspended(command[0], &arguments, &variables, directory, descriptor, &launch)
      }
    } catch {
      throw .system(error)
    }
    pid = launch.pid
    release = FileDescriptor(launch.release_fd)
    failure = FileDescriptor(launch.failure_fd)
    let pidfd = kiviat_pidfd_open(launch.pid)
    endDescriptor = pidfd >= 0 ? FileDescriptor(pidfd) : nil
    let pages = contents(ofSmallFile: "/proc/\(launch.pid)/statm")?.split(separator: " ").dropFirst().first
    residentBytesBeforeExec = (Int64(pages ?? "") ?? 0) * Int64(sysconf(Int32(_SC_PAGESIZE)))
  }

  deinit {
    // A child that never got its exec ends by itself when the pipe closes.
    release = nil
    if !isReaped { _ = try? reap() }
  }

  /// Lets the child exec, and waits until it did.
  ///
  /// - Throws: `LaunchError` when the exec failed; the child has ended then.
  func start() throws(LaunchError) {
    guard let descriptor = release?.raw else { return }
    var go: UInt8 = 1
    _ = try? systemCall("write") { write(descriptor, &go, 1) }
    release = nil
    var code: Int32 = 0
    let raw = failure.raw
    let bytes = (try? systemCall("read") { read(raw, &code, MemoryLayout<Int32>.size) }) ?? 0
    guard bytes == MemoryLayout<Int32>.size else { return }
    _ = try? reap()
    switch code {
    case ENOENT: throw access(command, F_OK) == 0 ? .noInterpreter(command) : .notFound(command)
    case EACCES: throw .notExecutable(command, reason: denied)
    case ENOEXEC: throw .notExecutable(command, reason: "it is neither a program for this machine nor a script")
    default: throw .notExecutable(command, reason: String(cString: strerror(code)))
    }
  }

  /// Whether the child ended. It stays to be reaped, so `/proc/PID` is still there.
  var hasEnded: Bool { kiviat_child_ended(pid) != 0 }

  /// Sends the child a signal.
  func send(_ signal: Int32) { if !isReaped { kill(pid, signal) } }

  /// Waits for the child's end, and takes its accounting.
  ///
  /// - Throws: `SystemCallError`.
  func reap() throws(SystemCallError) -> TargetUsage {
    var status: Int32 = 0
    var usage = rusage()
    try systemCall("wait4") { wait4(pid, &status, 0, &usage) }
    isReaped = true
    return TargetUsage(status: status, usage: usage, residentBytesBeforeExec: residentBytesBeforeExec)
  }
}
