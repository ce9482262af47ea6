// How does the report show which few benchmarks stand for a suite, by which rules, and how far they can be trusted?
import Analysis
import ProfileModel

/// A subset as sections of a suite's page, or as a document of its own.
enum SubsetPage {
  /// Rows that a table of subsets has at most.
  static let rowLimit = 60

  /// The document.
  static func document(_ choice: SubsetChoice, version: String) -> ReportDocument {
    let words = SubsetWords(choice: choice)
    var facts: [ReportDocument.Fact] = [
      .init(label: "Suite", value: Prose("\(choice.suite): \(choice.rules.members.count) benchmarks"))
    ]
    if let source = choice.source { facts.append(.init(label: "Source", value: Prose(source))) }
    if !choice.machines.isEmpty {
      facts.append(.init(label: "Measured on", value: Prose(choice.machines.joined(separator: "; "))))
    }
    facts.append(.init(label: "For", value: Prose(choice.options.preset.title)))
    return ReportDocument(
      kicker: choice.isPublished ? "Subset of a suite · published numbers" : "Subset of a suite", title: choice.title,
      facts: facts, summary: words.summary, overview: words.concentration.map { Prose($0) },
      sections: sections(choice, withSummary: false),
      colophon: "Kiviat \(version) · this page is complete in itself and loads nothing")
  }

  /// The sections. Their ids begin with `subset`.
  ///
  /// - Parameter withSummary: whether the first begins with what a document of its own has above all sections.
  static func sections(_ choice: SubsetChoice, withSummary: Bool = true) -> [ReportDocument.Section] {
    let words = SubsetWords(choice: choice)
    return [
      verdict(choice, words, withSummary: withSummary), rules(choice), cost(choice, words), evidence(choice, words),
      remarks(choice),
    ].compactMap { $0 }
  }

  // MARK: The subset

  private static func verdict(
    _ choice: SubsetChoice, _ words: SubsetWords, withSummary: Bool
  ) -> ReportDocument.Section {
    var blocks: [ReportDocument.Block] =
      withSummary ? [.paragraph(Prose(words.summary.joined(separator: " ")))] : []
    blocks += choice.objections.map { .note(Note(.warning, $0)) }
    if !choice.chosen.isEmpty {
      blocks.append(.keyFigures(keyFigures(choice, words)))
      blocks.append(.table(title: "The subset", chosen(choice, words), isFolded: false))
    }
    blocks += choice.caveats.map { .note(Note(.info, $0)) }
    return .init(id: "subset", title: "Which benchmarks stand for the suite", shortTitle: "Subset", blocks: blocks)
  }

  private static func keyFigures(_ choice: SubsetChoice, _ words: SubsetWords) -> [ReportDocument.KeyFigure] {
    var figures: [ReportDocument.KeyFigure] = [
      .init(label: "benchmarks in it", cell: Table.Cell("\(choice.chosen.count) of \(choice.rules.members.count)"))
    ]
    if choice.cost.basis != .number {
      var saved = Table.Cell(words.saved(choice.cost.saved), sort: choice.cost.saved.value)
      saved.provenance = choice.cost.saved.provenance
      saved.unavailable = choice.cost.saved.unavailable
      figures += [
        .init(label: "saved", cell: saved),
        .init(label: "cost of the subset", cell: Table.Cell(words.cost(choice.cost.subset))),
        .init(label: "cost of the suite", cell: Table.Cell(words.cost(choice.cost.suite))),
      ]
    }
    if let evidence = choice.evidence.value, let chosen = evidence.chosen {
      figures.append(.init(label: "member error (spreads)", cell: Table.Cell(words.error(chosen.memberError))))
      if let chance = evidence.chance {
        figures.append(.init(label: "subsets that are worse", cell: .share(chance.shareWorse, bar: false)))
      }
    }
    return figures
  }

