// Which calls take a greater share of the CPU time than before, and which a smaller one? Two call trees, one upon the other.
import ProfileModel

/// The call trees of two sides merged by path, in flat form: parents before their children, siblings from the heaviest to
/// the lightest on side B.
///
/// Functions are told apart by name and by the file name of their module, so that two machines' trees merge. Shares are of
/// all CPU time that was sampled on a side, so that runs of different lengths compare.
public struct FlameDifference: Codable, Sendable, Equatable {
  /// A function called along one path.
  public struct Node: Codable, Sendable, Equatable {
    /// Index into ``FlameDifference/functions``.
    public var function: Int
    /// Index of the caller's node; `nil` for a root.
    public var parent: Int?
    /// 0 for a root.
    public var depth: Int
    /// Share of A's CPU time in it and all that it calls, 0…1.
    public var shareA: Double
    /// Share of B's CPU time in it and all that it calls, 0…1.
    public var shareB: Double
    /// Share of A's CPU time in it alone.
    public var selfShareA: Double
    /// Share of B's CPU time in it alone.
    public var selfShareB: Double
    /// Whether the shares differ by more than their sampling error (p below 0.5 %; variation from run to run comes on top).
    public var isBeyondSamplingError: Bool

    /// Share on side B less that on side A.
    public var difference: Double { shareB - shareA }
  }
  /// A function's own time, along all paths together.
  public struct FunctionShare: Codable, Sendable, Equatable {
    /// Index into ``FlameDifference/functions``.
    public var function: Int
    /// Share of A's CPU time, 0…1.
    public var shareA: Double
    /// Share of B's CPU time, 0…1.
    public var shareB: Double
    /// Whether the shares differ by more than their sampling error.
    public var isBeyondSamplingError: Bool

    /// Share on side B less that on side A.
    public var difference: Double { shareB - shareA }
  }
  /// The functions that nodes refer to.
  public var functions: [FlameGraph.Function]
  /// The nodes, depth first.
  public var nodes: [Node]
  /// The functions whose own share changed most.
  public var changes: [FunctionShare]
  /// CPU time of a repetition of A, nanoseconds, mean.
  public var nanosecondsA: Double
  /// CPU time of a repetition of B, nanoseconds, mean.
  public var nanosecondsB: Double
  /// Samples of all repetitions of A.
  public var samplesA: Int64
  /// Samples of all repetitions of B.
  public var samplesB: Int64
  /// Nodes below this share on both sides are left out, 0…1.
  public var threshold: Double
  /// Number of nodes left out.
  public var prunedCount: Int
}

extension FlameDifference {
  /// Changes listed at most.
  static let changeLimit = 100

  static func of(_ one: SideSample, _ two: SideSample) -> Measured<FlameDifference> {
    let sides = [one, two].map { $0.runs.map { CallTree($0.run) }.filter { $0.nanoseconds > 0 } }
    for (index, side) in [one, two].enumerated() where sides[index].isEmpty {
      return .unavailable(
        side.runs.first?.run.noSamples
          ?? Unavailable("no repetition of \(index == 0 ? "A" : "B") came to its end"))
    }
    let method = [one, two].compactMap { $0.runs.first?.run.sampling.detail }
    return .measured(
      FlameDifference(a: sides[0], b: sides[1]),
      Provenance(.sampled, detail: Set(method).count == 1 ? method[0] : method.joined(separator: "; B: ")))
  }

  /// Merges call trees; each side needs at least one with CPU time.
  init(
    a: [CallTree], b: [CallTree], limit: Int = FlameGraph.nodeLimit,
    leastThreshold: Double = FlameGraph.leastThreshold
  ) {
    var merged = MergedTree()
    for tree in a { merged.add(tree, side: 0) }
    for tree in b { merged.add(tree, side: 1) }
    merged.sumUp()
    nanosecondsA = Double(merged.sides[0].nanoseconds) / Double(max(1, a.count))
    nanosecondsB = Double(merged.sides[1].nanoseconds) / Double(max(1, b.count))
    (samplesA, samplesB) = (merged.sides[0].samples, merged.sides[1].samples)

    // A callee's share is never more than its caller's on either side, so a bound on the greater keeps the tree whole.
    let shares = merged.parent.indices.map { max(merged.share($0, side: 0), merged.share($0, side: 1)) }
    var least = leastThreshold
    if shares.count > limit {
      let sorted = shares.sorted(by: >)
      if sorted[limit] >= least { least = sorted[limit].nextUp }
    }
    threshold = least
    let kept = merged.parent.indices.filter { shares[$0] >= least }
    prunedCount = shares.count - kept.count

    var children: [Int32: [Int32]] = [:]
    for node in kept { children[merged.parent[node], default: []].append(Int32(node)) }
    func sorted(_ list: [Int32]?) -> [Int32] {
      // Reversed, as the stack below takes from the end.
      (list ?? []).sorted {
        let (one, two) = (Int($0), Int($1))
        let (x, y) = (merged.share(one, side: 1), merged.share(two, side: 1))
        if x != y { return x < y }
        let (u, v) = (merged.share(one, side: 0), merged.share(two, side: 0))
        if u != v { return u < v }
        return merged.functions[Int(merged.function[one])].sortName
          > merged.functions[Int(merged.function[two])].sortName
      }
    }
    functions = []
    nodes = []
    var functionIndex: [Int32: Int] = [:]
    func intern(_ source: Int32, _ functions: inout [FlameGraph.Function]) -> Int {
      if let known = functionIndex[source] { return known }
      functionIndex[source] = functions.count
      functions.append(merged.functions[Int(source)])
      return functions.count - 1
    }
    var stack = sorted(children[-1]).map { (node: $0, parent: Int?.none, depth: 0) }
    while let (node, above, depth) = stack.popLast() {
      let index = Int(node)
      nodes.append(
        Node(
          function: intern(merged.function[index], &functions), parent: above, depth: depth,
          shareA: merged.share(index, side: 0), shareB: merged.share(index, side: 1),
          selfShareA: merged.selfShare(index, side: 0), selfShareB: merged.selfShare(index, side: 1),
          isBeyondSamplingError: Self.isBeyondSamplingError(
            merged.share(index, side: 0), merged.share(index, side: 1), samplesA, samplesB)))
      let position = nodes.count - 1
      stack += sorted(children[node]).map { (node: $0, parent: Int?.some(position), depth: depth + 1) }
    }

    let own = merged.functionShares()
    let changed = own.indices.sorted {
      let (x, y) = (abs(own[$0].b - own[$0].a), abs(own[$1].b - own[$1].a))
      return x != y ? x > y : (merged.functions[$0].sortName, $0) < (merged.functions[$1].sortName, $1)
    }
    changes = []
    for source in changed.prefix(Self.changeLimit) where own[source].a != own[source].b {
      changes.append(
        FunctionShare(
          function: intern(Int32(source), &functions), shareA: own[source].a, shareB: own[source].b,
          isBeyondSamplingError: Self.isBeyondSamplingError(own[source].a, own[source].b, samplesA, samplesB)))
    }
  }

