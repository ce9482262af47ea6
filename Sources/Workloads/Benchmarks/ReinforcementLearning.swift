// MLPerf's MiniGo: how does one learn to play without a teacher? Self-play, guided by a network that learns from it.

/// The network of AlphaGo Zero as MiniGo has it (Silver et al., Nature 2017): a residual tower of 3×3 convolutions over
/// the board, from which one head reads a policy and another the value.
///
/// Planes f32 [n, planes, side, side] → logits [n, moves], values in −1 … 1 [n], for who is to play.
final class PolicyValueNetwork: Module {
  /// Sizes of the network.
  struct Shape: Sendable {
    var channels: Int
    /// Residual blocks.
    var blocks: Int
    /// Width of the value head's hidden layer.
    var valueWidth: Int

    /// For 9×9: as many blocks as the board has rows. 190 781 parameters with 17 planes and 82 moves.
    static let paper = Shape(channels: 32, blocks: 9, valueWidth: 64)
    /// 38 674 parameters for noughts and crosses.
    static let small = Shape(channels: 32, blocks: 2, valueWidth: 32)
  }

  /// Two convolutions and the input.
  final class Block: Module, Layer {
    let conv1, conv2: Conv2d
    let bn1, bn2: BatchNorm2d

    init(_ channels: Int) {
      conv1 = Conv2d(channels, channels, kernel: 3, padding: 1, bias: false)
      conv2 = Conv2d(channels, channels, kernel: 3, padding: 1, bias: false)
      (bn1, bn2) = (BatchNorm2d(channels), BatchNorm2d(channels))
    }

    func forward(_ x: Tensor) -> Tensor { (x + bn2(conv2(bn1(conv1(x)).relu()))).relu() }
  }

  let stem: Conv2d
  let stem_bn: BatchNorm2d
  let blocks: [Block]
  let policy: Conv2d
  let policy_bn: BatchNorm2d
  let policy_fc: Linear
  let value: Conv2d
  let value_bn: BatchNorm2d
  let value_fc1, value_fc2: Linear

  init(_ shape: Shape, planes: Int, side: Int, moves: Int) {
    let channels = shape.channels
    stem = Conv2d(planes, channels, kernel: 3, padding: 1, bias: false)
    stem_bn = BatchNorm2d(channels)
    blocks = (0..<shape.blocks).map { _ in Block(channels) }
    policy = Conv2d(channels, 2, kernel: 1, bias: false)
    policy_bn = BatchNorm2d(2)
    policy_fc = Linear(2 * side * side, moves)
    value = Conv2d(channels, 1, kernel: 1, bias: false)
    value_bn = BatchNorm2d(1)
    value_fc1 = Linear(side * side, shape.valueWidth)
    value_fc2 = Linear(shape.valueWidth, 1)
  }

  func callAsFunction(_ planes: Tensor) -> (logits: Tensor, values: Tensor) {
    scoped {
      let x = blocks.reduce(stem_bn(stem(planes)).relu()) { $1($0) }
      let logits = policy_fc(policy_bn(policy(x)).relu().flattened(1))
      let hidden = value_fc1(value_bn(value(x)).relu().flattened(1)).relu()
      return (logits, value_fc2(hidden).tanh().squeezed(1))
    }
  }

  /// Cross entropy to the search's visits plus the weighted squared error of the result.
  func loss(_ planes: Tensor, visits: Tensor, results: Tensor, valueWeight: Double) -> Tensor {
    let (logits, values) = self(planes)
    let policyLoss = -(visits * logits.logSoftmax(1)).sum([1]).mean()
    return policyLoss + values.squaredError(results) * valueWeight
  }
}

/// Random numbers that choose positions and symmetries of the window, which is not ready when a batch is made ahead of
/// time. An epoch is so many steps. Inputs i64 [n, 2].
struct PositionLottery: Dataset {
  let count: Int

  func batch(_ indices: [Int], epoch: Int, random: inout SeededRandom) -> Batch {
    let draws = indices.flatMap { _ in [Int(random.next() >> 2), random.integer(below: 8)] }
    return Batch(samples: indices.count, inputs: [HostTensor(integers: draws, shape: [indices.count, 2])])
  }
}

/// Reinforcement learning: MiniGo on 9×9, or the same on noughts and crosses, where the best moves are known.
public final class ReinforcementLearning: Benchmark {
  /// The facts.
  public static let info = BenchmarkInfo(
    id: "ML-MiniGo", name: "reinforcement-learning", task: "Reinforcement learning",
    model: "MiniGo (policy and value network, tree search, self-play)",
    dataSet: "none; games of professionals to judge",
    dataFormat: "*.sgf of 9×9 games, in the directory or in its folders",
    small: ScaleInfo(
      target: QualityTarget(metric: "best moves found", value: 0.85), batchSize: 128, maximumEpochs: 40,
      parameters: 38_674, forwardFLOPs: 681_796, optimizer: "SGD 0.02, momentum 0.9, weight decay 1e-4"),
    paper: ScaleInfo(
      target: QualityTarget(metric: "professional moves predicted", value: 0.4), batchSize: 256, maximumEpochs: 2800,
      parameters: 190_781, forwardFLOPs: 27_719_624,
      optimizer: "SGD 0.01 (÷10 after 400 000 and 600 000 steps), momentum 0.9, weight decay 1e-4"),
    published: PublishedSize(
      parameters: 190_781, forwardFLOPs: 27_719_624,
      source:
        "MLPerf Training v0.5, reinforcement/tensorflow/minigo, for 9×9: 32 filters, 9 blocks, 64 in the value head"))

