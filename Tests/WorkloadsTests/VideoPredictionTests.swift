// Does CDNA have its published size, does it learn, and does it read robot pushing?
import Foundation
import Testing

@testable import Workloads

/// Parameters of parts of a model, below each of the paths.
private func parameters(_ model: Module, _ paths: String...) -> Int {
  paths.reduce(0) { sum, path in
    sum + model.namedParameters().filter { $0.path.hasPrefix(path + ".") }.reduce(0) { $0 + $1.parameter.count }
  }
}

/// FLOPs by flop_counter's rules.
private func flops(_ body: () throws -> Void) throws -> Double {
  try Trace.openPrivately()
  defer { Trace.close() }
  let start = Trace.sums
  try withoutGradients { try body() }
  return (Trace.sums - start).counterFLOPs
}

extension Computing {
  @Suite struct ConvLSTMTests {
    @Test func cellFollowsItsEquations() {
      Torch.seed(1)
      // One place, so that convolutions are products.
      let cell = ConvLSTMCell(2, 3, kernel: 1)
      let x = Tensor([0.5, -1, 2, 0.25], shape: [2, 2, 1, 1])
      let first = cell(x, nil)
      let second = cell(x, first)
      let (weights, bias) = (cell.input.weight.doubles(), cell.input.bias?.doubles() ?? [])
      #expect(Array(bias[3..<6]) == [1, 1, 1] && bias.reduce(0, +) == 3)
      func sigmoid(_ x: Double) -> Double { 1 / (1 + exp(-x)) }
      for sample in 0..<2 {
        var (h, c) = ([0.0, 0, 0], [0.0, 0, 0])
        for _ in 0..<2 {
          let input = Array(x.doubles()[2 * sample..<2 * sample + 2]) + h
          var gates: [Double] = []
          for row in 0..<12 {
            var sum: Double = bias[row]
            for column in 0..<5 { sum += weights[5 * row + column] * input[column] }
            gates.append(sum)
          }
          for unit in 0..<3 {
            c[unit] =
              sigmoid(gates[3 + unit]) * c[unit] + sigmoid(gates[unit]) * tanh(gates[6 + unit])
            h[unit] = sigmoid(gates[9 + unit]) * tanh(c[unit])
          }
        }
        for unit in 0..<3 {
          #expect(abs(second.hidden.doubles()[3 * sample + unit] - h[unit]) < 1e-6)
          #expect(abs(second.cell.doubles()[3 * sample + unit] - c[unit]) < 1e-6)
        }
      }
    }

    @Test func twoConvolutionsEqualOneOverBoth() {
      Torch.seed(2)
      let separate = ConvLSTMCell(2, 4, kernel: 3, stride: 1, hiddenKernel: 3)
      let joint = ConvLSTMCell(2, 4, kernel: 3)
      if let hidden = separate.hidden, let bias = joint.input.bias {
        joint.input.weight.detached().copy(
          from: Tensor.concatenated([separate.input.weight.detached(), hidden.weight.detached()], dimension: 1))
        bias.detached().fill(0)
      }
      let x = Tensor.randomNormal([2, 2, 5, 6])
      let a = separate(x, separate(x, nil)).hidden
      let b = joint(x, joint(x, nil)).hidden
      #expect((a - b).abs().max().item < 1e-6)
      #expect(ConvLSTMCell(2, 4, kernel: 3, stride: 2, hiddenKernel: 1)(x, nil).cell.shape == [2, 4, 3, 3])
    }

    @Test func gradientsAreThoseOfDifferences() {
      Torch.seed(3)
      let cell = ConvLSTMCell(1, 2, kernel: 3)
      let x = Tensor.randomNormal([1, 1, 3, 3])
      func loss() -> Tensor { cell(x, cell(x, nil)).hidden.square().sum() }
      loss().backward()
      let gradient = cell.input.weight.gradient?.doubles() ?? []
      let largest = gradient.map(abs).max() ?? 0
      let flat = cell.input.weight.detached().view([-1])
      for place in stride(from: 0, to: gradient.count, by: 17) {
        let value = flat.select(0, place).item
        func lossAt(_ changed: Double) -> Double {
          flat.slice(0, place..<place + 1).fill(changed)
          return withoutGradients { loss().item }
        }
        let difference = (lossAt(value + 0.01) - lossAt(value - 0.01)) / 0.02
        flat.slice(0, place..<place + 1).fill(value)
        #expect(abs(difference - gradient[place]) < 2e-3 * largest)
      }
    }
  }

