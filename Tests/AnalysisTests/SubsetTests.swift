// Does a subset have what its rules ask for, is the search exact, and are the errors what their definition says?
import Foundation
import ProfileModel
import Testing

@testable import Analysis

/// Suites made for a test.
private enum Made {
  /// A member with axes, an accepted metric, a variation and a cost.
  static func member(
    _ id: String, _ axes: [Double?] = [], cost: Double? = 1, variation: Double? = 0.01, accepted: Bool? = true,
    size: (parameters: Double, flops: Double, epochs: Double)? = nil
  ) -> SuiteMember {
    var member = SuiteMember(id: id, title: "The \(id)", because: "not measured")
    member.patterns = patterns(axes)
    member.isMetricAccepted = accepted
    if let cost { member.secondsToQuality = Measured(cost, .clock) }
    if let variation { member.variation = Measured(RunVariation(populationCV: variation, count: 5), .published) }
    if let size {
      member.parameters = Measured(size.parameters, .declared)
      member.forwardFLOPs = Measured(size.flops, .declared)
      member.epochs = Measured(size.epochs, .declared)
    }
    return member
  }

  static func patterns(_ axes: [Double?]) -> [NamedQuantity] {
    axes.enumerated().map { index, value in
      NamedQuantity(
        "axis.\(index)", label: "axis \(index)", unit: "1",
        value.map { Measured($0, .derived) } ?? .unavailable(Unavailable("no counter")))
    }
  }

  static func run(
    _ axes: [Double], seconds: Double = 1, isCounted: Bool = true, shares: [CategoryShare] = []
  ) -> MemberRun {
    let none = Measured<Double>.unavailable(Unavailable("not measured"))
    return MemberRun(
      name: "run", startedAtUnixNanoseconds: 0, seed: nil, ending: "exit 0", isCounted: isCounted, wallSeconds: seconds,
      stepSeconds: none,
      samplesPerSecond: none, epochs: none, secondsPerEpoch: none, secondsToQuality: none, quality: none,
      patterns: patterns(axes), categoryShares: shares)
  }

  static func set(_ members: [SuiteMember]) -> MemberSet { MemberSet(name: "made", title: "Made", members: members) }

  /// Random points.
  static func random(_ count: Int, _ axes: Int, seed: UInt64) -> [[Double]] {
    var generator = SeededGenerator(seed)
    return (0..<count).map { _ in (0..<axes).map { _ in generator.unit() } }
  }

  static func suite(_ points: [[Double]], costs: [Double?]? = nil) -> MemberSet {
    set(points.indices.map { member("m\($0)", points[$0], cost: costs == nil ? 1 : costs?[$0]) })
  }

  /// Points, robustly scaled.
  static func table(_ points: [[Double]]) -> FeatureTable.Scaled { suite(points).features(.patterns) }

  /// Judged by the values that are on one scale already.
  static func representation(_ table: FeatureTable.Scaled) -> Representation {
    Representation(distances: table.matrix.distances, values: standardized(table.matrix))
  }

  /// Columns as (x − mean) ÷ population standard deviation.
  static func standardized(_ matrix: Matrix) -> Matrix {
    var result = matrix
    for column in 0..<matrix.columns {
      let values = matrix.column(column)
      let mean = values.reduce(0, +) / Double(values.count)
      let spread = (values.map { ($0 - mean) * ($0 - mean) }.reduce(0, +) / Double(values.count)).squareRoot()
      for row in 0..<matrix.rows { result[row, column] = (matrix[row, column] - mean) / spread }
    }
    return result
  }

  /// Three groups far from each other, four members each.
  static let groups: [[Double]] = [[0, 0], [10, 0], [0, 10]].flatMap { centre in
    [[0, 0], [0.4, 0.1], [-0.3, 0.2], [0.1, -0.5]].map { [centre[0] + $0[0], centre[1] + $0[1]] }
  }
}

