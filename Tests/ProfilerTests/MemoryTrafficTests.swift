// Are the bytes of memory controllers counted between start and stop, on all sockets, and is every failure said?
import CPerfEvent
import Glibc
import ProfileModel
import Testing

@testable import Profiler

/// Two controllers (types 20 and 21) on two sockets, whose first CPUs are 0 and 8; events of code 4 happen once a
/// microsecond.
struct MemoryTrafficTests {
  private static let files = [
    "/sys/bus/event_source/devices/uncore_imc_0/cpumask": "0,8\n",
    "/sys/bus/event_source/devices/uncore_imc_1/cpumask": "0,8\n",
    "/proc/sys/kernel/perf_event_paranoid": "0\n",
  ]
  private static let specs = [20, 21].map {
    PerfEventSpec("reads@uncore_imc_\($0 - 20)", .device, type: UInt32($0), config: 4)
  }
  private static func machine(paranoid: Int = 0) -> SimulatedPerf {
    SimulatedPerf(
      .init(
        pmus: [
          .init(type: 4, counters: 4), .init(type: 20, counters: 4, isUncore: true),
          .init(type: 21, counters: 4, isUncore: true),
        ], paranoid: paranoid))
  }

  private static func collector(_ perf: SimulatedPerf) -> MemoryTrafficCollector {
    MemoryTrafficCollector(
      events: specs, access: PerfAccess.probe(perf, .fake(files)), files: .fake(files), firstPosition: 7)
  }

  private static func target(_ counters: ProfileOptions.Counters = .auto) -> TargetContext {
    var options = ProfileOptions(command: [], output: "")
    options.counters = counters
    return TargetContext(pid: 42, options: options, runDirectory: "")
  }

  private static func pass(_ perf: SimulatedPerf, milliseconds: UInt64) {
    perf.advance(milliseconds * 1_000_000) { attribute, from, to in
      attribute.config == 4 ? Double(to - from) / 1000 : 0
    }
  }

  @Test func bothSocketsBetweenStartAndStop() {
    let perf = Self.machine()
    let collector = Self.collector(perf)
    let state = collector.prepare(Self.target())
    #expect(state.outcome == .measured && state.method.contains("whole machine"))
    #expect(perf.openCount == 4)
    Self.pass(perf, milliseconds: 50)
    collector.start(monotonicNanoseconds: 1)
    Self.pass(perf, milliseconds: 300)
    collector.stop(monotonicNanoseconds: 2)
    Self.pass(perf, milliseconds: 70)
    let totals = collector.totals()
    #expect(totals.map(\.event) == ["reads@uncore_imc_0", "reads@uncore_imc_1"])
    // 0.3 s, one a microsecond, two sockets; what happened before and after belongs to others.
    for total in totals {
      #expect(total.value.value == 600_000 && total.value.provenance?.source == .hardwareCounter)
      #expect(total.value.provenance?.detail?.contains("other programs included") == true)
    }
  }

  @Test func refusalsHaveTheirReason() {
    for code in [EACCES, EPERM, ENOENT, EINVAL, EMFILE, EBUSY, ENOSPC] {
      let perf = Self.machine()
      let collector = Self.collector(perf)
      perf.refuse { attribute, _ in attribute.type >= 20 ? code : nil }
      #expect(collector.prepare(Self.target()).outcome == .unavailable)
      collector.start(monotonicNanoseconds: 1)
      collector.stop(monotonicNanoseconds: 2)
      #expect(collector.totals().allSatisfy { $0.value.unavailable != nil })
      #expect(collector.state.reason?.isEmpty == false)
    }
    let ordinary = Self.collector(Self.machine(paranoid: 2))
    #expect(ordinary.prepare(Self.target()).remedy == "sudo sysctl kernel.perf_event_paranoid=0")
    #expect(Self.collector(Self.machine()).prepare(Self.target(.off)).outcome == .off)
  }

  @Test func aSocketThatFailsMakesNoSmallerSum() {
    for failure in [SimulatedPerf.ReadFailure.error(EIO), .words(0), .words(2)] {
      let perf = Self.machine()
      let collector = Self.collector(perf)
      _ = collector.prepare(Self.target())
      collector.start(monotonicNanoseconds: 1)
      Self.pass(perf, milliseconds: 10)
      perf.failReads { attribute in attribute.type == 21 ? failure : nil }
      collector.stop(monotonicNanoseconds: 2)
      let totals = collector.totals()
      #expect(totals[0].value.value == 20_000)
      #expect(totals[1].value.unavailable != nil)
    }
    let unused = Self.collector(Self.machine())
    #expect(unused.prepare(Self.target()).outcome == .measured)
    #expect(unused.totals().allSatisfy { $0.value.unavailable != nil })
  }
}
