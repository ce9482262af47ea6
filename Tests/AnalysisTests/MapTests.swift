// Are the affinities, the gradient and the quality of a map what their formulas say (values by scikit-learn:
// Tests/Reference/similarity.py), do groups stay apart, and does no input break it?
import Foundation
import Testing

@testable import Analysis

/// The same formula as in the reference script.
private let data: Matrix = {
  var data = Matrix(rows: 12, columns: 4)
  for i in 0..<12 {
    for j in 0..<4 {
      let wave = sin(Double(1 + 3 * i + 7 * j))
      data[i, j] = wave + Double(2 * (i % 3)) * cos(Double(j))
    }
  }
  return data
}()

private let trustworthiness: [Double] = [0.7083333333333333, 0.6626984126984128, 0.6375]
private let affinitiesOfTheFirst: [Double] = [
  0.0005493571829174844, 6.228960988658477e-06, 0.004124332843922006, 0.006453975187798679,
  7.854408841330177e-07, 0.04972422001453248, 0.0001560852634720076, 1.3119044958463473e-05,
  0.004603612258080596, 0.028354856089864502, 6.003685585046747e-07,
]
private let divergence = 0.982863231058124

/// A map of the twelve, by a formula too.
private let places: Matrix = {
  var places = Matrix(rows: 12, columns: 2)
  for i in 0..<12 {
    places[i, 0] = sin(Double(2 + 5 * i))
    places[i, 1] = cos(Double(3 * i)) + Double(i % 3)
  }
  return places
}()

/// Numbers without structure.
private func scattered(_ rows: Int, _ columns: Int, seed: UInt64 = 5) -> Matrix {
  var random = SeededGenerator(seed)
  return Matrix(rows: rows, columns: columns, values: (0..<(rows * columns)).map { _ in random.unit() * 2 - 1 })
}

/// Groups far from each other.
private func planted(_ groups: Int, of size: Int, columns: Int, seed: UInt64 = 3) -> (Matrix, [Int]) {
  var random = SeededGenerator(seed)
  var matrix = Matrix(rows: groups * size, columns: columns)
  let truth = (0..<(groups * size)).map { $0 % groups }
  for row in 0..<matrix.rows {
    for column in 0..<columns { matrix[row, column] = random.unit() + (column == truth[row] ? 8 : 0) }
  }
  return (matrix, truth)
}

/// First all x, then all y.
private func flat(_ matrix: Matrix) -> [Double] { matrix.column(0) + matrix.column(1) }

private func entropy(_ probabilities: ArraySlice<Double>) -> Double {
  -probabilities.reduce(0) { $0 + ($1 > 0 ? $1 * log2($1) : 0) }
}

/// How far apart, in relation to the second.
private func error(_ a: [Double], _ b: [Double]) -> Double {
  let difference = zip(a, b).reduce(0) { $0 + ($1.0 - $1.1) * ($1.0 - $1.1) }
  return (difference / b.reduce(0) { $0 + $1 * $1 }).squareRoot()
}

@Suite struct MapTests {
  // MARK: Affinities

  @Test(arguments: [1.01, 2, 3.7, 10, 18.9]) func calibrationReachesThePerplexity(perplexity: Double) {
    var random = SeededGenerator(8)
    for scale in [1e-200, 1, 1e200] {
      let squared = (0..<20).map { _ in random.unit() * scale }
      var result = [Double](repeating: 0, count: 20)
      squared.withUnsafeBufferPointer { TSNEAffinities.calibrate($0, perplexity: perplexity, into: &result) }
      #expect(abs(result.reduce(0, +) - 1) < 1e-12)
      #expect(abs(entropy(result[...]) - log2(perplexity)) < 1e-10)
      // The nearer, the more probable.
      let order = squared.indices.sorted { squared[$0] < squared[$1] }.map { result[$0] }
      #expect(zip(order, order.dropFirst()).allSatisfy { $0 >= $1 })
    }
  }

  @Test func tiesAreShared() {
    func calibrated(_ squared: [Double], _ perplexity: Double) -> [Double] {
      var result = [Double](repeating: .nan, count: squared.count)
      squared.withUnsafeBufferPointer { TSNEAffinities.calibrate($0, perplexity: perplexity, into: &result) }
      return result
    }
    #expect(calibrated([0, 0, 0, 0], 2) == [0.25, 0.25, 0.25, 0.25])
    // Three at the least distance are more than two: the limit of a narrow Gaussian.
    let third = 1.0 / 3
    let shared: [Double] = [third, 0, third, 0, third]
    #expect(calibrated([1, 5, 1, 9, 1], 2) == shared)
    // More than there are.
    #expect(calibrated([1, 5], 7) == [0.5, 0.5])
    #expect(calibrated([3], 1) == [1])
    #expect(calibrated([], 1).isEmpty)
  }

