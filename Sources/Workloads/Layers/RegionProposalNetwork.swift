// Where in an image may an object be? The region proposal network (Ren et al., NIPS 2015), on one map or a pyramid.

/// Draws examples to learn from. One generator for a run: the same seed draws the same.
final class ExampleSampler {
  private var random: SeededRandom

  init(seed: UInt64) { random = SeededRandom(seed, 3) }

  /// `count` of the elements, each subset as likely; all when there are no more.
  func draw<Element>(_ count: Int, of elements: [Element]) -> [Element] {
    guard elements.count > count else { return elements }
    var elements = elements
    for place in 0..<count { elements.swapAt(place, place + random.integer(below: elements.count - place)) }
    return Array(elements.prefix(count))
  }
}

/// A 3×3 convolution with two 1×1 siblings: at every cell of every map, how likely each anchor holds an object, and by
/// how much to change it.
final class RegionProposalNetwork: Module {
  /// What differs between scales and detectors.
  struct Settings: Sendable {
    /// Channels of the maps.
    var inputs: Int
    /// Channels of the 3×3 convolution.
    var channels: Int
    /// One for each map.
    var anchors: [AnchorGenerator]
    /// Whether background has an output of its own, as in the first version. The score is then the softmax over both,
    /// which is the sigmoid of their difference: loss and order are the same.
    var hasBackgroundOutput = false
    /// Anchors learnt from in an image; half of them objects, where there are so many.
    var examples = 256
    /// Boxes of each map before suppression, and boxes of an image after it.
    var trained = (before: 12_000, after: 2000)
    var tested = (before: 6000, after: 300)
    /// The IoU of suppression.
    var threshold = 0.7
  }

  let conv, objectness, deltas: Conv2d
  private let settings: Settings
  private var cache: (shapes: [[Int]], anchors: Tensor, counts: [Int])?

  init(_ settings: Settings) {
    self.settings = settings
    let count = settings.anchors[0].count
    conv = Conv2d(settings.inputs, settings.channels, kernel: 3, padding: 1)
    objectness = Conv2d(settings.channels, count * (settings.hasBackgroundOutput ? 2 : 1), kernel: 1)
    deltas = Conv2d(settings.channels, count * 4, kernel: 1)
    for layer in [conv, objectness, deltas] {
      layer.weight.fillNormal(deviation: 0.01)
      layer.bias?.fill(0)
    }
  }

  /// What it says of a batch; all maps' anchors after one another.
  struct Output {
    /// Logits, f32 [n, anchors].
    var objectness: Tensor
    /// f32 [n, anchors, 4].
    var deltas: Tensor
    /// f32 [anchors, 4].
    var anchors: Tensor
    /// Anchors of each map.
    var counts: [Int]
  }

  func callAsFunction(_ maps: [Tensor]) -> Output {
    scoped {
      let n = maps[0].size(0)
      let outputs = maps.map { map -> (Tensor, Tensor) in
        let hidden = conv(map).reluInPlace()
        var scores = objectness(hidden)
        if settings.hasBackgroundOutput {
          let half = scores.size(1) / 2
          scores = scores.slice(1, half..<2 * half) - scores.slice(1, 0..<half)
        }
        return (
          scores.permuted([0, 2, 3, 1]).reshaped([n, -1]), deltas(hidden).permuted([0, 2, 3, 1]).reshaped([n, -1, 4])
        )
      }
      let (anchors, counts) = anchors(maps)
      return Output(
        objectness: Tensor.concatenated(outputs.map(\.0), dimension: 1),
        deltas: Tensor.concatenated(outputs.map(\.1), dimension: 1), anchors: anchors, counts: counts)
    }
  }

  /// The anchors of maps of these shapes; kept, because most batches have the same.
  private func anchors(_ maps: [Tensor]) -> (Tensor, [Int]) {
    let shapes = maps.map { Array($0.shape[2...]) }
    if let cache, cache.shapes == shapes { return (cache.anchors, cache.counts) }
    let parts = zip(settings.anchors, shapes).map { $0.anchors(height: $1[0], width: $1[1]) }
    let all = parts.flatMap { $0 }
    let anchors = Tensor(all, shape: [all.count / 4, 4])
    cache = (shapes, anchors, parts.map { $0.count / 4 })
    return (anchors, parts.map { $0.count / 4 })
  }

  // MARK: Proposals

