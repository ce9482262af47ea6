// How does a map get from its beginning to the least divergence?
import Foundation

/// Gradient descent with momentum and a gain for each coordinate (Jacobs 1988), as in van der Maaten and Hinton (2008):
/// first with exaggerated affinities, so that clusters gather while there is room between them, then with the true ones.
/// The learning rate grows with the number of members (Belkina et al. 2019).
///
/// When the map has settled, it goes on with a momentum of 0.95 and three times the usual rate, by which the divergence falls
/// faster than with the usual 0.8. Right after the exaggeration that would tear members apart that belong together (measured
/// on 1000 evenly spread ones). It is close to where it would overshoot, so the divergence is watched: if it has risen, the
/// rate is halved.
struct TSNEDescent: Sendable {
  /// What affinities are multiplied by at first.
  var exaggeration = 12.0
  /// Iterations with exaggeration.
  var exaggerated = 250
  /// Iterations without, at most.
  var iterations = 500
  /// How many of these are the usual ones, with a momentum of 0.8 and a rate of 1.
  var settling = 100
  /// Momentum after that. With exaggeration it is 0.5.
  var momentum = 0.95
  /// The learning rate after that, as a multiple of the number of members.
  var rate = 3.0
  /// Every so many iterations it is asked whether to go on.
  var checkEvery = 50
  /// It stops when the divergence fell by less than this share since the last time.
  var leastImprovement = 1e-4
  /// The quasi-Newton method at the end.
  var refinement: TSNERefinement?

  /// Moves `points` (first all x, then all y). Returns the number of iterations and the divergence.
  func run(_ objective: some TSNEGradient, _ points: inout [Double]) -> (iterations: Int, divergence: Double) {
    let n = objective.count
    guard n > 1 else { return (0, 0) }
    let still = [Double](repeating: 0, count: 2 * n)
    let even = [Double](repeating: 1, count: 2 * n)
    var (gradient, update, gains) = (still, still, even)
    // The best so far; where all is finite in any case.
    var (lowest, best) = (Double.infinity, points)
    var last = Double.infinity
    var slower = 1.0
    var done = 0
    descent: while done < exaggerated + iterations {
      let isExaggerated = done < exaggerated
      if done == exaggerated { gains = even }
      let factor = isExaggerated ? exaggeration : 1
      // A quarter, for our gradient has the 4 that others leave out.
      let rate = max(Double(n) / factor, 50) / 4 * (done < exaggerated + settling ? 1 : rate) * slower
      objective.gradient(at: points, exaggeration: factor, into: &gradient)
      Self.step(
        &points, &update, &gains, gradient, rate: rate,
        momentum: isExaggerated ? 0.5 : done < exaggerated + settling ? 0.8 : momentum)
      done += 1
      guard done > exaggerated, (done - exaggerated).isMultiple(of: checkEvery) || done == exaggerated + iterations
      else { continue }
      let divergence = points.allSatisfy(\.isFinite) ? objective.divergence(of: points) : .nan
      if divergence < lowest { (lowest, best) = (divergence, points) }
      if divergence <= last {
        if last - divergence < leastImprovement * divergence { break descent }
      } else {
        // Too fast: from the best again, slower.
        (points, update, gains) = (best, still, even)
        slower /= 2
        if slower < 0.01 { break descent }
      }
      last = lowest
    }
    points = best
    guard let refinement else { return (done, lowest.isFinite ? lowest : objective.divergence(of: points)) }
    done += refinement.run(objective, &points)
    return (done, objective.divergence(of: points))
  }

  private static func step(
    _ points: inout [Double], _ update: inout [Double], _ gains: inout [Double], _ gradient: [Double], rate: Double,
    momentum: Double
  ) {
    let n = points.count / 2
    points.withUnsafeMutableBufferPointer { points in
      update.withUnsafeMutableBufferPointer { update in
        gains.withUnsafeMutableBufferPointer { gains in
          gradient.withUnsafeBufferPointer { gradient in
            for half in [0..<n, n..<(2 * n)] {
              var mean = 0.0
              for place in half {
                let g = gradient[place]
                // The gain grows while the update goes down the gradient and shrinks where it overshot.
                gains[place] = g * update[place] < 0 ? gains[place] + 0.2 : max(gains[place] * 0.8, 0.01)
                let change = momentum * update[place] - rate * gains[place] * g
                // No point jumps further than some neighbourhoods.
                update[place] = max(-5, min(5, change))
                points[place] += update[place]
                mean += points[place]
              }
              // A map has no place of its own.
              mean /= Double(n)
              for place in half { points[place] -= mean }
            }
          }
        }
      }
    }
  }
}

