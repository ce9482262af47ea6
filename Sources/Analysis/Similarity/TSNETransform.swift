// The discrete Fourier transform that the repulsion of a large map needs.
import Foundation

/// A discrete Fourier transform of four signals at once, Σ x[t] exp(−2πi t k / N), of a length with no other prime factors
/// than 2, 3 and 5: Stockham's self-sorting form (Cochran et al. 1967) in steps of 4, 2, 3 and 5.
///
/// Four signals side by side need no shuffling at any step, which is how the rows and columns of a grid are best done.
struct TSNETransform: Sendable {
  /// Four complex numbers.
  struct Complex: BitwiseCopyable, Sendable {
    var re: SIMD4<Float>
    var im: SIMD4<Float>
    static let zero = Complex(re: .zero, im: .zero)

    @inline(__always) static func + (a: Complex, b: Complex) -> Complex {
      Complex(re: a.re + b.re, im: a.im + b.im)
    }
    @inline(__always) static func - (a: Complex, b: Complex) -> Complex {
      Complex(re: a.re - b.re, im: a.im - b.im)
    }
    @inline(__always) static func * (a: Complex, w: SIMD2<Float>) -> Complex {
      Complex(re: a.re * w.x - a.im * w.y, im: a.re * w.y + a.im * w.x)
    }
    @inline(__always) static func * (a: Complex, s: Float) -> Complex { Complex(re: a.re * s, im: a.im * s) }
    /// −i times this.
    @inline(__always) var turned: Complex { Complex(re: im, im: -re) }
  }

  private struct Step: Sendable {
    var radix: Int
    /// The length of the transforms that are left.
    var length: Int
    /// How many of them lie interleaved.
    var stride: Int
    /// Where its roots of unity begin.
    var roots: Int
  }

  /// Number of points.
  let length: Int
  private let steps: [Step]
  private let roots: [SIMD2<Float>]

  /// `nil` where the length has other prime factors.
  init?(length: Int) {
    guard length > 0 else { return nil }
    self.length = length
    var (steps, roots): ([Step], [SIMD2<Float>]) = ([], [])
    var (left, stride) = (length, 1)
    while left > 1 {
      guard let radix = [4, 2, 3, 5].first(where: { left.isMultiple(of: $0) }) else { return nil }
      steps.append(Step(radix: radix, length: left, stride: stride, roots: roots.count))
      for p in 0..<(left / radix) {
        for t in 1..<radix {
          let angle = -2 * Double.pi * Double(p * t) / Double(left)
          roots.append(SIMD2(Float(cos(angle)), Float(sin(angle))))
        }
      }
      left /= radix
      stride *= radix
    }
    (self.steps, self.roots) = (steps, roots)
  }

  /// The least length for at least so many points that is a multiple of 8.
  static func goodLength(atLeast least: Int) -> Int {
    var length = max(8, (least + 7) / 8 * 8)
    while true {
      var left = length
      for factor in [2, 3, 5] { while left.isMultiple(of: factor) { left /= factor } }
      if left == 1 { return length }
      length += 8
    }
  }

  /// Transforms `values`; both buffers hold `length` and are overwritten. Returns the one that has the result.
  func callAsFunction(
    _ values: UnsafeMutablePointer<Complex>, scratch: UnsafeMutablePointer<Complex>
  ) -> UnsafeMutablePointer<Complex> {
    var (from, to) = (values, scratch)
    roots.withUnsafeBufferPointer { roots in
      guard let first = roots.baseAddress else { return }
      for step in steps {
        let w = first + step.roots
        let (m, s) = (step.length / step.radix, step.stride)
        switch step.radix {
        case 2: Self.two(from, to, w, m, s)
        case 3: Self.three(from, to, w, m, s)
        case 4: Self.four(from, to, w, m, s)
        default: Self.five(from, to, w, m, s)
        }
        swap(&from, &to)
      }
    }
    return from
  }

  private typealias Values = UnsafeMutablePointer<Complex>
  private typealias Roots = UnsafePointer<SIMD2<Float>>

  private static func two(_ x: Values, _ y: Values, _ w: Roots, _ m: Int, _ s: Int) {
    for p in 0..<m {
      for q in 0..<s {
        let (a, b) = (x[q + s * p], x[q + s * (p + m)])
        y[q + s * 2 * p] = a + b
        y[q + s * (2 * p + 1)] = (a - b) * w[p]
      }
    }
  }

  private static func three(_ x: Values, _ y: Values, _ w: Roots, _ m: Int, _ s: Int) {
    let root = Float(0.75.squareRoot())
    for p in 0..<m {
      let (w1, w2) = (w[2 * p], w[2 * p + 1])
      for q in 0..<s {
        let (a, b, c) = (x[q + s * p], x[q + s * (p + m)], x[q + s * (p + 2 * m)])
        let sum = b + c
        let difference = (b - c).turned * root
        let middle = a - sum * 0.5
        y[q + s * 3 * p] = a + sum
        y[q + s * (3 * p + 1)] = (middle + difference) * w1
        y[q + s * (3 * p + 2)] = (middle - difference) * w2
      }
    }
  }

  private static func four(_ x: Values, _ y: Values, _ w: Roots, _ m: Int, _ s: Int) {
    for p in 0..<m {
      let (w1, w2, w3) = (w[3 * p], w[3 * p + 1], w[3 * p + 2])
      for q in 0..<s {
        let (a, b) = (x[q + s * p], x[q + s * (p + m)])
        let (c, d) = (x[q + s * (p + 2 * m)], x[q + s * (p + 3 * m)])
        let (even, evenDifference) = (a + c, a - c)
        let (odd, oddDifference) = (b + d, (b - d).turned)
        y[q + s * 4 * p] = even + odd
        y[q + s * (4 * p + 1)] = (evenDifference + oddDifference) * w1
        y[q + s * (4 * p + 2)] = (even - odd) * w2
        y[q + s * (4 * p + 3)] = (evenDifference - oddDifference) * w3
      }
    }
  }

  private static func five(_ x: Values, _ y: Values, _ w: Roots, _ m: Int, _ s: Int) {
    let (c1, c2) = (Float(cos(2 * Double.pi / 5)), Float(cos(4 * Double.pi / 5)))
    let (s1, s2) = (Float(sin(2 * Double.pi / 5)), Float(sin(4 * Double.pi / 5)))
    for p in 0..<m {
      for q in 0..<s {
        let a = x[q + s * p]
        let (b, c) = (x[q + s * (p + m)], x[q + s * (p + 2 * m)])
        let (d, e) = (x[q + s * (p + 3 * m)], x[q + s * (p + 4 * m)])
        let (outer, outerDifference) = (b + e, (b - e).turned)
        let (inner, innerDifference) = (c + d, (c - d).turned)
        let first = a + outer * c1 + inner * c2
        let second = a + outer * c2 + inner * c1
        let firstTurn = outerDifference * s1 + innerDifference * s2
        let secondTurn = outerDifference * s2 - innerDifference * s1
        y[q + s * 5 * p] = a + outer + inner
        y[q + s * (5 * p + 1)] = (first + firstTurn) * w[4 * p]
        y[q + s * (5 * p + 2)] = (second + secondTurn) * w[4 * p + 1]
        y[q + s * (5 * p + 3)] = (second - secondTurn) * w[4 * p + 2]
        y[q + s * (5 * p + 4)] = (first - firstTurn) * w[4 * p + 3]
      }
    }
  }
}
