// Along which few directions do the members differ most?
import Foundation

/// Principal component analysis: the eigenvectors of the features' covariance (Pearson 1901; Hotelling 1933).
public struct PrincipalComponents: Codable, Sendable, Equatable {
  /// Components × features: unit vectors. The greatest loading of each is positive.
  public var components: Matrix
  /// Variance along each component (n − 1 in the denominator), descending.
  public var variances: [Double]
  /// Share of the whole variance, 0…1.
  public var shares: [Double]
  /// Members × components.
  public var scores: Matrix

  /// As many components as there are features, at most members − 1; none for fewer than two members.
  public init(_ data: Matrix) {
    let (n, d) = (data.rows, data.columns)
    guard n > 1, d > 0 else {
      components = Matrix(rows: 0, columns: d)
      (variances, shares) = ([], [])
      scores = Matrix(rows: n, columns: 0)
      return
    }
    var centred = data
    for column in 0..<d {
      let mean = Statistics.mean(data.column(column))
      for row in 0..<n { centred[row, column] -= mean }
    }
    var covariance = Matrix(rows: d, columns: d)
    for a in 0..<d {
      for b in 0...a {
        var sum = 0.0
        for row in 0..<n { sum += centred[row, a] * centred[row, b] }
        covariance[a, b] = sum / Double(n - 1)
        covariance[b, a] = covariance[a, b]
      }
    }
    let (values, vectors) = Self.eigen(covariance)
    let order = values.indices.sorted { values[$0] != values[$1] ? values[$0] > values[$1] : $0 < $1 }
      .prefix(min(d, n - 1))
    variances = order.map { max(0, values[$0]) }
    let whole = values.reduce(0) { $0 + max(0, $1) }
    shares = variances.map { whole > 0 ? $0 / whole : 0 }
    components = Matrix(rows: order.count, columns: d)
    for (row, index) in order.enumerated() {
      let vector = vectors.column(index)
      let greatest = vector.indices.max { (abs(vector[$0]), -$0) < (abs(vector[$1]), -$1) } ?? 0
      let sign = vector[greatest] < 0 ? -1.0 : 1.0
      for column in 0..<d { components[row, column] = sign * vector[column] }
    }
    scores = Matrix(rows: n, columns: order.count)
    for row in 0..<n {
      for component in 0..<order.count {
        var sum = 0.0
        for column in 0..<d { sum += centred[row, column] * components[component, column] }
        scores[row, component] = sum
      }
    }
  }

  /// Eigenvalues and eigenvectors (columns) of a symmetric matrix by Jacobi's rotations, which are exact to rounding also
  /// for values close to each other.
  static func eigen(_ symmetric: Matrix) -> (values: [Double], vectors: Matrix) {
    let n = symmetric.rows
    var a = symmetric
    var v = Matrix(rows: n, columns: n)
    for i in 0..<n { v[i, i] = 1 }
    for _ in 0..<100 {
      var off = 0.0
      for i in 0..<n { for j in 0..<i { off += a[i, j] * a[i, j] } }
      let scale = (0..<n).reduce(0.0) { $0 + a[$1, $1] * a[$1, $1] }
      if off <= 1e-30 * max(scale, .leastNormalMagnitude) { break }
      for p in 0..<n {
        for q in (p + 1)..<max(n, p + 1) where abs(a[p, q]) > 0 {
          let theta = (a[q, q] - a[p, p]) / (2 * a[p, q])
          let t = (theta < 0 ? -1 : 1) / (abs(theta) + (theta * theta + 1).squareRoot())
          let c = 1 / (t * t + 1).squareRoot()
          let s = t * c
          for k in 0..<n {
            let (x, y) = (a[k, p], a[k, q])
            a[k, p] = c * x - s * y
            a[k, q] = s * x + c * y
          }
          for k in 0..<n {
            let (x, y) = (a[p, k], a[q, k])
            a[p, k] = c * x - s * y
            a[q, k] = s * x + c * y
          }
          for k in 0..<n {
            let (x, y) = (v[k, p], v[k, q])
            v[k, p] = c * x - s * y
            v[k, q] = s * x + c * y
          }
        }
      }
    }
    return ((0..<n).map { a[$0, $0] }, v)
  }
}
