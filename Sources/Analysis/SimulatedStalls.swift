// What would instructions wait for, by the counts of a simulator? A simple model, its constants in the profile.
import ProfileModel

/// A cycle stack modelled from simulated counts: never measured on a processor, and always to be called simulated.
///
/// cycles = Ir ÷ width
///        + (I1mr − ILmr) × second-level latency + ILmr × memory latency
///        + ((D1mr − DLmr) × second-level latency + DLmr × memory latency) ÷ overlap
///        + (Bcm + Bim) × branch penalty
///
/// Callgrind has a first and a last level. What misses the one and hits the other is taken to hit the host's second level,
/// which is the least that it can cost; where everything would come from the last one is in the range of the memory's share.
///
/// Stores don't wait in it: a store buffer takes them. There is no prefetcher, no port and no chain of
/// dependent instructions in the simulator, so the model tells where waits come from, not how long a run takes.
public struct SimulatedStalls: Codable, Sendable, Equatable {
  /// The parts of the stack.
  public enum Part: String, Codable, Sendable, Equatable, CaseIterable {
    /// Instructions at the processor's full width.
    case execution
    case instructionFetch = "instruction fetch"
    case memoryDependency = "memory dependency"
    /// Work thrown away after a mispredicted branch.
    case branch = "branch misprediction"
  }

  /// A stall of the technical report's Figure 7 that the model has no counterpart of.
  public struct Absent: Codable, Sendable, Equatable {
    /// As the technical report names it.
    public var stall: String
    /// Why.
    public var reason: String
  }

  /// Modelled cycles of one part.
  public struct Share: Codable, Sendable, Equatable {
    /// The part.
    public var part: Part
    /// Modelled cycles.
    public var cycles: Double
    /// Of all modelled cycles of the entry, 0…1.
    public var share: Double
  }

  /// An event per thousand instructions.
  public struct Rate: Codable, Sendable, Equatable {
    /// Callgrind's event, or a sum of some: `D1mr`, `Bcm+Bim`.
    public var event: String
    /// In plain words.
    public var label: String
    /// Per thousand instructions.
    public var perThousand: Double
  }

  /// Counts and modelled cycles of one thing.
  public struct Entry: Codable, Sendable, Equatable {
    /// Simulated instructions.
    public var instructions: Double
    /// Of all simulated instructions, 0…1.
    public var shareOfInstructions: Double
    /// Of all modelled cycles, 0…1.
    public var shareOfCycles: Double
    /// Every part, in ``Part``'s order.
    public var shares: [Share]
    /// The share of the memory dependency where twice as many misses overlap, and where half as many do and all that misses
    /// the first level comes from the last or the memory.
    public var memoryShareRange: ClosedRange<Double>
    /// Events per thousand instructions.
    public var rates: [Rate]

    /// All modelled cycles.
    public var cycles: Double { shares.reduce(0) { $0 + $1.cycles } }
  }

  /// A category of kernels.
  public struct Category: Codable, Sendable, Equatable {
    /// The category; `nil` outside any kernel.
    public var category: KernelCategory?
    /// Its counts and cycles.
    public var entry: Entry
  }

  /// A native function, self only.
  public struct Hotspot: Codable, Sendable, Equatable {
    /// Its name, or its address where there is no symbol.
    public var function: String
    /// Library or executable.
    public var module: String
    /// The category of the kernels that it worked for; `nil` outside any, and where nothing was traced.
    public var category: KernelCategory?
    /// Its counts and cycles.
    public var entry: Entry
  }

  /// The formula, in one line.
  public var formula: String
  /// Its constants, each with its provenance.
  public var constants: [NamedQuantity]
  /// What was simulated and how: iterations, wall time, caches, ending.
  public var conditions: [Quantity]
  /// How the run differs from a whole one, when it does.
  public var degradation: String?
  /// Everything together.
  public var total: Entry
  /// By category, most cycles first; empty where nothing was traced.
  public var categories: [Category]
  /// By function, most cycles first; at most ``limit``.
  public var hotspots: [Hotspot]
  /// The technical report's stalls that nothing stands for.
  public var absent: [Absent]

