import Foundation
import Testing

@testable import Profiler

/// A symbolizer that sees nothing of this machine's kernel.
private func symbolizer() -> Symbolizer {
  Symbolizer(kernel: KernelSymbols(procRoot: "/nonexistent", cacheDirectory: nil))
}

/// What a test program printed: its mappings, then addresses by name.
private func output(of program: String) throws -> (space: AddressSpace, functions: [(name: String, address: UInt64)]) {
  let parts = try TestTool.run(program, []).components(separatedBy: "--\n")
  let functions = parts[1].split(separator: "\n").map { line in
    let fields = line.split(separator: " ")
    return (
      name: fields[0].replacingOccurrences(of: "_const", with: " const").replacingOccurrences(of: ",_", with: ", "),
      address: UInt64(fields[1], radix: 16)!
    )
  }
  return (AddressSpace(pid: 1, instance: 1, mappings: ProcMaps.parse(parts[0])), functions)
}

/// `nm`'s functions: address, size, mangled name.
private func nm(_ program: String) throws -> [(address: UInt64, size: UInt64, name: String)] {
  try TestTool.run("nm", ["-S", "--defined-only", program]).split(separator: "\n").compactMap { line in
    let fields = line.split(separator: " ")
    guard fields.count == 4, ["T", "t", "W", "w"].contains(fields[2]), let address = UInt64(fields[0], radix: 16),
      let size = UInt64(fields[1], radix: 16)
    else { return nil }
    return (address, size, String(fields[3]))
  }
}

