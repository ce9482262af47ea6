// Who are each member's nearest neighbours?
import Foundation

/// The nearest neighbours of every row, by Euclidean distance: exact, also where distances are equal.
///
/// All pairs are looked at: first ‖a‖² + ‖b‖² − 2 a·b in single precision, which is a product of matrices and by far the most
/// of the work, with a bound on its rounding error. Only who can be a neighbour within that bound gets its distance in
/// double precision. So it costs n² d / 8 or so steps and nothing depends on luck or on the data's dimension.
struct NearestNeighbours: Sendable, Equatable {
  /// Number of rows.
  let rows: Int
  /// Number of neighbours of each: the wanted number, at most rows − 1.
  let count: Int
  /// rows × count, nearest first; at equal distances the first row first.
  private(set) var indices: [Int32]
  /// rows × count.
  private(set) var squaredDistances: [Double]

  /// Finds the neighbours of each row. All values must be finite.
  init(_ data: Matrix, count wanted: Int, threads: Int) {
    rows = data.rows
    count = max(0, min(wanted, data.rows - 1))
    indices = Array(repeating: 0, count: rows * count)
    squaredDistances = Array(repeating: 0, count: rows * count)
    guard count > 0 else { return }
    let panels = Panels(data)
    let (n, k) = (rows, count)
    indices.withUnsafeMutableBufferPointer { indices in
      squaredDistances.withUnsafeMutableBufferPointer { squared in
        data.values.withUnsafeBufferPointer { values in
          TSNEBlocks.ranges(n, size: 32, threads: threads) { block in
            var candidates = (0..<4).map { _ in Candidates(wanted: k, bound: panels.bound) }
            let first4 = TSNEBuffer<SIMD4<Float>>(4 * panels.columns, repeating: .zero)
            var first = block.lowerBound
            while first < block.upperBound {
              let group = min(4, block.upperBound - first)
              panels.search(first, group, scratch: first4.start, &candidates)
              for member in 0..<group {
                let i = first + member
                candidates[member].finish(i, values, panels.columns) { place, index, distance in
                  indices[i * k + place] = index
                  squared[i * k + place] = distance
                }
              }
              first += group
            }
          }
        }
      }
    }
  }

  /// The rows in single precision, eight side by side.
  private final class Panels {
    let rows: Int
    let columns: Int
    /// The relative error of ‖a‖² + ‖b‖² − 2 a·b against ‖a‖² + ‖b‖²: each of d steps adds at most u times a partial sum
    /// (Higham 2002, 4.2), none of which is above 2 (‖a‖² + ‖b‖²), for 2 |a·b| isn't above ‖a‖² + ‖b‖². Some u more for
    /// the numbers that were rounded before.
    let bound: Float
    /// Panel × column × 8 rows.
    private let values: TSNEBuffer<SIMD4<Float>>
    /// Squared norms less what may be rounding; the padding is infinitely far.
    private let norms: TSNEBuffer<SIMD4<Float>>
    private let count: Int

    init(_ data: Matrix) {
      (rows, columns) = (data.rows, data.columns)
      let (n, d) = (data.rows, data.columns)
      count = (n + 7) / 8
      bound = Float(2 * d + 16) * 0x1p-24
      values = TSNEBuffer(count * d * 2, repeating: .zero)
      norms = TSNEBuffer(count * 2, repeating: SIMD4(repeating: .infinity))
      // Nothing leaves single precision's range, whatever the unit.
      let greatest = data.values.reduce(0) { max($0, abs($1)) }
      let unit = greatest > 0 ? greatest : 1
      // Distances are the same from anywhere; around the mean the norms are small, and so is the rounding.
      var means = [Double](repeating: 0, count: d)
      for row in 0..<n { for column in 0..<d { means[column] += data.values[row * d + column] / unit } }
      for column in 0..<d { means[column] /= Double(n) }
      for row in 0..<n {
        var norm = 0.0
        for column in 0..<d {
          let value = data.values[row * d + column] / unit - means[column]
          norm += value * value
          values.start[((row / 8) * d + column) * 2 + row % 8 / 4][row % 4] = Float(value)
        }
        norms.start[row / 4][row % 4] = Float(norm) * (1 - bound)
      }
    }

    /// Candidates of up to four rows among all.
    func search(
      _ first: Int, _ group: Int, scratch: UnsafeMutablePointer<SIMD4<Float>>, _ candidates: inout [Candidates]
    ) {
      let d = columns
      var own = [Float](repeating: 0, count: 4)
      for member in 0..<4 {
        // A group of fewer than four does its last row again, for nobody.
        let row = first + min(member, group - 1)
        own[member] = norms.start[row / 4][row % 4]
        for column in 0..<d {
          // −2 a, four times over.
          let value = values.start[((row / 8) * d + column) * 2 + row % 8 / 4][row % 4]
          scratch[column * 4 + member] = SIMD4(repeating: -2 * value)
        }
        candidates[member].begin(row, own[member])
      }
      let starts = SIMD4(own[0], own[1], own[2], own[3])
      for panel in 0..<count {
        let (n0, n1) = (norms.start[panel * 2], norms.start[panel * 2 + 1])
        var (a0, a1) = (n0 + starts[0], n1 + starts[0])
        var (b0, b1) = (n0 + starts[1], n1 + starts[1])
        var (c0, c1) = (n0 + starts[2], n1 + starts[2])
        var (d0, d1) = (n0 + starts[3], n1 + starts[3])
        var from = values.start + panel * d * 2
        var mine = UnsafePointer(scratch)
        for _ in 0..<d {
          let (v0, v1) = (from[0], from[1])
          let (w0, w1, w2, w3) = (mine[0], mine[1], mine[2], mine[3])
          a0 += w0 * v0
          a1 += w0 * v1
          b0 += w1 * v0
          b1 += w1 * v1
          c0 += w2 * v0
          c1 += w2 * v1
          d0 += w3 * v0
          d1 += w3 * v1
          from += 2
          mine += 4
        }
        candidates[0].take(a0, a1, panel * 8, norms.start)
        candidates[1].take(b0, b1, panel * 8, norms.start)
        candidates[2].take(c0, c1, panel * 8, norms.start)
        candidates[3].take(d0, d1, panel * 8, norms.start)
      }
    }
  }