  @Suite struct VideoPredictionTests {
    @Test func paperModelHasThePublishedParameters() throws {
      let model = MotionPredictor(.paper, stateWidth: 5)
      #expect(model.parameterCount == 8_312_063)
      #expect(model.parameterCount == VideoPrediction.info.paper.parameters)
      // By hand: 25 (inputs + width) 4 width + 4 width for each cell.
      let cells = [204_928, 204_928, 614_656, 819_456, 2_458_112, 1_229_056, 409_728]
      for (index, count) in cells.enumerated() { #expect(parameters(model, "state\(index + 1)") == count) }
      #expect(parameters(model, "cdna_params") == 2_048_250)
      #expect(parameters(model, "scale1_conv1", "conv2", "conv3", "conv4") == 2432 + 9248 + 36_928 + 4800)
      #expect(parameters(model, "convt1", "convt2", "convt3", "convt4", "convt7") == 147_584 + 83_040 + 36_928 + 910)
      #expect(parameters(model, "state_pred") == 55)
      // One frame of the nine; Benchmarks/reference/recurrent_vision.py counts all.
      var memory = MotionPredictor.Memory()
      let count = try flops {
        _ = model.next(
          Tensor.random([1, 3, 64, 64]), state: Tensor.zeros([1, 5]), action: Tensor.zeros([1, 5]), &memory)
      }
      #expect(count * 9 == 31_723_389_828)
      #expect(VideoPrediction.info.paper.forwardFLOPs == 31_723_389_828)
      #expect(memory.cells[0]?.hidden.shape == [1, 32, 32, 32])
      #expect(memory.cells[3]?.hidden.shape == [1, 64, 16, 16])
      #expect(memory.cells[4]?.hidden.shape == [1, 128, 8, 8])
    }

    @Test func smallModelIsAsDescribed() throws {
      let model = MotionPredictor(.small, stateWidth: 2)
      let info = VideoPrediction.info.small
      #expect(model.parameterCount == 206_374 && info.parameters == 206_374)
      let count = try flops {
        _ = model.predict(
          images: Tensor.random([1, 6, 3, 32, 32]), states: Tensor.zeros([1, 6, 2]), actions: Tensor.zeros([1, 6, 2]))
      }
      #expect(count == 112_281_680 && info.forwardFLOPs == 112_281_680)
    }

    @Test func kernelsMoveEachSampleItsOwnWay() {
      var shape = MotionPredictor.Shape.small
      shape.motions = 2
      let model = MotionPredictor(shape, stateWidth: 2)
      // A single place in each kernel: sample 0 stays and goes right, sample 1 goes up and down.
      var parameters = [Float](repeating: -1, count: 2 * 2 * 25)
      for (kernel, place) in [12, 11, 12 + 5, 12 - 5].enumerated() { parameters[kernel * 25 + place] = 3 }
      var image = [Float](repeating: 0, count: 2 * 3 * 64)
      for sample in 0..<2 { for colour in 0..<3 { image[(sample * 3 + colour) * 64 + 3 * 8 + 4] = Float(colour + 1) } }
      let moved = model.moved(
        Tensor(image, shape: [2, 3, 8, 8]), by: Tensor(parameters, shape: [2, 50]))
      #expect(moved.shape == [2, 2, 3, 8, 8])
      let values = moved.floats()
      for (number, place) in [3 * 8 + 4, 3 * 8 + 5, 2 * 8 + 4, 4 * 8 + 4].enumerated() {
        for colour in 0..<3 {
          let plane = values[(number * 3 + colour) * 64..<(number * 3 + colour + 1) * 64]
          #expect(abs(plane[plane.startIndex + place] - Float(colour + 1)) < 1e-5)
          #expect(abs(plane.reduce(0, +) - Float(colour + 1)) < 1e-4)
        }
      }
    }

    @Test func scheduledSamplingGivesUpTheTruth() {
      let model = MotionPredictor(.small, stateWidth: 2)
      // n k / (k + e^(step / k)) with k = 60: 16 · 60/61; half of it where e^(step / k) = k.
      #expect(model.truths(step: 0, samples: 16) == 16)
      #expect(model.truths(step: 246, samples: 16) == 8)
      #expect(model.truths(step: 10_000, samples: 16) == 0)
    }

    @Test func learnsAndAnswers() throws {
      Torch.seed(1)
      let configuration = BenchmarkConfiguration(scale: .small, seed: 1, batchSize: 4, maximumEpochs: 1)
      let benchmark = try VideoPrediction(configuration)
      #expect(benchmark.dataDescription.hasPrefix("synthetic: "))
      let stage = try benchmark.stage("")
      stage.model.train()
      // The same four videos again and again.
      let batch = try #require(try stage.loader.batches(epoch: 0, limit: 1).nextBatch()).tensors()
      let losses = try (0..<12).map { try stage.step(TrainingStep(batch, number: $0)) }
      #expect(losses.allSatisfy(\.isFinite) && losses[11] < 0.7 * losses[0])
      let task = try benchmark.inference()
      task.model.train(false)
      let query = try #require(try task.loader.batches(epoch: 0).nextBatch()).tensors()
      #expect(withoutGradients { task.answer(query).shape } == [4, 5, 3, 32, 32])
      #expect(withoutGradients { task.answer(query).min().item } >= 0)
    }

    @Test func errorsAgreeInAllConventions() {
      let errors = VideoPrediction.Errors(mean: 0.00586, peakSignalToNoise: 22.3, meanOfCopy: 0, side: 64)
      // The report's 72, if it is a sum over 64×64×3; 0.00586 · 65025 = 381; a third of 72.
      #expect(abs(errors.summed - 72) < 0.01 && abs(errors.bytes - 381.05) < 0.01 && abs(errors.summedGrey - 24) < 0.01)
    }

    @Test func syntheticArmFollowsItsActions() {
      let videos = SyntheticPushing(count: 4, frames: 6, side: 16, stateWidth: 5, seed: 3)
      let video = videos.video(2)
      #expect(video.images.count == 6 * 3 * 256 && video.states.count == 30)
      for frame in 0..<5 {
        for axis in 0..<2 {
          let next = video.states[5 * frame + axis] + video.actions[5 * frame + axis]
          #expect(abs(video.states[5 * (frame + 1) + axis] - next) < 1e-6)
        }
      }
      #expect(video.images.allSatisfy { (0...1).contains($0) })
      #expect(videos.video(2).images == video.images && videos.video(1).images != video.images)
    }

    /// A record of ten frames whose grey rises, with a black edge left and right that the crop leaves out.
    private func record(frames: Int = 10) throws -> [UInt8] {
      let (width, height) = (640, 512)
      let features = try (0..<frames).flatMap { frame -> [(String, RecordFixture.Feature)] in
        var pixels = [UInt8](repeating: UInt8(20 * frame + 20), count: 3 * width * height)
        for row in 0..<height { for x in 0..<3 * 60 { pixels[row * 3 * width + x] = 0 } }
        return [
          ("move/\(frame)/image/encoded", .bytes(try Fixture.jpeg(pixels, width, height))),
          ("move/\(frame)/commanded_pose/vec_pitch_yaw", .floats([1, 2, 3, 4, Float(frame)])),
          ("move/\(frame)/endeffector/vec_pitch_yaw", .floats([5, 6, 7, 8, Float(-frame)])),
        ]
      }
      return RecordFixture.example(features)
    }

    @Test func readsRobotPushing() throws {
      let directory = try TemporaryDirectory()
      let file = RecordFixture.file([try record()])
      try directory.write("push/push_train/push_train.tfrecord-00000-of-00002", file + file)
      try directory.write("push/push_train/push_train.tfrecord-00001-of-00002", file)
      try directory.write("push/push_testnovel/push_testnovel.tfrecord-00000-of-00001", file)
      let train = try RobotPushing(directory: directory.path, split: .train, frames: 10, side: 16)
      #expect(train.count == 3)
      let video = try train.video(2)
      for frame in 0..<10 {
        let values = video.images[frame * 768..<(frame + 1) * 768]
        let grey = Float(20 * frame + 20) / 255
        #expect(values.allSatisfy { abs($0 - grey) < 0.01 }, "frame \(frame)")
      }
      #expect(Array(video.actions.suffix(5)) == [1, 2, 3, 4, 9] && Array(video.states.suffix(5)) == [5, 6, 7, 8, -9])

      let configuration = BenchmarkConfiguration(
        scale: .small, seed: 1, batchSize: 3, dataDirectory: directory.path, maximumEpochs: 1)
      let benchmark = try VideoPrediction(configuration)
      #expect(benchmark.dataDescription.hasPrefix(directory.path))
      let stage = try benchmark.stage("")
      let batch = try #require(try stage.loader.batches(epoch: 0).nextBatch()).tensors()
      #expect(batch.inputs.map(\.shape) == [[3, 6, 3, 32, 32], [3, 6, 5], [3, 6, 5]])
      #expect(try stage.step(TrainingStep(batch)).isFinite)
      stage.model.train(false)
      #expect(try withoutGradients { try stage.evaluate() }.isFinite)
    }

    @Test func wrongDataAreNamed() throws {
      let directory = try TemporaryDirectory()
      func open() throws { _ = try RobotPushing(directory: directory.path, split: .train, frames: 10, side: 16) }
      expectDataError(mentions: ["push_train", "found nothing"]) { try open() }
      let short = RecordFixture.file([try record(frames: 3)])
      try directory.write("push_train/a.tfrecord", short)
      try directory.write("push_testseen/a.tfrecord", short)
      let videos = try RobotPushing(directory: directory.path, split: .train, frames: 10, side: 16)
      expectDataError(mentions: ["a.tfrecord", "record 1", "move/3/image/encoded"]) { _ = try videos.video(0) }
      let noImage = RecordFixture.example([("move/0/image/encoded", .bytes([1, 2, 3]))])
      try directory.write("push_train/a.tfrecord", RecordFixture.file([noImage]))
      let broken = try RobotPushing(directory: directory.path, split: .train, frames: 1, side: 16)
      expectDataError(mentions: ["a.tfrecord, record 1, move/0/image/encoded", "neither like a JPEG"]) {
        _ = try broken.video(0)
      }
      try directory.write("push_train/a.tfrecord", [])
      expectDataError(mentions: ["a.tfrecord", "at least one record"]) { try open() }
    }
  }
}
