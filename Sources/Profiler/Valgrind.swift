// Is Valgrind there, how is it started, and what does its log say about the end of a run?
import Glibc
import ProfileModel

/// Valgrind on this machine.
public struct Valgrind: Hashable, Sendable {
  /// The program.
  public var path: String
  /// `3.19.0`; empty when it does not tell.
  public var version: String

  /// How it is installed where it is missing.
  public static let missing = Unavailable(
    "Valgrind was not found in PATH", remedy: "sudo apt-get install valgrind")

  /// Looks for it in `PATH`, and asks for its version.
  public static func find() -> Valgrind? {
    let path = getenv("PATH").map { String(cString: $0) } ?? "/usr/local/bin:/usr/bin:/bin"
    guard
      let program = path.split(separator: ":").map({ "\($0)/valgrind" as String }).first(where: {
        access($0, X_OK) == 0
      })
    else { return nil }
    var version = ""
    if let directory = try? RunDirectory(),
      let target = try? LaunchedTarget([program, "--version"], environment: [:], output: directory.path + "/version"),
      (try? target.start()) != nil, let usage = try? target.reap(), usage.exitCode == 0
    {
      let text = contents(ofSmallFile: directory.path + "/version", limit: 4096) ?? ""
      version = text.split(whereSeparator: \.isWhitespace).first.map(String.init) ?? ""
      if version.hasPrefix("valgrind-") { version.removeFirst(9) }
    }
    return Valgrind(path: program, version: version)
  }

  /// The command that runs a command in Callgrind.
  ///
  /// - Parameters:
  ///   - directory: where counts (`counts.PID`) and logs (`log.PID`) go.
  ///   - isTraced: whether the program itself says when to count (see CTorch/simulation.cpp).
  func command(_ command: [String], caches: SimulatedCaches, directory: String, isTraced: Bool) -> [String] {
    // A percent sign begins a placeholder of Valgrind's.
    let folder = directory.replacing("%", with: "%%")
    var arguments = [
      path, "--command-line-only=yes", "--tool=callgrind", "--vgdb=no", "--cache-sim=yes", "--branch-sim=yes",
      "--dump-line=no", "--combine-dumps=yes", "--callgrind-out-file=\(folder)/counts.%p",
      "--log-file=\(folder)/log.%p",
    ]
    arguments += caches.arguments
    if isTraced {
      arguments += ["--instr-atstart=no", "--collect-atstart=no"]
    } else {
      // A forked process begins with its parent's counts; written before the fork, they are the parent's alone. What has
      // run is written now and then, so that a killed process leaves more than nothing.
      arguments += ["--trace-children=yes", "--dump-every-bb=500000000"]
      arguments += ["fork", "_Fork", "__libc_fork"].map { "--dump-before=\($0)" }
    }
    return arguments + command
  }
}

/// What Valgrind's log of one process tells.
struct ValgrindLog: Hashable {
  /// The command line, with blanks between the arguments.
  var command = ""
  /// The instruction that this Valgrind does not know.
  var unknownInstruction: String?
  /// The file whose debug information it can't read; it gives up then.
  var unreadableDebugInfo: String?
  var isOutOfMemory = false
  /// Other reasons to give up, in its own words.
  var failure: String?

  init(_ text: String) {
    // Lines begin with ==PID== or --PID--.
    let lines = text.split(separator: "\n").map { line -> Substring in
      guard line.hasPrefix("==") || line.hasPrefix("--") else { return line }
      return line.dropFirst(2).drop { $0.isNumber }.dropFirst(2).drop { $0 == " " }
    }
    for (index, line) in lines.enumerated() {
      if command.isEmpty, line.hasPrefix("Command: ") { command = String(line.dropFirst(9)) }
      if line.contains("unhandled instruction bytes:") || line.contains("nrecognised instruction") {
        unknownInstruction = unknownInstruction ?? line.split(separator: ":").last.map { $0.trimmed }
      }
      if line.contains("Valgrind's memory management: out of memory") || line.contains("out of memory:") {
        isOutOfMemory = true
      }
      if line.contains("debuginfo reader:") {
        let path = lines[index...].prefix(6).first { $0.contains("\"/") }
        unreadableDebugInfo =
          unreadableDebugInfo ?? path?.split(separator: "\"").first { $0.hasPrefix("/") }.map(String.init)
      }
      if line.contains("the 'impossible' happened") || line.contains("FATAL") {
        failure = failure ?? String(line)
      }
    }
  }
}

