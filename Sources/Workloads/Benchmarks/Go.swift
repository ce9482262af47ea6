// What are the rules of Go? Captures, no suicide, no repeated position, and the score by area.

/// A position of Go with its past. The rules are those of computer play (Tromp and Taylor's, without suicide): stones
/// without liberties are taken; no position may come again (positional superko, which covers the ko); two passes end
/// the game; stones and surrounded places count, and White gets the komi.
struct Go: BoardGame {
  /// Eight positions of both colours and the colour to play, as AlphaGo Zero saw them.
  static let planeCount = 17
  static let rememberedPositions = 8
  /// The largest board.
  static let largestSide = 19

  let side: Int
  let komi: Float
  /// 1 for Black, −1 for White, 0 where it is empty.
  private(set) var stones: [Int8]
  private(set) var isBlackToPlay = true
  /// Moves that were made, passes too.
  private(set) var moves = 0
  private var passes = 0
  private var hash: UInt64 = 0
  /// Of every position so far.
  private var hashes: [UInt64] = [0]
  /// The last positions, newest first.
  private var past: [[Int8]]

  /// An empty board.
  init(side: Int, komi: Float = 7.5) {
    precondition((2...Self.largestSide).contains(side), "a board of \(side)")
    self.side = side
    self.komi = komi
    stones = [Int8](repeating: 0, count: side * side)
    past = [stones]
  }

  /// A random number for every place and colour (Zobrist 1970).
  private static let keys: [UInt64] = {
    var random = SeededRandom(1, 40)
    return (0..<2 * largestSide * largestSide).map { _ in random.next() }
  }()

  private func key(_ place: Int, _ colour: Int8) -> UInt64 { Self.keys[2 * place + (colour > 0 ? 0 : 1)] }

  var places: Int { side * side }
  var moveCount: Int { places + 1 }
  /// The move that places no stone.
  var pass: Int { places }
  var isOver: Bool { passes >= 2 }
  private var colour: Int8 { isBlackToPlay ? 1 : -1 }

  private func forEachNeighbour(_ place: Int, _ body: (Int) -> Void) {
    let (row, column) = (place / side, place % side)
    if row > 0 { body(place - side) }
    if row < side - 1 { body(place + side) }
    if column > 0 { body(place - 1) }
    if column < side - 1 { body(place + 1) }
  }

  /// Stones that are connected, and how many empty places they touch.
  struct Chain {
    var stones: [Int]
    var liberties: Int
    fileprivate var hash: UInt64
  }

  /// All chains, and the number of each place's chain (−1 where it is empty).
  func chains() -> (chains: [Chain], numbers: [Int]) {
    var numbers = [Int](repeating: -1, count: places)
    var chains: [Chain] = []
    // The chain that last counted a place as its liberty.
    var counted = [Int](repeating: -1, count: places)
    for start in 0..<places where stones[start] != 0 && numbers[start] < 0 {
      let number = chains.count
      var chain = Chain(stones: [start], liberties: 0, hash: 0)
      numbers[start] = number
      var next = 0
      while next < chain.stones.count {
        let place = chain.stones[next]
        next += 1
        chain.hash ^= key(place, stones[start])
        forEachNeighbour(place) { neighbour in
          if stones[neighbour] == 0 {
            if counted[neighbour] != number {
              counted[neighbour] = number
              chain.liberties += 1
            }
          } else if stones[neighbour] == stones[start], numbers[neighbour] < 0 {
            numbers[neighbour] = number
            chain.stones.append(neighbour)
          }
        }
      }
      chains.append(chain)
    }
    return (chains, numbers)
  }

  /// Why a stone may not be placed.
  enum Objection: String {
    case occupied = "the place is occupied"
    case suicide = "the stone would have no liberty"
    case repetition = "the position was there before"
  }

  /// What the rules say against a stone of who is to play; `nil` where it is legal.
  func objection(to place: Int) -> Objection? {
    let (chains, numbers) = chains()
    return objection(to: place, chains, numbers)
  }

