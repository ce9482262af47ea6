// Where on an axis does a value lie, and where do its ticks?

import Foundation

/// Maps values to positions in a chart.
protocol Scale: Sendable {
  /// The position of a value, in the chart's units.
  func position(_ value: Double) -> Double
  /// Values worth a tick, ascending, within the domain.
  var ticks: [Double] { get }
}

/// Equal steps are equal distances.
struct LinearScale: Scale {
  /// Values from…to, widened to round numbers when asked.
  var domain: ClosedRange<Double>
  /// Positions of the domain's ends; the first may be the greater (y axes grow upwards).
  var start: Double
  var end: Double
  var ticks: [Double]

  /// Makes a scale; `nice` widens the domain to whole tick steps.
  init(_ domain: ClosedRange<Double>, from start: Double, to end: Double, tickCount: Int = 5, nice: Bool = true) {
    var low = domain.lowerBound.isFinite ? domain.lowerBound : 0
    var high = domain.upperBound.isFinite ? domain.upperBound : 1
    if high - low <= abs(high) * 1e-12 {
      // All values equal: make room around them.
      let room = high == 0 ? 1 : abs(high) / 2
      (low, high) = (low - (low == 0 ? 0 : room), high + room)
    }
    let step = LinearScale.niceStep((high - low) / Double(max(1, tickCount)))
    if nice {
      low = (low / step + 1e-9).rounded(.down) * step
      high = (high / step - 1e-9).rounded(.up) * step
    }
    self.domain = low...high
    self.start = start
    self.end = end
    let first = Int((low / step - 1e-9).rounded(.up))
    let last = max(first, Int((high / step + 1e-9).rounded(.down)))
    ticks = (first...last).map { Double($0) * step }
  }

  func position(_ value: Double) -> Double {
    start + (value - domain.lowerBound) / (domain.upperBound - domain.lowerBound) * (end - start)
  }

  /// The least of 1, 2, 5 × 10ⁿ that is not below `step`.
  static func niceStep(_ step: Double) -> Double {
    guard step > 0, step.isFinite else { return 1 }
    let power = pow(10, log10(step).rounded(.down))
    for factor in [1.0, 2, 5, 10] where factor * power >= step * (1 - 1e-9) { return factor * power }
    return 10 * power
  }
}

/// Equal ratios are equal distances.
struct LogScale: Scale {
  /// Positive values from…to, whole decades unless given otherwise.
  var domain: ClosedRange<Double>
  var start: Double
  var end: Double

  /// Makes a scale over positive values.
  init(_ domain: ClosedRange<Double>, from start: Double, to end: Double) {
    let low = max(domain.lowerBound, 1e-300)
    self.domain = low...max(domain.upperBound, low * 1.0001)
    self.start = start
    self.end = end
  }

  func position(_ value: Double) -> Double {
    let ratio = max(value, 1e-300) / domain.lowerBound
    let whole = domain.upperBound / domain.lowerBound
    return start + log(ratio) / log(whole) * (end - start)
  }

  /// The decades within the domain; 1, 2, 5 where it spans less than two.
  var ticks: [Double] {
    let spansLittle = log10(domain.upperBound / domain.lowerBound) < 2
    return multiples(spansLittle ? [1, 2, 5] : [1])
  }

  /// The lines between decades: 2…9 × 10ⁿ.
  var minorTicks: [Double] { multiples([2, 3, 4, 5, 6, 7, 8, 9]) }

  /// These multiples of every power of ten, within the domain.
  private func multiples(_ factors: [Double]) -> [Double] {
    let low = Int(log10(domain.lowerBound).rounded(.down))
    let high = Int(log10(domain.upperBound).rounded(.up))
    var result: [Double] = []
    for decade in low...max(low, high) {
      for factor in factors {
        let value = factor * pow(10, Double(decade))
        if value >= domain.lowerBound * (1 - 1e-9), value <= domain.upperBound * (1 + 1e-9) { result.append(value) }
      }
    }
    return result
  }
}
