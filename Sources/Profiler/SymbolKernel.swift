// Which kernel function an address is in.
import Foundation

/// The kernel's symbols, from `/proc/kallsyms`.
///
/// Formatting that file costs the kernel some 50 ms, more than a whole profile of a short command may. So what was read
/// is kept in a cache file until the machine boots again or loads other modules.
final class KernelSymbols {
  /// What is known of an address.
  struct Symbol: Hashable {
    var name: String
    /// `[kernel]`, or the module: `[nvidia]`.
    var module: String
  }

  private let procRoot: String
  private let cacheDirectory: String?
  private lazy var table: SymbolFile? = load()

  /// Uses `/proc` under `procRoot`; `cacheDirectory` is `nil` for no cache.
  init(procRoot: String = "/proc", cacheDirectory: String? = KernelSymbols.defaultCacheDirectory) {
    self.procRoot = procRoot
    self.cacheDirectory = cacheDirectory
  }

  /// `$XDG_CACHE_HOME/kiviat` or `~/.cache/kiviat`.
  static var defaultCacheDirectory: String? {
    func variable(_ name: String) -> String? { getenv(name).map { String(cString: $0) } }
    if let cache = variable("XDG_CACHE_HOME"), cache.hasPrefix("/") { return cache + "/kiviat" }
    guard let home = variable("HOME"), home.hasPrefix("/") else { return nil }
    return home + "/.cache/kiviat"
  }

  /// Whether the kernel shows its addresses. Costs a read of a few lines.
  private(set) lazy var areVisible: Bool =
    contents(ofSmallFile: "\(procRoot)/kallsyms", limit: 4096).map(Self.showsAddresses) ?? false

  /// Whether the first lines of `/proc/kallsyms` have addresses, and not zeros for those who may not see them.
  static func showsAddresses(_ head: String) -> Bool {
    head.split(separator: "\n").contains { line in line.prefix { $0 != " " }.contains { $0 != "0" } }
  }

  /// The symbol at an address.
  func symbol(at address: UInt64) -> Symbol? {
    guard areVisible else { return nil }
    return table?.symbol(at: address)
  }

  // MARK: - Reading

  private func load() -> SymbolFile? {
    let path = cacheDirectory.flatMap { directory in cacheKey().map { "\(directory)/kallsyms-\($0)" } }
    if let path, let bytes = readWholeFile(path), let cached = SymbolFile(bytes) { return cached }
    guard let text = readWholeFile("\(procRoot)/kallsyms") else { return nil }
    let fresh = SymbolFile(kallsyms: text)
    if let path, let cacheDirectory { Self.store(fresh.bytes, path, in: cacheDirectory) }
    return fresh
  }

  /// The boot and the modules with their addresses.
  private func cacheKey() -> String? {
    guard let boot = readWholeFile("\(procRoot)/sys/kernel/random/boot_id") else { return nil }
    var hash: UInt64 = 0xCBF2_9CE4_8422_2325
    func mix(_ bytes: some Sequence<UInt8>) { for byte in bytes { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01B3 } }
    mix(boot)
    let modules = String(decoding: readWholeFile("\(procRoot)/modules") ?? [], as: UTF8.self)
    for line in modules.split(separator: "\n") {
      // Name, size, use count, users, state, address: the use count and users change all the time.
      let fields = line.split(separator: " ")
      guard fields.count >= 6 else { continue }
      mix(fields[0].utf8)
      mix(fields[1].utf8)
      mix(fields[5].utf8)
    }
    // Another layout of the cache must not be taken for this one's.
    mix([1])
    return String(hash, radix: 16)
  }

  /// Writes a file whole or not at all, and takes those of earlier boots away. A cache that can't be written is none.
  private static func store(_ bytes: [UInt8], _ path: String, in directory: String) {
    let files = FileManager.default
    try? files.createDirectory(atPath: directory, withIntermediateDirectories: true)
    let earlier = (try? files.contentsOfDirectory(atPath: directory)) ?? []
    for name in earlier where name.hasPrefix("kallsyms-") { unlink("\(directory)/\(name)") }
    let temporary = "\(path).\(getpid())"
    // For its owner only: where the kernel is loaded is a secret.
    let owner: [FileAttributeKey: Any] = [.posixPermissions: 0o600]
    guard files.createFile(atPath: temporary, contents: Data(bytes), attributes: owner) else { return }
    if rename(temporary, path) != 0 { unlink(temporary) }
  }
}

