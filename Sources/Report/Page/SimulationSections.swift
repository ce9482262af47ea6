// How does the report show what a simulator counted, so that nobody takes it for this machine's?
import Analysis
import ProfileModel

extension ReportBuilder {
  var simulation: ReportDocument.Section? {
    guard case .measured(let stalls, let provenance) = characterization.simulation else { return nil }
    let rows =
      [("all that was simulated", stalls.total)]
      + stalls.categories.map { ($0.category?.rawValue ?? "outside kernels", $0.entry) }
    let leading = stalls.total.shares.max { $0.share < $1.share }
    let figure = ReportDocument.Figure(
      title: leading.map {
        "Simulated: \(NumberFormat.percent($0.share)) of the modelled cycles go to \(ReportBuilder.words($0.part))"
      } ?? "Simulated cycles",
      drawing: .chart(
        StackedBarChart(
          summary: "Simulated: shares of the modelled cycles by what they go to, a bar a category of kernels",
          rows: rows.map { label, entry in ReportBuilder.bar(label, entry) }, format: .percent, showsTotals: false)),
      caption: """
        Simulated, not measured: Callgrind’s counts of one thread, turned into cycles by the model below. Each bar is one \
        category’s cycles; categories are in the order of their cycles.
        """,
      table: shareTable(rows, of: "Category"), provenance: provenance)
    return section(
      "simulation", "Simulated counts and stalls", short: "Simulated",
      [
        .paragraph(
          """
          \(strong: "Simulated.") Nothing in this section was counted by this machine’s processor: one more run took place \
          in \(provenance.detail ?? "a simulator"), in which \(NumberFormat.count(stalls.total.instructions)) instructions \
          were counted\(iterations(stalls)).
          """),
        stalls.degradation.map { .note(Note(.warning, "The simulated run was not a whole one: \($0).")) },
        .figure(figure),
        .table(
          title: "Simulated events per thousand instructions", ReportBuilder.rateTable(rows, of: "Category"),
          isFolded: false),
        hotspotTable(stalls),
        .paragraph("\(strong: "The model.") Simulated cycles = \(stalls.formula). \(ReportBuilder.caveat)"),
        .table(title: "Constants of the model", constantTable(stalls), isFolded: false),
        .table(title: "What was simulated", conditionTable(stalls), isFolded: true),
        .table(
          title: "Stalls of the technical report that the simulation does not tell",
          ReportBuilder.absentTable(stalls.absent),
          isFolded: true),
      ])
  }

  private static let caveat =
    "Callgrind has a first and a last level: what the first misses and the last holds is taken to cost the second level’s "
    + "latency, the least that it can. There is no prefetcher, no port and no chain of dependent instructions: the model "
    + "tells where waits come from, not how long a run takes. Stores don’t wait in it."

  private func iterations(_ stalls: SimulatedStalls) -> String {
    guard let count = stalls.conditions.first(where: { $0.name == "simulation.iterations" })?.value.value?.number else {
      return ""
    }
    return count >= 1 ? " in \(ReportBuilder.counted(Int(min(count, 1e9)), "iteration"))" : " in a part of an iteration"
  }

  /// A part in a sentence.
  static func words(_ part: SimulatedStalls.Part) -> String {
    switch part {
    case .execution: "execution at full width"
    case .instructionFetch: "waiting for instructions"
    case .memoryDependency: "waiting for data"
    case .branch: "mispredicted branches"
    }
  }

  static func color(_ part: SimulatedStalls.Part) -> ColorKey {
    switch part {
    case .execution: .line(2)
    case .instructionFetch: .line(0)
    case .memoryDependency: .line(1)
    case .branch: .line(3)
    }
  }

  private static func bar(_ label: String, _ entry: SimulatedStalls.Entry) -> StackedBarChart.Row {
    StackedBarChart.Row(
      label: label,
      segments: entry.shares.map { share in
        var details = ["simulated; \(NumberFormat.count(share.cycles.rounded())) modelled cycles"]
        if share.part == .memoryDependency {
          details.append(
            "\(NumberFormat.percent(entry.memoryShareRange.lowerBound)) if twice as many misses overlap, "
              + "\(NumberFormat.percent(entry.memoryShareRange.upperBound)) if half as many and the last level serves all"
          )
        }
        return .init(color: color(share.part), name: share.part.rawValue, value: share.share, details: details)
      })
  }

