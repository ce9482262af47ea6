// What does one suite cover that another does not, and what does each cost (the technical report's Figure 1)?
import Foundation
import ProfileModel

/// Two suites beside each other.
public struct SuiteComparison: Codable, Sendable, Equatable {
  /// The range of a characteristic in both suites.
  public struct Range: Codable, Sendable, Equatable {
    /// One suite's range.
    public struct Side: Codable, Sendable, Equatable {
      /// Least value.
      public var least: Double
      /// Greatest value.
      public var greatest: Double
      /// The member with the least value; `nil` for a range that is only stated.
      public var leastMember: String?
      /// The member with the greatest value.
      public var greatestMember: String?
      /// Members' values, for those that have one.
      public var values: [Double]
      /// Where the range is printed, when it is the statement of a publication.
      public var source: String?
      /// What contradicts it.
      public var remark: String?
      /// log₁₀ greatest ÷ least; `nil` when the least is not above zero.
      public var decades: Double? { least > 0 ? log10(greatest / least) : nil }
    }
    /// `parameters`, or an axis of the Kiviat diagram.
    public var name: String
    /// Unit of the values.
    public var unit: String
    /// Whether its values are compared as ratios.
    public var isLogarithmic: Bool
    /// The first suite's.
    public var first: Measured<Side>
    /// The second suite's.
    public var second: Measured<Side>
    /// Greatest value of the first ÷ greatest of the second, the report's “peak”.
    public var peakRatio: Measured<Double>
  }

  /// How much of the union's space a suite covers.
  public struct Coverage: Codable, Sendable, Equatable {
    /// Its members.
    public var members: Int
    /// Share of the union's range, mean over the features, 0…1.
    public var range: Double
    /// Share of the area of the union's convex hull in the plane of the first two principal components, 0…1; `nil` when
    /// that hull has no area.
    public var hull: Double?
    /// Mean distance of the other suite's members to the nearest of its own, in units of the union's median distance.
    public var distanceFromOther: Double
    /// The other suite's members that lie outside it: beyond its convex hull in that plane, and farther from its nearest member
    /// than half of its own members are from theirs.
    public var outside: [Outside]
  }
  /// A member outside the other suite.
  public struct Outside: Codable, Sendable, Equatable {
    /// The member's id in its suite.
    public var id: String
    /// The nearest member of the other suite.
    public var nearest: String
    /// The distance to it, in units of the union's median distance.
    public var distance: Double
  }
  /// Both suites in one space.
  public struct Joint: Codable, Sendable, Equatable {
    /// By which features.
    public var selection: FeatureSelection
    /// Members that can't be compared, a sentence each.
    public var leftOut: [String]
    /// Members of both, those of the first suite first, named `suite/id`.
    public var features: FeatureTable.Scaled
    /// How many belong to the first.
    public var firstCount: Int
    /// Principal components of the union.
    public var components: PrincipalComponents
    /// The joint map.
    public var map: SimilarityMap
    /// What the first covers.
    public var first: Coverage
    /// What the second covers.
    public var second: Coverage
  }
  /// Hotspot functions, those above 10 % of some member's time.
  public struct Hotspots: Codable, Sendable, Equatable {
    /// Counts of the first.
    public var first: SuiteHotspots
    /// Counts of the second.
    public var second: SuiteHotspots
    /// Hot in the first alone.
    public var onlyFirst: [SuiteHotspots.Function]
    /// Hot in the second alone.
    public var onlySecond: [SuiteHotspots.Function]
    /// Hot in both.
    public var inBoth: Int
  }
  /// What each costs.
  public struct Cost: Codable, Sendable, Equatable {
    /// The first suite's.
    public var first: SuiteCost
    /// The second suite's.
    public var second: SuiteCost
    /// 1 − first ÷ second: what the first saves against the second; negative when it costs more.
    public var saving: Measured<Double>
  }

  /// The first suite.
  public var first: MemberSet
  /// The second suite.
  public var second: MemberSet
  /// Ids of members that both have.
  public var shared: [String]
  /// Ranges of characteristics and of patterns.
  public var ranges: [Range]
  /// Both in one space.
  public var joint: Measured<Joint>
  /// Hotspot functions.
  public var hotspots: Measured<Hotspots>
  /// Costs.
  public var cost: Cost
  /// What has to be known to read the comparison.
  public var remarks: [String]
  /// The findings in words.
  public var words: [String]

