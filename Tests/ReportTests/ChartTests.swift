// Do charts put values where they belong?
import Foundation
import ProfileModel
import Testing

@testable import Report

struct ScaleTests {
  @Test func linearPositionsAreProportional() {
    let scale = LinearScale(0...200, from: 100, to: 500, nice: false)
    #expect(scale.position(0) == 100 && scale.position(200) == 500 && scale.position(50) == 200)
    let flipped = LinearScale(0...10, from: 300, to: 0)
    #expect(flipped.position(0) == 300 && flipped.position(10) == 0)
  }

  @Test(arguments: [(0.0, 1.0), (0, 61), (0, 3.7e9), (0.012, 0.019), (-3, 8), (5, 5), (0, 0), (1e-7, 3e-7)])
  func ticksAreRoundAndWithinTheDomain(low: Double, high: Double) {
    let scale = LinearScale(low...high, from: 0, to: 100)
    #expect(scale.domain.lowerBound <= low && scale.domain.upperBound >= high)
    #expect((2...12).contains(scale.ticks.count))
    let step = scale.ticks[1] - scale.ticks[0]
    let mantissa = step / pow(10, log10(step).rounded(.down))
    #expect([1, 2, 5, 10].contains { abs($0 - mantissa) < 1e-6 })
    for tick in scale.ticks {
      #expect(tick >= scale.domain.lowerBound - step * 1e-6 && tick <= scale.domain.upperBound + step * 1e-6)
      #expect(abs((tick / step).rounded() - tick / step) < 1e-6)
    }
  }

  @Test func logarithmicPositions() {
    let scale = LogScale(1...10_000, from: 0, to: 400)
    for (value, place) in [(1.0, 0.0), (10, 100), (100, 200), (1000, 300), (10_000, 400), (31.6227766017, 150)] {
      #expect(abs(scale.position(value) - place) < 1e-6)
    }
    #expect(scale.ticks == [1, 10, 100, 1000, 10_000])
    #expect(scale.minorTicks.count == 32)
    #expect(LogScale(2...60, from: 0, to: 1).ticks == [2, 5, 10, 20, 50])
    // What can't be on the axis doesn't become nan.
    #expect(scale.position(0).isFinite && scale.position(-1).isFinite)
  }

  @Test func ticksOfAnAxisShareTheirUnit() {
    #expect(ValueFormat.duration.ticks([0, 5e8, 1e9, 1.5e9]) == ["0", "0.5\u{202F}s", "1.0\u{202F}s", "1.5\u{202F}s"])
    #expect(ValueFormat.percent.ticks([0, 0.2, 0.8]) == ["0", "20\u{202F}%", "80\u{202F}%"])
    #expect(ValueFormat.bytes.ticks([0, 512 * 1_048_576, 1_073_741_824]).last == "1.0\u{202F}GiB")
    #expect(ValueFormat.count.ticks([0, 200, 400]) == ["0", "200", "400"])
  }
}

struct ChartTests {
  static func rects(_ drawing: Drawing) -> [(x: Double, width: Double)] {
    drawing.body.text.matches(of: #/<rect x='([-\d.]+)' y='[-\d.]+' width='([-\d.]+)'/#).compactMap { match in
      guard let x = Double(match.output.1), let width = Double(match.output.2) else { return nil }
      return (x, width)
    }
  }

  @Test(arguments: [880.0, 358])
  func stackedBarsAreAsWideAsTheirValues(width: Double) {
    let chart = StackedBarChart(
      summary: "",
      rows: [
        .init(
          label: "a",
          segments: [.init(color: .running, name: "x", value: 300), .init(color: .runnable, name: "y", value: 100)]),
        .init(label: "b", segments: [.init(color: .running, name: "x", value: 200)]),
      ], format: .count)
    let drawing = chart.draw(width: width)
    let scale = chart.layout(width: width).scale
    let rects = Self.rects(drawing)
    #expect(rects.count == 3)
    let unit = (scale.end - scale.start) / 400
    // One unit of each bar is the gap to the next.
    #expect(abs(rects[0].width + 1 - 300 * unit) < 0.02 && abs(rects[1].width + 1 - 100 * unit) < 0.02)
    #expect(abs(rects[1].x - rects[0].x - 300 * unit) < 0.02 && abs(rects[2].width + 1 - 200 * unit) < 0.02)
    #expect(rects.allSatisfy { $0.x >= 0 && $0.x + $0.width <= width })
  }

