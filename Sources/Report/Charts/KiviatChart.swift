// What does a program's behaviour look like at a glance, and how do several differ? Kiviat diagrams: Kolence and Kiviat,
// "Software unit profiles and Kiviat figures", Performance Evaluation Review 2(3), 1973.
import Foundation

/// Values on axes that leave one centre: a small diagram for each member, or several members over each other.
struct KiviatChart: Chart {
  /// An axis; the first points upwards, the others follow clockwise.
  struct Axis: Sendable {
    var name: String
    /// The name where there is little room.
    var shortLabel: String
    /// The value of the outer ring, more than 0.
    var outer: Double
    var format: ValueFormat
  }

  /// A member.
  struct Series: Sendable {
    var name: String
    var color: ColorKey
    /// A value for each axis; none where it was not measured, which is not zero.
    var values: [Double?]
    var details: [String] = []
  }

  /// How several members are shown.
  enum Arrangement: Sendable { case multiples, overlaid }

  var summary: String
  var axes: [Axis]
  var series: [Series]
  var arrangement = Arrangement.multiples
  /// What the colours mean where they are not one for each member.
  var keys: [LegendItem] = []

  static let rings = [0.25, 0.5, 0.75, 1]

  var legend: [LegendItem] {
    guard keys.isEmpty, arrangement == .overlaid, series.count > 1 else { return keys }
    return series.map { LegendItem(color: $0.color, text: $0.name) }
  }

  /// Where a share of an axis lies.
  static func corner(center: Place, radius: Double, axis: Int, of count: Int, share: Double) -> Place {
    let angle = 2 * Double.pi * Double(axis) / Double(max(count, 1)) - .pi / 2
    return Place(x: center.x + radius * share * cos(angle), y: center.y + radius * share * sin(angle))
  }

  /// How far out on its axis a value is, 0…1; none when it was not measured.
  func share(_ series: Series, axis: Int) -> Double? {
    guard axis < series.values.count, let value = series.values[axis], value.isFinite, axes[axis].outer > 0,
      axes[axis].outer.isFinite
    else { return nil }
    return min(max(value / axes[axis].outer, 0), 1)
  }

  func draw(width: Double) -> Drawing {
    switch arrangement {
    case .multiples: drawMultiples(width: width)
    case .overlaid: drawOverlaid(width: width)
    }
  }

  // MARK: Small multiples

  /// Where the little diagrams are: shared by the drawing and its tests.
  struct Grid {
    var columns: Int
    var cell: Double
    var radius: Double
    var top: Double
    var rowHeight: Double

    func center(_ index: Int) -> Place {
      Place(
        x: cell * (Double(index % columns) + 0.5), y: top + rowHeight * Double(index / columns) + radius + 18)
    }
  }

  func grid(width: Double) -> Grid {
    let most = max(1, Int(width / (width < 600 ? 114 : 132)))
    let rows = max(1, (series.count + most - 1) / most)
    // Rows of equal length look calmer than a full one and a rest.
    let columns = max(1, (series.count + rows - 1) / rows)
    let cell = min(width / Double(columns), width < 600 ? 150 : 190)
    let radius = min(cell / 2 - 17, 66)
    let hasGaps = series.contains { one in axes.indices.contains { share(one, axis: $0) == nil } }
    return Grid(
      columns: columns, cell: cell, radius: radius, top: keyHeight(width: width),
      rowHeight: 2 * radius + 34 + 15 * Double(titleLines(cell: cell)) + (hasGaps ? 14 : 0) + 12)
  }

  private func title(_ series: Series, cell: Double) -> [String] {
    TextMeasure.wrapped(series.name, width: cell - 10, size: 12.5, lines: 2)
  }

  private func titleLines(cell: Double) -> Int { series.map { title($0, cell: cell).count }.max() ?? 0 }

