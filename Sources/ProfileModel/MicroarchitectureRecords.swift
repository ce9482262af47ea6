// The records that came with version 2: time by state, events by kernel, simulated counts. Column meanings: docs/profile-format.md.

/// What a thread does or waits for.
public enum TimeState: String, Hashable, Codable, Sendable, CaseIterable {
  /// On a CPU, and none of the two below.
  case working
  /// On a CPU, spinning in a barrier or lock of a threading runtime (OpenMP) until others get there.
  case spinning
  /// On a CPU, in the kernel's service of a page fault.
  case pageFault = "page fault"
  /// Ready, and waiting for a CPU.
  case runnable
  /// Blocked on a lock, condition variable or barrier (futex).
  case lock
  /// Blocked on storage, network, pipe or terminal.
  case io = "I/O"
  /// Asleep by its own wish: timers, waiting for a child.
  case sleeping
  /// Blocked, and why is not known.
  case other
}

/// A part of one thread's time. All parts of a thread add up to its life.
public struct ThreadTime: Hashable, Codable, Sendable {
  /// Process id.
  public var pid: Int32
  /// Thread id.
  public var tid: Int32
  /// When the thread began, nanoseconds since exec: ids are used again (``ThreadRecord/startNanoseconds``).
  public var startNanoseconds: Int64
  /// The phase of the traced main thread meanwhile; `nil` where nothing is traced.
  public var phase: KernelRecord.Phase?
  /// The category of the kernel that the traced main thread ran meanwhile; `nil` outside any.
  public var category: KernelCategory?
  /// What the thread did.
  public var state: TimeState
  /// How long.
  public var nanoseconds: Int64
  /// How it is known: by the scheduler (`software counter`), by looks or samples (`sampled`).
  public var provenance: Provenance

  /// Makes a part.
  public init(
    pid: Int32, tid: Int32, startNanoseconds: Int64, phase: KernelRecord.Phase?, category: KernelCategory?,
    state: TimeState, nanoseconds: Int64, provenance: Provenance
  ) {
    self.pid = pid
    self.tid = tid
    self.startNanoseconds = startNanoseconds
    self.phase = phase
    self.category = category
    self.state = state
    self.nanoseconds = nanoseconds
    self.provenance = provenance
  }
}

/// What happened in all calls of one traced kernel, self only, all threads that worked for it.
public struct KernelCounter: Hashable, Codable, Sendable {
  /// ``KernelRecord/id``.
  public var kernel: Int64
  /// As ``CounterTotal/event``.
  public var event: String
  /// As ``CounterTotal/unit``.
  public var unit: String
  /// The count.
  public var value: Measured<Double>
  /// As ``CounterTotal/interval``.
  public var interval: ClosedRange<Double>?

  /// Makes a count.
  public init(
    kernel: Int64, event: String, unit: String = "1", value: Measured<Double>, interval: ClosedRange<Double>? = nil
  ) {
    self.kernel = kernel
    self.event = event
    self.unit = unit
    self.value = value
    self.interval = interval
  }
}

/// What a simulator counted in a run of its own, never on this machine's processor (provenance `simulated`).
public struct SimulatedCount: Hashable, Codable, Sendable {
  /// What the count is of.
  public enum Scope: String, Hashable, Codable, Sendable, CaseIterable {
    /// All that was simulated.
    case total
    /// The kernels of a category, native code that they call included.
    case category
    /// One native function, self only, while a kernel of the category ran (or in all, where nothing is traced).
    case function
  }
  /// What the count is of.
  public var scope: Scope
  /// The kernels' category; `nil` outside any kernel and for a total.
  public var category: KernelCategory?
  /// The function's name; empty in other scopes.
  public var name: String
  /// Library or executable of the function; empty in other scopes.
  public var module: String
  /// The simulator's event: Callgrind's `Ir`, `Dr`, `Dw`, `I1mr`, `D1mr`, `D1mw`, `ILmr`, `DLmr`, `DLmw`, `Bc`, `Bcm`, `Bi`, `Bim`.
  public var event: String
  /// How often.
  public var value: Double

  /// Makes a count.
  public init(
    scope: Scope, category: KernelCategory? = nil, name: String = "", module: String = "", event: String, value: Double
  ) {
    self.scope = scope
    self.category = category
    self.name = name
    self.module = module
    self.event = event
    self.value = value
  }
}
