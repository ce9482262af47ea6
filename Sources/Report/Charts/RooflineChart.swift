// Is a kernel limited by arithmetic or by memory? Williams, Waterman, Patterson: "Roofline: an insightful visual
// performance model", CACM 52(4), 2009.
import Foundation

/// Attainable FLOP/s over arithmetic intensity, both logarithmic, with kernels as points.
struct RooflineChart: Chart {
  /// A kernel, or a category of kernels.
  struct Point: Sendable {
    var color: ColorKey
    var label: String
    /// FLOP a byte.
    var intensity: Double
    var flopsPerSecond: Double
    /// Share of the time, 0…1: the point's area.
    var share: Double
    var details: [String] = []
  }

  /// A limit: a horizontal line (FLOP/s) or a slope (B/s).
  struct Ceiling: Sendable {
    var label: String
    var value: Double
  }

  var summary: String
  var points: [Point]
  /// FLOP/s; the highest is the roof.
  var computeCeilings: [Ceiling]
  /// B/s; the slopes.
  var bandwidthCeilings: [Ceiling]
  var legend: [LegendItem] = []

  private typealias Box = (x: Double, y: Double, width: Double, height: Double)

  private static func overlap(_ one: Box, _ two: Box) -> Bool {
    one.x < two.x + two.width && two.x < one.x + one.width && one.y < two.y + two.height && two.y < one.y + one.height
  }

  /// The points that have a place on logarithmic axes, largest first so that small ones are drawn on top.
  private var placed: [Point] {
    points.filter {
      $0.intensity > 0 && $0.flopsPerSecond > 0 && $0.intensity.isFinite && $0.flopsPerSecond.isFinite
    }.sorted { $0.share > $1.share }
  }

  /// The scales: shared by the drawing and its tests.
  func scales(width: Double) -> (x: LogScale, y: LogScale, height: Double) {
    let isNarrow = width < 600
    let height = isNarrow ? 330.0 : 420.0
    let peak = computeCeilings.map(\.value).max()
    let ridge = peak.flatMap { peak in bandwidthCeilings.map(\.value).max().map { peak / $0 } }
    let slowRidge = peak.flatMap { peak in bandwidthCeilings.map(\.value).min().map { peak / $0 } }
    let intensities = points.map(\.intensity).filter { $0 > 0 && $0.isFinite }
    let rates = points.map(\.flopsPerSecond).filter { $0 > 0 && $0.isFinite }
    let lowX = ((intensities + [ridge].compactMap { $0 }).min() ?? 0.1) / 2.5
    let highX = ((intensities + [slowRidge].compactMap { $0 }).max() ?? 100) * 4
    let highY = ((rates + [peak].compactMap { $0 }).max() ?? 1e10) * 2.2
    let lowY = min((rates.min() ?? highY / 1000) / 2.2, highY / 100)
    return (
      LogScale(lowX...highX, from: isNarrow ? 44 : 64, to: width - 12),
      LogScale(lowY...highY, from: height - 44, to: 10), height
    )
  }

  func draw(width: Double) -> Drawing {
    let (x, y, height) = scales(width: width)
    let (left, right, bottom, top) = (x.start, x.end, y.start, y.end)
    var body = HTML.empty
    for tick in x.minorTicks {
      body += Mark.line(x1: x.position(tick), y1: bottom, x2: x.position(tick), y2: bottom + 3, class: "base")
    }
    for tick in x.ticks {
      body += Mark.line(x1: x.position(tick), y1: top, x2: x.position(tick), y2: bottom, class: "grid")
      body += Mark.text(
        NumberFormat.decimal(tick, significant: 1), x: x.position(tick), y: bottom + 17, class: "tick",
        anchor: .middle)
    }
    for tick in y.ticks {
      body += Mark.line(x1: left, y1: y.position(tick), x2: right, y2: y.position(tick), class: "grid")
      body += Mark.text(
        NumberFormat.si(tick, "", significant: 1), x: left - 6, y: y.position(tick) + 4, class: "tick", anchor: .end)
    }
    body += Mark.line(x1: left, y1: bottom, x2: right, y2: bottom, class: "base")
    body += Mark.line(x1: left, y1: top, x2: left, y2: bottom, class: "base")
    body += Mark.text(
      "arithmetic intensity, FLOP/B", x: (left + right) / 2, y: bottom + 36, class: "axis", anchor: .middle)
    let axisX = 11.0
    body +=
      "<text transform='translate(\(axisX) \((top + bottom) / 2)) rotate(-90)' class='axis' text-anchor='middle'>FLOP/s</text>"

    let peak = computeCeilings.map(\.value).max()
    // Points take their places first; labels go where those leave room.
    var taken = placed.map { point -> Box in
      let radius = RooflineChart.radius(share: point.share)
      let (px, py) = (x.position(point.intensity), y.position(point.flopsPerSecond))
      return (px - radius * 0.8, py - radius * 0.8, radius * 1.6, radius * 1.6)
    }
    for ceiling in bandwidthCeilings { body += slope(ceiling, peak: peak, x: x, y: y, taken: &taken) }
    for ceiling in computeCeilings {
      // A compute ceiling begins where the fastest memory meets it.
      let from = bandwidthCeilings.map(\.value).max().map { ceiling.value / $0 } ?? x.domain.lowerBound
      let startX = x.position(min(max(from, x.domain.lowerBound), x.domain.upperBound))
      let place = y.position(ceiling.value)
      body += Mark.line(
        x1: startX, y1: place, x2: right, y2: place, class: ceiling.value == peak ? "roof" : "roof minor")
      let text = "\(ceiling.label) \(NumberFormat.si(ceiling.value, "FLOP/s"))"
      let labelWidth = TextMeasure.width(text, size: 11)
      let candidates: [Box] = [
        right - 4, right - 4 - (right - startX) / 4, (startX + right + labelWidth) / 2, startX + labelWidth + 60,
      ]
      .flatMap { end in [-17.0, 3].map { (end - labelWidth, place + $0, labelWidth, 14) } }
      let box =
        candidates.first { candidate in !taken.contains { RooflineChart.overlap($0, candidate) } } ?? candidates[0]
      taken.append(box)
      body += Mark.text(text, x: box.x, y: box.y + 11, class: "tick strong halo")
    }
    body += drawPoints(x: x, y: y, taken: &taken)
    return Drawing(width: width, height: height, body: body)
  }