  /// Compares suites.
  public init(_ first: MemberSet, _ second: MemberSet, features selection: FeatureSelection? = nil, seed: UInt64 = 1) {
    self.first = first
    self.second = second
    shared = first.members.map(\.id).filter { second[$0] != nil }
    ranges = Self.ranges(first, second)
    do {
      joint = Measured(try Joint(first, second, selection, seed: seed), .derived)
    } catch {
      joint = .unavailable(error)
    }
    hotspots = Self.hotspots(first, second)
    let (one, two) = (SuiteCost(first), SuiteCost(second))
    cost = Cost(
      first: one, second: two,
      saving: .combine(one.seconds, two.seconds, detail: "1 − cost of the first ÷ cost of the second") { 1 - $0 / $1 })
    remarks = Self.remarks(first, second)
    words = []
    words = SuiteComparisonWords.of(self)
  }

  private static func remarks(_ first: MemberSet, _ second: MemberSet) -> [String] {
    var remarks = first.remarks.map { "\(first.name): \($0)" } + second.remarks.map { "\(second.name): \($0)" }
    if first.isPublished != second.isPublished {
      remarks.append(
        "the numbers of \((first.isPublished ? first : second).name) are published ones, of other machines and of full-size models: times and sizes can't be compared with measured ones of another scale"
      )
    } else if !first.isPublished, Set(first.machines) != Set(second.machines) {
      remarks.append(
        "the suites were profiled on different machines (\(first.machines.joined(separator: "; ")) and \(second.machines.joined(separator: "; "))): times and efficiencies can't be compared"
      )
    }
    return remarks
  }

  // MARK: Ranges

  private static func ranges(_ first: MemberSet, _ second: MemberSet) -> [Range] {
    var result = Characteristic.allCases.compactMap { characteristic -> Range? in
      let sides = [first, second].map { set in side(set, characteristic) }
      guard sides.contains(where: { $0.value != nil }) else { return nil }
      return range(characteristic.rawValue, characteristic.unit, isLogarithmic: true, sides[0], sides[1])
    }
    for pattern in AccessPattern.allCases {
      let sides = [first, second].map { set in
        side(
          set.members.map { member in
            (
              member.id,
              member.patterns.first { $0.name == pattern.rawValue }?.value ?? .unavailable(Unavailable("not measured"))
            )
          })
      }
      guard sides.contains(where: { $0.value != nil }) else { continue }
      result.append(range(pattern.rawValue, "share", isLogarithmic: false, sides[0], sides[1]))
    }
    return result
  }

  private static func range(
    _ name: String, _ unit: String, isLogarithmic: Bool, _ first: Measured<Range.Side>, _ second: Measured<Range.Side>
  ) -> Range {
    Range(
      name: name, unit: unit, isLogarithmic: isLogarithmic, first: first, second: second,
      peakRatio: .combine(
        first.map(\.greatest), second.map(\.greatest), detail: "greatest of the first ÷ greatest of the second"
      ) { $0 / $1 })
  }

  /// A publication's own statement about its suite comes before what its members' numbers add up to.
  private static func side(_ set: MemberSet, _ characteristic: Characteristic) -> Measured<Range.Side> {
    let members = side(set.members.map { ($0.id, characteristic.value(of: $0)) })
    guard let stated = set.statedRanges.first(where: { $0.characteristic == characteristic }) else { return members }
    return Measured(
      Range.Side(
        least: stated.least, greatest: stated.greatest, leastMember: nil, greatestMember: nil,
        values: members.value?.values ?? [], source: stated.source, remark: stated.remark), .published,
      detail: stated.source)
  }

  private static func side(_ values: [(id: String, value: Measured<Double>)]) -> Measured<Range.Side> {
    let known = values.compactMap { id, value in value.value.flatMap { $0.isFinite ? (id, $0) : nil } }
    guard let least = known.min(by: { $0.1 < $1.1 }), let greatest = known.max(by: { $0.1 < $1.1 }) else {
      return .unavailable(values.lazy.compactMap(\.value.unavailable).first ?? Unavailable("the suite has no members"))
    }
    return Measured(
      Range.Side(
        least: least.1, greatest: greatest.1, leastMember: least.0, greatestMember: greatest.0,
        values: known.map(\.1), source: nil, remark: nil), .derived, detail: "over \(known.count) members")
  }

  // MARK: Hotspots

