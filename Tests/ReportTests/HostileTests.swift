// Do names out of a profile stay text, whatever they hold?
import Analysis
import Foundation
import ProfileModel
import Testing

@testable import Report

struct HostileTests {
  static let names = [
    "<script>alert(1)</script>", "</script><img src=x onerror=alert(2)>", "'\"><svg onload=alert(3)>",
    "a\nb\tc\r\u{0}d",
    "\u{202E}gnp.exe", "\u{1B}[31mred\u{1B}[0m\u{9B}2J", "`whoami` | $(rm -rf)", "]]>--><!-- x", "=HYPERLINK(\"x\")",
    "https://example.org/x", "&lt;b&gt; &#60;", "*_[link](javascript:alert(4))_*",
    String(repeating: "long", count: 2500),
  ]

  /// A training run with every text replaced.
  static let profile: Profile = {
    var profile = Fixtures.training()
    var index = 0
    func next() -> String {
      index += 1
      return names[index % names.count]
    }
    for key in ["benchmark", "data", "optimizer", "working_directory"] { profile.settings[key] = next() }
    profile.settings[next()] = next()
    profile.settings["command"] = String(
      decoding: (try? JSONEncoder().encode(names)) ?? Data(), as: UTF8.self)
    profile.host += names.map { Quantity("host.\($0)", unit: $0, .init(.text($0), .kernelAccounting, detail: $0)) }
    profile.frames = profile.frames.mapValues { frame in
      var frame = frame
      frame.function = next()
      frame.module = next()
      frame.file = next()
      return frame
    }
    for repetition in profile.repetitions.indices {
      var data = profile.repetitions[repetition]
      data.kernels = data.kernels.map { kernel in
        var kernel = kernel
        kernel.name = next()
        kernel.shapes = next()
        kernel.types = next()
        kernel.modulePath = next()
        return kernel
      }
      data.threads = data.threads.map { thread in
        var thread = thread
        thread.name = next()
        return thread
      }
      data.counters.append(
        CounterTotal(event: next(), unit: next(), value: .init(3, .softwareCounter, detail: next())))
      data.collectors.append(
        CollectorState(next(), .unavailable, method: next(), reason: next(), remedy: next()))
      data.epochs = data.epochs.map { epoch in
        var epoch = epoch
        epoch.metric = names[2]
        epoch.stage = names[0]
        return epoch
      }
      data.notes = names.map { Note(.warning, $0) }
      profile.repetitions[repetition] = data
    }
    return profile
  }()

  static let characterization = Characterization(of: profile)

  @Test func nothingOfItBecomesMarkup() throws {
    let page = try Report.render(Self.characterization, as: .html)
    // Our own elements and attributes only.
    #expect(!page.contains("<script>alert") && !page.contains("<img") && !page.contains("<svg onload"))
    #expect(page.components(separatedBy: "<script").count == 2)
    #expect(page.components(separatedBy: "</script").count == 2)
    #expect(!page.contains("<!--"))
    #expect(Markup.problem(in: page) == nil)
    // No attribute of theirs: outside quotes, on… appears in no tag.
    #expect(!Markup.tags(in: page).contains { $0.contains(" on") })
    #expect(!page.unicodeScalars.contains { $0 == "\u{202E}" || $0 == "\u{1B}" || $0 == "\u{0}" || $0 == "\u{9B}" })
    #expect(!page.contains("https://"))
    #expect(page.utf8.count < 2_000_000)
    #expect(page.contains("&lt;script&gt;alert(1)&lt;/script&gt;"))
  }

  @Test(arguments: [ReportFormat.markdown, .text, .csv])
  func nothingOfItActsInTextFormats(format: ReportFormat) throws {
    let text = try Report.render(Self.characterization, as: format)
    #expect(!text.unicodeScalars.contains { $0 == "\u{202E}" || $0 == "\u{1B}" || $0 == "\u{0}" || $0 == "\u{9B}" })
    #expect(!text.contains("\na\nb"))
    if format == .markdown {
      // HTML in Markdown acts unless it is in a code span; links and addresses would be live.
      for line in text.split(separator: "\n") {
        var outside = ""
        for (index, part) in line.replacing("``", with: "`").split(separator: "`", omittingEmptySubsequences: false)
          .enumerated() where index % 2 == 0
        { outside += part }
        #expect(!outside.contains("<script") && !outside.contains("<img") || line.contains("`whoami"))
      }
    }
  }

