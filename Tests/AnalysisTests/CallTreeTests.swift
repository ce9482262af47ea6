// Does the call tree survive damaged files, and does the flame graph keep every nanosecond?
import ProfileModel
import Testing

@testable import Analysis

@Suite struct CallTreeTests {
  static func sample(_ stack: Int64, _ weight: Int64 = 10) -> SampleTotal {
    SampleTotal(stack: stack, pid: 1, tid: 1, kernel: nil, samples: 1, weightNanoseconds: weight)
  }
  static let frames: [Int64: Frame] = [
    1: Frame(function: "a", module: "m", kind: .user), 2: Frame(function: "b", module: "m", kind: .user),
  ]

  /// Against the plain walk over dictionaries, on random trees.
  @Test(arguments: [0, 1, 2, 3, 5, 10, 200])
  func agreesWithTheNaiveWay(count: Int) {
    var random = Seeded(state: UInt64(count))
    var frames: [Int64: Frame] = [:]
    for id in 0..<8 { frames[Int64(id)] = Frame(function: "f\(id / 2)", module: "m", kind: .user) }
    var stacks: [Int64: StackNode] = [:]
    for id in 0..<count {
      let parent = id == 0 ? nil : Int64.random(in: -1..<Int64(id), using: &random)
      stacks[Int64(id)] = StackNode(parent: parent == -1 ? nil : parent, frame: .random(in: 0..<8, using: &random))
    }
    let samples = (0..<count).map { _ in
      Self.sample(.random(in: 0..<Int64(max(1, count)), using: &random), .random(in: 0...9, using: &random))
    }
    var own: [String: Int64] = [:]
    var inclusive: [String: Int64] = [:]
    let profile = Profile(frames: frames, stacks: stacks)
    for sample in samples {
      let names = profile.frames(ofStack: sample.stack).map(\.function)
      if let leaf = names.first { own[leaf, default: 0] += sample.weightNanoseconds }
      for name in Set(names) { inclusive[name, default: 0] += sample.weightNanoseconds }
    }
    let tree = CallTree(stacks: stacks, frames: frames, samples: samples)
    let hotspots = FunctionHotspots(tree, Provenance(.sampled))
    for hotspot in hotspots.byFunction.hotspots {
      #expect(own[hotspot.subject.function] == hotspot.nanoseconds)
    }
    #expect(hotspots.byFunction.totalNanoseconds == samples.sum(\.weightNanoseconds))
    for (index, time) in tree.inclusive().enumerated() {
      #expect(time == inclusive[tree.functions[index].name])
    }
  }

  @Test func cyclesAreCut() {
    let stacks: [Int64: StackNode] = [
      1: StackNode(parent: 2, frame: 1), 2: StackNode(parent: 3, frame: 2), 3: StackNode(parent: 1, frame: 1),
      4: StackNode(parent: 4, frame: 2),
    ]
    let tree = CallTree(stacks: stacks, frames: Self.frames, samples: [1, 2, 3, 4].map { Self.sample($0) })
    #expect(tree.nanoseconds == 40)
    #expect(tree.inclusive().allSatisfy { $0 <= 40 })
    let graph = FlameGraph(tree)
    #expect(graph.nodes.filter { $0.parent == nil }.sum(\.nanoseconds) == 40)
  }

  @Test func missingFramesAndStacksHaveNoName() {
    let stacks: [Int64: StackNode] = [1: StackNode(parent: 77, frame: 1), 2: StackNode(parent: 1, frame: 88)]
    let tree = CallTree(stacks: stacks, frames: Self.frames, samples: [1, 2, 99].map { Self.sample($0) })
    #expect(tree.nanoseconds == 30 && tree.samples == 3)
    let hotspots = FunctionHotspots(tree, Provenance(.sampled)).byFunction.hotspots
    #expect(hotspots.map(\.subject.function) == ["[unknown]", "a"])
    #expect(hotspots.map(\.nanoseconds) == [20, 10])
  }

