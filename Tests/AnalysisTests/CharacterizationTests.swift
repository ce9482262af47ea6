// Does the whole characterization survive every profile, and is no number in it NaN?
import Foundation
import ProfileModel
import Testing

@testable import Analysis

@Suite struct CharacterizationTests {
  /// JSON has no NaN, so encoding proves that there is none; and what comes back is what went in.
  static func check(_ profile: Profile) throws -> Characterization {
    let all = Characterization(of: profile)
    let data = try JSONEncoder().encode(all)
    let back = try JSONDecoder().decode(Characterization.self, from: data)
    #expect(back.identity == all.identity && back.limits == all.limits && back.timeline == all.timeline)
    #expect(!all.limits.summary.isEmpty)
    return all
  }

  @Test func empty() throws {
    let all = try Self.check(Profile(host: [quantity("host.odd", .nan)]))
    #expect(all.identity.repetition == nil && all.identity.ending == "the profile holds no run")
    #expect(all.breakdown.value == nil && all.flameGraph.value == nil && all.repetitions.value == nil)
    #expect(all.headline.allSatisfy { $0.value.value == nil })
  }

  @Test func command() throws {
    var stacks = Stacks()
    stacks.add("main work", 500)
    let profile = stacks.profile(
      wall: 6000, settings: ["kind": "command", "command": #"["cc","-c","a b.c"]"#, "kiviat.version": "1"])
    let all = try Self.check(profile)
    #expect(all.identity.title == "cc -c a b.c" && all.identity.command == ["cc", "-c", "a b.c"])
    #expect(all.identity.kind == .command && all.identity.data == .notStated && all.identity.succeeded)
    #expect(all.identity.ending == "exited with status 0")
    #expect(all.breakdown.unavailable?.remedy == "kiviat list benchmarks")
    #expect(all.functionHotspots.value?.byFunction.hotspots.first?.subject.function == "work")
  }

  @Test func benchmark() throws {
    var profile = RuntimeBreakdownTests.example
    profile.settings = [
      "kind": "benchmark", "benchmark": "DC-AI-C15", "mode": "train", "scale": "small", "data": "synthetic: digits",
    ]
    let all = try Self.check(profile)
    #expect(all.identity.title == "DC-AI-C15, training, small scale")
    #expect(all.identity.data == .synthetic(description: "digits"))
    #expect(all.headline.first { $0.name == "kernels.share" }?.value.value == 0.6)
    profile.settings["data"] = "/data/mnist"
    #expect(Characterization(of: profile).identity.data == .real(directory: "/data/mnist"))
  }

  @Test func whatWasNotMeasured() throws {
    let profile = profile(host: [missing("host.gpu", "no GPU")]) { data in
      data.collectors = [
        CollectorState("memory", .measured), CollectorState("energy", .off),
        CollectorState("sampling", .degraded, method: "cpu-clock", reason: "no PMU", remedy: "bare metal"),
      ]
      data.counters = ["cycles", "instructions"].map {
        CounterTotal(event: $0, value: .unavailable(Unavailable("no PMU", remedy: "bare metal")))
      }
    }
    let rows = try Self.check(profile).notMeasured
    #expect(rows.map(\.names) == [["energy"], ["sampling"], ["cycles", "instructions"], ["host.gpu"]])
    #expect(rows.map(\.isDegraded) == [false, true, false, false] && rows[0].isSwitchedOff)
    #expect(rows[2].kind == .counter && rows[2].remedy == "bare metal")
  }

  @Test func cost() throws {
    let cost = try Self.check(
      profile {
        $0.quantities = [
          quantity("kernel_trace.ops", 1000, "1"), quantity("kernel_trace.cost_per_op", 0.1),
          quantity("cpu.user", 90), quantity("cpu.system", 10), quantity("profiler.cpu_time", 5),
          quantity("samples.taken", 0, "1"), quantity("samples.lost", 0, "1"),
        ]
      }
    ).profilerCost
    #expect(cost.tracingNanoseconds.value == 100 && cost.tracingShare.value == 0.1 && cost.cpuShare.value == 0.05)
    // 0 of 0 is no share.
    #expect(cost.lostShare.value == nil)
  }

  @Test func hostile() throws {
    let names = [
      "<script>alert(1)</script>", "‮evil\u{0}", "🧨\n\r", "", String(repeating: "n", count: 100_000), "'; DROP TABLE",
    ]
    var stacks = Stacks()
    for (index, name) in names.enumerated() {
      stacks.frames[Int64(index)] = Frame(function: name, module: name, kind: .user)
      stacks.stacks[Int64(index)] = StackNode(parent: Int64(names.count - 1 - index), frame: Int64(index))
      stacks.samples.append(
        SampleTotal(stack: Int64(index), pid: -1, tid: .min, kernel: 99, samples: 1, weightNanoseconds: 1))
    }
    let all = try Self.check(
      stacks.profile(settings: ["command": "not json", "data": names[0]]) { data in
        data.kernels = names.map {
          kernel($0, self: 10, module: $0, shapes: $0, types: $0, flops: .infinity, bytes: .nan)
        }
        data.quantities = names.map { quantity($0, .nan) } + [quantity("phase.forward.wall", .infinity)]
        data.counters = [CounterTotal(event: "task-clock", value: Measured(.nan, .softwareCounter))]
        data.threads = names.map {
          ThreadRecord(pid: 1, tid: 2, parentPID: 3, name: $0, startNanoseconds: 5, endNanoseconds: -5)
        }
        data.steps = [
          TrainingStep(step: 0, epoch: 0, timeNanoseconds: 0, durationNanoseconds: 0, samples: 0, loss: .nan)
        ]
        data.queries = [
          InferenceQuery(index: 0, latencyNanoseconds: .max, samples: .max),
          InferenceQuery(index: 1, latencyNanoseconds: -1, samples: .max),
        ]
      })
    #expect(all.identity.command == ["not json"])
    #expect(all.limits.verdicts.allSatisfy { $0.statement.count < 1000 })
  }

  @Test(
    arguments: [
      (Repetition.State.running, nil, nil, "the profile ends before the run did: the profiler itself was stopped"),
      (.notStarted, nil, nil, "the target could not be started"),
      (.interrupted, nil, Int32(2), "interrupted, killed by signal 2 (SIGINT)"),
      (.finished, Int32(7), nil, "exited with status 7"), (.finished, nil, Int32(99), "killed by signal 99"),
      (.finished, nil, nil, "ended, and the status is not known"),
    ] as [(Repetition.State, Int32?, Int32?, String)])
  func endings(state: Repetition.State, status: Int32?, signal: Int32?, expected: String) {
    #expect(RunIdentity.ending(repetition(state: state, status: status, signal: signal).repetition) == expected)
  }

  /// Ratios of counters: unavailable when an event is missing, derived with their formula when not.
  @Test func counters() throws {
    let all = try Self.check(
      profile(wall: 2000) {
        $0.counters = [
          CounterTotal(event: "task-clock", unit: "ns", value: Measured(1000, .softwareCounter)),
          CounterTotal(event: "context-switches", value: Measured(5, .softwareCounter)),
          CounterTotal(event: "cycles", value: .unavailable(Unavailable("no PMU"))),
        ]
      })
    func ratio(_ name: String) -> Measured<Double>? { all.counters.ratios.first { $0.name == name }?.value }
    #expect(ratio("cpu.busy")?.value == 0.5 && ratio("cpu.busy")?.provenance?.detail == "CPU time ÷ wall time")
    #expect(ratio("context_switches.rate")?.value == 5e6)
    #expect(ratio("frequency")?.unavailable?.reason == "no PMU")
    #expect(ratio("ipc")?.unavailable?.remedy == "-e instructions")
  }
}
