// Are headlines read, written and measured as the formats and definitions say?
import Foundation
import Testing

@testable import Workloads

struct RougeTests {
  @Test func examplesOfThePaper() {
    // Lin 2004, section 3.2: S1 is the reference.
    let reference = ["police", "killed", "the", "gunman"]
    // S2 has three words in the reference's order, S3 and S4 have two.
    let second = Rouge.f1(candidate: ["police", "kill", "the", "gunman"], reference: reference)
    let third = Rouge.f1(candidate: ["the", "gunman", "kill", "police"], reference: reference)
    #expect(second == 0.75 && third == 0.5)
    #expect(Rouge.f1(candidate: ["the", "gunman", "police", "killed"], reference: reference) == 0.5)
  }

  @Test func precisionAndRecallBothCount() {
    // LCS 2 of 5 and of 3: P = 0.4, R = 2/3.
    let value = Rouge.f1(candidate: [1, 9, 2, 9, 9], reference: [1, 2, 3])
    #expect(abs(value - 2 * 0.4 * (2.0 / 3) / (0.4 + 2.0 / 3)) < 1e-12)
    #expect(Rouge.f1(candidate: [], reference: [1]) == 0 && Rouge.f1(candidate: [1], reference: []) == 0)
    #expect(Rouge.f1(candidate: [1, 2], reference: [1, 2]) == 1)
  }

  @Test func subsequencesEqualTheRecursiveDefinition() {
    func naive(_ a: ArraySlice<Int>, _ b: ArraySlice<Int>) -> Int {
      guard let x = a.first, let y = b.first else { return 0 }
      if x == y { return 1 + naive(a.dropFirst(), b.dropFirst()) }
      return max(naive(a.dropFirst(), b), naive(a, b.dropFirst()))
    }
    var random = SeededRandom(5)
    for _ in 0..<100 {
      let (a, b) = (
        (0..<random.integer(below: 8)).map { _ in random.integer(below: 3) },
        (0..<random.integer(below: 8)).map { _ in random.integer(below: 3) }
      )
      #expect(Rouge.longestCommonSubsequence(a, b) == naive(a[...], b[...]))
    }
  }
}

struct GigawordTests {
  static func write(to directory: TemporaryDirectory, pairs: Int = 20) throws {
    var (articles, titles) = ("", "")
    let source = SyntheticHeadlines(count: pairs, seed: 4)
    for index in 0..<pairs {
      let (article, title) = source.pair(index)
      articles += article.joined(separator: " ") + "\n"
      titles += title.joined(separator: " ") + "\n"
    }
    for (split, middle) in [("train", ""), ("valid", ".filter")] {
      try directory.write("\(split).article\(middle).txt", articles)
      try directory.write("\(split).title\(middle).txt", titles)
    }
  }

  @Test func readsPairsAndVocabulary() throws {
    let directory = try TemporaryDirectory()
    try Self.write(to: directory)
    let counted = try Gigaword.load(directory: directory.path, limit: 20)
    #expect(counted.train.count == 20 && counted.validation.count == 20 && counted.vocabulary.count == 20)
    let source = SyntheticHeadlines(count: 20, seed: 4)
    for index in 0..<20 {
      let (article, title) = try counted.train.pair(index)
      #expect(article == source.pair(index).article && title == source.pair(index).title)
    }
    try directory.write("vocab", "the 500\na 400\n\nparis 3\n")
    let given = try Gigaword.load(directory: directory.path, limit: 6)
    #expect(given.vocabulary.words[4...] == ["the", "a"])
    // Long sentences are cut.
    let long = (0..<80).map { "w\($0)" }.joined(separator: " ")
    for name in ["train.article.txt", "train.title.txt"] { try directory.write(name, long + "\n") }
    let (article, title) = try Gigaword(directory: directory.path, split: .train).pair(0)
    #expect(article.count == 55 && title.count == 14)
  }

