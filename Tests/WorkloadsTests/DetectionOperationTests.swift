// Do region pooling and non-maximum suppression agree with their naive versions, and their gradients with differences?
import Foundation
import Testing

@testable import Workloads

/// Region pooling by its definition: every sample is the bilinear interpolation at its place.
private func naivePooling(
  _ values: [Double], channels: Int, height: Int, width: Int, region: [Double], size: Int, scale: Double,
  sampling: Int, isAligned: Bool
) -> [Double] {
  let offset = isAligned ? 0.5 : 0
  let (x1, y1) = (region[0] * scale - offset, region[1] * scale - offset)
  var (w, h) = (region[2] * scale - offset - x1, region[3] * scale - offset - y1)
  if !isAligned { (w, h) = (max(w, 1), max(h, 1)) }
  var result: [Double] = []
  for c in 0..<channels {
    func value(_ y: Double, _ x: Double) -> Double {
      if y < -1 || y > Double(height) || x < -1 || x > Double(width) { return 0 }
      let (y, x) = (min(max(y, 0), Double(height - 1)), min(max(x, 0), Double(width - 1)))
      let (i, j) = (Int(y), Int(x))
      let (fy, fx) = (y - Double(i), x - Double(j))
      func at(_ i: Int, _ j: Int) -> Double { values[(c * height + min(i, height - 1)) * width + min(j, width - 1)] }
      let upper = (1 - fx) * at(i, j) + fx * at(i, j + 1)
      let lower = (1 - fx) * at(i + 1, j) + fx * at(i + 1, j + 1)
      return (1 - fy) * upper + fy * lower
    }
    for i in 0..<size {
      for j in 0..<size {
        var sum = 0.0
        for si in 0..<sampling {
          for sj in 0..<sampling {
            let y = y1 + (Double(i) + (Double(si) + 0.5) / Double(sampling)) * h / Double(size)
            let x = x1 + (Double(j) + (Double(sj) + 0.5) / Double(sampling)) * w / Double(size)
            sum += value(y, x)
          }
        }
        result.append(sum / Double(sampling * sampling))
      }
    }
  }
  return result
}

extension Computing {
  @Suite struct DetectionOperations {
    private let regions: [[Double]] = [
      [0, 1, 2, 9, 10], [1, -3, -2, 4.5, 20], [1, 5, 5, 5.1, 5.1], [0, 13, 3, 30, 9], [1, 0, 0, 16, 12],
    ]