  @Test func deepStacksDoNotOverflowOurs() {
    var stacks: [Int64: StackNode] = [:]
    for id in 0..<50_000 {
      stacks[Int64(id)] = StackNode(parent: id == 0 ? nil : Int64(id - 1), frame: Int64(id % 2 + 1))
    }
    let tree = CallTree(stacks: stacks, frames: Self.frames, samples: [Self.sample(49_999)])
    #expect(tree.inclusive() == [10, 10])
    // All nodes weigh the same, so none can be preferred: over the limit, all go.
    #expect(FlameGraph(tree, limit: 100).prunedCount == 50_000)
    #expect(FlameGraph(tree, limit: 50_000).nodes.last?.depth == 49_999)
  }

  @Test func negativeAndHugeWeightsDoNotTrap() {
    let tree = CallTree(
      stacks: [1: StackNode(parent: nil, frame: 1)], frames: Self.frames,
      samples: [Self.sample(1, -5), Self.sample(1, .max), Self.sample(1, .max)])
    #expect(tree.nanoseconds == .max)
    #expect(FlameGraph(tree).nodes[0].nanoseconds == .max)
  }
}

@Suite struct FlameGraphTests {
  @Test func mergesAndSorts() {
    var stacks = Stacks()
    stacks.add("main light", 10)
    stacks.add("main heavy leaf", 50)
    stacks.add("main heavy", 40)
    let graph = FlameGraph(stacks.tree)
    let names = graph.nodes.map { graph.functions[$0.function].name }
    #expect(names == ["main", "heavy", "leaf", "light"])
    #expect(graph.nodes.map(\.nanoseconds) == [1000, 900, 500, 100])
    #expect(graph.nodes.map(\.selfNanoseconds) == [0, 400, 500, 100])
    #expect(graph.nodes.map(\.parent) == [nil, 0, 1, 0])
    #expect(graph.nodes.map(\.depth) == [0, 1, 2, 1])
    #expect(graph.prunedCount == 0)
  }

  /// Frames of one function at different lines are one node.
  @Test func mergesFramesOfOneFunction() {
    let frames: [Int64: Frame] = [
      1: Frame(function: "f", module: "m", line: 1, kind: .user),
      2: Frame(function: "f", module: "m", line: 2, kind: .user),
    ]
    let stacks: [Int64: StackNode] = [1: StackNode(parent: nil, frame: 1), 2: StackNode(parent: nil, frame: 2)]
    let graph = FlameGraph(
      CallTree(stacks: stacks, frames: frames, samples: [CallTreeTests.sample(1), CallTreeTests.sample(2)]))
    #expect(graph.nodes.count == 1 && graph.nodes[0].nanoseconds == 20)
  }

  @Test func prunesToTheLimitAndKeepsTheTreeWhole() {
    var random = Seeded(state: 5)
    var stacks = Stacks()
    for _ in 0..<2000 {
      let path = (0..<Int.random(in: 1...6, using: &random)).map { _ in "f\(Int.random(in: 0..<9, using: &random))" }
      stacks.add(path.joined(separator: " "), .random(in: 1...50, using: &random))
    }
    for limit in [1, 10, 100, 100_000] {
      let graph = FlameGraph(stacks.tree, limit: limit)
      #expect(graph.nodes.count <= limit)
      #expect(graph.totalNanoseconds == stacks.tree.nanoseconds)
      var children = [Int64](repeating: 0, count: graph.nodes.count)
      for (index, node) in graph.nodes.enumerated() {
        guard let parent = node.parent else { continue }
        #expect(parent < index && graph.nodes[parent].depth + 1 == node.depth)
        children[parent] += node.nanoseconds
      }
      for (node, below) in zip(graph.nodes, children) { #expect(below + node.selfNanoseconds <= node.nanoseconds) }
      if graph.prunedCount == 0 {
        for (node, below) in zip(graph.nodes, children) { #expect(below + node.selfNanoseconds == node.nanoseconds) }
      }
    }
  }
}
