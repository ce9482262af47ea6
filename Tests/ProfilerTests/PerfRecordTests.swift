// Are the bytes of a ring buffer understood, whole, wrapped and broken? The layouts are those of perf_event_open(2).
import Foundation
@testable import Profiler
import Testing

/// Puts a record together field by field.
struct RecordBytes {
  var bytes: [UInt8] = []

  mutating func add<T: FixedWidthInteger>(_ value: T) {
    withUnsafeBytes(of: value.littleEndian) { bytes += $0 }
  }

  mutating func add(text: String) {
    bytes += Array(text.utf8) + [0]
    while bytes.count % 8 != 0 { bytes.append(0) }
  }

  /// With the header in front.
  static func record(_ type: UInt32, misc: UInt16 = 0, _ body: (inout RecordBytes) -> Void) -> [UInt8] {
    var content = RecordBytes()
    body(&content)
    var record = RecordBytes()
    record.add(type)
    record.add(misc)
    record.add(UInt16(8 + content.bytes.count))
    return record.bytes + content.bytes
  }

  /// `sample_id` as all our events ask for it.
  mutating func addTrailer(pid: Int32 = 7, tid: Int32 = 8, time: UInt64 = 1000, cpu: UInt32 = 1) {
    add(pid)
    add(tid)
    add(time)
    add(cpu)
    add(UInt32(0))
    add(UInt64(42))
  }
}

@Suite struct PerfRecordDecoderTests {
  static let ip: UInt64 = 1 << 0
  static let period: UInt64 = 1 << 8
  static let callChain: UInt64 = 1 << 5
  static let raw: UInt64 = 1 << 10
  static let registers: UInt64 = 1 << 12
  static let stack: UInt64 = 1 << 13

  func decode(_ bytes: [UInt8], _ layouts: [UInt64: PerfRecordDecoder.Layout] = [:]) -> (PerfRecord?, malformed: Int) {
    var decoder = PerfRecordDecoder()
    decoder.layouts = layouts
    let record = bytes.withUnsafeBytes { decoder.decode($0) }
    return (record, decoder.malformed)
  }

  @Test("A sample with everything")
  func sample() throws {
    let bytes = RecordBytes.record(9, misc: 2) { r in
      r.add(UInt64(42))  // identifier
      r.add(UInt64(0x401000))  // ip
      r.add(Int32(100))
      r.add(Int32(101))
      r.add(UInt64(123_456))  // time
      r.add(UInt32(3))
      r.add(UInt32(0))  // cpu
      r.add(UInt64(1_001_001))  // period
      r.add(UInt64(3))  // chain
      for address: UInt64 in [UInt64(bitPattern: -512), 0x401000, 0x400f00] { r.add(address) }
      r.add(UInt32(12))  // raw
      for byte: UInt8 in 1...12 { r.add(byte) }
      r.add(UInt64(2))  // 64-bit registers
      for register: UInt64 in [11, 12, 13] { r.add(register) }
      r.add(UInt64(16))  // stack
      for byte: UInt8 in 0..<16 { r.add(byte) }
      r.add(UInt64(10))  // of which used
    }
    let type =
      PerfRecordDecoder.commonType | Self.ip | Self.period | Self.callChain | Self.raw | Self.registers | Self.stack
    let (record, malformed) = decode(bytes, [42: .init(event: 2, sampleType: type, registers: 3)])
    guard case .sample(let sample) = record else {
      Issue.record("no sample")
      return
    }
    #expect(malformed == 0)
    #expect(sample.event == 2 && sample.pid == 100 && sample.tid == 101 && sample.cpu == 3)
    #expect(sample.time == 123_456 && sample.period == 1_001_001)
    #expect(sample.callChain == [UInt64(bitPattern: -512), 0x401000, 0x400f00])
    #expect(sample.raw == Array(1...12))
    #expect(sample.userRegisters == [11, 12, 13])
    #expect(sample.userStack == Array(0..<10))
  }

  @Test("Without a call chain the sampled address stands for it")
  func withoutChain() {
    for (misc, marker) in [(UInt16(1), Int64(-128)), (2, -512)] {
      let bytes = RecordBytes.record(9, misc: misc) { r in
        r.add(UInt64(42))
        r.add(UInt64(0x401000))
        r.add(Int32(1))
        r.add(Int32(2))
        r.add(UInt64(5))
        r.add(UInt64(0))
      }
      let (record, _) = decode(bytes, [42: .init(event: 0, sampleType: PerfRecordDecoder.commonType | Self.ip)])
      guard case .sample(let sample) = record else {
        Issue.record("no sample")
        return
      }
      #expect(sample.callChain == [UInt64(bitPattern: marker), 0x401000])
    }
  }

