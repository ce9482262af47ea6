// Which native functions take most of the CPU time, and how sure are the shares?
import ProfileModel

/// A native function.
public struct FunctionSubject: Codable, Sendable, Equatable {
  /// Demangled name.
  public var function: String
  /// Library or executable (path), `[kernel]`, `[jit]`.
  public var module: String
  /// Where the code lives.
  public var kind: Frame.Kind
  /// Category by its name.
  public var category: KernelCategory
  /// Source file, where debug information tells.
  public var file: String?
  /// Samples whose innermost function it was.
  public var samples: Int64
  /// Sampling error of its share of self time.
  public var interval: Interval
  /// CPU time of samples with the function anywhere in the stack, once per sample however often it recurs.
  public var inclusiveNanoseconds: Int64
  /// That as a share of all sampled CPU time, 0…1.
  public var inclusiveShare: Double
}

/// Native functions by CPU time in samples, all threads together.
public struct FunctionHotspots: Codable, Sendable, Equatable {
  /// By self time; code inlined into a function is its own, as `perf report` counts.
  public var byFunction: HotspotRanking<FunctionSubject>
  /// By self time with inlined functions on their own; `nil` where no debug information told of any.
  public var byInlinedFunction: HotspotRanking<FunctionSubject>?
  /// By inclusive time, most first, up to a limit. Shares overlap, so there is no cumulative share.
  public var byInclusive: [FunctionSubject]
  /// Number of samples.
  public var samples: Int64
  /// How the samples were taken.
  public var provenance: Provenance
}
