// Do the units in a formula fit each other?

extension Formula {
  /// The unit of the formula's value.
  ///
  /// - Parameter unit: The unit of a name; `nil` for an unknown one, which must have been refused before.
  /// - Throws: `FormulaError` where unlike quantities are added or compared.
  func unit(_ unit: (String) -> MetricUnit?) throws(FormulaError) -> MetricUnit {
    try Self.unit(of: root, unit) ?? .ratio
  }

  /// The unit of a part; `nil` for 0, which is as good in every unit.
  private static func unit(
    of node: Node, _ lookup: (String) -> MetricUnit?
  ) throws(FormulaError) -> MetricUnit? {
    switch node {
    case .number(let value): return value == 0 ? nil : .ratio
    case .name(let name, let position):
      guard let unit = lookup(name) else { throw FormulaError(position: position, message: "unknown name '\(name)'") }
      return unit
    case .negative(let node): return try unit(of: node, lookup)
    case .binary(let operation, let left, let right, let position):
      let first = try unit(of: left, lookup)
      let second = try unit(of: right, lookup)
      switch operation {
      case .plus, .minus:
        return try same([(left, first), (right, second)], position, operation == .plus ? "add" : "subtract")
      case .times:
        guard let first, let second else { return nil }
        return first.times(second)
      case .over:
        guard let first else { return nil }
        return first.divided(by: second ?? .ratio)
      }
    case .call(let function, let arguments, let position):
      var parts: [(Node, MetricUnit?)] = []
      for argument in arguments { parts.append((argument, try unit(of: argument, lookup))) }
      return try same(parts, position, function.rawValue)
    }
  }

  private static func same(
    _ parts: [(node: Node, unit: MetricUnit?)], _ position: Int, _ what: String
  ) throws(FormulaError) -> MetricUnit? {
    let known = parts.compactMap { part in part.unit.map { (part.node, $0) } }
    guard let first = known.first else { return nil }
    if let other = known.first(where: { $0.1 != first.1 }) {
      throw FormulaError(
        position: position,
        message: "units don't fit: can't \(what) \(first.1) (\(first.0)) and \(other.1) (\(other.0)); "
          + "multiply by a constant that turns one into the other")
    }
    return first.1
  }
}
