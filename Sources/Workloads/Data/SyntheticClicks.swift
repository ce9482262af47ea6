// Stand-in for click logs: who clicks is decided by planted effects of categories, of counts and of pairs of categories.

/// Impressions made from a seed, each on its own: any of them can be asked for at any time.
struct SyntheticClicks: ImpressionSource {
  /// Categories of the 26 fields of Criteo's log, as the reference numbers them: 33 762 577 in all.
  static let criteoRows = [
    1460, 583, 10_131_227, 2_202_608, 305, 24, 12_517, 633, 3, 93_145, 5683, 8_351_593, 3194, 27, 14_992, 5_461_306,
    10, 5652, 2173, 4, 7_046_547, 18, 15, 286_181, 105, 142_572,
  ]
  /// From 4 to 29 categories a field.
  static let smallRows = (0..<Impression.categoryFields).map { 4 + $0 }

  /// The fields, from the first, whose pairs have an effect too.
  static let pairedFields = 6
  /// The share of impressions that is below the middle of the logistic curve.
  static let quantile = 0.72
  /// Steepness of the logistic curve: certainty of a click.
  static let certainty = 2.5

  let tableRows: [Int]
  let count: Int
  /// Impressions that come before; those for validation follow those for training.
  let first: Int
  let seed: UInt64
  /// The score's place and width, from its first impressions.
  private let middle: Double
  private let deviation: Double

  var isShuffledByLoader: Bool { true }

  init(tableRows: [Int], count: Int, first: Int, seed: UInt64) {
    (self.tableRows, self.count, self.first, self.seed) = (tableRows, count, first, seed)
    let scores = (0..<4000).map { index in
      let fields = Self.fields(index, tableRows, seed)
      return Self.rawScore(fields.counts, fields.categories, seed)
    }.sorted()
    let mean = scores.reduce(0, +) / Double(scores.count)
    middle = scores[Int(Self.quantile * Double(scores.count))]
    deviation = (scores.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(scores.count)).squareRoot()
  }

  /// What the data are, for the log.
  var origin: String {
    "synthetic: impressions with planted effects of counts, categories and pairs of categories, "
      + "\(tableRows.reduce(0, +)) categories, seed \(seed)"
  }

  func impressions(_ indices: [Int], epoch: Int) -> [Impression] { indices.map(impression) }

  /// Clicked with the probability sigmoid(`logit`).
  func impression(_ index: Int) -> Impression {
    let fields = Self.fields(first + index, tableRows, seed)
    var random = SeededRandom(seed, 22, first + index)
    // u < sigmoid(x) exactly where ln u − ln(1 − u) < x.
    let u = random.uniform() * (1 - 0x1p-50) + 0x1p-51
    return Impression(
      isClicked: Reproducible.log(u) - Reproducible.log(1 - u) < logit(fields.counts, fields.categories),
      counts: fields.counts, categories: fields.categories)
  }

  /// The best score that there is: the one which decides.
  func logit(_ counts: [Int?], _ categories: [Int]) -> Double {
    Self.certainty * (Self.rawScore(counts, categories, seed) - middle) / deviation
  }

  /// Counts are ⌊30 u³⌋, now and then −1 or missing; of large tables few categories are frequent.
  private static func fields(_ index: Int, _ rows: [Int], _ seed: UInt64) -> (counts: [Int?], categories: [Int]) {
    var random = SeededRandom(seed, 21, index)
    let counts = (0..<Impression.countFields).map { field -> Int? in
      if random.chance(0.05 * Double(field % 4)) { return nil }
      let u = random.uniform()
      return random.chance(0.02) ? -1 : Int(30 * u * u * u)
    }
    let categories = rows.map { rows -> Int in
      let u = random.uniform()
      let square = u * u
      return min(Int(Double(rows) * (rows > 10_000 ? square * square * square * square : square)), rows - 1)
    }
    return (counts, categories)
  }

  /// Sum of a normal effect of every category, a linear one of every count, and of products of normal pairs for the
  /// first fields (a factorization machine of rank 2).
  private static func rawScore(_ counts: [Int?], _ categories: [Int], _ seed: UInt64) -> Double {
    var score = 0.0
    var sums = (0.0, 0.0)
    var squares = 0.0
    for (field, category) in categories.enumerated() {
      var random = SeededRandom(seed, 23, field, category)
      score += 0.5 * random.normal()
      if field < pairedFields {
        let (a, b) = (0.7 * random.normal(), 0.7 * random.normal())
        sums = (sums.0 + a, sums.1 + b)
        squares += a * a + b * b
      }
    }
    // Σᵢ<ⱼ vᵢ·vⱼ = (|Σ vᵢ|² − Σ |vᵢ|²) / 2.
    score += (sums.0 * sums.0 + sums.1 * sums.1 - squares) / 2
    for (field, count) in counts.enumerated() {
      var random = SeededRandom(seed, 24, field)
      score += 0.3 * random.normal() * (Double(Impression.dense(count)) - 1.5)
    }
    return score
  }
}
