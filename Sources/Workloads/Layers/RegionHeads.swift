// What is in a proposed region, and where exactly? What Faster and Mask R-CNN do with proposals.

/// Proposals of a batch to learn from.
struct SampledRegions {
  /// (image, x1, y1, x2, y2), f32 [k, 5]; those with an object come first.
  var regions: Tensor
  /// The class of each, 0 for background: i64 [k].
  var labels: [Int]
  /// Images and objects of those with an object.
  var owners: [(image: Int, object: Int)]
  /// What their boxes should be, relative to the regions: f32 [owners, 4]; nil when there are none.
  var deltas: Tensor?
}

/// Regions f32 [k, 5] from the boxes of each image.
func regionsOfImages(_ boxes: [Tensor]) -> Tensor {
  Tensor.concatenated(
    boxes.enumerated().map { image, boxes in
      Tensor.concatenated([Tensor.full([boxes.size(0), 1], Double(image)), boxes], dimension: 1)
    })
}

/// Chooses proposals to learn from.
struct RegionSampling: Sendable {
  /// Of an image.
  var count: Int
  /// Of them with an object, at most.
  var share = 0.25
  /// The IoU with an object from which on a proposal holds it; below it is background.
  var threshold: Float = 0.5

  /// Samples from the proposals and from the objects' own boxes, which are the only good ones at first.
  func callAsFunction(
    _ proposals: [Tensor], _ truth: [DetectionTruth], _ sampler: ExampleSampler
  ) -> SampledRegions {
    withoutGradients {
      var found: [Tensor] = []
      var background: [Tensor] = []
      var labels: [Int] = []
      var owners: [(image: Int, object: Int)] = []
      var deltas: [Tensor] = []
      for (image, objects) in truth.enumerated() {
        func regions(_ boxes: Tensor) -> Tensor {
          Tensor.concatenated([Tensor.full([boxes.size(0), 1], Double(image)), boxes], dimension: 1)
        }
        guard !objects.labels.isEmpty else {
          background.append(regions(proposals[image].slice(0, 0..<min(count, proposals[image].size(0)))))
          continue
        }
        let boxes = Tensor.concatenated([proposals[image], objects.boxes])
        let best = boxes.boxOverlaps(objects.boxes).max(1)
        let values = best.values.floats()
        let owner = best.indices.integers()
        let learnt = sampler.draw(
          Int(Double(count) * share), of: values.indices.filter { values[$0] >= threshold })
        let rest = sampler.draw(count - learnt.count, of: values.indices.filter { values[$0] < threshold })
        if !learnt.isEmpty {
          let rows = boxes.rows(learnt)
          found.append(regions(rows))
          deltas.append(BoxCoder.regions.encode(objects.boxes.rows(learnt.map { owner[$0] }), from: rows))
          labels += learnt.map { objects.labels[owner[$0]] }
          owners += learnt.map { (image, owner[$0]) }
        }
        if !rest.isEmpty { background.append(regions(boxes.rows(rest))) }
      }
      let all = Tensor.concatenated(found + background)
      return SampledRegions(
        regions: all, labels: labels + [Int](repeating: 0, count: all.size(0) - labels.count), owners: owners,
        deltas: deltas.isEmpty ? nil : Tensor.concatenated(deltas))
    }
  }
}

/// Classes and boxes of regions: two linear layers on a feature vector each.
final class BoxPredictor: Module {
  let classes: Linear
  /// Four numbers a class: each class moves the box in its own way.
  let boxes: Linear
  let count: Int

  /// - Parameter classes: with the background.
  init(_ inputs: Int, classes count: Int) {
    self.count = count
    classes = Linear(inputs, count)
    boxes = Linear(inputs, 4 * count)
    classes.weight.fillNormal(deviation: 0.01)
    boxes.weight.fillNormal(deviation: 0.001)
    for layer in [classes, boxes] { layer.bias?.fill(0) }
  }

  /// f32 [k, inputs] → logits [k, classes] and changes [k, 4 classes].
  func callAsFunction(_ features: Tensor) -> (logits: Tensor, deltas: Tensor) {
    scoped { (classes(features), boxes(features)) }
  }

