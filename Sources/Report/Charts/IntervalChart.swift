// How sure is each estimate, and on which side of a threshold does it lie? Points with their intervals.
import Foundation

/// Rows with a point and its interval on one axis.
struct IntervalChart: Chart {
  /// A row.
  struct Row: Sendable {
    var label: String
    var color = ColorKey.group(0)
    /// The estimate; none where it was not measured.
    var point: Double?
    /// The interval's ends; where only one is there, the other is not bounded.
    var lower: Double?
    var upper: Double?
    /// Another form of the estimate.
    var second: Double?
    /// Why there is no estimate.
    var reason: String?
    var details: [String] = []
  }

  /// A vertical line.
  struct Threshold: Sendable {
    var value: Double
    var label: String
  }

  var summary: String
  var rows: [Row]
  var axis: PlotAxis
  var threshold: Threshold?
  /// What the points are; named above the chart when there are two kinds.
  var pointName = "estimate"
  var secondName = ""
  var intervalName = "interval"
  var keys: [LegendItem] = []

  var legend: [LegendItem] { keys }

  private static let rowHeight = 24.0

  /// A row's numbers, without those that are none.
  private struct Known {
    var point: Double?
    var lower: Double?
    var upper: Double?
    var second: Double?
    /// An interval that ends nowhere on this side.
    var isOpenBelow = false
    var isOpenAbove = false

    init(_ row: Row) {
      point = row.point.flatMap { $0.isFinite ? $0 : nil }
      lower = row.lower.flatMap { $0.isFinite ? $0 : nil }
      upper = row.upper.flatMap { $0.isFinite ? $0 : nil }
      second = row.second.flatMap { $0.isFinite ? $0 : nil }
      isOpenAbove = lower != nil && upper == nil
      isOpenBelow = upper != nil && lower == nil
    }

    var values: [Double] { [point, lower, upper, second].compactMap { $0 } }
  }

  /// Where things are: shared by the drawing and its tests.
  struct Layout {
    var axis: PlacedAxis
    var labelsAbove: Bool
    var rowHeight: Double
    var top: Double
    var bottom: Double

    /// The height at which a row's point lies.
    func middle(_ row: Int) -> Double { top + rowHeight * Double(row) + (labelsAbove ? 27 : rowHeight / 2) }
  }

  func layout(width: Double) -> Layout {
    let isNarrow = width < 600
    let values = rows.flatMap { Known($0).values } + (threshold.map { [$0.value] } ?? [])
    let widest = (rows.map { TextMeasure.width($0.label, size: 12.5) }.max() ?? 0) + 16
    let numbers = (rows.compactMap { Known($0).point }.map { TextMeasure.width(text($0)) }.max() ?? 0) + 12
    let left = isNarrow ? 10 : min(300, widest)
    let right = width - (isNarrow ? 14 : max(numbers, 20)) - (isNarrow ? 0 : 10)
    let keyHeight = secondName.isEmpty ? 0.0 : isNarrow && keyWidth > width ? 40 : 22
    let top = keyHeight + (threshold == nil ? 4 : 20)
    let rowHeight = isNarrow ? 38 : IntervalChart.rowHeight
    return Layout(
      axis: axis.placed(values, from: left, to: right, tickCount: isNarrow ? 4 : 8), labelsAbove: isNarrow,
      rowHeight: rowHeight, top: top, bottom: top + rowHeight * Double(rows.count) + 4)
  }

  func draw(width: Double) -> Drawing {
    let layout = layout(width: width)
    let placed = layout.axis
    var body = key(width: width)
    body += placed.bottom(from: layout.top, to: layout.bottom, edge: width, title: axis.title)
    if let threshold, axis.admits(threshold.value) {
      let x = placed.position(threshold.value)
      body += Mark.line(x1: x, y1: layout.top - 3, x2: x, y2: layout.bottom, class: "mark")
      let text = TextMeasure.fitted(threshold.label, width: width, size: 11)
      let half = TextMeasure.width(text, size: 11) / 2
      body += Mark.text(
        text, x: min(max(x, half), width - half), y: layout.top - 8, class: "tick strong", anchor: .middle)
    }
    for (index, row) in rows.enumerated() {
      let y = layout.middle(index)
      let known = Known(row)
      let value = known.point.map(text) ?? ""
      if layout.labelsAbove {
        let room = width - TextMeasure.width(value) - 10
        body += Mark.text(TextMeasure.fitted(row.label, width: room, size: 12.5), x: 0, y: y - 10, class: "label halo")
        body += Mark.text(value, x: width, y: y - 10, class: "value halo", anchor: .end)
      } else {
        body += Mark.text(
          TextMeasure.fitted(row.label, width: placed.start - 14, size: 12.5), x: placed.start - 12, y: y + 4.5,
          class: "label", anchor: .end)
        body += Mark.text(value, x: width, y: y + 4.5, class: "value", anchor: .end)
      }
      guard !known.values.isEmpty else {
        let text = "not measured" + (row.reason.map { ": \($0)" } ?? "")
        let start = placed.start + (layout.labelsAbove ? -10 : 6)
        let shown = TextMeasure.fitted(text, width: width - start - 4, size: 11)
        body +=
          "<g>\(Mark.tip([row.label, text] + row.details))\(Mark.text(shown, x: start, y: y + 4, class: "tick absent halo"))</g>"
        continue
      }
      body += "<g>\(Mark.tip(tip(row, known)))\(mark(known, color: row.color, axis: placed, y: y))</g>"
    }
    let titleHeight = axis.title.isEmpty ? 24.0 : 41
    return Drawing(width: width, height: layout.bottom + titleHeight, body: body)
  }

