// Images without classes: every JPEG or PNG file below a folder, as LSUN's export and CycleGAN's folders have them.
import Foundation

/// Which part of an image is shown.
enum Framing: Sendable, Equatable {
  /// The central square of the shorter side.
  case centre
  /// The whole image, squeezed to a square.
  case whole
  /// The image is squeezed to a square of `enlarged` pixels, of which a random part is cut out; every second image is
  /// mirrored.
  case randomCrop(enlarged: Int)

  /// The part of an image of this size that fills `side`×`side` pixels.
  func part(width: Int, height: Int, side: Int, random: inout SeededRandom) -> (box: PixelBox, isMirrored: Bool) {
    switch self {
    case .centre: return (.centre(width: width, height: height, resize: side, crop: side), false)
    case .whole: return (PixelBox(x: 0, y: 0, width: Double(width), height: Double(height)), false)
    case .randomCrop(let enlarged):
      let unit = (x: Double(width) / Double(enlarged), y: Double(height) / Double(enlarged))
      let x = random.integer(below: enlarged - side + 1)
      let y = random.integer(below: enlarged - side + 1)
      let box = PixelBox(
        x: Double(x) * unit.x, y: Double(y) * unit.y, width: Double(side) * unit.x, height: Double(side) * unit.y)
      return (box, random.chance(0.5))
    }
  }
}

extension EncodedImage {
  /// Decodes the image and writes a part of it as three planes of `side`×`side`, normalized.
  func write(
    _ part: (box: PixelBox, isMirrored: Bool), side: Int, statistics: ChannelStatistics,
    into planes: UnsafeMutableBufferPointer<Float>
  ) throws(DataError) {
    let image = try decode(minimumScale: max(Double(side) / part.box.width, Double(side) / part.box.height))
    let box = part.box.scaled(Double(image.width) / Double(width), Double(image.height) / Double(height))
    image.write(box, side: side, isMirrored: part.isMirrored, statistics: statistics, into: planes)
  }
}

/// The images of a folder at one size, scaled to −1 … 1 as generative networks take them.
final class ImageFiles: ImageSource {
  /// The folder.
  let origin: String
  /// 3, side, side.
  let shape: [Int]
  /// Paths below the folder, sorted by their bytes.
  let names: [String]
  private let framing: Framing
  private let seed: UInt64
  private let losses: UnreadableImages

  /// Number of images.
  var count: Int { names.count }
  /// There are no classes; every label is 0.
  var classCount: Int { 1 }

  /// - Parameters:
  ///   - names: paths below the directory.
  ///   - isStrict: whether an unreadable image always ends the run, instead of being replaced by the next one.
  init(
    _ directory: DataDirectory, names: [String], side: Int, framing: Framing, isStrict: Bool = false, seed: UInt64
  ) {
    losses = UnreadableImages(of: names.count, isStrict: isStrict)
    origin = directory.path
    self.names = names
    shape = [3, side, side]
    self.framing = framing
    self.seed = seed
  }

  /// The image files in a folder and in the folders inside it, sorted.
  ///
  /// - Throws: `DataError.empty` where there is none.
  static func names(in directory: DataDirectory) throws(DataError) -> [String] {
    var names: [String] = []
    if let walk = FileManager.default.enumerator(atPath: directory.path) {
      for case let name as String in walk where ImageFolder.isImage(name) { names.append(name) }
    }
    guard !names.isEmpty else {
      throw .empty(path: directory.path, expected: "files ending in .\(ImageFolder.endings.joined(separator: ", ."))")
    }
    return names.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
  }

  /// Reads, decodes, crops and scales one image.
  func write(
    _ index: Int, epoch: Int, into planes: UnsafeMutableBufferPointer<Float>
  ) throws(DataError) -> Int64 {
    try losses.firstReadable(from: index, of: count, path: path) { position throws(DataError) in
      let encoded = try EncodedImage(path: path(position))
      let side = shape[1]
      var random = SeededRandom(seed, epoch, position)
      let part = framing.part(width: encoded.width, height: encoded.height, side: side, random: &random)
      try encoded.write(part, side: side, statistics: .symmetric, into: planes)
      return 0
    }
  }

  private func path(_ index: Int) -> String { origin + "/" + names[index] }

  /// Names the unreadable images that have been replaced since the last call.
  func newWarnings() -> [String] { losses.newWarnings() }
}

extension ChannelStatistics {
  /// 0 … 255 to −1 … 1.
  static let symmetric = ChannelStatistics(mean: [0.5, 0.5, 0.5], deviation: [0.5, 0.5, 0.5])
}

/// Images that are drawn, not read: an 8-bit colour for every pixel, so that the stand-in is the same as a file of it.
protocol DrawnImages: ImageSource {
  /// Calls `put` with every pixel's number, row by row, and its colour; gives the label.
  func draw(_ index: Int, _ put: (Int, (UInt8, UInt8, UInt8)) -> Void) -> Int64
}

extension DrawnImages {
  /// Draws an image, scaled to −1 … 1; the same in every epoch.
  func write(
    _ index: Int, epoch: Int, into planes: UnsafeMutableBufferPointer<Float>
  ) throws(DataError) -> Int64 {
    let size = shape[1] * shape[2]
    precondition(planes.count == 3 * size, "the buffer must hold three planes")
    return draw(index) { pixel, colour in
      planes[pixel] = Float(colour.0) / 127.5 - 1
      planes[size + pixel] = Float(colour.1) / 127.5 - 1
      planes[2 * size + pixel] = Float(colour.2) / 127.5 - 1
    }
  }

  /// The image as 8-bit RGB, interleaved.
  func image(_ index: Int) -> [UInt8] {
    var pixels = [UInt8](repeating: 0, count: 3 * shape[1] * shape[2])
    _ = draw(index) { pixel, colour in
      (pixels[3 * pixel], pixels[3 * pixel + 1], pixels[3 * pixel + 2]) = colour
    }
    return pixels
  }
}

/// Light of 0 … 1 as a byte.
@inline(__always)
func byte(_ light: Double) -> UInt8 { UInt8(min(max(light, 0), 1) * 255 + 0.5) }
