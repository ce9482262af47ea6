// Is DLRM the published model, does it learn, and are Criteo's click logs read as published?
// Outputs and gradient norms are printed by Benchmarks/reference/search_models.py.
import Foundation
import Testing

@testable import Workloads

private func configuration(_ scale: Scale, batch: Int = 64, data: String? = nil) -> BenchmarkConfiguration {
  BenchmarkConfiguration(scale: scale, batchSize: batch, dataDirectory: data, maximumEpochs: 2)
}

/// A line of the log: `empty` counts are left out.
private func line(_ clicked: Int, _ first: Int, empty: Bool = false) -> String {
  let counts = (0..<13).map { empty && $0 % 2 == 0 ? "" : "\(first + $0 - 2)" }
  let categories = (0..<26).map { empty && $0 % 3 == 0 ? "" : String(format: "%08x", first * 31 % 17 + $0) }
  return (["\(clicked)"] + counts + categories).joined(separator: "\t")
}

extension Computing {
  @Suite struct AdvertisingTests {
    @Test func paperModelHasThePublishedSize() throws {
      // The tables would take 2.1 GB: they by their formula, everything else as it is.
      let model = DLRM(.paper, tableRows: [Int](repeating: 1, count: 26))
      func count(_ part: String) -> Int {
        model.namedParameters().filter { $0.path.hasPrefix(part) }.reduce(0) { $0 + $1.parameter.count }
      }
      #expect((0..<4).map { count("bot_l.\($0)") } == [7168, 131_328, 16_448, 1040])
      #expect((0..<3).map { count("top_l.\($0)") } == [188_416, 131_328, 257])
      #expect(SyntheticClicks.criteoRows.count == 26)
      let tables = SyntheticClicks.criteoRows.reduce(0, +) * 16
      #expect(tables == 540_201_232)
      #expect(count("bot_l") + count("top_l") + tables == Advertising.info.paper.parameters)

      try Trace.openPrivately()
      defer { Trace.close() }
      let start = Trace.sums
      _ = model(Tensor.random([2, 13]), Tensor.zeros([26, 2], type: .int64))
      #expect((Trace.sums - start).counterFLOPs / 2 == Advertising.info.paper.forwardFLOPs)
    }

    @Test func agreesWithPyTorch() {
      let rows = SyntheticClicks.smallRows
      let model = DLRM(.small, tableRows: rows)
      #expect(model.parameterCount == Advertising.info.small.parameters)
      StageCheck.fill(model)
      let places = (0..<26).flatMap { field in (0..<3).map { (7 * $0 + 3 * field) % rows[field] } }
      let logits = model(StageCheck.wave([3, 13], 0.5), Tensor(integers: places, shape: [26, 3]))
      StageCheck.agree(logits.doubles(), [0.062933, 0.076106, 0.079427])
      let loss = logits.binaryCrossEntropy(Tensor([1, 0, 1], shape: [3]))
      #expect(abs(loss.item - 0.682774) < 1e-5)
      StageCheck.agree(
        StageCheck.gradientNorms(model, loss),
        [
          0.0061236, 0.0068902, 0.007658, 0.005071, 0.0050735, 0.011139, 0.0060855, 0.007662, 0.0082743, 0.007243,
          0.0046501, 0.0075947, 0.003677, 0.008474, 0.0077104, 0.0056147, 0.0042221, 0.002229, 0.003897, 0.0056257,
          0.0066574, 0.0037002, 0.0046192, 0.0053945, 0.0038007, 0.0030351, 0.010419, 0.0038787, 0.03899, 0.0059017,
          0.009765, 0.0083283, 0.11634, 0.03849, 0.20296, 0.083177, 0.2332, 0.14847,
        ])
    }

