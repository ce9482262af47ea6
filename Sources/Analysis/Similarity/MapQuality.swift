// How faithful is a map, and would another run have given the same?
import Foundation

/// Measures of a map that look at neighbourhoods alone, so that turning, mirroring or scaling the map changes nothing.
public enum MapQuality {
  /// Trustworthiness (Venna and Kaski 2001): 1 − 2 / (n k (2 n − 3 k − 1)) Σᵢ Σⱼ (r(i, j) − k) over those j that are among
  /// the k nearest of i on the map but not in the data, where j has rank r(i, j) ≥ 1 among i's neighbours. 1: who is close
  /// on the map is close in the data; a map without any relation has about 0.5.
  ///
  /// At equal distances the first member is the nearer one.
  ///
  /// - Parameters:
  ///   - data: members × features.
  ///   - map: members × dimensions.
  ///   - k: at least 1 and below half the members, where the formula ends.
  ///   - most: the sum is over all members, or over so many evenly spread ones where there are more; the ranks are always
  ///     among all.
  public static func trustworthiness(
    _ data: Matrix, _ map: Matrix, neighbours k: Int, most: Int = 2000, threads: Int = 1
  ) -> Double {
    precondition(data.rows == map.rows, "\(map.rows) places for \(data.rows) members")
    precondition(k >= 1 && 2 * k < data.rows, "\(k) neighbours of \(data.rows) members")
    let n = data.rows
    let members = n <= most ? Array(0..<n) : (0..<most).map { $0 * n / most }
    let penalties = TSNEBuffer<Double>(members.count, repeating: 0)
    // A feature after the other, so that the distances to all members are one pass that vectorizes.
    let features = columns(data)
    let places = columns(map)
    TSNEBlocks.ranges(members.count, size: 16, threads: threads) { block in
      let squared = TSNEBuffer<Double>(n, repeating: 0)
      for member in block {
        let i = members[member]
        distances(from: i, places, n, map.columns, into: squared.start)
        let near = nearest(k, to: i, squared.start, n)
        distances(from: i, features, n, data.columns, into: squared.start)
        var penalty = 0
        for j in near {
          let distance = squared.start[j]
          var rank = 1
          for l in 0..<n where squared.start[l] < distance || (squared.start[l] == distance && l < j) {
            if l != i { rank += 1 }
          }
          penalty += max(0, rank - k)
        }
        penalties.start[member] = Double(penalty)
      }
    }
    let sum = penalties.values.reduce(0, +) * Double(n) / Double(members.count)
    let (nodes, neighbours) = (Double(n), Double(k))
    return 1 - sum * 2 / (nodes * neighbours * (2 * nodes - 3 * neighbours - 1))
  }

  /// The share of members' k nearest on one map that are among the k nearest on the other: 1 for the same neighbourhoods,
  /// k / (n − 1) by chance.
  public static func agreement(_ a: Matrix, _ b: Matrix, neighbours k: Int, threads: Int = 1) -> Double {
    precondition(a.rows == b.rows, "maps of \(a.rows) and \(b.rows) members")
    precondition(
      a.values.allSatisfy(\.isFinite) && b.values.allSatisfy(\.isFinite), "a map with a point that is nowhere")
    let first = NearestNeighbours(a, count: k, threads: threads)
    let second = NearestNeighbours(b, count: k, threads: threads)
    guard first.count > 0 else { return 1 }
    var common = 0
    for i in 0..<a.rows {
      let range = (i * first.count)..<((i + 1) * first.count)
      common += Set(first.indices[range]).intersection(second.indices[range]).count
    }
    return Double(common) / Double(a.rows * first.count)
  }

  private static func columns(_ data: Matrix) -> TSNEBuffer<Double> {
    let result = TSNEBuffer<Double>(data.rows * data.columns, repeating: 0)
    for row in 0..<data.rows {
      for column in 0..<data.columns {
        result.start[column * data.rows + row] = data.values[row * data.columns + column]
      }
    }
    return result
  }

  private static func distances(
    from i: Int, _ columns: TSNEBuffer<Double>, _ n: Int, _ d: Int, into squared: UnsafeMutablePointer<Double>
  ) {
    squared.update(repeating: 0, count: n)
    for column in 0..<d {
      let values = columns.start + column * n
      let own = values[i]
      for j in 0..<n {
        let difference = values[j] - own
        squared[j] += difference * difference
      }
    }
  }

  /// The k nearest, in no order but at equal distances the first ones.
  private static func nearest(_ k: Int, to i: Int, _ squared: UnsafePointer<Double>, _ n: Int) -> [Int] {
    var near: [(distance: Double, index: Int)] = []
    for j in 0..<n where j != i {
      let distance = squared[j]
      if near.count == k {
        guard let last = near.last, distance < last.distance else { continue }
        near.removeLast()
      }
      // Behind those at the same distance.
      let place = near.firstIndex { $0.distance > distance } ?? near.count
      near.insert((distance, j), at: place)
    }
    return near.map(\.index)
  }
}
