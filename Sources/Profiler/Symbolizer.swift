// Which functions, files and lines a sampled address stands for.
import Foundation
import ProfileModel

/// A sampled address in terms that outlive its process, so that what is learnt of it once serves every process.
struct CodeAddress: Hashable {
  /// What the offset counts from.
  enum Place: Hashable {
    /// Bytes into a file, by the symbolizer's number of it.
    case file(Int)
    /// Bytes into the vDSO.
    case vdso
    /// An address of the kernel.
    case kernel
    /// An address in code that a process generated; by the instance of its address space.
    case generated(instance: Int)
    /// An address where nothing is known to be mapped: damaged frame pointers lead there.
    case unmapped(instance: Int)
  }
  var place: Place
  var offset: UInt64
}

/// Turns addresses into frames. Files are opened when an address in them is first asked for, and stay open.
/// Not for use from two threads: elfutils is not thread safe.
public final class Symbolizer {
  private struct FileKey: Hashable {
    var path: String
    /// Identifies the mount namespace; empty for our own.
    var namespace: String
  }
  private struct File {
    var name: String
    var openPath: String
    var module: ElfModule?
    var isOpened = false
  }
  /// What makes two paths one file.
  private struct Identity: Hashable {
    var device: UInt64
    var inode: UInt64
    var modifiedSeconds: Int
    var modifiedNanoseconds: Int
    var size: Int
  }

  private let procRoot: String
  let kernel: KernelSymbols
  private var files: [File] = []
  private var fileIndex: [FileKey: Int] = [:]
  private var modules: [Identity: ElfModule] = [:]
  private lazy var vdsoImage = VDSOImage()
  private(set) lazy var vdso = vdsoImage.flatMap { ElfModule(vdso: $0) }
  private var mapFinder: PerfMapFinder
  private lazy var ownNamespace = Self.mountNamespace(of: "self", procRoot: procRoot)
  /// By instance of an address space: what to put before its paths.
  private var namespaces: [Int: (key: String, root: String)] = [:]

  /// Reads processes under `procRoot`, and keeps the kernel's symbols in `cacheDirectory` (`nil` for nowhere).
  public convenience init(procRoot: String = "/proc") {
    self.init(procRoot: procRoot, kernel: KernelSymbols(procRoot: procRoot))
  }

  init(procRoot: String = "/proc", kernel: KernelSymbols, notBefore: timespec? = nil) {
    self.procRoot = procRoot
    self.kernel = kernel
    mapFinder = PerfMapFinder(procRoot: procRoot, notBefore: notBefore ?? Self.now())
  }

  private static func now() -> timespec {
    var time = timespec()
    clock_gettime(CLOCK_REALTIME, &time)
    return time
  }

  // MARK: - Where an address is

  /// Places an address of a process. Call it while the record's time is now: mappings change.
  func locate(_ address: UInt64, in space: AddressSpace) -> CodeAddress {
    guard let mapping = space.mapping(at: address) else {
      mapFinder.noteGeneratedCode(in: space)
      return CodeAddress(place: .unmapped(instance: space.instance), offset: address)
    }
    let offset = address - mapping.start &+ mapping.fileOffset
    if mapping.isVDSO { return CodeAddress(place: .vdso, offset: address - mapping.start) }
    if mapping.isFile { return CodeAddress(place: .file(file(of: mapping, in: space)), offset: offset) }
    mapFinder.noteGeneratedCode(in: space)
    return CodeAddress(place: .generated(instance: space.instance), offset: address)
  }

  private static let deletedSuffix = " (deleted)"

  private func file(of mapping: CodeMapping, in space: AddressSpace) -> Int {
    let namespace = namespace(of: space)
    let key = FileKey(path: mapping.path, namespace: namespace.key)
    if let known = fileIndex[key] { return known }
    var file = File(name: mapping.path, openPath: namespace.root + mapping.path)
    if mapping.path.hasSuffix(Self.deletedSuffix) {
      // The name may by now belong to another file; the mapping itself still leads to the right one while it lives.
      file.name.removeLast(Self.deletedSuffix.count)
      let range = "\(String(mapping.start, radix: 16))-\(String(mapping.end, radix: 16))"
      file.openPath = "\(procRoot)/\(space.pid)/map_files/\(range)"
      open(&file)
    } else if !namespace.root.isEmpty {
      open(&file)
    }
    files.append(file)
    fileIndex[key] = files.count - 1
    return files.count - 1
  }

  private static func mountNamespace(of pid: String, procRoot: String) -> String? {
    try? FileManager.default.destinationOfSymbolicLink(atPath: "\(procRoot)/\(pid)/ns/mnt")
  }

