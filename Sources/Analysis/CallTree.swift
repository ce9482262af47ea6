// Stacks and samples as flat arrays: what hotspots and flame graphs are computed on.
import ProfileModel

/// The call tree of one repetition with the CPU time of its samples.
///
/// Dense indices instead of ids, parents before children, so that every question is one pass over arrays. A damaged
/// file may hold cycles, missing parents and missing frames: cycles are cut, and what is missing has no name.
struct CallTree {
  /// A function, shared by all frames of that name and module.
  struct Function {
    var name: String
    var module: String
    var file: String?
    var kind: Frame.Kind
  }
  private struct FunctionKey: Hashable {
    let name: String
    let module: String
  }
  /// What stands for a frame that the file does not hold.
  static let unknown = Function(name: "[unknown]", module: "", file: nil, kind: .unknown)

  private(set) var functions: [Function] = []
  /// By function: category by its name, for those with samples of their own (classifying costs microseconds a name).
  private var categories: [KernelCategory?] = []
  /// By node: index of the caller, −1 for a root; a caller's index is less than its callees'.
  private(set) var parent: [Int32] = []
  /// By node: index into `functions`.
  private(set) var function: [Int32] = []
  /// By node: index of the function whose machine code it is: an inlined function's is its first real caller's.
  private(set) var physical: [Int32] = []
  /// By node: CPU time and samples with this node as leaf; and of all leaves below.
  private(set) var selfNanoseconds: [Int64] = []
  private(set) var selfSamples: [Int64] = []
  private(set) var totalNanoseconds: [Int64] = []
  /// By sample, in the order of the repetition's samples: its leaf node.
  private(set) var leaf: [Int32] = []
  /// Totals.
  private(set) var samples: Int64 = 0
  private(set) var nanoseconds: Int64 = 0
  /// Whether any frame is inlined.
  private(set) var hasInlined = false

  init(_ run: Run) {
    self.init(stacks: run.profile.stacks, frames: run.profile.frames, samples: run.data.samples)
  }

  init(stacks: [Int64: StackNode], frames: [Int64: Frame], samples: [SampleTotal]) {
    var functionIndex: [FunctionKey: Int32] = [:]
    var functionOfFrame: [Int64: (function: Int32, isInlined: Bool)] = [:]
    functionOfFrame.reserveCapacity(frames.count)
    functionIndex.reserveCapacity(frames.count)

    func intern(_ id: Int64) -> (function: Int32, isInlined: Bool) {
      if let known = functionOfFrame[id] { return known }
      let frame = frames[id]
      let name = frame?.function ?? Self.unknown.name
      let module = frame?.module ?? Self.unknown.module
      let kind = frame?.kind ?? .unknown
      let key = FunctionKey(name: name, module: module)
      let index: Int32
      if let known = functionIndex[key] {
        index = known
        // Inlined here and called there: the function itself is ordinary code.
        if functions[Int(index)].kind == .inlined { functions[Int(index)].kind = kind }
        if functions[Int(index)].file == nil { functions[Int(index)].file = frame?.file }
      } else {
        index = Int32(functions.count)
        functionIndex[key] = index
        functions.append(Function(name: name, module: module, file: frame?.file, kind: kind))
      }
      functionOfFrame[id] = (index, kind == .inlined)
      return (index, kind == .inlined)
    }

    // Only nodes that samples reach, callers first. A node on the way up is marked, so that a cycle is seen.
    let marked: Int32 = -2
    var indexOfNode: [Int64: Int32] = [:]
    indexOfNode.reserveCapacity(stacks.count)
    var path: [(id: Int64, frame: Int64)] = []
    leaf.reserveCapacity(samples.count)
    for sample in samples {
      path.removeAll(keepingCapacity: true)
      var next: Int64? = sample.stack
      var above: Int32 = -1
      while let id = next {
        if let known = indexOfNode[id] {
          if known != marked { above = known }
          break
        }
        guard let node = stacks[id] else {
          // A missing caller ends the stack; a missing leaf is kept without a name, so that no sample is lost.
          if path.isEmpty { path.append((id, .min)) }
          break
        }
        indexOfNode[id] = marked
        path.append((id, node.frame))
        next = node.parent
      }
      for (id, frame) in path.reversed() {
        let (function, isInlined) = intern(frame)
        let index = Int32(parent.count)
        parent.append(above)
        self.function.append(function)
        physical.append(isInlined && above >= 0 ? physical[Int(above)] : function)
        hasInlined = hasInlined || isInlined
        indexOfNode[id] = index
        above = index
      }
      leaf.append(above)
    }

    selfNanoseconds = [Int64](repeating: 0, count: parent.count)
    selfSamples = selfNanoseconds
    for (sample, node) in zip(samples, leaf) {
      let weight = max(0, sample.weightNanoseconds)
      let count = max(0, sample.samples)
      selfNanoseconds[Int(node)] = selfNanoseconds[Int(node)].addingSaturating(weight)
      selfSamples[Int(node)] = selfSamples[Int(node)].addingSaturating(count)
      nanoseconds = nanoseconds.addingSaturating(weight)
      self.samples = self.samples.addingSaturating(count)
    }
    categories = [KernelCategory?](repeating: nil, count: functions.count)
    for node in parent.indices where selfSamples[node] > 0 {
      let function = Int(physical[node])
      if categories[function] == nil { categories[function] = KernelCategory.classify(functions[function].name) }
    }
    totalNanoseconds = selfNanoseconds
    for node in parent.indices.reversed() where parent[node] >= 0 {
      let above = Int(parent[node])
      totalNanoseconds[above] = totalNanoseconds[above].addingSaturating(totalNanoseconds[node])
    }
  }

