// Do MLPerf's translators have the published sizes, learn, and translate?
import Foundation
import Testing

@testable import Workloads

private func configuration(batch: Int, data: String? = nil) -> BenchmarkConfiguration {
  BenchmarkConfiguration(scale: .small, batchSize: batch, dataDirectory: data, maximumEpochs: 20)
}

/// Trains for some steps and gives the losses.
private func losses(_ stage: TrainingStage, steps: Int) throws -> [Double] {
  stage.model.train()
  var losses: [Double] = []
  let batches = stage.loader.batches(epoch: 0, limit: steps)
  while let batch = try batches.nextBatch()?.tensors() {
    let factor = stage.schedule.factor(step: losses.count, stepsPerEpoch: 50, total: 500)
    losses.append(try stage.step(TrainingStep(batch, rateFactor: factor)))
  }
  return losses
}

/// Whether the last eighth of the losses is below the first by a factor.
func lossesFall(_ losses: [Double], by factor: Double) -> Bool {
  let part = losses.count / 8
  let first = losses.prefix(part).reduce(0.0) { $0 + $1 }
  let last = losses.suffix(part).reduce(0.0) { $0 + $1 }
  return losses.allSatisfy(\.isFinite) && last < factor * first
}

/// Text of the small language in files.
private func writeText(_ directory: TemporaryDirectory) throws {
  for (name, count) in [("train", 40), ("newstest2014", 6)] {
    let text = SyntheticLanguage.small.text(count: count, seed: 5)
    try directory.write("\(name).en", text.source.joined(separator: "\n") + "\n")
    try directory.write("\(name).de", text.target.joined(separator: "\n") + "\n")
  }
}

extension Computing {
  @Suite struct NonrecurrentTranslationTests {
    @Test func learnsAndTranslates() throws {
      Torch.seed(1)
      let benchmark = try NonrecurrentTranslation(configuration(batch: 64))
      #expect(benchmark.dataDescription.hasPrefix("synthetic: "))
      let stage = try benchmark.stage("")
      #expect(stage.model.parameterCount == NonrecurrentTranslation.info.small.parameters)
      #expect(lossesFall(try losses(stage, steps: 32), by: 0.9))
      let task = try benchmark.inference()
      task.model.train(false)
      let batch = try #require(try task.loader.batches(epoch: 0, limit: 1).nextBatch()).tensors()
      let answer = task.answer(batch)
      #expect(answer.size(0) == 64)
      #expect(answer.size(1) <= batch.inputs[0].size(1) + 5)
    }

    @Test func readsTextAndJudgesByBLEU() throws {
      let directory = try TemporaryDirectory()
      try writeText(directory)
      let benchmark = try NonrecurrentTranslation(configuration(batch: 16, data: directory.path))
      #expect(benchmark.dataDescription.hasPrefix(directory.path))
      let stage = try benchmark.stage("")
      #expect(try losses(stage, steps: 2).count == 2)
      stage.model.train(false)
      #expect((0...100).contains(try withoutGradients { try stage.evaluate() }))
      let words = try #require(stage.measures().first { $0.name == "reference words" })
      #expect(words.value > 20)
    }

    @Test func aPerfectTranslatorHasABLEUOfHundred() throws {
      let data = try NonrecurrentTranslation.smallData(train: 200, validation: 20)
      // Says what the target says.
      let bleu = try TranslationQuality.bleu(data.validation, batchSize: 8) { batch in
        let width = batch.targets[0].size(1)
        let all = batch.targets[0].integers()
        return (0..<batch.samples).map { Array(all[($0 * width)..<(($0 + 1) * width)]) }
      }
      #expect(abs(bleu.score - 100) < 1e-9)
    }
  }

  @Suite struct RecurrentTranslationTests {
    @Test func hasThePublishedParameters() {
      // By its parts; the whole would take 0.6 GB.
      func count(_ module: Module) -> Int { module.parameterCount }
      let width = 1024
      let vocabulary = RecurrentTranslation.paperVocabulary
      let narrow = count(LSTM(width, width))
      let wide = count(LSTM(2 * width, width))
      #expect(narrow == 8_396_800 && wide == 12_591_104)
      let attention = count(BahdanauAttention(width))
      #expect(attention == 2_099_201)
      let encoder = 2 * narrow + wide + 2 * narrow
      let decoder = narrow + attention + 3 * wide
      let tables = 2 * vocabulary * width + vocabulary
      #expect(tables + encoder + decoder == 160_671_297)
      #expect(RecurrentTranslation.info.paper.parameters == 160_671_297)
      // The small one has the same parts.
      let small = GNMT(.small, vocabulary: 50)
      let parts = Set(small.namedParameters().map { $0.path.prefix { $0 != "." } })
      #expect(parts.count == 8)
    }

