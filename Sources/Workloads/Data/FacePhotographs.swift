// Photographs of people: many of each for training, and pairs of other people's for the question whether they agree.
import Foundation

/// Photographs of people who are told apart.
protocol FacePhotographs: Sendable {
  /// Number of people, each with two photographs or more.
  var identityCount: Int { get }
  /// Channels, height, width.
  var shape: [Int] { get }
  /// For the log and the report: `synthetic: …` or the directory.
  var origin: String { get }
  /// Photographs of a person.
  func count(of identity: Int) -> Int
  /// Writes a photograph as planes of −1 … 1.
  ///
  /// - Throws: `DataError` for an image that cannot be read.
  func write(
    _ photograph: Int, of identity: Int, epoch: Int, into planes: UnsafeMutableBufferPointer<Float>
  ) throws(DataError)
  /// What the user must know and has not been told yet.
  func newWarnings() -> [String]
}

extension FacePhotographs {
  /// None.
  func newWarnings() -> [String] { [] }
}

/// VGGFace2's layout: a folder a person, a JPEG or PNG file a photograph. People with one photograph are left out.
final class IdentityFolders: FacePhotographs {
  let origin: String
  let shape: [Int]
  private let framing: Framing
  private let seed: UInt64
  /// Of each person, the name and the photographs'.
  private let people: [(name: String, files: [String])]
  private let losses: UnreadableImages

  var identityCount: Int { people.count }

  /// Lists the photographs; none is opened yet.
  ///
  /// - Throws: `DataError`, also for fewer than two people.
  init(_ directory: DataDirectory, side: Int, framing: Framing, seed: UInt64) throws(DataError) {
    var people: [(name: String, files: [String])] = []
    for name in try directory.subdirectories() {
      let files = try DataDirectory(directory.path(of: name)).entries().filter(ImageFolder.isImage)
      if files.count > 1 { people.append((name, files)) }
    }
    guard people.count > 1 else {
      throw .empty(
        path: directory.path, expected: "folders of two people at least, with two JPEG or PNG files of each at least")
    }
    origin = directory.path
    shape = [3, side, side]
    self.framing = framing
    self.seed = seed
    self.people = people
    losses = UnreadableImages(of: people.reduce(0) { $0 + $1.files.count })
  }

  func count(of identity: Int) -> Int { people[identity].files.count }

  func write(
    _ photograph: Int, of identity: Int, epoch: Int, into planes: UnsafeMutableBufferPointer<Float>
  ) throws(DataError) {
    let (name, files) = people[identity]
    let path = { (index: Int) in "\(self.origin)/\(name)/\(files[index])" }
    // Another photograph of the same person takes the place of an unreadable one.
    try losses.firstReadable(from: photograph, of: files.count, path: path) { index throws(DataError) in
      let encoded = try EncodedImage(path: path(index))
      var random = SeededRandom(seed, epoch, identity, index)
      let part = framing.part(width: encoded.width, height: encoded.height, side: shape[1], random: &random)
      try encoded.write(part, side: shape[1], statistics: .symmetric, into: planes)
    }
  }

  func newWarnings() -> [String] { losses.newWarnings() }
}

/// Triplets as a data set: two photographs of one person and one of another, drawn anew in each epoch. Inputs:
/// f32 [3 n, 3, side, side], first all anchors, then the positives, then the negatives.
struct FaceTriplets: Dataset {
  let photographs: any FacePhotographs
  /// Triplets in an epoch.
  let count: Int

  func batch(_ indices: [Int], epoch: Int, random: inout SeededRandom) throws -> Batch {
    let size = photographs.shape.reduce(1, *)
    let people = photographs.identityCount
    var shown: [(identity: Int, photograph: Int)] = Array(repeating: (0, 0), count: 3 * indices.count)
    for place in indices.indices {
      let person = random.integer(below: people)
      let other = (person + 1 + random.integer(below: people - 1)) % people
      let count = photographs.count(of: person)
      let anchor = random.integer(below: count)
      shown[place] = (person, anchor)
      shown[indices.count + place] = (person, (anchor + 1 + random.integer(below: count - 1)) % count)
      shown[2 * indices.count + place] = (other, random.integer(below: photographs.count(of: other)))
    }
    let pixels = try [Float](unsafeUninitializedCapacity: shown.count * size) { buffer, count in
      for (place, (identity, photograph)) in shown.enumerated() {
        try photographs.write(
          photograph, of: identity, epoch: epoch,
          into: UnsafeMutableBufferPointer(rebasing: buffer[(place * size)..<((place + 1) * size)]))
        count = (place + 1) * size
      }
    }
    return Batch(
      samples: indices.count, inputs: [HostTensor(pixels, shape: [shown.count] + photographs.shape)])
  }
}

