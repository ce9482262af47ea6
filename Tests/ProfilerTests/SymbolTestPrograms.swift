// Programs that the symbol and unwinding tests compile and run, so that compiler and binutils are their oracles.
import Foundation

/// Running other programs.
enum TestTool {
  static func find(_ name: String) -> String? {
    let path = ProcessInfo.processInfo.environment["PATH"] ?? "/usr/bin:/bin"
    return path.split(separator: ":").map { "\($0)/\(name)" }.first { access($0, X_OK) == 0 }
  }

  static let hasCompiler = find("cc") != nil && find("c++") != nil
  static let hasBinutils = hasCompiler && ["nm", "addr2line", "objcopy", "strip"].allSatisfy { find($0) != nil }

  struct Failure: Error, CustomStringConvertible {
    var description: String
  }

  /// Standard output of a program.
  @discardableResult
  static func run(_ tool: String, _ arguments: [String], input: String = "") throws -> String {
    guard let path = tool.hasPrefix("/") ? tool : find(tool) else { throw Failure(description: "no \(tool)") }
    let process = Process()
    process.executableURL = URL(fileURLWithPath: path)
    process.arguments = arguments
    let (output, feed) = (Pipe(), Pipe())
    process.standardOutput = output
    process.standardInput = feed
    try process.run()
    // Small enough for the pipe, so nobody waits for anybody.
    feed.fileHandleForWriting.write(Data(input.utf8))
    try feed.fileHandleForWriting.close()
    let data = output.fileHandleForReading.readDataToEndOfFile()
    process.waitUntilExit()
    guard process.terminationStatus == 0 else {
      throw Failure(description: "\(tool) \(arguments) exited with \(process.terminationStatus)")
    }
    return String(decoding: data, as: UTF8.self)
  }
}

/// A folder that goes away with its owner.
final class TestFolder {
  let path: String

  init() throws {
    var template = Array("/tmp/kiviat-symbols-XXXXXX".utf8CString)
    guard mkdtemp(&template) != nil else { throw TestTool.Failure(description: "no temporary folder") }
    path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }

  deinit { try? FileManager.default.removeItem(atPath: path) }

  func file(_ name: String, _ contents: String = "") throws -> String {
    let file = "\(path)/\(name)"
    try contents.write(toFile: file, atomically: true, encoding: .utf8)
    return file
  }

  /// Compiles a program and gives its path.
  func compile(_ source: String, name: String, _ flags: [String]) throws -> String {
    let file = try file("\(name).cc", source)
    let output = "\(path)/\(name)"
    try TestTool.run("c++", flags + ["-o", output, file])
    return output
  }
}

enum TestProgram {
  /// Prints its own mappings, then `NAME ADDRESS` of some functions. The inlined template stands on lines 5 to 9 and is
  /// called on line 11.
  static let functions = """
    #include <cstdio>
    #include <cstdlib>
    namespace ns {
    template <typename T>
    static inline __attribute__((always_inline)) T sum_of_squares(T sum, const T *p, int n) {
      for (int i = 0; i < n; i++)
        sum += p[i] * p[i];
      return sum;
    }
    __attribute__((noinline)) double kernel(const double *p, int n) {
      return sum_of_squares<double>(0.5, p, n);
    }
    struct Layer {
      __attribute__((noinline)) int forward(int x) const { return x * 3 + 1; }
    };
    }
    static __attribute__((noinline)) int hidden(int x) { return rand() ^ x; }
    extern "C" __attribute__((noinline)) int plain(int x) { return hidden(x) + 1; }
    int main() {
      FILE *maps = fopen("/proc/self/maps", "r");
      for (int c; (c = fgetc(maps)) != EOF;) putchar(c);
      puts("--");
      double values[4] = {1, 2, 3, (double)rand()};
      int (ns::Layer::*method)(int) const = &ns::Layer::forward;
      printf("ns::kernel(double_const*,_int) %lx\\n", (unsigned long)&ns::kernel);
      printf("ns::Layer::forward(int)_const %lx\\n", *(unsigned long *)&method);
      printf("plain %lx\\n", (unsigned long)&plain);
      printf("hidden(int) %lx\\n", (unsigned long)&hidden);
      printf("main %lx\\n", (unsigned long)&main);
      return ns::kernel(values, 4) < 0 || ns::Layer().forward(plain(1)) == 0x12345678;
    }
    """

  /// Writes, from deep in a chain of calls, what a sample would hold: registers in the kernel's order on a line, the stack
  /// from the stack pointer up in hex on a line, then its mappings.
  static let stack = """
    #include <stdio.h>
    #include <stdint.h>
    #include <ucontext.h>
    volatile int sink;
    __attribute__((noinline)) void leaf_dump(int bytes) {
      ucontext_t c;
      getcontext(&c);
      greg_t *g = c.uc_mcontext.gregs;
      const int order[] = {REG_RAX, REG_RBX, REG_RCX, REG_RDX, REG_RSI, REG_RDI, REG_RBP, REG_RSP, REG_RIP, REG_EFL};
      for (int i = 0; i < 10; i++) printf("%lx ", (unsigned long)g[order[i]]);
      printf("33 2b ");
      for (int i = REG_R8; i <= REG_R15; i++) printf("%lx ", (unsigned long)g[i]);
      printf("\\n");
      const unsigned char *sp = (const unsigned char *)g[REG_RSP];
      for (int i = 0; i < bytes; i++) printf("%02x", sp[i]);
      printf("\\n");
      FILE *maps = fopen("/proc/self/maps", "r");
      for (int ch; (ch = fgetc(maps)) != EOF;) putchar(ch);
    }
    __attribute__((noinline)) int third(int n) { char room[300]; room[n & 255] = n; leaf_dump(n); sink = room[n & 63]; return sink + 1; }
    __attribute__((noinline)) int second(int n) { int r = third(n) + sink; sink = r; return r; }
    __attribute__((noinline)) int first(int n) { int r = second(n) * 3; sink += r; return r; }
    int main() { return first(4096) == 12345; }
    """
}
