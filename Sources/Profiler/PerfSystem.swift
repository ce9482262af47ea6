// What is asked of the kernel's perf events? The system calls and nothing more, so that a test can be any kernel and CPU.
import CPerfEvent
import Glibc

/// The calls of perf events. ``KernelPerf`` makes them; tests hand in a PMU that they simulate.
protocol PerfSystem: Sendable {
  /// Opens an event, closed on exec, and gives its descriptor.
  ///
  /// - Parameters:
  ///   - attribute: The event.
  ///   - pid: The process; 0 for the calling thread, −1 for all.
  ///   - cpu: The only CPU to look at; −1 for all.
  ///   - leader: The descriptor of the first event of its group; −1 for none.
  func open(_ attribute: perf_event_attr, pid: Int32, cpu: Int32, leader: Int32) throws(SystemCallError) -> Int32
  /// Reads up to `count` 64-bit words, laid out as `read_format` says; none when the event is in error state.
  func read(_ descriptor: Int32, _ count: Int) throws(SystemCallError) -> [UInt64]
  /// Starts counting or sampling.
  func enable(_ descriptor: Int32) throws(SystemCallError)
  /// Stops it.
  func disable(_ descriptor: Int32) throws(SystemCallError)
  /// Closes an event.
  func close(_ descriptor: Int32)
}

/// This machine's kernel.
struct KernelPerf: PerfSystem {
  func open(_ attribute: perf_event_attr, pid: Int32, cpu: Int32, leader: Int32) throws(SystemCallError) -> Int32 {
    var attribute = attribute
    return try systemCall("perf_event_open") {
      kiviat_perf_event_open(&attribute, pid, cpu, leader, KernelABI.closeOnExec)
    }
  }

  func read(_ descriptor: Int32, _ count: Int) throws(SystemCallError) -> [UInt64] {
    var words = [UInt64](repeating: 0, count: count)
    let bytes = try systemCall("read") {
      words.withUnsafeMutableBytes { Glibc.read(descriptor, $0.baseAddress, $0.count) }
    }
    return Array(words.prefix(bytes / 8))
  }

  func enable(_ descriptor: Int32) throws(SystemCallError) {
    try systemCall("ioctl(PERF_EVENT_IOC_ENABLE)") { kiviat_perf_enable(descriptor) }
  }

  func disable(_ descriptor: Int32) throws(SystemCallError) {
    try systemCall("ioctl(PERF_EVENT_IOC_DISABLE)") { kiviat_perf_disable(descriptor) }
  }

  func close(_ descriptor: Int32) { Glibc.close(descriptor) }
}
