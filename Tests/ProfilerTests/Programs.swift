// How do the tests run the programs that were built beside them?
import Foundation
import Glibc
@testable import Profiler

/// Programs of this package, and what this machine lets the tests do with them.
enum Programs {
  /// The folder of the built products: the test bundle lies there too.
  static let folder: String = {
    let bundle = (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? ""
    return (bundle as NSString).deletingLastPathComponent
  }()

  static let victim = "\(folder)/TestVictim"
  static let driver = "\(folder)/SessionDriver"

  /// What a program that ran to its end left behind.
  struct Result {
    var exitCode: Int32
    var output: String
    var errors: String
  }

  /// Runs a program to its end. A crash is not to be explained at length on its stderr.
  static func run(_ command: [String], input: String = "") throws -> Result {
    let process = start(command)
    let stdin = Pipe()
    let stdout = Pipe()
    let errors = FileManager.default.temporaryDirectory.appendingPathComponent(UUID().uuidString)
    _ = FileManager.default.createFile(atPath: errors.path, contents: nil)
    defer { try? FileManager.default.removeItem(at: errors) }
    process.standardInput = stdin
    process.standardOutput = stdout
    process.standardError = try FileHandle(forWritingTo: errors)
    try process.run()
    stdin.fileHandleForWriting.write(Data(input.utf8))
    try stdin.fileHandleForWriting.close()
    let output = stdout.fileHandleForReading.readDataToEndOfFile()
    process.waitUntilExit()
    let code = process.terminationReason == .exit ? process.terminationStatus : 128 + process.terminationStatus
    return Result(
      exitCode: code, output: String(decoding: output, as: UTF8.self),
      errors: try String(contentsOf: errors, encoding: .utf8))
  }

  /// A program that is not started yet.
  static func start(_ command: [String]) -> Process {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: command[0])
    process.arguments = Array(command.dropFirst())
    process.environment = ProcessInfo.processInfo.environment.merging(["SWIFT_BACKTRACE": "enable=no"]) { $1 }
    return process
  }

  /// A path that nothing else uses.
  static func temporaryPath(_ suffix: String = ".kiviat") -> String {
    FileManager.default.temporaryDirectory.appendingPathComponent(UUID().uuidString + suffix).path
  }

  /// Where an installed program is; `nil` when it is not.
  static func installed(_ name: String) -> String? {
    (ProcessInfo.processInfo.environment["PATH"] ?? "").split(separator: ":").map { "\($0)/\(name)" }
      .first { access($0, X_OK) == 0 }
  }

  /// The address of `marked_function` in every run of the victim; `nil` where it differs from run to run.
  static let markedAddress: String? = {
    let first = (try? run([victim, "address"]))?.output.split(separator: "\n").first
    let second = (try? run([victim, "address"]))?.output.split(separator: "\n").first
    return first == second ? first.map(String.init) : nil
  }()

  static let perf = PerfAccess.probe()

  /// Whether a perf event can be opened on oneself here.
  static func canOpen(_ event: String) -> Bool {
    guard let spec = try? EventParser().parse([event]).first else { return false }
    return (try? PerfEvent.open(spec.attribute(), pid: 0, mayReduce: false)) != nil
  }

  static let canCount = perf.noEvents == nil
  static let canBreak = markedAddress.map { canOpen("mem:\($0):x:u") } ?? false
  static let canTrace = canOpen("syscalls:sys_enter_write") && canOpen("sched:sched_process_fork")

  /// Counts events over a run of the victim.
  static func count(_ events: [String], _ arguments: [String]) throws -> [String: Double] {
    let target = try LaunchedTarget([victim] + arguments, environment: [:])
    var options = ProfileOptions(command: [victim] + arguments, output: "")
    options.counters = .auto
    let collector = CountingCollector(events: try EventParser().parse(options: events), options: options)
    _ = collector.prepare(TargetContext(pid: target.pid, options: options, runDirectory: ""))
    try target.start()
    collector.start(monotonicNanoseconds: Clock.monotonic)
    while !target.hasEnded { usleep(1000) }
    collector.stop(monotonicNanoseconds: Clock.monotonic)
    collector.targetReaped(try target.reap())
    var counts: [String: Double] = [:]
    for total in collector.totals() { counts[total.event] = total.value.value }
    return counts
  }
}
