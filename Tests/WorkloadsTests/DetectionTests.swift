// Have the three detectors the published sizes, do they learn, read their data, and answer?
// The expected numbers are printed by Benchmarks/reference/detection.py (PyTorch 2.13).
import Foundation
import Testing

@testable import Workloads

private func configuration(_ scale: Scale, batch: Int, data: String? = nil, seed: UInt64 = 1) -> BenchmarkConfiguration
{
  BenchmarkConfiguration(scale: scale, seed: seed, batchSize: batch, dataDirectory: data, maximumEpochs: 2)
}

/// Trains for some steps and gives the losses.
private func train(_ stage: TrainingStage, steps: Int) throws -> [Double] {
  stage.model.train()
  var losses: [Double] = []
  let batches = stage.loader.batches(epoch: 0, limit: steps)
  while let batch = try batches.nextBatch()?.tensors() {
    losses.append(try stage.step(TrainingStep(batch)))
  }
  return losses
}

private func evaluate(_ stage: TrainingStage) throws -> Double {
  stage.model.train(false)
  return try withoutGradients { try stage.evaluate() }
}

private func mean(_ values: ArraySlice<Double>) -> Double { values.reduce(0, +) / Double(values.count) }

/// FLOPs of a forward pass in evaluation mode by flop_counter's rules.
private func flops(_ model: Module, _ forward: () -> Void) throws -> Double {
  model.train(false)
  try Trace.openPrivately()
  defer { Trace.close() }
  let start = Trace.sums
  withoutGradients(forward)
  return (Trace.sums - start).counterFLOPs
}

private func parameters(_ model: Module, below prefix: String) -> Int {
  model.namedParameters().filter { $0.path.hasPrefix(prefix + ".") }.reduce(0) { $0 + $1.parameter.count }
}

/// An answer of one query, whose rows begin with class, score and box.
private func answer(_ task: InferenceTask) throws -> Tensor {
  task.model.train(false)
  let batch = try #require(try task.loader.batches(epoch: 0).nextBatch()).tensors()
  return withoutGradients { task.answer(batch) }
}

extension Computing {
  @Suite struct ObjectDetectionTests {
    @Test func paperModelHasThePublishedSize() throws {
      let model = FasterRCNN(.paper, classes: 20)
      #expect(model.parameterCount == 47_462_111)
      #expect(model.parameterCount == ObjectDetection.info.paper.parameters)
      #expect(parameters(model, below: "proposals") == 4_746_806)
      #expect(parameters(model, below: "predictor") == 215_145)
      #expect(parameters(model, below: "backbone.layer4") == 14_964_736)
      // Nothing of the stem, the first stage and the normalizations is trained.
      let frozen = model.namedParameters().filter { !$0.parameter.requiresGradient }.map(\.path)
      #expect(frozen.contains("backbone.layer1.0.conv1.weight") && frozen.contains("backbone.layer4.2.bn3.bias"))
      #expect(!frozen.contains { $0.hasPrefix("proposals") || $0.hasSuffix("layer2.0.conv1.weight") })
      let count = try flops(model) {
        let map = model.map(Tensor.randomNormal([1, 3, 64, 96]))
        #expect(map.shape == [1, 1024, 4, 6])
        let output = model.proposals([map])
        #expect(output.objectness.shape == [1, 4 * 6 * 9] && output.deltas.shape == [1, 216, 4])
        let head = model.head(map, Tensor([0, 0, 0, 64, 64, 0, 10, 5, 40, 60], shape: [2, 5]))
        #expect(head.logits.shape == [2, 21] && head.deltas.shape == [2, 84])
      }
      #expect(count == 2_859_098_112)
    }

    @Test func smallModelLearns() throws {
      Torch.seed(1)
      let benchmark = try ObjectDetection(configuration(.small, batch: 4))
      #expect(benchmark.dataDescription.hasPrefix("synthetic: "))
      let stage = try benchmark.stage("")
      #expect(stage.model.parameterCount == ObjectDetection.info.small.parameters)
      let losses = try train(stage, steps: 45)
      #expect(losses.allSatisfy { $0.isFinite })
      #expect(mean(losses.suffix(15)) < 0.8 * mean(losses.prefix(5)))
    }

    @Test func oneSeedIsOneRun() throws {
      func losses() throws -> [Double] {
        Torch.seed(5)
        return try train(ObjectDetection(configuration(.small, batch: 2, seed: 5)).stage(""), steps: 3)
      }
      #expect(try losses() == losses())
    }

