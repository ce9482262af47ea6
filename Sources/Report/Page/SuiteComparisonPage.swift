// How is the comparison of two suites shown: ranges, coverage, hotspots, cost (the technical report's Figure 1)?
import Analysis
import Foundation
import ProfileModel

/// Turns the comparison of two suites into a document.
struct SuiteComparisonPage {
  let comparison: SuiteComparison
  var version: String

  private var first: MemberSet { comparison.first }
  private var second: MemberSet { comparison.second }

  func document() -> ReportDocument {
    let sections = [words, ranges, coverage, hotspots, cost, remarks, marks]
    return ReportDocument(
      kicker: "Comparison of suites", title: "\(first.name) and \(second.name)", facts: facts,
      summary: comparison.words.prefix(2).map(SuitePage.unbroken), overview: nil, sections: sections.compactMap { $0 },
      colophon: "Kiviat \(version) · this page is complete in itself and loads nothing")
  }

  private var facts: [ReportDocument.Fact] {
    [first, second].flatMap { set -> [ReportDocument.Fact] in
      var words = "\(set.title): \(ReportBuilder.counted(set.members.count, "benchmark"))"
      words += set.isPublished ? ", published numbers" : ""
      for machine in set.machines { words += " · \(machine)" }
      return [.init(label: set.name, value: Prose(words), isWide: true)]
    }
  }

  private var suiteKeys: [LegendItem] {
    [LegendItem(color: .group(0), text: first.name), LegendItem(color: .group(1), text: second.name)]
  }

  private var words: ReportDocument.Section? {
    let both =
      comparison.shared.isEmpty
      ? nil
      : ReportDocument.Block.paragraph(
        "Both have \(ReportBuilder.counted(comparison.shared.count, "member")) in common: \(comparison.shared.map { first[$0]?.title ?? $0 }.joined(separator: ", "))."
      )
    return SuitePage.section(
      "words", "In words",
      comparison.words.dropFirst(2).map { .paragraph(Prose(SuitePage.unbroken($0))) } + [both])
  }

  private var remarks: ReportDocument.Section? {
    SuitePage.section(
      "remarks", "What has to be known about the numbers", short: "Remarks",
      comparison.remarks.map { .note(Note(.warning, $0)) })
  }

  // MARK: Figure 1

  private var ranges: ReportDocument.Section? {
    guard !comparison.ranges.isEmpty else { return nil }
    func members(_ side: Measured<SuiteComparison.Range.Side>) -> [RangeChart.Member] {
      guard let side = side.value else { return [] }
      var members = side.values.map { RangeChart.Member(name: "", value: $0) }
      members.append(.init(name: side.leastMember ?? "as printed", value: side.least))
      members.append(.init(name: side.greatestMember ?? "as printed", value: side.greatest))
      // A printed range is the publication's word: members beyond it are in the remarks, not in the bar.
      return side.source == nil ? members : members.filter { $0.value >= side.least && $0.value <= side.greatest }
    }
    let rows = comparison.ranges.map { range in
      RangeChart.Row(
        label: range.name, format: ValueFormat(unit: range.unit == "share" ? "1" : range.unit),
        isLogarithmic: range.isLogarithmic && [range.first, range.second].allSatisfy { ($0.value?.least ?? 1) > 0 },
        members: [members(range.first), members(range.second)],
        reason: range.first.unavailable?.reason ?? range.second.unavailable?.reason ?? "not measured")
    }
    func cells(_ side: Measured<SuiteComparison.Range.Side>, _ unit: String) -> [Table.Cell] {
      switch side {
      case .unavailable(let why): return [.missing(why), .missing(why), .empty]
      case .measured(let side, let provenance):
        func cell(_ value: Double, _ member: String?) -> Table.Cell {
          var cell = unit == "share" ? Table.Cell.share(value, bar: false) : Table.Cell.number(value, unit: unit)
          cell.hint = member
          cell.provenance = provenance
          return cell
        }
        return [
          cell(side.least, side.leastMember), cell(side.greatest, side.greatestMember),
          side.decades.map { Table.Cell(NumberFormat.fixed($0, decimals: 2), sort: $0) } ?? .empty,
        ]
      }
    }
    let contradictions = comparison.ranges.flatMap { range in
      [(first, range.first), (second, range.second)].compactMap { set, side in
        side.value?.remark.map { [Table.Cell(set.name), Table.Cell(range.name), Table.Cell($0)] }
      }
    }
    let peaks = comparison.ranges.filter(\.isLogarithmic).compactMap(\.peakRatio.value)
    let title: Prose =
      peaks.isEmpty
      ? "How far each suite reaches"
      : "Peaks of \(first.name) are \(NumberFormat.decimal(peaks.min() ?? 0)) to \(NumberFormat.decimal(peaks.max() ?? 0)) times those of \(second.name)"
    return SuitePage.section(
      "ranges", "Ranges", short: "Ranges",
      [
        .figure(
          ReportDocument.Figure(
            title: title,
            drawing: .chart(
              RangeChart(summary: "The range of each characteristic in both suites", suites: suiteKeys, rows: rows)),
            caption:
              "Figure 1 of the technical report, which compares the greatest values alone. Decades say how many powers of ten a range spans: the wider range is not always the one with the greater peak.",
            table: Table(
              columns: [
                .name("Characteristic"), Table.Column("\(first.name): least"), Table.Column("greatest"),
                Table.Column("decades"), Table.Column("\(second.name): least"), Table.Column("greatest"),
                Table.Column("decades"), Table.Column("Ratio of peaks"),
              ],
              rows: comparison.ranges.map { range in
                [Table.Cell(range.name)] + cells(range.first, range.unit) + cells(range.second, range.unit)
                  + [.measured(range.peakRatio, unit: "1")]
              }))),
        contradictions.isEmpty
          ? nil
          : .table(
            title: "What contradicts the printed numbers",
            Table(columns: [.name("Suite"), .name("Characteristic"), .name("Remark")], rows: contradictions),
            isFolded: false),
      ])
  }

