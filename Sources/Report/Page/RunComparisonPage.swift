// How is a comparison of two sets of runs shown: the verdict first, then what changed, by how much and how surely?
import Analysis
import Foundation
import ProfileModel

/// Turns a comparison into a document.
struct RunComparisonPage {
  let comparison: RunComparison

  /// Rows of a forest plot at most.
  static let rowLimit = 24
  /// Rows of a table at most.
  static let tableLimit = 200

  func document() -> ReportDocument {
    let sections: [ReportDocument.Section?] = [metrics, kernels, flame, differences, notCompared, methods]
    let titles = [comparison.a.title, comparison.b.title]
    return ReportDocument(
      kicker: "Comparison of runs", title: titles[0] == titles[1] ? titles[0] : "\(titles[0]) → \(titles[1])",
      facts: facts, summary: comparison.summary, overview: overview, sections: sections.compactMap { $0 },
      colophon: "Kiviat · this page is complete in itself and loads nothing")
  }

  private var facts: [ReportDocument.Fact] {
    [("A", comparison.a), ("B", comparison.b)].flatMap { label, side -> [ReportDocument.Fact] in
      var runs: Prose = "\(ReportBuilder.counted(side.counted, "repetition"))"
      if side.counted < side.repetitions { runs = runs + " of \(side.repetitions)" }
      if side.profiles > 1 { runs = runs + " in \(ReportBuilder.counted(side.profiles, "profile"))" }
      if let started = side.startedAtUnixNanoseconds {
        runs = runs + ", from \(ReportBuilder.date(unixNanoseconds: started))"
      }
      return [.init(label: label, value: "\(code: side.name)"), .init(label: "Runs of \(label)", value: runs)]
    }
  }

  private var overview: Prose? {
    guard case .measured(let kernels, _) = comparison.kernels,
      let effect = kernels.total.effect, let largest = kernels.kernels.first
    else { return nil }
    var text: Prose =
      "Kernel time a \(kernels.unit) changes by \(Self.change(effect))"
    if kernels.totalVerdict == .cantTell { text = text + ", which may be chance" }
    let sure = kernels.kernels.filter { $0.verdict == .faster || $0.verdict == .slower }.count
    text =
      text
      + "; \(sure == 0 ? "no kernel" : sure == 1 ? "1 kernel" : "\(sure) kernels") of \(kernels.kernels.count) surely changed. The greatest difference is in \(code: ReportBuilder.inSentence(largest.name)): \(Self.signedDuration(largest.differenceNanoseconds)) a \(kernels.unit)"
    if largest.verdict == .cantTell { text = text + ", not sure" }
    return text + "."
  }

  // MARK: Metrics

  private var metrics: ReportDocument.Section? {
    let metrics = comparison.metrics
    let rows = metrics.filter { $0.contrast.ratio.value.map { $0 > 0 } ?? false }.prefix(Self.rowLimit)
    var blocks: [ReportDocument.Block?] = comparison.remarks.map { .note(Note(.warning, $0)) }
    if !rows.isEmpty {
      blocks.append(
        .figure(
          ReportDocument.Figure(
            title: Prose(metricsTitle),
            drawing: .chart(
              ForestChart(
                summary: "Change of each number from A to B with its 95 % interval",
                rows: rows.map { metric in
                  row(metric.label, metric.contrast, Self.color(metric), isCode: metric.name.hasPrefix("counter."))
                }, margin: comparison.margin, legend: Self.legend(rows.map { Self.color($0) }))),
            caption:
              "B relative to A: points are the effect, lines its 95\u{202F}% interval. The band is what counts as no change: ±\(NumberFormat.percent(comparison.margin)).",
            table: changes(
              "Number", rows.map { (Table.Cell($0.label), $0.contrast, $0.verdict, Self.color($0)) }))))
    }
    if !metrics.isEmpty {
      blocks.append(.table(title: "Every number that both sides have", metricTable(metrics), isFolded: false))
    }
    return section("metrics", "What changed", blocks)
  }

  private func tableNote(_ reasons: Set<String>) -> Prose? {
    let primary = comparison.primary == nil ? nil : "The verdict goes by the first: \(comparison.primaryReason)."
    let reason = reasons.count == 1 ? reasons.first.map { "Why it can’t be told: \($0)." } : nil
    let sentences = [primary, reason].compactMap { $0 }
    return sentences.isEmpty ? nil : Prose(sentences.joined(separator: " "))
  }

