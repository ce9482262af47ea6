// Are Callgrind's parts put together rightly, the caches rounded, the log understood? None of these runs Valgrind.
import Foundation
import ProfileModel
@testable import Profiler
import Testing

@Suite struct SimulationTests {
  func part(_ trigger: String, _ functions: [String: [UInt64]], pid: Int32 = 1) -> CallgrindPart {
    var part = CallgrindPart()
    part.pid = pid
    part.trigger = trigger
    part.events = ["Ir", "D1mr"]
    for (name, counts) in functions { part.functions[CallgrindFunction(name: name, object: "/lib/x.so")] = counts }
    part.totals = part.sums
    return part
  }

  func value(
    _ rows: [SimulatedCount], _ scope: SimulatedCount.Scope, _ category: KernelCategory? = nil, _ name: String = "",
    _ event: String = "Ir"
  ) -> Double? {
    rows.first { $0.scope == scope && $0.category == category && $0.name == name && $0.event == event }?.value
  }

  @Test("Commands: the parts of all processes add up, under no category")
  func commands() {
    var tally = SimulationTally(isTraced: false)
    tally.add(part("--dump-before=fork", ["a": [10, 1], "b": [5, 0]]))
    tally.add(part("Program termination", ["a": [1, 0]]))
    tally.add(part("Program termination", ["a": [100, 7]], pid: 2))
    let rows = tally.counts()
    #expect(value(rows, .total) == 116)
    #expect(value(rows, .total, nil, "", "D1mr") == 8)
    #expect(value(rows, .function, nil, "a") == 111)
    #expect(value(rows, .function, nil, "b") == 5)
    #expect(!rows.contains { $0.scope == .category })
    // An event that was not simulated is not there as a miss of nothing.
    #expect(tally.pids == [1, 2])
  }

  @Test("Iterations: those that fill the caches are left out, as is one that was cut off")
  func iterations() {
    var tally = SimulationTally(isTraced: true, warming: 1)
    let outside = "Client Request: kiviat:|"
    tally.add(part(outside + "kiviat:c:GEMM", ["main": [1000, 0]]))
    tally.add(part("Client Request: kiviat:c:GEMM|kiviat:", ["sgemm": [1000, 0]]))
    tally.add(part(outside + "kiviat:iteration", ["main": [1000, 0]]))
    #expect(tally.iterations == 0 && tally.isCutOff)
    // The second iteration: 7 outside, 40 in a GEMM of which a part was written by Callgrind's own wish, 5 in an
    // operation whose category was not told.
    tally.add(part(outside + "kiviat:c:GEMM", ["main": [7, 1]]))
    tally.add(part("--dump-every-bb", ["sgemm": [30, 3]]))
    tally.add(part("Client Request: kiviat:c:GEMM|kiviat:o:aten::relu_", ["sgemm": [8, 1], "memcpy": [2, 1]]))
    tally.add(part("Client Request: kiviat:o:aten::relu_|kiviat:", ["relu": [5, 0]]))
    tally.add(part(outside + "kiviat:iteration", ["main": [1, 0]]))
    tally.add(part(outside + "kiviat:c:GEMM", ["main": [500, 0]]))
    #expect(tally.iterations == 1 && !tally.isCutOff)
    let rows = tally.counts()
    #expect(value(rows, .total) == 53)
    #expect(value(rows, .category, .gemm) == 40)
    #expect(value(rows, .category, .gemm, "", "D1mr") == 5)
    #expect(value(rows, .category, .relu) == 5)
    #expect(value(rows, .category, nil) == 8)
    #expect(value(rows, .function, .gemm, "sgemm") == 38)
    #expect(value(rows, .function, .gemm, "memcpy") == 2)
    let categories = rows.filter { $0.scope == .category && $0.event == "Ir" }.map(\.value).reduce(0, +)
    let functions = rows.filter { $0.scope == .function && $0.event == "Ir" }.map(\.value).reduce(0, +)
    #expect(categories == 53 && functions == 53)
  }

  @Test("Without one whole iteration, what there is of the first counts")
  func cutOff() {
    var tally = SimulationTally(isTraced: true, warming: 1)
    tally.add(part("Client Request: kiviat:|kiviat:c:convolution", ["main": [3, 0]]))
    tally.add(part("Program termination", ["conv": [20, 0]]))
    #expect(tally.isCutOff)
    #expect(value(tally.counts(), .category, .convolution) == 20)
    #expect(value(tally.counts(), .total) == 23)
  }

  @Test("Of many functions those are kept that cover 99 %, the rest under one name")
  func rest() {
    var tally = SimulationTally(isTraced: false)
    var functions: [String: [UInt64]] = ["hot": [9800, 1], "warm": [150, 1]]
    for index in 0..<50 { functions["cold\(index)"] = [1, 0] }
    tally.add(part("Program termination", functions))
    let rows = tally.counts()
    #expect(value(rows, .function, nil, "hot") == 9800)
    #expect(value(rows, .function, nil, "warm") == 150)
    #expect(value(rows, .function, nil, SimulationTally.rest) == 50)
    #expect(Set(rows.filter { $0.scope == .function }.map(\.name)).count == 3)
    #expect(Set(tally.counts(limit: 1).filter { $0.scope == .function }.map(\.name)) == ["hot", SimulationTally.rest])
  }

