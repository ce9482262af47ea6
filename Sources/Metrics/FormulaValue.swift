// What is a formula's value, and how does it change with each of its operands?
import ProfileModel

/// A value with its partial derivatives by the operands, for the first-order propagation of uncertainty
/// (JCGM 100:2008, 5.1.2: independent operands).
struct Dual {
  var value: Double
  /// By operand, an index that the caller chose.
  var gradient: [Int: Double] = [:]

  private func combined(_ other: Dual, _ value: Double, _ a: Double, _ b: Double) -> Dual {
    var gradient = gradient.mapValues { $0 * a }
    for (operand, slope) in other.gradient { gradient[operand, default: 0] += slope * b }
    return Dual(value: value, gradient: gradient)
  }

  static func + (a: Dual, b: Dual) -> Dual { a.combined(b, a.value + b.value, 1, 1) }
  static func - (a: Dual, b: Dual) -> Dual { a.combined(b, a.value - b.value, 1, -1) }
  static func * (a: Dual, b: Dual) -> Dual { a.combined(b, a.value * b.value, b.value, a.value) }
  /// `b` is not 0.
  static func / (a: Dual, b: Dual) -> Dual {
    a.combined(b, a.value / b.value, 1 / b.value, -a.value / (b.value * b.value))
  }
}

extension Formula {
  /// The value.
  ///
  /// - Parameter operand: The value of a name, or why there is none.
  /// - Throws: `Unavailable`: the first operand's reason, or a division by zero.
  func value(_ operand: (String) throws(Unavailable) -> Dual) throws(Unavailable) -> Dual {
    try Self.value(of: root, operand)
  }

  private static func value(
    of node: Node, _ operand: (String) throws(Unavailable) -> Dual
  ) throws(Unavailable) -> Dual {
    switch node {
    case .number(let number): return Dual(value: number)
    case .name(let name, _): return try operand(name)
    case .negative(let node): return Dual(value: 0) - (try value(of: node, operand))
    case .binary(let operation, let left, let right, _):
      let a = try value(of: left, operand)
      let b = try value(of: right, operand)
      switch operation {
      case .plus: return a + b
      case .minus: return a - b
      case .times: return a * b
      case .over:
        guard b.value != 0, (a / b).value.isFinite else { throw Unavailable("division by zero: \(right) is 0") }
        return a / b
      }
    case .call(let function, let arguments, _):
      var values: [Dual] = []
      for argument in arguments { values.append(try value(of: argument, operand)) }
      let first = values[0]
      switch function {
      case .min: return values.dropFirst().reduce(first) { $1.value < $0.value ? $1 : $0 }
      case .max: return values.dropFirst().reduce(first) { $1.value > $0.value ? $1 : $0 }
      case .clamp: return first.value < values[1].value ? values[1] : first.value > values[2].value ? values[2] : first
      }
    }
  }
}
