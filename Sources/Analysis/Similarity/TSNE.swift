// Which members are alike, seen on a map?
import Foundation

/// A map of the members by t-SNE (van der Maaten and Hinton 2008): members that are close in the space of the features are
/// close on the map. Distances between groups, their sizes and the axes mean nothing; so clusters are never found on a map.
///
/// The same data, options and build give the same bytes with any number of threads.
public struct SimilarityMap: Codable, Sendable, Equatable {
  /// How the gradient is computed.
  public enum Method: String, Codable, Sendable {
    /// Affinities and forces between all pairs.
    case exact
    /// Affinities of the 3 × perplexity nearest neighbours; repulsion interpolated on a grid.
    case approximated
  }

  /// Why there is no map.
  public enum Failure: Error, Equatable, CustomStringConvertible {
    /// The data have a NaN or an infinite value.
    case notFinite(row: Int, column: Int)
    /// The perplexity is no number above 1.
    case perplexity(Double)
    /// Fewer than one restart.
    case restarts(Int)

    /// The cause and the way out.
    public var description: String {
      switch self {
      case .notFinite(let row, let column):
        "row \(row), column \(column) of the data is not finite: fill or leave out missing values first"
      case .perplexity(let value): "the perplexity must be a number above 1, and is \(value); 30 is usual"
      case .restarts(let count): "a map takes at least one restart, not \(count)"
      }
    }
  }

  /// How a map is made.
  public struct Options: Codable, Sendable, Equatable {
    /// The effective number of neighbours. What the number of members doesn't allow is lowered.
    public var perplexity: Double
    /// How many beginnings are tried: the first along the principal components, the others random. `nil` for 32 up to 64
    /// members, 8 up to 256, else 1.
    public var restarts: Int?
    /// What random beginnings depend on.
    public var seed: UInt64
    /// How many threads may work.
    public var threads: Int
    /// `nil` for exact up to 2000 members.
    public var method: Method?
    /// Size of the neighbourhoods that trustworthiness and stability compare. What the number of members doesn't allow
    /// (below half of it) is lowered.
    public var neighbours: Int

    /// The usual options.
    public init(
      perplexity: Double = 30, restarts: Int? = nil, seed: UInt64 = 1,
      threads: Int = ProcessInfo.processInfo.activeProcessorCount, method: Method? = nil, neighbours: Int = 5
    ) {
      (self.perplexity, self.restarts, self.seed) = (perplexity, restarts, seed)
      (self.threads, self.method, self.neighbours) = (threads, method, neighbours)
    }
  }

  /// Members × 2, the mean at the origin, the greatest variance along the first axis.
  public var points: Matrix
  /// How the gradient was computed.
  public var method: Method
  /// The perplexity that was used.
  public var perplexity: Double
  /// The perplexity that was asked for; a greater one than was used is more than the members allow: a third of the others,
  /// or 2 for a handful.
  public var wantedPerplexity: Double
  /// Iterations of the best restart.
  public var iterations: Int
  /// Number of beginnings tried.
  public var restarts: Int
  /// The Kullback–Leibler divergence of the map from the affinities, in nats: the least of all restarts. Comparable between
  /// maps of the same data and perplexity alone. For an approximated map the affinities are the neighbours'.
  public var klDivergence: Double
  /// The divergence of each restart.
  public var klDivergences: [Double]
  /// Size of the neighbourhoods compared; 0 for fewer than three members, which have none.
  public var neighbours: Int
  /// ``MapQuality/trustworthiness(_:_:neighbours:most:threads:)``, 0…1; `nil` for fewer than three members.
  public var trustworthiness: Double?
  /// Whether another beginning gives the same neighbours: ``MapQuality/agreement(_:_:neighbours:threads:)`` of the map with
  /// that of each other restart, the mean; 0…1. `nil` where there was one restart, or for fewer than three members.
  public var stability: Double?
  /// The seed of the random beginnings.
  public var seed: UInt64

