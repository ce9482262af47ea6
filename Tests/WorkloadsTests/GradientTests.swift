// Do the layers' gradients agree with finite differences, and their shapes and values with naive versions?
import Foundation
import Testing

@testable import Workloads

/// The largest difference between libtorch's gradient and central differences, relative to the largest gradient.
/// In f64, because differences of f32 losses drown in rounding.
func gradientError(_ x: Tensor, _ loss: (Tensor) -> Tensor) -> Double {
  let variable = Parameter(x.to(.float64))
  loss(variable).backward()
  guard let gradient = variable.gradient?.doubles() else { return .infinity }
  let values = variable.doubles()
  let step = 1e-6
  var worst = 0.0
  withoutGradients {
    for index in values.indices {
      func value(_ change: Double) -> Double {
        var changed = values
        changed[index] += change
        return loss(Tensor(doubles: changed, shape: x.shape)).item
      }
      let difference = (value(step) - value(-step)) / (2 * step)
      worst = max(worst, abs(difference - gradient[index]))
    }
  }
  return worst / max(gradient.map(abs).max() ?? 1, 1e-12)
}

extension Computing {
  @Suite struct Gradients {
    /// Weights the result unevenly, so that mistakes don't cancel.
    private func weighed(_ y: Tensor) -> Tensor {
      let weights = Tensor((0..<y.count).map { Float(($0 * 7 % 5) + 1) }, shape: y.shape).to(.float64)
      return (y * weights).sum()
    }

    private func random(_ shape: [Int]) -> Tensor {
      Torch.seed(3)
      return Tensor.randomNormal(shape)
    }

    @Test func convolutionAndPooling() {
      let weight = random([3, 2, 3, 3]).to(.float64)
      let x = random([2, 2, 5, 5])
      #expect(gradientError(x) { weighed($0.conv2d(weight, stride: 2, padding: 1)) } < 1e-6)
      #expect(gradientError(random([3, 2, 3, 3])) { weighed(x.to(.float64).conv2d($0, padding: 1)) } < 1e-6)
      #expect(gradientError(x) { weighed($0.maxPool2d(2)) } < 1e-6)
      #expect(gradientError(x) { weighed($0.avgPool2d(3, stride: 1, padding: 1)) } < 1e-6)
      #expect(gradientError(x) { weighed($0.adaptiveAvgPool2d(2)) } < 1e-6)
    }

    @Test func normalizationAndActivation() {
      let x = random([4, 3, 2, 2])
      #expect(
        gradientError(x) {
          weighed($0.batchNorm(weight: nil, bias: nil, runningMean: nil, runningVariance: nil, isTraining: true))
        } < 1e-5)
      #expect(gradientError(x) { weighed($0.layerNorm([2, 2], weight: nil, bias: nil)) } < 1e-5)
      #expect(gradientError(x) { weighed($0.relu()) } < 1e-6)
      #expect(gradientError(x) { weighed($0.sigmoid().tanh().leakyRelu()) } < 1e-6)
      #expect(gradientError(x) { weighed($0.softmax(1)) } < 1e-6)
    }

    @Test func lossesAndSampling() {
      let classes = Tensor(integers: [0, 2, 1], shape: [3])
      #expect(gradientError(random([3, 4])) { $0.crossEntropy(classes, labelSmoothing: 0.1) } < 1e-6)
      let targets = Tensor([0, 1, 1, 0], shape: [4]).to(.float64)
      #expect(gradientError(random([4])) { $0.binaryCrossEntropy(targets) } < 1e-6)
      let image = random([1, 2, 4, 4]).to(.float64)
      let theta = Tensor([0.9, 0.1, 0.05, -0.1, 0.8, 0.02], shape: [1, 2, 3])
      #expect(gradientError(theta) { weighed(image.gridSample($0.affineGrid([1, 2, 3, 3]))) } < 1e-5)
    }

