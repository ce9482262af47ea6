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

extension FunctionHotspots {
  static func of(_ tree: CallTree, _ run: Run) -> Measured<FunctionHotspots> {
    guard tree.nanoseconds > 0 else { return .unavailable(run.noSamples) }
    return .measured(FunctionHotspots(tree, run.sampling), run.sampling)
  }

  /// How many functions are listed by inclusive time.
  static let inclusiveLimit = 100

  init(_ tree: CallTree, _ provenance: Provenance) {
    let inclusive = tree.inclusive()
    func tallies(_ function: [Int32]) -> [Tally] {
      var result = [Tally](repeating: Tally(), count: tree.functions.count)
      for node in tree.parent.indices {
        result[Int(function[node])].add(
          Tally(samples: tree.selfSamples[node], nanoseconds: tree.selfNanoseconds[node]))
      }
      return result
    }
    func subject(_ index: Int, _ tallies: [Tally]) -> FunctionSubject {
      let function = tree.functions[index]
      return FunctionSubject(
        function: function.name, module: function.module, kind: function.kind,
        category: tree.category(index), file: function.file, samples: tallies[index].samples,
        interval: Statistics.wilson(fraction(tallies[index].nanoseconds, of: tree.nanoseconds), count: tree.samples),
        inclusiveNanoseconds: inclusive[index], inclusiveShare: fraction(inclusive[index], of: tree.nanoseconds))
    }
    func ranking(_ tallies: [Tally]) -> HotspotRanking<FunctionSubject> {
      HotspotRanking(tallies.indices.map { ($0, tallies[$0].nanoseconds) }) { subject($0, tallies) }
    }
    let physical = tallies(tree.physical)
    byFunction = ranking(physical)
    byInlinedFunction = tree.hasInlined ? ranking(tallies(tree.function)) : nil
    byInclusive = inclusive.indices.filter { inclusive[$0] > 0 }
      .sorted { (inclusive[$1], $0) < (inclusive[$0], $1) }
      .prefix(Self.inclusiveLimit).map { subject($0, physical) }
    samples = tree.samples
    self.provenance = provenance
  }
}
