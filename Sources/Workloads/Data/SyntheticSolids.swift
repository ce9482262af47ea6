// A stand-in for ShapeNet: boxes, ellipsoids, cylinders and tables, seen from all around.

/// Solids of four kinds and random proportions, centred, standing upright. Pictures show how far away each place is:
/// the nearer, the brighter. Drawn when asked for.
struct SyntheticSolids: Solids {
  let count: Int
  let views: Int
  let imageSide: Int
  let volumeSide: Int
  private let seed: UInt64

  var origin: String { "synthetic: \(count) solids of four kinds in \(views) pictures, seed \(seed)" }

  /// Different seeds give different solids; a test set has its own.
  init(count: Int, views: Int, imageSide: Int, volumeSide: Int, seed: UInt64) {
    self.count = count
    self.views = views
    self.imageSide = imageSide
    self.volumeSide = volumeSide
    self.seed = seed
  }

  /// A solid in a space of −1 to 1 along each axis.
  private struct Form {
    var kind: Int
    /// Half of its width, depth and height.
    var half: (x: Double, y: Double, z: Double)
    /// Thickness of a table's top and legs, as a part of the whole.
    var thickness: Double

    @inline(__always)
    func contains(_ x: Double, _ y: Double, _ z: Double) -> Bool {
      let (u, v, w) = (x / half.x, y / half.y, z / half.z)
      guard max(abs(u), abs(v), abs(w)) < 1 else { return false }
      switch kind {
      case 0: return true
      case 1: return u * u + v * v + w * w < 1
      case 2: return u * u + v * v < 1
      // A top and four legs.
      default: return w > 1 - 2 * thickness || min(abs(u), abs(v)) > 1 - 1.2 * thickness
      }
    }
  }

  func solid(_ index: Int, view: Int) -> Solid {
    var random = SeededRandom(seed, 13, index)
    let form = Form(
      kind: random.integer(below: 4),
      half: (x: random.uniform(0.4...0.8), y: random.uniform(0.4...0.8), z: random.uniform(0.4...0.8)),
      thickness: random.uniform(0.2...0.35))
    let colour = (0..<3).map { _ in random.uniform(0.4...1) }
    return Solid(image: picture(form, colour, view), volume: voxels(form))
  }

  private func voxels(_ form: Form) -> [Float] {
    let side = volumeSide
    func place(_ index: Int) -> Double { (Double(index) + 0.5) * 2 / Double(side) - 1 }
    var volume: [Float] = []
    volume.reserveCapacity(side * side * side)
    for z in 0..<side {
      for y in 0..<side {
        for x in 0..<side { volume.append(form.contains(place(x), place(y), place(z)) ? 1 : 0) }
      }
    }
    return volume
  }

  /// Walks along the ray of each pixel to the first place inside.
  private func picture(_ form: Form, _ colour: [Double], _ view: Int) -> [Float] {
    let camera = PerspectiveCamera(azimuth: Double(view) * 360 / Double(views))
    var image = [Float](repeating: 0, count: 3 * imageSide * imageSide)
    let steps = 48
    for row in 0..<imageSide {
      let up = 1 - (Double(row) + 0.5) * 2 / Double(imageSide)
      for column in 0..<imageSide {
        let right = (Double(column) + 0.5) * 2 / Double(imageSide) - 1
        for step in 0..<steps {
          let nearness = (Double(step) + 0.5) / Double(steps)
          let depth = PerspectiveCamera.near + nearness * (PerspectiveCamera.far - PerspectiveCamera.near)
          let (x, y, z) = camera.point(depth: depth, up: up, right: right)
          guard form.contains(x, y, z) else { continue }
          for channel in 0..<3 {
            let pixel = (channel * imageSide + row) * imageSide + column
            image[pixel] = Float(colour[channel] * (1 - 0.8 * nearness))
          }
          break
        }
      }
    }
    return image
  }
}