    @Test func linearAlgebraAndShapes() {
      let other = random([4, 3]).to(.float64)
      #expect(gradientError(random([2, 4])) { weighed($0.matmul(other)) } < 1e-6)
      #expect(
        gradientError(random([2, 3, 4])) { weighed($0.permuted([2, 0, 1]).flattened(1).slice(0, 1..<3)) } < 1e-6)
      #expect(gradientError(random([2, 6])) { weighed(Tensor.concatenated([$0, $0.square()], dimension: 1)) } < 1e-6)
    }

    @Test func embeddingGradientsAddUpAndSkipPadding() {
      let table = Embedding(4, 2, paddingIndex: 0)
      #expect(table.weight.floats().prefix(2) == [0, 0])
      let y = table(Tensor(integers: [1, 3, 1, 0], shape: [2, 2]))
      #expect(y.shape == [2, 2, 2])
      y.sum().backward()
      #expect(table.weight.gradient?.floats() == [0, 0, 2, 2, 0, 0, 1, 1])
    }
  }

  @Suite struct Operations {
    @Test func convolutionEqualsTheNaiveSum() {
      Torch.seed(5)
      let (x, w) = (Tensor.random([2, 3, 6, 5]), Tensor.random([4, 3, 3, 2]))
      let y = x.conv2d(w, stride: Size2D(2, 1), padding: Size2D(1, 0))
      #expect(y.shape == [2, 4, 3, 4])
      let (xs, ws, ys) = (x.floats(), w.floats(), y.floats())
      var index = 0
      for n in 0..<2 {
        for o in 0..<4 {
          for i in 0..<3 {
            for j in 0..<4 {
              var sum: Float = 0
              for c in 0..<3 {
                for k in 0..<3 {
                  for l in 0..<2 where (0..<6).contains(2 * i + k - 1) {
                    sum += xs[((n * 3 + c) * 6 + 2 * i + k - 1) * 5 + j + l] * ws[((o * 3 + c) * 3 + k) * 2 + l]
                  }
                }
              }
              #expect(abs(ys[index] - sum) < 1e-4)
              index += 1
            }
          }
        }
      }
    }

    @Test func selectionSortingAndReductions() {
      let x = Tensor([3, 1, 2, 9, 7, 8], shape: [2, 3])
      #expect(x.top(2).values.floats() == [3, 2, 9, 8])
      #expect(x.top(2).indices.integers() == [0, 2, 0, 2])
      #expect(x.sorted(descending: true).values.floats() == [3, 2, 1, 9, 8, 7])
      #expect(x.argmax(1).integers() == [0, 0])
      #expect(x.max(0).values.floats() == [9, 7, 8])
      #expect(x.sum([0]).floats() == [12, 8, 10])
      #expect(x.mean().item == 5)
      #expect(x.gathered(1, Tensor(integers: [2, 0], shape: [2, 1])).floats() == [2, 9])
      #expect(x.select(1, indices: Tensor(integers: [1, 1], shape: [2])).floats() == [1, 1, 7, 7])
      #expect(x.isGreater(2).to(.float32).sum().item == 4)
      #expect(Tensor.stacked([x, x], dimension: 1).shape == [2, 2, 3])
      #expect((10 - x).floats() == [7, 9, 8, 1, 3, 2])
      #expect((6 / x.slice(0, 0..<1)).floats() == [2, 6, 3])
      #expect(x.cumulativeSum(1).floats() == [3, 4, 6, 9, 16, 24])
      #expect(x.padded([1, 0], value: -1).floats() == [-1, 3, 1, 2, -1, 9, 7, 8])
      #expect(Tensor(bytes: [1, 255], shape: [2]).floats() == [1, 255])
      #expect(Tensor.zeros([0, 3]).floats() == [])
    }

    @Test func modulesKnowTheirPathsParametersAndMode() {
      final class Block: Module, Layer {
        let conv1 = Conv2d(2, 2, kernel: 1, bias: false)
        let bn1 = BatchNorm2d(2)
        let downsample: Sequential? = Sequential(Conv2d(2, 2, kernel: 1), BatchNorm2d(2))
        let drop: Dropout? = nil
        let scale = Parameter(Tensor.ones([2]))
        func forward(_ x: Tensor) -> Tensor { bn1(conv1(x)) }
      }
      let model = Sequential(Block(), ReLU())
      #expect(
        model.namedParameters().map(\.path) == [
          "0.scale", "0.conv1.weight", "0.bn1.weight", "0.bn1.bias", "0.downsample.0.weight", "0.downsample.0.bias",
          "0.downsample.1.weight", "0.downsample.1.bias",
        ])
      #expect(
        model.namedBuffers().map(\.path) == [
          "0.bn1.running_mean", "0.bn1.running_var", "0.downsample.1.running_mean", "0.downsample.1.running_var",
        ])
      #expect(model.parameterCount == 2 + 4 + 4 + 6 + 4)
      model.train(false)
      #expect(model.namedModules().allSatisfy { !$0.module.isTraining })
    }

    @Test func dropoutKeepsTheMeanAndOnlyTrains() {
      Torch.seed(1)
      let x = Tensor.ones([100, 100])
      let layer = Dropout(0.25)
      let y = layer(x)
      #expect(Set(y.floats()) == [0, 1 / 0.75])
      #expect(abs(y.mean().item - 1) < 0.03)
      layer.train(false)
      #expect(layer(x).floats() == x.floats())
    }

    @Test func initialValuesHaveTheirDeviations() {
      Torch.seed(2)
      func deviation(_ how: Initialization, _ shape: [Int]) -> Double {
        let x = Tensor.zeros(shape)
        how(x)
        return x.variance([0, 1]).item.squareRoot()
      }
      // Uniform in ±b has deviation b/√3.
      #expect(abs(deviation(.xavierUniform(), [300, 100]) / (2.0 / 400).squareRoot() - 1) < 0.02)
      #expect(abs(deviation(.kaimingUniform(), [300, 100]) / (2.0 / 100).squareRoot() - 1) < 0.02)
      #expect(abs(deviation(.kaimingNormal(byOutputs: true), [300, 100]) / (2.0 / 300).squareRoot() - 1) < 0.02)
      #expect(abs(deviation(.lecunUniform, [300, 100]) / (1.0 / 100).squareRoot() - 1) < 0.02)
      #expect(abs(deviation(.normal(deviation: 0.01), [300, 100]) / 0.01 - 1) < 0.02)
    }
  }
}
