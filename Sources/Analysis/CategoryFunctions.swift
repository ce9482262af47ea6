// Which functions and kernels make up each category (the technical report's Table 7)?
import ProfileModel

/// One row of Table 7.
public struct CategoryFunctions: Codable, Sendable, Equatable {
  /// A native function that ran on behalf of the category's kernels.
  public struct Function: Codable, Sendable, Equatable {
    /// Demangled name.
    public var function: String
    /// Library or executable (path), `[kernel]`, `[jit]`.
    public var module: String
    /// Samples in it while a kernel of the category ran, worker threads included.
    public var samples: Int64
    /// CPU time that they stand for.
    public var nanoseconds: Int64
    /// Share of the category's sampled CPU time, 0…1.
    public var share: Double
    /// Sampling error of the share.
    public var interval: Interval
  }
  /// A kernel of the category.
  public struct Kernel: Codable, Sendable, Equatable {
    /// Operation name.
    public var name: String
    /// Its self time on the main thread.
    public var nanoseconds: Int64
    /// Share of the category's kernel time, 0…1.
    public var share: Double
    /// Number of calls.
    public var calls: Int64
  }
  /// The category.
  public var category: KernelCategory
  /// Self time of its kernels on the main thread; 0 where the rows come from function names alone.
  public var nanoseconds: Int64
  /// Samples attributed to it.
  public var samples: Int64
  /// The hottest native functions, most time first; empty when there were no samples.
  public var functions: [Function]
  /// Number of functions with samples, also of those not listed.
  public var functionCount: Int
  /// The kernels, most time first.
  public var kernels: [Kernel]
  /// Number of kernels by name, also of those not listed.
  public var kernelCount: Int
  /// How functions came to this category.
  public var basis: Basis

  /// How functions came to a category.
  public enum Basis: String, Codable, Sendable, Equatable {
    /// They were sampled while a traced kernel of the category ran.
    case tracedKernel = "traced kernel"
    /// By their own name: nothing was traced.
    case functionName = "function name"
  }
}
