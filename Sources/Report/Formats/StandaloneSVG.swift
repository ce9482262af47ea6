// How does a chart become a file of its own, for a paper or a slide?
import Foundation

/// SVG 1.1 with what the page around a chart gives it otherwise: its style sheet, its legend, its words. Colours are those of
/// light ground, resolved, since many programs that read SVG know no variables; text stays text.
enum StandaloneSVG {
  /// Units for the whole drawing: labels of 12 units are 8 points high on a column of 17 cm.
  static let width = 720.0
  private static let margin = 14.0

  /// The file's text.
  ///
  /// - Parameters:
  ///   - title: what the figure shows.
  ///   - description: how to read it.
  static func text(_ drawing: ReportDocument.Figure.Drawing, title: String, description: String) -> String {
    let room = width - 2 * margin
    let (picture, items): (Drawing, [LegendItem]) =
      switch drawing {
      case .chart(let chart): (chart.draw(width: room), chart.legend)
      case .flame(let chart): (chart.drawing(width: room), chart.legend)
      }
    let legend = legend(items, width: room)
    let body = legend.body + "<g transform='translate(0 \(legend.height))'>\(picture.body)</g>"
    let height = legend.height + picture.height + 2 * margin
    let words: HTML = "<title>\(title)</title>\n<desc>\(VisibleText.shortened(description, to: 2000))</desc>"
    let frame: HTML = "width='\(width)' height='\(height)' viewBox='0 0 \(width) \(height)'"
    return """
      <?xml version="1.0" encoding="UTF-8"?>
      <svg xmlns="http://www.w3.org/2000/svg" version="1.1" \(frame.text)>
      \(words.text)
      <style type="text/css">
      \(styleSheet(for: body.text))</style>
      <rect width="100%" height="100%" fill="#ffffff"/>
      <g transform="translate(\(HTML.coordinate(margin)) \(HTML.coordinate(margin)))">\(body.text)</g>
      </svg>

      """
  }

  /// The keys of the colours in lines above the drawing.
  static func legend(_ items: [LegendItem], width: Double) -> Drawing {
    var body = HTML.empty
    var (x, y) = (0.0, 0.0)
    for item in items {
      let text = TextMeasure.fitted(item.text, width: width - 16)
      let itemWidth = 16 + TextMeasure.width(text)
      if x > 0, x + itemWidth > width { (x, y) = (0, y + 18) }
      body += Mark.rect(x: x, y: y + 1, width: 10, height: 10, class: "bar \(item.color.name)")
      body += Mark.text(text, x: x + 16, y: y + 10, class: "value")
      x += itemWidth + 18
    }
    return Drawing(width: width, height: items.isEmpty ? 0 : y + 28, body: body)
  }

  // MARK: Style sheet

  /// A rule of the page's style sheet.
  private struct Rule {
    var selector: String
    var declarations: [(name: String, value: String)]
    /// The classes that its selector names.
    var classes: Set<String>
  }

