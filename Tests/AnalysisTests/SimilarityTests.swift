// Do components, trees and groups agree with SciPy and scikit-learn (Tests/Reference/similarity.py), and are planted
// groups found?
import Foundation
import Testing

@testable import Analysis

private let wardDistances = [
  1.1044182507391738, 1.1047350244974508, 1.109104148790191, 1.118360514576244, 1.1313496009044024,
  1.1469303672782027, 3.475448486129813, 3.68422960691942, 3.9430475332679045, 5.2581922455611005,
  11.386362906879306,
]
private let averageDistances = [
  1.1044182507391738, 1.1047350244974508, 1.109104148790191, 1.118360514576244, 1.1313496009044024,
  1.1469303672782027, 2.4767023011897953, 2.715812745068906, 2.796245014751322, 3.233751021788949, 5.27968153662964,
]
private let sizes = [2, 2, 2, 2, 2, 2, 4, 4, 4, 8, 12]
private let labels = [2, 3, 1, 3, 2, 1, 2, 3, 1, 3, 2, 1]
private let silhouettes = [
  0.46747792498735685, 0.4052081808723251, 0.5948630189938218, 0.23808129429558064, 0.311305678800837,
  0.5113971283192975, 0.351822147277306, 0.2430035310618578, 0.45995310335512657, 0.3177015018885131,
  0.3764769061111439, 0.6324708610221581,
]
private let variances = [7.532150983136404, 1.8301181193188172, 0.0020119135213734936, 0]
private let firstComponent = [-0.6325682062584346, -0.3237249502735522, 0.2833890097382081, 0.6440110947499048]

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

private func agree(_ a: [Double], _ b: [Double], _ tolerance: Double = 1e-9) -> Bool {
  a.count == b.count && zip(a, b).allSatisfy { abs($0 - $1) <= tolerance * max(1, abs($1)) }
}

/// Three groups of members far from each other, in a box without structure otherwise.
private func planted(_ perGroup: Int = 6, distance: Double = 12, seed: UInt64 = 3) -> (Matrix, [Int]) {
  var random = SeededGenerator(seed)
  var rows: [[Double]] = []
  var truth: [Int] = []
  for group in 0..<3 {
    for _ in 0..<perGroup {
      rows.append((0..<5).map { ($0 == group ? distance : 0) + random.unit() * 2 })
      truth.append(group)
    }
  }
  return (Matrix(rows), truth)
}

private func table(_ matrix: Matrix) -> FeatureTable.Scaled {
  FeatureTable.Scaled(
    members: (0..<matrix.rows).map { "m\($0)" }, features: (0..<matrix.columns).map { "f\($0)" }, matrix: matrix,
    scaling: .standard, remarks: [])
}

@Suite struct SimilarityTests {
  @Test func bootstrapSamplesAgreeAsBySciPy() {
    let agreements = [0.6086956521739131, 1.0, 1.0, 1.0, 0.4155844155844156, 0.5714285714285714]
    let groups = Dendrogram(data, linkage: .ward).cut(into: 3)
    let found = (0..<6).map { s -> Double in
      let sample = (0..<12).map { i in (i * i * i + (2 * s + 1) * i + i / (s + 2)) % 12 }
      let tree = Dendrogram(data.selecting(rows: sample), linkage: .ward)
      return Grouping.agreement(of: groups, with: tree, on: sample, clusters: 3)
    }
    #expect(agree(found, agreements), "\(found)")
  }

  @Test func treesAreSciPys() {
    let ward = Dendrogram(data, linkage: .ward)
    #expect(agree(ward.merges.map(\.distance), wardDistances) && ward.merges.map(\.size) == sizes)
    #expect(Clustering.adjustedRand(ward.cut(into: 3), labels) == 1)
    let average = Dendrogram(data, linkage: .average)
    #expect(agree(average.merges.map(\.distance), averageDistances) && average.merges.map(\.size) == sizes)
    #expect(Clustering.adjustedRand(average.cut(into: 3), labels) == 1)
    #expect(ward.cut(into: 12) == Array(0..<12) && ward.cut(into: 1) == Array(repeating: 0, count: 12))
    #expect(ward.leafOrder.sorted() == Array(0..<12))
    // Clusters are neighbours in the order of the leaves, so that branches do not cross.
    let ordered = ward.leafOrder.map { ward.cut(into: 3)[$0] }
    #expect(zip(ordered, ordered.dropFirst()).count { $0 != $1 } == 2)
  }

  @Test func componentsAreTheSingularVectors() {
    let components = PrincipalComponents(data)
    #expect(agree(components.variances, variances, 1e-12 * 1e3))
    #expect(agree(Array(components.components.row(0)), firstComponent))
    #expect(abs(components.shares.reduce(0, +) - 1) < 1e-12)
    // The scores have the components' variances and are uncorrelated.
    let (first, second) = (components.scores.column(0), components.scores.column(1))
    let covariance = zip(first, second).reduce(0.0) { $0 + $1.0 * $1.1 }
    #expect(abs(covariance) < 1e-9)
    #expect(abs(first.reduce(0.0) { $0 + $1 * $1 } / 11 - variances[0]) < 1e-9)
  }