    @Test func readsPascalVOC() throws {
      let directory = try TemporaryDirectory()
      try writeVOC(directory)
      Torch.seed(1)
      let benchmark = try ObjectDetection(configuration(.small, batch: 2, data: directory.path))
      #expect(benchmark.dataDescription == "\(directory.path) (4 for training, 4 for testing, 20 classes)")
      let stage = try benchmark.stage("")
      #expect(try train(stage, steps: 2).allSatisfy(\.isFinite))
      let quality = try evaluate(stage)
      #expect((0...1).contains(quality))
      let rows = try answer(benchmark.inference())
      #expect(rows.size(1) == 6)
    }

    @Test func anchorsLearnFromTheirObjects() {
      // One map of 4×4 cells with anchors of 16×16: the object is the anchor of cell (1, 2), exactly.
      let settings = RegionProposalNetwork.Settings(
        inputs: 2, channels: 2, anchors: [AnchorGenerator(stride: 16, base: 16, scales: [1], ratios: [1])])
      let network = RegionProposalNetwork(settings)
      let anchors = Tensor(settings.anchors[0].anchors(height: 4, width: 4), shape: [16, 4])
      let geometry = [ImageGeometry(width: 64, height: 64, horizontal: 1, vertical: 1, index: 0)]
      let truth = [
        DetectionTruth(boxes: Tensor([32, 16, 48, 32], shape: [1, 4]), labels: [1], masks: nil)
      ]
      func loss(_ scores: [Float], _ deltas: Tensor) -> Double {
        let output = RegionProposalNetwork.Output(
          objectness: Tensor(scores, shape: [1, 16]), deltas: deltas, anchors: anchors, counts: [16])
        return network.loss(output, truth, geometry, ExampleSampler(seed: 1)).item
      }
      var scores = [Float](repeating: -30, count: 16)
      scores[6] = 30
      let none = Tensor.zeros([1, 16, 4])
      #expect(loss(scores, none) < 1e-6)
      // Scores of zero cost ln 2; the object's box moved by 0.2 costs 0.2 − 1/18, by the sixteen anchors.
      #expect(abs(loss([Float](repeating: 0, count: 16), none) - log(2)) < 1e-6)
      var moved = [Float](repeating: 0, count: 64)
      moved[6 * 4] = 0.2
      let expected = (0.2 - 1.0 / 18) / 16
      #expect(abs(loss(scores, Tensor(moved, shape: [1, 16, 4])) - expected) < 1e-6)
      // A proposal is the best anchor, and those that it does not suppress.
      network.train(false)
      let output = RegionProposalNetwork.Output(
        objectness: Tensor(scores, shape: [1, 16]), deltas: none, anchors: anchors, counts: [16])
      #expect(network.proposals(output, geometry)[0].floats().prefix(4) == [32, 16, 48, 32])
    }

    @Test func regionsAreSampledByTheirOverlap() {
      let proposals = [
        Tensor([0, 0, 10, 10, 0, 0, 10, 4, 50, 50, 60, 60, 0, 0, 10, 9], shape: [4, 4]),
        Tensor([1, 1, 2, 2], shape: [1, 4]),
      ]
      let truth = [
        DetectionTruth(boxes: Tensor([0, 0, 10, 10, 30, 30, 40, 40], shape: [2, 4]), labels: [3, 2], masks: nil),
        DetectionTruth(boxes: Tensor.zeros([0, 4]), labels: [], masks: nil),
      ]
      let all = RegionSampling(count: 16, share: 0.5)(proposals, truth, ExampleSampler(seed: 1))
      // With an object: two proposals and the objects themselves; the image without objects has background only.
      #expect(all.labels == [3, 3, 3, 2, 0, 0, 0])
      #expect(all.owners.map(\.object) == [0, 0, 0, 1])
      #expect(all.regions.slice(1, 0..<1).reshaped([7]).floats() == [0, 0, 0, 0, 0, 0, 1])
      #expect(all.deltas?.shape == [4, 4])
      // The second is a box of 10×9 for one of 10×10: centre 0.5 of 9 lower, ln(10/9) higher, by the deviations.
      let second = all.deltas?.select(0, 1).floats() ?? []
      let shift: Float = 0.5 / 9 / 0.1
      let growth = Float(log(10.0 / 9) / 0.2)
      #expect(abs(second[1] - shift) < 1e-5)
      #expect(abs(second[3] - growth) < 1e-5)
      let few = RegionSampling(count: 4, share: 0.25)(proposals, truth, ExampleSampler(seed: 1))
      #expect(few.labels.count { $0 > 0 } == 1 && few.labels.count == 4)
    }

