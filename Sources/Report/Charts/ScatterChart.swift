// How do two quantities of many things relate, or which things lie near each other on a map? Points, with what belongs to
// them: groups' outlines, guides, step curves, bands.
import Analysis
import Foundation

/// Points over two axes, linear or logarithmic, or on a map whose axes have no meaning.
struct ScatterChart: Chart {
  /// What a point looks like: tells groups apart without colour.
  enum Symbol: String, Sendable, CaseIterable { case circle, square, triangle, diamond }

  /// A point.
  struct Point: Sendable {
    var x: Double
    var y: Double
    /// Its name beside it; empty for none.
    var label = ""
    var color = ColorKey.group(0)
    var symbol = Symbol.circle
    /// Half the width of its symbol.
    var size = 5.0
    /// Points of one number lie in one outline.
    var group: Int?
    var details: [String] = []
  }

  /// A straight line across the plot.
  struct Guide: Sendable {
    var value: Double
    var label: String
    /// At a value of x, not of y.
    var isVertical: Bool
  }

  /// A line through points, such as the best that is attainable at each cost.
  struct Curve: Sendable {
    var color: ColorKey
    var name: String
    var points: [(x: Double, y: Double)]
    /// Whether a value holds until the next point, so that the line goes in steps.
    var isStepped = false
  }

  /// An area between two lines, such as the quantiles of random choices.
  struct Band: Sendable {
    var color: ColorKey
    var name: String
    var points: [(x: Double, low: Double, high: Double)]
    var isStepped = false
  }

  /// What a symbol stands for.
  struct SymbolKey: Sendable {
    var symbol: Symbol
    var text: String
  }

  var summary: String
  var points: [Point]
  /// None for a map.
  var x: PlotAxis?
  /// None for a map.
  var y: PlotAxis?
  /// Whether each group lies in an outline: its convex hull.
  var showsHulls = false
  var guides: [Guide] = []
  var curves: [Curve] = []
  var bands: [Band] = []
  /// What the colours mean.
  var keys: [LegendItem] = []
  var symbolKeys: [SymbolKey] = []
  /// Units; the width decides when not given.
  var plotHeight: Double?

  /// Beyond this many points those without a name become one small mark each, without a hover text.
  static let denseFrom = 400
  /// At most so many names below the plot, where numbers had to take their place in it.
  static let keyLimit = 40

  var legend: [LegendItem] {
    keys + bands.filter { !$0.name.isEmpty }.map { LegendItem(color: $0.color, text: $0.name) }
      + curves.filter { !$0.name.isEmpty }.map { LegendItem(color: $0.color, text: $0.name) }
  }

  // MARK: Places

  /// Where the plot is: shared by the drawing and its tests.
  struct Frame {
    var left: Double
    var right: Double
    var top: Double
    var bottom: Double
    /// The axes; none on a map.
    var x: PlacedAxis?
    var y: PlacedAxis?
    var place: @Sendable (_ x: Double, _ y: Double) -> Place?
  }

  func frame(width: Double) -> Frame {
    let isNarrow = width < 600
    let height = plotHeight ?? (isNarrow ? 330 : 440)
    let top = symbolKeys.isEmpty ? (y?.title.isEmpty ?? true ? 8.0 : 26) : (y?.title.isEmpty ?? true ? 30 : 46)
    let bottom = top + height
    guard let x, let y else { return map(width: width, top: top) }
    let ys =
      points.map(\.y) + guides.filter { !$0.isVertical }.map(\.value) + curves.flatMap { $0.points.map(\.y) }
      + bands.flatMap { $0.points.flatMap { [$0.low, $0.high] } }
    let xs =
      points.map(\.x) + guides.filter(\.isVertical).map(\.value) + curves.flatMap { $0.points.map(\.x) }
      + bands.flatMap { $0.points.map(\.x) }
    let yAxis = y.placed(ys, from: bottom, to: top, tickCount: isNarrow ? 5 : 6)
    let left = max(isNarrow ? 34 : 44, yAxis.labelWidth)
    let xAxis = x.placed(xs, from: left, to: width - 14, tickCount: isNarrow ? 4 : 8)
    return Frame(left: left, right: width - 14, top: top, bottom: bottom, x: xAxis, y: yAxis) { px, py in
      x.admits(px) && y.admits(py) ? Place(x: xAxis.position(px), y: yAxis.position(py)) : nil
    }
  }

