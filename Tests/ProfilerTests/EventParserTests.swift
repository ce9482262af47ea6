// Are event names read as perf reads them? The expected numbers are those of linux/perf_event.h.
import Foundation
import ProfileModel
@testable import Profiler
import Testing

@Suite struct EventParserTests {
  static let software: UInt32 = 1
  static let tracepoint: UInt32 = 2
  static let cache: UInt32 = 3
  static let raw: UInt32 = 4

  @Test(
    "perf's names and aliases",
    arguments: [
      ("cycles", 0, 0), ("cpu-cycles", 0, 0), ("instructions", 0, 1), ("cache-references", 0, 2),
      ("cache-misses", 0, 3), ("branches", 0, 4), ("branch-instructions", 0, 4), ("branch-misses", 0, 5),
      ("bus-cycles", 0, 6), ("stalled-cycles-frontend", 0, 7), ("idle-cycles-backend", 0, 8), ("ref-cycles", 0, 9),
      ("cpu-clock", 1, 0), ("task-clock", 1, 1), ("page-faults", 1, 2), ("faults", 1, 2), ("context-switches", 1, 3),
      ("cs", 1, 3), ("cpu-migrations", 1, 4), ("migrations", 1, 4), ("minor-faults", 1, 5), ("major-faults", 1, 6),
      ("alignment-faults", 1, 7), ("emulation-faults", 1, 8), ("dummy", 1, 9), ("bpf-output", 1, 10),
      ("cgroup-switches", 1, 11),
      // cache | operation << 8 | result << 16
      ("L1-dcache-loads", 3, 0), ("L1-dcache-load-misses", 3, 0x10000), ("l1d-read-miss", 3, 0x10000),
      ("L1-dcache-stores", 3, 0x100), ("L1-dcache-prefetch-misses", 3, 0x10200), ("L1-icache-load-misses", 3, 0x10001),
      ("LLC-loads", 3, 2), ("LLC-store-misses", 3, 0x10102), ("dTLB-load-misses", 3, 0x10003), ("iTLB-loads", 3, 4),
      ("branch-loads", 3, 5), ("branch-load-misses", 3, 0x10005), ("node-prefetches", 3, 0x206),
      ("r1a8", 4, 0x1a8), ("r0", 4, 0), ("rFFff", 4, 0xffff),
    ] as [(String, UInt32, UInt64)])
  func names(_ name: String, _ type: UInt32, _ config: UInt64) throws {
    let specs = try EventParser().parse([name])
    #expect(specs.count == 1)
    #expect(specs[0].name == name)
    #expect(specs[0].type == type)
    #expect(specs[0].config == config)
    #expect(!specs[0].excludesUser && !specs[0].excludesKernel)
    #expect(specs[0].group == nil)
    #expect(specs[0].unit == (["cpu-clock", "task-clock"].contains(name) ? "ns" : "1"))
  }

