// The Inception-v3 network: several kernels beside each other in every block, large ones split into rows and columns.

/// A convolution without bias, batch normalization, ReLU: what all of Inception is made of.
final class BasicConv2d: Module, Layer {
  let conv: Conv2d
  let bn: BatchNorm2d

  init(_ inputs: Int, _ outputs: Int, kernel: Size2D, stride: Size2D = 1, padding: Size2D = 0) {
    conv = Conv2d(inputs, outputs, kernel: kernel, stride: stride, padding: padding, bias: false)
    bn = BatchNorm2d(outputs, epsilon: 0.001)
  }

  func forward(_ x: Tensor) -> Tensor { bn(conv(x)).reluInPlace() }
}

private func concatenated(_ branches: Tensor...) -> Tensor { .concatenated(branches, dimension: 1) }

/// 3×3 means, one pixel apart: the pooling beside the convolutions, before its own 1×1 convolution.
private func pooled(_ x: Tensor) -> Tensor { x.avgPool2d(3, stride: 1, padding: 1) }

/// Block with 1×1, 5×5 and twice 3×3 kernels.
final class InceptionA: Module, Layer {
  let branch1x1, branch5x5_1, branch5x5_2: BasicConv2d
  let branch3x3dbl_1, branch3x3dbl_2, branch3x3dbl_3, branch_pool: BasicConv2d

  /// - Parameter width: 64 in Inception-v3; the outputs are 3.5 × `width` + `pool`.
  init(_ inputs: Int, width: Int, pool: Int) {
    branch1x1 = BasicConv2d(inputs, width, kernel: 1)
    branch5x5_1 = BasicConv2d(inputs, width * 3 / 4, kernel: 1)
    branch5x5_2 = BasicConv2d(width * 3 / 4, width, kernel: 5, padding: 2)
    branch3x3dbl_1 = BasicConv2d(inputs, width, kernel: 1)
    branch3x3dbl_2 = BasicConv2d(width, width * 3 / 2, kernel: 3, padding: 1)
    branch3x3dbl_3 = BasicConv2d(width * 3 / 2, width * 3 / 2, kernel: 3, padding: 1)
    branch_pool = BasicConv2d(inputs, pool, kernel: 1)
  }

  func forward(_ x: Tensor) -> Tensor {
    concatenated(
      branch1x1(x), branch5x5_2(branch5x5_1(x)), branch3x3dbl_3(branch3x3dbl_2(branch3x3dbl_1(x))),
      branch_pool(pooled(x)))
  }
}

/// Halves the image: 3×3, twice 3×3, and the largest of 3×3.
final class InceptionB: Module, Layer {
  let branch3x3, branch3x3dbl_1, branch3x3dbl_2, branch3x3dbl_3: BasicConv2d

  /// - Parameter width: 64 in Inception-v3; the outputs are 7.5 × `width` + `inputs`.
  init(_ inputs: Int, width: Int) {
    branch3x3 = BasicConv2d(inputs, width * 6, kernel: 3, stride: 2)
    branch3x3dbl_1 = BasicConv2d(inputs, width, kernel: 1)
    branch3x3dbl_2 = BasicConv2d(width, width * 3 / 2, kernel: 3, padding: 1)
    branch3x3dbl_3 = BasicConv2d(width * 3 / 2, width * 3 / 2, kernel: 3, stride: 2)
  }

  func forward(_ x: Tensor) -> Tensor {
    concatenated(
      branch3x3(x), branch3x3dbl_3(branch3x3dbl_2(branch3x3dbl_1(x))), x.maxPool2d(3, stride: 2))
  }
}

/// Block with 7×7 kernels, each a row after a column.
final class InceptionC: Module, Layer {
  let branch1x1, branch7x7_1, branch7x7_2, branch7x7_3: BasicConv2d
  let branch7x7dbl_1, branch7x7dbl_2, branch7x7dbl_3, branch7x7dbl_4, branch7x7dbl_5, branch_pool: BasicConv2d