  @Test func silhouettesAndAgreementAreThoseOfScikitLearn() {
    #expect(agree(Clustering.silhouettes(data.distances, labels.map { $0 - 1 }), silhouettes))
    let (a, b) = ([0, 0, 1, 1, 2, 2, 2, 0], [1, 1, 0, 0, 0, 2, 2, 1])
    #expect(abs(Clustering.adjustedRand(a, b) - 0.6190476190476191) < 1e-12)
    #expect(Clustering.adjustedRand(a, a.map { 5 - $0 }) == 1)
    #expect(Clustering.silhouettes(data.distances, Array(repeating: 0, count: 12)) == Array(repeating: 0, count: 12))
  }

  @Test func plantedGroupsAreFound() {
    let (matrix, truth) = planted()
    #expect(Clustering.adjustedRand(Clustering.kMeans(matrix, clusters: 3, seed: 1).labels, truth) == 1)
    let grouping = Grouping(table(matrix), bootstraps: 40)
    #expect(grouping.clusters == 3 && grouping.bySilhouette == 3 && grouping.byGap == 3)
    #expect(Clustering.adjustedRand(grouping.labels, truth) == 1)
    let three = grouping.candidates[2]
    #expect(three.stability > 0.99 && three.agreementWithKMeans == 1 && (three.silhouette ?? 0) > 0.7)
    #expect(grouping.medoids.map { truth[$0] } == [0, 1, 2])
    // The same input and seed give the same result, to the last bit.
    #expect(Grouping(table(matrix), bootstraps: 40) == grouping)
  }

  @Test func withoutGroupsThereIsOne() {
    var random = SeededGenerator(9)
    let matrix = Matrix((0..<24).map { _ in (0..<5).map { _ in random.unit() } })
    let grouping = Grouping(table(matrix), bootstraps: 20)
    #expect(grouping.byGap == 1)
    #expect(grouping.clusters == 1 || grouping.candidates[grouping.clusters - 1].silhouette ?? 0 >= 0.25)
  }

  @Test func dispersionIsTheSumOfSquares() {
    let points = Matrix([[0, 0], [2, 0], [5, 5], [5, 7]])
    #expect(Clustering.dispersion(points, [0, 0, 1, 1]) == 4)
    #expect(abs(Clustering.kMeans(points, clusters: 2, seed: 4).inertia - 4) < 1e-12)
  }

  @Test func featuresAreScaledAndTheOthersNamed() {
    let table = FeatureTable(
      members: ["a", "b", "c", "d", "e"],
      features: [
        .init("ipc", [1, 2, 3, 4, 100]), .init("same", [7, 7, 7, 7, 7]), .init("nothing", [nil, nil, nil, nil, nil]),
        .init("mostly missing", [1, 2, 3, nil, .nan]), .init("one missing", [1, nil, 3, 4, 5]),
        .init("mostly equal", [0, 0, 0, 0, 5]),
      ])
    let scaled = table.scaled(.robust)
    #expect(scaled.features == ["ipc", "one missing", "mostly equal"])
    // Median 3, median deviation 1.
    #expect(agree(scaled.matrix.column(0), [-2, -1, 0, 1, 97].map { $0 / 1.4826 }))
    // The gap is the others' median, 3.5; the deviations from 3.5 have the median 0.5.
    #expect(agree(scaled.matrix.column(1), [-2.5, 0, -0.5, 0.5, 1.5].map { $0 / (1.4826 * 0.5) }))
    // No median deviation: mean 1, standard deviation 2.
    #expect(agree(scaled.matrix.column(2), [-0.5, -0.5, -0.5, -0.5, 2]))
    #expect(scaled.remarks.filter(\.isLeftOut).map(\.feature) == ["same", "nothing", "mostly missing"])
    #expect(scaled.remarks.first { !$0.isLeftOut }?.feature == "one missing")
    let standard = table.scaled(.standard)
    #expect(abs(standard.matrix.column(0).reduce(0, +)) < 1e-12)
  }

  @Test func fewMembers() {
    for rows in 0...2 {
      let matrix = Matrix(rows: rows, columns: 2, values: (0..<(2 * rows)).map(Double.init))
      let grouping = Grouping(table(matrix), bootstraps: 3)
      #expect(grouping.labels.count == rows && grouping.clusters <= 1)
      #expect(PrincipalComponents(matrix).variances.count == max(0, rows - 1))
    }
    // Identical members are one group, and nothing divides by zero.
    let same = Grouping(table(Matrix(rows: 4, columns: 2, repeating: 3)), bootstraps: 3)
    #expect(same.silhouettes.allSatisfy { $0 == 0 } && same.candidates.allSatisfy { !$0.gap.isNaN })
  }
}