  /// A map's frame: the same scale in both directions, as high as its points need.
  private func map(width: Double, top: Double) -> Frame {
    let known = points.filter { abs($0.x) < 1e150 && abs($0.y) < 1e150 }
    let (lowX, highX) = (known.map(\.x).min() ?? 0, known.map(\.x).max() ?? 1)
    let (lowY, highY) = (known.map(\.y).min() ?? 0, known.map(\.y).max() ?? 1)
    let margin = 30.0
    let span = (x: max(highX - lowX, 1e-12), y: max(highY - lowY, 1e-12))
    let most = width < 600 ? 400.0 : 560
    let least = width < 600 ? 220.0 : 320
    let height =
      plotHeight ?? min(most, max(least, (width - 2 * margin) * span.y / span.x + 2 * margin))
    let unit = min((width - 2 * margin) / span.x, (height - 2 * margin) / span.y)
    let middle = (x: lowX / 2 + highX / 2, y: lowY / 2 + highY / 2)
    return Frame(left: 0.5, right: width - 0.5, top: top, bottom: top + height, x: nil, y: nil) { px, py in
      guard abs(px) < 1e150, abs(py) < 1e150 else { return nil }
      return Place(x: width / 2 + (px - middle.x) * unit, y: top + height / 2 - (py - middle.y) * unit)
    }
  }

  /// The corners of the convex hull of places, as ``ConvexHull`` orders them.
  static func hull(_ points: [Place]) -> [Place] {
    ConvexHull(points.map { ConvexHull.Point(x: $0.x, y: $0.y) }).corners.map { Place(x: $0.x, y: $0.y) }
  }

  // MARK: Drawing

  /// A point with its place.
  private struct Placed {
    var point: Point
    var place: Place
    /// The how manyth named point it is, from 1: what stands for its name where names have no room.
    var number: Int
  }

  private var isDense: Bool { points.count > ScatterChart.denseFrom }

  func draw(width: Double) -> Drawing {
    let frame = frame(width: width)
    var body = symbolKey(width: width)
    if let x, let y, let xAxis = frame.x, let yAxis = frame.y {
      if !y.title.isEmpty {
        body += Mark.text(
          TextMeasure.fitted(y.title, width: width, size: 11.5), x: 0, y: frame.top - 13, class: "axis")
      }
      body += yAxis.left(from: frame.left, to: frame.right)
      body += xAxis.bottom(from: frame.top, to: frame.bottom, edge: width, title: x.title)
    } else {
      body += Mark.rect(
        x: frame.left, y: frame.top, width: frame.right - frame.left, height: frame.bottom - frame.top, class: "ring")
    }
    for band in bands { body += draw(band, frame) }
    if showsHulls { body += hulls(frame) }
    var placer = LabelPlacer(
      bounds: LabelBox(
        x: frame.left + 2, y: frame.top + 2, width: frame.right - frame.left - 4, height: frame.bottom - frame.top - 4))
    // A named point that has no place keeps its number: a table counts it too.
    var named = 0
    let placed = points.compactMap { point -> Placed? in
      named += point.label.isEmpty ? 0 : 1
      return frame.place(point.x, point.y).map { Placed(point: point, place: $0, number: named) }
    }
    let single = placed.filter { !isDense || !$0.point.label.isEmpty }
    for (point, place) in single.map({ ($0.point, $0.place) }) {
      placer.block(
        LabelBox(x: place.x - point.size, y: place.y - point.size, width: 2 * point.size, height: 2 * point.size))
    }
    body += draw(guides, frame, &placer)
    for curve in curves {
      body += draw(curve, frame)
      block(curve, frame, &placer)
    }
    body += dense(placed.filter { isDense && $0.point.label.isEmpty })
    let labels = labels(single, width: width, placer)
    body += labels.leaders
    // Large ones first, so that small ones stay visible.
    for one in single.enumerated().sorted(by: {
      $0.element.point.size != $1.element.point.size
        ? $0.element.point.size > $1.element.point.size : $0.offset < $1.offset
    }).map(\.element) {
      body += mark(one.point, at: one.place)
    }
    body += labels.texts
    let below = frame.bottom + (x == nil ? 4 : (x?.title.isEmpty ?? true) ? 24 : 41)
    let list = numberKey(labels.numbered, width: width, top: below + 6)
    return Drawing(width: width, height: list.isEmpty ? below : list.bottom, body: body + list.body)
  }

