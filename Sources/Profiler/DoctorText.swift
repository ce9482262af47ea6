// How do the doctor's findings look on a terminal?

extension DoctorReport {
  /// The report as text, a finding a paragraph: a mark, the name, what there is, and beneath it why not more and what
  /// to do.
  ///
  /// - Parameters:
  ///   - width: columns to wrap at.
  ///   - color: whether to use ANSI colours; the mark and the word tell the same without.
  public func text(width: Int = 100, color: Bool = false) -> String {
    let column = (capabilities.map(\.name.count).max() ?? 0) + 2
    var lines = [machine, ""]
    for capability in capabilities {
      let (mark, code) =
        switch capability.status {
        case .measured: ("yes", "32")
        case .degraded: ("part", "33")
        case .unavailable: ("no", "31")
        }
      let padded = mark + String(repeating: " ", count: 6 - mark.count)
      let head = (color ? "\u{1B}[\(code)m\(padded)\u{1B}[0m" : padded) + Self.pad(capability.name, to: column)
      let indent = 6 + column
      lines += Self.wrap(capability.what, first: head, indent: indent, width: width)
      if let reason = capability.reason {
        lines += Self.wrap(
          "why: \(reason)", first: String(repeating: " ", count: indent), indent: indent + 5, width: width)
      }
      if let remedy = capability.remedy {
        // Not wrapped: a command is to be copied.
        lines.append(String(repeating: " ", count: indent) + "fix: \(remedy)")
      }
    }
    let counts = [Capability.Status.measured, .degraded, .unavailable].map { status in
      capabilities.count { $0.status == status }
    }
    lines += ["", "\(counts[0]) measured, \(counts[1]) in part, \(counts[2]) not available"]
    return lines.joined(separator: "\n") + "\n"
  }

  private static func pad(_ text: String, to width: Int) -> String {
    text + String(repeating: " ", count: max(1, width - text.count))
  }

  private static func wrap(_ text: String, first: String, indent: Int, width: Int) -> [String] {
    var lines: [String] = []
    var line = first
    var used = indent
    var isEmpty = true
    for word in text.split(separator: " ") {
      if !isEmpty, used + 1 + word.count > width {
        lines.append(line)
        line = String(repeating: " ", count: indent)
        used = indent
        isEmpty = true
      }
      line += (isEmpty ? "" : " ") + word
      used += word.count + (isEmpty ? 0 : 1)
      isEmpty = false
    }
    return lines + [line]
  }
}
