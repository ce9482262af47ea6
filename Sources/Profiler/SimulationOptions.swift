// What is to be simulated, and for how long?
import ProfileModel

/// An extra run of the target in Valgrind's Callgrind, after the measured ones.
public struct SimulationOptions: Sendable {
  /// The command as it is run there; a benchmark's has fewer steps than the measured one's.
  public var command: [String]
  /// Variables for it, beside those of ``ProfileOptions/environment``.
  public var environment: [String: String] = [:]
  /// Whether the program is one of ours, which tells Callgrind the iterations and kernels.
  public var isTraced = false
  /// Iterations of a traced program that are counted.
  public var iterations = 2
  /// After so many seconds the run is ended; what was counted by then is kept.
  public var limitSeconds = 600.0
  /// Seconds that the command has to end, and Callgrind to write, after it was asked to; then it is killed.
  public var graceSeconds = 30.0
  /// What the reader has to know about how this run differs from the measured one.
  public var remarks: [String] = []
  /// The processor that is simulated and whose costs the model takes.
  public var cpu: HostCPU

  /// Makes options.
  public init(command: [String], cpu: HostCPU) {
    self.command = command
    self.cpu = cpu
  }

  /// Iterations of a traced program before those that count: outside the simulator, and inside to fill its caches.
  public static let skippedIterations = 1
  /// See ``skippedIterations``.
  public static let warmingIterations = 1
}

/// What a simulated run came to.
struct SimulationResult {
  var state: CollectorState
  var quantities: [Quantity] = []
  var counts: [SimulatedCount] = []

  func writeCounts(to transaction: ProfileTransaction, repetition: Int) throws {
    for quantity in quantities { try transaction.quantity(quantity, repetition: repetition) }
    for count in counts { try transaction.simulatedCount(count, repetition: repetition) }
  }

  /// Nothing was simulated.
  static func unavailable(_ reason: String, remedy: String? = nil, method: String = "") -> SimulationResult {
    SimulationResult(
      state: CollectorState(name, .unavailable, method: method, reason: reason, remedy: remedy))
  }

  /// The name of the state.
  static let name = "simulation"
}