  /// A process in a container sees other files under the same paths: they are reached through its root.
  private func namespace(of space: AddressSpace) -> (key: String, root: String) {
    if let known = namespaces[space.instance] { return known }
    var result = (key: "", root: "")
    if let theirs = Self.mountNamespace(of: "\(space.pid)", procRoot: procRoot), theirs != ownNamespace {
      result = (theirs, "\(procRoot)/\(space.pid)/root")
    } else if let parent = space.parent, let inherited = namespaces[parent.instance] {
      result = inherited
    }
    namespaces[space.instance] = result
    return result
  }

  private func open(_ file: inout File) {
    file.isOpened = true
    var status = stat()
    // Never a device or a pipe: opening those can block or act.
    guard stat(file.openPath, &status) == 0, status.st_mode & S_IFMT == S_IFREG else { return }
    let identity = Identity(
      device: UInt64(status.st_dev), inode: UInt64(status.st_ino), modifiedSeconds: status.st_mtim.tv_sec,
      modifiedNanoseconds: status.st_mtim.tv_nsec, size: Int(status.st_size))
    file.module = modules[identity] ?? ElfModule(name: file.name, path: file.openPath)
    modules[identity] = file.module
  }

  private func module(ofFile index: Int) -> ElfModule? {
    if !files[index].isOpened { open(&files[index]) }
    return files[index].module
  }

  /// The ELF file behind a mapping, for unwinding through it.
  func module(of mapping: CodeMapping, in space: AddressSpace) -> ElfModule? {
    if mapping.isVDSO { return vdso }
    return mapping.isFile ? module(ofFile: file(of: mapping, in: space)) : nil
  }

  /// For sessions that report the vDSO themselves.
  var vdsoForSessions: VDSOImage? { vdsoImage }

  // MARK: - What an address means

  /// Reads what processes have written to their perf maps since the last call; whether that was anything.
  func refreshPerfMaps() -> Bool { mapFinder.refresh() }

  /// Whether asking again later may give a better answer: generated code is named when its process gets round to it.
  func isProvisional(_ address: CodeAddress) -> Bool {
    switch address.place {
    case .generated(let instance), .unmapped(let instance):
      mapFinder.name(at: address.offset, instance: instance) == nil
    case .file, .vdso, .kernel: false
    }
  }

  /// The frames at an address, innermost first: inlined functions, then the function that holds them. Never empty.
  func frames(at address: CodeAddress) -> [Frame] {
    switch address.place {
    case .file(let index):
      frames(in: module(ofFile: index), name: files[index].name, offset: address.offset)
    case .vdso:
      frames(in: vdso, name: VDSOImage.name, offset: address.offset)
    case .kernel:
      [kernelFrame(at: address.offset)]
    case .generated(let instance):
      [
        generatedFrame(at: address.offset, instance: instance)
          ?? Frame(function: "[code generated at run time]", module: "[jit]", kind: .unknown)
      ]
    case .unmapped(let instance):
      [
        generatedFrame(at: address.offset, instance: instance)
          ?? Frame(function: "[unknown]", module: "[unknown]", kind: .unknown)
      ]
    }
  }

  private func generatedFrame(at address: UInt64, instance: Int) -> Frame? {
    mapFinder.name(at: address, instance: instance).map {
      Frame(function: Demangler.demangle($0), module: "[jit]", kind: .jit)
    }
  }

  private func kernelFrame(at address: UInt64) -> Frame {
    // Without symbols an address says nothing, and is another one after every boot.
    guard kernel.areVisible else { return Frame(function: "[kernel]", module: "[kernel]", kind: .kernel) }
    guard let symbol = kernel.symbol(at: address) else {
      return Frame(function: "[kernel]", module: "[kernel]", kind: .unknown)
    }
    return Frame(function: Demangler.demangle(symbol.name), module: symbol.module, kind: .kernel)
  }

  private func frames(in module: ElfModule?, name: String, offset: UInt64) -> [Frame] {
    let shortName = name.split(separator: "/").last.map(String.init) ?? name
    func nameless(_ address: UInt64) -> String { "\(shortName)+0x\(String(address, radix: 16))" }
    guard let module, let address = module.virtualAddress(ofFileOffset: offset) else {
      return [Frame(function: nameless(offset), module: name, kind: .unknown)]
    }
    let levels = module.debugInformation?.levels(at: address) ?? []
    let symbol = module.symbol(at: address)
    let inlined = levels.dropLast().map { level in
      Frame(
        function: level.name.map(Demangler.demangle) ?? "[inlined]", module: name, file: level.source?.file,
        line: level.source?.line, kind: .inlined)
    }
    let body = levels.last
    let function = (symbol ?? body?.name).map(Demangler.demangle)
    return inlined + [
      Frame(
        function: function ?? nameless(module.functionStart(at: address)), module: name, file: body?.source?.file,
        line: body?.source?.line, kind: function == nil ? .unknown : .user)
    ]
  }
}
