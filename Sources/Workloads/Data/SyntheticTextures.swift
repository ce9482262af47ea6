// A stand-in for photographs as a codec sees them: smooth, coloured, with a direction.

/// Procedural RGB images: a mean colour, a gradient of each colour across and down, and one wave of a random direction
/// and length. Values from −0.5 to 0.5, drawn when asked for.
struct SyntheticTextures: ImageSource {
  let count: Int
  let shape: [Int]
  let classCount = 1
  private let seed: UInt64

  var origin: String { "synthetic: \(count) textures \(shape[1])×\(shape[2]), seed \(seed)" }

  /// Images of `side`×`side` pixels. Different seeds give different images; a test set has its own.
  init(count: Int, side: Int, seed: UInt64) {
    self.count = count
    self.seed = seed
    shape = [3, side, side]
  }

  /// Draws an image; the same for every epoch.
  func write(
    _ index: Int, epoch: Int, into planes: UnsafeMutableBufferPointer<Float>
  ) throws(DataError) -> Int64 {
    for (place, value) in image(index).enumerated() { planes[place] = Float(value) / 255 - 0.5 }
    return 0
  }

  /// The image as planes of bytes.
  func image(_ index: Int) -> [UInt8] {
    var random = SeededRandom(seed, 11, index)
    let side = shape[1]
    let colour = (0..<3).map { _ in random.uniform(0.3...0.7) }
    let across = (0..<3).map { _ in 0.25 * random.normal() }
    let down = (0..<3).map { _ in 0.25 * random.normal() }
    let (sine, cosine) = Reproducible.sineCosine(random.uniform(0...6.283185307179586))
    let frequency = random.uniform(1...2) * 6.283185307179586
    let phase = random.uniform(0...6.283185307179586)
    let strength = (0..<3).map { _ in 0.2 * random.normal() }
    var planes = [UInt8](repeating: 0, count: 3 * side * side)
    for y in 0..<side {
      for x in 0..<side {
        let u = (Double(x) + 0.5) / Double(side) - 0.5
        let v = (Double(y) + 0.5) / Double(side) - 0.5
        let wave = Reproducible.sineCosine(frequency * (cosine * u + sine * v) + phase).sine
        for channel in 0..<3 {
          let light = colour[channel] + across[channel] * u + down[channel] * v + strength[channel] * wave
          planes[(channel * side + y) * side + x] = UInt8(min(max(light, 0), 1) * 255 + 0.5)
        }
      }
    }
    return planes
  }
}