  /// The mean cross entropy, and smooth L1 of the changes for the right class by the number of regions.
  func loss(_ output: (logits: Tensor, deltas: Tensor), _ sampled: SampledRegions) -> Tensor {
    scoped {
      let labels = Tensor(integers: sampled.labels, shape: [sampled.labels.count])
      let classification = output.logits.crossEntropy(labels)
      guard let targets = sampled.deltas else { return classification }
      // Regions with an object come first.
      let places = sampled.owners.indices.map { $0 * count + sampled.labels[$0] }
      let chosen = output.deltas.reshaped([-1, 4]).rows(places)
      return classification + chosen.smoothL1(targets, reduction: .sum) / Double(sampled.labels.count)
    }
  }
}

/// From a detector's scores to the objects it claims.
struct DetectionSelection: Sendable {
  /// Scores below are not looked at.
  var score: Float = 0.05
  /// The IoU from which on a worse box of the same class is the same object.
  var overlap = 0.5
  /// In an image, the best ones.
  var limit = 100

  /// The objects of one image.
  struct Objects {
    /// In the scaled image's pixels, f32 [d, 4].
    var boxes: Tensor
    var scores: [Float]
    /// From 1.
    var labels: [Int]

    static var none: Objects { Objects(boxes: Tensor.zeros([0, 4]), scores: [], labels: []) }
  }

  /// - Parameters:
  ///   - scores: probabilities f32 [k, classes], background first.
  ///   - boxes: each class's f32 [k, classes, 4], or one for all classes [k, 1, 4].
  func callAsFunction(_ scores: Tensor, _ boxes: Tensor) -> Objects {
    let classes = scores.size(1)
    let values = scores.floats()
    // One candidate for each region and class.
    let candidates = values.indices.filter { $0 % classes > 0 && values[$0] > score }
    guard !candidates.isEmpty else { return .none }
    let rows = boxes.size(1) == 1 ? candidates.map { $0 / classes } : candidates
    let chosen = boxes.reshaped([-1, 4]).rows(rows)
    let labels = candidates.map { $0 % classes }
    let kept = chosen.nonMaximumSuppression(
      scores: scores.reshaped([-1]).rows(candidates), groups: Tensor(integers: labels, shape: [labels.count]),
      threshold: overlap, limit: limit)
    let places = kept.integers()
    return Objects(
      boxes: chosen.select(0, indices: kept), scores: places.map { values[candidates[$0]] },
      labels: places.map { labels[$0] })
  }

  /// The objects of each image of a batch, from an R-CNN head's output.
  ///
  /// - Parameter boxes: the proposals of each image, in the order of the head's rows.
  func objects(
    _ output: (logits: Tensor, deltas: Tensor), _ boxes: [Tensor], _ geometry: [ImageGeometry]
  ) -> [Objects] {
    let classes = output.logits.size(1)
    var start = 0
    return boxes.enumerated().map { image, boxes in
      let count = boxes.size(0)
      defer { start += count }
      guard count > 0 else { return .none }
      let rows = start..<start + count
      let anchors = boxes.unsqueezed(1).expanded([count, classes, 4]).reshaped([-1, 4])
      let decoded = BoxCoder.regions.decode(output.deltas.slice(0, rows).reshaped([-1, 4]), from: anchors)
        .clippedBoxes(width: geometry[image].width, height: geometry[image].height)
      return self(output.logits.slice(0, rows).softmax(1), decoded.reshaped([count, classes, 4]))
    }
  }
}

extension DetectionSelection.Objects {
  /// The same as claims about the original image.
  func detections(_ geometry: ImageGeometry) -> [DetectedObject] {
    let corners = boxes.floats()
    return scores.indices.map {
      DetectedObject(
        image: geometry.index, label: labels[$0], score: scores[$0],
        box: Box(corners[4 * $0], corners[4 * $0 + 1], corners[4 * $0 + 2], corners[4 * $0 + 3])
          .scaled(1 / geometry.horizontal, 1 / geometry.vertical))
    }
  }

  /// As one tensor: rows of (class, score, x1, y1, x2, y2).
  var tensor: Tensor {
    let corners = boxes.floats()
    let rows = scores.indices.flatMap { [Float(labels[$0]), scores[$0]] + corners[(4 * $0)..<(4 * $0 + 4)] }
    return Tensor(rows, shape: [scores.count, 6])
  }
}