  // MARK: Coverage

  private var coverage: ReportDocument.Section? {
    let joint: SuiteComparison.Joint
    switch comparison.joint {
    case .unavailable(let why):
      return SuitePage.section("coverage", "Coverage", [SuitePage.missing("Coverage", why)])
    case .measured(let value, _): joint = value
    }
    let ids = joint.features.members.enumerated().map { index, name -> (Int, SuiteMember) in
      let (side, set) = index < joint.firstCount ? (0, first) : (1, second)
      let id = String(name.dropFirst(set.name.count + 1))
      return (side, set[id] ?? SuiteMember(id: id, title: id, because: ""))
    }
    func points(_ x: (Int) -> Double, _ y: (Int) -> Double) -> [ScatterChart.Point] {
      ids.indices.map { index in
        ScatterChart.Point(
          x: x(index), y: y(index), label: ids[index].1.title, color: .group(ids[index].0),
          symbol: ids[index].0 == 0 ? .circle : .square, group: ids[index].0,
          details: [ids[index].0 == 0 ? first.name : second.name])
      }
    }
    let symbols: [ScatterChart.SymbolKey] = [
      .init(symbol: .circle, text: first.name), .init(symbol: .square, text: second.name),
    ]
    let components = joint.components
    var blocks: [ReportDocument.Block?] = [
      .paragraph(
        "Both suites in one space of \(joint.features.features.count) features (\(SuitePage.words(joint.selection))), scaled over all members of both."
      )
    ]
    blocks += joint.leftOut.map { .note(Note(.warning, $0)) }
    if components.scores.columns > 1 {
      blocks.append(
        .figure(
          ReportDocument.Figure(
            title:
              "\(first.name) covers \(joint.first.hull.map { NumberFormat.percent($0) } ?? "no area") of the common area, \(second.name) \(joint.second.hull.map { NumberFormat.percent($0) } ?? "none")",
            drawing: .chart(
              ScatterChart(
                summary: "Both suites along the first two principal components, each in its convex hull",
                points: points({ components.scores[$0, 0] }, { components.scores[$0, 1] }),
                x: PlotAxis(
                  title: "component 1, \(NumberFormat.percent(components.shares[0])) of the variance", format: .decimal),
                y: PlotAxis(
                  title: "component 2, \(NumberFormat.percent(components.shares[1])) of the variance", format: .decimal),
                showsHulls: true, keys: suiteKeys, symbolKeys: symbols)),
            caption: "Principal components of the union. The outlines are the convex hulls of the suites’ members.",
            table: Table(
              columns: [.name("Suite"), .name("Benchmark"), Table.Column("Component 1"), Table.Column("Component 2")],
              rows: ids.indices.map { index in
                [
                  Table.Cell(ids[index].0 == 0 ? first.name : second.name), Table.Cell(ids[index].1.title),
                  .number(components.scores[index, 0], unit: "1"), .number(components.scores[index, 1], unit: "1"),
                ]
              }))))
    }
    blocks.append(
      .figure(
        ReportDocument.Figure(
          title: "The joint map",
          drawing: .chart(
            ScatterChart(
              summary: "A map of the members of both suites",
              points: points({ joint.map.points[$0, 0] }, { joint.map.points[$0, 1] }), keys: suiteKeys,
              symbolKeys: symbols)),
          caption: SuitePage.mapFacts(joint.map),
          table: Table(
            columns: [.name("Suite"), .name("Benchmark"), Table.Column("x"), Table.Column("y")],
            rows: ids.indices.map { index in
              [
                Table.Cell(ids[index].0 == 0 ? first.name : second.name), Table.Cell(ids[index].1.title),
                .number(joint.map.points[index, 0], unit: "1"), .number(joint.map.points[index, 1], unit: "1"),
              ]
            }))))
    func row(_ set: MemberSet, _ coverage: SuiteComparison.Coverage) -> [Table.Cell] {
      [
        Table.Cell(set.name), .count(coverage.members), .share(coverage.range),
        coverage.hull.map { .share($0) } ?? "—", .number(coverage.distanceFromOther, unit: "1"),
        .count(coverage.outside.count),
      ]
    }
    blocks.append(
      .table(
        title: "How much of the space of both each covers",
        Table(
          columns: [
            .name("Suite"), Table.Column("Members"),
            Table.Column("Of the range", hint: "its range ÷ the union’s, mean over the features"),
            Table.Column("Of the hull", hint: "area of its convex hull ÷ the union’s, first two components"),
            Table.Column(
              "Distance of the other",
              hint: "mean distance of the other suite’s members to its nearest member, in median distances"),
            Table.Column("Others outside", hint: "members of the other suite that lie outside it"),
          ], rows: [row(first, joint.first), row(second, joint.second)]), isFolded: false))
    func outside(_ set: MemberSet, _ members: [SuiteComparison.Outside], _ other: MemberSet) -> [[Table.Cell]] {
      members.map {
        [
          Table.Cell(set.name), Table.Cell(set[$0.id]?.title ?? $0.id),
          Table.Cell(other[$0.nearest]?.title ?? $0.nearest),
          .number($0.distance, unit: "1"),
        ]
      }
    }
    let rows = outside(first, joint.second.outside, second) + outside(second, joint.first.outside, first)
    blocks.append(
      rows.isEmpty
        ? .paragraph("No member of either suite lies outside the other.")
        : .table(
          title: "Members outside the other suite",
          Table(
            columns: [
              .name("Suite"), .name("Benchmark"), .name("Nearest in the other"),
              Table.Column("Distance", hint: "in median distances of the union"),
            ], rows: rows,
            note:
              "Outside: beyond the other suite’s outline above, and farther from its nearest member than half of that suite’s members are from theirs."
          ),
          isFolded: false))
    if !joint.features.remarks.isEmpty {
      blocks.append(
        .table(
          title: "Features that could not be used as they are",
          Table(
            columns: [.name("Feature"), .name("Why")],
            rows: joint.features.remarks.map { [Table.Cell($0.feature), Table.Cell($0.reason)] }), isFolded: true))
    }
    return SuitePage.section("coverage", "Coverage", blocks)
  }