  /// Hotspots that are kept.
  static let limit = 60
  /// The name under which a profile holds all functions without a row of their own.
  static let rest = "(all others)"
  /// The name of the state that a simulated run leaves.
  static let collector = "simulation"
}

extension SimulatedStalls {
  static func of(_ shown: Run) -> Measured<SimulatedStalls> {
    // One run is simulated, however often the command was measured.
    let run =
      shown.data.simulatedCounts.isEmpty
      ? shown.profile.repetitions.first { !$0.simulatedCounts.isEmpty }.map { Run(shown.profile, $0) } ?? shown : shown
    let none =
      run.failure(of: collector)
      ?? Unavailable("nothing was simulated", remedy: "kiviat profile --counters simulated …")
    guard !run.data.simulatedCounts.isEmpty else { return .unavailable(none) }
    guard let model = Model(run) else {
      return .unavailable(Unavailable("the profile holds simulated counts, but not all constants of the model"))
    }
    var rows: [Row: [String: Double]] = [:]
    for count in run.data.simulatedCounts where count.value.isFinite && count.value >= 0 {
      let row = Row(scope: count.scope, category: count.category, name: count.name, module: count.module)
      rows[row, default: [:]][count.event] = count.value
    }
    guard let counts = rows.first(where: { $0.key.scope == .total })?.value, counts["Ir", default: 0] > 0 else {
      return .unavailable(Unavailable("the profile holds simulated counts, but no total of instructions"))
    }
    let all = model.entry(counts, of: nil)
    func sorted(_ scope: SimulatedCount.Scope) -> [(Row, Entry)] {
      rows.filter { $0.key.scope == scope }.map { ($0.key, model.entry($0.value, of: all)) }.sorted {
        ($1.1.cycles, $0.0.category?.rawValue ?? "", $0.0.name, $0.0.module)
          < ($0.1.cycles, $1.0.category?.rawValue ?? "", $1.0.name, $1.0.module)
      }
    }
    let state = run.collector(collector)
    let stalls = SimulatedStalls(
      formula: formula, constants: model.constants,
      conditions: run.data.quantities.filter {
        $0.name.hasPrefix("simulation.") && !$0.name.hasPrefix("simulation.model.")
      }.map { quantity in
        guard case .number(let number)? = quantity.value.value, !number.isFinite else { return quantity }
        return Quantity(quantity.name, unit: quantity.unit, .unavailable(Unavailable("not a number in this profile")))
      },
      degradation: state?.outcome == .degraded ? state?.reason : nil, total: all,
      categories: sorted(.category).map { Category(category: $0.0.category, entry: $0.1) },
      hotspots: sorted(.function).filter { $0.0.name != rest }.prefix(limit).map {
        Hotspot(function: $0.0.name, module: $0.0.module, category: $0.0.category, entry: $0.1)
      }, absent: absent)
    return Measured(stalls, .simulated, detail: state?.method)
  }

  /// ``SimulatedStalls``' formula.
  static let formula =
    "Ir ÷ width + (I1mr − ILmr) × second level + ILmr × memory + ((D1mr − DLmr) × second level + DLmr × memory) ÷ overlap"
    + " + (Bcm + Bim) × penalty"

  private static let absent = [
    Absent(
      stall: "Execution dependency",
      reason: "Callgrind has no pipeline: chains of dependent instructions don't wait in it"),
    Absent(stall: "Texture", reason: "a processor has no texture units"),
    Absent(stall: "Synchronization", reason: "Valgrind runs one thread at a time, so that none waits for another"),
    Absent(stall: "Constant memory dependency", reason: "a processor has no constant memory"),
    Absent(stall: "Pipe busy", reason: "Callgrind has no execution ports"),
    Absent(stall: "Memory throttle", reason: "Callgrind has no queues between the levels of memory"),
  ]

