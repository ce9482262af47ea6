// One libdwfl session and the callbacks by which it finds files.
import CElfutils
import Foundation

/// The kernel's page of user-mode helpers, copied from this process.
struct VDSOImage {
  static let name = "[vdso]"
  /// Never freed: sessions hold on to it, and there is one a symbolizer.
  let bytes: UnsafeMutablePointer<CChar>
  let size: Int

  /// Copies it; `nil` where there is none.
  init?() {
    guard let text = readWholeFile("/proc/self/maps") else { return nil }
    let mappings = ProcMaps.parse(String(decoding: text, as: UTF8.self))
    guard let mapping = mappings.first(where: { $0.path == Self.name }),
      let source = UnsafeRawPointer(bitPattern: UInt(mapping.start))
    else { return nil }
    size = Int(mapping.end - mapping.start)
    bytes = .allocate(capacity: size)
    memcpy(bytes, source, size)
  }
}

/// A `Dwfl` with its callbacks. Not thread safe, as elfutils is not.
final class DwflSession {
  let dwfl: OpaquePointer
  private let callbacks: UnsafeMutablePointer<Dwfl_Callbacks>
  /// What the callbacks find through the module's user data.
  private let vdso: UnsafeMutablePointer<VDSOImage>?

  init?(vdso image: VDSOImage? = nil) {
    elf_version(UInt32(EV_CURRENT))
    callbacks = .allocate(capacity: 1)
    callbacks.initialize(to: Dwfl_Callbacks())
    callbacks.pointee.find_elf = findVDSO
    callbacks.pointee.find_debuginfo = findDebugFile
    vdso = image.map { image in
      let pointer = UnsafeMutablePointer<VDSOImage>.allocate(capacity: 1)
      pointer.initialize(to: image)
      return pointer
    }
    guard let dwfl = dwfl_begin(callbacks) else {
      callbacks.deallocate()
      vdso?.deallocate()
      return nil
    }
    self.dwfl = dwfl
  }

  deinit {
    dwfl_end(dwfl)
    callbacks.deallocate()
    vdso?.deallocate()
  }

  /// Adds one module to those reported before.
  func report(_ body: (OpaquePointer) -> OpaquePointer?) -> OpaquePointer? {
    dwfl_report_begin_add(dwfl)
    let module = body(dwfl)
    guard dwfl_report_end(dwfl, nil, nil) == 0, let module else { return nil }
    var userData: UnsafeMutablePointer<UnsafeMutableRawPointer?>?
    dwfl_module_info(module, &userData, nil, nil, nil, nil, nil, nil)
    userData?.pointee = vdso.map { UnsafeMutableRawPointer($0) }
    return module
  }
}

/// libdwfl asks for the file of a module that was reported without one: only the vDSO is.
private func findVDSO(
  _: OpaquePointer?, _ userData: UnsafeMutablePointer<UnsafeMutableRawPointer?>?, _ name: UnsafePointer<CChar>?,
  _: Dwarf_Addr, _: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?,
  _ elf: UnsafeMutablePointer<OpaquePointer?>?
) -> Int32 {
  guard let name, strcmp(name, VDSOImage.name) == 0,
    let image = userData?.pointee?.assumingMemoryBound(to: VDSOImage.self)
  else { return -1 }
  elf?.pointee = elf_memory(image.pointee.bytes, image.pointee.size)
  return -1
}

/// libdwfl asks for the debug file of a module whose main file has no symbols or no debug information.
private func findDebugFile(
  _ module: OpaquePointer?, _: UnsafeMutablePointer<UnsafeMutableRawPointer?>?, _: UnsafePointer<CChar>?,
  _: Dwarf_Addr, _ file: UnsafePointer<CChar>?, _ link: UnsafePointer<CChar>?, _ crc: GElf_Word,
  _ found: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?
) -> Int32 {
  guard let module, let file else { return -1 }
  var bits: UnsafePointer<UInt8>?
  var address: UInt64 = 0
  let length = dwfl_module_build_id(module, &bits, &address)
  let buildID = length > 0 ? Array(UnsafeBufferPointer(start: bits, count: Int(length))) : []
  let path = realpath(file, nil)
  defer { free(path) }
  guard
    let (path, descriptor) = DebugFiles.open(
      file: String(cString: path ?? UnsafeMutablePointer(mutating: file)), buildID: buildID,
      link: link.map { (String(cString: $0), crc) })
  else { return -1 }
  // libdwfl frees the name.
  found?.pointee = strdup(path)
  return descriptor
}
