// The residual networks (He et al., CVPR 2016) that classify, detect, segment and embed in this suite.

/// The normalization behind every convolution of a residual network.
struct ResidualNormalization: Sendable {
  /// Detection networks begin with a classifier's statistics and keep them, because their batches are too small to
  /// estimate new ones.
  var isFrozen = false
  /// The initial scale behind the last convolution of a block. Frozen layers can't shrink what the blocks add up, so
  /// a network of L blocks that starts without a classifier's weights needs about 1/√L to keep its numbers small.
  var lastScale = 1.0
  /// The initial scale behind the stem's convolution: 1/64 brings pixels of ±128 to about one, as a classifier's
  /// statistics would.
  var stemScale = 1.0

  /// A layer whose initial scale is not 1.
  func callAsFunction(_ channels: Int, scale: Double = 1) -> BatchNorm2d {
    let layer = BatchNorm2d(channels, isFrozen: isFrozen)
    if scale != 1 { layer.weight.detached().fill(scale) }
    return layer
  }
}

/// Brings a block's input to the shape of its output where they differ: a 1×1 convolution with normalization.
private func projection(_ inputs: Int, _ outputs: Int, _ stride: Int, _ norm: ResidualNormalization) -> Sequential? {
  stride == 1 && inputs == outputs
    ? nil
    : Sequential(Conv2d(inputs, outputs, kernel: 1, stride: Size2D(stride), bias: false), norm(outputs))
}

/// The block of shallow residual networks: 3×3, 3×3, each with batch normalization; added to the input.
final class BasicBlock: Module, Layer {
  static let expansion = 1
  let conv1, conv2: Conv2d
  let bn1, bn2: BatchNorm2d
  /// Brings the input to the shape of the output where they differ.
  let downsample: Sequential?

  init(_ inputs: Int, planes: Int, stride: Int, normalization norm: ResidualNormalization = .init()) {
    conv1 = Conv2d(inputs, planes, kernel: 3, stride: Size2D(stride), padding: 1, bias: false)
    bn1 = norm(planes)
    conv2 = Conv2d(planes, planes, kernel: 3, padding: 1, bias: false)
    bn2 = norm(planes, scale: norm.lastScale)
    downsample = projection(inputs, planes, stride, norm)
  }

  func forward(_ x: Tensor) -> Tensor {
    let y = bn2(conv2(bn1(conv1(x)).reluInPlace()))
    return (y + (downsample?(x) ?? x)).reluInPlace()
  }
}

/// The residual block with a bottleneck: 1×1 to `planes` channels, 3×3, 1×1 to four times as many, each with batch
/// normalization; added to the input. "v1.5" has the stride in the 3×3, where the first version, which detection
/// networks still use, has it in the first 1×1.
final class Bottleneck: Module, Layer {
  static let expansion = 4
  let conv1, conv2, conv3: Conv2d
  let bn1, bn2, bn3: BatchNorm2d
  /// Brings the input to the shape of the output where they differ.
  let downsample: Sequential?

  init(
    _ inputs: Int, planes: Int, stride: Int, stridesFirst: Bool = false,
    normalization norm: ResidualNormalization = .init()
  ) {
    let outputs = planes * Self.expansion
    conv1 = Conv2d(inputs, planes, kernel: 1, stride: Size2D(stridesFirst ? stride : 1), bias: false)
    bn1 = norm(planes)
    conv2 = Conv2d(
      planes, planes, kernel: 3, stride: Size2D(stridesFirst ? 1 : stride), padding: 1, bias: false)
    bn2 = norm(planes)
    conv3 = Conv2d(planes, outputs, kernel: 1, bias: false)
    bn3 = norm(outputs, scale: norm.lastScale)
    downsample = projection(inputs, outputs, stride, norm)
  }

  func forward(_ x: Tensor) -> Tensor {
    var y = bn1(conv1(x)).reluInPlace()
    y = bn2(conv2(y)).reluInPlace()
    y = bn3(conv3(y))
    return (y + (downsample?(x) ?? x)).reluInPlace()
  }
}

/// A residual network: f32 [n, inputs, h, w] → logits [n, classes], or without classes the last stage's channels.
final class ResNet: Module, Layer {
  /// What one residual network has and another has not.
  struct Shape: Sendable {
    /// How a block is built.
    enum Block: Sendable {
      case basic
      /// With the stride in the 3×3 (v1.5).
      case bottleneck
      /// With the stride in the first 1×1 (v1).
      case bottleneckV1

      var expansion: Int { if case .basic = self { BasicBlock.expansion } else { Bottleneck.expansion } }
    }

