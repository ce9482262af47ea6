// Do attention and dropout of our own agree with their definitions, forward and backward?
import Foundation
import Testing

@testable import Workloads

/// Attention as the paper writes it, of libtorch's operations. Masks are −∞ where a key does not count.
private func reference(
  _ a: Tensor, memory: Tensor?, heads: Int, lengths: [Int]?, isCausal: Bool
) -> Tensor {
  let width = memory == nil ? a.size(2) / 3 : a.size(2)
  let (n, t) = (a.size(0), a.size(1))
  let source = memory ?? a.slice(2, width..<3 * width)
  let s = source.size(1)
  func split(_ x: Tensor) -> Tensor { x.reshaped([n, x.size(1), heads, width / heads]).transposed(1, 2) }
  let q = split(a.slice(2, 0..<width))
  let k = split(source.slice(2, 0..<width))
  let v = split(source.slice(2, width..<2 * width))
  var mask = [Float](repeating: 0, count: n * t * s)
  for row in 0..<n {
    for i in 0..<t {
      for j in 0..<s where j >= (lengths?[row] ?? s) || (isCausal && j > i + s - t) {
        mask[(row * t + i) * s + j] = -1e9
      }
    }
  }
  let scores = q.matmul(k.transposed()) * (1 / Double(width / heads).squareRoot())
  let weights = (scores + Tensor(mask, shape: [n, 1, t, s]).to(a.type)).softmax(-1)
  return weights.matmul(v).transposed(1, 2).reshaped([n, t, width])
}

/// Weighs the result unevenly, so that mistakes don't cancel.
private func weighed(_ y: Tensor) -> Tensor {
  (y * Tensor((0..<y.count).map { Float(($0 * 7 % 5) + 1) / 3 }, shape: y.shape).to(y.type)).sum()
}

private func difference(_ a: Tensor?, _ b: Tensor?) -> Double {
  guard let a, let b, a.shape == b.shape else { return .infinity }
  return (a.to(.float64) - b.to(.float64)).abs().max().item / max(b.abs().max().item, 1e-12)
}

extension Computing {
  @Suite struct AttentionTests {
    @Test(arguments: [
      (1, 1, 1, 4, 1, false), (2, 5, 5, 8, 2, false), (3, 7, 7, 48, 3, true), (2, 19, 19, 64, 4, true),
      (2, 4, 9, 24, 2, false), (1, 33, 40, 34, 1, false), (2, 6, 6, 96, 1, false),
    ])
    func agreesWithItsDefinition(n: Int, t: Int, s: Int, width: Int, heads: Int, isCausal: Bool) {
      Torch.seed(5)
      for isAlone in t == s ? [true, false] : [false] {
        for lengths in [nil, (0..<n).map { max(1, s - 2 * $0) }] {
          let a = Parameter(Tensor.randomNormal([n, t, (isAlone ? 3 : 1) * width]))
          let b = isAlone ? nil : Parameter(Tensor.randomNormal([n, s, 2 * width]))
          let y = a.attention(
            memory: b, heads: heads, lengths: lengths.map { Tensor(integers: $0, shape: [n]) }, isCausal: isCausal)
          weighed(y).backward()
          // In f64, so that the rest is our rounding.
          let a2 = Parameter(a.detached().to(.float64))
          let b2 = b.map { Parameter($0.detached().to(.float64)) }
          let expected = reference(a2, memory: b2, heads: heads, lengths: lengths, isCausal: isCausal)
          weighed(expected).backward()
          #expect(difference(y, expected) < 1e-5)
          #expect(difference(a.gradient, a2.gradient) < 2e-5)
          if b != nil { #expect(difference(b?.gradient, b2?.gradient) < 2e-5) }
        }
      }
    }

    @Test func gradientsAgreeWithDifferencesUnderDropout() {
      // The same seed drops the same weights, so that the function is smooth; along one direction at a time.
      let a = Tensor.randomNormal([2, 5, 24])
      func loss(_ x: Tensor) -> Tensor {
        Torch.seed(9)
        return weighed(x.attention(heads: 2, isCausal: true, dropout: 0.3).dropout(0.2, isTraining: true))
      }
      let variable = Parameter(a)
      loss(variable).backward()
      for _ in 0..<4 {
        let direction = Tensor.randomNormal(a.shape)
        let slope = variable.gradient.map { ($0 * direction).sum().item } ?? .nan
        let step = 1e-2
        let change = withoutGradients { loss(a + direction * step).item - loss(a - direction * step).item }
        #expect(abs(change / (2 * step) - slope) < 2e-2 * max(abs(slope), 1))
      }
    }

    @Test func slicesAreReadWhereTheyLie() {
      let wide = Tensor.randomNormal([2, 6, 40])
      let slice = wide.slice(2, 4..<28)
      #expect(
        difference(slice.attention(heads: 2), slice.contiguous().attention(heads: 2)) == 0)
    }

