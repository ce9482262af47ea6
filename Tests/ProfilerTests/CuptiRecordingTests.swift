// Is a GPU recording read as it was written, and does a damaged one do no harm?
import CCuptiRecording
import Foundation
import ProfileModel
import Testing

@testable import Profiler

@Suite("Reading GPU recordings")
struct CuptiRecordingTests {
  @Test("A record comes back member by member")
  func members() throws {
    var file = HandMadeRecording(closed: 9000)
    let name = file.string("ampere_sgemm_128x64_nn")
    var kernel = kiviat_cupti_kernel()
    kernel.start_ns = 100
    kernel.end_ns = 350
    kernel.graph_node = 0x1_0000_0002
    kernel.graph = 1
    kernel.name = name
    kernel.device = 2
    kernel.context = 3
    kernel.stream = 4
    kernel.correlation = 5
    kernel.grid = (6, 7, 8)
    kernel.block = (9, 10, 11)
    kernel.cluster = (12, 13, 14)
    kernel.static_shared_bytes = 15
    kernel.dynamic_shared_bytes = 16
    kernel.executed_shared_bytes = 17
    kernel.local_bytes_per_thread = 18
    kernel.registers_per_thread = 19
    kernel.launch_type = 1
    file.append(KIVIAT_CUPTI_KERNEL.rawValue, kernel)
    var copy = kiviat_cupti_memcpy()
    copy.bytes = 4096
    copy.start_ns = 400
    copy.end_ns = 500
    copy.copy_kind = 10
    copy.source_device = 0
    copy.destination_device = 1
    copy.is_async = 1
    file.append(KIVIAT_CUPTI_MEMCPY.rawValue, copy)
    file.append(KIVIAT_CUPTI_END.rawValue, kiviat_cupti_end())

    let recording = try file.read()
    #expect(recording.pid == 42)
    #expect(recording.parentPID == 41)
    #expect(recording.isComplete)
    #expect(recording.warnings.isEmpty)
    let read = try #require(recording.kernels.first)
    #expect(
      read
        == CuptiRecording.Kernel(
          name: "ampere_sgemm_128x64_nn", start: 100, end: 350, device: 2, context: 3, stream: 4, correlation: 5,
          graph: 1, graphNode: 0x1_0000_0002, grid: [6, 7, 8], block: [9, 10, 11], cluster: [12, 13, 14],
          registersPerThread: 19, staticSharedBytes: 15, dynamicSharedBytes: 16, executedSharedBytes: 17,
          localBytesPerThread: 18, isCooperative: true))
    #expect(read.isTimed)
    #expect(recording.copies.first?.destinationDevice == 1)
    #expect(recording.copies.first?.isAsynchronous == true)
  }

  @Test("A recording cut at any byte reads up to its last whole record")
  func cut() throws {
    var file = HandMadeRecording()
    var ends: [Int] = []
    for i in 0..<5 {
      file.kernel("kernel_\(i)", start: UInt64(i) * 10 + 1, end: UInt64(i) * 10 + 5)
      ends.append(file.bytes.count)
    }
    let whole = file.bytes
    for length in Int(KIVIAT_CUPTI_HEADER_BYTES)...whole.count {
      file.bytes = Array(whole[..<length])
      let recording = try file.read()
      #expect(recording.kernels.count == ends.filter { $0 <= length }.count)
      #expect(recording.damagedAt == nil)
      #expect(!recording.isComplete)
    }
    for length in 0..<Int(KIVIAT_CUPTI_HEADER_BYTES) {
      file.bytes = Array(whole[..<length])
      #expect(throws: CuptiRecordingReader.Failure.self) { try file.read() }
    }
  }

  @Test("Any byte may be wrong: what is read is at most what was written")
  func damaged() throws {
    var file = HandMadeRecording(closed: 5)
    for i in 0..<3 { file.kernel("kernel_\(i)", start: 1, end: 2) }
    file.clock(5, 5)
    let whole = file.bytes
    for at in whole.indices {
      for value in [0 as UInt8, 0x7f, 0xff] where whole[at] != value {
        file.bytes = whole
        file.bytes[at] = value
        guard let recording = try? file.read() else {
          // The header's magic, version and length alone decide whether it is a recording.
          #expect(at < 16)
          continue
        }
        #expect(recording.kernels.count <= 3)
        _ = recording.warnings
        _ = recording.onMonotonicClock()
      }
    }
  }

  @Test("A frame that can't be stops the reading and is told")
  func frames() throws {
    for (size, type) in [(0, 6), (4, 6), (12, 6), (16, 6), (1 << 30, 6), (8, 1)] as [(UInt32, UInt16)] {
      var file = HandMadeRecording(closed: 5)
      file.kernel("before", start: 1, end: 2)
      let at = file.bytes.count
      withUnsafeBytes(of: kiviat_cupti_frame(type: type, flags: 0, bytes: size)) { file.bytes.append(contentsOf: $0) }
      file.bytes.append(contentsOf: [UInt8](repeating: 0, count: 64))
      let recording = try file.read()
      #expect(recording.damagedAt == at)
      #expect(recording.kernels.count == 1)
      #expect(recording.warnings.contains { $0.reason.contains("damaged from byte \(at)") })
    }
  }

  @Test("What a later version adds is skipped: longer records and other types")
  func later() throws {
    var file = HandMadeRecording(closed: 5)
    var kernel = kiviat_cupti_kernel()
    kernel.start_ns = 7
    kernel.end_ns = 9
    file.append(KIVIAT_CUPTI_KERNEL.rawValue, kernel, tail: [UInt8](repeating: 0xee, count: 24))
    file.append(999, kiviat_cupti_end())
    file.kernel("after", start: 10, end: 11)
    let recording = try file.read()
    #expect(recording.kernels.map(\.start) == [7, 10])
    #expect(recording.kernels.map(\.name) == [nil, "after"])
    #expect(recording.unknownRecords == 1)
    #expect(recording.damagedAt == nil)
  }

  @Test("A file that is no recording, or of another version, is refused by name")
  func refused() throws {
    #expect(throws: CuptiRecordingReader.Failure.self) { try HandMadeRecording(version: 7).read() }
    var file = HandMadeRecording()
    file.bytes[0] = 0
    #expect(throws: CuptiRecordingReader.Failure.self) { try file.read() }
    #expect(try CuptiRecordingReader(path: "/nonexistent/cupti-1.bin") == nil)
    let message = "\(CuptiRecordingReader.Failure.otherVersion(path: "/x", version: 7))"
    #expect(message.contains("version 7"))
    #expect(message.contains("libkiviat-cupti.so"))
  }

  @Test("A growing file is read as it grows")
  func growing() throws {
    let path = Programs.temporaryPath(".bin")
    defer { try? FileManager.default.removeItem(atPath: path) }
    var file = HandMadeRecording()
    for i in 0..<4 { file.kernel("kernel_\(i % 2)", start: UInt64(i) + 1, end: UInt64(i) + 2) }
    let whole = file.bytes
    #expect(FileManager.default.createFile(atPath: path, contents: Data(whole[..<64])))
    #expect(try CuptiRecordingReader(path: path) == nil)
    let handle = try FileHandle(forWritingTo: URL(fileURLWithPath: path))
    try handle.seekToEnd()
    handle.write(Data(whole[64..<200]))
    let reader = try #require(try CuptiRecordingReader(path: path))
    try reader.read()
    var counts = [reader.recording.kernels.count]
    for start in stride(from: 200, to: whole.count, by: 100) {
      handle.write(Data(whole[start..<min(start + 100, whole.count)]))
      try reader.read()
      counts.append(reader.recording.kernels.count)
    }
    #expect(counts == counts.sorted())
    #expect(reader.recording.kernels.map(\.name) == ["kernel_0", "kernel_1", "kernel_0", "kernel_1"])
  }

  @Test("What is missing is told, with a way out")
  func missing() throws {
    var file = HandMadeRecording(closed: 5, writeError: EFBIG, unwritten: 12)
    var counts = kiviat_cupti_counts()
    counts.dropped = 3
    counts.untimed = 4
    file.append(KIVIAT_CUPTI_COUNTS.rawValue, counts)
    let warnings = try file.read().warnings
    #expect(warnings.contains { $0.reason.hasPrefix("3 records were dropped") && $0.remedy != nil })
    #expect(warnings.contains { $0.reason.hasPrefix("4 kernels") })
    #expect(warnings.contains { $0.reason.contains("12 records are missing") && $0.remedy != nil })
  }

  @Test(
    "Every known result of CUPTI has a meaning and a way out",
    arguments: [8, 15, 26, 33, 35, 36, 38, 39, 40, 41, 42, 43, 44, 45])
  func remedies(code: Int32) {
    let status = CuptiStatus(time: 0, stage: .enable, severity: .off, code: code, text: "call: NAME")
    #expect(status.unavailable.remedy != nil)
    #expect(status.unavailable.reason.contains("call: NAME"))
  }
}

