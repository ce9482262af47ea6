// Are Callgrind's files understood, whole, cut off and broken? The format is valgrind.org/docs/manual/cl-format.html.
import Foundation
@testable import Profiler
import Testing

@Suite struct CallgrindFormatTests {
  /// All parts of a text, read in pieces of so many bytes.
  func parts(_ text: String, pieces: Int = 7) throws -> [CallgrindPart] {
    var parts: [CallgrindPart] = []
    var parser = CallgrindParser { parts.append($0) }
    let bytes = Array(text.utf8)
    for start in stride(from: 0, to: bytes.count, by: pieces) {
      try parser.read(bytes[start..<min(start + pieces, bytes.count)])
    }
    try parser.finish()
    return parts
  }

  func function(_ name: String, _ object: String = "/bin/app") -> CallgrindFunction {
    CallgrindFunction(name: name, object: object)
  }

  // main runs 20 instructions itself in three lines and calls work twice, whose 400 are inclusive there.
  static let whole = """
    # callgrind format
    version: 1
    creator: callgrind-3.19.0
    pid: 4711
    cmd:  ./app one two
    part: 1

    desc: I1 cache: 32768 B, 64 B, 8-way associative
    desc: Trigger: Program termination

    positions: line
    events: Ir Dr I1mr
    summary: 420 13 2

    ob=(1) /bin/app
    fl=(1) app.c
    fn=(1) main
    16 4 2 1
    +1 6
    cfn=(2) work
    calls=2 100
    * 400 11 1
    -3 10

    fn=(2)
    100 300 8
    fi=(2) inlined.h
    3 100 3 1
    totals: 420 13 2

    """

  @Test(
    "A part: compressed names, relative lines, inlined code, left out zeros, inclusive costs not added",
    arguments: [1, 3, 64, 4096])
  func part(pieces: Int) throws {
    let part = try #require(try parts(Self.whole, pieces: pieces).first)
    #expect(part.pid == 4711)
    #expect(part.command == "./app one two")
    #expect(part.trigger == "Program termination")
    #expect(part.events == ["Ir", "Dr", "I1mr"])
    #expect(part.functions == [function("main"): [20, 2, 1], function("work"): [400, 11, 1]])
    #expect(part.totals == [420, 13, 2])
    #expect(part.isComplete)
  }

  @Test("Several parts: names told in the first hold in the second, triggers are their own")
  func several() throws {
    let second = """
      part: 2

      desc: Timerange: Basic block 1 - 2
      desc: Trigger: Client Request: kiviat:c:GEMM|kiviat:

      positions: line
      events: Ir Dr I1mr
      summary: 7

      ob=(1)
      fl=(1)
      fn=(2)
      +0 5
      cob=(3) /lib/libc.so
      cfi=(4) ???
      cfn=(9) memcpy
      calls=1 0
      0 50
      0 2
      totals: 7

      """
    let both = try parts(Self.whole + second)
    #expect(both.count == 2)
    #expect(both[1].trigger == "Client Request: kiviat:c:GEMM|kiviat:")
    #expect(both[1].pid == 4711)
    #expect(both[1].functions == [function("work"): [7, 0, 0]])
    #expect(both[1].isComplete)
  }

  @Test("Addresses and lines, whole and compressed; jumps; the object of a function stays while none is told")
  func positions() throws {
    let text = """
      positions: instr line
      events: Ir Bc
      ob=app
      fn=one
      0x80001234 90 5 1
      jcnd=3/4 +8 *
      * *
      +3 +5 6
      fn=two
      * -2 1
      totals: 12 1

      """
    let part = try #require(try parts(text).first)
    #expect(part.functions == [function("one", "app"): [11, 1], function("two", "app"): [1, 0]])
    #expect(part.isComplete)
  }

  @Test("Functions of one name in two objects are two, in two files of one object one")
  func objects() throws {
    let text = """
      events: Ir
      ob=(1) a.so
      fl=(1) x.c
      fn=(1) same
      1 10
      fl=(2) y.c
      fn=(2) same
      1 20
      ob=(2) b.so
      fn=(1)
      1 40
      totals: 70

      """
    let part = try #require(try parts(text).first)
    #expect(part.functions == [function("same", "a.so"): [30], function("same", "b.so"): [40]])
  }

  @Test("A file that is cut off anywhere gives what is whole, and never says that it is complete")
  func truncated() throws {
    let bytes = Array(Self.whole.utf8)
    // The last line's end and the empty line behind it may be missing.
    for length in 0..<(bytes.count - 3) {
      var found: [CallgrindPart] = []
      var parser = CallgrindParser { found.append($0) }
      do {
        try parser.read(bytes[..<length])
        try parser.finish()
      } catch {
        #expect(!"\(error)".isEmpty)
      }
      #expect(found.allSatisfy { !$0.isComplete }, "cut off at \(length)")
      for part in found { #expect(part.sums.first ?? 0 <= 420) }
    }
  }

  @Test("What does not add up is not complete")
  func sums() throws {
    let part = try #require(try parts(Self.whole.replacing("totals: 420", with: "totals: 421")).first)
    #expect(!part.isComplete)
  }

  @Test(
    "Nonsense is an error that names the line",
    arguments: [
      ("", 0), ("hello\n", 1), ("events: Ir\nfn=(1)\n", 2), ("events: Ir\n1 2\n", 2), ("fn=a\n1 2\n", 2),
      ("events: Ir\nfn=a\n1 2 3\n", 3), ("events: Ir\nfn=a\n1 2x\n", 3), ("events: Ir Ir\n", 1),
      ("events: Ir\nfn=a\n1 99999999999999999999\n", 3), ("events: Ir\nfn=a\n1 18446744073709551615\n1 1\n", 4),
      ("events: Ir\nwhat=1\n", 2), ("positions: a b c d\n", 1), ("events: Ir\ntotals: 1 2\n", 2),
      ("events: Ir\ntotals: x\n", 2), ("\u{0}\u{1}\u{2}\n", 1),
    ])
  func nonsense(text: String, line: Int) {
    let error = #expect(throws: CallgrindFormatError.self) { try parts(text) }
    #expect(error?.line == line)
  }

  @Test("Bytes changed at random never trap")
  func garbage() {
    var generator = SystemRandomNumberGenerator()
    for _ in 0..<400 {
      var bytes = Array(Self.whole.utf8)
      for _ in 0..<Int.random(in: 1...12, using: &generator) {
        bytes[Int.random(in: 0..<bytes.count, using: &generator)] = UInt8.random(in: 0...255, using: &generator)
      }
      var count = 0
      var parser = CallgrindParser { _ in count += 1 }
      try? parser.read(bytes)
      try? parser.finish()
      #expect(count <= bytes.count)
    }
  }

  @Test("A line without end is refused before it fills the memory")
  func endless() {
    var parser = CallgrindParser { _ in }
    let error = #expect(throws: CallgrindFormatError.self) {
      try parser.read([UInt8](repeating: 0x41, count: CallgrindParser.maximumLine + 1))
    }
    #expect(error != nil)
  }
}
