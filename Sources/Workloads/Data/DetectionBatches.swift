// From annotated images to the batches of a detector: scaled, perhaps mirrored, padded to a common size.

/// How images are brought to a network's size.
enum DetectionSize: Sendable {
  /// The shorter side to `shorter` pixels, or less so that the longer one has at most `longer`.
  case fitted(shorter: Int, longer: Int)
  /// A square, whatever the shape.
  case square(Int)

  /// Width and height for an image's.
  func callAsFunction(_ width: Int, _ height: Int) -> (width: Int, height: Int) {
    switch self {
    case .square(let side): return (side, side)
    case .fitted(let shorter, let longer):
      let scale = min(Double(shorter) / Double(min(width, height)), Double(longer) / Double(max(width, height)))
      return (max(Int((Double(width) * scale).rounded()), 1), max(Int((Double(height) * scale).rounded()), 1))
    }
  }
}

extension ChannelStatistics {
  /// Means alone, as the Caffe-trained networks that detectors begin with want them: 0 to 255, red, green, blue.
  static let caffe = ChannelStatistics(
    mean: [122.77 / 255, 115.95 / 255, 102.98 / 255], deviation: [1 / 255, 1 / 255, 1 / 255])
}

extension RGBImage {
  /// Scaled and normalized, as three planes: (value / 255 − mean) / deviation.
  func planes(width: Int, height: Int, isMirrored: Bool, isBGR: Bool, statistics: ChannelStatistics) -> [Float] {
    let across = ResamplingWeights(origin: 0, length: Double(self.width), limit: self.width, count: width)
    let down = ResamplingWeights(origin: 0, length: Double(self.height), limit: self.height, count: height)
    // First every row to the new width, then down the columns.
    var narrowed = [Float](repeating: 0, count: 3 * self.height * width)
    pixels.withUnsafeBufferPointer { source in
      narrowed.withUnsafeMutableBufferPointer { target in
        for row in 0..<self.height {
          for x in 0..<width {
            let start = across.first[x]
            let place = row * width + (isMirrored ? width - 1 - x : x)
            for tap in 0..<min(across.taps, self.width - start) {
              let weight = across.weights[x * across.taps + tap]
              if weight == 0 { continue }
              let pixel = (row * self.width + start + tap) * 3
              for channel in 0..<3 {
                target[channel * self.height * width + place] += weight * Float(source[pixel + channel])
              }
            }
          }
        }
      }
    }
    var planes = [Float](repeating: 0, count: 3 * height * width)
    planes.withUnsafeMutableBufferPointer { target in
      narrowed.withUnsafeBufferPointer { source in
        for channel in 0..<3 {
          let factor = 1 / (255 * statistics.deviation[channel])
          let shift = statistics.mean[channel] / statistics.deviation[channel]
          for y in 0..<height {
            let start = down.first[y]
            let out = ((isBGR ? 2 - channel : channel) * height + y) * width
            for x in 0..<width { target[out + x] = -shift }
            for tap in 0..<min(down.taps, self.height - start) {
              let weight = down.weights[y * down.taps + tap] * factor
              if weight == 0 { continue }
              let row = (channel * self.height + start + tap) * width
              for x in 0..<width { target[out + x] += weight * source[row + x] }
            }
          }
        }
      }
    }
    return planes
  }
}

/// Where an image lies in its batch, and how it was scaled.
struct ImageGeometry: Sendable {
  /// Of the scaled image, without padding.
  var width, height: Int
  /// Scaled by original size.
  var horizontal, vertical: Float
  /// In the data set.
  var index: Int

  /// The rows of a batch's geometry.
  static func read(_ tensor: Tensor) -> [ImageGeometry] {
    let values = tensor.floats()
    return stride(from: 0, to: values.count, by: 5).map {
      ImageGeometry(
        width: Int(values[$0]), height: Int(values[$0 + 1]), horizontal: values[$0 + 2], vertical: values[$0 + 3],
        index: Int(values[$0 + 4]))
    }
  }
}

/// Annotated images as a data set.
///
/// - inputs: images f32 [n, 3, h, w], padded with zeros at the right and at the bottom; geometry f32 [n, 5], the rows of
///   ``ImageGeometry``.
/// - targets: boxes f32 [n, g, 4] in the scaled image's pixels; labels i64 [n, g], 0 where there is no box; with masks,
///   u8 [n, g, h, w]. Objects that are not to be learnt are left out.
struct DetectionBatches: Dataset {
  let source: any ObjectSource
  var size: DetectionSize
  /// Sides are padded to multiples of this.
  var multiple = 1
  var statistics = ChannelStatistics.caffe
  var isBGR = true
  /// Whether half of the images are mirrored: in training.
  var mirrors = false
  var hasMasks = false

  var count: Int { source.count }

