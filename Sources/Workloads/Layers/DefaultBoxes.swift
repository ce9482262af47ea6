// The boxes that a single-shot detector starts from: some at every cell of each of its maps.

/// The default boxes of SSD (Liu et al., ECCV 2016), as fractions of the image.
struct DefaultBoxes: Sendable {
  /// Cells along a side of each map.
  var maps: [Int]
  /// The square's side on each map in pixels, and one more: the second square's side is the geometric mean with the
  /// next.
  var sizes: [Double]
  /// Besides the two squares, a box of each ratio and of its inverse.
  var ratios: [[Double]]
  /// The image's side in pixels.
  var image: Double

  /// Boxes at a cell of a map.
  func count(_ map: Int) -> Int { 2 + 2 * ratios[map].count }
  /// All boxes.
  var total: Int { maps.indices.reduce(0) { $0 + maps[$1] * maps[$1] * count($1) } }

  /// Corners of all boxes, map by map, cell by cell along the rows; cut off at the image's edges.
  var corners: [Box] {
    maps.indices.flatMap { map -> [Box] in
      let size = sizes[map] / image
      let between = (sizes[map] * sizes[map + 1]).squareRoot() / image
      let sides =
        [(size, size), (between, between)]
        + ratios[map].flatMap { ratio in
          let root = ratio.squareRoot()
          return [(size * root, size / root), (size / root, size * root)]
        }
      let cells = Double(maps[map])
      return (0..<maps[map] * maps[map]).flatMap { cell in
        let x = (Double(cell % maps[map]) + 0.5) / cells
        let y = (Double(cell / maps[map]) + 0.5) / cells
        return sides.map { width, height in
          // The sides too are cut off, before the corners are made.
          let (w, h) = (min(width, 1) / 2, min(height, 1) / 2)
          return Box(Float(x - w), Float(y - h), Float(x + w), Float(y + h))
        }
      }
    }
  }

  /// What each box should learn of an image's objects: the object it overlaps by 0.5 or more, the best one. Besides,
  /// each object has the box that overlaps it most, however little that is.
  ///
  /// - Returns: the object of each box; −1 for background.
  static func match(_ boxes: [Box], _ objects: [Box]) -> [Int] {
    var owners = [Int](repeating: -1, count: boxes.count)
    var best = [Float](repeating: 0.5, count: boxes.count)
    var claims: [(object: Int, box: Int)] = []
    for (number, object) in objects.enumerated() {
      var most: (box: Int, overlap: Float) = (0, -1)
      for (place, box) in boxes.enumerated() {
        let overlap = box.intersectionOverUnion(object)
        if overlap >= best[place] { (owners[place], best[place]) = (number, overlap) }
        if overlap > most.overlap { most = (place, overlap) }
      }
      claims.append((number, most.box))
    }
    for claim in claims { owners[claim.box] = claim.object }
    return owners
  }
}
