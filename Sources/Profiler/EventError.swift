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

/// Finds names that a mistyped one may have meant.
enum Suggestion {
  /// How many single-character insertions, deletions, replacements and swaps of neighbours lead from one text to the
  /// other (optimal string alignment distance; Damerau 1964).
  static func distance(_ first: some Collection<UInt8>, _ second: some Collection<UInt8>) -> Int {
    let a = Array(first)
    let b = Array(second)
    if a.isEmpty || b.isEmpty { return max(a.count, b.count) }
    var beforeLast = [Int](repeating: 0, count: b.count + 1)
    var last = Array(0...b.count)
    for i in 1...a.count {
      var row = [i] + [Int](repeating: 0, count: b.count)
      for j in 1...b.count {
        let replaced = last[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1)
        row[j] = min(last[j] + 1, row[j - 1] + 1, replaced)
        if i > 1, j > 1, a[i - 1] == b[j - 2], a[i - 2] == b[j - 1] { row[j] = min(row[j], beforeLast[j - 2] + 1) }
      }
      beforeLast = last
      last = row
    }
    return last[b.count]
  }

  /// At most three candidates that are nearest to `name` and near enough to be meant, nearest first.
  static func nearest(to name: String, among candidates: some Sequence<String>) -> [String] {
    let wanted = Array(name.lowercased().utf8)
    let limit = max(2, wanted.count / 3)
    var found: [(distance: Int, name: String)] = []
    for candidate in Set(candidates) where abs(candidate.utf8.count - wanted.count) <= limit {
      let distance = distance(wanted, candidate.lowercased().utf8)
      if distance <= limit { found.append((distance, candidate)) }
    }
    found.sort { ($0.distance, $0.name) < ($1.distance, $1.name) }
    guard let best = found.first else { return [] }
    return found.prefix { $0.distance <= best.distance + 1 }.prefix(3).map(\.name)
  }
}
