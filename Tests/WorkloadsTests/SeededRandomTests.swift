// Is the generator the published one, and are its functions what they claim to be?
import Foundation
import Testing

@testable import Workloads

struct SeededRandomTests {
  @Test func equalsTheReferenceImplementation() {
    // From the C program of Sebastiano Vigna (prng.di.unimi.it/splitmix64.c) with the state 1234567.
    var generator = SeededRandom(1_234_567)
    let expected: [UInt64] = [
      6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423, 4_593_380_528_125_082_431,
      16_408_922_859_458_223_821,
    ]
    #expect(expected.map { _ in generator.next() } == expected)
  }

  @Test func streamsDiffer() {
    var seen = Set<UInt64>()
    for seed in 0..<4 {
      for epoch in 0..<4 {
        for index in 0..<4 {
          var generator = SeededRandom(UInt64(seed), epoch, index)
          seen.insert(generator.next())
        }
      }
    }
    #expect(seen.count == 64)
  }

  @Test func boundedNumbersAreUniform() {
    var generator = SeededRandom(3)
    var counts = [Int](repeating: 0, count: 7)
    let draws = 70_000
    for _ in 0..<draws { counts[generator.integer(below: 7)] += 1 }
    // Chi-square with 6 degrees of freedom exceeds 22.5 once in a thousand.
    let expected = Double(draws) / 7
    let chiSquare = counts.reduce(0) { $0 + (Double($1) - expected) * (Double($1) - expected) / expected }
    #expect(chiSquare < 22.5)
    #expect((0..<100).allSatisfy { _ in generator.integer(below: 1) == 0 })
  }

  @Test func normalNumbersHaveTheRightMoments() {
    var generator = SeededRandom(4)
    let values = (0..<100_000).map { _ in generator.normal() }
    let mean = values.reduce(0, +) / Double(values.count)
    let variance = values.reduce(0) { $0 + $1 * $1 } / Double(values.count)
    #expect(abs(mean) < 4 / Double(values.count).squareRoot())
    #expect(abs(variance - 1) < 0.02)
    // A twelfth of the kurtosis of one uniform number (1.8 - 3) is missing: 3 - 0.1.
    let fourth = values.reduce(0) { $0 + $1 * $1 * $1 * $1 } / Double(values.count)
    #expect(abs(fourth - 2.9) < 0.1)
  }

  @Test func gumbelNumbersHaveTheRightMean() {
    var generator = SeededRandom(5)
    let mean = (0..<100_000).reduce(0) { sum, _ in sum + generator.gumbel() } / 100_000
    #expect(abs(mean - 0.5772156649) < 0.02)
  }

  @Test func shuffleKeepsTheElements() {
    var generator = SeededRandom(6)
    for count in [0, 1, 2, 3, 10, 1000] {
      let order = generator.permutation(count)
      #expect(order.sorted() == Array(0..<count))
    }
    // All six orders of three elements come up.
    #expect(Set((0..<200).map { _ in generator.permutation(3) }).count == 6)
  }

  @Test func elementaryFunctionsAgreeWithTheLibrary() {
    for step in 1...2000 {
      let x = Double(step) * 0.037
      #expect(abs(Reproducible.log(x) - Foundation.log(x)) <= 4e-15 * max(1, abs(Foundation.log(x))))
      let (sine, cosine) = Reproducible.sineCosine(x - 37)
      #expect(abs(sine - Foundation.sin(x - 37)) < 1e-13)
      #expect(abs(cosine - Foundation.cos(x - 37)) < 1e-13)
      let small = x / 74
      #expect(abs(Reproducible.exp(small) - Foundation.exp(small)) < 4e-15)
      #expect(abs(Reproducible.exp(-small) - Foundation.exp(-small)) < 4e-15)
    }
    #expect(Reproducible.log(0x1p-54).isFinite)
  }
}
