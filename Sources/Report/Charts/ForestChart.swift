// By how much did each number change, and how sure is that? Points with their intervals beside a line of no change.
import Foundation

/// A forest plot: ratios of B to A on a logarithmic axis, so that twice as much is as far from no change as half as much.
struct ForestChart: Chart {
  /// One number.
  struct Row: Sendable {
    var color: ColorKey
    var label: String
    /// Whether the label is a name out of a program.
    var isCode = false
    /// B ÷ A, above 0.
    var ratio: Double
    /// The interval, where there is one.
    var lower: Double?
    var upper: Double?
    /// What stands at the end of the row.
    var value: String
    /// Further lines of the hover text.
    var details: [String] = []
  }

  var summary: String
  var rows: [Row]
  /// Changes below this share count as none; a band shows it.
  var margin: Double
  var legend: [LegendItem] = []

  /// Where things are: shared by the drawing and its tests.
  struct Layout {
    /// The ends of the axis, as logarithms of a ratio; no change, 0, lies between them.
    var low: Double
    var high: Double
    var left: Double
    var right: Double
    var rowHeight: Double
    var labelsAbove: Bool
    var top: Double

    /// The position of a ratio, at the edge where it lies beyond.
    func position(_ ratio: Double) -> Double {
      let logarithm = ratio > 0 ? log(ratio) : -.infinity
      return left + (min(max(logarithm, low), high) - low) / (high - low) * (right - left)
    }

    /// Whether a ratio lies beyond the axis.
    func isBeyond(_ ratio: Double) -> Bool {
      !(ratio > 0) || log(ratio) < low * (1 + 1e-9) || log(ratio) > high * (1 + 1e-9)
    }
  }

  /// The axis holds every point. Intervals may run out of it: one number that varies much must not squeeze all others.
  func layout(width: Double) -> Layout {
    let isNarrow = width < 600
    let least = 1.6 * log1p(margin)
    /// How far the axis goes one way: to the farthest point, and to where three of four intervals end.
    func reach(_ sign: Double) -> Double {
      let points = rows.map { log($0.ratio) * sign }.filter(\.isFinite)
      let bounds = rows.compactMap { sign < 0 ? $0.lower : $0.upper }.filter { $0 > 0 && $0.isFinite }
        .map { log($0) * sign }.sorted()
      let typical = bounds.isEmpty ? 0 : bounds[bounds.count * 3 / 4]
      return max(least, 1.12 * (points.max() ?? 0), 1.12 * typical)
    }
    let (low, high) = (-reach(-1), reach(1))
    let widest =
      rows.map { TextMeasure.width($0.label, size: $0.isCode ? 11.5 : 12.5, monospaced: $0.isCode) }.max() ?? 0
    let values = rows.map { TextMeasure.width($0.value, size: 11.5) }.max() ?? 0
    return Layout(
      low: low, high: high, left: isNarrow ? 8 : min(width * 0.36, widest + 22),
      right: width - (isNarrow ? 8 : values + 18),
      rowHeight: isNarrow ? 38 : 24, labelsAbove: isNarrow, top: 26)
  }

  /// Ratios worth a tick between two logarithms: round percentages for small changes, powers of two or ten for large ones.
  static func ticks(from low: Double, to high: Double, count: Int = 6) -> [(ratio: Double, label: String)] {
    let reach = max(-low, high)
    guard reach > 0.75 else {
      let scale = LinearScale((exp(low) - 1)...(exp(high) - 1), from: 0, to: 1, tickCount: count, nice: false)
      return zip(scale.ticks, ValueFormat.percent.ticks(scale.ticks)).map { tick, label in
        (1 + tick, abs(tick) < 1e-12 ? "no change" : (tick > 0 ? "+" : "") + label)
      }
    }
    var base = 2.0
    while reach / log(base) > 5 { base *= base == 2 ? 5 : 10 }
    let first = Int((low / log(base) - 1e-9).rounded(.up))
    let last = Int((high / log(base) + 1e-9).rounded(.down))
    return (min(first, 0)...max(last, 0)).map { step in
      let factor = NumberFormat.plain(pow(base, Double(abs(step))))
      return (pow(base, Double(step)), step == 0 ? "no change" : step > 0 ? "× \(factor)" : "÷ \(factor)")
    }
  }

  func draw(width: Double) -> Drawing {
    let layout = layout(width: width)
    let bottom = layout.top + Double(rows.count) * layout.rowHeight + 4
    let (from, to) = (layout.position(1 / (1 + margin)), layout.position(1 + margin))
    var body = Mark.rect(
      x: from, y: layout.top - 4, width: to - from, height: bottom - layout.top + 4,
      class: "area \(ColorKey.same.name)",
      tip: ["changes below \(NumberFormat.percent(margin)) count as none"])
    var end = -Double.infinity
    for (ratio, label) in Self.ticks(from: layout.low, to: layout.high, count: width < 600 ? 4 : 7) {
      let x = layout.position(ratio)
      body += Mark.line(
        x1: x, y1: layout.top - 4, x2: x, y2: bottom, class: abs(ratio - 1) < 1e-12 ? "base" : "grid")
      let half = TextMeasure.width(label, size: 11) / 2
      let center = min(max(x, half), width - half)
      guard center - half > end + 6 else { continue }
      end = center + half
      body += Mark.text(label, x: center, y: layout.top - 11, class: "tick", anchor: .middle)
    }
    for (index, row) in rows.enumerated() {
      let top = layout.top + Double(index) * layout.rowHeight
      let middle = top + (layout.labelsAbove ? 27 : layout.rowHeight / 2)
      let name = row.isCode ? "code" : "label"
      let size = row.isCode ? 11.5 : 12.5
      if layout.labelsAbove {
        let room = width - TextMeasure.width(row.value, size: 11.5) - 14
        body += Mark.text(
          TextMeasure.fitted(row.label, width: room, size: size, monospaced: row.isCode), x: 0, y: top + 14,
          class: name + " halo")
        body += Mark.text(row.value, x: width, y: top + 14, class: "value small halo", anchor: .end)
      } else {
        body += Mark.text(
          TextMeasure.fitted(row.label, width: layout.left - 18, size: size, monospaced: row.isCode),
          x: layout.left - 14, y: middle + 4, class: name, anchor: .end)
        body += Mark.text(row.value, x: width, y: middle + 4, class: "value small", anchor: .end)
      }
      if let lower = row.lower, let upper = row.upper {
        body += interval(lower, upper, middle, row.color, layout)
      }
      body += Mark.circle(
        x: layout.position(row.ratio), y: middle, radius: 4.2, class: "point \(row.color.name)",
        tip: [row.label, row.value] + row.details)
    }
    return Drawing(width: width, height: bottom + 4, body: body)
  }

  /// A line from bound to bound with a bar across each end; an arrow where it runs out of the axis.
  private func interval(_ lower: Double, _ upper: Double, _ y: Double, _ color: ColorKey, _ layout: Layout) -> HTML {
    let name = "line \(color.name)"
    let ends = (layout.position(lower), layout.position(upper))
    var body = Mark.line(x1: ends.0, y1: y, x2: ends.1, y2: y, class: name)
    for (x, bound, inward) in [(ends.0, lower, 5.0), (ends.1, upper, -5.0)] {
      body +=
        layout.isBeyond(bound)
        ? "<path d='\(Mark.path([(x: x + inward, y: y - 4), (x: x, y: y), (x: x + inward, y: y + 4)]))' class='\(name)'/>"
        : Mark.line(x1: x, y1: y - 4, x2: x, y2: y + 4, class: name)
    }
    return body
  }
}
