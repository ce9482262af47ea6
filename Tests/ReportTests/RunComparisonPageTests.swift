// Does a comparison say its verdict first, in every format, and does nothing in it act?
import Analysis
import Foundation
import ProfileModel
import Testing

@testable import Report

@Suite struct RunComparisonPageTests {
  /// Training runs, `factor` times as long, with some kernels changed.
  static func runs(_ name: String, factor: Double, seed: UInt64, change: Bool) -> ComparedRuns {
    var profile = Fixtures.training(repetitions: 5)
    var random = Repeatable(seed: seed)
    for index in profile.repetitions.indices {
      var data = profile.repetitions[index]
      data.repetition.startedAtUnixNanoseconds += Int64(seed) * 1_000_000_000_000 + Int64(index)
      let noise = factor * (1 + (random.unit() - 0.5) * 0.01)
      data.repetition.wallNanoseconds = Int64(Double(61 * Fixtures.second) * noise)
      data.steps = data.steps.map { step in
        var step = step
        step.durationNanoseconds = Int64(Double(step.durationNanoseconds) * noise)
        return step
      }
      data.kernels = data.kernels.map { kernel in
        var kernel = kernel
        let own = change && kernel.category == .convolution ? 1.4 : 1
        let jitter = 1 + (random.unit() - 0.5) * 0.02
        kernel.selfNanoseconds = Int64(Double(kernel.selfNanoseconds) * noise * own * jitter)
        if change, kernel.name == "aten::normal_" { kernel.name = "aten::bernoulli_" }
        return kernel
      }
      data.samples = data.samples.map { sample in
        var sample = sample
        let name = profile.frames(ofStack: sample.stack).first?.function ?? ""
        let grows = change && name.contains("bwd_weights")
        sample.samples = Int64(Double(sample.samples) * (grows ? 1.6 : 1))
        sample.weightNanoseconds = Int64(Double(sample.weightNanoseconds) * (grows ? 1.6 : 1))
        return sample
      }
      profile.repetitions[index] = data
    }
    if change {
      profile.settings["seed"] = "43"
      profile.settings["batch_size"] = "128"
    }
    return ComparedRuns(name: name, profiles: [profile])
  }

  static let slower = try? RunComparison(
    runs("before.kiviat", factor: 1, seed: 1, change: false), runs("after.kiviat", factor: 1.12, seed: 2, change: true))
  static let empty = try? RunComparison(
    ComparedRuns(name: "a", profiles: [Profile()]), ComparedRuns(name: "b", profiles: [Profile()]))
  static let hostile: RunComparison? = {
    var other = HostileTests.profile
    for index in other.repetitions.indices {
      other.repetitions[index].repetition.startedAtUnixNanoseconds += 1
      other.repetitions[index].kernels = other.repetitions[index].kernels.dropLast(5).map { kernel in
        var kernel = kernel
        kernel.selfNanoseconds += 1000
        return kernel
      }
    }
    other.settings["data"] = HostileTests.names[0] + HostileTests.names[2]
    other.settings[HostileTests.names[1]] = HostileTests.names[4]
    return try? RunComparison(
      ComparedRuns(name: HostileTests.names[0], profiles: [HostileTests.profile]),
      ComparedRuns(name: HostileTests.names[2], profiles: [other]), isForced: true)
  }()

