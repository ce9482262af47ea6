// A stand-in for photographs of bedrooms: a wall, a floor and a bed.

/// Images of a wall over a floor, with a bed that stands on the line between them; colours, heights and places vary.
struct SyntheticBedrooms: DrawnImages {
  /// Number of images.
  let count: Int
  /// 3, side, side.
  let shape: [Int]
  private let seed: UInt64

  /// There are no classes; every label is 0.
  var classCount: Int { 1 }
  /// What the data are, for the log.
  var origin: String {
    "synthetic: \(count) drawn bedrooms \(shape[1])×\(shape[2]), seed \(seed)"
  }

  /// Images of `side`×`side` pixels. Different seeds give different images.
  init(count: Int, side: Int, seed: UInt64) {
    self.count = count
    self.seed = seed
    shape = [3, side, side]
  }

  func draw(_ index: Int, _ put: (Int, (UInt8, UInt8, UInt8)) -> Void) -> Int64 {
    var random = SeededRandom(seed, 3, index)
    let side = shape[1]
    // On a scale of −1 … 1, downwards.
    let horizon = random.uniform(-0.1...0.3)
    func colour(_ red: Double, _ green: Double, _ blue: Double, _ spread: Double) -> (UInt8, UInt8, UInt8) {
      let shift = (0..<3).map { _ in random.uniform(-spread...spread) }
      func value(_ base: Double, _ channel: Int) -> UInt8 { byte((base + shift[channel] + 1) / 2) }
      return (value(red, 0), value(green, 1), value(blue, 2))
    }
    let wall = colour(0.6, 0.5, 0.4, 0.15)
    let floor = colour(-0.3, -0.4, -0.5, 0.1)
    let bed = colour(0.2, -0.5, 0.6, 0.15)
    let centre = random.uniform(-0.4...0.4)
    for y in 0..<side {
      let v = (Double(y) + 0.5) * 2 / Double(side) - 1
      for x in 0..<side {
        let u = (Double(x) + 0.5) * 2 / Double(side) - 1
        let isBed = abs(u - centre) < 0.45 && v > horizon - 0.15 && v < horizon + 0.35
        put(y * side + x, isBed ? bed : v < horizon ? wall : floor)
      }
    }
    return 0
  }
}
