// A stand-in for robot pushing: a disc that is told where to go, and two squares that it pushes.

/// Videos drawn from a seed. An arm, a white disc, moves by its action at every frame, and takes along a square that it
/// touches. The state is the arm's place, −1 to 1; further numbers of state and action are 0.
struct SyntheticPushing: PushingVideos {
  let count: Int
  let frames: Int
  let side: Int
  let stateWidth: Int
  private let seed: UInt64

  private static let armRadius = 0.22
  private static let squareHalf = 0.2
  /// The longest move along an axis in one frame: two pixels of 32.
  private static let reach = 0.125

  var origin: String { "synthetic: \(count) videos of \(frames) frames \(side)×\(side), seed \(seed)" }

  /// Different seeds give different videos; a test set has its own.
  init(count: Int, frames: Int, side: Int, stateWidth: Int, seed: UInt64) {
    precondition(stateWidth >= 2, "a place has two coordinates")
    self.count = count
    self.frames = frames
    self.side = side
    self.stateWidth = stateWidth
    self.seed = seed
  }

  private struct Square {
    var x: Double
    var y: Double
    var colour: [Double]
  }

  func video(_ index: Int) -> PushingVideo {
    var random = SeededRandom(seed, 12, index)
    var arm = (x: random.uniform(-0.6...0.6), y: random.uniform(-0.6...0.6))
    var squares = (0..<2).map { number in
      Square(
        x: random.uniform(-0.6...0.6), y: random.uniform(-0.6...0.6),
        colour: number == 0
          ? [random.uniform(0.7...1), random.uniform(0...0.3), random.uniform(0...0.3)]
          : [random.uniform(0...0.3), random.uniform(0...0.3), random.uniform(0.7...1)])
    }
    let table = random.uniform(0.25...0.45)
    var velocity = (x: random.uniform(-1...1) * Self.reach, y: random.uniform(-1...1) * Self.reach)
    var video = PushingVideo(images: [], states: [], actions: [])
    let padding = [Float](repeating: 0, count: stateWidth - 2)
    for _ in 0..<frames {
      // The next move: mostly as before, never off the table.
      if random.chance(0.3) {
        velocity = (x: random.uniform(-1...1) * Self.reach, y: random.uniform(-1...1) * Self.reach)
      }
      if abs(arm.x + velocity.x) > 0.8 { velocity.x = -velocity.x }
      if abs(arm.y + velocity.y) > 0.8 { velocity.y = -velocity.y }
      video.images += draw(arm, squares, table: table)
      video.states += [Float(arm.x), Float(arm.y)] + padding
      video.actions += [Float(velocity.x), Float(velocity.y)] + padding
      arm.x += velocity.x
      arm.y += velocity.y
      let touch = Self.armRadius + Self.squareHalf
      for number in squares.indices
      where max(abs(squares[number].x - arm.x), abs(squares[number].y - arm.y)) < touch {
        squares[number].x = min(max(squares[number].x + velocity.x, -1), 1)
        squares[number].y = min(max(squares[number].y + velocity.y, -1), 1)
      }
    }
    return video
  }

  /// [3, side, side]; a pixel at an edge is mixed in proportion to how far it is inside.
  private func draw(_ arm: (x: Double, y: Double), _ squares: [Square], table: Double) -> [Float] {
    var image = [Float](repeating: 0, count: 3 * side * side)
    let pixel = 2 / Double(side)
    func cover(_ inside: Double) -> Double { min(max(inside / pixel + 0.5, 0), 1) }
    for row in 0..<side {
      let y = (Double(row) + 0.5) * pixel - 1
      for column in 0..<side {
        let x = (Double(column) + 0.5) * pixel - 1
        var colour = [table, table * 0.9, table * 0.8]
        for square in squares {
          let share = cover(Self.squareHalf - max(abs(x - square.x), abs(y - square.y)))
          if share > 0 { for c in 0..<3 { colour[c] += share * (square.colour[c] - colour[c]) } }
        }
        let distance = ((x - arm.x) * (x - arm.x) + (y - arm.y) * (y - arm.y)).squareRoot()
        let share = cover(Self.armRadius - distance)
        if share > 0 { for c in 0..<3 { colour[c] += share * (0.95 - colour[c]) } }
        for c in 0..<3 { image[(c * side + row) * side + column] = Float(colour[c]) }
      }
    }
    return image
  }
}
