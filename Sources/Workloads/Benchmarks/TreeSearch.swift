// Which move is best? Monte Carlo tree search that a network guides: PUCT, as in AlphaGo Zero.
import Glibc

/// How a tree is searched.
struct SearchSettings: Sendable {
  /// Walks to a leaf for a move.
  var readouts: Int
  /// The constant of exploration, which grows with the visits (Silver et al. 2018): c = ln((1 + N + base) / base) + this.
  var exploration = 1.25
  var explorationBase = 19_652.0
  /// Parameter of the Dirichlet noise in the root's prior.
  var noise: Double
  /// The noise's share in the root's prior.
  var noiseShare = 0.25
}

/// The tree of one game's search. Positions are evaluated by whoever calls, so that those of many games make one batch.
struct TreeSearch<Game: BoardGame>: Sendable {
  private struct Node: Sendable {
    let game: Game
    /// Of a position that was evaluated; the following are by move.
    var moves: [Int] = []
    var priors: [Float] = []
    var visits: [Int] = []
    /// Sums of the values for who is to play here.
    var values: [Float] = []
    /// −1 before the first visit.
    var children: [Int] = []
    var total = 0

    init(_ game: Game) { self.game = game }

    var isExpanded: Bool { !moves.isEmpty }
  }

  /// The way to a position that waits for its evaluation.
  struct Leaf: Sendable {
    fileprivate let node: Int
    fileprivate let path: [(node: Int, edge: Int)]
  }

  private var nodes: [Node]
  private let settings: SearchSettings

  init(_ game: Game, _ settings: SearchSettings) {
    nodes = [Node(game)]
    self.settings = settings
  }

  /// The position whose move is sought.
  var game: Game { nodes[0].game }
  /// Whether the root was evaluated.
  var isExpanded: Bool { nodes[0].isExpanded }
  /// The root.
  var root: Leaf { Leaf(node: 0, path: []) }
  /// Nodes in memory.
  var nodeCount: Int { nodes.count }
  /// The mean value of the root for who is to play.
  var value: Float {
    let root = nodes[0]
    return root.total > 0 ? root.values.reduce(0, +) / Float(root.total) : 0
  }

  /// The position to be evaluated.
  func game(at leaf: Leaf) -> Game { nodes[leaf.node].game }

  /// Walks down from the root, always to the highest of value and bonus, to a position that was not evaluated yet. The
  /// end of a game needs no evaluation: then its result is taken in, and nothing is left to evaluate.
  mutating func descend() -> Leaf? {
    var node = 0
    var path: [(node: Int, edge: Int)] = []
    while nodes[node].isExpanded {
      let edge = bestEdge(of: nodes[node])
      path.append((node, edge))
      var child = nodes[node].children[edge]
      if child < 0 {
        var game = nodes[node].game
        game.play(nodes[node].moves[edge])
        child = nodes.count
        nodes.append(Node(game))
        nodes[path[path.count - 1].node].children[edge] = child
      }
      node = child
    }
    let game = nodes[node].game
    if game.isOver {
      backUp(path, game.resultToPlay)
      return nil
    }
    return Leaf(node: node, path: path)
  }

  /// Q + c P √N / (1 + n); an unvisited move has Q = 0.
  private func bestEdge(of node: Node) -> Int {
    let total = Double(max(node.total, 1))
    let growth = log((1 + total + settings.explorationBase) / settings.explorationBase)
    let scale = Float((growth + settings.exploration) * total.squareRoot())
    var (best, highest) = (0, -Float.infinity)
    for edge in node.moves.indices {
      let visits = Float(node.visits[edge])
      let score = (visits > 0 ? node.values[edge] / visits : 0) + scale * node.priors[edge] / (1 + visits)
      if score > highest { (best, highest) = (edge, score) }
    }
    return best
  }

  /// Takes in what a network says of a position: logits of all moves (those that are illegal do not count) and the
  /// value for who is to play.
  mutating func expand(_ leaf: Leaf, logits: some RandomAccessCollection<Float>, value: Float) {
    let moves = nodes[leaf.node].game.legalMoves()
    let chosen = moves.map { logits[logits.index(logits.startIndex, offsetBy: $0)] }
    let highest = chosen.max() ?? 0
    let weights = chosen.map { exp($0 - highest) }
    let sum = weights.reduce(0, +)
    nodes[leaf.node].moves = moves
    nodes[leaf.node].priors = weights.map { $0 / sum }
    nodes[leaf.node].visits = [Int](repeating: 0, count: moves.count)
    nodes[leaf.node].values = [Float](repeating: 0, count: moves.count)
    nodes[leaf.node].children = [Int](repeating: -1, count: moves.count)
    backUp(leaf.path, value)
  }

  private mutating func backUp(_ path: [(node: Int, edge: Int)], _ value: Float) {
    var value = value
    for (node, edge) in path.reversed() {
      // What is good for one player is bad for the one who moved before.
      value = -value
      nodes[node].values[edge] += value
      nodes[node].visits[edge] += 1
      nodes[node].total += 1
    }
  }

  /// Mixes Dirichlet noise into the root's prior, so that self-play tries what the network would not.
  mutating func addNoise(_ random: inout SeededRandom) {
    let draws = nodes[0].priors.map { _ in random.gamma(settings.noise) }
    let sum = draws.reduce(0, +)
    guard sum > 0 else { return }
    let share = Float(settings.noiseShare)
    for (edge, draw) in draws.enumerated() {
      nodes[0].priors[edge] = (1 - share) * nodes[0].priors[edge] + share * Float(draw / sum)
    }
  }

  /// The share of the visits of every move: what the network's policy should be.
  func visitShares() -> [Float] {
    var shares = [Float](repeating: 0, count: game.moveCount)
    let root = nodes[0]
    for (move, visits) in zip(root.moves, root.visits) { shares[move] = Float(visits) / Float(max(root.total, 1)) }
    return shares
  }

  /// Makes a move; what was found out beyond it is kept, the rest forgotten.
  mutating func play(_ move: Int) {
    let root = nodes[0]
    guard let edge = root.moves.firstIndex(of: move), root.children[edge] >= 0 else {
      var game = root.game
      game.play(move)
      nodes = [Node(game)]
      return
    }
    var kept: [Node] = [nodes[root.children[edge]]]
    var next = 0
    while next < kept.count {
      for (edge, child) in kept[next].children.enumerated() where child >= 0 {
        kept[next].children[edge] = kept.count
        kept.append(nodes[child])
      }
      next += 1
    }
    nodes = kept
  }
}

extension SeededRandom {
  /// A number from the gamma distribution of a shape and scale 1 (Marsaglia and Tsang 2000).
  mutating func gamma(_ shape: Double) -> Double {
    if shape < 1 { return gamma(shape + 1) * pow(uniform() + 0x1p-54, 1 / shape) }
    let d = shape - 1.0 / 3
    let c = 1 / (9 * d).squareRoot()
    while true {
      let x = normal()
      let root = 1 + c * x
      guard root > 0 else { continue }
      let v = root * root * root
      if log(uniform() + 0x1p-54) < 0.5 * x * x + d - d * v + d * log(v) { return d * v }
    }
  }
}