  private func drawMultiples(width: Double) -> Drawing {
    let grid = grid(width: width)
    var body = axisKey(width: width)
    for (index, member) in series.enumerated() {
      let center = grid.center(index)
      var parts = frame(center: center, radius: grid.radius, missing: { share(member, axis: $0) == nil })
      for axis in axes.indices {
        let place = KiviatChart.corner(
          center: center, radius: grid.radius + 9, axis: axis, of: axes.count, share: 1)
        let isMissing = share(member, axis: axis) == nil
        parts += Mark.text(
          "\(axis + 1)", x: place.x, y: place.y + 4, class: isMissing ? "tick faint" : "tick", anchor: .middle)
      }
      parts += web(member, center: center, radius: grid.radius, pointRadius: 2)
      var line = center.y + grid.radius + 31
      for text in title(member, cell: grid.cell) {
        parts += Mark.text(text, x: center.x, y: line, class: "label", anchor: .middle)
        line += 15
      }
      let missing = axes.indices.filter { share(member, axis: $0) == nil }
      if !missing.isEmpty {
        let which =
          missing.count == axes.count
          ? "not measured" : missing.map { "\($0 + 1)" }.joined(separator: ", ") + " not measured"
        parts += Mark.text(
          TextMeasure.fitted(which, width: grid.cell - 6, size: 11), x: center.x, y: line, class: "tick absent",
          anchor: .middle)
      }
      body += "<g>\(Mark.tip(tip(member)))\(parts)</g>"
    }
    let rows = series.isEmpty ? 0 : (series.count + grid.columns - 1) / grid.columns
    return Drawing(width: width, height: max(20, grid.top + grid.rowHeight * Double(rows)), body: body)
  }

  /// What the axes' numbers stand for: above the diagrams, in columns.
  private func axisKey(width: Double) -> HTML {
    let (texts, columns, step) = keyLayout(width: width)
    var result = HTML.empty
    for (index, text) in texts.enumerated() {
      let x = Double(index % columns) * step
      let y = 13 + 17 * Double(index / columns)
      result += Mark.text("\(index + 1)", x: x, y: y, class: "tick strong")
      result += Mark.text(text, x: x + 16, y: y, class: "value")
    }
    return result
  }

  private func keyLayout(width: Double) -> (texts: [String], columns: Int, step: Double) {
    let texts = axes.map { axis in
      TextMeasure.fitted("\(axis.name), outer ring \(axis.format.text(axis.outer))", width: width - 18)
    }
    let widest = (texts.map { TextMeasure.width($0) }.max() ?? 0) + 40
    let columns = max(1, Int((width + 24) / widest))
    return (texts, columns, widest)
  }

  private func keyHeight(width: Double) -> Double {
    guard !axes.isEmpty else { return 0 }
    let columns = keyLayout(width: width).columns
    return 17 * Double((axes.count + columns - 1) / columns) + 14
  }

  // MARK: Overlaid

  /// Where the large diagram is.
  func large(width: Double) -> (center: Place, radius: Double) {
    let radius = width < 600 ? 92.0 : 180
    return (Place(x: width / 2, y: radius + 46), radius)
  }

