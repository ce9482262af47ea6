// How does a suite's page show the stalls of each category that a simulator's counts make?
import Analysis
import ProfileModel

extension SuitePage {
  /// In the place of the technical report's Figure 7 where nothing else counts.
  var simulatedStalls: ReportDocument.Section? {
    guard case .measured(let stalls, let provenance) = suite.simulatedStalls, !stalls.categories.isEmpty else {
      return nil
    }
    let waiting = stalls.categories.max { first, second in
      func share(_ category: SuiteStalls.Category) -> Double {
        category.shares.first { $0.part == .memoryDependency }?.share ?? 0
      }
      return share(first) < share(second)
    }
    let table = Table(
      columns: [.name("Category"), Table.Column("Benchmarks"), Table.Column("Of cycles")]
        + SimulatedStalls.Part.allCases.map { Table.Column(ReportBuilder.capitalized($0.rawValue)) }
        + (stalls.categories.first?.rates ?? []).map {
          Table.Column(ReportBuilder.capitalized($0.label), hint: "\($0.event) per thousand instructions")
        },
      rows: stalls.categories.map { category in
        [
          Table.Cell.key(category.category.rawValue, .category(category.category)), .count(category.members),
          .share(category.shareOfCycles),
        ] + category.shares.map { .share($0.share, bar: false) }
          + category.rates.map { Table.Cell(NumberFormat.decimal($0.perThousand), sort: $0.perThousand) }
      }, note: "Simulated. Means over the benchmarks in which the category ran; events per thousand instructions.")
    return Self.section(
      "simulated-stalls", "Stalls of each category, simulated", short: "Simulated stalls",
      [
        .paragraph(
          """
          \(strong: "Simulated.") By Callgrind’s counts and a model of cycles, never by a processor’s counters; each \
          benchmark’s page has the formula and its constants. \(ReportBuilder.counted(stalls.members, "benchmark")) \
          \(stalls.members == 1 ? "was" : "were") simulated\(stalls.missing > 0 ? ", \(stalls.missing) not" : "").
          """),
        .figure(
          ReportDocument.Figure(
            title: waiting.map {
              "Simulated: kernels of \($0.category.rawValue) wait most for data"
            } ?? "Simulated stalls",
            drawing: .chart(
              StackedBarChart(
                summary: "Simulated: shares of each category’s modelled cycles by what they go to",
                rows: stalls.categories.map { category in
                  .init(
                    label: category.category.rawValue,
                    segments: category.shares.map { share in
                      .init(
                        color: ReportBuilder.color(share.part), name: share.part.rawValue, value: share.share,
                        details: [
                          "simulated; \(NumberFormat.percent(share.range.lowerBound)) to \(NumberFormat.percent(share.range.upperBound)) over the benchmarks"
                        ])
                    })
                }, format: .percent, showsTotals: false)),
            caption: """
              What stands for Figure 7 of the technical report where no hardware counts: shares of each category’s modelled \
              cycles, means over the benchmarks in which it ran.
              """, table: table, provenance: provenance)),
        .table(
          title: "Stalls of the technical report that the simulation does not tell",
          ReportBuilder.absentTable(stalls.absent), isFolded: true),
      ])
  }
}
