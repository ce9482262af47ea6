// Which calls lead to the CPU time? A merged call tree, pruned to what can be seen, for an icicle or flame graph.
import ProfileModel

/// A merged call tree in flat form: parents come before their children, siblings from the heaviest to the lightest.
public struct FlameGraph: Codable, Sendable, Equatable {
  /// A function called along one path.
  public struct Node: Codable, Sendable, Equatable {
    /// Index into ``FlameGraph/functions``.
    public var function: Int
    /// Index of the caller's node; `nil` for a root.
    public var parent: Int?
    /// 0 for a root.
    public var depth: Int
    /// CPU time in it and all that it calls.
    public var nanoseconds: Int64
    /// CPU time in it alone.
    public var selfNanoseconds: Int64
  }
  /// A function's names, shared by the nodes.
  public struct Function: Codable, Sendable, Equatable {
    /// Demangled name.
    public var name: String
    /// Library or executable (path), `[kernel]`, `[jit]`.
    public var module: String
    /// Where the code lives.
    public var kind: Frame.Kind
  }
  /// The functions that nodes refer to.
  public var functions: [Function]
  /// The nodes, depth first.
  public var nodes: [Node]
  /// CPU time of all samples.
  public var totalNanoseconds: Int64
  /// Nodes below this share of the total are left out, 0…1; their time stays in their callers.
  public var threshold: Double
  /// Number of nodes left out.
  public var prunedCount: Int
}
