// Which functions and kernels make up each category over the whole suite (the technical report's Table 7)?
import ProfileModel

/// A category over a suite: its functions, and in how many members they are.
public struct SuiteFunctions: Codable, Sendable, Equatable {
  /// A function or kernel of the category.
  public struct Entry: Codable, Sendable, Equatable {
    /// Its name.
    public var name: String
    /// Library or executable of a function; `nil` for a traced kernel.
    public var module: String?
    /// Share of the category's time, 0…1: mean over the members that have the category.
    public var share: Double
    /// Members in which it runs.
    public var members: Int
  }
  /// The category.
  public var category: KernelCategory
  /// Members with time in it.
  public var members: Int
  /// Its share of the kernel time: mean over all members that were traced.
  public var share: Double
  /// Native functions sampled while its kernels ran, most time first.
  public var functions: [Entry]
  /// Traced kernels, most time first.
  public var kernels: [Entry]

  /// How many entries a list has at most.
  static let limit = 12

  static func of(_ set: MemberSet) -> [SuiteFunctions] {
    let traced = set.members.filter { $0.categoryShares.value != nil }
    let tables = traced.map { $0.categoryFunctions.value ?? [] }
    return KernelCategory.allCases.compactMap { category -> SuiteFunctions? in
      let rows = tables.compactMap { table in table.first { $0.category == category } }
      let shares = traced.map { member in
        member.categoryShares.value?.first { $0.category == category }?.share ?? 0
      }
      guard !rows.isEmpty, shares.contains(where: { $0 > 0 }) else { return nil }
      func entries(_ lists: [[(name: String, module: String?, share: Double)]]) -> [Entry] {
        var sums: [[String?]: (share: Double, members: Int)] = [:]
        for list in lists {
          for item in list {
            sums[[item.name, item.module], default: (0, 0)].share += item.share
            sums[[item.name, item.module], default: (0, 0)].members += 1
          }
        }
        return sums.map { key, value in
          Entry(name: key[0] ?? "", module: key[1], share: value.share / Double(rows.count), members: value.members)
        }.sorted { ($1.share, $0.name, $0.module ?? "") < ($0.share, $1.name, $1.module ?? "") }
          .prefix(limit).map { $0 }
      }
      return SuiteFunctions(
        category: category, members: rows.count, share: Statistics.mean(shares),
        functions: entries(rows.map { $0.functions.map { ($0.function, $0.module.fileName, $0.share) } }),
        kernels: entries(rows.map { $0.kernels.map { ($0.name, nil, $0.share) } }))
    }.sorted { ($1.share, $0.category.rawValue) < ($0.share, $1.category.rawValue) }
  }
}
