// How much of what this machine can do does each category of kernels use: of its arithmetic, and of each level of its memory?
import ProfileModel

/// Efficiency against ceilings that were measured on this machine, so that it needs no hardware counters.
///
/// A kernel's *level* is the memory closest to the cores that can hold the operands of one call, spread over the hardware
/// threads. It is where the bytes can come from at best, not where they were seen to come from: operands that fit into a
/// cache and are not in it make a low bandwidth efficiency. Efficiencies are ratios of times: the time that the work takes
/// at the ceiling ÷ the time that it took. So they add up over kernels of different levels.
public struct Efficiency: Codable, Sendable, Equatable {
  /// A level of the memory hierarchy.
  public struct Level: Codable, Sendable, Equatable {
    /// `L1`, `L2`, `L3`, `DRAM`.
    public var name: String
    /// Bytes that all instances which the target can use hold; `nil` for DRAM.
    public var bytes: Double?
    /// Measured bandwidth, all hardware threads together, B/s.
    public var bytesPerSecond: Double
    /// How it was measured.
    public var provenance: Provenance
  }
  /// Work of kernels whose operands one level holds.
  public struct LevelUse: Codable, Sendable, Equatable {
    /// ``Level/name``.
    public var level: String
    /// Self time of those kernels.
    public var nanoseconds: Int64
    /// Of the time of all kernels whose bytes are known, 0…1.
    public var share: Double
    /// Bytes of their operands.
    public var bytes: Double
    /// Achieved B/s.
    public var bytesPerSecond: Double
    /// Achieved ÷ the level's bandwidth.
    public var efficiency: Double
  }
  /// The efficiency of some kernels together.
  public struct Row: Codable, Sendable, Equatable {
    /// The category's or operation's name; `all kernels`.
    public var name: String
    /// Input shapes, for a kernel.
    public var shapes: String?
    /// The category; `nil` for all kernels.
    public var category: KernelCategory?
    /// Self time.
    public var nanoseconds: Int64
    /// Share of the main thread's kernel time, 0…1.
    public var shareOfKernels: Double
    /// Working time of all threads while these kernels ran ÷ (their time × hardware threads); `nil` for single kernels and
    /// where thread time was not told apart by kernels.
    public var occupancy: Double?
    /// FLOPs ÷ measured peak ÷ time, of the kernels whose FLOPs are known; `nil` when there are none.
    public var compute: Double?
    /// Time that the operands take at the bandwidth of each kernel's level ÷ time, of the kernels whose bytes are known;
    /// above 1 when they came from a closer level.
    public var bandwidth: Double?
    /// Bytes of the operands ÷ measured DRAM bandwidth ÷ time: `dram_utilization`'s analogue, an upper bound where caches serve.
    public var dram: Double?
    /// The larger of arithmetic's and the level's time for each kernel ÷ time: how close to its own roof the work runs.
    public var roof: Double?
    /// The levels that hold the operands, closest first.
    public var levels: [LevelUse]
  }
  /// The levels, closest first.
  public var levels: [Level]
  /// Peak FLOP/s, single precision.
  public var peakFlopsPerSecond: Double
  /// All kernels of the main thread.
  public var whole: Row
  /// One row a category, most time first.
  public var categories: [Row]
  /// The hottest kernels by name and shapes, most time first.
  public var kernels: [Row]
}

extension Efficiency {
  /// What a value of each kind means.
  public static let definitions: [(name: String, definition: String)] = [
    (
      "thread occupancy",
      "time in which threads work, neither spinning at a barrier nor in a page fault ÷ (time of the kernels × hardware threads)"
    ),
    ("compute efficiency", "FLOPs ÷ (time × measured peak FLOP/s)"),
    (
      "bandwidth efficiency",
      "time that the operands take at the measured bandwidth of the closest level that holds one call’s ÷ time"
    ),
    ("DRAM-bandwidth use", "bytes of the operands ÷ (time × measured DRAM bandwidth); above 1 where caches serve"),
    ("of the roof", "time at the kernel’s own limit, arithmetic or its level’s bandwidth ÷ time"),
  ]

