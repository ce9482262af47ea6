// How is one perf event opened, with as much of the kernel's side as this user may see, and read?
import CPerfEvent
import Glibc

/// An opened event.
final class PerfEvent {
  let descriptor: FileDescriptor
  /// Whether it leaves out the kernel because the caller may not look into it.
  let isReducedToUser: Bool
  private let system: any PerfSystem

  private init(_ raw: Int32, isReducedToUser: Bool, system: any PerfSystem) {
    descriptor = FileDescriptor(raw) { system.close($0) }
    self.isReducedToUser = isReducedToUser
    self.system = system
  }

  /// Opens an event, without the kernel's part when only that is permitted.
  ///
  /// - Parameters:
  ///   - attribute: The event; where it may be reduced, `exclude_kernel` and `exclude_hv` are set on the second try.
  ///   - system: Who opens it.
  ///   - pid: The process; 0 for the calling thread.
  ///   - cpu: The only CPU to look at; −1 for all.
  ///   - leader: The first event of its group.
  ///   - mayReduce: Whether counting user mode alone still means something.
  /// - Throws: `SystemCallError` of the first try.
  static func open(
    _ attribute: perf_event_attr, on system: any PerfSystem = KernelPerf(), pid: Int32, cpu: Int32 = -1,
    leader: PerfEvent? = nil, mayReduce: Bool
  ) throws(SystemCallError) -> PerfEvent {
    let group = leader?.descriptor.raw ?? -1
    do {
      return PerfEvent(
        try system.open(attribute, pid: pid, cpu: cpu, leader: group), isReducedToUser: false, system: system)
    } catch {
      guard mayReduce, error.code == EACCES || error.code == EPERM, attribute.exclude_kernel == 0,
        attribute.exclude_user == 0
      else { throw error }
      var reduced = attribute
      reduced.exclude_kernel = 1
      reduced.exclude_hv = 1
      guard let raw = try? system.open(reduced, pid: pid, cpu: cpu, leader: group) else { throw error }
      return PerfEvent(raw, isReducedToUser: true, system: system)
    }
  }

  /// Reads `count` 64-bit words as the event's `read_format` lays them out; fewer when the event is in error state.
  func read(_ count: Int) throws(SystemCallError) -> [UInt64] { try system.read(descriptor.raw, count) }

  /// Starts it.
  func enable() throws(SystemCallError) { try system.enable(descriptor.raw) }

  /// Stops it.
  func disable() throws(SystemCallError) { try system.disable(descriptor.raw) }
}
