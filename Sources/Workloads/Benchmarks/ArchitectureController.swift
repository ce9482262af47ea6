// Which cell should be tried next? A controller draws graphs, and learns by REINFORCE which ones are rewarded.
import Glibc

/// The controller (Pham et al. 2018): an LSTM that decides alternately on a node's activation and on the node which the
/// next one reads; each decision is its next input.
final class ArchitectureController: Module {
  /// Logits are divided by it …
  static let temperature = 5.0
  /// … and bounded by it, so that no choice dies out: 2.5 tanh(x / 5).
  static let bound = 2.5

  let encoder: Embedding
  let lstm: LSTMCell
  /// One a decision: 4 activations, or as many nodes as there are before.
  let decoders: [Linear]
  let nodes, hidden: Int

  /// A drawn graph and what the decisions were worth.
  struct Draw {
    var graph: CellGraph
    /// Of each decision, f32 [decisions]; gradients flow through it.
    var logProbabilities: Tensor
    /// The entropy of each decision's distribution, without gradients.
    var entropies: [Float]
  }

  init(nodes: Int, hidden: Int) {
    (self.nodes, self.hidden) = (nodes, hidden)
    let activations = CellGraph.Activation.allCases.count
    // The reference has decisions for one node more than it draws; its size is the published one.
    let choices = [activations] + (1...nodes).flatMap { [$0, activations] }
    encoder = Embedding(choices.reduce(0, +), hidden)
    lstm = LSTMCell(hidden, hidden)
    decoders = choices.map { Linear(hidden, $0) }
    super.init()
    for parameter in parameters() { Initialization.uniform(-0.1, 0.1)(parameter) }
    for decoder in decoders { decoder.bias?.fill(0) }
  }

  /// Draws a graph. The first input is zeros.
  func draw(_ random: inout SeededRandom) -> Draw {
    scoped {
      var input = Tensor.zeros([1, hidden])
      var state: LSTMCell.State = (Tensor.zeros([1, hidden]), Tensor.zeros([1, hidden]))
      var (activations, predecessors): ([CellGraph.Activation], [Int]) = ([], [])
      var (chosen, entropies): ([Tensor], [Float]) = ([], [])
      for decision in 0..<(2 * nodes - 1) {
        state = lstm(input, state)
        let logits = (decoders[decision](state.h) * (1 / Self.temperature)).tanh() * Self.bound
        let logProbabilities = logits.logSoftmax(1)
        let values = logProbabilities.floats()
        let choice = Self.choose(values, &random)
        entropies.append(-values.reduce(0) { $0 + $1 * exp($1) })
        chosen.append(logProbabilities.slice(1, choice..<choice + 1).view([1]))
        let isActivation = decision % 2 == 0
        if isActivation {
          activations.append(CellGraph.Activation.allCases[choice])
        } else {
          predecessors.append(choice)
        }
        let token = isActivation ? choice : CellGraph.Activation.allCases.count + choice
        input = encoder(Tensor(integers: [token], shape: [1]))
      }
      return Draw(
        graph: CellGraph(activations: activations, predecessors: predecessors),
        logProbabilities: Tensor.concatenated(chosen), entropies: entropies)
    }
  }

  /// The largest of log probability + Gumbel noise is a draw from the distribution.
  private static func choose(_ logProbabilities: [Float], _ random: inout SeededRandom) -> Int {
    var (best, highest) = (0, -Double.infinity)
    for (choice, value) in logProbabilities.enumerated() {
      let score = Double(value) + random.gumbel()
      if score > highest { (best, highest) = (choice, score) }
    }
    return best
  }
}

/// The policy gradient of REINFORCE (Williams 1992) with a moving average as baseline.
struct PolicyGradient: Sendable {
  /// The reward is this over the perplexity …
  var rewardScale = 80.0
  /// … plus this times a decision's entropy.
  var entropyWeight = 1e-4
  /// Of the baseline.
  var decay = 0.95
  /// The average reward so far; the first one at first. A number a decision, as entropies differ.
  private(set) var baseline: [Double] = []

  init(rewardScale: Double = 80, entropyWeight: Double = 1e-4, decay: Double = 0.95) {
    (self.rewardScale, self.entropyWeight, self.decay) = (rewardScale, entropyWeight, decay)
  }

  /// How much better each decision did than the average before and now.
  mutating func advantages(perplexity: Double, entropies: [Float]) -> [Double] {
    let rewards = entropies.map { rewardScale / perplexity + entropyWeight * Double($0) }
    baseline =
      baseline.isEmpty ? rewards : zip(baseline, rewards).map { decay * $0 + (1 - decay) * $1 }
    return zip(rewards, baseline).map { $0 - $1 }
  }
}
