import Foundation
import Testing

@testable import Profiler

#if arch(x86_64)
  private let canUnwind = TestTool.hasCompiler
#else
  // The test program dumps registers of x86-64.
  private let canUnwind = false
#endif

@Suite(.enabled(if: canUnwind, "needs a compiler, and a program that dumps x86-64 registers"))
struct UnwindTests {
  /// A program dumps its own registers and stack from inside `leaf_dump`: that is what a sample there would hold.
  private func sample(_ flags: [String], in folder: TestFolder) throws -> (sample: PerfSample, space: AddressSpace) {
    let program = try folder.compile(TestProgram.stack, name: "stack", flags)
    // Arguments lie above the first frame: with few of them the dump would reach beyond the stack.
    let lines = try TestTool.run(program, [String(repeating: "x", count: 8192)]).split(separator: "\n", maxSplits: 2)
    let registers = lines[0].split(separator: " ").map { UInt64($0, radix: 16)! }
    var stack: [UInt8] = []
    var rest = lines[1][...]
    while !rest.isEmpty {
      stack.append(UInt8(rest.prefix(2), radix: 16)!)
      rest = rest.dropFirst(2)
    }
    let space = AddressSpace(pid: 4242, instance: 1, mappings: ProcMaps.parse(String(lines[2])))
    return (
      PerfSample(
        event: 0, pid: 4242, tid: 4242, cpu: 0, time: 0, period: 1,
        callChain: [UInt64(bitPattern: -512), registers[8]], userRegisters: registers, userStack: stack), space
    )
  }

  private func names(_ stack: UnwoundStack?, _ symbolizer: Symbolizer, _ space: AddressSpace) -> [String] {
    (stack?.addresses ?? []).map { address in
      String(symbolizer.frames(at: symbolizer.locate(address, in: space)).last!.function.prefix { $0 != "(" })
    }
  }

  @Test(arguments: [
    ["-O2", "-fomit-frame-pointer", "-g"], ["-O2", "-fomit-frame-pointer", "-fno-pie", "-no-pie"],
    ["-O0", "-fno-omit-frame-pointer"],
  ])
  func aChainWithoutFramePointersIsFoundFromLeafToStart(flags: [String]) throws {
    let folder = try TestFolder()
    let (sample, space) = try sample(flags, in: folder)
    let symbolizer = Symbolizer(kernel: KernelSymbols(procRoot: "/nonexistent", cacheDirectory: nil))
    let unwinder = DwarfUnwinder(symbolizer: symbolizer)
    // Twice: the second time from caches.
    for _ in 0..<2 {
      let stack = try #require(unwinder.unwind(sample, in: space))
      let names = names(stack, symbolizer, space)
      #expect(names.prefix(5) == ["leaf_dump", "third", "second", "first", "main"])
      #expect(names.contains { $0.hasPrefix("__libc_start") } && names.last == "_start")
      #expect(stack.isComplete && !stack.isTruncated)
    }
  }

  @Test func aShortCopyOfTheStackEndsTheChainCleanly() throws {
    let folder = try TestFolder()
    var (sample, space) = try sample(["-O2", "-fomit-frame-pointer"], in: folder)
    let symbolizer = Symbolizer(kernel: KernelSymbols(procRoot: "/nonexistent", cacheDirectory: nil))
    let unwinder = DwarfUnwinder(symbolizer: symbolizer)
    let whole = names(unwinder.unwind(sample, in: space), symbolizer, space)
    let stack = sample.userStack
    for bytes in [0, 7, 64, 1100, 1500] {
      sample.userStack = Array(stack.prefix(bytes))
      let cut = try #require(unwinder.unwind(sample, in: space))
      #expect(cut.isTruncated && !cut.isComplete)
      #expect(whole.starts(with: names(cut, symbolizer, space)))
    }
  }

  @Test func damagedSamplesDoNotCrash() throws {
    let folder = try TestFolder()
    let (good, space) = try sample(["-O2", "-fomit-frame-pointer"], in: folder)
    let symbolizer = Symbolizer(kernel: KernelSymbols(procRoot: "/nonexistent", cacheDirectory: nil))
    let unwinder = DwarfUnwinder(symbolizer: symbolizer)
    var random = TestRandom(state: 2)
    for _ in 0..<200 {
      var bad = good
      for _ in 0..<3 { bad.userRegisters[Int.random(in: 0..<20, using: &random)] = random.next() >> 17 }
      for _ in 0..<50 { bad.userStack[Int.random(in: 0..<bad.userStack.count, using: &random)] = .max }
      _ = unwinder.unwind(bad, in: space)
    }
    var none = good
    none.userRegisters = []
    #expect(unwinder.unwind(none, in: space) == nil)
    #expect(unwinder.unwind(good, in: AddressSpace(pid: 1, instance: 9)) == nil)
    #expect(unwinder.unwind(good, in: space)?.isComplete == true)
  }
}
