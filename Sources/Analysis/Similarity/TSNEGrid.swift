// How does every point of a large map push every other one, without looking at the pairs?
import Foundation

/// The potential φ(y) = Σⱼ 1 / (1 + ‖y − yⱼ‖²) of points in the plane and its gradient, at the points themselves.
///
/// As Linderman et al. (2019) the sum is a convolution on a grid, by Fourier transforms. Two things differ. t-SNE's repulsion
/// Σ w² (yᵢ − yⱼ) is −½ ∇φ and its normalisation Σ φ − n, so one convolution of one real density is enough, where they have
/// four. And points are spread and read by B-splines of degree five, whose smoothing is divided out in the spectrum, as
/// particle-mesh Ewald does (Essmann et al. 1995): interpolation by cardinal splines, with continuous derivatives. What is
/// left is what the grid can't hold: 1 / (1 + r²) has the spectrum 2 π K₀(k), of which k K₁(k), 3e-4 for k = π / spacing,
/// is beyond a third of a unit.
final class TSNEGrid {
  /// Distance of the nodes where the map is not too large for it.
  static let spacing = 1.0 / 3
  /// No more nodes than this a side; a larger map gets a wider spacing.
  static let mostNodes = 1024
  /// Nodes around the map: the spline's, two lanes of padding, and some for rounding.
  private static let margin = 14

  private let threads: Int
  /// Also where looking at the pairs would cost less.
  private let isAlwaysInterpolated: Bool
  /// Nodes a side, a multiple of 8, and the length of the transforms: twice as many, so that nothing wraps around.
  private var nodes = 0
  private var spacing = 0.0
  private var transform: TSNETransform?
  /// Groups of four frequencies along x: 0 … nodes, the rest are their conjugates.
  private var groups = 0
  /// The kernel's spectrum, frequency along y × groups; all factors are in it.
  private var kernel = TSNEBuffer<SIMD4<Float>>(0, repeating: .zero)
  /// x × y: first the density, then the potential. One each for a part of the points.
  private var grids: [TSNEBuffer<Float>] = []
  /// y × groups.
  private var spectrum = TSNEBuffer<TSNETransform.Complex>(0, repeating: .zero)
  /// Points are spread in so many parts whatever the number of threads.
  private static let parts = 4

  init(threads: Int, isAlwaysInterpolated: Bool = false) {
    (self.threads, self.isAlwaysInterpolated) = (threads, isAlwaysInterpolated)
  }

  /// Each point's potential of all others, and the derivatives along x and y.
  func potential(
    _ xs: UnsafePointer<Float>, _ ys: UnsafePointer<Float>, count n: Int,
    into result: UnsafeMutablePointer<SIMD4<Float>>
  ) {
    guard n > 0 else { return }
    var (left, right, bottom, top) = (xs[0], xs[0], ys[0], ys[0])
    for i in 0..<n {
      (left, right) = (min(left, xs[i]), max(right, xs[i]))
      (bottom, top) = (min(bottom, ys[i]), max(top, ys[i]))
    }
    let extent = Double(max(right - left, top - bottom))
    // Few points far apart: a map of a dozen grows and grows. A node costs about as much as sixteen pairs.
    let side = min(extent / Self.spacing + Double(Self.margin), Double(Self.mostNodes))
    guard isAlwaysInterpolated || Double(n) * Double(n) > 16 * side * side else {
      return sum(xs, ys, count: n, into: result)
    }
    prepare(extent: extent)
    guard let transform else { return }
    let middle = SIMD2(left + right, bottom + top) / 2
    let scale = Float(1 / spacing)
    // In units of nodes, the map in the middle.
    let offset = Float(nodes / 2) - middle * scale
    let size = nodes
    let grids = grids.map(\.start)
    let part = (n + Self.parts - 1) / Self.parts
    TSNEBlocks.perform(Self.parts, threads: threads) { index in
      let grid = grids[index]
      grid.update(repeating: 0, count: size * size)
      for i in min(n, index * part)..<min(n, (index + 1) * part) {
        let (x, y) = (xs[i] * scale + offset.x, ys[i] * scale + offset.y)
        let (nodeX, nodeY) = (x.rounded(.down), y.rounded(.down))
        let (alongX, alongY) = (Self.spline(x - nodeX), Self.spline(y - nodeY))
        let start = UnsafeMutableRawPointer(grid + (Int(nodeX) - 2) * size + Int(nodeY) - 2)
        for row in 0..<6 {
          let place = start + row * size * 4
          let values = place.loadUnaligned(as: SIMD8<Float>.self) + alongX[row] * alongY
          place.storeBytes(of: values, as: SIMD8<Float>.self)
        }
      }
    }
    forward(transform)
    convolve(transform)
    backward(transform)
    let potential = grids[0]
    TSNEBlocks.ranges(n, size: 512, threads: threads) { points in
      for i in points {
        let (x, y) = (xs[i] * scale + offset.x, ys[i] * scale + offset.y)
        let (nodeX, nodeY) = (x.rounded(.down), y.rounded(.down))
        let (alongX, slopeX) = (Self.spline(x - nodeX), Self.slope(x - nodeX))
        let start = UnsafeRawPointer(potential + (Int(nodeX) - 2) * size + Int(nodeY) - 2)
        var (value, change) = (SIMD8<Float>.zero, SIMD8<Float>.zero)
        for row in 0..<6 {
          let values = (start + row * size * 4).loadUnaligned(as: SIMD8<Float>.self)
          value += alongX[row] * values
          change += slopeX[row] * values
        }
        let (alongY, slopeY) = (Self.spline(y - nodeY), Self.slope(y - nodeY))
        // Less the point's own, which is 1 and has no slope.
        result[i] = SIMD4(
          (value * alongY).sum() - 1, (change * alongY).sum() * scale, (value * slopeY).sum() * scale, 0)
      }
    }
  }