  /// Category of a function by its name.
  func category(_ function: Int) -> KernelCategory {
    categories[function] ?? KernelCategory.classify(functions[function].name)
  }

  /// By function: CPU time with it anywhere in the stack; a stack counts once however often the function recurs in it.
  func inclusive() -> [Int64] {
    var result = [Int64](repeating: 0, count: functions.count)
    var open = [Int32](repeating: 0, count: functions.count)
    walk { node in
      let function = Int(self.function[node])
      if open[function] == 0 { result[function] = result[function].addingSaturating(totalNanoseconds[node]) }
      open[function] += 1
    } leave: { node in
      open[Int(self.function[node])] -= 1
    }
    return result
  }

  /// Depth-first walk over all nodes, without recursion: stacks may be deeper than ours.
  private func walk(enter: (Int) -> Void, leave: (Int) -> Void) {
    let children = childLists()
    var stack: [(node: Int32, next: Int32)] = []
    for root in parent.indices where parent[root] < 0 {
      enter(root)
      stack.append((Int32(root), children.start[root]))
      while let top = stack.last {
        if top.next < children.start[Int(top.node) + 1] {
          stack[stack.count - 1].next += 1
          let child = children.list[Int(top.next)]
          enter(Int(child))
          stack.append((child, children.start[Int(child)]))
        } else {
          leave(Int(top.node))
          stack.removeLast()
        }
      }
    }
  }

  /// Children of node i: `list[start[i]..<start[i + 1]]`.
  private func childLists() -> (start: [Int32], list: [Int32]) {
    var start = [Int32](repeating: 0, count: parent.count + 1)
    for above in parent where above >= 0 { start[Int(above) + 1] += 1 }
    for node in parent.indices { start[node + 1] += start[node] }
    var next = start
    var list = [Int32](repeating: 0, count: Int(start[parent.count]))
    for node in parent.indices where parent[node] >= 0 {
      let above = Int(parent[node])
      list[Int(next[above])] = Int32(node)
      next[above] += 1
    }
    return (start, list)
  }
}