  @Test func tellsWhatIsWrong() throws {
    let directory = try TemporaryDirectory()
    func load() throws { _ = try Gigaword.load(directory: directory.path, limit: 100) }
    expectDataError(mentions: ["valid.article.filter.txt", "found nothing"]) { try load() }
    try Self.write(to: directory)
    try directory.write("vocab", "the 500\nwhat\n")
    expectDataError(mentions: ["vocab, line 2", "how often"]) { try load() }
    try directory.write("vocab", "")
    expectDataError(mentions: ["vocab", "no sample"]) { try load() }
    try directory.write("train.title.txt", "one\n\nthree\n")
    try directory.write("vocab", "the 500\n")
    expectDataError(mentions: ["train.title.txt, line 2", "empty line"]) { try load() }
    try directory.write("train.title.txt", "one\ntwo\n")
    expectDataError(mentions: ["train.title.txt", "2 lines for the 20"]) { try load() }
    for name in ["train.article.txt", "train.title.txt"] { try directory.write(name, "") }
    expectDataError(mentions: ["train.article.txt", "no sample"]) { try load() }
  }
}

struct SyntheticHeadlineTests {
  @Test func headlinesSayTheMainClause() {
    let source = SyntheticHeadlines(count: 200, seed: 1)
    #expect(source.origin.hasPrefix("synthetic: "))
    let words = Set(SyntheticHeadlines.words)
    var unlisted = 0
    for index in 0..<200 {
      let (article, title) = source.pair(index)
      #expect(title.count == 5 && article.count <= Gigaword.longestArticle && article.last == ".")
      // Subject, object and place are in the text; the verb is in its past.
      #expect([title[0], title[2], title[4]].allSatisfy(article.contains) && !article.contains(title[1]))
      for word in article where !words.contains(word) { #expect(word.hasPrefix("name")) }
      unlisted += [title[0], title[2]].count { !words.contains($0) }
    }
    // Three in ten of 400.
    #expect((80...160).contains(unlisted))
    #expect(SyntheticHeadlines(count: 3, length: 55, seed: 1).pair(0).article.count == 55)
  }
}

extension Computing {
  @Suite struct TextSummarizationTests {
    /// A batch of one text of three words (4, unlisted, 5) and the headline (unlisted, 5).
    private func batch() -> TensorBatch {
      TensorBatch(
        samples: 1,
        inputs: [
          Tensor(integers: [4, 3, 5], shape: [1, 3]), Tensor(integers: [4, 6, 5], shape: [1, 3]),
          Tensor(integers: [3], shape: [1]), Tensor(integers: [1], shape: [1]),
          Tensor(integers: [1, 3, 5], shape: [1, 3]),
        ],
        targets: [Tensor(integers: [6, 5, 2], shape: [1, 3]), Tensor(integers: [6, 5], shape: [1, 2])])
    }

    private func tinyModel() -> PointerGenerator {
      Torch.seed(3)
      let model = PointerGenerator(PointerGenerator.Shape(words: 6, embedding: 4, hidden: 3))
      for parameter in model.parameters() { parameter.fillNormal(deviation: 0.7) }
      return model
    }

    @Test func paperModelHasThePublishedParameters() {
      let model = PointerGenerator(.paper)
      #expect(model.parameterCount == 48_234_833 && TextSummarization.info.paper.parameters == 48_234_833)
      let ledger = [
        ("embeds", 12_800_000), ("lstm", 3_153_920), ("reduce_h", 524_800), ("reduce_c", 524_800),
        ("enc_attention.W_h", 1_048_576), ("enc_attention.W_s", 1_049_600), ("enc_attention.v", 1024),
        ("dec_attention.W_prev", 262_144), ("dec_attention.W_s", 262_656), ("dec_attention.v", 512),
        ("x_context", 327_936), ("cell", 1_576_960), ("p_gen_linear", 2817), ("V", 1_049_088), ("V1", 25_650_000),
      ]
      for (part, count) in ledger {
        #expect(SequenceBenchmarks.parameters(model, below: part) == count, "\(part)")
      }
    }