  /// The same by looking at every pair.
  private func sum(
    _ xs: UnsafePointer<Float>, _ ys: UnsafePointer<Float>, count n: Int,
    into result: UnsafeMutablePointer<SIMD4<Float>>
  ) {
    TSNEBlocks.ranges(n, size: 32, threads: threads) { points in
      for i in points {
        var total = SIMD4<Float>.zero
        for part in [0..<i, (i + 1)..<n] {
          for j in part {
            let (dx, dy) = (xs[i] - xs[j], ys[i] - ys[j])
            let w = 1 / (1 + dx * dx + dy * dy)
            total += SIMD4(w, -2 * w * w * dx, -2 * w * w * dy, 0)
          }
        }
        result[i] = total
      }
    }
  }

  // MARK: B-splines

  /// The values at nodes −2 … 3 of the B-spline of degree five around t, 0 ≤ t < 1. Two more lanes are 0.
  @inline(__always) static func spline(_ t: Float) -> SIMD8<Float> {
    let c5 = SIMD8<Float>(-1, 5, -10, 10, -5, 1, 0, 0) / 120
    let c4 = SIMD8<Float>(5, -20, 30, -20, 5, 0, 0, 0) / 120
    let c3 = SIMD8<Float>(-10, 20, 0, -20, 10, 0, 0, 0) / 120
    let c2 = SIMD8<Float>(10, 20, -60, 20, 10, 0, 0, 0) / 120
    let c1 = SIMD8<Float>(-5, -50, 0, 50, 5, 0, 0, 0) / 120
    let c0 = SIMD8<Float>(1, 26, 66, 26, 1, 0, 0, 0) / 120
    return ((((c5 * t + c4) * t + c3) * t + c2) * t + c1) * t + c0
  }

  /// Its derivative by t.
  @inline(__always) static func slope(_ t: Float) -> SIMD8<Float> {
    let c4 = SIMD8<Float>(-1, 5, -10, 10, -5, 1, 0, 0) / 24
    let c3 = SIMD8<Float>(5, -20, 30, -20, 5, 0, 0, 0) / 30
    let c2 = SIMD8<Float>(-10, 20, 0, -20, 10, 0, 0, 0) / 40
    let c1 = SIMD8<Float>(10, 20, -60, 20, 10, 0, 0, 0) / 60
    let c0 = SIMD8<Float>(-5, -50, 0, 50, 5, 0, 0, 0) / 120
    return (((c4 * t + c3) * t + c2) * t + c1) * t + c0
  }

  // MARK: The convolution

  /// A grid for a map of this extent. The one there is stays while it is large enough and not twice too large, for a new
  /// one needs a new kernel.
  private func prepare(extent: Double) {
    var wanted = Self.spacing
    while extent > wanted * Double(Self.mostNodes - Self.margin), wanted < 1e30 { wanted *= 2 }
    let least = Int((extent / wanted).rounded(.up)) + Self.margin
    if nodes >= least, wanted == spacing, nodes <= 2 * least + 32 { return }
    // A little more, for most maps grow.
    nodes = TSNETransform.goodLength(atLeast: min(least + least / 16, max(least, Self.mostNodes)))
    spacing = wanted
    transform = TSNETransform(length: 2 * nodes)
    groups = nodes / 4 + 1
    grids = (0..<Self.parts).map { _ in TSNEBuffer(nodes * nodes, repeating: 0) }
    spectrum = TSNEBuffer(nodes * groups, repeating: .zero)
    if let transform { kernel = spectrumOfKernel(transform) }
  }

