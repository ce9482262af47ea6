// Do the published numbers add up to what the publication says, do its rules choose its subset, and is every mistake told with its line?
import Analysis
import Foundation
import ProfileModel
import Suites
import Testing

@testable import References

@Suite struct PublishedNumberTests {
  let aibench = Result { try References.memberSet(named: "aibench") }
  let mlperf = Result { try References.memberSet(named: "mlperf") }

  private func hours(_ set: MemberSet, _ ids: [String]? = nil) -> Double {
    set.members.filter { ids?.contains($0.id) ?? true }.reduce(0) { $0 + ($1.secondsToQuality.value ?? 0) } / 3600
  }

  @Test func allAreRead() throws {
    for name in References.names {
      let set = try References.memberSet(named: name)
      #expect(set.name == name && set.isPublished && set.source != nil && !set.remarks.isEmpty)
      for member in set.members {
        for value in Characteristic.allCases.map({ $0.value(of: member) }) {
          if let provenance = value.provenance {
            #expect(provenance.source == .published || provenance.source == .derived)
            #expect(provenance.detail?.isEmpty == false, "\(name) \(member.id)")
          } else {
            #expect(value.unavailable?.reason.isEmpty == false)
          }
        }
      }
    }
    #expect(try aibench.get().members.count == 17 && mlperf.get().members.count == 7)
    #expect(try References.memberSet(named: "aibench-v1.1").members.count == 19)
  }

  /// Section 5.3.2 and table 6.
  @Test func sums() throws {
    let (aibench, mlperf) = (try aibench.get(), try mlperf.get())
    #expect(abs(hours(aibench, ["DC-AI-C1", "DC-AI-C6", "DC-AI-C8"]) - 184.8) < 1e-9)
    #expect(abs(184.8 * 5 / 24 - 38.5) < 1e-9)
    #expect(abs(hours(aibench) - 225.41) < 1e-9)
    #expect((hours(aibench) * 5 / 24).rounded() == 47)
    #expect(abs(hours(mlperf) - 361.72) < 1e-9)
    #expect(hours(mlperf) * 5 / 24 > 75 && hours(mlperf) * 5 / 24 < 76)
    #expect(aibench.members.filter { $0.secondsToQuality.value == nil }.map(\.id) == ["DC-AI-C2", "DC-AI-C5"])
    let epoch = aibench.members.reduce(0) { $0 + ($1.secondsPerEpoch.value ?? 0) }
    #expect(abs(epoch / 3600 - 9.89) < 0.005)
  }

  /// Total ÷ per epoch, to the digits that the quotients have.
  @Test func epochs() throws {
    let expected: [String: Double] = [
      "C1": 44.50, "C3": 95.51, "C4": 43.50, "C6": 10.75, "C7": 57.50, "C8": 1169.83, "C9": 5.57, "C10": 15.69,
      "C11": 303.96, "C12": 26.74, "C13": 48.15, "C14": 12.00, "C15": 33.86, "C16": 22.82, "C17": 28.83,
    ]
    let set = try aibench.get()
    for member in set.members {
      let wanted = expected[String(member.id.dropFirst(6))]
      #expect((member.epochs.value != nil) == (wanted != nil))
      guard let wanted, let value = member.epochs.value else { continue }
      #expect(abs(value - wanted) <= 0.0051, "\(member.id) \(value)")
      #expect(member.epochs.provenance?.source == .derived)
      #expect(member.epochs.provenance?.detail == "time to quality ÷ time per epoch (technical report, table 6)")
    }
    // Section 5.2.1's range, with what contradicts it.
    let range = try #require(set.statedRanges.first { $0.characteristic == .epochs })
    #expect(range.least == 6 && range.greatest == 96 && range.remark?.contains("1170") == true)
    #expect(set["DC-AI-C9"]?.epochs.value?.rounded() == 6 && set["DC-AI-C3"]?.epochs.value?.rounded() == 96)
    for id in ["DC-AI-C8", "DC-AI-C11"] {
      let member = try #require(set[id])
      #expect((member.epochs.value ?? 0) > range.greatest)
      #expect(member.remarks.contains { $0.contains("section 5.2.1") && $0.contains("epochs") })
    }
    #expect(set.members.count { ($0.epochs.value ?? 0) > 60 } == 3)
  }