  private func objection(to place: Int, _ chains: [Chain], _ numbers: [Int]) -> Objection? {
    guard stones[place] == 0 else { return .occupied }
    var breathes = false
    var taken: [Int] = []
    forEachNeighbour(place) { neighbour in
      let number = numbers[neighbour]
      if number < 0 {
        breathes = true
      } else if stones[neighbour] == colour {
        // This stone takes one of the chain's liberties; it needs another.
        if chains[number].liberties > 1 { breathes = true }
      } else if chains[number].liberties == 1, !taken.contains(number) {
        taken.append(number)
      }
    }
    guard breathes || !taken.isEmpty else { return .suicide }
    let after = taken.reduce(hash ^ key(place, colour)) { $0 ^ chains[$1].hash }
    return hashes.contains(after) ? .repetition : nil
  }

  func legalMoves() -> [Int] {
    guard !isOver else { return [] }
    let (chains, numbers) = chains()
    return (0..<places).filter { objection(to: $0, chains, numbers) == nil } + [pass]
  }

  mutating func play(_ move: Int) {
    precondition(!isOver && (0...places).contains(move), "illegal move \(move)")
    if move == pass {
      passes += 1
    } else {
      precondition(stones[move] == 0, "illegal move \(move)")
      passes = 0
      let own = colour
      // Chains of the other colour whose last liberty this is; found before the stone changes the chains.
      let (chains, numbers) = chains()
      var taken: [Int] = []
      forEachNeighbour(move) { neighbour in
        let number = numbers[neighbour]
        if number >= 0, stones[neighbour] == -own, chains[number].liberties == 1, !taken.contains(number) {
          taken.append(number)
        }
      }
      stones[move] = own
      hash ^= key(move, own)
      for number in taken {
        for place in chains[number].stones { stones[place] = 0 }
        hash ^= chains[number].hash
      }
      hashes.append(hash)
    }
    moves += 1
    isBlackToPlay.toggle()
    past.insert(stones, at: 0)
    if past.count > Self.rememberedPositions { past.removeLast() }
  }

  /// Places stones before the first move, as records of handicap games do.
  mutating func place(_ setup: [(place: Int, isBlack: Bool)], isBlackToPlay: Bool) {
    for (place, isBlack) in setup where stones[place] == 0 {
      stones[place] = isBlack ? 1 : -1
      hash ^= key(place, stones[place])
    }
    self.isBlackToPlay = isBlackToPlay
    hashes = [hash]
    past = [stones]
  }

  /// Gives the turn to a player, where a record has one move twice.
  mutating func setToPlay(isBlack: Bool) { isBlackToPlay = isBlack }

  /// Places of Black minus those of White: stones, and empty regions that touch one colour only.
  var areaDifference: Int {
    var difference = stones.reduce(0) { $0 + Int($1) }
    var visited = [Bool](repeating: false, count: places)
    for start in 0..<places where stones[start] == 0 && !visited[start] {
      var region = [start]
      visited[start] = true
      var (touchesBlack, touchesWhite) = (false, false)
      var next = 0
      while next < region.count {
        forEachNeighbour(region[next]) { neighbour in
          switch stones[neighbour] {
          case 1: touchesBlack = true
          case -1: touchesWhite = true
          default:
            if !visited[neighbour] {
              visited[neighbour] = true
              region.append(neighbour)
            }
          }
        }
        next += 1
      }
      if touchesBlack != touchesWhite { difference += touchesBlack ? region.count : -region.count }
    }
    return difference
  }

  var result: Float {
    let margin = Float(areaDifference) - komi
    return margin > 0 ? 1 : margin < 0 ? -1 : 0
  }

  /// For each of the last eight positions the own stones and the other's, newest first, then ones where Black is to
  /// play.
  func planes() -> [UInt8] {
    let own = colour
    var planes = [UInt8](repeating: 0, count: Self.planeCount * places)
    for (age, stones) in past.enumerated() {
      for (place, stone) in stones.enumerated() where stone != 0 {
        planes[(2 * age + (stone == own ? 0 : 1)) * places + place] = 1
      }
    }
    if isBlackToPlay { for place in 0..<places { planes[2 * Self.rememberedPositions * places + place] = 1 } }
    return planes
  }
}
