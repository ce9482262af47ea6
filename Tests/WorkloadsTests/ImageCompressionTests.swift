// Does the codec have its published size, does it learn, and is its quality measured as the field does?
import Foundation
import Testing

@testable import Workloads

private func parameters(_ model: Module, _ path: String) -> Int {
  model.namedParameters().filter { $0.path.hasPrefix(path + ".") }.reduce(0) { $0 + $1.parameter.count }
}

/// FLOPs by flop_counter's rules of one iteration over one 32×32 patch.
private func flops(_ model: RecurrentCodec) throws -> Double {
  try Trace.openPrivately()
  defer { Trace.close() }
  let start = Trace.sums
  var state = model.start
  withoutGradients { _ = model.iterate(Tensor.random([1, 3, 32, 32]) - 0.5, &state) }
  return (Trace.sums - start).counterFLOPs
}

extension Computing {
  @Suite struct ImageQualityTests {
    /// The image that Benchmarks/reference/image_quality.py makes.
    private func image(_ height: Int, _ width: Int, _ distortion: Int) -> Tensor {
      var values: [Double] = []
      for c in 0..<3 {
        for y in 0..<height {
          for x in 0..<width {
            let base = (7 * x + 3 * y * (c + 1) + (x * y) / 16) % 160 + 40
            let change = ((5 * x + 11 * y + 17 * c) % 13 - 6) * distortion
            values.append(Double(min(max(base + change, 0), 255)) / 255)
          }
        }
      }
      return Tensor(doubles: values, shape: [1, 3, height, width])
    }

    /// Printed by Benchmarks/reference/image_quality.py.
    @Test(arguments: [
      (176, 176, 1, 0.999473385859, 36.6695199137), (176, 176, 4, 0.992065019288, 24.6283200872),
      (64, 64, 1, 0.999231911730, 36.6695232519), (64, 64, 4, 0.989124692760, 24.6283234253),
      (50, 37, 1, 0.999140388038, 36.6690761249), (50, 37, 4, 0.988039249115, 24.6278762983),
    ])
    func agreesWithTheReference(height: Int, width: Int, distortion: Int, similarity: Double, ratio: Double) {
      let (x, y) = (image(height, width, distortion), image(height, width, 0))
      #expect(abs(ImageQuality.multiScaleSimilarity(x, y)[0] - similarity) < 1e-9)
      #expect(abs(ImageQuality.peakSignalToNoise(ImageQuality.squaredErrors(x, y)[0]) - ratio) < 1e-8)
    }

    @Test func copiesAreAlikeAndImagesApart() {
      let (x, y) = (image(64, 64, 4), image(64, 64, 0))
      let both = ImageQuality.multiScaleSimilarity(
        Tensor.concatenated([y, x]), Tensor.concatenated([y, y]))
      #expect(abs(both[0] - 1) < 1e-12 && abs(both[1] - 0.989124692760) < 1e-9)
      // The negative of an image has a negative covariance on every scale.
      #expect(ImageQuality.multiScaleSimilarity(1 - y, y)[0] == 0)
      // A mean squared error of 1/100 is 20 dB.
      #expect(abs(ImageQuality.peakSignalToNoise(0.01) - 20) < 1e-12)
      #expect(abs(ImageQuality.scaleWeights.reduce(0, +) - 1) < 1e-3)
    }

    @Test func overlapOfVolumes() {
      let a = Tensor([1, 1, 0, 0, 0.5, 0.4, 0, 0, 0, 0, 0, 0], shape: [3, 1, 4])
      let b = Tensor([1, 0, 1, 0, 1, 1, 0, 0, 0, 0, 0, 0], shape: [3, 1, 4])
      // One of three; one of two (0.5 counts, 0.4 does not); two empty ones.
      #expect(VolumeOverlap.intersectionOverUnion(a, b) == [1.0 / 3, 0.5, 1])
    }
  }

