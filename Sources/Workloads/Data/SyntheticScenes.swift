// A stand-in for annotated photographs: scenes of simple objects, drawn from a seed.

/// Procedural RGB images with one to three bright objects (discs, rectangles, triangles) on a dark noisy background,
/// which do not touch. Drawn when asked for, so that any number of them needs no memory.
struct SyntheticScenes: ObjectSource {
  let count: Int
  let width, height: Int
  let seed: UInt64
  /// Whether annotations have outlines.
  var hasOutlines = false
  let classNames = ["disc", "rectangle", "triangle"]

  var origin: String {
    "synthetic: \(count) scenes \(width)×\(height) of \(classNames.count) kinds of objects, seed \(seed)"
  }

  /// An object on whole pixels.
  private struct Figure {
    var kind: Int
    var x, y, width, height: Int
    var colour: [Double]

    /// Whether a pixel's centre is inside.
    func contains(_ column: Int, _ row: Int) -> Bool {
      guard column >= x, row >= y, column < x + width, row < y + height else { return false }
      // From −1 to 1 across the box.
      let u = (Double(column - x) + 0.5) * 2 / Double(width) - 1
      let v = (Double(row - y) + 0.5) * 2 / Double(height) - 1
      switch kind {
      case 0: return u * u + v * v <= 1
      case 1: return true
      default: return abs(u) <= (v + 1) / 2
      }
    }
  }

  /// The objects of a scene, with the generator that goes on to draw the noise.
  private func figures(_ index: Int) -> (figures: [Figure], random: SeededRandom) {
    var random = SeededRandom(seed, 2, index)
    let side = Double(min(width, height))
    var figures: [Figure] = []
    let wanted = 1 + random.integer(below: 3)
    for _ in 0..<20 where figures.count < wanted {
      let kind = random.integer(below: classNames.count)
      // 12 to 30 pixels of 64. A disc has one diameter.
      let w = Int(side * random.uniform(0.1875...0.46875))
      let h = kind == 0 ? w : Int(side * random.uniform(0.1875...0.46875))
      let x = random.integer(below: width - w + 1)
      let y = random.integer(below: height - h + 1)
      let light = random.uniform(0.5...0.9)
      let colour = (0..<3).map { _ in light + random.uniform(-0.08...0.08) }
      let isFree = figures.allSatisfy {
        x > $0.x + $0.width || $0.x > x + w || y > $0.y + $0.height || $0.y > y + h
      }
      if isFree { figures.append(Figure(kind: kind, x: x, y: y, width: w, height: h, colour: colour)) }
    }
    return (figures, random)
  }

  func annotations(_ index: Int) -> [ObjectAnnotation] {
    figures(index).figures.map { figure in
      ObjectAnnotation(
        box: Box(
          Float(figure.x), Float(figure.y), Float(figure.x + figure.width), Float(figure.y + figure.height)),
        label: figure.kind + 1,
        outline: hasOutlines ? .runs(RunLengthMask(width: width, height: height, contains: figure.contains)) : nil)
    }
  }

  func image(_ index: Int) -> RGBImage {
    var (figures, random) = figures(index)
    let grey = random.uniform(0.1...0.3)
    let pixels = [UInt8](unsafeUninitializedCapacity: width * height * 3) { buffer, initialized in
      for y in 0..<height {
        for x in 0..<width {
          let figure = figures.first { $0.contains(x, y) }
          for channel in 0..<3 {
            let light = (figure?.colour[channel] ?? grey) + 0.08 * random.normal()
            buffer.initializeElement(at: (y * width + x) * 3 + channel, to: UInt8(min(max(light * 255, 0), 255)))
          }
        }
      }
      initialized = width * height * 3
    }
    return RGBImage(width: width, height: height, pixels: pixels)
  }
}