  @Test("A thread in the kernel has no user registers and no user stack")
  func kernelThread() {
    let bytes = RecordBytes.record(9) { r in
      r.add(UInt64(42))
      r.add(Int32(1))
      r.add(Int32(2))
      r.add(UInt64(5))
      r.add(UInt64(0))
      r.add(UInt64(0))  // no registers
      r.add(UInt64(0))  // no stack, and then no size used either
    }
    let type = PerfRecordDecoder.commonType | Self.registers | Self.stack
    let (record, malformed) = decode(bytes, [42: .init(event: 0, sampleType: type, registers: 20)])
    guard case .sample(let sample) = record else {
      Issue.record("no sample")
      return
    }
    #expect(sample.userRegisters.isEmpty && sample.userStack.isEmpty && malformed == 0)
  }

  @Test("Mappings, names, forks, exits, switches and losses")
  func sideRecords() throws {
    let mapping = RecordBytes.record(10) { r in
      r.add(Int32(5))
      r.add(Int32(6))
      for value: UInt64 in [0x7000, 0x2000, 0x1000] { r.add(value) }
      for _ in 0..<4 { r.add(UInt64(99)) }  // device, inode, generation, protection and flags
      r.add(text: "/usr/lib/libm.so")
      r.addTrailer()
    }
    guard case .mapping(let map) = decode(mapping).0 else {
      Issue.record("no mapping")
      return
    }
    #expect(map.pid == 5 && map.tid == 6 && map.address == 0x7000 && map.length == 0x2000 && map.pageOffset == 0x1000)
    #expect(map.path == "/usr/lib/libm.so" && map.time == 1000)

    let name = RecordBytes.record(3, misc: 1 << 13) { r in
      r.add(Int32(5))
      r.add(Int32(6))
      r.add(text: "worker")
      r.addTrailer()
    }
    guard case .name(5, 6, "worker", true, 1000) = decode(name).0 else {
      Issue.record("no name")
      return
    }
    for (type, isFork) in [(UInt32(7), true), (4, false)] {
      let bytes = RecordBytes.record(type) { r in
        for id: Int32 in [1, 2, 3, 4] { r.add(id) }
        r.add(UInt64(77))
        r.addTrailer()
      }
      switch decode(bytes).0 {
      case .fork(pid: 1, parentPID: 2, tid: 3, parentTID: 4, time: 77): #expect(isFork)
      case .exit(pid: 1, parentPID: 2, tid: 3, parentTID: 4, time: 77): #expect(!isFork)
      default: Issue.record("neither fork nor exit")
      }
    }
    for (misc, isOut, isPreempted) in [(UInt16(0), false, false), (1 << 13, true, false), (3 << 13, true, true)] {
      guard
        case .contextSwitch(7, 8, isOut, isPreempted, 1000) =
          decode(RecordBytes.record(14, misc: misc) { $0.addTrailer() }).0
      else {
        Issue.record("no switch")
        return
      }
    }
    let lost = RecordBytes.record(2) { r in
      r.add(UInt64(42))
      r.add(UInt64(13))
      r.addTrailer()
    }
    guard case .lost(13, 1000) = decode(lost).0 else {
      Issue.record("no loss")
      return
    }
  }

  @Test("Unknown types and unknown events are passed over; what is too short is counted")
  func unknown() {
    #expect(decode(RecordBytes.record(999) { $0.addTrailer() }).0 == nil)
    #expect(decode(RecordBytes.record(999) { $0.addTrailer() }).malformed == 0)
    let stranger = RecordBytes.record(9) { r in for _ in 0..<8 { r.add(UInt64(1)) } }
    #expect(decode(stranger).0 == nil)
    #expect(decode(RecordBytes.record(10) { $0.add(UInt64(1)) }).malformed == 1)
    #expect(decode([1, 2, 3]).malformed == 1)
  }

