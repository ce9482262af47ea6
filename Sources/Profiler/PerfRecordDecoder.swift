// What does a record of a ring buffer say? The layouts are those of perf_event_open(2) and linux/perf_event.h.
import CPerfEvent

/// Turns the bytes of a record into a ``PerfRecord``.
///
/// All events of a ring carry `PERF_SAMPLE_IDENTIFIER`, `TID`, `TIME` and `CPU` and have `sample_id_all` set, so
/// that the trailer of every record that is no sample is the same 32 bytes.
struct PerfRecordDecoder {
  /// What a sample of one event holds.
  struct Layout: Hashable, Sendable {
    /// The event's index, as the consumers know it.
    var event: Int
    /// `perf_event_attr.sample_type`.
    var sampleType: UInt64
    /// How many registers `sample_regs_user` asks for.
    var registers = 0
  }

  /// What every event asks for.
  static let commonType =
    bit(PERF_SAMPLE_IDENTIFIER) | bit(PERF_SAMPLE_TID) | bit(PERF_SAMPLE_TIME) | bit(PERF_SAMPLE_CPU)
  /// Bytes of the trailer: pid and tid, time, CPU and padding, identifier.
  static let trailerSize = 32

  /// By the kernel's id of the event.
  var layouts: [UInt64: Layout] = [:]
  /// Records that were not understood although they should have been: too short for what they claim to be.
  private(set) var malformed = 0
  /// How often the kernel held back an event that fired too often.
  private(set) var throttled = 0

  static func bit(_ flag: perf_event_sample_format) -> UInt64 { UInt64(flag.rawValue) }

  /// Decodes one record; `nil` for types that nobody here needs.
  mutating func decode(_ bytes: UnsafeRawBufferPointer) -> PerfRecord? {
    guard bytes.count >= 8 else {
      malformed += 1
      return nil
    }
    let type = bytes.loadUnaligned(fromByteOffset: 0, as: UInt32.self)
    let misc = bytes.loadUnaligned(fromByteOffset: 4, as: UInt16.self)
    var reader = ByteReader(bytes, from: 8)
    let record: PerfRecord?
    if type == PERF_RECORD_SAMPLE.rawValue {
      record = sample(&reader, misc: misc)
    } else {
      guard bytes.count >= 8 + Self.trailerSize else {
        malformed += 1
        return nil
      }
      let trailer = Trailer(bytes)
      reader.end = bytes.count - Self.trailerSize
      record = sideRecord(type, misc: misc, &reader, trailer)
    }
    if reader.overran {
      malformed += 1
      return nil
    }
    return record
  }

  /// `sample_id` at the end of every record that is no sample.
  private struct Trailer {
    var pid: Int32
    var tid: Int32
    var time: UInt64

    init(_ bytes: UnsafeRawBufferPointer) {
      let start = bytes.count - PerfRecordDecoder.trailerSize
      pid = bytes.loadUnaligned(fromByteOffset: start, as: Int32.self)
      tid = bytes.loadUnaligned(fromByteOffset: start + 4, as: Int32.self)
      time = bytes.loadUnaligned(fromByteOffset: start + 8, as: UInt64.self)
    }
  }

  private mutating func sideRecord(
    _ type: UInt32, misc: UInt16, _ reader: inout ByteReader, _ trailer: Trailer
  ) -> PerfRecord? {
    let isExecOrOut = misc & 1 << 13 != 0
    switch type {
    case PERF_RECORD_MMAP2.rawValue:
      let pid = reader.int32()
      let tid = reader.int32()
      let address = reader.uint64()
      let length = reader.uint64()
      let pageOffset = reader.uint64()
      reader.skip(24 + 8)  // device, inode, generation or build id; protection and flags
      return .mapping(
        PerfMapping(
          pid: pid, tid: tid, address: address, length: length, pageOffset: pageOffset, path: reader.text(),
          time: trailer.time))
    case PERF_RECORD_COMM.rawValue:
      let pid = reader.int32()
      let tid = reader.int32()
      return .name(pid: pid, tid: tid, name: reader.text(), isExec: isExecOrOut, time: trailer.time)
    case PERF_RECORD_FORK.rawValue, PERF_RECORD_EXIT.rawValue:
      let pid = reader.int32()
      let parentPID = reader.int32()
      let tid = reader.int32()
      let parentTID = reader.int32()
      let time = reader.uint64()
      return type == PERF_RECORD_FORK.rawValue
        ? .fork(pid: pid, parentPID: parentPID, tid: tid, parentTID: parentTID, time: time)
        : .exit(pid: pid, parentPID: parentPID, tid: tid, parentTID: parentTID, time: time)
    case PERF_RECORD_SWITCH.rawValue:
      return .contextSwitch(
        pid: trailer.pid, tid: trailer.tid, isOut: isExecOrOut, isPreempted: misc & 1 << 14 != 0, time: trailer.time)
    case PERF_RECORD_LOST.rawValue:
      reader.skip(8)  // id of the event that found it out
      return .lost(count: reader.uint64(), time: trailer.time)
    case PERF_RECORD_LOST_SAMPLES.rawValue:
      return .lost(count: reader.uint64(), time: trailer.time)
    case PERF_RECORD_THROTTLE.rawValue:
      throttled += 1
      return nil
    default:
      return nil
    }
  }

