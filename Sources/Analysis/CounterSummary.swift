// What did the event counters say, and which ratios follow from them?
import ProfileModel

/// Event totals of the shown repetition, and ratios of them.
public struct CounterSummary: Codable, Sendable, Equatable {
  /// The counts, in the user's order.
  public var counters: [CounterTotal]
  /// Ratios with their formulas in the provenance: threads busy, instructions per cycle, misses per kilo-instruction …
  /// Those whose events were not counted are unavailable with the reason of the missing event.
  public var ratios: [NamedQuantity]
}
