// From call chains of addresses to numbered stacks of named frames.
import ProfileModel

/// The call stacks of all samples of a profile. One object serves all repetitions, because the numbers of frames and
/// stacks are the file's, and because what was symbolized once need not be again.
public final class CallStacks {
  let symbolizer: Symbolizer
  /// For the address spaces whose samples come here.
  let instances = InstanceCounter()
  private lazy var unwinder = DwarfUnwinder(symbolizer: symbolizer)
  private var table = StackTable()
  private var tree = AddressTree()
  /// Frame numbers of an address, innermost first; absent while it is not symbolized.
  private var frames: [Int32: [Int64]] = [:]
  /// Stack number of a node; 0 while it has none.
  private var stacks: [Int64] = []
  private var places: [Int: Places] = [:]
  private var kernelPlaces: [UInt64: Int32] = [:]
  private var threads: [Int32: LastChain] = [:]
  /// Scratch, kept to save its allocation per sample.
  private var chain: [UInt64] = []

  /// What a process's addresses are in the tree, as long as its mappings mean the same.
  private struct Places {
    var revision = 0
    var index: [UInt64: Int32] = [:]
  }
  /// The last chain of a thread: the next one mostly has the same outer part.
  private struct LastChain {
    var instance: Int
    var revision: Int
    /// Leaf first, and the node of each.
    var chain: [UInt64]
    var nodes: [Int32]
  }

  /// Starts with no stacks; `symbolizer` names the frames.
  public init(symbolizer: Symbolizer = Symbolizer()) { self.symbolizer = symbolizer }

  /// How the user part of a chain was found.
  enum UserStack {
    case framePointers
    case unwound(isTruncated: Bool)
    /// DWARF was asked for and did not do.
    case fellBack
  }

  // MARK: - Taking samples

  /// The node of a sample's call chain. It is valid until the next ``trim()``.
  func node(of sample: PerfSample, in space: AddressSpace, unwinding: Bool) -> (node: Int32, user: UserStack) {
    chain.removeAll(keepingCapacity: true)
    CallChain.append(sample.callChain, to: &chain)
    var user = UserStack.framePointers
    if unwinding, !sample.userRegisters.isEmpty {
      let fromPointers = chain.count { !CallChain.isKernel($0) }
      if let unwound = unwinder.unwind(sample, in: space),
        unwound.isComplete || unwound.isTruncated || unwound.addresses.count >= fromPointers
      {
        chain.removeAll { !CallChain.isKernel($0) }
        let code = unwound.addresses.prefix { $0 >= CallChain.firstCodeAddress && !CallChain.isKernel($0) }
        chain.append(contentsOf: code)
        user = .unwound(isTruncated: unwound.isTruncated)
      } else {
        user = .fellBack
      }
    }
    return (node(ofChainIn: space, tid: sample.tid), user)
  }

  private func node(ofChainIn space: AddressSpace, tid: Int32) -> Int32 {
    var parent = AddressTree.root
    var remaining = chain.count
    var nodes = [Int32](repeating: 0, count: chain.count)
    if let last = threads[tid], last.instance == space.instance, last.revision == space.revision {
      var old = last.chain.count
      while remaining > 0, old > 0, chain[remaining - 1] == last.chain[old - 1] {
        remaining -= 1
        old -= 1
        parent = last.nodes[old]
        nodes[remaining] = parent
      }
    }
    while remaining > 0 {
      remaining -= 1
      parent = tree.node(parent: parent, address: place(of: chain[remaining], in: space))
      nodes[remaining] = parent
    }
    if threads.count > 4096 { threads.removeAll() }
    threads[tid] = LastChain(instance: space.instance, revision: space.revision, chain: chain, nodes: nodes)
    return parent
  }

  private func place(of address: UInt64, in space: AddressSpace) -> Int32 {
    if CallChain.isKernel(address) {
      if let known = kernelPlaces[address] { return known }
      let index = tree.index(of: CodeAddress(place: .kernel, offset: address))
      kernelPlaces[address] = index
      return index
    }
    if places[space.instance]?.revision != space.revision {
      places[space.instance] = Places(revision: space.revision)
    }
    if let known = places[space.instance]?.index[address] { return known }
    let index = tree.index(of: symbolizer.locate(address, in: space))
    places[space.instance]?.index[address] = index
    return index
  }

