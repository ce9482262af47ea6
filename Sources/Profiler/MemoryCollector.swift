// How much memory did the process tree need at most?
import Glibc
import ProfileModel

/// Collector `memory`: the peak of the resident memory.
///
/// Two readings are made, and the larger one is the result: the largest sum over all processes at a tick, which misses
/// what lies between ticks, and the kernel's own high-water mark of the largest single process, which misses nothing
/// but does not add processes up.
public final class MemoryCollector: Collector {
  private let tree: ProcessTree
  private let files: HostFiles
  private let pageSize: Int
  private var largestSum: Int64 = 0
  private var processesAtPeak = 0
  /// The kernel's high-water mark of one process, and where it was read.
  private var highWater: (bytes: Int64, source: String)?
  /// An upper bound where nothing better is known.
  private var bound: Int64?

  /// Collector state as of now.
  public private(set) var state = CollectorState("memory", .unavailable, reason: "not started")
  /// `memory`.
  public let name = "memory"

  /// Makes a collector that shares the tree with others.
  public convenience init(tree: ProcessTree) {
    self.init(tree: tree, files: .live, pageSize: Int(getpagesize()))
  }

  init(tree: ProcessTree, files: HostFiles, pageSize: Int) {
    self.tree = tree
    self.files = files
    self.pageSize = pageSize
  }

  /// Needs nothing.
  public func prepare(_ target: TargetContext) -> CollectorState {
    state = CollectorState(
      "memory", .measured,
      method: "sum of resident sets every 100 ms, and the kernel's high-water mark of the largest process")
    return state
  }

  /// Nothing is read before the exec: the child is a copy of the profiler until then.
  public func start(monotonicNanoseconds: UInt64) {}

  /// Reads the resident sets.
  public func tick(monotonicNanoseconds now: UInt64) {
    tree.refresh(monotonicNanoseconds: now)
    let living = Array(tree.living)
    let sum = living.reduce(0) { $0 + $1.residentPages } * Int64(pageSize)
    if sum > largestSum {
      largestSum = sum
      processesAtPeak = living.count
    }
    // The mark of a process is kept by the kernel: one reading of the largest one is enough.
    guard let largest = living.max(by: { $0.residentPages < $1.residentPages }),
      let status = files.text("/proc/\(largest.pid)/status"),
      let mark = field("VmHWM", in: status)?.split(separator: " ").first.flatMap({ Int64($0) })
    else { return }
    if mark << 10 > highWater?.bytes ?? 0 { highWater = (mark << 10, "VmHWM") }
  }

  /// A process that ended has no memory any more: there is nothing to read.
  public func stop(monotonicNanoseconds now: UInt64) {}

  /// The kernel's own mark.
  public func targetReaped(_ usage: TargetUsage) {
    // The kernel carries the mark over the exec; what is not above the copy of the profiler that the child was tells
    // only that the command needed no more than that. A page more or less is the copy's own doing.
    if usage.peakResidentBytes > usage.residentBytesBeforeExec + usage.residentBytesBeforeExec / 16 {
      if usage.peakResidentBytes > highWater?.bytes ?? 0 { highWater = (usage.peakResidentBytes, "ru_maxrss") }
    } else {
      bound = usage.peakResidentBytes
    }
  }

  /// Writes `memory.peak_rss`.
  public func write(to transaction: ProfileTransaction, repetition: Int) throws {
    try transaction.quantity(peak, repetition: repetition)
  }

  /// `memory.peak_rss`, bytes.
  var peak: Quantity {
    let value: Measured<QuantityValue>
    if let highWater, highWater.bytes >= largestSum {
      value = Measured(
        .number(Double(highWater.bytes)), .kernelAccounting,
        detail: "high-water mark of the largest process (\(highWater.source))")
    } else if largestSum > 0 {
      value = Measured(
        .number(Double(largestSum)), .kernelAccounting,
        detail: "largest sum of the resident sets of \(processesAtPeak) processes, read every 100 ms")
    } else if let bound {
      value = .unavailable(
        Unavailable(
          "the command ended before the first reading; it needed at most \((bound + (1 << 20) - 1) >> 20) MiB"))
    } else {
      value = .unavailable(Unavailable("the command ended before the first reading"))
    }
    return Quantity("memory.peak_rss", unit: "B", value)
  }
}
