// Are the rules of Go right, and are its records read as published?
import Foundation
import Testing

@testable import Workloads

/// A board from a drawing: X black, O white.
private func board(_ rows: String..., blackToPlay: Bool = true) -> Go {
  var game = Go(side: rows.count)
  var setup: [(Int, Bool)] = []
  for (place, mark) in rows.joined().enumerated() where mark != "." { setup.append((place, mark == "X")) }
  game.place(setup, isBlackToPlay: blackToPlay)
  return game
}

private func drawing(_ game: Go) -> [String] {
  (0..<game.side).map { row in
    String((0..<game.side).map { ["O", ".", "X"][Int(game.stones[row * game.side + $0]) + 1] as Character })
  }
}

struct GoTests {
  @Test func stonesWithoutLibertiesAreTaken() {
    var game = board(
      ".XX..",
      "XOO..",
      ".XX..",
      ".....",
      ".....")
    game.play(8)
    #expect(drawing(game) == [".XX..", "X..X.", ".XX..", ".....", "....."])
    #expect(!game.isBlackToPlay && game.moves == 1)
    #expect(game.chains().chains.map(\.liberties) == [4, 3, 4, 6])
    // Three chains at once, in the corner, in the middle and at the edge.
    game = board(
      "OX...",
      ".OX..",
      "OX...",
      "X....",
      ".....")
    game.play(5)
    #expect(drawing(game) == [".X...", "X.X..", ".X...", "X....", "....."])
  }

  @Test func suicideIsIllegalButTakingIsNot() {
    let eye = board(
      ".X.",
      "X..",
      "...", blackToPlay: false)
    #expect(eye.objection(to: 0) == .suicide)
    #expect(eye.objection(to: 1) == .occupied)
    #expect(!eye.legalMoves().contains(0) && eye.legalMoves().last == 9)
    // Several stones: the chain would have no liberty.
    let chain = board(
      ".OX",
      "OOX",
      "XX.", blackToPlay: false)
    #expect(chain.objection(to: 0) == .suicide)
    // The same place takes for Black.
    var taking = board(
      ".OX",
      "OOX",
      "XX.")
    #expect(taking.objection(to: 0) == nil)
    taking.play(0)
    #expect(drawing(taking) == ["X.X", "..X", "XX."])
  }

  @Test func theKoWaitsForAnExchange() {
    var game = board(
      ".XO..",
      "XO.O.",
      ".XO..",
      ".....",
      ".....")
    game.play(7)
    #expect(drawing(game)[1] == "X.XO.")
    // Taking back at once would repeat the position.
    #expect(game.objection(to: 6) == .repetition)
    game.play(24)
    game.play(20)
    #expect(game.objection(to: 6) == nil)
    game.play(6)
    #expect(drawing(game)[1] == "XO.O.")
    #expect(game.objection(to: 7) == .repetition)
  }

