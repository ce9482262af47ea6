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
    var bars: LinearScale
    var cumulative: LinearScale
    var rowHeight: Double
    var barHeight: Double
    var barTop: Double
    var labelsAbove: Bool
    var top: Double
    var valueRoom: Double
  }

  func layout(width: Double) -> Layout {
    let isNarrow = width < 600
    let widest = bars.map { TextMeasure.width($0.label, size: 11.5, monospaced: true) }.max() ?? 0
    let labelWidth = isNarrow ? 0 : min(width * 0.42, widest + 14)
    let valueRoom = (bars.map { TextMeasure.width(format.text($0.value), size: 11.5) }.max() ?? 0) + 12
    let greatest = bars.filter { !$0.isRest }.map(\.value).max() ?? bars.map(\.value).max() ?? 1
    let right = width - (isNarrow ? 16 : 26)
    return Layout(
      bars: LinearScale(
        0...max(greatest, 1e-12), from: labelWidth, to: isNarrow ? right : right - valueRoom, nice: false),
      cumulative: LinearScale(0...1, from: labelWidth, to: right, tickCount: 5, nice: false),
      rowHeight: isNarrow ? 38 : 24, barHeight: isNarrow ? 14 : 16, barTop: isNarrow ? 18 : 4,
      labelsAbove: isNarrow, top: 24, valueRoom: valueRoom)
  }

  func draw(width: Double) -> Drawing {
    let layout = layout(width: width)
    let bottom = layout.top + Double(bars.count) * layout.rowHeight + 2
    var body = HTML.empty
    for (value, label) in zip(
      layout.cumulative.ticks, ValueFormat.percent.ticks(layout.cumulative.ticks))
    {
      let x = layout.cumulative.position(value)
      let isMark = abs(value - 0.8) < 1e-9
      body += Mark.line(x1: x, y1: layout.top - 2, x2: x, y2: bottom, class: isMark ? "mark" : "grid")
      body += Mark.text(
        label, x: x, y: layout.top - 9, class: isMark ? "tick strong" : "tick",
        anchor: value == 0 ? .start : .middle)
    }
    let whole = max(self.whole ?? bars.reduce(0) { $0 + $1.value }, 1e-300)
    var sum = 0.0
    var points: [(x: Double, y: Double)] = []
    var dots = HTML.empty
    for (index, bar) in bars.enumerated() {
      let top = layout.top + Double(index) * layout.rowHeight
      sum += bar.value
      let tip =
        [bar.label, "\(format.text(bar.value)) · \(NumberFormat.percent(bar.value / whole)) of the whole"]
        + bar.details
        + (bar.isRest ? [] : ["first \(index + 1) together: \(NumberFormat.percent(sum / whole))"])
      let end = min(layout.bars.position(bar.value), layout.bars.end)
      let value = format.text(bar.value)
      if layout.labelsAbove {
        let room = width - layout.valueRoom - 8
        body += Mark.text(
          TextMeasure.fitted(bar.label, width: room, size: 11.5, monospaced: !bar.isRest), x: 0, y: top + 13,
          class: bar.isRest ? "label rest" : "code")
        body += Mark.text(value, x: width, y: top + 13, class: "value small", anchor: .end)
      } else {
        let middle = top + layout.barTop + layout.barHeight / 2 + 4
        let label = TextMeasure.fitted(
          bar.label, width: layout.bars.start - 12, size: 11.5, monospaced: !bar.isRest)
        body += Mark.text(
          label, x: layout.bars.start - 10, y: middle, class: bar.isRest ? "label rest" : "code", anchor: .end)
      }
      body += Mark.rect(
        x: layout.bars.start, y: top + layout.barTop, width: max(0.8, end - layout.bars.start),
        height: layout.barHeight, class: "bar \(bar.color.name)\(bar.isRest ? " faint" : "")", tip: tip)
      if !layout.labelsAbove {
        body += Mark.text(
          value, x: end + 6, y: top + layout.barTop + layout.barHeight / 2 + 4, class: "value small halo")
      }
      if !bar.isRest {
        let point = (
          x: layout.cumulative.position(min(1, sum / whole)), y: top + layout.barTop + layout.barHeight / 2
        )
        points.append(point)
        dots += "<circle cx='\(point.x)' cy='\(point.y)' r='2.6' class='dot'>\(Mark.tip(tip))</circle>"
      }
    }
    body += "<path d='\(Mark.path(points))' class='cumulative'/>\(dots)"
    return Drawing(width: width, height: bottom + 4, body: body)
  }
}
