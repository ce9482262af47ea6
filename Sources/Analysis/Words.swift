// Numbers and names as words, for the sentences of a verdict.
import Foundation

enum Words {
  /// `37 %`, `0.4 %`.
  static func percent(_ share: Double) -> String {
    let percent = share * 100
    return percent != 0 && abs(percent) < 9.95 ? "\(decimal(percent, 1)) %" : "\(decimal(percent, 0)) %"
  }

  /// `850 ns`, `12.3 µs`, `4.56 s`, `12 min`.
  static func duration(_ nanoseconds: Double) -> String {
    let steps = [(1.0, "ns"), (1e3, "µs"), (1e6, "ms"), (1e9, "s")]
    if nanoseconds >= 600e9 { return "\(decimal(nanoseconds / 60e9, 0)) min" }
    let (scale, unit) = steps.last { nanoseconds >= $0.0 } ?? steps[0]
    return "\(significant(nanoseconds / scale)) \(unit)"
  }

  /// `1.23 G`, `45.6 M`: with a decimal prefix, for a unit to follow.
  static func prefixed(_ value: Double) -> String {
    let steps = [(1.0, ""), (1e3, "k"), (1e6, "M"), (1e9, "G"), (1e12, "T"), (1e15, "P")]
    let (scale, prefix) = steps.last { abs(value) >= $0.0 } ?? steps[0]
    return "\(significant(value / scale)) \(prefix)"
  }

  /// Three digits at most: `1.23`, `45.6`, `789`.
  static func significant(_ value: Double) -> String {
    decimal(value, abs(value) >= 99.95 ? 0 : abs(value) >= 9.995 ? 1 : 2)
  }

  static func decimal(_ value: Double, _ digits: Int) -> String { String(format: "%.\(digits)f", value) }

  /// A name from a profile, fit for a sentence: no line breaks, not longer than a line.
  static func name(_ name: String, limit: Int = 80) -> String {
    let clean = String(name.unicodeScalars.map { $0.properties.generalCategory == .control ? " " : Character($0) })
    return clean.count > limit ? "\(clean.prefix(limit - 1))…" : clean
  }

  /// Seconds as a session's length: `12.3 s`, `4.5 min`, `225.41 h`.
  static func hours(_ seconds: Double) -> String {
    if seconds >= 7200 { return "\(decimal(seconds / 3600, 2)) h" }
    return seconds >= 120 ? "\(decimal(seconds / 60, 1)) min" : "\(significant(seconds)) s"
  }

  /// `1 run`, `3 runs`.
  static func counted(_ count: Int, _ noun: String) -> String { "\(count) \(noun)\(count == 1 ? "" : "s")" }

  /// `a`, `a and b`, `a, b and c`.
  static func list(_ items: [String]) -> String {
    guard let last = items.last, items.count > 1 else { return items.first ?? "" }
    return "\(items.dropLast().joined(separator: ", ")) and \(last)"
  }
}
