// Are perf events counted by kernel as often as they happened? The oracles need no PMU: calls of a function counted by an
// execute breakpoint, and page faults of memory fresh from the system.
import CKernelTrace
import CTorch
import Foundation
import ProfileModel
import Testing
import TracedCalls

@testable import Profiler
@testable import Workloads

/// What one traced kernel counted.
struct CountedKernel {
  var entry: kiviat_trace_entry
  var thread: String
  var counts: KernelCounts
  func value(_ event: Int = 0) -> Double? { counts.estimate(event)?.value }
}

enum Counting {
  static let access = PerfAccess.probe()
  static let breakpoint = "mem:\(traced_marked_address()):x:u"

  /// Why a breakpoint can't be counted here; empty when it can.
  static let canBreak: Bool = {
    guard access.noEvents == nil, let counted = try? counted([breakpoint], { traced_calls("test::probe", 3) }) else {
      return false
    }
    return counted.kernels["test::probe"]?.value() == 3
  }()
  static let canCount = access.noEvents == nil

  /// Counts events by kernel while `body` runs, in each call where the share of time is large.
  static func counted(
    _ events: [String], share: Double = 1e9, threads: Int = 2, _ body: () throws -> Void
  ) throws -> (kernels: [String: CountedKernel], reader: KernelTraceReader) {
    let before = Torch.threads
    Torch.threads = threads
    defer { Torch.threads = before }
    let lines = KernelCounterCollector.lines(try EventParser().parse(events))
    return try counted(lines: lines, share: share, body)
  }

  static func counted(
    lines: String, share: Double = 1e9, _ body: () throws -> Void
  ) throws -> (kernels: [String: CountedKernel], reader: KernelTraceReader) {
    let path = NSTemporaryDirectory() + "kiviat-test-\(getpid())-\(UInt64.random(in: 0...UInt64.max)).trace"
    defer { unlink(path) }
    try Trace.count(events: lines, timeShare: share)
    defer { try? Trace.count(events: "") }
    try Trace.open(path: path)
    do {
      try body()
    } catch {
      Trace.close()
      throw error
    }
    Trace.close()
    let reader = try #require(try KernelTraceReader(path: path))
    var kernels: [String: CountedKernel] = [:]
    for thread in 0..<reader.threadCount {
      for index in 0..<reader.entryCount(thread) {
        guard let counts = reader.counts(thread, index) else { continue }
        let entry = reader.entry(thread, index)
        kernels[reader.string(entry.name)] = CountedKernel(
          entry: entry, thread: reader.thread(thread).name, counts: counts)
      }
    }
    return (kernels, reader)
  }
}

extension Computing {
  @Suite struct TracerCounters {
    @Test(
      "Nested operations count what is their own", .enabled(if: Counting.canBreak, "no breakpoint events here"))
    func nested() throws {
      let (kernels, _) = try Counting.counted([Counting.breakpoint]) {
        for _ in 0..<7 { traced_nest("test::outer", 3, "test::inner", 5, 2, 4) }
        traced_calls("test::inner", 1)
        traced_calls("test::none", 0)
      }
      #expect(
        kernels["test::outer"]?.counts.estimate(0) == .init(value: 49, margin: 0, runningFraction: 1, isSampled: false))
      #expect(kernels["test::inner"]?.value() == 71)
      #expect(kernels["test::inner"]?.counts.calls == 36)
      #expect(kernels["test::none"]?.value() == 0)
    }

    @Test(
      "Threads that an operation starts work for it", .enabled(if: Counting.canBreak, "no breakpoint events here"))
    func workers() throws {
      let (kernels, reader) = try Counting.counted([Counting.breakpoint]) {
        traced_worker("test::parallel", 20, 3)
        traced_worker("test::parallel", 100, 0)
        traced_calls("test::after", 5)
      }
      #expect(kernels["test::parallel"]?.value() == 123)
      #expect(kernels["test::after"]?.value() == 5)
      #expect(reader.header.uncounted_threads == 0)
    }

    @Test(
      "Operations of another traced thread are not the main one's",
      .enabled(if: Counting.canBreak, "no breakpoint events here"))
    func otherThreads() throws {
      let (kernels, _) = try Counting.counted([Counting.breakpoint]) {
        for _ in 0..<3 { traced_other_thread("test::main", "test::other", 30, 2) }
      }
      #expect(kernels["test::main"]?.value() == 6)
      // Each thread has an entry of its own; the last one is in the table.
      #expect(kernels["test::other"]?.value() == 30)
      #expect(kernels["test::other"]?.thread == "worker")
    }

