// What a detector learns from and is judged by: boxes, classes and outlines of the objects in an image.

/// A rectangle with continuous edges in pixels: the image's first pixel reaches from 0 to 1. (Data sets that name the
/// first and the last pixel of an object are converted: their "inclusive" width x₂ − x₁ + 1 is this one's x₂ − x₁.)
struct Box: Hashable, Sendable {
  var x1, y1, x2, y2: Float

  var width: Float { max(x2 - x1, 0) }
  var height: Float { max(y2 - y1, 0) }
  var area: Float { width * height }
  /// x₁, y₁, x₂, y₂.
  var coordinates: [Float] { [x1, y1, x2, y2] }

  init(_ x1: Float, _ y1: Float, _ x2: Float, _ y2: Float) { (self.x1, self.y1, self.x2, self.y2) = (x1, y1, x2, y2) }

  /// What is common to both; of no area when nothing is.
  func intersection(_ other: Box) -> Box {
    Box(max(x1, other.x1), max(y1, other.y1), min(x2, other.x2), min(y2, other.y2))
  }

  /// The common area by the joint area (Jaccard index).
  func intersectionOverUnion(_ other: Box) -> Float {
    let common = intersection(other).area
    let union = area + other.area - common
    return union > 0 ? common / union : 0
  }

  /// The box in an image that has been scaled.
  func scaled(_ horizontal: Float, _ vertical: Float) -> Box {
    Box(x1 * horizontal, y1 * vertical, x2 * horizontal, y2 * vertical)
  }

  /// The box in the mirror image.
  func mirrored(width: Float) -> Box { Box(width - x2, y1, width - x1, y2) }
}

/// An object in an image.
struct ObjectAnnotation: Hashable, Sendable {
  /// Its bounding box in the image's own pixels.
  var box: Box
  /// Its class, from 1; 0 is the background.
  var label: Int
  /// "Difficult" in VOC, a crowd in COCO: not learnt, and neither a detection of it nor missing it is a mistake.
  var isIgnored = false
  /// Its pixels, where the data set tells them.
  var outline: Outline?
}

/// The pixels of an object, as a data set gives them.
enum Outline: Hashable, Sendable {
  /// Closed polygons x₁, y₁, x₂, y₂ …, joined.
  case polygons([[Float]])
  /// Alternating runs.
  case runs(RunLengthMask)

  /// The pixels in an image of a size.
  func mask(width: Int, height: Int) -> RunLengthMask {
    switch self {
    case .polygons(let polygons): RunLengthMask(polygons: polygons, width: width, height: height)
    case .runs(let mask): mask
    }
  }
}

/// Annotated images. Safe to use from a loading thread.
protocol ObjectSource: Sendable {
  /// Number of images.
  var count: Int { get }
  /// Names of the classes; the first has the label 1.
  var classNames: [String] { get }
  /// For the log and the report: `synthetic: …` or the directory.
  var origin: String { get }
  /// The objects of an image.
  func annotations(_ index: Int) -> [ObjectAnnotation]
  /// The pixels of an image.
  ///
  /// - Throws: `DataError` for an image that cannot be read.
  func image(_ index: Int) throws(DataError) -> RGBImage
}