@Suite struct SubsetRuleTests {
  @Test func thirdsByRank() {
    typealias Third = SubsetRules.Third
    #expect(Third.ofEach([3, 1, 2]) == [.large, .small, .medium])
    #expect(Third.ofEach([1, 2, 3, 4, 5, 6]) == [.small, .small, .medium, .medium, .large, .large])
    // Sizes don't count, ranks do; what is unknown has no rank.
    #expect(Third.ofEach([1, nil, 1e12, .nan, 2]) == [.small, nil, .large, nil, .medium])
    // Equal values are in one third.
    #expect(Third.ofEach([5, 5, 5, 5]) == [.medium, .medium, .medium, .medium])
    #expect(Third.ofEach([1, 1, 1, 9]) == [.medium, .medium, .medium, .large])
    #expect(Third.ofEach([1, 1, 9, 9, 9, 9]) == [.small, .small, .large, .large, .large, .large])
    #expect(Third.ofEach([7]) == [.medium] && Third.ofEach([nil]) == [nil] && Third.ofEach([]).isEmpty)
  }

  @Test func variationBelowTheLimit() {
    func outcome(_ variation: Double?) -> SubsetRules.Outcome {
      SubsetRules.variation(Made.member("a", variation: variation), limit: 0.02).outcome
    }
    #expect(outcome(0) == .passes && outcome(0.0199) == .passes)
    #expect(outcome(0.02) == .fails && outcome(0.5) == .fails)
    #expect(outcome(nil) == .unknown && outcome(.nan) == .unknown)
  }