  private static func chosen(_ choice: SubsetChoice, _ words: SubsetWords) -> Table {
    let predictions = choice.evidence.value?.predictions ?? []
    var columns: [Table.Column] = [.name("Benchmark"), .name("Title"), .name("What it brings"), Table.Column("Cost")]
    columns.append(Table.Column("Of the subset’s"))
    if !predictions.isEmpty { columns.append(.name("Stands for")) }
    let rows = choice.chosen.map { index -> [Table.Cell] in
      let member = choice.rules.members[index]
      let brings = member.verdicts.filter { $0.outcome == .covers }.map(\.reason).joined(separator: "; ")
      let value = choice.cost.members[index].value
      let row: [Table.Cell] = [
        .code(member.id), Table.Cell(member.title), Table.Cell(brings), costCell(choice.cost.members[index], words),
        value.map { .share(choice.cost.subset.value > 0 ? $0 / choice.cost.subset.value : 0) } ?? .empty,
      ]
      let standsFor = predictions.filter { $0.representative == member.id }.map(\.member)
      return row + (predictions.isEmpty ? [] : [Table.Cell(standsFor.joined(separator: ", "))])
    }
    return Table(columns: columns, rows: rows, note: Prose("Chosen: \(choice.method)."))
  }

  private static func costCell(_ cost: Measured<Double>, _ words: SubsetWords) -> Table.Cell {
    switch cost {
    case .measured(let value, let provenance):
      var cell = Table.Cell(words.cost(value), sort: value)
      cell.provenance = provenance
      return cell
    case .unavailable(let why): return .missing(why)
    }
  }

  // MARK: Rules

  private static func rules(_ choice: SubsetChoice) -> ReportDocument.Section {
    var notes: [String] = []
    if choice.rules.applied.contains(where: { $0.rule == .diversity && $0.isApplied }) {
      notes.append(
        "Small, medium and large are thirds by rank among the suite’s members; the subset has every third that an eligible member is in."
      )
    }
    let off = choice.options.preset.rules.filter { !choice.options.rules.contains($0) }
    if !off.isEmpty { notes.append("Switched off: \(off.map(\.rawValue).joined(separator: ", ")).") }
    let applied = Table(
      columns: [.name("Rule"), .name("Applied"), .name("What it comes to in this suite")],
      rows: choice.rules.applied.map {
        [Table.Cell($0.rule.rawValue), $0.isApplied ? "yes" : "no", Table.Cell($0.explanation)]
      },
      note: notes.isEmpty ? nil : Prose(notes.joined(separator: " ")))
    let names = choice.rules.applied.filter(\.isApplied).map(\.rule)
    var columns: [Table.Column] = [.name("Benchmark"), .name("Title"), .name("Verdict")]
    columns += names.map { .name($0.rawValue) }
    let chosen = Set(choice.chosen)
    let rows = choice.rules.members.enumerated().map { index, member -> [Table.Cell] in
      var verdict = Table.Cell(chosen.contains(index) ? "chosen" : member.isEligible ? "eligible" : "left out")
      verdict.isStrong = chosen.contains(index)
      return [.code(member.id), Table.Cell(member.title), verdict]
        + names.map { name -> Table.Cell in
          guard let found = member.verdicts.first(where: { $0.rule == name }) else { return .empty }
          switch found.outcome {
          case .covers: return Table.Cell(found.reason)
          case .passes, .fails, .unknown, .coversNothing:
            return Table.Cell("\(found.outcome.rawValue): \(found.reason)")
          }
        }
    }
    var blocks: [ReportDocument.Block] = [.table(title: "The rules", applied, isFolded: false)]
    if !names.isEmpty {
      blocks.append(
        .table(title: "What they say of each benchmark", Table(columns: columns, rows: rows), isFolded: false))
    }
    return .init(id: "subset-rules", title: "The rules and what they say", shortTitle: "Subset: rules", blocks: blocks)
  }

  // MARK: Cost

