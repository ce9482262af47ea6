// The frames and stacks of a profile file: each written once, shared by all samples and repetitions.
import ProfileModel

/// Numbers frames and stacks, and knows which are not in the file yet.
struct StackTable {
  private struct Node: Hashable {
    var parent: Int64
    var frame: Int64
  }
  private var frames: [Frame: Int64] = [:]
  private var nodes: [Node: Int64] = [:]
  private var newFrames: [(Int64, Frame)] = []
  private var newStacks: [(Int64, StackNode)] = []

  /// No stack: the parent of outermost frames.
  static let root: Int64 = 0

  /// The number of a frame, from 1.
  mutating func frame(_ frame: Frame) -> Int64 {
    if let known = frames[frame] { return known }
    let id = Int64(frames.count + 1)
    frames[frame] = id
    newFrames.append((id, frame))
    return id
  }

  /// The number of the stack that adds a frame to another, from 1.
  mutating func stack(parent: Int64, frame: Int64) -> Int64 {
    let node = Node(parent: parent, frame: frame)
    if let known = nodes[node] { return known }
    let id = Int64(nodes.count + 1)
    nodes[node] = id
    newStacks.append((id, StackNode(parent: parent == Self.root ? nil : parent, frame: frame)))
    return id
  }

  /// Writes what is new since the last call.
  mutating func write(to transaction: ProfileTransaction) throws {
    for (id, frame) in newFrames { try transaction.frame(frame, id: id) }
    newFrames.removeAll(keepingCapacity: true)
    for (id, node) in newStacks { try transaction.stack(node, id: id) }
    newStacks.removeAll(keepingCapacity: true)
  }
}

/// Call chains as a tree of addresses: what is known before anything is symbolized. A sample is one node.
struct AddressTree {
  private struct Key: Hashable {
    var parent: Int32
    var address: Int32
  }
  private(set) var addresses: [CodeAddress] = []
  private var addressIndex: [CodeAddress: Int32] = [:]
  private var nodes: [Key: Int32] = [:]
  private(set) var parents: [Int32] = []
  /// Index into ``addresses``.
  private(set) var addressOfNode: [Int32] = []

  /// The parent of outermost addresses.
  static let root: Int32 = -1

  mutating func index(of address: CodeAddress) -> Int32 {
    if let known = addressIndex[address] { return known }
    let index = Int32(addresses.count)
    addresses.append(address)
    addressIndex[address] = index
    return index
  }

  mutating func node(parent: Int32, address: Int32) -> Int32 {
    let key = Key(parent: parent, address: address)
    if let known = nodes[key] { return known }
    let index = Int32(parents.count)
    parents.append(parent)
    addressOfNode.append(address)
    nodes[key] = index
    return index
  }

  var count: Int { parents.count }
}
