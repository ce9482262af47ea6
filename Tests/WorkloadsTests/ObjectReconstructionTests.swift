// Do perspective transformer nets have their published size, do silhouettes fall where they should, and is ShapeNet read?
import Foundation
import Testing

@testable import Workloads

private func parameters(_ model: Module, _ path: String) -> Int {
  model.namedParameters().filter { $0.path.hasPrefix(path + ".") }.reduce(0) { $0 + $1.parameter.count }
}

private func flops(_ model: PerspectiveTransformerNet, side: Int) throws -> Double {
  try Trace.openPrivately()
  defer { Trace.close() }
  let start = Trace.sums
  withoutGradients { _ = model(Tensor.random([1, 3, side, side])) }
  return (Trace.sums - start).counterFLOPs
}

extension Computing {
  @Suite struct PerspectiveProjectorTests {
    /// A volume with one full voxel.
    private func volume(_ side: Int, _ z: Int, _ y: Int, _ x: Int) -> Tensor {
      var values = [Float](repeating: 0, count: side * side * side)
      values[(z * side + y) * side + x] = 1
      return Tensor(values, shape: [1, 1, side, side, side])
    }

    /// The mean place of a silhouette, row and column.
    private func centre(_ silhouette: [Float], _ side: Int) -> (row: Double, column: Double) {
      var (row, column, sum) = (0.0, 0.0, 0.0)
      for (index, value) in silhouette.enumerated() {
        row += Double(index / side) * Double(value)
        column += Double(index % side) * Double(value)
        sum += Double(value)
      }
      return (row / sum, column / sum)
    }

    @Test func cameraLooksFromAbove() {
      // Azimuth 0: the camera stands at −y, 30° above the ground and √3 away; right is x.
      let camera = PerspectiveCamera(azimuth: 0)
      let distance = 0.866 + 0.866
      let eye = camera.point(depth: 0, up: 0, right: 0)
      #expect(abs(eye.x) < 1e-9 && abs(eye.y + distance * cos(.pi / 6)) < 1e-9)
      #expect(abs(eye.z - distance * sin(.pi / 6)) < 1e-9)
      let middle = camera.point(depth: distance, up: 0, right: 0)
      #expect(max(abs(middle.x), abs(middle.y), abs(middle.z)) < 1e-9)
      let right = camera.point(depth: distance, up: 0, right: 0.5)
      #expect(abs(right.x - 1) < 1e-9 && abs(right.y) < 1e-9 && abs(right.z) < 1e-9)
      #expect(camera.point(depth: distance, up: 0.1, right: 0).z > 0)
      // A quarter of a turn on, still as far away.
      let turned = PerspectiveCamera(azimuth: 90).point(depth: 0, up: 0, right: 0)
      #expect(abs(abs(turned.x) - distance * cos(.pi / 6)) < 1e-9 && abs(turned.y) < 1e-9)
    }

