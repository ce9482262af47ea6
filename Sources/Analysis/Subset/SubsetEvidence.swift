// What shows that a subset stands for its suite: its error, by chance, by leaving out, and on runs that did not choose it?
import Foundation
import ProfileModel

/// How well a chosen subset stands for its suite, and what other subsets would do.
public struct SubsetEvidence: Codable, Sendable, Equatable {
  /// A subset with its cost and errors, in spreads of the suite (see ``definition``).
  public struct Point: Codable, Sendable, Equatable {
    /// Ids, in the suite's order.
    public var members: [String]
    /// In the unit of the suite's costs.
    public var cost: Double
    /// Of predicting every member that is left out.
    public var memberError: Double
    /// Of the suite's means.
    public var meanError: Double
  }

  /// Who stands for a member that is left out.
  public struct Prediction: Codable, Sendable, Equatable {
    /// The member.
    public var member: String
    /// Its representative.
    public var representative: String
    /// How far off it is.
    public var error: Double
  }

  /// The subset among all of its size.
  public struct Chance: Codable, Sendable, Equatable {
    /// Subsets it is compared with.
    public var count: Int
    /// Whether these are all of that size, or random ones.
    public var isExact: Bool
    /// Share of them with a greater member error; equal ones count half. 0.5 is what a random subset has in the mean.
    public var shareWorse: Double
    /// Least member error.
    public var least: Double
    /// Median member error.
    public var median: Double
    /// Greatest member error.
    public var greatest: Double
  }

  /// Chosen on one half of the runs, judged on the other.
  public struct HeldOut: Codable, Sendable, Equatable {
    /// The best subset of that size on the first, third, … run of each member.
    public var best: Point
    /// Its member error on the second, fourth, … runs, with the representatives of the first half.
    public var bestMemberError: Double
    /// Its mean error there.
    public var bestMeanError: Double
    /// The chosen subset's member error there.
    public var chosenMemberError: Double
    /// The chosen subset's mean error there.
    public var chosenMeanError: Double
    /// Median member error of all subsets of that size there; `nil` when they are too many.
    public var median: Double?
  }

  /// By what members are compared.
  public var selection: FeatureSelection
  /// The metrics.
  public var metrics: [String]
  /// Features that were left out or filled in.
  public var remarks: [FeatureTable.Remark]
  /// Whether all subsets were looked at.
  public var isExhaustive: Bool
  /// The chosen subset; `nil` when there is none.
  public var chosen: Point?
  /// Who stands for whom in it.
  public var predictions: [Prediction]
  /// It among those of its size.
  public var chance: Chance?
  /// The best of each size.
  public var best: [Point]
  /// The subsets that none beats in member error at the same or less cost, cheapest first.
  public var front: [Point]
  /// Mean error of predicting each member by the best subset of that size that was chosen among the others, without it.
  public var leaveOneOut: Measured<Double>
  /// On runs that did not choose.
  public var heldOut: Measured<HeldOut>

  /// The definition of the errors, for readers.
  public static let definition =
    "Each member that is left out is taken to be like its representative, the member of the subset that is nearest to it in the space of the features. Errors are in spreads: the population standard deviation of a metric over the suite’s members; metrics are taken as they were measured, without drawing extremes in. The member error is the mean over metrics and left-out members; the mean error is that of the suite’s means, predicted from the representatives, each weighted by how many members it stands for."

