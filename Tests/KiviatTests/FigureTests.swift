// Does `kiviat report --figures` leave whole files, and say why it can't?
import Foundation
import Testing

struct FigureTests {
  let workplace: Workplace
  init() throws {
    workplace = try Workplace()
    _ = try workplace.kiviat("profile", "-q", "-o", "p.kiviat", "--", "true")
  }

  @Test func figuresComeBesidesTheReport() throws {
    try FileManager.default.createDirectory(atPath: workplace.file("made"), withIntermediateDirectories: false)
    for folder in ["new/figures", "made", "made"] {
      let ended = try workplace.kiviat("report", "p.kiviat", "--figures", folder)
      #expect(ended.status == 0 && ended.errors.contains(" into \(folder)"), "\(ended)")
      #expect(workplace.exists("p.html"))
      let names = try FileManager.default.contentsOfDirectory(atPath: workplace.file(folder))
      #expect(names.contains { $0.hasSuffix(".csv") } && names.contains { $0.hasSuffix(".tex") })
    }
  }

  @Test func aFileIsNoFolder() throws {
    let ended = try workplace.kiviat("report", "p.kiviat", "--figures", "p.kiviat")
    #expect(ended.status == 1 && ended.errors.contains("p.kiviat is a file: name a folder with --figures"), "\(ended)")
    let inside = try workplace.kiviat("report", "p.kiviat", "--figures", "p.kiviat/figures")
    #expect(inside.status == 1 && inside.errors.contains("can't make the folder p.kiviat/figures"), "\(inside)")
    // Before the work: no page was written.
    #expect(!workplace.exists("p.html"))
  }
}
