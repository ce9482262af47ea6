// Which functions the compiler inlined at an address, and which source lines it came from.
import CElfutils

/// A place in the source.
struct SourceLine: Hashable {
  var file: String
  var line: Int?
}

/// The DWARF of one module, read no further than the compilation units that are asked about.
final class DebugInformation {
  /// One level at an address: a function, or one inlined into the next level.
  struct Level {
    /// Linkage name where there is one, else the plain name.
    var name: String?
    var isInlined: Bool
    var source: SourceLine?
  }

  private let dwarf: OpaquePointer
  private let bias: UInt64
  /// Ranges of compilation units, made when the file has no complete `.debug_aranges` (Clang writes none).
  private lazy var unitRanges = readUnitRanges()
  private var functions: [UInt64: FunctionIndex] = [:]

  /// Deeper nesting than this is a damaged file.
  private static let deepest = 128

  private struct FunctionIndex {
    var dies: [Dwarf_Die] = []
    var intervals = AddressIntervals([])
  }

  /// `nil` when neither the module nor its debug file has any.
  init?(module: OpaquePointer) {
    var bias: UInt64 = 0
    guard let dwarf = dwfl_module_getdwarf(module, &bias) else { return nil }
    self.dwarf = dwarf
    self.bias = bias
  }

  /// The levels at an address, innermost first; empty where nothing is known.
  func levels(at address: UInt64) -> [Level] {
    let address = address &- bias
    guard var unit = unit(at: address) else { return [] }
    let line = sourceLine(in: &unit, at: address)
    let index = functionIndex(of: unit)
    guard let owner = index.intervals.owner(of: address) else {
      return line.map { [Level(name: nil, isInlined: false, source: $0)] } ?? []
    }
    var chain = [index.dies[owner]]
    descend(into: index.dies[owner], at: address, &chain, depth: 0)
    var source = line
    var levels: [Level] = []
    for die in chain.reversed() {
      let isInlined = tag(die) == Int(DW_TAG_inlined_subroutine)
      levels.append(Level(name: name(of: die), isInlined: isInlined, source: source))
      source = isInlined ? callSite(of: die, in: &unit) : nil
    }
    return levels
  }

  // MARK: - Compilation units

  private func unit(at address: UInt64) -> Dwarf_Die? {
    var die = Dwarf_Die()
    if dwarf_addrdie(dwarf, address, &die) != nil { return die }
    guard let owner = unitRanges.intervals.owner(of: address) else { return nil }
    return unitRanges.dies[owner]
  }

  private func readUnitRanges() -> FunctionIndex {
    var dies: [Dwarf_Die] = []
    var entries: [AddressIntervals.Entry] = []
    var unit: OpaquePointer?
    var next: OpaquePointer?
    var die = Dwarf_Die()
    while dwarf_get_units(dwarf, unit, &next, nil, nil, &die, nil) == 0 {
      appendRanges(of: die, &dies, &entries)
      unit = next
    }
    return FunctionIndex(dies: dies, intervals: AddressIntervals(entries))
  }

  private func appendRanges(of die: Dwarf_Die, _ dies: inout [Dwarf_Die], _ entries: inout [AddressIntervals.Entry]) {
    var die = die
    var base: UInt64 = 0
    var start: UInt64 = 0
    var end: UInt64 = 0
    var offset = 0
    repeat {
      offset = dwarf_ranges(&die, offset, &base, &start, &end)
      // The linker leaves functions that it dropped at address 0 (or 1).
      guard offset > 0, start > 1 else { continue }
      entries.append(AddressIntervals.Entry(start: start, end: end, rank: 0))
      dies.append(die)
    } while offset > 0
  }

  // MARK: - Functions

  private func functionIndex(of unit: Dwarf_Die) -> FunctionIndex {
    var unit = unit
    let key = UInt64(dwarf_dieoffset(&unit))
    if let known = functions[key] { return known }
    var dies: [Dwarf_Die] = []
    var entries: [AddressIntervals.Entry] = []
    collectFunctions(in: unit, &dies, &entries, depth: 0)
    let index = FunctionIndex(dies: dies, intervals: AddressIntervals(entries))
    functions[key] = index
    return index
  }