/// Symbols in one block of bytes that can be stored and searched as it is: a magic number, the count, the sorted
/// addresses (8 bytes each), where each name begins (4 bytes each), the names with a NUL after each.
struct SymbolFile {
  private(set) var bytes: [UInt8]
  private let count: Int
  private static let magic: UInt64 = 0x314D_5953_4956_494B  // "KIVISYM1"

  /// Takes stored bytes; `nil` unless they are whole.
  init?(_ bytes: [UInt8]) {
    guard bytes.count >= 16, bytes.last == 0,
      bytes.withUnsafeBytes({ $0.loadUnaligned(as: UInt64.self) }) == Self.magic
    else { return nil }
    let count = bytes.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: 8, as: UInt64.self) }
    guard count > 0, count < UInt64(bytes.count) / 12, 16 + Int(count) * 12 < bytes.count else { return nil }
    self.bytes = bytes
    self.count = Int(count)
  }

  /// Takes the text of a kallsyms file: `ADDRESS TYPE NAME`, then a tab and `[module]` where there is one. Only code
  /// counts, and of names for one address the last. Programs loaded into the kernel ([bpf]) come and go, so are left out.
  init(kallsyms text: [UInt8]) {
    var addresses: [(address: UInt64, line: Range<Int>)] = []
    var position = 0
    text.withUnsafeBufferPointer { text in
      while position < text.count {
        let start = position
        while position < text.count, text[position] != UInt8(ascii: "\n") { position += 1 }
        let line = start..<position
        position += 1
        var address: UInt64 = 0
        var next = line.lowerBound
        while next < line.upperBound, let digit = Self.hexDigit(text[next]) {
          address = address << 4 | digit
          next += 1
        }
        guard address != 0, next + 3 < line.upperBound, text[next] == UInt8(ascii: " "),
          [UInt8(ascii: "T"), UInt8(ascii: "t"), UInt8(ascii: "W"), UInt8(ascii: "w")].contains(text[next + 1])
        else { continue }
        if text[line.upperBound - 1] == UInt8(ascii: "]"),
          line.count > 5, text[(line.upperBound - 5)..<line.upperBound].elementsEqual("[bpf]".utf8)
        {
          continue
        }
        addresses.append((address, (next + 3)..<line.upperBound))
      }
    }
    // A stable order, so that the last name of an address is the last in the file.
    addresses.sort { ($0.address, $0.line.lowerBound) < ($1.address, $1.line.lowerBound) }
    count = addresses.count
    var bytes: [UInt8] = []
    func append<T>(_ value: T) { withUnsafeBytes(of: value) { bytes.append(contentsOf: $0) } }
    append(Self.magic)
    append(UInt64(count))
    for entry in addresses { append(entry.address) }
    var offset: UInt32 = 0
    for entry in addresses {
      append(offset)
      offset += UInt32(entry.line.count) + 1
    }
    for entry in addresses {
      bytes.append(contentsOf: text[entry.line])
      bytes.append(0)
    }
    self.bytes = bytes
  }

  private static func hexDigit(_ byte: UInt8) -> UInt64? {
    switch byte {
    case UInt8(ascii: "0")...UInt8(ascii: "9"): UInt64(byte - UInt8(ascii: "0"))
    case UInt8(ascii: "a")...UInt8(ascii: "f"): UInt64(byte - UInt8(ascii: "a") + 10)
    default: nil
    }
  }

  /// The last symbol at or below an address.
  func symbol(at address: UInt64) -> KernelSymbols.Symbol? {
    bytes.withUnsafeBytes { bytes in
      func start(_ index: Int) -> UInt64 { bytes.loadUnaligned(fromByteOffset: 16 + index * 8, as: UInt64.self) }
      var low = 0
      var high = count
      while low < high {
        let middle = (low + high) / 2
        if start(middle) <= address { low = middle + 1 } else { high = middle }
      }
      guard low > 0 else { return nil }
      let names = 16 + count * 12
      let name = Int(bytes.loadUnaligned(fromByteOffset: 16 + count * 8 + (low - 1) * 4, as: UInt32.self))
      guard names + name < bytes.count else { return nil }
      let text = String(decoding: bytes[(names + name)...].prefix { $0 != 0 }, as: UTF8.self)
      let parts = text.split(separator: "\t", maxSplits: 1)
      guard let function = parts.first else { return nil }
      return KernelSymbols.Symbol(name: String(function), module: parts.count == 2 ? String(parts[1]) : "[kernel]")
    }
  }
}
