// What does the text of a metric's formula say?

/// A formula over events, constants and other metrics: numbers, names, `+ - * /`, parentheses, `min`, `max` and
/// `clamp(value, low, high)`.
///
///     let formula = try Formula("1 - min(1, misses / references)")
///     print(formula.names)  // ["misses", "references"]
public struct Formula: Hashable, Sendable {
  /// As it was written.
  public var text: String
  let root: Node

  /// Reads a formula.
  ///
  /// - Throws: `FormulaError`.
  public init(_ text: String) throws(FormulaError) {
    self.text = text
    var parser = FormulaParser(text)
    root = try parser.formula()
  }

  /// What it refers to, in the order of its text, each once.
  public var names: [String] {
    var seen: Set<String> = []
    return root.names.map(\.name).filter { seen.insert($0).inserted }
  }

  /// A part of a formula.
  indirect enum Node: Hashable, Sendable {
    case number(Double)
    case name(String, at: Int)
    case negative(Node)
    case binary(Operation, Node, Node, at: Int)
    case call(Function, [Node], at: Int)

    var names: [(name: String, position: Int)] {
      switch self {
      case .number: []
      case .name(let name, let position): [(name, position)]
      case .negative(let node): node.names
      case .binary(_, let left, let right, _): left.names + right.names
      case .call(_, let arguments, _): arguments.flatMap(\.names)
      }
    }
  }

  enum Operation: Character, Sendable {
    case plus = "+"
    case minus = "-"
    case times = "*"
    case over = "/"
  }

  enum Function: String, Sendable, CaseIterable {
    case min
    case max
    case clamp
  }
}

/// What is wrong with a formula, and where.
public struct FormulaError: Error, Hashable, Sendable, CustomStringConvertible {
  /// Characters before the place, from 0.
  public var position: Int
  /// The cause and the way out.
  public var message: String

  /// `character 5: a ')' is missing`.
  public var description: String { "character \(position + 1): \(message)" }
}

/// Recursive descent over the characters of one formula.
private struct FormulaParser {
  private let characters: [Character]
  private var position = 0
  private var depth = 0
  /// Deeper than any that a person writes, and far from the end of the stack.
  private static let deepest = 100

  init(_ text: String) { characters = Array(text) }

  mutating func formula() throws(FormulaError) -> Formula.Node {
    skipSpaces()
    guard position < characters.count else { throw error("the formula is empty") }
    let node = try sum()
    guard position == characters.count else {
      throw error("'\(characters[position])' is not expected here; an operator (+ - * /) may be missing")
    }
    return node
  }

  private func error(_ message: String, at place: Int? = nil) -> FormulaError {
    FormulaError(position: place ?? position, message: message)
  }

  private var next: Character? { position < characters.count ? characters[position] : nil }

  private mutating func skipSpaces() {
    while let next, next.isWhitespace { position += 1 }
  }

  private mutating func take(_ character: Character) -> Bool {
    guard next == character else { return false }
    position += 1
    skipSpaces()
    return true
  }

  private mutating func sum() throws(FormulaError) -> Formula.Node {
    depth += 1
    defer { depth -= 1 }
    guard depth <= Self.deepest else { throw error("parentheses are nested too deep") }
    var node = try product()
    while let operation = next.flatMap(Formula.Operation.init), operation == .plus || operation == .minus {
      let place = position
      _ = take(operation.rawValue)
      node = .binary(operation, node, try product(), at: place)
    }
    return node
  }

  private mutating func product() throws(FormulaError) -> Formula.Node {
    var node = try factor()
    while let operation = next.flatMap(Formula.Operation.init), operation == .times || operation == .over {
      let place = position
      _ = take(operation.rawValue)
      node = .binary(operation, node, try factor(), at: place)
    }
    return node
  }

  private mutating func factor() throws(FormulaError) -> Formula.Node {
    if take("-") {
      depth += 1
      defer { depth -= 1 }
      guard depth <= Self.deepest else { throw error("signs are nested too deep") }
      return .negative(try factor())
    }
    let place = position
    if take("(") {
      let node = try sum()
      guard take(")") else { throw error("the ')' of the '(' at character \(place + 1) is missing") }
      return node
    }
    guard let next else { throw error("the formula ends where a number, a name or '(' must follow") }
    if next.isASCII, next.isNumber || next == "." { return try number() }
    if next.isASCII, next.isLetter || next == "_" { return try nameOrCall() }
    throw error("'\(next)' is not expected here: a number, a name or '(' is")
  }

  private mutating func number() throws(FormulaError) -> Formula.Node {
    let start = position
    var text = ""
    while let next, next.isASCII,
      next.isNumber || next == "." || next == "e" || next == "E"
        || ((next == "-" || next == "+") && (text.last == "e" || text.last == "E"))
    {
      text.append(next)
      position += 1
    }
    guard let value = Double(text), value.isFinite else { throw error("'\(text)' is no number", at: start) }
    skipSpaces()
    return .number(value)
  }

  private mutating func nameOrCall() throws(FormulaError) -> Formula.Node {
    let start = position
    var text = ""
    while let next, next.isASCII, next.isLetter || next.isNumber || next == "_" || next == "." {
      text.append(next)
      position += 1
    }
    skipSpaces()
    guard take("(") else { return .name(text, at: start) }
    guard let function = Formula.Function(rawValue: text) else {
      throw error("there is no function '\(text)'; there are min, max and clamp", at: start)
    }
    var arguments = [try sum()]
    while take(",") { arguments.append(try sum()) }
    guard take(")") else { throw error("the ')' of '\(text)(' is missing") }
    let isRight = function == .clamp ? arguments.count == 3 : arguments.count >= 2
    guard isRight else {
      throw error(
        function == .clamp ? "clamp takes three values: clamp(value, low, high)" : "\(text) takes two values or more",
        at: start)
    }
    return .call(function, arguments, at: start)
  }
}

extension Formula.Node: CustomStringConvertible {
  /// The part as text, with the parentheses that it needs.
  var description: String {
    switch self {
    case .number(let value): value == value.rounded() && abs(value) < 1e15 ? "\(Int(value))" : "\(value)"
    case .name(let name, _): name
    case .negative(let node): "-(\(node))"
    case .binary(let operation, let left, let right, _):
      "\(left.inProduct(operation, isRight: false)) \(operation.rawValue) \(right.inProduct(operation, isRight: true))"
    case .call(let function, let arguments, _):
      "\(function.rawValue)(\(arguments.map(\.description).joined(separator: ", ")))"
    }
  }

  private func inProduct(_ operation: Formula.Operation, isRight: Bool) -> String {
    guard case .binary(let own, _, _, _) = self else { return description }
    let isSum = own == .plus || own == .minus
    let isOfSum = operation == .plus || operation == .minus
    let needs = isOfSum ? isRight && operation == .minus && isSum : isSum || (isRight && operation == .over)
    return needs ? "(\(description))" : description
  }
}
