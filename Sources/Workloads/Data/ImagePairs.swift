// Two folders of images, as CycleGAN has them: A and B, with or without knowing which belongs to which.
import Foundation

/// Images of two kinds as a data set: inputs A and B, f32 [n, 3, side, side] each. Unpaired, each image of A comes with
/// a random one of B; paired, with the one of the same number.
struct ImagePairs: Dataset {
  let a, b: any ImageSource
  let isPaired: Bool

  /// All of A, and where it has fewer than B, some twice.
  var count: Int { isPaired ? a.count : max(a.count, b.count) }

  func batch(_ indices: [Int], epoch: Int, random: inout SeededRandom) throws -> Batch {
    let others = indices.map { isPaired ? $0 : random.integer(below: b.count) }
    let first = try ImageBatches(source: a).batch(indices.map { $0 % a.count }, epoch: epoch, random: &random)
    let second = try ImageBatches(source: b).batch(others, epoch: epoch, random: &random)
    return Batch(samples: indices.count, inputs: [first.inputs[0], second.inputs[0]])
  }

  /// What the user must know and has not been told yet.
  func newWarnings() -> [String] { a.newWarnings() + b.newWarnings() }

  /// The images in `DIR/\(part)A` and `DIR/\(part)B`.
  ///
  /// - Parameter isPaired: files of the same name (but for a final `_A` or `_B`, and for the ending) belong together;
  ///   one without its counterpart is an error.
  /// - Throws: `DataError`.
  static func folder(
    _ path: String, _ part: String, side: Int, framing: Framing, isPaired: Bool, seed: UInt64
  ) throws(DataError) -> ImagePairs {
    let directory = try DataDirectory(path)
    guard let a = directory.firstDirectory(of: [part + "A"]), let b = directory.firstDirectory(of: [part + "B"]) else {
      throw directory.wrongFormat(expected: ["the folders trainA, trainB, testA and testB with JPEG or PNG files"])
    }
    let names = (a: try ImageFiles.names(in: a), b: try ImageFiles.names(in: b))
    if isPaired { try check(names, in: (a, b)) }
    func files(_ folder: DataDirectory, _ names: [String], _ seed: UInt64) -> ImageFiles {
      ImageFiles(folder, names: names, side: side, framing: framing, isStrict: isPaired, seed: seed)
    }
    func sorted(_ names: [String]) -> [String] {
      isPaired ? names.sorted { stem($0).utf8.lexicographicallyPrecedes(stem($1).utf8) } : names
    }
    return ImagePairs(
      a: files(a, sorted(names.a), seed), b: files(b, sorted(names.b), seed &+ 1), isPaired: isPaired)
  }

  /// Whether each file has its counterpart.
  private static func check(
    _ names: (a: [String], b: [String]), in folders: (a: DataDirectory, b: DataDirectory)
  ) throws(DataError) {
    let stems = (a: Set(names.a.map(stem)), b: Set(names.b.map(stem)))
    if let lonely = names.a.first(where: { !stems.b.contains(stem($0)) }) {
      throw .unsuitable(path: folders.a.path(of: lonely), reason: "\(folders.b.path) has no image of that name")
    }
    if let lonely = names.b.first(where: { !stems.a.contains(stem($0)) }) {
      throw .unsuitable(path: folders.b.path(of: lonely), reason: "\(folders.a.path) has no image of that name")
    }
    guard stems.a.count == names.a.count, stems.b.count == names.b.count else {
      throw .unsuitable(path: folders.a.path, reason: "two of its images, or of \(folders.b.path), have the same name")
    }
  }

  /// A name without its ending and without `_A` or `_B`.
  private static func stem(_ name: String) -> String {
    let stem = name.lastIndex(of: ".").map { String(name[..<$0]) } ?? name
    return stem.hasSuffix("_A") || stem.hasSuffix("_B") ? String(stem.dropLast(2)) : stem
  }
}
