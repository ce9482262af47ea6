// Is any span of any thread's time split exactly over the kernels that the traced main thread ran meanwhile?
import CKernelTrace
import Foundation
import ProfileModel
import Testing

@testable import Profiler

@Suite struct KernelClockTests {
  static let opened: UInt64 = 1_000_000
  private static let mm = TraceCell(phase: Int(KIVIAT_PHASE_BACKWARD.rawValue), category: .gemm).number
  private static func idle(_ phase: kiviat_trace_phase) -> UInt32 {
    UInt32(KIVIAT_TRACE_IDLE_IN_PHASE) + phase.rawValue
  }
  private static func outside(_ phase: kiviat_trace_phase) -> Int {
    TraceCell(phase: Int(phase.rawValue), category: nil).number
  }

  /// A clock that reads whenever it is asked for a time that it has not shown.
  private func clock(_ trace: HandMadeTrace, pid: Int32 = 4321, startingAt time: UInt64 = 0) -> KernelClock {
    KernelClock(path: trace.path, pid: pid, startingAt: time, now: { 0 })
  }

  private func span(_ clock: KernelClock, _ from: UInt64, _ to: UInt64) -> [Int: Int64] {
    clock.move(to: from)
    let before = clock.hands
    clock.move(to: to)
    return Dictionary(
      uniqueKeysWithValues: clock.hands.indices.filter { clock.hands[$0] != before[$0] }.map {
        ($0, clock.hands[$0] - before[$0])
      })
  }

  @Test func cellsAreNumbered() {
    #expect(TraceCell.untraced.phase == nil && TraceCell.untraced.category == nil)
    var seen: Set<Int> = [0]
    for (number, phase) in KernelRecord.Phase.allCases.enumerated() {
      for category in KernelCategory.allCases.map(Optional.some) + [nil] {
        let cell = TraceCell(phase: number, category: category)
        #expect(cell.phase == phase && cell.category == category)
        #expect(seen.insert(cell.number).inserted && cell.number < TraceCell.count)
      }
    }
    #expect(seen.count == TraceCell.count)
    #expect(TraceCell(phase: 99, category: nil).phase == .other)
  }

