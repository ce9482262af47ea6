// Who called whom, worked out from a sample's registers and its copy of the stack by the rules of DWARF.
import CElfutils

/// The user part of a call stack.
struct UnwoundStack {
  /// Leaf first. Callers are return addresses less one, so that they lie in the call.
  var addresses: [UInt64] = []
  /// The walk needed more of the stack than was copied.
  var isTruncated = false
  /// The walk came to the outermost frame.
  var isComplete = false
}

/// Unwinds samples through libdwfl. It works from the mappings that the records told of and from the copied stack, never
/// from the live process, which runs on or is gone.
final class DwarfUnwinder {
  /// One libdwfl session per process and per meaning of its addresses.
  private final class Process {
    let session: DwflSession
    let revision: Int
    /// Mappings, by start, that libdwfl was told of, or that it can't be told of.
    var seen: Set<UInt64> = []
    /// Modules it knows, by load bias.
    var modules: Set<UInt64> = []
    var isAttached = false
    var lastUse = 0

    init?(revision: Int, vdso: VDSOImage?) {
      guard let session = DwflSession(vdso: vdso) else { return nil }
      self.session = session
      self.revision = revision
    }
  }

  /// What libdwfl's callbacks work on: the sample being unwound.
  fileprivate final class Context {
    var registers: [UInt64] = []
    var instructionPointer: UInt64 = 0
    var stackPointer: UInt64 = 0
    var stack: [UInt8] = []
    var result = UnwoundStack()
    var tid: Int32 = 0
  }

  private let symbolizer: Symbolizer
  private let context = Context()
  private let callbacks: UnsafeMutablePointer<Dwfl_Thread_Callbacks>
  private var processes: [Int: Process] = [:]
  private var clock = 0

  /// Sessions kept: each holds the unwind tables of its process's libraries.
  private static let mostProcesses = 32
  static let deepest = 256

  init(symbolizer: Symbolizer) {
    self.symbolizer = symbolizer
    callbacks = .allocate(capacity: 1)
    callbacks.initialize(to: Dwfl_Thread_Callbacks())
    callbacks.pointee.next_thread = { _, _, _ in 0 }
    callbacks.pointee.get_thread = getThread
    callbacks.pointee.memory_read = readMemory
    callbacks.pointee.set_initial_registers = setRegisters
  }

  deinit {
    // Sessions hold the callbacks.
    processes.removeAll()
    callbacks.deallocate()
  }

  /// The user call stack of a sample; `nil` when it has no registers, or not even its first caller can be found.
  func unwind(_ sample: PerfSample, in space: AddressSpace) -> UnwoundStack? {
    guard let registers = UserRegisters(sample.userRegisters) else { return nil }
    context.registers = registers.dwarf
    context.instructionPointer = registers.instructionPointer
    context.stackPointer = registers.stackPointer
    context.stack = sample.userStack
    context.tid = sample.tid
    defer { context.stack = [] }
    guard let process = process(for: space) else { return nil }
    report(registers.instructionPointer, in: space, to: process)
    // libdwfl takes the architecture from a module, so there must be one, also where the leaf is generated code.
    for mapping in space.mappings where process.modules.isEmpty { report(mapping.start, in: space, to: process) }
    guard attach(process, pid: space.pid) else { return nil }
    // A module is reported when a walk first comes upon it; without its rules libdwfl would only guess by frame
    // pointers, so the walk is done again.
    for _ in 0..<Self.deepest {
      context.result = UnwoundStack()
      let outcome = dwfl_getthread_frames(process.session.dwfl, sample.tid, collectFrame, contextPointer)
      context.result.isComplete = outcome == 0 && !context.result.isTruncated
      let known = process.modules.count
      for address in context.result.addresses { report(address, in: space, to: process) }
      if process.modules.count == known { break }
    }
    return context.result.addresses.isEmpty ? nil : context.result
  }

  private var contextPointer: UnsafeMutableRawPointer { Unmanaged.passUnretained(context).toOpaque() }

  private func process(for space: AddressSpace) -> Process? {
    clock += 1
    if let known = processes[space.instance], known.revision == space.revision {
      known.lastUse = clock
      return known
    }
    guard let new = Process(revision: space.revision, vdso: symbolizer.vdsoForSessions) else { return nil }
    new.lastUse = clock
    if processes.count >= Self.mostProcesses, processes[space.instance] == nil,
      let oldest = processes.min(by: { $0.value.lastUse < $1.value.lastUse })
    {
      processes[oldest.key] = nil
    }
    processes[space.instance] = new
    return new
  }

  private func attach(_ process: Process, pid: Int32) -> Bool {
    if process.isAttached { return true }
    process.isAttached = dwfl_attach_state(process.session.dwfl, nil, pid, callbacks, contextPointer)
    return process.isAttached
  }

  /// Tells libdwfl of the module at an address, unless it was told before.
  private func report(_ address: UInt64, in space: AddressSpace, to process: Process) {
    guard let mapping = space.mapping(at: address), process.seen.insert(mapping.start).inserted,
      let module = symbolizer.module(of: mapping, in: space), module.machine == UserRegisters.machine,
      let virtual = module.virtualAddress(ofFileOffset: mapping.isVDSO ? 0 : mapping.fileOffset)
    else { return }
    let bias = mapping.start &- virtual
    guard !process.modules.contains(bias) else { return }
    let reported = process.session.report { dwfl in
      if mapping.isVDSO { return dwfl_report_module(dwfl, VDSOImage.name, mapping.start, mapping.end) }
      guard let path = module.path else { return nil }
      return dwfl_report_elf(dwfl, module.name, path, -1, bias, true)
    }
    if reported != nil { process.modules.insert(bias) }
  }
}

