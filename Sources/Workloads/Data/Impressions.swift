// Shown advertisements: thirteen counts, twenty-six categories, and whether somebody clicked.

/// One shown advertisement in the form of Criteo's data set.
struct Impression: Sendable, Equatable {
  /// Integer features.
  static let countFields = 13
  /// Categorical features.
  static let categoryFields = 26

  /// Whether it was clicked.
  var isClicked: Bool
  /// The counts; `nil` where the field is empty.
  var counts: [Int?]
  /// For every field the category's number in its table.
  var categories: [Int]

  /// What the network reads of a count: ln(1 + x), with negative and missing ones as 0 (the DLRM reference's rule).
  static func dense(_ count: Int?) -> Float { Float(Reproducible.log(1 + Double(max(count ?? 0, 0)))) }
}

/// Where impressions come from.
protocol ImpressionSource: Sendable {
  /// The number of impressions.
  var count: Int { get }
  /// How many categories each of the fields has.
  var tableRows: [Int] { get }
  /// Whether the loader shuffles; a source that reads a file has its own order, which keeps reads together.
  var isShuffledByLoader: Bool { get }
  /// Impressions of an epoch.
  func impressions(_ indices: [Int], epoch: Int) throws -> [Impression]
}

/// Impressions as tensors: inputs dense f32 [n, 13] and categories i64 [26, n], a table after the other; targets
/// clicked f32 [n].
struct ImpressionBatches: Dataset {
  let source: any ImpressionSource
  /// Rows that a table has at most; further categories share them.
  let maximumRows: Int?

  var count: Int { source.count }

  func batch(_ indices: [Int], epoch: Int, random: inout SeededRandom) throws -> Batch {
    let impressions = try source.impressions(indices, epoch: epoch)
    let n = impressions.count
    var dense: [Float] = []
    dense.reserveCapacity(n * Impression.countFields)
    var categories = [Int](repeating: 0, count: n * Impression.categoryFields)
    for (sample, impression) in impressions.enumerated() {
      dense += impression.counts.map(Impression.dense)
      for (field, category) in impression.categories.enumerated() {
        categories[field * n + sample] = maximumRows.map { category % $0 } ?? category
      }
    }
    return Batch(
      samples: n,
      inputs: [
        HostTensor(dense, shape: [n, Impression.countFields]),
        HostTensor(integers: categories, shape: [Impression.categoryFields, n]),
      ],
      targets: [HostTensor(impressions.map { $0.isClicked ? 1 : 0 }, shape: [n])])
  }
}
