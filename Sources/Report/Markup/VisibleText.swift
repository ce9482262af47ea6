// How is an untrusted name shown so that a reader sees what it is, and a terminal or page does nothing else?
import Foundation

/// Makes names out of a profile safe to look at: control characters, escape sequences and text-direction overrides
/// become visible signs, and a very long name is cut in its middle.
enum VisibleText {
  /// Appends the scalar, or a visible sign for one that would act instead of being seen.
  static func append(_ scalar: Unicode.Scalar, to text: inout String) {
    switch scalar.value {
    case 0x0A: text += "↵"
    case 0x09: text += "⇥"
    case 0...0x1F, 0x7F: text += "⟨U+\(String(scalar.value, radix: 16, uppercase: true))⟩"
    case 0x80...0x9F, 0xFFFE, 0xFFFF: text += "\u{FFFD}"
    // Direction marks, embeddings, overrides and isolates; line and paragraph separators; the byte order mark.
    case 0x200B, 0x200E, 0x200F, 0x2028...0x202E, 0x2066...0x2069, 0x061C, 0xFEFF:
      text += "⟨U+\(String(scalar.value, radix: 16, uppercase: true))⟩"
    default: text.unicodeScalars.append(scalar)
    }
  }

  /// The whole text, made visible.
  static func visible(_ text: String) -> String {
    if text.utf8.allSatisfy({ (0x20...0x7E).contains($0) }) { return text }
    var result = ""
    result.reserveCapacity(text.utf8.count)
    for scalar in text.unicodeScalars { append(scalar, to: &result) }
    return result
  }

  /// At most `limit` characters: the beginning and the end with an ellipsis between. Names differ in either.
  static func shortened(_ text: String, to limit: Int) -> String {
    // Count no further than needed: a symbol may be kilobytes long.
    guard let end = text.index(text.startIndex, offsetBy: limit, limitedBy: text.endIndex), end < text.endIndex
    else { return text }
    let tail = limit / 3
    let head = limit - 1 - tail
    return text.prefix(max(0, head)) + "…" + text.suffix(tail)
  }

  /// A function name for a label: generic arguments and parameter lists folded, as profilers do.
  ///
  /// `void at::native::add<float, 4>(Tensor const&)` becomes `at::native::add<…>`,
  /// `static Swift.Array.make(count: Swift.Int) -> [A]` becomes `static Swift.Array.make`.
  static func functionLabel(_ name: String) -> String {
    var source = name.utf8.count > 4096 ? String(name.unicodeScalars.prefix(4096)) : name
    // Operators' names hold brackets of their own.
    if source.contains("operator") { return source }
    let isSwift = source.contains(" -> ")
    if isSwift, let arrow = source.range(of: " -> ", options: .backwards) {
      let result = source[arrow.upperBound...]
      // Not the arrow of a parameter, nor of the closure that `in` places in a function.
      if result.count(where: { $0 == "(" }) == result.count(where: { $0 == ")" }), !result.contains(" in ") {
        source = String(source[..<arrow.lowerBound])
      }
    }
    var folded = ""
    var depth = 0
    var parentheses = 0
    var previous: Character = " "
    for character in source {
      switch character {
      case "<" where parentheses == 0:
        if depth == 0 { folded += "<…>" }
        depth += 1
      case ">" where depth > 0 && previous != "-" && parentheses == 0: depth -= 1
      case "(" where depth == 0:
        // `(anonymous namespace)::` is part of the name.
        if parentheses == 0, folded.isEmpty || folded.hasSuffix("::") || folded.hasSuffix(" ") {
          folded.append(character)
          parentheses = -1
        } else if parentheses == -1 {
          folded.append(character)
        } else {
          parentheses += 1
        }
      case ")" where depth == 0 && parentheses != 0:
        if parentheses == -1 {
          folded.append(character)
          parentheses = 0
        } else {
          parentheses -= 1
        }
      default:
        if depth == 0 && parentheses <= 0 { folded.append(character) }
      }
      previous = character
    }
    // Unbalanced: not a C++ name after all.
    guard depth == 0, parentheses == 0, !folded.isEmpty else { return source }
    folded = folded.replacing("(anonymous namespace)", with: "(anon)")
    var label = Substring(folded)
    if label.hasSuffix(" const") { label = label.dropLast(6) }
    // A leading return type, which only templates have: what stands before the last space.
    if !isSwift, source.contains("<"), source.contains("("), let space = label.lastIndex(of: " "),
      label.index(after: space) < label.endIndex
    {
      let rest = label[label.index(after: space)...]
      if rest.first.map({ $0.isLetter || $0 == "_" || $0 == "(" || $0 == "~" }) == true { label = rest }
    }
    return label.isEmpty ? source : String(label)
  }
}
