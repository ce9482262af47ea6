// NumPy's file of one array: a magic number, a header in Python's syntax, and the numbers.
import Foundation

/// Numbers in rows and columns, read from a `.npy` file.
struct NPYImage: Sendable {
  let height: Int
  let width: Int
  /// Row by row.
  let values: [Float]

  /// More numbers than this are taken for a damaged header.
  static let largestCount = 1 << 28

  /// Reads an array of two dimensions (or of three, with one channel) of integers or floating-point numbers, of format
  /// version 1, 2 or 3, in either byte order, in C's or Fortran's order.
  ///
  /// - Throws: `DataError.unreadable`, `.corruptFile`.
  init(path: String) throws(DataError) {
    let bytes: [UInt8]
    do {
      bytes = [UInt8](try Data(contentsOf: URL(fileURLWithPath: path)))
    } catch {
      throw .unreadable(path: path, reason: error.localizedDescription)
    }
    let header = try NPYHeader(bytes, path: path)
    // One channel first or last is no dimension.
    var shape = header.shape
    if shape.count == 3, let place = [2, 0].first(where: { shape[$0] == 1 }) { shape.remove(at: place) }
    guard shape.count == 2, shape[0] > 0, shape[1] > 0, shape[0] <= Self.largestCount / shape[1] else {
      throw .corruptFile(path: path, reason: "its shape is \(header.shape), expected (height, width)")
    }
    (height, width) = (shape[0], shape[1])
    let count = height * width
    let expected = header.dataOffset + count * header.element.size
    guard bytes.count >= expected else {
      throw .corruptFile(
        path: path, reason: "it has \(bytes.count) bytes, its header promises \(expected)")
    }
    let (element, offset) = (header.element, header.dataOffset)
    let stored = bytes.withUnsafeBytes { raw in
      (0..<count).map { element.read(raw, offset + $0 * element.size) }
    }
    guard header.isFortranOrder else {
      values = stored
      return
    }
    let (rows, columns) = (height, width)
    values = (0..<count).map { stored[($0 % columns) * rows + $0 / columns] }
  }
}

/// What the beginning of a `.npy` file says.
struct NPYHeader: Sendable {
  /// Type and byte order of a number.
  struct Element: Sendable {
    let kind: UInt8
    let size: Int
    let isBigEndian: Bool

    /// The number at a byte offset.
    @inline(__always)
    func read(_ bytes: UnsafeRawBufferPointer, _ offset: Int) -> Float {
      var bits: UInt64 = 0
      for index in 0..<size {
        let byte = UInt64(bytes[offset + index])
        bits |= byte << UInt64(8 * (isBigEndian ? size - 1 - index : index))
      }
      switch (kind, size) {
      case (UInt8(ascii: "f"), 4): return Float(bitPattern: UInt32(truncatingIfNeeded: bits))
      case (UInt8(ascii: "f"), 2): return Self.half(UInt16(truncatingIfNeeded: bits))
      case (UInt8(ascii: "f"), _): return Float(Double(bitPattern: bits))
      case (UInt8(ascii: "i"), _):
        let unused = UInt64(64 - 8 * size)
        return Float(Int64(bitPattern: bits << unused) >> Int64(unused))
      default: return Float(bits)
      }
    }

    /// IEEE half precision, which Swift's own type offers on some processors only.
    static func half(_ bits: UInt16) -> Float {
      let sign: Float = bits >> 15 == 1 ? -1 : 1
      let exponent = Int(bits >> 10 & 31)
      let fraction = Float(bits & 1023)
      if exponent == 31 { return fraction == 0 ? sign * .infinity : .nan }
      if exponent == 0 { return sign * fraction * 0x1p-24 }
      return sign * Float(sign: .plus, exponent: exponent - 25, significand: 1024 + fraction)
    }
  }

  let element: Element
  let isFortranOrder: Bool
  let shape: [Int]
  /// Where the numbers begin.
  let dataOffset: Int

  /// - Throws: `DataError.corruptFile`.
  init(_ bytes: [UInt8], path: String) throws(DataError) {
    func fail(_ reason: String) -> DataError { .corruptFile(path: path, reason: reason) }
    guard bytes.starts(with: [0x93, 0x4E, 0x55, 0x4D, 0x50, 0x59]) else {
      throw fail(bytes.isEmpty ? "the file is empty" : "it does not begin like a NumPy file")
    }
    // Version 1 has two bytes of header length, versions 2 and 3 have four.
    guard bytes.count > 7, (1...3).contains(bytes[6]) else { throw fail("its NumPy format version is unknown") }
    let start = bytes[6] == 1 ? 10 : 12
    guard bytes.count >= start else { throw fail("it ends within its header") }
    let length = (8..<start).reversed().reduce(0) { $0 << 8 | Int(bytes[$1]) }
    guard length <= bytes.count - start else { throw fail("it ends within its header") }
    dataOffset = start + length
    let text = String(decoding: bytes[start..<dataOffset], as: UTF8.self)

    guard let type = Self.value(of: "descr", in: text)?.split(whereSeparator: { $0 == "'" || $0 == "\"" }).first,
      type.utf8.count >= 3, let size = Int(type.dropFirst(2)), let order = type.utf8.first,
      let kind = type.utf8.dropFirst().first,
      (kind == UInt8(ascii: "f") ? [2, 4, 8] : [1, 2, 4, 8]).contains(size), "fiu".utf8.contains(kind)
    else { throw fail("its type \(Self.value(of: "descr", in: text) ?? "is missing"); expected integers or floats") }
    element = Element(kind: kind, size: size, isBigEndian: order == UInt8(ascii: ">"))
    guard let fortran = Self.value(of: "fortran_order", in: text) else { throw fail("its header has no fortran_order") }
    isFortranOrder = fortran.hasPrefix("True")
    guard let open = text.range(of: "'shape'")?.upperBound, let from = text[open...].firstIndex(of: "("),
      let to = text[from...].firstIndex(of: ")")
    else { throw fail("its header has no shape") }
    let parts = text[text.index(after: from)..<to].split(separator: ",")
      .map { $0.trimmingCharacters(in: .whitespaces) }.filter { !$0.isEmpty }
    let sizes = parts.compactMap { Int($0) }
    guard sizes.count == parts.count, sizes.allSatisfy({ $0 >= 0 }) else { throw fail("its shape is unreadable") }
    shape = sizes
  }

  /// The text after a key, up to the next comma.
  private static func value(of key: String, in text: String) -> String? {
    guard let range = text.range(of: "'\(key)'"), let colon = text[range.upperBound...].firstIndex(of: ":")
    else { return nil }
    return text[text.index(after: colon)...].prefix { $0 != "," && $0 != "}" }.trimmingCharacters(in: .whitespaces)
  }
}