  /// - Parameters:
  ///   - width: of each branch at its end: 192 in Inception-v3.
  ///   - narrow: of a branch before: 128 to 192 there.
  init(_ inputs: Int, width: Int, narrow: Int) {
    let (row, column) = (Size2D(1, 7), Size2D(7, 1))
    let (along, across) = (Size2D(0, 3), Size2D(3, 0))
    branch1x1 = BasicConv2d(inputs, width, kernel: 1)
    branch7x7_1 = BasicConv2d(inputs, narrow, kernel: 1)
    branch7x7_2 = BasicConv2d(narrow, narrow, kernel: row, padding: along)
    branch7x7_3 = BasicConv2d(narrow, width, kernel: column, padding: across)
    branch7x7dbl_1 = BasicConv2d(inputs, narrow, kernel: 1)
    branch7x7dbl_2 = BasicConv2d(narrow, narrow, kernel: column, padding: across)
    branch7x7dbl_3 = BasicConv2d(narrow, narrow, kernel: row, padding: along)
    branch7x7dbl_4 = BasicConv2d(narrow, narrow, kernel: column, padding: across)
    branch7x7dbl_5 = BasicConv2d(narrow, width, kernel: row, padding: along)
    branch_pool = BasicConv2d(inputs, width, kernel: 1)
  }

  func forward(_ x: Tensor) -> Tensor {
    let double = branch7x7dbl_5(branch7x7dbl_4(branch7x7dbl_3(branch7x7dbl_2(branch7x7dbl_1(x)))))
    return concatenated(branch1x1(x), branch7x7_3(branch7x7_2(branch7x7_1(x))), double, branch_pool(pooled(x)))
  }
}

/// Halves the image: 3×3, 7×7 with 3×3, and the largest of 3×3.
final class InceptionD: Module, Layer {
  let branch3x3_1, branch3x3_2: BasicConv2d
  let branch7x7x3_1, branch7x7x3_2, branch7x7x3_3, branch7x7x3_4: BasicConv2d

  /// - Parameter width: 192 in Inception-v3; the outputs are 8/3 × `width` + `inputs`.
  init(_ inputs: Int, width: Int) {
    branch3x3_1 = BasicConv2d(inputs, width, kernel: 1)
    branch3x3_2 = BasicConv2d(width, width * 5 / 3, kernel: 3, stride: 2)
    branch7x7x3_1 = BasicConv2d(inputs, width, kernel: 1)
    branch7x7x3_2 = BasicConv2d(width, width, kernel: Size2D(1, 7), padding: Size2D(0, 3))
    branch7x7x3_3 = BasicConv2d(width, width, kernel: Size2D(7, 1), padding: Size2D(3, 0))
    branch7x7x3_4 = BasicConv2d(width, width, kernel: 3, stride: 2)
  }

  func forward(_ x: Tensor) -> Tensor {
    concatenated(
      branch3x3_2(branch3x3_1(x)), branch7x7x3_4(branch7x7x3_3(branch7x7x3_2(branch7x7x3_1(x)))),
      x.maxPool2d(3, stride: 2))
  }
}

/// Block whose 3×3 kernels end in a row and a column beside each other.
final class InceptionE: Module, Layer {
  let branch1x1, branch3x3_1, branch3x3_2a, branch3x3_2b: BasicConv2d
  let branch3x3dbl_1, branch3x3dbl_2, branch3x3dbl_3a, branch3x3dbl_3b, branch_pool: BasicConv2d

  /// - Parameter width: 64 in Inception-v3; the outputs are 32 × `width`.
  init(_ inputs: Int, width: Int) {
    let (row, column) = (Size2D(1, 3), Size2D(3, 1))
    let (along, across) = (Size2D(0, 1), Size2D(1, 0))
    branch1x1 = BasicConv2d(inputs, width * 5, kernel: 1)
    branch3x3_1 = BasicConv2d(inputs, width * 6, kernel: 1)
    branch3x3_2a = BasicConv2d(width * 6, width * 6, kernel: row, padding: along)
    branch3x3_2b = BasicConv2d(width * 6, width * 6, kernel: column, padding: across)
    branch3x3dbl_1 = BasicConv2d(inputs, width * 7, kernel: 1)
    branch3x3dbl_2 = BasicConv2d(width * 7, width * 6, kernel: 3, padding: 1)
    branch3x3dbl_3a = BasicConv2d(width * 6, width * 6, kernel: row, padding: along)
    branch3x3dbl_3b = BasicConv2d(width * 6, width * 6, kernel: column, padding: across)
    branch_pool = BasicConv2d(inputs, width * 3, kernel: 1)
  }

  func forward(_ x: Tensor) -> Tensor {
    let single = branch3x3_1(x)
    let double = branch3x3dbl_2(branch3x3dbl_1(x))
    return concatenated(
      branch1x1(x), branch3x3_2a(single), branch3x3_2b(single), branch3x3dbl_3a(double), branch3x3dbl_3b(double),
      branch_pool(pooled(x)))
  }
}

