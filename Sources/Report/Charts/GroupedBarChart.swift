// How much of each quantity does each member need, by one or two conventions? Bars on a scale for each quantity.
import Foundation

/// Members as rows, a panel for each quantity (AIBench technical report, figure 2).
struct GroupedBarChart: Chart {
  /// A member's amount.
  struct Amount: Sendable {
    /// None where it was not measured.
    var value: Double?
    /// By the second convention, where there is one.
    var second: Double?
    /// Why there is none.
    var reason: String?
    var details: [String] = []
  }

  /// A quantity.
  struct Panel: Sendable {
    var title: String
    var format: ValueFormat
    var isLogarithmic: Bool
    /// One for each member.
    var amounts: [Amount]
  }

  /// A member.
  struct Member: Sendable {
    var label: String
    /// Its place among the groups of colours: a second convention has the lighter tone of it.
    var group = 0
  }

  var summary: String
  var members: [Member]
  var panels: [Panel]
  /// What the two bars of a member are; named in the legend when both are given.
  var firstName = ""
  var secondName = ""
  var keys: [LegendItem] = []

  var legend: [LegendItem] {
    guard !secondName.isEmpty else { return keys }
    return keys + [
      LegendItem(color: .group(0), text: firstName), LegendItem(color: .paleGroup(0), text: secondName),
    ]
  }

  /// Where a panel is: shared by the drawing and its tests.
  struct Layout {
    var axis: PlacedAxis
    var top: Double
    var bottom: Double
  }

  private func hasTwo(_ panel: Panel) -> Bool { panel.amounts.contains { $0.second != nil } }

  private var rowHeight: Double { panels.contains(where: hasTwo) ? 26 : 19 }

  /// One layout for each panel.
  func layout(width: Double) -> [Layout] {
    let isNarrow = width < 600
    let left = labelWidth(width: width)
    let columns = isNarrow ? 1 : max(1, min(panels.count, 4))
    let gap = 22.0
    let panelWidth = (width - left - gap * Double(columns - 1)) / Double(columns)
    let height = rowHeight * Double(members.count)
    return panels.enumerated().map { index, panel in
      let column = Double(index % columns)
      let top = 26 + Double(index / columns) * (height + 66)
      let start = left + column * (panelWidth + gap)
      let values = panel.amounts.flatMap { [$0.value, $0.second].compactMap { $0 } }
      let axis = PlotAxis(
        title: "", format: panel.format, isLogarithmic: panel.isLogarithmic,
        includes: panel.isLogarithmic ? [] : [0])
      return Layout(
        axis: axis.placed(values, from: start, to: start + panelWidth - 8, tickCount: isNarrow ? 4 : 3), top: top,
        bottom: top + height)
    }
  }

  private func labelWidth(width: Double) -> Double {
    let widest = (members.map { TextMeasure.width($0.label, size: 12.5) }.max() ?? 0) + 14
    return min(widest, width < 600 ? width * 0.4 : 240)
  }

  func draw(width: Double) -> Drawing {
    let layouts = layout(width: width)
    var body = HTML.empty
    let left = labelWidth(width: width)
    for (panel, layout) in zip(panels, layouts) {
      let (start, end) = (layout.axis.start, layout.axis.end)
      // A panel below its label on a narrow page may use the labels' room.
      let room = width < 600 ? width : end - start + 8
      body += Mark.text(
        TextMeasure.fitted(panel.title, width: room, size: 12.5), x: width < 600 ? 0 : start, y: layout.top - 12,
        class: "label strong")
      body += layout.axis.bottom(
        from: layout.top, to: layout.bottom, origin: start - 6, edge: min(width, end + 8))
      if layout.axis.start < left + 1 {
        for (index, member) in members.enumerated() {
          let text = TextMeasure.fitted(member.label, width: left - 12, size: 12.5)
          body += Mark.text(
            text, x: left - 9, y: layout.top + rowHeight * (Double(index) + 0.5) + 4.5, class: "label", anchor: .end)
        }
      }
      for (index, amount) in panel.amounts.prefix(members.count).enumerated() {
        body += bars(
          amount, member: members[index], panel: panel, layout: layout, top: layout.top + rowHeight * Double(index))
      }
      body += Mark.line(x1: start, y1: layout.top, x2: start, y2: layout.bottom, class: "base")
    }
    return Drawing(width: width, height: (layouts.map(\.bottom).max() ?? 0) + 26, body: body)
  }

  private func bars(_ amount: Amount, member: Member, panel: Panel, layout: Layout, top: Double) -> HTML {
    let axis = layout.axis
    func known(_ value: Double?) -> Double? {
      value.flatMap { $0.isFinite && (!panel.isLogarithmic || $0 > 0) ? $0 : nil }
    }
    let (first, second) = (known(amount.value), known(amount.second))
    let both = hasTwo(panel)
    var lines = ["\(member.label) · \(panel.title)"]
    let reason = "not measured" + (amount.reason.map { ": \($0)" } ?? "")
    if first == nil, second == nil {
      let room = axis.end - axis.start - 8
      let text = TextMeasure.fitted(
        amount.reason.map { "\(NumberFormat.none) \($0)" } ?? NumberFormat.none, width: room, size: 11)
      lines.append(reason)
      return
        "<g>\(Mark.tip(lines + amount.details))\(Mark.text(text, x: axis.start + 6, y: top + rowHeight / 2 + 4, class: "tick absent halo"))</g>"
    }
    func text(_ value: Double?) -> String { value.map(panel.format.text) ?? reason }
    lines.append(firstName.isEmpty ? text(first) : "\(firstName): \(text(first))")
    if both { lines.append(secondName.isEmpty ? text(second) : "\(secondName): \(text(second))") }
    var parts = HTML.empty
    let height = both ? 10.0 : 13
    let amounts: [Double?] = both ? [first, second] : [first]
    for index in amounts.indices {
      let y = top + (both ? 2.5 + Double(index) * 11 : (rowHeight - height) / 2)
      guard let value = amounts[index] else {
        parts += Mark.text(NumberFormat.none, x: axis.start + 5, y: y + height - 1, class: "tick absent")
        continue
      }
      let end = axis.position(value)
      let color = index == 0 ? ColorKey.group(member.group) : .paleGroup(member.group)
      parts += Mark.rect(
        x: axis.start, y: y, width: max(1, end - axis.start), height: height, class: "bar \(color.name)")
      // One number a row keeps a table of bars calm; the other is in the hover text.
      guard index == 0 else { continue }
      let number = panel.format.text(value)
      let numberWidth = TextMeasure.width(number, size: 11)
      let fits = end + 5 + numberWidth < axis.end + 10
      parts += Mark.text(
        number, x: fits ? end + 5 : end - 5, y: y + height / 2 + 4,
        class: fits ? "tick halo" : "on \(color.name)", anchor: fits ? .start : .end)
    }
    return "<g>\(Mark.tip(lines + amount.details))\(parts)</g>"
  }
}
