// Does `kiviat compare` tell runs apart as its exit status says, and what does it say of arguments that don't compare?
import Foundation
import ProfileModel
import Testing

@Suite(.serialized) struct CompareTests {
  let workplace: Workplace
  init() throws { workplace = try Workplace() }

  private func profile(_ name: String, _ command: String, repetitions: Int = 6) throws {
    let ended = try workplace.kiviat(
      "profile", "-q", "-r", "\(repetitions)", "-o", name, "--", "sh", "-c", command)
    #expect(ended.status == 0, "\(ended)")
  }

  /// A profile of runs that took so many milliseconds: real ones would depend on what else the machine does.
  private func recorded(_ name: String, milliseconds: [Int64], from start: Int64) throws {
    let writer = try ProfileWriter(
      creating: workplace.file(name), settings: ["kind": "command", "command": #"["work"]"#, "kiviat.version": "0"])
    try writer.write { file in
      for (index, time) in milliseconds.enumerated() {
        var repetition = Repetition(
          index: index, startedAtUnixNanoseconds: (start + Int64(index)) * 1_000_000_000,
          startMonotonicNanoseconds: 0, wallNanoseconds: time * 1_000_000, state: .finished)
        repetition.exitStatus = 0
        try file.repetition(repetition)
      }
    }
  }

  @Test func fasterSlowerAndFormats() throws {
    try recorded("short.kiviat", milliseconds: [20, 21, 20, 22, 21, 20], from: 1000)
    try recorded("long.kiviat", milliseconds: [201, 199, 203, 200, 198, 202], from: 2000)
    let slower = try workplace.kiviat("compare", "short.kiviat", "long.kiviat")
    #expect(slower.status == 3 && slower.text.hasPrefix("B is slower: wall time"), "\(slower)")
    let faster = try workplace.kiviat("compare", "long.kiviat", "short.kiviat", "-o", "x.html")
    #expect(faster.status == 0 && faster.errors.contains("B is faster") && faster.text.isEmpty, "\(faster)")
    let page = try String(contentsOfFile: workplace.file("x.html"), encoding: .utf8)
    #expect(page.hasPrefix("<!DOCTYPE html>") && page.contains("B is faster"))
    for (format, start) in [("json", "{"), ("csv", "section,name"), ("markdown", "# ")] {
      let ended = try workplace.kiviat("compare", "long.kiviat", "short.kiviat", "--format", format)
      #expect(ended.status == 0 && ended.text.hasPrefix(start), "\(ended)")
    }
  }

  @Test func oneRepetitionCantTell() throws {
    try profile("a.kiviat", "exit 0", repetitions: 1)
    try profile("b.kiviat", "exit 0", repetitions: 1)
    let ended = try workplace.kiviat("compare", "a.kiviat", "b.kiviat")
    #expect(ended.status == 4 && ended.text.contains("kiviat profile -r 5"), "\(ended)")
  }

  @Test func foldersAreSides() throws {
    for folder in ["before", "after"] {
      try FileManager.default.createDirectory(
        atPath: workplace.file(folder), withIntermediateDirectories: true)
      for number in 1...3 { try profile("\(folder)/x@\(number).kiviat", "exit 0", repetitions: 1) }
    }
    let ended = try workplace.kiviat("compare", "before", "after", "--format", "json")
    #expect([0, 3, 4].contains(ended.status) && ended.text.contains(#""counted" : 3"#), "\(ended)")
  }

  @Test func badArguments() throws {
    try profile("a.kiviat", "exit 0", repetitions: 1)
    try workplace.write("hello\n", to: "other.kiviat")
    let whole = try Data(contentsOf: URL(fileURLWithPath: workplace.file("a.kiviat")))
    try whole.prefix(whole.count / 2).write(to: URL(fileURLWithPath: workplace.file("cut.kiviat")))
    try whole.write(to: URL(fileURLWithPath: workplace.file("copy.kiviat")))
    try FileManager.default.createDirectory(atPath: workplace.file("empty"), withIntermediateDirectories: true)
    let cases: [(arguments: [String], status: Int32, words: String)] = [
      (["a.kiviat", "a.kiviat"], 64, "on both sides"), (["a.kiviat", "./a.kiviat"], 64, "on both sides"),
      (["a.kiviat", "copy.kiviat"], 64, "in common"), (["a.kiviat", "none.kiviat"], 1, "no profile at none.kiviat"),
      (["a.kiviat", "other.kiviat"], 1, "is not a Kiviat profile"), (["a.kiviat", "cut.kiviat"], 1, "is damaged"),
      (["a.kiviat", "empty"], 1, "there is no profile in empty"), (["a.kiviat"], 64, "Missing"),
      (["a.kiviat", "a.kiviat", "--margin", "0"], 64, "--margin"),
      (["a.kiviat", "a.kiviat", "--margin", "nan"], 64, "--margin"),
      (["a.kiviat", "copy.kiviat", "-o", "none/x.html"], 1, "can't write"),
    ]
    for (arguments, status, words) in cases {
      let ended = try workplace.start(Programs.kiviat + ["compare"] + arguments).wait()
      #expect(ended.status == status && ended.errors.contains(words), "\(arguments): \(ended)")
    }
  }

  @Test func aSuitesFolderIsNoSide() throws {
    try FileManager.default.createDirectory(atPath: workplace.file("suite"), withIntermediateDirectories: true)
    try workplace.write(
      """
      suite: two
      benchmarks:
        - {id: one, command: [sh, -c, "exit 0"]}
        - {id: other, command: [sh, -c, "exit 0"]}
      """, to: "two.yaml")
    let made = try workplace.kiviat("profile", "two.yaml", "-q", "-o", "suite")
    #expect(made.status == 0, "\(made)")
    try profile("a.kiviat", "exit 0", repetitions: 1)
    let ended = try workplace.kiviat("compare", "suite", "a.kiviat")
    #expect(ended.status == 64 && ended.errors.contains("is a suite and the other side is not"), "\(ended)")
    let different = try workplace.kiviat("compare", "suite/one.kiviat", "suite/other.kiviat")
    #expect(different.status == 64 && different.errors.contains("--force"), "\(different)")
    let forced = try workplace.kiviat("compare", "suite/one.kiviat", "suite/other.kiviat", "--force")
    #expect(forced.status == 4, "\(forced)")
  }
}