  @Test("Every usual name is read, and no two mean the same unless they are aliases")
  func allNames() throws {
    for name in EventNames.all { #expect(EventNames.spec(name) != nil, "\(name)") }
    #expect(Set(EventNames.all).count == EventNames.all.count)
    #expect(try EventParser().parse(EventNames.defaultExpressions).count == 19)
  }

  @Test("Modifiers choose user and kernel mode")
  func modifiers() throws {
    func modes(_ text: String) throws -> [Bool] {
      let spec = try EventParser().parse([text])[0]
      return [spec.excludesUser, spec.excludesKernel]
    }
    #expect(try modes("cycles:u") == [false, true])
    #expect(try modes("cycles:k") == [true, false])
    #expect(try modes("cycles:uk") == [false, false])
    #expect(try modes("{instructions,cycles:k}:u") == [false, true])
    let precise = try EventParser().parse(["cycles:upp"])[0]
    #expect(precise.precision == 2)
    #expect(precise.name == "cycles:upp")
    let attribute = try EventParser().parse(["cycles:u"])[0].attribute()
    #expect(attribute.exclude_kernel == 1 && attribute.exclude_hv == 1 && attribute.exclude_user == 0)
  }

  @Test("Lists and groups")
  func groups() throws {
    let specs = try EventParser().parse(["cs,{cycles,instructions},faults", "{ branches , branch-misses }"])
    #expect(specs.map(\.name) == ["cs", "cycles", "instructions", "faults", "branches", "branch-misses"])
    #expect(specs.map(\.group) == [nil, 0, 0, nil, 1, 1])
  }

  @Test("Splitting keeps the commas of PMU events")
  func splitting() throws {
    #expect(
      try EventParser.split("cpu/event=0x3c,umask=1/u,mem:0x10/8:w,a")
        == [
          .init(events: ["cpu/event=0x3c,umask=1/u"]), .init(events: ["mem:0x10/8:w"]), .init(events: ["a"]),
        ])
    #expect(
      try EventParser.split("{a,b}:u,c")
        == [.init(events: ["a", "b"], isGroup: true, modifiers: "u"), .init(events: ["c"])])
  }

  @Test(
    "Malformed lists are refused with the reason",
    arguments: [
      ("", "missing"), ("a,,b", "missing"), ("cycles,", "missing"), ("{cycles", "closing '}'"), ("cycles}", "without"),
      ("{a,{b}}", "nested"), ("{}", "missing"), ("a{b}", "before '{'"), ("{cs}x", "after '}'"),
      ("cpu/event=1", "closing '/'"), ("cycles:z", "not a modifier"), ("cycles:pppp", "three"), ("mem:x", "address"),
      ("mem:", "address"), ("mem:0x10/3", "1, 2, 4 or 8"), ("mem:0x10:x:u:u", "too many"), ("mem:0x10:x:q", "modifier"),
      ("{cycles}:", "not a modifier"),
    ])
  func malformed(_ text: String, _ reason: String) throws {
    let error = #expect(throws: EventError.self) { try EventParser().parse([text]) }
    guard case .malformed = error else {
      Issue.record("\(text): \(String(describing: error))")
      return
    }
    #expect("\(try #require(error))".contains(reason), "\(String(describing: error))")
  }

  @Test("Breakpoints")
  func breakpoints() throws {
    let execute = try EventParser().parse(["mem:0x401136:x:u"])[0]
    #expect(execute.type == 5 && execute.config1 == 0x401136 && execute.config2 == UInt64(MemoryLayout<Int>.size))
    #expect(execute.breakpointType == 4 && execute.excludesKernel)
    let attribute = execute.attribute()
    #expect(attribute.bp_addr == 0x401136 && attribute.bp_type == 4 && attribute.bp_len == 8)
    let write = try EventParser().parse(["mem:4096/1:w"])[0]
    #expect(write.config1 == 4096 && write.config2 == 1 && write.breakpointType == 2)
    #expect(try EventParser().parse(["mem:0x1000"])[0].breakpointType == 3)
  }

  @Test(
    "A typo brings the name that was meant",
    arguments: [
      ("cycels", "cycles"), ("instuctions", "instructions"), ("context-switch", "context-switches"),
      ("L1-dcache-load-mises", "L1-dcache-load-misses"), ("branch-mises", "branch-misses"),
      ("task-clok", "task-clock"), ("page_faults", "page-faults"),
    ])
  func suggestions(_ typo: String, _ meant: String) throws {
    let error = #expect(throws: EventError.self) { try EventParser().parse([typo]) }
    guard case .unknown(let event, let nearest) = error else {
      Issue.record("\(typo): \(String(describing: error))")
      return
    }
    #expect(event == typo)
    #expect(nearest.first == meant, "\(nearest)")
    #expect("\(EventError.unknown(event: typo, nearest: nearest))".contains("did you mean"))
  }

  @Test("What resembles nothing has no suggestion")
  func noSuggestion() {
    #expect(throws: EventError.unknown(event: "xyzzyplughfrobnicate", nearest: [])) {
      try EventParser().parse(["xyzzyplughfrobnicate"])
    }
  }

  @Test("The distance of two texts equals a naive recursion's")
  func distance() {
    // Optimal string alignment by its definition, without the table.
    func naive(_ a: ArraySlice<UInt8>, _ b: ArraySlice<UInt8>) -> Int {
      guard let x = a.last, let y = b.last else { return a.count + b.count }
      var best = min(
        naive(a.dropLast(), b) + 1, naive(a, b.dropLast()) + 1, naive(a.dropLast(), b.dropLast()) + (x == y ? 0 : 1))
      if a.count > 1, b.count > 1, x == b[b.endIndex - 2], y == a[a.endIndex - 2] {
        best = min(best, naive(a.dropLast(2), b.dropLast(2)) + 1)
      }
      return best
    }
    var generator = SystemRandomNumberGenerator()
    for _ in 0..<200 {
      let a = (0..<Int.random(in: 0...5, using: &generator)).map { _ in UInt8.random(in: 97...99, using: &generator) }
      let b = (0..<Int.random(in: 0...5, using: &generator)).map { _ in UInt8.random(in: 97...99, using: &generator) }
      #expect(Suggestion.distance(a, b) == naive(a[...], b[...]))
    }
    #expect(Suggestion.distance("cycels".utf8, "cycles".utf8) == 1)
  }

  @Test("libpfm4's names", .enabled(if: Libpfm.spec("perf::PERF_COUNT_HW_CPU_CYCLES") != nil, "libpfm4 knows no PMU"))
  func libpfm() throws {
    let spec = try EventParser().parse(["perf::PERF_COUNT_HW_INSTRUCTIONS:u"])[0]
    #expect(spec.type == 0 && spec.config == 1)
    #expect(spec.excludesKernel && !spec.excludesUser)
    #expect(spec.kind == .hardware)
    #expect(Libpfm.names.contains("PERF_COUNT_SW_PAGE_FAULTS"))
  }

  @Test("Tracepoints", .enabled(if: Programs.canTrace, "no tracepoints for this user"))
  func tracepoints() throws {
    let spec = try EventParser().parse(["sched:sched_switch"])[0]
    #expect(spec.type == Self.tracepoint && spec.kind == .tracepoint && spec.isKernelOnly)
    let limited = try EventParser().parse(["sched:sched_switch:k"])[0]
    #expect(limited.config == spec.config && limited.excludesUser)
    #expect(throws: EventError.unknown(event: "sched:sched_swich", nearest: ["sched:sched_switch"])) {
      do { _ = try EventParser().parse(["sched:sched_swich"]) } catch EventError.unknown(let event, let nearest) {
        throw EventError.unknown(event: event, nearest: Array(nearest.prefix(1)))
      }
    }
    // No way out of the directory.
    #expect(throws: EventError.self) { try TracepointDirectory.find().spec("..:sched") }
    #expect(throws: EventError.self) { try TracepointDirectory.find().spec("sched/x:y") }
  }
}

