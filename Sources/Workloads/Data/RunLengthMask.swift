// The pixels of an object as COCO writes them: lengths of alternating runs, down the columns.

/// A binary image as the lengths of runs of 0 and 1 in turn, beginning with 0, column after column.
struct RunLengthMask: Hashable, Sendable {
  let width, height: Int
  /// Lengths of the runs; they add up to width × height.
  let counts: [Int]

  /// - Returns: nil when the runs do not fill the image.
  init?(counts: [Int], width: Int, height: Int) {
    guard width >= 0, height >= 0, counts.allSatisfy({ $0 >= 0 && $0 <= width * height }),
      counts.reduce(0, +) == width * height
    else { return nil }
    (self.width, self.height, self.counts) = (width, height, counts)
  }

  /// From COCO's compressed text: each length in groups of five bits, lowest first, as characters from "0" on, with a
  /// sixth bit for "more follows"; from the fourth on as the difference to the length two before.
  ///
  /// - Returns: nil when the text does not follow that, or does not fill the image.
  init?(compressed text: some Sequence<UInt8>, width: Int, height: Int) {
    var counts: [Int] = []
    var value = 0
    var shift = 0
    for character in text {
      guard (48..<112).contains(character), shift < 60 else { return nil }
      let bits = Int(character) - 48
      value |= (bits & 31) << shift
      shift += 5
      guard bits & 32 == 0 else { continue }
      // The highest bit of the last group is the sign.
      if bits & 16 != 0 { value -= 1 << shift }
      if counts.count > 2 { value += counts[counts.count - 2] }
      // Before a sum of many can overflow.
      guard (0...width * height).contains(value) else { return nil }
      counts.append(value)
      (value, shift) = (0, 0)
    }
    guard shift == 0 else { return nil }
    self.init(counts: counts, width: width, height: height)
  }

  /// From pixels row by row; what is not 0 is inside.
  init(_ pixels: some RandomAccessCollection<UInt8>, width: Int, height: Int) {
    precondition(pixels.count == width * height, "\(pixels.count) pixels for \(width)×\(height)")
    self.init(width: width, height: height) { x, y in
      pixels[pixels.index(pixels.startIndex, offsetBy: y * width + x)] != 0
    }
  }

  /// From a rule for each pixel.
  init(width: Int, height: Int, contains: (Int, Int) -> Bool) {
    var counts: [Int] = []
    var run = 0
    var isInside = false
    for x in 0..<width {
      for y in 0..<height {
        if contains(x, y) != isInside {
          counts.append(run)
          run = 0
          isInside.toggle()
        }
        run += 1
      }
    }
    counts.append(run)
    (self.width, self.height, self.counts) = (width, height, counts)
  }

  /// The pixels whose centre lies within one of the polygons, x₁, y₁, x₂, y₂ … each. (COCO's own tool draws the edge
  /// on a finer grid; the two differ by pixels which an edge crosses.)
  init(polygons: [[Float]], width: Int, height: Int) {
    var pixels = [UInt8](repeating: 0, count: width * height)
    for polygon in polygons {
      let points = (0..<polygon.count / 2).map { (x: polygon[2 * $0], y: polygon[2 * $0 + 1]) }
      guard points.count > 2 else { continue }
      let top = max(points.map(\.y).min() ?? 0, 0)
      let bottom = min(points.map(\.y).max() ?? 0, Float(height))
      guard bottom > top else { continue }
      for y in Int(top)..<min(Int(bottom.rounded(.up)), height) {
        // Where the row's centre line crosses the edges: inside is between an odd crossing and the next.
        let line = Float(y) + 0.5
        var crossings: [Float] = []
        for (index, a) in points.enumerated() {
          let b = points[(index + 1) % points.count]
          if (a.y <= line) != (b.y <= line) { crossings.append(a.x + (line - a.y) / (b.y - a.y) * (b.x - a.x)) }
        }
        crossings.sort()
        for pair in stride(from: 0, to: crossings.count - 1, by: 2) {
          let limit = Float(width)
          let first = Int((min(max(crossings[pair], 0), limit) - 0.5).rounded(.up))
          let end = Int((min(max(crossings[pair + 1], 0), limit) - 0.5).rounded(.up))
          for x in first..<max(first, end) { pixels[y * width + x] = 1 }
        }
      }
    }
    self.init(pixels, width: width, height: height)
  }

  /// Pixels inside.
  var area: Int { stride(from: 1, to: counts.count, by: 2).reduce(0) { $0 + counts[$1] } }

  /// Row by row, 1 inside and 0 outside.
  var pixels: [UInt8] {
    var pixels = [UInt8](repeating: 0, count: width * height)
    forEachRun { start, end in
      for place in start..<end { pixels[place % height * width + place / height] = 1 }
    }
    return pixels
  }

  /// The runs inside, as ranges down the columns.
  private func forEachRun(_ body: (Int, Int) -> Void) {
    var place = 0
    for (index, count) in counts.enumerated() {
      if index % 2 == 1, count > 0 { body(place, place + count) }
      place += count
    }
  }

  /// Pixels inside both.
  func commonArea(_ other: RunLengthMask) -> Int {
    precondition(width == other.width && height == other.height, "masks of different images")
    var (i, j, common) = (0, 0, 0)
    // The ends of the current runs.
    var (a, b) = (counts.first ?? 0, other.counts.first ?? 0)
    var place = 0
    while i < counts.count, j < other.counts.count {
      let end = min(a, b)
      if i % 2 == 1, j % 2 == 1 { common += end - place }
      place = end
      if a == end {
        i += 1
        if i < counts.count { a += counts[i] }
      }
      if b == end {
        j += 1
        if j < other.counts.count { b += other.counts[j] }
      }
    }
    return common
  }

  /// The box around the pixels inside; nil when there are none.
  var boundingBox: Box? {
    var (left, right, top, bottom) = (width, 0, height, 0)
    forEachRun { start, end in
      let (first, last) = (start / height, (end - 1) / height)
      left = min(left, first)
      right = max(right, last + 1)
      // A run over several columns reaches from the top to the bottom.
      top = min(top, first == last ? start % height : 0)
      bottom = max(bottom, first == last ? (end - 1) % height + 1 : height)
    }
    return right > left ? Box(Float(left), Float(top), Float(right), Float(bottom)) : nil
  }
}
