// Do a program's barriers, page faults, sleeps and locks come out of a profile as what they are, and completely?
import Foundation
import ProfileModel
import Testing

@Suite(.serialized) struct ThreadTimeTests {
  let workplace: Workplace
  init() throws { workplace = try Workplace() }

  /// Rows of the CSV by section, name and attribute.
  private func numbers(_ csv: String) -> [String: Double] {
    var result: [String: Double] = [:]
    for line in csv.split(whereSeparator: \.isNewline) {
      let fields = line.filter { $0 != "\"" }.split(separator: ",", omittingEmptySubsequences: false)
      guard fields.count > 4, let value = Double(fields[4]) else { continue }
      result[fields[1...3].joined(separator: "/")] = value
    }
    return result
  }

  private func report(_ arguments: String...) throws -> (profile: RepetitionData, numbers: [String: Double]) {
    let command = ["profile", "-q", "-o", "p.kiviat"] + arguments
    let ended = try workplace.start(Programs.kiviat + command).wait(timeout: 120)
    #expect(ended.status == 0, "\(ended)")
    let csv = try workplace.kiviat("report", "p.kiviat", "--format", "csv", "-o", "-")
    #expect(csv.status == 0, "\(csv)")
    let data = try #require(try workplace.profile().repetitions.first)
    // The rows of each thread are its life, to the nanosecond.
    for thread in data.threads {
      let parts = data.threadTimes.filter {
        $0.pid == thread.pid && $0.tid == thread.tid && $0.startNanoseconds == thread.startNanoseconds
      }
      #expect(
        parts.reduce(0) { $0 + $1.nanoseconds } == thread.endNanoseconds - thread.startNanoseconds, "\(thread)")
    }
    return (data, numbers(csv.text))
  }

  private static let program = "\(Programs.folder)/ThreadStates"
  private static let milliseconds = 1e6

  /// A thread spins at a barrier while another sleeps, waits for a mutex, computes and touches fresh pages, 250 ms each.
  @Test func everyStateOfAKnownProgram() throws {
    let (data, numbers) = try report("--", Self.program, "barrier", "250")
    func time(_ state: TimeState) -> Double { numbers["thread_time/all threads/\(state.rawValue)"] ?? 0 }
    let states = Dictionary(uniqueKeysWithValues: data.collectors.map { ($0.collector, $0) })
    #expect(abs((numbers["thread_time/all threads/accounted"] ?? 0) - 1) < 0.01)
    let sampling = try #require(states["sampling"])
    // What can't be measured here can't be checked here.
    if sampling.outcome == .measured || sampling.outcome == .degraded, data.samples.reduce(0, { $0 + $1.samples }) > 100
    {
      // The barrier lasts as long as all the rest, as far as the waiting thread gets a CPU.
      #expect(time(.spinning) > 100 * Self.milliseconds, "\(numbers)")
      #expect(time(.working) > 150 * Self.milliseconds)
      if sampling.method.contains("user and kernel"), FileManager.default.isReadableFile(atPath: "/proc/kallsyms"),
        (numbers["thread_time/all threads/page fault"] ?? 0) > 0
      {
        #expect(time(.pageFault) > 30 * Self.milliseconds && time(.pageFault) < 400 * Self.milliseconds)
      }
      let share = numbers["thread_time/barrier share/value"] ?? 0
      #expect(share > 0 && share < 1)
    }
    if states["off-cpu"]?.method.contains("every context switch") == true {
      #expect(time(.sleeping) + time(.lock) + time(.io) + time(.other) > 400 * Self.milliseconds)
    }
    if states["off-cpu"]?.method.contains("call chain") == true, states["off-cpu"]?.outcome == .measured {
      #expect(time(.sleeping) > 400 * Self.milliseconds && time(.lock) > 200 * Self.milliseconds)
    }
  }

  /// Without samples nothing is told apart that only they can tell.
  @Test func withoutSamplesThereIsNoSpinning() throws {
    let (_, numbers) = try report("-F", "0", "--", Self.program, "barrier", "50")
    #expect(numbers["thread_time/all threads/spinning"] == nil)
    #expect(numbers["thread_time/useful occupancy/value"] == nil)
    #expect((numbers["thread_time/all threads/working"] ?? 0) > 0)
    #expect(abs((numbers["thread_time/all threads/accounted"] ?? 0) - 1) < 0.01)
  }
}