  /// The boxes of each image, best first within a map: f32 [k, 4]. Not recorded for gradients.
  func proposals(_ output: Output, _ geometry: [ImageGeometry]) -> [Tensor] {
    let limits = isTraining ? settings.trained : settings.tested
    return scoped {
      withoutGradients {
        let (logits, deltas) = (output.objectness.detached(), output.deltas.detached())
        return geometry.indices.map { image in
          var start = 0
          var boxes: [Tensor] = []
          var scores: [Tensor] = []
          for count in output.counts {
            defer { start += count }
            let map = start..<start + count
            let best = logits.select(0, image).slice(0, map).top(min(limits.before, count), dimension: 0)
            let decoded = BoxCoder().decode(
              deltas.select(0, image).slice(0, map).select(0, indices: best.indices),
              from: output.anchors.slice(0, map).select(0, indices: best.indices)
            ).clippedBoxes(width: geometry[image].width, height: geometry[image].height)
            let kept = decoded.nonMaximumSuppression(
              scores: best.values, threshold: settings.threshold, limit: limits.after)
            boxes.append(decoded.select(0, indices: kept))
            scores.append(best.values.select(0, indices: kept))
          }
          guard boxes.count > 1 else { return boxes[0] }
          // The best of all maps together.
          let all = Tensor.concatenated(scores)
          let best = all.top(min(limits.after, all.count), dimension: 0).indices
          return Tensor.concatenated(boxes).select(0, indices: best)
        }
      }
    }
  }

  // MARK: Loss

  /// Cross entropy of the sampled anchors, and smooth L1 of those that hold an object, by the number of all sampled.
  ///
  /// An anchor holds an object when their IoU is 0.7 or more, or when no anchor overlaps that object more; it holds
  /// none below 0.3; others and those that leave the image are not learnt from.
  func loss(
    _ output: Output, _ truth: [DetectionTruth], _ geometry: [ImageGeometry], _ sampler: ExampleSampler
  ) -> Tensor {
    scoped {
      let total = output.anchors.size(0)
      let corners = output.anchors.floats()
      var positives: [Int] = []
      var negatives: [Int] = []
      var targets: [Tensor] = []
      for (image, objects) in truth.enumerated() {
        let (width, height) = (Float(geometry[image].width), Float(geometry[image].height))
        let isInside = (0..<total).map {
          corners[4 * $0] >= 0 && corners[4 * $0 + 1] >= 0 && corners[4 * $0 + 2] <= width
            && corners[4 * $0 + 3] <= height
        }
        var candidates: (objects: [Int], background: [Int], owner: [Int]) = ([], [], [])
        withoutGradients {
          guard !objects.labels.isEmpty else {
            candidates.background = (0..<total).filter { isInside[$0] }
            return
          }
          let outside = Tensor(isInside.map { $0 ? 0 : 1 }, shape: [total, 1]).isGreater(0.5)
          let overlaps = output.anchors.boxOverlaps(objects.boxes).masked(outside, with: -1)
          let best = overlaps.max(1)
          let mostOfObject = overlaps.max(0, keep: true).values.clamped(1e-6, .infinity)
          let isBest = overlaps.equals(mostOfObject).to(.float32).max(1).values.floats()
          let values = best.values.floats()
          candidates.owner = best.indices.integers()
          for anchor in 0..<total where isInside[anchor] {
            if isBest[anchor] > 0 || values[anchor] >= 0.7 {
              candidates.objects.append(anchor)
            } else if values[anchor] < 0.3 {
              candidates.background.append(anchor)
            }
          }
        }
        let learnt = sampler.draw(settings.examples / 2, of: candidates.objects)
        let background = sampler.draw(settings.examples - learnt.count, of: candidates.background)
        positives += learnt.map { image * total + $0 }
        negatives += background.map { image * total + $0 }
        if !learnt.isEmpty {
          targets.append(
            BoxCoder().encode(
              objects.boxes.rows(learnt.map { candidates.owner[$0] }), from: output.anchors.rows(learnt)))
        }
      }
      let count = positives.count + negatives.count
      // In an image smaller than every anchor there is nothing to learn.
      guard count > 0 else { return output.objectness.sum() * 0 }
      let logits = output.objectness.reshaped([-1]).rows(positives + negatives)
      let labels = [Float](repeating: 1, count: positives.count) + [Float](repeating: 0, count: negatives.count)
      let classification = logits.binaryCrossEntropy(Tensor(labels, shape: [count]))
      guard !targets.isEmpty else { return classification }
      let regression = output.deltas.reshaped([-1, 4]).rows(positives)
        .smoothL1(Tensor.concatenated(targets), beta: 1.0 / 9, reduction: .sum)
      return classification + regression / Double(count)
    }
  }
}