  @Test func affinitiesAreScikitLearns() {
    let expected = affinitiesOfTheFirst
    let dense = TSNEAffinities.dense(data, perplexity: 3, threads: 1)
    // Their search ends at 1e-5 of the entropy.
    for (place, value) in expected.enumerated() { #expect(abs(dense.start[place + 1] - value) < 2e-6) }
    #expect(abs(dense.values.reduce(0, +) - 1) < 1e-12)
    // All members as neighbours: the same, sparsely.
    let sparse = TSNESparseAffinities(NearestNeighbours(data, count: 11, threads: 2), perplexity: 3, threads: 2)
    #expect(sparse.starts.values == (0...12).map { $0 * 11 })
    for i in 0..<12 {
      for place in sparse.starts.start[i]..<sparse.starts.start[i + 1] {
        let exact = dense.start[i * 12 + Int(sparse.others.start[place])]
        #expect(abs(Double(sparse.values.start[place]) - exact) < 1e-8)
      }
    }
  }

  // MARK: Gradients

  @Test func theGradientIsTheDivergencesSlope() {
    let affinities = TSNEAffinities.dense(data, perplexity: 3, threads: 1)
    let objective = TSNEPairGradient(affinities, members: 12)
    var points = flat(places)
    #expect(abs(objective.divergence(of: points) - divergence) < 1e-5)
    var gradient = [Double](repeating: 0, count: 24)
    objective.gradient(at: points, exaggeration: 1, into: &gradient)
    for place in points.indices {
      let value = points[place]
      points[place] = value + 1e-5
      let above = objective.divergence(of: points)
      points[place] = value - 1e-5
      let below = objective.divergence(of: points)
      points[place] = value
      #expect(abs((above - below) / 2e-5 - gradient[place]) < 1e-9)
    }
  }

  @Test func allGradientsAgree() {
    let members = 203
    let data = scattered(members, 6)
    let affinities = TSNEAffinities.dense(data, perplexity: 20, threads: 2)
    let neighbours = NearestNeighbours(data, count: members - 1, threads: 2)
    let sparse = TSNESparseAffinities(neighbours, perplexity: 20, threads: 2)
    let pairs = TSNEPairGradient(affinities, members: members)
    let dense = TSNEDenseGradient(affinities, members: members, threads: 2)
    let grid = TSNEGridGradient(sparse, members: members, threads: 2, isAlwaysInterpolated: true)
    let sum = TSNEGridGradient(sparse, members: members, threads: 2)
    // At the beginning, gathered, and spread so far that the pairs are summed.
    for (extent, tolerance) in [(1e-4, 2e-2), (1, 2e-3), (5, 5e-3), (30, 5e-3)] {
      let points = flat(scattered(members, 2, seed: 2)).map { $0 * extent }
      let exact = pairs.divergence(of: points)
      #expect(abs(dense.divergence(of: points) - exact) < 1e-6)
      #expect(abs(sum.divergence(of: points) - exact) < 1e-3)
      for exaggeration in [1.0, 12] {
        var results = (0..<3).map { _ in [Double](repeating: 0, count: 2 * members) }
        pairs.gradient(at: points, exaggeration: exaggeration, into: &results[0])
        dense.gradient(at: points, exaggeration: exaggeration, into: &results[1])
        sum.gradient(at: points, exaggeration: exaggeration, into: &results[2])
        #expect(error(results[1], results[0]) < (extent == 1e-4 ? 1e-3 : 1e-5))
        #expect(error(results[2], results[0]) < (extent == 30 ? 1e-5 : tolerance))
        // The grid also where pairs would be less work: there it has few points to average over.
        guard extent != 30 else { continue }
        grid.gradient(at: points, exaggeration: exaggeration, into: &results[1])
        #expect(error(results[1], results[0]) < tolerance)
      }
    }
  }

  @Test(arguments: [8, 24, 40, 48, 120]) func theTransformIsTheSum(length: Int) throws {
    let transform = try #require(TSNETransform(length: length))
    var random = SeededGenerator(4)
    let (first, second) = (
      TSNEBuffer(length, repeating: TSNETransform.Complex.zero),
      TSNEBuffer(length, repeating: TSNETransform.Complex.zero)
    )
    for t in 0..<length {
      for lane in 0..<4 {
        first.start[t].re[lane] = Float(random.unit() - 0.5)
        first.start[t].im[lane] = Float(random.unit() - 0.5)
      }
    }
    let signal = first.values
    let result = transform(first.start, scratch: second.start)
    for k in 0..<length {
      for lane in 0..<4 {
        var (re, im) = (0.0, 0.0)
        for t in 0..<length {
          let angle = -2 * Double.pi * Double(t * k % length) / Double(length)
          let (a, b) = (Double(signal[t].re[lane]), Double(signal[t].im[lane]))
          re += a * cos(angle) - b * sin(angle)
          im += a * sin(angle) + b * cos(angle)
        }
        let (foundRe, foundIm) = (Double(result[k].re[lane]), Double(result[k].im[lane]))
        #expect(abs(foundRe - re) < 1e-5)
        #expect(abs(foundIm - im) < 1e-5)
      }
    }
  }

  @Test func lengthsOfTransforms() {
    #expect(TSNETransform(length: 14) == nil && TSNETransform(length: 0) == nil)
    for least in [1, 8, 9, 57, 100, 513, 1000] {
      let length = TSNETransform.goodLength(atLeast: least)
      #expect(length >= least && length.isMultiple(of: 8) && TSNETransform(length: length) != nil)
    }
  }

  @Test func splinesAreAPartitionOfUnity() {
    for step in 0..<10 {
      let t = Float(step) / 10
      let (sum, slopes) = (TSNEGrid.spline(t).sum(), TSNEGrid.slope(t))
      #expect(abs(sum - 1) < 1e-6)
      #expect(abs(slopes.sum()) < 1e-6)
      let (above, below) = (TSNEGrid.spline(t + 0.01), TSNEGrid.spline(t - 0.01))
      for lane in 0..<8 {
        let difference = (above[lane] - below[lane]) * 50
        #expect(abs(difference - slopes[lane]) < 1e-3)
      }
    }
  }

  // MARK: Neighbours and quality

  @Test(arguments: [(1, 1), (2, 5), (9, 3), (130, 7), (300, 90)]) func neighboursAreTheNearest(rows: Int, k: Int) {
    var data = scattered(rows, 5)
    // Far from the origin, where the product of matrices loses digits, and some members twice.
    for row in 0..<rows {
      for column in 0..<5 { data[row, column] = data[row % 97, column] + 1e4 * Double(row % 2) }
    }
    let found = NearestNeighbours(data, count: k, threads: 2)
    #expect(found.count == min(k, rows - 1))
    for row in 0..<rows {
      var naive: [(index: Int, distance: Double)] = []
      for other in 0..<rows where other != row { naive.append((other, data.squaredDistance(row, other))) }
      naive.sort { $0.distance != $1.distance ? $0.distance < $1.distance : $0.index < $1.index }
      let nearest = naive.prefix(k)
      let range = (row * found.count)..<((row + 1) * found.count)
      #expect(found.indices[range].map(Int.init) == nearest.map(\.index))
      #expect(Array(found.squaredDistances[range]) == nearest.map(\.distance))
    }
  }

  @Test func neighboursOfEqualMembers() {
    let found = NearestNeighbours(Matrix(rows: 200, columns: 3, repeating: 7), count: 3, threads: 2)
    #expect(found.indices.prefix(6) == [1, 2, 3, 0, 2, 3] && found.squaredDistances.allSatisfy { $0 == 0 })
    let without = NearestNeighbours(Matrix(rows: 5, columns: 0), count: 2, threads: 1)
    #expect(without.indices == [1, 2, 0, 2, 0, 1, 0, 1, 0, 1])
  }

  @Test func selectionIsSorting() {
    var random = SeededGenerator(6)
    for count in [1, 2, 9, 50] {
      let values = (0..<count).map { _ in Double(random.index(below: 20)) }
      for place in 0..<count {
        var copy = values
        #expect(NearestNeighbours.smallest(place, of: &copy) == values.sorted()[place])
      }
    }
  }

  @Test func trustworthinessIsScikitLearns() {
    for (k, expected) in zip([1, 3, 5], trustworthiness) {
      #expect(abs(MapQuality.trustworthiness(data, places, neighbours: k) - expected) < 1e-12)
      #expect(abs(MapQuality.trustworthiness(data, places, neighbours: k, threads: 3) - expected) < 1e-12)
    }
    #expect(MapQuality.trustworthiness(data, data, neighbours: 5) == 1)
    // A sample of members estimates the same sum.
    let (many, map) = (scattered(400, 4), scattered(400, 2))
    let all = MapQuality.trustworthiness(many, map, neighbours: 5)
    #expect(abs(MapQuality.trustworthiness(many, map, neighbours: 5, most: 200) - all) < 0.03)
  }

  @Test func agreementIsTheShareOfNeighbours() {
    let line = Matrix([[0, 0], [1, 0], [3, 0], [7, 0]])
    // Mirrored, moved and larger: the same neighbours.
    let mirrored = Matrix([[9, 5], [7, 5], [3, 5], [-5, 5]])
    #expect(MapQuality.agreement(line, mirrored, neighbours: 1) == 1)
    // Neighbours 1, 0, 1, 2 there and 1, 2, 1, 2 here.
    let other = Matrix([[0, 0], [3, 0], [4, 0], [20, 0]])
    #expect(MapQuality.agreement(line, other, neighbours: 1) == 0.75)
    let huge = Matrix(rows: 4, columns: 2, values: line.values.map { $0 * 1e100 })
    #expect(MapQuality.agreement(line, huge, neighbours: 2) == 1)
    #expect(MapQuality.agreement(Matrix(rows: 1, columns: 2), Matrix(rows: 1, columns: 2), neighbours: 3) == 1)
  }

  // MARK: Maps

  @Test func groupsStayApart() throws {
    let (data, truth) = planted(3, of: 8, columns: 5)
    let map = try SimilarityMap(data, SimilarityMap.Options(restarts: 4, threads: 2))
    #expect(map.method == .exact && map.restarts == 4 && map.klDivergences.count == 4)
    #expect(map.klDivergence == map.klDivergences.min())
    #expect(abs(map.perplexity - 23.0 / 3) < 1e-12 && map.wantedPerplexity == 30)
    // On the map each member's nearest is of its own group.
    let nearest = NearestNeighbours(map.points, count: 1, threads: 1)
    let others = nearest.indices.map { truth[Int($0)] }
    #expect(others == truth)
    #expect((map.trustworthiness ?? 0) > 0.85 && (map.stability ?? 0) > 0.5)
    // The minimum: no slope is left.
    let normalized = SimilarityMap.normalized(data)
    let objective = TSNEPairGradient(
      TSNEAffinities.dense(normalized, perplexity: map.perplexity, threads: 1), members: 24)
    var gradient = [Double](repeating: 0, count: 48)
    objective.gradient(at: flat(map.points), exaggeration: 1, into: &gradient)
    #expect(gradient.allSatisfy { abs($0) < 1e-6 })
    #expect(abs(objective.divergence(of: flat(map.points)) - map.klDivergence) < 1e-9)
  }

  @Test func theApproximatedMapIsAsGood() throws {
    let (data, truth) = planted(3, of: 30, columns: 5)
    var options = SimilarityMap.Options(perplexity: 10, restarts: 1, threads: 2, method: .approximated)
    let map = try SimilarityMap(data, options)
    let nearest = NearestNeighbours(map.points, count: 1, threads: 1)
    let others = nearest.indices.map { truth[Int($0)] }
    #expect(others == truth)
    options.method = .exact
    let exact = try SimilarityMap(data, options)
    // Their divergences are from different affinities, so both maps are asked about the exact ones.
    let affinities = TSNEAffinities.dense(SimilarityMap.normalized(data), perplexity: 10, threads: 1)
    let objective = TSNEPairGradient(affinities, members: 90)
    #expect(objective.divergence(of: flat(map.points)) < exact.klDivergence + 0.1)
    #expect(map.stability == nil && map.restarts == 1)
  }

  @Test(arguments: [SimilarityMap.Method.exact, .approximated]) func anyNumberOfThreadsGivesTheSameBytes(
    method: SimilarityMap.Method
  ) throws {
    let maps = try [1, 2, 5].map { threads in
      try SimilarityMap(
        scattered(20, 4), SimilarityMap.Options(perplexity: 5, restarts: 3, seed: 7, threads: threads, method: method))
    }
    #expect(maps[0] == maps[1] && maps[0] == maps[2])
    #expect(maps[0].points.values.map(\.bitPattern) == maps[2].points.values.map(\.bitPattern))
  }

  @Test func anyNumberOfThreadsGivesTheSameGradients() {
    let (members, data) = (300, scattered(300, 4))
    let points = flat(scattered(members, 2, seed: 2)).map { $0 * 3 }
    var results: [[UInt64]] = []
    for threads in [1, 2, 5] {
      let affinities = TSNEAffinities.dense(data, perplexity: 20, threads: threads)
      let neighbours = NearestNeighbours(data, count: 60, threads: threads)
      let sparse = TSNESparseAffinities(neighbours, perplexity: 20, threads: threads)
      let dense = TSNEDenseGradient(affinities, members: members, threads: threads)
      let grid = TSNEGridGradient(sparse, members: members, threads: threads, isAlwaysInterpolated: true)
      var gradients = (0..<2).map { _ in [Double](repeating: 0, count: 2 * members) }
      dense.gradient(at: points, exaggeration: 1, into: &gradients[0])
      grid.gradient(at: points, exaggeration: 1, into: &gradients[1])
      let divergences = [dense.divergence(of: points), grid.divergence(of: points)]
      results.append((gradients[0] + gradients[1] + divergences).map(\.bitPattern))
    }
    #expect(results[0] == results[1])
    #expect(results[0] == results[2])
  }

  @Test(arguments: [SimilarityMap.Method.exact, .approximated]) func fewMembers(method: SimilarityMap.Method) throws {
    for rows in 0...6 {
      let map = try SimilarityMap(
        scattered(rows, 3), SimilarityMap.Options(restarts: 2, threads: 2, method: method))
      #expect(map.points.rows == rows && map.points.columns == 2)
      #expect(map.points.values.allSatisfy(\.isFinite) && map.klDivergence.isFinite)
      #expect((map.trustworthiness == nil) == (rows < 3) && (map.stability == nil) == (rows < 3))
      #expect(map.neighbours == max(0, (rows - 1) / 2))
    }
    // Two members' distance is all there is, and any will do.
    #expect(try abs(SimilarityMap(scattered(2, 3)).klDivergence) < 1e-12)
    #expect(try SimilarityMap(scattered(1, 3)).points == Matrix(rows: 1, columns: 2))
  }

  @Test(arguments: [SimilarityMap.Method.exact, .approximated]) func dataOfLittleShape(
    method: SimilarityMap.Method
  ) throws {
    let options = SimilarityMap.Options(restarts: 2, threads: 2, method: method)
    let same = Matrix(rows: 12, columns: 3, repeating: 4)
    let line = Matrix((0..<12).map { [Double($0), 5] })
    let featureless = Matrix(rows: 9, columns: 0)
    let huge = Matrix(rows: 10, columns: 1, values: (0..<10).map { Double($0 - 5) * 3e307 })
    let tiny = Matrix(rows: 10, columns: 1, values: (0..<10).map { Double($0) * Double.leastNonzeroMagnitude })
    var outlier = scattered(15, 3)
    outlier[4, 1] = 1e300
    for data in [same, line, featureless, huge, tiny, outlier] {
      let map = try SimilarityMap(data, options)
      #expect(map.points.values.allSatisfy(\.isFinite) && map.klDivergence.isFinite)
      #expect((map.trustworthiness ?? 0) <= 1 && (map.stability ?? 0) <= 1)
    }
  }

  @Test func whatIsNoDataIsAnError() {
    var data = scattered(5, 3)
    data[3, 1] = .nan
    #expect(throws: SimilarityMap.Failure.notFinite(row: 3, column: 1)) { try SimilarityMap(data) }
    data[1, 2] = -.infinity
    #expect(throws: SimilarityMap.Failure.notFinite(row: 1, column: 2)) { try SimilarityMap(data) }
    for perplexity in [1, 0, -3, Double.nan, .infinity] {
      #expect(throws: SimilarityMap.Failure.self) {
        try SimilarityMap(scattered(5, 3), SimilarityMap.Options(perplexity: perplexity))
      }
    }
    #expect(throws: SimilarityMap.Failure.restarts(0)) {
      try SimilarityMap(scattered(5, 3), SimilarityMap.Options(restarts: 0))
    }
  }
}
