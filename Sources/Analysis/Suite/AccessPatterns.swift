// How does a run use the machine's processors and its memory: the axes of a Kiviat diagram (the technical report's Figure 3)?
import ProfileModel

/// The axes of a CPU: the analogues of the report's five GPU metrics where a processor's counters or a simulator's tell them,
/// else what can be measured without. All are 1 for the best use there can be.
public enum AccessPattern: String, Codable, Sendable, CaseIterable {
  /// Working time ÷ (wall time × hardware threads): `achieved_occupancy`'s analogue. A thread that spins at a barrier is on a
  /// CPU and waits.
  case threadOccupancy = "thread occupancy"
  /// FLOP/s of the kernels ÷ the machine's measured peak: `ipc_efficiency`'s analogue.
  case computeEfficiency = "compute efficiency"
  /// Bytes of the kernels' operands a second ÷ measured DRAM bandwidth: `dram_utilization`'s analogue. Above 1 when
  /// caches served them.
  case bandwidthUse = "memory-bandwidth use"
  /// Instructions a cycle ÷ what the core takes in: `ipc_efficiency`, by hardware counters.
  case ipcEfficiency = "IPC efficiency"
  /// What stands for `gld_efficiency` on this processor, by hardware counters.
  case loadEfficiency = "load efficiency"
  /// What stands for `gst_efficiency` on this processor, by hardware counters.
  case storeEfficiency = "store efficiency"
  /// `dram_utilization`, by the memory controllers or an estimate from the core's counters.
  case dramUtilization = "DRAM utilization"
  /// Share of the modelled cycles in which instructions flow at full width; by a simulator's counts.
  case simulatedIPCEfficiency = "IPC efficiency, simulated"
  /// Loads that hit the first level ÷ loads; by a simulator's counts.
  case simulatedLoadEfficiency = "load efficiency, simulated"
  /// Stores that hit the first level ÷ stores; by a simulator's counts.
  case simulatedStoreEfficiency = "store efficiency, simulated"
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
    case .ipcEfficiency: "instructions ÷ cycles ÷ instructions that the core takes in a cycle, by hardware counters"
    case .loadEfficiency:
      "what stands for global load efficiency on this processor (kiviat list metrics), by hardware counters"
    case .storeEfficiency:
      "what stands for global store efficiency on this processor (kiviat list metrics), by hardware counters"
    case .dramUtilization:
      "bytes of the memory controllers, or an estimate from the core’s misses, ÷ time ÷ measured DRAM bandwidth"
    case .simulatedIPCEfficiency: "simulated: instructions ÷ issue width ÷ modelled cycles"
    case .simulatedLoadEfficiency: "simulated: 1 − D1mr ÷ Dr"
    case .simulatedStoreEfficiency: "simulated: 1 − D1mw ÷ Dw"
    case .kernelShare: "self time of the main thread’s kernels ÷ wall time"
    case .userShare: "user CPU time ÷ (user + system) CPU time"
    }
  }

  /// The metric of the technical report that it stands for on a CPU; `nil` where the report has none.
  public var reportMetric: String? {
    switch self {
    case .threadOccupancy: "achieved_occupancy"
    case .computeEfficiency, .ipcEfficiency, .simulatedIPCEfficiency: "ipc_efficiency"
    case .loadEfficiency, .simulatedLoadEfficiency: "gld_efficiency"
    case .storeEfficiency, .simulatedStoreEfficiency: "gst_efficiency"
    case .bandwidthUse, .dramUtilization: "dram_utilization"
    case .kernelShare, .userShare: nil
    }
  }

  /// What a run's axes are computed from.
  struct Sources {
    var roofline: Measured<Roofline>
    var waiting: Measured<WaitingBreakdown>
    var metrics: MetricSummary
    var simulation: Measured<SimulatedStalls>
  }

  /// The axes of a run: those of the report's five metrics by hardware counters, else by a simulator's, else what needs
  /// neither. Which they are depends on what was counted, never on the values.
  static func all(of run: Run, _ sources: Sources) -> [NamedQuantity] {
    let hardware: [AccessPattern] = [.ipcEfficiency, .loadEfficiency, .storeEfficiency, .dramUtilization]
    let simulated: [AccessPattern] = [.simulatedIPCEfficiency, .simulatedLoadEfficiency, .simulatedStoreEfficiency]
    let axes: [AccessPattern] =
      if sources.metrics.nothingCounted == nil {
        [.threadOccupancy] + hardware.filter { sources.metrics.value(of: $0) != nil } + [.computeEfficiency]
      } else if sources.simulation.value != nil {
        [.threadOccupancy] + simulated + [.bandwidthUse, .computeEfficiency]
      } else {
        [.threadOccupancy, .computeEfficiency, .bandwidthUse, .kernelShare, .userShare]
      }
    return axes.map { NamedQuantity($0.rawValue, label: $0.rawValue, unit: "share", $0.value(of: run, sources)) }
  }

  private func value(of run: Run, _ sources: Sources) -> Measured<Double> {
    let (roofline, waiting) = (sources.roofline, sources.waiting)
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
    case .ipcEfficiency, .loadEfficiency, .storeEfficiency, .dramUtilization:
      return sources.metrics.value(of: self)
        ?? .unavailable(sources.metrics.nothingCounted ?? Unavailable("nothing stands for it on this processor"))
    case .simulatedIPCEfficiency:
      return sources.simulation.map { stalls in
        stalls.total.shares.first { $0.part == .execution }?.share ?? 0
      }
    case .simulatedLoadEfficiency: return Self.hits("Dr", "D1mr", in: run)
    case .simulatedStoreEfficiency: return Self.hits("Dw", "D1mw", in: run)
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

  /// 1 − misses ÷ accesses, over all that was simulated.
  private static func hits(_ accesses: String, _ misses: String, in run: Run) -> Measured<Double> {
    func count(_ event: String) -> Measured<Double> {
      let row = run.data.simulatedCounts.first { $0.scope == .total && $0.event == event }
      return row.map { Measured($0.value, .simulated) }
        ?? .unavailable(Unavailable("\(event) was not simulated", remedy: "kiviat profile --counters simulated …"))
    }
    switch Measured.combine(
      count(misses), count(accesses), detail: "1 − \(misses) ÷ \(accesses)", { 1 - min(1, max(0, $0 / $1)) })
    {
    case .unavailable(let why): return .unavailable(why)
    case .measured(let value, let provenance): return Measured(value, .simulated, detail: provenance.detail)
    }
  }
}

extension MetricSummary {
  /// What the catalogue has for an axis; `nil` where nothing on this processor stands for it.
  fileprivate func value(of axis: AccessPattern) -> Measured<Double>? {
    guard let name = axis.reportMetric, let entry = published.first(where: { $0.name == name }), entry.metric != nil
    else { return nil }
    return entry.value
  }
}
