// Are the files for papers whole, exact, and free of anything that acts?
import Analysis
import Foundation
import ProfileModel
import Testing

@testable import Report

#if canImport(FoundationXML)
  import FoundationXML
#endif

/// Collects an SVG's elements and text.
private final class SVGReader: NSObject, XMLParserDelegate {
  var elements: [String: Int] = [:]
  var attributes: [String: String] = [:]
  var words = ""
  private var isText = false

  static func read(_ text: String) -> SVGReader? {
    let reader = SVGReader()
    let parser = XMLParser(data: Data(text.utf8))
    parser.delegate = reader
    return parser.parse() ? reader : nil
  }

  func parser(
    _ parser: XMLParser, didStartElement name: String, namespaceURI: String?, qualifiedName: String?,
    attributes: [String: String] = [:]
  ) {
    if elements.isEmpty { self.attributes = attributes }
    elements[name, default: 0] += 1
    isText = name == "text"
  }

  func parser(_ parser: XMLParser, didEndElement name: String, namespaceURI: String?, qualifiedName: String?) {
    if name == "text" { words += "\n" }
    isText = false
  }

  func parser(_ parser: XMLParser, foundCharacters text: String) { if isText { words += text } }
}

struct FigureFilesTests {
  static let training = FigureFiles.files(of: [document("training")])

  static func document(_ name: String) -> ReportDocument {
    ReportBuilder(characterization: RenderingTests.characterizations[name] ?? Characterization(of: Profile()))
      .document()
  }

  // MARK: Names

  @Test func everyFigureAndTableIsAFile() {
    let document = Self.document("training")
    let blocks = document.sections.flatMap(\.blocks)
    let figures = blocks.count { if case .figure = $0 { true } else { false } }
    let tables = blocks.count { block in
      switch block {
      case .table, .keyFigures: true
      default: false
      }
    }
    #expect(figures > 5 && tables > 5)
    let names = Self.training.map(\.name)
    #expect(names.count { $0.hasSuffix(".svg") } == figures)
    #expect(names.count { $0.hasSuffix(".csv") } == figures + tables)
    #expect(names.count { $0.hasSuffix(".tex") } == figures + tables)
    #expect(Set(names).count == names.count)
    #expect(names.allSatisfy { $0.wholeMatch(of: #/t?\d\d-[a-z0-9-]+\.(svg|csv|tex)/#) != nil })
    #expect(names.contains { $0.hasSuffix("roofline.svg") } && names.contains { $0.contains("flame") })
    // Nothing measured is in a name: another run of the same kind has the same ones.
    #expect(names == Report.figures(of: [Characterization(of: Fixtures.training())]).map(\.name))
  }

  @Test func severalProfilesKeepTheirFilesApart() {
    let files = FigureFiles.files(of: [Self.document("training"), Self.document("command"), Self.document("empty")])
    #expect(Set(files.map(\.name)).count == files.count)
    #expect(files.contains { $0.name.hasPrefix("p1-") } && files.contains { $0.name.hasPrefix("p2-") })
    #expect(FigureFiles.files(of: []).isEmpty)
  }

  @Test(arguments: [
    ("Kernels by shape", "kernels-by-shape"), ("12 questions can’t be answered", "questions-cant-be-answered"),
    ("../../etc/passwd", "etc-passwd"), ("\u{4E16}\u{754C}", ""), ("<script>", "script"), ("a\nb\u{0}", "a-b"),
    (String(repeating: "x", count: 90), String(repeating: "x", count: 40)), ("", ""),
  ])
  func slugs(title: String, slug: String) { #expect(FigureFiles.slug(title) == slug) }

  // MARK: SVG

  @Test func everySVGStandsAlone() throws {
    for file in Self.training where file.name.hasSuffix(".svg") {
      let text = file.contents
      #expect(text.hasPrefix("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<svg xmlns=\"http://www.w3.org/2000/svg\""))
      let reader = try #require(SVGReader.read(text), "\(file.name)")
      #expect((reader.elements["style"], reader.elements["desc"]) == (1, 1))
      #expect(reader.elements["script"] == nil && reader.elements["image"] == nil && reader.elements["use"] == nil)
      #expect(
        reader.attributes["viewBox"] == "0 0 \(reader.attributes["width"] ?? "") \(reader.attributes["height"] ?? "")")
      // No variable is left, and no address but the name of SVG itself.
      #expect(!text.contains("var(") && !text.contains("url(") && !text.contains("@media"))
      #expect(text.components(separatedBy: "://").count == 2)
    }
  }

