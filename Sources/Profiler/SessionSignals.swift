// What do signals to the profiler mean for the target?
import CPerfEvent
import Glibc

/// Signals caught while a session runs, readable from a descriptor that the event loop polls.
final class SessionSignals {
  /// One signal.
  struct Arrival: Hashable {
    var number: Int32
    /// Sent by the terminal, which sent it to the target as well.
    var isFromTerminal: Bool
  }

  let descriptor: Int32

  /// Begins to catch; `nil` when another session of this process does already.
  init?() {
    descriptor = kiviat_signals_begin()
    guard descriptor >= 0 else { return nil }
  }

  deinit { if descriptor >= 0 { kiviat_signals_end() } }

  /// The signals that came since the last call.
  func arrivals() -> [Arrival] {
    var arrivals: [Arrival] = []
    var signal = kiviat_signal()
    let size = MemoryLayout<kiviat_signal>.size
    while true {
      let bytes = try? systemCall("read") { read(descriptor, &signal, size) }
      guard bytes == size else { return arrivals }
      arrivals.append(Arrival(number: signal.number, isFromTerminal: signal.from_kernel != 0))
    }
  }
}

/// Decides what a signal leads to, as `perf stat` and `time` do it.
struct SignalPolicy {
  /// What the session does.
  enum Action: Hashable {
    /// Nothing: the target got it from the terminal, and ends when it wants to.
    case wait
    case forward(Int32)
    /// The user lost patience.
    case kill
  }

  /// Whether the user wants the run to end.
  private(set) var isInterrupted = false
  private var interrupts = 0

  /// Takes notice of a signal.
  mutating func receive(_ arrival: SessionSignals.Arrival) -> Action {
    switch arrival.number {
    case SIGINT, SIGQUIT:
      isInterrupted = true
      interrupts += 1
      if interrupts > 1 { return .kill }
    case SIGTERM, SIGHUP:
      isInterrupted = true
    default:
      break
    }
    return arrival.isFromTerminal ? .wait : .forward(arrival.number)
  }
}
