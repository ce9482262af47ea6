// Does the report show how far a scaled count can be trusted, and where energy went?
import Analysis
import Foundation
import ProfileModel
import Testing

@testable import Report

struct CounterPageTests {
  /// The command's run on a machine whose counters took turns, with power over time.
  static var profile: Profile {
    var profile = Fixtures.training()
    func scaled(_ event: String, _ value: Double, _ share: Double, _ half: Double) -> CounterTotal {
      CounterTotal(
        event: event, value: .measured(value, Provenance(.scaledCounter, runningFraction: share)),
        enabledNanoseconds: 1_000_000_000, runningNanoseconds: Int64(share * 1e9),
        interval: (value - half)...(value + half))
    }
    profile.repetitions[0].counters = [
      CounterTotal(event: "cycles", value: Measured(3e9, .hardwareCounter)), scaled("instructions", 6e9, 0.61, 6e7),
      scaled("branches", 1e9, 0.55, 2e7), scaled("branch-misses", 1e7, 0.15, 3e6),
    ]
    let wall = profile.repetitions[0].repetition.wallNanoseconds
    for point in 1...Int(wall / 100_000_000) {
      profile.repetitions[0].points.append(
        SeriesPoint(series: "power.package", timeNanoseconds: Int64(point) * 100_000_000, value: 120))
    }
    return profile
  }
  static let characterization = Characterization(of: profile)

  @Test func runningShareAndIntervalStandBesideTheCount() throws {
    for format in [ReportFormat.html, .markdown] {
      let page = try Report.render(Self.characterization, as: format)
      #expect(page.contains("interval"), "\(format)")
      #expect(page.contains("5.94\u{202F}G to 6.06\u{202F}G"), "\(format)")
      #expect(page.contains("61"), "\(format)")
    }
    // Instructions per cycle are 2 ± 1 %.
    let ipc = try #require(Self.characterization.counters.ratios.first { $0.name == "ipc" }?.interval)
    #expect(abs(ipc.lower - 1.98) < 1e-9)
    let csv = try Report.render(Self.characterization, as: .csv)
    #expect(csv.contains("counter,instructions,lower,5940000000") && csv.contains("ratio,ipc,upper,2.02"))
  }

  @Test func jsonFollowsItsSchema() throws {
    let text = try Report.render(Self.characterization, as: .json)
    let problems = try Schema().problems(JSONSerialization.jsonObject(with: Data(text.utf8)))
    #expect(problems.prefix(8).joined(separator: "; ") == "")
    #expect(text.contains("\"interval\""))
  }

  @Test func exactCountsHaveNoSuchColumn() throws {
    let page = try Report.render(Characterization(of: Fixtures.command()), as: .markdown)
    #expect(!page.contains("a counter that took turns"))
  }

  @Test func energyByPhase() throws {
    let page = try Report.render(Self.characterization, as: .markdown)
    #expect(page.contains("Energy of the processor package in training"))
    #expect(page.contains("Phase: backward"))
    #expect(page.contains("share its energy by their time"))
    let csv = try Report.render(Self.characterization, as: .csv)
    #expect(csv.contains("energy,backward,phase,"))
    // Without a meter there is no table, and no zero.
    let without = try Report.render(Characterization(of: Fixtures.training()), as: .markdown)
    #expect(!without.contains("Energy of the processor package in training"))
  }
}
