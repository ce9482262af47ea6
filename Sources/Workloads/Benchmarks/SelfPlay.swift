// Where do the positions come from that a player learns from? From its own games.

/// A position from a game with itself: what the network sees, how often the search visited each move, and how the game
/// ended for who was to play.
struct SelfPlayExample: Sendable, Equatable {
  var planes: [UInt8]
  var visits: [Float]
  var result: Float
}

/// The latest positions; older ones make room.
struct ReplayWindow: Sendable {
  let capacity: Int
  private var examples: [SelfPlayExample] = []
  private var next = 0

  init(capacity: Int) { self.capacity = capacity }

  var count: Int { examples.count }
  subscript(index: Int) -> SelfPlayExample { examples[index] }

  mutating func add(_ example: SelfPlayExample) {
    if examples.count < capacity {
      examples.append(example)
    } else {
      examples[next] = example
      next = (next + 1) % capacity
    }
  }
}

/// How games are played.
struct SelfPlaySettings: Sendable {
  /// Games at the same time; their positions are evaluated together.
  var games: Int
  var search: SearchSettings
  /// So many moves of a game are drawn in proportion to their visits, then the most visited one is played.
  var drawnMoves: Int
  /// A game that is longer ends by its score.
  var longestGame: Int
  /// Who sees a value below the negative of this gives up; in a tenth of the games nobody does.
  var resignation: Float?
}

/// Games of a player with itself, a move in each at a time.
struct SelfPlay<Game: BoardGame>: Sendable {
  /// For positions: logits of all moves, one position after the other, and values for who is to play.
  typealias Evaluator = ([Game]) -> (logits: [Float], values: [Float])

  private struct Seat: Sendable {
    var tree: TreeSearch<Game>
    var random: SeededRandom
    /// What is known of the positions so far; the result comes at the end.
    var record: [(planes: [UInt8], visits: [Float], isBlack: Bool)] = []
    var mayResign: Bool
  }

  private let start: Game
  private let settings: SelfPlaySettings
  private let seed: UInt64
  private var seats: [Seat] = []
  /// Games that were begun.
  private(set) var begun = 0
  /// Games that came to an end.
  private(set) var finished = 0

  init(from start: Game, _ settings: SelfPlaySettings, seed: UInt64) {
    (self.start, self.settings, self.seed) = (start, settings, seed)
    seats = (0..<settings.games).map { _ in newSeat() }
  }

  private mutating func newSeat() -> Seat {
    defer { begun += 1 }
    var random = SeededRandom(seed, 41, begun)
    let mayResign = !random.chance(0.1)
    return Seat(tree: TreeSearch(start, settings.search), random: random, mayResign: mayResign)
  }

  /// Plays one move in every game. Positions of games that ended by it go to the window.
  mutating func playMove(into window: inout ReplayWindow, _ evaluate: Evaluator) {
    let unknown = seats.indices.filter { !seats[$0].tree.isExpanded }
    expand(unknown.map { ($0, seats[$0].tree.root) }, evaluate)
    for seat in seats.indices {
      var random = seats[seat].random
      seats[seat].tree.addNoise(&random)
      seats[seat].random = random
    }
    for _ in 0..<settings.search.readouts {
      var waiting: [(seat: Int, leaf: TreeSearch<Game>.Leaf)] = []
      for seat in seats.indices {
        if let leaf = seats[seat].tree.descend() { waiting.append((seat, leaf)) }
      }
      expand(waiting, evaluate)
    }
    for seat in seats.indices { choose(seat, &window) }
  }

  private mutating func expand(_ waiting: [(seat: Int, leaf: TreeSearch<Game>.Leaf)], _ evaluate: Evaluator) {
    guard !waiting.isEmpty else { return }
    let (logits, values) = evaluate(waiting.map { seats[$0.seat].tree.game(at: $0.leaf) })
    let moves = start.moveCount
    for (index, (seat, leaf)) in waiting.enumerated() {
      seats[seat].tree.expand(leaf, logits: logits[(index * moves)..<((index + 1) * moves)], value: values[index])
    }
  }

  private mutating func choose(_ seat: Int, _ window: inout ReplayWindow) {
    let game = seats[seat].tree.game
    let shares = seats[seat].tree.visitShares()
    seats[seat].record.append((game.planes(), shares, game.isBlackToPlay))
    if let limit = settings.resignation, seats[seat].mayResign, seats[seat].tree.value < -limit {
      return finish(seat, game.isBlackToPlay ? -1 : 1, &window)
    }
    var move = shares.indices.max { shares[$0] < shares[$1] } ?? 0
    if seats[seat].record.count <= settings.drawnMoves {
      var rest = Float(seats[seat].random.uniform())
      // Rounding may leave a rest; the most visited move then stays.
      for (candidate, share) in shares.enumerated() where share > 0 {
        rest -= share
        if rest < 0 {
          move = candidate
          break
        }
      }
    }
    seats[seat].tree.play(move)
    let next = seats[seat].tree.game
    if next.isOver || seats[seat].record.count >= settings.longestGame { finish(seat, next.result, &window) }
  }

  private mutating func finish(_ seat: Int, _ result: Float, _ window: inout ReplayWindow) {
    for entry in seats[seat].record {
      window.add(
        SelfPlayExample(planes: entry.planes, visits: entry.visits, result: entry.isBlack ? result : -result))
    }
    finished += 1
    seats[seat] = newSeat()
  }
}
