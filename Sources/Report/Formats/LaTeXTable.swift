// How does a table of the report become a table of a paper?
import ProfileModel

/// A `table` with a `tabular` in the style of the package booktabs. Whatever a name holds, it is text: no character of it acts,
/// and the file compiles with pdfLaTeX, XeLaTeX and LuaLaTeX.
enum LaTeXTable {
  /// Characters of a name that a cell holds.
  static let nameLimit = 60
  /// Reasons for missing values that are written below a table.
  static let reasonLimit = 8

  /// - Parameters:
  ///   - origin: what the table is of, for a comment at the beginning.
  ///   - provenance: where the numbers come from when not each column says it.
  ///   - label: for `\ref`, without special characters.
  static func text(_ table: Table, caption: Prose, label: String, origin: String, provenance: Provenance? = nil)
    -> String
  {
    let common = table.columns.indices.map { table.commonProvenance(ofColumn: $0) }
    var out = "% \(comment(origin))\n% Needs \\usepackage{booktabs}.\n"
    if let provenance { out += "% Values: \(comment(provenance.words))\n" }
    for (column, provenance) in zip(table.columns, common) {
      if let provenance { out += "% \(comment("\(column.title): \(provenance.words)"))\n" }
    }
    out += "\\begin{table}\n  \\centering\n  \\caption{\(prose(caption))}\n  \\label{tab:\(label)}\n"
    out += "  \\begin{tabular}{\(table.columns.map { $0.isNumeric ? "r" : "l" }.joined())}\n    \\toprule\n"
    out += "    \(table.columns.map { escaped($0.title) }.joined(separator: " & ")) \\\\\n    \\midrule\n"
    for row in table.rows {
      let cells = table.columns.indices.map { $0 < row.count ? cell(row[$0]) : "" }
      out += "    \(cells.joined(separator: " & ")) \\\\\n"
    }
    out += "    \\bottomrule\n  \\end{tabular}\n"
    for note in notes(table) { out += "  \\par\\smallskip{\\footnotesize \(note)\\par}\n" }
    return out + "\\end{table}\n"
  }

  private static func cell(_ cell: Table.Cell) -> String {
    if cell.unavailable != nil { return "---" }
    let text = escaped(VisibleText.shortened(cell.text, to: nameLimit))
    if cell.isCode { return text.isEmpty ? "" : "\\texttt{\(text)}" }
    return cell.isStrong ? "\\textbf{\(text)}" : text
  }

  /// What must be known to read the table: why values are missing, each reason once, and its own note.
  private static func notes(_ table: Table) -> [String] {
    var reasons: [String] = []
    for cell in table.rows.joined() {
      guard let unavailable = cell.unavailable else { continue }
      let words = HTMLTable.words(unavailable)
      if !reasons.contains(words), reasons.count < reasonLimit { reasons.append(words) }
    }
    return reasons.map { "---: \(escaped(VisibleText.shortened($0, to: 400)))" }
      + (table.note.map { [prose($0)] } ?? [])
  }

  private static func prose(_ prose: Prose) -> String {
    prose.runs.map { run in
      switch run {
      case .text(let text), .value(let text, _): escaped(text)
      case .strong(let text): "\\textbf{\(escaped(text))}"
      case .code(let text): "\\texttt{\(escaped(VisibleText.shortened(text, to: 120)))}"
      case .missing(let unavailable): "--- (\(escaped(unavailable.reason)))"
      }
    }.joined()
  }

  /// A comment holds no line break, or its rest would be text.
  private static func comment(_ text: String) -> String {
    VisibleText.visible(VisibleText.shortened(text, to: 300))
  }

  /// Text that LaTeX prints as it is.
  static func escaped(_ text: String) -> String {
    var result = ""
    var previous: Unicode.Scalar = " "
    for scalar in VisibleText.visible(text).unicodeScalars {
      // Two hyphens would become a dash, two quotes another quote.
      if scalar == previous, scalar == "-" || scalar == "'" || scalar == "," { result += "{}" }
      previous = scalar
      if let known = replacements[scalar] {
        result += known
      } else if scalar.isASCII || isLatin(scalar) {
        result.unicodeScalars.append(scalar)
      } else {
        // No font of LaTeX's own has it.
        result += "$\\langle$U+\(String(scalar.value, radix: 16, uppercase: true))$\\rangle$"
      }
    }
    return result
  }

