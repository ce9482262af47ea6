// tf.Example, the protocol buffer that a TFRecord usually holds: named lists of bytes, floats or integers.

/// One example. The features' names are read at once, their values when asked for.
///
///     message Example { Features features = 1; }
///     message Features { map<string, Feature> feature = 1; }
///     message Feature { oneof kind { BytesList bytes_list = 1; FloatList float_list = 2; Int64List int64_list = 3; } }
///     message …List { repeated … value = 1; }   // numbers packed or not
struct TFExample {
  /// For messages: file and record.
  private let path: String
  private let record: String
  private let features: [String: ArraySlice<UInt8>]

  /// Reads the names.
  ///
  /// - Parameters:
  ///   - path: for messages, as is `record`.
  /// - Throws: `DataError.corruptFile` for bytes that are no example.
  init(_ bytes: [UInt8], path: String, record: String) throws(DataError) {
    self.path = path
    self.record = record
    var features: [String: ArraySlice<UInt8>] = [:]
    do {
      for case (1, .bytes(let list)) in try ProtocolFields(bytes[...]).all() {
        for case (1, .bytes(let entry)) in try ProtocolFields(list).all() {
          var name = ""
          var feature: ArraySlice<UInt8> = []
          for field in try ProtocolFields(entry).all() {
            switch field {
            case (1, .bytes(let text)): name = String(decoding: text, as: UTF8.self)
            case (2, .bytes(let value)): feature = value
            default: break
            }
          }
          features[name] = feature
        }
      }
    } catch {
      throw .corruptFile(path: path, reason: "\(record) is no tf.Example: \(error.reason)")
    }
    self.features = features
  }

  /// The names of the features, sorted.
  var names: [String] { features.keys.sorted() }

  /// Whether there is a feature of that name.
  func has(_ name: String) -> Bool { features[name] != nil }

  /// A list of floats; `count` of them, where given.
  ///
  /// - Throws: `DataError.corruptFile` when it is missing, of another kind or of another length.
  func floats(_ name: String, count: Int? = nil) throws(DataError) -> [Float] {
    var values: [Float] = []
    for value in try list(name, kind: 2, called: "floats") {
      switch value {
      case .bytes(let packed):
        guard packed.count % 4 == 0 else { throw corrupt(name, "has a list of floats of \(packed.count) bytes") }
        values.reserveCapacity(values.count + packed.count / 4)
        packed.withUnsafeBytes { raw in
          for place in stride(from: 0, to: raw.count, by: 4) {
            let bits = UInt32(littleEndian: raw.loadUnaligned(fromByteOffset: place, as: UInt32.self))
            values.append(Float(bitPattern: bits))
          }
        }
      case .fixed32(let bits): values.append(Float(bitPattern: bits))
      default: throw corrupt(name, "has a value that is no float")
      }
    }
    try check(name, values.count, count)
    return values
  }

  /// A list of integers; `count` of them, where given.
  ///
  /// - Throws: `DataError.corruptFile` when it is missing, of another kind or of another length.
  func integers(_ name: String, count: Int? = nil) throws(DataError) -> [Int64] {
    var values: [Int64] = []
    for value in try list(name, kind: 3, called: "integers") {
      switch value {
      case .integer(let number): values.append(Int64(bitPattern: number))
      case .bytes(let packed):
        var fields = ProtocolFields(packed)
        do {
          while !fields.isAtEnd { values.append(Int64(bitPattern: try fields.varint())) }
        } catch {
          throw corrupt(name, "has a damaged list: \(error.reason)")
        }
      default: throw corrupt(name, "has a value that is no integer")
      }
    }
    try check(name, values.count, count)
    return values
  }

  /// A single string of bytes, such as an encoded image.
  ///
  /// - Throws: `DataError.corruptFile` when it is missing, of another kind, or more than one.
  func bytes(_ name: String) throws(DataError) -> [UInt8] {
    let values = try list(name, kind: 1, called: "bytes")
    try check(name, values.count, 1)
    guard case .bytes(let value) = values[0] else { throw corrupt(name, "has a value that is no string of bytes") }
    return Array(value)
  }

