// How does something change over time, steps or epochs? Lines.

/// Lines over a common x axis, labelled at their ends.
struct LineChart: Chart {
  /// One line.
  struct Line: Sendable {
    var color: ColorKey
    var name: String
    var points: [(x: Double, y: Double)]
    /// Whether to draw each point (few points, such as epochs).
    var showsPoints = false
    /// Whether the area below is tinted.
    var isFilled = false
  }

  /// A horizontal line: a target, a capacity.
  struct Level: Sendable {
    var value: Double
    var label: String
  }

  var summary: String
  var lines: [Line]
  var xFormat: ValueFormat
  var yFormat: ValueFormat
  var xTitle = ""
  var yTitle = ""
  var marks: [Level] = []
  /// Whether y begins at zero: for amounts, not for losses.
  var startsAtZero = true
  /// Whether the y axis is logarithmic: for losses that fall by orders of magnitude.
  var isLogarithmic = false
  var plotHeight = 200.0
  /// The x axis' range when it is to be shared by several charts.
  var xDomain: ClosedRange<Double>?

  var legend: [LegendItem] {
    lines.count > 1 ? lines.map { LegendItem(color: $0.color, text: $0.name) } : []
  }

  func draw(width: Double) -> Drawing {
    let finite = lines.flatMap(\.points).filter { $0.x.isFinite && $0.y.isFinite }
    let ys = finite.map(\.y) + marks.map(\.value)
    let low = ys.min() ?? 0
    let high = ys.max() ?? 1
    let top = yTitle.isEmpty ? 8.0 : 24.0
    let bottom = top + plotHeight
    let usesLog = isLogarithmic && low > 0
    let y: any Scale
    let margin: Double
    var body = HTML.empty
    if usesLog {
      let scale = LogScale(low / 1.1...high * 1.1, from: bottom, to: top)
      y = scale
      margin = (scale.ticks.map { TextMeasure.width(yFormat.text($0), size: 11) }.max() ?? 0) + 12
      for tick in scale.ticks {
        let position = scale.position(tick)
        body += Mark.line(x1: margin, y1: position, x2: width - 8, y2: position, class: "grid")
        body += Mark.text(
          yFormat.text(tick), x: margin - 7, y: position + 4, class: "tick", anchor: .end)
      }
    } else {
      let scale = LinearScale((startsAtZero ? min(0, low) : low)...max(high, low), from: bottom, to: top, tickCount: 4)
      y = scale
      // Charts below each other share their left edge, unless a label is very wide.
      margin = max(50, Mark.leftMargin(scale, format: yFormat))
      body += Mark.leftAxis(scale, format: yFormat, left: margin, right: width - 8)
    }
    let xs = finite.map(\.x)
    let domain = xDomain ?? (xs.min() ?? 0)...(xs.max() ?? 1)
    let x = LinearScale(domain, from: margin, to: width - 22, tickCount: width < 600 ? 4 : 8, nice: false)
    for (value, label) in zip(x.ticks, xFormat.ticks(x.ticks)) {
      body += Mark.text(label, x: x.position(value), y: bottom + 16, class: "tick", anchor: .middle)
      body += Mark.line(
        x1: x.position(value), y1: bottom, x2: x.position(value), y2: bottom + 4, class: "base")
    }
    body += Mark.line(x1: margin, y1: bottom, x2: width - 8, y2: bottom, class: "base")
    if !yTitle.isEmpty { body += Mark.text(yTitle, x: 0, y: 12, class: "axis") }
    if !xTitle.isEmpty {
      body += Mark.text(xTitle, x: (margin + width) / 2, y: bottom + 33, class: "axis", anchor: .middle)
    }
    for line in lines {
      let reduced = LineChart.reduced(line.points, to: Int(width / 1.5))
      let places = reduced.map { (x: x.position($0.x), y: $0.y.isFinite ? y.position($0.y) : .nan) }
      let path = Mark.path(places)
      if line.isFilled, let first = places.first(where: { $0.y.isFinite }), let last = places.last {
        body += "<path d='\(path)L\(last.x) \(bottom)L\(first.x) \(bottom)Z' class='area \(line.color.name)'/>"
      }
      body += "<path d='\(path)' class='line \(line.color.name)'/>"
      body += hoverPoints(line, reduced: reduced, x: x, y: y)
    }
    for mark in marks {
      let position = y.position(mark.value)
      body += Mark.line(x1: margin, y1: position, x2: width - 8, y2: position, class: "mark")
      body += levelLabel(
        mark.label, y: position, left: margin, right: width - 8, top: top, bottom: bottom, x: x, scale: y)
    }
    return Drawing(width: width, height: bottom + (xTitle.isEmpty ? 22 : 39), body: body)
  }

