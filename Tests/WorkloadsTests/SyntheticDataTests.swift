// Are the stand-ins the same everywhere, and is there something in them to learn?
// The fingerprints come from Benchmarks/reference/synthetic.py, an implementation of its own.
import Foundation
import Testing

@testable import Workloads

struct SyntheticDataTests {
  @Test func shapesAreReproducible() {
    let source = SyntheticShapes(count: 20, side: 32, seed: 7)
    let images = (0..<20).map { source.image($0) }
    let again = (0..<20).reversed().map { source.image($0) }.reversed()
    #expect(zip(images, again).allSatisfy { $0.pixels == $1.pixels && $0.label == $1.label })
    #expect(Set(images.map { fingerprint($0.pixels) }).count == 20)
    #expect(fingerprint(images.flatMap(\.pixels)) == 16_431_980_691_609_121_632)
    #expect(SyntheticShapes(count: 20, side: 32, seed: 8).image(0).pixels != images[0].pixels)
  }

  @Test func networksSeeTheNormalizedImage() throws {
    let source = SyntheticShapes(count: 3, side: 8, seed: 7)
    var planes = [Float](repeating: 0, count: 3 * 64)
    var label: Int64 = -1
    try planes.withUnsafeMutableBufferPointer { label = try source.write(2, epoch: 3, into: $0) }
    let image = source.image(2)
    #expect(Int(label) == image.label)
    for (channel, mean, deviation) in [(0, 0.485, 0.229), (1, 0.456, 0.224), (2, 0.406, 0.225)] {
      let value = (Double(image.pixels[5 * 3 + channel]) / 255 - mean) / deviation
      #expect(abs(Double(planes[channel * 64 + 5]) - value) < 1e-5)
    }
  }

  @Test func shapeClassesAreDifferentAndOfSensibleSize() {
    var areas: [Double] = []
    var masks = Set<[Bool]>()
    for label in 0..<10 {
      var mask: [Bool] = []
      for pixel in 0..<(64 * 64) {
        let u = (Double(pixel % 64) - 31.5) / 32
        let v = (Double(pixel / 64) - 31.5) / 32
        mask.append(SyntheticShapes.contains(label, u, v))
      }
      masks.insert(mask)
      areas.append(Double(mask.count { $0 }) / (64 * 64) * 4)
    }
    #expect(masks.count == 10)
    // Closed forms: disc π, square 1.4², ring π·0.64, half disc π/2, diamond 2·0.55.
    for (label, area) in [(0, Double.pi), (1, 1.96), (4, Double.pi * 0.64), (7, Double.pi / 2), (8, 1.1)] {
      #expect(abs(areas[label] - area) < 0.08, "class \(label): \(areas[label])")
    }
  }

  @Test func glyphsAreReproducible() {
    let images = SyntheticGlyphs.images(count: 50, seed: 7)
    #expect(images.count == 50 && images.pixels.count == 50 * 784)
    #expect(fingerprint(images.pixels + images.labels) == 11_014_032_326_150_212_358)
    #expect(Set(images.labels) == Set(0...9))
    // The first images do not depend on how many are made.
    #expect(SyntheticGlyphs.images(count: 5, seed: 7).pixels == Array(images.pixels[..<(5 * 784)]))
  }

  @Test func feedbackIsReproducibleAndLearnable() {
    let kind = SyntheticFeedback.small
    let interactions = kind.interactions(seed: 7)
    #expect(interactions.userCount == 600 && interactions.itemCount == 400 && interactions.count == 600 * 21)
    #expect(
      fingerprint(interactions.items.flatMap { [UInt8($0 & 255), UInt8($0 >> 8)] }) == 14_051_539_722_190_051_487)
    #expect((0..<600).allSatisfy { Set(interactions.items(of: $0)).count == 21 })
  }

  @Test func largeFeedbackDrawsDifferentItems() {
    let kind = SyntheticFeedback(userCount: 40, itemCount: 1000, itemsPerUser: 21, candidates: 100)
    let interactions = kind.interactions(seed: 1)
    #expect((0..<40).allSatisfy { Set(interactions.items(of: $0)).count == 21 })
    #expect(Set(interactions.items).count > 300)
  }

  @Test func sequencesAreReproducibleAndFollowHabits() {
    let kind = SyntheticSequences.small
    let split = kind.split(seed: 7)
    #expect(split.userCount == 500 && split.itemCount == 241)
    #expect(fingerprint((split.train.items + split.test.items).map { UInt8($0) }) == 1_880_173_674_862_940_389)
    var followed: [[Int: [Int: Int]]] = Array(repeating: [:], count: 6)
    for user in 0..<500 {
      let visits = Array(split.train.items(of: user) + split.test.items(of: user))
      #expect(visits.count == 34 && Set(visits).count == 34 && visits.allSatisfy { (1...240).contains($0) })
      for (from, to) in zip(visits, visits.dropFirst()) {
        followed[user % 6][Int(from - 1) / 30, default: [:]][Int(to - 1) / 30, default: 0] += 1
      }
    }
    // In every group and cluster one successor has about 0.85 + 0.15 / 8 of the steps.
    for group in followed {
      for successors in group.values {
        let total = successors.values.reduce(0, +)
        let share = Double(successors.values.max() ?? 0) / Double(total)
        #expect(share > 0.75 && share < 0.95)
      }
    }
  }

  @Test func originsSayThatDataAreSynthetic() {
    #expect(SyntheticShapes(count: 2, side: 32, seed: 1).origin.hasPrefix("synthetic: "))
    #expect(SyntheticGlyphs.origin(count: 2, seed: 1).hasPrefix("synthetic: "))
    #expect(SyntheticFeedback.small.origin(seed: 1).hasPrefix("synthetic: "))
    #expect(SyntheticSequences.small.origin(seed: 1).hasPrefix("synthetic: "))
  }

  @Test func sentencesAreThoseOfTheReference() {
    func bytes(_ language: SyntheticLanguage) -> [UInt8] {
      let text = language.text(count: 100, seed: 7)
      return zip(text.source, text.target).flatMap { Array(($0 + "\n" + $1 + "\n").utf8) }
    }
    #expect(fingerprint(bytes(.small)) == 7_844_640_473_737_055_245)
    let forms = SyntheticLanguage(sourceWords: 2907, targetWords: 3145, length: 6...20)
    #expect(fingerprint(bytes(forms)) == 7_203_383_809_415_233_098)
    let documents = SyntheticGrammar.small.lines(documents: 20, seed: 7).flatMap { Array(($0 + "\n").utf8) }
    #expect(fingerprint(documents) == 16_609_272_591_121_468_220)
  }
}
