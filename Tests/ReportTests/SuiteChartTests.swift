// Do a suite's charts put values, gaps, hulls and labels where they belong?
import Analysis
import Foundation
import ProfileModel
import Testing

@testable import Report

#if canImport(FoundationXML)
  import FoundationXML
#endif

/// Charts as a suite's page has them, from numbers that look like those of 24 benchmarks.
enum SuiteCharts {
  static let names = [
    "Image classification", "Image generation", "Text-to-Text translation", "Image-to-Text", "Image-to-Image",
    "Speech-to-Text", "Face embedding", "3D face recognition", "Object detection", "Video prediction",
    "Image compression", "Recommendation", "3D object reconstruction", "Text summarization", "Spatial transformer",
    "Learning to rank", "Neural architecture search", "MLPerf image classification", "MLPerf detection (heavy)",
    "MLPerf detection (light)", "MLPerf translation (recurrent)", "MLPerf translation (attention)",
    "MLPerf recommendation", "MLPerf Go",
  ]

  static func values(_ count: Int, seed: UInt64) -> [Double] {
    var random = Repeatable(seed: seed)
    return (0..<count).map { _ in random.unit() }
  }

  static let axes = [
    KiviatChart.Axis(name: "FLOPs a sample", shortLabel: "FLOPs", outer: 4.1e10, format: .si("FLOP")),
    KiviatChart.Axis(name: "parameters", shortLabel: "parameters", outer: 6.8e7, format: .count),
    KiviatChart.Axis(name: "epochs to quality", shortLabel: "epochs", outer: 96, format: .count),
    KiviatChart.Axis(name: "instructions a cycle", shortLabel: "IPC", outer: 2.4, format: .decimal),
    KiviatChart.Axis(name: "peak memory", shortLabel: "memory", outer: 6.2e9, format: .bytes),
  ]

  static func kiviat(_ count: Int, _ arrangement: KiviatChart.Arrangement) -> KiviatChart {
    let random = values(count * 5, seed: 3)
    let series = names.prefix(count).enumerated().map { index, name in
      KiviatChart.Series(
        name: name, color: .group(count < 6 ? index : index < 17 ? 0 : 1),
        values: axes.indices.map { axis in
          axis == 3 && index % 4 == 1 ? nil : axes[axis].outer * random[index * 5 + axis]
        })
    }
    return KiviatChart(
      summary: "Kiviat diagrams of \(count) benchmarks", axes: axes, series: series, arrangement: arrangement,
      keys: count < 6
        ? [] : [LegendItem(color: .group(0), text: "AIBench"), LegendItem(color: .group(1), text: "MLPerf")])
  }

  static var scatter: ScatterChart {
    let random = values(48, seed: 11)
    return ScatterChart(
      summary: "parameters over FLOPs",
      points: names.indices.map { index in
        ScatterChart.Point(
          x: pow(10, 7 + random[2 * index] * 4.5), y: pow(10, 4.6 + random[2 * index + 1] * 3.4), label: names[index],
          color: .group(index < 17 ? 0 : 1), symbol: index < 17 ? .circle : .square)
      }, x: PlotAxis(title: "FLOPs a sample", format: .si("FLOP"), isLogarithmic: true),
      y: PlotAxis(title: "parameters", format: .count, isLogarithmic: true),
      guides: [
        .init(value: 1e9, label: "1 GFLOP", isVertical: true), .init(value: 6e7, label: "60 M", isVertical: false),
      ],
      keys: [LegendItem(color: .group(0), text: "AIBench"), LegendItem(color: .group(1), text: "MLPerf")],
      symbolKeys: [.init(symbol: .circle, text: "AIBench"), .init(symbol: .square, text: "MLPerf")])
  }

  static var map: ScatterChart {
    let random = values(96, seed: 5)
    let centers = [(-40.0, 10.0), (25, 30), (10, -35)]
    return ScatterChart(
      summary: "a map of 24 benchmarks",
      points: names.indices.map { index in
        let (x, y) = centers[index % 3]
        return ScatterChart.Point(
          x: x + 26 * (random[2 * index] - 0.5), y: y + 26 * (random[2 * index + 1] - 0.5), label: names[index],
          color: .group(index % 3), symbol: index < 17 ? .circle : .triangle, group: index % 3)
      }, showsHulls: true,
      keys: (0..<3).map { LegendItem(color: .group($0), text: "cluster \($0 + 1)") },
      symbolKeys: [.init(symbol: .circle, text: "AIBench"), .init(symbol: .triangle, text: "MLPerf")])
  }

  static var cloud: ScatterChart {
    var random = Repeatable(seed: 9)
    return ScatterChart(
      summary: "5 000 samples",
      points: (0..<5000).map { index in
        let angle = 2 * Double.pi * (Double(index % 10) + random.unit() * 0.7) / 10
        let radius = 30 + 25 * random.unit()
        return ScatterChart.Point(
          x: radius * cos(angle), y: radius * sin(angle), color: .group(index % 10), size: 1.4)
      })
  }