  /// Makes a map.
  ///
  /// - Parameter data: members × features, on one scale (``FeatureTable/scaled(_:)``).
  public init(_ data: Matrix, _ options: Options = Options()) throws(Failure) {
    for place in data.values.indices where !data.values[place].isFinite {
      throw .notFinite(row: place / data.columns, column: place % data.columns)
    }
    guard options.perplexity.isFinite, options.perplexity > 1 else { throw .perplexity(options.perplexity) }
    if let restarts = options.restarts, restarts < 1 { throw .restarts(restarts) }
    let n = data.rows
    let threads = max(1, options.threads)
    let normalized = Self.normalized(data)
    method = options.method ?? (n <= 2000 ? .exact : .approximated)
    wantedPerplexity = options.perplexity
    perplexity = min(options.perplexity, TSNEAffinities.greatestPerplexity(members: n))
    restarts = options.restarts ?? (n <= 64 ? 32 : n <= 256 ? 8 : 1)
    seed = options.seed
    neighbours = max(0, min(options.neighbours, (n - 1) / 2))

    let beginnings = TSNEBeginnings(normalized, seed: seed)
    let maps: [TSNEMap]
    switch method {
    case .exact where n <= TSNEMap.mostByPairs:
      maps = TSNEMap.byPairs(normalized, perplexity, beginnings, restarts, threads)
    case .exact:
      maps = TSNEMap.dense(normalized, perplexity, beginnings, restarts, threads)
    case .approximated:
      maps = TSNEMap.approximated(normalized, perplexity, beginnings, restarts, threads)
    }
    klDivergences = maps.map(\.divergence)
    // The first of equals.
    var best = 0
    for place in maps.indices where maps[place].divergence < maps[best].divergence { best = place }
    (iterations, klDivergence) = (maps[best].iterations, maps[best].divergence)
    let points = maps[best].turned
    self.points = points
    let k = neighbours
    trustworthiness =
      k > 0 ? MapQuality.trustworthiness(normalized, points, neighbours: k, most: 1000, threads: threads) : nil
    let others = maps.indices.filter { $0 != best }
    stability =
      k > 0 && !others.isEmpty
      ? Statistics.mean(
        others.map { MapQuality.agreement(points, maps[$0].turned, neighbours: k, threads: threads) }) : nil
  }

  /// Around the mean, the greatest magnitude 1: t-SNE doesn't depend on either, and no square leaves the range.
  static func normalized(_ data: Matrix) -> Matrix {
    var result = data
    let (n, d) = (data.rows, data.columns)
    func scale() {
      let greatest = result.values.reduce(0) { max($0, abs($1)) }
      // Divided, for 1 / greatest of the least numbers is infinite.
      if greatest > 0 { for place in result.values.indices { result.values[place] /= greatest } }
    }
    scale()
    for column in 0..<d {
      var mean = 0.0
      for row in 0..<n { mean += result.values[row * d + column] }
      mean /= Double(max(n, 1))
      for row in 0..<n { result.values[row * d + column] -= mean }
    }
    scale()
    return result
  }
}

/// Where maps begin.
struct TSNEBeginnings: Sendable {
  /// Standard deviation along the first axis: so small that all points feel each other.
  static let deviation = 1e-4
  private let scores: [Double]
  private let seed: UInt64
  private let count: Int

  init(_ data: Matrix, seed: UInt64) {
    (self.seed, count) = (seed, data.rows)
    scores = Self.principal(data, seed: seed)
  }

  /// The beginning of a restart: 0 along the two principal components, the others normally distributed.
  func points(restart: Int) -> [Double] {
    var random = SeededGenerator(seed ^ (UInt64(restart) &* 0xD1B5_4A32_D192_ED03))
    // Even along the components some noise: identical members, or all on one line, would never part.
    let noise = (0..<(2 * count)).map { _ in Self.deviation * random.normal() }
    guard restart == 0, !scores.isEmpty else { return noise }
    return zip(scores, noise).map { $0 + 0.01 * $1 }
  }

  /// The first two principal components, the greater one with the standard deviation; empty where all members are equal.
  /// By iterating on a subspace, for two or three digits are enough and there may be many features.
  private static func principal(_ data: Matrix, seed: UInt64) -> [Double] {
    let (n, d) = (data.rows, data.columns)
    guard n > 1, d > 0 else { return [] }
    var random = SeededGenerator(seed ^ 0x9CA)
    var vectors = (0..<2).map { _ in (0..<d).map { _ in random.normal() } }
    var scores = [Double](repeating: 0, count: 2 * n)
    for iteration in 0..<20 {
      orthonormalize(&vectors)
      for (place, vector) in vectors.enumerated() {
        for row in 0..<n {
          var sum = 0.0
          for column in 0..<d { sum += data.values[row * d + column] * vector[column] }
          scores[place * n + row] = sum
        }
      }
      guard iteration < 19 else { break }
      for place in 0..<2 {
        var next = [Double](repeating: 0, count: d)
        for row in 0..<n {
          let score = scores[place * n + row]
          for column in 0..<d { next[column] += score * data.values[row * d + column] }
        }
        vectors[place] = next
      }
    }
    let variances = (0..<2).map { place in
      scores[(place * n)..<((place + 1) * n)].reduce(0) { $0 + $1 * $1 } / Double(n)
    }
    let greatest = max(variances[0], variances[1]).squareRoot()
    guard greatest > 0 else { return [] }
    return scores.map { $0 / greatest * deviation }
  }

