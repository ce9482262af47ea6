import Foundation
import Testing

@testable import Profiler

/// Numbers that are the same in every run (splitmix64).
struct TestRandom: RandomNumberGenerator {
  var state: UInt64
  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
  }
}

@Suite struct AddressSpaceTests {
  /// What an address means, written down byte by byte.
  private struct Naive {
    var bytes: [UInt64: (path: String, offset: UInt64)] = [:]
    mutating func map(_ m: PerfMapping) {
      for i in 0..<m.length { bytes[m.address + i] = (m.path, m.pageOffset + i) }
    }
  }

  private func agree(_ space: AddressSpace, _ naive: Naive, upTo end: UInt64) -> Bool {
    (0..<end).allSatisfy { address in
      let mapping = space.mapping(at: address)
      let expected = naive.bytes[address]
      return mapping?.path == expected?.path
        && mapping.map { address - $0.start + $0.fileOffset } == expected?.offset
    }
  }

  @Test func randomHistoriesAgreeWithTheNaiveMap() {
    var random = TestRandom(state: 7)
    for _ in 0..<40 {
      let spaces = AddressSpaces(procRoot: "/nonexistent")
      var naive: [Int32: Naive] = [:]
      for step in 0..<60 {
        let pid = Int32.random(in: 1...4, using: &random)
        switch Int.random(in: 0..<10, using: &random) {
        case 0:
          spaces.apply(.name(pid: pid, tid: pid, name: "x", isExec: true, time: 0))
          naive[pid] = Naive()
        case 1:
          let parent = Int32.random(in: 1...4, using: &random)
          spaces.apply(.fork(pid: pid, parentPID: parent, tid: pid, parentTID: parent, time: 0))
          if pid != parent { naive[pid] = naive[parent] ?? Naive() }
        case 2:
          spaces.apply(.name(pid: pid, tid: pid, name: "renamed", isExec: false, time: 0))
        default:
          let mapping = PerfMapping(
            pid: pid, tid: pid, address: .random(in: 0..<60, using: &random),
            length: .random(in: 0...20, using: &random), pageOffset: .random(in: 0..<1000, using: &random),
            path: "/lib\(step)", time: 0)
          spaces.apply(.mapping(mapping))
          naive[pid, default: Naive()].map(mapping)
        }
      }
      for pid in Int32(1)...4 { #expect(agree(spaces.space(of: pid), naive[pid] ?? Naive(), upTo: 90)) }
      for pid in Int32(1)...4 {
        let mappings = spaces.space(of: pid).mappings
        #expect(zip(mappings, mappings.dropFirst()).allSatisfy { $0.end <= $1.start })
      }
    }
  }

  @Test func revisionGrowsOnlyWhenAnAddressChangesItsMeaning() {
    let spaces = AddressSpaces(procRoot: "/nonexistent")
    func map(_ address: UInt64, _ path: String) {
      spaces.apply(
        .mapping(PerfMapping(pid: 1, tid: 1, address: address, length: 10, pageOffset: 0, path: path, time: 0)))
    }
    map(100, "/a")
    map(110, "/b")
    map(100, "/a")
    #expect(spaces.space(of: 1).revision == 0)
    map(105, "/c")
    #expect(spaces.space(of: 1).revision == 2)
  }

  @Test func aForkedProcessKeepsItsMappingsWhenTheParentExecs() {
    let spaces = AddressSpaces(procRoot: "/nonexistent")
    spaces.apply(.mapping(PerfMapping(pid: 1, tid: 1, address: 16, length: 16, pageOffset: 0, path: "/a", time: 0)))
    spaces.apply(.fork(pid: 2, parentPID: 1, tid: 2, parentTID: 1, time: 1))
    spaces.apply(.name(pid: 1, tid: 1, name: "b", isExec: true, time: 2))
    #expect(spaces.space(of: 1).mappings.isEmpty)
    #expect(spaces.space(of: 2).mapping(at: 20)?.path == "/a")
    #expect(spaces.space(of: 2).instance != spaces.space(of: 1).instance)
  }

  @Test func manyEndedProcessesAreForgottenButNotAReusedNumber() {
    let spaces = AddressSpaces(procRoot: "/nonexistent")
    func map(_ pid: Int32) {
      spaces.apply(
        .mapping(PerfMapping(pid: pid, tid: pid, address: 16, length: 16, pageOffset: 0, path: "/a", time: 0)))
    }
    map(1)
    spaces.apply(.exit(pid: 1, parentPID: 0, tid: 1, parentTID: 0, time: 1))
    #expect(spaces.space(of: 1).mapping(at: 20) != nil)
    spaces.apply(.fork(pid: 1, parentPID: 77, tid: 1, parentTID: 77, time: 2))
    map(1)
    map(2)
    spaces.apply(.exit(pid: 2, parentPID: 0, tid: 2, parentTID: 0, time: 3))
    for pid in Int32(1000)..<1300 {
      map(pid)
      spaces.apply(.exit(pid: pid, parentPID: 0, tid: pid, parentTID: 0, time: 4))
    }
    #expect(spaces.space(of: 1).mapping(at: 20) != nil)
    #expect(spaces.space(of: 2).mapping(at: 20) == nil)
  }

  @Test func ownMappingsAreReadFromProc() throws {
    let space = AddressSpaces().space(of: getpid())
    let here = UInt64(UInt(bitPattern: dlsym(nil, "malloc")))
    let mapping = try #require(space.mapping(at: here))
    #expect(mapping.path.contains("libc"))
    #expect(space.mappings.contains { $0.isVDSO })
  }

  @Test func damagedMapsLinesAreSkipped() {
    let text = """
      7f00-7f10 r-xp 00001000 08:01 99                         /usr/lib/a b.so (deleted)
      garbage
      8000-7000 r-xp 00000000 00:00 0
      zz-10 r-xp 0 0 0 /x
      9000-a000 rw-p 00000000 00:00 0 [heap]
      b000-c000 rwxp 00000000 00:00 0
      d000-e000
      ffffffffffffffffff-0 r-xp 0 0 0

      """
    let mappings = ProcMaps.parse(text)
    #expect(mappings.map(\.path) == ["/usr/lib/a b.so (deleted)", "//anon"])
    #expect(mappings[0].fileOffset == 0x1000)
    #expect(mappings[0].isFile && !mappings[1].isFile)
  }

  @Test func aMappingThatRunsPastTheEndOfMemoryIsIgnored() {
    let spaces = AddressSpaces(procRoot: "/nonexistent")
    spaces.apply(
      .mapping(
        PerfMapping(pid: 1, tid: 1, address: .max - 5, length: 100, pageOffset: .max, path: "/a", time: 0)))
    #expect(spaces.space(of: 1).mappings.isEmpty)
  }
}

@Suite struct AddressIntervalsTests {
  @Test func agreesWithTheNaiveSearch() {
    var random = TestRandom(state: 3)
    for round in 0..<300 {
      let entries = (0..<(round % 12)).map { _ in
        AddressIntervals.Entry(
          start: .random(in: 0..<40, using: &random), end: .random(in: 0..<44, using: &random),
          rank: .random(in: 0..<4, using: &random))
      }
      let intervals = AddressIntervals(entries)
      for address in UInt64(0)..<48 {
        let holders = entries.indices.filter { entries[$0].start <= address && address < entries[$0].end }
        let best = holders.max { (entries[$0].rank, $0) < (entries[$1].rank, $1) }
        #expect(intervals.owner(of: address) == best)
      }
    }
  }

  @Test func theEndsOfTheAddressSpace() {
    let intervals = AddressIntervals([.init(start: 0, end: .max, rank: 0), .init(start: .max - 1, end: .max, rank: 1)])
    #expect(intervals.owner(of: 0) == 0)
    #expect(intervals.owner(of: .max - 1) == 1)
    #expect(intervals.owner(of: .max) == nil)
    #expect(AddressIntervals([]).owner(of: 5) == nil)
  }
}