  static var pareto: ScatterChart {
    let steps: [(x: Double, y: Double)] = [
      (900, 0.9), (2400, 0.52), (5200, 0.31), (9800, 0.21), (16_000, 0.12), (31_000, 0.06), (70_000, 0.02),
    ]
    let points = steps.enumerated().map { index, step in
      ScatterChart.Point(
        x: step.x, y: step.y, label: index == 0 ? "1 member" : "\(index + 1) members", color: .group(0), size: 4)
    }
    let quantiles = steps.map { step -> (x: Double, low: Double, high: Double) in
      let low = step.y * 1.15
      return (step.x, low, low + 0.35 * (1 - log10(step.x) / 6))
    }
    return ScatterChart(
      summary: "error over cost", points: points,
      x: PlotAxis(title: "cost of a run, s", format: .count, isLogarithmic: true),
      y: PlotAxis(title: "error", format: .percent, includes: [0]),
      curves: [.init(color: .group(0), name: "best subsets", points: steps, isStepped: true)],
      bands: [.init(color: .backdrop, name: "random subsets, 10–90 %", points: quantiles)])
  }

  static func dendrogram(_ count: Int, clusters: Int) -> DendrogramChart {
    let random = values(max(1, count) * 3, seed: 21)
    let rows = (0..<count).map { index -> [Double] in
      let group = Double((index * 7) % 3)
      return (0..<3).map { column -> Double in
        let offset: Double = column == index % 3 ? group * 1.4 : group * 0.56
        return offset + random[index * 3 + column] * 0.8
      }
    }
    return DendrogramChart(
      summary: "a tree of \(count) benchmarks", tree: Dendrogram(Matrix(rows), linkage: .ward),
      labels: (0..<count).map { names[$0 % names.count] }, clusters: clusters, axisTitle: "distance (Ward)")
  }

  static var range: RangeChart {
    func members(_ low: Double, _ high: Double, _ range: Range<Int>, seed: UInt64) -> [RangeChart.Member] {
      zip(range, values(range.count, seed: seed)).enumerated().map { index, pair in
        let share = index == 0 ? 0 : index == 1 ? 1 : pair.1
        return .init(name: names[pair.0], value: low * pow(high / low, share))
      }
    }
    return RangeChart(
      summary: "ranges",
      suites: [LegendItem(color: .group(0), text: "AIBench"), LegendItem(color: .group(1), text: "MLPerf")],
      rows: [
        .init(
          label: "FLOPs a sample", format: .si("FLOP"), isLogarithmic: true,
          members: [members(9e4, 4.7e11, 0..<17, seed: 1), members(2e5, 2.4e11, 17..<24, seed: 2)]),
        .init(
          label: "parameters", format: .count, isLogarithmic: true,
          members: [members(3e4, 6.8e7, 0..<17, seed: 3), members(5e6, 4.9e7, 17..<24, seed: 4)]),
        .init(
          label: "epochs to quality", format: .count, isLogarithmic: false,
          members: [members(6, 96, 0..<17, seed: 5), members(3, 49, 17..<24, seed: 6)]),
        .init(
          label: "instructions a cycle in the whole run", format: .decimal, isLogarithmic: false,
          members: [members(0.4, 2.1, 0..<17, seed: 7), []], reason: "no hardware counters on that machine"),
      ])
  }

  static var intervals: IntervalChart {
    let random = values(72, seed: 31)
    return IntervalChart(
      summary: "coefficients of variation",
      rows: names.enumerated().map { index, name in
        if index % 9 == 4 { return .init(label: name, reason: "one run alone has no variation") }
        let point = pow(10, -3.2 + 2.2 * random[index])
        return .init(
          label: name, color: point < 0.02 ? .group(0) : .group(1), point: point, lower: point * 0.6,
          upper: index % 7 == 3 ? nil : point * (1.6 + random[index + 24]), second: point * 0.85)
      }, axis: PlotAxis(title: "coefficient of variation of the epochs", format: .percent, isLogarithmic: true),
      threshold: .init(value: 0.02, label: "2\u{202F}%"), pointName: "sample form (n − 1)",
      secondName: "population form (n)", intervalName: "95\u{202F}% interval")
  }

  static var grouped: GroupedBarChart {
    let random = values(96, seed: 41)
    func panel(_ title: String, _ format: ValueFormat, _ low: Double, _ decades: Double, _ offset: Int, two: Bool)
      -> GroupedBarChart.Panel
    {
      .init(
        title: title, format: format, isLogarithmic: true,
        amounts: names.indices.map { index in
          if (index + offset) % 11 == 6 { return .init(reason: "not run") }
          let value = low * pow(10, decades * random[(index * 3 + offset) % 96])
          return .init(value: value, second: two ? value * 2.1 : nil)
        })
    }
    return GroupedBarChart(
      summary: "parameters, FLOPs and epochs",
      members: names.enumerated().map { .init(label: $0.element, group: $0.offset < 17 ? 0 : 1) },
      panels: [
        panel("parameters", .count, 3e4, 3.3, 0, two: false),
        panel("FLOPs a sample", .si("FLOP"), 1e5, 6.4, 1, two: true),
        panel("epochs to quality", .count, 3, 1.5, 2, two: false),
      ], firstName: "one for a multiply-add", secondName: "two")
  }

  static var stacked: StackedBarChart {
    let categories = KernelCategory.allCases.prefix(12)
    let random = values(24 * 12, seed: 51).map { $0 * $0 * $0 }
    return StackedBarChart(
      summary: "time by category",
      rows: names.enumerated().map { index, name in
        let parts = random[(index * 12)..<(index * 12 + 12)]
        let sum = parts.reduce(0, +)
        return .init(
          label: name,
          segments: zip(categories, parts).map {
            .init(color: .category($0), name: $0.rawValue, value: $1 / sum)
          })
      }, format: .percent, isCompact: true, showsTotals: false)
  }