  /// The numbers of a forest plot.
  private func changes(
    _ name: String, _ rows: [(Table.Cell, Contrast, RunComparison.Verdict, ColorKey)]
  ) -> Table {
    Table(
      columns: [.name(name), Table.Column("Effect"), Table.Column("95\u{202F}% interval"), .name("Verdict")],
      rows: rows.map { cell, contrast, verdict, color in
        [cell, Self.effect(contrast), Self.interval(contrast), .key(verdict.rawValue, color)]
      })
  }

  private var metricsTitle: String {
    let counts: [(RunComparison.Verdict, String)] = [
      (.faster, "faster"), (.slower, "slower"), (.higher, "higher"), (.lower, "lower"), (.same, "the same"),
      (.cantTell, "not sure"),
    ]
    let words = counts.compactMap { verdict, word -> String? in
      let count = comparison.metrics.count { $0.verdict == verdict }
      return count > 0 ? "\(count) \(word)" : nil
    }
    return "Of \(ReportBuilder.counted(comparison.metrics.count, "number")): \(words.joined(separator: ", "))"
  }

  private func metricTable(_ metrics: [RunComparison.Metric]) -> Table {
    // One reason for all, such as too few repetitions, is said once.
    let reasons = Set(metrics.map { Self.words($0.contrast.reason) }).subtracting([""])
    let hasReasons = reasons.count > 1
    return Table(
      columns: [
        .name("Number"), .name("Verdict"), Table.Column("n", hint: "repetitions of A and of B"),
        Table.Column("A", hint: "mean"), Table.Column("B", hint: "mean"),
        Table.Column("Effect", hint: "B relative to A"),
        Table.Column("95\u{202F}% interval", hint: "of the effect"),
        Table.Column("p", hint: "corrected for the number of comparisons, but for the first"),
        Table.Column("Median of A"), Table.Column("Median of B"),
      ] + (hasReasons ? [.name("Why it can’t be told, and what would help")] : []),
      rows: metrics.prefix(Self.tableLimit).map { metric in
        let contrast = metric.contrast
        var name = metric.name.hasPrefix("counter.") ? Table.Cell.code(metric.label) : Table.Cell(metric.label)
        name.isStrong = metric.name == comparison.primary
        return [
          name, .key(metric.verdict.rawValue, Self.color(metric)),
          Table.Cell("\(contrast.a.count), \(contrast.b.count)", sort: Double(contrast.a.count)),
          Self.mean(contrast.a, unit: metric.unit), Self.mean(contrast.b, unit: metric.unit), Self.effect(contrast),
          Self.interval(contrast), Self.p(contrast.correctedP), Self.median(contrast.a, unit: metric.unit),
          Self.median(contrast.b, unit: metric.unit),
        ] + (hasReasons ? [Table.Cell(Self.words(contrast.reason))] : [])
      }, note: tableNote(reasons))
  }

  // MARK: Kernels

