// How does the report show the processor's metrics: where its slots went, and what the counts come to?
import Analysis
import ProfileModel

extension ReportBuilder {
  var metrics: ReportDocument.Section? {
    let summary = characterization.metrics
    let problem = summary.fileProblem.map {
      ReportDocument.Block.note(Note(.warning, "the metrics of your own file can't be told: \($0)"))
    }
    if let why = summary.nothingCounted { return uncountedMetrics(summary, why, problem) }
    let valued = summary.metrics.filter { $0.value.value != nil }
    guard !valued.isEmpty else { return nil }
    let missing = summary.metrics.filter { $0.value.value == nil }
    return section(
      "metrics", "Metrics of the processor", short: "Processor",
      [
        problem, topDown(summary).map { .figure($0) },
        .table(
          title: "Metrics of \(summary.familyTitle)", metricTable(valued.filter { $0.level == nil }), isFolded: false),
        publishedTable(summary),
        missing.isEmpty
          ? nil
          : .table(
            title: "\(ReportBuilder.counted(missing.count, "metric")) could not be told", missingTable(missing),
            isFolded: true),
      ])
  }

  /// Without hardware counters: what would be there, why it is not, and what needs none.
  private func uncountedMetrics(
    _ summary: MetricSummary, _ why: Unavailable, _ problem: ReportDocument.Block?
  ) -> ReportDocument.Section? {
    let reason =
      VisibleText.visible(why.reason) + (why.remedy.map { "; what would help: \(VisibleText.visible($0))" } ?? "")
    let valued = summary.metrics.filter { $0.value.value != nil }
    return section(
      "metrics", "Metrics of the processor", short: "Processor",
      [
        problem,
        .paragraph(
          "Where the processor’s slots go (top-down), memory bandwidth, floating-point rates, misses and the stall reasons of the published GPU characterizations, \(ReportBuilder.counted(summary.leftOut, "metric")) of \(summary.familyTitle) in all, come from hardware counters, and none was counted: \(reason)."
        ),
        valued.isEmpty
          ? nil : .table(title: "What needs no hardware counter", metricTable(valued), isFolded: false),
      ])
  }

  /// One colour for each part of level 1; its parts have neutral tones of their own.
  private func topDown(_ summary: MetricSummary) -> ReportDocument.Figure? {
    let first = summary.metrics.filter { $0.level == 1 && $0.value.value != nil }
    guard let largest = first.max(by: { ($0.value.value ?? 0) < ($1.value.value ?? 0) }) else { return nil }
    func segment(_ metric: EvaluatedMetric, _ color: ColorKey) -> StackedBarChart.Segment {
      StackedBarChart.Segment(
        color: color, name: metric.label, value: max(0, metric.value.value ?? 0),
        details: metric.interval.map { ["95\u{202F}%: \(ReportBuilder.interval($0))"] } ?? [])
    }
    var second: [StackedBarChart.Segment] = []
    for (index, metric) in first.enumerated() {
      let parts = summary.metrics.filter { $0.level == 2 && $0.parent == metric.name && $0.value.value != nil }
      second += parts.isEmpty ? [segment(metric, .line(index))] : parts.map { segment($0, .line(index)) }
    }
    var rows = [
      StackedBarChart.Row(
        label: "level 1", segments: first.enumerated().map { segment($1, .line($0)) })
    ]
    if summary.metrics.contains(where: { $0.level == 2 && $0.value.value != nil }) {
      rows.append(StackedBarChart.Row(label: "level 2", segments: second))
    }
    let estimate = first.contains(where: \.isEstimate) ? " An estimate: the vendor publishes no formulas." : ""
    let rest = summary.unaccounted.flatMap { abs($0) > 0.01 ? $0 : nil }.map {
      " The parts of level 1 leave \(NumberFormat.percent($0)): their events were not counted at the same time."
    }
    let what =
      summary.treeUnit == "slots"
      ? "A slot is a place for a micro-operation in a cycle."
      : "This processor has no events for slots: what is divided are its cycles."
    let tree = summary.metrics.filter { $0.level != nil && $0.value.value != nil }
    return ReportDocument.Figure(
      title:
        "\(NumberFormat.percent(largest.value.value ?? 0)) of the processor’s \(summary.treeUnit): \(largest.label)",
      drawing: .chart(
        StackedBarChart(
          summary: "Where the \(summary.treeUnit) of the processor went", rows: rows, format: .percent, legendRows: 1,
          showsTotals: false)),
      caption: Prose(
        "\(what) Level 2, where there is one, divides each part of level 1.\(estimate)\(rest ?? "")"
      ),
      table: metricTable(tree), provenance: nil)
  }

