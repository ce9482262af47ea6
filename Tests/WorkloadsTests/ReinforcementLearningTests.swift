// Does MiniGo's player have the published size, find wins, and learn from its own games?
// Outputs and gradient norms are printed by Benchmarks/reference/search_models.py.
import Foundation
import Testing

@testable import Workloads

private func configuration(_ scale: Scale, batch: Int = 32, data: String? = nil) -> BenchmarkConfiguration {
  BenchmarkConfiguration(scale: scale, batchSize: batch, dataDirectory: data, maximumEpochs: 2)
}

/// Evaluates without knowledge.
private func knowNothing<Game: BoardGame>(_ games: [Game]) -> (logits: [Float], values: [Float]) {
  ([Float](repeating: 0, count: games.reduce(0) { $0 + $1.moveCount }), [Float](repeating: 0, count: games.count))
}

/// Searches one position without knowledge.
private func searched<Game: BoardGame>(_ game: Game, readouts: Int, noise: Bool = false) -> TreeSearch<Game> {
  var tree = TreeSearch(game, SearchSettings(readouts: readouts, noise: 0.5))
  let nothing = [Float](repeating: 0, count: game.moveCount)
  tree.expand(tree.root, logits: nothing, value: 0)
  var random = SeededRandom(5)
  if noise { tree.addNoise(&random) }
  for _ in 0..<readouts {
    if let leaf = tree.descend() { tree.expand(leaf, logits: nothing, value: 0) }
  }
  return tree
}

extension Computing {
  @Suite struct ReinforcementLearningTests {
    @Test func paperNetworkHasThePublishedSize() throws {
      let network = PolicyValueNetwork(.paper, planes: Go.planeCount, side: 9, moves: 82)
      #expect(network.parameterCount == 190_781)
      func count(_ part: String) -> Int {
        network.namedParameters().filter { $0.path.hasPrefix(part + ".") }.reduce(0) { $0 + $1.parameter.count }
      }
      #expect(count("stem") == 4896 && count("blocks") == 9 * (2 * 9216 + 128))
      #expect(count("policy_fc") == 13_366 && count("value_fc1") == 5248 && count("value_fc2") == 65)
      let small = PolicyValueNetwork(.small, planes: TicTacToe.planeCount, side: 3, moves: 9)
      #expect(small.parameterCount == ReinforcementLearning.info.small.parameters)
      for (network, shape, expected) in [
        (network, [2, 17, 9, 9], ReinforcementLearning.info.paper.forwardFLOPs),
        (small, [2, 3, 3, 3], ReinforcementLearning.info.small.forwardFLOPs),
      ] {
        try Trace.openPrivately()
        let start = Trace.sums
        let (logits, values) = network(Tensor.random(shape))
        #expect((Trace.sums - start).counterFLOPs / 2 == expected)
        Trace.close()
        #expect(logits.shape == [2, shape[2] == 9 ? 82 : 9] && values.shape == [2])
      }
    }

    @Test func agreesWithPyTorch() {
      let network = PolicyValueNetwork(
        PolicyValueNetwork.Shape(channels: 4, blocks: 2, valueWidth: 5), planes: 3, side: 3, moves: 9)
      StageCheck.fill(network)
      let planes = StageCheck.wave([4, 3, 3, 3], 0.5)
      let (logits, values) = network(planes)
      StageCheck.agree(
        Array(logits.doubles().prefix(3) + values.doubles().prefix(3)),
        [0.048404, 0.104924, 0.147215, 0.181884, 0.175436, 0.179296])
      let visits = StageCheck.wave([4, 9], 0.25).softmax(1)
      let loss = network.loss(
        planes, visits: visits, results: Tensor([1, -1, 0, 1], shape: [4]), valueWeight: 1)
      #expect(abs(loss.item - 2.893166) < 1e-5)
      StageCheck.agree(
        StageCheck.gradientNorms(network, loss),
        [
          0.019823, 0.056612, 0.037503, 0.026653, 0.13188, 0.1033, 0.12845, 0.075693, 0.0071263, 0.076187, 0.040973,
          0.11945, 0.1122, 0.051851, 0.0048378, 0.0042606, 0.016765, 0.0085042, 0.0028809, 0.057583, 0.087199,
          0.076635, 0.025738, 0.044208, 0.084722, 0.078296, 0.13751,
        ])
    }

    @Test func learnsGivenPositions() {
      Torch.seed(1)
      let network = PolicyValueNetwork(.small, planes: 3, side: 3, moves: 9)
      let optimizer = SGD(network.parameters(), learningRate: 0.02, momentum: 0.9)
      let visits = (StageCheck.wave([16, 9], 0.25) * 4).softmax(1)
      let results = StageCheck.wave([16], 2).sign()
      let losses = (0..<30).map { _ in
        let loss = network.loss(StageCheck.wave([16, 3, 3, 3], 0.5), visits: visits, results: results, valueWeight: 1)
        loss.backward()
        optimizer.step()
        optimizer.clearGradients()
        return loss.item
      }
      #expect(losses[29] < 0.75 * losses[0], "\(losses[0]) to \(losses[29])")
    }