  /// What differs between the scales.
  struct Settings: Sendable {
    var network: PolicyValueNetwork.Shape
    var play: SelfPlaySettings
    /// Walks to a leaf in the first games, which a player without any knowledge plays.
    var bootstrapReadouts: Int
    /// Positions that are remembered.
    var window: Int
    /// Training steps for every move of all games.
    var stepsPerMove: Int
    /// Training steps of an epoch.
    var stepsPerEpoch: Int
    var learningRate: Double
    var valueWeight = 1.0

    /// MiniGo's, with fewer games at a time: 240 readouts, noise 0.03 × 361 / 81, the last 250 000 positions.
    static let paper = Settings(
      network: .paper,
      play: SelfPlaySettings(
        games: 16, search: SearchSettings(readouts: 240, noise: 0.03 * 361 / 81), drawnMoves: 6, longestGame: 113,
        resignation: 0.99),
      bootstrapReadouts: 20, window: 250_000, stepsPerMove: 1, stepsPerEpoch: 250, learningRate: 0.01)
    /// Few readouts, for a small network on 9×9.
    static let smallGo: Settings = {
      var settings = paper
      settings.play.search.readouts = 24
      settings.bootstrapReadouts = 4
      (settings.stepsPerMove, settings.stepsPerEpoch, settings.learningRate) = (4, 30, 0.02)
      return settings
    }()
    static let small = Settings(
      network: .small,
      play: SelfPlaySettings(
        games: 32, search: SearchSettings(readouts: 24, exploration: 1.5, noise: 0.6), drawnMoves: 9, longestGame: 9,
        resignation: nil),
      bootstrapReadouts: 8, window: 4000, stepsPerMove: 4, stepsPerEpoch: 30, learningRate: 0.02)
  }

  /// Games that stand for those of professionals where none are given.
  static let scriptedGames = 40
  /// Positions of the judged ones that are answered together.
  static let judgedBatch = 512

  private let configuration: BenchmarkConfiguration
  private let settings: Settings
  /// Noughts and crosses at small scale without data, else Go.
  private let playsGo: Bool
  private let judged: any Dataset
  private let target: QualityTarget
  /// What judges the player.
  public let dataDescription: String

  /// Reads games of professionals, or makes what judges the player: positions whose best moves are known, at paper
  /// scale scripted games.
  public init(_ configuration: BenchmarkConfiguration) throws {
    self.configuration = configuration
    let isSmall = configuration.scale == .small
    settings = !isSmall ? .paper : configuration.dataDirectory == nil ? .small : .smallGo
    playsGo = !isSmall || configuration.dataDirectory != nil
    target = playsGo ? Self.info.paper.target : Self.info.small.target
    if let directory = configuration.dataDirectory {
      let records = try GoRecords(directory: directory, side: 9)
      judged = records
      dataDescription = "\(directory) (\(records.count) moves of \(records.games.count) games, to judge by)"
    } else if isSmall {
      let positions = KnownPositions(TicTacToe.decisivePositions())
      judged = positions
      dataDescription =
        "synthetic: noughts and crosses, games with itself; judged by \(positions.count) positions with known best moves"
    } else {
      let games = ScriptedGo.games(count: Self.scriptedGames, side: 9, seed: 1)
      let records = GoRecords(games: games, side: 9)
      judged = records
      dataDescription =
        "synthetic: games with itself; judged by \(records.count) moves of \(games.count) scripted games, seed 1"
    }
  }

  func model() -> PolicyValueNetwork {
    playsGo
      ? PolicyValueNetwork(
        configuration.scale == .small ? .small : .paper, planes: Go.planeCount, side: 9, moves: 82)
      : PolicyValueNetwork(.small, planes: TicTacToe.planeCount, side: 3, moves: 9)
  }

  /// Plays and learns in turns.
  public func stage(_ name: String) throws -> TrainingStage {
    playsGo ? makeStage(from: Go(side: 9)) : makeStage(from: TicTacToe())
  }

