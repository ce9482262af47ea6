import Foundation
import ProfileModel
import Testing

@testable import Profiler

/// A program whose time is split 3 : 1 between two functions, each with a caller of its own, without frame pointers.
private let splitProgram = """
  #include <stdlib.h>
  volatile double sink;
  __attribute__((noinline)) void burn(long n) { double x = 1; for (long i = 0; i < n; i++) x = x * 1.0000001 + 1e-9; sink = x; }
  __attribute__((noinline)) void spin(long n) { double x = 2; for (long i = 0; i < n; i++) x = x * 1.0000002 + 2e-9; sink = x; }
  __attribute__((noinline)) double heavy(long n) { burn(3 * n); return sink * 2; }
  __attribute__((noinline)) double light(long n) { spin(n); return sink * 3; }
  int main(int argc, char **argv) {
    long rounds = atol(argv[1]);
    // Rounds of many lengths: equal ones of about a millisecond would keep step with the samples.
    for (long i = 0; i < rounds; i++) { long n = 50000 + i * 7919 % 100000; heavy(n); light(n); }
    return 0;
  }
  """

@Suite(
  .serialized,
  .enabled(if: TestTool.hasCompiler && PerfAccess.probe().noEvents == nil, "needs a compiler and perf events"))
struct LiveSamplingTests {
  private func profile(_ command: [String], _ folder: TestFolder, _ unwinding: ProfileOptions.Unwinding) throws
    -> Profile
  {
    var options = ProfileOptions(command: command, output: "\(folder.path)/live.kiviat")
    options.unwinding = unwinding
    options.counters = .off
    options.frequency = 999
    let stacks = CallStacks()
    let outcome = try ProfileSession(options: options) { [SampleAggregator(sampling: $0.source, stacks: stacks)] }.run()
    #expect(outcome.exitCode == 0)
    return try Profile(contentsOf: outcome.path)
  }

  @Test(arguments: ProfileOptions.Unwinding.allCases)
  func aThreeToOneSplitIsFound(unwinding: ProfileOptions.Unwinding) throws {
    let folder = try TestFolder()
    let program = try folder.compile(splitProgram, name: "split", ["-O2", "-fomit-frame-pointer"])
    let profile = try profile([program, "800"], folder, unwinding)
    let data = profile.repetitions[0]
    var self_: [String: Int64] = [:]
    var chains: [[String]: Int64] = [:]
    for sample in data.samples {
      let frames = profile.frames(ofStack: sample.stack).map { String($0.function.prefix { $0 != "(" }) }
      self_[frames[0], default: 0] += sample.samples
      chains[Array(frames.prefix(3)), default: 0] += sample.samples
    }
    let (burn, spin) = (Double(self_["burn"] ?? 0), Double(self_["spin"] ?? 0))
    try #require(burn + spin > 100)
    // Five standard deviations of a binomial share of 3/4.
    #expect(abs(burn / (burn + spin) - 0.75) < 5 * (0.75 * 0.25 / (burn + spin)).squareRoot())
    let total = Double(data.samples.reduce(0) { $0 + $1.samples })
    #expect(burn + spin > 0.8 * total)
    #expect(data.quantity("samples.taken")?.value.value?.number == total)
    let weight = data.samples.reduce(0) { $0 + $1.weightNanoseconds }
    #expect(abs(Double(weight) / 1e9 - total / 999) < 0.05 * total / 999)
    if unwinding == .dwarf {
      #expect(Double(chains[["burn", "heavy", "main"]] ?? 0) > 0.9 * burn)
      #expect(Double(chains[["spin", "light", "main"]] ?? 0) > 0.9 * spin)
    }
  }

  @Test func everyProcessOfATreeIsNamed() throws {
    let folder = try TestFolder()
    let program = try folder.compile(splitProgram, name: "split", ["-O2", "-g"])
    let profile = try profile(
      ["/bin/sh", "-c", "\(program) 200 & \(program) 200; wait"], folder, .framePointer)
    let samples = profile.repetitions[0].samples
    let pids = Set(samples.filter { profile.frames(ofStack: $0.stack)[0].function.hasPrefix("burn") }.map(\.pid))
    #expect(pids.count == 2)
    let burn = profile.frames.values.filter { $0.function.hasPrefix("burn") }
    #expect(burn.allSatisfy { $0.module == program && $0.line == 3 })
  }
}
