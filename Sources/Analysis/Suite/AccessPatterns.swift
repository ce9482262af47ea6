// How does a run use the machine's processors and its memory: the axes of a Kiviat diagram (the technical report's Figure 3)?
import ProfileModel

/// The axes that can be measured on a CPU without hardware counters, each the CPU's analogue of one of the report's five GPU
/// metrics. All are 1 for the best use there can be.
public enum AccessPattern: String, Codable, Sendable, CaseIterable {
  /// Working time ÷ (wall time × hardware threads): `achieved_occupancy`'s analogue. A thread that spins at a barrier is on a
  /// CPU and waits.
  case threadOccupancy = "thread occupancy"
  /// FLOP/s of the kernels ÷ the machine's measured peak: `ipc_efficiency`'s analogue.
  case computeEfficiency = "compute efficiency"
  /// Bytes of the kernels' operands a second ÷ measured DRAM bandwidth: `dram_utilization`'s analogue. Above 1 when
  /// caches served them.
  case bandwidthUse = "memory-bandwidth use"
  /// Time in kernels ÷ wall time: how much of the run computes at all.
  case kernelShare = "kernel share"
  /// User CPU time ÷ all CPU time: what the operating system does not take.
  case userShare = "user-mode share"

  /// What it is, with its formula.
  public var definition: String {
    switch self {
    case .threadOccupancy:
      "time in which threads work (on a CPU, and neither spinning at a barrier nor in a page fault) ÷ (wall time × hardware threads)"
    case .computeEfficiency: "FLOPs of the kernels ÷ kernel time ÷ measured peak FLOP/s"
    case .bandwidthUse:
      "bytes of the kernels’ operands ÷ kernel time ÷ measured DRAM bandwidth; above 1 where caches serve"
    case .kernelShare: "self time of the main thread’s kernels ÷ wall time"
    case .userShare: "user CPU time ÷ (user + system) CPU time"
    }
  }

  /// The metric of the technical report that it stands for on a CPU; `nil` where the report has none.
  public var reportMetric: String? {
    switch self {
    case .threadOccupancy: "achieved_occupancy"
    case .computeEfficiency: "ipc_efficiency"
    case .bandwidthUse: "dram_utilization"
    case .kernelShare, .userShare: nil
    }
  }

  /// All axes of a run.
  static func all(
    of run: Run, roofline: Measured<Roofline>, waiting: Measured<WaitingBreakdown>
  ) -> [NamedQuantity] {
    allCases.map {
      NamedQuantity($0.rawValue, label: $0.rawValue, unit: "share", $0.value(of: run, roofline, waiting))
    }
  }

  private func value(
    of run: Run, _ roofline: Measured<Roofline>, _ waiting: Measured<WaitingBreakdown>
  ) -> Measured<Double> {
    let kernels = run.mainKernels
    let time = Double(kernels.sum { max(0, $0.selfNanoseconds) })
    let noKernels: Unavailable? = kernels.isEmpty || time <= 0 ? run.noKernels : nil
    let wall = Double(run.wall)
    switch self {
    case .threadOccupancy:
      guard wall > 0 else { return .unavailable(Unavailable("the run has no end")) }
      if let useful = waiting.value?.usefulOccupancy, useful.value != nil { return useful }
      // Without samples or thread states nobody knows which part of it was spent spinning.
      return .combine(
        run.cpuTime, run.hardwareThreads,
        detail: "CPU time ÷ (wall time × hardware threads), spinning at barriers and page faults included"
      ) { $0 / (wall * $1) }
    case .kernelShare:
      if let noKernels { return .unavailable(noKernels) }
      guard wall > 0 else { return .unavailable(Unavailable("the run has no end")) }
      return Measured(time / wall, .derived, detail: definition)
    case .userShare:
      return .combine(run.number("cpu.user"), run.number("cpu.system"), detail: definition) { $0 / ($0 + $1) }
    case .computeEfficiency, .bandwidthUse:
      if let noKernels { return .unavailable(noKernels) }
      let roofs: Roofline
      switch roofline {
      case .unavailable(let why): return .unavailable(why)
      case .measured(let value, _): roofs = value
      }
      let work = kernels.reduce(0.0) { sum, kernel in
        let value = self == .computeEfficiency ? kernel.flops.value : kernel.bytes.value
        return sum + (value.map { $0.isFinite && $0 > 0 ? $0 : 0 } ?? 0)
      }
      let peak = self == .computeEfficiency ? roofs.peakFlopsPerSecond : roofs.peakBytesPerSecond
      let result = work / (time / 1e9) / peak
      guard result.isFinite else { return .unavailable(Unavailable("not a number in this profile")) }
      return Measured(result, .derived, detail: definition)
    }
  }
}
