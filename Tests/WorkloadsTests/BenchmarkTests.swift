// Do the four benchmarks have the published sizes, learn, and answer?
import Foundation
import Testing

@testable import Workloads

/// Parameters below a part of a model.
private func parameters(_ model: Module, below prefix: String) -> Int {
  model.namedParameters().filter { $0.path.hasPrefix(prefix + ".") }.reduce(0) { $0 + $1.parameter.count }
}

private func configuration(
  _ scale: Scale, batch: Int, epochs: Int = 1, data: String? = nil, seed: UInt64 = 1
) -> BenchmarkConfiguration {
  BenchmarkConfiguration(scale: scale, seed: seed, batchSize: batch, dataDirectory: data, maximumEpochs: epochs)
}

/// Trains for some steps and gives the losses.
private func trainSteps(_ stage: TrainingStage, steps: Int, epoch: Int = 0) throws -> [Double] {
  stage.model.train()
  try stage.willBeginEpoch(epoch)
  var losses: [Double] = []
  let batches = stage.loader.batches(epoch: epoch, limit: steps)
  while let batch = try batches.nextBatch()?.tensors() {
    losses.append(try stage.step(TrainingStep(batch, number: losses.count)))
  }
  return losses
}

private func evaluate(_ stage: TrainingStage) throws -> Double {
  stage.model.train(false)
  defer { stage.model.train() }
  return try withoutGradients { try stage.evaluate() }
}

/// Whether the last third of the losses is clearly below the first.
private func falls(_ losses: [Double], by factor: Double) -> Bool {
  let third = losses.count / 3
  let mean = { (part: ArraySlice<Double>) in part.reduce(0, +) / Double(part.count) }
  return losses.allSatisfy(\.isFinite) && mean(losses.suffix(third)) < factor * mean(losses.prefix(third))
}

extension Computing {
  @Suite struct ImageClassificationTests {
    @Test func resNet50HasThePublishedParameters() {
      let model = ResNet(.resNet50, classes: 1000)
      #expect(model.parameterCount == 25_557_032)
      let ledger = [
        ("conv1", 9408), ("bn1", 128), ("layer1", 215_808), ("layer2", 1_219_584), ("layer3", 7_098_368),
        ("layer4", 14_964_736), ("fc", 2_049_000),
      ]
      for (part, count) in ledger { #expect(parameters(model, below: part) == count, "\(part)") }
      // Names are PyTorch's.
      #expect(model.namedParameters().contains { $0.path == "layer3.5.conv2.weight" })
      #expect(model.namedParameters().contains { $0.path == "layer2.0.downsample.1.bias" })
    }

    @Test func resNet50HasThePublishedShapes() {
      let model = ResNet(.resNet50, classes: 1000)
      model.train(false)
      withoutGradients {
        // A quarter of the size, so that the test is quick: 224 → 56.
        var x = model.maxpool?(model.bn1(model.conv1(Tensor.randomNormal([1, 3, 56, 56]))).relu())
        #expect(x?.shape == [1, 64, 14, 14])
        for (layer, channels, side) in [
          (model.layer1, 256, 14), (model.layer2, 512, 7), (model.layer3, 1024, 4), (model.layer4, 2048, 2),
        ] {
          x = x.map { layer($0) }
          #expect(x?.shape == [1, channels, side, side])
        }
        #expect(model(Tensor.randomNormal([2, 3, 56, 56])).shape == [2, 1000])
      }
    }

    @Test func smallModelLearns() throws {
      let model = ResNet(.small, classes: 10)
      #expect(model.parameterCount == ImageClassification.info.small.parameters)
      Torch.seed(1)
      let benchmark = try ImageClassification(configuration(.small, batch: 16, epochs: 8))
      #expect(benchmark.dataDescription.hasPrefix("synthetic: "))
      let stage = try benchmark.stage("")
      #expect(stage.loader.batchCount == 250)
      #expect(falls(try trainSteps(stage, steps: 60), by: 0.97))
    }

    @Test func readsAnImageFolder() throws {
      let directory = try TemporaryDirectory()
      for name in ["cat", "dog"] {
        let shade: UInt8 = name == "cat" ? 20 : 230
        for index in 0..<6 {
          let jpeg = try Fixture.jpeg([UInt8](repeating: shade, count: 3 * 40 * 40), 40, 40)
          try directory.write("train/\(name)/\(index).JPEG", jpeg)
          try directory.write("val/\(name)/\(index).JPEG", jpeg)
        }
      }
      Torch.seed(1)
      let benchmark = try ImageClassification(configuration(.small, batch: 4, data: directory.path))
      #expect(benchmark.dataDescription.hasPrefix(directory.path))
      let stage = try benchmark.stage("")
      for epoch in 0..<4 { _ = try trainSteps(stage, steps: 3, epoch: epoch) }
      let accuracy = try evaluate(stage)
      #expect((0...1).contains(accuracy))
      let task = try benchmark.inference()
      let batch = try #require(try task.loader.batches(epoch: 0).nextBatch()).tensors()
      #expect(task.answer(batch).shape == [4])
    }
  }