  private func list(_ name: String, kind: Int, called: String) throws(DataError) -> [ProtocolFields.Value] {
    guard let feature = features[name] else {
      let found = names.prefix(6).joined(separator: ", ") + (names.count > 6 ? " …" : "")
      throw .corruptFile(
        path: path, reason: "\(record) has no feature \"\(name)\"; it has \(found.isEmpty ? "none" : found)")
    }
    do {
      let fields = try ProtocolFields(feature).all()
      guard case (kind, .bytes(let list))? = fields.last else {
        throw corrupt(name, "does not hold \(called)")
      }
      return try ProtocolFields(list).all().filter { $0.number == 1 }.map(\.value)
    } catch let error as DataError {
      throw error
    } catch let error as ProtocolFields.Failure {
      throw corrupt(name, "is damaged: \(error.reason)")
    } catch {
      // No call above throws anything else.
      throw corrupt(name, "is damaged")
    }
  }

  private func check(_ name: String, _ found: Int, _ expected: Int?) throws(DataError) {
    guard let expected, found != expected else { return }
    throw corrupt(name, "has \(found) value\(found == 1 ? "" : "s"), expected \(expected)")
  }

  private func corrupt(_ name: String, _ reason: String) -> DataError {
    .corruptFile(path: path, reason: "feature \"\(name)\" of \(record) \(reason)")
  }
}

/// The fields of a protocol-buffer message, in the wire format.
struct ProtocolFields {
  /// A field's value, as its wire type gives it.
  enum Value {
    case integer(UInt64)
    case fixed64(UInt64)
    case bytes(ArraySlice<UInt8>)
    case fixed32(UInt32)
  }

  /// Bytes that are no message.
  struct Failure: Error {
    var reason: String
  }

  private var rest: ArraySlice<UInt8>

  init(_ bytes: ArraySlice<UInt8>) { rest = bytes }

  var isAtEnd: Bool { rest.isEmpty }

  /// All fields in order.
  func all() throws(Failure) -> [(number: Int, value: Value)] {
    var fields = self
    var result: [(number: Int, value: Value)] = []
    while !fields.isAtEnd { result.append(try fields.next()) }
    return result
  }

  /// The next field.
  mutating func next() throws(Failure) -> (number: Int, value: Value) {
    let tag = try varint()
    guard tag >> 3 > 0, tag >> 3 < 1 << 29 else { throw Failure(reason: "a field has the number \(tag >> 3)") }
    let number = Int(tag >> 3)
    switch tag & 7 {
    case 0: return (number, .integer(try varint()))
    case 1: return (number, .fixed64(try fixed(8)))
    case 2:
      let length = try varint()
      guard length <= UInt64(rest.count) else {
        throw Failure(reason: "field \(number) should have \(length) bytes, \(rest.count) are left")
      }
      let value = rest.prefix(Int(length))
      rest = rest.dropFirst(Int(length))
      return (number, .bytes(value))
    case 5: return (number, .fixed32(UInt32(truncatingIfNeeded: try fixed(4))))
    case let type: throw Failure(reason: "field \(number) has the wire type \(type)")
    }
  }

  /// Seven bits a byte, lowest first, as long as the eighth is set.
  mutating func varint() throws(Failure) -> UInt64 {
    var value: UInt64 = 0
    for shift in stride(from: 0, to: 70, by: 7) {
      guard let byte = rest.popFirst() else { throw Failure(reason: "a number ends early") }
      value |= UInt64(byte & 0x7F) << UInt64(shift)
      if byte < 0x80 { return value }
    }
    throw Failure(reason: "a number has more than ten bytes")
  }

  private mutating func fixed(_ count: Int) throws(Failure) -> UInt64 {
    guard rest.count >= count else { throw Failure(reason: "a number ends early") }
    let value = rest.prefix(count).reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
    rest = rest.dropFirst(count)
    return value
  }
}
