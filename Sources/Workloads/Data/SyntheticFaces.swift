// A stand-in for portraits: drawn faces, each person with their own proportions.

/// Faces of so many people, drawn when asked for. A person is twelve numbers; a photograph adds place, tilt, distance,
/// an open mouth, light from one side, a background and noise.
struct SyntheticFaces: FacePhotographs {
  let identityCount: Int
  /// Photographs of each person.
  let photographsEach: Int
  let shape: [Int]
  private let seed: UInt64

  /// Different seeds are different people.
  init(identities: Int, photographsEach: Int, side: Int, seed: UInt64) {
    identityCount = identities
    self.photographsEach = photographsEach
    shape = [3, side, side]
    self.seed = seed
  }

  var origin: String {
    "synthetic: \(identityCount) drawn faces \(shape[1])×\(shape[2]), \(photographsEach) each, seed \(seed)"
  }

  func count(of identity: Int) -> Int { photographsEach }

  func write(
    _ photograph: Int, of identity: Int, epoch: Int, into planes: UnsafeMutableBufferPointer<Float>
  ) throws(DataError) {
    let size = shape[1] * shape[2]
    precondition(planes.count == 3 * size, "the buffer must hold three planes")
    draw(photograph, of: identity) { pixel, colour in
      planes[pixel] = Float(colour.0) / 127.5 - 1
      planes[size + pixel] = Float(colour.1) / 127.5 - 1
      planes[2 * size + pixel] = Float(colour.2) / 127.5 - 1
    }
  }

  /// What does not change from photograph to photograph.
  private struct Person {
    let head: (width: Double, height: Double)
    let skin: (Double, Double, Double)
    let eyes: (spacing: Double, height: Double, size: Double)
    let mouth: (position: Double, width: Double, height: Double)
    let hairline: Double

    init(_ random: inout SeededRandom) {
      head = (random.uniform(0.5...0.72), random.uniform(0.68...0.9))
      skin = (random.uniform(0.55...0.9), random.uniform(0.4...0.7), random.uniform(0.3...0.6))
      eyes = (random.uniform(0.16...0.34), random.uniform(-0.3 ... -0.05), random.uniform(0.06...0.13))
      mouth = (random.uniform(0.3...0.5), random.uniform(0.12...0.32), random.uniform(0.03...0.09))
      hairline = random.uniform(-0.7 ... -0.3)
    }
  }

  /// Calls `put` with every pixel's number, row by row, and its colour.
  func draw(_ photograph: Int, of identity: Int, _ put: (Int, (UInt8, UInt8, UInt8)) -> Void) {
    var traits = SeededRandom(seed, 9, identity)
    let person = Person(&traits)
    var random = SeededRandom(seed, 10, identity, photograph)
    let side = shape[1]
    let shift = (x: random.uniform(-0.12...0.12), y: random.uniform(-0.12...0.12))
    let (sine, cosine) = Reproducible.sineCosine(random.uniform(-0.15...0.15))
    let scale = random.uniform(0.92...1.08)
    let mouthHeight = person.mouth.height * random.uniform(0.7...1.8)
    let light = (x: random.uniform(-0.25...0.25), y: random.uniform(-0.15...0.15))
    let background = (random.uniform(0.1...0.9), random.uniform(0.1...0.9), random.uniform(0.1...0.9))
    for y in 0..<side {
      for x in 0..<side {
        let u = ((Double(x) + 0.5) * 2 / Double(side) - 1 - shift.x) / scale
        let v = ((Double(y) + 0.5) * 2 / Double(side) - 1 - shift.y) / scale
        let (across, down) = (cosine * u + sine * v, cosine * v - sine * u)
        func isInside(_ x: Double, _ y: Double, _ width: Double, _ height: Double) -> Bool {
          let (a, b) = ((across - x) / width, (down - y) / height)
          return a * a + b * b < 1
        }
        var colour = background
        if isInside(0, 0, person.head.width, person.head.height) {
          let shade = 1 + light.x * across + light.y * down
          colour = (person.skin.0 * shade, person.skin.1 * shade, person.skin.2 * shade)
          if down < person.hairline { colour = (0.2, 0.14, 0.1) }
          if isInside(-person.eyes.spacing, person.eyes.height, person.eyes.size, person.eyes.size)
            || isInside(person.eyes.spacing, person.eyes.height, person.eyes.size, person.eyes.size)
          {
            colour = (0.08, 0.08, 0.15)
          }
          if isInside(0, person.mouth.position, person.mouth.width, mouthHeight) { colour = (0.6, 0.15, 0.2) }
        }
        func noisy(_ light: Double) -> UInt8 { byte(light + 0.03 * random.normal()) }
        put(y * side + x, (noisy(colour.0), noisy(colour.1), noisy(colour.2)))
      }
    }
  }

  /// A question like LFW's: ten folds of so many same and different pairs.
  func pairs(folds: Int = 10, each: Int) -> FacePairs {
    var random = SeededRandom(seed, 11)
    let photographs = { (identity: Int, photograph: Int) in identity * photographsEach + photograph }
    let all = (0..<folds).map { _ in
      (0..<(2 * each)).map { index -> FacePairs.Pair in
        let isSame = index < each
        let person = random.integer(below: identityCount)
        let other = isSame ? person : (person + 1 + random.integer(below: identityCount - 1)) % identityCount
        let first = random.integer(below: photographsEach)
        let second =
          isSame
          ? (first + 1 + random.integer(below: photographsEach - 1)) % photographsEach
          : random.integer(below: photographsEach)
        return .init(first: photographs(person, first), second: photographs(other, second), isSame: isSame)
      }
    }
    return FacePairs(photographs: AllPhotographs(of: self), folds: all)
  }
}

/// The photographs of all people one after another; the labels are the people.
struct AllPhotographs: ImageSource {
  private let faces: any FacePhotographs
  private let places: [(identity: Int, photograph: Int)]

  init(of faces: any FacePhotographs) {
    self.faces = faces
    places = (0..<faces.identityCount).flatMap { identity in
      (0..<faces.count(of: identity)).map { (identity, $0) }
    }
  }

  var count: Int { places.count }
  var shape: [Int] { faces.shape }
  var classCount: Int { faces.identityCount }
  var origin: String { faces.origin }

  func write(
    _ index: Int, epoch: Int, into planes: UnsafeMutableBufferPointer<Float>
  ) throws(DataError) -> Int64 {
    try faces.write(places[index].photograph, of: places[index].identity, epoch: epoch, into: planes)
    return Int64(places[index].identity)
  }
}
