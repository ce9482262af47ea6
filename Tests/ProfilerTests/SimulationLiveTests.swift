// Does a simulated run count what can be counted by hand, and is its end explained whatever it is?
import Foundation
import Glibc
import ProfileModel
@testable import Profiler
import Testing

@Suite(
  .serialized, .enabled(if: Valgrind.find() != nil, "Valgrind is not installed: sudo apt-get install valgrind"))
struct SimulationLiveTests {
  static let loops = Programs.folder + "/CountableLoops"

  /// A processor of which the last level holds 1 MiB: an eighth of what the programs walk through.
  static var cpu: HostCPU {
    var cpu = HostCPU()
    cpu.caches = [
      .init(level: 1, type: "Data", bytes: 32 << 10, sharedBy: 1, ways: 8, lineBytes: 64),
      .init(level: 1, type: "Instruction", bytes: 32 << 10, sharedBy: 1, ways: 8, lineBytes: 64),
      .init(level: 2, type: "Unified", bytes: 1 << 20, sharedBy: 1, ways: 16, lineBytes: 64),
    ]
    return cpu
  }

  func simulate(
    _ command: [String], limit: Double = 300, grace: Double = 30, exitStatus: Int32 = 0
  ) throws -> SimulationResult {
    // Threads of the tests' pool keep signals off, and a child inherits that.
    var none = sigset_t()
    sigemptyset(&none)
    pthread_sigmask(SIG_SETMASK, &none, nil)
    let options = ProfileOptions(command: command, output: "")
    var simulation = SimulationOptions(command: command, cpu: Self.cpu)
    (simulation.limitSeconds, simulation.graceSeconds) = (limit, grace)
    let run = try SimulationRun(options, simulation, try #require(Valgrind.find()))
    var policy = SignalPolicy()
    var repetition = Repetition(index: 0, startedAtUnixNanoseconds: 0, startMonotonicNanoseconds: 0)
    (repetition.state, repetition.exitStatus, repetition.wallNanoseconds) = (.finished, exitStatus, 1_000_000)
    return run.run(kernels: [:], measured: [repetition], policy: &policy, arrivals: { [] }, tick: { _, _, _ in })
  }

  func count(_ result: SimulationResult, _ function: String, _ event: String) -> Double {
    result.counts.first { $0.scope == .function && $0.name == function && $0.event == event }?.value ?? 0
  }

  @Test("A loop of three instructions, N and 2 N times: exactly 3 N more")
  func loop() throws {
    let one = try simulate([Self.loops, "loop", "1000000"])
    let two = try simulate([Self.loops, "loop", "2000000"])
    #expect(one.state.outcome == .measured, "\(one.state)")
    #expect(count(two, "counted_loop", "Ir") - count(one, "counted_loop", "Ir") == 3_000_000)
    #expect(count(two, "counted_loop", "Bc") - count(one, "counted_loop", "Bc") == 1_000_000)
    #expect(count(two, "counted_loop", "Bcm") < 10)
    let total = try #require(one.counts.first { $0.scope == .total && $0.event == "Ir" }?.value)
    let functions = one.counts.filter { $0.scope == .function && $0.event == "Ir" }.map(\.value).reduce(0, +)
    #expect(total == functions)
  }

  @Test("A chain of pointers through eight times the last level: every access misses both levels")
  func chase() throws {
    let steps = 200_000.0
    let result = try simulate([Self.loops, "chase", "200000"])
    #expect(abs(count(result, "chased", "D1mr") / steps - 1) < 0.02)
    #expect(abs(count(result, "chased", "DLmr") / steps - 1) < 0.02)
  }

  @Test("A stream misses once a line of 64 bytes, in both levels")
  func stream() throws {
    let lines = 2.0 * Double(8 << 20) / 64
    let result = try simulate([Self.loops, "stream", "2"])
    #expect(abs(count(result, "streamed", "D1mr") / lines - 1) < 0.01)
    #expect(abs(count(result, "streamed", "DLmr") / lines - 1) < 0.01)
  }

  @Test("What fits into the first level misses nothing")
  func inside() throws {
    let result = try simulate([Self.loops, "inside", "200"])
    #expect(count(result, "streamed", "Dr") >= 200 * 2048)
    #expect(count(result, "streamed", "D1mr") < 16)
  }

  @Test("Random branches are mispredicted half of the time, regular ones never")
  func branches() throws {
    let n = 100_000.0
    // Two branches an element: the one on the bit, and the loop's own.
    let random = try simulate([Self.loops, "branches", "100000", "1"])
    #expect(abs(count(random, "branched", "Bc") - 2 * n) < 10)
    #expect(abs(count(random, "branched", "Bcm") / (n / 2) - 1) < 0.1)
    for kind in ["0", "2"] {
      let regular = try simulate([Self.loops, "branches", "100000", kind])
      #expect(count(regular, "branched", "Bcm") < 0.001 * n, "kind \(kind)")
    }
  }

  @Test("A forked child does not count its parent's past again")
  func fork() throws {
    let result = try simulate([Self.loops, "fork", "1000000"])
    #expect(result.state.outcome == .measured, "\(result.state)")
    #expect(abs(count(result, "counted_loop", "Ir") - 9_000_000) < 100)
    let processes = result.quantities.first { $0.name == "simulation.processes" }
    #expect(processes?.value.value?.number == 2)
  }

  @Test("A program that becomes another one: the rest is counted, and the loss said")
  func replaced() throws {
    let result = try simulate([Self.loops, "exec", "/bin/true"])
    #expect(result.state.outcome == .degraded)
    #expect(result.state.reason?.contains("replaced itself with") == true, "\(result.state)")
    #expect(count(result, "counted_loop", "Ir") == 0)
    #expect(!result.counts.isEmpty)
  }

  @Test("A script and what it starts are added up")
  func script() throws {
    let path = Programs.temporaryPath(".sh")
    defer { try? FileManager.default.removeItem(atPath: path) }
    try "#!/bin/sh\n\(Self.loops) loop 1000000\n\(Self.loops) loop 2000000\nexit 0\n".write(
      toFile: path, atomically: true, encoding: .utf8)
    chmod(path, 0o755)
    let result = try simulate([path])
    #expect(result.state.outcome == .measured, "\(result.state)")
    #expect(abs(count(result, "counted_loop", "Ir") - 9_000_000) < 100)
  }

  @Test("What runs for ever is ended at its limit, and keeps its counts")
  func limit() throws {
    let result = try simulate([Self.loops, "forever"], limit: 3)
    #expect(result.state.outcome == .degraded)
    #expect(result.state.reason?.contains("limit of 3 s") == true, "\(result.state)")
    #expect(count(result, "counted_loop", "Ir") > 1_000_000)
    #expect(result.quantities.first { $0.name == "simulation.ending" }?.value.value?.text == "limit")
  }

  @Test("What ignores the request to end is killed, and that is said")
  func stubborn() throws {
    let result = try simulate([Self.loops, "forever-stubborn"], limit: 2, grace: 1)
    #expect(result.state.outcome != .measured)
    #expect(result.state.reason?.contains("was killed") == true, "\(result.state)")
  }

  @Test("A crash, and a status that the measured run did not have, are said")
  func crash() throws {
    let result = try simulate(["/bin/sh", "-c", "kill -ABRT $$"])
    #expect(result.state.reason?.contains("signal \(SIGABRT)") == true, "\(result.state)")
    let other = try simulate(["/bin/sh", "-c", "exit 3"])
    #expect(other.state.outcome == .degraded)
    #expect(other.state.reason?.contains("status 3") == true)
    #expect(try simulate(["/bin/sh", "-c", "exit 3"], exitStatus: 3).state.outcome == .measured)
  }

  @Test("A session writes the simulated run beside the measured ones, in one file")
  func session() throws {
    let path = Programs.temporaryPath()
    defer { try? FileManager.default.removeItem(atPath: path) }
    var options = ProfileOptions(command: [Self.loops, "loop", "1000000"], output: path)
    options.repetitions = 2
    options.counters = .simulated
    options.simulation = SimulationOptions(command: options.command, cpu: Self.cpu)
    var stages: Set<Bool> = []
    let outcome = try ProfileSession(options: options) { _ in [] }.run(progress: { stages.insert($0.isSimulating) })
    #expect(outcome.exitCode == 0)
    #expect(stages.contains(true))
    let profile = try Profile(contentsOf: path)
    #expect(profile.repetitions.count == 2)
    #expect(profile.settings["counters"] == "simulated")
    for repetition in profile.repetitions {
      #expect(repetition.collectors.map(\.collector) == ["simulation"])
      #expect(repetition.collectors.first?.outcome == .measured)
    }
    let counts = profile.repetitions[0].simulatedCounts
    let loop = counts.first { $0.name == "counted_loop" && $0.event == "Ir" }?.value ?? 0
    #expect(loop >= 3_000_000 && loop < 3_000_100)
    for name in ["simulation.wall", "simulation.cache.ll", "simulation.model.overlap", "simulation.slowdown"] {
      #expect(profile.repetitions[0].quantity(name)?.value.value != nil, "\(name)")
    }
  }

  @Test("A command that is not there is said, and nothing is left behind")
  func missing() throws {
    let result = try simulate(["/no/such/program"])
    #expect(result.state.outcome == .unavailable)
    #expect(result.counts.isEmpty)
    #expect(result.state.reason?.isEmpty == false)
  }
}
