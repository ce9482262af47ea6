// How does a document become one self-contained HTML page?
import ProfileModel

/// Writes a document as one HTML file: style sheet, script and charts inside, nothing loaded from anywhere.
struct HTMLRenderer {
  /// Units for a chart on a wide page, and on a phone.
  static let wide = 960.0
  static let narrow = 358.0

  /// Several documents (profiles) follow each other on one page.
  var documents: [ReportDocument]

  func page() -> String {
    let several = documents.count > 1
    let title = documents.map(\.title).joined(separator: " · ")
    var contents = HTML.empty
    var main = HTML.empty
    for (number, document) in documents.enumerated() {
      let prefix = several ? "p\(number + 1)-" : ""
      contents += tableOfContents(document, prefix: prefix, several: several)
      main += article(document, prefix: prefix)
    }
    let style = HTML.resource(PackageResources.report_css) + Palette.styleSheet
    let script = HTML.resource(PackageResources.report_js)
    let page: HTML = """
      <!DOCTYPE html>
      <html lang='en'>
      <head>
      <meta charset='utf-8'>
      <meta name='viewport' content='width=device-width, initial-scale=1'>
      <meta name='color-scheme' content='light dark'>
      <meta http-equiv='Content-Security-Policy' content="default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'">
      <meta name='generator' content='Kiviat'>
      <link rel='icon' href='data:,'>
      <title>\(VisibleText.shortened(title, to: 160)) — Kiviat</title>
      <style>
      \(style)
      </style>
      </head>
      <body>
      <div class='page'>
      <nav class='toc' aria-label='Contents'>\(contents)</nav>
      <main>\(main)</main>
      </div>
      <div id='tip' role='tooltip' hidden></div>
      <script>
      \(script)
      </script>
      </body>
      </html>

      """
    return page.text
  }

  private func tableOfContents(_ document: ReportDocument, prefix: String, several: Bool) -> HTML {
    let items = document.sections.map { section -> HTML in
      "<li><a href='#\(prefix)\(section.id)'>\(section.shortTitle ?? section.title)</a></li>"
    }
    let top = VisibleText.shortened(several ? document.title : "Kiviat report", to: 60)
    return "<p class='brand'><a href='#\(prefix)top'>\(top)</a></p><ol>\(items)</ol>"
  }

  private func article(_ document: ReportDocument, prefix: String) -> HTML {
    let facts = document.facts.map { fact -> HTML in
      "<div\(fact.isWide ? " class='wide'" : "" as HTML)><dt>\(fact.label)</dt><dd>\(prose(fact.value))</dd></div>"
    }
    let summary = document.summary.enumerated().map { index, sentence -> HTML in
      "\(index == 0 ? "" : " ")\(sentence)"
    }
    var result: HTML = """
      <article>
      <header id='\(prefix)top'>
      <p class='kicker'>\(document.kicker)</p>
      <h1>\(VisibleText.shortened(document.title, to: 110))</h1>
      <p class='lede'>\(summary)</p>
      \(document.overview.map { "<p class='overview'>\(prose($0))</p>" as HTML })
      <dl class='facts'>\(facts)</dl>
      </header>

      """
    var figure = 0
    for section in document.sections {
      result += "<section id='\(prefix)\(section.id)'><h2>\(section.title)</h2>\n"
      for block in section.blocks { result += self.block(block, figure: &figure) }
      result += "</section>\n"
    }
    return result + "<footer><p>\(document.colophon)</p></footer></article>\n"
  }

  private func block(_ block: ReportDocument.Block, figure number: inout Int) -> HTML {
    switch block {
    case .paragraph(let text): return "<p>\(prose(text))</p>\n"
    case .note(let note):
      return "<p class='note \(note.level.rawValue)'>\(VisibleText.shortened(note.message, to: 1000))</p>\n"
    case .keyFigures(let figures): return keyFigures(figures)
    case .verdicts(let verdicts): return "<div class='verdicts'>\(verdicts.map(verdict))</div>\n"
    case .figure(let figure):
      number += 1
      return self.figure(figure, number: number)
    case .table(let title, let table, let isFolded):
      if isFolded {
        return "<details class='more'><summary>\(prose(title))</summary>\(HTMLTable.table(table))</details>\n"
      }
      return "<h3>\(prose(title))</h3>\(HTMLTable.table(table))\n"
    case .gaps(let gaps): return "<div class='gaps'>\(gaps.map(gap))</div>\n"
    case .provenanceLegend:
      let items = Provenance.Source.allCases.map { source -> HTML in
        "<div><dt>\(HTMLTable.mark(source.mark))</dt><dd><b>\(source.rawValue)</b> — \(source.explanation)</dd></div>"
      }
      return """
        <dl class='provenance'>\(items)<div><dt>\(NumberFormat.none)</dt><dd><b>not measured</b> — which is not zero; \
        the reason is in its hover text and under “Not measured”</dd></div></dl>

        """
    }
  }