  private func draw(_ curve: Curve, _ frame: Frame) -> HTML {
    let places = curve.points.map { frame.place($0.x, $0.y) }
    let path = Mark.path(ScatterChart.stepped(places, curve.isStepped).map { ($0?.x ?? .nan, $0?.y ?? .nan) })
    return path.isEmpty ? .empty : "<path d='\(path)' class='line \(curve.color.name)'/>"
  }

  /// Keeps labels off a curve.
  private func block(_ curve: Curve, _ frame: Frame, _ placer: inout LabelPlacer) {
    guard points.contains(where: { !$0.label.isEmpty }) else { return }
    let places = ScatterChart.stepped(curve.points.map { frame.place($0.x, $0.y) }, curve.isStepped)
    for (from, to) in zip(places, places.dropFirst()) {
      guard let from, let to else { continue }
      let steps = max(1, Int(hypot(to.x - from.x, to.y - from.y) / 5))
      for step in 0...steps {
        let share = Double(step) / Double(steps)
        placer.block(
          LabelBox(
            x: from.x + (to.x - from.x) * share - 1, y: from.y + (to.y - from.y) * share - 1, width: 2, height: 2))
      }
    }
  }

  /// With a corner between each two points where a value holds until the next one.
  private static func stepped(_ places: [Place?], _ isStepped: Bool) -> [Place?] {
    guard isStepped, let first = places.first else { return places }
    return [first]
      + zip(places, places.dropFirst()).flatMap { from, to -> [Place?] in
        guard let from, let to else { return [to] }
        return [Place(x: to.x, y: from.y), to]
      }
  }

  private func draw(_ band: Band, _ frame: Frame) -> HTML {
    let low = ScatterChart.stepped(band.points.map { frame.place($0.x, $0.low) }, band.isStepped)
    let high = ScatterChart.stepped(band.points.map { frame.place($0.x, $0.high) }, band.isStepped)
    let outline = (low + high.reversed()).compactMap { $0 }
    guard outline.count > 2 else { return .empty }
    return "<path d='\(Mark.path(outline.map { (x: $0.x, y: $0.y) }))Z' class='area \(band.color.name)'/>"
  }

  private func hulls(_ frame: Frame) -> HTML {
    var groups: [Int: [Place]] = [:]
    var colors: [Int: ColorKey] = [:]
    for point in points {
      guard let group = point.group, let place = frame.place(point.x, point.y) else { continue }
      groups[group, default: []].append(place)
      if colors[group] == nil { colors[group] = point.color }
    }
    var result = HTML.empty
    for group in groups.keys.sorted() {
      guard let corners = groups[group].map(ScatterChart.hull), corners.count > 1, let color = colors[group] else {
        continue
      }
      result += "<path d='\(Mark.path(corners.map { (x: $0.x, y: $0.y) }))Z' class='hull \(color.name)'/>"
    }
    return result
  }

  private func draw(_ guides: [Guide], _ frame: Frame, _ placer: inout LabelPlacer) -> HTML {
    var result = HTML.empty
    for guide in guides {
      guard let axis = guide.isVertical ? frame.x : frame.y,
        (guide.isVertical ? x : y)?.admits(guide.value) == true
      else { continue }
      let at = axis.position(guide.value)
      let width = TextMeasure.width(guide.label, size: 11)
      let box: LabelBox
      if guide.isVertical {
        result += Mark.line(x1: at, y1: frame.top, x2: at, y2: frame.bottom, class: "mark")
        let fits = at + 5 + width < frame.right
        box = LabelBox(x: fits ? at + 5 : at - 5 - width, y: frame.top + 1, width: width, height: 14)
      } else {
        result += Mark.line(x1: frame.left, y1: at, x2: frame.right, y2: at, class: "mark")
        let isAbove = at - 17 > frame.top
        box = LabelBox(x: frame.right - width - 4, y: isAbove ? at - 16 : at + 3, width: width, height: 14)
      }
      guard !guide.label.isEmpty else { continue }
      placer.block(box)
      result += Mark.text(guide.label, x: box.x, y: box.y + 11, class: "tick strong halo")
    }
    return result
  }