/// L-BFGS (Liu and Nocedal 1989) with Armijo's rule, for maps so small that it costs nothing to reach the minimum.
struct TSNERefinement: Sendable {
  /// At most so many.
  var iterations = 1000
  /// Steps that are remembered.
  var memory = 10
  /// It stops when no component of the gradient is above.
  var gradientLimit = 1e-12
  /// It stops when the divergence fell by less than this share five times in a row.
  var leastImprovement = 1e-14

  /// Moves `points` down to a minimum nearby; the divergence never rises. Returns the number of iterations.
  func run(_ objective: some TSNEGradient, _ points: inout [Double]) -> Int {
    let size = points.count
    var gradient = [Double](repeating: 0, count: size)
    objective.gradient(at: points, exaggeration: 1, into: &gradient)
    var value = objective.divergence(of: points)
    var steps: [(s: [Double], y: [Double], rho: Double)] = []
    var stalled = 0
    for iteration in 0..<iterations {
      guard let greatest = gradient.lazy.map(abs).max(), greatest > gradientLimit else { return iteration }
      var direction = Self.direction(gradient, steps)
      var slope = Self.dot(direction, gradient)
      if !(slope < 0) {
        // Rounding made it no descent.
        steps = []
        direction = gradient.map { -$0 }
        slope = -Self.dot(gradient, gradient)
      }
      // The first step has no curvature to go by.
      var length = steps.isEmpty ? min(1, 1 / greatest) : 1.0
      var candidate = points
      var reached = value
      var isLower = false
      for _ in 0..<30 {
        for place in 0..<size { candidate[place] = points[place] + length * direction[place] }
        reached = objective.divergence(of: candidate)
        // Near the minimum the difference is below what the divergence can tell.
        if reached <= value + 1e-4 * length * slope + 1e-15 * abs(value) {
          isLower = true
          break
        }
        length /= 2
      }
      guard isLower else {
        if steps.isEmpty { return iteration }
        steps = []
        continue
      }
      var next = [Double](repeating: 0, count: size)
      objective.gradient(at: candidate, exaggeration: 1, into: &next)
      var (s, y) = (candidate, next)
      for place in 0..<size {
        s[place] -= points[place]
        y[place] -= gradient[place]
      }
      let curvature = Self.dot(s, y)
      if curvature > 1e-12 * (Self.dot(s, s) * Self.dot(y, y)).squareRoot() {
        steps.append((s, y, 1 / curvature))
        if steps.count > memory { steps.removeFirst() }
      }
      stalled = value - reached <= leastImprovement * abs(value) ? stalled + 1 : 0
      (points, gradient, value) = (candidate, next, reached)
      if stalled == 5 { return iteration + 1 }
    }
    return iterations
  }

  /// The two loops of L-BFGS: minus the gradient times the inverse Hessian that the steps suggest.
  private static func direction(_ gradient: [Double], _ steps: [(s: [Double], y: [Double], rho: Double)]) -> [Double] {
    var q = gradient
    var factors: [Double] = []
    for step in steps.reversed() {
      let factor = step.rho * dot(step.s, q)
      factors.append(factor)
      add(-factor, step.y, to: &q)
    }
    if let last = steps.last {
      let scale = 1 / (last.rho * dot(last.y, last.y))
      for place in q.indices { q[place] *= scale }
    }
    for (step, factor) in zip(steps, factors.reversed()) {
      add(factor - step.rho * dot(step.y, q), step.s, to: &q)
    }
    for place in q.indices { q[place] = -q[place] }
    return q
  }

  private static func dot(_ a: [Double], _ b: [Double]) -> Double {
    a.withUnsafeBufferPointer { a in
      b.withUnsafeBufferPointer { b in
        // Two sums, and points have an even number of coordinates: one alone waits for itself.
        var (even, odd) = (0.0, 0.0)
        var place = 0
        while place + 1 < a.count {
          even += a[place] * b[place]
          odd += a[place + 1] * b[place + 1]
          place += 2
        }
        return even + odd
      }
    }
  }

  private static func add(_ factor: Double, _ a: [Double], to b: inout [Double]) {
    for place in b.indices { b[place] += factor * a[place] }
  }
}
