// Stand-in for recorded games of Go: a player by simple rules, from a seed.

/// Games of a scripted player with itself: it takes what it can, saves what is attacked, and else plays near the last
/// move; it does not fill its own eyes, and passes when nothing else is left.
enum ScriptedGo {
  /// Games in which every move is legal.
  static func games(count: Int, side: Int, seed: UInt64) -> [GoRecord] {
    (0..<count).map { number in
      var random = SeededRandom(seed, 42, number)
      var game = Go(side: side)
      var record = GoRecord(moves: [])
      var last: Int?
      while !game.isOver, record.moves.count < side * side * 7 / 5 {
        let move = move(in: game, after: last, &random)
        record.moves.append(GoRecord.Stone(place: move, isBlack: game.isBlackToPlay))
        game.play(move)
        last = move == game.pass ? nil : move
      }
      return record
    }
  }

  private static func move(in game: Go, after last: Int?, _ random: inout SeededRandom) -> Int {
    let own: Int8 = game.isBlackToPlay ? 1 : -1
    let (chains, numbers) = game.chains()
    let candidates = game.legalMoves().filter { $0 != game.pass && !isEye($0, of: own, in: game) }
    guard !candidates.isEmpty else { return game.pass }
    let scores = candidates.map { place -> Double in
      var score = random.uniform()
      for neighbour in neighbours(of: place, side: game.side) {
        let number = numbers[neighbour]
        guard number >= 0, chains[number].liberties == 1 else { continue }
        // Taking is worth more than saving.
        score += (game.stones[neighbour] == own ? 2 : 4) * Double(chains[number].stones.count)
      }
      if let last {
        let distance = abs(last / game.side - place / game.side) + abs(last % game.side - place % game.side)
        if distance <= 2 { score += 1 }
      }
      return score
    }
    let best = scores.indices.max { scores[$0] < scores[$1] } ?? 0
    return candidates[best]
  }

  /// An empty place with own stones on all sides.
  private static func isEye(_ place: Int, of colour: Int8, in game: Go) -> Bool {
    neighbours(of: place, side: game.side).allSatisfy { game.stones[$0] == colour }
  }

  private static func neighbours(of place: Int, side: Int) -> [Int] {
    let (row, column) = (place / side, place % side)
    return [(row - 1, column), (row + 1, column), (row, column - 1), (row, column + 1)]
      .filter { (0..<side).contains($0.0) && (0..<side).contains($0.1) }.map { $0.0 * side + $0.1 }
  }
}
