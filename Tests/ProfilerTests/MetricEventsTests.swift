// Do groups of the catalogue become the events that a processor of that family has?
import Foundation
import Metrics
import Testing

@testable import Profiler

@Suite struct MetricEventsTests {
  /// A directory of PMUs: files by path below it.
  static func withPMUs<Result>(_ files: [String: String], _ body: (MetricEvents) throws -> Result) throws -> Result {
    let root = FileManager.default.temporaryDirectory.appendingPathComponent("pmus-\(UUID().uuidString)")
    defer { try? FileManager.default.removeItem(at: root) }
    for (path, text) in files {
      let url = root.appendingPathComponent(path)
      try FileManager.default.createDirectory(at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
      try text.write(to: url, atomically: true, encoding: .utf8)
    }
    var events = MetricEvents()
    events.pmus.root = root.path
    return try body(events)
  }

  static func family(_ name: String) throws -> MetricFamily {
    try #require(try MetricCatalogue.builtIn().family(named: name))
  }

  @Test func slotsLeadTheirGroup() throws {
    let family = try Self.family("intel-sapphire-rapids")
    let specs = try Self.withPMUs(["cpu/type": "4"]) { try $0.specs(family.groups, of: family, firstGroup: 7) }
    let group = specs.filter { $0.group == 7 }
    // The kernel's pseudo events of the metrics register, slots first.
    #expect(
      group.map(\.config) == [0x400, 0x8000, 0x8100, 0x8200, 0x8300, 0x8400, 0x8500, 0x8600, 0x8700, 0x10ad])
    #expect(specs.allSatisfy { $0.type == 4 || $0.type == 0 })
    #expect(group.first?.name == "slots")
    #expect(Set(specs.compactMap(\.group)) == [7, 8, 9, 10])
    // Named as the catalogue names them, which is how a profile is evaluated.
    #expect(Set(specs.map(\.name)).isSubset(of: Set(family.events.map(\.counterName))))
  }

  @Test func rawEventsOfAMDHaveTheirUpperBits() throws {
    let family = try Self.family("amd-zen4")
    let specs = try Self.withPMUs(["cpu/type": "4"]) { try $0.specs(family.groups, of: family, firstGroup: 0) }
    let empty = try #require(specs.first { $0.name == "frontend_empty_cycles" })
    #expect(empty.config == 0x1_0600_01a0)
    for number in Set(specs.compactMap(\.group)) { #expect(specs.count { $0.group == number } <= 6) }
  }

  @Test func performanceCoresOfAHybridAreAsked() throws {
    let family = try Self.family("intel-sapphire-rapids")
    let files = ["cpu_core/type": "4", "cpu_atom/type": "10"]
    let raw = try #require(family.events.first { $0.name == "topdown.retiring" })
    let cycles = try #require(family.events.first { $0.name == "cycles" })
    let specs = try Self.withPMUs(files) { try [$0.spec(raw), $0.spec(cycles)] }
    #expect(specs[0].type == 4)
    #expect(specs[1].config == 4 << 32)
    let plain = try Self.withPMUs(["cpu/type": "4"]) { try $0.spec(cycles) }
    #expect(plain.config == 0)
  }

  @Test func armCountsOnItsOwnPMU() throws {
    let family = try Self.family("arm-neoverse-v2")
    let specs = try Self.withPMUs(["armv8_pmuv3_0/type": "9"]) {
      try $0.specs(family.groups, of: family, firstGroup: 0)
    }
    #expect(specs.allSatisfy { $0.type == 9 && $0.kind == .hardware })
    #expect(specs.contains { $0.name == "stall_backend_mem" && $0.config == 0x4005 })
  }

  @Test func memoryControllersAreCountedEach() throws {
    let family = try Self.family("intel-skylake-x")
    let formats = ["format/event": "config:0-7", "format/umask": "config:8-15"]
    var files = ["uncore_imc_free_running_0/type": "30"]
    for index in [0, 1] {
      files["uncore_imc_\(index)/type"] = "\(20 + index)"
      for (name, text) in formats { files["uncore_imc_\(index)/\(name)"] = text }
    }
    let specs = try Self.withPMUs(files) { try $0.machineWide(family) }
    #expect(
      specs.map(\.name)
        == ["imc_reads@uncore_imc_0", "imc_reads@uncore_imc_1", "imc_writes@uncore_imc_0", "imc_writes@uncore_imc_1"])
    #expect(specs.map(\.config) == [0x304, 0x304, 0xc04, 0xc04])
    #expect(specs.map(\.type) == [20, 21, 20, 21])
    #expect(specs.allSatisfy { $0.kind == .device })
  }

  @Test func unknownNamesAreErrors() throws {
    let user = try UserMetrics(
      "events:\n  x: {perf: cycels, counts: x}", named: "mine.yaml", to: Self.family("generic"))
    #expect(throws: EventError.self) { try MetricEvents().spec(user.events[0]) }
  }
}
