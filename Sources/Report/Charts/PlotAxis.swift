// What does an axis of a plot show, in which unit, from where to where, and which ticks have room for a label?
import Foundation

/// An axis before it has a length.
struct PlotAxis: Sendable {
  var title: String
  var format: ValueFormat
  var isLogarithmic = false
  /// Values that it reaches in any case, such as 0 or those of another plot.
  var includes: [Double] = []

  /// Whether a value has a place on the axis.
  func admits(_ value: Double) -> Bool {
    value.isFinite && abs(value) < 1e150 && (!isLogarithmic || value > 1e-150)
  }

  /// The axis over these values, between two positions.
  func placed(_ values: [Double], from start: Double, to end: Double, tickCount: Int = 5) -> PlacedAxis {
    let known = (values + includes).filter(admits)
    if isLogarithmic {
      let low = PlotAxis.round((known.min() ?? 1) / 1.12, .down)
      let high = PlotAxis.round((known.max() ?? 10) * 1.12, .up)
      let scale = LogScale(low...high, from: start, to: end)
      var ticks = scale.ticks
      // More decades than there is room for: every second, third, … of them.
      let step = (ticks.count + 9) / 10
      if step > 1 { ticks = ticks.enumerated().filter { $0.offset % step == 0 }.map(\.element) }
      return PlacedAxis(
        scale: scale, domain: scale.domain, start: start, end: end,
        ticks: ticks.map { PlacedAxis.Tick(value: $0, position: scale.position($0), label: format.logTick($0)) },
        minorTicks: step > 1 ? [] : scale.minorTicks.map(scale.position))
    }
    let scale = LinearScale(
      (known.min() ?? 0)...(known.max() ?? 1), from: start, to: end, tickCount: tickCount)
    return PlacedAxis(
      scale: scale, domain: scale.domain, start: start, end: end,
      ticks: zip(scale.ticks, format.ticks(scale.ticks)).map {
        PlacedAxis.Tick(value: $0, position: scale.position($0), label: $1)
      }, minorTicks: [])
  }

  /// The next 1, 2 or 5 × 10ⁿ below or above.
  private static func round(_ value: Double, _ rule: FloatingPointRoundingRule) -> Double {
    let power = pow(10, log10(value).rounded(.down))
    let steps = [1.0, 2, 5, 10].map { $0 * power }
    return rule == .down
      ? steps.last { $0 <= value * (1 + 1e-9) } ?? power : steps.first { $0 >= value * (1 - 1e-9) } ?? power * 10
  }
}

/// An axis with a length.
struct PlacedAxis: Sendable {
  /// A tick.
  struct Tick: Sendable {
    var value: Double
    var position: Double
    var label: String
  }

  var scale: any Scale
  var domain: ClosedRange<Double>
  var start: Double
  var end: Double
  var ticks: [Tick]
  /// Positions of the lines between decades.
  var minorTicks: [Double]

  /// Where a value is; what lies beyond the axis is at its end.
  func position(_ value: Double) -> Double {
    scale.position(min(max(value, domain.lowerBound), domain.upperBound))
  }

  /// The room that the labels need at the left of the axis.
  var labelWidth: Double { (ticks.map { TextMeasure.width($0.label, size: 11) }.max() ?? 0) + 12 }

  /// Grid lines and labels of a vertical axis.
  func left(from left: Double, to right: Double) -> HTML {
    var result = HTML.empty
    for tick in ticks {
      result += Mark.line(x1: left, y1: tick.position, x2: right, y2: tick.position, class: "grid")
      result += Mark.text(tick.label, x: left - 7, y: tick.position + 4, class: "tick", anchor: .end)
    }
    return result
  }

  /// Grid lines, labels below, and a base line with small ticks between decades.
  ///
  /// - Parameters:
  ///   - origin: what no label crosses to the left.
  ///   - edge: what no label crosses to the right.
  func bottom(from top: Double, to bottom: Double, origin: Double = 0, edge: Double, title: String = "") -> HTML {
    var result = HTML.empty
    for tick in ticks {
      result += Mark.line(x1: tick.position, y1: top, x2: tick.position, y2: bottom, class: "grid")
    }
    for position in minorTicks {
      result += Mark.line(x1: position, y1: bottom, x2: position, y2: bottom + 3, class: "base")
    }
    result += Mark.line(x1: start, y1: bottom, x2: end, y2: bottom, class: "base")
    for tick in labelled(from: origin, to: edge) {
      result += Mark.text(tick.label, x: tick.position, y: bottom + 16, class: "tick", anchor: tick.anchor)
    }
    if !title.isEmpty {
      let text = TextMeasure.fitted(title, width: edge, size: 11.5)
      let half = TextMeasure.width(text, size: 11.5) / 2
      let middle = min(max((start + end) / 2, half), edge - half)
      result += Mark.text(text, x: middle, y: bottom + 33, class: "axis", anchor: .middle)
    }
    return result
  }

  /// The labels below a horizontal axis that don't touch each other: every one, or every second, third, …
  func labelled(from origin: Double, to edge: Double) -> [(position: Double, label: String, anchor: Mark.Anchor)] {
    let all = ticks.map { tick -> (position: Double, label: String, anchor: Mark.Anchor, from: Double, to: Double) in
      let width = TextMeasure.width(tick.label, size: 11)
      // The first and the last label would run out when centred.
      if tick.position - width / 2 < origin { return (origin, tick.label, .start, origin, origin + width) }
      if tick.position + width / 2 > edge { return (edge, tick.label, .end, edge - width, edge) }
      return (tick.position, tick.label, .middle, tick.position - width / 2, tick.position + width / 2)
    }
    for step in 1...max(1, all.count) {
      let some = all.enumerated().filter { $0.offset % step == 0 }.map(\.element)
      if zip(some, some.dropFirst()).allSatisfy({ $0.to + 7 <= $1.from }) {
        return some.map { (position: $0.position, label: $0.label, anchor: $0.anchor) }
      }
    }
    return []
  }
}

extension ValueFormat {
  /// A tick of a logarithmic axis: 1, 2 or 5 times a power of ten.
  func logTick(_ value: Double) -> String {
    switch self {
    case .duration:
      value >= 1e9
        ? "\(NumberFormat.decimal(value / 1e9, significant: 1))\(NumberFormat.space)s"
        : NumberFormat.duration(value, significant: 1)
    case .percent: "\(NumberFormat.decimal(value * 100, significant: 1))\(NumberFormat.space)%"
    case .bytes: NumberFormat.si(value, "B", significant: 1)
    case .count, .decimal:
      value < 1e4 ? NumberFormat.decimal(value, significant: 1) : NumberFormat.si(value, "", significant: 1)
    case .si(let unit): NumberFormat.si(value, unit, significant: 1)
    }
  }
}
