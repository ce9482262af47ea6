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

extension SampleBreakdown {
  /// The part of samples that no traced kernel was running for, in a run that traced kernels.
  public static let outsideKernels = "outside kernels"

  static func of(_ tree: CallTree, _ run: Run) -> Measured<SampleBreakdown> {
    guard tree.nanoseconds > 0 else { return .unavailable(run.noSamples) }
    return .measured(SampleBreakdown(tree, run), run.sampling)
  }

  private init(_ tree: CallTree, _ run: Run) {
    samples = tree.samples
    nanoseconds = tree.nanoseconds
    provenance = run.sampling

    let isTraced = !run.data.kernels.isEmpty
    let categoryOfKernel = Dictionary(run.data.kernels.map { ($0.id, $0.category) }) { first, _ in first }
    var names: [Int64: String] = [:]
    for thread in run.data.threads { names[Self.key(thread.pid, thread.tid)] = thread.name }

    var byFunction = [Tally](repeating: Tally(), count: tree.functions.count)
    var byCategory: [String: Tally] = [:]
    var byThread: [String: Tally] = [:]
    for (sample, node) in zip(run.data.samples, tree.leaf) {
      let function = Int(tree.physical[Int(node)])
      byFunction[function].add(sample)
      let category: String
      if isTraced {
        category = sample.kernel.flatMap { categoryOfKernel[$0] }?.rawValue ?? Self.outsideKernels
      } else {
        category = tree.category(function).rawValue
      }
      byCategory[category, default: Tally()].add(sample)
      byThread[names[Self.key(sample.pid, sample.tid)] ?? "thread \(sample.tid)", default: Tally()].add(sample)
    }
    var byModule: [String: Tally] = [:]
    var byKind: [Frame.Kind: Tally] = [:]
    for (function, tally) in zip(tree.functions, byFunction) where tally.samples > 0 || tally.nanoseconds > 0 {
      byModule[Self.fileName(function.module), default: Tally()].add(tally)
      byKind[function.kind, default: Tally()].add(tally)
    }
    let (samples, total) = (tree.samples, tree.nanoseconds)
    func parts(_ tallies: [String: Tally]) -> [Part] {
      tallies.map { name, tally in
        let share = fraction(tally.nanoseconds, of: total)
        return Part(
          name: name, samples: tally.samples, nanoseconds: tally.nanoseconds, share: share,
          interval: Statistics.wilson(share, count: samples))
      }.sorted { ($1.nanoseconds, $0.name) < ($0.nanoseconds, $1.name) }
    }
    categories = parts(byCategory)
    modules = parts(byModule)
    threads = parts(byThread)
    kinds = parts(Dictionary(uniqueKeysWithValues: byKind.map { ($0.key.rawValue, $0.value) }))
    unnamedShare = fraction(byKind[.unknown]?.nanoseconds ?? 0, of: total)
  }

  private static func key(_ pid: Int32, _ tid: Int32) -> Int64 {
    Int64(pid) << 32 | Int64(UInt32(bitPattern: tid))
  }

  /// Last component of a path; `[unknown]` for none.
  static func fileName(_ path: String) -> String {
    let name =
      path.utf8.last == UInt8(ascii: "/")
      ? path[...] : path[(path.lastIndex(of: "/").map(path.index(after:)) ?? path.startIndex)...]
    return name.isEmpty ? "[unknown]" : String(name)
  }
}

/// Samples and the CPU time that they stand for.
struct Tally {
  var samples: Int64 = 0
  var nanoseconds: Int64 = 0

  mutating func add(_ sample: SampleTotal) {
    samples.add(max(0, sample.samples))
    nanoseconds.add(max(0, sample.weightNanoseconds))
  }

  mutating func add(_ other: Tally) {
    samples.add(other.samples)
    nanoseconds.add(other.nanoseconds)
  }
}