  @Suite struct RecommendationTests {
    @Test(arguments: [(943, 1682, 611_073), (6040, 3706, 1_978_305)])
    func paperModelHasThePublishedParameters(users: Int, items: Int, count: Int) {
      let model = NeuMF(.paper, users: users, items: items)
      #expect(model.parameterCount == count)
      #expect((0..<3).map { parameters(model, below: "mlp.\($0)") } == [65_792, 32_896, 8256])
      #expect(parameters(model, below: "final") == 129)
    }

    @Test func movieLens20MHasThePublishedParameters() {
      // By its formula; the model would take 127 MB.
      let model = NeuMF(.paper, users: 1, items: 1)
      #expect(model.parameterCount - 2 * 192 + (138_493 + 26_744) * 192 == 31_832_577)
      #expect(SyntheticFeedback.movieLens20M.userCount == 138_493)
      #expect(SyntheticFeedback.movieLens20M.itemCount == 26_744)
    }

    @Test func heldOutItemsAreTheLastAndNegativesAreUnused() throws {
      let histories = (0..<5).map { user in (0..<4).map { Int32(user * 7 + $0 * 3) % 120 } }
      let split = try FeedbackSplit(Interactions(histories: histories, itemCount: 120), source: "test", seed: 1)
      #expect(split.items.count == 15)
      for user in 0..<5 {
        let row = Array(split.candidates[(user * 100)..<((user + 1) * 100)])
        #expect(row[0] == histories[user][3])
        #expect(Set(row).count == 100)
        #expect(Set(row.dropFirst()).isDisjoint(with: histories[user]))
      }
      let sets = FeedbackSamples(split: split)
      var random = SeededRandom(1)
      let batch = try sets.batch(Array(0..<sets.count), epoch: 0, random: &random)
      guard case .integers(let users) = batch.inputs[0].storage, case .integers(let items) = batch.inputs[1].storage,
        case .floats(let labels) = batch.targets[0].storage
      else {
        Issue.record("wrong types")
        return
      }
      for index in 0..<sets.count {
        #expect(labels[index] == (index % 5 == 0 ? 1 : 0))
        #expect(histories[users[index]].dropLast().contains(Int32(items[index])) == (labels[index] == 1))
      }
      expectDataError(mentions: ["needs 99"]) {
        _ = try FeedbackSplit(Interactions(histories: histories, itemCount: 100), source: "test", seed: 1)
      }
    }

    @Test func ranksAreThoseOfTheDefinition() {
      let scores = Tensor([3, 1, 2, 5, 0, 0, 0, 0, .nan, 1, 2, 3], shape: [3, 4])
      #expect(Recommendation.ranks(ofFirstIn: scores) == [1, 3, 3])
    }

    @Test func smallModelLearns() throws {
      Torch.seed(1)
      let benchmark = try Recommendation(configuration(.small, batch: 512, epochs: 3))
      #expect(benchmark.model().parameterCount == 24_681)
      let stage = try benchmark.stage("")
      let before = try evaluate(stage)
      // Two epochs are enough to be far from chance, which is 0.1.
      #expect(before < 0.25)
      for epoch in 0..<2 { _ = try trainSteps(stage, steps: .max, epoch: epoch) }
      let after = try evaluate(stage)
      #expect(after > 0.4)
      #expect(benchmark.normalizedGain > 0 && benchmark.normalizedGain < after)
    }