  private func metricTable(_ metrics: [EvaluatedMetric]) -> Table {
    Table(
      columns: [
        .name("Metric"), Table.Column("Value"), Table.Column("95\u{202F}% interval", hint: "propagated to first order"),
        Table.Column("Counters ran", hint: "smallest share of the time in which a counter of it ran"),
        .name("What it says"), .name("Formula"),
      ],
      rows: metrics.map { metric in
        var name = Table.Cell(
          metric.label + (metric.isEstimate ? " (estimate)" : "") + (metric.isUser ? " (yours)" : ""))
        name.hint = "\(metric.name); \(metric.origin)"
        name.isStrong = metric.threshold.map { (metric.value.value ?? 0) > $0 } ?? false
        if name.isStrong, let threshold = metric.threshold {
          name.hint = "above \(NumberFormat.percent(threshold)): worth a look. \(metric.name); \(metric.origin)"
        }
        return [
          name, value(metric), metric.interval.map { Table.Cell(interval($0, of: metric), sort: $0.lower) } ?? .empty,
          metric.value.provenance?.runningFraction.map { .share($0, bar: false) } ?? .empty,
          .sentence(metric.definition), .code(metric.formula),
        ]
      })
  }

  /// Shares of a whole as percentages, everything else in its unit.
  private func value(_ metric: EvaluatedMetric) -> Table.Cell {
    guard isShare(metric), case .measured(let value, let provenance) = metric.value else {
      return .measured(metric.value, unit: metric.unit)
    }
    var cell = Table.Cell.share(value)
    cell.provenance = provenance
    return cell
  }

  private func isShare(_ metric: EvaluatedMetric) -> Bool {
    metric.unit == "1" && metric.isRatio && (metric.value.value.map { (0...1).contains($0) } ?? false)
  }

  private func interval(_ interval: Interval, of metric: EvaluatedMetric) -> String {
    let unit = isShare(metric) ? "share" : metric.unit
    func text(_ value: Double) -> String {
      unit == "share" ? NumberFormat.percent(value) : NumberFormat.quantity(value, unit: unit)
    }
    return "\(text(interval.lower)) to \(interval.upper.map(text) ?? "?")"
  }

  private func publishedTable(_ summary: MetricSummary) -> ReportDocument.Block? {
    let present = summary.published.filter { $0.value.value != nil }
    guard !present.isEmpty else { return nil }
    return .table(
      title: "What stands for the published GPU metrics",
      Table(
        columns: [.name("On a GPU (nvprof)"), .name("Here"), Table.Column("Value")],
        rows: summary.published.map { entry in
          let metric = summary.metrics.first { $0.name == entry.metric }
          var cell: Table.Cell =
            if let metric, metric.value.value != nil { value(metric) } else { .measured(entry.value, unit: "1") }
          if let reason = entry.value.unavailable { cell.hint = reason.reason }
          return [
            .code(entry.name), metric.map { Table.Cell($0.label) } ?? Table.Cell(entry.value.unavailable?.reason ?? ""),
            cell,
          ]
        }), isFolded: true)
  }

  private func missingTable(_ metrics: [EvaluatedMetric]) -> Table {
    Table(
      columns: [.name("Metric"), .name("Why"), .name("What would help")],
      rows: metrics.map { metric in
        [
          Table.Cell(metric.label), Table.Cell(metric.value.unavailable?.reason ?? ""),
          metric.value.unavailable?.remedy.map { Table.Cell.code($0) } ?? .empty,
        ]
      })
  }
}