  @Test func noPositionComesAgainEvenLater() {
    // On so small a board every long game comes to cycles that a rule for single kos would allow.
    for seed in 0..<20 {
      var random = SeededRandom(UInt64(seed))
      var game = Go(side: 3)
      var seen: Set<[Int8]> = [game.stones]
      while !game.isOver, game.moves < 400 {
        let legal = game.legalMoves().filter { $0 != game.pass }
        let move = legal.isEmpty ? game.pass : legal[random.integer(below: legal.count)]
        game.play(move)
        if move != game.pass { #expect(seen.insert(game.stones).inserted) }
      }
    }
  }

  @Test func legalMovesAgreeWithTheNaiveRule() {
    /// Plays on a copy and looks whether the stone has a liberty: flood fill over plain arrays.
    func liberties(_ stones: [Int8], _ start: Int, _ side: Int) -> (group: Set<Int>, count: Int) {
      var group: Set<Int> = [start]
      var open = [start]
      var free: Set<Int> = []
      while let place = open.popLast() {
        let (row, column) = (place / side, place % side)
        for (r, c) in [(row - 1, column), (row + 1, column), (row, column - 1), (row, column + 1)]
        where (0..<side).contains(r) && (0..<side).contains(c) {
          let next = r * side + c
          if stones[next] == 0 { free.insert(next) }
          if stones[next] == stones[start], group.insert(next).inserted { open.append(next) }
        }
      }
      return (group, free.count)
    }
    var random = SeededRandom(3)
    for _ in 0..<6 {
      var game = Go(side: 5)
      var history: Set<[Int8]> = [game.stones]
      for _ in 0..<60 where !game.isOver {
        let own: Int8 = game.isBlackToPlay ? 1 : -1
        var expected: [Int: [Int8]] = [:]
        for place in 0..<25 where game.stones[place] == 0 {
          var stones = game.stones
          stones[place] = own
          for other in 0..<25 where stones[other] == -own && liberties(stones, other, 5).count == 0 {
            for taken in liberties(stones, other, 5).group { stones[taken] = 0 }
          }
          if liberties(stones, place, 5).count > 0, !history.contains(stones) { expected[place] = stones }
        }
        let legal = game.legalMoves()
        #expect(legal == expected.keys.sorted() + [25])
        let move = legal[random.integer(below: max(legal.count - 1, 1))]
        game.play(move)
        if let after = expected[move] { #expect(game.stones == after) }
        history.insert(game.stones)
      }
    }
  }

  @Test func areaIsCounted() {
    let game = board(
      ".X.O.",
      "XX.O.",
      ".X.OO",
      "XX.O.",
      ".X.O.")
    // Black: 7 stones and 3 places; White: 6 stones and 4 places; the column between belongs to nobody.
    #expect(game.areaDifference == 0)
    #expect(game.result == -1)
    var komi = Go(side: 5, komi: 0.5)
    #expect(komi.areaDifference == 0 && komi.result == -1)
    komi.play(12)
    #expect(komi.areaDifference == 25 && komi.result == 1)
    // Passes end the game, and only two in a row.
    komi.play(komi.pass)
    komi.play(3)
    komi.play(komi.pass)
    #expect(!komi.isOver)
    komi.play(komi.pass)
    #expect(komi.isOver && komi.legalMoves().isEmpty)
  }

  @Test func planesShowEightPositions() {
    var game = Go(side: 3)
    #expect(game.planes().count == 17 * 9)
    #expect(game.planes().suffix(9).allSatisfy { $0 == 1 } && game.planes().prefix(144).allSatisfy { $0 == 0 })
    game.play(4)
    game.play(0)
    game.play(8)
    let planes = game.planes()
    func plane(_ number: Int) -> [Int] { (0..<9).filter { planes[number * 9 + $0] == 1 } }
    // White is to play: its stones first, newest position first.
    #expect(plane(0) == [0] && plane(1) == [4, 8])
    #expect(plane(2) == [0] && plane(3) == [4])
    #expect(plane(4) == [] && plane(5) == [4])
    #expect((6..<17).allSatisfy { plane($0).isEmpty })
  }
}

struct SmartGameFormatTests {
  private func record(_ text: String) throws -> GoRecord {
    let directory = try TemporaryDirectory()
    return try SmartGameFormat.read(try directory.write("game.sgf", text), side: 9)
  }

  @Test func movesAreReadAlongTheMainLine() throws {
    let text = """
      (;FF[4]GM[1]SZ[9]KM[6.5]PB[A \\] B]RE[W+R]
      C[a comment (with ; signs)
      over two lines]
      ;B[ee] ;W[de](;B[gc]C[main];W[tt](;B[])(;B[aa]))(;B[cc];W[dd]))
      """
    let read = try record(text)
    // Column then row: gc is column 6 of row 2.
    #expect(
      read.moves
        == [(40, true), (39, false), (24, true), (81, false), (81, true)].map {
          GoRecord.Stone(place: $0.0, isBlack: $0.1)
        })
    #expect(read.setup.isEmpty)
    let handicap = try record("(;SZ[9:9]AB[aa][bb]AW[cc];W[dd])")
    #expect(handicap.setup.map(\.place) == [0, 10, 20] && handicap.setup.map(\.isBlack) == [true, true, false])
    #expect(handicap.moves == [GoRecord.Stone(place: 30, isBlack: false)])
    // Names in older records are spelt out.
    #expect(try record("(;GaMe[1]SiZe[9];Black[aa])").moves == [GoRecord.Stone(place: 0, isBlack: true)])
  }

  @Test func badRecordsAreTold() throws {
    let cases: [(String, [String])] = [
      ("", ["game.sgf, line 1", "the end of the file", "(;"]),
      ("(;SZ[19];B[aa])", ["19×19", "9×9"]),
      ("(;B[aa])", ["19×19"]),
      ("(;GM[2]SZ[9])", ["game 2"]),
      ("(;SZ[9]\n;B[aj])", ["line 2", "B[aj]", "a to i"]),
      ("(;SZ[9]\n;B[aa]\n;W[aa])", ["line 3", "number 2", "occupied"]),
      ("(;SZ[9];B[ab];W[zz])", ["W[zz]"]),
      ("(;SZ[9];B[ab];W[aa", ["ends the value"]),
      ("(;SZ[9];B[ab]", ["\")\""]),
      ("(SZ[9])", ["\";\""]),
      ("(;SZ[9];B)", ["in brackets"]),
      ("(;SZ[9];B[ab];AB[cc])", ["after the first move"]),
      ("(;SZ[9];B[];W[];B[aa])", ["two passes"]),
      ("(;SZ[9]AB[ba][ab];W[aa])", ["no liberty"]),
    ]
    for (text, mentions) in cases { expectDataError(mentions: mentions) { _ = try record(text) } }
  }

  @Test func positionsAreThoseBeforeTheMoves() throws {
    let stones = [(40, true), (41, false), (81, true), (0, false), (8, false)].map {
      GoRecord.Stone(place: $0.0, isBlack: $0.1)
    }
    let records = GoRecords(
      games: [GoRecord(moves: Array(stones[..<2])), GoRecord(moves: []), GoRecord(moves: stones)], side: 9)
    #expect(records.count == 7)
    var random = SeededRandom(1)
    let all = records.batch(Array(0..<7), epoch: 0, random: &random)
    #expect(all.inputs.map(\.shape) == [[7, 17, 9, 9], [7, 82]] && all.targets[0].shape == [7, 82])
    guard case .floats(let planes) = all.inputs[0].storage, case .floats(let right) = all.targets[0].storage else {
      Issue.record("wrong types")
      return
    }
    func ones(_ values: [Float], _ range: Range<Int>) -> [Int] {
      range.filter { values[$0] == 1 }.map { $0 - range.lowerBound }
    }
    let moves = (0..<7).map { ones(right, ($0 * 82)..<(($0 + 1) * 82)) }
    #expect(moves == [[40], [41], [40], [41], [81], [0], [8]])
    // Before the last move: White is to play a second time, and sees its own stones first.
    let own = ones(planes, (6 * 17 * 81)..<(6 * 17 * 81 + 81))
    #expect(own == [0, 41])
    // In any order the same.
    let some = records.batch([6, 1, 3], epoch: 0, random: &random)
    guard case .floats(let other) = some.inputs[0].storage else { return }
    #expect(Array(other[..<(17 * 81)]) == Array(planes[(6 * 17 * 81)...]))
    #expect(Array(other[(17 * 81)..<(2 * 17 * 81)]) == Array(planes[(17 * 81)..<(2 * 17 * 81)]))
  }

  @Test func scriptedGamesAreLegalAndReproducible() {
    let games = ScriptedGo.games(count: 3, side: 9, seed: 1)
    #expect(games == ScriptedGo.games(count: 3, side: 9, seed: 1))
    #expect(Set(games.map { $0.moves.map(\.place) }).count == 3)
    for record in games {
      #expect(record.moves.count > 30)
      var position = GoRecords.start(record, 9)
      for move in record.moves {
        #expect(position.legalMoves().contains(move.place) && position.isBlackToPlay == move.isBlack)
        GoRecords.play(move, on: &position)
      }
    }
  }
}
