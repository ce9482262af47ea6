// Images for a single-shot detector: augmented, scaled to a square, their objects assigned to default boxes.
import Glibc

/// Annotated images with what each default box has to learn.
///
/// - inputs: images f32 [n, 3, side, side]; geometry f32 [n, 5] as ``ImageGeometry``.
/// - targets: corners of each default box's object f32 [n, boxes, 4], as fractions of the image; labels i64 [n, boxes],
///   0 for background.
struct SingleShotBatches: Dataset {
  let source: any ObjectSource
  let side: Int
  /// Corners as fractions of the image.
  let boxes: [Box]
  /// Whether images are cropped, mirrored and recoloured: in training.
  var augments = false

  var count: Int { source.count }

  func batch(_ indices: [Int], epoch: Int, random: inout SeededRandom) throws -> Batch {
    var pixels: [Float] = []
    pixels.reserveCapacity(indices.count * 3 * side * side)
    var geometry: [Float] = []
    var targets: [Float] = []
    targets.reserveCapacity(indices.count * boxes.count * 4)
    var labels: [Int] = []
    labels.reserveCapacity(indices.count * boxes.count)
    for index in indices {
      var image = try source.image(index)
      var objects = source.annotations(index).filter { !$0.isIgnored }
      var isMirrored = false
      if augments {
        let crop = Self.crop(width: image.width, height: image.height, objects: objects, random: &random)
        (image, objects) = Self.cut(image, objects, crop)
        isMirrored = random.chance(0.5)
        Self.recolour(&image, random: &random)
      }
      pixels += image.planes(
        width: side, height: side, isMirrored: isMirrored, isBGR: false, statistics: .imageNet)
      let (width, height) = (Float(image.width), Float(image.height))
      geometry += [Float(side), Float(side), Float(side) / width, Float(side) / height, Float(index)]
      let fractions = objects.map { object in
        (isMirrored ? object.box.mirrored(width: width) : object.box).scaled(1 / width, 1 / height)
      }
      for (place, owner) in DefaultBoxes.match(boxes, fractions).enumerated() {
        targets += (owner >= 0 ? fractions[owner] : boxes[place]).coordinates
        labels.append(owner >= 0 ? objects[owner].label : 0)
      }
    }
    let n = indices.count
    return Batch(
      samples: n, inputs: [HostTensor(pixels, shape: [n, 3, side, side]), HostTensor(geometry, shape: [n, 5])],
      targets: [
        HostTensor(targets, shape: [n, boxes.count, 4]), HostTensor(integers: labels, shape: [n, boxes.count]),
      ])
  }

  // MARK: Augmentation

  /// A random part of an image: all of it, or one of which some object overlaps the whole part by a random least IoU,
  /// or any. Sides are 0.3 to 1 of the image's, with a ratio of at most 2. Fifty draws that do not fit choose anew.
  static func crop(width: Int, height: Int, objects: [ObjectAnnotation], random: inout SeededRandom) -> Box {
    let whole = Box(0, 0, Float(width), Float(height))
    guard !objects.isEmpty else { return whole }
    for _ in 0..<20 {
      let choice = random.integer(below: 7)
      // All; at least 0.1, 0.3, 0.5, 0.7, 0.9; any.
      if choice == 0 { return whole }
      let least: Float = choice == 6 ? 0 : Float(choice) * 0.2 - 0.1
      for _ in 0..<50 {
        let w = (Double(width) * random.uniform(0.3...1)).rounded()
        let h = (Double(height) * random.uniform(0.3...1)).rounded()
        guard w >= 1, h >= 1, w / h <= 2, h / w <= 2 else { continue }
        let x = Double(random.integer(below: width - Int(w) + 1))
        let y = Double(random.integer(below: height - Int(h) + 1))
        let part = Box(Float(x), Float(y), Float(x + w), Float(y + h))
        let keeps = objects.contains { isCentred($0.box, in: part) }
        if keeps, objects.allSatisfy({ $0.box.intersectionOverUnion(part) >= least }) || least == 0 { return part }
      }
    }
    return whole
  }

  private static func isCentred(_ box: Box, in part: Box) -> Bool {
    let (x, y) = ((box.x1 + box.x2) / 2, (box.y1 + box.y2) / 2)
    return x > part.x1 && x < part.x2 && y > part.y1 && y < part.y2
  }

  /// The part of the image, with the objects whose centres are in it.
  private static func cut(
    _ image: RGBImage, _ objects: [ObjectAnnotation], _ part: Box
  ) -> (RGBImage, [ObjectAnnotation]) {
    let (x, y, width, height) = (Int(part.x1), Int(part.y1), Int(part.width), Int(part.height))
    guard width != image.width || height != image.height else { return (image, objects) }
    var pixels: [UInt8] = []
    pixels.reserveCapacity(width * height * 3)
    for row in y..<y + height {
      let start = (row * image.width + x) * 3
      pixels += image.pixels[start..<start + width * 3]
    }
    let kept = objects.filter { isCentred($0.box, in: part) }.map { object in
      var object = object
      let box = object.box.intersection(part)
      object.box = Box(box.x1 - part.x1, box.y1 - part.y1, box.x2 - part.x1, box.y2 - part.y1)
      object.outline = nil
      return object
    }
    return (RGBImage(width: width, height: height, pixels: pixels), kept)
  }

  /// Another brightness, contrast and saturation.
  private static func recolour(_ image: inout RGBImage, random: inout SeededRandom) {
    let brightness = Float(random.uniform(0.875...1.125))
    let contrast = Float(random.uniform(0.5...1.5))
    let saturation = Float(random.uniform(0.5...1.5))
    let grey = { (r: Float, g: Float, b: Float) in 0.299 * r + 0.587 * g + 0.114 * b }
    let pixels = image.pixels
    var sum: Float = 0
    // Some of the pixels are enough for the mean.
    let step = max(pixels.count / 3 / 4096, 1) * 3
    var number: Float = 0
    for place in stride(from: 0, to: pixels.count, by: step) {
      sum += grey(Float(pixels[place]), Float(pixels[place + 1]), Float(pixels[place + 2]))
      number += 1
    }
    let mean = sum / max(number, 1) * brightness
    let changed = [UInt8](unsafeUninitializedCapacity: pixels.count) { buffer, count in
      for place in stride(from: 0, to: pixels.count, by: 3) {
        let (r, g, b) = (Float(pixels[place]), Float(pixels[place + 1]), Float(pixels[place + 2]))
        let own = grey(r, g, b)
        for (channel, value) in [r, g, b].enumerated() {
          let saturated = (own + (value - own) * saturation) * brightness
          let result = mean + (saturated - mean) * contrast
          buffer.initializeElement(at: place + channel, to: UInt8(min(max(result, 0), 255)))
        }
      }
      count = pixels.count
    }
    image = RGBImage(width: image.width, height: image.height, pixels: changed)
  }
}