  /// The spectrum of 1 / (1 + r²) at the nodes, divided by the B-spline's twice in each direction, for points are spread by
  /// one and read by one, and by the number of nodes.
  private func spectrumOfKernel(_ transform: TSNETransform) -> TSNEBuffer<SIMD4<Float>> {
    let (half, length, groups) = (nodes, 2 * nodes, groups)
    // The table is even in both directions, so half of it is enough, and both spectra are real: y (0 … nodes) × groups.
    let alongX = TSNEBuffer<SIMD4<Float>>((half + 4) * groups, repeating: .zero)
    let result = TSNEBuffer<SIMD4<Float>>(length * groups, repeating: .zero)
    let squared = spacing * spacing
    TSNEBlocks.perform(groups, threads: threads) { group in
      let first = TSNEBuffer<TSNETransform.Complex>(length, repeating: .zero)
      let second = TSNEBuffer<TSNETransform.Complex>(length, repeating: .zero)
      for x in 0..<length {
        let across = Double(min(x, length - x))
        for lane in 0..<4 {
          let along = Double(group * 4 + lane)
          first.start[x].re[lane] = Float(1 / (1 + squared * (across * across + along * along)))
        }
      }
      let spectrum = transform(first.start, scratch: second.start)
      for frequency in 0...half {
        for lane in 0..<4 {
          alongX.start[(group * 4 + lane) * groups + frequency / 4][frequency % 4] = spectrum[frequency].re[lane]
        }
      }
    }
    func smoothing(_ frequency: Int) -> Double {
      let angle = 2 * Double.pi * Double(frequency) / Double(length)
      let value = (66 + 52 * cos(angle) + 2 * cos(2 * angle)) / 120
      return 1 / (value * value)
    }
    let factors = (0..<length).map { Float(smoothing($0) / Double(length)) }
    TSNEBlocks.perform(groups, threads: threads) { group in
      let first = TSNEBuffer<TSNETransform.Complex>(length, repeating: .zero)
      let second = TSNEBuffer<TSNETransform.Complex>(length, repeating: .zero)
      for y in 0..<length { first.start[y].re = alongX.start[min(y, length - y) * groups + group] }
      let spectrum = transform(first.start, scratch: second.start)
      var across = SIMD4<Float>.zero
      for lane in 0..<4 { across[lane] = factors[min(group * 4 + lane, half)] }
      for y in 0..<length { result.start[y * groups + group] = spectrum[y].re * across * factors[y] }
    }
    return result
  }

  /// Along x. Two real rows are one complex one: y and y + nodes / 2.
  private func forward(_ transform: TSNETransform) {
    let (size, length, groups) = (nodes, 2 * nodes, groups)
    let (grids, spectrum) = (grids.map(\.start), spectrum.start)
    TSNEBlocks.perform(size / 8, threads: threads) { block in
      let first = TSNEBuffer<TSNETransform.Complex>(length, repeating: .zero)
      let second = TSNEBuffer<TSNETransform.Complex>(length, repeating: .zero)
      for x in 0..<size {
        var value = TSNETransform.Complex.zero
        for grid in grids {
          let place = UnsafeRawPointer(grid + x * size + 4 * block)
          value.re += place.loadUnaligned(as: SIMD4<Float>.self)
          value.im += (place + 2 * size).loadUnaligned(as: SIMD4<Float>.self)
        }
        first.start[x] = value
      }
      let z = transform(first.start, scratch: second.start)
      // Z = A + i B; A and B are real rows' spectra: A[−k] = A*[k].
      let low = spectrum + 4 * block * groups
      let high = low + size / 2 * groups
      for group in 0..<groups {
        var a = (
          TSNETransform.Complex.zero, TSNETransform.Complex.zero, TSNETransform.Complex.zero, TSNETransform.Complex.zero
        )
        var b = a
        @inline(__always) func split(_ k: Int) -> (TSNETransform.Complex, TSNETransform.Complex) {
          guard k <= size else { return (.zero, .zero) }
          let (plus, minus) = (z[k], z[k == 0 ? 0 : length - k])
          return (
            TSNETransform.Complex(re: (plus.re + minus.re) * 0.5, im: (plus.im - minus.im) * 0.5),
            TSNETransform.Complex(re: (plus.im + minus.im) * 0.5, im: (minus.re - plus.re) * 0.5)
          )
        }
        (a.0, b.0) = split(4 * group)
        (a.1, b.1) = split(4 * group + 1)
        (a.2, b.2) = split(4 * group + 2)
        (a.3, b.3) = split(4 * group + 3)
        Self.transpose(&a)
        Self.transpose(&b)
        (low[group], low[groups + group]) = (a.0, a.1)
        (low[2 * groups + group], low[3 * groups + group]) = (a.2, a.3)
        (high[group], high[groups + group]) = (b.0, b.1)
        (high[2 * groups + group], high[3 * groups + group]) = (b.2, b.3)
      }
    }
  }

