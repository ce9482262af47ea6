// Do recurrent layers compute the published equations, and do the gradients of the operations added for them and for
// volumes, sequences and sampling agree with finite differences?
import Foundation
import Testing

@testable import Workloads

private func sigmoid(_ x: Double) -> Double { 1 / (1 + exp(-x)) }

/// w x + b for a matrix in rows.
private func affine(_ w: [Double], _ x: [Double], _ b: [Double]) -> [Double] {
  var y = b
  for row in b.indices {
    for column in x.indices { y[row] += w[row * x.count + column] * x[column] }
  }
  return y
}

private func sumOfSquares(_ x: Tensor) -> Tensor { (x * x).sum() }

extension Computing {
  @Suite struct RecurrentLayers {
    @Test func lstmFollowsItsEquations() {
      Torch.seed(3)
      let layer = LSTM(2, 3)
      let x = Tensor.randomNormal([1, 4, 2])
      let names = layer.namedParameters().map(\.path)
      #expect(names == ["weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0"])
      let p = layer.namedParameters().map { $0.parameter.doubles() }
      let inputs = x.doubles()
      var (h, c) = ([Double](repeating: 0, count: 3), [Double](repeating: 0, count: 3))
      var expected: [Double] = []
      for t in 0..<4 {
        let gates = zip(affine(p[0], Array(inputs[(2 * t)..<(2 * t + 2)]), p[2]), affine(p[1], h, p[3])).map(+)
        for j in 0..<3 {
          c[j] = sigmoid(gates[3 + j]) * c[j] + sigmoid(gates[j]) * tanh(gates[6 + j])
          h[j] = sigmoid(gates[9 + j]) * tanh(c[j])
        }
        expected += h
      }
      let (output, state) = layer(x, nil)
      #expect(output.shape == [1, 4, 3])
      for (a, b) in zip(output.doubles(), expected) { #expect(abs(a - b) < 1e-6) }
      for (a, b) in zip(state.c.doubles(), c) { #expect(abs(a - b) < 1e-6) }
      // The cell, given the same weights, makes the same steps.
      let cell = LSTMCell(2, 3)
      for (mine, theirs) in zip(cell.parameters(), layer.parameters()) {
        withoutGradients { mine.copy(from: theirs) }
      }
      var s: LSTMCell.State = (Tensor.zeros([1, 3]), Tensor.zeros([1, 3]))
      for t in 0..<4 { s = cell(x.select(1, t), s) }
      #expect((s.h - output.select(1, 3)).abs().max().item < 1e-6)
    }

    @Test func gruFollowsItsEquationsInBothDirections() {
      Torch.seed(4)
      let layer = GRU(2, 2, isBidirectional: true)
      let x = Tensor.randomNormal([1, 3, 2])
      let p = layer.namedParameters().map { $0.parameter.doubles() }
      #expect(layer.namedParameters().map(\.path).last == "bias_hh_l0_reverse")
      let inputs = x.doubles()
      var expected = [Double](repeating: 0, count: 12)
      for direction in 0..<2 {
        let q = Array(p[(4 * direction)..<(4 * direction + 4)])
        var h = [0.0, 0.0]
        for t in direction == 0 ? [0, 1, 2] : [2, 1, 0] {
          let a = affine(q[0], Array(inputs[(2 * t)..<(2 * t + 2)]), q[2])
          let b = affine(q[1], h, q[3])
          for j in 0..<2 {
            let (r, z) = (sigmoid(a[j] + b[j]), sigmoid(a[2 + j] + b[2 + j]))
            h[j] = (1 - z) * tanh(a[4 + j] + r * b[4 + j]) + z * h[j]
          }
          for j in 0..<2 { expected[4 * t + 2 * direction + j] = h[j] }
        }
      }
      for (a, b) in zip(layer(x).doubles(), expected) { #expect(abs(a - b) < 1e-6) }
    }

    @Test func gradientsThroughTimeAgreeWithDifferences() {
      Torch.seed(5)
      let lstm = LSTM(2, 2, layers: 2, isBidirectional: true)
      let x = Tensor.randomNormal([1, 3, 2])
      // The weights are in single precision, and so is the tolerance.
      let parameter = Parameter(x)
      sumOfSquares(lstm(parameter)).backward()
      let exact = parameter.gradient?.doubles() ?? []
      for index in exact.indices {
        var (up, down) = (x.floats(), x.floats())
        up[index] += 1e-2
        down[index] -= 1e-2
        let difference = withoutGradients {
          (sumOfSquares(lstm(Tensor(up, shape: [1, 3, 2]))).item
            - sumOfSquares(lstm(Tensor(down, shape: [1, 3, 2]))).item)
            / 2e-2
        }
        #expect(abs(difference - exact[index]) < 2e-3 * max(1, abs(difference)))
      }
    }
  }

  @Suite struct VolumesSequencesAndSampling {
    @Test func gradientsAgreeWithDifferences() {
      Torch.seed(6)
      let volume = Tensor.randomNormal([1, 2, 3, 3, 3])
      let weight = Tensor.randomNormal([2, 2, 2, 2, 2]).to(.float64)
      #expect(gradientError(volume) { sumOfSquares($0.conv3d(weight, stride: 1, padding: 1)) } < 1e-6)
      #expect(gradientError(volume) { sumOfSquares($0.convTranspose3d(weight, stride: 2)) } < 1e-6)
      let grid = (Tensor.random([1, 2, 2, 2, 3]) * 1.4 - 0.7).to(.float64)
      #expect(gradientError(volume) { sumOfSquares($0.gridSample(grid)) } < 1e-6)
      let image = Tensor.randomNormal([2, 4, 3, 3])
      #expect(gradientError(image) { weighed($0.instanceNorm()) } < 1e-5)
      #expect(gradientError(image) { weighed($0.groupNorm(2, weight: nil, bias: nil)) } < 1e-5)
      #expect(gradientError(image) { weighed($0.pixelShuffled(2)) } < 1e-6)
      #expect(gradientError(image) { weighed($0.reflectionPadded(left: 1, right: 2, top: 0, bottom: 1)) } < 1e-6)
      #expect(gradientError(image) { weighed($0.upsampledBilinear(Size2D(5, 4))) } < 1e-6)
      #expect(gradientError(image) { weighed($0.upsampledNearest(6)) } < 1e-6)
      #expect(gradientError(image) { weighed($0.logSumExp(1)) } < 1e-6)
      #expect(gradientError(image) { weighed($0.norm([1], keep: true)) } < 1e-6)
      let target = Tensor.zeros([2, 4, 3, 3], type: .float64)
      #expect(gradientError(image) { $0.smoothL1(target, beta: 0.5) } < 1e-6)
      #expect(gradientError(image) { $0.absoluteError(target) } < 1e-6)
      let labels = Tensor(integers: [1, 2, 2, 0], shape: [2, 2])
      #expect(
        gradientError(Tensor.randomNormal([5, 2, 3])) {
          $0.logSoftmax(2).ctcLoss(labels, inputLengths: [5, 4], targetLengths: [2, 1])
        } < 1e-5)
      let rows = Tensor(integers: [0, 2, 1, 1], shape: [4])
      #expect(
        gradientError(Tensor.randomNormal([3, 2])) {
          weighed($0.embeddingBag(rows, offsets: Tensor(integers: [0, 3], shape: [2])))
        } < 1e-6)
      let (a, b) = (Tensor.randomNormal([2, 3, 2]).to(.float64), Tensor.randomNormal([2, 2, 2]).to(.float64))
      #expect(
        gradientError(Tensor.randomNormal([2, 3, 2])) { weighed($0.baddbmm(a, b, scale: 0.5, productScale: 2)) } < 1e-6)
    }