  @Test("A part that was cut off is counted as broken, not as work")
  func broken() {
    var tally = SimulationTally(isTraced: false)
    var bad = part("Program termination", ["a": [10, 1]])
    bad.totals = nil
    tally.add(bad)
    #expect(tally.brokenParts == 1)
    #expect(tally.counts().isEmpty)
  }

  @Test("Sums beyond 64 bits stay at the largest number")
  func overflow() {
    var tally = SimulationTally(isTraced: false)
    for _ in 0..<2 { tally.add(part("Program termination", ["a": [.max - 1, 0]])) }
    #expect(value(tally.counts(), .total) == Double(UInt64.max))
  }

  @Test(
    "Caches: sets in powers of two, the size within a way of the host's",
    arguments: [
      (Int64(32 << 10), 8, "32768,8,64", true), (32 << 20, 16, "33554432,16,64", true),
      // 48 KiB in 12 ways is 64 sets.
      (48 << 10, 12, "49152,12,64", true),
      // 36 MiB in 12 ways would be 49152 sets: 32768 sets in 18 ways are as many bytes.
      (36 << 20, 12, "37748736,18,64", false),
      // 33 MiB in 11 ways is 49152 sets.
      (33 << 20, 11, "33554432,16,64", false), (1, 1, "64,1,64", false),
    ])
  func caches(bytes: Int64, ways: Int, argument: String, isExact: Bool) {
    let cache = SimulatedCache(bytes: bytes, ways: ways, lineBytes: 64, what: "cache")
    #expect(cache.argument == argument)
    #expect((cache.remark == nil) == isExact)
    let sets = cache.bytes / Int64(cache.ways * cache.lineBytes)
    #expect(sets > 0 && sets & (sets - 1) == 0)
  }

  @Test("A machine that tells no caches gets assumed ones, and says so")
  func unknownCaches() {
    let caches = SimulatedCaches(HostCPU())
    #expect(caches.arguments == ["--I1=32768,8,64", "--D1=32768,8,64", "--LL=8388608,8,64"])
    for quantity in caches.quantities { #expect(quantity.value.provenance?.detail?.contains("assumed") == true) }
  }

  @Test("Valgrind's log: the command, an unknown instruction, debug information, memory")
  func log() {
    let sigill = ValgrindLog(
      """
      ==12== Command: ./a b c
      vex amd64->IR: unhandled instruction bytes: 0x62 0xF1 0x7C 0x48 0x28 0x5
      ==12== valgrind: Unrecognised instruction at address 0x4011a6.
      """)
    #expect(sigill.command == "./a b c")
    #expect(sigill.unknownInstruction == "0x62 0xF1 0x7C 0x48 0x28 0x5")
    let debug = ValgrindLog(
      """
      ==7== Valgrind: debuginfo reader: ensure_valid failed:
      ==7== Valgrind:   during call to ML_(img_get)
      ==7== Valgrind:   request for range [2309843680, +4) exceeds
      ==7== Valgrind:   valid image size of 94843184 for image:
      ==7== Valgrind:   "/work/a program"
      ==7== Valgrind: debuginfo reader: Possibly corrupted debuginfo file.
      """)
    #expect(debug.unreadableDebugInfo == "/work/a program")
    #expect(ValgrindLog("==3==     Valgrind's memory management: out of memory:").isOutOfMemory)
    #expect(ValgrindLog("\u{0}==\n--\n==x==") == ValgrindLog(""))
  }

  @Test("The copy of a program without debug information runs and keeps its symbols")
  func hiddenDebugInfo() throws {
    let folder = Programs.temporaryPath("")
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(atPath: folder) }
    let copy = folder + "/copy"
    try HiddenDebugInfo.copy(Programs.folder + "/CountableLoops", to: copy)
    #expect(try Programs.run([copy, "loop", "10"]).exitCode == 0)
    let data = try Data(contentsOf: URL(fileURLWithPath: copy))
    #expect(data.range(of: Data(".debug_info".utf8)) == nil)
    #expect(data.range(of: Data(".hiddeninfo".utf8)) != nil)
    #expect(data.range(of: Data("counted_loop".utf8)) != nil)
    // No ELF file, and one whose table of sections lies beyond its end.
    let text = folder + "/text"
    try Data("#!/bin/sh\n".utf8).write(to: URL(fileURLWithPath: text))
    #expect(throws: SystemCallError.self) { try HiddenDebugInfo.copy(text, to: folder + "/a") }
    var bytes = [UInt8](data.prefix(4096))
    bytes.replaceSubrange(40..<48, with: [0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x7F])
    try Data(bytes).write(to: URL(fileURLWithPath: text))
    #expect(throws: SystemCallError.self) { try HiddenDebugInfo.copy(text, to: folder + "/b") }
  }

  @Test("The costs of this processor are within what processors have")
  func pipeline() throws {
    let pipeline = SimulatedPipeline.measure(lastLevel: 8 << 20, secondLevel: 1 << 20)
    for quantity in pipeline.quantities {
      let number = try #require(quantity.value.value?.number)
      #expect(number > 0 && number.isFinite)
    }
    // An addition a cycle: between 0.1 and 20 GHz, on a machine that is shared at that.
    let cycle = try #require(pipeline.quantities.first { $0.name == "simulation.model.cycle" }?.value.value?.number)
    #expect((0.05...10).contains(cycle))
  }
}
