// A stand-in for photographs with captions: two things, drawn, and what one can say of them.

/// Two shapes on a background, one left of, right of, above or below the other. A caption names size, colour and shape
/// of one, the relation, then the other: `a large red disc above a small blue square`. Each image has two captions,
/// which begin with either thing, so that even a perfect model is surprised at the second word.
struct SyntheticDrawings: CaptionSource {
  /// Images; twice as many captions.
  let imageCount: Int
  let shape: [Int]
  let vocabulary: WordVocabulary
  private let seed: UInt64

  static let sizes = ["small", "large"]
  static let colours = ["red", "green", "blue", "yellow"]
  static let things = ["disc", "square", "triangle", "plus"]
  static let relations = ["above", "below", "left", "right"]
  private static let lights: [[Double]] = [[0.9, 0.2, 0.2], [0.2, 0.8, 0.2], [0.25, 0.3, 0.95], [0.9, 0.85, 0.2]]

  /// - Parameter words: size of the vocabulary with the four specials; those that are never said fill it up.
  init(imageCount: Int, side: Int, words: Int? = nil, seed: UInt64) {
    self.imageCount = imageCount
    self.seed = seed
    shape = [3, side, side]
    let said = ["a"] + Self.sizes + Self.colours + Self.things + Self.relations
    let rest = max((words ?? 0) - said.count - WordVocabulary.specials.count, 0)
    vocabulary = WordVocabulary(said + (0..<rest).map { "unused\($0)" })
  }

  var count: Int { 2 * imageCount }

  var origin: String {
    "synthetic: \(imageCount) images \(shape[1])×\(shape[2]) of two shapes with two captions each, seed \(seed)"
  }

  /// One of the two things.
  struct Thing: Equatable {
    var size, colour, thing: Int
    /// Centre in −1 … 1, and radius.
    var x, y, radius: Double
  }

  /// What is in an image: the first thing is above or left of the second.
  func scene(_ image: Int) -> (things: [Thing], isVertical: Bool) {
    var random = SeededRandom(seed, 8, image)
    let isVertical = random.chance(0.5)
    let things = (0..<2).map { number in
      let size = random.integer(below: 2)
      let along = (number == 0 ? -0.5 : 0.5) + random.uniform(-0.1...0.1)
      let across = random.uniform(-0.3...0.3)
      return Thing(
        size: size, colour: random.integer(below: 4), thing: random.integer(below: 4), x: isVertical ? across : along,
        y: isVertical ? along : across, radius: size == 0 ? 0.24 : 0.42)
    }
    return (things, isVertical)
  }

  func image(_ index: Int) -> Int { index / 2 }

  func caption(_ index: Int) -> [Int] {
    let (things, isVertical) = scene(index / 2)
    let first = index % 2
    func name(_ thing: Thing) -> [String] {
      ["a", Self.sizes[thing.size], Self.colours[thing.colour], Self.things[thing.thing]]
    }
    let relation = Self.relations[(isVertical ? 0 : 2) + first]
    return (name(things[first]) + [relation] + name(things[1 - first])).map(vocabulary.number)
  }

  func write(_ index: Int, epoch: Int, into planes: UnsafeMutableBufferPointer<Float>) {
    let size = shape[1] * shape[2]
    precondition(planes.count == 3 * size, "the buffer must hold three planes")
    let statistics = ChannelStatistics.imageNet
    let (things, _) = scene(index / 2)
    var random = SeededRandom(seed, 9, index / 2)
    let grey = random.uniform(0.3...0.6)
    let side = shape[1]
    for y in 0..<side {
      for x in 0..<side {
        let (u, v) = ((Double(x) + 0.5) * 2 / Double(side) - 1, (Double(y) + 0.5) * 2 / Double(side) - 1)
        let hit = things.first {
          SyntheticShapes.contains($0.thing, (u - $0.x) / $0.radius, (v - $0.y) / $0.radius)
        }
        for channel in 0..<3 {
          let light = (hit.map { Self.lights[$0.colour][channel] } ?? grey) + 0.05 * random.normal()
          planes[channel * size + y * side + x] =
            (Float(min(max(light, 0), 1)) - statistics.mean[channel]) / statistics.deviation[channel]
        }
      }
    }
  }
}