    @Test func readsMovieLens() throws {
      let directory = try TemporaryDirectory()
      var text = ""
      for user in 1...6 {
        for index in 0..<25 { text += "\(user)\t\((user * 31 + index * 7) % 200 + 1)\t4\t\(index)\n" }
      }
      // Every item occurs, so that 99 are left unused.
      for item in 1...200 { text += "7\t\(item)\t3\t1\n" }
      text += (1...20).map { "8\t\($0)\t3\t1\n" }.joined()
      try directory.write("u.data", text)
      expectDataError(mentions: ["0 of 200 items"]) {
        _ = try Recommendation(configuration(.small, batch: 32, data: directory.path))
      }
      let lines = text.split(separator: "\n").filter { !$0.hasPrefix("7\t") || $0.hasSuffix("1\t3\t1") }
      try directory.write("u.data", lines.joined(separator: "\n"))
      let benchmark = try Recommendation(configuration(.small, batch: 32, data: directory.path))
      #expect(benchmark.dataDescription.hasPrefix(directory.path))
      let task = try benchmark.inference()
      let batch = try #require(try task.loader.batches(epoch: 0).nextBatch()).tensors()
      #expect(task.answer(batch).shape == [batch.samples, 10])
    }
  }

  @Suite struct SpatialTransformerTests {
    @Test func hasThePublishedParameters() {
      let model = SpatialTransformerNetwork()
      #expect(model.parameterCount == 27_360)
      let ledger = [
        ("localization.0", 400), ("localization.3", 2010), ("fc_loc.0", 2912), ("fc_loc.2", 198), ("conv1", 260),
        ("conv2", 5020), ("fc1", 16_050), ("fc2", 510),
      ]
      for (part, count) in ledger { #expect(parameters(model, below: part) == count, "\(part)") }
    }

    @Test func beginsWithTheIdentity() {
      let model = SpatialTransformerNetwork()
      let x = Tensor.randomNormal([3, 1, 28, 28])
      let map = model.transformation(x)
      #expect(map.shape == [3, 2, 3])
      #expect(map.floats() == Array([[1, 0, 0, 0, 1, 0], [1, 0, 0, 0, 1, 0], [1, 0, 0, 0, 1, 0]].joined()))
      let sampled = x.gridSample(map.affineGrid(x.shape))
      #expect((sampled - x).abs().max().item < 1e-4)
      #expect(model(x).shape == [3, 10])
    }

    @Test func learns() throws {
      Torch.seed(1)
      let images = SyntheticGlyphs.images(count: 300, seed: 1)
      let directory = try TemporaryDirectory()
      for (split, count) in [("train", 300), ("t10k", 50)] {
        let pixels = Array(images.pixels[..<(count * 784)])
        try directory.write("\(split)-images-idx3-ubyte", Fixture.idxImages(pixels, count: count, side: 28))
        try directory.write("\(split)-labels-idx1-ubyte", Fixture.idxLabels(Array(images.labels[..<count])))
      }
      let benchmark = try SpatialTransformer(configuration(.small, batch: 20, data: directory.path))
      let stage = try benchmark.stage("")
      var losses: [Double] = []
      for epoch in 0..<6 { losses += try trainSteps(stage, steps: 15, epoch: epoch) }
      #expect(falls(losses, by: 0.95))
      #expect((0...1).contains(try evaluate(stage)))
      let task = try benchmark.inference()
      let batch = try #require(try task.loader.batches(epoch: 0).nextBatch()).tensors()
      #expect(task.answer(batch).shape == [20])
    }

    @Test func refusesOtherSizes() throws {
      let directory = try TemporaryDirectory()
      for split in ["train", "t10k"] {
        try directory.write(
          "\(split)-images-idx3-ubyte", Fixture.idxImages([UInt8](repeating: 0, count: 16), count: 1, side: 4))
        try directory.write("\(split)-labels-idx1-ubyte", Fixture.idxLabels([1]))
      }
      expectDataError(mentions: ["4×4", "28×28"]) {
        _ = try SpatialTransformer(configuration(.paper, batch: 20, data: directory.path))
      }
    }
  }