/// A sample's registers in the numbering of DWARF.
struct UserRegisters {
  var dwarf: [UInt64]
  var instructionPointer: UInt64
  var stackPointer: UInt64

  #if arch(x86_64)
    /// e_machine of files that these registers belong to.
    static let machine = UInt16(EM_X86_64)
    /// From the kernel's order (ax bx cx dx si di bp sp ip flags cs ss r8…r15) to DWARF's (System V ABI for AMD64, figure
    /// 3.36: ax dx cx bx si di bp sp r8…r15, return address).
    private static let order = [0, 3, 2, 1, 4, 5, 6, 7, 12, 13, 14, 15, 16, 17, 18, 19, 8]
    private static let (count, stackPointer, instructionPointer) = (20, 7, 8)
  #else
    static let machine = UInt16(EM_AARCH64)
    /// x0…x30 and sp have the kernel's numbers in DWARF too (DWARF for the Arm 64-bit Architecture, 4.1).
    private static let order = Array(0...31)
    private static let (count, stackPointer, instructionPointer) = (33, 31, 32)
  #endif

  /// `nil` for registers of a 32-bit process, or none.
  init?(_ kernel: [UInt64]) {
    guard kernel.count == Self.count else { return nil }
    dwarf = Self.order.map { kernel[$0] }
    instructionPointer = kernel[Self.instructionPointer]
    stackPointer = kernel[Self.stackPointer]
  }
}

private func context(_ argument: UnsafeMutableRawPointer?) -> DwarfUnwinder.Context? {
  argument.map { Unmanaged<DwarfUnwinder.Context>.fromOpaque($0).takeUnretainedValue() }
}

private func getThread(
  _: OpaquePointer?, _ tid: pid_t, _ argument: UnsafeMutableRawPointer?,
  _ threadArgument: UnsafeMutablePointer<UnsafeMutableRawPointer?>?
) -> Bool {
  threadArgument?.pointee = argument
  return true
}

private func setRegisters(_ thread: OpaquePointer?, _ argument: UnsafeMutableRawPointer?) -> Bool {
  guard let context = context(argument), let thread else { return false }
  dwfl_thread_state_register_pc(thread, context.instructionPointer)
  return dwfl_thread_state_registers(thread, 0, UInt32(context.registers.count), context.registers)
}

private func readMemory(
  _ dwfl: OpaquePointer?, _ address: Dwarf_Addr, _ result: UnsafeMutablePointer<Dwarf_Word>?,
  _ argument: UnsafeMutableRawPointer?
) -> Bool {
  guard let context = context(argument) else { return false }
  let size = MemoryLayout<Dwarf_Word>.size
  if address >= context.stackPointer, context.stack.count >= size,
    address - context.stackPointer <= UInt64(context.stack.count - size)
  {
    let offset = Int(address - context.stackPointer)
    result?.pointee = context.stack.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: offset, as: Dwarf_Word.self) }
    return true
  }
  if let word = readOnlyWord(dwfl, at: address) {
    result?.pointee = word
    return true
  }
  // Within a thread's usual stack above the copy: more of it would have been needed.
  if address >= context.stackPointer, address - context.stackPointer < 1 << 23 { context.result.isTruncated = true }
  return false
}

/// What a file holds at an address that the process can't have changed.
private func readOnlyWord(_ dwfl: OpaquePointer?, at address: UInt64) -> UInt64? {
  guard let dwfl, let module = dwfl_addrmodule(dwfl, address) else { return nil }
  var bias: UInt64 = 0
  var size = 0
  var count = 0
  guard let elf = dwfl_module_getelf(module, &bias), let image = elf_rawfile(elf, &size),
    elf_getphdrnum(elf, &count) == 0
  else { return nil }
  let virtual = address &- bias
  for index in 0..<min(count, 1 << 16) {
    var program = GElf_Phdr()
    guard gelf_getphdr(elf, Int32(index), &program) != nil else { return nil }
    guard program.p_type == UInt32(PT_LOAD), program.p_flags & UInt32(PF_W) == 0, virtual >= program.p_vaddr,
      program.p_filesz >= 8, virtual - program.p_vaddr <= program.p_filesz - 8
    else { continue }
    let (offset, overflow) = (virtual - program.p_vaddr).addingReportingOverflow(program.p_offset)
    guard !overflow, size >= 8, offset <= UInt64(size - 8) else { return nil }
    return UnsafeRawPointer(image).loadUnaligned(fromByteOffset: Int(offset), as: UInt64.self)
  }
  return nil
}

private func collectFrame(_ frame: OpaquePointer?, _ argument: UnsafeMutableRawPointer?) -> Int32 {
  guard let context = context(argument), let frame else { return Int32(DWARF_CB_ABORT) }
  var address: UInt64 = 0
  var isActivation = false
  guard dwfl_frame_pc(frame, &address, &isActivation) else { return Int32(DWARF_CB_ABORT) }
  context.result.addresses.append(isActivation || address == 0 ? address : address - 1)
  return context.result.addresses.count < DwarfUnwinder.deepest
    ? Int32(DWARF_CB_OK) : Int32(DWARF_CB_ABORT)
}
