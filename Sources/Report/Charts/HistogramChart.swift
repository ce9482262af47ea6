// How are latencies distributed, and where do the median and the tail lie?

/// A histogram with percentile marks.
struct HistogramChart: Chart {
  /// A bar.
  struct Bin: Sendable {
    var from: Double
    var to: Double
    var count: Int
  }

  /// A labelled vertical line.
  struct Percentile: Sendable {
    var label: String
    var value: Double
    var details: [String] = []
  }

  var summary: String
  var bins: [Bin]
  var percentiles: [Percentile]
  var format: ValueFormat
  var countTitle: String
  /// Whether the value axis is logarithmic, as the bins' widths are then.
  var isLogarithmic: Bool

  func draw(width: Double) -> Drawing {
    // Percentile labels sit in rows above the plot, so that close ones don't overlap.
    let labelRows = 14.0 * Double(min(percentiles.count, 4))
    let top = 20 + labelRows
    let bottom = top + 190
    let counts = LinearScale(
      0...Double(max(1, bins.map(\.count).max() ?? 1)), from: bottom, to: top, tickCount: 4)
    let left = Mark.leftMargin(counts, format: .count)
    let low = bins.first?.from ?? 0
    let high = max(bins.last?.to ?? 1, low + 1e-9)
    let x: any Scale =
      isLogarithmic && low > 0
      ? LogScale(low...high, from: left, to: width - 24)
      : LinearScale(low...high, from: left, to: width - 24, tickCount: width < 600 ? 4 : 8, nice: false)
    var body = Mark.text(countTitle, x: 0, y: 11, class: "axis")
    body += Mark.leftAxis(counts, format: .count, left: left, right: width - 8)
    let labels = isLogarithmic ? x.ticks.map(format.text) : format.ticks(x.ticks)
    for (tick, label) in zip(x.ticks, labels) {
      body += Mark.line(x1: x.position(tick), y1: bottom, x2: x.position(tick), y2: bottom + 4, class: "base")
      body += Mark.text(label, x: x.position(tick), y: bottom + 17, class: "tick", anchor: .middle)
    }
    let total = max(1, bins.reduce(0) { $0 + $1.count })
    for bin in bins where bin.count > 0 {
      let from = x.position(bin.from)
      let barTop = min(counts.position(Double(bin.count)), bottom - 1)
      body += Mark.rect(
        x: from, y: barTop, width: max(1, x.position(bin.to) - from - 1), height: bottom - barTop, class: "bar s-0",
        tip: [
          "\(format.text(bin.from)) … \(format.text(bin.to))",
          "\(NumberFormat.count(Double(bin.count))) · \(NumberFormat.percent(Double(bin.count) / Double(total)))",
        ])
    }
    body += Mark.line(x1: left, y1: bottom, x2: width - 8, y2: bottom, class: "base")
    for (index, percentile) in percentiles.enumerated() {
      let place = min(max(x.position(percentile.value), left), width - 10)
      let row = 20 + 14 * Double(index % 4) + 9
      body += Mark.line(x1: place, y1: row + 3, x2: place, y2: bottom, class: "mark")
      let text = "\(percentile.label) \(format.text(percentile.value))"
      let fits = place + 5 + TextMeasure.width(text, size: 11) < width
      body +=
        "<g>\(Mark.tip([text] + percentile.details))\(Mark.text(text, x: fits ? place + 4 : place - 4, y: row, class: "tick strong halo", anchor: fits ? .start : .end))</g>"
    }
    return Drawing(width: width, height: bottom + 24, body: body)
  }
}
