// What does a person in a terminal need to see of a subset?
import Analysis
import ProfileModel

/// The summary for a terminal, 100 columns.
struct SubsetText {
  /// Columns at most.
  static let width = 100

  let choice: SubsetChoice
  let color: Bool

  func text() -> String {
    let words = SubsetWords(choice: choice)
    var lines = [bold(VisibleText.shortened(VisibleText.visible(choice.title), to: Self.width))]
    lines += words.summary.flatMap { wrapped($0, indent: 2) }
    lines += choice.objections.flatMap { wrapped("✗ " + $0, indent: 2, hanging: 2) }.map(warning)
    lines += ["", bold("  Rules")]
    lines += choice.rules.applied.flatMap { wrapped("\($0.rule.rawValue): \($0.explanation)", indent: 2, hanging: 2) }
    lines += ["", bold("  Members")] + members(words)
    if choice.cost.basis != .number, !choice.chosen.isEmpty { lines += ["", bold("  Cost")] + cost(words) }
    if choice.evidence.value != nil {
      lines += ["", bold("  Evidence")] + words.evidence.flatMap { wrapped($0, indent: 2, hanging: 2) } + best(words)
    }
    if !choice.caveats.isEmpty {
      lines += ["", bold("  To know")] + choice.caveats.flatMap { wrapped("- " + $0, indent: 2, hanging: 2) }
    }
    let remarks = choice.comparisons.flatMap(\.remarks)
    if !remarks.isEmpty {
      lines += ["", bold("  About the numbers of the other suites")]
      lines += remarks.flatMap { wrapped("- " + $0, indent: 2, hanging: 2) }
    }
    return lines.joined(separator: "\n") + "\n"
  }

  /// One line a member: what keeps it out, or what it brings.
  private func members(_ words: SubsetWords) -> [String] {
    let chosen = Set(choice.chosen)
    let id = min(16, choice.rules.members.map { $0.id.count }.max() ?? 0)
    let title = min(28, choice.rules.members.map { $0.title.count }.max() ?? 0)
    return choice.rules.members.enumerated().map { index, member in
      let against = member.verdicts.filter { $0.outcome == .fails || $0.outcome == .unknown }
      let reason =
        against.isEmpty
        ? member.verdicts.filter { $0.outcome == .covers }.map(\.reason).joined(separator: "; ")
        : against.map { "\($0.rule.rawValue): \($0.reason)" }.joined(separator: "; ")
      let sign = chosen.contains(index) ? "✓" : member.isEligible ? "·" : "✗"
      let cost = choice.cost.members[index].value.map(words.cost) ?? NumberFormat.none
      let line =
        "  \(sign) \(padded(member.id, to: id))  \(padded(member.title, to: title))  \(padded(cost, to: 10, right: true))  \(VisibleText.visible(reason))"
      let cut = line.count > Self.width ? line.prefix(Self.width - 1) + "…" : line
      return chosen.contains(index) ? bold(cut) : cut
    }
  }

  private func cost(_ words: SubsetWords) -> [String] {
    var lines = [
      "suite \(words.cost(choice.cost.suite)) (\(choice.cost.suite.counted) of \(choice.rules.members.count) benchmarks), subset \(words.cost(choice.cost.subset)): \(words.saved(choice.cost.saved)) saved"
    ]
    if let concentration = words.concentration { lines.append(concentration) }
    for other in choice.comparisons {
      lines.append(
        "against \(other.name), \(words.cost(other.cost)): the subset saves \(words.saved(other.savedBySubset)), the whole suite \(words.saved(other.savedBySuite))"
      )
      if let rest = other.withoutLowerBounds {
        lines.append(
          "  without \(other.cost.lowerBounds.joined(separator: ", ")), a lower bound (\(words.cost(rest.cost))): \(words.saved(rest.savedBySubset)) and \(words.saved(rest.savedBySuite))"
        )
      }
    }
    return lines.flatMap { wrapped($0, indent: 2, hanging: 2) }
  }

  private func best(_ words: SubsetWords) -> [String] {
    guard let evidence = choice.evidence.value, !evidence.best.isEmpty else { return [] }
    let shown = evidence.best.prefix(6)
    return [evidence.isExhaustive ? "  best of each size:" : "  best found of each size:"]
      + shown.map { point in
        let line =
          "  \(padded("\(point.members.count)", to: 3, right: true))  \(words.error(point.memberError))  \(padded(words.cost(point.cost), to: 10, right: true))  \(point.members.joined(separator: ", "))"
        return line.count > Self.width ? line.prefix(Self.width - 1) + "…" : line
      }
  }

  private func wrapped(_ text: String, indent: Int, hanging: Int = 0) -> [String] {
    var lines: [String] = []
    var line = ""
    for word in VisibleText.visible(text).split(separator: " ") {
      let room = Self.width - indent - (lines.isEmpty ? 0 : hanging)
      if !line.isEmpty, line.count + 1 + word.count > room {
        lines.append(line)
        line = ""
      }
      line += (line.isEmpty ? "" : " ") + word
    }
    if !line.isEmpty { lines.append(line) }
    return lines.enumerated().map { index, line in
      String(repeating: " ", count: indent + (index == 0 ? 0 : hanging)) + line
    }
  }

  private func padded(_ text: String, to width: Int, right: Bool = false) -> String {
    let text = VisibleText.shortened(VisibleText.visible(text), to: width)
    let pad = String(repeating: " ", count: max(0, width - text.count))
    return right ? pad + text : text + pad
  }

  private func bold(_ text: String) -> String { color ? "\u{1B}[1m\(text)\u{1B}[0m" : text }
  private func warning(_ text: String) -> String { color ? "\u{1B}[33m\(text)\u{1B}[0m" : text }
}
