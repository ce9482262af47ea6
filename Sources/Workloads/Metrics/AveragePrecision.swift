// How good a detector is: mean average precision by the rules of PASCAL VOC 2007 and of COCO.

/// What a detector claims.
struct DetectedObject: Sendable {
  /// Which image.
  var image: Int
  /// Its class, from 1.
  var label: Int
  /// The larger, the surer.
  var score: Float
  /// In the image's own pixels.
  var box: Box
  /// Its pixels, of a detector that tells them.
  var mask: RunLengthMask?
}

/// Indices in the order of falling scores; of equal ones the first comes first.
private func ranking(_ detections: [DetectedObject], _ indices: some Sequence<Int>) -> [Int] {
  // `sorted` is stable; a score that is not a number comes last.
  let score = { (index: Int) in detections[index].score.isNaN ? -Float.infinity : detections[index].score }
  return indices.sorted { score($0) > score($1) }
}

private func mean(_ values: [Double]) -> Double {
  values.isEmpty ? .nan : values.reduce(0, +) / Double(values.count)
}

/// PASCAL VOC 2007's measure (Everingham et al., IJCV 2010).
enum VOCAveragePrecision {
  /// The mean over the classes that occur of each class's average precision.
  ///
  /// - Parameters:
  ///   - truth: the objects of each image.
  ///   - threshold: the IoU from which on a detection is right.
  static func mean(
    _ detections: [DetectedObject], truth: [[ObjectAnnotation]], classes: Int, threshold: Float = 0.5
  ) -> Double {
    Workloads.mean(
      (1...classes).compactMap { average(detections, truth: truth, label: $0, threshold: threshold) })
  }

  /// The average precision of a class; nil when no object of it has to be found.
  ///
  /// Detections are taken by falling score. Each belongs to the object of its class which it overlaps most; it is
  /// right when it does so by the threshold or more and no detection before it did. Detections of difficult objects
  /// do not count.
  static func average(
    _ detections: [DetectedObject], truth: [[ObjectAnnotation]], label: Int, threshold: Float = 0.5
  ) -> Double? {
    let objects = truth.map { $0.filter { $0.label == label } }
    let total = objects.reduce(0) { $0 + $1.count { !$0.isIgnored } }
    guard total > 0 else { return nil }
    var isFound = objects.map { [Bool](repeating: false, count: $0.count) }
    var (right, wrong) = (0, 0)
    var curve: [(recall: Double, precision: Double)] = []
    for index in ranking(detections, detections.indices.filter { detections[$0].label == label }) {
      let detection = detections[index]
      let candidates = objects[detection.image].map { detection.box.intersectionOverUnion($0.box) }
      let best = candidates.indices.max { candidates[$0] < candidates[$1] }
      if let best, candidates[best] >= threshold {
        if objects[detection.image][best].isIgnored { continue }
        if isFound[detection.image][best] { wrong += 1 } else { right += 1 }
        isFound[detection.image][best] = true
      } else {
        wrong += 1
      }
      curve.append((Double(right) / Double(total), Double(right) / Double(right + wrong)))
    }
    // The largest precision at a recall of 0, 0.1 … 1 or more.
    return Workloads.mean(
      (0...10).map { step in
        curve.filter { $0.recall >= Double(step) / 10 }.map(\.precision).max() ?? 0
      })
  }
}

/// COCO's measures (Lin et al., ECCV 2014): precision at 101 recalls, averaged over ten thresholds of overlap.
struct COCOAveragePrecision: Sendable, Equatable {
  /// What is compared.
  enum Overlap: Sendable { case boxes, masks }

  /// The mean over the thresholds of IoU 0.50, 0.55 … 0.95.
  var average: Double
  /// At an IoU of 0.50 and of 0.75.
  var at50, at75: Double

  static let thresholds = (0..<10).map { 0.5 + Double($0) * 0.05 }

  /// - Parameters:
  ///   - truth: the objects of each image.
  ///   - limit: of detections an image and class, the best ones.
  init(
    _ detections: [DetectedObject], truth: [[ObjectAnnotation]], sizes: [(width: Int, height: Int)] = [],
    classes: Int, overlap: Overlap = .boxes, limit: Int = 100
  ) {
    let grouped = Dictionary(grouping: detections.indices) { [detections[$0].image, detections[$0].label] }
    var sums = Self.thresholds.map { _ in [Double]() }
    for label in 1...classes {
      let matches = truth.indices.compactMap { image -> Matches? in
        let objects = truth[image].filter { $0.label == label }
        let claims = ranking(detections, grouped[[image, label]] ?? []).prefix(limit).map { detections[$0] }
        guard !objects.isEmpty || !claims.isEmpty else { return nil }
        let size = overlap == .masks ? sizes[image] : (0, 0)
        return Matches(claims, objects, overlap, size)
      }
      let total = matches.reduce(0) { $0 + $1.objects }
      guard total > 0 else { continue }
      for place in Self.thresholds.indices { sums[place].append(Self.average(matches, place, total)) }
    }
    average = mean(sums.flatMap { $0 })
    at50 = mean(sums[0])
    at75 = mean(sums[5])
  }

