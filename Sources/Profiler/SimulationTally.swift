// What do the parts of Callgrind's files come to, by category and function?
import ProfileModel

/// Adds up the parts of a simulated run.
struct SimulationTally {
  /// What was counted in.
  private struct Place: Hashable {
    var category: KernelCategory?
    var function: CallgrindFunction
  }

  /// The events, in the order of Callgrind's manual.
  static let events = ["Ir", "Dr", "Dw", "I1mr", "D1mr", "D1mw", "ILmr", "DLmr", "DLmw", "Bc", "Bcm", "Bi", "Bim"]

  private let isTraced: Bool
  /// Iterations that only fill the caches.
  private let warming: Int
  private var sums: [Place: [UInt64]] = [:]
  /// Of the iteration that is not known to be whole yet.
  private var pending: [Place: [UInt64]] = [:]
  private var iterationsEnded = 0
  /// The group that runs when a part of Callgrind's own accord ends.
  private var running: Substring = "kiviat:"
  /// Whether the program named the part's group at least once.
  private(set) var isLabelled = false
  /// Parts that were cut off, or that don't add up.
  private(set) var brokenParts = 0
  /// Processes with counts.
  private(set) var pids: Set<Int32> = []
  private var categories: [Substring: KernelCategory?] = [:]

  init(isTraced: Bool, warming: Int = 0) {
    self.isTraced = isTraced
    self.warming = warming
  }

  /// Iterations that were counted from their beginning to their end, with warm caches.
  var iterations: Int { max(0, iterationsEnded - warming) }

  mutating func add(_ part: CallgrindPart) {
    // A part without its end lacks functions; which, nobody can tell.
    guard part.isComplete else {
      brokenParts += 1
      return
    }
    pids.insert(part.pid)
    guard isTraced else { return Self.add(part, to: &sums, category: nil) }
    let label = part.trigger.hasPrefix("Client Request: kiviat:") ? part.trigger.dropFirst(16) : nil
    let pair = label?.split(separator: "|", maxSplits: 1, omittingEmptySubsequences: false)
    Self.add(part, to: &pending, category: category(of: pair?.first ?? running))
    guard let next = pair?.dropFirst().first else { return }
    isLabelled = true
    if next == "kiviat:iteration" {
      iterationsEnded += 1
      if iterationsEnded > warming {
        for (place, counts) in pending { Self.add(counts, to: &sums, place) }
      }
      pending.removeAll(keepingCapacity: true)
      running = "kiviat:"
    } else {
      running = next
    }
  }

  private static func add(_ part: CallgrindPart, to sums: inout [Place: [UInt64]], category: KernelCategory?) {
    let columns = events.map { part.events.firstIndex(of: $0) }
    for (function, counts) in part.functions {
      add(columns.map { $0.map { counts[$0] } ?? 0 }, to: &sums, Place(category: category, function: function))
    }
  }

  private static func add(_ counts: [UInt64], to sums: inout [Place: [UInt64]], _ place: Place) {
    guard var before = sums[place] else {
      sums[place] = counts
      return
    }
    // A file may hold any number: sums stay at the largest.
    for index in before.indices {
      let (sum, isTooMuch) = before[index].addingReportingOverflow(counts[index])
      before[index] = isTooMuch ? .max : sum
    }
    sums[place] = before
  }

  /// `kiviat:c:GEMM` is a category, `kiviat:o:aten::mm` an operation of one, `kiviat:` outside.
  private mutating func category(of group: Substring) -> KernelCategory? {
    if let known = categories[group] { return known }
    let result: KernelCategory? =
      group.hasPrefix("kiviat:c:")
      ? KernelCategory(rawValue: String(group.dropFirst(9)))
      : group.hasPrefix("kiviat:o:") ? KernelCategory.classify(String(group.dropFirst(9))) : nil
    categories[group] = .some(result)
    return result
  }

  /// Whether the counts are those of an iteration that was cut off, for want of a whole one.
  var isCutOff: Bool { isTraced && iterations == 0 }

  /// The rows of a profile: all, each category, and of each category the functions that cover 99 % of its instructions
  /// (at most `limit`), the rest under one name. Rows of nothing but zeros are left out.
  func counts(limit: Int = 100) -> [SimulatedCount] {
    let sums = isCutOff ? pending : self.sums
    guard !sums.isEmpty else { return [] }
    var rows: [SimulatedCount] = []
    func add(
      _ scope: SimulatedCount.Scope, _ category: KernelCategory? = nil, _ function: CallgrindFunction? = nil,
      counts: [UInt64]
    ) {
      for (event, count) in zip(Self.events, counts) {
        rows.append(
          SimulatedCount(
            scope: scope, category: category, name: function?.name ?? "", module: function?.object ?? "", event: event,
            value: Double(count)))
      }
    }
    func total(_ some: some Sequence<[UInt64]>) -> [UInt64] {
      some.reduce(into: [UInt64](repeating: 0, count: Self.events.count)) { total, counts in
        for index in total.indices { total[index] = total[index].addingReportingOverflow(counts[index]).partialValue }
      }
    }
    add(.total, counts: total(sums.values))
    let groups = Dictionary(grouping: sums) { $0.key.category }
    for (category, entries) in groups.sorted(by: { ($0.key?.rawValue ?? "") < ($1.key?.rawValue ?? "") }) {
      let all = total(entries.map(\.value))
      guard all.contains(where: { $0 > 0 }) else { continue }
      if isTraced { add(.category, category, counts: all) }
      let sorted = entries.filter { $0.value.contains { $0 > 0 } }.sorted {
        ($1.value[0], $0.key.function.name, $0.key.function.object)
          < ($0.value[0], $1.key.function.name, $1.key.function.object)
      }
      var covered = 0.0
      var kept = 0
      for (place, counts) in sorted where kept < limit && covered < 0.99 * Double(all[0]) {
        add(.function, category, place.function, counts: counts)
        covered += Double(counts[0])
        kept += 1
      }
      if kept < sorted.count {
        add(
          .function, category, CallgrindFunction(name: Self.rest, object: ""),
          counts: total(sorted.dropFirst(kept).map(\.value)))
      }
    }
    return rows
  }

  /// The name of the functions that have no rows of their own.
  static let rest = "(all others)"
}