    /// Weights that tell the elements apart, so that a permuted gradient shows.
    private func weighed(_ x: Tensor) -> Tensor {
      let weights = Tensor(doubles: (0..<x.count).map { cos(Double($0)) }, shape: x.shape)
      return (x * weights).sum()
    }

    @Test func ctcIsTheSumOverAlignments() {
      // Two frames, labels a, b: of the alignments of "a" are aa, a-, -a.
      let logits = Tensor([0.1, 0.7, -0.3, 0.4, -0.2, 0.9], shape: [2, 1, 3])
      let p = logits.softmax(2).doubles()
      let sum = p[1] * p[4] + p[1] * p[3] + p[0] * p[4]
      let loss = logits.logSoftmax(2).ctcLoss(
        Tensor(integers: [1], shape: [1, 1]), inputLengths: [2], targetLengths: [1], reduction: .sum)
      #expect(abs(loss.item + log(sum)) < 1e-6)
      // Two equal labels need a blank between them: three frames.
      let impossible = logits.logSoftmax(2).ctcLoss(
        Tensor(integers: [1, 1], shape: [1, 2]), inputLengths: [2], targetLengths: [2], reduction: .sum,
        zeroInfinity: true)
      #expect(impossible.item == 0)
    }

    @Test func selectionsAreThoseOfTheDefinition() {
      let x = Tensor([0, 2, 0, 3], shape: [2, 2])
      #expect(x.nonzero().integers() == [0, 1, 1, 1])
      #expect(x.multinomial(2).integers() == [1, 1, 1, 1])
      #expect(x.repeated([1, 2]).floats() == [0, 2, 0, 2, 0, 3, 0, 3])
      #expect(Tensor.ones([3, 3]).lowerTriangle().sum().item == 6)
      #expect(Tensor([1, 2, 3, 4], shape: [1, 4, 1, 1]).pixelShuffled(2).floats() == [1, 2, 3, 4])
      let padded = Tensor([1, 2, 3], shape: [1, 1, 1, 3]).reflectionPadded(left: 2, right: 1, top: 0, bottom: 0)
      #expect(padded.floats() == [3, 2, 1, 2, 3, 2])
    }
  }
}
