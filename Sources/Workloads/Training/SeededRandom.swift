// Where every random decision of a run comes from: one seed gives the same numbers on every machine and at any time.

/// A seeded pseudo-random generator (SplitMix64: Steele, Lea and Flood, OOPSLA 2014).
///
/// The standard library's generator cannot be seeded, and its algorithms for ranges and shuffles may change between
/// versions; everything here is defined by this file, so that a seed means the same run for ever.
public struct SeededRandom: RandomNumberGenerator, Sendable {
  private var state: UInt64

  /// A generator for a seed alone, or for one of many independent purposes: (seed, epoch, sample index …). Its numbers
  /// do not depend on the order in which samples are made, nor on the thread that makes them.
  public init(_ seed: UInt64, _ streams: Int...) {
    state = seed
    // Not symmetric in its parts: (1, 2) and (2, 1) are different purposes.
    for part in streams {
      let bits = UInt64(bitPattern: Int64(part))
      state = Self.mix(Self.mix(state &+ 0x9E37_79B9_7F4A_7C15) &* 0xD134_2543_DE82_EF95 &+ bits)
    }
  }

  private static func mix(_ value: UInt64) -> UInt64 {
    var z = value
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
  }

  /// The next 64 bits.
  @inline(__always)
  public mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    return Self.mix(state)
  }

  /// A number in 0 ..< bound, each as likely (Lemire's multiplication with rejection). `bound` must be positive.
  @inline(__always)
  public mutating func integer(below bound: Int) -> Int {
    precondition(bound > 0, "the bound of a random number must be positive")
    let range = UInt64(bound)
    var product = next().multipliedFullWidth(by: range)
    if product.low < range {
      let threshold = (0 &- range) % range
      while product.low < threshold { product = next().multipliedFullWidth(by: range) }
    }
    return Int(product.high)
  }

  /// A number in 0 ..< 1 with 53 random bits.
  @inline(__always)
  public mutating func uniform() -> Double { Double(next() >> 11) * 0x1p-53 }

  /// A number between the bounds of `range`.
  @inline(__always)
  public mutating func uniform(_ range: ClosedRange<Double>) -> Double {
    range.lowerBound + (range.upperBound - range.lowerBound) * uniform()
  }

  /// True with the given probability.
  @inline(__always)
  public mutating func chance(_ probability: Double) -> Bool { uniform() < probability }

  /// An approximately normal number, mean 0, variance 1: the sum of twelve 16-bit uniform numbers. Integer sums are
  /// the same on every machine, which the logarithm and cosine of the usual method need not be. Never beyond ±6.
  @inline(__always)
  public mutating func normal() -> Double {
    var sum = 0
    for _ in 0..<3 {
      let bits = next()
      sum += Int(bits & 0xFFFF) + Int((bits >> 16) & 0xFFFF) + Int((bits >> 32) & 0xFFFF) + Int(bits >> 48)
    }
    return (Double(sum) - 12 * 32767.5) * 0x1p-16
  }

  /// A number from the standard Gumbel distribution. The largest of `score + gumbel()` is a draw from the softmax of
  /// the scores.
  public mutating func gumbel() -> Double {
    // uniform() + 2^-54 is never 0 and never 1.
    -Reproducible.log(-Reproducible.log(uniform() + 0x1p-54))
  }

  /// Puts the elements into a random order (Fisher and Yates).
  public mutating func shuffle<Element>(_ elements: inout [Element]) {
    guard elements.count > 1 else { return }
    for last in stride(from: elements.count - 1, to: 0, by: -1) {
      elements.swapAt(last, integer(below: last + 1))
    }
  }

  /// 0 ..< count in a random order.
  public mutating func permutation(_ count: Int) -> [Int] {
    var order = Array(0..<count)
    shuffle(&order)
    return order
  }
}

/// Elementary functions made of IEEE additions, multiplications and divisions only: the same bits on every machine.
/// (The C library picks its code by processor, with and without fused multiply-add, and the last bit differs.)
enum Reproducible {
  /// The natural logarithm of a positive finite number, to about 1e-15 of relative error.
  static func log(_ x: Double) -> Double {
    var exponent = Double(x.exponent)
    var fraction = x.significand
    if fraction > 1.4142135623730951 {
      fraction *= 0.5
      exponent += 1
    }
    let s = (fraction - 1) / (fraction + 1)
    let square = s * s
    var sum = 0.0
    for power in stride(from: 21, through: 1, by: -2) { sum = sum * square + 1 / Double(power) }
    return 2 * s * sum + exponent * 0.6931471805599453
  }

  /// The exponential of a number between -1 and 1, to about 1e-15.
  static func exp(_ x: Double) -> Double {
    var sum = 1.0
    for k in stride(from: 20, through: 1, by: -1) { sum = 1 + x / Double(k) * sum }
    return sum
  }

  /// Sine and cosine of an angle in radians, |angle| below about 1000, to about 1e-14.
  static func sineCosine(_ angle: Double) -> (sine: Double, cosine: Double) {
    let quarter = (angle * 0.6366197723675814).rounded()
    // π/2 in two parts, so that the remainder keeps its low bits.
    let r = (angle - quarter * 1.5707963267341256) - quarter * 6.077100506506192e-11
    let square = r * r
    var sine = 0.0
    var cosine = 0.0
    for k in stride(from: 9, through: 0, by: -1) {
      let even = Double((2 * k + 1) * (2 * k + 2))
      let odd = Double((2 * k + 2) * (2 * k + 3))
      sine = 1 - square / odd * sine
      cosine = 1 - square / even * cosine
    }
    sine *= r
    switch ((Int(quarter) % 4) + 4) % 4 {
    case 0: return (sine, cosine)
    case 1: return (cosine, -sine)
    case 2: return (-sine, -cosine)
    default: return (-cosine, sine)
    }
  }
}