    @Test func scoresBecomeObjects() {
      // Two regions of three classes; the second region's box is nearly the first's.
      let scores = Tensor([0.1, 0.8, 0.1, 0.2, 0.6, 0.2], shape: [2, 3])
      let boxes = Tensor([0, 0, 10, 10, 0, 0, 10, 9], shape: [2, 1, 4]).expanded([2, 3, 4])
      let found = DetectionSelection(score: 0.15, overlap: 0.5, limit: 10)(scores, boxes)
      #expect(found.labels == [1, 2] && found.scores == [0.8, 0.2])
      #expect(found.boxes.floats() == [0, 0, 10, 10, 0, 0, 10, 9])
      #expect(found.tensor.shape == [2, 6])
      #expect(DetectionSelection(score: 0.9)(scores, boxes).labels.isEmpty)
      let detections = found.detections(
        ImageGeometry(width: 20, height: 20, horizontal: 2, vertical: 0.5, index: 7))
      #expect(detections[0].image == 7 && detections[0].box == Box(0, 0, 5, 20))
    }
  }

  @Suite struct ObjectDetectionLightTests {
    @Test func paperModelHasThePublishedSize() throws {
      let model = SingleShotDetector(.ssd300, classes: 80)
      #expect(model.parameterCount == 19_972_534)
      #expect(model.parameterCount == ObjectDetectionLight.info.paper.parameters)
      #expect(parameters(model, below: "backbone") == 8_170_304)
      #expect(parameters(model, below: "additional.4") == 328_064)
      let count = try flops(model) {
        let output = model(Tensor.randomNormal([1, 3, 300, 300]))
        #expect(output.deltas.shape == [1, 8732, 4] && output.logits.shape == [1, 8732, 81])
      }
      #expect(count == ObjectDetectionLight.info.paper.forwardFLOPs)
    }

    @Test func smallModelLearns() throws {
      Torch.seed(1)
      let benchmark = try ObjectDetectionLight(configuration(.small, batch: 8))
      let stage = try benchmark.stage("")
      #expect(stage.model.parameterCount == ObjectDetectionLight.info.small.parameters)
      let losses = try train(stage, steps: 30)
      #expect(losses.allSatisfy { $0.isFinite })
      #expect(mean(losses.suffix(5)) < 0.7 * mean(losses.prefix(5)))
      let model = try #require(stage.model as? SingleShotDetector)
      let count = try flops(model) { _ = model(Tensor.randomNormal([1, 3, 64, 64])) }
      #expect(count == ObjectDetectionLight.info.small.forwardFLOPs)
    }

    @Test func hardestNegativesAreLearnt() {
      Torch.seed(2)
      let model = SingleShotDetector(.small, classes: 3)
      let boxes = SingleShotDetector.Shape.small.boxes.corners
      let (image, count) = (Tensor.randomNormal([2, 3, 64, 64]), boxes.count)
      // Three boxes have an object in the first image, none in the second; the boxes are the objects.
      var labels = [Int](repeating: 0, count: 2 * count)
      for place in [5, 700, 1300] { labels[place] = 1 + place % 3 }
      let corners = (boxes + boxes).flatMap(\.coordinates)
      let batch = TensorBatch(
        samples: 2, inputs: [image],
        targets: [Tensor(corners, shape: [2, count, 4]), Tensor(integers: labels, shape: [2, count])])
      model.train(false)
      let loss = withoutGradients { model.loss(batch).item }
      // By hand: nine others, the most mistaken, beside the three; by three, and by two images.
      let output = withoutGradients { model(image) }
      let logits = output.logits.select(0, 0).doubles()
      let deltas = output.deltas.select(0, 0).doubles()
      let entropy = (0..<count).map { place -> Double in
        let own = logits[(4 * place)..<(4 * place + 4)]
        return log(own.reduce(0) { $0 + exp($1) }) - own[own.startIndex + labels[place]]
      }
      let hardest = (0..<count).filter { labels[$0] == 0 }.map { entropy[$0] }.sorted(by: >).prefix(9)
      var expected = hardest.reduce(0, +)
      for place in [5, 700, 1300] {
        expected += entropy[place]
        for delta in deltas[(4 * place)..<(4 * place + 4)] {
          expected += abs(delta) < 1 ? delta * delta / 2 : abs(delta) - 0.5
        }
      }
      #expect(abs(loss - expected / 6) < 1e-3 * expected)
    }

    @Test func readsCOCO() throws {
      let directory = try TemporaryDirectory()
      try writeCOCO(directory)
      Torch.seed(1)
      let benchmark = try ObjectDetectionLight(configuration(.small, batch: 2, data: directory.path))
      #expect(benchmark.dataDescription == "\(directory.path) (4 for training, 5 for validation, 2 classes)")
      let stage = try benchmark.stage("")
      #expect(try train(stage, steps: 2).allSatisfy(\.isFinite))
      let quality = try evaluate(stage)
      #expect((0...1).contains(quality))
      #expect(stage.measures().map(\.name) == ["AP", "AP50", "AP75"])
      #expect(try answer(benchmark.inference()).size(1) == 6)
    }
  }