  private var kernels: ReportDocument.Section? {
    guard case .measured(let kernels, let provenance) = comparison.kernels else { return nil }
    // What changed most, in time and not in share of itself: a kernel of no weight may double.
    let rows = kernels.kernels.filter { $0.contrast.ratio.value.map { $0 > 0 } ?? false }.prefix(Self.rowLimit)
    let table = Table(
      columns: [
        .name("Kernel"), .name("Category"), .name("Verdict"),
        Table.Column("A", hint: "mean self time a \(kernels.unit)"),
        Table.Column("B", hint: "mean self time a \(kernels.unit)"),
        Table.Column("Difference", hint: "of the means, a \(kernels.unit)"), Table.Column("Effect"),
        Table.Column("95\u{202F}% interval", hint: "of the effect"),
        Table.Column("p", hint: "corrected for the number of kernels (Holm)"),
        Table.Column("Calls in A", hint: "a \(kernels.unit)"), Table.Column("Calls in B", hint: "a \(kernels.unit)"),
      ],
      rows: kernels.kernels.prefix(Self.tableLimit).map { kernel in
        let contrast = kernel.contrast
        return [
          .code(kernel.name), .key(kernel.category.rawValue, .category(kernel.category)),
          .key(kernel.verdict.rawValue, Self.color(kernel.verdict)), Self.mean(contrast.a, unit: "ns"),
          Self.mean(contrast.b, unit: "ns"),
          Table.Cell(Self.signedDuration(kernel.differenceNanoseconds), sort: kernel.differenceNanoseconds),
          Self.effect(contrast), Self.interval(contrast), Self.p(contrast.correctedP), Self.calls(kernel.callsA),
          Self.calls(kernel.callsB),
        ]
      },
      note: kernels.kernels.count > Self.tableLimit
        ? "\(ReportBuilder.counted(kernels.kernels.count - Self.tableLimit, "kernel")) of smaller differences are left out."
        : nil)
    var title: Prose = "Kernel time a \(kernels.unit)"
    if let effect = kernels.total.effect { title = title + ": \(Self.change(effect))" }
    if let (lower, upper) = kernels.total.effectInterval {
      title = title + " (95\u{202F}% interval \(Self.change(lower)) to \(Self.change(upper)))"
    }
    let figure: ReportDocument.Block? =
      rows.isEmpty
      ? nil
      : .figure(
        ReportDocument.Figure(
          title: title,
          drawing: .chart(
            ForestChart(
              summary: "Change of each kernel's time from A to B with its 95 % interval",
              rows: rows.map { kernel in
                var row = row(kernel.name, kernel.contrast, Self.color(kernel.verdict), isCode: true)
                row.details.append(
                  "\(Self.signedDuration(kernel.differenceNanoseconds)) a \(kernels.unit) · \(kernel.category.rawValue)"
                )
                return row
              }, margin: comparison.margin, legend: Self.legend(rows.map { Self.color($0.verdict) }))),
          caption:
            "The kernels whose time differs most, greatest difference first; \(kernels.basis). Shown is each kernel’s time in B relative to A.",
          table: changes("Kernel", rows.map { (.code($0.name), $0.contrast, $0.verdict, Self.color($0.verdict)) }),
          provenance: provenance))
    return section(
      "kernels", "Kernels",
      [
        figure,
        kernels.kernels.isEmpty
          ? nil : .table(title: "Every kernel that both sides run", table, isFolded: false),
        kernels.appeared.isEmpty
          ? nil : .table(title: "Kernels that only B runs", singles(kernels.appeared, kernels.unit), isFolded: false),
        kernels.vanished.isEmpty
          ? nil : .table(title: "Kernels that only A runs", singles(kernels.vanished, kernels.unit), isFolded: false),
      ])
  }

  private func singles(_ singles: [KernelComparison.Single], _ unit: String) -> Table {
    Table(
      columns: [
        .name("Kernel"), .name("Category"), Table.Column("Time", hint: "mean self time a \(unit)"),
        Table.Column("Share", hint: "of its side’s kernel time"), Table.Column("Calls", hint: "a \(unit)"),
      ],
      rows: singles.prefix(Self.tableLimit).map {
        [
          .code($0.name), .key($0.category.rawValue, .category($0.category)), .duration($0.nanoseconds),
          .share($0.share),
          Self.calls($0.calls),
        ]
      })
  }

  // MARK: Flame graph

