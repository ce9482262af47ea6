// Are formulas read, checked and computed as arithmetic has it?
import ProfileModel
import Testing

@testable import Metrics

@Suite struct FormulaTests {
  static func value(_ text: String, _ names: [String: Double] = [:]) throws -> Double {
    try Formula(text).value { name throws(Unavailable) in
      guard let value = names[name] else { throw Unavailable("\(name) was not counted") }
      return Dual(value: value)
    }.value
  }

  @Test func computesAsArithmeticDoes() throws {
    #expect(try Self.value("1 + 2 * 3") == 7)
    #expect(try Self.value("(1 + 2) * 3") == 9)
    #expect(try Self.value("8 / 2 / 2") == 2)
    #expect(try Self.value("8 - 2 - 2") == 4)
    #expect(try Self.value("-a * -2", ["a": 3]) == 6)
    #expect(try Self.value("1.5e2 - .5") == 149.5)
    #expect(try Self.value("max(1, a, 2) + min(4, a)", ["a": 3]) == 6)
    #expect(try Self.value("clamp(a, 0, 1) + clamp(-a, 0, 1) + clamp(0.25, 0, 1)", ["a": 3]) == 1.25)
    #expect(try Self.value("x.1_y / z", ["x.1_y": 3, "z": 4]) == 0.75)
  }

  @Test func printedFormulasMeanTheSame() throws {
    let names = ["a": 7.0, "b": 3.0, "c": 2.0]
    for text in [
      "a - (b - c)", "a - b - c", "a / (b / c)", "a / (b * c)", "a * (b + c)", "a - (b + c)", "-(a + b) * c",
      "clamp(a - (b + 1), 0, max(b, c)) / 2", "(a - b) / (b - c) - 1",
    ] {
      let printed = try Formula(text).root.description
      #expect(try Self.value(printed, names) == (try Self.value(text, names)), "\(text) was printed as \(printed)")
    }
  }

  @Test(
    arguments: [
      ("", 0), ("1 +", 3), ("(a", 2), ("a b", 2), ("a $ b", 2), ("foo(a)", 0), ("min(a)", 0), ("clamp(a, 1)", 0),
      ("1.2.3", 0), ("a + * b", 4), (")", 0), ("min(a, b", 8), ("'a'", 0),
    ])
  func syntaxErrorsNameThePlace(_ text: String, _ position: Int) throws {
    let error = try #require(throws: FormulaError.self) { try Formula(text) }
    #expect(error.position == position, "\(text): \(error)")
  }

  @Test func deepNestingIsRefused() {
    let text = String(repeating: "(", count: 100_000)
    #expect(throws: FormulaError.self) { try Formula(text) }
    #expect(throws: FormulaError.self) { try Formula(String(repeating: "-", count: 100_000) + "1") }
  }

  @Test func unitsFollowTheFormula() throws {
    let units: [String: MetricUnit] = [
      "cycles": try #require(MetricUnit("cycles")), "slots": try #require(MetricUnit("slots/cycles")),
      "bytes": try #require(MetricUnit("bytes")), "time": try #require(MetricUnit("seconds")), "n": .count,
    ]
    func unit(_ text: String) throws -> String { try Formula(text).unit { units[$0] }.description }
    #expect(try unit("slots * cycles") == "slots")
    #expect(try unit("bytes / time") == "bytes/seconds")
    #expect(try unit("n / (n + n)") == "ratio")
    #expect(try unit("max(0, cycles - cycles)") == "cycles")
    #expect(try unit("1 / time") == "1/seconds")
    #expect(try unit("clamp(n / n, 0, 1)") == "ratio")
    for wrong in ["cycles + n", "slots * cycles - cycles", "1 + cycles", "min(bytes, n)", "cycles - 1"] {
      #expect(throws: FormulaError.self, "\(wrong)") { _ = try unit(wrong) }
    }
    #expect(MetricUnit("furlongs") == nil)
    #expect(MetricUnit("bytes/seconds/seconds") == nil)
  }

  @Test func slopesAreThoseOfDifferences() throws {
    let formula = try Formula("a * b / (c + 2 * a) - min(b, c) + max(a, 1) * clamp(c, 0, 10)")
    let point = [3.0, 5.0, 7.0]
    func dual(_ point: [Double]) throws -> Dual {
      try formula.value { name throws(Unavailable) in
        let index = name == "a" ? 0 : name == "b" ? 1 : 2
        return Dual(value: point[index], gradient: [index: 1])
      }
    }
    let gradient = try dual(point).gradient
    for index in 0..<3 {
      let step = 1e-6
      var (up, down) = (point, point)
      up[index] += step
      down[index] -= step
      let slope = (try dual(up).value - dual(down).value) / (2 * step)
      #expect(abs((gradient[index] ?? 0) - slope) < 1e-6)
    }
  }

  @Test func nothingDividedByNothingIsUnavailable() throws {
    let error = try #require(throws: Unavailable.self) { try Self.value("a / (b - b)", ["a": 1, "b": 2]) }
    #expect(error.reason == "division by zero: b - b is 0")
    #expect(throws: Unavailable.self) { try Self.value("0 / 0") }
    #expect(throws: Unavailable("x was not counted")) { try Self.value("1 + x") }
  }
}