    @Test func paperStepCostsWhatItsLayersSay() throws {
      // The published model but for its vocabulary of 100 words, whose cost is added.
      let model = PointerGenerator(PointerGenerator.Shape(words: 100, embedding: 256, hidden: 512))
      let (source, target) = (55, 15)
      let text = Tensor.random(in: 4..<100, [1, source])
      let batch = TensorBatch(
        samples: 1,
        inputs: [
          text, text, Tensor(integers: [source], shape: [1]), Tensor(integers: [0], shape: [1]),
          Tensor.random(in: 4..<100, [1, target]),
        ], targets: [Tensor.random(in: 4..<100, [1, target])])
      let writer = HeadlineWriter(model: model, limit: target, ownWords: 0)
      let flops = try SequenceBenchmarks.flops { writer.likelihoodLoss(batch) }
      let encoder = source * 2 * 4 * 512 * (256 + 512) + source * 1024 * 1024 + 2 * 1024 * 512
      let step =
        1280 * 256 + 4 * 512 * (256 + 512) + 1024 * 1024 + source * 1024 * 2 + 512 * 512 + 2816 + 2048 * 512
      // The state is compared with the former ones from the second word on.
      let former = (target - 1) * 512 * 512 + target * (target - 1) / 2 * 512 * 2
      let expected = 2 * (encoder + target * step + former)
      #expect(flops == Double(expected + 2 * target * 512 * 100))
      #expect(TextSummarization.info.paper.forwardFLOPs == Double(expected + 2 * target * 512 * 50_000))
    }

    @Test func probabilitiesAddUpAndCopyUnlistedWords() {
      let model = tinyModel()
      let batch = batch()
      withoutGradients {
        var (memory, state) = model.encode(
          batch.inputs[0], extended: batch.inputs[1], lengths: [3], extraWords: 1)
        var word = Tensor(integers: [1], shape: [1])
        for _ in 0..<4 {
          let probabilities = model.step(word, memory, &state)
          #expect(probabilities.shape == [1, 7])
          #expect(abs(probabilities.sum().item - 1) < 1e-5)
          // The unlisted word can only be copied, and is.
          #expect(probabilities.floats()[6] > 0)
          word = model.listed(Tensor(integers: [6], shape: [1]))
          #expect(word.integers() == [WordVocabulary.unknown])
        }
        memory.extraWords = 2
        #expect(model.step(word, memory, &state).floats().last == 0)
      }
    }

    @Test func searchFindsLikelyHeadlines() {
      let model = tinyModel()
      let batch = batch()
      let writer = HeadlineWriter(model: model, limit: 2)
      func probabilities(after words: [Int]) -> [Double] {
        withoutGradients {
          let (memory, start) = model.encode(
            batch.inputs[0], extended: batch.inputs[1], lengths: [3], extraWords: 1)
          var state = start
          return ([WordVocabulary.begin] + words).map { word in
            model.step(model.listed(Tensor(integers: [word], shape: [1])), memory, &state).doubles()
          }.last ?? []
        }
      }
      func score(_ words: [Int]) -> Double {
        let all = words + [WordVocabulary.end]
        let logs = all.indices.map { log(probabilities(after: Array(all[..<$0]))[all[$0]]) }
        return logs.reduce(0, +) / Double(all.count)
      }
      // A beam of one takes the likeliest word every time, but none ends before its first.
      let narrow = withoutGradients { writer.search(batch, width: 1) }[0]
      if let first = narrow.first {
        let after = probabilities(after: [])
        let best = after.indices.filter { $0 != WordVocabulary.end }.max { after[$0] < after[$1] }
        #expect(first == best)
      }
      // What a wide beam finds has one or two words, of which none is likelier than the best of all.
      let others = (0..<7).filter { $0 != WordVocabulary.end }
      let all = others.map { [$0] } + others.flatMap { first in others.map { [first, $0] } }
      let best = all.map(score).max() ?? .nan
      let wide = withoutGradients { writer.search(batch, width: 3) }
      #expect((1...2).contains(wide[0].count) && score(wide[0]) <= best + 1e-6)
      // Two texts at once are searched as each alone.
      let twice = TensorBatch(
        samples: 2,
        inputs: batch.inputs.enumerated().map {
          $0.offset == HeadlineBatches.Input.extra ? $0.element : .concatenated([$0.element, $0.element])
        }, targets: [])
      #expect(withoutGradients { writer.search(twice, width: 3) } == [wide[0], wide[0]])
    }

