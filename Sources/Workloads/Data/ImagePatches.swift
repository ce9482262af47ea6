// Square parts of photographs at their own resolution: what a codec learns from.
import Foundation

/// The JPEG and PNG files below a directory, cut to squares without scaling them, values from −0.5 to 0.5.
///
/// `train` and `val` (or `validation`) below the directory are the two splits; without them every tenth file, in the
/// order of their names, is for validation. Folders may lie in folders, so ImageNet's classes need no preparation.
final class ImagePatches: ImageSource {
  enum Split { case train, validation }

  let origin: String
  let shape: [Int]
  /// One kind: there is nothing to tell apart.
  let classCount = 1
  private let files: [String]
  private let split: Split
  private let seed: UInt64
  private let losses: UnreadableImages

  var count: Int { files.count }

  /// Lists the images; none is opened yet.
  ///
  /// - Parameters:
  ///   - side: of the squares, in pixels: at a random place for training, in the middle for validation. An image that
  ///     is smaller is cut to its largest square, and scaled up.
  ///   - seed: of the places.
  /// - Throws: `DataError`.
  init(directory path: String, split: Split, side: Int, seed: UInt64) throws(DataError) {
    let directory = try DataDirectory(path)
    var files: [String]
    if let train = directory.firstDirectory(of: ["train"]),
      let validation = directory.firstDirectory(of: ["val", "validation"])
    {
      let folder = split == .train ? train : validation
      files = try Self.images(below: folder)
      guard !files.isEmpty else { throw .empty(path: folder.path, expected: Self.expectation) }
    } else {
      let all = try Self.images(below: directory)
      guard all.count >= 10 else {
        throw all.isEmpty
          ? directory.wrongFormat(expected: ["JPEG or PNG files in it or in its folders"])
          : .unsuitable(
            path: path, reason: "it has \(all.count) images; of at least 10, every tenth is kept for validation")
      }
      files = all.enumerated().filter { ($0.offset % 10 == 9) == (split == .validation) }.map(\.element)
    }
    origin = path
    shape = [3, side, side]
    self.files = files
    self.split = split
    self.seed = seed
    losses = UnreadableImages(of: files.count)
  }

  private static let expectation = "files ending in .\(ImageFolder.endings.joined(separator: ", ."))"

  private static func images(below directory: DataDirectory) throws(DataError) -> [String] {
    var found: [String] = []
    for name in try directory.entries() {
      let path = directory.path(of: name)
      if ImageFolder.isImage(name) {
        found.append(path)
      } else if let folder = try? DataDirectory(path) {
        found += try images(below: folder)
      }
    }
    return found
  }

  /// Reads, decodes and cuts one image.
  func write(
    _ index: Int, epoch: Int, into planes: UnsafeMutableBufferPointer<Float>
  ) throws(DataError) -> Int64 {
    try losses.firstReadable(from: index, of: count, path: { files[$0] }) { position throws(DataError) in
      try read(position, epoch: epoch, into: planes)
      return 0
    }
  }

  private func read(_ index: Int, epoch: Int, into planes: UnsafeMutableBufferPointer<Float>) throws(DataError) {
    let image = try EncodedImage(path: files[index]).decode()
    let side = min(shape[1], image.width, image.height)
    var (x, y) = ((image.width - side) / 2, (image.height - side) / 2)
    if split == .train {
      var random = SeededRandom(seed, epoch, index)
      x = random.integer(below: image.width - side + 1)
      y = random.integer(below: image.height - side + 1)
    }
    let box = PixelBox(x: Double(x), y: Double(y), width: Double(side), height: Double(side))
    image.write(box, side: shape[1], isMirrored: false, statistics: .centred, into: planes)
  }

  /// Names the unreadable images that have been replaced since the last call.
  func newWarnings() -> [String] { losses.newWarnings() }
}

extension ChannelStatistics {
  /// From −0.5 to 0.5.
  static let centred = ChannelStatistics(mean: [0.5, 0.5, 0.5], deviation: [1, 1, 1])
  /// From 0 to 1.
  static let unit = ChannelStatistics(mean: [0, 0, 0], deviation: [1, 1, 1])
}