    @Test(arguments: [(false, 2, 3), (true, 2, 2), (false, 1, 2), (true, 3, 1)])
    func regionPoolingFollowsItsDefinition(isAligned: Bool, sampling: Int, size: Int) {
      Torch.seed(4)
      let x = Tensor.randomNormal([2, 3, 6, 8]).to(.float64)
      let boxes = Tensor(doubles: regions.flatMap { $0 }, shape: [5, 5])
      let y = x.roiAlign(boxes, size: Size2D(size), scale: 0.5, sampling: sampling, isAligned: isAligned)
      #expect(y.shape == [5, 3, size, size])
      let values = x.doubles()
      let expected = regions.flatMap { region in
        naivePooling(
          Array(values[Int(region[0]) * 144..<(Int(region[0]) + 1) * 144]), channels: 3, height: 6, width: 8,
          region: Array(region[1...]), size: size, scale: 0.5, sampling: sampling, isAligned: isAligned)
      }
      for (a, b) in zip(y.doubles(), expected) { #expect(abs(a - b) < 1e-12) }
      // The same in single precision, which runs on vectors.
      for (a, b) in zip(
        x.to(.float32).roiAlign(
          boxes.to(.float32), size: Size2D(size), scale: 0.5, sampling: sampling, isAligned: isAligned
        ).floats(), expected)
      { #expect(abs(Double(a) - b) < 1e-4) }
    }

    @Test(arguments: [false, true])
    func regionPoolingHasTheGradientOfDifferences(isAligned: Bool) {
      Torch.seed(5)
      let boxes = Tensor(doubles: regions.flatMap { $0 }, shape: [5, 5])
      let x = Parameter(Tensor.randomNormal([2, 3, 6, 8]).to(.float64))
      let weights = Tensor.randomNormal([5, 3, 2, 3]).to(.float64)
      func loss(_ x: Tensor) -> Tensor {
        (x.roiAlign(boxes, size: Size2D(2, 3), scale: 0.5, isAligned: isAligned) * weights).sum()
      }
      loss(x).backward()
      let gradient = x.gradient?.doubles() ?? []
      // Linear in the features: the gradient is the loss of each unit.
      var units = [Double](repeating: 0, count: 288)
      for place in stride(from: 0, to: 288, by: 7) {
        units[place] = 1
        let difference = withoutGradients { loss(Tensor(doubles: units, shape: [2, 3, 6, 8])).item }
        units[place] = 0
        #expect(abs(gradient[place] - difference) < 1e-12)
      }
      #expect(gradient.contains { $0 != 0 })
    }

    @Test func regionPoolingOfNothingIsEmpty() {
      let x = Parameter(Tensor.ones([1, 2, 4, 4]))
      let y = x.roiAlign(Tensor.zeros([0, 5]), size: 3, scale: 1)
      #expect(y.shape == [0, 2, 3, 3])
      y.sum().backward()
      #expect(x.gradient?.floats().allSatisfy { $0 == 0 } == true)
    }

    @Test func regionPoolingIsTracedOnce() throws {
      try Trace.openPrivately()
      defer { Trace.close() }
      let x = Parameter(Tensor.ones([1, 2, 4, 4]))
      let before = Trace.sums
      let y = x.roiAlign(Tensor([0, 0, 0, 4, 4], shape: [1, 5]), size: 2, scale: 1)
      // Eight values of four samples, each four products and sums. Multiplications count as Kiviat's own.
      #expect((Trace.sums - before).formulaFLOPs == 256)
      #expect((Trace.sums - before).counterFLOPs == 0)
      let middle = Trace.sums
      y.sum().backward()
      #expect((Trace.sums - middle).formulaFLOPs >= 256)
    }

    @Test func suppressionKeepsTheBest() {
      let boxes = Tensor(
        [0, 0, 10, 10, 0, 0, 10, 9, 0, 0, 10, 5, 20, 20, 30, 30, 21, 21, 30, 30, 0, 0, 10, 10], shape: [6, 4])
      let scores = Tensor([0.5, 0.9, 0.8, 0.3, 0.7, .nan], shape: [6])
      // IoU of the first with the second: 0.9; of the second with the third: 50/90; of the fourth with the fifth: 0.81.
      #expect(boxes.nonMaximumSuppression(scores: scores, threshold: 0.6).integers() == [1, 2, 4])
      #expect(boxes.nonMaximumSuppression(scores: scores, threshold: 0.5).integers() == [1, 4])
      #expect(boxes.nonMaximumSuppression(scores: scores, threshold: 0.95).integers() == [1, 2, 4, 0, 3])
      #expect(boxes.nonMaximumSuppression(scores: scores, threshold: 0.6, limit: 2).integers() == [1, 2])
      let groups = Tensor(integers: [1, 2, 2, 1, 2, 1], shape: [6])
      #expect(boxes.nonMaximumSuppression(scores: scores, groups: groups, threshold: 0.5).integers() == [1, 4, 0, 3])
      #expect(Tensor.zeros([0, 4]).nonMaximumSuppression(scores: Tensor.zeros([0]), threshold: 0.5).count == 0)
    }

    @Test func suppressionEqualsTheNaiveVersion() {
      var random = SeededRandom(9)
      let boxes = (0..<400).map { _ -> Box in
        let (x, y) = (Float(random.uniform(0...80)), Float(random.uniform(0...80)))
        return Box(x, y, x + Float(random.uniform(1...30)), y + Float(random.uniform(1...30)))
      }
      let scores = boxes.map { _ in Float(random.uniform()) }
      var kept: [Int] = []
      for index in boxes.indices.sorted(by: { scores[$0] > scores[$1] })
      where kept.allSatisfy({ boxes[$0].intersectionOverUnion(boxes[index]) <= 0.4 }) { kept.append(index) }
      let tensor = Tensor(boxes.flatMap(\.coordinates), shape: [400, 4])
      let result = tensor.nonMaximumSuppression(scores: Tensor(scores, shape: [400]), threshold: 0.4)
      #expect(result.integers() == kept)
    }

    @Test func boxesComeBackFromTheirCode() {
      let anchors = Tensor([0, 0, 16, 16, 10, 20, 40, 30], shape: [2, 4])
      let boxes = Tensor([2, 3, 12, 33, 5, 5, 50, 60], shape: [2, 4])
      for coder in [BoxCoder(), .regions] {
        let code = coder.encode(boxes, from: anchors)
        for (a, b) in zip(coder.decode(code, from: anchors).floats(), boxes.floats()) { #expect(abs(a - b) < 1e-3) }
      }
      // By hand: centre (7, 18) − (8, 8), by 16; sides 10 and 30 of 16.
      let code = BoxCoder().encode(boxes, from: anchors).floats()
      for (a, b) in zip(code.prefix(4), [-1.0 / 16, 10.0 / 16, log(10.0 / 16), log(30.0 / 16)]) {
        #expect(abs(Double(a) - b) < 1e-6)
      }
      // A side grows by no more than 62.5.
      let huge = BoxCoder().decode(Tensor([0, 0, 100, 100], shape: [1, 4]), from: anchors.slice(0, 0..<1)).floats()
      #expect(abs(huge[2] - huge[0] - 1000) < 0.1)
    }

    @Test func overlapsAreTheAreas() {
      let a = Tensor([0, 0, 10, 10, 0, 0, 5, 10], shape: [2, 4])
      let b = Tensor([5, 0, 15, 10, 20, 20, 30, 30, 0, 0, 10, 10], shape: [3, 4])
      let expected: [Float] = [50 / 150, 0, 1, 0, 0, 0.5]
      for (x, y) in zip(a.boxOverlaps(b).floats(), expected) { #expect(abs(x - y) < 1e-6) }
      #expect(Tensor([-5, 2, 30, 8], shape: [1, 4]).clippedBoxes(width: 20, height: 6).floats() == [0, 2, 20, 6])
    }

    @Test func anchorsAreTheFirstImplementations() {
      let generator = AnchorGenerator(stride: 16, base: 16, scales: [8, 16, 32], ratios: [0.5, 1, 2])
      // Widths and heights that its documentation prints (less 1, as it counts pixels): 184×96, 128×128, 88×176 …
      #expect(generator.sides.map(\.width) == [184, 368, 736, 128, 256, 512, 88, 176, 352])
      #expect(generator.sides.map(\.height) == [96, 192, 384, 128, 256, 512, 176, 352, 704])
      let anchors = generator.anchors(height: 38, width: 57)
      #expect(anchors.count == 19_494 * 4)
      // "-83 -39 100 56" there.
      #expect(Array(anchors.prefix(4)) == [-84, -40, 100, 56])
      #expect(Array(anchors[36..<40]) == [-68, -40, 116, 56])
    }

    @Test func pyramidLevelsGoBySize() {
      let pooling = PyramidPooling(stride: 4, maps: 4, canonical: 224)
      // k = 4 + log₂(√area / 224), from P2 to P5.
      #expect([16, 111, 112, 223, 224, 447, 448, 2000].map { pooling.level($0, $0) } == [0, 0, 1, 1, 2, 2, 3, 3])
      let maps = (0..<4).map { Tensor.full([1, 2, 64 >> $0, 64 >> $0], Double($0)) }
      let regions = Tensor(
        [0, 0, 0, 224, 224, 0, 0, 0, 20, 20, 0, 10, 10, 130, 130, 0, 0, 0, 50, 50], shape: [4, 5])
      #expect(pooling(maps, regions, size: 1).select(1, 0).reshaped([4]).floats() == [2, 0, 1, 0])
    }
  }
}
