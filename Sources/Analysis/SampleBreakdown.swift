// Where did CPU time go by native code? For any program, traced or not: from the samples alone.
import ProfileModel

/// CPU time by what the sampled function is, all threads together.
public struct SampleBreakdown: Codable, Sendable, Equatable {
  /// A part of the samples.
  public struct Part: Codable, Sendable, Equatable {
    /// Name of the part: a category, a module's file name, a kind of code, a thread.
    public var name: String
    /// Number of samples.
    public var samples: Int64
    /// CPU time that they stand for.
    public var nanoseconds: Int64
    /// Share of all sampled CPU time, 0…1.
    public var share: Double
    /// Sampling error of the share.
    public var interval: Interval
  }
  /// Number of samples.
  public var samples: Int64
  /// CPU time that they stand for.
  public var nanoseconds: Int64
  /// By category of the function (or of the traced kernel that ran), most time first.
  public var categories: [Part]
  /// By module (library, executable, `[kernel]`), most time first.
  public var modules: [Part]
  /// User, operating-system kernel, run-time generated, unknown.
  public var kinds: [Part]
  /// By thread name, most time first.
  public var threads: [Part]
  /// Share of samples whose function has no name, 0…1.
  public var unnamedShare: Double
  /// How the samples were taken.
  public var provenance: Provenance
}
