// Rows of numbers, and the generator that decides whatever is random in an analysis.

/// A matrix in row-major order.
public struct Matrix: Codable, Sendable, Equatable {
  /// Number of rows.
  public let rows: Int
  /// Number of columns.
  public let columns: Int
  /// Row after row.
  public var values: [Double]

  /// A matrix of these values. Their number must be rows × columns.
  public init(rows: Int, columns: Int, values: [Double]) {
    precondition(values.count == rows * columns, "\(values.count) values for \(rows) × \(columns)")
    (self.rows, self.columns, self.values) = (rows, columns, values)
  }

  /// A matrix of one value everywhere.
  public init(rows: Int, columns: Int, repeating value: Double = 0) {
    self.init(rows: rows, columns: columns, values: Array(repeating: value, count: rows * columns))
  }

  /// A matrix of rows of equal length.
  public init(_ rows: [[Double]]) {
    self.init(rows: rows.count, columns: rows.first?.count ?? 0, values: rows.flatMap { $0 })
  }

  /// An element.
  public subscript(row: Int, column: Int) -> Double {
    get { values[row * columns + column] }
    set { values[row * columns + column] = newValue }
  }

  /// A row.
  public func row(_ index: Int) -> ArraySlice<Double> { values[(index * columns)..<((index + 1) * columns)] }
  /// A column.
  public func column(_ index: Int) -> [Double] { (0..<rows).map { self[$0, index] } }
  /// Some of the rows, in the given order; a row may come more than once.
  public func selecting(rows indices: [Int]) -> Matrix {
    Matrix(rows: indices.count, columns: columns, values: indices.flatMap { row($0) })
  }

  /// The squared Euclidean distance of two rows.
  func squaredDistance(_ a: Int, _ b: Int) -> Double {
    var sum = 0.0
    for column in 0..<columns {
      let difference = values[a * columns + column] - values[b * columns + column]
      sum += difference * difference
    }
    return sum
  }

  /// Euclidean distances between all rows, rows × rows.
  var distances: Matrix {
    var result = Matrix(rows: rows, columns: rows)
    for a in 0..<rows {
      for b in 0..<a {
        let distance = squaredDistance(a, b).squareRoot()
        result[a, b] = distance
        result[b, a] = distance
      }
    }
    return result
  }
}

/// SplitMix64 (Steele, Lea and Flood 2014): the same numbers on every machine for a seed.
struct SeededGenerator: RandomNumberGenerator, Sendable {
  private var state: UInt64

  init(_ seed: UInt64) { state = seed }

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
  }

  /// Uniform in 0 ..< 1, 53 bits.
  mutating func unit() -> Double { Double(next() >> 11) * 0x1p-53 }

  /// Uniform in 0 ..< `bound`.
  mutating func index(below bound: Int) -> Int { Int(unit() * Double(bound)) }
}
