// Do the benchmarks that make images or recognize faces have the published sizes, learn, read their data and answer?
import Foundation
import Testing

@testable import Workloads

private func configuration(_ scale: Scale, batch: Int, data: String? = nil) -> BenchmarkConfiguration {
  BenchmarkConfiguration(scale: scale, seed: 1, batchSize: batch, dataDirectory: data, maximumEpochs: 12)
}

/// Trains for some steps and gives the losses.
private func train(_ stage: TrainingStage, steps: Int, epoch: Int = 0) throws -> [Double] {
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

/// Whether the last losses are clearly below the first.
private func falls(_ losses: [Double], over count: Int, by factor: Double) -> Bool {
  losses.allSatisfy(\.isFinite) && mean(losses.suffix(count)) < factor * mean(losses.prefix(count))
}

private func mean(_ values: some Collection<Double>) -> Double { values.reduce(0, +) / Double(values.count) }

/// FLOPs of a forward pass in evaluation mode, by flop_counter's rules.
private func forwardFLOPs(_ model: any Layer, _ x: Tensor) throws -> Double {
  model.train(false)
  try Trace.openPrivately()
  defer { Trace.close() }
  let start = Trace.sums
  withoutGradients { _ = model(x) }
  return (Trace.sums - start).counterFLOPs
}

/// The numbers of Benchmarks/reference/images.py.
private func pattern(_ shape: [Int], _ number: Int, _ scale: Double) -> Tensor {
  let count = shape.reduce(1, *)
  let values = (0..<count).map { index -> Float in
    let fraction = Double((index * 7919 + 104_729 * number) % 1009) / 1009
    return Float((fraction - 0.5) * 2 * scale)
  }
  return Tensor(values, shape: shape)
}

private func fill(_ modules: [Module], scale: Double = 0.1) {
  for (index, parameter) in modules.flatMap({ $0.parameters() }).enumerated() {
    parameter.detached().copy(from: pattern(parameter.shape, index + 1, scale))
  }
}

/// The 2-norm of all gradients.
private func gradientNorm(_ modules: [Module]) -> Double {
  modules.flatMap { $0.parameters() }.reduce(0.0) { sum, parameter in
    let norm = parameter.gradient?.norm().item ?? 0
    return sum + norm * norm
  }.squareRoot()
}

private func isNear(_ a: Double, _ b: Double, _ tolerance: Double = 1e-4) -> Bool { abs(a - b) <= tolerance * abs(b) }

extension Computing {
  @Suite struct ImageGenerationTests {
    @Test func hasThePublishedSize() throws {
      let model = WassersteinGAN(.paper)
      #expect(model.generator.parameterCount == 6_880_768)
      #expect(model.critic.parameterCount == 6_817_793)
      #expect(model.parameterCount == ImageGeneration.info.paper.parameters)
      let linear = model.generator.parameters().filter { $0.rank == 2 }.map(\.shape)
      #expect(linear == [[512, 100], [512, 512], [512, 512], [12_288, 512]])
      #expect(try forwardFLOPs(model.generator, Tensor.randomNormal([1, 100])) == 13_733_888)
      #expect(ImageGeneration.info.paper.forwardFLOPs == 13_733_888)
      let small = WassersteinGAN(.small)
      #expect(small.generator.parameterCount == 136_320)
      #expect(small.critic.parameterCount == 131_585)
      #expect(small.parameterCount == ImageGeneration.info.small.parameters)
      #expect(
        try forwardFLOPs(small.generator, Tensor.randomNormal([1, 32])) == ImageGeneration.info.small.forwardFLOPs)
    }

    @Test func lossAndGradientsAgreeWithPyTorch() {
      let generator = MLPGenerator(latent: 6, hidden: 8, outputs: 48)
      let critic = MLPCritic(inputs: 48, hidden: 8)
      fill([generator, critic], scale: 0.4)
      let made = generator(pattern([5, 6], 1, 2))
      let advantage = critic(pattern([5, 48], 2, 1)).mean() - critic(made).mean()
      advantage.backward()
      #expect(isNear(made.mean().item, 0.00040880244, 1e-3))
      #expect(isNear(advantage.item, -0.015233457))
      #expect(isNear(gradientNorm([generator, critic]), 0.98272658))
    }

    @Test func criticIsClippedAndGeneratorFollowsItsSchedule() throws {
      let shape = WassersteinGAN.Shape.paper
      let steps = [0, 24, 25, 499, 500, 501, 1000].map { shape.criticSteps(before: $0) }
      #expect(steps == [100, 100, 5, 5, 100, 5, 100])
      Torch.seed(1)
      let benchmark = try ImageGeneration(configuration(.small, batch: 8))
      let stage = try benchmark.stage("")
      let model = try #require(stage.model as? WassersteinGAN)
      let before = model.generator.parameters()[0].floats()
      _ = try train(stage, steps: 19)
      #expect(model.generator.parameters()[0].floats() == before)
      _ = try train(stage, steps: 1)
      #expect(model.generator.parameters()[0].floats() != before)
      let learnAgain = model.critic.parameters().allSatisfy { $0.requiresGradient }
      #expect(learnAgain)
      model.clipCritic(0.05)
      let largest = model.critic.parameters().map { $0.detached().abs().max().item }.max() ?? 1
      #expect(largest <= 0.05 + 1e-7)
    }

    @Test func learns() throws {
      Torch.seed(1)
      let benchmark = try ImageGeneration(configuration(.small, batch: 64))
      #expect(benchmark.dataDescription.hasPrefix("synthetic: "))
      let stage = try benchmark.stage("")
      let before = try evaluate(stage)
      var losses: [Double] = []
      for epoch in 0..<2 { losses += try train(stage, steps: 400, epoch: epoch) }
      #expect(losses.count == 800)
      #expect(losses.allSatisfy { $0.isFinite })
      let after = try evaluate(stage)
      #expect(before > 0.3)
      #expect(after < 0.7 * before)
      let measures = stage.measures()
      #expect(measures.map(\.name) == ["sliced Wasserstein distance", "EM estimate"])
      #expect(measures[0].value == after)
      #expect(measures[1].value.isFinite)
      let task = try benchmark.inference()
      let batch = try #require(try task.loader.batches(epoch: 0).nextBatch()).tensors()
      #expect(task.answer(batch).shape == [64, 3, 16, 16])
    }

    @Test func bedroomsHaveAWallAFloorAndABed() {
      let rooms = SyntheticBedrooms(count: 40, side: 16, seed: 1)
      for index in 0..<40 {
        let pixels = rooms.image(index)
        // Top: light wall; bottom: dark floor; three colours in all.
        #expect(pixels[0] > 170)
        #expect(pixels[3 * 255] < 110)
        let colours = Set((0..<256).map { pixel -> [UInt8] in Array(pixels[(pixel * 3)..<(pixel * 3 + 3)]) })
        #expect(colours.count == 3)
      }
      let fingerprints = Set((0..<40).map { index -> UInt64 in fingerprint(rooms.image(index)) })
      #expect(fingerprints.count == 40)
      #expect(rooms.image(7) == SyntheticBedrooms(count: 8, side: 16, seed: 1).image(7))
    }

    @Test func readsFolders() throws {
      let directory = try TemporaryDirectory()
      for index in 0..<21 {
        let shade = UInt8(10 * index)
        try directory.write(
          "\(index % 3)/\(index).jpg", Fixture.jpeg([UInt8](repeating: shade, count: 3 * 40 * 30), 40, 30))
      }
      Torch.seed(1)
      // Without two folders, every tenth is held out.
      var benchmark = try ImageGeneration(configuration(.small, batch: 4, data: directory.path))
      #expect(benchmark.dataDescription == "\(directory.path) (19 for training, 2 held out)")
      let stage = try benchmark.stage("")
      #expect(try train(stage, steps: 2).count == 2)
      #expect(try evaluate(stage) > 0)
      try directory.write("train/a.png", Fixture.png(Fixture.gradient(20, 16), 20, 16))
      try directory.write("val/b.png", Fixture.png(Fixture.gradient(16, 20), 16, 20))
      benchmark = try ImageGeneration(configuration(.small, batch: 4, data: directory.path))
      #expect(benchmark.dataDescription.hasSuffix("train (1 for training, 1 held out)"))
    }

    @Test func tellsBadData() throws {
      let directory = try TemporaryDirectory()
      let make = { _ = try ImageGeneration(configuration(.small, batch: 4, data: directory.path)) }
      expectDataError(mentions: [directory.path, "no sample"], make)
      try directory.write("a.jpg", Fixture.jpeg(Fixture.gradient(16, 16), 16, 16))
      expectDataError(mentions: ["held out"], make)
      try directory.write("b.jpg", "no image")
      try directory.write("c.jpg", [])
      let benchmark = try ImageGeneration(configuration(.small, batch: 4, data: directory.path))
      expectDataError(mentions: [".jpg", "cannot decode"]) {
        _ = try train(benchmark.stage(""), steps: 1)
      }
    }
  }

  @Suite struct ImageToImageTests {
    @Test func hasThePublishedSize() throws {
      let generator = ResNetGenerator(width: 64, downsamplings: 2, blocks: 9)
      #expect(generator.parameterCount == 11_378_179)
      let discriminator = PatchDiscriminator(width: 64, layers: 3)
      #expect(discriminator.parameterCount == 2_764_737)
      #expect(2 * (11_378_179 + 2_764_737) == ImageToImage.info.paper.parameters)
      // Every layer's work is in proportion to the pixels: a sixteenth at 64×64.
      #expect(try forwardFLOPs(generator, Tensor.randomNormal([1, 3, 64, 64])) * 16 == 99_103_014_912)
      #expect(ImageToImage.info.paper.forwardFLOPs == 99_103_014_912)
      withoutGradients {
        #expect(discriminator(Tensor.zeros([1, 3, 256, 256])).shape == [1, 1, 30, 30])
        #expect(generator(Tensor.zeros([1, 3, 32, 48])).shape == [1, 3, 32, 48])
      }
      let small = CycleGAN(.small)
      #expect(small.G.parameterCount == 69_475)
      #expect(small.D_X.parameterCount == 9521)
      #expect(small.parameterCount == ImageToImage.info.small.parameters)
      #expect(
        try forwardFLOPs(small.G, Tensor.randomNormal([1, 3, 32, 32])) == ImageToImage.info.small.forwardFLOPs)
    }

    @Test func lossAndGradientsAgreeWithPyTorch() {
      let model = CycleGAN(
        CycleGAN.Shape(
          side: 16, width: 4, downsamplings: 1, blocks: 2, discriminatorWidth: 4, discriminatorLayers: 2,
          learningRate: 1))
      fill([model.G, model.F, model.D_X, model.D_Y])
      let (x, y) = (pattern([2, 3, 16, 16], 1, 1), pattern([2, 3, 16, 16], 2, 1))
      let made = model.generatorLoss(x: x, y: y)
      made.loss.backward()
      #expect(isNear(made.madeY.mean().item, -0.0079526687, 1e-3))
      #expect(isNear(made.loss.item, 19.445957))
      #expect(isNear(gradientNorm([model.G, model.F]), 64.607441, 1e-3))
      SGD(model.discriminatorParameters, learningRate: 1).clearGradients()
      let loss = model.discriminatorLoss(
        x: x, y: y, madeX: made.madeX.detached(), madeY: made.madeY.detached())
      loss.backward()
      #expect(isNear(model.D_Y(y).mean().item, -0.16177087, 1e-3))
      #expect(isNear(loss.item, 1.2657597))
      #expect(isNear(gradientNorm([model.D_X, model.D_Y]), 11.850313, 1e-3))
    }

    @Test func poolGivesOldImagesBack() {
      var pool = ImagePool(capacity: 3, random: SeededRandom(1))
      func image(_ value: Float) -> Tensor { Tensor([value], shape: [1, 1]) }
      // While it fills up, an image is itself.
      let first = (0..<3).map { number -> Double in pool.exchange(image(Float(number))).item }
      #expect(first == [0, 1, 2])
      let later = (3..<203).map { number -> (Int, Int) in (number, Int(pool.exchange(image(Float(number))).item)) }
      let old = later.filter { $0.0 != $0.1 }
      #expect((70...130).contains(old.count))
      // Each comes back at most once, and only earlier ones do.
      let distinct = Set(old.map { $0.1 })
      #expect(distinct.count == old.count)
      let areEarlier = old.allSatisfy { $0.1 < $0.0 }
      #expect(areEarlier)
    }

    @Test func rateFallsInTheSecondHalf() {
      let schedule = LearningRateSchedule.linearDecay(after: 0.5)
      let expected: [(epoch: Int, steps: Double)] = [(0, 0), (99, 0), (100, 1), (150, 51), (199, 100)]
      for (epoch, steps) in expected {
        let factor = schedule.factor(step: epoch * 10 + 3, stepsPerEpoch: 10, total: 2000)
        #expect(abs(factor - (1 - steps / 101)) < 1e-12)
      }
    }

    @Test func streetsAgreeWithTheirLabels() throws {
      let streets = SyntheticStreets(.labels, count: 10, side: 32, seed: 3)
      var seen = Set<UInt8>()
      var planes = [Float](repeating: 0, count: 3 * 1024)
      for index in 0..<10 {
        try planes.withUnsafeMutableBufferPointer { _ = try streets.write(index, epoch: 0, into: $0) }
        let classes = LabelPalette.streets.classes(planes: planes[...])
        #expect(classes == streets.classes(index))
        seen.formUnion(classes)
      }
      #expect(seen == [0, 1, 2, 3, 4])
      // A photograph has the light of its classes.
      let photographs = SyntheticStreets(.photographs, count: 10, side: 32, seed: 3)
      let (pixels, classes) = (photographs.image(4), photographs.classes(4))
      let sky = classes.indices.filter { classes[$0] == 3 }.map { Double(pixels[3 * $0 + 2]) }
      let road = classes.indices.filter { classes[$0] == 0 }.map { Double(pixels[3 * $0 + 2]) }
      #expect(mean(sky) > mean(road) + 60)
    }

    @Test func learns() throws {
      Torch.seed(1)
      let benchmark = try ImageToImage(configuration(.small, batch: 4))
      #expect(benchmark.dataDescription.hasPrefix("synthetic: "))
      let stage = try benchmark.stage("")
      let losses = try train(stage, steps: 12)
      #expect(falls(losses, over: 3, by: 0.8))
      #expect((0...1).contains(try evaluate(stage)))
      #expect(stage.measures().map(\.name) == ["per-class accuracy", "class IoU"])
      let task = try benchmark.inference()
      let batch = try #require(try task.loader.batches(epoch: 0).nextBatch()).tensors()
      #expect(task.answer(batch).shape == [4, 3, 32, 32])
    }

    @Test func readsFourFolders() throws {
      let directory = try TemporaryDirectory()
      let road = (0..<400).flatMap { _ -> [UInt8] in [128, 64, 128] }
      for index in 0..<3 {
        for folder in ["trainA", "trainB", "testA", "testB"] {
          let suffix = folder.hasPrefix("test") ? String(folder.suffix(1)) : ""
          try directory.write(
            "\(folder)/\(index)\(suffix.isEmpty ? "" : "_" + suffix).png", Fixture.png(road, 20, 20))
        }
      }
      Torch.seed(1)
      let benchmark = try ImageToImage(configuration(.small, batch: 2, data: directory.path))
      #expect(benchmark.dataDescription.contains("3 and 3 for training, 3 pairs"))
      let stage = try benchmark.stage("")
      #expect(try train(stage, steps: 1).count == 1)
      #expect((0...1).contains(try evaluate(stage)))
      // An identity is always right.
      let perfect = try benchmark.evaluate(Identity())
      #expect(perfect.perPixelAccuracy == 1)
      #expect(perfect.perClassAccuracy == 1)
      #expect(perfect.classIoU == 1)
      try FileManager.default.removeItem(atPath: directory.path + "/testB/1_B.png")
      expectDataError(mentions: ["testA/1_A.png", "testB"]) {
        _ = try ImageToImage(configuration(.small, batch: 2, data: directory.path))
      }
      try FileManager.default.removeItem(atPath: directory.path + "/trainA")
      expectDataError(mentions: ["trainA"]) {
        _ = try ImageToImage(configuration(.small, batch: 2, data: directory.path))
      }
    }
  }

  @Suite struct FaceEmbeddingTests {
    @Test func hasThePublishedSize() throws {
      let model = FaceNet(.paper)
      #expect(model.trunk.parameterCount == 21_284_672)
      #expect(model.embedding.parameterCount == 2_359_424)
      #expect(model.parameterCount == FaceEmbedding.info.paper.parameters)
      #expect(
        try forwardFLOPs(model, Tensor.randomNormal([1, 3, 182, 182])) == FaceEmbedding.info.paper.forwardFLOPs)
      let small = FaceNet(.small)
      #expect(small.parameterCount == FaceEmbedding.info.small.parameters)
      #expect(try forwardFLOPs(small, Tensor.randomNormal([1, 3, 32, 32])) == FaceEmbedding.info.small.forwardFLOPs)
      let points = withoutGradients { small(Tensor.randomNormal([3, 3, 32, 32])) }
      #expect(points.shape == [3, 32])
      #expect(points.norm([1]).floats().allSatisfy { abs($0 - 10) < 1e-3 })
    }

    @Test func lossAndGradientsAgreeWithPyTorch() {
      let model = FaceNet(
        FaceNet.Shape(
          trunk: ResNet.Shape(width: 4, blocks: [1, 1, 1, 1], block: .basic, stem: .plain), side: 32, features: 4,
          dimensions: 8))
      fill([model])
      let points = model(pattern([12, 3, 32, 32], 1, 1))
      let loss = TripletLoss()(
        anchors: points.slice(0, 0..<4), positives: points.slice(0, 4..<8), negatives: points.slice(0, 8..<12))
      loss.backward()
      #expect(isNear(points.mean().item, -0.78232497, 1e-3))
      #expect(isNear(loss.item, 6.7203426, 1e-3))
      #expect(isNear(gradientNorm([model]), 497.83959, 1e-2))
    }

    @Test func onlyHardTripletsCount() {
      func loss(_ positives: [Float], _ negatives: [Float]) -> Double {
        TripletLoss()(
          anchors: Tensor.zeros([2, 1]), positives: Tensor(positives, shape: [2, 1]),
          negatives: Tensor(negatives, shape: [2, 1])
        ).item
      }
      // max(0, 1 − 2 + 0.5) and 3 − 2 + 0.5, of which one counts.
      #expect(abs(loss([1, 3], [2, 2]) - 1.5) < 1e-4)
      #expect(loss([1, 1], [2, 2]) == 0)
      #expect(abs(loss([2, 3], [2, 2]) - 1) < 1e-4)
    }

    @Test func learns() throws {
      Torch.seed(1)
      let benchmark = try FaceEmbedding(configuration(.small, batch: 16))
      #expect(benchmark.dataDescription.hasPrefix("synthetic: "))
      let stage = try benchmark.stage("")
      let losses = try train(stage, steps: 30)
      #expect(falls(losses, over: 10, by: 0.9))
      let accuracy = try evaluate(stage)
      #expect(accuracy > 0.5)
      #expect(accuracy <= 1)
      let task = try benchmark.inference()
      let batch = try #require(try task.loader.batches(epoch: 0).nextBatch()).tensors()
      #expect(task.answer(batch).shape == [16, 32])
    }

    @Test func drawnPairsAreWhatTheySay() {
      let faces = SyntheticFaces(identities: 5, photographsEach: 4, side: 8, seed: 2)
      let pairs = faces.pairs(folds: 3, each: 10)
      #expect(pairs.photographs.count == 20)
      let sizes = pairs.folds.map { $0.count }
      #expect(sizes == [20, 20, 20])
      for pair in pairs.folds.joined() {
        let isOnePerson = pair.first / 4 == pair.second / 4
        #expect(isOnePerson == pair.isSame)
        #expect(pair.first != pair.second)
      }
    }

    @Test func readsFolders() throws {
      let directory = try TemporaryDirectory()
      var list = "2\t1\n"
      for (index, person) in ["Ann", "Bob"].enumerated() {
        for number in 1...2 {
          let image = try Fixture.jpeg(
            [UInt8](repeating: UInt8(50 + 100 * index + 10 * number), count: 3 * 400), 20, 20)
          try directory.write("train/\(person)/\(number).jpg", image)
          try directory.write("lfw/\(person)/\(person)_000\(number).jpg", image)
        }
        list += "\(person)\t1\t2\nAnn\t\(index + 1)\tBob\t1\n"
      }
      try directory.write("pairs.txt", list)
      Torch.seed(1)
      let benchmark = try FaceEmbedding(configuration(.small, batch: 4, data: directory.path))
      #expect(benchmark.dataDescription.contains("2 people for training; 2 folds of 2 pairs from 4 photographs"))
      let stage = try benchmark.stage("")
      #expect(try train(stage, steps: 1).count == 1)
      #expect((0...1).contains(try evaluate(stage)))
      // A photograph of the question is never replaced by another.
      try directory.write("lfw/Bob/Bob_0002.jpg", "no image")
      expectDataError(mentions: ["Bob_0002.jpg"]) { _ = try evaluate(stage) }
    }
  }

  @Suite struct FaceRecognition3DTests {
    @Test func hasThePublishedSize() throws {
      var shape = ResNet.Shape.resNet50
      shape.inputs = 4
      let model = ResNet(shape, classes: FaceRecognition3D.paperClasses)
      #expect(model.conv1.weight.shape == [64, 4, 7, 7])
      #expect(model.parameterCount == FaceRecognition3D.info.paper.parameters)
      #expect(
        try forwardFLOPs(model, Tensor.randomNormal([1, 4, 224, 224])) == FaceRecognition3D.info.paper.forwardFLOPs)
      let small = try FaceRecognition3D(configuration(.small, batch: 4)).model()
      #expect(small.parameterCount == FaceRecognition3D.info.small.parameters)
      #expect(
        try forwardFLOPs(small, Tensor.randomNormal([1, 4, 32, 32])) == FaceRecognition3D.info.small.forwardFLOPs)
    }

    @Test func learns() throws {
      Torch.seed(1)
      let benchmark = try FaceRecognition3D(configuration(.small, batch: 32))
      #expect(benchmark.dataDescription.hasPrefix("synthetic: "))
      let stage = try benchmark.stage("")
      var losses: [Double] = []
      for epoch in 0..<2 { losses += try train(stage, steps: 30, epoch: epoch) }
      #expect(falls(losses, over: 10, by: 0.95))
      #expect((0...1).contains(try evaluate(stage)))
      let task = try benchmark.inference()
      let batch = try #require(try task.loader.batches(epoch: 0).nextBatch()).tensors()
      #expect(task.answer(batch).shape == [32])
    }

    @Test func depthTellsThePersonAndColourHardly() {
      // Nearest neighbour among photographs in the middle of the image, by one channel alone.
      let heads = SyntheticHeads(count: 300, people: 5, side: 16, seed: 1)
      let shots = (0..<300).map { heads.draw($0) }
      func accuracy(_ values: (Int) -> [Float]) -> Double {
        let all = (0..<300).map(values)
        let right = (200..<300).count { query -> Bool in
          func distance(_ other: Int) -> Float {
            var sum: Float = 0
            for (a, b) in zip(all[query], all[other]) { sum += (a - b) * (a - b) }
            return sum
          }
          let nearest = (0..<200).min { distance($0) < distance($1) }
          return nearest.map { shots[$0].label } == shots[query].label
        }
        return Double(right) / 100
      }
      let byDepth = accuracy { DepthPlane(width: 16, height: 16, distances: shots[$0].depths).values }
      let byColour = accuracy { index in (0..<256).map { pixel -> Float in Float(shots[index].colours[3 * pixel]) } }
      #expect(byDepth > 0.6)
      #expect(byDepth > byColour + 0.2)
    }

    @Test func readsLists() throws {
      let directory = try TemporaryDirectory()
      let head = "rgb_image_path,dep_image_path,cls_name\n"
      var list = head
      for index in 0..<4 {
        try directory.write("\(index).jpg", Fixture.jpeg(Fixture.gradient(24, 24), 24, 24))
        let depths: [UInt8] = (0..<144).flatMap { pixel -> [UInt8] in [UInt8(pixel * (index + 1) % 200 + 1), 1] }
        try directory.write("\(index).npy", npy(depths, type: "<u2", shape: "(12, 12)"))
        list += "\(index).jpg,\(index).npy,\(index % 2 == 0 ? "ann" : "bob")\n"
      }
      try directory.write("train.csv", list)
      try directory.write("val.csv", head + "0.jpg,0.npy,ann\n")
      Torch.seed(1)
      let benchmark = try FaceRecognition3D(configuration(.small, batch: 2, data: directory.path))
      #expect(benchmark.dataDescription.hasSuffix("train.csv (4 for training, 1 for testing, 2 people)"))
      let stage = try benchmark.stage("")
      #expect(try train(stage, steps: 2).count == 2)
      #expect((0...1).contains(try evaluate(stage)))
      try directory.write("val.csv", head + "0.jpg,0.npy,eve\n")
      expectDataError(mentions: ["val.csv", "line 2", "eve"]) {
        _ = try FaceRecognition3D(configuration(.small, batch: 2, data: directory.path))
      }
    }
  }
}