    @Test func sparseAndDenseGradientsAgree() throws {
      // Row 2 is named three times, row 0 not at all; the second bag is empty.
      let indices = Tensor(integers: [2, 1, 2, 4, 2], shape: [5])
      let offsets = Tensor(integers: [0, 3, 3], shape: [3])
      let start = StageCheck.wave([5, 3], 1)
      func stepped(_ isSparse: Bool) -> Tensor {
        let table = Parameter(start.clone())
        let bags = table.embeddingBag(indices, offsets: offsets, isSparse: isSparse)
        #expect(bags.shape == [3, 3])
        (bags * StageCheck.wave([3, 3], 2)).sum().backward()
        SGD([table], learningRate: 0.5).step()
        return table.detached()
      }
      #expect((stepped(true) - stepped(false)).abs().max().item < 1e-6)
      #expect(stepped(true).select(0, 0).floats() == start.select(0, 0).floats())

      // By finite differences, in f64: the loss is linear in the table.
      let wide = Parameter(start.to(.float64))
      func loss(_ table: Tensor) -> Tensor {
        (table.embeddingBag(indices, offsets: offsets) * StageCheck.wave([3, 3], 2).to(.float64)).sum()
      }
      loss(wide).backward()
      let gradient = try #require(wide.gradient?.doubles())
      let change = stepped(true).to(.float64) - start.to(.float64)
      for index in 0..<15 {
        var values = start.doubles()
        values[index] += 1e-3
        let difference = (loss(Tensor(doubles: values, shape: [5, 3])).item - loss(start.to(.float64)).item) / 1e-3
        #expect(abs(difference - gradient[index]) < 1e-8)
        #expect(abs(change.doubles()[index] + 0.5 * difference) < 1e-6)
      }
    }

    @Test func sparseStepsAreTracedByTheirRows() throws {
      let table = Parameter(Tensor.random([100, 4]))
      try Trace.openPrivately()
      defer { Trace.close() }
      let start = Trace.sums
      let bags = table.embeddingBag(
        Tensor(integers: [7, 8, 9], shape: [3]), offsets: Tensor(integers: [0, 2], shape: [2]), isSparse: true)
      // One addition of a row; the operation numbers the bags besides.
      #expect((4...12).contains((Trace.sums - start).formulaFLOPs))
      bags.sum().backward()
      let middle = Trace.sums
      SGD([table], learningRate: 1).step()
      #expect((Trace.sums - middle).formulaFLOPs == 4 * 3 * 4)
      #expect((Trace.sums - middle).bytes < 200)
    }

    @Test func learns() throws {
      Torch.seed(1)
      let benchmark = try Advertising(configuration(.small))
      #expect(benchmark.dataDescription.hasPrefix("synthetic: "))
      let stage = try benchmark.stage("")
      let before = try StageCheck.evaluate(stage)
      #expect(abs(before - 0.5) < 0.1)
      _ = try StageCheck.train(stage, steps: 200)
      #expect(try StageCheck.evaluate(stage) > before + 0.05)
      #expect(stage.measures().map(\.name) == ["accuracy", "ROC AUC"])
      let task = try benchmark.inference()
      let answer = task.answer(try #require(try task.loader.batches(epoch: 0).nextBatch()).tensors())
      #expect(answer.shape == [64] && answer.min().item > 0 && answer.max().item < 1)
    }

    @Test func readsCriteo() throws {
      let directory = try TemporaryDirectory()
      let text = (0..<300).map { line($0 % 3 == 0 ? 1 : 0, $0, empty: $0 % 5 == 0) }.joined(separator: "\n")
      try directory.write("train.txt", text)
      let benchmark = try Advertising(configuration(.small, batch: 32, data: directory.path))
      #expect(benchmark.dataDescription == "\(directory.path) (258 impressions for training, 42 held out)")
      let stage = try benchmark.stage("")
      #expect(try StageCheck.train(stage, steps: 3).allSatisfy(\.isFinite))
      #expect((0...1).contains(try StageCheck.evaluate(stage)))
    }
  }
}

struct ClickDataTests {
  @Test func fieldsAreThoseOfTheLine() throws {
    let directory = try TemporaryDirectory()
    try directory.write("train.txt", line(1, 5) + "\r\n" + line(0, 7, empty: true) + "\n")
    let criteo = try Criteo(directory: directory.path)
    let train = try criteo.part(isTraining: true, seed: 1)
    let held = try criteo.part(isTraining: false, seed: 1)
    #expect(train.tableRows == [Int](repeating: 2, count: 26))
    let first = try train.impressions([0], epoch: 0)[0]
    #expect(first == Impression(isClicked: true, counts: Array(3..<16), categories: [Int](repeating: 0, count: 26)))
    let second = try held.impressions([0], epoch: 0)[0]
    #expect(second.counts == (0..<13).map { $0 % 2 == 0 ? nil : $0 + 5 })
    #expect(!second.isClicked && second.categories == [Int](repeating: 1, count: 26))
    // ln(1 + x); negative and missing counts are 0.
    #expect([nil, -3, 0, 9].map(Impression.dense) == [0, 0, 0, Float(log(10.0))])
    var random = SeededRandom(1)
    let batch = try ImpressionBatches(source: held, maximumRows: 1).batch([0], epoch: 0, random: &random)
    #expect(batch.inputs[1] == HostTensor(integers: [Int](repeating: 0, count: 26), shape: [26, 1]))
    #expect(batch.targets == [HostTensor([0], shape: [1])])
  }

