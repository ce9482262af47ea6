// Does `kiviat subset` choose from published numbers, and say what is wrong with a word on its command line?
import Foundation
import Testing

struct SubsetCommandTests {
  @Test func theSubsetOfTheTechnicalReport() throws {
    let workplace = try Workplace()
    let text = try workplace.kiviat("subset", "published:aibench", "--against", "published:mlperf")
    #expect(text.status == 0, "\(text)")
    for words in ["Image classification, Object", "132.99", "225.41", "63.2", "37.7", "97.8", "can’t be applied"] {
      #expect(text.text.contains(words), "\(words)")
    }
    // No colours but on a terminal, and the same bytes twice.
    #expect(!text.text.contains("\u{1B}"))
    #expect(try workplace.kiviat("subset", "published:aibench", "--against", "published:mlperf").output == text.output)
    for (name, beginning) in [("s.html", "<!DOCTYPE html>"), ("s.md", "# "), ("s.csv", "suite,"), ("s.json", "{")] {
      let ended = try workplace.kiviat("subset", "published:aibench", "--features", "model", "-o", name)
      #expect(ended.status == 0 && ended.text.isEmpty, "\(ended)")
      #expect(try String(contentsOfFile: workplace.file(name), encoding: .utf8).hasPrefix(beginning))
    }
  }

  @Test func aFileOfOnesOwn() throws {
    let workplace = try Workplace()
    try workplace.write("reference: mine\nsource: us\nmembers:\n  - id: a\n    weight: 3\n", to: "mine.yaml")
    let wrong = try workplace.kiviat("subset", "published:mine.yaml")
    #expect(wrong.status == 64 && wrong.errors.contains("mine.yaml:5:") && wrong.errors.contains("'weight'"))
    try workplace.write("reference: mine\nsource: us\nmembers: [{id: a}]\n", to: "mine.yaml")
    let right = try workplace.kiviat("subset", "published:mine.yaml")
    #expect(right.status == 0 && right.text.contains("No subset"))
  }

  @Test(
    arguments: [
      (["published:nothing"], "there are aibench"), (["published:./nothing.yaml"], "no such reference file"),
      (["nowhere"], "there is no folder"), (["aibench"], "published:aibench"), ([], "Missing expected argument"),
      (["published:aibench", "--without", "luck"], "has diversity"),
      (["published:aibench", "--preset", "wc", "--without", "variation"], "has clusters, extremes"),
      (["published:aibench", "--size", "0"], "1 or more"), (["published:aibench", "--limit-variation", "0"], "2 %"),
      (["published:aibench", "published:mlperf", "-o", "x.html"], "one at a time"),
    ] as [([String], String)])
  func wrongWords(_ arguments: [String], _ message: String) throws {
    let workplace = try Workplace()
    let ended = try workplace.start(Programs.kiviat + ["subset"] + arguments).wait(timeout: 60)
    #expect(ended.status == 64 && ended.errors.contains(message), "\(ended)")
    #expect(ended.text.isEmpty)
  }
}
