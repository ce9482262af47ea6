// How is a whole number shared out so that the parts add up to it again?

/// Exact shares of whole numbers.
public enum Apportionment {
  /// Parts of `amount` in proportion to weights. They add up to `amount` exactly, each is within one of its exact share,
  /// and none exceeds its weight when `amount` does not exceed their sum. Negative numbers count as zero; without any
  /// weight all parts are zero.
  public static func split(_ amount: Int64, by weights: [Int64]) -> [Int64] {
    let weights = weights.map { UInt64(max(0, $0)) }
    // Weights whose sum does not fit are halved together: they are times, and no time is that long.
    let (sum, overflows) = weights.reduce((UInt64(0), false)) { total, weight in
      let (sum, overflow) = total.0.addingReportingOverflow(weight)
      return (sum, total.1 || overflow)
    }
    if overflows { return split(amount, by: weights.map { Int64($0 / 1024) }) }
    guard sum > 0, amount > 0 else { return [Int64](repeating: 0, count: weights.count) }
    // The difference of two running sums rounded down: nothing is lost between neighbours.
    var before: UInt64 = 0
    var given: UInt64 = 0
    return weights.map { weight in
      before += weight
      let product = UInt64(amount).multipliedFullWidth(by: before)
      // `before` is at most `sum`, so the quotient is at most `amount`.
      let until = sum.dividingFullWidth(product).quotient
      defer { given = until }
      return Int64(until - given)
    }
  }
}
