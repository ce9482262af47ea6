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
  /// By number less one.
  private var frameList: [Frame] = []
  private var stackList: [StackNode] = []
  /// How many are in the file for certain, and how many after the last write if that got through.
  private var confirmed = (frames: 0, stacks: 0)
  private var sent = (frames: 0, stacks: 0)
  private var writes = WriteCheck()

  /// No stack: the parent of outermost frames.
  static let root: Int64 = 0

  /// The number of a frame, from 1.
  mutating func frame(_ frame: Frame) -> Int64 {
    if let known = frames[frame] { return known }
    let id = Int64(frames.count + 1)
    frames[frame] = id
    frameList.append(frame)
    return id
  }

  /// The number of the stack that adds a frame to another, from 1.
  mutating func stack(parent: Int64, frame: Int64) -> Int64 {
    let node = Node(parent: parent, frame: frame)
    if let known = nodes[node] { return known }
    let id = Int64(nodes.count + 1)
    nodes[node] = id
    stackList.append(StackNode(parent: parent == Self.root ? nil : parent, frame: frame))
    return id
  }

  /// Writes what is not in the file yet.
  mutating func write(to transaction: ProfileTransaction) throws {
    if !writes.lastOneFailed(now: transaction) { confirmed = sent }
    sent = (frameList.count, stackList.count)
    for index in confirmed.frames..<sent.frames { try transaction.frame(frameList[index], id: Int64(index + 1)) }
    for index in confirmed.stacks..<sent.stacks { try transaction.stack(stackList[index], id: Int64(index + 1)) }
  }
}

/// Notices that a transaction was rolled back (disk full), so that its rows are written again.
struct WriteCheck {
  private var commits: Int?

  /// Whether the transaction before this one failed. Call it once in each.
  mutating func lastOneFailed(now transaction: ProfileTransaction) -> Bool {
    defer { commits = transaction.commitsBefore }
    return commits == transaction.commitsBefore
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
