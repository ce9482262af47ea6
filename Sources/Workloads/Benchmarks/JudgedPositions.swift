// By what is a player judged? By positions for which right moves are known.

/// A batch of positions: inputs planes f32 [n, planes, side, side] and legal moves f32 [n, moves]; targets right moves
/// f32 [n, moves].
private func judgedBatch<Game: BoardGame>(_ positions: [(game: Game, right: Set<Int>)]) -> Batch {
  let moves = positions.first?.game.moveCount ?? 0
  let side = positions.first?.game.side ?? 0
  var (legal, right) = (
    [Float](repeating: 0, count: positions.count * moves), [Float](repeating: 0, count: positions.count * moves)
  )
  for (index, (game, best)) in positions.enumerated() {
    for move in game.legalMoves() { legal[index * moves + move] = 1 }
    for move in best { right[index * moves + move] = 1 }
  }
  return Batch(
    samples: positions.count,
    inputs: [
      HostTensor(
        positions.flatMap { $0.game.planes().map { Float($0) } },
        shape: [positions.count, Game.planeCount, side, side]),
      HostTensor(legal, shape: [positions.count, moves]),
    ], targets: [HostTensor(right, shape: [positions.count, moves])])
}

/// Positions of noughts and crosses with their best moves.
struct KnownPositions: Dataset {
  private let positions: [(position: TicTacToe, best: Set<Int>)]

  init(_ positions: [(position: TicTacToe, best: Set<Int>)]) { self.positions = positions }

  var count: Int { positions.count }

  func batch(_ indices: [Int], epoch: Int, random: inout SeededRandom) -> Batch {
    judgedBatch(indices.map { (positions[$0].position, positions[$0].best) })
  }
}

/// A game of Go as it was played.
struct GoRecord: Sendable, Equatable {
  /// Stones before the first move.
  var setup: [Stone] = []
  /// Moves in order; the place after the last is a pass.
  var moves: [Stone]

  /// A colour at a place.
  struct Stone: Sendable, Equatable {
    var place: Int
    var isBlack: Bool
  }
}

/// The moves of recorded games: in each position the move that was played is the right one. Only the moves are kept;
/// positions are made when they are asked for.
struct GoRecords: Dataset {
  let games: [GoRecord]
  private let side: Int
  /// Where each game's moves begin; one entry more than there are games.
  private let offsets: [Int]

  /// Games that are known to be legal.
  init(games: [GoRecord], side: Int) {
    (self.games, self.side) = (games, side)
    offsets = games.reduce(into: [0]) { $0.append($0[$0.count - 1] + $1.moves.count) }
  }

  /// Reads all `*.sgf` of a directory and of its folders.
  ///
  /// - Throws: `DataError` where there is none, one is damaged, has another size or an illegal move.
  init(directory path: String, side: Int) throws(DataError) {
    let directory = try DataDirectory(path)
    var folders = [directory]
    for name in try directory.subdirectories() { folders.append(try DataDirectory(directory.path(of: name))) }
    var games: [GoRecord] = []
    for folder in folders {
      for name in try folder.entries() where name.lowercased().hasSuffix(".sgf") {
        games.append(try SmartGameFormat.read(folder.path(of: name), side: side))
      }
    }
    guard !games.isEmpty else { throw directory.wrongFormat(expected: ["*.sgf, games of Go on \(side)×\(side)"]) }
    self.init(games: games, side: side)
    guard count > 0 else { throw .empty(path: path, expected: "games with moves") }
  }

  var count: Int { offsets[offsets.count - 1] }

  func batch(_ indices: [Int], epoch: Int, random: inout SeededRandom) -> Batch {
    var positions: [(game: Go, right: Set<Int>)] = []
    // Neighbouring moves are of one game, which is then played on and not from its beginning.
    var current: (game: Int, move: Int, position: Go)?
    for index in indices {
      var game = offsets.partitioningIndex { $0 > index } - 1
      // Games without a move have no index of their own.
      while games[game].moves.isEmpty { game -= 1 }
      let move = index - offsets[game]
      if current?.game != game || current?.move ?? 0 > move { current = (game, 0, Self.start(games[game], side)) }
      guard var (_, played, position) = current else { continue }
      while played < move {
        Self.play(games[game].moves[played], on: &position)
        played += 1
      }
      let next = games[game].moves[move]
      position.setToPlay(isBlack: next.isBlack)
      positions.append((position, [next.place]))
      current = (game, played, position)
    }
    return judgedBatch(positions)
  }

  /// The position before the first move.
  static func start(_ record: GoRecord, _ side: Int) -> Go {
    var position = Go(side: side)
    position.place(
      record.setup.map { ($0.place, $0.isBlack) }, isBlackToPlay: record.moves.first?.isBlack ?? true)
    return position
  }

  /// Plays a record's move, by whosever turn it is.
  static func play(_ move: GoRecord.Stone, on position: inout Go) {
    position.setToPlay(isBlack: move.isBlack)
    position.play(move.place)
  }
}
