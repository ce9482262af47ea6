// What is inside one ELF file: where its segments are loaded, which function an address belongs to.
import CElfutils
import Foundation

/// An open executable or library with its symbols. Everything is read when it is first asked for.
///
/// Addresses are the file's own virtual addresses, as `nm` prints them. libdwfl does the finding (symbol table, dynamic
/// symbols, compressed mini debug information, separate debug file); the lookup is ours, because libdwfl's is linear
/// in the number of symbols.
final class ElfModule {
  /// Path as the process has it.
  let name: String
  /// Path to open it by; `nil` for the vDSO.
  let path: String?
  /// e_machine of the file.
  let machine: UInt16
  private let session: DwflSession
  /// The libdwfl module.
  let handle: OpaquePointer

  /// A PT_LOAD segment.
  private struct Segment {
    var offset: UInt64
    var address: UInt64
    var fileSize: UInt64
    var memorySize: UInt64
    var isExecutable: Bool
  }
  private let segments: [Segment]

  /// Opens a file; `nil` when it is not there or not an ELF executable or library.
  init?(name: String, path: String) {
    guard let session = DwflSession(),
      let handle = session.report({ dwfl_report_elf($0, name, path, -1, 0, true) })
    else { return nil }
    self.name = name
    self.path = path
    self.session = session
    self.handle = handle
    guard let (machine, segments) = Self.layout(of: handle) else { return nil }
    (self.machine, self.segments) = (machine, segments)
  }

  /// The vDSO of this machine, from this process's memory: every process of its architecture has the same.
  init?(vdso image: VDSOImage) {
    guard let session = DwflSession(vdso: image),
      let handle = session.report({ dwfl_report_module($0, VDSOImage.name, 0, UInt64(image.size)) })
    else { return nil }
    name = VDSOImage.name
    path = nil
    self.session = session
    self.handle = handle
    guard let (machine, segments) = Self.layout(of: handle) else { return nil }
    (self.machine, self.segments) = (machine, segments)
  }

  private static func layout(of handle: OpaquePointer) -> (UInt16, [Segment])? {
    var bias: UInt64 = 0
    guard let elf = dwfl_module_getelf(handle, &bias) else { return nil }
    var header = GElf_Ehdr()
    var count = 0
    guard gelf_getehdr(elf, &header) != nil, elf_getphdrnum(elf, &count) == 0 else { return nil }
    var segments: [Segment] = []
    for index in 0..<min(count, 1 << 16) {
      var program = GElf_Phdr()
      guard gelf_getphdr(elf, Int32(index), &program) != nil else { break }
      guard program.p_type == UInt32(PT_LOAD) else { continue }
      segments.append(
        Segment(
          offset: program.p_offset, address: program.p_vaddr, fileSize: program.p_filesz,
          memorySize: program.p_memsz, isExecutable: program.p_flags & UInt32(PF_X) != 0))
    }
    return segments.isEmpty ? nil : (header.e_machine, segments)
  }

  /// The file's virtual address of a byte of the file. The kernel maps whole pages, so bytes up to a page around a
  /// segment belong to it as well.
  func virtualAddress(ofFileOffset offset: UInt64) -> UInt64? {
    func candidate(slack: UInt64) -> Segment? {
      segments.first {
        offset &+ slack >= $0.offset && offset < ($0.offset &+ $0.fileSize) &+ slack && $0.isExecutable
      }
    }
    guard let segment = candidate(slack: 0) ?? candidate(slack: UInt64(getpagesize())) else { return nil }
    return offset &- segment.offset &+ segment.address
  }

  // MARK: - Symbols

  private struct Symbol {
    var start: UInt64
    var end: UInt64
    /// Inside the mapped string table, which lives as long as the session.
    var name: UnsafePointer<CChar>
    /// Among symbols of one address the highest rank names it.
    var rank: Int
  }

  private lazy var symbols: [Symbol] = readSymbols()
  private lazy var index = AddressIntervals(
    symbols.indices.map { AddressIntervals.Entry(start: symbols[$0].start, end: symbols[$0].end, rank: $0) })
  private lazy var unwindTable = UnwindTable(module: handle)
  /// Functions, inlined functions and lines, when the file or its debug file tells of them.
  private(set) lazy var debugInformation = DebugInformation(module: handle)

  /// The mangled name of the function at an address.
  func symbol(at address: UInt64) -> String? {
    guard let owner = index.owner(of: address) else { return nil }
    return String(cString: symbols[owner].name)
  }

  /// Where the function at an address begins, as the unwind table tells even for stripped files; else the address.
  func functionStart(at address: UInt64) -> UInt64 { unwindTable?.functionStart(at: address) ?? address }

  /// All function symbols by address, worse before better.
  private func readSymbols() -> [Symbol] {
    let count = dwfl_module_getsymtab(handle)
    guard count > 1 else { return [] }
    var result: [Symbol] = []
    result.reserveCapacity(Int(count))
    for index in 1..<count {
      var symbol = GElf_Sym()
      var address: UInt64 = 0
      var section: UInt32 = 0
      guard let name = dwfl_module_getsym_info(handle, index, &symbol, &address, &section, nil, nil),
        name.pointee != 0, section != UInt32(SHN_UNDEF), let rank = Self.rank(symbol, name),
        let segment = segments.first(where: { address >= $0.address && address - $0.address < $0.memorySize }),
        segment.isExecutable
      else { continue }
      let limit = segment.address &+ segment.memorySize
      let end = symbol.st_size > 0 ? min(address &+ symbol.st_size, limit) : 0
      result.append(Symbol(start: address, end: end, name: name, rank: rank))
    }
    result.sort { ($0.start, $0.rank) < ($1.start, $1.rank) }
    closeOpenEnds(&result)
    return result
  }

  /// Symbols without a size (assembly) reach to the next symbol, or to the end of their segment.
  private func closeOpenEnds(_ symbols: inout [Symbol]) {
    var next: UInt64?
    var current: UInt64?
    for index in symbols.indices.reversed() {
      let start = symbols[index].start
      if start != current { (next, current) = (current, start) }
      guard symbols[index].end <= start else { continue }
      let segment = segments.first { start >= $0.address && start - $0.address < $0.memorySize }
      let limit = segment.map { $0.address &+ $0.memorySize } ?? start
      symbols[index].end = min(next ?? limit, limit)
    }
  }

  /// How good a name a symbol is for its address; `nil` for one that names no function. Sized before unsized, strong
  /// before weak, global before local, `memcpy` before `__memcpy`.
  private static func rank(_ symbol: GElf_Sym, _ name: UnsafePointer<CChar>) -> Int? {
    let type = Int32(symbol.st_info & 0xF)
    let binding = Int32(symbol.st_info >> 4)
    let isFunction = type == STT_FUNC || type == STT_GNU_IFUNC
    // Assembly often has no types. `$x` and `.L` mark places, not functions.
    guard isFunction || type == STT_NOTYPE && name.pointee != 0x24 && name.pointee != 0x2E else { return nil }
    var underscores = 0
    while underscores < 7, name[underscores] == 0x5F { underscores += 1 }
    return (isFunction ? 64 : 0) + (symbol.st_size > 0 ? 32 : 0) + (binding != STB_WEAK ? 16 : 0)
      + (binding != STB_LOCAL ? 8 : 0) + 7 - underscores
  }
}