  @Suite struct ImageCompressionTests {
    @Test func paperModelHasThePublishedParameters() throws {
      let model = RecurrentCodec(.paper)
      #expect(model.parameterCount == 35_456_800)
      #expect(ImageCompression.info.paper.parameters == 35_456_800)
      let ledger = [
        ("conv1", 1728), ("rnn1", 851_968), ("rnn2", 5_767_168), ("rnn3", 10_485_760), ("binarizer", 16_384),
        ("dconv1", 16_384), ("drnn1", 10_485_760), ("drnn2", 3_407_872), ("drnn3", 3_538_944), ("drnn4", 884_736),
        ("dconv2", 96),
      ]
      for (part, count) in ledger { #expect(parameters(model, part) == count, "\(part)") }
      // 738.9 M multiply-accumulates an iteration; Benchmarks/reference/recurrent_vision.py has all sixteen.
      #expect(try flops(model) * 16 == 23_643_815_936)
      #expect(ImageCompression.info.paper.forwardFLOPs == 23_643_815_936)
      // 128 bits for 1024 pixels.
      var state = model.start
      let bits = withoutGradients { model.iterate(Tensor.random([1, 3, 32, 32]) - 0.5, &state).bits }
      #expect(bits.shape == [1, 32, 2, 2])
      #expect(bits.floats().allSatisfy { abs($0) == 1 })
      #expect(state.encoder.map { $0?.hidden.shape } == [[1, 256, 8, 8], [1, 512, 4, 4], [1, 512, 2, 2]])
    }

    @Test func smallModelIsAsDescribed() throws {
      let model = RecurrentCodec(.small)
      let info = ImageCompression.info.small
      #expect(model.parameterCount == 204_476 && info.parameters == 204_476)
      #expect(try flops(model) * 4 == 69_566_464 && info.forwardFLOPs == 69_566_464)
    }

    @Test func bitsPassTheGradientOfTheirSignal() {
      Torch.seed(1)
      let binarizer = Binarizer(2, bits: 1, isStochastic: false)
      binarizer.conv.weight.copy(from: Tensor([0.5, -1], shape: [1, 2, 1, 1]))
      let x = Parameter(Tensor([0.4, -0.3, 2, 1.5], shape: [2, 2, 1, 1]))
      let bits = binarizer(x)
      // tanh(0.2 + 0.3) > 0, tanh(1 − 1.5) < 0.
      #expect(bits.floats() == [1, -1])
      bits.sum().backward()
      let slope = 1 - tanh(0.5) * tanh(0.5)
      for (found, expected) in zip(x.gradient?.doubles() ?? [], [0.5, -1, 0.5, -1]) {
        #expect(abs(found - expected * slope) < 1e-6)
      }
      // By chance: +1 as often as (1 + signal) / 2 says.
      let random = Binarizer(1, bits: 1, isStochastic: true)
      random.conv.weight.fill(1)
      let drawn = random(Tensor.full([1, 1, 100, 100], 0.5)).to(.float64).mean().item
      #expect(abs(drawn - tanh(0.5)) < 0.04)
      random.train(false)
      #expect(random(Tensor.full([1, 1, 4, 4], 0.5)).min().item == 1)
    }

    @Test func orthogonalRowsOrColumns() {
      for shape in [[4, 3, 3, 3], [12, 5]] {
        let tensor = Tensor.zeros(shape)
        Initialization.orthogonal(tensor)
        let matrix = tensor.view([shape[0], -1])
        let (rows, columns) = (matrix.size(0), matrix.size(1))
        let product = rows <= columns ? matrix.mm(matrix.transposed()) : matrix.transposed().mm(matrix)
        #expect((product - Tensor.identity(min(rows, columns))).abs().max().item < 1e-5)
      }
    }

    @Test func learnsAndAnswers() throws {
      Torch.seed(1)
      let configuration = BenchmarkConfiguration(scale: .small, seed: 1, batchSize: 8, maximumEpochs: 1)
      let benchmark = try ImageCompression(configuration)
      #expect(benchmark.dataDescription.hasPrefix("synthetic: "))
      let stage = try benchmark.stage("")
      let batches = stage.loader.batches(epoch: 0, limit: 24)
      var losses: [Double] = []
      while let batch = try batches.nextBatch()?.tensors() {
        losses.append(try stage.step(TrainingStep(batch, number: losses.count)))
      }
      let (first, last) = (losses.prefix(8).reduce(0, +), losses.suffix(8).reduce(0, +))
      #expect(last < 0.95 * first)
      let task = try benchmark.inference()
      task.model.train(false)
      let query = try #require(try task.loader.batches(epoch: 0).nextBatch()).tensors()
      // Four iterations of 16 bits for each 16×16 pixels.
      #expect(withoutGradients { task.answer(query).shape } == [8, 64, 4, 4])
    }

    @Test func readsPhotographs() throws {
      let directory = try TemporaryDirectory()
      for index in 0..<20 {
        let jpeg = try Fixture.jpeg(Fixture.gradient(80, 70), 80, 70)
        try directory.write("a\(index % 2)/photo-\(index).JPEG", jpeg)
      }
      func patches(_ split: ImagePatches.Split, side: Int = 32) throws -> ImagePatches {
        try ImagePatches(directory: directory.path, split: split, side: side, seed: 1)
      }
      #expect(try patches(.train).count == 18 && patches(.validation).count == 2)
      let batches = ImageBatches(source: try patches(.train))
      var random = SeededRandom(1)
      let first = try batches.batch([0, 1], epoch: 0, random: &random)
      #expect(first.inputs[0].shape == [2, 3, 32, 32])
      #expect(try batches.batch([0, 1], epoch: 0, random: &random) == first)
      #expect(try batches.batch([0, 1], epoch: 1, random: &random) != first)
      // The middle, at its own resolution: blue is 180 − 60 x / 80 of 255, from x = 24 on.
      guard
        case .floats(let values) = try ImageBatches(source: patches(.validation))
          .batch([0], epoch: 0, random: &random).inputs[0].storage
      else {
        Issue.record("no floats")
        return
      }
      for x in [0, 31] {
        let blue = Float(180 - 60 * (24 + x) / 80) / 255 - 0.5
        #expect(abs(values[2 * 1024 + 16 * 32 + x] - blue) < 0.02)
      }
      // Larger than the photograph: the largest square, scaled up.
      let large = try ImageBatches(source: patches(.validation, side: 128)).batch([0], epoch: 0, random: &random)
      #expect(large.inputs[0].shape == [1, 3, 128, 128])

      let configuration = BenchmarkConfiguration(
        scale: .small, seed: 1, batchSize: 4, dataDirectory: directory.path, maximumEpochs: 1)
      let benchmark = try ImageCompression(configuration)
      let stage = try benchmark.stage("")
      stage.model.train(false)
      let quality = try withoutGradients { try stage.evaluate() }
      #expect((0...1).contains(quality))
      #expect(stage.measures().map(\.name).contains("PSNR at 0.25 bpp"))
    }

    @Test func wrongDataAreNamed() throws {
      let directory = try TemporaryDirectory()
      func open(_ split: ImagePatches.Split = .train) throws -> ImagePatches {
        try ImagePatches(directory: directory.path, split: split, side: 32, seed: 1)
      }
      expectDataError(mentions: ["JPEG or PNG", "found nothing"]) { _ = try open() }
      try directory.write("one.jpg", [1, 2, 3])
      expectDataError(mentions: ["it has 1 images", "at least 10"]) { _ = try open() }
      try directory.makeFolder("train")
      try directory.write("val/one.png", [1, 2, 3])
      expectDataError(mentions: ["/train holds no sample"]) { _ = try open() }
      var random = SeededRandom(1)
      let broken = ImageBatches(source: try open(.validation))
      expectDataError(mentions: ["one.png", "neither like a JPEG"]) {
        _ = try broken.batch([0], epoch: 0, random: &random)
      }
    }
  }
}