  private func drawOverlaid(width: Double) -> Drawing {
    let (center, radius) = large(width: width)
    let isNarrow = width < 600
    var body = frame(center: center, radius: radius) { axis in
      !series.contains { share($0, axis: axis) != nil }
    }
    for ring in KiviatChart.rings where ring < 1 {
      body += Mark.text(
        NumberFormat.percent(ring).replacing(".0", with: ""), x: center.x + 4, y: center.y - radius * ring - 3,
        class: "tick halo")
    }
    for member in series {
      body += "<g>\(Mark.tip(tip(member)))\(web(member, center: center, radius: radius, pointRadius: 3))</g>"
    }
    var bottom = center.y + radius + 14
    for (index, axis) in axes.enumerated() {
      let place = KiviatChart.corner(center: center, radius: radius + 14, axis: index, of: axes.count, share: 1)
      let (dx, dy) = (place.x - center.x, place.y - center.y)
      let isMiddle = abs(dx) < radius * 0.2
      let anchor: Mark.Anchor = isMiddle ? .middle : dx > 0 ? .start : .end
      let room = isMiddle ? width * 0.8 : dx > 0 ? width - place.x : place.x
      // Above the centre the last line stands next to the ring, below it the first.
      let top = isMiddle ? (dy < 0 ? place.y - 16 : place.y + 8) : place.y - 3
      let name = isNarrow ? axis.shortLabel : axis.name
      let missing = series.count { share($0, axis: index) == nil }
      let note =
        missing == 0
        ? axis.format.text(axis.outer)
        : missing == series.count
          ? "not measured" : "\(axis.format.text(axis.outer)), \(missing) of \(series.count) not measured"
      body += Mark.text(
        TextMeasure.fitted(name, width: room, size: 12.5), x: place.x, y: top, class: "label", anchor: anchor)
      let lines = TextMeasure.wrapped(note, width: room, size: 11, lines: isMiddle ? 1 : 3)
      bottom = max(bottom, top + 14 * Double(lines.count) + 8)
      for (row, line) in lines.enumerated() {
        body += Mark.text(
          line, x: place.x, y: top + 14 * Double(row + 1), class: missing == series.count ? "tick absent" : "tick",
          anchor: anchor)
      }
    }
    return Drawing(width: width, height: bottom, body: body)
  }

  // MARK: Parts of both

  /// Rings and spokes; the spoke of an axis without a value is dotted.
  private func frame(center: Place, radius: Double, missing: (Int) -> Bool) -> HTML {
    var result = HTML.empty
    for ring in KiviatChart.rings {
      result +=
        "<circle cx='\(center.x)' cy='\(center.y)' r='\(radius * ring)' class='\(ring == 1 ? "ring outer" : "ring")'/>"
    }
    for axis in axes.indices {
      let end = KiviatChart.corner(center: center, radius: radius, axis: axis, of: axes.count, share: 1)
      result += Mark.line(
        x1: center.x, y1: center.y, x2: end.x, y2: end.y, class: missing(axis) ? "spoke absent" : "spoke")
    }
    return result
  }

  /// The polygon, with a gap on either side of an axis without a value.
  private func web(_ series: Series, center: Place, radius: Double, pointRadius: Double) -> HTML {
    let corners = axes.indices.map { axis in
      share(series, axis: axis).map {
        KiviatChart.corner(center: center, radius: radius, axis: axis, of: axes.count, share: $0)
      }
    }
    let known = corners.compactMap { $0 }
    var area = HTML.empty
    var outline = HTML.empty
    if known.count == axes.count, known.count > 2 {
      outline = "\(Mark.path(known.map { (x: $0.x, y: $0.y) }))Z"
      area = outline
    } else {
      for axis in axes.indices {
        guard axes.count > 1, let from = corners[axis], let to = corners[(axis + 1) % axes.count] else { continue }
        outline += "M\(from.x) \(from.y)L\(to.x) \(to.y)"
        area += "M\(center.x) \(center.y)L\(from.x) \(from.y)L\(to.x) \(to.y)Z"
      }
    }
    var result = HTML.empty
    if !outline.isEmpty {
      result += "<path d='\(area)' class='webfill \(series.color.name)'/>"
      result += "<path d='\(outline)' class='line \(series.color.name)'/>"
    }
    for corner in known {
      result += "<circle cx='\(corner.x)' cy='\(corner.y)' r='\(pointRadius)' class='corner \(series.color.name)'/>"
    }
    return result
  }

  private func tip(_ series: Series) -> [String] {
    let lines = axes.enumerated().map { index, axis -> String in
      guard let share = share(series, axis: index), let value = series.values[index] else {
        return "\(axis.name): not measured"
      }
      return "\(axis.name): \(axis.format.text(value)) · \(NumberFormat.percent(share))"
        + (value > axis.outer ? ", beyond the outer ring" : "")
    }
    return [series.name] + lines + series.details
  }
}