  @Test func paretoAccumulates() {
    let chart = ParetoChart(
      summary: "", bars: [50.0, 30, 15].map { ParetoChart.Bar(color: .running, label: "f\($0)", value: $0) },
      format: .count,
      whole: 100)
    let drawing = chart.draw(width: 880)
    let scale = chart.layout(width: 880).scale
    let dots = drawing.body.text.matches(of: #/cx='([-\d.]+)'/#).compactMap { Double($0.output.1) }
    for (dot, share) in zip(dots, [0.5, 0.8, 0.95]) { #expect(abs(dot - scale.position(share)) < 0.02) }
    let rects = Self.rects(drawing)
    #expect(abs(rects[1].width / rects[0].width - 0.6) < 0.001 && abs(rects[2].width / rects[0].width - 0.3) < 0.001)
    #expect(abs(rects[0].x + rects[0].width - dots[0]) < 0.02)
    #expect(drawing.body.text.contains("first 2 together: 80.0\u{202F}%"))
  }

  @Test func rooflineMeetsAtTheRidge() {
    let chart = RooflineChart(
      summary: "",
      points: [.init(color: .running, label: "p", intensity: 2, flopsPerSecond: 1e10, share: 0.5)],
      computeCeilings: [.init(label: "peak", value: 1e11)], bandwidthCeilings: [.init(label: "DRAM", value: 2e10)])
    let (x, y, _) = chart.scales(width: 880)
    // Slope and roof are drawn to the same point: intensity 1e11 / 2e10 = 5 FLOP/B.
    let ridge = (HTML.coordinate(x.position(5)), HTML.coordinate(y.position(1e11)))
    let body = chart.draw(width: 880).body.text
    #expect(body.contains("x2='\(ridge.0)' y2='\(ridge.1)' class='roof'"))
    #expect(body.contains("x1='\(ridge.0)' y1='\(ridge.1)'"))
    #expect(body.contains("cx='\(HTML.coordinate(x.position(2)))' cy='\(HTML.coordinate(y.position(1e10)))'"))
    // Area in proportion to the share.
    let small = RooflineChart.radius(share: 0.25) - 4
    #expect(abs((RooflineChart.radius(share: 1) - 4) / small - 2) < 1e-9)
  }

  @Test func rooflineLabelsDoNotOverlap() {
    let points = (0..<14).map { index in
      RooflineChart.Point(
        color: .running, label: "category \(index)", intensity: 1 + Double(index) * 0.05,
        flopsPerSecond: 1e10 * (1 + Double(index) * 0.03), share: 0.05)
    }
    let chart = RooflineChart(
      summary: "", points: points, computeCeilings: [.init(label: "peak", value: 1e11)],
      bandwidthCeilings: [.init(label: "DRAM", value: 2e10)])
    let boxes = chart.draw(width: 880).body.text
      .matches(of: #/<text x='([-\d.]+)' y='([-\d.]+)' class='label halo'>([^<]*)/#)
      .compactMap { match -> (x: Double, y: Double, width: Double)? in
        guard let x = Double(match.output.1), let y = Double(match.output.2) else { return nil }
        return (x, y, TextMeasure.width(String(match.output.3), size: 12.5))
      }
    #expect(boxes.count > 2)
    for (index, one) in boxes.enumerated() {
      for two in boxes.dropFirst(index + 1) {
        #expect(one.x + one.width <= two.x || two.x + two.width <= one.x || abs(one.y - two.y) >= 14)
      }
    }
  }

  @Test func reducedLinesKeepTheirExtremes() {
    var points = (0..<10_000).map { (x: Double($0), y: sin(Double($0) / 300)) }
    points[4321].y = 9
    points[77].y = -9
    let reduced = LineChart.reduced(points, to: 300)
    #expect(reduced.count <= 300)
    #expect(reduced.map(\.y).max() == 9 && reduced.map(\.y).min() == -9)
    #expect(zip(reduced, reduced.dropFirst()).allSatisfy { $0.x < $1.x })
    #expect(LineChart.reduced(Array(points.prefix(5)), to: 300).count == 5)
  }

  @Test func aGapInALineIsAGap() {
    let path = Mark.path([(x: 0, y: 1), (x: 1, y: .nan), (x: 2, y: 3), (x: 3, y: 4)])
    #expect(path.text == "M0 1M2 3L3 4")
  }

  @Test func oneValueOrNoneStillDraws() {
    for values in [[], [(x: 1.0, y: 1.0)], [(x: 1.0, y: Double.nan)]] {
      let drawing = LineChart(
        summary: "", lines: [.init(color: .line(0), name: "l", points: values)], xFormat: .count, yFormat: .decimal
      ).draw(width: 358)
      #expect(!drawing.body.text.contains("nan"))
    }
    #expect(Sparkline(values: [1]).svg().isEmpty)
    #expect(
      !HistogramChart(
        summary: "", bins: [], percentiles: [], format: .duration, countTitle: "queries", isLogarithmic: true
      ).draw(width: 358).body.text.contains("nan"))
  }

  @Test func everyCategoryHasAColourThatTextCanBeReadOn() {
    let keys = Set(Palette.colors.map(\.key))
    for category in KernelCategory.allCases { #expect(keys.contains(.category(category))) }
    for phase in KernelRecord.Phase.allCases { #expect(keys.contains(.phase(phase))) }
    #expect(keys.count == Palette.colors.count)
    for (_, light, dark) in Palette.colors {
      for color in [light, dark] {
        #expect(Palette.contrast(color, Palette.textColor(on: color)) >= 4.5)
      }
    }
    // The eight of the technical report stay apart from each other in light and dark.
    let eight = Palette.colors.filter { entry in
      KernelCategory.technicalReport.contains { ColorKey.category($0) == entry.key }
    }
    #expect(Set(eight.map(\.light)).count == 8 && Set(eight.map(\.dark)).count == 8)
  }
}

struct NumberFormatTests {
  let space = "\u{202F}"

  @Test func durations() {
    for (value, text) in [
      (0.0, "0|s"), (812, "812|ns"), (1234, "1.23|µs"), (45_600_000, "45.6|ms"), (12_340_000_000, "12.3|s"),
      (999_600_000, "1.00|s"), (125e9, "2|min 05|s"), (3725e9, "1|h 02|min"), (200_000e9, "2|d 07|h"),
    ] { #expect(NumberFormat.duration(value) == text.replacing("|", with: space)) }
  }

  @Test func prefixes() {
    #expect(NumberFormat.si(1.234e10, "FLOP/s") == "12.3\(space)GFLOP/s")
    #expect(NumberFormat.si(999_700, "B") == "1.00\(space)MB")
    #expect(NumberFormat.si(0.0123, "J") == "12.3\(space)mJ")
    #expect(NumberFormat.bytes(32_768) == "32\(space)KiB")
    #expect(NumberFormat.bytes(1_213_124_608) == "1.13\(space)GiB")
    #expect(NumberFormat.count(25_557_032) == "25.6\(space)M")
    #expect(NumberFormat.grouped(25_557_032) == "25\(space)557\(space)032")
    #expect(NumberFormat.grouped(-1234) == "−1\(space)234")
  }

  @Test func sharesAreNeverRoundedToNothingOrAll() {
    #expect(NumberFormat.percent(0) == "0\(space)%")
    #expect(NumberFormat.percent(0.0001) == "<0.1\(space)%")
    #expect(NumberFormat.percent(0.99999) == ">99.9\(space)%")
    #expect(NumberFormat.percent(1) == "100\(space)%")
    #expect(NumberFormat.percent(0.1234) == "12.3\(space)%")
  }

  @Test func notANumber() {
    #expect(
      NumberFormat.duration(.nan) == "—" && NumberFormat.percent(.nan) == "—" && NumberFormat.si(.infinity, "B") == "—")
    #expect(HTML.coordinate(.nan) == "0" && HTML.coordinate(-0.004) == "0" && HTML.coordinate(-1.25) == "-1.25")
    #expect(HTML.coordinate(3.10) == "3.1" && HTML.coordinate(12.05) == "12.05")
  }
}
