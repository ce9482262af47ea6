// How is a number written so that a person reads it at once: how many digits, which prefix, which unit?
import Foundation
import ProfileModel

/// Numbers as text. Three significant digits unless said otherwise; groups of three are set apart by a narrow space.
enum NumberFormat {
  /// Between a number and its unit, and between groups of digits.
  static let space = "\u{202F}"
  /// In place of a number that there is none of.
  static let none = "—"

  /// `1234567` → `1 234 567`.
  static func grouped(_ value: Int64) -> String {
    let digits = String(value.magnitude)
    var result = ""
    for (index, digit) in digits.enumerated() {
      if index > 0, (digits.count - index) % 3 == 0 { result += space }
      result.append(digit)
    }
    return (value < 0 ? "−" : "") + result
  }

  /// A plain decimal with `significant` digits, without an exponent where it can be avoided.
  static func decimal(_ value: Double, significant: Int = 3) -> String {
    guard value.isFinite else { return value.isNaN ? none : value < 0 ? "−∞" : "∞" }
    if value == 0 { return "0" }
    let magnitude = abs(value)
    let exponent = Int(log10(magnitude).rounded(.down))
    let sign = value < 0 ? "−" : ""
    if exponent < -4 || exponent > 14 {
      let mantissa = fixed(magnitude / pow(10, Double(exponent)), decimals: significant - 1)
      return "\(sign)\(mantissa)×10\(superscript(exponent))"
    }
    var decimals = max(0, significant - 1 - exponent)
    // 9.996 rounds to 10.0, not to 10.00.
    if decimals > 0, magnitude + 0.5 * pow(10, -Double(decimals)) >= pow(10, Double(exponent + 1)) { decimals -= 1 }
    let text = fixed(magnitude, decimals: decimals)
    if decimals == 0, let whole = Int64(text) { return sign + grouped(whole) }
    return sign + text
  }

  /// Decimals as asked, half away from zero.
  static func fixed(_ value: Double, decimals: Int) -> String {
    let decimals = min(max(decimals, 0), 12)
    let scale = pow(10, Double(decimals))
    let scaled = (abs(value) * scale).rounded(.toNearestOrAwayFromZero)
    guard scaled < 9e18 else { return "\(value)" }
    let (whole, fraction) = Int64(scaled).quotientAndRemainder(dividingBy: Int64(scale))
    let sign = value < 0 && scaled > 0 ? "−" : ""
    guard decimals > 0 else { return sign + String(whole) }
    let digits = String(fraction)
    return "\(sign)\(whole).\(String(repeating: "0", count: decimals - digits.count))\(digits)"
  }