  static func of(
    _ run: Run, roofline: Measured<Roofline>, waiting: Measured<WaitingBreakdown>
  ) -> Measured<Efficiency> {
    let kernels = run.mainKernels
    guard !kernels.isEmpty else { return .unavailable(run.noKernels) }
    // The roofline has looked whether the ceilings can be right.
    let roofs: Roofline
    switch roofline {
    case .unavailable(let why): return .unavailable(why)
    case .measured(let value, _): roofs = value
    }
    let machine = Machine(run, roofs)
    let time = kernels.sum { max(0, $0.selfNanoseconds) }
    guard time > 0 else { return .unavailable(Unavailable("the kernels took no time")) }
    var whole = Work()
    var byCategory: [KernelCategory: Work] = [:]
    var byKernel: [KernelHotspots.ShapeKey: (work: Work, category: KernelCategory)] = [:]
    for kernel in kernels where kernel.selfNanoseconds > 0 {
      let work = Work(kernel, on: machine)
      whole.add(work)
      byCategory[kernel.category, default: Work()].add(work)
      let key = KernelHotspots.ShapeKey(name: kernel.name, shapes: kernel.shapes, types: kernel.types)
      byKernel[key, default: (Work(), kernel.category)].work.add(work)
    }
    let threads = run.hardwareThreads.value
    let parts = waiting.value?.categories.value ?? []
    /// Of a category, or of all.
    func occupancy(_ category: KernelCategory?, _ nanoseconds: Int64) -> Double? {
      let own = parts.filter { category == nil ? $0.category != nil : $0.category == category }
      guard let threads, threads > 0, nanoseconds > 0, !own.isEmpty else { return nil }
      return Double(own.sum { $0.time(.working) }) / (Double(nanoseconds) * threads)
    }
    func row(_ name: String, _ shapes: String?, _ category: KernelCategory?, _ work: Work) -> Row {
      var row = work.row(name, shapes: shapes, category: category, of: time, levels: machine.levels)
      if shapes == nil { row.occupancy = occupancy(category, work.nanoseconds) }
      return row
    }
    return Measured(
      Efficiency(
        levels: machine.levels, peakFlopsPerSecond: machine.peak, whole: row("all kernels", nil, nil, whole),
        categories: byCategory.map { row($0.key.rawValue, nil, $0.key, $0.value) }
          .sorted { ($1.nanoseconds, $0.name) < ($0.nanoseconds, $1.name) },
        kernels: Array(
          byKernel.map { row($0.key.name, $0.key.shapes, $0.value.category, $0.value.work) }
            .sorted { ($1.nanoseconds, $0.name, $0.shapes ?? "") < ($0.nanoseconds, $1.name, $1.shapes ?? "") }
            .prefix(Roofline.kernelLimit))),
      .derived,
      detail:
        "FLOPs and bytes by formulas over shapes, time by the clock, ceilings of every level measured on this machine")
  }

  /// What the machine can do.
  private struct Machine {
    var levels: [Level] = []
    var peak: Double
    var doublePeak: Double

    init(_ run: Run, _ roofs: Roofline) {
      peak = roofs.peakFlopsPerSecond
      doublePeak = roofs.ceilings.first { $0.name == "ceiling.flops.f64" }?.value ?? roofs.peakFlopsPerSecond
      let threads = run.hardwareThreads.value ?? 1
      for (name, cache, isShared) in [("L1", "l1d", false), ("L2", "l2", false), ("L3", "l3", true)] {
        guard let roof = roofs.ceilings.first(where: { $0.name == "ceiling.bandwidth.\(name.lowercased())" }),
          let bytes = run.hostNumber("host.cache.\(cache)").value, bytes > 0
        else { continue }
        // Profiles that don't say who shares a cache: the first two levels belong to a core on most processors.
        let sharedBy = run.hostNumber("host.cache.\(cache).shared_by").value ?? (isShared ? threads : 1)
        let instances = max(1, (threads / max(1, sharedBy)).rounded(.up))
        levels.append(
          Level(name: name, bytes: bytes * instances, bytesPerSecond: roof.value, provenance: roof.provenance))
      }
      if let roof = roofs.ceilings.first(where: { $0.name == "ceiling.bandwidth.dram" }) {
        levels.append(Level(name: "DRAM", bytes: nil, bytesPerSecond: roof.value, provenance: roof.provenance))
      }
    }

