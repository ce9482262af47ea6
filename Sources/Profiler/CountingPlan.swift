// Which events are counted in which run, so that none has to take turns with another?
import ProfileModel

/// Events spread over several runs of the target: `--no-multiplex`.
///
/// How many counters are free is known to nobody but the kernel: the processor's number less what the NMI watchdog, another
/// profiler or the hypervisor keeps, and some events fit on some counters only. So it is tried out, on the profiler itself:
/// all groups are opened, and those which run at once are the first run's; the rest is tried again.
public struct CountingPlan: Hashable, Sendable {
  /// Positions of the events that each run counts. What needs no counter of the CPU is counted in all of them, and so are
  /// `instructions` when they were asked for alone: they tell whether the runs did the same.
  public var runs: [Set<Int>]

  /// Tries out how many runs the events take.
  ///
  /// - Parameters:
  ///   - events: What to count.
  ///   - access: What perf events offer here.
  public static func withoutTurns(_ events: [PerfEventSpec], access: PerfAccess = .probe()) -> CountingPlan {
    make(events, access) {
      let start = Clock.monotonic
      // Long enough to be on the counters, and much shorter than a turn.
      while Clock.monotonic - start < 200_000 {}
    }
  }

  static func make(_ events: [PerfEventSpec], _ access: PerfAccess, wait: () -> Void) -> CountingPlan {
    let groups = CountingCollector.groups(of: events)
    var everywhere = Set(events.indices)
    var common: [[Int]] = []
    var pending: [[Int]] = []
    for group in groups where group.contains(where: { $0.spec.kind == .hardware }) {
      // As the kernel takes them: what it splits is not counted at once anyway. What it refuses costs nothing, and every run
      // tells why.
      var opener = GroupOpener(access: access, pid: 0)
      let parts = opener.open(group).map(\.positions)
      if group.count == 1, group[0].spec.name == "instructions", common.isEmpty {
        common = parts
      } else {
        pending += parts
      }
      for part in parts { everywhere.subtract(part) }
    }
    for part in common { everywhere.formUnion(part) }
    var runs: [Set<Int>] = []
    while !pending.isEmpty {
      var fitting: [[Int]] = []
      // A turn may end while it is tried out, and then nothing ran all the time.
      for _ in 0..<3 {
        let found = Self.fitting(common + pending, events, access, wait).filter { pending.contains($0) }
        if found.count > fitting.count { fitting = found }
      }
      // What does not even fit alone is counted alone, and says why it was not.
      if fitting.isEmpty { fitting = [pending[0]] }
      runs.append(everywhere.union(fitting.joined()))
      pending.removeAll(where: fitting.contains)
    }
    return CountingPlan(runs: runs.isEmpty ? [everywhere] : runs)
  }

  /// Those of the groups that run from the beginning when all are wanted.
  private static func fitting(
    _ groups: [[Int]], _ events: [PerfEventSpec], _ access: PerfAccess, _ wait: () -> Void
  ) -> [[Int]] {
    var opener = GroupOpener(access: access, pid: 0)
    let opened = groups.map { positions in opener.open(positions.map { ($0, events[$0]) }) }
    for group in opened.joined() {
      for part in group.parts { try? part.events.first?.enable() }
    }
    wait()
    return zip(groups, opened).filter { _, parts in
      !parts.isEmpty
        && parts.allSatisfy { part in
          guard let reading = try? part.read() else { return false }
          return reading.running > 0 && reading.running == reading.enabled
        }
    }.map(\.0)
  }

  /// The run that counts an event first, from 0.
  func run(of position: Int) -> Int? { runs.firstIndex { $0.contains(position) } }
}