  private static func orthonormalize(_ vectors: inout [[Double]]) {
    for place in vectors.indices {
      for earlier in 0..<place {
        let product = zip(vectors[place], vectors[earlier]).reduce(0) { $0 + $1.0 * $1.1 }
        for column in vectors[place].indices { vectors[place][column] -= product * vectors[earlier][column] }
      }
      let norm = vectors[place].reduce(0) { $0 + $1 * $1 }.squareRoot()
      // One direction alone: the second vector is nothing.
      let scale = norm > 1e-150 ? 1 / norm : 0
      for column in vectors[place].indices { vectors[place][column] *= scale }
    }
  }
}

extension SeededGenerator {
  /// Normally distributed with variance 1 (Box and Muller 1958).
  fileprivate mutating func normal() -> Double {
    let radius = (-2 * log(1 - unit())).squareRoot()
    return radius * cos(2 * Double.pi * unit())
  }
}

/// The map of one restart.
struct TSNEMap: Sendable {
  /// First all x, then all y.
  var points: [Double]
  var iterations: Int
  var divergence: Double

  /// Up to so many members each pair is looked at in double precision, and the minimum is reached to the last digits.
  static let mostByPairs = 256

  /// Small maps: each restart on a thread of its own.
  static func byPairs(
    _ data: Matrix, _ perplexity: Double, _ beginnings: TSNEBeginnings, _ restarts: Int, _ threads: Int
  ) -> [TSNEMap] {
    let n = data.rows
    let affinities = TSNEAffinities.dense(data, perplexity: perplexity, threads: threads)
    var maps = [TSNEMap](repeating: TSNEMap(points: [], iterations: 0, divergence: 0), count: restarts)
    maps.withUnsafeMutableBufferPointer { maps in
      TSNEBlocks.perform(restarts, threads: threads) { restart in
        let objective = TSNEPairGradient(affinities, members: n)
        let descent = TSNEDescent(exaggerated: 100, iterations: 200, refinements: 1000)
        maps[restart] = run(descent, objective, beginnings.points(restart: restart))
      }
    }
    return maps
  }

  /// Middling maps: all pairs in single precision, the rows shared among threads.
  static func dense(
    _ data: Matrix, _ perplexity: Double, _ beginnings: TSNEBeginnings, _ restarts: Int, _ threads: Int
  ) -> [TSNEMap] {
    let affinities = TSNEAffinities.dense(data, perplexity: perplexity, threads: threads)
    let objective = TSNEDenseGradient(affinities, members: data.rows, threads: threads)
    let descent = TSNEDescent()
    return (0..<restarts).map { run(descent, objective, beginnings.points(restart: $0)) }
  }

  /// Large maps.
  static func approximated(
    _ data: Matrix, _ perplexity: Double, _ beginnings: TSNEBeginnings, _ restarts: Int, _ threads: Int
  ) -> [TSNEMap] {
    let neighbours = NearestNeighbours(data, count: Int(3 * perplexity), threads: threads)
    let affinities = TSNESparseAffinities(neighbours, perplexity: perplexity, threads: threads)
    let objective = TSNEGridGradient(affinities, members: data.rows, threads: threads)
    let descent = TSNEDescent()
    return (0..<restarts).map { run(descent, objective, beginnings.points(restart: $0)) }
  }

  private static func run(_ descent: TSNEDescent, _ objective: some TSNEGradient, _ points: [Double]) -> TSNEMap {
    var points = points
    let (iterations, divergence) = descent.run(objective, &points)
    return TSNEMap(points: points, iterations: iterations, divergence: divergence)
  }

  /// Members × 2, around the origin, turned so that the greatest variance is along the first axis; the sum of cubes along
  /// each is not negative.
  var turned: Matrix {
    let n = points.count / 2
    var result = Matrix(rows: n, columns: 2)
    guard n > 0 else { return result }
    let meanX = points[..<n].reduce(0, +) / Double(n)
    let meanY = points[n...].reduce(0, +) / Double(n)
    var (xx, xy, yy) = (0.0, 0.0, 0.0)
    for i in 0..<n {
      let (x, y) = (points[i] - meanX, points[n + i] - meanY)
      xx += x * x
      xy += x * y
      yy += y * y
    }
    let angle = 0.5 * atan2(2 * xy, xx - yy)
    let (c, s) = (cos(angle), sin(angle))
    var (cubesX, cubesY) = (0.0, 0.0)
    for i in 0..<n {
      let (x, y) = (points[i] - meanX, points[n + i] - meanY)
      result[i, 0] = c * x + s * y
      result[i, 1] = c * y - s * x
      cubesX += result[i, 0] * result[i, 0] * result[i, 0]
      cubesY += result[i, 1] * result[i, 1] * result[i, 1]
    }
    for i in 0..<n {
      if cubesX < 0 { result[i, 0] = -result[i, 0] }
      if cubesY < 0 { result[i, 1] = -result[i, 1] }
    }
    return result
  }
}
