// From pixels of any size to the planar, normalized input of a network.

/// A rectangle in pixels; edges may lie between pixels.
struct PixelBox: Hashable, Sendable {
  var x: Double
  var y: Double
  var width: Double
  var height: Double

  /// The box after the image has been scaled by the given factors.
  func scaled(_ horizontal: Double, _ vertical: Double) -> PixelBox {
    PixelBox(x: x * horizontal, y: y * vertical, width: width * horizontal, height: height * vertical)
  }

  /// The centred square of `crop` pixels after the shorter side has been scaled to `resize` pixels, in original pixels.
  static func centre(width: Int, height: Int, resize: Int, crop: Int) -> PixelBox {
    let side = Double(min(width, height)) * Double(crop) / Double(resize)
    return PixelBox(x: (Double(width) - side) / 2, y: (Double(height) - side) / 2, width: side, height: side)
  }

  /// A random part with 8 to 100 % of the area and an aspect ratio between 3:4 and 4:3 ("Inception" crop:
  /// Szegedy et al., CVPR 2015); the largest central part in range when ten draws do not fit.
  static func random(width: Int, height: Int, generator: inout SeededRandom) -> PixelBox {
    let logarithmOfRatio = 0.28768207245178085  // ln(4/3)
    for _ in 0..<10 {
      let area = Double(width * height) * generator.uniform(0.08...1)
      let ratio = Reproducible.exp(generator.uniform(-logarithmOfRatio...logarithmOfRatio))
      let boxWidth = Int((area * ratio).squareRoot().rounded())
      let boxHeight = Int((area / ratio).squareRoot().rounded())
      guard boxWidth > 0, boxHeight > 0, boxWidth <= width, boxHeight <= height else { continue }
      let x = generator.integer(below: width - boxWidth + 1)
      let y = generator.integer(below: height - boxHeight + 1)
      return PixelBox(x: Double(x), y: Double(y), width: Double(boxWidth), height: Double(boxHeight))
    }
    let boxWidth = min(Double(width), Double(height) * 4 / 3)
    let boxHeight = min(Double(height), Double(width) * 4 / 3)
    return PixelBox(
      x: (Double(width) - boxWidth) / 2, y: (Double(height) - boxHeight) / 2, width: boxWidth, height: boxHeight)
  }
}

/// Mean and standard deviation of each channel on a scale of 0 to 1.
public struct ChannelStatistics: Hashable, Sendable {
  /// Red, green, blue.
  public let mean: [Float]
  /// Red, green, blue.
  public let deviation: [Float]
  /// Of the ImageNet training images, as every published ResNet uses them.
  public static let imageNet = ChannelStatistics(mean: [0.485, 0.456, 0.406], deviation: [0.229, 0.224, 0.225])
}

/// The weights with which pixels of one axis enter each pixel of the result: a triangle filter which, when the image
/// shrinks, is as wide as the shrinking (bilinear with antialiasing).
struct ResamplingWeights {
  /// First source pixel of each target pixel.
  let first: [Int]
  /// Number of source pixels for every target pixel; unused ones have the weight 0.
  let taps: Int
  /// `taps` weights for each target pixel, which add up to 1.
  let weights: [Float]

  /// From `length` pixels beginning at `origin`, of `limit` pixels in all, to `count`.
  init(origin: Double, length: Double, limit: Int, count: Int) {
    let scale = length / Double(count)
    let support = max(scale, 1)
    // Pixels outside the box do not count, as if it had been cut out first.
    let low = min(max(Int(origin.rounded(.down)), 0), limit - 1)
    let high = min(max(Int((origin + length).rounded(.up)), low + 1), limit)
    taps = Int((2 * support).rounded(.up)) + 1
    var first = [Int]()
    var weights = [Float]()
    for target in 0..<count {
      let centre = origin + (Double(target) + 0.5) * scale
      let start = min(max(Int((centre - support).rounded(.down)), low), high - 1)
      var row = [Double](repeating: 0, count: taps)
      for tap in 0..<taps where start + tap < high {
        row[tap] = max(0, 1 - abs((Double(start + tap) + 0.5 - centre) / support))
      }
      let sum = row.reduce(0, +)
      if sum <= 0 { row[0] = 1 }
      first.append(start)
      weights.append(contentsOf: row.map { Float($0 / (sum > 0 ? sum : 1)) })
    }
    self.first = first
    self.weights = weights
  }
}

extension RGBImage {
  /// Cuts out the box, scales it to `side`×`side`, and writes it as three planes, normalized:
  /// (value / 255 − mean) / deviation.
  func write(
    _ box: PixelBox, side: Int, isMirrored: Bool, statistics: ChannelStatistics,
    into planes: UnsafeMutableBufferPointer<Float>
  ) {
    precondition(planes.count == 3 * side * side, "the buffer must hold three planes")
    let across = ResamplingWeights(origin: box.x, length: box.width, limit: width, count: side)
    let down = ResamplingWeights(origin: box.y, length: box.height, limit: height, count: side)
    let firstRow = down.first.min() ?? 0
    let lastRow = min((down.first.max() ?? 0) + down.taps, height)
    // First every needed row to the new width, then down the columns.
    let rows = lastRow - firstRow
    let narrowed = [Float](unsafeUninitializedCapacity: rows * side * 3) { buffer, count in
      pixels.withUnsafeBufferPointer { source in
        across.weights.withUnsafeBufferPointer { weights in
          for row in 0..<rows {
            let line = (firstRow + row) * width * 3
            for x in 0..<side {
              var (red, green, blue) = (Float(0), Float(0), Float(0))
              let start = across.first[x]
              for tap in 0..<min(across.taps, width - start) {
                let weight = weights[x * across.taps + tap]
                let pixel = line + (start + tap) * 3
                red += weight * Float(source[pixel])
                green += weight * Float(source[pixel + 1])
                blue += weight * Float(source[pixel + 2])
              }
              let target = row * side + x
              buffer.initializeElement(at: target, to: red)
              buffer.initializeElement(at: rows * side + target, to: green)
              buffer.initializeElement(at: 2 * rows * side + target, to: blue)
            }
          }
        }
      }
      count = rows * side * 3
    }
    for channel in 0..<3 {
      let factor = 1 / (255 * statistics.deviation[channel])
      let shift = statistics.mean[channel] / statistics.deviation[channel]
      for y in 0..<side {
        let start = down.first[y]
        for x in 0..<side {
          var value = Float(0)
          for tap in 0..<min(down.taps, height - start) {
            value += down.weights[y * down.taps + tap] * narrowed[(channel * rows + start - firstRow + tap) * side + x]
          }
          planes[(channel * side + y) * side + (isMirrored ? side - 1 - x : x)] = value * factor - shift
        }
      }
    }
  }
}