/// PMUs described by a made-up `/sys/bus/event_source/devices`, laid out as on an Intel machine with RAPL.
@Suite struct PMUDirectoryTests {
  let root: String
  let parser: EventParser

  init() throws {
    root = Programs.temporaryPath("")
    for (path, text) in [
      "cpu/type": "4\n", "cpu/format/event": "config:0-7\n", "cpu/format/umask": "config:8-15\n",
      "cpu/format/cmask": "config:24-31\n", "cpu/format/ldlat": "config1:0-15\n",
      "cpu/format/split": "config:0-3,32-35\n",
      "cpu/events/slots": "event=0x00,umask=0x4\n", "cpu/events/mem-loads": "event=0xcd,umask=0x1,ldlat=3\n",
      "power/type": "9\n", "power/format/event": "config:0-7\n", "power/events/energy-pkg": "event=0x02\n",
      "power/events/energy-pkg.scale": "2.3283064365386962890625e-10\n", "power/events/energy-pkg.unit": "Joules\n",
    ] {
      let url = URL(fileURLWithPath: "\(root)/\(path)")
      try FileManager.default.createDirectory(at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
      try Data(text.utf8).write(to: url)
    }
    var parser = EventParser()
    parser.pmus = PMUDirectory(root: root)
    self.parser = parser
  }

  @Test(
    "Terms go to their bits",
    arguments: [
      ("cpu/event=0x3c/", 0x3c, 0), ("cpu/event=0x3c,umask=0x01/", 0x13c, 0),
      ("cpu/umask=1,event=60,cmask=2/", 0x200_013c, 0),
      ("cpu/config=0x1234/", 0x1234, 0), ("cpu/mem-loads/", 0x1cd, 3), ("cpu/split=0xab/", 0xa_0000_000b, 0),
      ("cpu/slots/", 0x400, 0), ("slots", 0x400, 0),
    ] as [(String, UInt64, UInt64)])
  func terms(_ text: String, _ config: UInt64, _ config1: UInt64) throws {
    let spec = try parser.parse([text])[0]
    #expect(spec.type == 4)
    #expect(spec.kind == .hardware)
    #expect(spec.config == config)
    #expect(spec.config1 == config1)
    try FileManager.default.removeItem(atPath: root)
  }

  @Test("Names, modifiers, units and scales")
  func details() throws {
    defer { try? FileManager.default.removeItem(atPath: root) }
    let named = try parser.parse(["cpu/event=0x3c,name=mine/uk,cpu/event=1/:k"])
    #expect(named[0].name == "mine" && !named[0].excludesKernel)
    #expect(named[1].excludesUser)
    let energy = try parser.parse(["power/energy-pkg/"])[0]
    #expect(energy.unit == "J" && energy.scale == 0x1p-32 && energy.kind == .device && energy.type == 9)
    let both = try parser.parse(["{cpu/slots/,cpu/event=2/}"])
    #expect(both.map(\.group) == [0, 0])
    #expect(parser.knownNames().contains { $0.source == "PMU" && $0.names.contains("power/energy-pkg/") })
  }

  @Test("Mistakes are told with the nearest name")
  func mistakes() throws {
    defer { try? FileManager.default.removeItem(atPath: root) }
    #expect(throws: EventError.unknownTerm("evnt", pmu: "cpu", nearest: ["event"])) {
      try parser.parse(["cpu/evnt=1/"])
    }
    #expect(throws: EventError.valueTooLarge(term: "umask", pmu: "cpu")) { try parser.parse(["cpu/umask=0x100/"]) }
    #expect(throws: EventError.unknown(event: "cp/event=1/", nearest: ["cpu/…/"])) { try parser.parse(["cp/event=1/"]) }
    for text in ["cpu/event=zz/", "cpu/../../x/", "../cpu/event=1/", "cpu/=3/"] {
      #expect(throws: EventError.self, "\(text)") { try parser.parse([text]) }
    }
  }
}
