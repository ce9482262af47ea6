// Where did the main thread's wall time go? Kernel self times by category and phase, and the time outside kernels.
import ProfileModel

/// The main thread's wall time, split completely: kernels, time outside kernels, and an honest residual.
///
/// `kernelNanoseconds + outside + residual = wallNanoseconds`, exactly. Kernel times are self times, so nested
/// operations are never counted twice; kernels of other threads overlap in time and are listed apart.
public struct RuntimeBreakdown: Codable, Sendable, Equatable {
  /// Time of one category.
  public struct CategoryTime: Codable, Sendable, Equatable {
    /// The category.
    public var category: KernelCategory
    /// Whether it is one of the technical report's eight.
    public var isTechnicalReport: Bool
    /// Self time of its kernels.
    public var nanoseconds: Int64
    /// Share of the wall time, 0…1.
    public var shareOfWall: Double
    /// Share of all kernel time of the thread, 0…1.
    public var shareOfKernels: Double
    /// Number of calls.
    public var calls: Int64
  }
  /// Time of one phase.
  public struct PhaseTime: Codable, Sendable, Equatable {
    /// The phase.
    public var phase: KernelRecord.Phase
    /// Its wall time by the clock.
    public var wallNanoseconds: Measured<Int64>
    /// Self time of the kernels in it.
    public var kernelNanoseconds: Int64
    /// Wall time less kernel time: the framework, the language, waiting.
    public var outsideNanoseconds: Measured<Int64>
    /// Share of the run's wall time, 0…1: of the clocked time, or of its kernels where no clock was read.
    public var shareOfWall: Double
  }
  /// Time of one category in one phase; pairs without time are left out.
  public struct Cell: Codable, Sendable, Equatable {
    /// The category.
    public var category: KernelCategory
    /// The phase.
    public var phase: KernelRecord.Phase
    /// Self time of the kernels.
    public var nanoseconds: Int64
    /// Share of the wall time, 0…1.
    public var shareOfWall: Double
  }
  /// A part of the time outside kernels.
  public struct Outside: Codable, Sendable, Equatable {
    /// What was done in that time.
    public enum Kind: Codable, Sendable, Equatable, Hashable {
      /// From exec to the start of the traced loop.
      case startUp
      /// From the end of the traced loop to the exit.
      case exit
      /// Both together, where only their sum is known.
      case startUpAndExit
      /// In the data phase: waiting for, or making, a batch.
      case dataWait
      /// In that phase: the framework's and the program's own work between kernels.
      case framework(KernelRecord.Phase)
      /// All of it, where no phase was clocked.
      case notSplit
    }
    /// What was done in that time.
    public var kind: Kind
    /// The time.
    public var nanoseconds: Int64
    /// Share of the wall time, 0…1.
    public var shareOfWall: Double
  }
  /// Kernels of a thread that runs beside the main one, such as a prefetcher.
  public struct OtherThread: Codable, Sendable, Equatable {
    /// The traced thread's name.
    public var thread: String
    /// Self time of its kernels. Overlaps with the main thread's wall time: never add the two.
    public var nanoseconds: Int64
    /// Number of calls.
    public var calls: Int64
    /// By category, most time first; shares are of this thread's kernel time and of the wall time.
    public var categories: [CategoryTime]
  }

  /// Exec to exit.
  public var wallNanoseconds: Int64
  /// Self time of all kernels of the main thread.
  public var kernelNanoseconds: Int64
  /// Categories with time, most time first.
  public var categories: [CategoryTime]
  /// Phases with time, in the order of `KernelRecord.Phase`.
  public var phases: [PhaseTime]
  /// Categories × phases.
  public var matrix: [Cell]
  /// Time outside kernels, in order: start-up, data, framework by phase, exit.
  public var outside: [Outside]
  /// What the parts lack to (or exceed) the wall time; negative when the parts are longer.
  public var residualNanoseconds: Int64
  /// The residual as a share of the wall time, sign kept.
  public var residualShare: Double
  /// Whether the residual is within 1 % of the wall time.
  public var addsUp: Bool
  /// Whether the residual is an independent check: start-up or phases were clocked, and are not just the remainder.
  public var isChecked: Bool
  /// Share of kernel time in the technical report's eight categories, 0…1.
  public var technicalReportShareOfKernels: Double
  /// Share of kernel time in no category, 0…1.
  public var uncategorizedShareOfKernels: Double
  /// Threads traced beside the main one.
  public var otherThreads: [OtherThread]

  /// All time outside kernels.
  public var outsideNanoseconds: Int64 { outside.reduce(0) { $0 + $1.nanoseconds } }
}
