// A stand-in for faces in colour and depth: heads that differ in shape alone.

/// Height fields of heads: an ellipsoid with six bumps, which are the person. Colour tells next to nothing of them:
/// skin is nearly the same, and light comes from anywhere; depth shows the bumps themselves, with noise.
struct SyntheticHeads: ImageSource {
  let count: Int
  /// People; labels go from 0 to one less.
  let classCount: Int
  let shape: [Int]
  private let seed: UInt64
  private let people: [Person]

  /// The seed decides the photographs; the people are always the same.
  init(count: Int, people: Int, side: Int, seed: UInt64) {
    self.count = count
    classCount = people
    shape = [4, side, side]
    self.seed = seed
    self.people = (0..<people).map { number in
      var random = SeededRandom(1, 12, number)
      return Person(&random)
    }
  }

  var origin: String {
    "synthetic: \(count) drawn heads \(shape[1])×\(shape[2]) with depth, seed \(seed)"
  }

  /// The shape of a head.
  private struct Person: Sendable {
    struct Bump: Sendable {
      let x, y, radius, height: Double
    }
    let width, height: Double
    let bumps: [Bump]

    init(_ random: inout SeededRandom) {
      width = random.uniform(0.7...0.85)
      height = random.uniform(0.85...0.95)
      bumps = (0..<6).map { _ in
        Bump(
          x: random.uniform(-0.45...0.45), y: random.uniform(-0.6...0.6), radius: random.uniform(0.25...0.45),
          height: random.uniform(-0.22...0.22))
      }
    }

    /// The height above the plane behind the head at a point of [−1, 1]²; nil beside it.
    func height(_ u: Double, _ v: Double) -> Double? {
      let rest = 1 - (u / width) * (u / width) - (v / height) * (v / height)
      guard rest > 0 else { return nil }
      return bumps.reduce(0.8 * rest.squareRoot()) { sum, bump in
        let square = ((u - bump.x) * (u - bump.x) + (v - bump.y) * (v - bump.y)) / (bump.radius * bump.radius)
        return square < 1 ? sum + bump.height * (1 - square) * (1 - square) : sum
      }
    }
  }

  func write(
    _ index: Int, epoch: Int, into planes: UnsafeMutableBufferPointer<Float>
  ) throws(DataError) -> Int64 {
    let side = shape[1]
    let size = side * side
    precondition(planes.count == 4 * size, "the buffer must hold four planes")
    let image = draw(index)
    for pixel in 0..<size {
      for channel in 0..<3 { planes[channel * size + pixel] = Float(image.colours[3 * pixel + channel]) / 127.5 - 1 }
    }
    for (pixel, value) in DepthPlane(width: side, height: side, distances: image.depths).values.enumerated() {
      planes[3 * size + pixel] = value
    }
    return Int64(image.label)
  }

  /// The photograph as 8-bit RGB, interleaved, and distances in millimetres, 0 beside the head.
  func draw(_ index: Int) -> (colours: [UInt8], depths: [Float], label: Int) {
    let side = shape[1]
    var random = SeededRandom(seed, 13, index)
    let label = random.integer(below: classCount)
    let person = people[label]
    let shift = (x: random.uniform(-0.12...0.12), y: random.uniform(-0.12...0.12))
    let light = (x: random.uniform(-0.8...0.8), y: random.uniform(-0.8...0.8))
    let length = (light.x * light.x + light.y * light.y + 1).squareRoot()
    let skin = (0..<3).map { [0.8, 0.62, 0.5][$0] + random.uniform(-0.03...0.03) }
    var colours: [UInt8] = []
    var depths: [Float] = []
    let step = 1 / Double(side)
    for y in 0..<side {
      for x in 0..<side {
        let u = (Double(x) + 0.5) * 2 / Double(side) - 1 - shift.x
        let v = (Double(y) + 0.5) * 2 / Double(side) - 1 - shift.y
        guard let z = person.height(u, v) else {
          colours += [40, 44, 52]
          depths.append(0)
          continue
        }
        // Lambert's law: brightness by the angle between light and surface.
        let across = ((person.height(u + step, v) ?? z) - (person.height(u - step, v) ?? z)) / (2 * step)
        let down = ((person.height(u, v + step) ?? z) - (person.height(u, v - step) ?? z)) / (2 * step)
        let cosine =
          (1 - across * light.x - down * light.y) / ((1 + across * across + down * down).squareRoot() * length)
        let shade = 0.25 + 0.75 * max(cosine, 0)
        for channel in 0..<3 { colours.append(byte(skin[channel] * shade + 0.02 * random.normal())) }
        depths.append(Float(600 - 100 * z + 1.5 * random.normal()))
      }
    }
    return (colours, depths, label)
  }
}