  @Test func everyEpochHasEveryLineOnceInItsOwnOrder() throws {
    let directory = try TemporaryDirectory()
    // The first count tells the line. Seven days of 128 · 3 + 10 lines: blocks do not end with the training part.
    let lines = 7 * (128 * 3 + 10)
    try directory.write("train.txt", (0..<lines).map { line(0, $0 + 2) }.joined(separator: "\n"))
    let criteo = try Criteo(directory: directory.path)
    let train = try criteo.part(isTraining: true, seed: 3)
    #expect(train.count == lines / 7 * 6)
    let orders = try (0..<2).map { epoch in
      try stride(from: 0, to: train.count, by: 100).flatMap { start in
        try train.impressions(Array(start..<min(start + 100, train.count)), epoch: epoch).compactMap { $0.counts[0] }
      }
    }
    #expect(orders[0].sorted() == Array(2..<train.count + 2).map { $0 - 2 })
    #expect(orders[0].sorted() == orders[1].sorted() && orders[0] != orders[1])
    let held = try criteo.part(isTraining: false, seed: 3)
    let rest = try held.impressions(Array(0..<held.count), epoch: 0).compactMap { $0.counts[0] }
    #expect(rest == Array(train.count..<lines))
  }

  @Test func badLogsAreTold() throws {
    let good = line(0, 1)
    let cases: [(String, [String])] = [
      (good + "\n2" + good.dropFirst() + "\n", ["train.txt, line 2", "0 or 1"]),
      (good.split(separator: "\t").dropLast().joined(separator: "\t"), ["line 1", "field 39"]),
      (good + "\tdeadbeef", ["more than 40"]),
      (good.dropLast() + "g", ["field 40"]),
      (good.dropLast() + "\n", ["field 40"]),
      (good.replacingOccurrences(of: "0\t-1\t", with: "0\tx\t"), ["line 1"]),
      (good, ["its only line"]),
      ("", ["holds no sample"]),
    ]
    for (text, mentions) in cases {
      let directory = try TemporaryDirectory()
      try directory.write("train.txt", text)
      expectDataError(mentions: mentions) { _ = try Criteo(directory: directory.path).part(isTraining: true, seed: 1) }
    }
    let directory = try TemporaryDirectory()
    expectDataError(mentions: ["train.txt"]) { _ = try Criteo(directory: directory.path) }
    try directory.write("train.txt", try Fixture.gzip(Array(good.utf8)))
    expectDataError(mentions: ["compressed", "gunzip"]) { _ = try Criteo(directory: directory.path) }
    // A file that shrinks while it is read.
    let path = try directory.write("train.txt", (0..<300).map { line(0, $0) }.joined(separator: "\n"))
    let train = try Criteo(directory: directory.path).part(isTraining: true, seed: 1)
    truncate(path, 1000)
    expectDataError(mentions: ["shorter"]) { _ = try train.impressions([0, 200], epoch: 0) }
  }