  private var flame: ReportDocument.Section? {
    guard case .measured(let flame, let provenance) = comparison.flame, !flame.nodes.isEmpty else { return nil }
    let changes = flame.changes.map { change -> [Table.Cell] in
      let function = flame.functions[change.function]
      return [
        .code(function.name, label: VisibleText.functionLabel(function.name)),
        .code(function.module, label: ReportBuilder.fileName(function.module)),
        .share(change.shareA, bar: false), .share(change.shareB, bar: false),
        .key(Self.points(change.difference), Self.color(change.difference, isSure: change.isBeyondSamplingError)),
        Table.Cell(change.isBeyondSamplingError ? "more than sampling error" : "may be sampling error"),
      ]
    }
    let table = Table(
      columns: [
        .name("Function"), .name("Module"), Table.Column("Own share in A"), Table.Column("Own share in B"),
        Table.Column("Change", hint: "percentage points"), .name("Sure?"),
      ], rows: changes)
    let gone = flame.nodes.filter {
      $0.shareB == 0 && $0.isBeyondSamplingError && ($0.parent.map { flame.nodes[$0].shareB > 0 } ?? true)
    }
    let goneTable = Table(
      columns: [.name("Call"), .name("Called by"), Table.Column("Share in A")],
      rows: gone.sorted { $0.shareA > $1.shareA }.prefix(40).map { node in
        let function = flame.functions[node.function]
        let caller = node.parent.map { flame.functions[flame.nodes[$0].function].name }
        return [
          .code(function.name, label: VisibleText.functionLabel(function.name)),
          caller.map { .code($0, label: VisibleText.functionLabel($0)) } ?? .empty, .share(node.shareA),
        ]
      })
    let title: Prose =
      "Who takes more of the CPU time than before: \(NumberFormat.duration(flame.nanosecondsA)) a repetition of A, \(NumberFormat.duration(flame.nanosecondsB)) of B"
    return section(
      "flame", "Call stacks", short: "Flame graph",
      [
        .figure(
          ReportDocument.Figure(
            title: title, drawing: .flame(FlameGraphChart(difference: flame)),
            caption:
              "The root is on top; each function is as wide as its share of B’s CPU time, with all that it calls. Colour: change of the share from A, in percentage points; grey is less than the sampling error of \(NumberFormat.count(Double(flame.samplesA))) and \(NumberFormat.count(Double(flame.samplesB))) samples. A click zooms. Rows whose calls are all below \(NumberFormat.percent(FlameGraphChart.visibleShare)) are left out.",
            table: table, provenance: provenance)),
        goneTable.rows.isEmpty ? nil : .table(title: "Calls that only A makes", goneTable, isFolded: false),
      ])
  }

  // MARK: What else differs

  private var differences: ReportDocument.Section? {
    let table = Table(
      columns: [.name("What"), .name("Name"), .name("A"), .name("B")],
      rows: comparison.differences.prefix(Self.tableLimit).map { difference in
        [
          Table.Cell(Self.words(difference.kind)), .code(difference.name), Self.values(difference, difference.a),
          Self.values(difference, difference.b),
        ]
      })
    return section(
      "differences", "What else differs", short: "Other differences",
      [
        table.rows.isEmpty
          ? .paragraph("Settings, machine and model are the same on both sides, as far as the profiles tell.")
          : .table(title: "Settings and facts that are not the same on both sides", table, isFolded: false)
      ])
  }

  private static func values(_ difference: SideDifference, _ values: [String]) -> Table.Cell {
    guard !values.isEmpty else { return Table.Cell("not stated") }
    let values = difference.name == "command" ? values.map(commandLine) : values
    var cell = Table.Cell(VisibleText.shortened(values.prefix(5).joined(separator: ", "), to: 120))
    if values.count > 5 { cell.text += " and \(values.count - 5) more" }
    cell.hint = values.count > 1 ? values.prefix(40).joined(separator: ", ") : nil
    return cell
  }

  /// A command as one would type it; profiles keep it as a JSON array.
  private static func commandLine(_ json: String) -> String {
    (try? JSONDecoder().decode([String].self, from: Data(json.utf8))).map(ReportBuilder.commandLine) ?? json
  }

  static func words(_ kind: SideDifference.Kind) -> String {
    switch kind {
    case .work: "what was run"
    case .model: "model"
    case .measurement: "how it was measured"
    case .machine: "machine"
    case .other: "other setting"
    }
  }

  // MARK: What could not be compared

  private var notCompared: ReportDocument.Section? {
    var gaps = comparison.notCompared.map { gap in
      ReportDocument.Gap(
        what: gap.labels.count == 1 ? "Number" : "Numbers", names: gap.labels, reason: gap.reason, method: nil,
        remedy: gap.remedy, state: "not compared")
    }
    for (name, why) in [("kernels", comparison.kernels.unavailable), ("call stacks", comparison.flame.unavailable)] {
      guard let why else { continue }
      gaps.append(
        .init(
          what: "Section", names: [name], reason: why.reason, method: nil, remedy: why.remedy, state: "not compared"))
    }
    return section(
      "not-compared", "What could not be compared, and why", short: "Not compared",
      [
        gaps.isEmpty
          ? .paragraph("Every number that either side has was compared.") : .gaps(gaps)
      ])
  }