  @Test func theIntervalIsSaid() throws {
    // A coefficient of 1 % from five runs: χ² with 4 degrees of freedom gives about 0.6 to 2.9 % of its sample form.
    let few = try #require(SubsetRules.variation(Made.member("a", variation: 0.01), limit: 0.02).reason as String?)
    #expect(few.contains("goes up to"))
    let many = SubsetRules.support(RunVariation(populationCV: 0.01, count: 100), limit: 0.02)
    #expect(many.contains("so says"))
    #expect(
      SubsetRules.support(RunVariation(populationCV: 0, count: 10), limit: 0.02).contains("no confidence interval"))
  }

  @Test func acceptedMetric() {
    func outcome(_ accepted: Bool?) -> SubsetRules.Outcome {
      SubsetRules.metric(Made.member("a", accepted: accepted)).outcome
    }
    #expect(outcome(true) == .passes && outcome(false) == .fails && outcome(nil) == .unknown)
  }

  @Test func everyThirdThatAnEligibleMemberHas() {
    // Nine members that rank the same by all three; the two that are eligible are small and large.
    let members = (1...9).map { index in
      let x = Double(index)
      return Made.member(
        "m\(index)", variation: index == 1 || index == 9 || index == 8 ? 0.01 : 0.3, size: (x, 10 * x, x))
    }
    let choice = SubsetChoice(of: Made.set(members))
    // Two of the large third are there; the subset needs one, and of equal cost the first.
    #expect(choice.chosenIDs == ["m1", "m8"])
    #expect(choice.unmet.isEmpty && choice.isDefensible)
    #expect(choice.caveats.contains { $0.contains("No member that passes the rules is medium by parameters, nor") })
    #expect(choice.caveats.contains { $0.contains("clusters") && $0.contains("can’t be applied") })
    let verdicts = choice.rules.members[4].verdicts
    #expect(verdicts.map(\.outcome) == [.fails, .passes, .covers])
    #expect(verdicts[2].reason.contains("parameters medium"))
  }

  @Test func theCheaperOfEquallyGood() {
    let members = (1...9).map { index in
      Made.member("m\(index)", cost: index == 8 ? 5 : 1, size: (Double(index), Double(index), Double(index)))
    }
    #expect(SubsetChoice(of: Made.set(members)).chosenIDs == ["m1", "m4", "m7"])
    var dear = members
    dear[0].secondsToQuality = Measured(3, .clock)
    dear[3].secondsToQuality = .unavailable(Unavailable("not reached"))
    dear[6].secondsToQuality = Measured(.nan, .clock)
    #expect(SubsetChoice(of: Made.set(dear)).chosenIDs == ["m2", "m5", "m9"])
  }

  @Test func oneOfEveryCluster() throws {
    let set = Made.suite(Made.groups)
    let choice = SubsetChoice(of: set, SubsetOptions(without: [.diversity]))
    let grouping = try #require(choice.grouping.value)
    #expect(grouping.clusters == 3)
    #expect(choice.chosen.count == 3 && Set(choice.chosen.map { $0 / 4 }).count == 3)
    #expect(choice.isDefensible)
    // Clusters that are known already, and a number of one's own.
    #expect(SubsetChoice(of: set, SubsetOptions(without: [.diversity]), grouping: grouping) == choice)
    let two = SubsetChoice(of: set, SubsetOptions(without: [.diversity], clusters: 2, bootstraps: 5))
    #expect(two.grouping.value?.clusters == 2 && two.chosen.count == 2)
  }

  @Test func extremesAtTheLeastCost() {
    let members = (0..<6).map { index in
      let x = Double(index)
      // Least parameters and greatest FLOPs are the same member.
      return Made.member(
        "m\(index)", cost: x + 1, variation: nil, accepted: nil, size: (x, 5 - x, index == 2 ? 99 : x + 1))
    }
    let choice = SubsetChoice(of: Made.set(members), SubsetOptions(.wc))
    #expect(choice.chosenIDs == ["m0", "m2", "m5"] && choice.isDefensible)
    #expect(choice.cost.subset.value == 1 + 3 + 6 && choice.cost.suite.value == 21)
  }

  @Test(arguments: 0..<40) func coverIsTheSmallest(_ seed: UInt64) {
    var random = SeededGenerator(seed)
    let bits = 1 + random.index(below: 6)
    let count = 1 + random.index(below: 9)
    let candidates = (0..<count).map { _ in
      SubsetCover.Candidate(
        covers: random.next() & random.next() & Representation.all(bits),
        cost: random.unit() < 0.1 ? nil : (random.unit() * 8).rounded())
    }
    for aim in [SubsetCover.Aim.fewest, .cheapest] {
      // All subsets, one by one.
      func rank(_ chosen: [Int]) -> [Double] {
        let unknown = Double(chosen.count { candidates[$0].cost == nil })
        let cost = chosen.reduce(0) { $0 + (candidates[$1].cost ?? 0) }
        return aim == .fewest ? [Double(chosen.count), unknown, cost] : [unknown, cost, Double(chosen.count)]
      }
      let covering = (UInt64(0)..<(1 << UInt64(count))).map(Representation.members).filter { chosen in
        chosen.reduce(0) { $0 | candidates[$1].covers } == Representation.all(bits)
      }
      let least = covering.map(rank).min { $0.lexicographicallyPrecedes($1) }
      let found = SubsetCover.best(candidates, covering: Representation.all(bits), aim: aim)
      #expect(found.map(rank) == least)
      if let found { #expect(covering.contains(found)) }
    }
  }
}

@Suite struct RepresentationTests {
  /// One metric: 0, 0, 3. Its mean is 1, its population standard deviation √2.
  static let three = Representation(
    distances: Matrix([[0], [0], [3]]).distances, values: Made.standardized(Matrix([[0], [0], [3]])))

  @Test func closedForms() {
    let root2 = 2.0.squareRoot()
    // The first stands for all: the second is 0 off, the third 3; the predicted mean is 0, the true one 1.
    let first = Self.three.errors(0b001)
    #expect(abs(first.member - 1.5 / root2) < 1e-12 && abs(first.mean - 1 / root2) < 1e-12)
    // The third stands for all: both are 3 off; 3 in place of 1.
    let third = Self.three.errors(0b100)
    #expect(abs(third.member - 3 / root2) < 1e-12 && abs(third.mean - 2 / root2) < 1e-12)
    // The first and the third: nothing is off, (2 · 0 + 3) / 3 = 1.
    #expect(Self.three.errors(0b101) == .init(member: 0, mean: 0))
    #expect(Self.three.errors(0b111) == .init(member: 0, mean: 0))
    #expect(Self.three.errors(0).member == .infinity)
  }

