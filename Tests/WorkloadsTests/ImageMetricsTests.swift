// Do the measures of images and faces follow their definitions?
import Foundation
import Testing

@testable import Workloads

struct ConfusionMatrixTests {
  @Test func measuresAreThoseOfTheDefinition() {
    // Two classes that occur, one that is only predicted, one that is neither; class 4 is void.
    var matrix = ConfusionMatrix(classCount: 4)
    matrix.add(truth: [0, 0, 0, 0], prediction: [0, 0, 0, 1])
    matrix.add(truth: [1, 1, 1, 4, 4, 1], prediction: [1, 2, 4, 1, 0, 1])
    // n: 0→0 3, 0→1 1, 1→1 2, 1→2 1, 1→void 1.
    #expect(abs(matrix.perPixelAccuracy - 5.0 / 8) < 1e-12)
    #expect(abs(matrix.perClassAccuracy - (3.0 / 4 + 2.0 / 4) / 2) < 1e-12)
    // Unions: class 0 4 + 3 − 3, class 1 4 + 3 − 2, class 2 0 + 1 − 0.
    #expect(abs(matrix.classIoU - (3.0 / 4 + 2.0 / 5 + 0) / 3) < 1e-12)
    #expect(ConfusionMatrix(classCount: 3).perClassAccuracy.isNaN)
  }

  @Test func paletteTakesTheNearestColour() {
    let palette = LabelPalette.cityscapes
    #expect(palette.colours.count == 27)
    let colours: [(UInt8, UInt8, UInt8)] = [(128, 64, 128), (120, 70, 130), (119, 11, 32), (2, 1, 0), (230, 150, 141)]
    let planes = [0, 1, 2].flatMap { channel in
      colours.map { Float([$0.0, $0.1, $0.2][channel]) / 127.5 - 1 }
    }
    // Road, road, bicycle, void, void.
    #expect(palette.classes(planes: planes[...]) == [0, 0, 18, 19, 19])
  }
}

extension Computing {
  @Suite struct SlicedWassersteinTests {
    @Test func agreesWithClosedForms() {
      // In one dimension a direction is ±1: the mean difference of sorted values, whatever their order.
      let line = SlicedWasserstein(dimensions: 1, directions: 5)
      #expect(abs(line(Tensor([3, 1, 2], shape: [3, 1]), Tensor([2, 5, 1], shape: [3, 1])) - 2.0 / 3) < 1e-6)
      // A shift by v moves every projection by v·θ.
      let plane = SlicedWasserstein(dimensions: 3, directions: 16, seed: 4)
      let points = Tensor([0, 1, 5, 2, 2, 2, -1, 4, 0, 7, 1, 3], shape: [4, 3])
      let shift: [Float] = [0.5, -2, 1]
      let theta = plane.directions.floats()
      let expected = (0..<16).reduce(0.0) { sum, direction in
        sum + abs((0..<3).reduce(0.0) { $0 + Double(shift[$1] * theta[$1 * 16 + direction]) })
      }
      #expect(abs(plane(points, points + Tensor(shift, shape: [1, 3])) - expected / 16) < 1e-5)
      #expect(plane(points, points) == 0)
      for direction in 0..<16 {
        let length = (0..<3).reduce(Float(0)) { $0 + theta[$1 * 16 + direction] * theta[$1 * 16 + direction] }
        #expect(abs(length - 1) < 1e-5)
      }
    }

    @Test func medianForgetsTheOldest() {
      var filter = MedianFilter(length: 3)
      #expect(filter.median.isNaN)
      for value in [9.0, 1, 5] { filter.add(value) }
      #expect(filter.median == 5)
      filter.add(2)
      #expect(filter.median == 2)
    }
  }
}

struct FaceVerificationTests {
  @Test func separableFoldsAreRight() {
    let folds = (0..<10).map { fold in
      FaceVerification.Fold(distances: [1 + Double(fold) / 100, 2, 8, 9], isSame: [true, true, false, false])
    }
    #expect(FaceVerification.accuracy(folds) == 1)
  }

  @Test func theThresholdComesFromTheOtherFolds() {
    // Each fold alone could be right, but the other one's threshold is wrong for half of its pairs.
    let folds = [
      FaceVerification.Fold(distances: [1, 2], isSame: [true, false]),
      FaceVerification.Fold(distances: [5, 9], isSame: [true, false]),
    ]
    // Fold 0 with 5.01 takes both for the same; fold 1 with 1.01 takes both for different.
    #expect(FaceVerification.accuracy(folds) == 0.5)
  }

  @Test func agreesWithANaiveVersion() {
    var random = SeededRandom(3)
    let folds = (0..<5).map { _ in
      let isSame = (0..<20).map { _ in random.chance(0.5) }
      return FaceVerification.Fold(
        distances: isSame.map { random.uniform($0 ? 0...14 : 6...20) }, isSame: isSame)
    }
    func accuracy(_ fold: FaceVerification.Fold, _ threshold: Double) -> Double {
      let right = zip(fold.distances, fold.isSame).count { ($0 < threshold) == $1 }
      return Double(right) / Double(fold.distances.count)
    }
    let naive = folds.indices.map { held -> Double in
      var (best, threshold) = (-1.0, 0.0)
      for step in 0...3000 {
        let candidate = Double(step) / 100
        let sum = folds.indices.filter { $0 != held }.reduce(0.0) { $0 + accuracy(folds[$1], candidate) * 20 }.rounded()
        if sum > best { (best, threshold) = (sum, candidate) }
      }
      return accuracy(folds[held], threshold)
    }
    #expect(abs(FaceVerification.accuracy(folds) - naive.reduce(0, +) / 5) < 1e-12)
  }

  @Test func whatIsNoNumberMatchesNothing() {
    let fold = FaceVerification.Fold(distances: [.nan, .nan], isSame: [true, true])
    #expect(FaceVerification.accuracy([fold, fold]) == 0)
    #expect(FaceVerification.accuracy([fold]).isNaN)
  }
}
