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
    /// How many beginnings are tried: the first along the principal components, the others random. `nil` for 64 up to 64
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
    restarts = options.restarts ?? (n <= TSNEMap.mostRestarted ? 64 : n <= TSNEMap.mostByPairs ? 8 : 1)
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
    let best = TSNEMap.best(maps)
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

/// The map of one restart.
struct TSNEMap: Sendable {
  /// First all x, then all y.
  var points: [Double]
  var iterations: Int
  var divergence: Double

  /// Up to so many members each pair is looked at in double precision, and the minimum is reached to the last digits.
  static let mostByPairs = 256
  /// Up to so many members a beginning costs so little that many are tried.
  static let mostRestarted = 64

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
        // The quasi-Newton method needs a few iterations in the right direction, and takes over. Exaggeration helps the
        // greater ones of these maps; of 24 members ten times more restarts reach the least divergence without it.
        let descent = TSNEDescent(
          exaggerated: n <= mostRestarted ? 0 : 250, iterations: 50, momentum: 0.8, rate: 1,
          refinement: TSNERefinement(iterations: 300, leastImprovement: 1e-7))
        maps[restart] = run(descent, objective, beginnings.points(restart: restart))
      }
    }
    let best = best(maps)
    let objective = TSNEPairGradient(affinities, members: n)
    maps[best].iterations += TSNERefinement().run(objective, &maps[best].points)
    maps[best].divergence = objective.divergence(of: maps[best].points)
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

  /// Which has the least divergence; the first of equals.
  static func best(_ maps: [TSNEMap]) -> Int {
    var best = 0
    for place in maps.indices where maps[place].divergence < maps[best].divergence { best = place }
    return best
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
