// How are millions of kernel rows read in little time and memory, when the modules that they ran in don't matter?
import Foundation
import GRDB
import GRDBSQLite

/// How much of a profile a reader wants.
public enum ProfileDetail: Sendable {
  /// Everything.
  case whole
  /// What a suite's report looks at: kernels that differ in nothing but module path and id are added up (the path is empty then,
  /// and CPU time is left out), and the points of time series and the events of single kernels are left out.
  case summary
}

/// Kernel rows of one repetition, added up as they come from the file. Nothing is kept of a row that is like an earlier one, and
/// no string is made for it: its columns are compared as bytes where SQLite has them. The first row of a kind is read once more,
/// as every other row of a file is: with strings, provenance, and a check of each column's type.
struct MergedKernels {
  /// Rows of one name, category, phase, thread, shapes and types.
  private struct Group {
    var hash: UInt64
    /// Where its key is in `keys`.
    var key: Range<Int>
    var record: KernelRecord
    var rows = 1
    var flops = Total()
    var bytes = Total()
  }
  /// Numbers that some rows may lack.
  private struct Total {
    var sum = 0.0
    var known = 0
  }

  private var groups: [Group] = []
  private var keys: [UInt8] = []
  /// Open addressing: index of a group, or −1.
  private var slots = [Int32](repeating: -1, count: 1024)
  /// The current row's key.
  private var key: [UInt8] = []

  /// Kernels that samples point to, and the merged records that took their place.
  private(set) var replaced: [Int64: Int64] = [:]
  private let referenced: Set<Int64>
  private let lastReferenced: Int64

  init(referenced: Set<Int64>) {
    self.referenced = referenced
    lastReferenced = referenced.max() ?? .min
  }

  /// What is looked at of every row: the fewer columns, the less SQLite copies.
  static let columns =
    "repetition, id, name, category, phase, thread, shapes, types, calls, total_ns, self_ns, flops, bytes"

  /// Adds the row on which the statement stands.
  ///
  /// - Parameter record: reads the row of an id whole.
  mutating func add(_ row: KernelRow, _ record: (Int64) throws -> KernelRecord) throws {
    key.removeAll(keepingCapacity: true)
    var hash: UInt64 = 0x9E37_79B9_7F4A_7C15
    for column in Int32(2)...7 {
      let bytes = row.bytes(column)
      hash = Self.mix(hash, bytes)
      key.append(contentsOf: bytes)
      key.append(0)
    }
    let id = try row.integer(1)
    let index = find(hash)
    if let index {
      groups[index].rows += 1
      groups[index].record.calls.add(saturating: try row.integer(8))
      groups[index].record.totalNanoseconds.add(saturating: try row.integer(9))
      groups[index].record.selfNanoseconds.add(saturating: try row.integer(10))
    } else {
      insert(try record(id), hash: hash)
    }
    let group = index ?? groups.count - 1
    if let value = try row.realOrNil(11) {
      groups[group].flops.sum += value
      groups[group].flops.known += 1
    }
    if let value = try row.realOrNil(12) {
      groups[group].bytes.sum += value
      groups[group].bytes.known += 1
    }
    if id <= lastReferenced, referenced.contains(id) { replaced[id] = groups[group].record.id }
  }

