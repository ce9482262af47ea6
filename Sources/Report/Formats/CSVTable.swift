// How does a table of the report become a file for a spreadsheet or a data frame?
import ProfileModel

/// RFC 4180 with a header. A column of numbers has every digit and its unit, and where its values come from in a column
/// after it; a value that was not measured is empty, and the reason stands in that column.
enum CSVTable {
  /// A column as it is written: a header and a field for each row.
  private struct Field {
    var header: String
    var text: (Table.Cell) -> String
  }

  /// - Parameter provenance: where the numbers of a figure come from, for a table whose cells don't say it.
  static func text(_ table: Table, provenance: Provenance? = nil) -> String {
    var headers: [String] = []
    var fields: [(column: Int, text: (Table.Cell) -> String)] = []
    for (index, column) in table.columns.enumerated() {
      for field in self.fields(column, cells: table.rows.compactMap { index < $0.count ? $0[index] : nil }) {
        headers.append(field.header)
        fields.append((index, field.text))
      }
    }
    if let words = provenance?.words, !headers.contains(where: { $0.hasSuffix("(origin)") }) {
      headers.append("(origin)")
      fields.append((0, { _ in words }))
    }
    var out = headers.map(CSVReport.field).joined(separator: ",") + "\r\n"
    for row in table.rows {
      let line = fields.map { column, text in column < row.count ? CSVReport.field(text(row[column])) : "" }
      out += line.joined(separator: ",") + "\r\n"
    }
    return out
  }

  /// The columns that a column of the page becomes.
  private static func fields(_ column: Table.Column, cells: [Table.Cell]) -> [Field] {
    var fields: [Field] = []
    let present = cells.filter { $0.unavailable == nil && !$0.text.isEmpty }
    let numbers = present.filter { $0.sort != nil }
    let units = Set(numbers.map(\.unit))
    let areValues = numbers.count == present.count && !units.contains(nil)
    if !column.isNumeric || numbers.isEmpty {
      fields.append(Field(header: column.title, text: words))
    } else {
      // A number that only sorting goes by is not what the cell says.
      if !areValues { fields.append(Field(header: column.title, text: words)) }
      let unit = areValues && units.count == 1 ? units.first.flatMap { $0 } : nil
      let name = areValues ? column.title : "\(column.title) (number)"
      fields.append(Field(header: unit.map { name + suffix($0) } ?? name, text: number))
      if units.count > 1 {
        fields.append(Field(header: "\(column.title) (unit)") { $0.sort == nil ? "" : unitName($0.unit ?? "") })
      }
    }
    let common = column.provenance
    if common != nil || cells.contains(where: { $0.provenance != nil || $0.unavailable != nil }) {
      fields.append(
        Field(header: "\(column.title) (origin)") { cell in
          if let unavailable = cell.unavailable { return HTMLTable.words(unavailable) }
          return (cell.provenance ?? (cell.text.isEmpty ? nil : common))?.words ?? ""
        })
    }
    return fields
  }

  /// What a cell says; the whole name where the page shows a part of it.
  private static func words(_ cell: Table.Cell) -> String {
    if cell.unavailable != nil { return "" }
    return cell.isCode ? cell.hint ?? cell.text : cell.text
  }

  private static func number(_ cell: Table.Cell) -> String {
    guard cell.unavailable == nil, let value = cell.sort else { return "" }
    return NumberFormat.exact(value)
  }

  private static func suffix(_ unit: String) -> String {
    // Shares are of 1.
    unitName(unit).isEmpty || unit == "share" ? "" : " [\(unit)]"
  }

  /// A unit as a reader knows it: counts have none.
  private static func unitName(_ unit: String) -> String { unit == "1" ? "" : unit }
}