  @Test("A sample cut short at any place is never read past its end")
  func truncated() {
    let whole = RecordBytes.record(9) { r in
      r.add(UInt64(42))
      r.add(Int32(1))
      r.add(Int32(2))
      r.add(UInt64(5))
      r.add(UInt64(0))
      r.add(UInt64(2))
      r.add(UInt64(3))
      r.add(UInt64(4))
      r.add(UInt64(8))
      r.add(UInt64(9))
      r.add(UInt64(8))
    }
    let type = PerfRecordDecoder.commonType | Self.callChain | Self.stack
    let layouts: [UInt64: PerfRecordDecoder.Layout] = [42: .init(event: 0, sampleType: type)]
    #expect(decode(whole, layouts).0 != nil)
    for count in stride(from: 16, to: whole.count, by: 1) {
      #expect(decode(Array(whole[..<count]), layouts).0 == nil)
      #expect(decode(Array(whole[..<count]), layouts).malformed == 1)
    }
    // Counts that no record could hold.
    var absurd = whole
    absurd.replaceSubrange(40..<48, with: [UInt8](repeating: 0xff, count: 8))
    #expect(decode(absurd, layouts).malformed == 1)
  }
}

@Suite struct PerfRingTests {
  /// Lays records of these sizes into a ring, beginning at `tail`, and reads them back.
  func roundTrip(_ sizes: [Int], ring ringSize: Int, tail: UInt64) -> [[UInt8]] {
    var ring = [UInt8](repeating: 0, count: ringSize)
    var expected: [[UInt8]] = []
    var position = tail
    for (index, size) in sizes.enumerated() {
      var bytes = RecordBytes.record(UInt32(index)) { r in
        for offset in 0..<(size - 8) { r.add(UInt8(truncatingIfNeeded: offset + index)) }
      }
      bytes[6] = UInt8(size & 0xff)
      for byte in bytes {
        ring[Int(position % UInt64(ringSize))] = byte
        position += 1
      }
      expected.append(bytes)
    }
    var read: [[UInt8]] = []
    var scratch: [UInt8] = []
    ring.withUnsafeBytes { buffer in
      PerfRing.records(in: buffer, from: tail, to: position, scratch: &scratch) { read.append(Array($0)) }
    }
    #expect(read == expected)
    return read
  }

  @Test("Records are read whole wherever they wrap")
  func wrapping() {
    for start in stride(from: UInt64(0), through: 512, by: 8) {
      #expect(roundTrip([8, 16, 40, 64, 24, 48], ring: 256, tail: start).count == 6)
    }
    #expect(roundTrip([], ring: 64, tail: 24).isEmpty)
    // A full ring, far along.
    #expect(roundTrip([64], ring: 64, tail: 1 << 40 | 32).count == 1)
  }

  @Test("A broken size ends the walk")
  func brokenSize() {
    for size in [UInt16(0), 7, 4096] {
      var ring = [UInt8](repeating: 0, count: 64)
      withUnsafeBytes(of: size) { ring.replaceSubrange(6..<8, with: $0) }
      var scratch: [UInt8] = []
      var count = 0
      ring.withUnsafeBytes { PerfRing.records(in: $0, from: 0, to: 64, scratch: &scratch) { _ in count += 1 } }
      #expect(count == 0)
    }
  }
}

@Suite struct PerfRecordMergerTests {
  @Test("Delivery equals a stable sort, however the records come in")
  func order() {
    var generator = SystemRandomNumberGenerator()
    for count in [0, 1, 2, 3, 5, 10, 100] {
      let times = (0..<count).map { _ in UInt64.random(in: 1...50, using: &generator) }
      var merger = PerfRecordMerger()
      for (index, time) in times.enumerated() { merger.append(.lost(count: UInt64(index), time: time)) }
      var delivered: [[UInt64]] = []
      func deliver(_ record: PerfRecord) {
        if case .lost(let index, let time) = record { delivered.append([time, index]) }
      }
      merger.flush(before: 25, deliver)
      #expect(delivered.allSatisfy { $0[0] < 25 })
      merger.flush(before: .max, deliver)
      let expected = times.enumerated().sorted { ($0.element, $0.offset) < ($1.element, $1.offset) }
      #expect(delivered == expected.map { [$0.element, UInt64($0.offset)] })
      #expect(merger.late == 0)
    }
  }

  @Test("What comes after later records were delivered is counted, and delivered")
  func late() {
    var merger = PerfRecordMerger()
    var times: [UInt64] = []
    merger.append(.lost(count: 1, time: 100))
    merger.flush(before: .max) { times.append($0.time) }
    merger.append(.lost(count: 1, time: 50))
    merger.append(.lost(count: 1, time: 150))
    merger.flush(before: .max) { times.append($0.time) }
    #expect(times == [100, 50, 150])
    #expect(merger.late == 1)
  }
}
