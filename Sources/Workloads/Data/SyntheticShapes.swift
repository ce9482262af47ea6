// A stand-in for photographs: ten kinds of shapes, drawn from a seed.

/// Procedural RGB images of ten shape classes at any size, with random place, size, angle, colours and noise.
///
/// Drawn when asked for, so that any number of them needs no memory and the loader has work to do, as with files.
public struct SyntheticShapes: ImageSource {
  /// Number of images.
  public let count: Int
  /// 3, side, side.
  public let shape: [Int]
  private let seed: UInt64

  /// The classes, in the order of their labels.
  public static let classNames = [
    "disc", "square", "triangle", "plus", "ring", "striped disc", "bar", "half disc", "diamond", "flower",
  ]

  /// Ten shapes.
  public var classCount: Int { Self.classNames.count }

  /// What the data are, for the log.
  public var origin: String {
    "synthetic: \(count) images \(shape[1])×\(shape[2]) of \(classCount) procedural shapes, seed \(seed)"
  }

  /// Images of `side`×`side` pixels. Different seeds give different images; a test set has its own.
  public init(count: Int, side: Int, seed: UInt64) {
    self.count = count
    self.seed = seed
    shape = [3, side, side]
  }

  /// Draws an image; the same for every epoch.
  public func write(
    _ index: Int, epoch: Int, into planes: UnsafeMutableBufferPointer<Float>
  ) throws(DataError) -> Int64 {
    let size = shape[1] * shape[2]
    precondition(planes.count == 3 * size, "the buffer must hold three planes")
    let statistics = ChannelStatistics.imageNet
    let factors = statistics.deviation.map { 1 / (255 * $0) }
    let shifts = zip(statistics.mean, statistics.deviation).map { $0 / $1 }
    let label = draw(index) { pixel, channel, value in
      planes[channel * size + pixel] = Float(value) * factors[channel] - shifts[channel]
    }
    return Int64(label)
  }

  /// The image as 8-bit RGB, interleaved, and its class.
  public func image(_ index: Int) -> (pixels: [UInt8], label: Int) {
    var pixels = [UInt8](repeating: 0, count: 3 * shape[1] * shape[2])
    let label = draw(index) { pixel, channel, value in pixels[3 * pixel + channel] = value }
    return (pixels, label)
  }

  @inline(__always)
  private func draw(_ index: Int, _ put: (Int, Int, UInt8) -> Void) -> Int {
    var generator = SeededRandom(seed, 1, index)
    let label = generator.integer(below: Self.classNames.count)
    let side = shape[1]
    let centre = (x: generator.uniform(-0.35...0.35), y: generator.uniform(-0.35...0.35))
    let radius = generator.uniform(0.35...0.6)
    let (sine, cosine) = Reproducible.sineCosine(generator.uniform(-0.6...0.6))
    let grey = generator.uniform(0.35...0.65)
    let background = (0..<3).map { _ in grey + generator.uniform(-0.05...0.05) }
    // Brighter or darker than the background, hardly coloured: colour tells nothing of the class.
    let contrast = generator.chance(0.5) ? 0.3 : -0.3
    let foreground = background.map { $0 + contrast + generator.uniform(-0.05...0.05) }
    for y in 0..<side {
      for x in 0..<side {
        let dx = ((Double(x) + 0.5) * 2 / Double(side) - 1 - centre.x) / radius
        let dy = ((Double(y) + 0.5) * 2 / Double(side) - 1 - centre.y) / radius
        let isInside = Self.contains(label, cosine * dx + sine * dy, cosine * dy - sine * dx)
        for channel in 0..<3 {
          let light = (isInside ? foreground[channel] : background[channel]) + 0.05 * generator.normal()
          put(y * side + x, channel, UInt8(min(max(light * 255, 0), 255)))
        }
      }
    }
    return label
  }

  /// Whether a point, in the shape's own coordinates, belongs to the shape of that class; all fit the unit circle.
  @inline(__always)
  static func contains(_ label: Int, _ u: Double, _ v: Double) -> Bool {
    let square = u * u + v * v
    guard square < 1 else { return false }
    switch label {
    case 0: return true
    case 1: return max(abs(u), abs(v)) < 0.7
    case 2: return v > -0.5 && v < 1 - 1.7 * abs(u)
    case 3: return min(abs(u), abs(v)) < 0.28
    case 4: return square > 0.36
    case 5: return Int(((v + 1) * 4).rounded(.down)) % 2 == 0
    case 6: return abs(v) < 0.3
    case 7: return v > 0
    case 8: return abs(u) / 0.55 + abs(v) < 1
    default:
      // r < 0.6 + 0.4 cos 5φ, with cos 5φ as a polynomial in cos φ.
      let r = square.squareRoot()
      let c = r > 0 ? u / r : 1
      return r < 0.6 + 0.4 * (16 * c * c * c * c * c - 20 * c * c * c + 5 * c)
    }
  }
}