  /// Each class of the drawing that the page styles has a rule in the file, with the colour of light ground.
  @Test func theStyleSheetHasWhatTheDrawingUses() throws {
    let sheet = StandaloneSVG.styleSheet(
      for: "<rect class='bar g-1'/><text class='on g-1'/><path class='line k-gemm'/>")
    #expect(sheet.contains(".bar.g-1{fill:#d9730d}"))
    #expect(sheet.contains("svg .on.g-1{fill:\(Palette.hex(Palette.textColor(on: 0xD9730D)))"))
    #expect(sheet.contains(".line.k-gemm{fill:none;stroke:#d9730d;"))
    #expect(sheet.contains("svg text{fill:#4a5563;font-size:12px;font-family:Helvetica"))
    #expect(!sheet.contains(".blob") && !sheet.contains("hover") && !sheet.contains("g-2"))
    #expect(sheet.count(where: { $0 == "{" }) == sheet.count(where: { $0 == "}" }))
  }

  @Test func theLegendIsInsideAndFits() {
    let items = (0..<14).map { LegendItem(color: .group($0), text: "category of kernels number \($0)") }
    let legend = StandaloneSVG.legend(items, width: 300)
    let texts = DrawnText.all(in: legend)
    #expect(texts.count == 14)
    for (index, one) in texts.enumerated() {
      #expect(one.box.right <= 300 && one.box.x >= 16 && one.box.bottom <= legend.height)
      for two in texts.dropFirst(index + 1) { #expect(!one.box.overlaps(two.box)) }
    }
    let file = StandaloneSVG.text(.chart(SuiteCharts.stacked), title: "t", description: "d")
    for item in SuiteCharts.stacked.legend { #expect(file.contains(">\(item.text)</text>")) }
    #expect(StandaloneSVG.legend([], width: 300).height == 0)
  }

  @Test func aFlameGraphInUnits() throws {
    let node = FlameGraphChart.Node(
      color: .call(.user, tone: 0), name: "main", label: "main", depth: 0, value: 100, selfValue: 20)
    let child = FlameGraphChart.Node(
      color: .call(.user, tone: 1), name: "work", label: "work", parent: 0, depth: 1, value: 80, selfValue: 80)
    let drawing = FlameGraphChart(summary: "", nodes: [node, child], total: 100).drawing(width: 700)
    let rects = ChartTests.rects(drawing)
    #expect(rects.map(\.x) == [0, 0] && rects.map(\.width) == [699.3, 559.3])
    #expect(drawing.height == Double(2 * FlameGraphChart.rowHeight))
    // Text as text.
    let file = StandaloneSVG.text(
      .flame(FlameGraphChart(summary: "", nodes: [node, child], total: 100)), title: "t", description: "")
    #expect(try #require(SVGReader.read(file)).words.contains("work"))
    #expect(!file.contains("%'") && FlameGraphChart(summary: "", nodes: [], total: 0).drawing(width: 700).height > 0)
  }

  // MARK: CSV

  @Test func numbersAreExactAndHaveAUnitAndAnOrigin() {
    var strange = Table.Cell("1 of 3", sort: 1)
    strange.hint = "a hint"
    let table = Table(
      columns: [.name("Kernel"), Table.Column("Time"), Table.Column("Share"), Table.Column("Order")],
      rows: [
        [
          .code("aten::convolution(Tensor)", label: "convolution"),
          .measured(Measured<Double>(1_234_567_890.25, .clock, detail: "monotonic"), unit: "ns"), .share(1.0 / 3),
          strange,
        ],
        [
          "b,\"c\"",
          .measured(Measured<Double>.unavailable(Unavailable("no counters", remedy: "sysctl x")), unit: "ns"), .empty,
          "none",
        ],
      ])
    let rows = CSV.rows(CSVTable.text(table))
    #expect(
      rows == [
        ["Kernel", "Time [ns]", "Time (origin)", "Share", "Order", "Order (number)"],
        ["aten::convolution(Tensor)", "1234567890.25", "clock: monotonic", "0.3333333333333333", "1 of 3", "1"],
        ["b,\"c\"", "", "not measured: no counters — sysctl x", "", "none", ""],
      ])
  }

  @Test func valuesOfSeveralUnitsHaveAColumnOfTheirUnits() {
    let table = Table(
      columns: [.name("Fact"), Table.Column("Value")],
      rows: [["memory", .number(8_271_028_224, unit: "B")], ["time", .duration(12.5)], ["cores", .count(2)]])
    #expect(
      CSV.rows(CSVTable.text(table)) == [
        ["Fact", "Value", "Value (unit)"], ["memory", "8271028224", "B"], ["time", "12.5", "ns"], ["cores", "2", ""],
      ])
  }