    @Test func playsWithItselfAndLearns() throws {
      Torch.seed(1)
      let benchmark = try ReinforcementLearning(configuration(.small, batch: 128))
      #expect(benchmark.dataDescription.hasPrefix("synthetic: "))
      #expect(benchmark.dataDescription.contains("3191 positions"))
      let stage = try benchmark.stage("")
      #expect(stage.loader.batchCount == 30)
      let before = try StageCheck.evaluate(stage)
      var losses: [Double] = []
      for epoch in 0..<2 {
        losses += try StageCheck.train(stage, steps: 30, epoch: epoch, firstStep: losses.count)
      }
      // The loss need not fall: the search's visits, which are to be predicted, become more decided.
      #expect(losses.allSatisfy { $0.isFinite })
      let after = try StageCheck.evaluate(stage)
      #expect(after > before + 0.08 && after <= 1, "\(before) to \(after)")
      #expect(stage.measures()[0].value >= 32)
      let task = try benchmark.inference()
      let answer = task.answer(try #require(try task.loader.batches(epoch: 0).nextBatch()).tensors())
      #expect(answer.shape == [128, 2])
    }

    @Test func playsGoWithRecordedGamesAsJudge() throws {
      let directory = try TemporaryDirectory()
      try directory.write("a.sgf", "(;GM[1]SZ[9]KM[7.5];B[ee];W[dd];B[gg];W[cf])")
      try directory.write("b/c.sgf", "(;SZ[9];B[aa];W[];B[])")
      Torch.seed(1)
      let benchmark = try ReinforcementLearning(configuration(.small, batch: 4, data: directory.path))
      #expect(benchmark.dataDescription.contains("7 moves of 2 games"))
      let stage = try benchmark.stage("")
      #expect(stage.target.metric == "professional moves predicted")
      #expect(try StageCheck.train(stage, steps: 1).allSatisfy(\.isFinite))
      #expect((0...1).contains(try StageCheck.evaluate(stage)))
      let empty = try TemporaryDirectory()
      expectDataError(mentions: ["*.sgf"]) { _ = try ReinforcementLearning(configuration(.paper, data: empty.path)) }
    }

    @Test func theShareCountsRightMoves() throws {
      // A network without weights prefers the first legal move.
      let network = PolicyValueNetwork(.small, planes: 3, side: 3, moves: 9)
      network.train(false)
      withoutGradients { for parameter in network.parameters() { parameter.zero() } }
      let positions = TicTacToe.decisivePositions()
      let expected = positions.count { $0.best.contains($0.position.legalMoves()[0]) }
      let share = try withoutGradients {
        try ReinforcementLearning.share(network, DataLoader(KnownPositions(positions), batchSize: 500))
      }
      #expect(abs(share - Double(expected) / Double(positions.count)) < 1e-9)
    }
  }
}

struct SelfPlayTests {
  @Test func theSearchFindsWins() {
    var game = TicTacToe()
    // Black has two in a row at 0 and 1, White at 3 and 4: both win at once, by 2 and by 5.
    for move in [0, 3, 1, 4] { game.play(move) }
    let black = searched(game, readouts: 100)
    #expect(black.visitShares().indices.max { black.visitShares()[$0] < black.visitShares()[$1] } == 2)
    #expect(black.value > 0.5)
    #expect(abs(black.visitShares().reduce(0, +) - 1) < 1e-6)
    // White must stop 2; where it does not, it loses.
    var other = TicTacToe()
    for move in [0, 4, 1] { other.play(move) }
    let white = searched(other, readouts: 400)
    #expect(white.visitShares().indices.max { white.visitShares()[$0] < white.visitShares()[$1] } == 2)
  }

  @Test func whatWasFoundIsKept() {
    var tree = searched(TicTacToe(), readouts: 200)
    let before = tree.nodeCount
    let shares = tree.visitShares()
    let move = shares.indices.max { shares[$0] < shares[$1] } ?? 0
    tree.play(move)
    #expect(tree.nodeCount > 5 && tree.nodeCount < before && tree.isExpanded)
    #expect(tree.game.marks[move] == 1 && !tree.game.isBlackToPlay)
    for _ in 0..<50 {
      if let leaf = tree.descend() { tree.expand(leaf, logits: [Float](repeating: 0, count: 9), value: 0) }
    }
    #expect(abs(tree.visitShares().reduce(0, +) - 1) < 1e-6)
    // A move that was never tried begins a new tree.
    var fresh = TreeSearch(TicTacToe(), SearchSettings(readouts: 1, noise: 1))
    fresh.play(3)
    #expect(fresh.nodeCount == 1 && fresh.game.marks[3] == 1)
  }

