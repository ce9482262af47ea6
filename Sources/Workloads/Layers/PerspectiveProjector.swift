// From a volume to the silhouette that a camera sees: the layer that gives perspective transformer nets their name.

/// A camera that looks at the middle of the cube from −1 to 1 along each axis, from above (Yan et al., "Perspective
/// transformer nets", NIPS 2016, with the numbers of their TensorFlow program).
struct PerspectiveCamera {
  /// Distance of the picture's plane from the camera, where half a picture is 1 wide.
  static let focalLength = 0.866
  /// Where the space that is looked at begins.
  static let near = 0.866
  /// Where it ends: √3 behind.
  static let far = 0.866 + 1.732
  /// Of the camera above the ground, in degrees.
  static let elevation = 30.0

  private let azimuth: (sine: Double, cosine: Double)
  private let tilt: (sine: Double, cosine: Double)

  /// A camera at an angle around the upright axis, in degrees.
  init(azimuth: Double) {
    let radian = 0.017453292519943295
    self.azimuth = Reproducible.sineCosine(-azimuth * radian)
    tilt = Reproducible.sineCosine(Self.elevation * radian)
  }

  /// The place in space at a depth before the camera, seen `up` and `right` (−1 … 1) in the picture. z is upright.
  func point(depth: Double, up: Double, right: Double) -> (x: Double, y: Double, z: Double) {
    // From the camera: forward, up, right; the middle of the space is the origin.
    let forward = depth - (Self.focalLength + (Self.far - Self.near) / 2)
    let (u, r) = (up * depth / Self.focalLength, right * depth / Self.focalLength)
    // Tilted down onto the ground, then turned about the upright axis.
    let level = tilt.cosine * forward + tilt.sine * u
    let height = tilt.cosine * u - tilt.sine * forward
    return (
      x: azimuth.sine * level + azimuth.cosine * r, y: azimuth.cosine * level - azimuth.sine * r, z: height
    )
  }
}

/// Projects volumes onto pictures: each is sampled along the rays of a camera, between voxels trilinearly, and a ray is
/// as opaque as the most opaque place that it meets. Gradients flow back to those places.
final class PerspectiveProjector {
  /// Sampling places [views, depth, height, width, 3] in the order that `gridSample` wants: x, y, z.
  let grid: Tensor
  private let side: Int
  private let views: Int

  /// For volumes of side³ voxels, seen from `views` places all around, in as many pixels.
  init(side: Int, views: Int) {
    self.side = side
    self.views = views
    var places: [Float] = []
    places.reserveCapacity(views * side * side * side * 3)
    func fraction(_ index: Int) -> Double { Double(index) / Double(max(side - 1, 1)) }
    for view in 0..<views {
      let camera = PerspectiveCamera(azimuth: Double(view) * 360 / Double(views))
      for depth in 0..<side {
        let distance = PerspectiveCamera.near + fraction(depth) * (PerspectiveCamera.far - PerspectiveCamera.near)
        for row in 0..<side {
          for column in 0..<side {
            let point = camera.point(
              depth: distance, up: 1 - 2 * fraction(row), right: 2 * fraction(column) - 1)
            places.append(contentsOf: [Float(point.x), Float(point.y), Float(point.z)])
          }
        }
      }
    }
    grid = Tensor(places, shape: [views, side, side, side, 3])
  }

  /// Volumes [n, 1, side, side, side] (height, depth, width) → silhouettes [n, k, side, side] from k of the views.
  ///
  /// - Parameter chosen: k numbers of views for each volume, one after the other.
  func callAsFunction(_ volumes: Tensor, views chosen: [Int]) -> Tensor {
    let n = volumes.size(0)
    let k = chosen.count / n
    let places = grid.select(0, indices: Tensor(integers: chosen, shape: [chosen.count]))
    let copies = volumes.unsqueezed(1).expanded([n, k, 1, side, side, side])
      .reshaped([n * k, 1, side, side, side])
    return copies.gridSample(places.to(volumes.type)).max(2).values.view([n, k, side, side])
  }
}
