// A stand-in for Cityscapes: street scenes as photographs, and as maps of what is where.

/// The colours that stand for classes in Cityscapes' label images (Cordts et al., CVPR 2016).
struct LabelPalette: Sendable {
  /// Red, green, blue; the first `classCount` count in measures, the others are void.
  let colours: [(UInt8, UInt8, UInt8)]
  /// Classes that measures look at.
  let classCount: Int

  /// Cityscapes' 19 classes, then the colours of what is not evaluated.
  static let cityscapes = LabelPalette(
    colours: [
      (128, 64, 128), (244, 35, 232), (70, 70, 70), (102, 102, 156), (190, 153, 153), (153, 153, 153),
      (250, 170, 30), (220, 220, 0), (107, 142, 35), (152, 251, 152), (70, 130, 180), (220, 20, 60), (255, 0, 0),
      (0, 0, 142), (0, 0, 70), (0, 60, 100), (0, 80, 100), (0, 0, 230), (119, 11, 32),
      // Void: unlabelled, dynamic, ground, parking, rail track, guard rail, bridge, tunnel.
      (0, 0, 0), (111, 74, 0), (81, 0, 81), (250, 170, 160), (230, 150, 140), (180, 165, 180), (150, 100, 100),
      (150, 120, 90),
    ], classCount: 19)

  /// Road, building, vegetation, sky and car: the classes of ``SyntheticStreets``.
  static let streets = LabelPalette(
    colours: [(128, 64, 128), (70, 70, 70), (107, 142, 35), (70, 130, 180), (0, 0, 142)], classCount: 5)

  /// The class of every pixel by its nearest colour; void is `classCount`. The planes hold −1 … 1, one colour after
  /// another.
  func classes(planes: ArraySlice<Float>) -> [UInt8] {
    let size = planes.count / 3
    let points = colours.map { colour in
      [colour.0, colour.1, colour.2].map { Float($0) / 127.5 - 1 }
    }
    return planes.withUnsafeBufferPointer { planes in
      (0..<size).map { pixel in
        var (nearest, least) = (0, Float.infinity)
        for (index, point) in points.enumerated() {
          let red = planes[pixel] - point[0]
          let green = planes[size + pixel] - point[1]
          let blue = planes[2 * size + pixel] - point[2]
          let distance = red * red + green * green + blue * blue
          if distance < least { (nearest, least) = (index, distance) }
        }
        return UInt8(min(nearest, classCount))
      }
    }
  }
}

/// Street scenes of five classes: a road towards the horizon, buildings and trees beside it, the sky, a car.
///
/// What is above and below what is never the same for two classes, and colours are not far from the labels'. Without
/// that, a mapping that swaps two classes undoes itself as well as the right one does, and is learnt as often.
struct SyntheticStreets: DrawnImages {
  /// What an image shows of its scene.
  enum Domain: String, Sendable {
    /// Colours with light, noise and stripes in the leaves.
    case photographs
    /// The class of every pixel in Cityscapes' colours.
    case labels
  }

  /// Number of images.
  let count: Int
  /// 3, side, side.
  let shape: [Int]
  /// What an image shows of its scene.
  let domain: Domain
  private let seed: UInt64

  /// There are no classes of images; every label is 0.
  var classCount: Int { 1 }
  /// What the data are, for the log.
  var origin: String {
    "synthetic: \(count) \(domain.rawValue) \(shape[1])×\(shape[2]) of drawn streets, seed \(seed)"
  }

  /// Images of `side`×`side` pixels. The same seed and index is the same scene in both domains.
  init(_ domain: Domain, count: Int, side: Int, seed: UInt64) {
    self.domain = domain
    self.count = count
    self.seed = seed
    shape = [3, side, side]
  }

  /// Road, building, vegetation, sky, car in a photograph's light.
  private static let light = [
    (0.48, 0.42, 0.46), (0.42, 0.34, 0.28), (0.24, 0.46, 0.14), (0.52, 0.72, 0.94), (0.24, 0.10, 0.40),
  ]

  func draw(_ index: Int, _ put: (Int, (UInt8, UInt8, UInt8)) -> Void) -> Int64 {
    var random = SeededRandom(seed, 4, index)
    let side = shape[1]
    let horizon = random.uniform(-0.15...0.15)
    let vanishing = random.uniform(-0.3...0.3)
    let roadWidth = random.uniform(0.7...1.1)
    // From above: sky, buildings, trees and grass. Each side of the street has its own heights.
    let roofs = (random.uniform(0.35...0.8), random.uniform(0.35...0.8))
    let crowns = (random.uniform(-0.1...0.25), random.uniform(-0.1...0.25))
    let car = (x: vanishing + random.uniform(-0.35...0.35), y: horizon + random.uniform(0.25...0.55))
    let carSize = random.uniform(0.14...0.22)
    let gain = random.uniform(0.9...1.1)
    for y in 0..<side {
      let v = (Double(y) + 0.5) * 2 / Double(side) - 1
      for x in 0..<side {
        let u = (Double(x) + 0.5) * 2 / Double(side) - 1
        let isLeft = u < vanishing
        let nearness = min(abs(u - vanishing) * 1.5 + 0.15, 1)
        let label: Int
        if abs(u - car.x) < carSize && abs(v - car.y) < carSize * 0.7 {
          label = 4
        } else if v > horizon && abs(u - vanishing) < 0.1 + roadWidth * (v - horizon) {
          label = 0
        } else if v > horizon - (isLeft ? crowns.0 : crowns.1) * nearness {
          label = 2
        } else if v > horizon - (isLeft ? roofs.0 : roofs.1) * nearness {
          label = 1
        } else {
          label = 3
        }
        switch domain {
        case .labels: put(y * side + x, LabelPalette.streets.colours[label])
        case .photographs:
          let stripe = label == 2 && (x + y) % 4 < 2 ? 0.12 : 0
          let base = Self.light[label]
          func shaded(_ value: Double) -> UInt8 { byte(value * gain + stripe + 0.04 * random.normal()) }
          put(y * side + x, (shaded(base.0), shaded(base.1), shaded(base.2)))
        }
      }
    }
    return 0
  }

  /// The classes of a scene's pixels, row by row.
  func classes(_ index: Int) -> [UInt8] {
    var result: [UInt8] = []
    _ = SyntheticStreets(.labels, count: count, side: shape[1], seed: seed).draw(index) { _, colour in
      let place = LabelPalette.streets.colours.firstIndex { $0 == colour }
      result.append(UInt8(place ?? LabelPalette.streets.classCount))
    }
    return result
  }
}
