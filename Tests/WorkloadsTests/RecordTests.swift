// Are TFRecord files, tf.Example and binvox read as their formats say, and damaged ones refused?
import Foundation
import Testing

@testable import Workloads

/// Writes tf.Example and TFRecord, for tests only.
enum RecordFixture {
  enum Feature {
    case bytes([UInt8])
    case floats([Float])
    case integers([Int64])
  }

  static func varint(_ value: UInt64) -> [UInt8] {
    var (rest, bytes): (UInt64, [UInt8]) = (value, [])
    while rest >= 0x80 {
      bytes.append(UInt8(rest & 0x7F) | 0x80)
      rest >>= 7
    }
    return bytes + [UInt8(rest)]
  }

  static func field(_ number: UInt64, _ bytes: [UInt8]) -> [UInt8] {
    varint(number << 3 | 2) + varint(UInt64(bytes.count)) + bytes
  }

  static func floats(_ values: [Float]) -> [UInt8] { values.flatMap { littleEndian($0.bitPattern) } }

  static func example(_ features: [(String, Feature)]) -> [UInt8] {
    field(
      1,
      features.flatMap { name, feature in
        let value: [UInt8]
        switch feature {
        case .bytes(let bytes): value = field(1, field(1, bytes))
        case .floats(let numbers): value = field(2, field(1, floats(numbers)))
        case .integers(let numbers): value = field(3, field(1, numbers.flatMap { varint(UInt64(bitPattern: $0)) }))
        }
        return field(1, field(1, Array(name.utf8)) + field(2, value))
      })
  }

  static func littleEndian<Number: FixedWidthInteger>(_ value: Number) -> [UInt8] {
    withUnsafeBytes(of: value.littleEndian) { Array($0) }
  }

  static func file(_ records: [[UInt8]]) -> [UInt8] {
    records.flatMap { record in
      let length = littleEndian(UInt64(record.count))
      return length + littleEndian(TFRecordFile.maskedChecksum(length)) + record
        + littleEndian(TFRecordFile.maskedChecksum(record))
    }
  }
}

@Suite struct RecordTests {
  @Test func checksumIsCastagnolis() {
    // RFC 3720, appendix B.4, and the usual check value.
    #expect(CRC32C.checksum(Array("123456789".utf8)) == 0xE306_9283)
    #expect(CRC32C.checksum([UInt8](repeating: 0, count: 32)) == 0x8A91_36AA)
    #expect(CRC32C.checksum([UInt8](repeating: 0xFF, count: 32)) == 0x62A8_AB43)
    #expect(CRC32C.checksum(Array(0..<32)) == 0x46DD_794E)
    // The header of a record of twelve bytes… its mask by hand: 0xE3069283 rotated right by 15, plus 0xA282EAD8.
    #expect(TFRecordFile.maskedChecksum(Array("123456789".utf8)) == 0x2507_C60D &+ 0xA282_EAD8)
  }