  /// Along y, there and back, with the kernel in between.
  private func convolve(_ transform: TSNETransform) {
    let (size, length, groups) = (nodes, 2 * nodes, groups)
    let (spectrum, kernel) = (spectrum.start, kernel.start)
    TSNEBlocks.perform(groups, threads: threads) { group in
      let first = TSNEBuffer<TSNETransform.Complex>(length, repeating: .zero)
      let second = TSNEBuffer<TSNETransform.Complex>(length, repeating: .zero)
      for y in 0..<size { first.start[y] = spectrum[y * groups + group] }
      let there = transform(first.start, scratch: second.start)
      // The inverse transform is the transform with real and imaginary parts exchanged, before and after.
      for y in 0..<length {
        let (value, factor) = (there[y], kernel[y * groups + group])
        there[y] = TSNETransform.Complex(re: value.im * factor, im: value.re * factor)
      }
      let back = transform(there, scratch: there == first.start ? second.start : first.start)
      for y in 0..<size { spectrum[y * groups + group] = TSNETransform.Complex(re: back[y].im, im: back[y].re) }
    }
  }

  /// Back along x: the potential at the nodes, in the first grid.
  private func backward(_ transform: TSNETransform) {
    let (size, length, groups) = (nodes, 2 * nodes, groups)
    let (grid, spectrum) = (grids[0].start, spectrum.start)
    TSNEBlocks.perform(size / 8, threads: threads) { block in
      let first = TSNEBuffer<TSNETransform.Complex>(length, repeating: .zero)
      let second = TSNEBuffer<TSNETransform.Complex>(length, repeating: .zero)
      let z = first.start
      let low = spectrum + 4 * block * groups
      let high = low + size / 2 * groups
      for group in 0..<groups {
        var a = (low[group], low[groups + group], low[2 * groups + group], low[3 * groups + group])
        var b = (high[group], high[groups + group], high[2 * groups + group], high[3 * groups + group])
        Self.transpose(&a)
        Self.transpose(&b)
        // A + i B, and A* + i B* at −k; parts exchanged for the inverse.
        @inline(__always) func join(_ k: Int, _ a: TSNETransform.Complex, _ b: TSNETransform.Complex) {
          guard k <= size else { return }
          z[k] = TSNETransform.Complex(re: a.im + b.re, im: a.re - b.im)
          guard k > 0, k < size else { return }
          z[length - k] = TSNETransform.Complex(re: b.re - a.im, im: a.re + b.im)
        }
        join(4 * group, a.0, b.0)
        join(4 * group + 1, a.1, b.1)
        join(4 * group + 2, a.2, b.2)
        join(4 * group + 3, a.3, b.3)
      }
      let back = transform(z, scratch: second.start)
      for x in 0..<size {
        let place = UnsafeMutableRawPointer(grid + x * size + 4 * block)
        place.storeBytes(of: back[x].im, as: SIMD4<Float>.self)
        (place + 2 * size).storeBytes(of: back[x].re, as: SIMD4<Float>.self)
      }
    }
  }

  /// Four signals of four numbers become four of the numbers' signals.
  @inline(__always) private static func transpose(
    _ z: inout (TSNETransform.Complex, TSNETransform.Complex, TSNETransform.Complex, TSNETransform.Complex)
  ) {
    let re = (z.0.re, z.1.re, z.2.re, z.3.re)
    let im = (z.0.im, z.1.im, z.2.im, z.3.im)
    z.0.re = SIMD4(re.0[0], re.1[0], re.2[0], re.3[0])
    z.1.re = SIMD4(re.0[1], re.1[1], re.2[1], re.3[1])
    z.2.re = SIMD4(re.0[2], re.1[2], re.2[2], re.3[2])
    z.3.re = SIMD4(re.0[3], re.1[3], re.2[3], re.3[3])
    z.0.im = SIMD4(im.0[0], im.1[0], im.2[0], im.3[0])
    z.1.im = SIMD4(im.0[1], im.1[1], im.2[1], im.3[1])
    z.2.im = SIMD4(im.0[2], im.1[2], im.2[2], im.3[2])
    z.3.im = SIMD4(im.0[3], im.1[3], im.2[3], im.3[3])
  }
}