  private static func hotspots(_ first: MemberSet, _ second: MemberSet) -> Measured<Hotspots> {
    guard let one = SuiteHotspots(first), let two = SuiteHotspots(second) else {
      let why = (first.members + second.members).lazy.compactMap(\.hotspots.unavailable).first
      return .unavailable(why ?? Unavailable("one of the suites has no members"))
    }
    func key(_ function: SuiteHotspots.Function) -> SuiteHotspots.Key {
      SuiteHotspots.Key(function: function.function, module: function.module)
    }
    let (ones, twos) = (Set(one.hot.map(key)), Set(two.hot.map(key)))
    return Measured(
      Hotspots(
        first: one, second: two, onlyFirst: one.hot.filter { !twos.contains(key($0)) },
        onlySecond: two.hot.filter { !ones.contains(key($0)) }, inBoth: ones.intersection(twos).count), .sampled)
  }
}

extension SuiteComparison.Joint {
  init(_ one: MemberSet, _ other: MemberSet, _ wanted: FeatureSelection?, seed: UInt64) throws(Unavailable) {
    let isMeasured = [one, other].allSatisfy { set in set.members.contains { !$0.patterns.isEmpty } }
    let selection = wanted ?? (isMeasured ? .both : .model)
    let (first, without) = one.comparable(by: selection)
    let (second, withoutToo) = other.comparable(by: selection)
    leftOut = without + withoutToo
    func named(_ set: MemberSet) -> [SuiteMember] {
      set.members.map { member in
        var member = member
        member.id = "\(set.name)/\(member.id)"
        return member
      }
    }
    let union = MemberSet(name: "both", title: "both suites", members: named(first) + named(second))
    guard !first.members.isEmpty, !second.members.isEmpty, union.members.count > 2 else {
      throw Unavailable("\(Words.counted(union.members.count, "benchmark")) in both suites: a common space takes three")
    }
    let features = union.features(selection)
    guard !features.features.isEmpty else {
      throw Unavailable(
        "no feature could be used: " + features.remarks.map { "\($0.feature): \($0.reason)" }.joined(separator: "; "))
    }
    self.selection = selection
    self.features = features
    firstCount = first.members.count
    let components = PrincipalComponents(features.matrix)
    self.components = components
    map = try SimilarityMap.of(features.matrix, seed: seed)
    let ones = Array(0..<first.members.count)
    let twos = Array(first.members.count..<union.members.count)
    let ids = first.members.map(\.id) + second.members.map(\.id)
    let points = (0..<union.members.count).map { member in
      ConvexHull.Point(
        x: components.scores.columns > 0 ? components.scores[member, 0] : 0,
        y: components.scores.columns > 1 ? components.scores[member, 1] : 0)
    }
    let distances = features.matrix.distances
    let all = (0..<ids.count).flatMap { a in (0..<a).map { distances[a, $0] } }
    let median = Statistics.median(all)
    let unit = median > 0 ? median : 1
    func coverage(_ own: [Int], _ other: [Int]) -> SuiteComparison.Coverage {
      let matrix = features.matrix
      let shares = (0..<matrix.columns).map { column -> Double in
        let whole = matrix.column(column)
        let part = own.map { whole[$0] }
        let (low, high) = (whole.min() ?? 0, whole.max() ?? 0)
        return high > low ? ((part.max() ?? 0) - (part.min() ?? 0)) / (high - low) : 1
      }
      let whole = ConvexHull(points).area
      func nearest(_ member: Int, among: [Int]) -> (member: Int, distance: Double)? {
        among.filter { $0 != member }.map { ($0, distances[member, $0]) }
          .min { ($0.1, $0.0) < ($1.1, $1.0) }
      }
      let hull = ConvexHull(own.map { points[$0] })
      let apart = own.compactMap { nearest($0, among: own)?.distance }
      let reach = apart.isEmpty ? 0 : Statistics.median(apart)
      let others = other.compactMap { member in nearest(member, among: own).map { (member, $0.member, $0.distance) } }
      return SuiteComparison.Coverage(
        members: own.count, range: Statistics.mean(shares),
        hull: whole > 0 ? hull.area / whole : nil,
        distanceFromOther: Statistics.mean(others.map { $0.2 / unit }),
        outside: others.filter { $0.2 > reach && !hull.contains(points[$0.0]) }.sorted { ($1.2, $0.0) < ($0.2, $1.0) }
          .map {
            SuiteComparison.Outside(id: ids[$0.0], nearest: ids[$0.1], distance: $0.2 / unit)
          })
    }
    self.first = coverage(ones, twos)
    self.second = coverage(twos, ones)
  }
}