  @Test func recordsComeBack() throws {
    let directory = try TemporaryDirectory()
    let records: [[UInt8]] = [[1, 2, 3], [], [UInt8](repeating: 7, count: 1000)]
    let path = try directory.write("a.tfrecord", RecordFixture.file(records))
    let file = try TFRecordFile(path: path)
    #expect(file.count == 3)
    for (index, record) in records.enumerated() { #expect(try file.record(index) == record) }
    #expect(try TFRecordFile(path: try directory.write("empty", [])).count == 0)
  }

  @Test func damagedFilesAreRefused() throws {
    let directory = try TemporaryDirectory()
    let good = RecordFixture.file([[1, 2, 3], [4, 5, 6, 7]])
    func open(_ bytes: [UInt8]) throws { _ = try TFRecordFile(path: try directory.write("bad.tfrecord", bytes)) }
    expectDataError(mentions: ["bad.tfrecord", "record 2 at byte 19", "should have 4 bytes"]) {
      try open(Array(good.dropLast()))
    }
    expectDataError(mentions: ["ends within the header of record 2"]) { try open(Array(good.prefix(24))) }
    expectDataError(mentions: ["record 1 at byte 0", "checksum"]) { try open(Array("this is no record file".utf8)) }
    var flipped = good
    flipped[13] ^= 1
    let file = try TFRecordFile(path: try directory.write("flipped.tfrecord", flipped))
    expectDataError(mentions: ["flipped.tfrecord", "record 1 does not have its checksum"]) { _ = try file.record(0) }
    #expect(try file.record(1) == [4, 5, 6, 7])
    // A length of petabytes with its right checksum reserves nothing.
    let length = RecordFixture.littleEndian(UInt64(1) << 50)
    expectDataError(mentions: ["should have 1125899906842624 bytes"]) {
      try open(length + RecordFixture.littleEndian(TFRecordFile.maskedChecksum(length)) + [0, 0, 0, 0])
    }
    expectDataError(mentions: ["nowhere"]) { _ = try TFRecordFile(path: directory.path + "/nowhere") }
  }

  @Test func featuresAreDecoded() throws {
    let bytes = RecordFixture.example([
      ("image", .bytes([9, 8])), ("pose", .floats([1.5, -2])), ("steps", .integers([3, -1, 300])),
    ])
    let example = try TFExample(bytes, path: "f", record: "record 1")
    #expect(example.names == ["image", "pose", "steps"])
    #expect(try example.bytes("image") == [9, 8])
    #expect(try example.floats("pose", count: 2) == [1.5, -2])
    #expect(try example.integers("steps") == [3, -1, 300])
    // Lists that are not packed: one field a number. A field that nobody knows is passed over.
    let loose = RecordFixture.field(
      1,
      RecordFixture.field(
        1,
        RecordFixture.field(1, Array("x".utf8))
          + RecordFixture.field(
            2, RecordFixture.field(2, [13] + RecordFixture.floats([4]) + [13] + RecordFixture.floats([5])))))
    #expect(try TFExample([32, 1] + loose, path: "f", record: "r").floats("x") == [4, 5])

    expectDataError(mentions: ["f", "record 1", "no feature \"vox\"", "image, pose, steps"]) {
      _ = try example.floats("vox")
    }
    expectDataError(mentions: ["\"pose\" of record 1 has 2 values, expected 5"]) {
      _ = try example.floats("pose", count: 5)
    }
    expectDataError(mentions: ["\"image\"", "does not hold floats"]) { _ = try example.floats("image") }
    expectDataError(mentions: ["record 1 is no tf.Example"]) {
      _ = try TFExample(Array(bytes.dropLast(3)), path: "f", record: "record 1")
    }
    expectDataError(mentions: ["wire type 7"]) { _ = try TFExample([15, 1], path: "f", record: "r") }
  }

  /// A cube of four voxels a side of which one, at width 1, depth 2 and height 3, is full.
  static let binvox: [UInt8] =
    Array("#binvox 1\ndim 4 4 4\ntranslate -0.5 -0.5 -0.5\nscale 1\ndata\n".utf8) + [0, 27, 1, 1, 0, 36]

  @Test func binvoxIsDecoded() throws {
    let directory = try TemporaryDirectory()
    let (side, voxels) = try Binvox.read(try directory.write("model.binvox", Self.binvox))
    #expect(side == 4)
    // 27 voxels before it: 16 × 1 + 4 × 2 + 3. Here height is the first dimension and width the last.
    #expect(voxels.enumerated().filter { $0.element == 1 }.map(\.offset) == [3 * 16 + 2 * 4 + 1])

    func read(_ bytes: [UInt8]) throws { _ = try Binvox.read(try directory.write("bad.binvox", bytes)) }
    expectDataError(mentions: ["bad.binvox", "ends after 28 of 64 voxels"]) { try read(Array(Self.binvox.dropLast(2))) }
    expectDataError(mentions: ["run of 37 voxels"]) { try read(Array(Self.binvox.dropLast()) + [37]) }
    expectDataError(mentions: ["2 bytes follow"]) { try read(Self.binvox + [0, 1]) }
    expectDataError(mentions: ["#binvox"]) { try read([]) }
    expectDataError(mentions: ["dim 4 4 5"]) { try read(Array("#binvox 1\ndim 4 4 5\ndata\n".utf8)) }
    expectDataError(mentions: ["no line \"data\""]) { try read(Array("#binvox 1\ndim 4 4 4\n".utf8)) }
  }
}