  /// Leaves the pages where a person can look at them.
  @Test(.enabled(if: ProcessInfo.processInfo.environment["KIVIAT_REPORT_SAMPLES"] != nil, "no folder asked for"))
  func writesSamples() throws {
    let folder = try #require(ProcessInfo.processInfo.environment["KIVIAT_REPORT_SAMPLES"])
    for (name, comparison) in [("slower", Self.slower), ("empty", Self.empty), ("hostile", Self.hostile)] {
      for format in ReportFormat.allCases {
        let text = try Report.render(#require(comparison), as: format)
        try text.write(toFile: "\(folder)/compare-\(name).\(format.fileExtension)", atomically: true, encoding: .utf8)
      }
    }
  }

  @Test func theVerdictComesFirst() throws {
    let comparison = try #require(Self.slower)
    #expect(comparison.verdict == .slower)
    let document = RunComparisonPage(comparison: comparison).document()
    #expect(document.summary[0].hasPrefix("B is slower: training throughput −"))
    #expect(document.sections.map(\.id) == ["metrics", "kernels", "flame", "differences", "not-compared", "method"])
    let text = try Report.render(comparison, as: .text)
    #expect(text.hasPrefix("B is slower"))
    let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
    #expect(lines.count <= 41 && lines.allSatisfy { $0.count <= 110 })
    #expect(!text.contains("\u{1B}"))
    #expect(try Report.render(comparison, as: .text, color: true).hasPrefix("\u{1B}[1;31mB is slower"))
  }

  @Test func everySectionHoldsWhatItShould() throws {
    let comparison = try #require(Self.slower)
    let page = try Report.render(comparison, as: .html)
    for text in [
      "aten::bernoulli_", "Kernels that only B runs", "Kernels that only A runs", "batch sizes differ", "batch_size",
      "jit_avx512_core_conv_bwd_weights_kernel_f32", "Welch", "energy of the processor", "class='fg'",
      "class='bar d-", "class='point v-worse'", "surely worse",
    ] { #expect(page.contains(text), "\(text)") }
    let markdown = try Report.render(comparison, as: .markdown)
    for text in ["B is slower", "aten::bernoulli\\_", "| Kernel |"] {
      #expect(markdown.contains(text) || markdown.contains(text.replacing("\\_", with: "_")), "\(text)")
    }
  }

  @Test(arguments: ReportFormat.allCases)
  func nothingIsLoadedAndNothingActs(format: ReportFormat) throws {
    for comparison in [Self.slower, Self.empty, Self.hostile] {
      let text = try Report.render(#require(comparison), as: format)
      #expect(!text.isEmpty)
      if format == .html {
        #expect(!text.contains("http://") && !text.contains("https://"))
        #expect(Markup.problem(in: text) == nil)
        #expect(text.components(separatedBy: "<script").count == 2 && !text.contains("<img"))
        #expect(!Markup.tags(in: text).contains { $0.contains(" on") })
        #expect(!text.contains(">NaN") && !text.contains("'nan") && text.utf8.count < 2_000_000)
      }
      if format == .text { #expect(!text.contains("\u{1B}") && !text.contains("\u{202E}")) }
    }
  }

  @Test func jsonReadsBack() throws {
    let comparison = try #require(Self.slower)
    struct Root: Decodable {
      var format: String
      var version: Int
      var comparison: RunComparison
    }
    let text = try Report.render(comparison, as: .json)
    let root = try JSONDecoder().decode(Root.self, from: Data(text.utf8))
    #expect(root.format == "kiviat-comparison" && root.version == 1)
    #expect(root.comparison.verdict == .slower && root.comparison.metrics.count == comparison.metrics.count)
    #expect(try Report.render(root.comparison, as: .json) == text)
  }

  @Test func csvIsATable() throws {
    let comparison = try #require(Self.slower)
    let lines = try Report.render(comparison, as: .csv).split(separator: "\r\n")
    #expect(lines[0].hasPrefix("section,name,unit,verdict,a,b,n_a,n_b"))
    let first = lines[1].split(separator: ",", omittingEmptySubsequences: false)
    #expect(
      first[0] == "metric" && first[1] == "training.samples_per_second" && first[3] == "slower" && first[6] == "5")
    // No field of these holds a comma.
    #expect(
      lines.filter { $0.hasPrefix("kernel,") }.allSatisfy {
        $0.split(separator: ",", omittingEmptySubsequences: false).count == 16
      })
    for section in [
      "kernels,", "kernel_appeared,", "kernel_vanished,", "function_share,", "difference.work,", "not_compared,",
    ] {
      #expect(lines.contains { $0.hasPrefix(section) }, "\(section)")
    }
  }

  @Test func numbers() {
    let space = NumberFormat.space
    for (effect, text) in [
      (0.0512, "+5.1|%"), (-0.25, "−25.0|%"), (0.0, "0.0|%"), (-0.0001, "0.0|%"), (11, "×|12.0"), (-1, "−100|%"),
      (0.0996, "+10.0|%"), (1.2, "+120|%"),
    ] { #expect(RunComparisonPage.change(effect) == text.replacing("|", with: space)) }
    #expect(RunComparisonPage.points(0.0284) == "+2.8\(space)pp" && RunComparisonPage.points(-0.5) == "−50.0\(space)pp")
    #expect(RunComparisonPage.p(Measured(1e-9, .derived)).text == "< 0.0001")
    #expect(RunComparisonPage.p(Measured(0.0123, .derived)).text == "0.012")
    #expect(RunComparisonPage.color(0.2, isSure: true) == .change(4))
    #expect(RunComparisonPage.color(-0.02, isSure: true) == .change(-2))
    #expect(RunComparisonPage.color(-0.5, isSure: false) == .change(0))
  }
}

@Suite struct ForestChartTests {
  static func row(_ ratio: Double, _ lower: Double?, _ upper: Double?) -> ForestChart.Row {
    ForestChart.Row(color: .worse, label: "r\(ratio)", ratio: ratio, lower: lower, upper: upper, value: "v")
  }

  /// Twice as much is as far from no change as half as much, and intervals are drawn from bound to bound.
  @Test(arguments: [880.0, 358])
  func positionsAreLogarithmic(width: Double) {
    let chart = ForestChart(
      summary: "", rows: [Self.row(2, 1.5, 2.5), Self.row(0.5, nil, nil), Self.row(1, 0.9, 1.1)], margin: 0.02)
    let layout = chart.layout(width: width)
    let middle = layout.position(1)
    #expect(abs((layout.position(2) - middle) - (middle - layout.position(0.5))) < 1e-9)
    let body = chart.draw(width: width).body.text
    for ratio in [2, 0.5, 1.0] { #expect(body.contains("cx='\(HTML.coordinate(layout.position(ratio)))'")) }
    for (lower, upper) in [(1.5, 2.5), (0.9, 1.1)] {
      let (from, to) = (HTML.coordinate(layout.position(lower)), HTML.coordinate(layout.position(upper)))
      #expect(body.matches(of: #/x1='([^']+)' y1='[^']+' x2='([^']+)'/#).contains { $0.1 == from && $0.2 == to })
    }
    let circles = body.matches(of: #/cx='([-\d.]+)'/#).compactMap { Double($0.output.1) }
    #expect(circles.count == 3 && circles.allSatisfy { $0 >= 0 && $0 <= width })
  }

  /// One number that nobody can tell must not squeeze the others: its interval ends in arrows at the edge.
  @Test func wideIntervalsRunOut() {
    var rows = (0..<8).map { Self.row(1 + Double($0) * 0.01, 0.98 + Double($0) * 0.01, 1.03 + Double($0) * 0.01) }
    rows.append(Self.row(1.05, 1e-9, 1e9))
    let chart = ForestChart(summary: "", rows: rows, margin: 0.02)
    let layout = chart.layout(width: 880)
    #expect(
      exp(layout.high) < 1.3 && exp(layout.low) > 0.9 && layout.isBeyond(1e9) && layout.isBeyond(1e-9)
        && layout.isBeyond(0))
    #expect(chart.draw(width: 880).body.text.components(separatedBy: "<path").count >= 3)
  }

  @Test(arguments: [0.003, 0.03, 0.2, 0.7, 0.8, 2, 5, 20, 200])
  func ticksAreWithinAndInOrder(reach: Double) {
    for (low, high) in [(-reach, reach), (-0.03, reach), (-reach, 0.03)] {
      let ticks = ForestChart.ticks(from: low, to: high)
      #expect((1...12).contains(ticks.count) && ticks.contains { $0.label == "no change" && abs($0.ratio - 1) < 1e-9 })
      #expect(zip(ticks, ticks.dropFirst()).allSatisfy { $0.ratio < $1.ratio })
      #expect(ticks.allSatisfy { log($0.ratio) >= low * (1 + 1e-6) && log($0.ratio) <= high * (1 + 1e-6) })
    }
  }

  @Test func degenerateRows() {
    for rows in [[], [Self.row(1, nil, nil)], [Self.row(1, 1, 1)], [Self.row(1e-300, 0, 1e300)]] {
      for width in [880.0, 358] {
        let drawing = ForestChart(summary: "", rows: rows, margin: 0.02).draw(width: width)
        #expect(drawing.height > 0 && !drawing.body.text.contains("nan"))
      }
    }
  }
}

@Suite struct FlameDifferenceChartTests {
  /// Boxes are as wide as B's shares, and what only A calls has none.
  @Test func boxesAreSideB() throws {
    let comparison = try #require(RunComparisonPageTests.slower)
    let flame = try #require(comparison.flame.value)
    let chart = FlameGraphChart(difference: flame)
    let boxes = chart.boxes()
    let deepest = flame.nodes.filter { $0.shareB >= 0.005 }.map(\.depth).max() ?? 0
    let shown = flame.nodes.filter { $0.shareB > 0 && $0.depth <= deepest }
    #expect(boxes.count == shown.count && deepest >= 3)
    for (box, node) in zip(boxes, shown) {
      #expect(abs(box.width - node.shareB * 100) < 1e-6 && box.depth == node.depth)
      #expect(box.x >= -1e-9 && box.x + box.width <= 100 + 1e-6)
    }
    let grown = chart.nodes.filter { $0.name.contains("bwd_weights") }
    #expect(!grown.isEmpty && grown.allSatisfy { ["d-6", "d-7", "d-8"].contains($0.color.name) })
  }
}