  @Test func ofEquallyNearTheFirst() {
    let line = Representation(
      distances: Matrix([[-1], [0], [1]]).distances, values: Made.standardized(Matrix([[-1], [0], [1]])))
    #expect(line.assignment(0b101) == [0, 0, 2])
    // Two identical members: each stands for itself.
    #expect(Self.three.assignment(0b011) == [0, 1, 0])
  }

  @Test func unitsDoNotMatter() {
    let points = Made.random(8, 3, seed: 4)
    let other = points.map { [$0[0] * 1000 + 5, $0[1] * 0.01, -7 + $0[2]] }
    let (a, b) = (Made.suite(points).features(.patterns, .standard), Made.suite(other).features(.patterns, .standard))
    for mask in UInt64(1)..<255 {
      let (x, y) = (Made.representation(a).errors(mask), Made.representation(b).errors(mask))
      #expect(abs(x.member - y.member) < 1e-9 && abs(x.mean - y.mean) < 1e-9)
    }
  }
}

@Suite struct SubsetSearchTests {
  /// The member error by its definition, with nothing precomputed.
  static func naive(_ scaled: Matrix, _ subset: [Int]) -> Double {
    let z = Made.standardized(scaled)
    var errors: [Double] = []
    for member in 0..<scaled.rows where !subset.contains(member) {
      let nearest =
        subset.min {
          (scaled.squaredDistance(member, $0), $0) < (scaled.squaredDistance(member, $1), $1)
        } ?? 0
      errors.append(Statistics.mean((0..<z.columns).map { abs(z[member, $0] - z[nearest, $0]) }))
    }
    return errors.isEmpty ? 0 : Statistics.mean(errors)
  }

  @Test(arguments: 1...5) func allSubsetsAreLookedAt(_ seed: UInt64) {
    let n = 8
    let points = Made.random(n, 3, seed: seed)
    let costs: [Double?] = [1, 6, 4, nil, 7, 5, 3, 1]
    let table = Made.table(points)
    let found = SubsetSearch(representation: Made.representation(table), costs: costs).run()
    // What can't be paid for can't be taken.
    struct Point {
      var subset: [Int]
      var cost: Double
      var error: Double
    }
    var all: [Point] = []
    for mask in UInt64(1)..<(1 << UInt64(n)) where mask >> 3 & 1 == 0 {
      let subset = Representation.members(mask)
      let cost = subset.reduce(0.0) { $0 + (costs[$1] ?? 0) }
      all.append(Point(subset: subset, cost: cost, error: Self.naive(table.matrix, subset)))
    }
    #expect(found.best.count == n - 1)
    for best in found.best {
      let same = all.filter { $0.subset.count == best.mask.nonzeroBitCount }
      #expect(abs(best.error - (same.map(\.error).min() ?? -1)) < 1e-12)
    }
    func isBeaten(_ point: Point, by other: Point) -> Bool {
      if other.cost <= point.cost, other.error < point.error - 1e-12 { return true }
      return other.cost < point.cost && other.error <= point.error + 1e-12
    }
    let front = all.filter { point in !all.contains { isBeaten(point, by: $0) } }
    #expect(Set(found.front.map(\.cost)) == Set(front.map(\.cost)))
    for point in found.front {
      #expect(front.contains { $0.cost == point.cost && abs($0.error - point.error) < 1e-12 })
    }
    #expect(zip(found.front, found.front.dropFirst()).allSatisfy { $0.cost < $1.cost && $0.error > $1.error })
    // Of one size: the same as of all.
    let search = SubsetSearch(representation: Made.representation(table), costs: costs)
    for best in found.best {
      #expect(search.best(size: best.mask.nonzeroBitCount, among: search.candidates) == best)
    }
  }