  private static func cost(_ choice: SubsetChoice, _ words: SubsetWords) -> ReportDocument.Section? {
    let cost = choice.cost
    guard cost.basis != .number else { return nil }
    var blocks: [ReportDocument.Block] = []
    if let concentration = words.concentration { blocks.append(.paragraph(Prose(concentration))) }
    if !choice.comparisons.isEmpty {
      var rows: [[Table.Cell]] = []
      func saved(_ value: Measured<Double>) -> Table.Cell {
        value.unavailable.map { .missing($0) } ?? Table.Cell(words.saved(value), sort: value.value)
      }
      for other in choice.comparisons {
        rows.append([
          Table.Cell(other.title), .count(other.cost.counted),
          Table.Cell(words.cost(other.cost), sort: other.cost.value),
          saved(other.savedBySubset), saved(other.savedBySuite),
        ])
        if let rest = other.withoutLowerBounds {
          rows.append([
            Table.Cell("without \(other.cost.lowerBounds.joined(separator: ", ")), a lower bound"),
            .count(rest.cost.counted), Table.Cell(words.cost(rest.cost), sort: rest.cost.value),
            saved(rest.savedBySubset), saved(rest.savedBySuite),
          ])
        }
      }
      blocks.append(
        .table(
          title: "Beside other suites",
          Table(
            columns: [
              .name("Suite"), Table.Column("Benchmarks in the sum"), Table.Column("Cost"),
              Table.Column("The subset saves"), Table.Column("The whole suite saves"),
            ], rows: rows), isFolded: false))
      blocks += choice.comparisons.flatMap(\.remarks).map { .note(Note(.info, $0)) }
    }
    let chosen = Set(choice.chosen)
    let order = cost.members.indices.sorted {
      (cost.members[$0].value ?? -1, -$0) > (cost.members[$1].value ?? -1, -$1)
    }
    blocks.append(
      .table(
        title: "What each benchmark costs",
        Table(
          columns: [
            .name("Benchmark"), .name("Title"), Table.Column("Cost", hint: cost.basis.rawValue),
            Table.Column("Of the suite’s"), .name("In the subset"),
          ],
          rows: order.map { index in
            [
              .code(choice.rules.members[index].id), Table.Cell(choice.rules.members[index].title),
              costCell(cost.members[index], words),
              cost.members[index].value.map { .share(cost.suite.value > 0 ? $0 / cost.suite.value : 0) } ?? .empty,
              chosen.contains(index) ? "yes" : "",
            ]
          }, note: Prose("Cost: \(cost.basis.rawValue).")), isFolded: true))
    return .init(id: "subset-cost", title: "What it costs", shortTitle: "Subset: cost", blocks: blocks)
  }

  // MARK: Evidence

  private static func evidence(_ choice: SubsetChoice, _ words: SubsetWords) -> ReportDocument.Section {
    let title = "How well it stands for the suite"
    let short = "Subset: evidence"
    guard let evidence = choice.evidence.value else {
      let why = choice.evidence.unavailable
      let remedy = why?.remedy.map { " (\($0))" } ?? ""
      return .init(
        id: "subset-evidence", title: title, shortTitle: short,
        blocks: [.paragraph(Prose("That can’t be said: \(why?.reason ?? "")\(remedy)."))])
    }
    var blocks: [ReportDocument.Block] = [
      .paragraph(Prose(words.evidence.joined(separator: " "))),
      .paragraph(Prose("\(SubsetEvidence.definition) Metrics: \(evidence.metrics.joined(separator: ", "))." as String)),
    ]
    if !evidence.front.isEmpty {
      blocks.append(.figure(figure(evidence, choice, words)))
      blocks.append(
        .table(
          title: evidence.isExhaustive ? "The best subset of each size" : "The best subset found of each size",
          points(evidence.best, choice, words, most: rowLimit), isFolded: true))
    }
    if !evidence.isExhaustive {
      blocks.append(
        .note(
          Note(
            .info,
            "There are too many subsets to look at all: these were found by adding one member after the other and exchanging single ones, so better ones may exist."
          )))
    }
    if !evidence.predictions.isEmpty {
      blocks.append(
        .table(
          title: "Who stands for whom",
          Table(
            columns: [.name("Benchmark"), .name("Is taken to be like"), Table.Column("Error", hint: "spreads")],
            rows: evidence.predictions.sorted { ($0.error, $1.member) > ($1.error, $0.member) }.map {
              [.code($0.member), .code($0.representative), Table.Cell(words.error($0.error), sort: $0.error)]
            }), isFolded: true))
    }
    blocks += evidence.remarks.map {
      .note(Note(.info, "\($0.feature)\($0.isLeftOut ? " is left out" : ""): \($0.reason)."))
    }
    return .init(id: "subset-evidence", title: title, shortTitle: short, blocks: blocks)
  }

