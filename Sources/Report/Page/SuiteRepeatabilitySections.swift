// How much do the members' results vary from run to run, and what does running them cost?
import Analysis
import Foundation
import ProfileModel

extension SuitePage {
  // MARK: Table 5

  var variation: ReportDocument.Section? {
    guard !members.isEmpty else { return nil }
    let limit = RepetitionStatistics.repeatableBelow
    func row(_ member: SuiteMember, _ variation: Measured<RunVariation>) -> IntervalChart.Row {
      guard let known = variation.value else {
        return .init(label: Self.label(member), reason: variation.unavailable?.reason)
      }
      return .init(
        label: Self.label(member), color: .group(cluster(of: member.id)), point: known.sampleCV,
        lower: known.interval.value?.lower, upper: known.interval.value?.upper, second: known.populationCV,
        reason: known.interval.unavailable?.reason,
        details: ["\(known.count) runs"])
    }
    func table(_ variation: (SuiteMember) -> Measured<RunVariation>) -> Table {
      Table(
        columns: [
          .name("Benchmark"), Table.Column("Runs"),
          Table.Column("CV, n", hint: "the population’s standard deviation ÷ mean: the technical report’s form"),
          Table.Column("CV, n − 1", hint: "the sample’s standard deviation ÷ mean"), Table.Column("95 % from"),
          Table.Column("to"), .name("Values"),
        ],
        rows: members.map { member in
          switch variation(member) {
          case .unavailable(let why):
            return [
              Table.Cell(Self.label(member)), .empty, .missing(why), .missing(why), .missing(why), .missing(why),
              .empty,
            ]
          case .measured(let known, _):
            let bounds: [Table.Cell]
            switch known.interval {
            case .measured(let interval, _):
              bounds = [
                .share(interval.lower, bar: false), interval.upper.map { .share($0, bar: false) } ?? "unbounded",
              ]
            case .unavailable(let why): bounds = [.missing(why), .missing(why)]
            }
            return [
              Table.Cell(Self.label(member)), .count(known.count), .share(known.populationCV, bar: false),
              .share(known.sampleCV, bar: false),
            ] + bounds + [Table.Cell(known.values.map { NumberFormat.decimal($0) }.joined(separator: ", "))]
          }
        })
    }
    func figure(_ what: String, _ variation: (SuiteMember) -> Measured<RunVariation>, _ caption: Prose)
      -> ReportDocument.Block
    {
      let known = members.compactMap { variation($0).value }
      let below = known.count { $0.populationCV < limit }
      return .figure(
        ReportDocument.Figure(
          title: known.isEmpty
            ? "Nothing is known about the variation of \(what)"
            : "\(ReportBuilder.capitalized(what)): \(below) of \(known.count) benchmarks vary by less than 2 %",
          drawing: .chart(
            IntervalChart(
              summary: "Coefficient of variation of \(what) with its confidence interval",
              rows: members.map { row($0, variation($0)) },
              axis: PlotAxis(title: "coefficient of variation", format: .percent, includes: [0, 0.05]),
              threshold: .init(value: limit, label: "2 %"), pointName: "sample form (n − 1)",
              secondName: "population form (n), as the report", intervalName: "95 % interval")),
          caption: caption, table: table(variation),
          provenance: members.compactMap { variation($0).provenance }.first))
    }
    return Self.section(
      "variation", "Run-to-run variation", short: "Variation",
      [
        figure(
          "epochs to quality", \.variation,
          "Table 5 of the technical report, which prints the population form without an interval. The interval (McKay’s approximation modified by Vangel) is of the sample form and assumes roughly normal values: with four runs it reaches from 0.6 to almost 4 times the estimate. Epochs are whole numbers, so a small variation can’t be resolved."
        ),
        figure(
          "time to quality", \.timeVariation,
          "The same of the time from the first step to the target, which also holds the machine’s own noise."),
      ])
  }

  // MARK: Table 6

  var cost: ReportDocument.Section? {
    guard !members.isEmpty else { return nil }
    let shares = Dictionary(suite.cost.costliest.map { ($0.id, $0.share) }) { first, _ in first }
    let rows = members.map { member -> [Table.Cell] in
      func seconds(_ value: Measured<Double>) -> Table.Cell { .measured(value.map { $0 * 1e9 }, unit: "ns") }
      let runs = member.variation.value?.count ?? member.runs.count(where: \.isCounted)
      return [
        Table.Cell(Self.label(member)), seconds(member.secondsPerEpoch), .measured(member.epochs, unit: "1"),
        seconds(member.secondsToQuality), shares[member.id].map { .share($0) } ?? .empty,
        runs > 0 ? .count(runs) : .empty,
        member.secondsToQuality.value.map { runs > 0 ? .duration($0 * Double(runs) * 1e9) : .empty } ?? .empty,
      ]
    }
    var blocks: [ReportDocument.Block?] = []
    if case .measured(let total, _) = suite.cost.seconds {
      let top = suite.cost.costliest.prefix(3)
      var text: Prose =
        "One session of each of the \(suite.cost.timed) benchmarks with a time to quality costs \(strong: Self.seconds(total))"
      if let all = suite.cost.secondsOfAllRuns.value { text = text + ", all repeats together \(Self.seconds(all))" }
      text = text + ". The three costliest take \(NumberFormat.percent(top.reduce(0) { $0 + $1.share })) of it."
      if !suite.cost.untimed.isEmpty {
        text = text + " No time to quality: \(suite.cost.untimed.map(title(of:)).joined(separator: ", "))."
      }
      blocks.append(.paragraph(text))
    }
    blocks.append(
      .table(
        title: "Table 6 of the technical report: what training to the target costs",
        Table(
          columns: [
            .name("Benchmark"),
            Table.Column("Time per epoch", hint: "training alone, without evaluation; median over the runs"),
            Table.Column("Epochs"),
            Table.Column("Time to quality", hint: "first step to target, evaluations included; mean over the runs"),
            Table.Column("Of the suite"), Table.Column("Runs"), Table.Column("All runs"),
          ], rows: rows,
          note: "Time to quality is measured and not epochs × time per epoch: it holds the evaluations too."),
        isFolded: false))
    return Self.section("cost", "Benchmarking cost", short: "Cost", blocks)
  }
}
