// How are the fields of a YAML mapping read, so that each wrong one is told with its line?
import Yams

/// The fields of one mapping. All that are asked for are known; what is left at the end is a mistake.
package struct Fields {
  /// What errors call the mapping.
  package var subject: String
  private let mapping: Node.Mapping
  private let file: String
  private let line: Int?
  private var known: [String] = []

  package init(_ node: Node, _ subject: String, _ file: String) throws(ManifestError) {
    guard let mapping = node.mapping else {
      throw ManifestError(
        file: file, line: node.mark?.line, "\(subject) must have fields (name: value), but is \(Field.kind(of: node))")
    }
    self.subject = subject
    self.mapping = mapping
    self.file = file
    line = node.mark?.line
  }

  /// A field that may be missing.
  @discardableResult
  package mutating func optional<Value>(
    _ name: String, _ read: (Field) throws(ManifestError) -> Value
  ) throws(ManifestError) -> Value? {
    known.append(name)
    guard let node = mapping[Node(name)] else { return nil }
    return try read(Field(name: name, subject: subject, node: node, file: file))
  }

  /// A field that must be there; `meaning` helps who forgot it.
  package mutating func required<Value>(
    _ name: String, _ meaning: String, _ read: (Field) throws(ManifestError) -> Value
  ) throws(ManifestError) -> Value {
    guard let value = try optional(name, read) else { throw error("'\(name)' is missing: \(meaning)") }
    return value
  }

  /// Refuses fields that nobody asked for: a misspelt setting must not pass for one that was followed.
  package func finish() throws(ManifestError) {
    for (key, _) in mapping where key.string.map({ !known.contains($0) }) ?? true {
      let name = key.string.map { "'\($0)'" } ?? "this key"
      throw ManifestError(
        file: file, line: key.mark?.line,
        "\(subject) has no field \(name); there are \(known.joined(separator: ", "))")
    }
  }

  package func error(_ message: String) -> ManifestError {
    ManifestError(file: file, line: line, "\(subject): \(message)")
  }
}

/// One field's value.
package struct Field {
  package let name: String
  let subject: String
  package let node: Node
  let file: String

  package init(name: String, subject: String, node: Node, file: String) {
    self.name = name
    self.subject = subject
    self.node = node
    self.file = file
  }

  package func error(_ message: String) -> ManifestError {
    ManifestError(file: file, line: node.mark?.line, "'\(name)' of \(subject): \(message)")
  }

  private func wrongType(_ wanted: String) -> ManifestError {
    let found = node.scalar.map { "'\($0.string)'" } ?? Self.kind(of: node)
    return error("it must be \(wanted), but is \(found)")
  }

  /// A text, also an unquoted number.
  package func text() throws(ManifestError) -> String {
    guard let scalar = node.scalar, node.null == nil else { throw wrongType("a text") }
    return scalar.string
  }

  /// A list of texts.
  package func texts() throws(ManifestError) -> [String] {
    guard let list = node.sequence else { throw wrongType("a list") }
    var result: [String] = []
    for item in list {
      result.append(try Field(name: name, subject: subject, node: item, file: file).text())
    }
    return result
  }

  /// Texts by name.
  func textsByName() throws(ManifestError) -> [String: String] {
    guard let mapping = node.mapping else { throw wrongType("a mapping of names to texts") }
    var result: [String: String] = [:]
    for (key, value) in mapping {
      let key = try Field(name: name, subject: subject, node: key, file: file).text()
      guard !key.isEmpty, !key.contains("="), !key.contains("\0") else { throw error("'\(key)' is no variable's name") }
      result[key] = try Field(name: "\(name).\(key)", subject: subject, node: value, file: file).text()
    }
    return result
  }

  /// A finite number. A quoted one is a text.
  package func number() throws(ManifestError) -> Double {
    guard let number = node.scalar?.style == .plain ? node.float : nil, number.isFinite else {
      throw wrongType("a number")
    }
    return number
  }

  /// A list of finite numbers.
  package func numbers() throws(ManifestError) -> [Double] {
    guard let list = node.sequence else { throw wrongType("a list of numbers") }
    var result: [Double] = []
    for item in list {
      result.append(try Field(name: name, subject: subject, node: item, file: file).number())
    }
    return result
  }

  /// A whole number of a range.
  package func integer(_ range: ClosedRange<Int>) throws(ManifestError) -> Int {
    guard let number = node.scalar?.style == .plain ? node.int : nil else { throw wrongType("a whole number") }
    guard range.contains(number) else { throw wrongType("\(range.lowerBound) to \(range.upperBound)") }
    return number
  }

  /// True or false.
  package func truth() throws(ManifestError) -> Bool {
    guard let truth = node.scalar?.style == .plain ? node.bool : nil else { throw wrongType("true or false") }
    return truth
  }

  /// One of these words.
  package func choice(_ words: [String]) throws(ManifestError) -> String {
    guard let word = node.scalar?.string, words.contains(word) else {
      throw wrongType(words.joined(separator: " or "))
    }
    return word
  }

  static func kind(of node: Node) -> String {
    if node.mapping != nil { return "a mapping" }
    if node.sequence != nil { return "a list" }
    return node.null != nil ? "empty" : "'\(node.scalar?.string ?? "an alias")'"
  }
}
