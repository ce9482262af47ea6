// When did each process and thread live, and what did it do with its time? A Gantt chart with the split of states.

/// One bar a thread from its start to its end; inside, its states in proportion (their order in time is not known).
struct ThreadTimelineChart: Chart {
  /// A share of a thread's life.
  struct State: Sendable {
    var color: ColorKey
    var name: String
    var nanoseconds: Double
  }

  /// A thread.
  struct Lane: Sendable {
    var label: String
    var isMain: Bool
    var start: Double
    var end: Double
    var states: [State]
    var details: [String] = []
  }

  var summary: String
  var lanes: [Lane]
  /// Exec to exit, nanoseconds.
  var wall: Double

  var legend: [LegendItem] {
    var seen: [LegendItem] = []
    for state in lanes.flatMap(\.states) where state.nanoseconds > 0 {
      let item = LegendItem(color: state.color, text: state.name)
      if !seen.contains(item) { seen.append(item) }
    }
    return seen
  }

  func draw(width: Double) -> Drawing {
    let isNarrow = width < 600
    let widest = lanes.map { TextMeasure.width($0.label, size: 11.5, monospaced: true) }.max() ?? 0
    let labelWidth = min(isNarrow ? 112 : 240, widest + 22)
    let end = max(wall, lanes.map(\.end).max() ?? 0, 1)
    let scale = LinearScale(0...end, from: labelWidth, to: width - 18, tickCount: isNarrow ? 4 : 8, nice: false)
    let rowHeight = 21.0
    let bottom = Double(lanes.count) * rowHeight + 4
    var body = Mark.bottomAxis(scale, format: .duration, top: 0, bottom: bottom)
    for (index, lane) in lanes.enumerated() {
      let top = Double(index) * rowHeight + 3
      let indent = lane.isMain ? 0.0 : 10.0
      let label = TextMeasure.fitted(
        lane.label, width: labelWidth - 10 - indent, size: 11.5, monospaced: true)
      body += Mark.text(label, x: indent, y: top + 12, class: lane.isMain ? "code strong" : "code")
      let left = scale.position(max(0, lane.start))
      let barWidth = max(1.5, scale.position(max(lane.start, lane.end)) - left)
      let life = max(lane.end - lane.start, 1)
      let known = lane.states.reduce(0) { $0 + max(0, $1.nanoseconds) }
      let lines =
        [
          lane.label,
          "\(NumberFormat.duration(lane.start)) … \(NumberFormat.duration(lane.end)), \(NumberFormat.duration(life))",
        ]
        + lane.states.filter { $0.nanoseconds > 0 }.map {
          "\($0.name): \(NumberFormat.duration($0.nanoseconds)) · \(NumberFormat.percent($0.nanoseconds / life))"
        } + lane.details
      var parts = Mark.rect(x: left, y: top, width: barWidth, height: 15, class: "bar t-unknown")
      var x = left
      for state in lane.states where state.nanoseconds > 0 {
        let stateWidth = barWidth * state.nanoseconds / max(life, known)
        parts += Mark.rect(x: x, y: top, width: stateWidth, height: 15, class: "bar \(state.color.name)")
        x += stateWidth
      }
      body += "<g>\(Mark.tip(lines))\(parts)</g>"
    }
    return Drawing(width: width, height: bottom + 22, body: body)
  }
}