  // MARK: Method

  private var methods: ReportDocument.Section? {
    let sides = [("A", comparison.a), ("B", comparison.b)]
    let table = Table(
      columns: [
        .name("Side"), .name("Name"), .name("What was run"), Table.Column("Profiles"), Table.Column("Repetitions"),
        Table.Column("Counted"), .name("Left out"),
      ],
      rows: sides.map { label, side in
        [
          Table.Cell(label), .code(side.name), Table.Cell(side.title), .count(side.profiles), .count(side.repetitions),
          .count(side.counted),
          Table.Cell(side.leftOut.map { "\($0.count): \($0.reason)" }.joined(separator: "; ")),
        ]
      })
    let primary: Prose =
      comparison.primary == nil
      ? "There is no verdict: \(comparison.primaryReason)." : "The verdict goes by \(comparison.primaryReason)."
    return section(
      "method", "How it was compared", short: "Method",
      [
        .paragraph(primary), .paragraph(Prose(comparison.method)),
        .table(title: "The two sides", table, isFolded: false),
      ])
  }

  // MARK: Helpers

  private func section(
    _ id: String, _ title: String, short: String? = nil, _ blocks: [ReportDocument.Block?]
  ) -> ReportDocument.Section? {
    let present = blocks.compactMap { $0 }
    return present.isEmpty ? nil : ReportDocument.Section(id: id, title: title, shortTitle: short, blocks: present)
  }

  private func row(_ label: String, _ contrast: Contrast, _ color: ColorKey, isCode: Bool) -> ForestChart.Row {
    let ratio = contrast.ratio.value ?? 1
    var details: [String] = []
    if let (lower, upper) = contrast.effectInterval {
      details.append("95\u{202F}% interval \(Self.change(lower)) to \(Self.change(upper))")
    }
    details.append("\(contrast.a.count) and \(contrast.b.count) repetitions")
    if let reason = contrast.reason { details.append(Self.words(reason)) }
    return ForestChart.Row(
      color: color, label: label, isCode: isCode, ratio: ratio, lower: contrast.interval.value?.lower,
      upper: contrast.interval.value?.upper, value: Self.change(ratio - 1), details: details)
  }

  /// The colours that occur, with what they mean.
  private static func legend(_ colors: [ColorKey]) -> [LegendItem] {
    [
      LegendItem(color: .better, text: "surely better"), LegendItem(color: .worse, text: "surely worse"),
      LegendItem(color: .different, text: "surely different, neither way better"),
      LegendItem(color: .same, text: "surely the same"), LegendItem(color: .unsure, text: "not sure"),
    ].filter { colors.contains($0.color) }
  }

  static func color(_ metric: RunComparison.Metric) -> ColorKey {
    switch (metric.verdict, metric.isBetter) {
    case (.same, _): .same
    case (.cantTell, _): .unsure
    case (_, true?): .better
    case (_, false?): .worse
    case (_, nil): .different
    }
  }

  static func color(_ verdict: RunComparison.Verdict) -> ColorKey {
    switch verdict {
    case .faster: .better
    case .slower: .worse
    case .higher, .lower: .different
    case .same: .same
    case .cantTell: .unsure
    }
  }

  /// The colour of a change of share: four steps either way, the first for anything that is no sampling error.
  static func color(_ difference: Double, isSure: Bool) -> ColorKey {
    guard isSure else { return .change(0) }
    let step = abs(difference) < 0.01 ? 1 : abs(difference) < 0.03 ? 2 : abs(difference) < 0.1 ? 3 : 4
    return .change(difference < 0 ? -step : step)
  }

  /// `+5.1 %`, `−0.3 %`, `× 12` for what is more than ten times as much.
  static func change(_ effect: Double) -> String {
    if effect > 9 { return "×\(NumberFormat.space)\(NumberFormat.decimal(effect + 1))" }
    let text = NumberFormat.fixed(abs(effect) * 100, decimals: abs(effect) < 0.9995 ? 1 : 0)
    let isNothing = text.allSatisfy { $0 == "0" || $0 == "." }
    return "\(isNothing ? "" : effect < 0 ? "−" : "+")\(text)\(NumberFormat.space)%"
  }