    /// What comes before the first stage.
    enum Stem: Sendable {
      /// 3×3 convolution that keeps the size, as for images of 32×32.
      case plain
      /// 7×7 convolution of stride 2 and 3×3 maximum of stride 2, padded by 1.
      case reducing
      /// The same with windows that reach over the far edges instead of padding, as Caffe's.
      case reducingWithoutPadding
    }

    /// Channels of the stem and `planes` of the first stage; doubled from stage to stage.
    var width: Int
    /// Blocks of each of the four stages. A stage of none passes its input on.
    var blocks: [Int]
    /// How a block is built.
    var block = Block.bottleneck
    /// What comes before the first stage.
    var stem = Stem.reducing
    /// Strides of the stages' first blocks.
    var strides = [1, 2, 2, 2]
    /// Channels of the image: 3, or 4 with depth.
    var inputs = 3
    /// Batch normalization as usual, or frozen.
    var normalization = ResidualNormalization()

    /// 21 797 672 parameters with 1000 classes.
    static let resNet34 = Shape(width: 64, blocks: [3, 4, 6, 3], block: .basic)
    /// 25 557 032 parameters with 1000 classes; 4.09 G multiply-accumulates for 224×224.
    static let resNet50 = Shape(width: 64, blocks: [3, 4, 6, 3])
    /// 44 549 160 parameters with 1000 classes.
    static let resNet101 = Shape(width: 64, blocks: [3, 4, 23, 3])
    /// 130 002 parameters with 10 classes.
    static let small = Shape(width: 8, blocks: [1, 1, 1, 1], stem: .plain)

    /// Channels that a stage (1 … 4) gives; 0 is the stem.
    func channels(of stage: Int) -> Int {
      (1...max(stage, 1)).last { $0 <= stage && blocks[$0 - 1] > 0 }.map { (width << ($0 - 1)) * block.expansion }
        ?? width
    }
  }

  let conv1: Conv2d
  let bn1: BatchNorm2d
  let maxpool: MaxPool2d?
  let layer1, layer2, layer3, layer4: Sequential
  let avgpool = AdaptiveAvgPool2d(1)
  let fc: Linear?

  /// - Parameter classes: of the logits; nil leaves out pooling and the last layer.
  init(_ shape: Shape, classes: Int?) {
    let norm = shape.normalization
    let width = shape.width
    switch shape.stem {
    case .plain:
      conv1 = Conv2d(shape.inputs, width, kernel: 3, padding: 1, bias: false)
      maxpool = nil
    case .reducing, .reducingWithoutPadding:
      conv1 = Conv2d(shape.inputs, width, kernel: 7, stride: 2, padding: 3, bias: false)
      maxpool =
        if case .reducing = shape.stem { MaxPool2d(3, stride: 2, padding: 1) } else {
          MaxPool2d(3, stride: 2, ceilMode: true)
        }
    }
    bn1 = norm(width, scale: norm.stemScale)
    func stage(_ number: Int) -> Sequential {
      let planes = width << (number - 1)
      var channels = shape.channels(of: number - 1)
      let blocks = (0..<shape.blocks[number - 1]).map { block -> any Layer in
        defer { channels = planes * shape.block.expansion }
        let stride = block == 0 ? shape.strides[number - 1] : 1
        return switch shape.block {
        case .basic: BasicBlock(channels, planes: planes, stride: stride, normalization: norm)
        case .bottleneck: Bottleneck(channels, planes: planes, stride: stride, normalization: norm)
        case .bottleneckV1:
          Bottleneck(channels, planes: planes, stride: stride, stridesFirst: true, normalization: norm)
        }
      }
      return Sequential(blocks)
    }
    layer1 = stage(1)
    layer2 = stage(2)
    layer3 = stage(3)
    layer4 = stage(4)
    fc = classes.map { Linear(shape.channels(of: 4), $0) }
    super.init()
    for (_, module) in namedModules() {
      if let convolution = module as? Conv2d {
        Initialization.kaimingNormal(byOutputs: true)(convolution.weight)
      }
    }
  }

  /// What the first stage reads: [n, width, h / 4, w / 4], or the image's size with a plain stem.
  func stem(_ x: Tensor) -> Tensor {
    let y = bn1(conv1(x)).reluInPlace()
    return maxpool?(y) ?? y
  }

  /// The outputs of the four stages, called C2 to C5 in detection.
  func stages(_ x: Tensor) -> [Tensor] {
    var y = stem(x)
    return [layer1, layer2, layer3, layer4].map { stage in
      y = stage(y)
      return y
    }
  }

  func forward(_ x: Tensor) -> Tensor {
    let y = layer4(layer3(layer2(layer1(stem(x)))))
    guard let fc else { return y }
    return fc(avgpool(y).flattened(1))
  }
}