  /// Many points: a path for each colour and symbol, on a grid of a tenth of a unit, each place once.
  private func dense(_ points: [Placed]) -> HTML {
    struct Kind: Hashable {
      var color: ColorKey
      var symbol: Symbol
    }
    struct Cell: Hashable, Comparable {
      var x: Int
      var y: Int
      static func < (one: Cell, two: Cell) -> Bool { one.x != two.x ? one.x < two.x : one.y < two.y }
    }
    var order: [Kind] = []
    var cells: [Kind: Set<Cell>] = [:]
    var sizes: [Kind: Double] = [:]
    for (point, place) in points.map({ ($0.point, $0.place) }) {
      let kind = Kind(color: point.color, symbol: point.symbol)
      if cells[kind] == nil { order.append(kind) }
      cells[kind, default: []].insert(Cell(x: Int((place.x * 10).rounded()), y: Int((place.y * 10).rounded())))
      sizes[kind] = min(point.size, 1.8)
    }
    var result = HTML.empty
    for kind in order {
      let size = sizes[kind] ?? 1.5
      // A line without a length has only its cap: a dot.
      let dot: HTML =
        switch kind.symbol {
        case .circle, .square: "h0"
        case .triangle: "m\(-size) \(size)h\(2 * size)l\(-size) \(-2 * size)z"
        case .diamond: "m0 \(-size)l\(size) \(size)l\(-size) \(size)l\(-size) \(-size)z"
        }
      var data = HTML.empty
      var last: Cell?
      for cell in (cells[kind] ?? []).sorted() {
        // The pen is back where it began: after a cap, and after a closed outline.
        if let last, kind.symbol == .circle || kind.symbol == .square {
          data += "m\(Double(cell.x - last.x) / 10) \(Double(cell.y - last.y) / 10)\(dot)"
        } else {
          data += "M\(Double(cell.x) / 10) \(Double(cell.y) / 10)\(dot)"
        }
        last = cell
      }
      let name = kind.symbol == .circle ? "dots" : kind.symbol == .square ? "dots square" : "dots shape"
      result += "<path d='\(data)' class='\(name) \(kind.color.name)' stroke-width='\(2 * size)'/>"
    }
    return result
  }

  private func mark(_ point: Point, at place: Place) -> HTML {
    let values = [(x, point.x), (y, point.y)].compactMap { axis, value in
      axis.map { "\($0.title.isEmpty ? "" : "\($0.title): ")\($0.format.text(value))" }
    }
    let tip = (point.label.isEmpty ? [] : [point.label]) + values + point.details
    return Mark.symbol(point.symbol, at: place, size: point.size, class: "blob \(point.color.name)", tip: tip)
  }

  // MARK: Labels