    /// The closest level that holds so many bytes.
    func level(holding bytes: Double) -> Int {
      levels.firstIndex { $0.bytes.map { bytes <= $0 } ?? true } ?? max(0, levels.count - 1)
    }
  }

  /// Work with the times that it takes at the ceilings, in nanoseconds.
  private struct Work {
    var nanoseconds: Int64 = 0
    var (flopTime, flopIdeal) = (0.0, 0.0)
    var (byteTime, byteIdeal) = (0.0, 0.0)
    var (dramIdeal, roofTime, roofIdeal) = (0.0, 0.0, 0.0)
    /// Time and bytes by level.
    var levels: [Int: (nanoseconds: Int64, bytes: Double)] = [:]

    init() {}

    init(_ kernel: KernelRecord, on machine: Machine) {
      nanoseconds = kernel.selfNanoseconds
      let time = Double(nanoseconds)
      let types = kernel.types.lowercased()
      let isDouble = (types.contains("f64") || types.contains("double")) && !types.contains("f32")
      let flops = kernel.flops.value.flatMap { $0.isFinite && $0 >= 0 ? $0 : nil }
      let bytes = kernel.bytes.value.flatMap { $0.isFinite && $0 > 0 ? $0 : nil }
      if let flops {
        flopTime = time
        flopIdeal = flops / (isDouble ? machine.doublePeak : machine.peak) * 1e9
      }
      if let bytes, let dram = machine.levels.last {
        let level = machine.level(holding: bytes / Double(max(1, kernel.calls)))
        byteTime = time
        byteIdeal = bytes / machine.levels[level].bytesPerSecond * 1e9
        dramIdeal = bytes / dram.bytesPerSecond * 1e9
        levels[level] = (nanoseconds, bytes)
        if flops != nil {
          roofTime = time
          roofIdeal = max(flopIdeal, byteIdeal)
        }
      }
    }

    mutating func add(_ other: Work) {
      nanoseconds.add(other.nanoseconds)
      flopTime += other.flopTime
      flopIdeal += other.flopIdeal
      byteTime += other.byteTime
      byteIdeal += other.byteIdeal
      dramIdeal += other.dramIdeal
      roofTime += other.roofTime
      roofIdeal += other.roofIdeal
      for (level, work) in other.levels {
        levels[level, default: (0, 0)].nanoseconds.add(work.nanoseconds)
        levels[level, default: (0, 0)].bytes += work.bytes
      }
    }

    func row(_ name: String, shapes: String?, category: KernelCategory?, of total: Int64, levels all: [Level]) -> Row {
      func ratio(_ ideal: Double, _ time: Double) -> Double? {
        guard time > 0, (ideal / time).isFinite else { return nil }
        return ideal / time
      }
      return Row(
        name: name, shapes: shapes, category: category, nanoseconds: nanoseconds,
        shareOfKernels: fraction(nanoseconds, of: total), compute: ratio(flopIdeal, flopTime),
        bandwidth: ratio(byteIdeal, byteTime), dram: ratio(dramIdeal, byteTime), roof: ratio(roofIdeal, roofTime),
        levels: levels.sorted { $0.key < $1.key }.map { index, work in
          let rate = work.bytes / (Double(work.nanoseconds) / 1e9)
          return LevelUse(
            level: all[index].name, nanoseconds: work.nanoseconds, share: Double(work.nanoseconds) / byteTime,
            bytes: work.bytes, bytesPerSecond: rate, efficiency: rate / all[index].bytesPerSecond)
        })
    }
  }
}
