// Which counts of other runs belong beside a run whose events were spread over several (--no-multiplex)?
import ProfileModel

/// Runs of one target, each of which counted a part of the events.
struct CountedRuns {
  private let profile: Profile
  /// How many runs count all events once.
  private let count: Int

  /// - Returns: `nil` when every run counted every event.
  init?(_ profile: Profile) {
    guard let count = profile.settings["counting.runs"].flatMap({ Int($0) }), count > 1 else { return nil }
    self.profile = profile
    self.count = count
  }

  /// A run's counts, with those of the runs beside it for events that it did not count. Each says where it is from, and how
  /// far those runs agree.
  func counters(shownBeside data: RepetitionData) -> [CounterTotal] {
    let round = data.repetition.index / count
    let runs = profile.repetitions.filter {
      $0.repetition.index / count == round && $0.repetition.state == .finished
    }
    let agreement = Self.agreement(of: runs)
    return data.counters.map { counter in
      guard counter.value.value == nil else { return counter }
      for run in runs {
        guard var other = run.counter(counter.event), case .measured(let value, var provenance) = other.value else {
          continue
        }
        let place = "counted in run \(run.repetition.index % count + 1) of \(count)"
        provenance.detail = ([provenance.detail, place, agreement].compactMap(\.self)).joined(separator: "; ")
        other.value = .measured(value, provenance)
        return other
      }
      return counter
    }
  }

  /// How much an event that all runs counted varies between them: `instructions`, else the time on CPUs.
  private static func agreement(of runs: [RepetitionData]) -> String? {
    for (event, name) in [("instructions", "instructions"), ("task-clock", "CPU time")] {
      let values = runs.compactMap { $0.counter(event)?.value.value }.filter(\.isFinite)
      guard values.count == runs.count, values.count > 1,
        let variation = Statistics.coefficientOfVariation(values, ddof: 1)
      else { continue }
      return "between the runs \(name) vary by \(Words.significant(variation * 100)) % (coefficient of variation)"
    }
    return nil
  }
}
