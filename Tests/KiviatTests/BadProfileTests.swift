// What does `kiviat report` say of files that it can't show, and does it show what a hostile one holds safely?
import Foundation
import ProfileModel
import Testing

@Suite(.serialized) struct BadProfileTests {
  let workplace: Workplace
  init() throws { workplace = try Workplace() }

  private func makeProfile() throws {
    let ended = try workplace.kiviat("profile", "-q", "-o", "p.kiviat", "--", "sh", "-c", "exit 0")
    #expect(ended.status == 0, "\(ended)")
  }

  @Test func missing() throws {
    let ended = try workplace.kiviat("report", "none.kiviat")
    #expect(ended.status == 1 && ended.errors.contains("no profile at none.kiviat"), "\(ended)")
  }

  @Test(arguments: ["", "hello\n", "SQLite format 3\u{0}"])
  func notAProfile(_ content: String) throws {
    try workplace.write(content, to: "other.kiviat")
    let ended = try workplace.kiviat("report", "other.kiviat")
    #expect(ended.status == 1 && ended.errors.contains("is not a Kiviat profile"), "\(ended)")
    #expect(!workplace.exists("other.html"))
  }

  @Test func directory() throws {
    try FileManager.default.createDirectory(atPath: workplace.path + "/empty", withIntermediateDirectories: true)
    let ended = try workplace.kiviat("report", "empty", "-o", "x.html")
    #expect(ended.status == 1 && ended.errors.contains("there is no profile in empty"), "\(ended)")
    #expect(ended.errors.contains("kiviat profile") && !workplace.exists("x.html"), "\(ended)")
  }

  @Test(arguments: [0.2, 0.5, 0.9, 0.999])
  func truncated(_ share: Double) throws {
    try makeProfile()
    let whole = try Data(contentsOf: URL(fileURLWithPath: workplace.file("p.kiviat")))
    try whole.prefix(Int(Double(whole.count) * share)).write(to: URL(fileURLWithPath: workplace.file("cut.kiviat")))
    let ended = try workplace.kiviat("report", "cut.kiviat")
    #expect(ended.status == 1 && ended.errors.contains("cut.kiviat is damaged"), "\(ended)")
    #expect(!workplace.exists("cut.html"))
  }

  @Test func fromTheFuture() throws {
    try makeProfile()
    var bytes = try Data(contentsOf: URL(fileURLWithPath: workplace.file("p.kiviat")))
    // user_version, big-endian at offset 60 (SQLite's file format, section 1.3).
    bytes.replaceSubrange(60..<64, with: [0, 0, 0, 99])
    try bytes.write(to: URL(fileURLWithPath: workplace.file("p.kiviat")))
    let ended = try workplace.kiviat("report", "p.kiviat")
    #expect(
      ended.status == 1 && ended.errors.contains("version 99") && ended.errors.contains("update Kiviat"), "\(ended)")
  }

  /// Names in a profile are text, wherever they come from: no markup, no script, no shell.
  @Test func hostileNames() throws {
    let name = "<script>alert(1)</script><img src=x onerror=alert(2)>"
    let ended = try workplace.kiviat(
      "profile", "-q", "-o", "$(touch pwned);x.kiviat", "--", "sh", "-c", ": \"$0\"; exit 0", name, "</title>",
      "`touch pwned`")
    #expect(ended.status == 0, "\(ended)")
    for format in ["html", "markdown", "csv", "text", "json"] {
      let page = try workplace.kiviat("report", "$(touch pwned);x.kiviat", "--format", format, "-o", "-")
      #expect(page.status == 0, "\(page)")
      if format == "html" {
        #expect(!page.text.contains("<script>alert") && !page.text.contains("<img src=x"))
      }
    }
    #expect(!workplace.exists("pwned"))
  }
}
