// Which libraries that workloads compute with would the loader find here, and in which version?
import Glibc

/// A shared library as `ld.so` would find it. Nothing is loaded or run to learn this.
public struct HostLibrary: Hashable, Sendable {
  /// Short name: `libtorch`, `onednn`, `openblas`.
  public var name: String
  /// Real path, symbolic links followed.
  public var path: String
  /// Version as the file's name tells it, or `nil`.
  public var version: String?

  /// What to look for: a short name and the beginnings of the file names that carry it, best first.
  static let wanted: [(name: String, files: [String])] = [
    ("libtorch", ["libtorch_cpu.so"]),
    ("onednn", ["libdnnl.so", "libmkldnn.so"]),
    ("openblas", ["libopenblas.so"]),
    ("mkl", ["libmkl_rt.so"]),
    ("blas", ["libblas.so"]),
    ("openmp", ["libgomp.so", "libomp.so", "libiomp5.so"]),
    ("libpfm", ["libpfm.so"]),
    ("elfutils", ["libdw.so"]),
    ("cuda", ["libcuda.so"]),
    ("cudart", ["libcudart.so"]),
    ("cupti", ["libcupti.so"]),
    ("cudnn", ["libcudnn.so"]),
    ("nccl", ["libnccl.so"]),
  ]

  static func readAll(_ files: HostFiles, architecture: String, libraryPath: String?) -> [HostLibrary] {
    let prefixes = wanted.flatMap(\.files)
    func isWanted(_ name: String) -> Bool { prefixes.contains { name.hasPrefix($0) } }
    // What the loader prefers comes first: LD_LIBRARY_PATH by its order, then its cache or the standard folders.
    var candidates: [(rank: Int, name: String, path: String)] = []
    func offer(_ folder: String, rank: Int) {
      for name in files.list(folder) where isWanted(name) { candidates.append((rank, name, "\(folder)/\(name)")) }
    }
    let search = (libraryPath ?? "").split(separator: ":").map(String.init)
    for (rank, folder) in search.enumerated() { offer(folder, rank: rank) }
    if case .success(let cache) = files.read("/etc/ld.so.cache"), let paths = LoaderCache.paths(cache, where: isWanted)
    {
      for path in paths {
        candidates.append((search.count, path.split(separator: "/").last.map(String.init) ?? path, path))
      }
    } else {
      let standard = ["/usr/local/lib", "/usr/lib/\(architecture)-linux-gnu", "/usr/lib64", "/usr/lib"]
      for (rank, folder) in standard.enumerated() { offer(folder, rank: search.count + rank) }
    }
    return wanted.compactMap { name, beginnings in
      for beginning in beginnings {
        // `libopenblas.so.0` before `libopenblas.so`: the first is what a program binds to.
        let best = candidates.filter { $0.name.hasPrefix(beginning) }
          .min { ($0.rank, -$0.name.count, $0.path) < ($1.rank, -$1.name.count, $1.path) }
        if let best {
          let real = files.resolve(best.path) ?? best.path
          return HostLibrary(
            name: name, path: real, version: version(inFileName: real) ?? version(inFileName: best.path))
        }
      }
      return nil
    }
  }

  /// `libdnnl.so.2.7` → `2.7`; `libopenblasp-r0.3.21.so` → `0.3.21`; `libdw-0.188.so` → `0.188`.
  static func version(inFileName path: String) -> String? {
    let name = path.split(separator: "/").last.map(String.init) ?? path
    guard let range = name.firstRange(of: ".so") else { return nil }
    let after = name[range.upperBound...].drop { $0 == "." }
    let before = name[..<range.lowerBound]
    if let dash = before.lastIndex(of: "-") {
      let tail = before[before.index(after: dash)...].drop { $0 == "r" || $0 == "v" }
      if tail.first?.isNumber == true, tail.contains(".") { return String(tail) }
    }
    return after.first?.isNumber == true ? String(after) : nil
  }
}

/// glibc's `/etc/ld.so.cache`, the format `glibc-ld.so.cache1.1` (glibc, `sysdeps/generic/dl-cache.h`): a header of 48
/// bytes, entries of 24 bytes with the offsets of name and path, and a table of strings.
enum LoaderCache {
  static func paths(_ bytes: [UInt8], where isWanted: (String) -> Bool) -> [String]? {
    bytes.withUnsafeBytes { bytes in
      // A file of glibc before 2.32 begins with an older format, and holds this one further in; offsets count from it.
      guard let base = firstOccurrence(of: "glibc-ld.so.cache1.1", in: bytes) else { return nil }
      func word(_ offset: Int) -> Int? {
        guard offset >= 0, offset + 4 <= bytes.count else { return nil }
        return Int(UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt32.self)))
      }
      func string(_ offset: Int) -> String? {
        guard offset >= 0, offset < bytes.count, let start = bytes.baseAddress else { return nil }
        guard let end = memchr(start + offset, 0, bytes.count - offset) else { return nil }
        let length = UnsafeRawPointer(end) - (start + offset)
        return String(decoding: UnsafeRawBufferPointer(start: start + offset, count: length), as: UTF8.self)
      }
      guard let count = word(base + 20), count < 1 << 20 else { return nil }
      var paths: [String] = []
      for index in 0..<count {
        let entry = base + 48 + 24 * index
        guard let key = word(entry + 4), let value = word(entry + 8), let name = string(base + key) else { return nil }
        if isWanted(name), let path = string(base + value) { paths.append(path) }
      }
      return paths
    }
  }

  private static func firstOccurrence(of magic: String, in bytes: UnsafeRawBufferPointer) -> Int? {
    let length = magic.utf8.count
    guard let start = bytes.baseAddress, bytes.count >= length else { return nil }
    return (0...(bytes.count - length)).first { memcmp(start + $0, magic, length) == 0 }
  }
}
