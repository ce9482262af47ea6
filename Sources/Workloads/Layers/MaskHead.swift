// Which pixels of a region belong to its object? The third head of Mask R-CNN (He et al., ICCV 2017).
import Glibc

/// Four 3×3 convolutions, a transposed one that doubles the size, and a mask for each class.
final class MaskHead: Module {
  let convolutions: [Conv2d]
  let upsampling: ConvTranspose2d
  let masks: Conv2d
  /// With the background.
  private let classes: Int

  init(_ inputs: Int, channels: Int, classes: Int) {
    self.classes = classes
    convolutions = (0..<4).map { Conv2d($0 == 0 ? inputs : channels, channels, kernel: 3, padding: 1) }
    upsampling = ConvTranspose2d(channels, channels, kernel: 2, stride: 2)
    masks = Conv2d(channels, classes, kernel: 1)
    for layer in convolutions + [masks] {
      Initialization.kaimingNormal(byOutputs: true)(layer.weight)
      layer.bias?.fill(0)
    }
    Initialization.kaimingNormal(byOutputs: true)(upsampling.weight)
    upsampling.bias?.fill(0)
  }

  /// Pooled regions [k, inputs, s, s] → logits [k, classes, 2 s, 2 s].
  func callAsFunction(_ pooled: Tensor) -> Tensor {
    scoped {
      let features = convolutions.reduce(pooled) { $1($0).reluInPlace() }
      return masks(upsampling(features).reluInPlace())
    }
  }

  /// Of each region the logits of its class, [k, s, s].
  private func chosen(_ logits: Tensor, _ labels: [Int]) -> Tensor {
    logits.reshaped([-1, logits.size(2), logits.size(3)]).rows(labels.indices.map { $0 * classes + labels[$0] })
  }

  /// The mean cross entropy of the pixels, of each region's own class only.
  ///
  /// - Parameters:
  ///   - logits: of the regions with an object.
  ///   - sampled: these regions, first among all.
  func loss(_ logits: Tensor, _ sampled: SampledRegions, _ truth: [DetectionTruth]) -> Tensor {
    scoped {
      let targets = withoutGradients {
        Self.targets(sampled, truth, side: logits.size(2))
      }
      return chosen(logits, Array(sampled.labels.prefix(sampled.owners.count))).binaryCrossEntropy(targets)
    }
  }

  /// The objects' pixels within their regions, 0 or 1, [k, side, side].
  private static func targets(_ sampled: SampledRegions, _ truth: [DetectionTruth], side: Int) -> Tensor {
    let corners = sampled.regions.slice(0, 0..<sampled.owners.count).slice(1, 1..<5)
    var parts: [Tensor] = []
    var start = 0
    while start < sampled.owners.count {
      let image = sampled.owners[start].image
      let end = sampled.owners[start...].firstIndex { $0.image != image } ?? sampled.owners.count
      guard let masks = truth[image].masks else { preconditionFailure("the data have no masks") }
      // Each object's mask is an image of one channel.
      let objects = Tensor(sampled.owners[start..<end].map { Float($0.object) }, shape: [end - start, 1])
      let regions = Tensor.concatenated([objects, corners.slice(0, start..<end)], dimension: 1)
      parts.append(masks.to(.float32).unsqueezed(1).roiAlign(regions, size: Size2D(side), scale: 1))
      start = end
    }
    return Tensor.concatenated(parts).squeezed(1).isGreaterOrEqual(0.5).to(.float32)
  }

  /// Probabilities of each region's class, f32 [k, s, s].
  func probabilities(_ logits: Tensor, _ labels: [Int]) -> Tensor { chosen(logits, labels).sigmoid() }

  /// The pixels of an image that a mask covers: those where its probability, interpolated, is one half or more.
  ///
  /// - Parameters:
  ///   - mask: side × side probabilities over the box.
  ///   - box: in the image's pixels.
  static func paste(_ mask: ArraySlice<Float>, side: Int, box: Box, width: Int, height: Int) -> RunLengthMask {
    let columns = max(Int(box.x1), 0)..<max(min(Int(box.x2.rounded(.up)), width), max(Int(box.x1), 0))
    let rows = max(Int(box.y1), 0)..<max(min(Int(box.y2.rounded(.up)), height), max(Int(box.y1), 0))
    let scale = (x: Float(side) / max(box.width, 1e-6), y: Float(side) / max(box.height, 1e-6))
    func value(_ row: Int, _ column: Int) -> Float {
      (0..<side).contains(row) && (0..<side).contains(column) ? mask[mask.startIndex + row * side + column] : 0
    }
    return RunLengthMask(width: width, height: height) { x, y in
      guard columns.contains(x), rows.contains(y) else { return false }
      // Probabilities are at the centres of their cells, pixels at theirs; outside the box there is nothing.
      let u = (Float(x) + 0.5 - box.x1) * scale.x - 0.5
      let v = (Float(y) + 0.5 - box.y1) * scale.y - 0.5
      let (left, top) = (u.rounded(.down), v.rounded(.down))
      let (fx, fy) = (u - left, v - top)
      let (column, row) = (Int(left), Int(top))
      let upper = value(row, column) * (1 - fx) + value(row, column + 1) * fx
      let lower = value(row + 1, column) * (1 - fx) + value(row + 1, column + 1) * fx
      return upper * (1 - fy) + lower * fy >= 0.5
    }
  }
}
