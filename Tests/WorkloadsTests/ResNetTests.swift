// Have the residual networks their published parameters and shapes, and does freezing freeze?
import Testing

@testable import Workloads

extension Computing {
  @Suite struct ResNetTests {
    @Test func parametersArePublished() {
      // torchvision's model pages name these counts.
      #expect(ResNet(.resNet34, classes: 1000).parameterCount == 21_797_672)
      #expect(ResNet(.resNet101, classes: 1000).parameterCount == 44_549_160)
      var depth = ResNet.Shape.resNet50
      depth.inputs = 4
      // 3136 more than with RGB.
      #expect(ResNet(depth, classes: 253).conv1.weight.count == 12_544)
    }

    @Test func versionsDifferInTheStrideOnly() {
      var shape = ResNet.Shape(width: 4, blocks: [1, 1, 2, 0], stem: .reducing)
      let later = ResNet(shape, classes: nil)
      shape.block = .bottleneckV1
      let first = ResNet(shape, classes: nil)
      #expect(first.parameterCount == later.parameterCount)
      let x = Tensor.randomNormal([1, 3, 64, 96])
      let shapes = [[1, 16, 16, 24], [1, 32, 8, 12], [1, 64, 4, 6], [1, 64, 4, 6]]
      for model in [first, later] { #expect(model.stages(x).map(\.shape) == shapes) }
      #expect(first(x).shape == [1, 64, 4, 6])
      #expect(shape.channels(of: 0) == 4 && shape.channels(of: 4) == 64)
    }

    @Test func stemWithoutPaddingReachesOverTheEdge() {
      let shape = ResNet.Shape(width: 2, blocks: [1, 1, 1, 0], block: .bottleneckV1, stem: .reducingWithoutPadding)
      // The shape walk of a VOC image of 600×901: 150×225 after the stem, 38×57 after the third stage.
      let model = ResNet(shape, classes: nil)
      let image = Tensor.randomNormal([1, 3, 600, 901])
      #expect(withoutGradients { model.stem(image).shape } == [1, 2, 150, 225])
      #expect(withoutGradients { model(image).shape } == [1, 32, 38, 57])
    }

    @Test func basicBlocksKeepTheirShape() {
      let shape = ResNet.Shape(width: 4, blocks: [1, 1, 1, 1], block: .basic, stem: .plain, strides: [1, 2, 1, 2])
      #expect(
        ResNet(shape, classes: 5).stages(Tensor.randomNormal([2, 3, 16, 16])).map(\.shape) == [
          [2, 4, 16, 16], [2, 8, 8, 8], [2, 16, 8, 8], [2, 32, 4, 4],
        ])
    }

    @Test func frozenNormalizationStays() {
      var shape = ResNet.Shape(width: 4, blocks: [1, 1, 1, 1], stem: .plain)
      shape.normalization = ResidualNormalization(isFrozen: true, lastScale: 0.5)
      let model = ResNet(shape, classes: 3)
      #expect(model.bn1.weight.floats() == [1, 1, 1, 1])
      #expect((model.layer1.layers[0] as? Bottleneck)?.bn3.weight.floats().allSatisfy { $0 == 0.5 } == true)
      model.layer1.freeze()
      let x = Tensor.randomNormal([2, 3, 8, 8])
      model(x).sum().backward()
      let gradients = model.namedParameters().filter { $0.parameter.gradient != nil }.map(\.path)
      #expect(gradients.contains("layer2.0.conv1.weight") && gradients.contains("conv1.weight"))
      #expect(!gradients.contains { $0.contains("bn") || $0.contains("downsample.1") || $0.hasPrefix("layer1") })
      // The same numbers whether it trains or not, and no statistics followed.
      let training = model(x).floats()
      #expect(model.bn1.running_mean.floats() == [0, 0, 0, 0])
      model.train(false)
      #expect(model(x).floats() == training)
    }
  }
}