extension Substring {
  fileprivate var trimmed: String {
    var rest = self
    while rest.first == " " { rest.removeFirst() }
    while rest.last == " " { rest.removeLast() }
    return String(rest)
  }
}

/// A copy of a program in which debug information goes by other names, so that no reader of it looks: Valgrind before
/// 3.21 gives up on what newer compilers write (DWARF 5's string offsets). The symbols stay.
enum HiddenDebugInfo {
  /// Makes the copy.
  ///
  /// - Throws: `SystemCallError`. A file that is no 64-bit ELF file of this machine's byte order is `ENOEXEC`.
  static func copy(_ path: String, to copy: String) throws(SystemCallError) {
    let source = FileDescriptor(try systemCall("open") { open(path, O_RDONLY | O_CLOEXEC) })
    let target = FileDescriptor(
      try systemCall("open") { open(copy, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0o755) })
    var status = stat()
    try systemCall("fstat") { fstat(source.raw, &status) }
    let size = Int(status.st_size)
    var done = 0
    while done < size {
      let moved = try systemCall("sendfile") { sendfile(target.raw, source.raw, nil, min(size - done, 1 << 30)) }
      if moved == 0 { break }
      done += moved
    }
    func bytes(_ offset: Int, _ count: Int) throws(SystemCallError) -> [UInt8] {
      guard offset >= 0, count >= 0, count <= 16 << 20, offset <= size - count else {
        throw SystemCallError(call: "reading sections of \(path)", code: ENOEXEC)
      }
      var bytes = [UInt8](repeating: 0, count: count)
      let read = try systemCall("pread") { pread(target.raw, &bytes, count, off_t(offset)) }
      guard read == count else { throw SystemCallError(call: "reading sections of \(path)", code: ENOEXEC) }
      return bytes
    }
    func number(_ bytes: [UInt8], _ offset: Int, _ count: Int) -> Int {
      (0..<count).reduce(0) { $0 | Int(bytes[offset + $1]) &<< (8 &* $1) }
    }
    // Elf64_Ehdr: e_shoff at 40, e_shentsize, e_shnum, e_shstrndx at 58; Elf64_Shdr: sh_offset at 24, sh_size at 32.
    let header = try bytes(0, 64)
    let names = number(header, 62, 2)
    guard Array(header[0..<6]) == [0x7F, 0x45, 0x4C, 0x46, 2, 1], number(header, 58, 2) == 64, names > 0 else {
      throw SystemCallError(call: "reading sections of \(path)", code: ENOEXEC)
    }
    let (place, isTooFar) = number(header, 40, 8).addingReportingOverflow(names * 64)
    let section = try bytes(isTooFar ? -1 : place, 64)
    let offset = number(section, 24, 8)
    var table = try bytes(offset, number(section, 32, 8))
    let word = Array(".debug_".utf8)
    var index = 0
    while index + word.count <= table.count {
      if table[index] == word[0], Array(table[index..<(index + word.count)]) == word {
        table.replaceSubrange(index..<(index + word.count), with: ".hidden".utf8)
      }
      index += 1
    }
    let written = try systemCall("pwrite") { pwrite(target.raw, table, table.count, off_t(offset)) }
    guard written == table.count else { throw SystemCallError(call: "pwrite", code: EIO) }
  }
}