  /// A level's label where the lines leave most room: above or below it, at either end.
  private func levelLabel(
    _ text: String, y: Double, left: Double, right: Double, top: Double, bottom: Double, x: LinearScale,
    scale: any Scale
  ) -> HTML {
    let labelWidth = TextMeasure.width(text, size: 11) + 8
    let starts: [Double] = [right - labelWidth, left + 4, (left + right - labelWidth) / 2]
    var candidates: [(x: Double, y: Double)] = []
    for start in starts {
      for offset in [-17.0, 2.0] where y + offset > top - 18 && y + offset + 14 < bottom {
        candidates.append((x: start, y: y + offset))
      }
    }
    let points = lines.flatMap(\.points).filter { $0.x.isFinite && $0.y.isFinite }
      .map { (x: x.position($0.x), y: scale.position($0.y)) }
    func crossings(_ place: (x: Double, y: Double)) -> Int {
      let columns = (place.x - 12)...(place.x + labelWidth + 12)
      let rows = (place.y - 3)...(place.y + 16)
      return points.count { columns.contains($0.x) && rows.contains($0.y) }
    }
    guard let best = candidates.map({ ($0, crossings($0)) }).min(by: { $0.1 < $1.1 })?.0 else { return .empty }
    return Mark.text(text, x: best.x + 4, y: best.y + 12, class: "tick strong halo")
  }

  /// Points that can be hovered: all when they are few, else about sixty along the line.
  private func hoverPoints(
    _ line: Line, reduced: [(x: Double, y: Double)], x: LinearScale, y: any Scale
  ) -> HTML {
    let count = max(1, reduced.count / 60)
    var result = HTML.empty
    for (index, point) in reduced.enumerated() where index % count == 0 && point.y.isFinite {
      let place = xTitle.isEmpty ? xFormat.text(point.x) : "\(xTitle) \(xFormat.text(point.x))"
      let tip = ["\(line.name): \(yFormat.text(point.y))", "at \(place)"]
      let isShown = line.showsPoints && reduced.count <= 60
      result += Mark.circle(
        x: x.position(point.x), y: y.position(point.y), radius: isShown ? 3.2 : 6,
        class: "\(isShown ? "point" : "hover") \(line.color.name)", tip: tip)
    }
    return result
  }

  /// At most about `limit` points that keep every extreme: the least and the greatest of each bucket, in order.
  static func reduced(_ points: [(x: Double, y: Double)], to limit: Int) -> [(x: Double, y: Double)] {
    guard points.count > limit, limit >= 4 else { return points }
    let buckets = limit / 2
    var result: [(x: Double, y: Double)] = []
    result.reserveCapacity(limit)
    for bucket in 0..<buckets {
      let slice = points[points.count * bucket / buckets..<points.count * (bucket + 1) / buckets]
      guard let least = slice.indices.min(by: { slice[$0].y < slice[$1].y }),
        let greatest = slice.indices.max(by: { slice[$0].y < slice[$1].y })
      else { continue }
      result.append(points[min(least, greatest)])
      if least != greatest { result.append(points[max(least, greatest)]) }
    }
    return result
  }
}