  /// Letters with accents that LaTeX knows by default in UTF-8: Latin-1 and Latin Extended-A.
  private static func isLatin(_ scalar: Unicode.Scalar) -> Bool {
    (0xC0...0x17F).contains(scalar.value) && scalar.properties.isAlphabetic
      // Without a shape in LaTeX's standard encodings.
      && ![0x126, 0x127, 0x138, 0x13F, 0x140, 0x149, 0x166, 0x167, 0x17F].contains(scalar.value)
  }

  private static let replacements: [Unicode.Scalar: String] = {
    var table: [Unicode.Scalar: String] = [
      "\\": "\\textbackslash{}", "{": "\\{", "}": "\\}", "%": "\\%", "&": "\\&", "_": "\\_", "#": "\\#", "$": "\\$",
      "~": "\\textasciitilde{}", "^": "\\textasciicircum{}", "<": "\\textless{}", ">": "\\textgreater{}",
      "|": "\\textbar{}", "`": "\\textasciigrave{}", "\"": "{''}",
      // After \\ these would be arguments of it.
      "[": "{[}", "]": "{]}", "*": "{*}",
      "\u{202F}": "\\,", "\u{2009}": "\\,", "\u{A0}": "~", "\u{AD}": "\\-", "\u{2011}": "-",
      "–": "--", "—": "---", "−": "$-$", "…": "\\ldots{}", "‘": "\\textquoteleft{}", "’": "'",
      "“": "\\textquotedblleft{}", "”": "\\textquotedblright{}",
      "×": "$\\times$", "·": "$\\cdot$", "±": "$\\pm$", "÷": "$\\div$", "≥": "$\\geq$", "≤": "$\\leq$", "≠": "$\\neq$",
      "≈": "$\\approx$", "∞": "$\\infty$", "√": "$\\surd$", "∑": "$\\sum$", "∏": "$\\prod$", "∈": "$\\in$",
      "∂": "$\\partial$",
      "°": "$^{\\circ}$", "→": "$\\rightarrow$", "←": "$\\leftarrow$", "↑": "$\\uparrow$", "↓": "$\\downarrow$",
      "↵": "$\\hookleftarrow$", "⇥": "$\\mapsto$", "⟨": "$\\langle$", "⟩": "$\\rangle$", "ƒ": "\\textit{f}",
      "µ": "$\\mu$", "§": "\\S{}", "¶": "\\P{}", "©": "\\copyright{}", "£": "\\pounds{}", "½": "$\\frac{1}{2}$",
      "¹": "$^{1}$", "²": "$^{2}$", "³": "$^{3}$", "⁻": "$^{-}$",
    ]
    for (index, digit) in "⁰⁴⁵⁶⁷⁸⁹".unicodeScalars.enumerated() {
      table[digit] = "$^{\(index == 0 ? 0 : index + 3)}$"
    }
    for (index, digit) in "₀₁₂₃₄₅₆₇₈₉".unicodeScalars.enumerated() { table[digit] = "$_{\(index)}$" }
    let greek: [(Unicode.Scalar, String)] = [
      ("α", "alpha"), ("β", "beta"), ("γ", "gamma"), ("δ", "delta"), ("ε", "varepsilon"), ("ζ", "zeta"), ("η", "eta"),
      ("θ", "theta"), ("κ", "kappa"), ("λ", "lambda"), ("μ", "mu"), ("ν", "nu"), ("ξ", "xi"), ("π", "pi"), ("ρ", "rho"),
      ("σ", "sigma"), ("τ", "tau"), ("φ", "varphi"), ("χ", "chi"), ("ψ", "psi"), ("ω", "omega"), ("Γ", "Gamma"),
      ("Δ", "Delta"), ("Θ", "Theta"), ("Λ", "Lambda"), ("Π", "Pi"), ("Σ", "Sigma"), ("Φ", "Phi"), ("Ψ", "Psi"),
      ("Ω", "Omega"),
    ]
    for (letter, name) in greek { table[letter] = "$\\\(name)$" }
    return table
  }()
}