  @Test func noiseIsADistribution() {
    var random = SeededRandom(8)
    // The mean of the gamma distribution is its shape, and so is its variance.
    for shape in [0.3, 1, 4.5] {
      let draws = (0..<4000).map { _ in random.gamma(shape) }
      let mean = draws.reduce(0, +) / 4000
      let variance = draws.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / 4000
      #expect(
        abs(mean - shape) < 0.12 * shape && abs(variance - shape) < 0.25 * shape, "\(shape): \(mean), \(variance)")
      #expect(draws.allSatisfy { $0 >= 0 })
    }
    let with = searched(TicTacToe(), readouts: 30, noise: true).visitShares()
    #expect(with != searched(TicTacToe(), readouts: 30).visitShares() && abs(with.reduce(0, +) - 1) < 1e-6)
  }

  @Test func gamesEndInTheWindow() {
    let settings = SelfPlaySettings(
      games: 3, search: SearchSettings(readouts: 6, noise: 0.5), drawnMoves: 9, longestGame: 9, resignation: nil)
    func play() -> (SelfPlay<TicTacToe>, ReplayWindow) {
      var games = SelfPlay(from: TicTacToe(), settings, seed: 4)
      var window = ReplayWindow(capacity: 40)
      for _ in 0..<30 { games.playMove(into: &window, knowNothing) }
      return (games, window)
    }
    let (games, window) = play()
    #expect(games.finished >= 6 && games.begun == games.finished + 3)
    #expect(window.count == 40)
    let again = play().1
    for index in 0..<40 {
      let example = window[index]
      #expect(example == again[index])
      #expect(abs(example.visits.reduce(0, +) - 1) < 1e-5)
      // No visits where a mark is.
      for place in 0..<9 where example.planes[place] + example.planes[9 + place] > 0 {
        #expect(example.visits[place] == 0)
      }
      #expect([-1, 0, 1].contains(example.result))
    }
  }

  @Test func aLostGameIsGivenUp() {
    // Every position is lost for Black, who is to play first and gives up at once.
    let settings = SelfPlaySettings(
      games: 40, search: SearchSettings(readouts: 3, noise: 0.5), drawnMoves: 2, longestGame: 5, resignation: 0.9)
    var games = SelfPlay(from: Go(side: 5), settings, seed: 4)
    var window = ReplayWindow(capacity: 1000)
    games.playMove(into: &window) { positions in
      ([Float](repeating: 0, count: positions.count * 26), positions.map { $0.isBlackToPlay ? -1 : 1 })
    }
    // In about a tenth of the games nobody may resign.
    #expect((25...39).contains(games.finished))
    #expect((0..<window.count).allSatisfy { window[$0].result == -1 })
    // The others end by their length.
    for _ in 0..<5 { games.playMove(into: &window, knowNothing) }
    #expect(games.finished >= 40)
  }

  @Test func theWindowForgetsTheOldest() {
    var window = ReplayWindow(capacity: 3)
    for number in 0..<5 { window.add(SelfPlayExample(planes: [], visits: [], result: Float(number))) }
    #expect(Set((0..<3).map { window[$0].result }) == [2, 3, 4])
  }

  @Test func symmetriesAreTheEightOfASquare() {
    let symmetry = BoardSymmetry(side: 3)
    #expect(Set(symmetry.sources).count == 8 && symmetry.sources[0] == Array(0..<9))
    #expect(symmetry.sources.allSatisfy { Set($0) == Set(0..<9) && $0[4] == 4 })
    // Neighbours stay neighbours.
    for sources in symmetry.sources { for place in [1, 3, 5, 7] { #expect([1, 3, 5, 7].contains(sources[place])) } }
  }
}

struct TicTacToeTests {
  @Test func winsAndDraws() {
    var game = TicTacToe()
    for move in [0, 3, 1, 4, 2] { game.play(move) }
    #expect(game.isOver && game.result == 1 && game.resultToPlay == -1 && game.legalMoves().isEmpty)
    var draw = TicTacToe()
    for move in [0, 1, 2, 4, 3, 5, 7, 6, 8] { draw.play(move) }
    #expect(draw.isOver && draw.result == 0)
    var white = TicTacToe()
    for move in [0, 2, 1, 4, 8, 6] { white.play(move) }
    #expect(white.isOver && white.result == -1)
  }

  @Test func knownPositionsAreThoseWhereTheChoiceMatters() {
    let positions = TicTacToe.decisivePositions()
    // 4520 positions can be reached and are not over; in 3191 some moves are worse than others.
    #expect(positions.count == 3191 && Set(positions.map(\.position)).count == 3191)
    // The empty board is drawn whatever one does.
    #expect(!positions.contains { $0.position == TicTacToe() })
    // An answer to the centre must be a corner.
    var centre = TicTacToe()
    centre.play(4)
    #expect(positions.first { $0.position == centre }?.best == [0, 2, 6, 8])
    var planes = centre.planes()
    #expect(planes[9 + 4] == 1 && planes.reduce(0) { $0 + Int($1) } == 1)
    planes = TicTacToe().planes()
    #expect(planes.suffix(9).allSatisfy { $0 == 1 } && planes.prefix(18).allSatisfy { $0 == 0 })
  }
}
