// How is a page built so that no untrusted text can become markup?

/// Markup. Literals in the source are markup; everything interpolated into them is escaped, unless it is itself
/// `HTML`. So a name out of a profile can't reach a page raw: there is no call that would put it there.
///
///     let row: HTML = "<td title='\(path)'>\(name)</td>"
struct HTML: ExpressibleByStringInterpolation, Equatable, Sendable {
  /// The markup.
  private(set) var text: String

  init(stringLiteral value: StaticString) { text = value.description }
  init(stringInterpolation: Interpolation) { text = stringInterpolation.text }

  static let empty: HTML = ""

  var isEmpty: Bool { text.isEmpty }

  static func + (left: HTML, right: HTML) -> HTML {
    var result = left
    result += right
    return result
  }

  static func += (left: inout HTML, right: HTML) { left.text += right.text }

  struct Interpolation: StringInterpolationProtocol {
    var text = ""

    init(literalCapacity: Int, interpolationCount: Int) {
      text.reserveCapacity(literalCapacity + interpolationCount * 8)
    }

    mutating func appendLiteral(_ literal: StaticString) { text += literal.description }
    mutating func appendInterpolation(_ value: HTML) { text += value.text }
    mutating func appendInterpolation(_ value: HTML?) { text += value?.text ?? "" }
    mutating func appendInterpolation(_ values: [HTML]) { for value in values { text += value.text } }
    mutating func appendInterpolation(_ value: String) { HTML.escape(value, into: &text) }
    mutating func appendInterpolation(_ value: Int) { text += String(value) }
    /// A coordinate: two decimals are a hundredth of a pixel.
    mutating func appendInterpolation(_ value: Double) { text += HTML.coordinate(value) }
  }

  /// A number as SVG wants it: no exponent, at most two decimals, never `nan`.
  static func coordinate(_ value: Double) -> String {
    guard value.isFinite else { return "0" }
    let hundredths = (min(max(value, -1e9), 1e9) * 100).rounded()
    let whole = Int(hundredths)
    let sign = whole < 0 ? "-" : ""
    let (integer, fraction) = abs(whole).quotientAndRemainder(dividingBy: 100)
    if fraction == 0 { return "\(sign)\(integer)" }
    if fraction % 10 == 0 { return "\(sign)\(integer).\(fraction / 10)" }
    return "\(sign)\(integer).\(fraction < 10 ? "0" : "")\(fraction)"
  }

  /// Escapes for text and for attributes in either kind of quotes, and makes what can't be seen visible. The colon
  /// of `scheme://` becomes a character reference: it reads the same, and a page without external references can be
  /// told by searching it for one.
  static func escape(_ value: String, into text: inout String) {
    // Most text is plain: letters, digits and punctuation that means nothing to HTML.
    if value.utf8.allSatisfy(isPlain) {
      text += value
      return
    }
    var colon = false
    var slashes = 0
    for scalar in value.unicodeScalars {
      if colon {
        if scalar == "/" {
          slashes += 1
          if slashes == 2 {
            text += "&#58;//"
            (colon, slashes) = (false, 0)
          }
          continue
        }
        text += slashes == 1 ? ":/" : ":"
        (colon, slashes) = (false, 0)
      }
      switch scalar {
      case "&": text += "&amp;"
      case "<": text += "&lt;"
      case ">": text += "&gt;"
      case "\"": text += "&quot;"
      case "'": text += "&#39;"
      case "`": text += "&#96;"
      case ":": colon = true
      default: VisibleText.append(scalar, to: &text)
      }
    }
    if colon { text += slashes == 1 ? ":/" : ":" }
  }

  private static func isPlain(_ byte: UInt8) -> Bool {
    switch byte {
    case 0x20...0x21, 0x23...0x25, 0x28...0x39, 0x3B, 0x3D, 0x3F...0x5F, 0x61...0x7E: true
    default: false
    }
  }

  /// Text that may carry line breaks of our own, such as a tooltip's.
  static func lines(_ lines: [String]) -> HTML {
    var result = HTML.empty
    for (index, line) in lines.enumerated() {
      if index > 0 { result.text += "\n" }
      escape(line, into: &result.text)
    }
    return result
  }

  /// The style sheet and script, which the package carries itself.
  static func resource(_ bytes: [UInt8]) -> HTML {
    var result = HTML.empty
    result.text = String(decoding: bytes, as: UTF8.self)
    return result
  }
}

extension Sequence where Element == HTML {
  func joined(separator: HTML = "") -> HTML {
    var result = HTML.empty
    var isFirst = true
    for element in self {
      if !isFirst { result += separator }
      isFirst = false
      result += element
    }
    return result
  }
}