  /// Judges a subset and searches for others.
  ///
  /// - Parameter chosen: indices of its members.
  init(_ set: MemberSet, _ space: SubsetSpace, chosen: [Int], costs: [Measured<Double>], options: SubsetOptions) {
    let representation = Representation(space)
    let search = SubsetSearch(representation: representation, costs: costs.map(\.value))
    let ids = set.members.map(\.id)
    func point(_ mask: UInt64, _ cost: Double) -> Point {
      let errors = representation.errors(mask)
      return Point(
        members: Representation.members(mask).map { ids[$0] }, cost: cost, memberError: errors.member,
        meanError: errors.mean)
    }
    selection = options.features
    metrics = space.metrics.features
    remarks = space.features.remarks
    for remark in space.metrics.remarks where !remarks.contains(remark) { remarks.append(remark) }
    isExhaustive = search.isExhaustive
    let found = search.run()
    best = found.best.map { point($0.mask, $0.cost) }
    front = found.front.map { point($0.mask, $0.cost) }
    let mask = Representation.mask(chosen)
    guard !chosen.isEmpty else {
      predictions = []
      let why = Unavailable("no subset was chosen")
      leaveOneOut = .unavailable(why)
      heldOut = .unavailable(why)
      return
    }
    self.chosen = point(mask, search.cost(mask))
    predictions = representation.assignment(mask).enumerated().filter { $0.offset != $0.element }.map {
      Prediction(
        member: ids[$0.offset], representative: ids[$0.element],
        error: representation.errors[$0.offset * representation.count + $0.element])
    }
    chance = Self.chance(search, mask, seed: options.seed)
    leaveOneOut = Self.leaveOneOut(search, size: chosen.count)
    heldOut = Self.heldOut(set, chosen: chosen, costs: search.costs, selection: options.features)
  }

  private static func chance(_ search: SubsetSearch, _ mask: UInt64, seed: UInt64) -> Chance? {
    let own = search.representation.memberError(mask)
    let all = search.distribution(size: mask.nonzeroBitCount, seed: seed)
    guard let least = all.errors.min(), let greatest = all.errors.max() else { return nil }
    let tolerance = SubsetSearch.tolerance
    let worse = all.errors.reduce(0.0) { $0 + ($1 > own + tolerance ? 1 : $1 >= own - tolerance ? 0.5 : 0) }
    return Chance(
      count: all.errors.count, isExact: all.isExact, shareWorse: worse / Double(all.errors.count), least: least,
      median: Statistics.median(all.errors), greatest: greatest)
  }

  /// An honest error for a member that nobody has seen: what stands for it was chosen without it.
  private static func leaveOneOut(_ search: SubsetSearch, size: Int) -> Measured<Double> {
    let representation = search.representation
    let n = representation.count
    var errors: [Double] = []
    for member in 0..<n {
      let others = search.candidates.filter { $0 != member }
      let suite = Representation.all(n) & ~(1 << UInt64(member))
      guard let best = search.best(size: size, among: others, of: suite) else {
        return .unavailable(Unavailable("without one member there are not \(size) others whose cost is known"))
      }
      errors.append(representation.errors[member * n + representation.representative(of: member, in: best.mask)])
    }
    return Measured(
      Statistics.mean(errors), .derived,
      detail: "each member predicted by the best \(size) of the others, chosen without it")
  }

  // MARK: Runs that did not choose