  /// `12.3 G` with the prefix set against the unit: `si(1.23e10, "FLOP/s")` → `12.3 GFLOP/s`.
  static func si(_ value: Double, _ unit: String, significant: Int = 3) -> String {
    guard value.isFinite else { return none }
    if value == 0 { return unit.isEmpty ? "0" : "0\(space)\(unit)" }
    let prefixes: [(Double, String)] = [
      (1e18, "E"), (1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"), (1, ""),
      (1e-3, "m"), (1e-6, "µ"), (1e-9, "n"),
    ]
    let magnitude = abs(value)
    // 999.6 would round to 1000: take the next prefix.
    let rounding = 1 - 0.5 * pow(10, -Double(significant))
    let (factor, prefix) = prefixes.first { magnitude >= $0.0 * rounding } ?? (1e-9, "n")
    let number = decimal(value / factor, significant: significant)
    if unit.isEmpty && prefix.isEmpty { return number }
    return "\(number)\(space)\(prefix)\(unit)"
  }

  /// Bytes with binary prefixes, as memory is sold and caches are built.
  static func bytes(_ value: Double) -> String {
    guard value.isFinite else { return none }
    let prefixes: [(Double, String)] = [
      (1_125_899_906_842_624, "PiB"), (1_099_511_627_776, "TiB"), (1_073_741_824, "GiB"), (1_048_576, "MiB"),
      (1024, "KiB"),
    ]
    for (factor, unit) in prefixes where abs(value) >= factor * 0.9995 {
      let scaled = value / factor
      let isWhole = scaled == scaled.rounded() && abs(scaled) < 10_000
      return "\(isWhole ? fixed(scaled, decimals: 0) : decimal(scaled))\(space)\(unit)"
    }
    return "\(decimal(value))\(space)B"
  }

  /// Nanoseconds as a duration in the unit that fits.
  static func duration(_ nanoseconds: Double, significant: Int = 3) -> String {
    guard nanoseconds.isFinite else { return none }
    let magnitude = abs(nanoseconds)
    if magnitude == 0 { return "0\(space)s" }
    if magnitude < 1e3 * 0.9995 { return "\(decimal(nanoseconds, significant: significant))\(space)ns" }
    if magnitude < 1e6 * 0.9995 { return "\(decimal(nanoseconds / 1e3, significant: significant))\(space)µs" }
    if magnitude < 1e9 * 0.9995 { return "\(decimal(nanoseconds / 1e6, significant: significant))\(space)ms" }
    if magnitude < 120e9 { return "\(decimal(nanoseconds / 1e9, significant: significant))\(space)s" }
    let seconds = Int64((magnitude / 1e9).rounded())
    let sign = nanoseconds < 0 ? "−" : ""
    func two(_ value: Int64) -> String { value < 10 ? "0\(value)" : "\(value)" }
    if seconds < 3600 { return "\(sign)\(seconds / 60)\(space)min \(two(seconds % 60))\(space)s" }
    if seconds < 172_800 { return "\(sign)\(seconds / 3600)\(space)h \(two(seconds / 60 % 60))\(space)min" }
    return "\(sign)\(seconds / 86400)\(space)d \(two(seconds / 3600 % 24))\(space)h"
  }

  /// A share in 0…1 as percent; what is there but tiny is `<0.1 %`, never 0.
  static func percent(_ share: Double) -> String {
    guard share.isFinite else { return none }
    let value = share * 100
    if value == 0 { return "0\(space)%" }
    if abs(value) < 0.1 { return (value < 0 ? ">−" : "<") + "0.1\(space)%" }
    // What is not the whole must not round to it.
    if value < 100, value >= 99.95 { return ">99.9\(space)%" }
    return "\(fixed(value, decimals: abs(value) >= 99.95 ? 0 : 1))\(space)%"
  }

  /// A decimal without trailing zeros: `0.9`, `6`.
  static func plain(_ value: Double) -> String {
    let text = decimal(value)
    guard text.contains("."), !text.contains("×") else { return text }
    let trimmed = text.reversed().drop { $0 == "0" }.drop { $0 == "." }
    return String(trimmed.reversed())
  }

  /// A count: exact with groups up to a million, three digits and a prefix beyond.
  static func count(_ value: Double) -> String {
    guard value.isFinite else { return none }
    if value == value.rounded(), abs(value) < 1e6 { return grouped(Int64(value)) }
    return si(value, "")
  }

  /// A value in the unit that the profile gave it.
  static func quantity(_ value: Double, unit: String) -> String {
    switch unit {
    case "ns": duration(value)
    case "s": duration(value * 1e9)
    case "B": bytes(value)
    case "1", "": value == value.rounded() ? count(value) : decimal(value)
    case "share": percent(value)
    case "%": "\(decimal(value))\(space)%"
    case "FLOP/B": "\(decimal(value))\(space)FLOP/B"
    // Milli-somethings a second would be hard to read.
    case "1/s": "\(abs(value) < 1000 ? decimal(value) : si(value, ""))\(space)/s"
    default: si(value, unit)
    }
  }

  /// A quantity's value, number or text.
  static func quantity(_ value: QuantityValue, unit: String) -> String {
    switch value {
    case .number(let number): quantity(number, unit: unit)
    case .text(let text): VisibleText.visible(text)
    }
  }

  /// A number with every digit, for CSV and hover: `25557032`, `0.1234567890123`.
  static func exact(_ value: Double) -> String {
    if value == value.rounded(), abs(value) < 9e15 { return String(Int64(value)) }
    return value.isFinite ? "\(value)" : ""
  }

  /// A number with as many digits as sorting needs: a page holds thousands.
  static func sortKey(_ value: Double) -> String {
    guard value.isFinite, value != value.rounded() || abs(value) >= 9e15 else { return exact(value) }
    let scale = pow(10, 7 - floor(log10(abs(value))))
    return scale.isFinite ? exact((value * scale).rounded() / scale) : exact(value)
  }

  private static func superscript(_ exponent: Int) -> String {
    let digits: [Character: Character] = [
      "-": "⁻", "0": "⁰", "1": "¹", "2": "²", "3": "³", "4": "⁴", "5": "⁵", "6": "⁶", "7": "⁷", "8": "⁸", "9": "⁹",
    ]
    return String(String(exponent).compactMap { digits[$0] })
  }
}