  private func mark(_ known: Known, color: ColorKey, axis placed: PlacedAxis, y: Double) -> HTML {
    var result = HTML.empty
    if known.lower != nil || known.upper != nil {
      let from = known.lower.map(placed.position) ?? placed.start
      let to = known.upper.map(placed.position) ?? placed.end
      // A wide invisible line to hover.
      result += Mark.line(x1: from, y1: y, x2: to, y2: y, class: "reach")
      result += Mark.line(x1: from, y1: y, x2: to, y2: y, class: "whisker \(color.name)")
      result +=
        known.isOpenBelow
        ? "<path d='M\(from + 6) \(y - 4)L\(from) \(y)L\(from + 6) \(y + 4)' class='line \(color.name)'/>"
        : Mark.line(x1: from, y1: y - 4, x2: from, y2: y + 4, class: "whisker \(color.name)")
      result +=
        known.isOpenAbove
        ? "<path d='M\(to - 6) \(y - 4)L\(to) \(y)L\(to - 6) \(y + 4)' class='line \(color.name)'/>"
        : Mark.line(x1: to, y1: y - 4, x2: to, y2: y + 4, class: "whisker \(color.name)")
    }
    if let second = known.second {
      result +=
        "<circle cx='\(placed.position(second))' cy='\(y)' r='4.2' class='open \(color.name)'/>"
    }
    if let point = known.point {
      result += "<circle cx='\(placed.position(point))' cy='\(y)' r='4.2' class='point \(color.name)'/>"
    }
    return result
  }

  private func tip(_ row: Row, _ known: Known) -> [String] {
    var lines = [row.label]
    if let point = known.point { lines.append("\(pointName): \(text(point))") }
    if known.lower != nil || known.upper != nil {
      let from = known.lower.map(text) ?? "not bounded"
      let to = known.upper.map(text) ?? "not bounded"
      lines.append("\(intervalName): \(from) … \(to)")
    }
    if let second = known.second {
      lines.append("\(secondName.isEmpty ? "other estimate" : secondName): \(text(second))")
    }
    if let reason = row.reason { lines.append(reason) }
    return lines + row.details
  }

  /// A value: shares below a hundredth with two digits, since it is small ones that are compared here.
  private func text(_ value: Double) -> String {
    guard case .percent = axis.format, value > 0, value < 0.01 else { return axis.format.text(value) }
    return "\(NumberFormat.decimal(value * 100, significant: 2))\(NumberFormat.space)%"
  }

  private var keyWidth: Double { TextMeasure.width(pointName) + TextMeasure.width(secondName) + 62 }

  /// What the two kinds of points are.
  private func key(width: Double) -> HTML {
    guard !secondName.isEmpty else { return .empty }
    let isInTwoLines = keyWidth > width
    let first = TextMeasure.fitted(pointName, width: width - 20)
    let second = TextMeasure.fitted(secondName, width: width - 20)
    let x = isInTwoLines ? 0 : TextMeasure.width(first) + 42
    let y = isInTwoLines ? 26.0 : 8
    let color = rows.first?.color.name ?? ColorKey.group(0).name
    return "<circle cx='6' cy='8' r='4.2' class='point \(color)'/>"
      + Mark.text(first, x: 17, y: 12, class: "value")
      + "<circle cx='\(x + 6)' cy='\(y)' r='4.2' class='open \(color)'/>"
      + Mark.text(second, x: x + 17, y: y + 4, class: "value")
  }
}
