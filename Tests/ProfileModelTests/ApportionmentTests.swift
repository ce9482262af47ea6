// Do shares of whole numbers add up to them, and come near the exact ones?
import ProfileModel
import Testing

@Suite struct ApportionmentTests {
  @Test(
    arguments: [
      (10, [1, 1], [5, 5]), (10, [1, 2], [3, 7]), (1, [1, 1, 1], [0, 0, 1]), (0, [3, 4], [0, 0]),
      (7, [0, 5, 0], [0, 7, 0]),
      (7, [], []), (7, [0, 0], [0, 0]), (-7, [1, 2], [0, 0]), (8, [-5, 4], [0, 8]),
      (Int64.max, [Int64.max, Int64.max], [Int64.max / 2, Int64.max / 2 + 1]),
    ] as [(Int64, [Int64], [Int64])])
  func byHand(amount: Int64, weights: [Int64], parts: [Int64]) {
    #expect(Apportionment.split(amount, by: weights) == parts)
  }

  @Test func partsAddUpAndAreNearTheirShares() {
    var generator = SystemRandomNumberGenerator()
    for _ in 0..<2000 {
      let weights = (0..<Int.random(in: 1...20, using: &generator)).map { _ in
        Int64.random(in: 0...(Int64(1) << Int64.random(in: 0...50, using: &generator)), using: &generator)
      }
      let amount = Int64.random(in: 0...(Int64(1) << 55), using: &generator)
      let parts = Apportionment.split(amount, by: weights)
      let sum = weights.reduce(0, +)
      #expect(parts.reduce(0, +) == (sum > 0 ? amount : 0))
      for (part, weight) in zip(parts, weights) where sum > 0 {
        let exact = Double(amount) * Double(weight) / Double(sum)
        #expect(abs(Double(part) - exact) <= 1 + exact * 1e-12)
        if amount <= sum { #expect(part <= weight) }
      }
    }
  }

  @Test func weightsBeyondAllMeasure() {
    let parts = Apportionment.split(1000, by: [Int64.max, .max, .max, 0])
    #expect(parts.reduce(0, +) == 1000 && parts.allSatisfy { (0...334).contains($0) })
  }
}
