// TensorFlow's files of records, checked and read one record at a time.
import Foundation

/// A TFRecord file. A record is its length (u64), the length's checksum (u32), the payload, and the payload's checksum
/// (u32), all little-endian.
///
/// Opening it walks from header to header without reading payloads, so that a file larger than memory costs one small
/// read a record. The payload's checksum is verified when a record is read.
struct TFRecordFile: Sendable {
  /// Where a payload lies.
  struct Extent: Sendable {
    var offset: Int
    var length: Int
  }

  let path: String
  let extents: [Extent]

  /// Number of records.
  var count: Int { extents.count }

  /// Finds the records.
  ///
  /// - Throws: `DataError.unreadable`; `.corruptFile` for a file that is cut short or is none of records.
  init(path: String) throws(DataError) {
    self.path = path
    let file = try RandomAccessFile(path: path)
    var extents: [Extent] = []
    var offset = 0
    while offset < file.size {
      let place = "record \(extents.count + 1) at byte \(offset)"
      guard file.size - offset >= 12 else {
        throw .corruptFile(path: path, reason: "it ends within the header of \(place)")
      }
      let header = try file.read(offset, count: 12)
      guard Self.isIntact(header[..<8], checksum: header[8...]) else {
        throw .corruptFile(
          path: path, reason: "the length of \(place) does not have its checksum; is this a plain TFRecord file?")
      }
      let length = header[..<8].reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
      guard length <= UInt64(max(file.size - offset - 16, 0)) else {
        throw .corruptFile(
          path: path, reason: "\(place) should have \(length) bytes, the file ends after \(file.size - offset - 12)")
      }
      extents.append(Extent(offset: offset + 12, length: Int(length)))
      offset += Int(length) + 16
    }
    self.extents = extents
  }

  /// What messages call a record.
  func name(_ index: Int) -> String { "record \(index + 1)" }

  /// The payload of a record.
  ///
  /// - Throws: `DataError`, also when the payload does not have its checksum.
  func record(_ index: Int) throws(DataError) -> [UInt8] {
    let extent = extents[index]
    let bytes = try RandomAccessFile(path: path).read(extent.offset, count: extent.length + 4)
    guard Self.isIntact(bytes[..<extent.length], checksum: bytes[extent.length...]) else {
      throw .corruptFile(path: path, reason: "\(name(index)) does not have its checksum")
    }
    return Array(bytes[..<extent.length])
  }

  private static func isIntact(_ bytes: ArraySlice<UInt8>, checksum: ArraySlice<UInt8>) -> Bool {
    checksum.reversed().reduce(UInt32(0)) { $0 << 8 | UInt32($1) } == maskedChecksum(bytes)
  }

  /// TensorFlow's masked CRC-32C: rotated right by 15 and shifted by a constant, because a checksum of data that hold
  /// their own checksum is a poor one.
  static func maskedChecksum(_ bytes: some Sequence<UInt8>) -> UInt32 {
    let crc = CRC32C.checksum(bytes)
    return (crc >> 15 | crc << 17) &+ 0xA282_EAD8
  }
}

/// Castagnoli's cyclic redundancy check, of the polynomial 0x1EDC6F41, bits reversed.
enum CRC32C {
  private static let table: [UInt32] = (0..<256).map { byte in
    (0..<8).reduce(UInt32(byte)) { value, _ in value & 1 == 1 ? value >> 1 ^ 0x82F6_3B78 : value >> 1 }
  }

  static func checksum(_ bytes: some Sequence<UInt8>) -> UInt32 {
    table.withUnsafeBufferPointer { table in
      var crc: UInt32 = ~0
      let walked: Void? = bytes.withContiguousStorageIfAvailable { bytes in
        for byte in bytes { crc = crc >> 8 ^ table[Int(UInt8(truncatingIfNeeded: crc) ^ byte)] }
      }
      if walked == nil { for byte in bytes { crc = crc >> 8 ^ table[Int(UInt8(truncatingIfNeeded: crc) ^ byte)] } }
      return ~crc
    }
  }
}

/// A file of which any part can be read.
struct RandomAccessFile: ~Copyable {
  let path: String
  let size: Int
  private let descriptor: Int32

  /// - Throws: `DataError.unreadable`.
  init(path: String) throws(DataError) {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { throw .unreadable(path: path, reason: String(cString: strerror(errno))) }
    var status = stat()
    guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
      close(descriptor)
      throw .unreadable(path: path, reason: "it is no regular file")
    }
    self.path = path
    self.descriptor = descriptor
    size = Int(status.st_size)
  }

  deinit { close(descriptor) }

  /// `count` bytes from `offset` on.
  ///
  /// - Throws: `DataError`, also when the file has fewer.
  func read(_ offset: Int, count: Int) throws(DataError) -> [UInt8] {
    var done = 0
    var failure: DataError?
    let bytes = [UInt8](unsafeUninitializedCapacity: count) { buffer, initialized in
      while done < count {
        let got = pread(descriptor, buffer.baseAddress.map { $0 + done }, count - done, off_t(offset + done))
        if got < 0 && errno == EINTR { continue }
        if got <= 0 {
          failure =
            got == 0
            ? .corruptFile(path: path, reason: "it ends at byte \(offset + done), where more was expected")
            : .unreadable(path: path, reason: String(cString: strerror(errno)))
          break
        }
        done += got
      }
      initialized = done
    }
    if let failure { throw failure }
    return bytes
  }
}
