// How does a whole divide into parts, row by row? Stacked horizontal bars.

/// Stacked horizontal bars on one axis: a run's time by category, one bar a phase; thread time by state.
struct StackedBarChart: Chart {
  /// A part of a bar.
  struct Segment: Sendable {
    var color: ColorKey
    /// What the part is: `convolution`.
    var name: String
    var value: Double
    /// Further lines of the hover text.
    var details: [String] = []
  }

  /// A bar.
  struct Row: Sendable {
    var label: String
    var segments: [Segment]
    var total: Double { segments.reduce(0) { $0 + $1.value } }
  }

  var summary: String
  var rows: [Row]
  var format: ValueFormat
  /// What a share in a hover text is a share of: the sum of all rows, or each row on its own.
  var isShareOfRow = true
  /// Whether segments carry their share; off where a bar has but one.
  var labelsSegments = true
  /// Rows whose colours the legend explains, where others only have labels; all when not given.
  var legendRows: Int?
  /// Lower rows, for many of them.
  var isCompact = false
  /// Whether each row's sum stands beside its bar; off for shares, whose sum says nothing.
  var showsTotals = true

  var legend: [LegendItem] {
    var totals: [LegendItem: Double] = [:]
    var order: [LegendItem] = []
    for segment in rows.prefix(legendRows ?? rows.count).flatMap(\.segments) where segment.value > 0 {
      let item = LegendItem(color: segment.color, text: segment.name)
      if totals[item] == nil { order.append(item) }
      totals[item, default: 0] += segment.value
    }
    return order.enumerated().sorted { first, second in
      let (one, two) = (totals[first.element] ?? 0, totals[second.element] ?? 0)
      return one != two ? one > two : first.offset < second.offset
    }.map(\.element)
  }

  /// Where the bars are: shared by the drawing and its tests.
  struct Layout {
    var scale: LinearScale
    var rowHeight: Double
    var barHeight: Double
    var barTop: Double
    var labelsAbove: Bool
    var height: Double
  }

  func layout(width: Double) -> Layout {
    let isNarrow = width < 600
    let labelWidth = isNarrow ? 0 : min(230, (rows.map { TextMeasure.width($0.label, size: 12.5) }.max() ?? 0) + 14)
    let noteWidth =
      isNarrow || !showsTotals ? 0 : (rows.map { TextMeasure.width(format.text($0.total)) }.max() ?? 0) + 12
    let greatest = rows.map(\.total).max() ?? 1
    let scale = LinearScale(
      0...max(greatest, 1e-12), from: labelWidth, to: width - max(noteWidth, isNarrow ? 16 : 20),
      tickCount: isNarrow ? 4 : 8, nice: false)
    let barHeight: Double = isCompact ? (isNarrow ? 14 : 17) : isNarrow ? 22 : 24
    let barTop: Double = isNarrow ? 18 : isCompact ? 3 : 4
    let rowHeight = barTop + barHeight + (isCompact ? (isNarrow ? 7 : 3) : 8)
    return Layout(
      scale: scale, rowHeight: rowHeight, barHeight: barHeight, barTop: barTop,
      labelsAbove: isNarrow, height: Double(rows.count) * rowHeight + 28)
  }

  func draw(width: Double) -> Drawing {
    let layout = layout(width: width)
    let scale = layout.scale
    let bottom = Double(rows.count) * layout.rowHeight + 4
    var body = Mark.bottomAxis(scale, format: format, top: 2, bottom: bottom)
    let sum = rows.reduce(0) { $0 + $1.total }
    for (index, row) in rows.enumerated() {
      let top = Double(index) * layout.rowHeight
      let total = showsTotals ? format.text(row.total) : ""
      if layout.labelsAbove {
        let room = width - TextMeasure.width(total) - 10
        body += Mark.text(TextMeasure.fitted(row.label, width: room, size: 12.5), x: 0, y: top + 13, class: "label")
        body += Mark.text(total, x: width, y: top + 13, class: "value", anchor: .end)
      } else {
        let middle = top + layout.barTop + layout.barHeight / 2 + 4.5
        let label = TextMeasure.fitted(row.label, width: scale.start - 12, size: 12.5)
        body += Mark.text(label, x: scale.start - 12, y: middle, class: "label", anchor: .end)
        body += Mark.text(total, x: scale.position(row.total) + 7, y: middle, class: "value")
      }
      var from = 0.0
      for segment in row.segments where segment.value > 0 {
        let x = scale.position(from)
        from += segment.value
        let segmentWidth = scale.position(from) - x
        let share = segment.value / (isShareOfRow ? row.total : sum)
        let tip =
          ["\(segment.name) · \(row.label)", "\(format.text(segment.value)) · \(NumberFormat.percent(share))"]
          + segment.details
        // A gap of one unit keeps neighbours apart; what is thinner than that stays visible.
        body += Mark.rect(
          x: x, y: top + layout.barTop, width: max(0.6, segmentWidth - (segmentWidth > 3 ? 1 : 0)),
          height: layout.barHeight, class: "bar \(segment.color.name)", tip: tip)
        let percent = NumberFormat.percent(share)
        // A share of a bar's only part would say nothing.
        let candidates = row.segments.count > 1 ? ["\(segment.name) \(percent)", percent] : [segment.name]
        if labelsSegments, row.segments.count > 1,
          let text = candidates.first(where: { TextMeasure.width($0, size: 11) + 10 < segmentWidth })
        {
          body += Mark.text(
            text, x: x + segmentWidth / 2, y: top + layout.barTop + layout.barHeight / 2 + 4,
            class: "on \(segment.color.name)", anchor: .middle)
        }
      }
    }
    return Drawing(width: width, height: layout.height, body: body)
  }
}
