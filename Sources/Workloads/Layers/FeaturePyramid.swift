// One map for objects of every size: the feature pyramid network (Lin et al., CVPR 2017).

/// Strong features at every resolution: each stage's map, narrowed by a 1×1 convolution, plus the coarser one enlarged,
/// smoothed by a 3×3.
final class FeaturePyramid: Module {
  let laterals, outputs: [Conv2d]
  /// Channels of every map.
  let channels: Int

  /// - Parameter inputs: channels of the stages' maps, C2 to C5.
  init(_ inputs: [Int], channels: Int) {
    self.channels = channels
    laterals = inputs.map { Conv2d($0, channels, kernel: 1) }
    outputs = inputs.map { _ in Conv2d(channels, channels, kernel: 3, padding: 1) }
    for layer in laterals + outputs {
      Initialization.kaimingUniform(a: 1)(layer.weight)
      layer.bias?.fill(0)
    }
  }

  /// C2 to C5 → P2 to P6. The last is P5 with every second row and column, for proposals only.
  func callAsFunction(_ stages: [Tensor]) -> [Tensor] {
    scoped {
      var inner: [Tensor] = []
      for (lateral, stage) in zip(laterals, stages).reversed() {
        let own = lateral(stage)
        guard let coarser = inner.first else {
          inner.append(own)
          continue
        }
        inner.insert(own + coarser.upsampledNearest(Size2D(own.size(2), own.size(3))), at: 0)
      }
      var maps = zip(outputs, inner).map { $0($1) }
      maps.append(maps[maps.count - 1].maxPool2d(1, stride: 2))
      return maps
    }
  }
}

/// Pools regions from the map of a pyramid that suits their size.
struct PyramidPooling: Sendable {
  /// Cells of the finest map in the image's pixels; doubled from map to map.
  var stride: Int
  var maps: Int
  /// A region of this side belongs to the third map: k = 4 + log₂(√area / side), P4.
  var canonical: Float

  /// The map of a region, from 0.
  func level(_ width: Float, _ height: Float) -> Int {
    let area = max(width, 0) * max(height, 0)
    // floor(2 + log₂(√area / side)), by comparing: k grows by one whenever the side doubles.
    var level = 0
    while level < maps - 1, area.squareRoot() >= canonical * Float(1 << level) / 2 { level += 1 }
    return level
  }

  /// Regions f32 [k, 5] of the maps → [k, channels, size, size].
  func callAsFunction(_ maps: [Tensor], _ regions: Tensor, size: Int) -> Tensor {
    let corners = regions.floats()
    let levels = (0..<corners.count / 5).map { row in
      level(corners[5 * row + 3] - corners[5 * row + 1], corners[5 * row + 4] - corners[5 * row + 2])
    }
    var order: [Int] = []
    var parts: [Tensor] = []
    for number in 0..<self.maps {
      let own = levels.indices.filter { levels[$0] == number }
      guard !own.isEmpty else { continue }
      order += own
      parts.append(
        maps[number].roiAlign(regions.rows(own), size: Size2D(size), scale: 1 / Double(stride << number)))
    }
    guard parts.count > 1 else {
      return parts.first ?? maps[0].roiAlign(regions, size: Size2D(size), scale: 1 / Double(stride))
    }
    // Back into the regions' order.
    var places = [Int](repeating: 0, count: order.count)
    for (place, row) in order.enumerated() { places[row] = place }
    return Tensor.concatenated(parts).rows(places)
  }
}
