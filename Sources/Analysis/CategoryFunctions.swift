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

extension CategoryFunctions {
  /// How many functions and kernels are listed a category.
  static let limit = 20

  static func of(_ tree: CallTree, _ run: Run) -> Measured<[CategoryFunctions]> {
    guard !run.data.kernels.isEmpty || tree.nanoseconds > 0 else { return .unavailable(run.noSamples) }
    let basis: Basis = run.data.kernels.isEmpty ? .functionName : .tracedKernel
    let categoryOfKernel = Dictionary(run.data.kernels.map { ($0.id, $0.category) }) { first, _ in first }

    var functions: [KernelCategory: [Int: Tally]] = [:]
    if basis == .functionName {
      var byFunction: [Int: Tally] = [:]
      for (sample, node) in zip(run.data.samples, tree.leaf) {
        byFunction[Int(tree.physical[Int(node)]), default: Tally()].add(sample)
      }
      for (function, tally) in byFunction {
        functions[tree.category(function), default: [:]][function] = tally
      }
    } else {
      for (sample, node) in zip(run.data.samples, tree.leaf) {
        guard let category = sample.kernel.flatMap({ categoryOfKernel[$0] }) else { continue }
        functions[category, default: [:]][Int(tree.physical[Int(node)]), default: Tally()].add(sample)
      }
    }
    let kernels = Dictionary(grouping: run.mainKernels, by: \.category)
    let rows = Set(kernels.keys).union(functions.keys).map {
      row($0, kernels[$0] ?? [], functions[$0] ?? [:], tree, basis)
    }.sorted {
      ($1.nanoseconds, $1.samples, $0.category.rawValue) < ($0.nanoseconds, $0.samples, $1.category.rawValue)
    }
    let detail = run.data.samples.isEmpty ? "kernels only: no samples were taken" : run.sampling.detail
    return Measured(rows, .sampled, detail: detail)
  }

  private static func row(
    _ category: KernelCategory, _ kernels: [KernelRecord], _ functions: [Int: Tally], _ tree: CallTree, _ basis: Basis
  ) -> CategoryFunctions {
    let time = kernels.sum { max(0, $0.selfNanoseconds) }
    let groups = KernelHotspots.group(kernels) { $0.name }
      .sorted { ($1.nanoseconds, $0.item.kernels[0].name) < ($0.nanoseconds, $1.item.kernels[0].name) }
    let sampled = functions.values.reduce(into: Tally()) { $0.add($1) }
    let ranked = functions.sorted {
      ($1.value.nanoseconds, tree.functions[$0.key].name) < ($0.value.nanoseconds, tree.functions[$1.key].name)
    }
    return CategoryFunctions(
      category: category, nanoseconds: time, samples: sampled.samples,
      functions: ranked.prefix(limit).map { index, tally in
        let share = fraction(tally.nanoseconds, of: sampled.nanoseconds)
        return Function(
          function: tree.functions[index].name, module: tree.functions[index].module, samples: tally.samples,
          nanoseconds: tally.nanoseconds, share: share,
          interval: Statistics.wilson(share, count: sampled.samples))
      },
      functionCount: ranked.count,
      kernels: groups.prefix(limit).map { group, nanoseconds in
        Kernel(
          name: group.kernels[0].name, nanoseconds: nanoseconds, share: fraction(nanoseconds, of: time),
          calls: group.kernels.sum(\.calls))
      },
      kernelCount: groups.count, basis: basis)
  }
}
