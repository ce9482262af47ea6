// Which few things take most of the time? Ranked bars with their cumulative share.

/// Ranked horizontal bars with the cumulative share as a line, and the 80 % mark.
struct ParetoChart: Chart {
  /// A ranked thing.
  struct Bar: Sendable {
    var color: ColorKey
    var label: String
    var value: Double
    /// Further lines of the hover text; the full name comes first.
    var details: [String] = []
    /// Whether it is the rest that isn't listed, drawn apart.
    var isRest = false
  }

  var summary: String
  var bars: [Bar]
  var format: ValueFormat
  /// What 100 % is; the bars' sum when not given.
  var whole: Double?
  /// Keys of the colours.
  var legend: [LegendItem] = []

  /// Where things are: shared by the drawing and its tests.
  struct Layout {
    /// Shares in 0…1, of a bar and of all bars so far: one axis for both, so that the first bar ends at the first point.
    var scale: LinearScale
    var rowHeight: Double
    var barHeight: Double
    var barTop: Double
    var labelsAbove: Bool
    var top: Double
  }

  func layout(width: Double) -> Layout {
    let isNarrow = width < 600
    let widest = bars.map { TextMeasure.width($0.label, size: 11.5, monospaced: true) }.max() ?? 0
    let labelWidth = isNarrow ? 0 : min(width * 0.4, widest + 14)
    return Layout(
      scale: LinearScale(0...1, from: labelWidth, to: width - (isNarrow ? 16 : 26), tickCount: 5, nice: false),
      rowHeight: isNarrow ? 38 : 24, barHeight: isNarrow ? 14 : 16, barTop: isNarrow ? 18 : 4,
      labelsAbove: isNarrow, top: 24)
  }

  func draw(width: Double) -> Drawing {
    let layout = layout(width: width)
    let scale = layout.scale
    let bottom = layout.top + Double(bars.count) * layout.rowHeight + 2
    var body = HTML.empty
    for (value, label) in zip(scale.ticks, ValueFormat.percent.ticks(scale.ticks)) {
      let x = scale.position(value)
      let isMark = abs(value - 0.8) < 1e-9
      body += Mark.line(x1: x, y1: layout.top - 2, x2: x, y2: bottom, class: isMark ? "mark" : "grid")
      body += Mark.text(
        label, x: x, y: layout.top - 9, class: isMark ? "tick strong" : "tick", anchor: value == 0 ? .start : .middle)
    }
    let whole = max(self.whole ?? bars.reduce(0) { $0 + $1.value }, 1e-300)
    var sum = 0.0
    var points: [(x: Double, y: Double)] = []
    var dots = HTML.empty
    var labels = HTML.empty
    for (index, bar) in bars.enumerated() {
      let top = layout.top + Double(index) * layout.rowHeight
      let middle = top + layout.barTop + layout.barHeight / 2
      let share = bar.value / whole
      sum += bar.value
      let tip =
        [bar.label, "\(format.text(bar.value)) · \(NumberFormat.percent(share)) of the whole"] + bar.details
        + (bar.isRest ? [] : ["first \(index + 1) together: \(NumberFormat.percent(sum / whole))"])
      let end = min(scale.position(share), scale.end)
      let value = "\(NumberFormat.percent(share)) · \(format.text(bar.value))"
      let valueWidth = TextMeasure.width(value, size: 11.5)
      let name = bar.isRest ? "label rest" : "code"
      if layout.labelsAbove {
        let label = TextMeasure.fitted(
          bar.label, width: width - valueWidth - 12, size: 11.5, monospaced: !bar.isRest)
        labels += Mark.text(label, x: 0, y: top + 13, class: name + " halo")
        labels += Mark.text(value, x: width, y: top + 13, class: "value small halo", anchor: .end)
      } else {
        let label = TextMeasure.fitted(bar.label, width: scale.start - 12, size: 11.5, monospaced: !bar.isRest)
        labels += Mark.text(label, x: scale.start - 10, y: middle + 4, class: name, anchor: .end)
      }
      body += Mark.rect(
        x: scale.start, y: top + layout.barTop, width: max(0.8, end - scale.start), height: layout.barHeight,
        class: "bar \(bar.color.name)\(bar.isRest ? " faint" : "")", tip: tip)
      let dot = scale.position(min(1, sum / whole))
      if !layout.labelsAbove {
        // Beside the bar, or beside the point where that lies in the way.
        let isInTheWay = !bar.isRest && dot > end - 4 && dot < end + valueWidth + 12
        let x = isInTheWay ? dot + 9 : end + 6
        let fits = x + valueWidth < width
        labels += Mark.text(
          value, x: fits ? x : end - 6, y: middle + 4, class: fits ? "value small halo" : "small on \(bar.color.name)",
          anchor: fits ? .start : .end)
      }
      if !bar.isRest {
        points.append((x: dot, y: middle))
        dots += Mark.circle(x: dot, y: middle, radius: 2.6, class: "dot", tip: tip)
      }
    }
    body += "<path d='\(Mark.path(points))' class='cumulative'/>\(labels)\(dots)"
    return Drawing(width: width, height: bottom + 4, body: body)
  }
}
