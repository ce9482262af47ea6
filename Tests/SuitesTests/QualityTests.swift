// Is a command's quality found where the manifest says, and is it told why when it is not?
import Foundation
import Testing

@testable import Suites

@Suite final class QualityTests {
  let folder = NSTemporaryDirectory() + "kiviat-quality-\(UUID().uuidString)"

  init() throws { try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true) }
  deinit { try? FileManager.default.removeItem(atPath: folder) }

  private func file(_ name: String, _ text: String) throws -> String {
    try text.write(toFile: "\(folder)/\(name)", atomically: true, encoding: .utf8)
    return "\(folder)/\(name)"
  }

  private func output(_ text: String, _ pattern: String) throws -> Double {
    try QualitySource.output(pattern: pattern)
      .read(output: try file("out", text), directory: folder, startedAt: 0)
  }

  @Test(
    arguments: [
      ("accuracy: 0.5\naccuracy: 0.75\nbye\n", "accuracy: ([0-9.]+)", 0.75),
      ("no line end 3e-2", "end (.*)", 0.03), ("a=1 a=2\n", "a=([0-9])", 2), ("42\n", "[0-9]+", 42),
      ("loss -1.5 %\n", "loss (\\S+)", -1.5), ("x: nan\n", "x: (.*)", .nan), ("\n\n\nv 7\n\n\n", "^v (.)$", 7),
      ("α: 0.25 β\r\n", "α: ([0-9.]+) β", 0.25),
    ] as [(String, String, Double)])
  func lastMatch(_ text: String, _ pattern: String, _ value: Double) throws {
    let found = try output(text, pattern)
    #expect(found == value || found.isNaN && value.isNaN)
  }

  /// Lines that lie across the blocks in which the file is read.
  @Test func longOutput() throws {
    let noise = String(repeating: "line of noise ", count: 7000)
    #expect(try output("q 1\n\(noise)\nq 2\n\(noise)\nq\(noise)\n", "^q ([0-9])$") == 2)
    let lines = (0..<30_000).map { "step \($0)" }.joined(separator: "\n")
    #expect(try output(lines, "step ([0-9]*7)$") == 29_997)
    let path = try file("lines", "first\n\nthird")
    let reversed = LinesFromTheEnd(path: path)
    #expect([reversed?.next(), reversed?.next(), reversed?.next(), reversed?.next()] == ["third", "", "first", nil])
  }

  @Test func outputWithout() throws {
    #expect(throws: QualitySource.Failure.noMatch(pattern: "q (.)", where: "the output")) {
      try output("nothing here\n", "q (.)")
    }
    #expect(throws: QualitySource.Failure.noMatch(pattern: "q (.)", where: "the output")) { try output("", "q (.)") }
    #expect(throws: QualitySource.Failure.notANumber("good", where: "the output")) { try output("q good\n", "q (.*)") }
  }

  @Test func jsonPointers() throws {
    // RFC 6901, section 5, with numbers for values that are none there.
    let path = try file(
      "r.json",
      #"{"foo": [1, {"bar": 2.5}], "": 0, "a/b": 1, "m~n": 8, "~1": 9, "deep": {"er": {"x": -3e2}}, "t": true, "s": "1"}"#
    )
    for (pointer, value) in [
      ("/foo/0", 1), ("/foo/1/bar", 2.5), ("/", 0), ("/a~1b", 1), ("/m~0n", 8), ("/~01", 9), ("/deep/er/x", -300),
    ] {
      #expect(try QualitySource.number(at: pointer, of: path) == value, "\(pointer)")
    }
    #expect(try QualitySource.number(at: "", of: try file("n.json", "0.5")) == 0.5)
    for pointer in ["/t", "/s", "/foo", ""] {
      #expect(throws: QualitySource.Failure.self, "\(pointer)") { try QualitySource.number(at: pointer, of: path) }
    }
    #expect(throws: QualitySource.Failure.noValue(pointer: "/foo/2", file: path)) {
      try QualitySource.number(at: "/foo/2", of: path)
    }
    let broken = try file("b.json", "{\"a\": ")
    #expect(throws: QualitySource.Failure.self) { try QualitySource.number(at: "/a", of: broken) }
  }

  @Test func filesOfTheRun() throws {
    let source = QualitySource.json(file: "r.json", pointer: "/q")
    #expect(throws: QualitySource.Failure.noFile("\(folder)/r.json")) {
      try source.read(output: "", directory: folder, startedAt: 0)
    }
    _ = try file("r.json", #"{"q": 3}"#)
    #expect(try source.read(output: "", directory: folder, startedAt: Date().timeIntervalSince1970) == 3)
    // Left by an earlier run.
    #expect(throws: QualitySource.Failure.staleFile("\(folder)/r.json")) {
      try source.read(output: "", directory: folder, startedAt: Date().timeIntervalSince1970 + 3600)
    }
    _ = try file("log.txt", "q 1\nq 2\n")
    #expect(try QualitySource.file("log.txt", pattern: "q (.)").read(output: "", directory: folder, startedAt: 0) == 2)
  }
}
