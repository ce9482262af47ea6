// How far does each suite reach in each characteristic? Bars from the least to the greatest member, each characteristic on
// its own scale, with the ratio of the peaks (AIBench technical report, figure 1).
import Foundation

/// A row for each characteristic, in it a bar for each suite.
struct RangeChart: Chart {
  /// A member's value.
  struct Member: Sendable {
    var name: String
    var value: Double
  }

  /// A characteristic.
  struct Row: Sendable {
    var label: String
    var format: ValueFormat
    var isLogarithmic: Bool
    /// For each suite its members; none where the characteristic was not measured.
    var members: [[Member]]
    /// Why a suite has no members, where there is something to say.
    var reason = "not measured"
  }

  var summary: String
  /// In the order of each row's members; the peak of the first is compared with the others' greatest.
  var suites: [LegendItem]
  var rows: [Row]
  var ratioTitle = "ratio of peaks"

  var legend: [LegendItem] { suites }

  /// Where a row's things are: shared by the drawing and its tests.
  struct Layout {
    var left: Double
    var right: Double
    var labelsAbove: Bool
    var top: Double
    var barHeight: Double
    var barStep: Double
    var rowHeight: Double
  }

  func layout(width: Double) -> Layout {
    let isNarrow = width < 600
    let widest = rows.map { TextMeasure.width($0.label, size: 12.5) }.max() ?? 0
    let ratioWidth = max(
      TextMeasure.width(ratioTitle, size: 11.5), rows.map { TextMeasure.width(ratioText($0) ?? "") }.max() ?? 0)
    let bars = Double(max(1, suites.count))
    let step = 15.0
    return Layout(
      left: isNarrow ? 8 : min(230, widest + 24), right: isNarrow ? width - 8 : width - ratioWidth - 26,
      labelsAbove: isNarrow, top: isNarrow ? 4 : 20, barHeight: 10, barStep: step,
      rowHeight: (isNarrow ? 22 : 6) + bars * step + 34)
  }

  /// A row's own scale.
  func axis(_ row: Row, width: Double) -> PlacedAxis {
    let layout = layout(width: width)
    let values = row.members.flatMap { $0.map(\.value) }
    let axis = PlotAxis(
      title: "", format: row.format, isLogarithmic: row.isLogarithmic, includes: row.isLogarithmic ? [] : [0])
    return axis.placed(values, from: layout.left, to: layout.right, tickCount: layout.labelsAbove ? 4 : 8)
  }

  /// The greatest of the first suite through the greatest of the others.
  func ratio(_ row: Row) -> Double? {
    func peak(_ members: [Member]) -> Double? { members.map(\.value).filter { $0.isFinite && $0 > 0 }.max() }
    guard let first = row.members.first.flatMap(peak),
      let others = row.members.dropFirst().compactMap(peak).max()
    else { return nil }
    return first / others
  }

  private func ratioText(_ row: Row) -> String? { ratio(row).map { "\(NumberFormat.decimal($0, significant: 2))×" } }

  func draw(width: Double) -> Drawing {
    let layout = layout(width: width)
    var body = HTML.empty
    if !layout.labelsAbove, rows.contains(where: { ratio($0) != nil }) {
      body += Mark.text(ratioTitle, x: width, y: 12, class: "axis", anchor: .end)
    }
    for (index, row) in rows.enumerated() {
      let top = layout.top + layout.rowHeight * Double(index)
      let barsTop = top + (layout.labelsAbove ? 22 : 6)
      let bottom = barsTop + layout.barStep * Double(max(1, suites.count))
      if layout.labelsAbove {
        let ratio = ratioText(row).map { "\(ratioTitle) \($0)" } ?? ""
        let room = width - TextMeasure.width(ratio, size: 11.5) - 10
        body += Mark.text(
          TextMeasure.fitted(row.label, width: room, size: 12.5), x: 0, y: top + 14, class: "label")
        body += Mark.text(ratio, x: width, y: top + 14, class: "value small", anchor: .end)
      } else {
        let middle = (barsTop + bottom) / 2 + 3
        let lines = TextMeasure.wrapped(row.label, width: layout.left - 20, size: 12.5)
        for (line, text) in lines.enumerated() {
          body += Mark.text(
            text, x: layout.left - 16, y: middle + 15 * (Double(line) - Double(lines.count - 1) / 2), class: "label",
            anchor: .end)
        }
        body += Mark.text(ratioText(row) ?? "", x: width, y: middle, class: "label strong", anchor: .end)
      }
      let axis = axis(row, width: width)
      body += axis.bottom(from: barsTop - 2, to: bottom, edge: layout.labelsAbove ? width : layout.right + 16)
      for (suite, item) in suites.enumerated() {
        let y = barsTop + layout.barStep * Double(suite) + (layout.barStep - layout.barHeight) / 2
        let members = suite < row.members.count ? row.members[suite] : []
        body += bar(members, row: row, suite: item, axis: axis, y: y, layout: layout)
      }
    }
    return Drawing(width: width, height: max(20, layout.top + layout.rowHeight * Double(rows.count)), body: body)
  }

  private func bar(
    _ members: [Member], row: Row, suite: LegendItem, axis: PlacedAxis, y: Double, layout: Layout
  ) -> HTML {
    let known = members.filter { $0.value.isFinite && (!row.isLogarithmic || $0.value > 0) }
      .sorted { $0.value != $1.value ? $0.value < $1.value : $0.name < $1.name }
    guard let least = known.first, let greatest = known.last else {
      let text = TextMeasure.fitted(
        "\(suite.text): \(row.reason)", width: layout.right - layout.left - 8, size: 11)
      return Mark.text(text, x: layout.left + 4, y: y + layout.barHeight - 1, class: "tick absent halo")
    }
    let (from, to) = (axis.position(least.value), axis.position(greatest.value))
    let tip = [
      "\(suite.text) · \(row.label)", "least: \(row.format.text(least.value)), \(least.name)",
      "greatest: \(row.format.text(greatest.value)), \(greatest.name)",
    ]
    var result = Mark.rect(
      x: from - 1, y: y, width: to - from + 2, height: layout.barHeight, class: "span \(suite.color.name)", tip: tip)
    for member in known {
      let x = axis.position(member.value)
      result +=
        "<g>\(Mark.tip(["\(member.name): \(row.format.text(member.value))", "\(suite.text) · \(row.label)"]))<path d='M\(x) \(y)V\(y + layout.barHeight)' class='pin \(suite.color.name)'/><path d='M\(x) \(y)V\(y + layout.barHeight)' class='pin hover \(suite.color.name)'/></g>"
    }
    return result
  }
}