  private func makeStage<Game: BoardGame>(from start: Game) -> TrainingStage {
    let model = model()
    let optimizer = SGD(model.parameters(), learningRate: settings.learningRate, momentum: 0.9, weightDecay: 1e-4)
    let player = SelfPlayer(model, from: start, settings, seed: configuration.seed)
    let (stepsPerMove, valueWeight) = (settings.stepsPerMove, settings.valueWeight)
    let batchSize = configuration.batchSize
    var schedule = LearningRateSchedule.constant
    if configuration.scale == .paper {
      schedule = .milestones([400_000, 600_000].map { $0 / settings.stepsPerEpoch }, factor: 0.1)
    }
    let held = DataLoader(judged, batchSize: Self.judgedBatch)
    var stage = TrainingStage(
      model: model, optimizer: optimizer, schedule: schedule,
      loader: DataLoader(
        PositionLottery(count: settings.stepsPerEpoch * batchSize), batchSize: batchSize, seed: configuration.seed),
      target: target, maximumEpochs: configuration.maximumEpochs,
      step: { step in
        phase(.data) {
          player.bootstrap(atLeast: batchSize)
          // The first step learns from the first games alone, so that what it computes is what learning costs.
          if step.number > 0, step.number % stepsPerMove == 0 { player.playMove() }
        }
        let batch = player.batch(step.batch.inputs[0].integers())
        let loss = step.forward {
          model.loss(batch.planes, visits: batch.visits, results: batch.results, valueWeight: valueWeight)
        }
        step.update(optimizer, by: loss)
        return loss.item
      },
      evaluate: { try Self.share(model, held) })
    stage.measures = {
      [("games played", Double(player.gamesFinished)), ("positions in the window", Double(player.positions))]
    }
    return stage
  }

  /// The share of positions where the legal move with the highest probability is right.
  static func share(_ model: PolicyValueNetwork, _ held: DataLoader) throws -> Double {
    var (right, count) = (0.0, 0)
    let batches = held.batches(epoch: 0)
    while let batch = try batches.nextBatch()?.tensors() {
      let (logits, _) = model(batch.inputs[0])
      let chosen = logits.masked(batch.inputs[1].equals(0), with: -.infinity).argmax(1, keep: true)
      right += batch.targets[0].gathered(1, chosen).sum().item
      count += batch.samples
    }
    return right / Double(count)
  }

  /// Answers positions with a move and their value.
  public func inference() throws -> InferenceTask {
    let model = model()
    return InferenceTask(
      model: model, loader: DataLoader(judged, batchSize: configuration.batchSize),
      answer: {
        let (logits, values) = model($0.inputs[0])
        let moves = logits.masked($0.inputs[1].equals(0), with: -.infinity).argmax(1)
        return Tensor.stacked([moves.to(.float32), values], dimension: 1)
      })
  }
}

/// A network that plays with itself and remembers the positions.
private final class SelfPlayer<Game: BoardGame> {
  private let model: PolicyValueNetwork
  private let start: Game
  private let settings: ReinforcementLearning.Settings
  private let seed: UInt64
  private let symmetry: BoardSymmetry
  private var play: SelfPlay<Game>
  private var window: ReplayWindow

  init(
    _ model: PolicyValueNetwork, from start: Game, _ settings: ReinforcementLearning.Settings, seed: UInt64
  ) {
    (self.model, self.start, self.settings, self.seed) = (model, start, settings, seed)
    symmetry = BoardSymmetry(side: start.side)
    play = SelfPlay(from: start, settings.play, seed: seed)
    window = ReplayWindow(capacity: settings.window)
  }

  var gamesFinished: Int { play.finished }
  var positions: Int { window.count }

  /// Fills an empty window by a player that finds all moves equal and all positions even.
  func bootstrap(atLeast count: Int) {
    guard window.count == 0 else { return }
    var first = settings.play
    first.search.readouts = settings.bootstrapReadouts
    first.resignation = nil
    var games = SelfPlay(from: start, first, seed: seed &+ 1)
    let moves = start.moveCount
    while window.count < min(count, window.capacity) {
      games.playMove(into: &window) { positions in
        ([Float](repeating: 0, count: positions.count * moves), [Float](repeating: 0, count: positions.count))
      }
    }
  }

  /// Plays a move in every game by the network as it is now.
  func playMove() {
    let wasTraining = model.isTraining
    model.train(false)
    defer { model.train(wasTraining) }
    withoutGradients {
      play.playMove(into: &window) { positions in
        let planes = positions.flatMap { $0.planes() }
        let input = Tensor(bytes: planes, shape: [positions.count, Game.planeCount, start.side, start.side])
        let (logits, values) = model(input.to(.float32))
        return (logits.floats(), values.floats())
      }
    }
  }

  /// Drawn positions, each turned and mirrored by chance.
  func batch(_ draws: [Int]) -> (planes: Tensor, visits: Tensor, results: Tensor) {
    let places = start.side * start.side
    var (planes, visits, results): ([UInt8], [Float], [Float]) = ([], [], [])
    for draw in stride(from: 0, to: draws.count, by: 2) {
      let example = window[draws[draw] % window.count]
      let sources = symmetry.sources[draws[draw + 1]]
      for plane in 0..<Game.planeCount {
        for source in sources { planes.append(example.planes[plane * places + source]) }
      }
      for source in sources { visits.append(example.visits[source]) }
      // A pass stays what it is.
      visits += example.visits[places...]
      results.append(example.result)
    }
    let n = results.count
    return (
      Tensor(bytes: planes, shape: [n, Game.planeCount, start.side, start.side]).to(.float32),
      Tensor(visits, shape: [n, start.moveCount]), Tensor(results, shape: [n])
    )
  }
}