  /// The least error that each cost buys, with the best of each size and the subset itself.
  private static func figure(
    _ evidence: SubsetEvidence, _ choice: SubsetChoice, _ words: SubsetWords
  ) -> ReportDocument.Figure {
    let isHours = choice.cost.basis != .number && choice.cost.suite.value >= 2 * 3600
    let unit = isHours ? "hours" : choice.cost.basis == .number ? "benchmarks" : "seconds"
    func x(_ point: SubsetEvidence.Point) -> Double { isHours ? point.cost / 3600 : point.cost }
    func place(_ point: SubsetEvidence.Point, _ label: String, _ color: Int, _ symbol: ScatterChart.Symbol)
      -> ScatterChart.Point
    {
      ScatterChart.Point(
        x: x(point), y: point.memberError, label: label, color: .group(color), symbol: symbol,
        details: [
          point.members.joined(separator: ", "),
          "\(words.cost(point.cost)) · member error \(words.error(point.memberError))",
          "mean error \(words.error(point.meanError))",
        ])
    }
    var points = evidence.best.map { place($0, "\($0.members.count)", 0, .circle) }
    if let chosen = evidence.chosen { points.append(place(chosen, "this subset", 1, .square)) }
    let costs = evidence.front.map(x).filter { $0 > 0 }
    let isWide = (costs.max() ?? 1) > 50 * (costs.min() ?? 1)
    let chart = ScatterChart(
      summary: "Member error over cost: the least error at each cost, the best subset of each size and this subset",
      points: points,
      x: PlotAxis(title: "cost, \(unit)", format: .decimal, isLogarithmic: isWide),
      y: PlotAxis(title: "member error, spreads", format: .decimal, includes: [0]),
      curves: [
        ScatterChart.Curve(
          color: .group(2), name: "least error at each cost", points: evidence.front.map { (x($0), $0.memberError) },
          isStepped: true)
      ],
      keys: [
        LegendItem(color: .group(0), text: "best subset of each size, with its size"),
        LegendItem(color: .group(1), text: "this subset"),
      ])
    var title: Prose = "No subset has less error at the same or less cost than those on the line"
    if let chosen = evidence.chosen {
      let rivals = evidence.front.filter { $0.cost <= chosen.cost }
      if let best = rivals.last {
        title =
          best.members == chosen.members || best.memberError >= chosen.memberError
          ? "At its cost no subset has less error than this one"
          : "At its cost this subset has an error of \(words.error(chosen.memberError)); the best has \(words.error(best.memberError))"
      }
    }
    return ReportDocument.Figure(
      title: title, drawing: .chart(chart),
      caption:
        "The line: the least member error that a cost can buy. A subset above it pays for something else, such as a rule.",
      table: self.points(evidence.front, choice, words, most: rowLimit), provenance: choice.evidence.provenance)
  }

  private static func points(
    _ points: [SubsetEvidence.Point], _ choice: SubsetChoice, _ words: SubsetWords, most: Int
  ) -> Table {
    // Evenly thinned, so that the cheap and the dear end are both there.
    let shown =
      points.count <= most ? points : (0..<most).map { points[$0 * (points.count - 1) / max(1, most - 1)] }
    let own = choice.evidence.value?.chosen?.members
    return Table(
      columns: [
        Table.Column("Size"), Table.Column("Cost"), Table.Column("Member error"), Table.Column("Mean error"),
        .name("Benchmarks"),
      ],
      rows: shown.map { point in
        var members = Table.Cell(point.members.joined(separator: ", "))
        members.isStrong = point.members == own
        return [
          .count(point.members.count), Table.Cell(words.cost(point.cost), sort: point.cost),
          Table.Cell(words.error(point.memberError), sort: point.memberError),
          Table.Cell(words.error(point.meanError), sort: point.meanError), members,
        ]
      },
      note: shown.count < points.count
        ? Prose("\(shown.count) of \(NumberFormat.grouped(Int64(points.count))) shown; all are in the JSON.") : nil)
  }

  // MARK: The source

  private static func remarks(_ choice: SubsetChoice) -> ReportDocument.Section? {
    guard !choice.remarks.isEmpty else { return nil }
    return .init(
      id: "subset-source", title: "What to know about the suite’s numbers", shortTitle: "Subset: source",
      blocks: choice.remarks.map { .paragraph(Prose($0)) })
  }
}
