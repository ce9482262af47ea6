// How does the report show what events happened in which kernels?
import Analysis
import ProfileModel

extension ReportBuilder {
  var kernelEvents: ReportDocument.Section? {
    guard case .measured(let events, let provenance) = characterization.kernelEvents, !events.categories.isEmpty
    else { return nil }
    let listed = events.kernels.prefix(room(KernelEvents.limit))
    return section(
      "kernel-events", "Events in kernels", short: "Kernel events",
      [
        .paragraph(kernelEventWords(events, method: provenance.detail)),
        .table(
          title: "By category", eventTable(events.categories[...], name: "Category", isCategory: true), isFolded: false),
        .table(
          title: "By kernel: the hottest \(listed.count) of \(NumberFormat.grouped(Int64(events.kernelCount)))",
          eventTable(listed, name: "Kernel", isCategory: false), isFolded: true),
      ])
  }

  private func kernelEventWords(_ events: KernelEvents, method: String?) -> Prose {
    var parts: [Prose] = []
    for total in events.totals {
      guard let count = total.inKernels.value else { continue }
      var part: Prose = "\(strong: NumberFormat.quantity(count, unit: total.unit)) \(code: total.event)"
      if total.unit == "1", let leader = leader(events.categories, total.event) {
        part = part + " (\(NumberFormat.percent(leader.share)) of them in \(leader.name))"
      }
      if let share = total.shareOfRun.value, share <= 1 {
        part = part + ", \(NumberFormat.percent(share)) of the whole run’s"
      }
      parts.append(part)
    }
    var text: Prose = "In the main thread’s kernels: "
    for (index, part) in parts.enumerated() { text = index == 0 ? text + part : text + "; " + part }
    text =
      text + ". Self only: what operations inside a kernel did is theirs, what threads that it starts did is its own."
    if let method, method.contains("part of the calls") {
      text =
        text + " Of short kernels some calls were read, which stand for all; ± is the 95\u{202F}% interval of that."
    }
    return text
  }

  /// Where most of an event happened.
  private func leader(_ rows: [KernelEvents.Row], _ event: String) -> (name: String, share: Double)? {
    let shares = rows.compactMap { row in
      row.counts.first { $0.event == event }?.share.map { (name: row.name, share: $0) }
    }
    return shares.max { $0.share < $1.share }.flatMap { $0.share > 0 ? $0 : nil }
  }

  private func eventTable(_ rows: ArraySlice<KernelEvents.Row>, name: String, isCategory: Bool) -> Table {
    let events = rows.first?.counts ?? []
    var ratios: [NamedQuantity] = []
    for ratio in rows.flatMap(\.ratios) where !ratios.contains(where: { $0.name == ratio.name }) {
      ratios.append(ratio)
    }
    var columns: [Table.Column] = [.name(name)]
    if !isCategory { columns.append(.name("Category")) }
    columns += [Table.Column("Calls"), Table.Column("Time", hint: "self time of the kernels that were counted")]
    for event in events {
      columns += [
        Table.Column(event.event), Table.Column("a call", hint: "\(event.event) a call, mean"),
      ]
      if event.unit == "1" { columns.append(Table.Column("share", hint: "share of the \(event.event) in all kernels")) }
    }
    columns += ratios.map { Table.Column($0.label, hint: $0.value.provenance?.detail) }
    let least = rows.map(\.counted).min() ?? 1
    return Table(
      columns: columns,
      rows: rows.map { row in
        var cells: [Table.Cell] =
          isCategory
          ? [.key(row.name, .category(row.category))]
          : [.code(row.name), .key(row.category.rawValue, .category(row.category))]
        cells += [.count(row.calls), .duration(row.nanoseconds)]
        for count in row.counts {
          cells += [eventCell(count), count.perCall.map { .number($0, unit: count.unit) } ?? .empty]
          if count.unit == "1" { cells.append(count.share.map { .share($0, bar: false) } ?? .empty) }
        }
        for ratio in ratios {
          cells.append(row.ratios.first { $0.name == ratio.name }.map { .measured($0.value, unit: $0.unit) } ?? .empty)
        }
        return cells
      },
      note: least < 0.995
        ? "Some kernels ran in no call that was read, or in first calls alone, which stand for no others. Those that were counted are at least \(NumberFormat.percent(least)) of a row’s time."
        : nil)
  }

  private func eventCell(_ count: KernelEvents.Count) -> Table.Cell {
    var cell = Table.Cell.measured(count.value, unit: count.unit)
    guard let value = count.value.value, let upper = count.interval?.upper, value > 0 else { return cell }
    let lower = count.interval?.lower ?? 0
    // A margin of several times the value is easier to read as the two ends.
    cell.text +=
      lower > 0
      ? " ±\u{202F}\(NumberFormat.percent((upper - value) / value))"
      : " (0…\(NumberFormat.quantity(upper, unit: count.unit)))"
    return cell
  }
}