  /// The labels that a drawing of that width gets: names, or numbers where names have no room.
  private func labels(
    _ points: [Placed], width: Double, _ placer: LabelPlacer
  ) -> (texts: HTML, leaders: HTML, numbered: [Placed]) {
    let named = points.filter { !$0.point.label.isEmpty }
    guard !named.isEmpty else { return (.empty, .empty, []) }
    // Which is which says the table.
    guard named.count <= ScatterChart.denseFrom else { return (.empty, .empty, []) }
    let limit = width < 600 ? 130.0 : 230
    // Where points crowd, labels need the choice most.
    let neighbours = named.map { one in
      named.count { abs($0.place.x - one.place.x) < 70 && abs($0.place.y - one.place.y) < 24 }
    }
    let order = named.indices.sorted {
      neighbours[$0] != neighbours[$1] ? neighbours[$0] > neighbours[$1] : $0 < $1
    }
    func attempt(_ text: (Int) -> String, size: Double, needsAll: Bool) -> (texts: HTML, leaders: HTML)? {
      var placer = placer
      var (texts, leaders) = (HTML.empty, HTML.empty)
      for index in order {
        let text = text(index)
        guard
          let spot = placer.place(
            width: TextMeasure.width(text, size: size), at: named[index].place, radius: named[index].point.size)
        else {
          if needsAll { return nil }
          continue
        }
        if let leader = spot.leader {
          leaders += Mark.line(x1: leader.from.x, y1: leader.from.y, x2: leader.to.x, y2: leader.to.y, class: "leader")
        }
        texts += Mark.text(
          text, x: spot.x, y: spot.box.y + 11, class: size < 12 ? "tick strong halo" : "label halo",
          anchor: spot.anchor)
      }
      return (texts, leaders)
    }
    if named.count <= 120,
      let (texts, leaders) = attempt(
        { TextMeasure.fitted(named[$0].point.label, width: limit, size: 12.5) }, size: 12.5, needsAll: true)
    {
      return (texts, leaders, [])
    }
    let numbered = attempt({ "\(named[$0].number)" }, size: 11, needsAll: false)
    return (numbered?.texts ?? .empty, numbered?.leaders ?? .empty, named)
  }

  /// What the numbers in the plot stand for, in columns below it.
  private func numberKey(_ named: [Placed], width: Double, top: Double) -> (body: HTML, bottom: Double, isEmpty: Bool) {
    guard !named.isEmpty, named.count <= ScatterChart.keyLimit else { return (.empty, top, true) }
    let widest = min(width - 30, (named.map { TextMeasure.width($0.point.label) }.max() ?? 0) + 24)
    let columns = max(1, Int((width + 20) / (widest + 44)))
    let rows = (named.count + columns - 1) / columns
    let step = width / Double(columns)
    var body = HTML.empty
    for (index, one) in named.enumerated() {
      let (column, row) = (index / rows, index % rows)
      let (x, y) = (Double(column) * step, top + 12 + 17 * Double(row))
      body += Mark.text("\(one.number)", x: x + 18, y: y, class: "tick strong", anchor: .end)
      body += Mark.text(TextMeasure.fitted(one.point.label, width: step - 34), x: x + 25, y: y, class: "value")
    }
    return (body, top + 17 * Double(rows) + 4, false)
  }

  /// What the symbols stand for: above the plot.
  private func symbolKey(width: Double) -> HTML {
    var result = HTML.empty
    var x = 6.0
    for key in symbolKeys {
      let text = TextMeasure.fitted(key.text, width: max(20, width - x - 20))
      result += Mark.symbol(key.symbol, at: Place(x: x, y: 9), size: 5, class: "sign", tip: [])
      result += Mark.text(text, x: x + 11, y: 13, class: "value")
      x += TextMeasure.width(text) + 34
    }
    return result
  }
}

extension Mark {
  /// A symbol of that half width; all have about the same area.
  static func symbol(
    _ symbol: ScatterChart.Symbol, at place: Place, size: Double, class name: String, tip: [String]
  ) -> HTML {
    let (x, y) = (place.x, place.y)
    let title = self.tip(tip)
    switch symbol {
    case .circle: return "<circle cx='\(x)' cy='\(y)' r='\(size)' class='\(name)'>\(title)</circle>"
    case .square:
      let half = size * 0.89
      return
        "<rect x='\(x - half)' y='\(y - half)' width='\(2 * half)' height='\(2 * half)' class='\(name)'>\(title)</rect>"
    case .triangle:
      let half = size * 1.2
      return
        "<path d='M\(x - half) \(y + half * 0.8)L\(x + half) \(y + half * 0.8)L\(x) \(y - half)Z' class='\(name)'>\(title)</path>"
    case .diamond:
      let half = size * 1.26
      return
        "<path d='M\(x) \(y - half)L\(x + half) \(y)L\(x) \(y + half)L\(x - half) \(y)Z' class='\(name)'>\(title)</path>"
    }
  }
}
