// What is a sentence of the report made of, whatever the format?
import ProfileModel

/// Running text with marked-up parts. Literals and interpolated strings are plain text in every format.
///
///     let lead: Prose = "\(strong: share) of the time is in \(code: name)."
struct Prose: ExpressibleByStringInterpolation, Sendable {
  /// A part of a sentence.
  enum Run: Sendable {
    case text(String)
    case strong(String)
    /// A name out of a program: untrusted, monospaced.
    case code(String)
    /// A number with where it comes from.
    case value(String, Provenance)
    /// In place of a number, with the reason.
    case missing(Unavailable)
  }

  var runs: [Run]

  init(stringLiteral value: String) { runs = [.text(value)] }
  init(stringInterpolation: Interpolation) { runs = stringInterpolation.runs }
  init(_ text: String) { runs = [.text(text)] }

  struct Interpolation: StringInterpolationProtocol {
    var runs: [Run] = []

    init(literalCapacity: Int, interpolationCount: Int) { runs.reserveCapacity(interpolationCount * 2 + 1) }

    mutating func appendLiteral(_ literal: String) { if !literal.isEmpty { runs.append(.text(literal)) } }
    mutating func appendInterpolation(_ text: String) { runs.append(.text(text)) }
    mutating func appendInterpolation(_ number: Int) { runs.append(.text(NumberFormat.grouped(Int64(number)))) }
    mutating func appendInterpolation(_ prose: Prose) { runs += prose.runs }
    mutating func appendInterpolation(strong text: String) { runs.append(.strong(text)) }
    mutating func appendInterpolation(code text: String) { runs.append(.code(text)) }
    mutating func appendInterpolation(_ value: Measured<Double>, unit: String) {
      switch value {
      case .measured(let number, let provenance):
        runs.append(.value(NumberFormat.quantity(number, unit: unit), provenance))
      case .unavailable(let unavailable): runs.append(.missing(unavailable))
      }
    }
  }

  static func + (left: Prose, right: Prose) -> Prose {
    var result = left
    result.runs += right.runs
    return result
  }

  /// The words alone.
  var plain: String {
    runs.map { run in
      switch run {
      case .text(let text), .strong(let text), .code(let text), .value(let text, _): VisibleText.visible(text)
      case .missing(let unavailable): "\(NumberFormat.none) (\(VisibleText.visible(unavailable.reason)))"
      }
    }.joined()
  }
}

/// A table of the report, whatever the format.
struct Table: Sendable {
  /// A column.
  struct Column: Sendable {
    var title: String
    var isNumeric = true
    /// What the column means, on hover.
    var hint: String?
    /// Where all its values come from; found from the cells when not given.
    var provenance: Provenance?

    init(_ title: String, isNumeric: Bool = true, hint: String? = nil, provenance: Provenance? = nil) {
      self.title = title
      self.isNumeric = isNumeric
      self.hint = hint
      self.provenance = provenance
    }

    /// A column of names.
    static func name(_ title: String, hint: String? = nil) -> Column {
      Column(title, isNumeric: false, hint: hint)
    }
  }

  /// A cell.
  struct Cell: Sendable, ExpressibleByStringLiteral {
    /// As it is written.
    var text: String
    /// What sorting goes by; the text when there is none.
    var sort: Double?
    /// The unit of `sort`, as profiles name units, where `sort` is the value itself.
    var unit: String?
    /// Monospaced, cut when too long.
    var isCode = false
    /// Whether it is shown whole however long it is.
    var isSentence = false
    /// Emphasized.
    var isStrong = false
    /// A colour key before the text.
    var color: ColorKey?
    /// A bar behind the number, 0…1.
    var bar: Double?
    /// On hover; the whole name when the text is cut.
    var hint: String?
    /// Where the value comes from.
    var provenance: Provenance?
    /// Why there is none.
    var unavailable: Unavailable?

    init(_ text: String, sort: Double? = nil, unit: String? = nil) {
      self.text = text
      self.sort = sort
      self.unit = unit
    }

    init(stringLiteral value: String) { text = value }

    /// A sentence of our own, shown whole; names from a profile are shortened.
    static func sentence(_ text: String) -> Cell {
      var cell = Cell(text)
      cell.isSentence = true
      return cell
    }

    /// A name out of the profile.
    static func code(_ name: String, color: ColorKey? = nil, label: String? = nil) -> Cell {
      var cell = Cell(label ?? name)
      cell.isCode = true
      cell.color = color
      if label != nil, label != name { cell.hint = name }
      return cell
    }

    /// A text with a colour key.
    static func key(_ text: String, _ color: ColorKey) -> Cell {
      var cell = Cell(text)
      cell.color = color
      return cell
    }

    /// Nanoseconds.
    static func duration(_ nanoseconds: Double) -> Cell {
      Cell(NumberFormat.duration(nanoseconds), sort: nanoseconds, unit: "ns")
    }
    static func duration(_ nanoseconds: Int64) -> Cell { duration(Double(nanoseconds)) }

    /// A share in 0…1, with a bar.
    static func share(_ share: Double, bar: Bool = true) -> Cell {
      var cell = Cell(NumberFormat.percent(share), sort: share, unit: "share")
      if bar { cell.bar = min(max(share, 0), 1) }
      return cell
    }

    /// A count.
    static func count(_ count: Int64) -> Cell {
      Cell(NumberFormat.count(Double(count)), sort: Double(count), unit: "1")
    }
    static func count(_ count: Int) -> Cell { Cell.count(Int64(count)) }

    /// A number in a unit.
    static func number(_ value: Double, unit: String) -> Cell {
      Cell(NumberFormat.quantity(value, unit: unit), sort: value, unit: unit)
    }

    /// A value with its provenance, or a dash with its reason.
    static func measured(_ value: Measured<Double>, unit: String) -> Cell {
      switch value {
      case .measured(let number, let provenance):
        var cell = Cell.number(number, unit: unit)
        cell.provenance = provenance
        return cell
      case .unavailable(let unavailable): return .missing(unavailable)
      }
    }
    static func measured(_ value: Measured<Int64>, unit: String) -> Cell {
      measured(value.map { Double($0) }, unit: unit)
    }

    /// A quantity's value, number or text.
    static func measured(_ value: Measured<QuantityValue>, unit: String) -> Cell {
      switch value {
      case .measured(let quantity, let provenance):
        var cell = Cell(
          NumberFormat.quantity(quantity, unit: unit), sort: quantity.number, unit: quantity.number == nil ? nil : unit)
        cell.provenance = provenance
        return cell
      case .unavailable(let unavailable): return .missing(unavailable)
      }
    }

    /// A dash with its reason.
    static func missing(_ unavailable: Unavailable) -> Cell {
      var cell = Cell(NumberFormat.none)
      cell.unavailable = unavailable
      return cell
    }

    /// Nothing, because there can be nothing.
    static let empty = Cell("")
  }

  var columns: [Column]
  var rows: [[Cell]]
  /// What is left out, or must be known to read the table.
  var note: Prose?

  /// Where a column's values come from when they all come from the same.
  func commonProvenance(ofColumn index: Int) -> Provenance? {
    if let given = columns[index].provenance { return given }
    var common: Provenance?
    var count = 0
    for row in rows where index < row.count {
      guard let provenance = row[index].provenance else { continue }
      if let common, common != provenance { return nil }
      common = provenance
      count += 1
    }
    return count > 1 ? common : nil
  }
}
