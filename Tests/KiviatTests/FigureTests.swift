// Does `kiviat report --figures` leave whole files, and say why it can't?
import Foundation
import Testing

struct FigureTests {
  @Test func figuresComeBesidesTheReport() throws {
    let workplace = try Workplace()
    _ = try workplace.kiviat("profile", "-o", "p.kiviat", "--", "true")
    try FileManager.default.createDirectory(atPath: workplace.file("made"), withIntermediateDirectories: false)
    for folder in ["new/figures", "made", "made"] {
      let ended = try workplace.kiviat("report", "p.kiviat", "--figures", folder)
      #expect(ended.status == 0 && ended.error.contains(" into \(folder)"))
      #expect(FileManager.default.fileExists(atPath: workplace.file("p.html")))
      let names = try FileManager.default.contentsOfDirectory(atPath: workplace.file(folder))
      #expect(names.contains { $0.hasSuffix(".csv") } && names.contains { $0.hasSuffix(".tex") })
    }
  }

  @Test func aFileIsNoFolder() throws {
    let workplace = try Workplace()
    _ = try workplace.kiviat("profile", "-o", "p.kiviat", "--", "true")
    let ended = try workplace.kiviat("report", "p.kiviat", "--figures", "p.kiviat")
    #expect(ended.status != 0 && ended.error.contains("p.kiviat is a file: name a folder with --figures"))
    // Before the work: no page was written.
    #expect(!FileManager.default.fileExists(atPath: workplace.file("p.html")))
  }
}