  /// Every chart, by a name for its picture.
  static var all: [(name: String, chart: any Chart)] {
    [
      ("kiviat-24", kiviat(24, .multiples)), ("kiviat-5", kiviat(5, .multiples)), ("kiviat-1", kiviat(1, .multiples)),
      ("kiviat-overlaid", kiviat(3, .overlaid)), ("scatter", scatter), ("map", map), ("pareto", pareto),
      ("dendrogram", dendrogram(24, clusters: 3)), ("range", range), ("intervals", intervals), ("grouped", grouped),
      ("stacked", stacked), ("cloud", cloud),
    ]
  }
}

/// A text of a drawing with the box that it takes at most.
struct DrawnText: Equatable {
  var text: String
  var name: String
  var box: LabelBox

  static func all(in drawing: Drawing) -> [DrawnText] {
    // Thousands of points without a text take long to search.
    guard drawing.body.text.contains("<text") else { return [] }
    return drawing.body.text
      .matches(of: #/<text x='([-\d.]+)' y='([-\d.]+)'(?: class='([^']*)')?(?: text-anchor='([^']*)')?>([^<]*)/#)
      .compactMap { match in
        guard let x = Double(match.output.1), let y = Double(match.output.2) else { return nil }
        let name = match.output.3.map(String.init) ?? ""
        let text = String(match.output.5).replacing("&lt;", with: "<").replacing("&#39;", with: "'")
        let size = size(name)
        let width = TextMeasure.width(text, size: size)
        let anchor = match.output.4.map(String.init) ?? "start"
        let left = anchor == "end" ? x - width : anchor == "middle" ? x - width / 2 : x
        return DrawnText(
          text: text, name: name, box: LabelBox(x: left, y: y - size * 0.72, width: width, height: size * 0.86))
      }
  }

  /// As in the style sheet.
  private static func size(_ name: String) -> Double {
    let names = name.split(separator: " ")
    if names.contains("label") { return 12.5 }
    if names.contains("small") || names.contains("axis") { return 11.5 }
    return names.contains("tick") || names.contains("on") ? 11 : 12
  }
}

struct SuiteChartTests {
  static let widths = [960.0, 692, 358]
  static let names = SuiteCharts.all.map(\.name)

  static func chart(_ name: String) throws -> any Chart {
    try #require(SuiteCharts.all.first { $0.name == name }).chart
  }

  // MARK: All charts

