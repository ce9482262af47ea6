// Records of Go games in the Smart Game Format (FF[4], Hollosi 1999): nodes of properties, in a tree of variations.

/// Reads the main line of a game record.
enum SmartGameFormat {
  /// A node: its properties with their values, and the line where it begins.
  private struct Node {
    var properties: [(name: String, values: [String])] = []
    var line: Int

    func values(_ name: String) -> [String] { properties.filter { $0.name == name }.flatMap(\.values) }
  }

  /// Reads a file; every move is checked by the rules of Go.
  ///
  /// - Throws: `DataError` that names the file and the line.
  static func read(_ path: String, side: Int) throws(DataError) -> GoRecord {
    let bytes = try ByteStream(path: path).readAll(limit: 1 << 24)
    let nodes = try mainLine(bytes, path: path)
    var record = GoRecord(moves: [])
    guard let root = nodes.first else { throw .empty(path: path, expected: "a game record that begins with \"(;\"") }
    // Without a size a record is of 19×19, and without a game of Go.
    let size = root.values("SZ").first ?? "19"
    guard size == "\(side)" || size == "\(side):\(side)" else {
      throw .unsuitable(path: path, reason: "its board is \(size)×\(size) (SZ); games on \(side)×\(side) are wanted")
    }
    if let game = root.values("GM").first, game != "1" {
      throw .unsuitable(path: path, reason: "it is a record of game \(game) (GM), not of Go, which is 1")
    }
    var position: Go?
    for node in nodes {
      for (name, isBlack) in [("AB", true), ("AW", false)] {
        for value in node.values(name) {
          guard position == nil else {
            throw .malformedLine(
              path: path, line: node.line, text: "\(name)[\(value)]", expected: "no stones set after the first move")
          }
          record.setup.append(
            GoRecord.Stone(place: try place(value, side, path, node.line, name, passes: false), isBlack: isBlack))
        }
      }
      for (name, values) in node.properties where name == "B" || name == "W" {
        let value = values.first ?? ""
        let move = GoRecord.Stone(
          place: try place(value, side, path, node.line, name, passes: true), isBlack: name == "B")
        record.moves.append(move)
        var board = position ?? GoRecords.start(record, side)
        board.setToPlay(isBlack: move.isBlack)
        let objection =
          board.isOver
          ? "the game has ended by two passes"
          : move.place == board.pass ? nil : board.objection(to: move.place)?.rawValue
        if let objection {
          throw .malformedLine(
            path: path, line: node.line, text: "\(name)[\(value)]",
            expected: "a legal move as number \(record.moves.count), but \(objection)")
        }
        board.play(move.place)
        position = board
      }
    }
    return record
  }

  /// `ab` is the first column of the second row; nothing, and on small boards `tt`, is a pass.
  private static func place(
    _ value: String, _ side: Int, _ path: String, _ line: Int, _ name: String, passes: Bool
  ) throws(DataError) -> Int {
    if passes, value.isEmpty || (value == "tt" && side <= 19) { return side * side }
    let letters = value.utf8.map { Int($0) - 0x61 }
    guard letters.count == 2, letters.allSatisfy({ (0..<side).contains($0) }) else {
      throw .malformedLine(
        path: path, line: line, text: "\(name)[\(value.prefix(40))]",
        expected: "two letters from a to \(Character(UnicodeScalar(UInt8(0x60 + side)))) for column and row")
    }
    return letters[1] * side + letters[0]
  }

  /// The nodes of the first variation everywhere.
  private static func mainLine(_ bytes: [UInt8], path: String) throws(DataError) -> [Node] {
    var place = 0
    var line = 1
    func malformed(_ expected: String) -> DataError {
      let rest = bytes[min(place, bytes.count)...].prefix(40)
      return .malformedLine(
        path: path, line: line,
        text: rest.isEmpty
          ? "the end of the file"
          : String(rest.map { (0x20..<0x7F).contains($0) ? Character(UnicodeScalar($0)) : "·" }),
        expected: expected)
    }
    func skipSpace() {
      while place < bytes.count, bytes[place] <= 0x20 {
        if bytes[place] == 0x0A { line += 1 }
        place += 1
      }
    }
    /// What stands between brackets, the next of which is at `place`.
    func value() throws(DataError) -> String {
      place += 1
      var content: [UInt8] = []
      while place < bytes.count, bytes[place] != UInt8(ascii: "]") {
        if bytes[place] == UInt8(ascii: "\\"), place + 1 < bytes.count { place += 1 }
        if bytes[place] == 0x0A { line += 1 }
        content.append(bytes[place])
        place += 1
      }
      guard place < bytes.count else { throw malformed("a \"]\" that ends the value") }
      place += 1
      return String(decoding: content, as: UTF8.self)
    }

    var nodes: [Node] = []
    // What precedes the first parenthesis, such as a byte order mark, does not belong to the record.
    while place < bytes.count, bytes[place] != UInt8(ascii: "(") {
      if bytes[place] == 0x0A { line += 1 }
      place += 1
    }
    guard place < bytes.count else { throw malformed("a game record that begins with \"(;\"") }
    var depth = 0
    // After the first variation ends, the others are read over.
    var isMain = true
    repeat {
      skipSpace()
      guard place < bytes.count else { throw malformed("a \")\" that ends the record") }
      switch bytes[place] {
      case UInt8(ascii: "("):
        depth += 1
        place += 1
      case UInt8(ascii: ")"):
        depth -= 1
        place += 1
        isMain = false
      case UInt8(ascii: ";"):
        place += 1
        if isMain { nodes.append(Node(line: line)) }
      case UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "a")...UInt8(ascii: "z"):
        guard !nodes.isEmpty else { throw malformed("\";\" before the first property") }
        var name: [UInt8] = []
        while place < bytes.count, (0x41...0x5A).contains(bytes[place]) || (0x61...0x7A).contains(bytes[place]) {
          // Older records spell names out with small letters, which do not count.
          if (0x41...0x5A).contains(bytes[place]) { name.append(bytes[place]) }
          place += 1
        }
        var values: [String] = []
        skipSpace()
        while place < bytes.count, bytes[place] == UInt8(ascii: "[") {
          values.append(try value())
          skipSpace()
        }
        guard !values.isEmpty else { throw malformed("a value in brackets after the property's name") }
        if isMain { nodes[nodes.count - 1].properties.append((String(decoding: name, as: UTF8.self), values)) }
      default:
        throw malformed("\"(\", \")\", \";\" or a property")
      }
    } while depth > 0
    return nodes
  }
}