  /// Who may be among the nearest of one row.
  private struct Candidates {
    private let wanted: Int
    private let bound: Float
    /// So many are narrowed down to the wanted ones.
    private var enough = 0
    private var row = 0
    private var norm: Float = 0
    /// No neighbour's squared distance is above.
    private var limit = Float.infinity
    private var members: [Int32] = []
    /// The least and the most that the squared distance may be.
    private var least: [Float] = []
    private var most: [Float] = []
    private var scratch: [Float] = []

    init(wanted: Int, bound: Float) {
      (self.wanted, self.bound) = (wanted, bound)
    }

    mutating func begin(_ row: Int, _ norm: Float) {
      (self.row, self.norm, limit) = (row, norm, .infinity)
      enough = max(4 * wanted, 64)
      members.removeAll(keepingCapacity: true)
      least.removeAll(keepingCapacity: true)
      most.removeAll(keepingCapacity: true)
    }

    @inline(__always)
    mutating func take(
      _ first: SIMD4<Float>, _ second: SIMD4<Float>, _ start: Int, _ norms: UnsafePointer<SIMD4<Float>>
    ) {
      // Mostly all eight are too far.
      let limits = SIMD4(repeating: limit)
      if any((first .<= limits) .| (second .<= limits)) { add(first, second, start, norms) }
    }

    @inline(never)
    private mutating func add(
      _ first: SIMD4<Float>, _ second: SIMD4<Float>, _ start: Int, _ norms: UnsafePointer<SIMD4<Float>>
    ) {
      for lane in 0..<8 {
        let distance = lane < 4 ? first[lane] : second[lane - 4]
        let other = start + lane
        guard distance <= limit, distance < .infinity, other != row else { continue }
        members.append(Int32(other))
        least.append(distance)
        // The last term is for what is too small for single precision.
        most.append(distance + 2.5 * bound * (norm + norms[other / 4][other % 4]) + 1e-36)
      }
      if members.count >= enough {
        narrow()
        // Where many are equally far, few or none can be dropped.
        enough = max(enough, 2 * members.count)
      }
    }

    /// Lowers the limit to the greatest that the last wanted one may have, and drops who is beyond.
    private mutating func narrow() {
      guard members.count > wanted else { return }
      scratch.removeAll(keepingCapacity: true)
      scratch.append(contentsOf: most)
      limit = min(limit, NearestNeighbours.smallest(wanted - 1, of: &scratch))
      var kept = 0
      for place in members.indices where least[place] <= limit {
        (members[kept], least[kept], most[kept]) = (members[place], least[place], most[place])
        kept += 1
      }
      members.removeLast(members.count - kept)
      least.removeLast(least.count - kept)
      most.removeLast(most.count - kept)
    }

    /// The neighbours, nearest first.
    mutating func finish(
      _ row: Int, _ values: UnsafeBufferPointer<Double>, _ columns: Int, _ use: (Int, Int32, Double) -> Void
    ) {
      narrow()
      let distances = members.map { other -> Double in
        var sum = 0.0
        let (a, b) = (row * columns, Int(other) * columns)
        for column in 0..<columns {
          let difference = values[a + column] - values[b + column]
          sum += difference * difference
        }
        return sum
      }
      var order = distances
      let last = NearestNeighbours.smallest(wanted - 1, of: &order)
      var found: [(distance: Double, index: Int32)] = []
      for (member, distance) in zip(members, distances) where distance < last { found.append((distance, member)) }
      // Members are in ascending order, so of those at the last distance the first ones fill the rest.
      for (member, distance) in zip(members, distances) where distance == last && found.count < wanted {
        found.append((distance, member))
      }
      found.sort { $0.distance != $1.distance ? $0.distance < $1.distance : $0.index < $1.index }
      for place in 0..<wanted { use(place, found[place].index, found[place].distance) }
    }
  }

  /// The value that would be at this place if they were sorted (Hoare 1961). Changes their order.
  static func smallest<Value: Comparable>(_ place: Int, of values: inout [Value]) -> Value {
    values.withUnsafeMutableBufferPointer { values in
      var (low, high) = (0, values.count - 1)
      while low < high {
        let pivot = values[(low + high) / 2]
        var (i, j) = (low, high)
        while i <= j {
          while values[i] < pivot { i += 1 }
          while values[j] > pivot { j -= 1 }
          if i <= j {
            values.swapAt(i, j)
            i += 1
            j -= 1
          }
        }
        if place <= j { high = j } else if place >= i { low = i } else { break }
      }
      return values[place]
    }
  }
}
