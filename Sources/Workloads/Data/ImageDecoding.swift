// From the bytes of a JPEG or PNG file to RGB pixels, by libjpeg-turbo and libpng.
import CPNG
import CTurboJPEG
import Foundation

/// Eight-bit RGB pixels, interleaved, row by row.
struct RGBImage: Sendable {
  let width: Int
  let height: Int
  let pixels: [UInt8]
}

/// An image file in memory, of which only the header has been read.
struct EncodedImage {
  private enum Format { case jpeg(isCMYK: Bool), png }

  let path: String
  let width: Int
  let height: Int
  private let bytes: [UInt8]
  private let format: Format

  /// More pixels than this are taken for a damaged header (or a decompression bomb), not for a photograph.
  static let largestPixelCount = 1 << 28

  /// Reads the file and its header. The format is told by the first bytes, not by the name: ImageNet has a PNG named
  /// `.JPEG`.
  ///
  /// - Throws: `DataError.unreadable`, `.corruptImage`.
  init(path: String) throws(DataError) {
    let data: Data
    do {
      data = try Data(contentsOf: URL(fileURLWithPath: path))
    } catch {
      throw .unreadable(path: path, reason: error.localizedDescription)
    }
    try self.init([UInt8](data), path: path)
  }

  /// Reads the header of an image which lies in memory; `path` tells in messages where it came from.
  ///
  /// - Throws: `DataError.corruptImage`.
  init(_ bytes: [UInt8], path: String) throws(DataError) {
    self.path = path
    self.bytes = bytes
    if bytes.starts(with: [0xFF, 0xD8]) {
      (width, height, format) = try Self.jpegHeader(bytes, path)
    } else if bytes.starts(with: [0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A]) {
      (width, height) = try Self.withPNG(bytes, path) { image throws(DataError) in (Int(image.width), Int(image.height))
      }
      format = .png
    } else {
      throw .corruptImage(
        path: path, reason: bytes.isEmpty ? "the file is empty" : "it begins neither like a JPEG nor like a PNG file")
    }
    guard width > 0, height > 0, width <= Self.largestPixelCount / height else {
      throw .corruptImage(path: path, reason: "its header claims \(width)×\(height) pixels")
    }
  }

  /// Decodes to RGB at the smallest scale that the format offers at or above `minimumScale` (1 is full size).
  ///
  /// JPEG can be decoded at 1/2, 1/4 and 1/8 of its size from the low frequencies alone, which for a photograph that
  /// is scaled down anyway saves most of the time. A PNG always comes at full size.
  ///
  /// - Throws: `DataError.corruptImage`, also for a file that ends early; grey, CMYK and progressive files are fine.
  func decode(minimumScale: Double = 1) throws(DataError) -> RGBImage {
    switch format {
    case .png: return try decodePNG()
    case .jpeg(let isCMYK):
      let denominator = [8, 4, 2].first { 1 / Double($0) >= minimumScale } ?? 1
      return try decodeJPEG(denominator: denominator, isCMYK: isCMYK)
    }
  }

  // MARK: JPEG

  private static func jpegHeader(_ bytes: [UInt8], _ path: String) throws(DataError) -> (Int, Int, Format) {
    guard let handle = tjInitDecompress() else {
      throw .corruptImage(path: path, reason: "libjpeg-turbo has no memory")
    }
    defer { tjDestroy(handle) }
    var width: Int32 = 0
    var height: Int32 = 0
    var subsampling: Int32 = 0
    var colourSpace: Int32 = 0
    let status = bytes.withUnsafeBufferPointer {
      tjDecompressHeader3(handle, $0.baseAddress, UInt($0.count), &width, &height, &subsampling, &colourSpace)
    }
    guard status == 0 || tjGetErrorCode(handle) == Int32(TJERR_WARNING.rawValue) else {
      throw .corruptImage(path: path, reason: String(cString: tjGetErrorStr2(handle)))
    }
    let isCMYK = colourSpace == Int32(TJCS_CMYK.rawValue) || colourSpace == Int32(TJCS_YCCK.rawValue)
    return (Int(width), Int(height), .jpeg(isCMYK: isCMYK))
  }