  /// Bodies stand in the unit, in namespaces, and in types (Swift, Rust).
  private func collectFunctions(
    in parent: Dwarf_Die, _ dies: inout [Dwarf_Die], _ entries: inout [AddressIntervals.Entry], depth: Int
  ) {
    guard depth < Self.deepest else { return }
    forEachChild(of: parent) { child in
      switch tag(child) {
      case Int(DW_TAG_subprogram):
        appendRanges(of: child, &dies, &entries)
      case Int(DW_TAG_namespace), Int(DW_TAG_module), Int(DW_TAG_class_type), Int(DW_TAG_structure_type),
        Int(DW_TAG_union_type), Int(DW_TAG_enumeration_type), Int(DW_TAG_interface_type):
        collectFunctions(in: child, &dies, &entries, depth: depth + 1)
      default:
        break
      }
    }
  }

  /// Appends the inlined functions at an address, outer before inner.
  private func descend(into parent: Dwarf_Die, at address: UInt64, _ chain: inout [Dwarf_Die], depth: Int) {
    guard depth < Self.deepest else { return }
    var found: Dwarf_Die?
    forEachChild(of: parent) { child in
      var child = child
      guard found == nil else { return }
      switch tag(child) {
      case Int(DW_TAG_inlined_subroutine), Int(DW_TAG_lexical_block), Int(DW_TAG_try_block), Int(DW_TAG_catch_block):
        if dwarf_haspc(&child, address) == 1 { found = child }
      default:
        break
      }
    }
    guard let found else { return }
    if tag(found) == Int(DW_TAG_inlined_subroutine) { chain.append(found) }
    descend(into: found, at: address, &chain, depth: depth + 1)
  }

  private func forEachChild(of parent: Dwarf_Die, _ body: (Dwarf_Die) -> Void) {
    var parent = parent
    var child = Dwarf_Die()
    guard dwarf_child(&parent, &child) == 0 else { return }
    var next = Dwarf_Die()
    repeat {
      body(child)
      guard dwarf_siblingof(&child, &next) == 0 else { return }
      child = next
    } while true
  }

  private func tag(_ die: Dwarf_Die) -> Int {
    var die = die
    return Int(dwarf_tag(&die))
  }

  /// Through abstract origin and specification, where names stand.
  private func name(of die: Dwarf_Die) -> String? {
    var die = die
    for attribute in [DW_AT_linkage_name, DW_AT_MIPS_linkage_name, DW_AT_name] {
      var value = Dwarf_Attribute()
      if dwarf_attr_integrate(&die, UInt32(attribute), &value) != nil, let text = dwarf_formstring(&value) {
        return String(cString: text)
      }
    }
    return nil
  }

  // MARK: - Lines

  private func sourceLine(in unit: inout Dwarf_Die, at address: UInt64) -> SourceLine? {
    guard let line = dwarf_getsrc_die(&unit, address), let file = dwarf_linesrc(line, nil, nil) else { return nil }
    var number: Int32 = 0
    dwarf_lineno(line, &number)
    return SourceLine(file: String(cString: file), line: number > 0 ? Int(number) : nil)
  }

  private func callSite(of die: Dwarf_Die, in unit: inout Dwarf_Die) -> SourceLine? {
    func number(_ attribute: Int) -> Int? {
      var die = die
      var value = Dwarf_Attribute()
      var number: UInt64 = 0
      guard dwarf_attr(&die, UInt32(attribute), &value) != nil, dwarf_formudata(&value, &number) == 0 else {
        return nil
      }
      return Int(exactly: number)
    }
    var files: OpaquePointer?
    var count = 0
    guard let file = number(Int(DW_AT_call_file)), dwarf_getsrcfiles(&unit, &files, &count) == 0, file < count,
      let path = dwarf_filesrc(files, file, nil, nil)
    else { return nil }
    return SourceLine(file: String(cString: path), line: number(Int(DW_AT_call_line)))
  }
}
