import Foundation
import Testing

@testable import Profiler

@Suite struct PerfMapTests {
  @Test func laterLinesWin() throws {
    let folder = try TestFolder()
    let path = try folder.file("perf-1.map", "1000 100 old\n1040 20 new one\n2000 10 jit_avx2_conv_fwd_kernel_f32\n")
    let map = try #require(PerfMap(path: path))
    #expect(map.refresh())
    #expect(map.name(at: 0x103f) == "old")
    #expect(map.name(at: 0x1040) == "new one")
    #expect(map.name(at: 0x105f) == "new one")
    #expect(map.name(at: 0x1060) == "old")
    #expect(map.name(at: 0x200f) == "jit_avx2_conv_fwd_kernel_f32")
    #expect(map.name(at: 0x2010) == nil)
    #expect(!map.refresh())
  }

  @Test func aGrowingFileIsReadOn() throws {
    let folder = try TestFolder()
    let path = try folder.file("perf-1.map", "1000 100 a\n20")
    let map = try #require(PerfMap(path: path))
    #expect(map.refresh())
    let handle = try #require(FileHandle(forWritingAtPath: path))
    try handle.seekToEnd()
    try handle.write(contentsOf: Data("00 100 b\n1000 10 c\n".utf8))
    #expect(map.refresh())
    #expect(map.name(at: 0x2050) == "b")
    #expect(map.name(at: 0x1000) == "c")
    #expect(map.name(at: 0x1010) == "a")
  }

  @Test func damagedLinesAreSkipped() throws {
    let folder = try TestFolder()
    let path = try folder.file(
      "perf-1.map",
      "\n \nzz 10 a\n1000\n1000 10\n1000 0 empty\nffffffffffffffff ff wraps\n-5 10 b\n0x3000 0x10 hex\n4000 10  spaced name \n"
    )
    let map = try #require(PerfMap(path: path))
    #expect(map.refresh())
    #expect(map.name(at: 0x1000) == nil)
    #expect(map.name(at: .max) == nil)
    #expect(map.name(at: 0x3000) == "hex")
    #expect(map.name(at: 0x4001) == "spaced name")
  }

  @Test func whatIsNoPlainFileOrTooOldIsRefused() throws {
    let folder = try TestFolder()
    let path = try folder.file("perf-1.map", "1000 100 a\n")
    try FileManager.default.createSymbolicLink(atPath: folder.path + "/link", withDestinationPath: path)
    #expect(PerfMap(path: folder.path + "/link") == nil)
    #expect(PerfMap(path: folder.path) == nil)
    #expect(PerfMap(path: folder.path + "/none") == nil)
    mkfifo(folder.path + "/fifo", 0o600)
    #expect(PerfMap(path: folder.path + "/fifo") == nil)
    #expect(PerfMap(path: path, notBefore: timespec(tv_sec: time(nil) + 1000, tv_nsec: 0)) == nil)
    #expect(PerfMap(path: path, notBefore: timespec(tv_sec: time(nil) - 1000, tv_nsec: 0)) != nil)
  }

  @Test func aForkedProcessFindsItsParentsNames() throws {
    let pid = Int32(999_999_000 + Int32.random(in: 0..<900))
    let path = "/tmp/perf-\(pid).map"
    try "5000 100 compiled\n".write(toFile: path, atomically: true, encoding: .utf8)
    defer { unlink(path) }
    let spaces = AddressSpaces(procRoot: "/nonexistent")
    spaces.apply(
      .mapping(PerfMapping(pid: pid, tid: pid, address: 0x5000, length: 0x1000, pageOffset: 0, path: "//anon", time: 0))
    )
    spaces.apply(.fork(pid: 7, parentPID: pid, tid: 7, parentTID: pid, time: 1))
    let symbolizer = Symbolizer(
      procRoot: "/nonexistent", kernel: KernelSymbols(procRoot: "/nonexistent", cacheDirectory: nil))
    let place = symbolizer.locate(0x5010, in: spaces.space(of: 7))
    #expect(symbolizer.frames(at: place).map(\.function) == ["compiled"])
    #expect(symbolizer.frames(at: place).map(\.kind) == [.jit])
    #expect(!symbolizer.isProvisional(place))
    let beyond = symbolizer.locate(0x5100, in: spaces.space(of: 7))
    #expect(symbolizer.isProvisional(beyond))
    #expect(symbolizer.frames(at: beyond).map(\.kind) == [.unknown])
  }
}
