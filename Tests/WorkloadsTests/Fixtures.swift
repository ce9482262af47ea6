// Small data sets in their true formats, written by the tests themselves.
import CPNG
import CTurboJPEG
import CZlib
import Foundation
import Testing

@testable import Workloads

/// A directory that is removed when the test ends.
final class TemporaryDirectory {
  let path: String

  init() throws {
    path = NSTemporaryDirectory() + "kiviat-data-" + UUID().uuidString
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
  }

  deinit { try? FileManager.default.removeItem(atPath: path) }

  /// Writes a file, making its folders.
  @discardableResult
  func write(_ name: String, _ bytes: [UInt8]) throws -> String {
    let url = URL(fileURLWithPath: path + "/" + name)
    try FileManager.default.createDirectory(at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
    try Data(bytes).write(to: url)
    return url.path
  }

  @discardableResult
  func write(_ name: String, _ text: String) throws -> String { try write(name, Array(text.utf8)) }

  @discardableResult
  func makeFolder(_ name: String) throws -> String {
    try FileManager.default.createDirectory(atPath: path + "/" + name, withIntermediateDirectories: true)
    return path + "/" + name
  }
}

/// Tests that draw from libtorch's generator, which the process has but one of, come one after another.
@Suite(.serialized) enum Computing {}

enum Fixture {
  /// RGB pixels with a smooth gradient, which JPEG keeps almost exactly.
  static func gradient(_ width: Int, _ height: Int) -> [UInt8] {
    var pixels: [UInt8] = []
    for y in 0..<height {
      for x in 0..<width {
        pixels.append(UInt8(60 + 120 * x / width))
        pixels.append(UInt8(60 + 120 * y / height))
        pixels.append(UInt8(180 - 60 * x / width))
      }
    }
    return pixels
  }

  /// Encodes pixels by libjpeg-turbo.
  static func jpeg(
    _ pixels: [UInt8], _ width: Int, _ height: Int, format: TJPF = TJPF_RGB, sampling: TJSAMP = TJSAMP_444,
    flags: Int32 = 0
  ) throws -> [UInt8] {
    let handle = try #require(tjInitCompress())
    defer { tjDestroy(handle) }
    var buffer: UnsafeMutablePointer<UInt8>?
    var size: UInt = 0
    let status = tjCompress2(
      handle, pixels, Int32(width), 0, Int32(height), Int32(format.rawValue), &buffer, &size,
      Int32(sampling.rawValue), 95, flags)
    defer { tjFree(buffer) }
    try #require(status == 0)
    return Array(UnsafeBufferPointer(start: buffer, count: Int(size)))
  }

  /// Encodes RGB (3 channels), RGBA (4) or grey (1) pixels by libpng.
  static func png(_ pixels: [UInt8], _ width: Int, _ height: Int, channels: Int = 3) throws -> [UInt8] {
    var image = png_image()
    image.version = UInt32(PNG_IMAGE_VERSION)
    image.width = UInt32(width)
    image.height = UInt32(height)
    image.format =
      channels == 1 ? 0 : UInt32(PNG_FORMAT_FLAG_COLOR) | (channels == 4 ? UInt32(PNG_FORMAT_FLAG_ALPHA) : 0)
    var bytes = [UInt8](repeating: 0, count: width * height * 8 + 4096)
    var size = bytes.count
    try #require(png_image_write_to_memory(&image, &bytes, &size, 0, pixels, 0, nil) != 0)
    return Array(bytes[..<size])
  }

  /// Compresses by zlib in gzip's format.
  static func gzip(_ bytes: [UInt8]) throws -> [UInt8] {
    var stream = z_stream()
    try #require(
      deflateInit2_(
        &stream, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size))
        == Z_OK)
    defer { deflateEnd(&stream) }
    var input = bytes
    var output = [UInt8](repeating: 0, count: bytes.count + 1024)
    let produced = input.withUnsafeMutableBufferPointer { source in
      output.withUnsafeMutableBufferPointer { target in
        stream.next_in = source.baseAddress
        stream.avail_in = UInt32(source.count)
        stream.next_out = target.baseAddress
        stream.avail_out = UInt32(target.count)
        deflate(&stream, Z_FINISH)
        return target.count - Int(stream.avail_out)
      }
    }
    return Array(output[..<produced])
  }

  static func bigEndian(_ values: [Int]) -> [UInt8] {
    values.flatMap { value in (0..<4).map { UInt8(truncatingIfNeeded: value >> (24 - 8 * $0)) } }
  }

  /// An IDX file of images.
  static func idxImages(_ pixels: [UInt8], count: Int, side: Int) -> [UInt8] {
    [0, 0, 8, 3] + bigEndian([count, side, side]) + pixels
  }

  /// An IDX file of labels.
  static func idxLabels(_ labels: [UInt8]) -> [UInt8] { [0, 0, 8, 1] + bigEndian([labels.count]) + labels }
}

/// FNV-1a, to compare many bytes with one number.
func fingerprint(_ bytes: some Sequence<UInt8>) -> UInt64 {
  bytes.reduce(0xCBF2_9CE4_8422_2325) { ($0 ^ UInt64($1)) &* 0x100_0000_01B3 }
}

/// Expects a `DataError` whose message contains every one of the texts.
func expectDataError(
  mentions texts: [String], sourceLocation: SourceLocation = #_sourceLocation, _ body: () throws -> Void
) {
  do {
    try body()
    Issue.record("no error was thrown", sourceLocation: sourceLocation)
  } catch let error as DataError {
    for text in texts where !error.description.contains(text) {
      Issue.record("\"\(error.description)\" does not mention \"\(text)\"", sourceLocation: sourceLocation)
    }
  } catch {
    Issue.record("an error of another kind: \(error)", sourceLocation: sourceLocation)
  }
}