  /// Table 5, and whole numbers of epochs that give it and table 6.
  @Test func variation() throws {
    let set = try aibench.get()
    let known = set.members.compactMap(\.variation.value)
    #expect(known.count == 15 && known.reduce(0) { $0 + $1.count } == 78)
    #expect(known.map(\.populationCV).max() == 0.3846 && known.map(\.populationCV).min() == 0)
    #expect(known.map(\.count).min() == 4 && known.map(\.count).max() == 10)
    #expect(
      Set(set.members.filter { ($0.variation.value?.populationCV ?? 1) < 0.02 }.map(\.id)) == [
        "DC-AI-C1", "DC-AI-C9", "DC-AI-C16",
      ])
    func fits(_ id: String, _ epochs: [Double]) throws {
      let published = try #require(set[id])
      let variation = try #require(RunVariation(epochs))
      let printed = try #require(published.variation.value)
      let quotient = try #require(published.epochs.value)
      #expect(abs(variation.populationCV - printed.populationCV) <= 0.00005, "\(id) \(variation.populationCV)")
      #expect(abs(variation.sampleCV - printed.populationCV) > 0.00005)
      #expect(abs(variation.sampleCV - printed.sampleCV) <= 0.0001)
      #expect(abs(epochs.reduce(0, +) / Double(epochs.count) - quotient) <= 0.08)
      #expect(printed.count == epochs.count)
    }
    try fits("DC-AI-C6", [9, 10, 12, 12])
    try fits("DC-AI-C14", [7, 11, 12, 15, 15])
    try fits("DC-AI-C16", [22, 23, 23, 23])
    try fits("DC-AI-C12", [17, 27, 30, 33])
    let ranking = try #require(RunVariation([22, 23, 23, 23]))
    #expect(abs(ranking.populationCV - 0.01903) < 5e-6 && abs(ranking.sampleCV - 0.02198) < 5e-6)
  }

  /// Section 5.2.1's ranges, and the exact sizes behind them.
  @Test func sizes() throws {
    let (aibench, mlperf) = (try aibench.get(), try mlperf.get())
    func range(_ set: MemberSet, _ characteristic: Characteristic) throws -> MemberSet.StatedRange {
      try #require(set.statedRanges.first { $0.characteristic == characteristic })
    }
    let (flops, others) = (try range(aibench, .forwardOpCounter), try range(mlperf, .forwardOpCounter))
    #expect(abs(flops.greatest / others.greatest - 6.44) < 0.005)
    #expect(abs((try range(aibench, .parameters).greatest / range(mlperf, .parameters).greatest) - 1.381) < 0.0005)
    #expect(abs((try range(aibench, .epochs).greatest / range(mlperf, .epochs).greatest) - 1.96) < 0.005)
    #expect(aibench["DC-AI-C16"]?.forwardOpCounter.value == flops.least)
    #expect(aibench["DC-AI-C9"]?.forwardOpCounter.value == flops.greatest)
    #expect(aibench["DC-AI-C9"]?.forwardOpCounter.provenance?.source == .published)
    #expect(mlperf["ML-NCF"]?.forwardOpCounter.value == others.least && others.least == 2 * 106_624)
    #expect(aibench["DC-AI-C15"]?.parameters.value == 27_360)
    #expect(aibench["DC-AI-C1"]?.parameters.provenance?.source == .derived)
    // A stated range that exact counts contradict says so.
    let parameters = mlperf.members.compactMap(\.parameters.value)
    #expect((parameters.max() ?? 0) > (try range(mlperf, .parameters).greatest))
    #expect(try range(mlperf, .parameters).remark != nil)
    #expect(aibench["DC-AI-C2"]?.parameters.value == Double(6_880_768 + 6_817_793))
    #expect(aibench["DC-AI-C5"]?.parameters.value == Double(2 * 11_378_179 + 2 * 2_764_737))
    #expect(aibench["DC-AI-C12"]?.parameters.value == Double(17_106_624 + 16_384 + 18_333_792))
    let v11 = try References.memberSet(named: "aibench-v1.1")
    #expect(v11["DC-AI-C18"]?.parameters.value == Double(33_762_577 * 16 + 155_984 + 320_001))
    #expect(v11.members.allSatisfy { $0.secondsToQuality.value == nil && $0.variation.value == nil })
  }

  @Test func contradictionsStandBesideTheirNumbers() throws {
    let set = try aibench.get()
    for (id, words) in [
      ("DC-AI-C1", "73.7"), ("DC-AI-C3", "recurrent"), ("DC-AI-C6", "23.5"), ("DC-AI-C7", "89"), ("DC-AI-C8", "1170"),
      ("DC-AI-C9", "5.57"), ("DC-AI-C10", "20M"), ("DC-AI-C11", "304"), ("DC-AI-C16", "13.9"), ("DC-AI-C17", "6.15"),
    ] {
      #expect(set[id]?.remarks.contains { $0.contains(words) } == true, "\(id)")
    }
    #expect(set["DC-AI-C6"]?.variation.provenance?.detail?.contains("same seed") == true)
    #expect(try mlperf.get().remarks.contains { $0.contains("0.3768") && $0.contains("cut off") })
  }

  // MARK: The subset of section 5.4

  @Test func theRulesChooseTheThree() throws {
    let (aibench, mlperf) = (try aibench.get(), try mlperf.get())
    let choice = SubsetChoice(of: aibench, against: [mlperf])
    #expect(
      choice.rules.eligible.map { aibench.members[$0].title } == [
        "Image classification", "Object detection", "Learning to rank",
      ])
    #expect(choice.chosenIDs == ["DC-AI-C1", "DC-AI-C9", "DC-AI-C16"])
    #expect(choice.unmet.isEmpty && choice.isDefensible)
    #expect(choice.cost.basis == .timeToQuality && choice.cost.suite.counted == 15)
    #expect(abs(choice.cost.suite.value / 3600 - 225.41) < 1e-9 && abs(choice.cost.subset.value / 3600 - 132.99) < 1e-9)
    #expect(abs((choice.cost.saved.value ?? 0) - 0.41) < 5e-5)
    let against = try #require(choice.comparisons.first)
    #expect(abs((against.savedBySubset.value ?? 0) - 0.6323) < 5e-5)
    #expect(abs((against.savedBySuite.value ?? 0) - 0.3768) < 5e-5)
    #expect(against.cost.lowerBounds == ["ML-MiniGo"])
    let without = try #require(against.withoutLowerBounds)
    #expect(abs(without.cost.value / 3600 - 265.72) < 1e-9)
    #expect(
      abs((without.savedBySuite.value ?? 0) - 0.152) < 5e-4 && abs((without.savedBySubset.value ?? 0) - 0.5) < 1e-3)
    let concentration = try #require(choice.cost.concentration)
    #expect(concentration.member == "DC-AI-C1")
    #expect(abs(concentration.shareOfSubset - 0.978) < 5e-4 && abs(concentration.shareOfSuite - 0.5767) < 5e-5)
    #expect(
      abs(concentration.subsetWithout / 3600 - 2.99) < 1e-9 && abs(concentration.suiteWithout / 3600 - 95.41) < 1e-9)
    #expect(abs(concentration.savedWithout - 0.969) < 5e-4)
    // Four runs do not show a variation below 2 %; the report has no data to see clusters by.
    #expect(choice.caveats.contains { $0.contains("does not support") && $0.contains("Learning to rank") })
    #expect(choice.rules.applied.contains { $0.rule == .clusters && !$0.isApplied })
    // Small, medium and large by FLOPs and parameters, as section 5.4.2 says.
    for (id, third) in [("DC-AI-C16", "small"), ("DC-AI-C1", "medium"), ("DC-AI-C9", "large")] {
      let member = choice.rules.members.first { $0.id == id }
      let reason = member?.verdicts.first { $0.rule == .diversity }?.reason ?? ""
      #expect(reason.contains("parameters \(third)") && reason.contains("FLOPs \(third)"), "\(id): \(reason)")
    }
  }

  @Test func withoutARuleTheOthersHold() throws {
    let aibench = try aibench.get()
    let metric = SubsetChoice(of: aibench, SubsetOptions(without: [.variation]))
    // The generative models have no accepted metric.
    #expect(metric.rules.members.filter { !$0.isEligible }.map(\.id) == ["DC-AI-C2", "DC-AI-C5"])
    #expect(metric.chosen.count == 3 && metric.cost.subset.value < 132.99 * 3600)
    let all = SubsetChoice(of: aibench, SubsetOptions(without: [.diversity]))
    #expect(all.chosenIDs == ["DC-AI-C1", "DC-AI-C9", "DC-AI-C16"] && all.method.contains("all members"))
    // In the space of sizes there is evidence; characterization has its extremes.
    let wc = SubsetChoice(of: aibench, SubsetOptions(.wc, features: .model, bootstraps: 40))
    for id in ["DC-AI-C15", "DC-AI-C9", "DC-AI-C16"] { #expect(wc.chosenIDs.contains(id)) }
    #expect(wc.evidence.value?.isExhaustive == true && wc.evidence.value?.chance?.isExact == true)
  }
}

