// Does a command behave under `kiviat profile` as it does without?
import Foundation
import ProfileModel
import Testing

@Suite(.serialized) struct PassThroughTests {
  let workplace: Workplace
  init() throws { workplace = try Workplace() }

  @Test(arguments: [0, 1, 3, 64, 126, 127, 255])
  func exitStatus(_ status: Int32) throws {
    let ended = try workplace.kiviat("profile", "-q", "-o", "p.kiviat", "--", "sh", "-c", "exit \(status)")
    #expect(ended.status == status, "\(ended)")
    let repetition = try #require(try workplace.profile().repetitions.first).repetition
    #expect(repetition.state == .finished && repetition.exitStatus == status && repetition.signal == nil)
  }

  @Test(arguments: [SIGKILL, SIGSEGV, SIGABRT, SIGTERM, SIGPIPE])
  func signalThatKills(_ signal: Int32) throws {
    let ended = try workplace.kiviat("profile", "-q", "-o", "p.kiviat", "--", "sh", "-c", "kill -\(signal) $$")
    #expect(ended.status == 128 + signal, "\(ended)")
    let repetition = try #require(try workplace.profile().repetitions.first).repetition
    #expect(repetition.state == .finished && repetition.signal == signal && repetition.exitStatus == nil)
  }

  @Test func standardStreams() throws {
    var random = SystemRandomNumberGenerator()
    let bytes = Data((0..<1_000_000).map { _ in UInt8.random(in: 0...255, using: &random) })
    let ended = try workplace.kiviat(
      "profile", "-q", "-o", "p.kiviat", "--", "sh", "-c", "cat; echo problem >&2", input: bytes)
    #expect(ended.output == bytes)
    #expect(ended.errors == "problem\n")
  }

  @Test func ownWordsGoToStderr() throws {
    let ended = try workplace.kiviat("profile", "-o", "p.kiviat", "--", "echo", "data")
    #expect(ended.text == "data\n")
    #expect(ended.errors.contains("p.kiviat"))
  }

  @Test func argumentsAreNotTouched() throws {
    let arguments = ["", "a b", "$HOME", "*", "\"", "'", "\\", ";ls", "$(touch pwned)", "--", "-o", "é🙂", "\n"]
    let ended = try workplace.start(
      Programs.kiviat + ["profile", "-q", "-o", "p.kiviat", "--", "printf", "%s\\0"] + arguments
    ).wait()
    #expect(ended.text == arguments.map { $0 + "\0" }.joined())
    #expect(!workplace.exists("pwned"))
    let setting = try #require(try workplace.profile().settings["command"])
    let command = try JSONDecoder().decode([String].self, from: Data(setting.utf8))
    #expect(command == ["printf", "%s\\0"] + arguments)
  }

  @Test func directoryAndEnvironmentAreInherited() throws {
    let ended = try workplace.kiviat(
      "profile", "-q", "-o", "p.kiviat", "--", "sh", "-c", "pwd; echo $SOME_VARIABLE",
      environment: ["SOME_VARIABLE": "some value"])
    let folder = URL(fileURLWithPath: workplace.path).resolvingSymlinksInPath().path
    #expect(ended.text == "\(folder)\nsome value\n")
  }

  @Test func repetitions() throws {
    let ended = try workplace.kiviat("profile", "-q", "-r", "3", "-o", "p.kiviat", "--", "sh", "-c", "echo x; exit 4")
    #expect(ended.status == 4 && ended.text == "x\nx\nx\n", "\(ended)")
    #expect(try workplace.profile().repetitions.map(\.repetition.exitStatus) == [4, 4, 4])
  }

  /// The default name is the command's, and an older profile is kept.
  @Test func defaultNameAndOldProfile() throws {
    for _ in 0..<2 {
      let ended = try workplace.kiviat("profile", "-q", "--", "/bin/true")
      #expect(ended.status == 0, "\(ended)")
    }
    #expect(workplace.exists("true.kiviat") && workplace.exists("true.kiviat.old"))
  }

  /// Every report format comes out of a file that was just written, and so does the machine's description.
  @Test(arguments: ["html", "markdown", "json", "csv", "text"])
  func reportFormats(_ format: String) throws {
    let profiled = try workplace.kiviat("profile", "-q", "-o", "p.kiviat", "--", "sh", "-c", "exit 0")
    #expect(profiled.status == 0, "\(profiled)")
    let ended = try workplace.kiviat("report", "p.kiviat", "--format", format, "-o", "-")
    #expect(ended.status == 0 && !ended.output.isEmpty, "\(ended)")
    if format == "json" { _ = try JSONSerialization.jsonObject(with: ended.output) }
  }

  @Test func doctorSaysWhatCanBeMeasured() throws {
    let ended = try workplace.kiviat("doctor")
    #expect(ended.status == 0 && !ended.text.isEmpty, "\(ended)")
    let json = try workplace.kiviat("doctor", "--json")
    #expect(json.status == 0)
    _ = try JSONSerialization.jsonObject(with: json.output)
  }
}