    @Test func nothingToLookAtGivesZeros() {
      let a = Parameter(Tensor.randomNormal([2, 3, 12]))
      let y = a.attention(heads: 1, lengths: Tensor(integers: [0, 3], shape: [2]))
      #expect(y.select(0, 0).abs().max().item == 0)
      weighed(y).backward()
      #expect(a.gradient?.select(0, 0).abs().max().item == 0)
    }

    @Test func dropoutDropsItsShareAndKeepsTheMean() throws {
      Torch.seed(3)
      let x = Parameter(Tensor.ones([200, 501]))
      let y = x.dropout(0.3, isTraining: true)
      let values = y.floats()
      let dropped = values.count { $0 == 0 }
      // Five standard deviations of 100 200 draws.
      #expect(abs(Double(dropped) / Double(values.count) - 0.3) < 0.0073)
      #expect(values.allSatisfy { $0 == 0 || abs($0 - 1 / 0.7) < 1e-6 })
      // Neighbours, in a row and in a column, are dropped independently.
      for distance in [1, 2, 501, 4096] {
        let both = (0..<values.count - distance).count { values[$0] == 0 && values[$0 + distance] == 0 }
        #expect(abs(Double(both) / Double(values.count - distance) - 0.09) < 0.006)
      }
      (y * 3).sum().backward()
      #expect(try #require(x.gradient).floats() == values.map { $0 == 0 ? 0 : 3 * $0 })
      Torch.seed(3)
      #expect(x.dropout(0.3, isTraining: true).floats() == values)
      #expect(x.dropout(0.3, isTraining: true).floats() != values)
      #expect(x.dropout(0.3, isTraining: false).floats() == x.floats())
    }

    @Test func decodingStepByStepIsDecodingAtOnce() {
      Torch.seed(4)
      var shape = TransformerShape(width: 16, heads: 2, hidden: 24, layers: 2)
      for normalization in [TransformerShape.Normalization.after, .before] {
        shape.normalization = normalization
        let decoder = TransformerDecoder(shape)
        decoder.train(false)
        let memory = Tensor.randomNormal([2, 5, 16])
        let lengths = Tensor(integers: [5, 3], shape: [2])
        let x = Tensor.randomNormal([2, 4, 16])
        withoutGradients {
          let whole = decoder(x, memory: memory, lengths: lengths)
          var cache = decoder.cache(memory: memory, lengths: lengths)
          for position in 0..<4 {
            let one = decoder.next(x.slice(1, position..<position + 1), &cache)
            #expect(difference(one, whole.slice(1, position..<position + 1)) < 1e-5)
          }
        }
      }
    }

    @Test func flopsAreThoseOfTheProducts() throws {
      try Trace.openPrivately()
      defer { Trace.close() }
      let a = Parameter(Tensor.randomNormal([3, 7, 16]))
      let b = Parameter(Tensor.randomNormal([3, 9, 32]))
      let start = Trace.sums
      let y = a.attention(memory: b, heads: 4)
      let middle = Trace.sums
      y.sum().backward()
      // Two products of 7 × 9 × 16 multiply-accumulates a sequence, and four backward.
      #expect((middle - start).counterFLOPs == Double(3 * 2 * 2 * 7 * 9 * 16))
      #expect((Trace.sums - middle).counterFLOPs == Double(3 * 4 * 2 * 7 * 9 * 16))
    }

    @Test func positionsAreWaves() {
      let table = SinusoidalPositions.table(6, 8)
      let values = table.floats()
      for (position, wave) in [(0, 0), (3, 1), (5, 3)] {
        let angle = Double(position) / Foundation.pow(10_000, Double(2 * wave) / 8)
        #expect(abs(Double(values[position * 8 + 2 * wave]) - Foundation.sin(angle)) < 1e-6)
        #expect(abs(Double(values[position * 8 + 2 * wave + 1]) - Foundation.cos(angle)) < 1e-6)
      }
      let halves = SinusoidalPositions.table(6, 8, .halves).floats()
      #expect(abs(Double(halves[5 * 8 + 3]) - Foundation.sin(5 / 10_000.0)) < 1e-6)
      #expect(abs(Double(halves[5 * 8 + 4]) - Foundation.cos(5.0)) < 1e-6)
    }
  }
}
