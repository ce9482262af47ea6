// What do the kernels of each category wait for in a simulator, over the members of a suite (the place of Figure 7)?
import ProfileModel

/// Simulated stalls of a suite: means over the members that were simulated, each counting once.
public struct SuiteStalls: Codable, Sendable, Equatable {
  /// A category.
  public struct Category: Codable, Sendable, Equatable {
    /// The category.
    public var category: KernelCategory
    /// Members in which it ran.
    public var members: Int
    /// Its share of the members' modelled cycles, mean over all simulated members, 0…1.
    public var shareOfCycles: Double
    /// Mean shares of its cycles over the members in which it ran, in ``SimulatedStalls/Part``'s order.
    public var shares: [Share]
    /// Mean events per thousand instructions over the same members.
    public var rates: [SimulatedStalls.Rate]
  }
  /// A part of a category's cycles.
  public struct Share: Codable, Sendable, Equatable {
    /// The part.
    public var part: SimulatedStalls.Part
    /// Mean share, 0…1.
    public var share: Double
    /// The least and the greatest share of any member.
    public var range: ClosedRange<Double>
  }

  /// Members that were simulated.
  public var members: Int
  /// Members that were not.
  public var missing: Int
  /// By category, most cycles first.
  public var categories: [Category]
  /// The technical report's stalls that nothing stands for.
  public var absent: [SimulatedStalls.Absent]
}

extension SuiteStalls {
  /// Averages the members; unavailable when none was simulated.
  public static func of(_ members: [SuiteMember]) -> Measured<SuiteStalls> {
    let known = members.compactMap(\.simulatedStalls.value)
    guard let first = known.first else {
      return .unavailable(
        members.lazy.compactMap(\.simulatedStalls.unavailable).first
          ?? Unavailable("nothing was simulated", remedy: "kiviat profile SUITE --counters simulated"))
    }
    var entries: [KernelCategory: [SimulatedStalls.Entry]] = [:]
    for category in known.flatMap(\.categories) {
      // A traced kernel alone has a category; what runs outside of them is none of a category's.
      if let name = category.category { entries[name, default: []].append(category.entry) }
    }
    func mean(_ values: [Double]) -> Double { values.isEmpty ? 0 : values.reduce(0, +) / Double(values.count) }
    let categories = entries.map { category, entries in
      Category(
        category: category, members: entries.count,
        shareOfCycles: entries.reduce(0) { $0 + $1.shareOfCycles } / Double(known.count),
        shares: SimulatedStalls.Part.allCases.map { part in
          let values = entries.map { entry in entry.shares.first { $0.part == part }?.share ?? 0 }
          return Share(part: part, share: mean(values), range: (values.min() ?? 0)...(values.max() ?? 0))
        },
        rates: (entries.first?.rates ?? []).map { rate in
          var rate = rate
          rate.perThousand = mean(
            entries.compactMap { entry in entry.rates.first { $0.event == rate.event }?.perThousand })
          return rate
        })
    }.sorted { ($1.shareOfCycles, $0.category.rawValue) < ($0.shareOfCycles, $1.category.rawValue) }
    return Measured(
      SuiteStalls(
        members: known.count, missing: members.count - known.count, categories: categories, absent: first.absent),
      .simulated, detail: "means over \(Words.counted(known.count, "benchmark")), each counting once")
  }
}
