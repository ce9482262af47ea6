// Faces in colour and depth, from a list of files.
import Foundation

/// A list `DIR/train.csv` with the columns rgb_image_path (JPEG or PNG), dep_image_path (`.npy`) and cls_name. Paths
/// that are not absolute begin at the list's directory. Images are four planes: red, green, blue, depth.
final class RGBDFaces: ImageSource {
  let origin: String
  let shape: [Int]
  /// Class names, sorted; the position is the label.
  let classes: [String]
  private let samples: [(colour: String, depth: String, label: Int)]
  private let framing: Framing
  private let seed: UInt64
  private let losses: UnreadableImages

  var count: Int { samples.count }
  var classCount: Int { classes.count }

  private static let columns = ["rgb_image_path", "dep_image_path", "cls_name"]

  /// Reads the list; no image is opened yet.
  ///
  /// - Parameters:
  ///   - part: names of the list, without `.csv`; the first that exists is taken.
  ///   - classes: of the training list; nil to take those found.
  /// - Throws: `DataError`, with the line where a row is not in order.
  init(
    _ directory: DataDirectory, part: [String], side: Int, framing: Framing, classes known: [String]? = nil,
    seed: UInt64
  ) throws(DataError) {
    guard let path = directory.first(of: part.map { $0 + ".csv" }) else {
      throw directory.wrongFormat(
        expected: part.map { "\($0).csv with the columns \(Self.columns.joined(separator: ", "))" })
    }
    var rows: [(colour: String, depth: String, name: String, line: Int)] = []
    var places: [Int]?
    try ByteStream(path: path).forEachLine { line, number throws(DataError) in
      let fields = String(decoding: line, as: UTF8.self).split(separator: ",", omittingEmptySubsequences: false)
        .map { $0.trimmingCharacters(in: CharacterSet(charactersIn: " \t\"\u{FEFF}")) }
      func fail(_ expected: String) -> DataError {
        .malformedLine(path: path, line: number, text: FieldScanner.excerpt(line), expected: expected)
      }
      guard let places else {
        let found = Self.columns.compactMap { fields.firstIndex(of: $0) }
        guard found.count == Self.columns.count else {
          throw fail("the column names \(Self.columns.joined(separator: ","))")
        }
        places = found
        return
      }
      if fields == [""] { return }
      let values = places.map { $0 < fields.count ? fields[$0] : "" }
      guard values.allSatisfy({ !$0.isEmpty }) else { throw fail("\(Self.columns.joined(separator: ", "))") }
      let absolute = values.prefix(2).map { $0.hasPrefix("/") ? $0 : directory.path(of: $0) }
      rows.append((absolute[0], absolute[1], values[2], number))
    }
    guard !rows.isEmpty else { throw .empty(path: path, expected: "a line of column names, then one line a face") }
    let classes = known ?? Set(rows.map(\.name)).sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
    let numbers = Dictionary(uniqueKeysWithValues: classes.enumerated().map { ($1, $0) })
    var samples: [(colour: String, depth: String, label: Int)] = []
    for row in rows {
      guard let label = numbers[row.name] else {
        throw .malformedLine(
          path: path, line: row.line, text: row.name,
          expected: "one of the \(classes.count) people of the training list"
        )
      }
      samples.append((row.colour, row.depth, label))
    }
    origin = path
    shape = [4, side, side]
    self.classes = classes
    self.samples = samples
    self.framing = framing
    self.seed = seed
    losses = UnreadableImages(of: samples.count)
  }

  func write(
    _ index: Int, epoch: Int, into planes: UnsafeMutableBufferPointer<Float>
  ) throws(DataError) -> Int64 {
    try losses.firstReadable(from: index, of: count, path: { samples[$0].colour }) { position throws(DataError) in
      let sample = samples[position]
      let side = shape[1]
      let colour = try EncodedImage(path: sample.colour)
      let depth = DepthPlane(try NPYImage(path: sample.depth))
      var random = SeededRandom(seed, epoch, position)
      let part = framing.part(width: colour.width, height: colour.height, side: side, random: &random)
      try colour.write(
        part, side: side, statistics: .symmetric,
        into: UnsafeMutableBufferPointer(rebasing: planes[..<(3 * side * side)]))
      // Both show the same, whatever their sizes.
      let box = part.box.scaled(
        Double(depth.width) / Double(colour.width), Double(depth.height) / Double(colour.height))
      depth.write(
        box, side: side, isMirrored: part.isMirrored,
        into: UnsafeMutableBufferPointer(rebasing: planes[(3 * side * side)...]))
      return Int64(sample.label)
    }
  }

  func newWarnings() -> [String] { losses.newWarnings() }
}

/// Distances with mean 0 and deviation 1 over the pixels that have one; a camera's holes (0, negative, not a number)
/// become 0, the mean. A face's shape counts, not how far away it is or the camera's unit.
struct DepthPlane: Sendable {
  let width: Int
  let height: Int
  let values: [Float]

  init(_ image: NPYImage) { self.init(width: image.width, height: image.height, distances: image.values) }

  init(width: Int, height: Int, distances: [Float]) {
    (self.width, self.height) = (width, height)
    func isMeasured(_ distance: Float) -> Bool { distance > 0 && distance.isFinite }
    var (sum, squares, count) = (0.0, 0.0, 0)
    for distance in distances where isMeasured(distance) {
      sum += Double(distance)
      count += 1
    }
    let mean = count == 0 ? 0 : sum / Double(count)
    for distance in distances where isMeasured(distance) {
      squares += (Double(distance) - mean) * (Double(distance) - mean)
    }
    let deviation = count == 0 ? 0 : (squares / Double(count)).squareRoot()
    values = distances.map {
      isMeasured($0) && deviation > 0 ? Float((Double($0) - mean) / deviation) : 0
    }
  }

  /// Cuts out the box and scales it to `side`×`side`.
  func write(_ box: PixelBox, side: Int, isMirrored: Bool, into plane: UnsafeMutableBufferPointer<Float>) {
    precondition(plane.count == side * side, "the buffer must hold one plane")
    let across = ResamplingWeights(origin: box.x, length: box.width, limit: width, count: side)
    let down = ResamplingWeights(origin: box.y, length: box.height, limit: height, count: side)
    var narrowed = [Float](repeating: 0, count: height * side)
    for row in 0..<height {
      for x in 0..<side {
        let start = across.first[x]
        for tap in 0..<min(across.taps, width - start) {
          narrowed[row * side + x] += across.weights[x * across.taps + tap] * values[row * width + start + tap]
        }
      }
    }
    for y in 0..<side {
      let start = down.first[y]
      for x in 0..<side {
        var value: Float = 0
        for tap in 0..<min(down.taps, height - start) {
          value += down.weights[y * down.taps + tap] * narrowed[(start + tap) * side + x]
        }
        plane[y * side + (isMirrored ? side - 1 - x : x)] = value
      }
    }
  }
}
