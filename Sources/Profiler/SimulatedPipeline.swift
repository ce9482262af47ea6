// What do a miss, a misprediction and an instruction cost on this processor? The constants of a model of simulated counts.
import CCeilings
import Glibc
import ProfileModel

/// Costs in cycles, measured on this host by loops of a few milliseconds each.
struct SimulatedPipeline {
  /// The constants as quantities, each with its provenance.
  let quantities: [Quantity]

  /// The number of misses that wait at the same time. Nothing that Callgrind counts tells it.
  static let overlap = 4.0

  /// Measures. Takes about a second in an optimized build.
  ///
  /// - Parameter lastLevel: bytes of the last-level cache; latencies are taken in it and far beyond it.
  /// - Parameter secondLevel: bytes of the level before it; 0 when that is the first.
  static func measure(lastLevel: Int64, secondLevel: Int64) -> SimulatedPipeline {
    let cycle = cycleNanoseconds()
    func cycles(_ name: String, _ nanoseconds: Double?, _ detail: String, otherwise value: Double) -> Quantity {
      guard let nanoseconds, cycle > 0, nanoseconds.isFinite, nanoseconds > 0 else {
        return Quantity(
          name, unit: "cycle", Measured(.number(value), .declared, detail: "assumed: it could not be measured here"))
      }
      return Quantity(
        name, unit: "cycle",
        Measured(
          .number((nanoseconds / cycle * 10).rounded() / 10), .clock, detail: "\(detail); best of several trials"))
    }
    // Well in each level and in none before it; the last level is shared, so not to its brim; and far beyond it.
    let within = secondLevel > 0 ? secondLevel / 2 : lastLevel / 2
    let inside = secondLevel > 0 ? max(min(4 * secondLevel, lastLevel / 2), min(2 * secondLevel, lastLevel)) : within
    let beyond = min(max(4 * lastLevel, 64 << 20), 256 << 20)
    let width = nothingNanoseconds().map { cycle / $0 }
    return SimulatedPipeline(quantities: [
      Quantity(
        "simulation.model.cycle", unit: "ns",
        Measured(.number(cycle), .clock, detail: "a chain of dependent additions, one a cycle; best of several trials")),
      Quantity(
        "simulation.model.issue_width", unit: "1/cycle",
        width.map {
          Measured(
            .number(min(max($0.rounded(), 1), 16)), .clock,
            detail:
              "instructions a cycle of those that wait for nothing and need no unit; rounded; best of several trials")
        } ?? Measured(.number(4), .declared, detail: "assumed: it could not be measured here")),
      cycles(
        "simulation.model.second_level_latency", chaseNanoseconds(bytes: within),
        "a chain of pointers in random order over \(within >> 10) KiB, translation of addresses included", otherwise: 15
      ),
      cycles(
        "simulation.model.last_level_latency", chaseNanoseconds(bytes: inside),
        "a chain of pointers in random order over \(inside >> 10) KiB, translation of addresses included", otherwise: 45
      ),
      cycles(
        "simulation.model.memory_latency", chaseNanoseconds(bytes: beyond),
        "a chain of pointers in random order over \(beyond >> 20) MiB, translation of addresses included",
        otherwise: 300
      ),
      cycles(
        "simulation.model.branch_penalty", mispredictionNanoseconds(),
        "branches on random bits, half of them mispredicted, against branches that are always alike", otherwise: 15),
      Quantity(
        "simulation.model.overlap", unit: "1",
        Measured(
          .number(overlap), .declared,
          detail: "assumed: data misses that wait at the same time; the counts don't tell")),
    ])
  }

  private static func best(_ trials: Int, _ body: () -> Void) -> Double {
    var best = UInt64.max
    for _ in 0..<trials {
      let start = Clock.monotonic
      body()
      best = min(best, Clock.monotonic - start)
    }
    return Double(best)
  }

  static func cycleNanoseconds() -> Double {
    let times: UInt64 = 5_000
    return best(60) { _ = kiviat_additions(times) } / Double(times * kiviat_additions_each())
  }

  private static func nothingNanoseconds() -> Double? {
    let times: UInt64 = 5_000
    let best = best(60) { kiviat_nothing(times) } / Double(times * kiviat_nothing_each())
    return best > 0 ? best : nil
  }

  static func mispredictionNanoseconds() -> Double? {
    let count = 1 << 16
    var bits = [UInt8](repeating: 0, count: count)
    guard kiviat_branches(bits, 1) != 0 else { return nil }
    let zeros = best(20) { _ = kiviat_branches(bits, count) }
    let ones = [UInt8](repeating: 1, count: count)
    let alike = (zeros + best(20) { _ = kiviat_branches(ones, count) }) / 2
    var state: UInt64 = 0x9E37_79B9_7F4A_7C15
    var random = Double.infinity
    for _ in 0..<20 {
      // New bits each time: a predictor remembers tens of thousands of branches, but not ones that it never saw.
      for index in 0..<count {
        state ^= state << 13
        state ^= state >> 7
        state ^= state << 17
        bits[index] = UInt8(truncatingIfNeeded: state >> 33) & 1
      }
      random = min(random, best(1) { _ = kiviat_branches(bits, count) })
    }
    return (random - alike) / (Double(count) / 2)
  }

  /// The time of a load that waits for the one before it, over so much memory.
  static func chaseNanoseconds(bytes: Int64) -> Double? {
    let line = 64
    let count = Int(bytes) / line
    guard count > 1, let memory = mmap(nil, count * line, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0),
      memory != MAP_FAILED
    else { return nil }
    defer { munmap(memory, count * line) }
    // With large pages, where there are any, the walk through the page tables is not most of what is measured.
    _ = madvise(memory, count * line, MADV_HUGEPAGE)
    // A walk through all lines in an order that no prefetcher foresees: x → a·x + c modulo a power of two visits
    // every value once (Hull and Dobell), and its low bits, which repeat, are mixed away by the multiplier.
    var size = 1
    while size * 2 <= count { size *= 2 }
    let mask = size - 1
    let unused = UInt64(size.leadingZeroBitCount + 1)
    func place(_ x: Int) -> Int {
      // Turned around, so that the bits which change most decide the page.
      var bits = UInt64(x).byteSwapped
      bits = (bits >> 4) & 0x0F0F_0F0F_0F0F_0F0F | (bits & 0x0F0F_0F0F_0F0F_0F0F) << 4
      bits = (bits >> 2) & 0x3333_3333_3333_3333 | (bits & 0x3333_3333_3333_3333) << 2
      bits = (bits >> 1) & 0x5555_5555_5555_5555 | (bits & 0x5555_5555_5555_5555) << 1
      return Int(bits >> unused)
    }
    var x = 0
    for _ in 0..<size {
      let next = (x &* 1_664_525 &+ 1_013_904_223) & mask
      memory.storeBytes(
        of: memory + place(next) * line, toByteOffset: place(x) * line, as: UnsafeMutableRawPointer.self)
      x = next
    }
    // Short trials: one of them is not interrupted, also where others want the processor.
    let steps: UInt64 = 10_000
    var at = kiviat_chase(memory + place(0) * line, UInt64(size))
    return best(60) { at = kiviat_chase(at, steps) } / Double(steps)
  }
}