  @Test func categoryTablesGrow() {
    var table = CategoryTable()
    var random = SeededRandom(1)
    let keys = (0..<1000).map { _ in UInt32(truncatingIfNeeded: random.next() >> 40) }
    var seen: [UInt32: Int] = [:]
    for key in keys {
      let number = table.number(of: key)
      #expect(number == seen[key] ?? seen.count)
      seen[key] = number
    }
    #expect(table.count == seen.count && seen.allSatisfy { table.known($0.key) == $0.value })
    #expect(table.known(.max) == nil)
  }

  @Test func syntheticClicksAreReproducibleAndLearnable() {
    let clicks = SyntheticClicks(tableRows: SyntheticClicks.smallRows, count: 100, first: 0, seed: 1)
    let later = SyntheticClicks(tableRows: SyntheticClicks.smallRows, count: 4000, first: 50, seed: 1)
    #expect((0..<50).allSatisfy { clicks.impression(50 + $0) == later.impression($0) })
    // As Benchmarks/reference/synthetic.py makes them: clicked, counts (255 where missing, 254 for −1), categories.
    let seventh = SyntheticClicks(tableRows: SyntheticClicks.smallRows, count: 200, first: 0, seed: 7)
    let bytes = (0..<200).flatMap { index -> [UInt8] in
      let impression = seventh.impression(index)
      let counts = impression.counts.map { $0.map { UInt8($0 < 0 ? 254 : $0) } ?? 255 }
      return [impression.isClicked ? 1 : 0] + counts + impression.categories.map { UInt8($0) }
    }
    #expect(fingerprint(bytes) == 1_837_916_952_918_264_929)
    let impressions = (0..<4000).map { later.impression($0) }
    #expect(impressions.contains { $0.counts.contains(nil) } && impressions.contains { $0.counts.contains(-1) })
    // The score that decides separates as well as anything can.
    var best = BinaryClassification()
    best.add(
      logits: impressions.map { Float(later.logit($0.counts, $0.categories)) }, isPositive: impressions.map(\.isClicked)
    )
    #expect((0.88...0.93).contains(best.areaUnderCurve), "\(best.areaUnderCurve)")
    #expect((0.81...0.88).contains(best.accuracy), "\(best.accuracy)")
    // Categories of large tables stay inside them.
    let paper = SyntheticClicks(tableRows: SyntheticClicks.criteoRows, count: 10, first: 0, seed: 1)
    for impression in (0..<10).map({ paper.impression($0) }) {
      #expect(zip(impression.categories, SyntheticClicks.criteoRows).allSatisfy { (0..<$1).contains($0) })
    }
  }

  @Test func areaUnderCurveIsTheShareOfOrderedPairs() {
    var random = SeededRandom(4)
    // Few different scores, so that many tie.
    let scores = (0..<60).map { _ in Float(random.integer(below: 9)) - 4 }
    let positives = scores.map { random.chance(0.5 + Double($0) / 12) }
    var quality = BinaryClassification()
    quality.add(logits: Array(scores[..<20]), isPositive: Array(positives[..<20]))
    quality.add(logits: Array(scores[20...]), isPositive: Array(positives[20...]))
    var (won, pairs) = (0.0, 0.0)
    for (a, isPositive) in zip(scores, positives) where isPositive {
      for (b, isPositive) in zip(scores, positives) where !isPositive {
        won += a > b ? 1 : a == b ? 0.5 : 0
        pairs += 1
      }
    }
    #expect(abs(quality.areaUnderCurve - won / pairs) < 1e-12)
    #expect(abs(quality.accuracy - Double(zip(scores, positives).count { ($0 > 0) == $1 }) / 60) < 1e-12)
    quality.add(logits: [.nan], isPositive: [true])
    #expect(quality.areaUnderCurve.isNaN && quality.accuracy.isNaN)
    var oneClass = BinaryClassification()
    oneClass.add(logits: [1, 2], isPositive: [true, true])
    #expect(oneClass.areaUnderCurve.isNaN && oneClass.accuracy == 1)
    #expect(BinaryClassification().accuracy.isNaN)
  }
}
