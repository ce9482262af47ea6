// How facts are read from /proc, /sys and /etc, so that a test can be any machine.
import Glibc

/// The few ways in which Kiviat looks at a system's files. ``live`` reads this machine's; tests hand in another one's.
public struct HostFiles: Sendable {
  /// Why a file could not be read: an `errno`.
  public struct Failure: Error, Equatable, CustomStringConvertible {
    /// `ENOENT`, `EACCES` …
    public var code: Int32
    /// Makes a failure.
    public init(code: Int32) { self.code = code }
    /// As `strerror` says it.
    public var description: String { String(cString: strerror(code)) }
  }

  /// The whole content of a file.
  public var read: @Sendable (_ path: String) -> Result<[UInt8], Failure>
  /// The names in a folder, in no particular order; empty when it can't be read.
  public var list: @Sendable (_ path: String) -> [String]
  /// The path with every symbolic link followed, or `nil` when nothing is there.
  public var resolve: @Sendable (_ path: String) -> String?
  private var isLive = false

  /// Makes a view.
  public init(
    read: @escaping @Sendable (_ path: String) -> Result<[UInt8], Failure>,
    list: @escaping @Sendable (_ path: String) -> [String],
    resolve: @escaping @Sendable (_ path: String) -> String?
  ) {
    self.read = read
    self.list = list
    self.resolve = resolve
  }

  /// This machine's files.
  public static let live: HostFiles = {
    var files = HostFiles(read: readLive, list: { names(inDirectory: $0) }, resolve: resolveLive)
    files.isLive = true
    return files
  }()

  /// A machine made of texts by path, for tests. A folder exists when something is in it.
  public static func fake(
    _ texts: [String: String], links: [String: String] = [:], failures: [String: Int32] = [:]
  ) -> HostFiles {
    HostFiles(
      read: { path in
        if let code = failures[path] { return .failure(Failure(code: code)) }
        return texts[path].map { .success(Array($0.utf8)) } ?? .failure(Failure(code: ENOENT))
      },
      list: { folder in
        let prefix = folder.hasSuffix("/") ? folder : folder + "/"
        var names: Set<String> = []
        for path in texts.keys where path.hasPrefix(prefix) {
          names.insert(String(path.dropFirst(prefix.count).prefix { $0 != "/" }))
        }
        return names.sorted()
      },
      resolve: { path in links[path] ?? (texts[path] == nil ? nil : path) })
  }

  /// A file's text without the white space at its end, or `nil` when it can't be read.
  public func text(_ path: String) -> String? {
    guard case .success(var bytes) = read(path) else { return nil }
    while let last = bytes.last, last == 0x0A || last == 0x20 || last == 0 || last == 0x09 { bytes.removeLast() }
    return String(decoding: bytes, as: UTF8.self)
  }

  /// The beginning of a file, or `nil` when it can't be read. Some pseudo-files cost the kernel milliseconds to write whole.
  func head(_ path: String, _ limit: Int) -> String? {
    isLive
      ? contents(ofSmallFile: path, limit: limit)
      : text(path).map { String(decoding: $0.utf8.prefix(limit), as: UTF8.self) }
  }

  /// A file that holds one decimal number.
  public func number(_ path: String) -> Int64? { text(path).flatMap { Int64($0) } }
}

private func readLive(_ path: String) -> Result<[UInt8], HostFiles.Failure> {
  let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK)
  guard descriptor >= 0 else { return .failure(HostFiles.Failure(code: errno)) }
  defer { close(descriptor) }
  // Pseudo-files have no size: read until nothing comes.
  var bytes: [UInt8] = []
  var capacity = 4096
  while true {
    var count = 0
    let room = capacity
    let chunk = [UInt8](unsafeUninitializedCapacity: room) { buffer, initialized in
      count = Glibc.read(descriptor, buffer.baseAddress, room)
      initialized = max(count, 0)
    }
    if count < 0 {
      if errno == EINTR { continue }
      return .failure(HostFiles.Failure(code: errno))
    }
    if count == 0 { return .success(bytes) }
    if bytes.isEmpty { bytes = chunk } else { bytes += chunk }
    capacity = min(capacity * 4, 1 << 20)
  }
}

private func resolveLive(_ path: String) -> String? {
  guard let resolved = realpath(path, nil) else { return nil }
  defer { free(resolved) }
  return String(cString: resolved)
}