  @Suite struct LearningToRankTests {
    @Test func paperModelsHaveThePublishedParameters() {
      let teacher = Caser(width: 100, users: 13_149, items: 14_008, horizontal: 16)
      #expect(teacher.parameterCount == 5_583_500)
      let ledger = [
        ("user_embeddings", 1_314_900), ("item_embeddings", 1_400_800), ("conv_v", 12), ("conv_h", 24_080),
        ("fc1", 28_100), ("W2", 2_801_600), ("b2", 14_008),
      ]
      for (part, count) in ledger { #expect(parameters(teacher, below: part) == count, "\(part)") }
      #expect(Caser(width: 50, users: 13_149, items: 14_008, horizontal: 16).parameterCount == 2_793_800)
      #expect(SyntheticSequences.gowalla.userCount == 13_149 && SyntheticSequences.gowalla.itemCount + 1 == 14_008)
    }

    @Test func scoringSomeAndAllAgrees() {
      let model = Caser(width: 7, users: 4, items: 9, horizontal: 3)
      model.train(false)
      let sequences = Tensor(integers: [0, 0, 1, 2, 3, 4, 5, 6, 7, 8], shape: [2, 5])
      let users = Tensor(integers: [3, 0], shape: [2])
      let every = Tensor(integers: Array(0..<9) + Array(0..<9), shape: [2, 9])
      let some = model(sequences, users, items: every)
      #expect(some.shape == [2, 9])
      #expect((some - model.scoreAll(sequences, users)).abs().max().item < 1e-5)
    }

    @Test func windowsAreThoseOfTheDefinition() throws {
      let train = Interactions(histories: [[1, 2, 3, 4, 5, 6, 7], [8, 9]], itemCount: 60)
      let test = Interactions(histories: [[8], [1]], itemCount: 60)
      var samples = SequenceSamples(SequenceSplit(train: train, test: test))
      // Two full windows of the first user, one padded window of the second.
      #expect(samples.count == 3)
      samples.teacherItems = [20, 21, 22, 23, 24, 25]
      samples.teacherWidth = 2
      samples.rankSamples = 5
      var random = SeededRandom(1)
      let batch = try samples.batch([0, 1, 2], epoch: 0, random: &random)
      guard case .integers(let sequences) = batch.inputs[0].storage, case .integers(let items) = batch.inputs[2].storage
      else {
        Issue.record("wrong types")
        return
      }
      #expect(sequences == [1, 2, 3, 4, 5, 2, 3, 4, 5, 6, 0, 0, 0, 0, 8])
      #expect(batch.inputs[2].shape == [3, 1 + 3 + 2 + 5])
      for (row, target, history) in [(0, 6, 1...7), (1, 7, 1...7), (2, 9, 8...9)] {
        let own = Array(items[(row * 11)..<((row + 1) * 11)])
        #expect(own[0] == target)
        #expect(Array(own[4..<6]) == [20 + 2 * row, 21 + 2 * row])
        for unknown in own[1..<4] + own[6...] {
          #expect((1..<60).contains(unknown) && !history.contains(unknown))
        }
      }
    }

    @Test func distillationWeightsHaveTheirClosedForm() {
      let weights = RankingDistillation(itemCount: 4, positionScale: 2).positionWeights
      // A geometric series: e^(−r/2) (1 − q) / (q (1 − q⁴)) with q = e^(−1/2).
      let q = exp(-0.5)
      for (index, weight) in weights.enumerated() {
        #expect(abs(Double(weight) - pow(q, Double(index)) * (1 - q) / (1 - pow(q, 4))) < 1e-6)
      }
      #expect(abs(weights.reduce(0, +) - 1) < 1e-6)

      // Two of the teacher's items, four samples: the first item is below three of four, the second above all.
      let distillation = RankingDistillation(itemCount: 2, rankScale: 0.1)
      let result = distillation.rankWeights(
        scores: Tensor([0.5, 9], shape: [1, 2]), samples: Tensor([1, 2, 3, 0], shape: [1, 4]), items: 10)
      // ⌊10 × 3/4⌋ − 0 = 7; the second's rank 0 is better than the teacher's 1, which does not count.
      #expect(abs(result.floats()[0] - Float(tanh(0.7))) < 1e-6)
      #expect(result.floats()[1] == 0)
    }

    @Test func lossesHaveTheirClosedForm() {
      func sigma(_ x: Double) -> Double { 1 / (1 + exp(-x)) }
      let ranking = RankingDistillation.rankingLoss(
        positives: Tensor([1, -2], shape: [2, 1]), negatives: Tensor([0.5, 1, -1, 3], shape: [2, 2]))
      let expected =
        -(log(sigma(1)) + log(sigma(-0.5)) + log(sigma(-1)) + log(sigma(-2)) + log(sigma(1)) + log(sigma(-3))) / 2
      #expect(abs(ranking.item - expected) < 1e-5)
      // Far scores stay finite.
      let far = RankingDistillation.rankingLoss(
        positives: Tensor([-200], shape: [1, 1]), negatives: Tensor([200], shape: [1, 1]))
      #expect(abs(far.item - 400) < 1e-3)

      let distillation = RankingDistillation(itemCount: 2, share: 0.5)
      let taught = distillation.loss(
        scores: Tensor([1, 2], shape: [1, 2]), weights: Tensor([0.75, 0.25], shape: [1, 2]))
      #expect(abs(taught.item + 0.5 * (0.75 * log(sigma(1)) + 0.25 * log(sigma(2)))) < 1e-6)
    }

    @Test func teacherThenStudentLearn() throws {
      Torch.seed(1)
      let benchmark = try LearningToRank(configuration(.small, batch: 256))
      #expect(benchmark.stageNames == ["teacher", "student"])
      let teacher = try benchmark.stage("teacher")
      #expect(teacher.model.parameterCount == 46_629)
      #expect(teacher.loader.dataset.count == 500 * 22)
      var losses: [Double] = []
      for epoch in 0..<3 { losses += try trainSteps(teacher, steps: 20, epoch: epoch) }
      #expect(falls(losses, by: 0.97))
      let student = try benchmark.stage("student")
      #expect(student.model.parameterCount == Caser(width: 6, users: 500, items: 241, horizontal: 8).parameterCount)
      // Epoch 3 is the first in which the student's own ranks count.
      for epoch in [0, 3] { #expect(try trainSteps(student, steps: 3, epoch: epoch).allSatisfy(\.isFinite)) }
      let quality = try evaluate(student)
      #expect(quality >= 0 && quality < 0.2)
      #expect(benchmark.quality.named.first { $0.name == "P@10" }?.value == quality)
      let task = try benchmark.inference()
      let batch = try #require(try task.loader.batches(epoch: 0).nextBatch()).tensors()
      #expect(task.answer(batch).shape == [256, 10])
    }

    @Test func readsGowalla() throws {
      let directory = try TemporaryDirectory()
      var (train, test) = ("", "")
      for user in 0..<10 {
        for step in 0..<12 { train += "\(user) \((user * 3 + step * 7) % 90) 1\n" }
        test += "\(user) \(((user + 1) % 10 * 3 + 35) % 90) 1\n"
      }
      try directory.write("train.txt", train)
      try directory.write("test.txt", test)
      let benchmark = try LearningToRank(configuration(.small, batch: 16, data: directory.path))
      #expect(benchmark.dataDescription.hasPrefix(directory.path))
      let stage = try benchmark.stage("teacher")
      #expect(try trainSteps(stage, steps: 2).count == 2)
      #expect((0...1).contains(try evaluate(stage)))
    }
  }

  @Suite struct RegistryTests {
    @Test func benchmarksAreFoundByIdAndName() {
      #expect(BenchmarkRegistry.find("dc-ai-c1") == ImageClassification.self)
      #expect(BenchmarkRegistry.find("Learning-to-Rank") == LearningToRank.self)
      #expect(BenchmarkRegistry.find("nothing") == nil)
      #expect(Set(BenchmarkRegistry.all.map { $0.info.id }).count == BenchmarkRegistry.all.count)
    }

    @Test func missingDirectoriesAreToldByEveryBenchmark() {
      for type in BenchmarkRegistry.all {
        for scale in Scale.allCases {
          expectDataError(mentions: ["/nowhere", "does not exist", "--data"]) {
            _ = try type.init(configuration(scale, batch: 4, data: "/nowhere"))
          }
        }
      }
    }
  }
}
