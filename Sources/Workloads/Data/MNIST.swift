// MNIST in its own format: IDX files, plain or gzip-compressed.
import Foundation

/// Grey images of one size with a class each, kept as bytes: a split of MNIST, or a stand-in like it.
public struct GreyImages: Sendable {
  /// Height of an image in pixels.
  public let height: Int
  /// Width of an image in pixels.
  public let width: Int
  /// All images, one after the other, row by row; 0 is black.
  public let pixels: [UInt8]
  /// The class of each image.
  public let labels: [UInt8]
  /// Number of images.
  public var count: Int { labels.count }
}

/// The MNIST database of handwritten digits (LeCun, Cortes, Burges): 60 000 training and 10 000 test images, 28×28.
public enum MNIST {
  /// Mean of the training pixels on a scale of 0 to 1.
  public static let mean: Float = 0.1307
  /// Standard deviation of the training pixels on that scale.
  public static let deviation: Float = 0.3081

  /// A part of the data set; the raw value begins its file names.
  public enum Split: String, Sendable {
    /// The 60 000 training images.
    case train
    /// The 10 000 test images.
    case test = "t10k"
  }

  /// The file names that are looked for, in this order, each plain and with `.gz`.
  static func fileNames(_ split: Split, _ kind: String, _ dimensions: Int) -> [String] {
    // Some mirrors write a dot for the second hyphen.
    ["\(split.rawValue)-\(kind)-idx\(dimensions)-ubyte", "\(split.rawValue)-\(kind).idx\(dimensions)-ubyte"]
      .flatMap { [$0, $0 + ".gz"] }
  }

  /// Reads one split.
  ///
  /// - Throws: `DataError`, for a directory that is missing, of another format or empty, and for damaged files.
  public static func load(directory path: String, split: Split) throws(DataError) -> GreyImages {
    let directory = try DataDirectory(path)
    let root = directory.firstDirectory(of: ["MNIST/raw", "raw"]) ?? directory
    let imageNames = fileNames(split, "images", 3)
    let labelNames = fileNames(split, "labels", 1)
    guard let imagePath = root.first(of: imageNames), let labelPath = root.first(of: labelNames) else {
      throw root.wrongFormat(expected: ["\(imageNames[0])[.gz] with \(labelNames[0])[.gz]"])
    }
    let images = try readIDX(imagePath, dimensions: 3)
    let labels = try readIDX(labelPath, dimensions: 1)
    guard images.shape[0] == labels.shape[0] else {
      throw .corruptFile(
        path: labelPath, reason: "it has \(labels.shape[0]) labels for the \(images.shape[0]) images of \(imagePath)")
    }
    guard images.shape[0] > 0 else { throw .empty(path: imagePath, expected: "at least one image") }
    if let wrong = labels.bytes.first(where: { $0 > 9 }) {
      throw .corruptFile(path: labelPath, reason: "it has the label \(wrong); digits go from 0 to 9")
    }
    return GreyImages(
      height: images.shape[1], width: images.shape[2], pixels: images.bytes, labels: labels.bytes)
  }

  /// Reads an IDX file of unsigned bytes: magic 0, 0, 8, dimensions; the sizes as big-endian 32-bit numbers; the data.
  static func readIDX(_ path: String, dimensions: Int) throws(DataError) -> (shape: [Int], bytes: [UInt8]) {
    let contents = try ByteStream(path: path).readAll()
    let headerSize = 4 + 4 * dimensions
    guard contents.count >= headerSize else {
      throw .corruptFile(path: path, reason: "it is shorter than its \(headerSize)-byte header")
    }
    let expected: [UInt8] = [0, 0, 8, UInt8(dimensions)]
    guard contents[0..<4].elementsEqual(expected) else {
      func hex(_ bytes: some Sequence<UInt8>) -> String {
        bytes.map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }.joined()
      }
      throw .corruptFile(
        path: path,
        reason: "its magic number is 0x\(hex(contents[0..<4])); an IDX file of bytes with "
          + "\(dimensions) dimension\(dimensions == 1 ? "" : "s") begins with 0x\(hex(expected))")
    }
    let shape = (0..<dimensions).map { axis in
      contents[(4 + 4 * axis)..<(8 + 4 * axis)].reduce(0) { $0 << 8 | Int($1) }
    }
    // Three 32-bit sizes can overflow 64 bits, so the product saturates.
    let total = shape.reduce(1) { product, size in
      let (value, overflow) = product.multipliedReportingOverflow(by: size)
      return overflow ? Int.max : value
    }
    guard contents.count - headerSize == total else {
      throw .corruptFile(
        path: path,
        reason: "its header claims \(shape.map(String.init).joined(separator: "×")) bytes of data, it has "
          + "\(contents.count - headerSize)")
    }
    return (shape, Array(contents[headerSize...]))
  }
}