  /// A bandwidth's slope, from the left edge to its ridge, with its label along it.
  private func slope(
    _ ceiling: Ceiling, peak: Double?, x: LogScale, y: LogScale,
    taken: inout [Box]
  ) -> HTML {
    let end = min(peak.map { $0 / ceiling.value } ?? x.domain.upperBound, x.domain.upperBound)
    let start = max(x.domain.lowerBound, y.domain.lowerBound / ceiling.value)
    guard start < end else { return .empty }
    let from = (x: x.position(start), y: y.position(start * ceiling.value))
    let to = (x: x.position(end), y: y.position(min(end * ceiling.value, y.domain.upperBound)))
    let isSlowest = ceiling.value == bandwidthCeilings.map(\.value).min()
    var result = Mark.line(x1: from.x, y1: from.y, x2: to.x, y2: to.y, class: isSlowest ? "roof" : "roof minor")
    let angle = atan2(to.y - from.y, to.x - from.x) * 180 / .pi
    let text = "\(ceiling.label) \(NumberFormat.si(ceiling.value, "B/s"))"
    // Just above the slope, where no point is in the way.
    let labelWidth = TextMeasure.width(text, size: 11)
    let places = [0.36, 0.6, 0.2, 0.8].map { share in
      (x: from.x + (to.x - from.x) * share, y: from.y + (to.y - from.y) * share)
    }
    func box(_ place: (x: Double, y: Double)) -> Box {
      let (dx, dy) = (abs(cos(angle * .pi / 180)) * labelWidth, abs(sin(angle * .pi / 180)) * labelWidth)
      return (place.x - dx / 2 - 8, place.y - dy / 2 - 14, dx + 8, dy + 14)
    }
    let at = places.first { place in !taken.contains { RooflineChart.overlap($0, box(place)) } } ?? places[0]
    taken.append(box(at))
    result +=
      "<text transform='translate(\(at.x) \(at.y)) rotate(\(angle))' y='-6' class='tick strong halo' text-anchor='middle'>\(text)</text>"
    if isSlowest, peak != nil, end < x.domain.upperBound {
      result += Mark.line(x1: to.x, y1: to.y, x2: to.x, y2: y.start, class: "mark")
      let ridge = "ridge \(NumberFormat.decimal(end, significant: 2)) FLOP/B"
      let ridgeWidth = TextMeasure.width(ridge, size: 11)
      let fits = to.x + 5 + ridgeWidth < x.end
      result += Mark.text(
        ridge, x: fits ? to.x + 5 : to.x - 5, y: y.start - 7, class: "tick halo", anchor: fits ? .start : .end)
      taken.append((fits ? to.x + 5 : to.x - 5 - ridgeWidth, y.start - 19, ridgeWidth, 15))
    }
    return result
  }

  /// The points, each labelled where there is room.
  private func drawPoints(
    x: LogScale, y: LogScale, taken: inout [Box]
  ) -> HTML {
    var circles = HTML.empty
    var labels = HTML.empty
    for point in placed {
      let place = (
        x: x.position(point.intensity), y: y.position(point.flopsPerSecond), r: RooflineChart.radius(share: point.share)
      )
      let tip =
        [
          point.label,
          "\(NumberFormat.si(point.flopsPerSecond, "FLOP/s")) at \(NumberFormat.decimal(point.intensity)) FLOP/B",
          "\(NumberFormat.percent(point.share)) of the time",
        ] + point.details
      circles +=
        "<circle cx='\(place.x)' cy='\(place.y)' r='\(place.r)' class='blob \(point.color.name)'>\(Mark.tip(tip))</circle>"
      let text = VisibleText.shortened(point.label, to: 28)
      let labelWidth = TextMeasure.width(text, size: 12.5)
      let candidates = [
        (x: place.x + place.r + 4, y: place.y - 7), (x: place.x - place.r - 4 - labelWidth, y: place.y - 7),
        (x: place.x - labelWidth / 2, y: place.y - place.r - 17),
        (x: place.x - labelWidth / 2, y: place.y + place.r + 3),
        (x: place.x + place.r * 0.7 + 3, y: place.y - place.r * 0.7 - 14),
        (x: place.x + place.r * 0.7 + 3, y: place.y + place.r * 0.7),
      ]
      let fit = candidates.first { candidate in
        candidate.x > x.start + 2 && candidate.x + labelWidth < x.end && candidate.y > y.end
          && candidate.y + 14 < y.start
          && !taken.contains { RooflineChart.overlap($0, (candidate.x, candidate.y, labelWidth, 14)) }
      }
      if let fit {
        taken.append((fit.x, fit.y, labelWidth, 14))
        labels += Mark.text(text, x: fit.x, y: fit.y + 11, class: "label halo")
      }
    }
    return circles + labels
  }

  /// Area in proportion to the share of time.
  static func radius(share: Double) -> Double { 4 + 22 * min(max(share, 0), 1).squareRoot() }
}
