// Where a benchmark's images come from, decoded or drawn one at a time so that a loader can do it ahead of the network.

/// Labelled images of one shape. Safe to use from a loading thread.
public protocol ImageSource: Sendable {
  /// Number of images.
  var count: Int { get }
  /// Channels, height, width.
  var shape: [Int] { get }
  /// Number of classes; labels go from 0 to one less.
  var classCount: Int { get }
  /// For the log and the report: `synthetic: …` or the directory.
  var origin: String { get }
  /// Writes an image as normalized planes and returns its class.
  ///
  /// - Parameters:
  ///   - epoch: chooses the augmentation of a training image, which depends only on seed, epoch and index.
  ///   - planes: as many values as `shape` multiplies to.
  /// - Throws: `DataError` for an image that cannot be read.
  func write(
    _ index: Int, epoch: Int, into planes: UnsafeMutableBufferPointer<Float>
  ) throws(DataError) -> Int64
  /// What the user must know and has not been told yet, such as images that could not be read.
  func newWarnings() -> [String]
}

extension ImageSource {
  /// None.
  public func newWarnings() -> [String] { [] }
}

/// Grey images kept in memory, such as MNIST.
public struct GreyImageSource: ImageSource {
  /// The images.
  public let images: GreyImages
  /// `synthetic: …` or the directory.
  public let origin: String
  /// Ten digits.
  public var classCount: Int { 10 }
  /// Number of images.
  public var count: Int { images.count }
  /// 1, height, width.
  public var shape: [Int] { [1, images.height, images.width] }

  /// Images with the text that says where they are from.
  public init(images: GreyImages, origin: String) {
    self.images = images
    self.origin = origin
  }

  /// Writes (value / 255 − mean) / deviation with MNIST's mean and deviation; there is no augmentation.
  public func write(
    _ index: Int, epoch: Int, into planes: UnsafeMutableBufferPointer<Float>
  ) throws(DataError) -> Int64 {
    let size = images.height * images.width
    precondition(planes.count == size, "the buffer must hold one image")
    for pixel in 0..<size {
      planes[pixel] = (Float(images.pixels[index * size + pixel]) / 255 - MNIST.mean) / MNIST.deviation
    }
    return Int64(images.labels[index])
  }
}
