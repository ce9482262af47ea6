// Is thread time booked right, record by record?
import ProfileModel
import Testing

@testable import Profiler

struct OffCPULedgerTests {
  private static let kernel = UInt64(bitPattern: -128)
  private static let user = UInt64(bitPattern: -512)

  private func out(_ tid: Int32, _ time: UInt64, preempted: Bool = false, pid: Int32 = 1) -> PerfRecord {
    .contextSwitch(pid: pid, tid: tid, isOut: true, isPreempted: preempted, time: time)
  }
  private func enter(_ tid: Int32, _ time: UInt64, pid: Int32 = 1) -> PerfRecord {
    .contextSwitch(pid: pid, tid: tid, isOut: false, isPreempted: false, time: time)
  }
  private func stack(_ tid: Int32, _ time: UInt64, _ addresses: [UInt64]) -> PerfRecord {
    .sample(
      PerfSample(
        event: 1, pid: 1, tid: tid, cpu: 0, time: time, period: 1,
        callChain: [Self.kernel] + addresses + [Self.user, 7, 8]))
  }
  private func wake(_ tid: Int32, _ time: UInt64) -> PerfRecord {
    var raw = [UInt8](repeating: 0, count: 36)
    withUnsafeBytes(of: tid) { raw.replaceSubrange(24..<28, with: $0) }
    return .sample(PerfSample(event: 2, pid: 9, tid: 9, cpu: 0, time: time, period: 1, raw: raw))
  }

  /// Stack addresses stand for functions: 0x100 futex_wait_queue, 0x200 pipe_read, 0x300 do_nanosleep.
  private func kind(_ ledger: OffCPULedger) -> (Int32) -> WaitKind? {
    { number in
      guard number >= 0 else { return nil }
      let names: [UInt64: String] = [
        0x10: "__schedule", 0x100: "futex_wait_queue", 0x200: "pipe_read", 0x300: "do_nanosleep",
      ]
      return OffCPURules.kind(ofStack: ledger.stacks[Int(number)].compactMap { names[$0] })
    }
  }

  private func ledger(_ records: [PerfRecord], wakeups: Bool = true, end: UInt64) -> OffCPULedger {
    var ledger = OffCPULedger()
    ledger.switchEvent = 1
    ledger.wakeupEvent = wakeups ? 2 : nil
    ledger.begin(pid: 1, name: "main", at: 1000)
    for record in records { ledger.consume(record) }
    ledger.finish(at: end)
    return ledger
  }

  private func rows(_ ledger: OffCPULedger) -> [ThreadRecord] {
    ledger.ended.map { $0.record(at: 0, zero: 1000, kindOfStack: kind(ledger)) }
      .sorted { ($0.tid, $0.startNanoseconds) < ($1.tid, $1.startNanoseconds) }
  }

  private func sum(_ row: ThreadRecord) -> Int64 {
    [
      row.runningNanoseconds, row.runnableNanoseconds, row.blockedLockNanoseconds, row.blockedIONanoseconds,
      row.sleepingNanoseconds, row.blockedOtherNanoseconds,
    ].reduce(0) { $0 + ($1 ?? 0) }
  }

