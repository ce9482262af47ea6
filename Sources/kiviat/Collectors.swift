// Which collectors a profile is made with.
import Profiler

/// Makes the collectors of each repetition of one profile.
final class Collectors {
  private let events: [PerfEventSpec]
  /// Shared by the repetitions: the numbers of frames and stacks are the file's.
  private let stacks = CallStacks()

  init(events: [PerfEventSpec]) { self.events = events }

  func make(_ context: RepetitionContext) -> [any Collector] {
    let counting = CountingCollector(events: events, options: context.options, access: context.access)
    let sampling = SampleAggregator(sampling: context.source, stacks: stacks)
    sampling.taskClockNanoseconds = {
      counting.totals().first { $0.event == "task-clock" }?.value.value.map { UInt64($0) }
    }
    return [counting, sampling]
  }
}