  // MARK: Figure 6

  private var hotspots: ReportDocument.Section? {
    let hotspots: SuiteComparison.Hotspots
    switch comparison.hotspots {
    case .unavailable(let why):
      return SuitePage.section(
        "hotspots", "Hotspot functions", short: "Hotspots", [SuitePage.missing("Hotspot functions", why)])
    case .measured(let value, _): hotspots = value
    }
    func names(_ bucket: SuiteHotspots.Bucket) -> String {
      bucket.upTo >= 1
        ? "above \(NumberFormat.percent(bucket.above))"
        : "\(NumberFormat.percent(bucket.above)) to \(NumberFormat.percent(bucket.upTo))"
    }
    let sides = [(first, hotspots.first), (second, hotspots.second)]
    func list(_ functions: [SuiteHotspots.Function], _ set: MemberSet) -> [[Table.Cell]] {
      functions.prefix(40).map { function in
        [
          Table.Cell(set.name), .code(function.function, label: VisibleText.functionLabel(function.function)),
          .code(function.module), .key(function.category.rawValue, .category(function.category)),
          .share(function.greatestShare),
          Table.Cell(function.members.map { set[$0.id]?.title ?? $0.id }.joined(separator: ", ")),
        ]
      }
    }
    return SuitePage.section(
      "hotspots", "Hotspot functions", short: "Hotspots",
      [
        .figure(
          ReportDocument.Figure(
            title:
              "Above 10 % of a benchmark’s time: \(hotspots.first.buckets[0].count) in \(first.name), \(hotspots.second.buckets[0].count) in \(second.name)",
            drawing: .chart(
              StackedBarChart(
                summary: "Number of hotspot functions by share of time in both suites",
                rows: sides.map { set, counts in
                  .init(
                    label: set.name,
                    segments: counts.buckets.enumerated().map { index, bucket in
                      .init(color: .neutral(index), name: names(bucket), value: Double(bucket.count))
                    })
                }, format: .count, labelsSegments: false)),
            caption:
              "Figure 6 of the technical report: pairs of a benchmark and a function. A suite with more members has more of them; the table has distinct functions too.",
            table: Table(
              columns: [.name("Share of the CPU time")]
                + sides.flatMap { set, _ in
                  [Table.Column(set.name), Table.Column("\(set.name), distinct")]
                },
              rows: hotspots.first.buckets.indices.map { index in
                [Table.Cell(names(hotspots.first.buckets[index]))]
                  + sides.flatMap { _, counts in
                    [Table.Cell.count(counts.buckets[index].count), .count(counts.buckets[index].distinct)]
                  }
              }), provenance: comparison.hotspots.provenance)),
        .table(
          title: "Hot in one suite alone",
          Table(
            columns: [
              .name("Suite"), .name("Function"), .name("Module"), .name("Category"), Table.Column("Greatest share"),
              .name("In"),
            ], rows: list(hotspots.onlyFirst, first) + list(hotspots.onlySecond, second),
            note: "Above 10 % of some member’s CPU time; \(hotspots.inBoth) functions are so in both."), isFolded: false
        ),
      ])
  }

