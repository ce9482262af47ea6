// What is mapped where in a process at a time: kept from the records of the ring buffers, in time order.

/// An executable mapping of a process.
public struct CodeMapping: Hashable, Sendable {
  /// First address.
  public var start: UInt64
  /// One past the last address.
  public var end: UInt64
  /// Offset into the file of `start`, bytes.
  public var fileOffset: UInt64
  /// File path, `[vdso]`, `//anon` …
  public var path: String

  /// Makes a mapping.
  public init(start: UInt64, end: UInt64, fileOffset: UInt64, path: String) {
    self.start = start
    self.end = end
    self.fileOffset = fileOffset
    self.path = path
  }

  /// Whether code here comes from a file, as against generated code.
  public var isFile: Bool {
    path.hasPrefix("/") && !path.hasPrefix("//") && !path.hasPrefix("/memfd:") && !path.hasPrefix("/dev/")
      && !path.hasPrefix("/SYSV")
  }
  /// Whether code here is the kernel's page of user-mode helpers.
  public var isVDSO: Bool { path == "[vdso]" }
}

/// The executable mappings of one process.
public final class AddressSpace {
  /// The process.
  public let pid: Int32
  /// Tells processes apart that had the same id, and one process before and after an exec.
  public let instance: Int
  /// The instance and process that this one was forked from, unless it has called exec since.
  public let parent: (instance: Int, pid: Int32)?
  /// Disjoint, by address.
  public private(set) var mappings: [CodeMapping] = []
  /// Grows whenever an address that was mapped may now mean something else.
  public private(set) var revision = 0

  init(pid: Int32, instance: Int, mappings: [CodeMapping] = []) {
    self.pid = pid
    self.instance = instance
    parent = nil
    for mapping in mappings { insert(mapping) }
    revision = 0
  }

  /// Copies what `parent` has mapped (fork).
  init(pid: Int32, instance: Int, copying parent: AddressSpace) {
    self.pid = pid
    self.instance = instance
    self.parent = (parent.instance, parent.pid)
    mappings = parent.mappings
  }

  /// Adds a mapping over whatever was there; what is left of cut mappings stays.
  public func insert(_ new: CodeMapping) {
    guard new.start < new.end else { return }
    let first = index(endingAfter: new.start)
    var last = first
    var replacement: [CodeMapping] = []
    var tail: CodeMapping?
    while last < mappings.count, mappings[last].start < new.end {
      let old = mappings[last]
      if old != new { revision += 1 }
      if old.start < new.start {
        var head = old
        head.end = new.start
        replacement.append(head)
      }
      if old.end > new.end {
        var rest = old
        rest.fileOffset &+= new.end - old.start
        rest.start = new.end
        tail = rest
      }
      last += 1
    }
    replacement.append(new)
    if let tail { replacement.append(tail) }
    mappings.replaceSubrange(first..<last, with: replacement)
  }

  /// The mapping that holds `address`.
  public func mapping(at address: UInt64) -> CodeMapping? {
    let index = index(endingAfter: address)
    guard index < mappings.count, mappings[index].start <= address else { return nil }
    return mappings[index]
  }

  /// Index of the first mapping whose end lies above `address`.
  private func index(endingAfter address: UInt64) -> Int {
    var low = 0
    var high = mappings.count
    while low < high {
      let middle = (low + high) / 2
      if mappings[middle].end > address { high = middle } else { low = middle + 1 }
    }
    return low
  }
}

/// Numbers address spaces, across the repetitions of a profile.
public final class InstanceCounter {
  private var last = 0

  /// Starts at 1.
  public init() {}

  func next() -> Int {
    last += 1
    return last
  }
}

/// The address spaces of a process tree.
public final class AddressSpaces {
  private var spaces: [Int32: AddressSpace] = [:]
  /// Processes that ended, oldest first: their last samples may still come, so the latest of them are kept.
  private var ended: [(pid: Int32, instance: Int)] = []
  private static let keptAfterEnd = 256
  private let instances: InstanceCounter
  private let procRoot: String

  /// Keeps spaces; `procRoot` is where `/proc` is. What shares a symbolizer must share the counter.
  public init(procRoot: String = "/proc", instances: InstanceCounter = InstanceCounter()) {
    self.procRoot = procRoot
    self.instances = instances
  }

  /// Applies a record; records come in time order. Samples and lost records change nothing.
  public func apply(_ record: PerfRecord) {
    switch record {
    case .mapping(let mapping):
      let (end, overflow) = mapping.address.addingReportingOverflow(mapping.length)
      guard !overflow else { return }
      space(of: mapping.pid).insert(
        CodeMapping(start: mapping.address, end: end, fileOffset: mapping.pageOffset, path: mapping.path))
    case .name(let pid, _, _, let isExec, _):
      if isExec { spaces[pid] = AddressSpace(pid: pid, instance: instances.next()) }
    case .fork(let pid, let parentPID, _, _, _):
      guard pid != parentPID else { return }
      spaces[pid] = AddressSpace(pid: pid, instance: instances.next(), copying: space(of: parentPID))
    case .exit(let pid, _, let tid, _, _):
      guard pid == tid, let space = spaces[pid] else { return }
      ended.append((pid, space.instance))
      if ended.count > Self.keptAfterEnd {
        let oldest = ended.removeFirst()
        // An exec or a new process under the same id is another instance: that one lives.
        if spaces[oldest.pid]?.instance == oldest.instance { spaces[oldest.pid] = nil }
      }
    case .sample, .contextSwitch, .lost:
      break
    }
  }

  /// The space of a process. One that no record told of was there before: its mappings are read from `/proc`.
  public func space(of pid: Int32) -> AddressSpace {
    if let space = spaces[pid] { return space }
    let space = AddressSpace(
      pid: pid, instance: instances.next(), mappings: ProcMaps.executableMappings(pid: pid, procRoot: procRoot))
    spaces[pid] = space
    return space
  }
}
