// How does the report show how much of the machine's arithmetic and memory each category uses?
import Analysis
import ProfileModel

extension ReportBuilder {
  /// Categories with less of the kernel time are in the table only.
  private static let drawnShare = 0.01

  var efficiency: ReportDocument.Section? {
    guard case .measured(let efficiency, let provenance) = characterization.efficiency else { return nil }
    let columns = Efficiency.definitions.map { definition in
      Table.Column(ReportBuilder.capitalized(definition.name), hint: definition.definition)
    }
    return section(
      "efficiency", "Efficiency",
      [
        .figure(
          ReportDocument.Figure(
            title: efficiencyTitle(efficiency), drawing: .chart(efficiencyChart(efficiency)),
            caption:
              "Against ceilings measured on this machine, so without hardware counters. A category’s operands are taken to come from the closest memory that can hold those of one call: that is the best case, and a low bandwidth efficiency also means operands that were not there. An axis without a corner was not measured; values above the outer ring end on it. Compare shapes here and numbers in the table.",
            table: efficiencyTable([efficiency.whole] + efficiency.categories, columns: columns, hasShapes: false),
            provenance: provenance)),
        .table(title: "By level of the memory hierarchy", levelTable(efficiency), isFolded: false),
        efficiency.kernels.isEmpty
          ? nil
          : .table(
            title: "The hottest kernels",
            efficiencyTable(Array(efficiency.kernels.prefix(room(40))), columns: columns, hasShapes: true),
            isFolded: true),
        .table(
          title: "What the axes mean",
          Table(
            columns: [.name("Axis"), .name("Definition")],
            rows: Efficiency.definitions.map { [Table.Cell($0.name), .sentence($0.definition)] }), isFolded: true),
      ])
  }

  private func efficiencyTitle(_ efficiency: Efficiency) -> Prose {
    let whole = efficiency.whole
    guard let compute = whole.compute else { return "No kernel’s arithmetic is known" }
    guard let level = whole.levels.max(by: { $0.nanoseconds < $1.nanoseconds }) else {
      return "The kernels use \(NumberFormat.percent(compute)) of the machine’s peak arithmetic"
    }
    return
      "The kernels use \(NumberFormat.percent(compute)) of the machine’s peak arithmetic; for \(NumberFormat.percent(level.share)) of their time \(level.level) is the closest memory that holds a call’s operands, and they use \(NumberFormat.percent(level.efficiency)) of its bandwidth"
  }

  private static func values(_ row: Efficiency.Row) -> [Double?] {
    [row.occupancy, row.compute, row.bandwidth, row.dram, row.roof]
  }

  private func efficiencyChart(_ efficiency: Efficiency) -> KiviatChart {
    let shown = efficiency.categories.filter { row in
      row.shareOfKernels >= Self.drawnShare && Self.values(row).count { $0 != nil } > 2
    }
    let names = Efficiency.definitions.map(\.name)
    // Each axis ends close to its greatest value, because dots tell nothing.
    func ring(_ axis: Int) -> Double {
      let greatest = ([efficiency.whole] + shown).compactMap { Self.values($0)[axis] }.max() ?? 1
      return min(1, greatest > 0.5 ? (greatest * 4).rounded(.up) / 4 : max(0.05, (greatest * 20).rounded(.up) / 20))
    }
    return KiviatChart(
      summary: "A Kiviat diagram of efficiency for each kernel category",
      axes: names.enumerated().map {
        KiviatChart.Axis(name: $0.element, shortLabel: $0.element, outer: ring($0.offset), format: .percent)
      },
      series: ([efficiency.whole] + shown).map { row in
        KiviatChart.Series(
          name: row.name, color: row.category.map { .category($0) } ?? .group(0), values: Self.values(row),
          details: zip(names, Self.values(row)).map { name, value in
            "\(name): \(value.map { NumberFormat.percent($0) } ?? "not measured")"
          } + ["\(NumberFormat.percent(row.shareOfKernels)) of the kernels’ time"])
      }, arrangement: .multiples)
  }

  private func efficiencyTable(_ rows: [Efficiency.Row], columns: [Table.Column], hasShapes: Bool) -> Table {
    Table(
      columns: [.name(hasShapes ? "Kernel" : "Category")] + (hasShapes ? [.name("Shapes")] : [])
        + [Table.Column("Time"), Table.Column("Of kernels")] + columns
        + [
          .name("Operands fit", hint: "closest memory that holds those of one call; share of the time where it differs")
        ],
      rows: rows.map { row in
        var name =
          hasShapes ? Table.Cell.code(row.name, color: row.category.map { .category($0) }) : Table.Cell(row.name)
        name.color = row.category.map { .category($0) }
        name.isStrong = row.category == nil
        let levels = row.levels.map {
          row.levels.count == 1 ? $0.level : "\($0.level) \(NumberFormat.percent($0.share))"
        }
        return [name] + (hasShapes ? [.code(row.shapes ?? "")] : []) + [
          .duration(row.nanoseconds), .share(row.shareOfKernels),
        ] + Self.values(row).map { value in value.map { .share($0, bar: false) } ?? "—" } + [
          Table.Cell(levels.isEmpty ? "—" : levels.joined(separator: ", "))
        ]
      })
  }

  private func levelTable(_ efficiency: Efficiency) -> Table {
    Table(
      columns: [
        .name("Level"), Table.Column("Holds", hint: "all instances that the run can use"),
        Table.Column("Measured bandwidth"), Table.Column("Time of kernels", hint: "whose operands it holds first"),
        Table.Column("Bytes"), Table.Column("Achieved"),
        Table.Column("Efficiency", hint: "achieved ÷ measured bandwidth"),
      ],
      rows: efficiency.levels.map { level in
        var bandwidth = Table.Cell.number(level.bytesPerSecond, unit: "B/s")
        bandwidth.provenance = level.provenance
        let use = efficiency.whole.levels.first { $0.level == level.name }
        return [
          Table.Cell(level.name), level.bytes.map { .number($0, unit: "B") } ?? "—", bandwidth,
          use.map { .share($0.share) } ?? .share(0), use.map { .number($0.bytes, unit: "B") } ?? "—",
          use.map { .number($0.bytesPerSecond, unit: "B/s") } ?? "—",
          use.map { .share($0.efficiency, bar: false) } ?? "—",
        ]
      })
  }
}