  /// Percentage points: `+2.8 pp`.
  static func points(_ difference: Double) -> String {
    let text = NumberFormat.fixed(abs(difference) * 100, decimals: 1)
    return "\(text == "0.0" ? "" : difference < 0 ? "−" : "+")\(text)\(NumberFormat.space)pp"
  }

  static func signedDuration(_ nanoseconds: Double) -> String {
    (nanoseconds > 0 ? "+" : "") + NumberFormat.duration(nanoseconds)
  }

  private static func mean(_ sample: Contrast.Sample, unit: String) -> Table.Cell {
    sample.mean.map { .number($0, unit: unit) } ?? Table.Cell(NumberFormat.none)
  }

  private static func median(_ sample: Contrast.Sample, unit: String) -> Table.Cell {
    sample.median.map { .number($0, unit: unit) } ?? Table.Cell(NumberFormat.none)
  }

  private static func calls(_ calls: Double) -> Table.Cell { Table.Cell(NumberFormat.plain(calls), sort: calls) }

  private static func effect(_ contrast: Contrast) -> Table.Cell {
    switch contrast.ratio {
    case .measured(let ratio, _): Table.Cell(change(ratio - 1), sort: ratio)
    case .unavailable(let why): .missing(why)
    }
  }

  private static func interval(_ contrast: Contrast) -> Table.Cell {
    if case .unavailable(let why) = contrast.interval { return .missing(why) }
    guard let (lower, upper) = contrast.effectInterval else { return Table.Cell(NumberFormat.none) }
    return Table.Cell("\(change(lower)) to \(change(upper))", sort: lower)
  }

  /// A p-value.
  static func p(_ value: Measured<Double>) -> Table.Cell {
    switch value {
    case .measured(let p, _):
      Table.Cell(
        p < 0.0001 ? "< 0.0001" : NumberFormat.fixed(p, decimals: p < 0.01 ? 4 : p < 0.1 ? 3 : 2), sort: p)
    case .unavailable(let why): .missing(why)
    }
  }

  static func words(_ reason: Unavailable?) -> String {
    guard let reason else { return "" }
    return reason.reason + (reason.remedy.map { " — \($0)" } ?? "")
  }
}

extension FlameGraphChart {
  /// Rows in which no call has this share of B's time are left out: five pixels of a wide page.
  static let visibleShare = 0.005

  /// Side B's calls, coloured by the change of their share.
  init(difference flame: FlameDifference) {
    // Deep down nothing can be seen: a single recursion would make the page meters long.
    let deepest = flame.nodes.filter { $0.shareB >= Self.visibleShare }.map(\.depth).max() ?? 0
    // What only A calls has no width; with a caller all that it calls is gone too.
    var position: [Int: Int] = [:]
    var nodes: [Node] = []
    for (index, node) in flame.nodes.enumerated() where node.shareB > 0 && node.depth <= deepest {
      position[index] = nodes.count
      let function = flame.functions[node.function]
      let sure = node.isBeyondSamplingError ? "" : " (may be sampling error)"
      nodes.append(
        Node(
          color: RunComparisonPage.color(node.difference, isSure: node.isBeyondSamplingError), name: function.name,
          label: VisibleText.functionLabel(function.name), parent: node.parent.flatMap { position[$0] },
          depth: node.depth, value: node.shareB * flame.nanosecondsB, selfValue: node.selfShareB * flame.nanosecondsB,
          details: [
            "A: \(NumberFormat.percent(node.shareA)), B: \(NumberFormat.percent(node.shareB)): \(RunComparisonPage.points(node.difference))\(sure)",
            ReportBuilder.fileName(function.module),
          ]))
    }
    self.init(
      summary: "Call tree by share of B's CPU time, coloured by the change from A, the root on top", nodes: nodes,
      total: max(flame.nanosecondsB, 1),
      legend: [
        LegendItem(color: .change(-4), text: "less by 10 points and more"),
        LegendItem(color: .change(-2), text: "less by 1 to 3 points"),
        LegendItem(color: .change(0), text: "no sure change"),
        LegendItem(color: .change(2), text: "more by 1 to 3 points"),
        LegendItem(color: .change(4), text: "more by 10 points and more"),
      ])
  }
}