  func batch(_ indices: [Int], epoch: Int, random: inout SeededRandom) throws -> Batch {
    var geometry: [ImageGeometry] = []
    var planes: [[Float]] = []
    var objects: [[ObjectAnnotation]] = []
    var originals: [(width: Int, height: Int, isMirrored: Bool)] = []
    for index in indices {
      let image = try source.image(index)
      let isMirrored = mirrors && random.chance(0.5)
      let (width, height) = size(image.width, image.height)
      planes.append(
        image.planes(width: width, height: height, isMirrored: isMirrored, isBGR: isBGR, statistics: statistics))
      geometry.append(
        ImageGeometry(
          width: width, height: height, horizontal: Float(width) / Float(image.width),
          vertical: Float(height) / Float(image.height), index: index))
      objects.append(source.annotations(index).filter { !$0.isIgnored })
      originals.append((image.width, image.height, isMirrored))
    }
    func padded(_ side: Int) -> Int { (side + multiple - 1) / multiple * multiple }
    let width = padded(geometry.map(\.width).max() ?? 0)
    let height = padded(geometry.map(\.height).max() ?? 0)
    let most = max(objects.map(\.count).max() ?? 0, 1)
    var pixels = [Float](repeating: 0, count: indices.count * 3 * height * width)
    var boxes = [Float](repeating: 0, count: indices.count * most * 4)
    var labels = [Int](repeating: 0, count: indices.count * most)
    var masks = [UInt8](repeating: 0, count: hasMasks ? indices.count * most * height * width : 0)
    for (place, shape) in geometry.enumerated() {
      for row in 0..<(3 * shape.height) {
        let target = ((place * 3 + row / shape.height) * height + row % shape.height) * width
        let start = row * shape.width
        pixels.replaceSubrange(target..<(target + shape.width), with: planes[place][start..<(start + shape.width)])
      }
      for (number, object) in objects[place].enumerated() {
        var box = object.box.scaled(shape.horizontal, shape.vertical)
        if originals[place].isMirrored { box = box.mirrored(width: Float(shape.width)) }
        let row = place * most + number
        boxes.replaceSubrange((row * 4)..<(row * 4 + 4), with: box.coordinates)
        labels[row] = object.label
        if hasMasks, let outline = object.outline {
          let mask = outline.mask(width: originals[place].width, height: originals[place].height)
          write(mask, shape, isMirrored: originals[place].isMirrored, width, into: &masks, at: row * height * width)
        }
      }
    }
    let n = indices.count
    let rows = geometry.flatMap {
      [Float($0.width), Float($0.height), $0.horizontal, $0.vertical, Float($0.index)]
    }
    return Batch(
      samples: n, inputs: [HostTensor(pixels, shape: [n, 3, height, width]), HostTensor(rows, shape: [n, 5])],
      targets: [HostTensor(boxes, shape: [n, most, 4]), HostTensor(integers: labels, shape: [n, most])]
        + (hasMasks ? [HostTensor(bytes: masks, shape: [n, most, height, width])] : []))
  }

  /// Writes a mask at the scaled image's size, each pixel its nearest neighbour's.
  private func write(
    _ mask: RunLengthMask, _ shape: ImageGeometry, isMirrored: Bool, _ rowLength: Int, into masks: inout [UInt8],
    at start: Int
  ) {
    guard let bounds = mask.boundingBox?.scaled(shape.horizontal, shape.vertical) else { return }
    let pixels = mask.pixels
    for y in max(Int(bounds.y1) - 1, 0)..<min(Int(bounds.y2) + 2, shape.height) {
      let row = min(Int((Float(y) + 0.5) / shape.vertical), mask.height - 1) * mask.width
      for x in max(Int(bounds.x1) - 1, 0)..<min(Int(bounds.x2) + 2, shape.width) {
        let column = min(Int((Float(x) + 0.5) / shape.horizontal), mask.width - 1)
        masks[start + y * rowLength + (isMirrored ? shape.width - 1 - x : x)] = pixels[row + column]
      }
    }
  }
}

/// The objects of a batch's images on the computing thread.
struct DetectionTruth {
  /// Corners, f32 [g, 4].
  let boxes: Tensor
  /// From 1.
  let labels: [Int]
  /// u8 [g, h, w], where the batch has them.
  let masks: Tensor?

  /// One for each image of a batch.
  static func read(_ batch: TensorBatch) -> [DetectionTruth] {
    let most = batch.targets[1].size(1)
    let labels = batch.targets[1].integers()
    return (0..<batch.samples).map { image in
      // Padding comes last.
      let own = Array(labels[(image * most)..<((image + 1) * most)].prefix { $0 > 0 })
      return DetectionTruth(
        boxes: batch.targets[0].select(0, image).slice(0, 0..<own.count), labels: own,
        masks: batch.targets.count > 2 ? batch.targets[2].select(0, image).slice(0, 0..<own.count) : nil)
    }
  }
}