  @Test func jsonHoldsTheNamesAsTheyAre() throws {
    let text = try Report.render(Self.characterization, as: .json)
    let root = try #require(JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any])
    let reports = try #require(root["reports"] as? [[String: Any]])
    let notes = try #require(reports[0]["notes"] as? [[String: Any]])
    #expect(Set(notes.compactMap { $0["message"] as? String }).isSuperset(of: Self.names))
    #expect(!text.unicodeScalars.contains { $0 == "\u{1B}" || $0 == "\u{0}" })
  }

  @Test func everyCSVLineHasTenFields() throws {
    let text = try Report.render(Self.characterization, as: .csv)
    let rows = CSV.rows(text)
    #expect(rows.count > 200)
    #expect(rows.allSatisfy { $0.count == 10 })
    #expect(
      rows[0] == [
        "profile", "section", "name", "attribute", "value", "unit", "source", "running_fraction", "detail", "reason",
      ])
    #expect(!rows.joined().contains { $0.hasPrefix("=") })
  }

  @Test func escapesEachCharacterThatActs() {
    let html: HTML = "<a title='\("<>&'\"`")'>\("a\u{0}\n\u{202E}\u{7F}")</a>"
    #expect(html.text == "<a title='&lt;&gt;&amp;&#39;&quot;&#96;'>a⟨U+0⟩↵⟨U+202E⟩⟨U+7F⟩</a>")
    let address: HTML = "\("x: http://a b:/c ::// :")"
    #expect(address.text == "x: http&#58;//a b:/c :&#58;// :")
  }

  @Test func shortensInTheMiddle() {
    #expect(VisibleText.shortened("abcdefghij", to: 10) == "abcdefghij")
    #expect(VisibleText.shortened("abcdefghijk", to: 10) == "abcdef…ijk")
    #expect(VisibleText.shortened(String(repeating: "é", count: 10_000), to: 30).count == 30)
  }

  @Test(arguments: [
    ("void at::native::add<float, 4>(at::Tensor const&)", "at::native::add<…>"),
    ("at::native::(anonymous namespace)::sum(int)", "at::native::(anon)::sum"),
    ("sgemm_kernel_HASWELL", "sgemm_kernel_HASWELL"),
    ("std::vector<int>::operator[](unsigned long)", "std::vector<int>::operator[](unsigned long)"),
    ("Foo::bar() const", "Foo::bar"), ("a < b", "a < b"), ("TrainingLoop.run()", "TrainingLoop.run"),
    ("static Swift.Double.+ infix(Swift.Double, Swift.Double) -> Swift.Double", "static Swift.Double.+ infix"),
    ("closure #1 (Swift.Int) -> () in Foo.bar(count: Swift.Int) -> ()", "closure #1 (Swift.Int) -> () in Foo.bar"),
    (
      "generic specialization <Swift.Int> of Swift.Array.append(A) -> ()",
      "generic specialization <…> of Swift.Array.append"
    ),
    ("int main", "int main"),
    ("(((", "((("), ("", ""),
  ])
  func foldsTemplatesAndParameters(name: String, label: String) {
    #expect(VisibleText.functionLabel(name) == label)
  }

  @Test func markdownEscapes() {
    #expect(MarkdownRenderer.escaped("a|b_c*d<e>[f](g)") == #"a\|b\_c\*d&lt;e&gt;\[f\](g)"#)
    #expect(MarkdownRenderer.escaped("see https://x") == #"see https\://x"#)
    #expect(MarkdownRenderer.code("a`b") == "``a`b``")
    #expect(MarkdownRenderer.code("`a``b`") == "``` `a``b` ```")
    #expect(MarkdownRenderer.code("a|b") == #"`a\|b`"#)
  }
}

/// A plain reader of RFC 4180.
enum CSV {
  static func rows(_ text: String) -> [[String]] {
    var rows: [[String]] = []
    var row: [String] = []
    var field = ""
    var isQuoted = false
    var characters = Array(text.unicodeScalars)[...]
    while let character = characters.popFirst() {
      if isQuoted {
        if character == "\"" {
          if characters.first == "\"" {
            field.append("\"")
            characters.removeFirst()
          } else {
            isQuoted = false
          }
        } else {
          field.unicodeScalars.append(character)
        }
      } else if character == "\"" {
        isQuoted = true
      } else if character == "," {
        row.append(field)
        field = ""
      } else if character == "\n" {
        row.append(field)
        rows.append(row)
        (row, field) = ([], "")
      } else if character != "\r" {
        field.unicodeScalars.append(character)
      }
    }
    return rows
  }
}
