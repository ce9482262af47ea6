// Which collectors a profile is made with.
import Profiler

enum Collectors {
  static func all(events: [PerfEventSpec], context: RepetitionContext) -> [any Collector] {
    [CountingCollector(events: events, options: context.options, access: context.access)]
  }
}