  @Test func everyStateIsBooked() throws {
    let row = try #require(
      rows(
        ledger(
          [
            stack(1, 1099, [0x10, 0x100]), out(1, 1100),  // 100 running
            wake(1, 1150), enter(1, 1160),  // 50 lock, 10 runnable
            out(1, 1180, preempted: true), enter(1, 1200),  // 20 running, 20 runnable
            stack(1, 1200, [0x10, 0x200, 0x5]), out(1, 1201),  // 1 running
            wake(1, 1301), enter(1, 1301),  // 100 I/O
            stack(1, 1302, [0x300]), out(1, 1302), wake(1, 1402), enter(1, 1403),  // 1 running, 100 asleep, 1 runnable
            out(1, 1410), wake(1, 1420), enter(1, 1425),  // 7 running, 10 for an unknown reason, 5 runnable
          ], end: 1500)
      ).first)
    #expect(row.runningNanoseconds == 204)
    #expect(row.runnableNanoseconds == 36)
    #expect(row.blockedLockNanoseconds == 50)
    #expect(row.blockedIONanoseconds == 100)
    #expect(row.sleepingNanoseconds == 100)
    #expect(row.blockedOtherNanoseconds == 10)
    #expect(row.startNanoseconds == 0 && row.endNanoseconds == 500 && sum(row) == 500)
  }

  @Test func threadsAndProcessesAreBornRunnableAndEndAtTheirExit() {
    let rows = rows(
      ledger(
        [
          .name(pid: 1, tid: 1, name: "boss", isExec: false, time: 1010),
          .fork(pid: 1, parentPID: 1, tid: 2, parentTID: 1, time: 1100), enter(2, 1130),
          .name(pid: 1, tid: 2, name: "worker", isExec: false, time: 1140),
          .fork(pid: 3, parentPID: 1, tid: 3, parentTID: 2, time: 1200),
          .exit(pid: 1, parentPID: 0, tid: 2, parentTID: 1, time: 1300),
          // The last switch of a thread that ended is nobody's.
          out(2, 1301), enter(3, 1400, pid: 3),
        ], end: 2000))
    #expect(rows.map(\.tid) == [1, 2, 3])
    #expect(rows.map(\.name) == ["boss", "worker", "worker"])
    #expect(rows.map(\.parentPID) == [0, 0, 1])
    #expect(rows[1].startNanoseconds == 100 && rows[1].endNanoseconds == 300)
    #expect(rows[1].runnableNanoseconds == 30 && rows[1].runningNanoseconds == 170)
    #expect(rows[2].runnableNanoseconds == 200 && rows[2].runningNanoseconds == 600)
    for row in rows { #expect(sum(row) == row.endNanoseconds - row.startNanoseconds) }
  }

  @Test func execEndsTheOtherThreads() {
    let rows = rows(
      ledger(
        [
          .fork(pid: 1, parentPID: 1, tid: 2, parentTID: 1, time: 1100), enter(2, 1110),
          .exit(pid: 1, parentPID: 0, tid: 1, parentTID: 0, time: 1200),
          // The thread that called exec goes on under the process's number.
          .name(pid: 1, tid: 1, name: "new", isExec: true, time: 1210),
          out(1, 1300), enter(1, 1400),
        ], end: 1500))
    #expect(rows.map(\.tid) == [1, 1, 2])
    #expect(rows[0].endNanoseconds == 200)
    #expect(rows[1].startNanoseconds == 210 && rows[1].name == "new" && rows[1].endNanoseconds == 500)
    #expect(rows[2].endNanoseconds == 210)
  }

  @Test func numbersThatAreUsedAgainAreOtherThreads() {
    let rows = rows(
      ledger(
        [
          .fork(pid: 1, parentPID: 1, tid: 2, parentTID: 1, time: 1100),
          .exit(pid: 1, parentPID: 1, tid: 2, parentTID: 1, time: 1200),
          .fork(pid: 1, parentPID: 1, tid: 2, parentTID: 1, time: 1300),
        ], end: 1500))
    #expect(rows.filter { $0.tid == 2 }.map(\.startNanoseconds) == [100, 300])
  }

  @Test func withoutWakeUpsTheSchedulersSumIsTakenOffTheWaits() throws {
    var ledger = OffCPULedger()
    ledger.switchEvent = 1
    ledger.begin(pid: 1, name: "", at: 0)
    // Two waits in a lock, one for I/O: 3000 ns blocked in all, of which the scheduler says 600 were for a CPU.
    for record in [
      stack(1, 100, [0x100]), out(1, 100), enter(1, 1100), stack(1, 1200, [0x100]), out(1, 1200), enter(1, 2200),
      stack(1, 2300, [0x200]), out(1, 2300), enter(1, 3300),
    ] { ledger.consume(record) }
    ledger.update(1) {
      $0.runDelay = 600
      $0.runnableAtRunDelay = $0.runnable
    }
    ledger.finish(at: 3400)
    let row = ledger.ended[0].record(at: 0, zero: 0, kindOfStack: kind(ledger))
    #expect(row.runnableNanoseconds == 600)
    #expect(row.blockedLockNanoseconds == 1600)
    #expect(row.blockedIONanoseconds == 800)
    #expect(sum(row) == 3400)
  }

  @Test func takingOffNeverTakesMoreThanThereIs() {
    var waits: [Int32: ThreadLedger.Wait] = [
      0: .init(nanoseconds: 10, count: 5), 1: .init(nanoseconds: 1000, count: 1),
    ]
    #expect(ThreadLedger.takeOff(500, from: &waits) == 500)
    #expect(waits[0]?.nanoseconds == 0 && waits[1]?.nanoseconds == 510)
    #expect(ThreadLedger.takeOff(5000, from: &waits) == 510)
    #expect(waits.values.allSatisfy { $0.nanoseconds == 0 })
    var none: [Int32: ThreadLedger.Wait] = [:]
    #expect(ThreadLedger.takeOff(5, from: &none) == 0)
  }

  @Test func looksShareOutWhatRecordsDoNotExplain() {
    var ledger = OffCPULedger()
    ledger.begin(pid: 1, name: "", at: 0)
    for record in [out(1, 0), enter(1, 1000)] { ledger.consume(record) }
    ledger.update(1) { $0.looks = [.lock: 3, .io: 1] }
    ledger.finish(at: 1000)
    let row = ledger.ended[0].record(at: 0, zero: 0) { _ in nil }
    #expect(row.blockedLockNanoseconds == 750 && row.blockedIONanoseconds == 250 && row.blockedOtherNanoseconds == 0)
    #expect(sum(row) == 1000)
  }

  @Test func waitsWithoutAStackAreLikeThoseWithOne() {
    var ledger = OffCPULedger()
    ledger.switchEvent = 1
    ledger.begin(pid: 1, name: "", at: 0)
    for record in [
      stack(1, 0, [0x100]), out(1, 0), enter(1, 300), stack(1, 300, [0x200]), out(1, 300), enter(1, 400),
      // Stacks are switched off.
      out(1, 400), enter(1, 800),
    ] { ledger.consume(record) }
    ledger.finish(at: 800)
    let row = ledger.ended[0].record(at: 0, zero: 0, sharesUnexplained: true, kindOfStack: kind(ledger))
    #expect(row.blockedLockNanoseconds == 600 && row.blockedIONanoseconds == 200)
    let unshared = ledger.ended[0].record(at: 0, zero: 0, kindOfStack: kind(ledger))
    #expect(unshared.blockedLockNanoseconds == 300 && unshared.blockedOtherNanoseconds == 400)
    #expect(sum(row) == 800 && sum(unshared) == 800)
  }

  /// Any stream whatsoever: no crash, and the parts always add up to the lifetime.
  @Test(arguments: [1, 2, 3, 4, 5])
  func partsAlwaysAddUp(seed: UInt64) {
    var random = seed &* 0x9E37_79B9_7F4A_7C15
    func next(_ bound: UInt64) -> UInt64 {
      random = random &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return (random >> 33) % bound
    }
    var ledger = OffCPULedger()
    ledger.switchEvent = 1
    ledger.wakeupEvent = 2
    ledger.begin(pid: 1, name: "", at: 0)
    var time: UInt64 = 0
    var ended: [ThreadLedger] = []
    for _ in 0..<20_000 {
      time += next(3)
      let tid = Int32(1 + next(6))
      switch next(9) {
      case 0: ledger.consume(.fork(pid: 1, parentPID: 1, tid: tid, parentTID: 1, time: time))
      case 1: ledger.consume(.exit(pid: 1, parentPID: 1, tid: tid, parentTID: 1, time: time))
      case 2: ledger.consume(.name(pid: 1, tid: 1, name: "x", isExec: next(10) == 0, time: time))
      case 3: ledger.consume(wake(tid, time))
      case 4: ledger.consume(stack(tid, time, [0x100 * (1 + next(3))]))
      case 5: ledger.consume(.lost(count: 1, time: time))
      case 6: ledger.consume(out(tid, time, preempted: next(2) == 0))
      default: ledger.consume(enter(tid, time))
      }
      ended += ledger.takeEnded()
    }
    ledger.finish(at: time)
    ended += ledger.takeEnded()
    for row in ended.map({ $0.record(at: time, zero: 0, kindOfStack: kind(ledger)) }) {
      #expect(sum(row) == row.endNanoseconds - row.startNanoseconds)
    }
    #expect(ledger.living.isEmpty && ledger.lost > 0)
  }

  @Test func heavySwitchingNeedsLittleTimeAndMemory() {
    var ledger = OffCPULedger()
    ledger.switchEvent = 1
    ledger.begin(pid: 1, name: "", at: 0)
    // More different stacks than are kept.
    for index in 0..<UInt64(3 * OffCPULedger.maximumStacks) {
      ledger.consume(stack(1, 2 * index, [index + 1]))
      ledger.consume(out(1, 2 * index))
      ledger.consume(enter(1, 2 * index + 1))
    }
    #expect(ledger.stacks.count == OffCPULedger.maximumStacks)
    #expect((ledger.living[1]?.waits.count ?? 0) <= OffCPULedger.maximumStacks + 1)
    #expect(ledger.switches == UInt64(3 * OffCPULedger.maximumStacks))
  }

  @Test(arguments: [
    (["__schedule", "schedule", "futex_wait_queue", "futex_wait", "do_futex"], WaitKind.lock),
    (["__schedule", "schedule", "anon_pipe_read", "vfs_read"], .io),
    (["__schedule", "io_schedule", "folio_wait_bit_common", "filemap_fault", "futex_wait"], .io),
    (["schedule_hrtimeout_range_clock", "ep_poll", "do_epoll_wait"], .io),
    (["schedule_timeout", "wait_woken", "n_tty_read", "tty_read"], .io),
    (["schedule_timeout", "__skb_wait_for_more_packets", "unix_stream_read_generic"], .io),
    (["schedule", "do_nanosleep", "hrtimer_nanosleep"], .sleep),
    (["schedule", "do_wait", "kernel_wait4"], .sleep),
    (["schedule", "rwsem_down_write_slowpath", "down_write", "vm_mmap_pgoff"], .lock),
    (["schedule", "futex_wait_queue.isra.0"], .lock),
    (["schedule", "something_new"], .other),
    ([], .other),
  ])
  func rulesTellWhatAStackWaitsFor(functions: [String], kind: WaitKind) {
    #expect(OffCPURules.kind(ofStack: functions) == kind)
  }

  @Test func rulesAreWellFormed() {
    let patterns = OffCPURules.rules.map(\.pattern)
    #expect(Set(patterns).count == patterns.count, "a pattern stands twice")
    for pattern in patterns {
      let body = pattern.hasSuffix("*") ? pattern.dropLast() : pattern[...]
      #expect(body.count >= 2 && !body.contains("*"), "\(pattern)")
    }
    // No rule is hidden behind one of another kind.
    for rule in OffCPURules.rules where !rule.pattern.hasSuffix("*") {
      #expect(OffCPURules.kind(ofFunction: rule.pattern) == rule.kind, "\(rule.pattern)")
    }
  }
}