/// The question of Labeled Faces in the Wild: pairs of photographs, in folds.
struct FacePairs: Sendable {
  /// A pair, by the photographs' numbers.
  struct Pair: Sendable, Equatable {
    var first: Int
    var second: Int
    var isSame: Bool
  }

  /// All photographs that occur.
  let photographs: any ImageSource
  /// The pairs of each fold.
  let folds: [[Pair]]
}

/// LFW's files: `NAME/NAME_0001.jpg` and `pairs.txt`.
enum LabeledFaces {
  /// Reads `pairs.txt` in `DIR` or `DIR/lfw`; the photographs lie in folders in `DIR/lfw`.
  ///
  /// - Throws: `DataError`, with the line for a pair that names no photograph.
  static func load(_ directory: DataDirectory, side: Int) throws(DataError) -> FacePairs {
    guard let folder = directory.firstDirectory(of: ["lfw"]),
      let path = folder.first(of: ["pairs.txt"]) ?? directory.first(of: ["pairs.txt"])
    else {
      throw directory.wrongFormat(expected: ["lfw/NAME/NAME_0001.jpg with lfw/pairs.txt (or pairs.txt)"])
    }
    var names: [String] = []
    var numbers: [String: Int] = [:]
    var pairs: [FacePairs.Pair] = []
    var counts: (folds: Int, pairs: Int)?
    try ByteStream(path: path).forEachLine { line, number throws(DataError) in
      let fields = String(decoding: line, as: UTF8.self).split(whereSeparator: \.isWhitespace).map(String.init)
      if fields.isEmpty { return }
      func fail(_ expected: String) -> DataError {
        .malformedLine(path: path, line: number, text: FieldScanner.excerpt(line), expected: expected)
      }
      guard counts != nil else {
        guard fields.count == 2, let folds = Int(fields[0]), let each = Int(fields[1]), (2...1000).contains(folds),
          (1...1_000_000).contains(each)
        else { throw fail("the number of folds and of pairs of each kind in a fold, such as \"10 300\"") }
        counts = (folds, each)
        return
      }
      func photograph(_ name: String, _ text: String) throws(DataError) -> Int {
        guard let index = Int(text), (1...9999).contains(index) else {
          throw fail("\"NAME i j\" or \"NAME i OTHER j\"")
        }
        let digits = String(index)
        let stem = "\(name)/\(name)_\(String(repeating: "0", count: 4 - digits.count))\(digits)"
        if let known = numbers[stem] { return known }
        guard let file = ImageFolder.endings.map({ stem + "." + $0 }).first(where: { folder.first(of: [$0]) != nil })
        else { throw fail("photographs in \(folder.path), but \(stem).jpg is not there") }
        names.append(file)
        numbers[stem] = names.count - 1
        return names.count - 1
      }
      switch fields.count {
      case 3:
        pairs.append(
          .init(
            first: try photograph(fields[0], fields[1]), second: try photograph(fields[0], fields[2]), isSame: true))
      case 4:
        pairs.append(
          .init(
            first: try photograph(fields[0], fields[1]), second: try photograph(fields[2], fields[3]), isSame: false))
      default: throw fail("\"NAME i j\" or \"NAME i OTHER j\"")
      }
    }
    guard let counts else { throw .empty(path: path, expected: "the numbers of folds and pairs, then the pairs") }
    guard pairs.count == counts.folds * counts.pairs * 2 else {
      throw .corruptFile(
        path: path,
        reason: "it has \(pairs.count) pairs, its first line promises \(counts.folds) folds of 2 × \(counts.pairs)")
    }
    let each = counts.pairs * 2
    return FacePairs(
      photographs: ImageFiles(folder, names: names, side: side, framing: .whole, isStrict: true, seed: 0),
      folds: (0..<counts.folds).map { Array(pairs[($0 * each)..<(($0 + 1) * each)]) })
  }
}