  /// Eight bytes at a time; neighbouring columns are told apart by their lengths.
  private static func mix(_ seed: UInt64, _ bytes: UnsafeRawBufferPointer) -> UInt64 {
    var hash = seed ^ UInt64(truncatingIfNeeded: bytes.count)
    var offset = 0
    while offset + 8 <= bytes.count {
      hash = (hash ^ bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self)) &* 0xBF58_476D_1CE4_E5B9
      hash ^= hash >> 29
      offset += 8
    }
    while offset < bytes.count {
      hash = (hash ^ UInt64(bytes[offset])) &* 0x94D0_49BB_1331_11EB
      offset += 1
    }
    return hash ^ (hash >> 32)
  }

  private func find(_ hash: UInt64) -> Int? {
    var slot = Int(truncatingIfNeeded: hash) & (slots.count - 1)
    while slots[slot] >= 0 {
      let index = Int(slots[slot])
      if groups[index].hash == hash, groups[index].key.count == key.count {
        let isSame = keys.withUnsafeBytes { all in
          key.withUnsafeBytes { own in
            guard let all = all.baseAddress, let bytes = own.baseAddress else { return own.isEmpty }
            return memcmp(all + groups[index].key.lowerBound, bytes, own.count) == 0
          }
        }
        if isSame { return index }
      }
      slot = (slot + 1) & (slots.count - 1)
    }
    return nil
  }

  private mutating func insert(_ record: KernelRecord, hash: UInt64) {
    var record = record
    record.modulePath = ""
    record.threadCPUNanoseconds = .unavailable(Unavailable("left out: rows of several modules were added up"))
    let start = keys.count
    keys.append(contentsOf: key)
    groups.append(Group(hash: hash, key: start..<keys.count, record: record))
    if groups.count * 2 > slots.count { grow() } else { place(groups.count - 1) }
  }

  private mutating func place(_ index: Int) {
    var slot = Int(truncatingIfNeeded: groups[index].hash) & (slots.count - 1)
    while slots[slot] >= 0 { slot = (slot + 1) & (slots.count - 1) }
    slots[slot] = Int32(index)
  }

  private mutating func grow() {
    slots = [Int32](repeating: -1, count: slots.count * 2)
    for index in groups.indices { place(index) }
  }

  /// The merged records, in the order in which the first of each came.
  func records() -> [KernelRecord] {
    groups.map { group in
      var record = group.record
      record.flops = Self.total(group.flops, group.rows, record.flops)
      record.bytes = Self.total(group.bytes, group.rows, record.bytes)
      return record
    }
  }

  private static func total(_ total: Total, _ rows: Int, _ first: Measured<Double>) -> Measured<Double> {
    guard total.known > 0 else { return first }
    if total.known == rows, let provenance = first.provenance { return .measured(total.sum, provenance) }
    return Measured(total.sum, .derived, detail: "of \(total.known) of \(rows) variants; the others have none")
  }
}

extension Int64 {
  /// Adds, and stops at the largest number instead of trapping: the file is untrusted.
  fileprivate mutating func add(saturating other: Int64) {
    let (sum, overflow) = addingReportingOverflow(other)
    self = overflow ? (other > 0 ? .max : .min) : sum
  }
}

/// A row of table `kernel` while SQLite stands on it. Numbers are checked for their types; texts where they are read whole.
struct KernelRow {
  let statement: OpaquePointer

  private func damage(_ wanted: String, _ column: Int32) -> ProfileFields.Damage {
    let name = sqlite3_column_name(statement, column).map { String(cString: $0) } ?? ""
    return ProfileFields.Damage(description: "table kernel holds something else than \(wanted) in column \(name)")
  }

  /// The bytes of a text, good until the next step.
  func bytes(_ column: Int32) -> UnsafeRawBufferPointer {
    // Not sqlite3_column_text: it would copy each text to end it with a zero.
    let start = sqlite3_column_blob(statement, column)
    return UnsafeRawBufferPointer(start: start, count: Int(sqlite3_column_bytes(statement, column)))
  }

  func integer(_ column: Int32) throws -> Int64 {
    guard sqlite3_column_type(statement, column) == SQLITE_INTEGER else { throw damage("a whole number", column) }
    return sqlite3_column_int64(statement, column)
  }

  func realOrNil(_ column: Int32) throws -> Double? {
    switch sqlite3_column_type(statement, column) {
    case SQLITE_NULL: return nil
    case SQLITE_FLOAT, SQLITE_INTEGER: return sqlite3_column_double(statement, column)
    default: throw damage("a number", column)
    }
  }
}
