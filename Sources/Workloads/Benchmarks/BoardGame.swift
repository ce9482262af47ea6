// What is a game here: two players in turns on a square board, both see everything, and one wins or nobody.

/// A position of a game with its rules. A move is a place (row × side + column), or the number after the last place
/// where the game allows to pass.
protocol BoardGame: Sendable {
  /// Planes of a position that a network sees.
  static var planeCount: Int { get }
  /// Rows and columns.
  var side: Int { get }
  /// Places, and the pass where there is one.
  var moveCount: Int { get }
  /// Whose turn it is.
  var isBlackToPlay: Bool { get }
  /// Whether nobody moves any more.
  var isOver: Bool { get }
  /// 1 where Black has won, −1 where White has, 0 for a draw; before the end by the score so far.
  var result: Float { get }
  /// The moves that the rules allow, ascending; none when the game is over.
  func legalMoves() -> [Int]
  /// Makes a legal move.
  mutating func play(_ move: Int)
  /// What a network sees, from the view of who is to play: 0 or 1, [planes, side, side].
  func planes() -> [UInt8]
}

extension BoardGame {
  /// The result for the player whose turn it is.
  var resultToPlay: Float { isBlackToPlay ? result : -result }
}

/// The eight symmetries of a square: where each place comes from.
struct BoardSymmetry: Sendable {
  /// By symmetry, the old place of every new place.
  let sources: [[Int]]

  init(side: Int) {
    sources = (0..<8).map { symmetry in
      (0..<side * side).map { place in
        var (row, column) = (place / side, place % side)
        if symmetry & 1 != 0 { row = side - 1 - row }
        if symmetry & 2 != 0 { column = side - 1 - column }
        if symmetry & 4 != 0 { (row, column) = (column, row) }
        return row * side + column
      }
    }
  }
}

/// Noughts and crosses: three in a row, a column or a diagonal win. Small enough that every position's best moves are
/// known.
struct TicTacToe: BoardGame, Hashable {
  static let planeCount = 3
  private static let lines = [
    [0, 1, 2], [3, 4, 5], [6, 7, 8], [0, 3, 6], [1, 4, 7], [2, 5, 8], [0, 4, 8], [2, 4, 6],
  ]

  /// 1 for Black, −1 for White, 0 where it is empty.
  private(set) var marks = [Int8](repeating: 0, count: 9)
  private(set) var isBlackToPlay = true

  var side: Int { 3 }
  var moveCount: Int { 9 }
  var isOver: Bool { result != 0 || !marks.contains(0) }

  var result: Float {
    for line in Self.lines where marks[line[0]] != 0 {
      if marks[line[0]] == marks[line[1]], marks[line[1]] == marks[line[2]] { return Float(marks[line[0]]) }
    }
    return 0
  }

  func legalMoves() -> [Int] { isOver ? [] : marks.indices.filter { marks[$0] == 0 } }

  mutating func play(_ move: Int) {
    precondition(marks[move] == 0 && !isOver, "illegal move \(move)")
    marks[move] = isBlackToPlay ? 1 : -1
    isBlackToPlay.toggle()
  }

  /// Own marks, the other's, and ones where Black is to play.
  func planes() -> [UInt8] {
    let own: Int8 = isBlackToPlay ? 1 : -1
    return marks.map { $0 == own ? 1 : 0 } + marks.map { $0 == -own ? 1 : 0 }
      + [UInt8](repeating: isBlackToPlay ? 1 : 0, count: 9)
  }

  /// All positions that play can reach and where the choice matters, with the moves that keep the best result that
  /// can be forced.
  static func decisivePositions() -> [(position: TicTacToe, best: Set<Int>)] {
    var values: [TicTacToe: Float] = [:]
    var found: [(position: TicTacToe, best: Set<Int>)] = []
    /// The result for who is to play when both play their best.
    func value(_ position: TicTacToe) -> Float {
      if let known = values[position] { return known }
      if position.isOver { return position.resultToPlay }
      let moves = position.legalMoves()
      let results = moves.map { move in
        var next = position
        next.play(move)
        return -value(next)
      }
      let best = results.max() ?? 0
      values[position] = best
      let keeping = zip(moves, results).filter { $0.1 == best }.map(\.0)
      if keeping.count < moves.count { found.append((position, Set(keeping))) }
      return best
    }
    _ = value(TicTacToe())
    return found
  }
}