  @Suite struct ObjectDetectionHeavyTests {
    @Test func paperModelHasThePublishedSize() throws {
      let model = MaskRCNN(.paper, classes: 80)
      #expect(model.parameterCount == 44_400_693)
      #expect(model.parameterCount == ObjectDetectionHeavy.info.paper.parameters)
      // With COCO's 90 numbers and background, as others count, 53 820 more.
      let more = 10 * (5 * 1025 + 257)
      #expect(model.parameterCount + more == 44_454_513)
      let count = try flops(model) {
        let maps = model.maps(Tensor.randomNormal([1, 3, 64, 96]))
        #expect(
          maps.map(\.shape) == [
            [1, 256, 16, 24], [1, 256, 8, 12], [1, 256, 4, 6], [1, 256, 2, 3], [1, 256, 1, 2],
          ])
        let output = model.proposals(maps)
        #expect(output.counts == [1152, 288, 72, 18, 6] && output.objectness.shape == [1, 1536])
        let head = model.boxHead(maps, Tensor([0, 0, 0, 64, 64, 0, 10, 5, 40, 60], shape: [2, 5]))
        #expect(head.logits.shape == [2, 81] && head.deltas.shape == [2, 324])
        #expect(model.maskHead(maps, Tensor([0, 0, 0, 64, 64], shape: [1, 5])).shape == [1, 81, 28, 28])
      }
      #expect(count == 3_365_564_416)
    }

    @Test func smallModelLearns() throws {
      Torch.seed(1)
      let benchmark = try ObjectDetectionHeavy(configuration(.small, batch: 4))
      let stage = try benchmark.stage("")
      #expect(stage.model.parameterCount == ObjectDetectionHeavy.info.small.parameters)
      let losses = try train(stage, steps: 30)
      #expect(losses.allSatisfy { $0.isFinite })
      #expect(mean(losses.suffix(5)) < 0.8 * mean(losses.prefix(5)))
    }

    @Test func readsCOCO() throws {
      let directory = try TemporaryDirectory()
      try writeCOCO(directory)
      Torch.seed(1)
      let benchmark = try ObjectDetectionHeavy(configuration(.small, batch: 2, data: directory.path))
      let stage = try benchmark.stage("")
      #expect(try train(stage, steps: 2).allSatisfy(\.isFinite))
      let quality = try evaluate(stage)
      #expect((0...1).contains(quality))
      #expect(stage.measures().map(\.name).contains("mask AP75"))
      #expect(try answer(benchmark.inference()).size(1) == 6 + 28 * 28)
    }

    @Test func masksArePastedIntoTheirBoxes() {
      // Certain on the left half.
      let mask = (0..<16).map { Float($0 % 4 < 2 ? 1 : 0) }
      let pasted = MaskHead.paste(mask[...], side: 4, box: Box(2, 2, 10, 10), width: 12, height: 11)
      #expect(pasted.boundingBox == Box(2, 2, 6, 10))
      #expect(pasted.area == 32)
      // A box beyond the image, and one without area.
      #expect(MaskHead.paste(mask[...], side: 4, box: Box(-4, -4, 4, 20), width: 6, height: 6).area == 0)
      #expect(MaskHead.paste(mask[...], side: 4, box: Box(3, 3, 3, 3), width: 6, height: 6).area == 0)
    }

    @Test func maskLossComparesPixelsOfTheRightClass() {
      let head = MaskHead(2, channels: 2, classes: 3)
      // An object whose left half is its own, seen by a region which is its box, and by one which is its left half.
      var pixels = [UInt8](repeating: 0, count: 64)
      for y in 0..<8 { for x in 0..<4 { pixels[y * 8 + x] = 1 } }
      let truth = [
        DetectionTruth(
          boxes: Tensor([0, 0, 8, 8], shape: [1, 4]), labels: [2], masks: Tensor(bytes: pixels, shape: [1, 8, 8]))
      ]
      let sampled = SampledRegions(
        regions: Tensor([0, 0, 0, 8, 8, 0, 0, 0, 3, 8, 0, 1, 1, 2, 2], shape: [3, 5]), labels: [2, 2, 0],
        owners: [(0, 0), (0, 0)], deltas: nil)
      var logits = [Float](repeating: -9, count: 2 * 3 * 16)
      for place in 0..<16 {
        logits[32 + place] = place % 4 < 2 ? 30 : -30
        logits[48 + 32 + place] = 30
      }
      #expect(head.loss(Tensor(logits, shape: [2, 3, 4, 4]), sampled, truth).item < 1e-6)
      #expect(abs(head.loss(Tensor.zeros([2, 3, 4, 4]), sampled, truth).item - log(2)) < 1e-6)
    }
  }
}
