// Which collectors a profile is made with.
import Profiler

enum Collectors {
  /// - Parameter stacks: one for all repetitions of a profile.
  static func all(events: [PerfEventSpec], context: RepetitionContext, stacks: CallStacks) -> [any Collector] {
    let counting = CountingCollector(events: events, options: context.options, access: context.access)
    let sampling = SampleAggregator(sampling: context.source, stacks: stacks)
    sampling.taskClockNanoseconds = {
      counting.totals().first { $0.event == "task-clock" }?.value.value.map { UInt64($0) }
    }
    return [counting, sampling]
  }
}