    @Test(
      "Where one thread computes, only that is counted", .enabled(if: Counting.canBreak, "no breakpoint events here"))
    func oneThread() throws {
      let (kernels, reader) = try Counting.counted([Counting.breakpoint], threads: 1) {
        for _ in 0..<4 { traced_nest("test::outer", 3, "test::inner", 5, 2, 4) }
        traced_other_thread("test::main", "test::other", 30, 2)
        traced_worker("test::parallel", 20, 3)
      }
      #expect(reader.header.inherits == 0)
      #expect(kernels["test::outer"]?.value() == 28 && kernels["test::inner"]?.value() == 40)
      // A traced thread counts for itself; one that libtorch did not start counts for nobody.
      #expect(kernels["test::main"]?.value() == 2 && kernels["test::other"]?.value() == 30)
      #expect(kernels["test::parallel"]?.value() == 3)
    }

    @Test("Page faults are those of fresh memory", .enabled(if: Counting.canCount, "no perf events here"))
    func pageFaults() throws {
      let (kernels, _) = try Counting.counted(["{page-faults,context-switches,task-clock}"]) {
        // The first call makes the tracer's own tables.
        for _ in 0..<4 { traced_touch("test::fresh", 300, 1) }
        for _ in 0..<4 { traced_touch("test::kept", 300, 0) }
      }
      let fresh = try #require(kernels["test::fresh"])
      #expect(fresh.value(0) == 1200)
      #expect(try #require(kernels["test::kept"]?.value(0)) == 0)
      // CPU time is no longer than the wall time that the tracer measured, but for the clocks' grain.
      let cpu = try #require(fresh.value(2))
      #expect(cpu > 0 && cpu < 1.2 * Double(fresh.entry.self_ns) + 20_000)
    }

    @Test(
      "An estimate from some of the calls holds the truth", .enabled(if: Counting.canBreak, "no breakpoint events here")
    )
    func sampled() throws {
      let calls = 4000
      let (kernels, _) = try Counting.counted([Counting.breakpoint], share: 0.02) {
        for call in 0..<calls {
          traced_calls("test::varied", [0, 1, 2, 1, 3, 0, 1][call % 7])
          traced_calls("test::constant", 2)
        }
      }
      let truth = Double((0..<calls).map { [0, 1, 2, 1, 3, 0, 1][$0 % 7] }.reduce(0, +))
      let varied = try #require(kernels["test::varied"])
      #expect(varied.counts.sums.calls < UInt64(calls) / 2)
      let estimate = try #require(varied.counts.estimate(0))
      let margin = try #require(estimate.margin)
      #expect(estimate.isSampled && margin > 0 && margin < truth / 2)
      // 2.5 margins are some five standard errors.
      #expect(abs(estimate.value - truth) < 2.5 * margin)
      // What is the same in each call has no error, however few are read.
      let constant = try #require(kernels["test::constant"]?.counts.estimate(0))
      #expect(abs(constant.value - 2 * Double(calls)) < 1e-6 * Double(calls))
      #expect(try #require(constant.margin) < 1e-3 * Double(calls))
    }

    @Test(
      "An event that is refused does not take the others with it",
      .enabled(if: Counting.canCount, "no perf events here"))
    func refused() throws {
      let fault = KernelCounterCollector.lines(try EventParser().parse(["page-faults"]))
      let (kernels, reader) = try Counting.counted(lines: "99:1:0:0:0:0:0:5:made-up\n" + fault) {
        for _ in 0..<2 { traced_touch("test::fresh", 50, 1) }
      }
      #expect(reader.event(0).failure == ENOENT && reader.event(1).failure == 0)
      #expect(kernels["test::fresh"]?.value(1) == 100)
    }

    @Test func whereAllIsRefusedTheTraceGoesOn() throws {
      let (kernels, reader) = try Counting.counted(lines: "99:1:0:0:0:0:0:5:made-up") {
        traced_calls("test::calls", 1)
      }
      #expect(kernels.isEmpty)
      #expect(reader.event(0).failure != 0)
      #expect(reader.entryCount(0) == 2 && reader.entry(0, 1).calls == 1)
    }

    @Test(arguments: ["1:2", "1:2:0:0:0:0:0:0:", "x:2:0:0:0:0:0:0:n", "1:-2:0:0:0:0:0:0:n", "1:2:0:0:0:0:0:0:ok\n:"])
    func linesThatAreNoEventsSaySo(_ lines: String) throws {
      let error = #expect(throws: TorchError.self) { try Trace.count(events: lines) }
      #expect(error.map { "\($0)".contains("line \(lines.contains("\n") ? 2 : 1) ") } == true)
    }

    @Test func moreEventsThanThereIsRoomForAreRefused() throws {
      let line = "1:2:0:0:0:0:0:0:page-faults\n"
      try Trace.count(events: String(repeating: line, count: 8))
      #expect(throws: TorchError.self) { try Trace.count(events: String(repeating: line, count: 9)) }
      try Trace.count(events: "")
      // While a trace is open its events are what they are.
      try Trace.openPrivately()
      defer { Trace.close() }
      #expect(throws: TorchError.self) { try Trace.count(events: line) }
    }
  }
}
