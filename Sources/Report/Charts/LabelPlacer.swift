// Where can a label go so that it covers neither another one nor what is drawn?
import Foundation

/// A point of a drawing, in its units; y grows downwards.
struct Place: Hashable, Sendable {
  var x: Double
  var y: Double
}

/// A box of a drawing, in its units.
struct LabelBox: Hashable, Sendable {
  var x: Double
  var y: Double
  var width: Double
  var height: Double

  var right: Double { x + width }
  var bottom: Double { y + height }

  func overlaps(_ other: LabelBox) -> Bool {
    x < other.right && other.x < right && y < other.bottom && other.y < bottom
  }

  func contains(_ place: Place) -> Bool { place.x > x && place.x < right && place.y > y && place.y < bottom }

  func isWithin(_ other: LabelBox) -> Bool {
    x >= other.x && right <= other.right && y >= other.y && bottom <= other.bottom
  }
}

/// Places labels one after the other: beside their point where there is room, else further away with a line to it.
struct LabelPlacer: Sendable {
  /// Where a label went.
  struct Placement: Sendable {
    var box: LabelBox
    /// Where the text begins, ends or has its middle, so that it stays beside its point whatever its real width is.
    var x: Double
    var anchor: Mark.Anchor
    /// The line from the point to a label that does not stand beside it.
    var leader: (from: Place, to: Place)?

    init(box: LabelBox, of point: Place, leader: (from: Place, to: Place)? = nil) {
      self.box = box
      self.leader = leader
      (x, anchor) =
        box.x >= point.x
        ? (box.x, .start) : box.right <= point.x ? (box.right, .end) : (box.x + box.width / 2, .middle)
    }
  }

  /// No label leaves it.
  var bounds: LabelBox
  /// What no label may cover: points, labels, lines to labels.
  private(set) var taken: [LabelBox] = []
  /// Those of them that are labels and lines to labels.
  private var labels: [LabelBox] = []

  init(bounds: LabelBox) { self.bounds = bounds }

  /// Keeps labels away from a box.
  mutating func block(_ box: LabelBox) { taken.append(box) }

  /// Places a label of that size beside a point, or nowhere when there is no room.
  ///
  /// - Parameters:
  ///   - radius: half the width of the point's symbol.
  ///   - reach: how far from its point a label may go.
  mutating func place(
    width: Double, height: Double = 14, at point: Place, radius: Double, reach: Double = 72
  ) -> Placement? {
    let gap = radius + 4
    let beside: [(dx: Double, dy: Double)] = [
      (gap, -height / 2), (-gap - width, -height / 2), (-width / 2, -gap - height + 2), (-width / 2, gap - 2),
      (gap * 0.75, -gap * 0.75 - height + 3), (gap * 0.75, gap * 0.75 - 3),
      (-gap * 0.75 - width, -gap * 0.75 - height + 3), (-gap * 0.75 - width, gap * 0.75 - 3),
    ]
    for offset in beside {
      let box = LabelBox(x: point.x + offset.dx, y: point.y + offset.dy, width: width, height: height)
      if isFree(box) {
        take([box])
        return Placement(box: box, of: point)
      }
    }
    var distance = radius + 12
    while distance <= reach {
      for step in 0..<16 {
        let angle = Double(step) * .pi / 8
        // The box touches the circle of that distance with its nearest side or corner.
        let (dx, dy) = (cos(angle), sin(angle))
        let x = point.x + distance * dx + (dx > 0.3 ? 0 : dx < -0.3 ? -width : -width / 2)
        let y = point.y + distance * dy + (dy > 0.3 ? 0 : dy < -0.3 ? -height : -height / 2)
        let box = LabelBox(x: x, y: y, width: width, height: height)
        guard isFree(box) else { continue }
        let to = Place(
          x: min(max(point.x, box.x - 1), box.right + 1), y: min(max(point.y, box.y + 1), box.bottom - 1))
        let from = LabelPlacer.between(point, to, at: radius + 1)
        guard let line = line(from: from, to: to) else { continue }
        take([box] + line)
        return Placement(box: box, of: point, leader: (from: from, to: to))
      }
      distance += 9
    }
    return nil
  }

  private mutating func take(_ boxes: [LabelBox]) {
    taken += boxes
    labels += boxes
  }

  private func isFree(_ box: LabelBox) -> Bool { box.isWithin(bounds) && !taken.contains { $0.overlaps(box) } }

  /// Small boxes along a line, or none when it would cross something.
  private func line(from: Place, to: Place) -> [LabelBox]? {
    let length = hypot(to.x - from.x, to.y - from.y)
    let steps = max(1, Int(length / 3))
    var boxes: [LabelBox] = []
    for step in 0...steps {
      let place = LabelPlacer.between(from, to, at: length * Double(step) / Double(steps))
      if taken.contains(where: { $0.contains(place) }) {
        // It begins at the edge of its own symbol, whose corner may be in the way, but no label.
        guard step * 3 < 6, !labels.contains(where: { $0.contains(place) }) else { return nil }
        continue
      }
      boxes.append(LabelBox(x: place.x - 1.5, y: place.y - 1.5, width: 3, height: 3))
    }
    return boxes
  }

  /// The point at a distance from the first towards the second.
  private static func between(_ first: Place, _ second: Place, at distance: Double) -> Place {
    let length = max(hypot(second.x - first.x, second.y - first.y), 1e-9)
    let share = min(1, distance / length)
    return Place(x: first.x + (second.x - first.x) * share, y: first.y + (second.y - first.y) * share)
  }
}

extension TextMeasure {
  /// The text on at most `limit` lines of that width, broken at spaces; what doesn't fit is shortened.
  static func wrapped(_ text: String, width: Double, size: Double = 12, lines limit: Int = 2) -> [String] {
    let text = text.utf8.count > 512 ? VisibleText.shortened(text, to: 160) : text
    var lines: [String] = []
    var words = text.split(separator: " ")[...]
    while let first = words.first {
      if lines.count == limit - 1 {
        lines.append(fitted(words.joined(separator: " "), width: width, size: size))
        return lines
      }
      var line = String(first)
      words.removeFirst()
      while let next = words.first, self.width("\(line) \(next)", size: size) <= width {
        line += " \(next)"
        words.removeFirst()
      }
      lines.append(fitted(line, width: width, size: size))
    }
    return lines
  }
}
