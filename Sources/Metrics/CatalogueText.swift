// How is the catalogue told to people: as a page of Markdown?

extension MetricCatalogue {
  /// The whole catalogue as Markdown: `docs/metrics.md`, which a test compares with this.
  public var markdown: String {
    var lines = [
      "# Metrics", "",
      "Made from the catalogue (`Sources/Metrics/Resources`) by `kiviat list metrics --format markdown`; don't edit it. How to add",
      "metrics of your own: [metrics-format.md](metrics-format.md).", "",
      "Every processor has what [any processor](#generic) has. A metric is unavailable where one of its events was not counted; it is never 0 for that.",
      "",
      "| family | processors | recognised by |", "|---|---|---|",
    ]
    for family in families {
      lines.append("| [`\(family.name)`](#\(family.name)) | \(family.title) | \(Self.words(family.cpus)) |")
    }
    let fallback = families.last
    for family in families {
      let isFallback = family.name == fallback?.name
      lines += ["", "## \(family.name)", "", "\(family.title). Source: \(family.source).", ""]
      // What all have is told once.
      let metrics = family.metrics.filter { metric in isFallback || fallback?.metric(metric.name) != metric }
      lines += ["| metric | unit | formula | what it says |", "|---|---|---|---|"]
      lines += metrics.map(Self.row)
      let events = family.events.filter { event in isFallback || fallback?.event(event.name) != event }
      lines += ["", "| event | asked for as | unit | what it counts |", "|---|---|---|---|"]
      lines += events.map(Self.row)
      if !family.groups.isEmpty {
        lines += ["", "Counted at the same time:", ""]
        lines += family.groups.map { "- `\($0.name)`: " + $0.events.map { "`\($0)`" }.joined(separator: ", ") }
      }
      lines += ["", "| of the published GPU metrics | here |", "|---|---|"]
      lines += family.paper.map { entry in
        let names = entry.metrics.map { "`\($0)`" }.joined(separator: ", else ")
        return "| `\(entry.name)` | \(entry.absent.map { "none: \($0)" } ?? names) |"
      }
      let constants = family.constants.filter { constant in
        isFallback || fallback?.constant(constant.name) != constant
      }
      lines += ["", "| constant | value | unit | what it is |", "|---|---|---|---|"]
      lines += constants.map { constant in
        let value = [
          constant.value.map { $0 == $0.rounded() ? "\(Int($0))" : "\($0)" }, constant.quantity.map { "`\($0)`" },
        ]
        .compactMap { $0 }.joined(separator: ", where told ")
        return "| `\(constant.name)` | \(value) | \(constant.unit) | \(constant.text) |"
      }
    }
    return lines.joined(separator: "\n") + "\n"
  }

  private static func words(_ cpus: [CPUPattern]) -> String {
    cpus.isEmpty
      ? "what is none of the others"
      : cpus.map { pattern in
        let family = pattern.family.map { ", family \($0)" } ?? ""
        guard !pattern.models.isEmpty else { return pattern.vendor + family }
        let what = pattern.family == nil ? "part" : "models"
        return "\(pattern.vendor)\(family), \(what) \(ranges(pattern.models))"
      }.joined(separator: "; ")
  }

  /// `16–31, 96–127`; parts of Arm in hexadecimal, as the manuals have them.
  private static func ranges(_ numbers: [Int]) -> String {
    var parts: [ClosedRange<Int>] = []
    for number in numbers.sorted() {
      if let last = parts.last, last.upperBound + 1 == number {
        parts[parts.count - 1] = last.lowerBound...number
      } else {
        parts.append(number...number)
      }
    }
    func text(_ number: Int) -> String { number > 0xff ? "0x" + String(number, radix: 16) : "\(number)" }
    return parts.map { $0.count == 1 ? text($0.lowerBound) : "\(text($0.lowerBound))–\(text($0.upperBound))" }
      .joined(separator: ", ")
  }

  private static func row(_ metric: Metric) -> String {
    var marks: [String] = []
    if let level = metric.level {
      marks.append("top-down level \(level)" + (metric.parent.map { " of `\($0)`" } ?? ""))
    }
    if metric.isEstimate { marks.append("**estimate**") }
    if let threshold = metric.threshold { marks.append("worth a look above \(threshold)") }
    if let range = metric.range { marks.append("in \(range.lowerBound)…\(range.upperBound)") }
    let more = marks.isEmpty ? "" : " (\(marks.joined(separator: "; ")))"
    return "| `\(metric.name)` | \(metric.unit) | `\(metric.formula.text)` | \(metric.text)\(more) |"
  }

  private static func row(_ event: MetricEvent) -> String {
    let unit = event.scale == 1 ? "\(event.unit)" : "\(Int(event.scale)) \(event.unit)"
    let kind = event.counter == .general ? "" : " (\(event.counter.rawValue) counter)"
    return "| `\(event.name)` | `\(event.encoding)`\(kind) | \(unit) | \(event.text) |"
  }
}

extension EventEncoding: CustomStringConvertible {
  /// As perf would write it: `event=0xa3,umask=0x14,cmask=20`.
  public var description: String {
    switch self {
    case .named(let name): return name
    case .device(let pmu, let terms): return "\(pmu)/\(terms)/"
    case .raw(let fields, let layout):
      var parts = ["event=0x" + String(fields.event, radix: 16)]
      if layout != .arm, fields.umask != 0 { parts.append("umask=0x" + String(fields.umask, radix: 16)) }
      if fields.cmask != 0 { parts.append("cmask=\(fields.cmask)") }
      if fields.edge { parts.append("edge") }
      if fields.inv { parts.append("inv") }
      if fields.any { parts.append("any") }
      return parts.joined(separator: ",")
    }
  }
}