  @Test func plantedRepresentativesAreFound() throws {
    let set = Made.suite(Made.groups)
    let choice = SubsetChoice(of: set, SubsetOptions(without: [.diversity], size: 3))
    let evidence = try #require(choice.evidence.value)
    // Of each group the member in its middle: of its Manhattan distances the sum is least, which is what the error adds up.
    #expect(choice.chosenIDs == ["m0", "m4", "m8"])
    #expect(
      evidence.predictions.allSatisfy {
        (Int($0.member.dropFirst()) ?? 0) / 4 == (Int($0.representative.dropFirst()) ?? -1) / 4
      })
    #expect(evidence.chance?.isExact == true && evidence.chance?.count == 220)
    // The best has none before it; only itself counts half.
    #expect(abs((evidence.chance?.shareWorse ?? 0) - 219.5 / 220) < 1e-12)
    #expect((evidence.leaveOneOut.value ?? 9) < 0.2)
  }

  @Test func chanceIsTheShareThatIsWorse() throws {
    let points = Made.random(9, 2, seed: 11)
    let table = Made.table(points)
    let search = SubsetSearch(representation: Made.representation(table), costs: Array(repeating: 1, count: 9))
    let exact = search.distribution(size: 3, seed: 1)
    #expect(exact.isExact && exact.errors.count == 84)
    let all = (UInt64(1)..<512).map(Representation.members).filter { $0.count == 3 }
    #expect(
      zip(exact.errors.sorted(), all.map { Self.naive(table.matrix, $0) }.sorted()).allSatisfy { abs($0 - $1) < 1e-12 })
    #expect(SubsetSearch.combinations(17, 3) == 680 && SubsetSearch.combinations(40, 20) == 137_846_528_820)
    #expect(SubsetSearch.combinations(3, 4) == 0 && SubsetSearch.combinations(5, 0) == 1)
  }

  @Test func leaveOneOutIsChosenWithoutTheMember() throws {
    let points = Made.random(7, 2, seed: 3)
    let set = Made.suite(points)
    let choice = SubsetChoice(of: set, SubsetOptions(without: [.diversity, .clusters], size: 2))
    let evidence = try #require(choice.evidence.value)
    let scaled = set.features(.patterns).matrix
    let z = Made.standardized(Matrix(points))
    var errors: [Double] = []
    for out in 0..<7 {
      let others = (0..<7).filter { $0 != out }
      var best: (error: Double, pair: [Int]) = (.infinity, [])
      for a in others {
        for b in others where b > a {
          let error = Statistics.mean(
            others.filter { $0 != a && $0 != b }.map { member in
              let near = scaled.squaredDistance(member, a) <= scaled.squaredDistance(member, b) ? a : b
              return (abs(z[member, 0] - z[near, 0]) + abs(z[member, 1] - z[near, 1])) / 2
            })
          if error < best.error - 1e-12 { best = (error, [a, b]) }
        }
      }
      let near = best.pair.min { scaled.squaredDistance(out, $0) < scaled.squaredDistance(out, $1) } ?? 0
      errors.append((abs(z[out, 0] - z[near, 0]) + abs(z[out, 1] - z[near, 1])) / 2)
    }
    #expect(abs((evidence.leaveOneOut.value ?? 0) - Statistics.mean(errors)) < 1e-12)
  }

  @Test func manyMembersByExchanges() throws {
    // 24 members in three groups: more than all subsets are looked at of, and the planted ones are found all the same.
    let points = Made.groups + Made.groups.map { [$0[0] + 0.05, $0[1] - 0.05] }
    let choice = SubsetChoice(of: Made.suite(points), SubsetOptions(without: [.diversity], bootstraps: 20))
    let evidence = try #require(choice.evidence.value)
    #expect(!evidence.isExhaustive && evidence.best.count == 24)
    #expect(Set(evidence.best[2].members.map { (Int($0.dropFirst()) ?? 0) % 12 / 4 }) == [0, 1, 2])
    #expect(zip(evidence.best, evidence.best.dropFirst()).allSatisfy { $0.memberError >= $1.memberError - 0.2 })
    #expect(evidence.best.last?.memberError == 0)
  }

  // MARK: Runs that did not choose

  @Test func identicalRunsJudgeAsTheyChoose() throws {
    var set = Made.suite(Made.random(8, 3, seed: 9))
    for index in set.members.indices {
      let axes = set.members[index].patterns.compactMap(\.value.value)
      set.members[index].runs = [
        Made.run([9, 9, 9], isCounted: false), Made.run(axes), Made.run(axes), Made.run(axes),
      ]
    }
    let choice = SubsetChoice(of: set, SubsetOptions(without: [.diversity], size: 3))
    let held = try #require(choice.evidence.value?.heldOut.value)
    let own = try #require(choice.evidence.value?.chosen)
    #expect(held.best.members == own.members)
    #expect(abs(held.bestMemberError - own.memberError) < 1e-12 && abs(held.chosenMeanError - own.meanError) < 1e-12)
    #expect((held.median ?? 0) > held.bestMemberError)
  }

  @Test func whatOneHalfChoosesTheOtherJudges() throws {
    // In the first run of each, two pairs of twins; in the second, other pairs are.
    let first = [[0.0], [0.1], [10], [10.1]]
    let second = [[0.0], [10], [0.1], [10.1]]
    var set = Made.suite(first)
    for index in 0..<4 { set.members[index].runs = [Made.run(first[index]), Made.run(second[index])] }
    let choice = SubsetChoice(of: set, SubsetOptions(without: [.diversity, .clusters], size: 2))
    let held = try #require(choice.evidence.value?.heldOut.value)
    #expect(held.best.members == ["m0", "m2"])
    // Spread of 0, 0.1, 10, 10.1: √(5² + 0.05²). m1 is taken to be like m0, 10 off; m3 like m2, 10 off.
    let spread = (25 + 0.0025).squareRoot()
    #expect(abs(held.best.memberError - 0.1 / spread) < 1e-12)
    #expect(abs(held.bestMemberError - 10 / spread) < 1e-12)
    // 2 · 0 + 2 · 0.1 in place of 0 + 10 + 0.1 + 10.1, over 4.
    #expect(abs(held.bestMeanError - 5 / spread) < 1e-12)
  }

  @Test func sharesOfKernelTimeAreSplitToo() throws {
    // Convolution x, GEMM the rest but a trace of pooling, which is no metric: in units of its spread it would be noise.
    func shares(_ x: Double) -> [CategoryShare] {
      [
        CategoryShare(category: .convolution, share: x), CategoryShare(category: .gemm, share: 0.996 - x),
        CategoryShare(category: .pooling, share: 0.004),
      ]
    }
    let (first, second) = ([0.1, 0.12, 0.8, 0.82], [0.1, 0.2, 0.8, 0.9])
    var set = Made.suite(first.map { _ in [] })
    for index in 0..<4 {
      set.members[index].runs = [
        Made.run([], shares: shares(first[index])), Made.run([], shares: shares(second[index])),
      ]
      set.members[index].categoryShares = Measured(shares((first[index] + second[index]) / 2), .derived)
    }
    let choice = SubsetChoice(of: set, SubsetOptions(without: [.diversity, .clusters], features: .categories, size: 2))
    let evidence = try #require(choice.evidence.value)
    #expect(evidence.metrics == [KernelCategory.convolution.rawValue, KernelCategory.gemm.rawValue])
    let held = try #require(evidence.heldOut.value)
    // One of each pair stands for the other; both metrics have the same spread, and their errors are equal.
    let mean = first.reduce(0, +) / 4
    let spread = (first.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / 4).squareRoot()
    #expect(Set(held.best.members.map { $0 < "m2" }) == [true, false])
    #expect(abs(held.best.memberError - 0.02 / spread) < 1e-9)
    #expect(abs(held.bestMemberError - 0.1 / spread) < 1e-9)
  }

  @Test func oneRunCannotJudge() throws {
    var set = Made.suite(Made.random(6, 2, seed: 2))
    for index in set.members.indices { set.members[index].runs = [Made.run([0, 1]), Made.run([1, 0])] }
    set.members[4].runs[1].isCounted = false
    let choice = SubsetChoice(of: set, SubsetOptions(without: [.diversity], size: 2))
    let why = try #require(choice.evidence.value?.heldOut.unavailable)
    #expect(why.reason.contains("not every member") && why.remedy != nil)
  }
}