/// A network whose last features before its classifier describe an image.
protocol ImageEncoder: Module {
  /// How many features there are.
  static var featureCount: Int { get }
  /// f32 [n, 3, h, w] → [n, features].
  func features(_ x: Tensor) -> Tensor
}

/// Inception-v3 (Szegedy et al., CVPR 2016): f32 [n, 3, h, w] → features [n, 2048], or logits [n, 1000].
///
/// 23 834 568 parameters, without the auxiliary classifier that only training from scratch uses; 5.713 G
/// multiply-accumulates for 299×299. Names are torchvision's.
final class InceptionV3: Module, Layer, ImageEncoder {
  let Conv2d_1a_3x3, Conv2d_2a_3x3, Conv2d_2b_3x3: BasicConv2d
  let maxpool1 = MaxPool2d(3, stride: 2)
  let Conv2d_3b_1x1, Conv2d_4a_3x3: BasicConv2d
  let maxpool2 = MaxPool2d(3, stride: 2)
  let Mixed_5b, Mixed_5c, Mixed_5d: InceptionA
  let Mixed_6a: InceptionB
  let Mixed_6b, Mixed_6c, Mixed_6d, Mixed_6e: InceptionC
  let Mixed_7a: InceptionD
  let Mixed_7b, Mixed_7c: InceptionE
  let avgpool = AdaptiveAvgPool2d(1)
  let dropout = Dropout()
  let fc: Linear

  static let featureCount = 2048

  init(classes: Int = 1000) {
    Conv2d_1a_3x3 = BasicConv2d(3, 32, kernel: 3, stride: 2)
    Conv2d_2a_3x3 = BasicConv2d(32, 32, kernel: 3)
    Conv2d_2b_3x3 = BasicConv2d(32, 64, kernel: 3, padding: 1)
    Conv2d_3b_1x1 = BasicConv2d(64, 80, kernel: 1)
    Conv2d_4a_3x3 = BasicConv2d(80, 192, kernel: 3)
    Mixed_5b = InceptionA(192, width: 64, pool: 32)
    Mixed_5c = InceptionA(256, width: 64, pool: 64)
    Mixed_5d = InceptionA(288, width: 64, pool: 64)
    Mixed_6a = InceptionB(288, width: 64)
    Mixed_6b = InceptionC(768, width: 192, narrow: 128)
    Mixed_6c = InceptionC(768, width: 192, narrow: 160)
    Mixed_6d = InceptionC(768, width: 192, narrow: 160)
    Mixed_6e = InceptionC(768, width: 192, narrow: 192)
    Mixed_7a = InceptionD(768, width: 192)
    Mixed_7b = InceptionE(1280, width: 64)
    Mixed_7c = InceptionE(2048, width: 64)
    fc = Linear(Self.featureCount, classes)
  }

  func features(_ x: Tensor) -> Tensor {
    var y = maxpool1(Conv2d_2b_3x3(Conv2d_2a_3x3(Conv2d_1a_3x3(x))))
    y = maxpool2(Conv2d_4a_3x3(Conv2d_3b_1x1(y)))
    y = Mixed_6a(Mixed_5d(Mixed_5c(Mixed_5b(y))))
    y = Mixed_6e(Mixed_6d(Mixed_6c(Mixed_6b(y))))
    return avgpool(Mixed_7c(Mixed_7b(Mixed_7a(y)))).flattened(1)
  }

  func forward(_ x: Tensor) -> Tensor { fc(dropout(features(x))) }
}

/// One block of every kind, narrow and without the stem's poolings, for 32×32: f32 [n, 3, 32, 32] → features [n, 128].
final class SmallInception: Module, ImageEncoder {
  let Conv2d_1a_3x3 = BasicConv2d(3, 16, kernel: 3, stride: 2)
  let Conv2d_2b_3x3 = BasicConv2d(16, 16, kernel: 3, padding: 1)
  let Mixed_5b = InceptionA(16, width: 8, pool: 4)
  let Mixed_6a = InceptionB(32, width: 4)
  let Mixed_6b = InceptionC(62, width: 16, narrow: 8)
  let Mixed_7a = InceptionD(64, width: 12)
  let Mixed_7b = InceptionE(96, width: 4)
  let avgpool = AdaptiveAvgPool2d(1)

  static let featureCount = 128

  func features(_ x: Tensor) -> Tensor {
    let y = Mixed_6b(Mixed_6a(Mixed_5b(Conv2d_2b_3x3(Conv2d_1a_3x3(x)))))
    return avgpool(Mixed_7b(Mixed_7a(y))).flattened(1)
  }
}