  private func shareTable(_ rows: [(String, SimulatedStalls.Entry)], of what: String) -> Table {
    Table(
      columns: [.name(what), Table.Column("Of instructions"), Table.Column("Of cycles")]
        + SimulatedStalls.Part.allCases.map { Table.Column(ReportBuilder.capitalized($0.rawValue)) }
        + [
          Table.Column(
            "Memory, at least … at most",
            hint: "twice the overlap … half of it, and every first-level miss from the last level")
        ],
      rows: rows.map { label, entry in
        [Table.Cell(label), .share(entry.shareOfInstructions), .share(entry.shareOfCycles)]
          + entry.shares.map { .share($0.share, bar: false) }
          + [
            Table.Cell(
              "\(NumberFormat.percent(entry.memoryShareRange.lowerBound)) … \(NumberFormat.percent(entry.memoryShareRange.upperBound))",
              sort: entry.memoryShareRange.lowerBound)
          ]
      }, note: "Simulated. Shares of cycles are the model’s.")
  }

  /// Events per thousand instructions.
  static func rateTable(_ rows: [(String, SimulatedStalls.Entry)], of what: String) -> Table {
    Table(
      columns: [.name(what), Table.Column("Instructions")]
        + (rows.first?.1.rates ?? []).map { Table.Column(ReportBuilder.capitalized($0.label), hint: $0.event) },
      rows: rows.map { label, entry in
        [Table.Cell(label), Table.Cell(NumberFormat.count(entry.instructions), sort: entry.instructions)]
          + entry.rates.map { Table.Cell(NumberFormat.decimal($0.perThousand), sort: $0.perThousand) }
      }, note: "Simulated, per thousand instructions of the row.")
  }

  private func hotspotTable(_ stalls: SimulatedStalls) -> ReportDocument.Block? {
    let hotspots = stalls.hotspots.prefix(room(30))
    guard !hotspots.isEmpty else { return nil }
    let table = Table(
      columns: [.name("Function"), .name("Library"), .name("For kernels of"), Table.Column("Of cycles")]
        + SimulatedStalls.Part.allCases.map { Table.Column(ReportBuilder.capitalized($0.rawValue)) }
        + [
          Table.Column("First-level misses", hint: "data, per thousand instructions"),
          Table.Column("Mispredictions", hint: "per thousand instructions"),
        ],
      rows: hotspots.map { hotspot in
        [
          Table.Cell.code(hotspot.function), Table.Cell(ReportBuilder.fileName(hotspot.module)),
          hotspot.category.map { .key($0.rawValue, .category($0)) } ?? Table.Cell("—"),
          .share(hotspot.entry.shareOfCycles),
        ] + hotspot.entry.shares.map { .share($0.share, bar: false) }
          + ["D1mr+D1mw", "Bcm+Bim"].map { event in
            let rate = hotspot.entry.rates.first { $0.event == event }?.perThousand ?? 0
            return Table.Cell(NumberFormat.decimal(rate), sort: rate)
          }
      }, note: "Simulated. Self only; without a symbol a function goes by its address.")
    return .table(title: "Simulated hotspots, by modelled cycles", table, isFolded: false)
  }

  private func constantTable(_ stalls: SimulatedStalls) -> Table {
    Table(
      columns: [.name("Constant"), Table.Column("Value"), .name("Unit"), .name("From")],
      rows: stalls.constants.map { constant in
        [
          Table.Cell(ReportBuilder.capitalized(constant.label)), .measured(constant.value, unit: "1"),
          Table.Cell(constant.unit == "1" ? "" : constant.unit), Table.Cell(constant.value.provenance?.words ?? ""),
        ]
      })
  }

  private func conditionTable(_ stalls: SimulatedStalls) -> Table {
    Table(
      columns: [.name("What"), .name("Value"), .name("Remark")],
      rows: stalls.conditions.map { quantity in
        [
          .code(quantity.name), .measured(quantity.value, unit: quantity.unit),
          Table.Cell(quantity.value.provenance?.detail ?? ""),
        ]
      })
  }

  /// The stalls that nobody simulates.
  static func absentTable(_ absent: [SimulatedStalls.Absent]) -> Table {
    Table(
      columns: [.name("Stall"), .name("Why not")], rows: absent.map { [Table.Cell($0.stall), Table.Cell($0.reason)] })
  }
}