@Suite struct SubsetChoiceTests {
  @Test func badSuites() throws {
    let encoder = JSONEncoder()
    let suites: [(MemberSet, String)] = [
      (Made.set([]), "members"),
      (Made.set([Made.member("only", [1, 2])]), "one member"),
      (Made.set([Made.member("a", [1, 2]), Made.member("b", [1, 2])]), "2 members"),
      (Made.set((0..<5).map { Made.member("m\($0)", variation: nil) }), "variation between runs is not known"),
      (Made.set((0..<5).map { Made.member("m\($0)", accepted: false) }), "No member passes"),
      (Made.set((0..<5).map { Made.member("m\($0)") }), "need every member"),
    ]
    for (set, objection) in suites {
      for preset in SubsetPreset.allCases {
        for size in [nil, 1, 9] as [Int?] {
          let choice = SubsetChoice(of: set, SubsetOptions(preset, size: size, bootstraps: 5), against: [set])
          if preset == .rpr, size == nil {
            #expect(!choice.isDefensible)
            #expect(choice.objections.contains { $0.contains(objection) }, "\(choice.objections)")
          }
          // Nothing that JSON can't hold.
          _ = try encoder.encode(choice)
        }
      }
    }
  }

  @Test func identicalMembersAreNoSpace() throws {
    let set = Made.set((0..<6).map { Made.member("m\($0)", [0.5, 0.5]) })
    let choice = SubsetChoice(of: set)
    #expect(choice.evidence.unavailable?.reason.contains("the same for all members") == true)
    #expect(choice.caveats.contains { $0.contains("can’t be applied") })
  }

