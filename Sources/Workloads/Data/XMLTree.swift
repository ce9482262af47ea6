// Small XML files as trees, by Expat.
import CExpat

/// An element with its text, its children and its line. Attributes are left out: no data set here has any.
final class XMLTree {
  let name: String
  /// Where it begins, from 1.
  let line: Int
  /// Its own text, of all parts together, without the white space around it.
  fileprivate(set) var text = ""
  fileprivate(set) var children: [XMLTree] = []

  fileprivate init(name: String, line: Int) { (self.name, self.line) = (name, line) }

  /// The first child of a name.
  subscript(name: String) -> XMLTree? { children.first { $0.name == name } }

  /// Reads a file.
  ///
  /// - Throws: `DataError`, with Expat's message and the line for what is not well-formed.
  static func read(_ path: String) throws(DataError) -> XMLTree {
    // An annotation has some kilobytes.
    let bytes = try ByteStream(path: path).readAll(limit: 1 << 26)
    guard !bytes.isEmpty else { throw .corruptFile(path: path, reason: "the file is empty") }
    guard let parser = XML_ParserCreate(nil) else { throw .unreadable(path: path, reason: "out of memory") }
    defer { XML_ParserFree(parser) }
    let builder = Builder(parser)
    // The builder outlives the parser's calls, which all happen within XML_Parse.
    let result = withExtendedLifetime(builder) {
      XML_SetUserData(parser, Unmanaged.passUnretained(builder).toOpaque())
      XML_SetElementHandler(
        parser, { data, name, _ in Builder.of(data)?.begin(name) }, { data, _ in Builder.of(data)?.end() })
      XML_SetCharacterDataHandler(parser) { data, text, count in Builder.of(data)?.add(text, count) }
      return bytes.withUnsafeBytes {
        XML_Parse(parser, $0.bindMemory(to: CChar.self).baseAddress, Int32($0.count), 1)
      }
    }
    guard result == XML_STATUS_OK, let root = builder.root else {
      let reason =
        builder.isTooDeep
        ? "elements are nested more than \(Builder.largestDepth) deep"
        : XML_ErrorString(XML_GetErrorCode(parser)).map { String(cString: $0) } ?? "it is not well-formed"
      throw .corruptFile(path: path, reason: "line \(XML_GetCurrentLineNumber(parser)): \(reason)")
    }
    return root
  }

  /// Makes the tree from Expat's events.
  private final class Builder {
    /// Trees are released element by element, each within its parent: no file may make that recursion deep.
    static let largestDepth = 64
    let parser: XML_Parser
    var root: XMLTree?
    var isTooDeep = false
    private var open: [XMLTree] = []
    private var texts: [[UInt8]] = []

    init(_ parser: XML_Parser) { self.parser = parser }

    static func of(_ data: UnsafeMutableRawPointer?) -> Builder? {
      data.map { Unmanaged<Builder>.fromOpaque($0).takeUnretainedValue() }
    }

    func begin(_ name: UnsafePointer<CChar>?) {
      guard open.count < Self.largestDepth else {
        isTooDeep = true
        XML_StopParser(parser, XML_Bool(0))
        return
      }
      let element = XMLTree(
        name: name.map { String(cString: $0) } ?? "", line: Int(XML_GetCurrentLineNumber(parser)))
      open.last?.children.append(element)
      open.append(element)
      texts.append([])
    }

    func add(_ text: UnsafePointer<CChar>?, _ count: Int32) {
      guard let text, !texts.isEmpty else { return }
      texts[texts.count - 1].append(
        contentsOf: UnsafeBufferPointer(start: text, count: Int(count)).lazy.map { UInt8(bitPattern: $0) })
    }

    func end() {
      guard let element = open.popLast(), let text = texts.popLast() else { return }
      let isBlank = { (byte: UInt8) in byte == 0x20 || (0x09...0x0D).contains(byte) }
      let trimmed = text.drop(while: isBlank).reversed().drop(while: isBlank).reversed()
      element.text = String(decoding: Array(trimmed), as: UTF8.self)
      if open.isEmpty { root = element }
    }
  }
}
