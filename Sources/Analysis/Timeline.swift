// What did processes and threads do over time, and does each thread's time add up?
import ProfileModel

/// Processes, threads and machine use over time.
public struct Timeline: Codable, Sendable, Equatable {
  /// What a thread can be doing.
  public enum ThreadState: String, Codable, Sendable, Equatable, CaseIterable {
    case running
    /// Waiting for a CPU.
    case runnable
    /// Blocked on a lock, condition variable or barrier.
    case lock = "blocked on a lock"
    /// Blocked on storage, network, pipe or terminal.
    case io = "blocked on I/O"
    /// Asleep by its own wish.
    case sleeping
    /// Blocked, and why is not known.
    case other = "blocked, cause unknown"
  }
  /// Time in one state.
  public struct StateTime: Codable, Sendable, Equatable {
    /// The state.
    public var state: ThreadState
    /// The time; unavailable where the state could not be told from the others.
    public var nanoseconds: Measured<Int64>
    /// Share of the thread's (or all threads') life, 0…1; `nil` where the time is not known.
    public var share: Double?
  }
  /// One thread.
  public struct ThreadLife: Codable, Sendable, Equatable {
    /// Process id.
    public var pid: Int32
    /// Thread id.
    public var tid: Int32
    /// The parent process.
    public var parentPID: Int32
    /// Last name.
    public var name: String
    /// Whether it is its process's first thread.
    public var isMain: Bool
    /// Begin, nanoseconds since exec.
    public var startNanoseconds: Int64
    /// End, nanoseconds since exec.
    public var endNanoseconds: Int64
    /// Time by state, in the order of ``ThreadState``.
    public var states: [StateTime]
    /// Life less the known states; negative when they exceed it.
    public var unaccountedNanoseconds: Int64
    /// Exit status, where known.
    public var exitStatus: Int32?
  }
  /// One time series, thinned for drawing.
  public struct Plot: Codable, Sendable, Equatable {
    /// Points in a row taken together.
    public struct Point: Codable, Sendable, Equatable {
      /// Middle of the interval, nanoseconds since exec.
      public var timeNanoseconds: Int64
      /// Mean of the points.
      public var mean: Double
      /// Least value.
      public var minimum: Double
      /// Greatest value.
      public var maximum: Double
    }
    /// The series' name: `cpu.use`, `memory.rss`.
    public var name: String
    /// Its unit.
    public var unit: String
    /// Where its points come from.
    public var provenance: Provenance
    /// The points, at most a few hundred.
    public var points: [Point]
    /// Number of points before thinning.
    public var originalCount: Int
    /// Mean of all points.
    public var mean: Double
    /// Least value.
    public var minimum: Double
    /// Greatest value.
    public var maximum: Double
  }
  /// Exec to exit.
  public var wallNanoseconds: Int64
  /// Threads by start, the longest-running kept when there are very many.
  public var threads: [ThreadLife]
  /// Threads that are not listed (they are in the totals).
  public var omittedThreadCount: Int
  /// Number of processes.
  public var processCount: Int
  /// Life of all threads together.
  public var threadNanoseconds: Int64
  /// Time of all threads by state, in the order of ``ThreadState``.
  public var totals: [StateTime]
  /// All threads' life less the known states.
  public var unaccountedNanoseconds: Int64
  /// Whether the states add up to the threads' life within 1 %; unavailable when no state was measured.
  public var addsUp: Measured<Bool>
  /// Time series.
  public var series: [Plot]
}