  /// Nodes beyond which ``trim()`` starts anew: some 100 MB.
  private static let mostNodes = 1 << 20

  /// Bounds memory, whatever the target calls: forgets the tree of addresses, not the numbered stacks.
  ///
  /// - Returns: whether all nodes given out before are void.
  func trim() -> Bool {
    if places.count > 1024 { places.removeAll() }
    guard tree.count > Self.mostNodes else { return false }
    tree = AddressTree()
    frames.removeAll()
    stacks.removeAll()
    places.removeAll()
    kernelPlaces.removeAll()
    threads.removeAll()
    return true
  }

  // MARK: - Naming them

  /// The number of a node's stack. A provisional one contains generated code that has no name yet.
  func stack(of node: Int32) -> (stack: Int64, isProvisional: Bool) {
    if stacks.count < tree.count { stacks.append(contentsOf: repeatElement(0, count: tree.count - stacks.count)) }
    // Up to what is known, then down again.
    var path: [Int32] = []
    var next = node
    while next != AddressTree.root, stacks[Int(next)] == 0 {
      path.append(next)
      next = tree.parents[Int(next)]
    }
    var parent = next == AddressTree.root ? StackTable.root : stacks[Int(next)]
    var isProvisional = false
    for node in path.reversed() {
      let (ids, provisional) = frames(of: tree.addressOfNode[Int(node)])
      isProvisional = isProvisional || provisional
      if !isRepeatedHiddenKernel(node) {
        for frame in ids.reversed() { parent = table.stack(parent: parent, frame: frame) }
      }
      if !isProvisional { stacks[Int(node)] = parent }
    }
    if parent == StackTable.root {
      // A sample without a call chain, such as of a thread that was just ending.
      let frame = table.frame(Frame(function: "[unknown]", module: "[unknown]", kind: .unknown))
      parent = table.stack(parent: StackTable.root, frame: frame)
    }
    return (parent, isProvisional)
  }

  /// Kernel frames without names all look the same: a row of them says no more than one.
  private func isRepeatedHiddenKernel(_ node: Int32) -> Bool {
    func isHidden(_ node: Int32) -> Bool {
      node != AddressTree.root && tree.addresses[Int(tree.addressOfNode[Int(node)])].place == .kernel
        && !symbolizer.kernel.areVisible
    }
    return isHidden(node) && isHidden(tree.parents[Int(node)])
  }

  private func frames(of address: Int32) -> (ids: [Int64], isProvisional: Bool) {
    if let known = frames[address] { return (known, false) }
    let place = tree.addresses[Int(address)]
    let ids = symbolizer.frames(at: place).map { table.frame($0) }
    let isProvisional = symbolizer.isProvisional(place)
    if !isProvisional { frames[address] = ids }
    return (ids, isProvisional)
  }

  /// Writes frames and stacks that are not in the file yet.
  func write(to transaction: ProfileTransaction) throws { try table.write(to: transaction) }
}

/// The kernel's way to write a call chain (perf_event_open(2), `PERF_SAMPLE_CALLCHAIN`).
enum CallChain {
  /// Values from here on are marks between addresses.
  private static let firstMarker = UInt64(bitPattern: -4095)
  private static let kernelMarker = UInt64(bitPattern: -128)
  private static let userMarker = UInt64(bitPattern: -512)
  /// The lowest page is never mapped.
  static let firstCodeAddress: UInt64 = 4096

  /// Both x86-64 and arm64 have the kernel in the upper half.
  static func isKernel(_ address: UInt64) -> Bool { address >> 63 == 1 }

  /// Appends a chain's addresses, leaf first. Of each part the first is where the CPU was; the others are return
  /// addresses, of which one is taken off so that they lie in the call. Parts of a guest or hypervisor are left out, and
  /// a user part ends where a frame pointer that was none leads into the kernel's half.
  static func append(_ raw: [UInt64], to chain: inout [UInt64]) {
    var isFirst = true
    var isKernelPart = raw.first.map(isKernel) ?? false
    var isSkipped = false
    for value in raw {
      if value >= firstMarker {
        isFirst = true
        isKernelPart = value == kernelMarker
        isSkipped = value != kernelMarker && value != userMarker
        continue
      }
      if isKernel(value) != isKernelPart { isSkipped = true }
      guard !isSkipped, value >= firstCodeAddress else { continue }
      chain.append(isFirst ? value : value - 1)
      isFirst = false
    }
  }
}
