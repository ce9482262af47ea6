// What is the shape of a series, in the space of a word?

/// A line without axes, beside a number.
struct Sparkline: Sendable {
  var values: [Double]
  var color: ColorKey = .line(0)

  /// An `svg` element of 84 × 22 units.
  func svg() -> HTML {
    let finite = values.filter(\.isFinite)
    guard finite.count > 1, let low = finite.min(), let high = finite.max() else { return .empty }
    let reduced = LineChart.reduced(
      values.enumerated().map { (x: Double($0.offset), y: $0.element) }, to: 84)
    let last = Double(values.count - 1)
    let span = high > low ? high - low : 1
    let places = reduced.map { (x: 1 + 82 * $0.x / last, y: 20 - 18 * ($0.y - low) / span) }
    return
      "<svg viewBox='0 0 84 22' class='spark' aria-hidden='true'><path d='\(Mark.path(places))' class='line \(color.name)'/></svg>"
  }
}