  private struct Row: Hashable {
    var scope: SimulatedCount.Scope
    var category: KernelCategory?
    var name: String
    var module: String
  }

  /// The constants, and what they make of counts.
  private struct Model {
    var width: Double
    var secondLevel: Double
    var lastLevel: Double
    var memory: Double
    var penalty: Double
    var overlap: Double
    var constants: [NamedQuantity] = []

    init?(_ run: Run) {
      var constants: [NamedQuantity] = []
      func constant(_ name: String, _ label: String, _ unit: String) -> Double? {
        let value = run.number("simulation.model.\(name)")
        constants.append(NamedQuantity("simulation.model.\(name)", label: label, unit: unit, value))
        return value.value.flatMap { $0 > 0 ? $0 : nil }
      }
      guard let width = constant("issue_width", "width: instructions a cycle", "1/cycle"),
        let secondLevel = constant("second_level_latency", "latency of the second level", "cycle"),
        let lastLevel = constant("last_level_latency", "latency of the last level", "cycle"),
        let memory = constant("memory_latency", "latency of the memory", "cycle"),
        let penalty = constant("branch_penalty", "penalty of a misprediction", "cycle"),
        let overlap = constant("overlap", "overlap: data misses at the same time", "1")
      else { return nil }
      self.secondLevel = secondLevel
      (self.width, self.lastLevel, self.memory, self.penalty, self.overlap) = (
        width, lastLevel, memory, penalty, overlap
      )
      self.constants = constants
    }

    /// - Parameter all: everything together; `nil` when this is it.
    func entry(_ counts: [String: Double], of all: Entry?) -> Entry {
      func count(_ event: String) -> Double { counts[event] ?? 0 }
      func waiting(_ first: String, _ last: String, _ between: Double) -> Double {
        max(0, count(first) - count(last)) * between + count(last) * memory
      }
      let data = waiting("D1mr", "DLmr", secondLevel)
      let cycles: [(Part, Double)] = [
        (.execution, count("Ir") / width), (.instructionFetch, waiting("I1mr", "ILmr", secondLevel)),
        (.memoryDependency, data / overlap), (.branch, (count("Bcm") + count("Bim")) * penalty),
      ]
      let total = cycles.reduce(0) { $0 + $1.1 }
      func share(_ value: Double, _ whole: Double) -> Double { whole > 0 ? min(max(value / whole, 0), 1) : 0 }
      let others = total - data / overlap
      let (low, high) = (data / (2 * overlap), waiting("D1mr", "DLmr", max(secondLevel, lastLevel)) / (overlap / 2))
      let instructions = count("Ir")
      func rate(_ event: String, _ label: String, _ value: Double) -> Rate {
        Rate(event: event, label: label, perThousand: instructions > 0 ? value / instructions * 1000 : 0)
      }
      return Entry(
        instructions: instructions, shareOfInstructions: share(instructions, all?.instructions ?? instructions),
        shareOfCycles: share(total, all?.cycles ?? total),
        shares: cycles.map { Share(part: $0.0, cycles: $0.1, share: share($0.1, total)) },
        memoryShareRange: share(low, others + low)...max(share(low, others + low), share(high, others + high)),
        rates: [
          rate("Dr+Dw", "loads and stores", count("Dr") + count("Dw")),
          rate("I1mr", "first-level instruction misses", count("I1mr")),
          rate("D1mr+D1mw", "first-level data misses", count("D1mr") + count("D1mw")),
          rate("ILmr+DLmr+DLmw", "last-level misses", count("ILmr") + count("DLmr") + count("DLmw")),
          rate("Bc+Bi", "branches", count("Bc") + count("Bi")),
          rate("Bcm+Bim", "mispredictions", count("Bcm") + count("Bim")),
        ])
    }
  }
}
