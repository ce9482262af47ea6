// Does the page of a large profile stay small and quick to make?
import Analysis
import ProfileModel
import Testing

@testable import Report

struct LargeTests {
  /// 3 000 functions with long names, 12 000 stacks, 3 000 kernels, 1 500 threads.
  static let profile: Profile = {
    var random = Repeatable(seed: 5)
    var profile = Fixtures.training()
    var stacks = Fixtures.Stacks()
    let functions = (0..<3000).map { index in
      Fixtures.user(
        "void library_\(index % 40)::detail::function_\(index)<std::pair<int, std::basic_string<char>>, \(index)>(std::vector<float> const&, int)",
        "/usr/lib/x86_64-linux-gnu/libmodule\(index % 25).so.1")
    }
    var data = profile.repetitions[0]
    data.samples = (0..<12_000).map { _ in
      var path = [functions[0]]
      var place = 0
      for _ in 0..<(4 + Int(random.next() % 20)) {
        place = (place * 7 + Int(random.next() % 5) + 1) % functions.count
        path.append(functions[place])
      }
      return SampleTotal(
        stack: stacks.stack(path), pid: 4001, tid: 4001 + Int32(random.next() % 3), kernel: nil,
        samples: Int64(1 + random.next() % 30), weightNanoseconds: Int64(2_000_000 * (1 + random.next() % 30)))
    }
    data.kernels = (0..<3000).map { index in
      KernelRecord(
        id: Int64(index), name: "aten::operation_\(index % 400)", category: KernelCategory.allCases[index % 22],
        phase: .forward, modulePath: "layer\(index % 17).block\(index % 31).conv\(index % 3)",
        shapes: "[\(index), 64, 56, 56] [64, 64, 3, 3]", types: "f32 f32", calls: Int64(index + 1),
        totalNanoseconds: 8_000_000, selfNanoseconds: 8_000_000, threadCPUNanoseconds: .init(8_000_000, .clock),
        flops: .init(Double(index) * 1e7, .declared), bytes: .init(1e7, .declared))
    }
    data.threads = (0..<1500).map { index in
      var thread = ThreadRecord(
        pid: Int32(4001 + index / 4), tid: Int32(4001 + index), parentPID: 4000, name: "worker-\(index)",
        startNanoseconds: Int64(index) * 10_000_000, endNanoseconds: Int64(index) * 10_000_000 + 900_000_000)
      thread.runningNanoseconds = 500_000_000
      return thread
    }
    profile.repetitions = [data]
    profile.frames = stacks.frames
    profile.stacks = stacks.nodes
    return profile
  }()

  static let characterization = Characterization(of: profile)

  @Test func staysBelowTwoMegabytes() throws {
    let page = try Report.render(Self.characterization, as: .html)
    #expect(page.utf8.count < 2_000_000)
    #expect(Markup.problem(in: page) == nil)
  }

  @Test func theFlameGraphKeepsItsWidestBoxes() {
    // A root with 4 000 children of falling width.
    var nodes = [
      FlameGraphChart.Node(color: .frame(.user), name: "root", label: "root", depth: 0, value: 0, selfValue: 0)
    ]
    for index in 0..<4000 {
      let value = Double(4000 - index)
      nodes[0].value += value
      nodes.append(
        FlameGraphChart.Node(
          color: .frame(.user), name: "\(index)", label: "\(index)", parent: 0, depth: 1, value: value, selfValue: value
        ))
    }
    let boxes = FlameGraphChart(summary: "", nodes: nodes, total: nodes[0].value).boxes()
    #expect(boxes.count == FlameGraphChart(summary: "", nodes: [], total: 1).boxLimit)
    #expect(boxes.contains { $0.node == 0 && $0.x == 0 && $0.width == 100 })
    #expect(boxes.map(\.node).max() == boxes.count - 1)
    // Children lie side by side in their parent.
    for (one, two) in zip(boxes.dropFirst(), boxes.dropFirst(2)) { #expect(abs(one.x + one.width - two.x) < 1e-9) }
  }
}