  @Test(arguments: names, widths)
  func labelsStayInsideAndApart(name: String, width: Double) throws {
    let drawing = try Self.chart(name).draw(width: width)
    let texts = DrawnText.all(in: drawing).filter { !$0.text.isEmpty }
    #expect(name == "cloud" || texts.count > 3)
    for text in texts {
      #expect(text.box.x > -1.5 && text.box.right < width + 1.5, "\(text)")
      #expect(text.box.y > -1.5 && text.box.bottom < drawing.height + 1.5, "\(text)")
    }
    for (index, one) in texts.enumerated() {
      for two in texts.dropFirst(index + 1) { #expect(!one.box.overlaps(two.box), "\(one) \(two)") }
    }
  }

  @Test(arguments: names, widths)
  func drawingsAreWellFormedAndFinite(name: String, width: Double) throws {
    let drawing = try Self.chart(name).draw(width: width)
    #expect(drawing.height.isFinite && drawing.height > 0)
    let text = drawing.svg(label: "x").text
    #expect(XMLParser(data: Data(text.utf8)).parse())
    #expect(!text.contains("nan") && !text.contains("inf "))
    #expect(text == (try Self.chart(name).draw(width: width).svg(label: "x").text))
  }

  /// Every class has a rule in the style sheet, every colour key a colour.
  @Test func everyClassIsInTheStyleSheet() {
    let sheet = String(decoding: PackageResources.report_css, as: UTF8.self)
    let colors = Set(Palette.colors.map(\.key.name))
    for (name, chart) in SuiteCharts.all {
      for match in chart.draw(width: 960).body.text.matches(of: #/class='([^']*)'/#) {
        for part in match.output.1.split(separator: " ") {
          #expect(colors.contains(String(part)) || sheet.contains(".\(part)"), "\(part) in \(name)")
        }
      }
      for item in chart.legend { #expect(colors.contains(item.color.name)) }
    }
  }

  /// Leaves the charts where a person can look at them, wide and narrow, and as files.
  @Test(.enabled(if: ProcessInfo.processInfo.environment["KIVIAT_REPORT_SAMPLES"] != nil, "no folder asked for"))
  func writesSamples() throws {
    let folder = try #require(ProcessInfo.processInfo.environment["KIVIAT_REPORT_SAMPLES"])
    let figures = SuiteCharts.all.map { name, chart in
      ReportDocument.Block.figure(
        .init(title: Prose(name), drawing: .chart(chart), caption: nil, table: Table(columns: [.name("x")], rows: [])))
    }
    let document = ReportDocument(
      kicker: "Charts", title: "Charts of a suite", facts: [], summary: [],
      sections: [
        .init(id: "charts", title: "Charts", blocks: figures)
      ], colophon: "")
    try HTMLRenderer(documents: [document]).page()
      .write(toFile: "\(folder)/suite-charts.html", atomically: true, encoding: .utf8)
    let training = FigureFiles.files(of: [
      document, ReportBuilder(characterization: Characterization(of: Fixtures.training())).document(),
    ])
    for file in training {
      try file.contents.write(toFile: "\(folder)/\(file.name)", atomically: true, encoding: .utf8)
    }
  }

  // MARK: Kiviat diagrams

  @Test func cornersOfAKiviatDiagram() {
    let center = Place(x: 100, y: 100)
    // Four axes are the four directions, the first upwards, clockwise.
    let places = (0..<4).map { KiviatChart.corner(center: center, radius: 80, axis: $0, of: 4, share: 0.5) }
    for (place, expected) in zip(places, [(100.0, 60.0), (140, 100), (100, 140), (60, 100)]) {
      #expect(abs(place.x - expected.0) < 1e-9 && abs(place.y - expected.1) < 1e-9)
    }
    // A regular pentagon: neighbours are 2 r sin 36° apart.
    let pentagon = (0..<5).map { KiviatChart.corner(center: center, radius: 80, axis: $0, of: 5, share: 1) }
    for (one, two) in zip(pentagon, pentagon.dropFirst() + pentagon.prefix(1)) {
      #expect(abs(hypot(one.x - two.x, one.y - two.y) - 160 * sin(.pi / 5)) < 1e-9)
    }
  }

  private static func square(_ values: [Double?]) -> KiviatChart {
    KiviatChart(
      summary: "",
      axes: (0..<4).map { .init(name: "axis \($0)", shortLabel: "\($0)", outer: 10, format: .decimal) },
      series: [.init(name: "m", color: .group(0), values: values)])
  }

  @Test func thePolygonGoesThroughTheValues() throws {
    let chart = Self.square([10, 5, 0, 2.5])
    let grid = chart.grid(width: 960)
    let (center, r) = (grid.center(0), grid.radius)
    let corners = [
      (center.x, center.y - r), (center.x + r / 2, center.y), (center.x, center.y), (center.x - r / 4, center.y),
    ]
    let path = Mark.path(corners.map { (x: $0.0, y: $0.1) }).text
    #expect(chart.draw(width: 960).body.text.contains("d='\(path)Z' class='line g-0'"))
  }

  @Test func whatWasNotMeasuredIsAGapAndNotZero() {
    for missing in [nil, Double.nan, .infinity] {
      let chart = Self.square([10, missing, 5, 2.5])
      let body = chart.draw(width: 960).body.text
      let grid = chart.grid(width: 960)
      let (center, r) = (grid.center(0), grid.radius)
      // From the third axis to the fourth and on to the first; nothing to the second, and no point there.
      let third = (center.x, center.y + r / 2)
      let fourth = (center.x - r / 4, center.y)
      let first = (center.x, center.y - r)
      let expected =
        Mark.path([(x: third.0, y: third.1), (x: fourth.0, y: fourth.1)])
        + Mark.path([(x: fourth.0, y: fourth.1), (x: first.0, y: first.1)])
      #expect(body.contains("d='\(expected.text)' class='line g-0'"))
      #expect(body.matches(of: #/class='corner/#).count == 3)
      #expect(body.matches(of: #/class='spoke absent'/#).count == 1)
      #expect(body.contains("2 not measured") && body.contains("axis 1: not measured"))
    }
    // Zero is a corner at the centre.
    #expect(Self.square([10, 0, 5, 2.5]).draw(width: 960).body.text.matches(of: #/class='corner/#).count == 4)
  }

  @Test func aValueBeyondTheOuterRingStaysOnIt() {
    let chart = Self.square([25, 5, -3, 2.5])
    #expect(chart.share(chart.series[0], axis: 0) == 1 && chart.share(chart.series[0], axis: 2) == 0)
    #expect(chart.draw(width: 358).body.text.contains("beyond the outer ring"))
  }

  @Test(arguments: [1, 2, 5, 7, 17, 24], widths)
  func theGridFits(count: Int, width: Double) {
    let chart = SuiteCharts.kiviat(count, .multiples)
    let grid = chart.grid(width: width)
    #expect(grid.cell * Double(grid.columns) <= width + 1e-9)
    for index in 0..<count {
      let center = grid.center(index)
      #expect(center.x - grid.radius >= 0 && center.x + grid.radius <= width)
      #expect(center.y + grid.radius <= chart.draw(width: width).height)
    }
  }

  // MARK: Scatter charts

  @Test func logarithmicAxesHaveTheirDecades() throws {
    let chart = ScatterChart(
      summary: "", points: [.init(x: 10, y: 1), .init(x: 1000, y: 2), .init(x: 100_000, y: 3)],
      x: PlotAxis(title: "", format: .count, isLogarithmic: true), y: PlotAxis(title: "", format: .decimal))
    let frame = chart.frame(width: 960)
    let x = try #require(frame.x)
    #expect(x.ticks.map(\.value) == [10, 100, 1000, 10_000, 100_000])
    #expect(x.ticks.map(\.label) == ["10", "100", "1\u{202F}000", "10\u{202F}k", "100\u{202F}k"])
    // Equal ratios are equal distances.
    let steps = zip(x.ticks, x.ticks.dropFirst()).map { $1.position - $0.position }
    #expect(steps.allSatisfy { abs($0 - steps[0]) < 1e-6 })
    let middle = try #require(frame.place(1000, 2))
    #expect(abs(middle.x - (try #require(frame.place(10, 1)).x + (try #require(frame.place(100_000, 3))).x) / 2) < 1e-6)
    // What has no logarithm has no place.
    #expect(frame.place(0, 1) == nil && frame.place(-1, 1) == nil && frame.place(.nan, 1) == nil)
  }

  @Test(arguments: [
    (ValueFormat.count, 0.5, "0.5"), (.count, 2000, "2\u{202F}000"), (.count, 5e7, "50\u{202F}M"),
    (.si("FLOP"), 1e12, "1\u{202F}TFLOP"), (.percent, 0.001, "0.1\u{202F}%"), (.percent, 0.2, "20\u{202F}%"),
    (.duration, 1e7, "10\u{202F}ms"), (.duration, 1e12, "1\u{202F}000\u{202F}s"), (.bytes, 1e9, "1\u{202F}GB"),
  ])
  func ticksOfALogarithmicAxis(format: ValueFormat, value: Double, text: String) {
    #expect(format.logTick(value) == text)
  }

  @Test func hullOfKnownPoints() {
    func place(_ x: Double, _ y: Double) -> Place { Place(x: x, y: y) }
    let corners = [place(0, 0), place(4, 0), place(4, 3), place(0, 3)]
    // Inside, on an edge, and twice.
    let points = corners + [place(2, 1), place(2, 0), place(4, 1.5), place(4, 3)]
    #expect(ScatterChart.hull(points.reversed()) == corners)
    #expect(ScatterChart.hull([place(1, 1), place(3, 3), place(2, 2)]) == [place(1, 1), place(3, 3)])
    #expect(ScatterChart.hull([place(1, 1), place(1, 1)]) == [place(1, 1)] && ScatterChart.hull([]).isEmpty)
  }

  /// Every point is on the inner side of every edge of the hull, and every corner is a point: that defines it.
  @Test func hullOfRandomPoints() {
    var random = Repeatable(seed: 77)
    for count in [3, 4, 10, 60] {
      let points = (0..<count).map { _ in Place(x: random.unit() * 10, y: random.unit() * 10) }
      let hull = ScatterChart.hull(points)
      #expect(Set(hull).isSubset(of: points) && Set(hull).count == hull.count)
      for (a, b) in zip(hull, hull.dropFirst() + hull.prefix(1)) {
        for c in points { #expect((b.x - a.x) * (c.y - a.y) - (b.y - a.y) * (c.x - a.x) >= -1e-9) }
      }
    }
  }

  @Test(arguments: [358.0, 960], [UInt64](1...12))
  func labelsOfRandomPointsCoverNothing(width: Double, seed: UInt64) throws {
    var chart = SuiteCharts.scatter
    let random = SuiteCharts.values(48, seed: seed)
    for index in chart.points.indices {
      // Every second set is crowded.
      let spread = seed % 2 == 0 ? 0.5 : 4.5
      chart.points[index].x = pow(10, 7 + random[2 * index] * spread)
      chart.points[index].y = pow(10, 5 + random[2 * index + 1] * spread / 2)
    }
    chart.guides = []
    let frame = chart.frame(width: width)
    let texts = DrawnText.all(in: chart.draw(width: width)).filter { $0.name.contains("halo") }
    #expect(!texts.isEmpty)
    // All names, or all numbers.
    let names = texts.filter { SuiteCharts.names.contains($0.text) }
    #expect(names.isEmpty || width < 600 || names.count == 24)
    for (index, one) in texts.enumerated() {
      for two in texts.dropFirst(index + 1) { #expect(!one.box.overlaps(two.box)) }
      for point in chart.points {
        let place = try #require(frame.place(point.x, point.y))
        #expect(!one.box.contains(place))
      }
    }
  }

  /// Points on top of each other: labels move away, and lines lead to them that cross none.
  @Test func leadersCrossNoLabel() throws {
    var points = [ScatterChart.Point(x: 0, y: 0), ScatterChart.Point(x: 100, y: 100)]
    for index in 0..<16 {
      let (column, row) = (Double(index % 4), Double(index / 4))
      points.append(.init(x: 50 + column * 0.2, y: 50 + row * 0.2, label: "benchmark \(index)"))
    }
    let chart = ScatterChart(summary: "", points: points)
    let drawing = chart.draw(width: 960)
    let leaders = drawing.body.text
      .matches(of: #/<line x1='([-\d.]+)' y1='([-\d.]+)' x2='([-\d.]+)' y2='([-\d.]+)' class='leader'/#)
      .map { [$0.output.1, $0.output.2, $0.output.3, $0.output.4].compactMap { Double($0) } }
    #expect(!leaders.isEmpty)
    let texts = DrawnText.all(in: drawing)
    for line in leaders where line.count == 4 {
      for step in 1..<50 {
        let share = Double(step) / 50
        let place = Place(x: line[0] + (line[2] - line[0]) * share, y: line[1] + (line[3] - line[1]) * share)
        let hit = texts.first { $0.box.contains(place) }
        #expect(hit == nil, "\(line) \(place) \(String(describing: hit))")
      }
    }
  }

  @Test func aPointWithoutAPlaceKeepsItsNumber() throws {
    // Too long for a narrow page, all in one place: numbers.
    var chart = SuiteCharts.scatter
    for index in chart.points.indices { (chart.points[index].x, chart.points[index].y) = (1e9 + Double(index), 1e6) }
    chart.points[1].x = 0
    let texts = DrawnText.all(in: chart.draw(width: 358))
    #expect(!texts.contains { $0.text == "2" && $0.name == "tick strong" })
    // Number and name are on one line.
    let third = try #require(texts.first { $0.text == "3" && $0.name == "tick strong" })
    let name = try #require(texts.first { $0.text == SuiteCharts.names[2] })
    #expect(abs(third.box.bottom - name.box.bottom) < 0.5)
  }

  @Test func aMapHasTheSameScaleInBothDirections() throws {
    for (dx, dy) in [(10.0, 1.0), (1, 10), (5, 5)] {
      let chart = ScatterChart(
        summary: "", points: [.init(x: 0, y: 0), .init(x: dx, y: 0), .init(x: 0, y: dy)])
      for width in Self.widths {
        let frame = chart.frame(width: width)
        let (o, a, b) = (
          try #require(frame.place(0, 0)), try #require(frame.place(dx, 0)), try #require(frame.place(0, dy))
        )
        #expect(abs((a.x - o.x) / dx - (o.y - b.y) / dy) < 1e-9)
        for place in [o, a, b] {
          #expect(place.x > frame.left && place.x < frame.right && place.y > frame.top && place.y < frame.bottom)
        }
        #expect(!chart.draw(width: width).body.text.contains("tick"))
      }
    }
  }

  @Test func fiveThousandPointsAreSmall() {
    let chart = SuiteCharts.cloud
    let (wide, narrow) = (chart.draw(width: 960).body.text, chart.draw(width: 358).body.text)
    #expect(wide.utf8.count + narrow.utf8.count < 150_000)
    #expect(!wide.contains("<title>") && !wide.contains("<circle"))
    // As many dots as there are different places on the grid of a tenth.
    let frame = chart.frame(width: 960)
    var places: Set<String> = []
    for point in chart.points {
      guard let place = frame.place(point.x, point.y) else { continue }
      places.insert("\(point.color.name) \(Int((place.x * 10).rounded())) \(Int((place.y * 10).rounded()))")
    }
    #expect(wide.matches(of: #/h0/#).count == places.count)
  }

  @Test func dotsAreWhereTheirPointsAre() throws {
    // Follows the pen.
    var chart = SuiteCharts.cloud
    chart.points = chart.points.map { point in
      var point = point
      point.color = .group(0)
      return point
    }
    let frame = chart.frame(width: 960)
    let body = chart.draw(width: 960).body.text
    let data = try #require(body.firstMatch(of: #/<path d='([^']*)' class='dots g-0'/#)).output.1
    var pen = (x: 0, y: 0)
    var drawn: Set<[Int]> = []
    for step in data.matches(of: #/([Mm])([-\d.]+) ([-\d.]+)h0/#) {
      let x = Int((try #require(Double(step.output.2)) * 10).rounded())
      let y = Int((try #require(Double(step.output.3)) * 10).rounded())
      pen = step.output.1 == "M" ? (x, y) : (pen.x + x, pen.y + y)
      drawn.insert([pen.x, pen.y])
    }
    let expected = Set(
      chart.points.compactMap { frame.place($0.x, $0.y) }.map {
        [Int(($0.x * 10).rounded()), Int(($0.y * 10).rounded())]
      })
    #expect(drawn == expected)
  }

  @Test func aSteppedCurveKeepsItsValueUntilTheNextPoint() throws {
    let chart = ScatterChart(
      summary: "", points: [], x: PlotAxis(title: "", format: .count), y: PlotAxis(title: "", format: .count),
      curves: [
        .init(color: .group(0), name: "c", points: [(x: 0, y: 10), (x: 5, y: 4), (x: 10, y: 1)], isStepped: true)
      ])
    let frame = chart.frame(width: 960)
    let places = try [(0.0, 10.0), (5, 10), (5, 4), (10, 4), (10, 1)].map { try #require(frame.place($0.0, $0.1)) }
    let path = Mark.path(places.map { (x: $0.x, y: $0.y) }).text
    #expect(chart.draw(width: 960).body.text.contains("<path d='\(path)' class='line g-0'/>"))
  }

  // MARK: Dendrograms

  @Test func branchesMeetAtTheirDistances() throws {
    // On a line at 0, 1, 10, 14: merges at 1, 4 and, by mean distances, (10 + 14 + 9 + 13) / 4 = 11.5.
    let tree = Dendrogram(Matrix([[0], [1], [10], [14]]), linkage: .average)
    let chart = DendrogramChart(summary: "", tree: tree, labels: ["a", "b", "c", "d"], clusters: 2)
    let nodes = try #require(chart.nodes())
    #expect(nodes.map(\.distance) == [0, 0, 0, 0, 1, 4, 11.5])
    #expect(nodes.map(\.row) == [0, 1, 2, 3, 0.5, 2.5, 1.5])
    #expect(nodes.map(\.cluster) == [0, 0, 1, 1, 0, 1, nil])
    #expect(chart.cutDistance == (4 + 11.5) / 2)
    let (scale, height, top) = chart.layout(width: 960)
    let body = chart.draw(width: 960).body.text
    func y(_ row: Double) -> Double { top + height * (row + 0.5) }
    let first = Mark.path([
      (x: scale.position(0), y: y(0)), (x: scale.position(1), y: y(0)), (x: scale.position(1), y: y(1)),
      (x: scale.position(0), y: y(1)),
    ])
    #expect(body.contains("d='\(first.text)' class='line g-0'"))
    #expect(body.contains("2 clusters"))
    // The cut is a vertical line between.
    let cut = HTML.coordinate(scale.position(7.75))
    #expect(body.contains("x1='\(cut)'") && body.contains("x2='\(cut)'"))
  }

  @Test(arguments: [0, 1, 2, 24], [1, 2, 3, 24, 99])
  func treesOfAnySizeAndCut(count: Int, clusters: Int) {
    let chart = SuiteCharts.dendrogram(count, clusters: clusters)
    for width in Self.widths {
      let drawing = chart.draw(width: width)
      #expect(XMLParser(data: Data(drawing.svg(label: "").text.utf8)).parse() && drawing.height.isFinite)
    }
    let lines = chart.draw(width: 960).body.text.contains(" clusters</text>")
    #expect(lines == (clusters > 1 && count > 1))
  }

  @Test func aTreeThatIsNoneDoesNotTrap() throws {
    let broken =
      #"{"linkage":"ward","count":3,"merges":[{"first":7,"second":9,"distance":1,"size":2},{"first":0,"second":0,"distance":1,"size":2}]}"#
    let tree = try JSONDecoder().decode(Dendrogram.self, from: Data(broken.utf8))
    let chart = DendrogramChart(summary: "", tree: tree, labels: ["a", "b", "c"], clusters: 2)
    #expect(chart.nodes() == nil)
    #expect(chart.draw(width: 358).body.text.contains("no members"))
  }

  // MARK: Ranges and intervals

  @Test func barsReachFromLeastToGreatest() throws {
    let chart = SuiteCharts.range
    for width in Self.widths {
      let body = chart.draw(width: width)
      let rects = body.body.text.matches(of: #/<rect x='([-\d.]+)' y='[-\d.]+' width='([-\d.]+)'[^>]*class='span/#)
        .compactMap { match in
          Double(match.output.1).flatMap { x in Double(match.output.2).map { (x: x, width: $0) } }
        }
      #expect(rects.count == 7)
      let axis = chart.axis(chart.rows[0], width: width)
      #expect(abs(rects[0].x + 1 - axis.position(9e4)) < 0.02)
      #expect(abs(rects[0].x + rects[0].width - 1 - axis.position(4.7e11)) < 0.02)
    }
    #expect(abs(try #require(chart.ratio(chart.rows[0])) - 4.7 / 2.4) < 1e-9)
    #expect(chart.ratio(chart.rows[3]) == nil)
    #expect(chart.draw(width: 960).body.text.contains("MLPerf: no hardware counters on that machine"))
  }

  @Test func anIntervalWithoutAnUpperEndIsAnArrow() {
    func chart(_ row: IntervalChart.Row) -> IntervalChart {
      IntervalChart(
        summary: "", rows: [row], axis: PlotAxis(title: "", format: .percent, isLogarithmic: true),
        threshold: .init(value: 0.02, label: "2 %"))
    }
    let open = chart(.init(label: "a", point: 0.01, lower: 0.005))
    let axis = open.layout(width: 960).axis
    let end = HTML.coordinate(axis.end)
    #expect(open.draw(width: 960).body.text.contains("L\(end) "))
    #expect(open.draw(width: 960).body.text.contains("not bounded"))
    let closed = chart(.init(label: "a", point: 0.01, lower: 0.005, upper: 0.03))
    let scale = closed.layout(width: 960).axis
    let to = HTML.coordinate(scale.position(0.03))
    #expect(closed.draw(width: 960).body.text.contains("x2='\(to)'"))
    #expect(closed.draw(width: 960).body.text.contains("cx='\(HTML.coordinate(scale.position(0.01)))'"))
    let missing = chart(.init(label: "a", reason: "one run")).draw(width: 358).body.text
    #expect(missing.contains("not measured: one run") && !missing.contains("class='point"))
    // An infinite end is no end, and no number is no point.
    let odd = chart(.init(label: "a", point: .nan, lower: 0.01, upper: .infinity)).draw(width: 358).body.text
    #expect(odd.contains("not bounded") && !odd.contains("class='point"))
  }

  // MARK: Bars

  @Test func logarithmicBarsEndAtTheirValues() {
    let chart = SuiteCharts.grouped
    for width in Self.widths {
      let layouts = chart.layout(width: width)
      #expect(layouts.count == 3)
      let body = chart.draw(width: width)
      let bars = ChartTests.rects(body)
      let expected = zip(chart.panels, layouts).flatMap { panel, layout in
        panel.amounts.flatMap { amount in
          [amount.value, amount.second].compactMap { $0 }.map {
            (x: layout.axis.start, width: max(1, layout.axis.position($0) - layout.axis.start))
          }
        }
      }
      #expect(bars.count == expected.count)
      for (bar, wanted) in zip(bars, expected) {
        #expect(abs(bar.x - wanted.x) < 0.02 && abs(bar.width - wanted.width) < 0.02)
        #expect(bar.x + bar.width <= width)
      }
    }
    #expect(chart.draw(width: 960).body.text.contains("— not run"))
  }

  @Test func stackedSharesFillTheirRow() {
    let chart = SuiteCharts.stacked
    for width in Self.widths {
      let scale = chart.layout(width: width).scale
      let rects = ChartTests.rects(chart.draw(width: width))
      #expect(rects.count == 24 * 12)
      for row in 0..<24 {
        let last = rects[row * 12 + 11]
        #expect(abs(last.x + last.width - scale.position(1)) < 1.1)
      }
    }
    #expect(chart.legend.count == 12)
  }

  // MARK: Nothing, one, and what is no number

  static var degenerate: [any Chart] {
    let log = PlotAxis(title: "x", format: .count, isLogarithmic: true)
    let linear = PlotAxis(title: "y", format: .count)
    let odd: [Double] = [.nan, .infinity, -.infinity, 0, -1, 1e308, -1e308, .leastNonzeroMagnitude]
    let points = odd.flatMap { x in odd.map { ScatterChart.Point(x: x, y: x == 0 ? 1 : $0, label: "p", group: 0) } }
    let axis = KiviatChart.Axis(name: "a", shortLabel: "a", outer: 0, format: .count)
    return [
      KiviatChart(summary: "", axes: [], series: []), KiviatChart(summary: "", axes: [axis], series: []),
      KiviatChart(
        summary: "", axes: [axis, axis], series: [.init(name: "", color: .group(0), values: [1])],
        arrangement: .overlaid),
      KiviatChart(
        summary: "", axes: SuiteCharts.axes,
        series: odd.map { .init(name: "odd", color: .group(0), values: [$0, $0, $0, $0, $0, $0, $0]) }),
      ScatterChart(summary: "", points: []), ScatterChart(summary: "", points: [], x: log, y: linear),
      ScatterChart(summary: "", points: points, x: log, y: linear, showsHulls: true),
      ScatterChart(summary: "", points: points, x: linear, y: log), ScatterChart(summary: "", points: points),
      ScatterChart(summary: "", points: [.init(x: 3, y: 3, label: "one", group: 1)], showsHulls: true),
      RangeChart(summary: "", suites: [], rows: []),
      RangeChart(
        summary: "", suites: [LegendItem(color: .group(0), text: "s")],
        rows: [true, false].map {
          .init(
            label: "r", format: .count, isLogarithmic: $0, members: [odd.map { .init(name: "m", value: $0) }, [], []])
        }),
      IntervalChart(summary: "", rows: [], axis: log),
      IntervalChart(
        summary: "", rows: odd.map { .init(label: "r", point: $0, lower: $0, upper: $0, second: $0) }, axis: log,
        threshold: .init(value: .nan, label: "t")),
      IntervalChart(
        summary: "", rows: odd.map { .init(label: "r", point: $0, lower: $0, upper: $0, second: $0) }, axis: linear),
      GroupedBarChart(summary: "", members: [], panels: []),
      GroupedBarChart(
        summary: "", members: [.init(label: "m")],
        panels: [
          .init(
            title: "p", format: .count, isLogarithmic: true,
            amounts: odd.map { .init(value: $0, second: $0, reason: "r") })
        ]),
    ]
  }

  @Test func oddNumbersAndEmptyChartsStillDraw() {
    for chart in Self.degenerate {
      for width in Self.widths {
        let drawing = chart.draw(width: width)
        #expect(drawing.width == width && drawing.height.isFinite && drawing.height >= 0 && drawing.height < 5000)
        let text = drawing.svg(label: "").text
        #expect(XMLParser(data: Data(text.utf8)).parse())
        #expect(!text.contains("'nan") && !text.contains("nan ") && !text.contains("'inf"))
      }
    }
  }

  @Test(arguments: widths)
  func hostileNamesStayText(width: Double) {
    var names = HostileTests.names
    names.append("\u{5E9}\u{5DC}\u{5D5}\u{5DD} \u{4E16}\u{754C}")
    var kiviat = SuiteCharts.kiviat(names.count, .multiples)
    var scatter = SuiteCharts.map
    var intervals = SuiteCharts.intervals
    var tree = SuiteCharts.dendrogram(names.count, clusters: 2)
    var grouped = SuiteCharts.grouped
    var range = SuiteCharts.range
    for (index, name) in names.enumerated() {
      kiviat.series[index].name = name
      scatter.points[index].label = name
      intervals.rows[index].label = name
      grouped.members[index].label = name
      tree.labels[index] = name
      range.rows[index % 4].label = name
      range.rows[index % 4].members[0][index % 5].name = name
    }
    for chart in [kiviat, scatter, intervals, tree, grouped, range] as [any Chart] {
      let drawing = chart.draw(width: width)
      let text = drawing.svg(label: names[0]).text
      #expect(XMLParser(data: Data(text.utf8)).parse())
      #expect(!text.contains("<script") && !text.contains("<img") && !text.contains("onload=alert(3)>"))
      #expect(!text.unicodeScalars.contains { $0 == "\u{202E}" || $0 == "\u{1B}" || $0 == "\u{0}" })
      for text in DrawnText.all(in: drawing) where !text.text.contains("&") && !text.text.contains("⟨") {
        #expect(text.box.x > -2 && text.box.right < width + 2, "\(text)")
      }
    }
  }
}
