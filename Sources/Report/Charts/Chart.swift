// What is a chart, and what do all charts share: text width, formats of values, axes, hover texts?
import Foundation

/// A drawing made of plain values.
protocol Chart: Sendable {
  /// What the chart shows, in words, for readers who don't see it.
  var summary: String { get }
  /// Keys of its colours; drawn above it as text that wraps.
  var legend: [LegendItem] { get }
  /// The drawing for a page that has `width` units (1 unit is a pixel on a wide page) for it.
  func draw(width: Double) -> Drawing
}

extension Chart {
  var legend: [LegendItem] { [] }
}

/// One entry of a legend.
struct LegendItem: Hashable, Sendable {
  var color: ColorKey
  var text: String
}

/// Markup in a box of that size.
struct Drawing: Sendable {
  var width: Double
  var height: Double
  var body: HTML

  /// The drawing as an `svg` element.
  func svg(label: String) -> HTML {
    "<svg viewBox='0 0 \(width) \(height)' role='img' aria-label='\(label)'>\(body)</svg>"
  }
}

/// How the values along an axis are written.
enum ValueFormat: Hashable, Sendable {
  /// Nanoseconds.
  case duration
  /// Shares in 0…1.
  case percent
  case bytes
  case count
  case decimal
  /// With SI prefixes on this unit.
  case si(String)

  /// The format for a profile's unit.
  init(unit: String) {
    self =
      switch unit {
      case "ns": .duration
      case "B": .bytes
      case "1", "": .decimal
      default: .si(unit)
      }
  }

  /// One value, three significant digits.
  func text(_ value: Double) -> String {
    switch self {
    case .duration: NumberFormat.duration(value)
    case .percent: NumberFormat.percent(value)
    case .bytes: NumberFormat.bytes(value)
    case .count: NumberFormat.count(value)
    case .decimal: NumberFormat.decimal(value)
    case .si(let unit): NumberFormat.si(value, unit)
    }
  }

