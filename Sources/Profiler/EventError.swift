// What is wrong with an event that the user named, and what did they mean?
import ProfileModel

/// An event that can't be counted as it was written.
public enum EventError: Error, Hashable, Sendable, CustomStringConvertible {
  /// No such event; `nearest` are names that differ little.
  case unknown(event: String, nearest: [String])
  /// The text is not an event list.
  case malformed(String, detail: String)
  /// The term of a PMU event (`cpu/TERM=…/`) does not exist.
  case unknownTerm(String, pmu: String, nearest: [String])
  /// A term's value has more bits than the PMU keeps for it.
  case valueTooLarge(term: String, pmu: String)
  /// Tracepoints can't be looked up.
  case noTracepoints(reason: String, remedy: String)

  /// Cause and way out.
  public var description: String {
    func suggestion(_ nearest: [String]) -> String {
      switch nearest.count {
      case 0: ""
      case 1: "; did you mean '\(nearest[0])'?"
      default: "; did you mean one of \(nearest.map { "'\($0)'" }.joined(separator: ", "))?"
      }
    }
    return switch self {
    case .unknown(let event, let nearest):
      "unknown event '\(event)'\(suggestion(nearest)) ('kiviat list events' shows all)"
    case .malformed(let text, let detail):
      "can't read the event list '\(text)': \(detail)"
    case .unknownTerm(let term, let pmu, let nearest):
      "unknown term '\(term)' of PMU '\(pmu)'\(suggestion(nearest))"
        + " (see /sys/bus/event_source/devices/\(pmu)/format and …/events)"
    case .valueTooLarge(let term, let pmu):
      "the value of '\(term)' has more bits than PMU '\(pmu)' keeps for it"
    case .noTracepoints(let reason, let remedy):
      "\(reason); run: \(remedy)"
    }
  }

  /// The same as an explanation for a missing value.
  var unavailable: Unavailable {
    if case .noTracepoints(let reason, let remedy) = self {
      Unavailable(reason, remedy: remedy)
    } else {
      Unavailable(description)
    }
  }
}