  /// The page's rules for charts.
  private static let rules: [Rule] = {
    let sheet = String(decoding: PackageResources.report_css, as: UTF8.self)
    guard let start = sheet.range(of: "/* charts */"), let end = sheet.range(of: "/* end of charts */"),
      start.upperBound < end.lowerBound
    else { return [] }
    let values = variables(sheet)
    return sheet[start.upperBound..<end.lowerBound].split(separator: "\n").compactMap { line -> Rule? in
      guard let open = line.firstIndex(of: "{"), let close = line.lastIndex(of: "}") else { return nil }
      let selector = String(line[..<open])
      // A file is not hovered over, and a colour's own rules need no copy.
      guard !selector.contains(":"), !selector.contains(".k-") else { return nil }
      let declarations = line[line.index(after: open)..<close].split(separator: ";")
        .flatMap { declaration($0, values) }
      let classes = selector.matches(of: #/\.([A-Za-z0-9-]+)/#).map { String($0.output.1) }
      return Rule(selector: selector, declarations: declarations, classes: Set(classes))
    }
  }()

  /// The variables' values on light ground: those of the first `:root`.
  private static func variables(_ sheet: String) -> [String: String] {
    guard let start = sheet.range(of: ":root{"), let end = sheet[start.upperBound...].firstIndex(of: "}") else {
      return [:]
    }
    var values: [String: String] = [:]
    for part in sheet[start.upperBound..<end].split(whereSeparator: { $0 == ";" || $0 == "\n" }) {
      let pair = part.trimmingCharacters(in: .whitespaces).split(separator: ":", maxSplits: 1)
      if pair.count == 2, pair[0].hasPrefix("--") { values[String(pair[0])] = String(pair[1]) }
    }
    // Fonts that a paper's programs have, not those of a reader's screen.
    values["--sans"] = "Helvetica,Arial,'Liberation Sans','DejaVu Sans',sans-serif"
    values["--mono"] = "'DejaVu Sans Mono','Liberation Mono',Menlo,Consolas,monospace"
    return values
  }

  /// A declaration with its variables resolved; `font` in its parts, which more programs know.
  private static func declaration(_ text: Substring, _ values: [String: String]) -> [(name: String, value: String)] {
    let pair = text.split(separator: ":", maxSplits: 1)
    guard pair.count == 2 else { return [] }
    let name = String(pair[0])
    guard !["pointer-events", "cursor", "filter"].contains(name) else { return [] }
    var value = String(pair[1])
    for (variable, known) in values { value = value.replacing("var(\(variable))", with: known) }
    guard name == "font" else { return [(name, value)] }
    let parts = value.split(separator: " ", maxSplits: 1)
    return parts.count == 2 ? [("font-size", String(parts[0])), ("font-family", String(parts[1]))] : []
  }

  /// The rules that a drawing uses, for the colours that it uses.
  static func styleSheet(for body: String) -> String {
    var used: Set<String> = []
    for part in body.components(separatedBy: " class='").dropFirst() {
      for name in part.prefix(while: { $0 != "'" }).split(separator: " ") { used.insert(String(name)) }
    }
    let colors = Palette.colors.filter { used.contains($0.key.name) }
    var out = ""
    for rule in rules where rule.classes.isSubset(of: used) {
      func line(_ suffix: String, fill: String, text: String) -> String {
        let declarations = rule.declarations.map { name, value in
          "\(name):\(value.replacing("var(--c)", with: fill).replacing("var(--on)", with: text))"
        }
        return "\(rule.selector)\(suffix){\(declarations.joined(separator: ";"))}\n"
      }
      guard rule.declarations.contains(where: { $0.value == "var(--c)" || $0.value == "var(--on)" }) else {
        out += line("", fill: "", text: "")
        continue
      }
      for color in colors {
        out += line(
          ".\(color.key.name)", fill: Palette.hex(color.light), text: Palette.hex(Palette.textColor(on: color.light)))
      }
    }
    return out
  }
}

extension FlameGraphChart {
  /// The graph in units, for a place that is not a page: boxes wide enough to see, labels that fit them.
  func drawing(width: Double) -> Drawing {
    let boxes = boxes().filter { $0.width / 100 * width >= 0.25 }
    var body = HTML.empty
    for box in boxes {
      let node = nodes[box.node]
      let (x, boxWidth) = (box.x / 100 * width, box.width / 100 * width)
      let y = Double(box.depth * Self.rowHeight)
      body += Mark.rect(
        x: x, y: y, width: max(0.25, boxWidth - (boxWidth > 3 ? 0.7 : 0)), height: Double(Self.rowHeight - 1),
        class: "bar \(node.color.name)",
        tip: [node.name, "\(NumberFormat.duration(node.value)) · \(NumberFormat.percent(node.value / max(total, 1)))"])
      guard boxWidth > 26 else { continue }
      let label = TextMeasure.fitted(node.label, width: boxWidth - 8, size: 11)
      // Of a few letters nobody guesses the rest.
      if label == node.label || label.count > 7 {
        body += Mark.text(label, x: x + 4, y: y + 12.5, class: "on \(node.color.name)")
      }
    }
    let depth = (boxes.map(\.depth).max() ?? 0) + 1
    return Drawing(width: width, height: Double(depth * Self.rowHeight), body: body)
  }
}