  /// The order of a sample's fields is fixed by the kernel, whichever of them are there.
  private func sample(_ reader: inout ByteReader, misc: UInt16) -> PerfRecord? {
    let identifier = reader.uint64()
    guard !reader.overran, let layout = layouts[identifier] else { return nil }
    let type = layout.sampleType
    func has(_ flag: perf_event_sample_format) -> Bool { type & Self.bit(flag) != 0 }

    let address = has(PERF_SAMPLE_IP) ? reader.uint64() : 0
    var sample = PerfSample(event: layout.event, pid: reader.int32(), tid: reader.int32(), cpu: 0, time: 0, period: 0)
    sample.time = reader.uint64()
    if has(PERF_SAMPLE_ADDR) { reader.skip(8) }
    if has(PERF_SAMPLE_ID) { reader.skip(8) }
    if has(PERF_SAMPLE_STREAM_ID) { reader.skip(8) }
    sample.cpu = reader.int32()
    reader.skip(4)
    if has(PERF_SAMPLE_PERIOD) { sample.period = reader.uint64() }
    if has(PERF_SAMPLE_CALLCHAIN) {
      sample.callChain = reader.words(reader.uint64())
    } else if has(PERF_SAMPLE_IP) {
      sample.callChain = [Self.marker(misc), address]
    }
    if has(PERF_SAMPLE_RAW) { sample.raw = reader.bytes(UInt64(reader.uint32())) }
    // A payload's size includes the padding that brings its end, with the 4 bytes of the size, to 8.
    if has(PERF_SAMPLE_REGS_USER), reader.uint64() != 0 {
      sample.userRegisters = reader.words(UInt64(layout.registers))
    }
    if has(PERF_SAMPLE_STACK_USER) {
      let size = reader.uint64()
      if size > 0 {
        let stack = reader.bytes(size)
        let used = reader.uint64()
        sample.userStack = used < UInt64(stack.count) ? Array(stack[..<Int(used)]) : stack
      }
    }
    return .sample(sample)
  }

  /// The context marker that a call chain would begin with: kernel or user (`PERF_CONTEXT_…`).
  private static func marker(_ misc: UInt16) -> UInt64 {
    let kernelMode = 1
    return UInt64(bitPattern: Int64(misc & 7) == kernelMode ? -128 : -512)
  }
}

/// Reads a record front to back. Reading past the end gives zeros and sets ``overran``.
struct ByteReader {
  private let bytes: UnsafeRawBufferPointer
  private var position: Int
  var end: Int
  private(set) var overran = false

  init(_ bytes: UnsafeRawBufferPointer, from position: Int) {
    self.bytes = bytes
    self.position = position
    end = bytes.count
  }

  private mutating func take(_ count: Int) -> Int? {
    guard count >= 0, count <= end - position else {
      overran = true
      return nil
    }
    defer { position += count }
    return position
  }

  mutating func skip(_ count: Int) { _ = take(count) }
  mutating func uint64() -> UInt64 { take(8).map { bytes.loadUnaligned(fromByteOffset: $0, as: UInt64.self) } ?? 0 }
  mutating func uint32() -> UInt32 { take(4).map { bytes.loadUnaligned(fromByteOffset: $0, as: UInt32.self) } ?? 0 }
  mutating func int32() -> Int32 { take(4).map { bytes.loadUnaligned(fromByteOffset: $0, as: Int32.self) } ?? 0 }

  /// The next `count` words.
  mutating func words(_ count: UInt64) -> [UInt64] {
    guard count <= UInt64(bytes.count / 8), let start = take(Int(count) * 8) else {
      overran = true
      return []
    }
    return [UInt64](unsafeUninitializedCapacity: Int(count)) { buffer, initialized in
      for index in buffer.indices {
        buffer.initializeElement(at: index, to: bytes.loadUnaligned(fromByteOffset: start + index * 8, as: UInt64.self))
      }
      initialized = Int(count)
    }
  }

  /// The next `count` bytes.
  mutating func bytes(_ count: UInt64) -> [UInt8] {
    guard count <= UInt64(bytes.count), let start = take(Int(count)) else {
      overran = true
      return []
    }
    return Array(bytes[start..<start + Int(count)])
  }

  /// A text that ends with a zero byte or with the record.
  mutating func text() -> String {
    let rest = bytes[min(position, end)..<end]
    position = end
    return String(decoding: rest.prefix { $0 != 0 }, as: UTF8.self)
  }
}