  @Test func aSpanIsSplitWhereKernelsBeginAndEnd() throws {
    let trace = try HandMadeTrace()
    trace.transition(1008, Self.idle(KIVIAT_PHASE_FORWARD))
    trace.transition(2000, 1)
    trace.transition(2512, Self.idle(KIVIAT_PHASE_FORWARD))
    trace.transition(4000, Self.idle(KIVIAT_PHASE_DATA))
    let clock = clock(trace)
    // Before the trace nothing is known; it begins in the phase "other".
    #expect(
      span(clock, Self.opened - 500, Self.opened + 5000) == [
        0: 500, Self.outside(KIVIAT_PHASE_OTHER): 1008, Self.outside(KIVIAT_PHASE_FORWARD): 992 + 1488, Self.mm: 512,
        Self.outside(KIVIAT_PHASE_DATA): 1000,
      ])
    // Back, and inside one kernel.
    #expect(span(clock, Self.opened + 2100, Self.opened + 2200) == [Self.mm: 100])
    #expect(clock.current.cell == Self.mm)
    #expect(
      span(clock, Self.opened + 2500, Self.opened + 2520) == [Self.mm: 12, Self.outside(KIVIAT_PHASE_FORWARD): 8])
  }

  @Test func aClosedTraceIsFollowedByNothing() throws {
    let trace = try HandMadeTrace()
    trace.transition(1600, 1)
    trace.header.pointee.closed_ns = Self.opened + 3200
    #expect(
      span(clock(trace), Self.opened, Self.opened + 5000) == [
        Self.outside(KIVIAT_PHASE_OTHER): 1600, Self.mm: 1600, 0: 1800,
      ])
  }

  @Test func onlyTheTracedProcessCounts() throws {
    let trace = try HandMadeTrace()
    trace.transition(1600, 1)
    #expect(span(clock(trace, pid: 99), Self.opened, Self.opened + 5000) == [0: 5000])
    let none = KernelClock(path: trace.directory + "/none", pid: 4321, startingAt: 7)
    #expect(span(none, 10, 1000) == [0: 990])
    try Data("no trace at all".utf8).write(to: URL(fileURLWithPath: trace.directory + "/bad"))
    #expect(span(KernelClock(path: trace.directory + "/bad", pid: 4321, startingAt: 7), 10, 1000) == [0: 990])
  }

  /// Transitions whose idle tells no phase, of a workload of an older kiviat.
  @Test func idleOfNoPhaseIsNoPhase() throws {
    let trace = try HandMadeTrace()
    trace.transition(0, 1)
    trace.transition(1600, KIVIAT_TRACE_IDLE)
    #expect(span(clock(trace), Self.opened, Self.opened + 2000) == [Self.mm: 1600, 0: 400])
  }

  @Test func transitionsThatCameLateBeginWhereTheHandsHaveBeen() throws {
    let trace = try HandMadeTrace()
    let clock = clock(trace)
    #expect(span(clock, Self.opened, Self.opened + 1000) == [Self.outside(KIVIAT_PHASE_OTHER): 1000])
    trace.transition(512, 1)
    #expect(
      span(clock, Self.opened + 800, Self.opened + 1200) == [Self.outside(KIVIAT_PHASE_OTHER): 200, Self.mm: 200])
  }

  @Test func whatTheRingForgotIsNotGuessed() throws {
    let trace = try HandMadeTrace()
    var time = Self.opened + 16
    let clock = KernelClock(path: trace.path, pid: 4321, startingAt: 0, now: { time })
    trace.transition(16, 1)
    clock.move(to: time)
    let count = UInt64(KernelTraceReader.ringSize) + 1000
    for step in 1...count { trace.transition(16 + step * 32, step % 2 == 0 ? 1 : Self.idle(KIVIAT_PHASE_FORWARD)) }
    time = Self.opened + 16 + count * 32
    let split = span(clock, Self.opened + 16, time)
    #expect(split.values.reduce(0, +) == Int64(count * 32))
    #expect(clock.lostNanoseconds > 0 && split[0] ?? 0 == Int64(clock.lostNanoseconds))
    #expect(split[Self.mm] ?? 0 > 0)
  }

  /// Against the naive way: each span against each segment.
  @Test func randomSpansAreSplitAsOneByOne() throws {
    var generator = TestRandom(state: 42)
    for _ in 0..<20 {
      let trace = try HandMadeTrace()
      var segments: [(start: UInt64, cell: Int)] = [
        (0, 0), (Self.opened, Self.outside(KIVIAT_PHASE_OTHER)),
      ]
      var time: UInt64 = 0
      for _ in 0..<Int.random(in: 0...400, using: &generator) {
        time += UInt64.random(in: 0...20, using: &generator) * 16
        let choice = UInt32.random(in: 0...6, using: &generator)
        trace.transition(time, choice == 6 ? 1 : UInt32(KIVIAT_TRACE_IDLE_IN_PHASE) + choice)
        segments.append(
          (Self.opened + time, choice == 6 ? Self.mm : TraceCell(phase: Int(choice), category: nil).number))
      }
      let clock = clock(trace, startingAt: Self.opened - 1000)
      for _ in 0..<200 {
        let a = Self.opened - 1000 + UInt64.random(in: 0...(time + 3000), using: &generator)
        let b = a + UInt64.random(in: 0...5000, using: &generator)
        var expected: [Int: Int64] = [:]
        for (index, segment) in segments.enumerated() {
          let end = index + 1 < segments.count ? segments[index + 1].start : .max
          let (from, to) = (max(a, segment.start), min(b, end))
          if to > from { expected[segment.cell, default: 0] += Int64(to - from) }
        }
        #expect(span(clock, a, b) == expected)
      }
    }
  }

  // MARK: - Ledgers

  private func records(_ generator: inout TestRandom, _ count: Int, pid: Int32) -> [PerfRecord] {
    var time = Self.opened - 2000
    var records: [PerfRecord] = []
    for _ in 0..<count {
      time += UInt64.random(in: 0...700, using: &generator)
      let tid = pid + Int32.random(in: 0...3, using: &generator)
      switch Int.random(in: 0...5, using: &generator) {
      case 0: records.append(.fork(pid: pid, parentPID: pid, tid: tid, parentTID: pid, time: time))
      case 1 where tid != pid: records.append(.exit(pid: pid, parentPID: pid, tid: tid, parentTID: pid, time: time))
      case 2...3:
        records.append(
          .contextSwitch(pid: pid, tid: tid, isOut: true, isPreempted: Bool.random(using: &generator), time: time))
      default: records.append(.contextSwitch(pid: pid, tid: tid, isOut: false, isPreempted: false, time: time))
      }
    }
    return records
  }

  /// The parts of each thread add up to its life exactly, and a ledger without a clock has the same sums by state.
  @Test func partsOfThreadsAddUp() throws {
    var generator = TestRandom(state: 7)
    let trace = try HandMadeTrace()
    for step in 0..<UInt64(2000) {
      trace.transition(step * 160, step % 3 == 0 ? 1 : UInt32(KIVIAT_TRACE_IDLE_IN_PHASE) + UInt32(step % 5))
    }
    for _ in 0..<30 {
      let records = records(&generator, 400, pid: 4321)
      var plain = OffCPULedger()
      var split = OffCPULedger()
      split.follow(clock(trace, startingAt: Self.opened - 3000), pid: 4321)
      plain.begin(pid: 4321, name: "", at: Self.opened - 3000)
      split.begin(pid: 4321, name: "", at: Self.opened - 3000)
      for record in records {
        plain.consume(record)
        split.consume(record)
      }
      // In the middle of the run, and at its end.
      for (index, thread) in split.living.values.enumerated() where index < 3 {
        let now = Self.opened + 300_000
        let splits = thread.splits(at: now, split.clock) { _ in nil }
        #expect(splits.values.reduce(0) { $0 + $1.total } == max(now, thread.since) - thread.start)
      }
      plain.finish(at: Self.opened + 400_000)
      split.finish(at: Self.opened + 400_000)
      let rows = plain.ended.map { $0.record(at: 0, zero: 0) { _ in nil } }.sorted {
        ($0.tid, $0.startNanoseconds) < ($1.tid, $1.startNanoseconds)
      }
      let threads = split.ended.sorted { ($0.tid, $0.start) < ($1.tid, $1.start) }
      #expect(rows.count == threads.count)
      for (row, thread) in zip(rows, threads) {
        let splits = thread.splits(at: 0, split.clock) { _ in nil }
        #expect(splits.values.reduce(0) { $0 + $1.total } == (thread.end ?? 0) - thread.start)
        #expect(thread.record(at: 0, zero: 0, splits: splits) == row)
        #expect(splits.count > 1 || row.endNanoseconds - row.startNanoseconds < 3000)
      }
    }
  }

  @Test func aThreadsStatesByCell() throws {
    let trace = try HandMadeTrace()
    trace.transition(1600, 1)
    trace.transition(3200, Self.idle(KIVIAT_PHASE_FORWARD))
    var ledger = OffCPULedger()
    ledger.follow(clock(trace), pid: 4321)
    ledger.begin(pid: 4321, name: "", at: Self.opened)
    ledger.consume(.contextSwitch(pid: 4321, tid: 4321, isOut: true, isPreempted: true, time: Self.opened + 2000))
    ledger.consume(.contextSwitch(pid: 4321, tid: 4321, isOut: false, isPreempted: false, time: Self.opened + 3600))
    // Another process is not traced.
    ledger.consume(.fork(pid: 9, parentPID: 4321, tid: 9, parentTID: 4321, time: Self.opened + 1000))
    ledger.finish(at: Self.opened + 4000)
    let main = try #require(ledger.ended.first { $0.tid == 4321 })
    let splits = main.splits(at: 0, ledger.clock) { _ in nil }
    #expect(splits[Self.outside(KIVIAT_PHASE_OTHER)] == .init(running: 1600))
    #expect(splits[Self.mm] == .init(running: 400, runnable: 1200))
    #expect(splits[Self.outside(KIVIAT_PHASE_FORWARD)] == .init(running: 400, runnable: 400))
    #expect(splits.count == 3)
    let other = try #require(ledger.ended.first { $0.tid == 9 })
    #expect(other.splits(at: 0, ledger.clock) { _ in nil } == [0: .init(runnable: 3000)])
  }

  /// Sums of a tick are shared over its cells: 10 % of the time in one, 90 % in the other.
  @Test func accountingIsSharedOverTheCells() throws {
    let trace = try HandMadeTrace()
    trace.transition(0, 1)
    trace.transition(16_000, Self.idle(KIVIAT_PHASE_FORWARD))
    let clock = clock(trace)
    var thread = ThreadLedger(
      pid: 4321, tid: 4321, parentPID: 0, name: "", start: Self.opened, activity: .blocked(stack: -1), clock: clock)
    thread.book(until: Self.opened + 160_000, running: 80_000, runnable: 40_000, clock)
    thread.looks = [.io: 2]
    let splits = thread.splits(at: Self.opened + 160_000, clock) { _ in nil }
    #expect(splits[Self.mm] == .init(running: 8000, runnable: 4000, waits: [.io: 4000], estimated: 4000))
    #expect(
      splits[Self.outside(KIVIAT_PHASE_FORWARD)]
        == .init(running: 72_000, runnable: 36_000, waits: [.io: 36_000], estimated: 36_000))
    // The kernel's sums may exceed the time that went by.
    thread.book(until: Self.opened + 160_100, running: 90, runnable: 500, clock)
    let more = thread.splits(at: Self.opened + 160_100, clock) { _ in nil }
    #expect(more.values.reduce(0) { $0 + $1.total } == 160_100)
  }

  @Test func foldingKeepsTheSums() {
    var thread = ThreadLedger(pid: 1, tid: 1, parentPID: 0, name: "", start: 0, activity: .running)
    for stack in 0..<Int32(100) {
      thread.change(to: .blocked(stack: stack), at: UInt64(stack) * 10)
      thread.change(to: .running, at: UInt64(stack) * 10 + 7)
    }
    let kind: (Int32) -> WaitKind? = { $0 < 90 ? WaitKind.allCases[Int($0) % 4] : nil }
    let before = thread.splits(at: 1000, kindOfStack: kind)
    thread.fold(kind)
    #expect(thread.waits.count == 14)
    #expect(thread.splits(at: 1000, kindOfStack: kind) == before)
    #expect(before[0]?.total == 1000)
  }

  /// A cause that becomes known moves time from one row to another; the first does not stay in the file.
  @Test func timeThatMovedOnIsTakenFromItsRow() {
    let sources = ThreadParts.Sources(known: Provenance(.softwareCounter), estimated: Provenance(.sampled))
    var thread = ThreadRecord(pid: 1, tid: 2, parentPID: 0, name: "", startNanoseconds: 0, endNanoseconds: 10)
    var parts = ThreadParts()
    let first = parts.rows(thread, [0: .init(running: 4, waits: [.other: 6])], sources, hasEnded: false)
    #expect(first.map(\.state) == [.working, .other] && first.map(\.nanoseconds) == [4, 6])
    thread.endNanoseconds = 12
    let second = parts.rows(thread, [0: .init(running: 6, waits: [.lock: 6], estimated: 6)], sources, hasEnded: true)
    #expect(second.map(\.state) == [.working, .lock, .other] && second.map(\.nanoseconds) == [6, 6, 0])
    #expect(second.map(\.provenance.source) == [.softwareCounter, .sampled, .softwareCounter])
  }
}