@Suite("CUPTI's clock")
struct CuptiClockTests {
  @Test("The agent's clock is the monotonic one")
  func same() {
    let clock = CuptiClock(pairs: [
      .init(cupti: 105, monotonic: 100, width: 10), .init(cupti: 203, monotonic: 200, width: 6),
    ])
    #expect(clock.isMonotonic)
    #expect(clock.monotonic(150) == 150)
  }

  @Test("A clock that is ahead and drifts is interpolated")
  func drift() throws {
    // 1000 ppm fast, ten seconds ahead at the start.
    let clock = CuptiClock(
      pairs: (0...4).map { i in
        .init(cupti: 10_000_000_000 + UInt64(i) * 1_001_000_000, monotonic: UInt64(i) * 1_000_000_000, width: 50)
      })
    #expect(!clock.isMonotonic)
    #expect(abs(try #require(clock.drift) - 0.001) < 1e-12)
    for monotonic in stride(from: 0 as UInt64, through: 4_000_000_000, by: 123_456_789) {
      let cupti = 10_000_000_000 + monotonic + monotonic / 1000
      let back = clock.monotonic(cupti)
      #expect(max(back, monotonic) - min(back, monotonic) <= 2)
    }
    // Outside: the nearest pair's offset.
    #expect(clock.monotonic(10_000_000_000 + 4_004_000_000 + 500) == 4_000_000_500)
    #expect(clock.monotonic(9_999_999_000) == 0)
  }