  private static func heldOut(
    _ set: MemberSet, chosen: [Int], costs: [Double?], selection: FeatureSelection
  ) -> Measured<HeldOut> {
    guard selection != .model else {
      return .unavailable(Unavailable("parameters and FLOPs are the same in every run"))
    }
    let few = set.members.filter { $0.runs.count(where: \.isCounted) < 2 }
    guard few.isEmpty else {
      let who = few.count == set.members.count ? "no member" : "not every member"
      return .unavailable(
        Unavailable(
          "\(who) has two runs that count, one to choose by and one to judge by",
          remedy: "kiviat profile SUITE --repeats 2"))
    }
    let (first, second) = (set.half(0), set.half(1))
    // Both halves on the same metrics, in the same units: those of the half that chooses.
    let categories = set.categoriesThatCount
    let (a, b) = (
      first.metricTable(selection, categories: categories), second.metricTable(selection, categories: categories)
    )
    let space = SubsetSpace(features: first.features(selection), metrics: a.scaled(.standard))
    guard !space.features.features.isEmpty, !space.metrics.features.isEmpty else {
      return .unavailable(Unavailable("the single runs have no \(selection.noun)"))
    }
    let chooser = Representation(space)
    var judged = Matrix(rows: set.members.count, columns: space.metrics.features.count)
    for (column, name) in space.metrics.features.enumerated() {
      guard let own = a.features.first(where: { $0.name == name }),
        let other = b.features.first(where: { $0.name == name }),
        let units = Self.units(own.values)
      else { return .unavailable(Unavailable("\(name) was measured in one half of the runs only")) }
      for row in 0..<judged.rows {
        guard let value = other.values[row] else {
          return .unavailable(Unavailable("\(name) of \(set.members[row].id) was not measured in every run"))
        }
        judged[row, column] = (value - units.mean) / units.spread
      }
    }
    let search = SubsetSearch(representation: chooser, costs: costs)
    guard let best = search.best(size: chosen.count, among: search.candidates) else {
      return .unavailable(Unavailable("there are not \(chosen.count) members whose cost is known"))
    }
    func judge(_ mask: UInt64) -> Representation.Errors {
      let assignment = chooser.assignment(mask)
      let left = assignment.enumerated().filter { $0.offset != $0.element }
      let errors = left.map { member, representative in
        zip(judged.row(member), judged.row(representative)).reduce(0) { $0 + abs($1.0 - $1.1) }
          / Double(max(1, judged.columns))
      }
      return Representation.Errors(
        member: errors.isEmpty ? 0 : Statistics.mean(errors), mean: chooser.meanError(assignment, in: judged))
    }
    let all = Array(0..<set.members.count)
    var errors: [Double] = []
    if SubsetSearch.combinations(all.count, chosen.count) <= Double(SubsetSearch.sizeLimit) {
      SubsetSearch.forEachSubset(of: all, size: chosen.count) { errors.append(judge($0).member) }
    }
    let own = chooser.errors(best.mask)
    let (bestErrors, chosenErrors) = (judge(best.mask), judge(Representation.mask(chosen)))
    return Measured(
      HeldOut(
        best: Point(
          members: Representation.members(best.mask).map { set.members[$0].id }, cost: best.cost,
          memberError: own.member, meanError: own.mean),
        bestMemberError: bestErrors.member, bestMeanError: bestErrors.mean, chosenMemberError: chosenErrors.member,
        chosenMeanError: chosenErrors.mean, median: errors.isEmpty ? nil : Statistics.median(errors)),
      .derived, detail: "chosen on every first of two runs, judged on every second")
  }

  /// Mean and population standard deviation, missing values at the median of the others as in ``FeatureTable/scaled(_:)``.
  private static func units(_ values: [Double?]) -> (mean: Double, spread: Double)? {
    let known = values.compactMap { $0 }.filter(\.isFinite)
    guard !known.isEmpty else { return nil }
    let median = Statistics.median(known)
    let filled = values.map { $0.flatMap { $0.isFinite ? $0 : nil } ?? median }
    let mean = Statistics.mean(filled)
    let spread = (filled.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(filled.count)).squareRoot()
    return spread > 0 ? (mean, spread) : nil
  }
}

extension MemberSet {
  /// The set as it would be with every first (0) or every second (1) of two counted runs alone: medians of the axes, means
  /// of the shares.
  func half(_ which: Int) -> MemberSet {
    var half = self
    half.members = members.map { member in
      let runs = member.runs.filter(\.isCounted).enumerated().filter { $0.offset % 2 == which }.map(\.element)
      var member = member
      member.runs = runs
      member.patterns = member.patterns.map { pattern in
        var pattern = pattern
        let values = runs.compactMap { run in run.patterns.first { $0.label == pattern.label }?.value.value }
        pattern.value =
          values.isEmpty
          ? .unavailable(Unavailable("not measured in this half of the runs"))
          : Measured(Statistics.median(values), .derived, detail: "median over \(values.count) runs")
        return pattern
      }
      let shares = runs.map(\.categoryShares).filter { !$0.isEmpty }
      if !shares.isEmpty {
        let sums = shares.joined().reduce(into: [KernelCategory: Double]()) { $0[$1.category, default: 0] += $1.share }
        let means = KernelCategory.allCases.compactMap { category in
          sums[category].map { CategoryShare(category: category, share: $0 / Double(shares.count)) }
        }
        member.categoryShares = Measured(
          means.sorted { $0.share > $1.share }, .derived, detail: "mean over \(shares.count) runs")
      } else {
        member.categoryShares = .unavailable(Unavailable("not measured in this half of the runs"))
      }
      return member
    }
    return half
  }
}
