// Which region of a plane do points span?

/// The convex hull of points in a plane (Andrew's monotone chain, 1979).
public struct ConvexHull: Codable, Sendable, Equatable {
  /// A point.
  public struct Point: Codable, Sendable, Equatable {
    /// To the right.
    public var x: Double
    /// Upwards.
    public var y: Double

    /// Makes a point.
    public init(x: Double, y: Double) {
      self.x = x
      self.y = y
    }
  }
  /// Its corners, counter-clockwise; fewer than three for points on a line.
  public let corners: [Point]

  /// The hull of these points; those that are not finite take no part.
  public init(_ points: [Point]) {
    let sorted = points.filter { $0.x.isFinite && $0.y.isFinite }.sorted { ($0.x, $0.y) < ($1.x, $1.y) }
    func half(_ points: some Sequence<Point>) -> [Point] {
      var chain: [Point] = []
      for point in points {
        while chain.count > 1, Self.turn(chain[chain.count - 2], chain[chain.count - 1], point) <= 0 {
          chain.removeLast()
        }
        chain.append(point)
      }
      return Array(chain.dropLast())
    }
    let distinct = sorted.reduce(into: [Point]()) { if $0.last != $1 { $0.append($1) } }
    corners = distinct.count < 3 ? distinct : half(distinct) + half(distinct.reversed())
  }

  /// Twice the signed area of a triangle: above 0 for a turn to the left.
  private static func turn(_ a: Point, _ b: Point, _ c: Point) -> Double {
    (b.x - a.x) * (c.y - a.y) - (b.y - a.y) * (c.x - a.x)
  }

  /// Its area; 0 for points on a line.
  public var area: Double {
    guard corners.count > 2 else { return 0 }
    var twice = 0.0
    for (index, point) in corners.enumerated() {
      let next = corners[(index + 1) % corners.count]
      twice += point.x * next.y - next.x * point.y
    }
    return twice / 2
  }

  /// Whether a point lies inside or on the border.
  public func contains(_ point: Point) -> Bool {
    switch corners.count {
    case 0: return false
    case 1: return corners[0] == point
    case 2:
      let (a, b) = (corners[0], corners[1])
      return Self.turn(a, b, point) == 0 && point.x >= min(a.x, b.x) && point.x <= max(a.x, b.x)
        && point.y >= min(a.y, b.y) && point.y <= max(a.y, b.y)
    default:
      return corners.indices.allSatisfy {
        Self.turn(corners[$0], corners[($0 + 1) % corners.count], point) >= 0
      }
    }
  }
}
