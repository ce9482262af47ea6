// Where functions begin in a file that was stripped: its exception-handling table still knows.
import CElfutils

/// The sorted table of `.eh_frame_hdr` (Linux Standard Base, "Exception Frames"): it lets the samples of a nameless
/// function count as one function instead of one an address.
struct UnwindTable {
  private let image: UnsafeRawBufferPointer
  /// Pairs of two signed 32-bit numbers relative to `base`: function start, address of its frame description.
  private let entries: UnsafeRawBufferPointer
  private let base: UInt64
  private let offsets: [(address: UInt64, offset: UInt64, size: UInt64)]

  /// `nil` when the file has none, or one in another than the usual encoding.
  init?(module: OpaquePointer) {
    var bias: UInt64 = 0
    var size = 0
    var count = 0
    guard let elf = dwfl_module_getelf(module, &bias), let raw = elf_rawfile(elf, &size),
      elf_getphdrnum(elf, &count) == 0
    else { return nil }
    image = UnsafeRawBufferPointer(start: raw, count: size)
    var header: (address: UInt64, offset: Int, size: Int)?
    var offsets: [(UInt64, UInt64, UInt64)] = []
    for index in 0..<min(count, 1 << 16) {
      var program = GElf_Phdr()
      guard gelf_getphdr(elf, Int32(index), &program) != nil else { return nil }
      guard program.p_offset < size, program.p_filesz <= UInt64(size) - program.p_offset else { continue }
      if program.p_type == UInt32(PT_LOAD) { offsets.append((program.p_vaddr, program.p_offset, program.p_filesz)) }
      if program.p_type == UInt32(PT_GNU_EH_FRAME) {
        header = (program.p_vaddr, Int(program.p_offset), Int(program.p_filesz))
      }
    }
    self.offsets = offsets.map { (address: $0.0, offset: $0.1, size: $0.2) }
    // Version 1; the frame pointer in 4 bytes; the count as unsigned 4 bytes; the table relative to here in 4 bytes.
    guard let header, header.size >= 12, image[header.offset] == 1,
      image[header.offset + 1] & 0x0F == 0x0B || image[header.offset + 1] & 0x0F == 0x03,
      image[header.offset + 2] == 0x03, image[header.offset + 3] == 0x3B
    else { return nil }
    base = header.address
    let entryCount = Int(image.loadUnaligned(fromByteOffset: header.offset + 8, as: UInt32.self))
    guard entryCount > 0, entryCount <= (header.size - 12) / 8 else { return nil }
    entries = UnsafeRawBufferPointer(rebasing: image[(header.offset + 12)..<(header.offset + 12 + entryCount * 8)])
  }

  private func number(_ index: Int, of pair: Int) -> UInt64 {
    let value = entries.loadUnaligned(fromByteOffset: pair * 8 + index * 4, as: Int32.self)
    return base &+ UInt64(bitPattern: Int64(value))
  }

  /// The start of the function at `address`; `nil` where the table describes none.
  func functionStart(at address: UInt64) -> UInt64? {
    var low = 0
    var high = entries.count / 8
    while low < high {
      let middle = (low + high) / 2
      if number(0, of: middle) <= address { low = middle + 1 } else { high = middle }
    }
    guard low > 0 else { return nil }
    let start = number(0, of: low - 1)
    guard let length = length(ofFunctionAt: start, description: number(1, of: low - 1)), address - start < length
    else { return nil }
    return start
  }

  /// A frame description is: its length, a back pointer, the start relative to its own place, the function's length.
  private func length(ofFunctionAt start: UInt64, description address: UInt64) -> UInt64? {
    guard let segment = offsets.first(where: { address >= $0.address && address - $0.address < $0.size }),
      segment.size - (address - segment.address) >= 16
    else { return nil }
    let offset = Int(address - segment.address + segment.offset)
    let relative = image.loadUnaligned(fromByteOffset: offset + 8, as: Int32.self)
    guard (address &+ 8) &+ UInt64(bitPattern: Int64(relative)) == start else { return nil }
    return UInt64(image.loadUnaligned(fromByteOffset: offset + 12, as: UInt32.self))
  }
}
