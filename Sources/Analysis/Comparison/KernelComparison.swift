// Which kernels take more time than before, which less, which appeared and which are gone?
import ProfileModel

/// The kernels of the main thread by name, on both sides, in time a step (training), a query (inference) or a run.
public struct KernelComparison: Codable, Sendable, Equatable {
  /// A kernel that both sides ran.
  public struct Kernel: Codable, Sendable, Equatable {
    /// Operation name.
    public var name: String
    /// The category in which it spends most of its time.
    public var category: KernelCategory
    /// Self time on both sides, nanoseconds a ``KernelComparison/unit``.
    public var contrast: Contrast
    /// Mean time of B less that of A, nanoseconds a unit.
    public var differenceNanoseconds: Double
    /// Calls a unit, mean over the repetitions.
    public var callsA: Double
    /// Calls a unit, mean over the repetitions.
    public var callsB: Double
    /// What can be said.
    public var verdict: RunComparison.Verdict
  }
  /// A kernel that one side alone ran.
  public struct Single: Codable, Sendable, Equatable {
    /// Operation name.
    public var name: String
    /// Its category.
    public var category: KernelCategory
    /// Mean self time, nanoseconds a unit.
    public var nanoseconds: Double
    /// Share of its side's kernel time, 0…1.
    public var share: Double
    /// Calls a unit, mean over the repetitions.
    public var calls: Double
  }

  /// `step`, `query` or `run`: what times and calls are divided by.
  public var unit: String
  /// Which phases count, and what was divided by what.
  public var basis: String
  /// All kernels together, nanoseconds a unit.
  public var total: Contrast
  /// What can be said of all together.
  public var totalVerdict: RunComparison.Verdict
  /// Kernels that both sides ran, the greatest difference first.
  public var kernels: [Kernel]
  /// Kernels that only B ran, the greatest time first.
  public var appeared: [Single]
  /// Kernels that only A ran, the greatest time first.
  public var vanished: [Single]
}

extension KernelComparison {
  static func of(_ one: SideSample, _ two: SideSample, length: RunLength, margin: Double) -> Measured<KernelComparison>
  {
    let sides = [one, two].enumerated().map { index, side in
      KernelTimes(side, counts: length.counts[index], phases: phases(length))
    }
    for (index, side) in [one, two].enumerated() where sides[index].repetitions == 0 {
      let why =
        side.runs.first?.run.noKernels ?? Unavailable("no repetition of \(index == 0 ? "A" : "B") came to its end")
      return .unavailable(why)
    }
    let (a, b) = (sides[0], sides[1])
    var kernels = a.names.filter { b.has($0) }.map { name in
      kernel(name, a, b, margin: margin)
    }
    let tested = kernels.indices.filter { kernels[$0].contrast.pValue.value != nil }
    let corrected = Statistics.holm(tested.compactMap { kernels[$0].contrast.pValue.value })
    for (index, p) in zip(tested, corrected) {
      kernels[index].contrast.decide(correctedP: p, margin: margin)
    }
    for index in kernels.indices { kernels[index].verdict = verdict(kernels[index].contrast) }
    // By size, then name: the same order every time.
    kernels.sort {
      (abs($1.differenceNanoseconds), $0.name) < (abs($0.differenceNanoseconds), $1.name)
    }
    let total = Contrast(a.totals, b.totals, margin: margin)
    return Measured(
      KernelComparison(
        unit: length.unit.rawValue, basis: basis(length), total: total, totalVerdict: verdict(total), kernels: kernels,
        appeared: singles(b, without: a), vanished: singles(a, without: b)),
      .clock, detail: "self time of traced kernels on the main thread, a \(length.unit.rawValue)")
  }

  /// A step's phases. Making batches is one of them, but making the data set once a run is of the same phase: where runs
  /// differ in length, that once would count as so much a step more in the shorter one.
  private static func phases(_ length: RunLength) -> Set<KernelRecord.Phase> {
    switch length.unit {
    case .run: Set(KernelRecord.Phase.allCases)
    case .query: length.isEqual ? [.forward, .data] : [.forward]
    case .step: length.isEqual ? [.forward, .backward, .optimizer, .data] : [.forward, .backward, .optimizer]
    }
  }