  /// The ticks of one linear axis, all in the same unit and with the same decimals.
  func ticks(_ values: [Double]) -> [String] {
    let greatest = values.map(abs).max() ?? 0
    guard greatest > 0 else { return values.map { _ in "0" } }
    let (factor, unit): (Double, String) =
      switch self {
      case .duration:
        greatest >= 7200e9
          ? (3600e9, "h")
          : greatest >= 300e9
            ? (60e9, "min") : greatest >= 1e9 ? (1e9, "s") : greatest >= 1e6 ? (1e6, "ms") : (1e3, "µs")
      case .percent: (0.01, "%")
      case .bytes:
        [(1_073_741_824, "GiB"), (1_048_576, "MiB"), (1024, "KiB")].first { greatest >= $0.0 } ?? (1, "B")
      case .count, .decimal:
        [(1e9, "G"), (1e6, "M"), (1e4, "k")].first { greatest >= $0.0 }.map { ($0.0 == 1e4 ? 1e3 : $0.0, $0.1) }
          ?? (1, "")
      case .si(let unit):
        [(1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"), (1, ""), (1e-3, "m"), (1e-6, "µ")]
          .first { greatest >= $0.0 }.map { ($0.0, $0.1 + unit) } ?? (1e-9, "n\(unit)")
      }
    let scaled = values.map { $0 / factor }
    let decimals =
      (0...3).first { decimals in
        let power = pow(10, Double(decimals))
        return scaled.allSatisfy { abs(($0 * power).rounded() - $0 * power) < 1e-6 * max(1, abs($0 * power)) }
      } ?? 3
    return scaled.map { value in
      let number = NumberFormat.fixed(value, decimals: decimals)
      if value == 0 { return "0" }
      return unit.isEmpty ? number : "\(number)\(NumberFormat.space)\(unit)"
    }
  }
}

/// Rough widths of text, to place labels without asking a browser. Errs on the wide side.
enum TextMeasure {
  /// Width of text at a font size, in units.
  static func width(_ text: String, size: Double = 12, monospaced: Bool = false) -> Double {
    if monospaced { return Double(text.count) * size * 0.605 }
    var ems = 0.0
    for scalar in text.unicodeScalars {
      let em: Double =
        switch scalar {
        case "i", "l", "j", "I", ".", ",", ":", ";", "'", "|", "!", "\u{202F}": 0.29
        case "f", "t", "r", "(", ")", "[", "]", "/", " ", "-", "·": 0.36
        case "m", "w", "M", "W", "%", "@", "…": 0.9
        case "A"..."Z": 0.69
        case "0"..."9": 0.58
        case let scalar where scalar.value >= 0x2E80: 1
        default: 0.58
        }
      ems += em
    }
    return ems * size
  }

  /// The text, shortened to fit.
  static func fitted(_ text: String, width: Double, size: Double = 12, monospaced: Bool = false) -> String {
    let text = text.utf8.count > 512 ? VisibleText.shortened(text, to: 160) : text
    guard self.width(text, size: size, monospaced: monospaced) > width else { return text }
    var low = 1
    var high = text.count
    while low < high {
      let middle = (low + high + 1) / 2
      let candidate = VisibleText.shortened(text, to: middle)
      if self.width(candidate, size: size, monospaced: monospaced) <= width { low = middle } else { high = middle - 1 }
    }
    return VisibleText.shortened(text, to: low)
  }
}

/// Elements that charts are made of.
enum Mark {
  /// Where a text's position is.
  enum Anchor: String { case start, middle, end }

  /// A hover text: its first line is the thing's name.
  static func tip(_ lines: [String]) -> HTML {
    lines.isEmpty
      ? .empty : "<title>\(HTML.lines(lines.map { VisibleText.shortened($0, to: 600) }))</title>"
  }

  static func text(
    _ string: String, x: Double, y: Double, class name: String = "", anchor: Anchor = .start
  ) -> HTML {
    let anchorAttribute: HTML = anchor == .start ? "" : " text-anchor='\(anchor.rawValue)'"
    let classAttribute: HTML = name.isEmpty ? "" : " class='\(name)'"
    return "<text x='\(x)' y='\(y)'\(classAttribute)\(anchorAttribute)>\(string)</text>"
  }

  static func line(x1: Double, y1: Double, x2: Double, y2: Double, class name: String) -> HTML {
    "<line x1='\(x1)' y1='\(y1)' x2='\(x2)' y2='\(y2)' class='\(name)'/>"
  }

  static func rect(
    x: Double, y: Double, width: Double, height: Double, class name: String, tip: [String] = []
  ) -> HTML {
    let box: HTML = "<rect x='\(x)' y='\(y)' width='\(max(0, width))' height='\(max(0, height))' class='\(name)'"
    return tip.isEmpty ? "\(box)/>" : "\(box)>\(self.tip(tip))</rect>"
  }

  static func circle(x: Double, y: Double, radius: Double, class name: String, tip: [String]) -> HTML {
    "<circle cx='\(x)' cy='\(y)' r='\(radius)' class='\(name)'>\(self.tip(tip))</circle>"
  }

  /// A line through points; a gap where a value is not finite.
  static func path(_ points: [(x: Double, y: Double)]) -> HTML {
    var data = HTML.empty
    var isDrawing = false
    for point in points {
      guard point.x.isFinite, point.y.isFinite else {
        isDrawing = false
        continue
      }
      data += isDrawing ? "L" : "M"
      data += "\(point.x) \(point.y)"
      isDrawing = true
    }
    return data
  }

  /// Vertical grid lines with labels below: the x axis of horizontal bars and time charts.
  static func bottomAxis(
    _ scale: LinearScale, format: ValueFormat, top: Double, bottom: Double, title: String = ""
  ) -> HTML {
    let labels = format.ticks(scale.ticks)
    var result = HTML.empty
    let right = max(scale.start, scale.end)
    for (value, label) in zip(scale.ticks, labels) {
      let x = scale.position(value)
      result += line(x1: x, y1: top, x2: x, y2: bottom, class: "grid")
      // The first and the last label would run out of the chart when centred.
      let half = TextMeasure.width(label, size: 11) / 2
      let anchor: Anchor = x < half ? .start : x + half > right + 16 ? .end : .middle
      let place = anchor == .start ? 0 : anchor == .end ? right + 16 : x
      result += text(label, x: place, y: bottom + 15, class: "tick", anchor: anchor)
    }
    if !title.isEmpty {
      result += text(title, x: (scale.start + scale.end) / 2, y: bottom + 31, class: "axis", anchor: .middle)
    }
    return result
  }

  /// Horizontal grid lines with labels to the left.
  static func leftAxis(_ scale: LinearScale, format: ValueFormat, left: Double, right: Double) -> HTML {
    var result = HTML.empty
    for (value, label) in zip(scale.ticks, format.ticks(scale.ticks)) {
      let y = scale.position(value)
      result += line(x1: left, y1: y, x2: right, y2: y, class: "grid")
      result += text(label, x: left - 7, y: y + 4, class: "tick", anchor: .end)
    }
    return result
  }

  /// The room which the labels of a left axis need.
  static func leftMargin(_ scale: LinearScale, format: ValueFormat) -> Double {
    (format.ticks(scale.ticks).map { TextMeasure.width($0, size: 11) }.max() ?? 0) + 12
  }
}
