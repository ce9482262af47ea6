// Does --no-multiplex find how many runs the events take, and is each then exact?
import CPerfEvent
import Glibc
import ProfileModel
import Testing

@testable import Profiler

struct CountingPlanTests {
  private func events(_ text: String) throws -> [PerfEventSpec] { try EventParser().parse([text]) }

  private func plan(
    _ settings: SimulatedPerf.Settings, _ specs: [PerfEventSpec], rules: (SimulatedPerf) -> Void = { _ in }
  ) -> CountingPlan {
    let perf = SimulatedPerf(settings)
    let access = PerfAccess.probe(perf, .fake([:]))
    rules(perf)
    return CountingPlan.make(specs, access) { perf.advance(200_000) { _, _, _ in 1 } }
  }

  private let four = SimulatedPerf.Settings(pmus: [.init(type: 4, counters: 4)], paranoid: -1)

  @Test func whatFitsTakesOneRun() throws {
    let specs = try events("cycles,instructions,{branches,branch-misses},task-clock,duration_time")
    #expect(plan(four, specs).runs == [Set(specs.indices)])
  }

  @Test func softwareAndInstructionsAreInEachRun() throws {
    // Seven events for four counters; instructions take one of them in every run.
    let specs = try events(
      "cycles,instructions,cache-references,cache-misses,branches,branch-misses,bus-cycles,task-clock")
    let runs = plan(four, specs).runs
    #expect(runs.count == 2)
    #expect(runs.allSatisfy { $0.contains(1) && $0.contains(7) && $0.count <= 5 })
    #expect(runs.reduce(Set()) { $0.union($1) } == Set(specs.indices))
    #expect(runs[0].intersection(runs[1]) == [1, 7])
  }

  @Test func groupsStayTogether() throws {
    let specs = try events("{cycles,instructions,branches},{cache-references,cache-misses},bus-cycles")
    let runs = plan(four, specs).runs
    #expect(runs == [[0, 1, 2], [3, 4, 5]])
  }

  @Test func aGroupThatIsTooLargeIsSpread() throws {
    let specs = try events("{cycles,instructions,branches,branch-misses,cache-misses,cache-references}")
    #expect(plan(four, specs).runs == [[0, 1, 2, 3], [4, 5]])
  }

  @Test func withoutPMUOneRunTellsWhy() throws {
    let specs = try events("cycles,instructions,task-clock")
    #expect(plan(.init(paranoid: 2), specs).runs == [[0, 1, 2]])
    let lacking = plan(four, try events("cycles,branches")) { perf in
      perf.refuse { attribute, _ in attribute.config == 0 ? ENOENT : nil }
    }
    #expect(lacking.runs == [[0, 1]])
  }

  /// A turn that ends while it is tried out makes a second attempt necessary, and no more runs.
  @Test func turnsDuringTheTrial() throws {
    var settings = four
    settings.turn = 250_000
    let specs = try events("cycles,instructions,cache-references,cache-misses,branches,branch-misses")
    #expect((2...3).contains(plan(settings, specs).runs.count))
  }

  @Test func eachRunIsExactAndNamesTheOthers() throws {
    let specs = try events("cycles,instructions,cache-references,cache-misses,branches,branch-misses")
    let plan = plan(four, specs)
    var found: Set<String> = []
    for repetition in 0..<plan.runs.count * 2 {
      let perf = SimulatedPerf(four)
      let options = ProfileOptions(command: [], output: "")
      let collector = CountingCollector(
        events: specs, options: options, access: PerfAccess.probe(perf, .fake([:])), plan: plan, repetition: repetition)
      #expect(
        collector.prepare(TargetContext(pid: 1, options: options, runDirectory: "")).method.contains(
          "run \(repetition % 2 + 1) of the 2"))
      perf.exec()
      for _ in 0..<5 {
        perf.advance(100_000_000, count: SimulatedCounting.count)
        collector.tick(monotonicNanoseconds: 1)
      }
      collector.stop(monotonicNanoseconds: 2)
      #expect(collector.state.outcome == .measured)
      for (position, total) in collector.totals().enumerated() {
        if plan.runs[repetition % 2].contains(position) {
          #expect(total.value.provenance?.source == .hardwareCounter)
          found.insert(total.event)
        } else {
          #expect(total.value.unavailable?.reason.contains("of 2, not in this one") == true)
        }
      }
    }
    #expect(found.count == specs.count)
  }
}
