// Which recurrent cells can be found? Graphs whose nodes each follow one earlier node.

/// A cell in the search space of recurrent cells (Pham et al., "Efficient Neural Architecture Search", ICML 2018): node
/// 0 reads the input and the former state; every further node reads one earlier node; each has an activation. What no
/// node reads, the loose ends, is averaged into the output.
struct CellGraph: Hashable, Sendable, CustomStringConvertible {
  /// What a node does with its product.
  enum Activation: Int, CaseIterable, Sendable {
    case tanh, relu, identity, sigmoid

    func callAsFunction(_ x: Tensor) -> Tensor {
      switch self {
      case .tanh: x.tanh()
      case .relu: x.relu()
      case .identity: x
      case .sigmoid: x.sigmoid()
      }
    }

    /// FLOPs an element, by the tracer's formulas.
    var flops: Int {
      switch self {
      case .tanh, .relu: 1
      case .identity: 0
      case .sigmoid: 4
      }
    }
  }

  /// Each node's activation.
  let activations: [Activation]
  /// Which node each node but the first reads.
  let predecessors: [Int]

  /// A graph of as many nodes as activations. Every node must follow an earlier one.
  init(activations: [Activation], predecessors: [Int]) {
    precondition(predecessors.count + 1 == activations.count, "a node follows one earlier node")
    precondition(predecessors.enumerated().allSatisfy { (0...$0.offset).contains($0.element) }, "later predecessor")
    self.activations = activations
    self.predecessors = predecessors
  }

  /// The number of nodes.
  var count: Int { activations.count }

  /// Nodes that no other reads, in order.
  var looseEnds: [Int] {
    let read = Set(predecessors)
    return (0..<count).filter { !read.contains($0) }
  }

  /// FLOPs of a token: matrix products of the cell and of the output layer (a multiply-accumulate is two), which are
  /// the same for every graph, and what the graph's nodes compute element by element, which is not.
  func forwardFLOPs(hidden: Int, vocabulary: Int) -> (products: Int, elementwise: Int) {
    let matrices = 4 + 2 * (count - 1)
    let products = 2 * hidden * (matrices * hidden + vocabulary)
    // Gate: a sigmoid. Update c f + (1 − c) h: four operations. The first node adds two products, twice.
    let nodes = activations.reduce(0) { $0 + 4 + $1.flops + 4 } + 2
    let ends = looseEnds.count
    return (products, hidden * (nodes + (ends == 1 ? 0 : ends)))
  }

  /// `0 tanh, 1 relu of 0, 2 sigmoid of 0`.
  var description: String {
    activations.enumerated().map { node, activation in
      node == 0 ? "0 \(activation)" : "\(node) \(activation) of \(predecessors[node - 1])"
    }.joined(separator: ", ")
  }
}