  /// Precision, made falling, at recalls of 0, 0.01 … 1; 0 at recalls that are not reached.
  private static func average(_ matches: [Matches], _ place: Int, _ total: Int) -> Double {
    let claims = matches.flatMap { image in image.scores.indices.map { (image.scores[$0], image.verdicts[place][$0]) } }
      .filter { $0.1 != .ignored }
      .enumerated().sorted { ($1.element.0, $0.offset) < ($0.element.0, $1.offset) }.map(\.element.1)
    var right = 0
    var curve: [(recall: Double, precision: Double)] = []
    for (index, verdict) in claims.enumerated() {
      if verdict == .right { right += 1 }
      curve.append((Double(right) / Double(total), Double(right) / Double(index + 1)))
    }
    for index in curve.indices.dropLast().reversed() {
      curve[index].precision = max(curve[index].precision, curve[index + 1].precision)
    }
    var sum = 0.0
    var index = 0
    for step in 0...100 {
      while index < curve.count, curve[index].recall < Double(step) * 0.01 { index += 1 }
      if index < curve.count { sum += curve[index].precision }
    }
    return sum / 101
  }

  /// The verdicts on the detections of one class in one image.
  private struct Matches {
    enum Verdict { case right, wrong, ignored }

    /// Of the detections, falling.
    var scores: [Float]
    /// By threshold, then by detection.
    var verdicts: [[Verdict]]
    /// How many objects have to be found.
    var objects: Int

    /// Detections choose by falling score: each takes the free object which it overlaps most, by the threshold or
    /// more. One that finds none may fall into a crowd, which holds any number; it is then ignored.
    init(
      _ claims: [DetectedObject], _ objects: [ObjectAnnotation], _ overlap: Overlap, _ size: (width: Int, height: Int)
    ) {
      scores = claims.map(\.score)
      let overlaps = Self.overlaps(claims, objects, overlap, size)
      verdicts = COCOAveragePrecision.thresholds.map { threshold in
        var isTaken = [Bool](repeating: false, count: objects.count)
        return claims.indices.map { claim in
          func best(_ isIgnored: Bool) -> Int? {
            var best: Int?
            // Of equal overlaps the last one wins, as in COCO's own tool.
            for object in objects.indices
            where objects[object].isIgnored == isIgnored && !isTaken[object]
              && overlaps[claim][object] >= (best.map { overlaps[claim][$0] } ?? min(threshold, 1 - 1e-10))
            { best = object }
            return best
          }
          if let object = best(false) {
            isTaken[object] = true
            return .right
          }
          return best(true) == nil ? .wrong : .ignored
        }
      }
      self.objects = objects.count { !$0.isIgnored }
    }

    /// The IoU of every detection with every object; with a crowd, the share of the detection inside it.
    private static func overlaps(
      _ claims: [DetectedObject], _ objects: [ObjectAnnotation], _ overlap: Overlap, _ size: (width: Int, height: Int)
    ) -> [[Double]] {
      func ratio(_ common: Double, _ claim: Double, _ object: ObjectAnnotation, _ area: Double) -> Double {
        let whole = object.isIgnored ? claim : claim + area - common
        return whole > 0 ? common / whole : 0
      }
      switch overlap {
      case .boxes:
        return claims.map { claim in
          objects.map { object in
            // In double precision, as COCO's tool: 0.5 has to be 0.5.
            let common = claim.box.intersection(object.box)
            return ratio(area(common), area(claim.box), object, area(object.box))
          }
        }
      case .masks:
        let masks = objects.map {
          $0.outline?.mask(width: size.width, height: size.height)
            ?? RunLengthMask(width: size.width, height: size.height) { _, _ in false }
        }
        return claims.map { claim in
          guard let mask = claim.mask else { return objects.map { _ in 0 } }
          return objects.indices.map {
            ratio(Double(mask.commonArea(masks[$0])), Double(mask.area), objects[$0], Double(masks[$0].area))
          }
        }
      }
    }

    private static func area(_ box: Box) -> Double {
      max(Double(box.x2) - Double(box.x1), 0) * max(Double(box.y2) - Double(box.y1), 0)
    }
  }
}