  private func keyFigures(_ figures: [ReportDocument.KeyFigure]) -> HTML {
    let items = figures.map { figure -> HTML in
      let cell = figure.cell
      let hint = HTMLTable.hint(cell)
      let title: HTML = hint.isEmpty ? "" : " title='\(HTML.lines(hint))'"
      let mark: HTML = cell.provenance.map { "<sup class='pv'>\($0.source.mark)</sup>" } ?? ""
      return """
        <div class='figure-card'\(title)><dt>\(ReportBuilder.capitalized(figure.label))</dt>\
        <dd\(cell.unavailable == nil ? "" : " class='none'" as HTML)>\(cell.unavailable == nil ? HTMLTable.split(cell.text) : "not measured")\(mark)</dd>\
        \(figure.spark?.svg())</div>
        """
    }
    return "<dl class='key'>\(items)</dl>\n"
  }

  private func verdict(_ verdict: ReportDocument.Verdict) -> HTML {
    let evidence = verdict.evidence.map { item -> HTML in
      "<li>\(item.label) <b>\(item.value)</b>\(item.bound.map { " · bound \($0)" as HTML })</li>"
    }
    let advice = verdict.advice.map { sentence -> HTML in "<li>\(sentence)</li>" }
    let weight: HTML =
      verdict.isAboutMeasurement
      ? ""
      : "<div class='weight' title='about \(NumberFormat.percent(verdict.weight)) of the run'><i style='width:\(verdict.weight * 100)%'></i></div>"
    return """
      <div class='verdict\(verdict.isAboutMeasurement ? " about" : "" as HTML)'>\(weight)\
      <p class='statement'>\(verdict.statement)</p>\
      \(evidence.isEmpty ? "" : "<ul class='evidence'>\(evidence)</ul>" as HTML)\
      \(advice.isEmpty ? "" : "<ul class='advice'>\(advice)</ul>" as HTML)</div>
      """
  }

  private func gap(_ gap: ReportDocument.Gap) -> HTML {
    let names = gap.names.prefix(40).map { name -> HTML in
      "<code>\(VisibleText.shortened(name, to: 80))</code>"
    }.joined(separator: " ")
    let remedy: HTML =
      gap.remedy.map { remedy in
        "<div class='remedy'><code>\(remedy)</code><button type='button' class='copy'>Copy</button></div>"
      } ?? ""
    let method: HTML = gap.method.map { method in "<p class='method'>Used instead: \(method)</p>" } ?? ""
    return """
      <div class='gap'><p class='gap-head'><span class='state'>\(gap.state)</span> <b>\(gap.what)</b> \(names)</p>\
      <p>\(gap.reason)</p>\(method)\(remedy)</div>
      """
  }

  private func figure(_ figure: ReportDocument.Figure, number: Int) -> HTML {
    let drawing: HTML
    let legend: [LegendItem]
    switch figure.drawing {
    case .chart(let chart):
      legend = chart.legend
      drawing = """
        <div class='chart wide'>\(chart.draw(width: Self.wide).svg(label: chart.summary))</div>\
        <div class='chart narrow'>\(chart.draw(width: Self.narrow).svg(label: chart.summary))</div>
        """
    case .flame(let chart):
      legend = chart.legend
      drawing = """
        <div class='flame-tools'><input type='search' placeholder='Find a function' aria-label='Find a function'>\
        <button type='button' class='reset' disabled>Whole run</button><output></output></div>\
        <div class='chart'>\(chart.svg())</div>
        """
    }
    let keys = legend.map { item -> HTML in "<li><i class='\(item.color.name)'></i>\(item.text)</li>" }
    let mark: HTML = figure.provenance.map { HTMLTable.mark($0.source.mark, hint: $0.words) } ?? ""
    return """
      <figure>
      <figcaption><b class='number'>Figure \(number)</b> \(prose(figure.title))\(mark)</figcaption>
      \(keys.isEmpty ? "" : "<ul class='legend'>\(keys)</ul>" as HTML)\(drawing)
      \(figure.caption.map { "<p class='caption'>\(prose($0))</p>" as HTML })
      <details><summary>Table of figure \(number)</summary>\(HTMLTable.table(figure.table))</details>
      </figure>

      """
  }

  private func prose(_ prose: Prose) -> HTML {
    prose.runs.map { run -> HTML in
      switch run {
      case .text(let text): "\(text)"
      case .strong(let text): "<strong>\(text)</strong>"
      case .code(let text): "<code>\(VisibleText.shortened(text, to: 300))</code>"
      case .value(let text, let provenance): "\(text)\(HTMLTable.mark(provenance.source.mark, hint: provenance.words))"
      case .missing(let unavailable):
        "<span class='none' title='\(HTMLTable.words(unavailable))'>\(NumberFormat.none)</span>"
      }
    }.joined()
  }
}