  // MARK: Cost

  private var cost: ReportDocument.Section? {
    func row(_ set: MemberSet, _ cost: SuiteCost) -> [Table.Cell] {
      [
        Table.Cell(set.name), .measured(cost.seconds.map { $0 * 1e9 }, unit: "ns"), .count(cost.timed),
        Table.Cell(cost.untimed.map { set[$0]?.title ?? $0 }.joined(separator: ", ")),
        Table.Cell(
          cost.costliest.prefix(3).map { "\(set[$0.id]?.title ?? $0.id) \(NumberFormat.percent($0.share))" }.joined(
            separator: ", ")),
      ]
    }
    var title: Prose = "Cost"
    if let saving = comparison.cost.saving.value {
      title =
        saving >= 0
        ? "\(first.name) costs \(NumberFormat.percent(saving)) less than \(second.name)"
        : "\(first.name) costs \(NumberFormat.percent(-saving)) more than \(second.name)"
    }
    return SuitePage.section(
      "cost", "Cost",
      [
        .table(
          title: title,
          Table(
            columns: [
              .name("Suite"), Table.Column("One session of each"), Table.Column("Timed"),
              .name("Without a time to quality"),
              .name("Costliest"),
            ], rows: [row(first, comparison.cost.first), row(second, comparison.cost.second)]), isFolded: false)
      ])
  }

  private var marks: ReportDocument.Section? {
    SuitePage.section("provenance", "Where numbers come from", short: "Provenance", [.provenanceLegend])
  }
}
