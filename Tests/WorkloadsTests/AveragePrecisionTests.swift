// Are VOC's and COCO's average precision those that one works out by hand?
import Testing

@testable import Workloads

@Suite struct AveragePrecisionTests {
  private func object(_ box: Box, _ label: Int = 1, isIgnored: Bool = false) -> ObjectAnnotation {
    ObjectAnnotation(box: box, label: label, isIgnored: isIgnored)
  }
  private func claim(_ image: Int, _ score: Float, _ box: Box, _ label: Int = 1) -> DetectedObject {
    DetectedObject(image: image, label: label, score: score, box: box)
  }
  private let square = Box(0, 0, 10, 10)
  private let other = Box(20, 20, 30, 30)

  @Test func rightWrongRight() {
    let truth = [[object(square), object(other)], [object(square)]]
    // Right, wrong (twice the same), right; the third object is missed.
    let claims = [claim(0, 0.9, square), claim(0, 0.8, square), claim(0, 0.7, Box(20, 20, 30, 29))]
    // Recalls 1/3, 1/3, 2/3; precisions 1, 1/2, 2/3. At 0 to 0.3 it is 1 (four points), at 0.4 to 0.6 2/3 (three).
    let voc = VOCAveragePrecision.average(claims, truth: truth, label: 1) ?? .nan
    #expect(abs(voc - 6.0 / 11) < 1e-12)
    let coco = COCOAveragePrecision(claims, truth: truth, classes: 1)
    // Of the 101 recalls 34 are up to 1/3 and 33 more up to 2/3.
    let at50 = (34.0 + 22) / 101
    #expect(abs(coco.at50 - at50) < 1e-12)
    // The box of IoU 0.9 counts up to the threshold of 0.9.
    let average = 0.9 * at50 + 0.1 * 34 / 101
    #expect(abs(coco.average - average) < 1e-12)
  }

  @Test func difficultObjectsAndCrowdsDoNotCount() {
    let truth = [[object(square), object(other, isIgnored: true)]]
    let claims = [claim(0, 0.9, other), claim(0, 0.8, Box(21, 21, 25, 25)), claim(0, 0.7, square)]
    // VOC: the first is ignored, the second overlaps the difficult one by 0.16 and is wrong, the third is right.
    #expect(VOCAveragePrecision.mean(claims, truth: truth, classes: 20) == 0.5)
    // COCO: a crowd takes any number of boxes that lie in it.
    #expect(COCOAveragePrecision(claims, truth: truth, classes: 80).average == 1)
    // A class with nothing to find has no average precision.
    #expect(VOCAveragePrecision.average(claims, truth: truth, label: 2) == nil)
    #expect(VOCAveragePrecision.mean([], truth: truth, classes: 1) == 0)
    #expect(COCOAveragePrecision([], truth: [[]], classes: 1).average.isNaN)
  }

  @Test func aBoxBelongsToTheObjectThatItOverlapsMost() {
    let truth = [[object(Box(0, 0, 10, 10)), object(Box(0, 0, 10, 8))]]
    // Both claims overlap the second object most. VOC calls the second one wrong; COCO gives it the first, free object.
    let claims = [claim(0, 0.9, Box(0, 0, 10, 8)), claim(0, 0.8, Box(0, 0, 10, 8.5))]
    let voc = VOCAveragePrecision.mean(claims, truth: truth, classes: 1)
    #expect(abs(voc - 6.0 / 11) < 1e-12)
    #expect(COCOAveragePrecision(claims, truth: truth, classes: 1).at50 == 1)
  }

  @Test func classesAreMeansAndTheBestHundredCount() {
    let truth = [[object(square, 1), object(other, 2)]]
    #expect(COCOAveragePrecision([claim(0, 0.5, square)], truth: truth, classes: 2).average == 0.5)
    #expect(VOCAveragePrecision.mean([claim(0, 0.5, square)], truth: truth, classes: 2) == 0.5)
    let many = (0..<100).map { _ in claim(0, 0.9, other, 1) } + [claim(0, 0.5, square)]
    #expect(COCOAveragePrecision(many, truth: truth, classes: 1).average == 0)
    #expect(COCOAveragePrecision(many, truth: truth, classes: 1, limit: 101).average > 0)
  }

  @Test func overlapsOfExactlyOneHalfAreRight() {
    let truth = [[object(square)]]
    let claims = [claim(0, 0.9, Box(0, 0, 10, 5))]
    #expect(VOCAveragePrecision.mean(claims, truth: truth, classes: 1) == 1)
    #expect(COCOAveragePrecision(claims, truth: truth, classes: 1).at50 == 1)
    #expect(COCOAveragePrecision(claims, truth: truth, classes: 1).average == 0.1)
  }

  @Test func masksAreComparedByTheirPixels() {
    // 8×8; the object is the left half, the claims three quarters and one quarter of it.
    func columns(_ range: Range<Int>) -> RunLengthMask {
      RunLengthMask(width: 8, height: 8) { x, _ in range.contains(x) }
    }
    var truth = object(Box(0, 0, 4, 8))
    truth.outline = .runs(columns(0..<4))
    var claims = [claim(0, 0.9, Box(0, 0, 3, 8)), claim(0, 0.8, Box(0, 0, 1, 8))]
    claims[0].mask = columns(0..<3)
    claims[1].mask = columns(3..<4)
    let quality = COCOAveragePrecision(
      claims, truth: [[truth]], sizes: [(8, 8)], classes: 1, overlap: .masks)
    // IoU 0.75: right at 0.50 to 0.75, six of ten thresholds.
    #expect(quality.at50 == 1 && quality.at75 == 1)
    #expect(abs(quality.average - 0.6) < 1e-12)
  }
}