@Suite(.enabled(if: TestTool.hasBinutils, "needs a C++ compiler and binutils")) struct SymbolizerTests {
  @Test(arguments: [["-O1", "-g", "-fPIE", "-pie"], ["-O1", "-g", "-fno-pie", "-no-pie"], ["-O2"]])
  func functionsOfARunningProgramHaveTheirNames(flags: [String]) throws {
    let folder = try TestFolder()
    let program = try folder.compile(TestProgram.functions, name: "functions", flags)
    let (space, functions) = try output(of: program)
    let symbolizer = symbolizer()
    #expect(functions.count == 5)
    for function in functions {
      let frame = try #require(symbolizer.frames(at: symbolizer.locate(function.address, in: space)).last)
      #expect(frame.function == function.name)
      #expect(frame.module == program)
      #expect(frame.kind == .user)
      #expect((frame.line != nil) == flags.contains("-g"))
    }
  }

  @Test func everySymbolOfNMIsFound() throws {
    let folder = try TestFolder()
    let program = try folder.compile(TestProgram.functions, name: "functions", ["-O1"])
    let module = try #require(ElfModule(name: program, path: program))
    let symbols = try nm(program)
    #expect(symbols.count > 5)
    for symbol in symbols where symbol.size > 0 {
      let aliases = symbols.filter { $0.address == symbol.address }.map(\.name)
      for address in [symbol.address, symbol.address + symbol.size - 1] {
        #expect(aliases.contains(try #require(module.symbol(at: address))))
      }
    }
    #expect(module.symbol(at: 0) == nil)
    #expect(module.symbol(at: .max) == nil)
  }

  /// Per address: linkage name and `file:line` of each level, innermost first, as LLVM's symbolizer finds them.
  private func symbolizeWithLLVM(_ program: String, _ addresses: [UInt64]) throws -> [[[String]]] {
    let text = try TestTool.run(
      "llvm-symbolizer",
      ["-a", "--no-demangle", "--inlines", "--functions=linkage", "--output-style=GNU", "--obj=\(program)"]
        + addresses.map { "0x" + String($0, radix: 16) })
    var levels: [[String]] = []
    for line in text.split(separator: "\n") {
      if line.hasPrefix("0x") { levels.append([]) } else { levels[levels.count - 1].append(String(line)) }
    }
    return levels.map { lines in
      stride(from: 0, to: lines.count - 1, by: 2).map { index in
        // A discriminator may follow the line.
        [lines[index], lines[index + 1].components(separatedBy: " (")[0]]
      }
    }
  }

  @Test(.enabled(if: TestTool.find("llvm-symbolizer") != nil, "needs llvm-symbolizer"), arguments: ["g++", "clang++"])
  func inlinesAndLinesAgreeWithLLVM(compiler: String) throws {
    guard TestTool.find(compiler) != nil else { return }
    let folder = try TestFolder()
    let source = try folder.file("inlined.cc", TestProgram.functions)
    let program = "\(folder.path)/inlined"
    try TestTool.run(compiler, ["-O2", "-g", "-o", program, source])
    let module = try #require(ElfModule(name: program, path: program))
    let debug = try #require(module.debugInformation)
    let function = try #require(try nm(program).first { $0.name == "_ZN2ns6kernelEPKdi" })
    let addresses = Array(function.address..<(function.address + function.size))
    let found = addresses.map { address in
      debug.levels(at: address).map { [$0.name ?? "??", "\($0.source?.file ?? "??"):\($0.source?.line ?? 0)"] }
    }
    for (ours, theirs) in zip(found, try symbolizeWithLLVM(program, addresses)) { #expect(ours == theirs) }
    // And as the source says: the template's lines 5 to 8, called on line 11.
    let inlined = addresses.map { debug.levels(at: $0) }.filter { $0.count == 2 }
    #expect(!inlined.isEmpty)
    for levels in inlined {
      #expect(levels[0].isInlined && !levels[1].isInlined)
      #expect(levels[0].name?.contains("sum_of_squares") == true)
      #expect(levels[1].name == function.name)
      #expect(levels[1].source == SourceLine(file: source, line: 11))
    }
  }

  @Test func aStrippedProgramUsesItsDebugFile() throws {
    let folder = try TestFolder()
    let program = try folder.compile(TestProgram.functions, name: "linked", ["-O1", "-g"])
    let kernel = try #require(try nm(program).first { $0.name == "_ZN2ns6kernelEPKdi" })
    try TestTool.run("objcopy", ["--only-keep-debug", program, program + ".debug"])
    try TestTool.run("objcopy", ["--strip-all", "--add-gnu-debuglink=\(program).debug", program])
    let linked = try #require(ElfModule(name: program, path: program))
    #expect(linked.symbol(at: kernel.address) == "_ZN2ns6kernelEPKdi")
    #expect(linked.debugInformation?.levels(at: kernel.address).last?.source?.line != nil)
    // A debug file of another build is not taken.
    let other = try folder.compile(TestProgram.functions + "\nint more;", name: "other", ["-O2", "-g"])
    try TestTool.run("objcopy", ["--only-keep-debug", other, program + ".debug"])
    let mismatched = try #require(ElfModule(name: program, path: program))
    #expect(mismatched.symbol(at: kernel.address) == nil)
  }

  @Test func aStrippedProgramWithoutBuildIDIsMatchedByChecksum() throws {
    let folder = try TestFolder()
    let program = try folder.compile(TestProgram.functions, name: "summed", ["-O1", "-g", "-Wl,--build-id=none"])
    let kernel = try #require(try nm(program).first { $0.name == "_ZN2ns6kernelEPKdi" })
    try TestTool.run("objcopy", ["--only-keep-debug", program, program + ".debug"])
    try TestTool.run("objcopy", ["--strip-all", "--add-gnu-debuglink=\(program).debug", program])
    #expect(ElfModule(name: program, path: program)?.symbol(at: kernel.address) == "_ZN2ns6kernelEPKdi")
    let handle = try #require(FileHandle(forWritingAtPath: program + ".debug"))
    try handle.seekToEnd()
    try handle.write(contentsOf: Data([1]))
    try handle.close()
    #expect(ElfModule(name: program, path: program)?.symbol(at: kernel.address) == nil)
  }

  @Test func aBuildIDLeadsToTheDebugFile() throws {
    let folder = try TestFolder()
    let program = try folder.compile(
      TestProgram.functions, name: "identified", ["-O1", "-g", "-Wl,--build-id=0xabcdef0123456789"])
    let directory = "\(folder.path)/debug/.build-id/ab"
    try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
    try TestTool.run("objcopy", ["--only-keep-debug", program, "\(directory)/cdef0123456789.debug"])
    let found = DebugFiles.open(
      file: program, buildID: [0xab, 0xcd, 0xef, 0x01, 0x23, 0x45, 0x67, 0x89], link: nil, root: "\(folder.path)/debug")
    #expect(found?.path == "\(directory)/cdef0123456789.debug")
    if let found { close(found.descriptor) }
    #expect(DebugFiles.open(file: program, buildID: [0xab, 1, 2, 3], link: nil, root: "\(folder.path)/debug") == nil)
    #expect(DebugFiles.open(file: program, buildID: [], link: ("../../etc/passwd", 0), root: folder.path) == nil)
  }

  @Test func aStrippedFunctionIsNamedByWhereItBegins() throws {
    let folder = try TestFolder()
    let program = try folder.compile(TestProgram.functions, name: "stripped", ["-O1"])
    let kernel = try #require(try nm(program).first { $0.name == "_ZN2ns6kernelEPKdi" })
    try TestTool.run("strip", ["--strip-all", program])
    let (space, functions) = try output(of: program)
    let symbolizer = symbolizer()
    let address = try #require(functions.first { $0.name.hasPrefix("ns::kernel") }).address
    for offset in [UInt64(0), 1, kernel.size - 1] {
      let frames = symbolizer.frames(at: symbolizer.locate(address + offset, in: space))
      #expect(frames.map(\.function) == ["stripped+0x\(String(kernel.address, radix: 16))"])
      #expect(frames.map(\.kind) == [.unknown])
    }
  }

  @Test func missingAndForeignFilesStillGiveAFrame() throws {
    let folder = try TestFolder()
    let text = try folder.file("notes.txt", "no ELF file")
    let space = AddressSpace(
      pid: 1, instance: 1,
      mappings: [
        CodeMapping(start: 0x1000, end: 0x2000, fileOffset: 0x400, path: "/nonexistent/lib.so"),
        CodeMapping(start: 0x3000, end: 0x4000, fileOffset: 0, path: text),
        CodeMapping(start: 0x5000, end: 0x6000, fileOffset: 0, path: "//anon"),
        CodeMapping(start: 0x7000, end: 0x8000, fileOffset: 0, path: "/gone/lib.so (deleted)"),
        CodeMapping(start: 0x9000, end: 0xa000, fileOffset: 0, path: folder.path),
      ])
    let symbolizer = symbolizer()
    func frame(_ address: UInt64) -> (String, String) {
      let frame = symbolizer.frames(at: symbolizer.locate(address, in: space))[0]
      #expect(frame.kind == .unknown)
      return (frame.function, frame.module)
    }
    #expect(frame(0x1010) == ("lib.so+0x410", "/nonexistent/lib.so"))
    #expect(frame(0x3010) == ("notes.txt+0x10", text))
    #expect(frame(0x5010) == ("[code generated at run time]", "[jit]"))
    #expect(frame(0x7010) == ("lib.so+0x10", "/gone/lib.so"))
    #expect(frame(0x9010).1 == folder.path)
    #expect(frame(0xb000) == ("[unknown]", "[unknown]"))
  }

  @Test func damagedFilesDoNotCrash() throws {
    let folder = try TestFolder()
    let program = try folder.compile(TestProgram.functions, name: "whole", ["-O1", "-g"])
    let whole = try Data(contentsOf: URL(fileURLWithPath: program))
    let kernel = try #require(try nm(program).first { $0.name == "_ZN2ns6kernelEPKdi" })
    var random = TestRandom(state: 11)
    func examine(_ data: Data, _ name: String) throws {
      let path = "\(folder.path)/\(name)"
      try data.write(to: URL(fileURLWithPath: path))
      guard let module = ElfModule(name: path, path: path) else { return }
      _ = module.virtualAddress(ofFileOffset: 0x1000)
      _ = module.symbol(at: kernel.address)
      _ = module.functionStart(at: kernel.address)
      _ = module.debugInformation?.levels(at: kernel.address)
    }
    for (index, length) in [0, 1, 16, 63, 64, 100, 200, 1000, 4096, whole.count / 2, whole.count - 1].enumerated() {
      try examine(whole.prefix(length), "cut\(index)")
    }
    for round in 0..<60 {
      var data = whole
      // Half of the rounds damage the headers, where it hurts most.
      let area = round % 2 == 0 ? 0..<900 : 0..<data.count
      for _ in 0..<8 { data[Int.random(in: area, using: &random)] = UInt8.random(in: 0...255, using: &random) }
      try examine(data, "damaged\(round)")
    }
  }
}

@Suite struct SharedObjectTests {
  @Test func theVDSOIsReadFromMemory() throws {
    let symbolizer = symbolizer()
    let space = AddressSpaces().space(of: getpid())
    guard let mapping = space.mappings.first(where: \.isVDSO) else { return }
    let vdso = try #require(symbolizer.vdso)
    // Every vDSO has a clock.
    let names = stride(from: mapping.start, to: mapping.end, by: 16).map {
      symbolizer.frames(at: symbolizer.locate($0, in: space))[0].function
    }
    #expect(names.contains { $0.hasSuffix("clock_gettime") })
    #expect(vdso.name == "[vdso]")
  }

  @Test func addressesInThisProcessHaveTheirNames() throws {
    let symbolizer = symbolizer()
    let space = AddressSpaces().space(of: getpid())
    for name in ["malloc", "swift_retain", "dwfl_begin"] {
      guard let address = dlsym(nil, name) else { continue }
      let frames = symbolizer.frames(at: symbolizer.locate(UInt64(UInt(bitPattern: address)), in: space))
      #expect(frames[0].function.hasSuffix(name), "\(frames)")
    }
  }
}

@Suite struct KernelSymbolsTests {
  private let text = """
    0000000000000000 A fixed_percpu_data
    ffffffff81000000 T _text
    ffffffff81000000 T startup_64
    ffffffff81000100 t secondary
    ffffffff81000200 D jiffies
    ffffffffc0000000 t nv_open\t[nvidia]
    ffffffffc0001000 t bpf_prog_1\t[bpf]
    broken
    ffffffff81000180 W weak_one

    """

  private func root(_ folder: TestFolder, _ kallsyms: String) throws -> String {
    try FileManager.default.createDirectory(
      atPath: folder.path + "/sys/kernel/random", withIntermediateDirectories: true)
    _ = try folder.file("sys/kernel/random/boot_id", "boot-1\n")
    _ = try folder.file("kallsyms", kallsyms)
    return folder.path
  }

  @Test func addressesAndTheirSymbols() throws {
    let folder = try TestFolder()
    let kernel = KernelSymbols(procRoot: try root(folder, text), cacheDirectory: nil)
    #expect(kernel.areVisible)
    func name(_ address: UInt64) -> String? { kernel.symbol(at: address).map { "\($0.name) \($0.module)" } }
    #expect(name(0xffff_ffff_8100_0000) == "startup_64 [kernel]")
    #expect(name(0xffff_ffff_8100_00ff) == "startup_64 [kernel]")
    #expect(name(0xffff_ffff_8100_0100) == "secondary [kernel]")
    #expect(name(0xffff_ffff_8100_0200) == "weak_one [kernel]")
    #expect(name(0xffff_ffff_c000_0010) == "nv_open [nvidia]")
    #expect(name(0xffff_ffff_8000_0000) == nil)
  }

  @Test func hiddenAddressesAreNoSymbols() throws {
    let folder = try TestFolder()
    let hidden = "0000000000000000 T _text\n0000000000000000 t secondary\n"
    let kernel = KernelSymbols(procRoot: try root(folder, hidden), cacheDirectory: nil)
    #expect(!kernel.areVisible)
    #expect(kernel.symbol(at: 0xffff_ffff_8100_0000) == nil)
    #expect(!KernelSymbols(procRoot: "/nonexistent", cacheDirectory: nil).areVisible)
  }

  @Test func theCacheIsUsedUntilTheNextBootAndWhenItIsWhole() throws {
    let folder = try TestFolder()
    let proc = try root(folder, text)
    let cache = folder.path + "/cache"
    let address: UInt64 = 0xffff_ffff_8100_0100
    #expect(KernelSymbols(procRoot: proc, cacheDirectory: cache).symbol(at: address)?.name == "secondary")
    let file = try #require(try FileManager.default.contentsOfDirectory(atPath: cache).first)
    _ = try folder.file("kallsyms", text.replacingOccurrences(of: "secondary", with: "other"))
    #expect(KernelSymbols(procRoot: proc, cacheDirectory: cache).symbol(at: address)?.name == "secondary")
    // Damage of any kind means reading the kernel's file again, or at worst a wrong name, never a crash.
    let whole = try Data(contentsOf: URL(fileURLWithPath: "\(cache)/\(file)"))
    for length in [0, 8, 15, 16, 30, whole.count - 1] {
      try whole.prefix(length).write(to: URL(fileURLWithPath: "\(cache)/\(file)"))
      #expect(KernelSymbols(procRoot: proc, cacheDirectory: cache).symbol(at: address)?.name == "other")
    }
    var random = TestRandom(state: 5)
    for _ in 0..<100 {
      var bytes = [UInt8](whole)
      for _ in 0..<4 { bytes[Int.random(in: 8..<bytes.count, using: &random)] = .random(in: 0...255, using: &random) }
      _ = SymbolFile(bytes)?.symbol(at: address)
    }
    _ = try folder.file("sys/kernel/random/boot_id", "boot-2\n")
    #expect(KernelSymbols(procRoot: proc, cacheDirectory: cache).symbol(at: address)?.name == "other")
    #expect(try FileManager.default.contentsOfDirectory(atPath: cache).count == 1)
  }
}
