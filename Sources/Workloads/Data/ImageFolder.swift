// ImageNet's layout: a folder a class, a JPEG or PNG file an image.
import Foundation

/// One split of a directory `DIR/train/CLASS/*.JPEG`, `DIR/val/CLASS/*.JPEG` (or `validation`).
public final class ImageFolder: ImageSource {
  /// A part of the data set.
  public enum Split: String, Sendable {
    /// Augmented by a random crop and a random mirror image.
    case train
    /// A centre crop of 7/8 of the shorter side.
    case validation

    var folderNames: [String] { self == .train ? ["train"] : ["val", "validation"] }
  }

  /// Endings of image files, in lower case.
  static let endings = ["jpg", "jpeg", "png"]

  /// The directory given by the user.
  public let origin: String
  /// Class names, sorted; the position is the label.
  public let classes: [String]
  /// 3, side, side.
  public let shape: [Int]
  private let root: String
  private let split: Split
  private let seed: UInt64
  private let statistics: ChannelStatistics
  private let files: [String]
  private let labels: [Int32]
  private let losses: UnreadableImages

  /// Number of images.
  public var count: Int { files.count }
  /// Number of classes.
  public var classCount: Int { classes.count }

  /// Lists the images of a split; none is opened yet.
  ///
  /// - Parameters:
  ///   - side: width and height of the images that come out, in pixels.
  ///   - classes: the classes of the training split, so that both splits number them alike; nil to take those found.
  ///   - seed: of the augmentation.
  /// - Throws: `DataError`.
  public init(
    directory path: String, split: Split, side: Int, classes known: [String]? = nil,
    statistics: ChannelStatistics = .imageNet, seed: UInt64
  ) throws(DataError) {
    let directory = try DataDirectory(path)
    guard let folder = directory.firstDirectory(of: split.folderNames) else {
      throw directory.wrongFormat(expected: [
        "train/CLASS/*.JPEG with val/CLASS/*.JPEG (or validation/CLASS/*.JPEG); JPEG and PNG files"
      ])
    }
    let found = try folder.subdirectories()
    let classes = known ?? found
    guard !found.isEmpty else {
      throw folder.wrongFormat(expected: ["one folder a class with its JPEG or PNG files"])
    }
    let numbers = Dictionary(uniqueKeysWithValues: classes.enumerated().map { ($1, Int32($0)) })
    var files: [String] = []
    var labels: [Int32] = []
    for name in found {
      guard let label = numbers[name] else {
        throw .unsuitable(path: folder.path(of: name), reason: "the training images have no class of that name")
      }
      for file in try DataDirectory(folder.path(of: name)).entries() where Self.isImage(file) {
        files.append(name + "/" + file)
        labels.append(label)
      }
    }
    guard !files.isEmpty else {
      throw .empty(
        path: folder.path, expected: "files ending in .\(Self.endings.joined(separator: ", .")) in its folders")
    }
    origin = path
    self.classes = classes
    shape = [3, side, side]
    root = folder.path
    self.split = split
    self.seed = seed
    self.statistics = statistics
    self.files = files
    self.labels = labels
    losses = UnreadableImages(of: files.count)
  }

  static func isImage(_ name: String) -> Bool {
    guard let dot = name.lastIndex(of: ".") else { return false }
    return endings.contains(name[name.index(after: dot)...].lowercased())
  }

  /// Reads, decodes, crops, scales and normalizes one image.
  public func write(
    _ index: Int, epoch: Int, into planes: UnsafeMutableBufferPointer<Float>
  ) throws(DataError) -> Int64 {
    try losses.firstReadable(from: index, of: count, path: { root + "/" + files[$0] }) { position throws(DataError) in
      try read(position, epoch: epoch, into: planes)
      return Int64(labels[position])
    }
  }

  private func read(_ index: Int, epoch: Int, into planes: UnsafeMutableBufferPointer<Float>) throws(DataError) {
    let encoded = try EncodedImage(path: root + "/" + files[index])
    let side = shape[1]
    var box: PixelBox
    var isMirrored = false
    switch split {
    case .train:
      var generator = SeededRandom(seed, epoch, index)
      box = .random(width: encoded.width, height: encoded.height, generator: &generator)
      isMirrored = generator.chance(0.5)
    case .validation:
      box = .centre(width: encoded.width, height: encoded.height, resize: side * 8 / 7, crop: side)
    }
    let image = try encoded.decode(minimumScale: max(Double(side) / box.width, Double(side) / box.height))
    box = box.scaled(
      Double(image.width) / Double(encoded.width), Double(image.height) / Double(encoded.height))
    image.write(box, side: side, isMirrored: isMirrored, statistics: statistics, into: planes)
  }

  /// Names the unreadable images that have been replaced since the last call.
  public func newWarnings() -> [String] { losses.newWarnings() }
}