  @Test("A wall clock that is set in between is followed piece by piece")
  func step() {
    let clock = CuptiClock(pairs: [
      .init(cupti: 1000, monotonic: 0, width: 1), .init(cupti: 2000, monotonic: 1000, width: 1),
      .init(cupti: 9000, monotonic: 2000, width: 1), .init(cupti: 10000, monotonic: 3000, width: 1),
    ])
    #expect(clock.monotonic(1500) == 500)
    #expect(clock.monotonic(9500) == 2500)
  }

  @Test("Extreme numbers do not trap")
  func extremes() {
    let clock = CuptiClock(pairs: [
      .init(cupti: 0, monotonic: .max, width: 0), .init(cupti: .max, monotonic: 0, width: 0),
      .init(cupti: .max, monotonic: .max, width: 0),
    ])
    for time in [0, 1, UInt64.max / 2, .max] { _ = clock.monotonic(time) }
    #expect(CuptiClock().monotonic(7) == 7)
    #expect(CuptiClock().drift == nil)
  }

  @Test("All times of a recording are converted, those that were not taken stay so")
  func recording() throws {
    var file = HandMadeRecording(closed: 5)
    file.clock(1_000_000, 0)
    file.kernel("a", start: 1_000_100, end: 1_000_200)
    file.kernel("b", start: 0, end: 0)
    file.clock(2_000_000, 1_000_000)
    let recording = try #require(try file.read().onMonotonicClock())
    #expect(recording.kernels.map(\.start) == [100, 0])
    #expect(recording.kernels.map(\.end) == [200, 0])
    #expect(recording.clock.isMonotonic)
    #expect(try HandMadeRecording().read().onMonotonicClock() == nil)
  }
}