  private static func basis(_ length: RunLength) -> String {
    let lengths = length.isEqual ? length.words(side: 0) : "\(length.words(side: 0)) and \(length.words(side: 1))"
    switch length.unit {
    case .run: return "self time of a whole run"
    case .step:
      return "self time ÷ steps (\(lengths)), of the phases "
        + (length.isEqual
          ? "forward, backward, optimizer and data"
          : "forward, backward and optimizer; the phase data is left out, since making the data set once would weigh "
            + "more in the shorter runs")
    case .query:
      return "self time ÷ queries (\(lengths)), of the phase"
        + (length.isEqual
          ? "s forward and data, queries to warm up included"
          : " forward; queries to warm up are included and weigh more in the shorter runs")
    }
  }

  private static func kernel(_ name: String, _ a: KernelTimes, _ b: KernelTimes, margin: Double) -> Kernel {
    let contrast = Contrast(a.values(name), b.values(name), margin: margin)
    return Kernel(
      name: name, category: b.category(name), contrast: contrast,
      differenceNanoseconds: (contrast.b.mean ?? 0) - (contrast.a.mean ?? 0), callsA: a.callsPerUnit(name),
      callsB: b.callsPerUnit(name), verdict: .cantTell)
  }

  private static func singles(_ side: KernelTimes, without other: KernelTimes) -> [Single] {
    let total = Statistics.mean(side.totals)
    return side.names.filter { !other.has($0) }.map { name in
      let mean = Statistics.mean(side.values(name))
      return Single(
        name: name, category: side.category(name), nanoseconds: mean, share: total > 0 ? mean / total : 0,
        calls: side.callsPerUnit(name))
    }.sorted { ($1.nanoseconds, $0.name) < ($0.nanoseconds, $1.name) }
  }

  private static func verdict(_ contrast: Contrast) -> RunComparison.Verdict {
    switch contrast.finding {
    case .lower: .faster
    case .higher: .slower
    case .same: .same
    case .cantTell: .cantTell
    }
  }
}

/// Time and calls of each kernel by repetition, of one side.
private struct KernelTimes {
  private struct Entry {
    var nanoseconds: [Double]
    var calls: Double = 0
    var categories: [KernelCategory: Int64] = [:]
  }
  /// Repetitions with traced kernels.
  let repetitions: Int
  /// In the order of their first appearance.
  private(set) var names: [String] = []
  /// Time of all kernels by repetition.
  private(set) var totals: [Double]
  /// By name. A kernel that a repetition did not call took no time in it.
  private var entries: [String: Entry] = [:]

  init(_ side: SideSample, counts: [Int], phases: Set<KernelRecord.Phase>) {
    let traced = zip(side.runs, counts).map { ($0.run.mainKernels.filter { phases.contains($0.phase) }, $1) }
      .filter { !$0.0.isEmpty && $0.1 > 0 }
    repetitions = traced.count
    totals = [Double](repeating: 0, count: traced.count)
    for (index, (kernels, count)) in traced.enumerated() {
      for kernel in kernels {
        let time = max(0, kernel.selfNanoseconds)
        if entries[kernel.name] == nil {
          names.append(kernel.name)
          entries[kernel.name] = Entry(nanoseconds: [Double](repeating: 0, count: traced.count))
        }
        entries[kernel.name]?.nanoseconds[index] += Double(time) / Double(count)
        entries[kernel.name]?.calls += Double(max(0, kernel.calls)) / Double(count) / Double(traced.count)
        entries[kernel.name]?.categories[kernel.category, default: 0].add(time)
        totals[index] += Double(time) / Double(count)
      }
    }
  }

  func has(_ name: String) -> Bool { entries[name] != nil }
  func values(_ name: String) -> [Double] { entries[name]?.nanoseconds ?? [] }
  func callsPerUnit(_ name: String) -> Double { entries[name]?.calls ?? 0 }
  func category(_ name: String) -> KernelCategory {
    entries[name]?.categories.max { ($0.value, $1.key.rawValue) < ($1.value, $0.key.rawValue) }?.key ?? .uncategorized
  }
}
