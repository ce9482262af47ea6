// A stand-in for handwritten digits: bitmap digits, warped at random, so that straightening them pays.

/// Ten digits as 5×7 bitmaps, enlarged to 14×20 on 28×28 pixels, then turned, scaled, sheared and moved.
public enum SyntheticGlyphs {
  /// One row of five pixels in the low bits of each byte, highest bit left.
  static let bitmaps: [[UInt8]] = [
    [0b01110, 0b10001, 0b10011, 0b10101, 0b11001, 0b10001, 0b01110],
    [0b00100, 0b01100, 0b00100, 0b00100, 0b00100, 0b00100, 0b01110],
    [0b01110, 0b10001, 0b00001, 0b00110, 0b01000, 0b10000, 0b11111],
    [0b11110, 0b00001, 0b00001, 0b01110, 0b00001, 0b00001, 0b11110],
    [0b00010, 0b00110, 0b01010, 0b10010, 0b11111, 0b00010, 0b00010],
    [0b11111, 0b10000, 0b11110, 0b00001, 0b00001, 0b10001, 0b01110],
    [0b00110, 0b01000, 0b10000, 0b11110, 0b10001, 0b10001, 0b01110],
    [0b11111, 0b00001, 0b00010, 0b00100, 0b01000, 0b01000, 0b01000],
    [0b01110, 0b10001, 0b10001, 0b01110, 0b10001, 0b10001, 0b01110],
    [0b01110, 0b10001, 0b10001, 0b01111, 0b00001, 0b00010, 0b01100],
  ]

  /// Width and height of an image, as MNIST's.
  static let side = 28

  /// What the data are, for the log.
  public static func origin(count: Int, seed: UInt64) -> String {
    "synthetic: \(count) warped bitmap digits 28×28, seed \(seed)"
  }

  /// Draws so many images. The warp is the inverse map: rotation ±0.9 rad, scale 0.85 to 1.45, shear ±0.25, shift
  /// ±0.25 of half the width; then brightness 0.8 to 1.2 and noise.
  public static func images(count: Int, seed: UInt64) -> GreyImages {
    let sheets = (0..<10).map(sheet)
    var pixels = [UInt8]()
    pixels.reserveCapacity(count * side * side)
    var labels = [UInt8]()
    for index in 0..<count {
      var generator = SeededRandom(seed, 2, index)
      let label = generator.integer(below: 10)
      let (sine, cosine) = Reproducible.sineCosine(generator.uniform(-0.9...0.9))
      let scale = generator.uniform(0.85...1.45)
      let shear = generator.uniform(-0.25...0.25)
      let shift = (x: generator.uniform(-0.25...0.25), y: generator.uniform(-0.25...0.25))
      let gain = generator.uniform(0.8...1.2)
      labels.append(UInt8(label))
      for y in 0..<side {
        for x in 0..<side {
          let u = (Double(x) + 0.5) * 2 / Double(side) - 1
          let v = (Double(y) + 0.5) * 2 / Double(side) - 1
          let sheared = u + shear * v
          let light =
            gain
            * sample(
              sheets[label], scale * (cosine * sheared - sine * v) + shift.x,
              scale * (sine * sheared + cosine * v) + shift.y)
          pixels.append(UInt8(min(max((light + 0.1 * generator.normal()) * 255, 0), 255)))
        }
      }
    }
    return GreyImages(height: side, width: side, pixels: pixels, labels: labels)
  }

  /// The upright digit: 14 pixels wide, 20 high, in the middle.
  private static func sheet(_ digit: Int) -> [Double] {
    (0..<(side * side)).map { pixel in
      let (row, column) = (pixel / side - 4, pixel % side - 7)
      guard (0..<20).contains(row), (0..<14).contains(column) else { return 0 }
      return bitmaps[digit][row * 7 / 20] >> UInt8(4 - column * 5 / 14) & 1 == 1 ? 1 : 0
    }
  }

  /// The sheet's value at a point of [−1, 1]², linear between pixels, black outside.
  @inline(__always)
  private static func sample(_ sheet: [Double], _ u: Double, _ v: Double) -> Double {
    let x = (u + 1) * Double(side) / 2 - 0.5
    let y = (v + 1) * Double(side) / 2 - 0.5
    guard x > -1, y > -1, x < Double(side), y < Double(side) else { return 0 }
    let (left, top) = (Int(x.rounded(.down)), Int(y.rounded(.down)))
    let (fx, fy) = (x - Double(left), y - Double(top))
    func at(_ row: Int, _ column: Int) -> Double {
      (0..<side).contains(row) && (0..<side).contains(column) ? sheet[row * side + column] : 0
    }
    return (1 - fy) * ((1 - fx) * at(top, left) + fx * at(top, left + 1))
      + fy * ((1 - fx) * at(top + 1, left) + fx * at(top + 1, left + 1))
  }
}