  @Test func missingAxesAreNotZero() throws {
    var points = Made.random(8, 2, seed: 5).map { $0.map { Optional($0) } }
    points[2][1] = nil
    let set = Made.set(points.enumerated().map { Made.member("m\($0.offset)", $0.element) })
    let choice = SubsetChoice(of: set, SubsetOptions(without: [.diversity], bootstraps: 20))
    #expect(choice.evidence.value?.remarks.contains { $0.feature == "axis 1" && !$0.isLeftOut } == true)
    let none = SubsetChoice(
      of: Made.set((0..<8).map { Made.member("m\($0)", [nil, nil]) }), SubsetOptions(without: [.diversity]))
    #expect(none.evidence.unavailable?.remedy?.contains("--features model") == true)
  }

  @Test func costsThatAreNoNumbers() throws {
    let members = (0..<6).map { index in
      Made.member(
        "m\(index)", [Double(index), Double(index * index % 5)], cost: [1, 2, 3, 4, .nan, -1][index],
        size: (Double(index), Double(index), Double(index)))
    }
    let choice = SubsetChoice(of: Made.set(members))
    #expect(choice.cost.basis == .timeToQuality && choice.cost.suite.value == 10)
    #expect(choice.cost.suite.missing == ["m4", "m5"])
    #expect(choice.cost.members[4].unavailable?.reason == "its time to quality is no number")
    // The large third is m4 and m5, whose cost nobody knows: the saving can't be said.
    #expect(choice.cost.saved.value == nil)
    #expect(choice.evidence.value?.front.allSatisfy { !$0.members.contains("m4") } == true)
    // Most costs missing: the runs' wall time, else the number.
    var walls = (0..<6).map { Made.member("m\($0)", cost: nil) }
    for index in walls.indices {
      walls[index].runs = [Made.run([], seconds: Double(index)), Made.run([], seconds: 99, isCounted: false)]
    }
    #expect(SubsetChoice(of: Made.set(walls)).cost.basis == .wallTime)
    #expect(SubsetChoice(of: Made.set(walls)).cost.suite.value == 15)
    let number = SubsetChoice(of: Made.set((0..<6).map { Made.member("m\($0)", cost: nil) }))
    #expect(number.cost.basis == .number && number.cost.suite.value == 6)
  }

