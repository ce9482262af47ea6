// Does thread time add up, and does a thinned series keep its extremes?
import ProfileModel
import Testing

@testable import Analysis

@Suite struct TimelineTests {
  static func thread(_ tid: Int32, _ start: Int64, _ end: Int64, _ times: [Int64?]) -> ThreadRecord {
    var thread = ThreadRecord(
      pid: 1, tid: tid, parentPID: 0, name: "t\(tid)", startNanoseconds: start, endNanoseconds: end)
    thread.runningNanoseconds = times[0]
    thread.runnableNanoseconds = times[1]
    thread.blockedLockNanoseconds = times[2]
    thread.blockedIONanoseconds = times[3]
    thread.sleepingNanoseconds = times[4]
    thread.blockedOtherNanoseconds = times[5]
    return thread
  }

  @Test func adds() throws {
    let timeline = Timeline.of(
      run(
        profile { data in
          data.threads = [
            Self.thread(1, 0, 1000, [700, 100, 100, 50, 50, 0]), Self.thread(2, 500, 1000, [200, 0, 300, 0, 0, 0]),
          ]
        }))
    #expect(timeline.threadNanoseconds == 1500 && timeline.unaccountedNanoseconds == 0)
    #expect(timeline.addsUp.value == true)
    #expect(timeline.totals.map(\.nanoseconds.value) == [900, 100, 400, 50, 50, 0])
    #expect(isClose(timeline.totals.compactMap(\.share).reduce(0, +), 1))
    #expect(timeline.threads.map(\.isMain) == [true, false] && timeline.processCount == 1)
    #expect(timeline.threads[0].unaccountedNanoseconds == 0)
  }

  @Test func statesThatWereNotToldApart() {
    let timeline = Timeline.of(
      run(
        profile { data in
          data.threads = [Self.thread(1, 0, 1000, [700, nil, nil, nil, nil, 200])]
          data.collectors = [CollectorState("off-cpu", .degraded, reason: "no tracepoints")]
        }))
    #expect(timeline.totals[2].nanoseconds.value == nil && timeline.totals[2].share == nil)
    #expect(timeline.unaccountedNanoseconds == 100 && timeline.addsUp.value == false)
    let none = Timeline.of(run(profile { $0.threads = [Self.thread(1, 0, 10, [nil, nil, nil, nil, nil, nil])] }))
    #expect(none.addsUp.value == nil)
    #expect(Timeline.of(run(profile())).addsUp.value == nil)
  }

  @Test func manyThreads() {
    let timeline = Timeline.of(
      run(
        profile { data in
          data.threads = (1...500).map { Self.thread(Int32($0), 0, 1000, [Int64($0), nil, nil, nil, nil, nil]) }
        }))
    #expect(timeline.threads.count == Timeline.threadLimit && timeline.omittedThreadCount == 300)
    #expect(timeline.threads.contains { $0.tid == 500 } && !timeline.threads.contains { $0.tid == 1 })
    #expect(timeline.totals[0].nanoseconds.value == Int64(125_250))
  }

  @Test func absurdTimesDoNotTrap() {
    let timeline = Timeline.of(
      run(
        profile { data in
          data.threads = [
            Self.thread(1, .min, .max, [.max, .max, 0, 0, 0, 0]), Self.thread(2, .max, .min, [.min, 1, 0, 0, 0, 0]),
          ]
        }))
    #expect(timeline.threads.count == 2)
  }

  @Test func series() throws {
    var data = profile { data in
      data.points = (0..<1000).map {
        SeriesPoint(series: "cpu.use", timeNanoseconds: Int64($0) * 100, value: $0 == 321 ? 50 : Double($0 % 4))
      }
      data.points.append(SeriesPoint(series: "cpu.use", timeNanoseconds: 1_000_000, value: .nan))
    }
    data.series = [
      Series(name: "cpu.use", unit: "1", provenance: Provenance(.kernelAccounting)),
      Series(name: "threads", unit: "1", provenance: Provenance(.kernelAccounting)),
    ]
    let plots = Timeline.of(run(data)).series
    #expect(plots.map(\.name) == ["cpu.use"])
    let plot = try #require(plots.first)
    #expect(plot.originalCount == 1000 && plot.points.count == Timeline.pointLimit)
    #expect(plot.maximum == 50 && plot.points.map(\.maximum).max() == 50 && plot.points.map(\.minimum).min() == 0)
    #expect(isClose(plot.mean, (1500 - 1 + 50) / 1000.0))
    for (a, b) in zip(plot.points, plot.points.dropFirst()) { #expect(a.timeNanoseconds < b.timeNanoseconds) }
  }
}