  /// Whether two shares of so many samples differ by more than chance: the normal approximation of two proportions' test.
  static func isBeyondSamplingError(_ a: Double, _ b: Double, _ samplesA: Int64, _ samplesB: Int64) -> Bool {
    let (n, m) = (Double(samplesA), Double(samplesB))
    guard n > 0, m > 0 else { return false }
    let pooled = (a * n + b * m) / (n + m)
    let error = (pooled * (1 - pooled) * (1 / n + 1 / m)).squareRoot()
    return abs(b - a) > error * bound
  }

  private static let bound = Statistics.normalQuantile(1 - Contrast.level / 2)
}

extension FlameGraph.Function {
  /// What functions are ordered by where their times are equal.
  fileprivate var sortName: String { "\(name)\u{0}\(module)" }
}

/// Call trees of two sides, merged by path.
private struct MergedTree {
  struct Side {
    var nanoseconds: Int64 = 0
    var samples: Int64 = 0
    /// By node.
    var own: [Int64] = []
    var total: [Int64] = []
  }
  private struct FunctionKey: Hashable {
    let name: String
    let module: String
  }
  var functions: [FlameGraph.Function] = []
  private var functionIndex: [FunctionKey: Int32] = [:]
  private var nodeIndex: [UInt64: Int32] = [:]
  /// By node: the caller's, −1 for a root; always less than the node's own.
  var parent: [Int32] = []
  /// By node: index into `functions`.
  var function: [Int32] = []
  var sides = [Side(), Side()]

  mutating func add(_ tree: CallTree, side: Int) {
    let ids = tree.functions.map { function -> Int32 in
      let file = function.module.split(separator: "/").last.map(String.init) ?? function.module
      let key = FunctionKey(name: function.name, module: file)
      if let known = functionIndex[key] { return known }
      let id = Int32(functions.count)
      functionIndex[key] = id
      functions.append(FlameGraph.Function(name: function.name, module: function.module, kind: function.kind))
      return id
    }
    var indexOfNode = [Int32](repeating: 0, count: tree.parent.count)
    for node in tree.parent.indices {
      let above = tree.parent[node] < 0 ? -1 : indexOfNode[Int(tree.parent[node])]
      let id = ids[Int(tree.function[node])]
      let key = UInt64(UInt32(bitPattern: above)) << 32 | UInt64(UInt32(bitPattern: id))
      let index: Int32
      if let known = nodeIndex[key] {
        index = known
      } else {
        index = Int32(parent.count)
        nodeIndex[key] = index
        parent.append(above)
        function.append(id)
        for side in sides.indices { sides[side].own.append(0) }
      }
      indexOfNode[node] = index
      sides[side].own[Int(index)].add(tree.selfNanoseconds[node])
    }
    sides[side].nanoseconds.add(tree.nanoseconds)
    sides[side].samples.add(tree.samples)
  }

  mutating func sumUp() {
    for side in sides.indices {
      var total = sides[side].own
      for node in parent.indices.reversed() where parent[node] >= 0 { total[Int(parent[node])].add(total[node]) }
      sides[side].total = total
    }
  }

  func share(_ node: Int, side: Int) -> Double { fraction(sides[side].total[node], of: sides[side].nanoseconds) }
  func selfShare(_ node: Int, side: Int) -> Double { fraction(sides[side].own[node], of: sides[side].nanoseconds) }

  /// Each function's own share of a side's time, along all paths.
  func functionShares() -> [(a: Double, b: Double)] {
    var sums = [[Int64](repeating: 0, count: functions.count), [Int64](repeating: 0, count: functions.count)]
    for side in sides.indices {
      for node in parent.indices { sums[side][Int(function[node])].add(sides[side].own[node]) }
    }
    return functions.indices.map {
      (fraction(sums[0][$0], of: sides[0].nanoseconds), fraction(sums[1][$0], of: sides[1].nanoseconds))
    }
  }
}
