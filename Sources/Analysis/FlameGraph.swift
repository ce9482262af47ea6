// Which calls lead to the CPU time? A merged call tree, pruned to what can be seen, for an icicle or flame graph.
import ProfileModel

/// A merged call tree in flat form: parents come before their children, siblings from the heaviest to the lightest.
public struct FlameGraph: Codable, Sendable, Equatable {
  /// A function called along one path.
  public struct Node: Codable, Sendable, Equatable {
    /// Index into ``FlameGraph/functions``.
    public var function: Int
    /// Index of the caller's node; `nil` for a root.
    public var parent: Int?
    /// 0 for a root.
    public var depth: Int
    /// CPU time in it and all that it calls.
    public var nanoseconds: Int64
    /// CPU time in it alone.
    public var selfNanoseconds: Int64
  }
  /// A function's names, shared by the nodes.
  public struct Function: Codable, Sendable, Equatable {
    /// Demangled name.
    public var name: String
    /// Library or executable (path), `[kernel]`, `[jit]`.
    public var module: String
    /// Where the code lives.
    public var kind: Frame.Kind
  }
  /// The functions that nodes refer to.
  public var functions: [Function]
  /// The nodes, depth first.
  public var nodes: [Node]
  /// CPU time of all samples.
  public var totalNanoseconds: Int64
  /// Nodes below this share of the total are left out, 0…1; their time stays in their callers.
  public var threshold: Double
  /// Number of nodes left out.
  public var prunedCount: Int
}

extension FlameGraph {
  /// Nodes that a page can still draw and carry.
  static let nodeLimit = 2000
  /// About a pixel of a wide screen.
  static let leastThreshold = 0.001

  static func of(_ tree: CallTree, _ run: Run, limit: Int = nodeLimit) -> Measured<FlameGraph> {
    guard tree.nanoseconds > 0 else { return .unavailable(run.noSamples) }
    return .measured(FlameGraph(tree, limit: limit), run.sampling)
  }

  init(_ tree: CallTree, limit: Int = nodeLimit, leastThreshold: Double = leastThreshold) {
    // Merge nodes of one function below one caller: frames differ by address and line.
    var merged: [UInt64: Int32] = [:]
    merged.reserveCapacity(tree.parent.count)
    var indexOfNode = [Int32](repeating: 0, count: tree.parent.count)
    var parent: [Int32] = []
    var function: [Int32] = []
    var total: [Int64] = []
    var own: [Int64] = []
    for node in tree.parent.indices {
      let above = tree.parent[node] < 0 ? -1 : indexOfNode[Int(tree.parent[node])]
      let key = UInt64(UInt32(bitPattern: above)) << 32 | UInt64(UInt32(bitPattern: tree.function[node]))
      let index: Int32
      if let known = merged[key] {
        index = known
      } else {
        index = Int32(parent.count)
        merged[key] = index
        parent.append(above)
        function.append(tree.function[node])
        total.append(0)
        own.append(0)
      }
      indexOfNode[node] = index
      total[Int(index)] = total[Int(index)].addingSaturating(tree.totalNanoseconds[node])
      own[Int(index)] = own[Int(index)].addingSaturating(tree.selfNanoseconds[node])
    }

    // A callee never weighs more than its caller, so a bound on the weight keeps the tree whole.
    var least = max(1, Int64(Double(tree.nanoseconds) * leastThreshold))
    if total.count > limit {
      let sorted = total.sorted(by: >)
      if sorted[limit - 1] >= least { least = max(least, sorted[limit] + 1) }
    }
    threshold = fraction(least, of: tree.nanoseconds)
    totalNanoseconds = tree.nanoseconds

    var children: [Int32: [Int32]] = [:]
    for node in parent.indices where total[node] >= least { children[parent[node], default: []].append(Int32(node)) }
    functions = []
    nodes = []
    var functionIndex: [Int32: Int] = [:]
    func sorted(_ list: [Int32]?) -> [Int32] {
      // Reversed, as the stack below takes from the end; equal weights by name, so that a report is reproducible.
      (list ?? []).sorted {
        let (a, b) = (total[Int($0)], total[Int($1)])
        return a != b
          ? a < b : tree.functions[Int(function[Int($0)])].name > tree.functions[Int(function[Int($1)])].name
      }
    }
    var stack = sorted(children[-1]).map { (node: $0, parent: Int?.none, depth: 0) }
    while let (node, above, depth) = stack.popLast() {
      let source = function[Int(node)]
      let index = functionIndex[source] ?? functions.count
      if index == functions.count {
        functionIndex[source] = index
        let function = tree.functions[Int(source)]
        functions.append(Function(name: function.name, module: function.module, kind: function.kind))
      }
      nodes.append(
        Node(
          function: index, parent: above, depth: depth, nanoseconds: total[Int(node)], selfNanoseconds: own[Int(node)]))
      let position = nodes.count - 1
      stack += sorted(children[node]).map { (node: $0, parent: Int?.some(position), depth: depth + 1) }
    }
    prunedCount = total.count - nodes.count
  }
}