@Suite struct ReferenceFormatTests {
  private static func error(_ text: String) -> ManifestError? {
    do {
      _ = try References.memberSet(reference: text, named: "r.yaml")
      return nil
    } catch { return error }
  }

  private static let head = "reference: r\nsource: s\nmembers:\n"
  private static let one = head + "  - id: a\n    "

  @Test(
    arguments: [
      ("", nil, "empty"),
      ("- a\n", 1, "must have fields"),
      ("reference: [r\nsource: s\n", nil, "no YAML"),
      ("reference: r\nmembers: [{id: a}]\n", 1, "'source' is missing"),
      ("reference: ../r\nsource: s\nmembers: [{id: a}]\n", 1, "begins with a letter or digit"),
      (head + "  {}\n", 4, "must be a list"),
      ("reference: r\nsource: s\nmembers: []\n", 3, "at least one"),
      (head + "  - title: a\n", 4, "'id' is missing"),
      (head + "  - id: a\n  - id: A\n", 5, "'A' is there already, in line 4"),
      (one + "hours: 3\n", 5, "no field 'hours'"),
      (one + "parameters: 3\n", 5, "must have fields"),
      (one + "parameters: {source: s}\n", 5, "one of 'value', 'at-least' and 'missing'"),
      (one + "parameters: {value: 1, at-least: 2, source: s}\n", 5, "one of 'value'"),
      (one + "parameters: {value: 1}\n", 5, "'source'"),
      (one + "parameters: {value: 1, source: s, counted: c}\n", 5, "not both"),
      (one + "parameters: {value: many, source: s}\n", 5, "must be a number"),
      (one + "parameters: {value: .nan, source: s}\n", 5, "must be a number"),
      (one + "parameters: {value: -1, source: s}\n", 5, "negative"),
      (one + "parameters: {value: 1, source: s, colour: red}\n", 5, "no field 'colour'"),
      (one + "variation: {percent: 1, source: s}\n", 5, "'percent' and 'runs'"),
      (one + "variation: {percent: 1, runs: 4}\n", 5, "'source' is missing"),
      (one + "variation: {percent: 1, runs: 1, source: s}\n", 5, "2 to"),
      (one + "variation: {percent: -1, runs: 4, source: s}\n", 5, "negative"),
      (one + "variation: {epochs: [3], source: s}\n", 5, "two runs or more"),
      (one + "variation: {epochs: [3, x], source: s}\n", 5, "must be a number"),
      (one + "variation: {percent: 1, missing: m}\n", 5, "'missing' and there"),
      (one + "widely-accepted-metric: {value: yes please, reason: r}\n", 5, "true or false"),
      (
        "reference: r\nsource: s\nranges:\n  - {characteristic: weight, least: 1, greatest: 2, source: s}\nmembers: [{id: a}]\n",
        4, "must be parameters or"
      ),
      (
        "reference: r\nsource: s\nranges:\n  - {characteristic: parameters, least: 2, greatest: 1, source: s}\nmembers: [{id: a}]\n",
        4, "below the least"
      ),
    ] as [(String, Int?, String)])
  func mistakes(_ text: String, _ line: Int?, _ message: String) throws {
    let error = try #require(Self.error(text), "it was read: \(text)")
    #expect(error.message.contains(message), "\(error)")
    if let line { #expect(error.line == line, "\(error)") }
  }

  @Test func whatIsNotThereIsNotZero() throws {
    let set = try References.memberSet(
      reference: """
        reference: r
        source: s
        members:
          - id: a
            parameters: {missing: 'nobody counted'}
            hours-to-quality: {at-least: 2, source: 'table 1', remark: 'ended early'}
            seconds-per-epoch: {value: 60, source: 'table 2'}
            variation: {epochs: [22, 23, 23, 23], source: 'table 3'}
          - id: b
            hours-to-quality: {value: 1, source: 'table 1'}
            seconds-per-epoch: {value: 60, source: 'table 2'}
            epochs: {value: 58, source: 'table 4'}
          - id: c
            hours-to-quality: {value: 1, source: 'table 1'}
            seconds-per-epoch: {value: 90, counted: 'a clock'}
        """, named: "r.yaml")
    let (a, b, c) = (set.members[0], set.members[1], set.members[2])
    #expect(
      a.parameters.unavailable?.reason == "nobody counted" && a.forwardFLOPs.unavailable?.reason == "not published")
    #expect(a.secondsToQuality.value == 7200 && a.lowerBounds == [.secondsToQuality])
    #expect(a.secondsToQuality.provenance?.detail == "a lower bound; table 1; ended early")
    // A lower bound has no quotient.
    #expect(a.epochs.value == nil)
    #expect(abs((a.variation.value?.populationCV ?? 0) - 0.01903) < 5e-6)
    #expect(b.epochs.value == 58 && b.epochs.provenance?.source == .published)
    #expect(c.epochs.value == 40)
    #expect(
      c.epochs.provenance?.detail
        == "time to quality ÷ time per epoch (table 1; counted from the published architecture: a clock)")
  }

  @Test func namesAndFiles() throws {
    #expect(throws: ManifestError.self) { try References.memberSet(named: "spec2017") }
    #expect(throws: ManifestError.self) { try References.memberSet(named: "/nowhere/x.yaml") }
    #expect(throws: ManifestError.self) { try References.memberSet(named: "/") }
    let path = NSTemporaryDirectory() + "reference-\(UUID().uuidString).yaml"
    defer { try? FileManager.default.removeItem(atPath: path) }
    try Data([0xFF, 0xFE, 0x00]).write(to: URL(fileURLWithPath: path))
    #expect(throws: ManifestError.self) { try References.memberSet(named: path) }
    try Data("reference: mine\nsource: us\nmembers: [{id: a}]\n".utf8).write(to: URL(fileURLWithPath: path))
    #expect(try References.memberSet(named: path).name == "mine")
    #expect(try References.memberSet(named: "AIBench").name == "aibench")
  }
}