  @Test func aFiguresOwnOriginIsInItsFile() {
    let table = Table(
      columns: [.name("Kernel"), Table.Column("Time")], rows: [["a", .duration(5.0)], ["b", .duration(6.0)]])
    let clock = Provenance(.clock, detail: "around each call")
    #expect(
      CSV.rows(CSVTable.text(table, provenance: clock)) == [
        ["Kernel", "Time [ns]", "(origin)"], ["a", "5", "clock: around each call"],
        ["b", "6", "clock: around each call"],
      ])
    let text = LaTeXTable.text(table, caption: "c", label: "l", origin: "o", provenance: clock)
    #expect(text.contains("\n% Values: clock: around each call\n"))
  }

  @Test func everyLineOfACSVFileHasAsManyFields() {
    for file in Self.training where file.name.hasSuffix(".csv") {
      let rows = CSV.rows(file.contents)
      #expect(rows.count > 1 && rows.allSatisfy { $0.count == rows[0].count }, "\(file.name)")
      #expect(file.contents.hasSuffix("\r\n") && !rows[0].contains(""))
    }
  }

  @Test func noNumberIsNoNumber() {
    let table = Table(
      columns: [Table.Column("Value")], rows: [[.number(.nan, unit: "B")], [.number(.infinity, unit: "B")]])
    #expect(CSV.rows(CSVTable.text(table)) == [["Value [B]"], [""], [""]])
    #expect(CSV.rows(CSVTable.text(Table(columns: [.name("a")], rows: []))) == [["a"]])
  }

  // MARK: LaTeX

  @Test(arguments: [
    (##"\ % & _ # { } ~ ^ $"##, ##"\textbackslash{} \% \& \_ \# \{ \} \textasciitilde{} \textasciicircum{} \$"##),
    ("12.3\u{202F}µs", #"12.3\,$\mu$s"#), ("3 × 10⁻⁷ ≥ −2", #"3 $\times$ 10$^{-}$$^{7}$ $\geq$ $-$2"#),
    ("1–2 — …", #"1--2 --- \ldots{}"#), ("--scale", "-{}-scale"), ("[64, 3] *", "{[}64, 3{]} {*}"),
    ("a<b>|`\"", #"a\textless{}b\textgreater{}\textbar{}\textasciigrave{}{''}"#),
    ("Müller, Łukasz", "Müller, Łukasz"), ("\u{4E16}", #"$\langle$U+4E16$\rangle$"#),
    ("a\nb\u{202E}", #"a$\hookleftarrow$b$\langle$U+202E$\rangle$"#),
    ("\\input{/etc/passwd}", #"\textbackslash{}input\{/etc/passwd\}"#),
    ("^^5cinput", #"\textasciicircum{}\textasciicircum{}5cinput"#),
  ])
  func escapesWhatActsInLaTeX(text: String, expected: String) { #expect(LaTeXTable.escaped(text) == expected) }

  /// What our own macros leave after they are taken away: nothing that acts.
  private static func rest(_ text: String) -> String {
    text.replacing(
      #/\\(?:text[a-z]+|ldots|copyright|pounds|S|P)\{\}|\\textit\{f\}|\$(?:\\frac\{1\}\{2\}|\\[A-Za-z]+|-|_\{\d\}|\^\{(?:\d|-|\\circ)\})\$|\\[-%&_#{}$,]|\{''\}|\{\[\}|\{\]\}|\{\*\}|\{\}|~/#,
      with: "")
  }

  @Test func noCharacterOfAnyNameActs() {
    var names = HostileTests.names
    // Each scalar of the blocks that have signs with a meaning, as one name a block.
    for block in [0..<0x180, 0x180..<0x800, 0x2000..<0x2300] {
      names.append(String(String.UnicodeScalarView(block.compactMap { Unicode.Scalar(UInt32($0)) })))
    }
    for name in names {
      let rest = Self.rest(LaTeXTable.escaped(name))
      #expect(!rest.contains { "\\%&_#{}$~^\"`<>|[]*".contains($0) }, "\(name) \(rest)")
      #expect(rest.unicodeScalars.allSatisfy { $0.isASCII || (0xC0...0x17F).contains($0.value) })
    }
  }

  @Test func aTableIsATabular() {
    let table = Table(
      columns: [.name("Kernel"), Table.Column("Time & more")],
      rows: [
        [.code("a_b"), .measured(Measured<Double>(2e6, .clock), unit: "ns")],
        [.code("c"), .measured(Measured<Double>.unavailable(Unavailable("50 % of it")), unit: "ns")],
        [.code("[d]"), .measured(Measured<Double>(3e6, .clock), unit: "ns")],
      ], note: "cut after 3")
    let text = LaTeXTable.text(table, caption: "All \(strong: "5 %")", label: "t01-x", origin: "a\n\\end{document}")
    #expect(
      text == #"""
        % a↵\end{document}
        % Needs \usepackage{booktabs}.
        % Time & more: clock
        \begin{table}
          \centering
          \caption{All \textbf{5 \%}}
          \label{tab:t01-x}
          \begin{tabular}{lr}
            \toprule
            Kernel & Time \& more \\
            \midrule
            \texttt{a\_b} & 2.00\,ms \\
            \texttt{c} & --- \\
            \texttt{{[}d{]}} & 3.00\,ms \\
            \bottomrule
          \end{tabular}
          \par\smallskip{\footnotesize ---: not measured: 50 \% of it\par}
          \par\smallskip{\footnotesize cut after 3\par}
        \end{table}

        """#)
  }

  @Test func everyRowHasItsColumns() {
    for file in Self.training where file.name.hasSuffix(".tex") {
      let lines = file.contents.split(separator: "\n").filter { $0.hasSuffix(" \\\\") }
      // Cells are set apart by " & " alone: an ampersand of a name has a backslash.
      let counts = Set(lines.map { $0.split(separator: " & ", omittingEmptySubsequences: false).count })
      #expect(counts.count == 1, "\(file.name)")
      let braces = file.contents.replacing(#/\\[{}]/#, with: "")
      #expect(braces.count(where: { $0 == "{" }) == braces.count(where: { $0 == "}" }))
    }
  }

  // MARK: Names that try

  @Test func hostileNamesStayTextInEveryFile() throws {
    let document = ReportBuilder(characterization: HostileTests.characterization).document()
    let files = FigureFiles.files(of: [document])
    #expect(files.count > 20)
    for file in files {
      #expect(file.name.wholeMatch(of: #/t?\d\d-[a-z0-9-]+\.(svg|csv|tex)/#) != nil)
      let text = file.contents
      #expect(!text.unicodeScalars.contains { $0 == "\u{202E}" || $0 == "\u{1B}" || $0 == "\u{0}" || $0 == "\u{9B}" })
      if file.name.hasSuffix(".svg") {
        let reader = try #require(SVGReader.read(text), "\(file.name)")
        #expect(reader.elements["script"] == nil && reader.elements["img"] == nil)
        #expect(reader.elements["svg"] == 1 && text.components(separatedBy: "://").count == 2)
      } else if file.name.hasSuffix(".csv") {
        let rows = CSV.rows(text)
        #expect(rows.allSatisfy { $0.count == rows[0].count })
        #expect(!rows.joined().contains { $0.hasPrefix("=") })
      } else {
        let body = text.split(separator: "\n").filter { !$0.hasPrefix("%") }.joined(separator: "\n")
        #expect(!body.contains("<script") && !body.contains("](") && !body.contains("\n\n"))
      }
    }
  }
}