    @Test func flopsAreThoseOfTheFormula() throws {
      let shape = GNMT.Shape(width: 32, layers: 4, dropout: 0)
      let model = GNMT(shape, vocabulary: 40)
      try Trace.openPrivately()
      defer { Trace.close() }
      let start = Trace.sums
      let tokens = Tensor.random(in: 4..<40, [2, 7])
      withoutGradients { _ = model(tokens, reversed: Tensor.range(14), target: tokens) }
      let (d, l, v) = (32, 7, 40)
      // A token's products: 16, 12, 8 and 8 d² in the encoder's layers, 8 and three times 12 in the decoder's.
      let side = 44 * d * d
      let attention = 2 * d * d * l + l * l * d
      let output = l * d * v
      let total = 2 * 2 * (2 * side * l + attention + output)
      #expect((Trace.sums - start).counterFLOPs == Double(total))
      // The published size: 32 tokens on each side.
      let (wide, words) = (1024, 32)
      let layers = 2 * 44 * wide * wide * words
      let looking = 2 * wide * wide * words + words * words * wide
      let published = 2 * (layers + looking + words * wide * 32_320)
      #expect(RecurrentTranslation.info.paper.forwardFLOPs == Double(published))
    }

    @Test func learnsAndTranslates() throws {
      Torch.seed(1)
      let benchmark = try RecurrentTranslation(configuration(batch: 64))
      let stage = try benchmark.stage("")
      #expect(stage.model.parameterCount == RecurrentTranslation.info.small.parameters)
      #expect(lossesFall(try losses(stage, steps: 16), by: 0.95))
      let task = try benchmark.inference()
      task.model.train(false)
      let batch = try #require(try task.loader.batches(epoch: 0, limit: 1).nextBatch()).tensors()
      #expect(task.answer(batch).size(0) == 64)
    }

    @Test func readsTextAndJudgesByBLEU() throws {
      let directory = try TemporaryDirectory()
      try writeText(directory)
      let benchmark = try RecurrentTranslation(configuration(batch: 16, data: directory.path))
      let stage = try benchmark.stage("")
      #expect(try losses(stage, steps: 1).count == 1)
      stage.model.train(false)
      #expect((0...100).contains(try withoutGradients { try stage.evaluate() }))
    }

    @Test func paddingChangesNothing() {
      Torch.seed(2)
      let model = GNMT(.small, vocabulary: 12)
      model.train(false)
      withoutGradients {
        let target = Tensor(integers: [2, 5, 6], shape: [1, 3])
        let short = model(
          Tensor(integers: [7, 8, 3], shape: [1, 3]), reversed: Tensor(integers: [2, 1, 0], shape: [3]),
          target: target)
        let long = model(
          Tensor(integers: [7, 8, 3, 0, 0], shape: [1, 5]), reversed: Tensor(integers: [2, 1, 0, 3, 4], shape: [5]),
          target: target)
        #expect((short - long).abs().max().item < 1e-5)
      }
    }

    @Test func decodingStepByStepIsDecodingAtOnce() {
      Torch.seed(2)
      let model = GNMT(.small, vocabulary: 12)
      model.train(false)
      withoutGradients {
        let source = Tensor(integers: [7, 8, 3], shape: [1, 3])
        let memory = model.encode(source, reversed: Tensor(integers: [2, 1, 0], shape: [3]))
        let target = Tensor(integers: [2, 5, 6, 9], shape: [1, 4])
        var states = model.initialStates
        let whole = model.decode(target, memory, &states).logits
        states = model.initialStates
        for place in 0..<4 {
          let one = model.decode(target.slice(1, place..<place + 1), memory, &states).logits
          #expect((one - whole.slice(0, place..<place + 1)).abs().max().item < 1e-5)
        }
      }
    }
  }
}