  @Test func oneMemberDecidesTheCost() throws {
    let members = (0..<6).map { index in
      Made.member("m\(index)", cost: index == 0 ? 90 : 2, size: (Double(index), Double(index), Double(index)))
    }
    var cheap = members
    cheap[1].isMetricAccepted = false
    let choice = SubsetChoice(of: Made.set(cheap))
    #expect(choice.chosenIDs == ["m0", "m2", "m4"])
    let concentration = try #require(choice.cost.concentration)
    #expect(concentration.member == "m0" && abs(concentration.shareOfSubset - 90.0 / 94) < 1e-12)
    #expect(concentration.subsetWithout == 4 && concentration.suiteWithout == 10)
    #expect(abs(concentration.savedWithout - 0.6) < 1e-12)
    #expect(SubsetChoice(of: Made.set(members)).cost.concentration == nil)
  }

  @Test func lowerBoundsAreSaid() throws {
    let set = Made.set((0..<6).map { Made.member("m\($0)", size: (Double($0), Double($0), Double($0))) })
    var other = Made.set([Made.member("x", cost: 10), Made.member("y", cost: 20)])
    other.members[1].lowerBounds = [.secondsToQuality]
    other.machines = ["another"]
    var own = set
    own.machines = ["this"]
    let comparison = try #require(SubsetChoice(of: own, against: [other]).comparisons.first)
    #expect(comparison.cost.value == 30 && comparison.cost.lowerBounds == ["y"])
    #expect(comparison.savedBySubset.value == 0.9 && comparison.savedBySuite.value == 0.8)
    #expect(comparison.withoutLowerBounds?.savedBySubset.value == 0.7)
    #expect(comparison.remarks.first?.contains("different machines") == true)
  }

  @Test func clustersByChanceAreNoGround() {
    // Points without groups; the worst two are asked for by letting only them in.
    let points = Made.random(10, 2, seed: 21)
    let table = Made.table(points)
    let search = SubsetSearch(representation: Made.representation(table), costs: Array(repeating: 1, count: 10))
    var worst: (mask: UInt64, error: Double) = (0, -1)
    SubsetSearch.forEachSubset(of: Array(0..<10), size: 2) { mask in
      let error = search.representation.memberError(mask)
      if error > worst.error { worst = (mask, error) }
    }
    var set = Made.suite(points)
    for index in 0..<10 where worst.mask >> UInt64(index) & 1 == 0 { set.members[index].isMetricAccepted = false }
    let choice = SubsetChoice(of: set, SubsetOptions(without: [.diversity, .clusters]))
    #expect(choice.chosen == Representation.members(worst.mask))
    #expect((choice.objections + choice.caveats).count { $0.contains("no better than a random subset") } == 1)
  }

  @Test func theSameTwice() throws {
    let set = Made.suite(Made.random(9, 3, seed: 8))
    let options = SubsetOptions(without: [.diversity], seed: 3, bootstraps: 30)
    let encoder = JSONEncoder()
    encoder.outputFormatting = .sortedKeys
    let (a, b) = (SubsetChoice(of: set, options), SubsetChoice(of: set, options))
    #expect(try encoder.encode(a) == encoder.encode(b))
    #expect(try JSONDecoder().decode(SubsetChoice.self, from: encoder.encode(a)) == a)
  }

  @Test func aSizeOfOnesOwn() {
    let set = Made.suite(Made.groups)
    let two = SubsetChoice(of: set, SubsetOptions(without: [.diversity], size: 2, bootstraps: 20))
    #expect(two.chosen.count == 2 && two.unmet.count == 1)
    #expect(two.caveats.contains { $0.contains("lacks") })
    let many = SubsetChoice(of: set, SubsetOptions(without: [.diversity], size: 13, bootstraps: 20))
    #expect(many.chosen.isEmpty && many.objections.contains { $0.contains("fewer than the 13") })
  }
}
