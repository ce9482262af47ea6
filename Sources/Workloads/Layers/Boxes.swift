// How detectors speak of boxes: overlaps, anchors, and a box as the change of an anchor.
import Glibc

extension Tensor {
  /// The intersection over union of these boxes [n, 4] with others [m, 4]: f32 [n, m].
  func boxOverlaps(_ other: Tensor) -> Tensor {
    let (a, b) = (unsqueezed(1), other.unsqueezed(0))
    let low = a.slice(2, 0..<2).maximum(b.slice(2, 0..<2))
    let high = a.slice(2, 2..<4).minimum(b.slice(2, 2..<4))
    let sides = (high - low).clamped(0, .infinity)
    let common = sides.select(2, 0) * sides.select(2, 1)
    return common / (boxAreas().unsqueezed(1) + other.boxAreas().unsqueezed(0) - common).clamped(1e-9, .infinity)
  }

  /// Areas of boxes [n, 4]: f32 [n].
  func boxAreas() -> Tensor { (select(1, 2) - select(1, 0)) * (select(1, 3) - select(1, 1)) }

  /// Boxes [n, 4] cut off at the edges of an image.
  func clippedBoxes(width: Int, height: Int) -> Tensor {
    let columns = (0..<4).map { select(1, $0).clamped(0, Double($0 % 2 == 0 ? width : height)) }
    return Tensor.stacked(columns, dimension: 1)
  }

  /// Rows of a list of indices.
  func rows(_ indices: [Int]) -> Tensor { select(0, indices: Tensor(integers: indices, shape: [indices.count])) }
}

/// A box as four numbers relative to an anchor (Girshick et al., CVPR 2014): the centre's shift in the anchor's sides,
/// and the logarithms of the sides' ratios.
struct BoxCoder: Sendable {
  /// What the numbers are divided by, so that they are about as large as a classifier's.
  var deviations = [1.0, 1.0, 1.0, 1.0]
  /// Beyond this a side is not believed to grow, so that nothing overflows.
  static let largestLogarithm = log(1000.0 / 16)

  /// RoI heads' deviations.
  static let regions = BoxCoder(deviations: [0.1, 0.1, 0.2, 0.2])

  private func parts(_ boxes: Tensor) -> (x: Tensor, y: Tensor, width: Tensor, height: Tensor) {
    let columns = (0..<4).map { boxes.select(1, $0) }
    let (width, height) = (columns[2] - columns[0], columns[3] - columns[1])
    return (columns[0] + width * 0.5, columns[1] + height * 0.5, width, height)
  }

  /// Boxes [n, 4] relative to anchors [n, 4].
  func encode(_ boxes: Tensor, from anchors: Tensor) -> Tensor {
    let (b, a) = (parts(boxes), parts(anchors))
    return Tensor.stacked(
      [
        (b.x - a.x) / a.width / deviations[0], (b.y - a.y) / a.height / deviations[1],
        (b.width / a.width).log() / deviations[2], (b.height / a.height).log() / deviations[3],
      ], dimension: 1)
  }

  /// The boxes [n, 4] which numbers [n, 4] relative to anchors [n, 4] mean.
  func decode(_ deltas: Tensor, from anchors: Tensor) -> Tensor {
    let a = parts(anchors)
    let d = (0..<4).map { deltas.select(1, $0) * deviations[$0] }
    let (x, y) = (d[0] * a.width + a.x, d[1] * a.height + a.y)
    let width = d[2].clamped(-.infinity, Self.largestLogarithm).exp() * a.width * 0.5
    let height = d[3].clamped(-.infinity, Self.largestLogarithm).exp() * a.height * 0.5
    return Tensor.stacked([x - width, y - height, x + width, y + height], dimension: 1)
  }
}

/// The anchors of one feature map: at every cell the same boxes, of some scales and ratios.
struct AnchorGenerator: Sendable {
  /// The features' cell in the image's pixels.
  var stride: Int
  /// The side of the square whose area all ratios keep, before it is scaled.
  var base: Int
  var scales: [Double]
  /// Height by width.
  var ratios: [Double]

  /// Anchors at a cell.
  var count: Int { scales.count * ratios.count }

  /// Widths and heights. Sides are whole pixels before they are scaled, as in the first implementation.
  var sides: [(width: Double, height: Double)] {
    ratios.flatMap { ratio in
      let width = (Double(base * base) / ratio).squareRoot().rounded()
      let height = (width * ratio).rounded()
      return scales.map { (width * $0, height * $0) }
    }
  }

  /// Corners of all anchors of a map, cell by cell along the rows: [height × width × count × 4].
  func anchors(height: Int, width: Int) -> [Float] {
    // The base square of the first implementation covers the first `base` pixels.
    let centre = Double(base) / 2
    let corners = sides.map {
      [centre - $0.width / 2, centre - $0.height / 2, centre + $0.width / 2, centre + $0.height / 2]
    }
    var result: [Float] = []
    result.reserveCapacity(height * width * count * 4)
    for y in 0..<height {
      for x in 0..<width {
        for corner in corners {
          result.append(Float(corner[0] + Double(x * stride)))
          result.append(Float(corner[1] + Double(y * stride)))
          result.append(Float(corner[2] + Double(x * stride)))
          result.append(Float(corner[3] + Double(y * stride)))
        }
      }
    }
    return result
  }
}