    @Test func rewardMakesGoodHeadlinesLikelier() {
      // The policy gradient, followed on one text, leads towards the reference.
      let model = tinyModel()
      let batch = batch()
      let writer = HeadlineWriter(model: model, limit: 4)
      let optimizer = Adam(model.parameters(), learningRate: 0.02)
      func reward() -> Double {
        Rouge.f1(candidate: withoutGradients { writer.search(batch, width: 1) }[0], reference: [6, 5])
      }
      let before = reward()
      for _ in 0..<150 {
        writer.rewardLoss(batch).backward()
        optimizer.step()
        optimizer.clearGradients()
      }
      #expect(reward() > before)
    }

    @Test func batchesNumberUnlistedWordsByText() throws {
      struct Two: HeadlineSource {
        let count = 2
        let origin = "synthetic: two"
        func pair(_ index: Int) -> (article: [String], title: [String]) {
          index == 0 ? (["x", "new"], ["new", "never"]) : (["old", "x", "new", "old"], ["old", "x"])
        }
      }
      let batches = HeadlineBatches(source: Two(), vocabulary: WordVocabulary(["x"]))
      var random = SeededRandom(1)
      let batch = try batches.batch([0, 1], epoch: 0, random: &random)
      #expect(batch.inputs[0].storage == .integers([3, 4, 3, 3, 4, 3, 0, 0]))
      #expect(batch.inputs[1].storage == .integers([5, 4, 6, 5, 4, 5, 0, 0]))
      #expect(batch.inputs[2].storage == .integers([4, 2]) && batch.inputs[3].storage == .integers([2]))
      #expect(batch.inputs[4].storage == .integers([1, 3, 4, 1, 3, 3]))
      #expect(batch.targets[0].storage == .integers([5, 4, 2, 5, 3, 2]))
      #expect(HeadlineBatches.references(batch.tensors()) == [[5, 4], [5, HeadlineBatches.unknowable]])
    }

    @Test func bothStagesLearn() throws {
      Torch.seed(1)
      let benchmark = try TextSummarization(SequenceBenchmarks.configuration(.small, batch: 16))
      #expect(benchmark.stageNames == ["likelihood", "reward"] && benchmark.dataDescription.hasPrefix("synthetic: "))
      let first = try benchmark.stage("likelihood")
      #expect(first.model.parameterCount == TextSummarization.info.small.parameters)
      let losses = try SequenceBenchmarks.train(first, steps: 25)
      #expect(losses.allSatisfy(\.isFinite) && losses[24] < 0.8 * losses[0])
      let second = try benchmark.stage("reward")
      #expect(second.model === first.model)
      #expect(try SequenceBenchmarks.train(second, steps: 2).allSatisfy(\.isFinite))
      #expect(try SequenceBenchmarks.answer(benchmark.inference()).shape == [16, 8])
    }

    @Test func readsGigaword() throws {
      let directory = try TemporaryDirectory()
      try GigawordTests.write(to: directory)
      Torch.seed(1)
      let benchmark = try TextSummarization(SequenceBenchmarks.configuration(.small, batch: 4, data: directory.path))
      #expect(benchmark.dataDescription.hasPrefix(directory.path))
      let stage = try benchmark.stage("likelihood")
      #expect(try SequenceBenchmarks.train(stage, steps: 2).allSatisfy(\.isFinite))
      #expect((0...100).contains(try SequenceBenchmarks.evaluate(stage)))
    }
  }
}