  private func decodeJPEG(denominator: Int, isCMYK: Bool) throws(DataError) -> RGBImage {
    guard let handle = tjInitDecompress() else {
      throw .corruptImage(path: path, reason: "libjpeg-turbo has no memory")
    }
    defer { tjDestroy(handle) }
    // As TJSCALED, a macro that Swift does not import.
    let scaledWidth = (width + denominator - 1) / denominator
    let scaledHeight = (height + denominator - 1) / denominator
    let channels = isCMYK ? 4 : 3
    let format = Int32(isCMYK ? TJPF_CMYK.rawValue : TJPF_RGB.rawValue)
    var status: Int32 = 0
    let pixels = [UInt8](unsafeUninitializedCapacity: scaledWidth * scaledHeight * channels) { buffer, count in
      // Rows that a damaged file does not reach stay grey instead of whatever was in memory.
      buffer.initialize(repeating: 128)
      status = bytes.withUnsafeBufferPointer {
        tjDecompress2(
          handle, $0.baseAddress, UInt($0.count), buffer.baseAddress, Int32(scaledWidth), 0, Int32(scaledHeight),
          format, 0)
      }
      count = buffer.count
    }
    if status != 0 {
      let message = String(cString: tjGetErrorStr2(handle))
      // Stray bytes between markers are common in ImageNet and harm nothing; missing data are an error.
      let isHarmless = tjGetErrorCode(handle) == Int32(TJERR_WARNING.rawValue) && !message.contains("remature end")
      guard isHarmless else { throw .corruptImage(path: path, reason: message) }
    }
    return RGBImage(width: scaledWidth, height: scaledHeight, pixels: isCMYK ? rgb(fromCMYK: pixels) : pixels)
  }

  /// Ink to light. Adobe's programs store ink inverted (255 is none), and say so by their APP14 marker.
  private func rgb(fromCMYK pixels: [UInt8]) -> [UInt8] {
    let adobe: [UInt8] = [0x41, 0x64, 0x6F, 0x62, 0x65]
    let head = bytes.prefix(1 << 16)
    let isInverted = head.indices.contains { head[$0...].starts(with: adobe) }
    var result = [UInt8]()
    result.reserveCapacity(pixels.count / 4 * 3)
    for pixel in stride(from: 0, to: pixels.count, by: 4) {
      let key = isInverted ? Int(pixels[pixel + 3]) : 255 - Int(pixels[pixel + 3])
      for channel in 0..<3 {
        let light = isInverted ? Int(pixels[pixel + channel]) : 255 - Int(pixels[pixel + channel])
        result.append(UInt8((light * key + 127) / 255))
      }
    }
    return result
  }

  // MARK: PNG

  /// Opens the PNG through libpng's simplified interface, which hides its `setjmp` error handling from Swift.
  private static func withPNG<Result>(
    _ bytes: [UInt8], _ path: String, _ body: (inout png_image) throws(DataError) -> Result
  ) throws(DataError) -> Result {
    var image = png_image()
    image.version = UInt32(PNG_IMAGE_VERSION)
    defer { png_image_free(&image) }
    let opened = bytes.withUnsafeBytes { png_image_begin_read_from_memory(&image, $0.baseAddress, $0.count) }
    guard opened != 0 else { throw .corruptImage(path: path, reason: message(of: image)) }
    return try body(&image)
  }

  private static func message(of image: png_image) -> String {
    withUnsafeBytes(of: image.message) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
  }

  private func decodePNG() throws(DataError) -> RGBImage {
    let (width, height) = (width, height)
    let path = path
    // libpng reads memory while it decodes, so the bytes stay in place until it has finished.
    let rgba = try Self.withPNG(bytes, path) { image throws(DataError) -> [UInt8] in
      // With an alpha channel libpng keeps the colours as stored; without, it would mix them with a background.
      image.format = UInt32(PNG_FORMAT_FLAG_COLOR) | UInt32(PNG_FORMAT_FLAG_ALPHA)
      var finished: Int32 = 0
      var copy = image
      let pixels = [UInt8](unsafeUninitializedCapacity: width * height * 4) { buffer, count in
        buffer.initialize(repeating: 0)
        finished = png_image_finish_read(&copy, nil, buffer.baseAddress, 0, nil)
        count = buffer.count
      }
      image = copy
      guard finished != 0 else { throw .corruptImage(path: path, reason: Self.message(of: image)) }
      return pixels
    }
    var pixels = [UInt8]()
    pixels.reserveCapacity(width * height * 3)
    for pixel in stride(from: 0, to: rgba.count, by: 4) { pixels.append(contentsOf: rgba[pixel..<(pixel + 3)]) }
    return RGBImage(width: width, height: height, pixels: pixels)
  }
}
