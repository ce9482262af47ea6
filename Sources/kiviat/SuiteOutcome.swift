// How did one run of a suite end, by its profile and by what it wrote?
import Foundation
import ProfileModel
import Suites

/// What a run's profile says of it.
struct SuiteOutcome {
  var state: SuiteRun.State
  var reason: String?

  /// - Parameter output: the file with what the run wrote to its standard streams.
  init(_ data: RepetitionData?, output: String) {
    guard let data else {
      (state, reason) = (.failed, "its profile holds no run")
      return
    }
    let repetition = data.repetition
    if case .measured? = data.quantity("training.diverged")?.value {
      let provenance = data.quantity("training.diverged")?.value.provenance
      (state, reason) = (.diverged, provenance?.detail ?? "the loss was no number any more")
      return
    }
    switch repetition.state {
    case .interrupted: (state, reason) = (.interrupted, nil)
    case .running: (state, reason) = (.failed, "its end was not recorded")
    case .notStarted: (state, reason) = (.failed, "it could not be started")
    case .finished:
      if let signal = repetition.signal {
        (state, reason) = (.failed, "killed by signal \(signal) (\(String(cString: strsignal(signal))))")
      } else if let status = repetition.exitStatus, status != 0 {
        (state, reason) = (.failed, "status \(status)" + (Self.lastWords(output).map { ": \($0)" } ?? ""))
      } else if let quality = data.collectors.first(where: { $0.collector == "quality" }),
        quality.outcome == .unavailable
      {
        (state, reason) = (.failed, "its quality can't be read: \(quality.reason ?? "not told")")
      } else if case .unavailable(let why)? = data.quantity("training.quality")?.value {
        // Read, and no number.
        (state, reason) = (.diverged, why.reason)
      } else {
        (state, reason) = (.finished, nil)
      }
    }
  }

  /// The message that a failed program leaves: its last `Error:` line, else its last line.
  static func lastWords(_ path: String) -> String? {
    guard let lines = LinesFromTheEnd(path: path) else { return nil }
    var last: String?
    // A usage text may follow the error.
    for _ in 0..<20 {
      guard let line = lines.next() else { break }
      let text = line.trimmingCharacters(in: .whitespaces)
      guard !text.isEmpty else { continue }
      if text.hasPrefix("Error:") { return String(text.dropFirst(6).drop { $0 == " " }.prefix(500)) }
      if last == nil { last = String(text.prefix(500)) }
    }
    return last
  }
}

extension SuiteRun {
  /// Takes over what the run's profile tells.
  mutating func take(_ outcome: SuiteOutcome, _ data: RepetitionData?, metric: String?) {
    func number(_ name: String) -> Double? { data?.quantity(name)?.value.value?.number }
    state = outcome.state
    reason = outcome.reason
    seconds = data.map { Double($0.repetition.wallNanoseconds) / 1e9 }
    quality = number("training.quality")
    target = number("training.target")
    isReached = number("training.reached").map { $0 != 0 }
    epochs = number("training.epochs")
    // The first step also sets up the library's primitives.
    let rates = (data?.steps ?? []).dropFirst().filter { $0.durationNanoseconds > 0 }
      .map { Double($0.samples) / (Double($0.durationNanoseconds) / 1e9) }.sorted()
    samplesPerSecond = rates.isEmpty ? number("inference.throughput") : rates[rates.count / 2]
    self.metric = metric
  }
}
