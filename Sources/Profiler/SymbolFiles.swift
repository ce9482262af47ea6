// Where the debug information of a stripped file is: by its build id, else by its debug link.
import CElfutils
import Foundation

/// Finds separate debug files, on this machine only. libdwfl's own search would also ask debuginfod servers, which can
/// stall for minutes while samples are lost.
enum DebugFiles {
  /// Where distributions install debug files.
  static let root = "/usr/lib/debug"

  /// Opens the debug file of a module.
  ///
  /// - Parameters:
  ///   - file: the stripped file.
  ///   - buildID: its build id, empty when it has none.
  ///   - link: name and CRC from its `.gnu_debuglink`.
  /// - Returns: path and descriptor, which the caller closes.
  static func open(
    file: String, buildID: [UInt8], link: (name: String, crc: UInt32)?, root: String = root
  ) -> (path: String, descriptor: Int32)? {
    if buildID.count > 2 {
      let hex = buildID.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }
      let path = "\(root)/.build-id/\(hex[0])/\(hex[1...].joined()).debug"
      if let descriptor = openELF(path, matching: buildID, crc: nil) { return (path, descriptor) }
    }
    // A link is a bare name; anything else is not ours to follow.
    guard let link, !link.name.isEmpty, !link.name.contains("/") else { return nil }
    let directory = file.lastIndex(of: "/").map { String(file[..<$0]) } ?? "."
    for path in ["\(directory)/\(link.name)", "\(directory)/.debug/\(link.name)", "\(root)\(directory)/\(link.name)"]
    where path != file {
      if let descriptor = openELF(path, matching: buildID, crc: link.crc) { return (path, descriptor) }
    }
    return nil
  }

  /// Opens a file when it is an ELF file of that build id, or of that checksum where the stripped file has no id.
  private static func openELF(_ path: String, matching buildID: [UInt8], crc: UInt32?) -> Int32? {
    let descriptor = Glibc.open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
    guard descriptor >= 0 else { return nil }
    var status = stat()
    guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG,
      matches(descriptor, size: Int(status.st_size), buildID: buildID, crc: crc)
    else {
      close(descriptor)
      return nil
    }
    return descriptor
  }

  private static func matches(_ descriptor: Int32, size: Int, buildID: [UInt8], crc: UInt32?) -> Bool {
    elf_version(UInt32(EV_CURRENT))
    guard let elf = elf_begin(descriptor, ELF_C_READ_MMAP, nil) else { return false }
    defer { elf_end(elf) }
    guard elf_kind(elf) == ELF_K_ELF else { return false }
    var bits: UnsafeRawPointer?
    let length = dwelf_elf_gnu_build_id(elf, &bits)
    if !buildID.isEmpty, length > 0, let bits {
      return buildID.elementsEqual(UnsafeRawBufferPointer(start: bits, count: length))
    }
    guard let crc else { return false }
    var imageSize = 0
    guard let image = elf_rawfile(elf, &imageSize) else { return false }
    return crc32(UnsafeRawBufferPointer(start: image, count: imageSize)) == crc
  }

  /// The checksum of `.gnu_debuglink`: CRC-32 as in zlib (GDB manual, "Debugging Information in Separate Files").
  static func crc32(_ bytes: UnsafeRawBufferPointer) -> UInt32 {
    let table = (UInt32(0)..<256).map { byte in
      (0..<8).reduce(byte) { value, _ in value & 1 == 1 ? 0xEDB8_8320 ^ (value >> 1) : value >> 1 }
    }
    return ~table.withUnsafeBufferPointer { table in
      bytes.reduce(~UInt32(0)) { table[Int(UInt8(truncatingIfNeeded: $0) ^ $1)] ^ ($0 >> 8) }
    }
  }
}