    @Test func silhouettesFallWhereTheyShould() {
      let side = 16
      let projector = PerspectiveProjector(side: side, views: 4)
      #expect(projector.grid.shape == [4, 16, 16, 16, 3])
      let full = Tensor.ones([1, 1, side, side, side])
      let all = projector(full, views: [0, 1, 2, 3])
      #expect(all.shape == [1, 4, side, side])
      // A full cube hides the middle from everywhere, and is the same from all four sides.
      let middle = side * side / 2 + side / 2
      let planes = (0..<4).map { all.select(0, 0).select(0, $0).reshaped([-1]).floats() }
      for plane in planes { #expect(abs(plane[middle] - 1) < 1e-5) }
      for plane in planes.dropFirst() { #expect(zip(plane, planes[0]).allSatisfy { abs($0 - $1) < 1e-4 }) }
      // Seen from −y: higher in space is higher in the picture, x to the right.
      let (high, low) = (volume(side, 11, 8, 8), volume(side, 4, 8, 8))
      let (left, right) = (volume(side, 8, 8, 4), volume(side, 8, 8, 11))
      func place(_ volume: Tensor, _ view: Int) -> (row: Double, column: Double) {
        centre(projector(volume, views: [view]).floats(), side)
      }
      #expect(place(high, 0).row < place(low, 0).row - 1)
      #expect(place(left, 0).column < place(right, 0).column - 1)
      // From the other side it is the other way round.
      #expect(place(left, 2).column > place(right, 2).column + 1)
    }

    @Test func gradientsAreThoseOfDifferences() {
      let projector = PerspectiveProjector(side: 4, views: 3)
      Torch.seed(4)
      let volume = Tensor.random([1, 1, 4, 4, 4])
      let weights = Tensor((0..<32).map { Float($0 * 7 % 5 + 1) }, shape: [1, 2, 4, 4]).to(.float64)
      #expect(gradientError(volume) { (projector($0, views: [0, 2]) * weights).sum() } < 1e-5)
    }
  }

  @Suite struct ObjectReconstructionTests {
    @Test func paperModelHasThePublishedParameters() throws {
      let model = PerspectiveTransformerNet(.paper)
      #expect(model.parameterCount == 48_198_369)
      let ledger = [
        ("conv1", 4864), ("conv2", 204_928), ("conv3", 819_456), ("fc1", 16_778_240), ("fc2", 1_049_600),
        ("id", 524_800), ("pose", 524_800), ("fc3", 16_809_984), ("deconv1", 8_388_864), ("deconv2", 3_072_096),
        ("deconv3", 20_737),
      ]
      for (part, count) in ledger { #expect(parameters(model, part) == count, "\(part)") }
      #expect(try flops(model, side: 64) == 4_679_139_328)
      let info = ObjectReconstruction.info.paper
      #expect(info.forwardFLOPs == 4_679_139_328 && info.parameters == 48_198_369)
      #expect(withoutGradients { model(Tensor.random([2, 3, 64, 64])).shape } == [2, 1, 32, 32, 32])
    }

    @Test func smallModelIsAsDescribed() throws {
      let model = PerspectiveTransformerNet(.small)
      let info = ObjectReconstruction.info.small
      #expect(model.parameterCount == 330_333 && info.parameters == 330_333)
      #expect(try flops(model, side: 32) == 12_267_520 && info.forwardFLOPs == 12_267_520)
    }

    @Test func lossIsTenTimesHalfTheSquaredError() {
      let projector = PerspectiveProjector(side: 8, views: 2)
      let (full, empty) = (Tensor.ones([2, 1, 8, 8, 8]), Tensor.zeros([2, 1, 8, 8, 8]))
      let silhouettes = projector(full, views: [0, 1, 1, 0])
      let loss = ObjectReconstruction.projectionLoss(empty, full, projector, views: [0, 1, 1, 0]).item
      #expect(abs(loss - 10 * silhouettes.square().sum().item / 2 / 4) < 1e-3 * loss)
      #expect(ObjectReconstruction.projectionLoss(full, full, projector, views: [0, 1, 1, 0]).item == 0)
    }

    @Test func learnsAndAnswers() throws {
      Torch.seed(1)
      let configuration = BenchmarkConfiguration(scale: .small, seed: 1, batchSize: 8, maximumEpochs: 1)
      let benchmark = try ObjectReconstruction(configuration)
      #expect(benchmark.dataDescription.hasPrefix("synthetic: "))
      let stage = try benchmark.stage("")
      let batch = try #require(try stage.loader.batches(epoch: 0, limit: 1).nextBatch()).tensors()
      let losses = try (0..<30).map { try stage.step(TrainingStep(batch, number: $0)) }
      #expect(losses.allSatisfy(\.isFinite) && losses[29] < 0.6 * losses[0])
      let task = try benchmark.inference()
      task.model.train(false)
      let query = try #require(try task.loader.batches(epoch: 0).nextBatch()).tensors()
      #expect(withoutGradients { task.answer(query).shape } == [8, 1, 16, 16, 16])
    }

    @Test func syntheticSolidsAreSeenWhereTheyAre() {
      let solids = SyntheticSolids(count: 8, views: 4, imageSide: 16, volumeSide: 16, seed: 1)
      let projector = PerspectiveProjector(side: 16, views: 4)
      for index in 0..<8 {
        let solid = solids.solid(index, view: index % 4)
        let filled = solid.volume.reduce(0, +)
        #expect((20...3000).contains(filled))
        // The picture is bright nearly where the silhouette is: edges and the corners of voxels apart.
        let silhouette = projector(
          Tensor(solid.volume, shape: [1, 1, 16, 16, 16]), views: [index % 4]
        ).floats()
        let wrong = zip(silhouette, solid.image).count { ($0 > 0.5) != ($1 > 0) }
        #expect(wrong < 40, "solid \(index): \(wrong) of 256")
        #expect(solids.solid(index, view: index % 4).image == solid.image)
      }
    }

    @Test func readsRecords() throws {
      let directory = try TemporaryDirectory()
      // View v is of brightness v / 24 everywhere; the volume has one full voxel.
      let image = (0..<24).flatMap { view in [Float](repeating: Float(view) / 24, count: 64 * 64 * 3) }
      var voxels = [Float](repeating: 0, count: 32 * 32 * 32)
      voxels[(20 * 32 + 11) * 32 + 6] = 1
      let mask = [Float](repeating: 1, count: 4)
      func record(_ image: [Float]) -> [UInt8] {
        RecordFixture.example([("image", .floats(image)), ("mask", .floats(mask)), ("vox", .floats(voxels))])
      }
      let file = RecordFixture.file([record(image)])
      try directory.write("03001627_train.tfrecords", file + file)
      try directory.write("03001627_val.tfrecords", file)
      let folder = try DataDirectory(directory.path)
      let train = try ShapeNetRecords(folder, split: .train, imageSide: 32, volumeSide: 16)
      #expect(train.count == 2)
      let solid = try train.solid(1, view: 12)
      #expect(solid.image.count == 3 * 32 * 32 && solid.image.allSatisfy { abs($0 - 0.5) < 1e-6 })
      #expect(solid.volume.enumerated().filter { $0.element == 1 }.map(\.offset) == [(10 * 16 + 5) * 16 + 3])
      let whole = try ShapeNetRecords(folder, split: .validation, imageSide: 64, volumeSide: 32).solid(0, view: 0)
      #expect(whole.volume == voxels && whole.image.count == 3 * 64 * 64)

      let configuration = BenchmarkConfiguration(
        scale: .small, seed: 1, batchSize: 2, dataDirectory: directory.path, maximumEpochs: 1)
      let benchmark = try ObjectReconstruction(configuration)
      #expect(benchmark.dataDescription.hasPrefix(directory.path))
      let stage = try benchmark.stage("")
      stage.model.train(false)
      #expect((0...1).contains(try withoutGradients { try stage.evaluate() }))

      try directory.write("03001627_val.tfrecords", RecordFixture.file([record([1, 2, 3])]))
      let broken = try ShapeNetRecords(folder, split: .validation, imageSide: 64, volumeSide: 32)
      expectDataError(mentions: ["03001627_val.tfrecords", "record 1", "3 values, expected 294912"]) {
        _ = try broken.solid(0, view: 0)
      }
    }

    @Test func readsFolders() throws {
      let directory = try TemporaryDirectory()
      // Sixteen voxels a side, the lower half of the height full: 8 of each run of 16.
      let runs = [[UInt8]](repeating: [1, 8, 0, 8], count: 256).flatMap { $0 }
      let binvox = Array("#binvox 1\ndim 16 16 16\ntranslate 0 0 0\nscale 1\ndata\n".utf8) + runs
      for model in 0..<5 {
        try directory.write("ShapeNetVox32/02691156/m\(model)/model.binvox", binvox)
        for view in 0..<12 {
          let shade = [UInt8](repeating: UInt8(10 * view), count: 3 * 20 * 20)
          let name = view < 10 ? "0\(view)" : "\(view)"
          try directory.write(
            "ShapeNetRendering/02691156/m\(model)/rendering/\(name).png", try Fixture.png(shade, 20, 20))
        }
      }
      let folder = try DataDirectory(directory.path)
      func solids(_ split: SolidSplit) throws -> ShapeNetFolders {
        try ShapeNetFolders(folder, split: split, imageSide: 32, volumeSide: 16)
      }
      #expect(try solids(.train).count == 4 && solids(.validation).count == 1 && solids(.train).views == 12)
      let solid = try solids(.validation).solid(0, view: 11)
      #expect(solid.image.allSatisfy { abs($0 - 110.0 / 255) < 1e-4 })
      // Height is the first dimension.
      #expect(solid.volume[..<2048].allSatisfy { $0 == 1 } && solid.volume[2048...].allSatisfy { $0 == 0 })

      expectDataError(mentions: ["model.binvox", "16³ voxels", "makes 32³"]) {
        _ = try ShapeNetFolders(folder, split: .train, imageSide: 64, volumeSide: 32).solid(0, view: 0)
      }
      try directory.write("ShapeNetVox32/02691156/m4/model.binvox", Array(binvox.dropLast(2)))
      expectDataError(mentions: ["m4/model.binvox", "ends after"]) { _ = try solids(.validation).solid(0, view: 0) }
      try directory.write("ShapeNetRendering/02691156/m4/rendering/00.png", [1, 2])
      expectDataError(mentions: ["m4/rendering/00.png"]) { _ = try solids(.validation).solid(0, view: 0) }
      let empty = try TemporaryDirectory()
      expectDataError(mentions: ["_train.tfrecords", "model.binvox"]) {
        _ = try ShapeNetFolders(try DataDirectory(empty.path), split: .train, imageSide: 32, volumeSide: 16)
      }
    }
  }
}
