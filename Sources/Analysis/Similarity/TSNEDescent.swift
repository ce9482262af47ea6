// How does a map get from its beginning to the least divergence?
import Foundation

/// Gradient descent with momentum and a gain for each coordinate (Jacobs 1988), as in van der Maaten and Hinton (2008):
/// first with exaggerated affinities, so that clusters gather while there is room between them, then with the true ones.
/// The learning rate grows with the number of members (Belkina et al. 2019).
struct TSNEDescent: Sendable {
  /// What affinities are multiplied by at first.
  var exaggeration = 12.0
  /// Iterations with exaggeration.
  var exaggerated = 250
  /// Iterations without, at most.
  var iterations = 500
  /// Every so many iterations it is asked whether to go on.
  var checkEvery = 50
  /// It stops when the divergence fell by less than this share since the last time.
  var leastImprovement = 1e-4
  /// Iterations of the quasi-Newton method at the end.
  var refinements = 0

  /// Moves `points` (first all x, then all y). Returns the number of iterations and the divergence.
  func run(_ objective: some TSNEGradient, _ points: inout [Double]) -> (iterations: Int, divergence: Double) {
    let n = objective.count
    guard n > 1 else { return (0, 0) }
    var gradient = [Double](repeating: 0, count: 2 * n)
    var update = [Double](repeating: 0, count: 2 * n)
    var gains = [Double](repeating: 1, count: 2 * n)
    var done = 0
    var last = Double.infinity
    // Where it was the last time that all was finite.
    var safe = points
    for iteration in 0..<(exaggerated + iterations) {
      let isExaggerated = iteration < exaggerated
      if iteration == exaggerated {
        for place in gains.indices { gains[place] = 1 }
      }
      let factor = isExaggerated ? exaggeration : 1
      // A quarter, for our gradient has the 4 that others leave out.
      let rate = max(Double(n) / factor, 50) / 4
      let momentum = isExaggerated ? 0.5 : 0.8
      objective.gradient(at: points, exaggeration: factor, into: &gradient)
      Self.step(&points, &update, &gains, gradient, rate: rate, momentum: momentum)
      done += 1
      if done.isMultiple(of: checkEvery) {
        guard points.allSatisfy(\.isFinite) else {
          points = safe
          break
        }
        safe = points
        if iteration >= exaggerated + 2 * checkEvery {
          let divergence = objective.divergence(of: points)
          if last - divergence < leastImprovement * abs(divergence) { break }
          last = divergence
        }
      }
    }
    if !points.allSatisfy(\.isFinite) { points = safe }
    if refinements > 0 {
      done += TSNERefinement(iterations: refinements).run(objective, &points)
    }
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
  var gradientLimit = 1e-11

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
      stalled = value - reached <= 1e-14 * abs(value) ? stalled + 1 : 0
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
        var sum = 0.0
        for place in a.indices { sum += a[place] * b[place] }
        return sum
      }
    }
  }

  private static func add(_ factor: Double, _ a: [Double], to b: inout [Double]) {
    for place in b.indices { b[place] += factor * a[place] }
  }
}
