// How many operations a second, and how many bytes a second, can this machine do at most?
import CCeilings
import Glibc
import ProfileModel

/// Measures the ceilings of the roofline (Williams, Waterman, Patterson, CACM 52(4), 2009). Short repetitions, of which
/// the best counts: a ceiling is what the machine can do when nothing is in the way. A repetition in which a thread lost its
/// CPU to other work does not count at all.
struct CeilingsMeasurement {
  /// CPUs to use, one thread each.
  var cpus: [Int]
  var simd: kiviat_simd
  /// Wall time of one repetition, and how many.
  var repetitionNanoseconds: UInt64 = 20_000_000
  var repetitions = 7

  var simdName: String {
    switch simd {
    case KIVIAT_SIMD_AVX2: "AVX2 FMA"
    case KIVIAT_SIMD_AVX512: "AVX-512 FMA"
    case KIVIAT_SIMD_NEON: "NEON FMA"
    default: "128-bit multiply and add"
    }
  }

  /// Batches of repetitions before we give up waiting for undisturbed ones.
  var batches = 5
  /// Undisturbed repetitions that make a ceiling.
  static let neededRepetitions = 3
  /// A thread that had its CPU for less of a repetition lost it to other work. Interrupts take less than the rest.
  static let ownCPUShare = 0.97

  /// The repetitions of one thread.
  struct Timing: Sendable {
    struct Span: Sendable {
      /// Monotonic clock, ns.
      var start, end: UInt64
      /// CPU time that the thread got between them, ns.
      var cpu: UInt64
    }
    var spans: [Span] = []
    /// Units of work done in each repetition.
    var units: UInt64 = 1
    /// Whether every result was right.
    var isRight = true
  }

  /// The wall times in ns of the repetitions in which every thread had its CPU for itself: from the first start to the
  /// last end.
  static func undisturbed(_ timings: [Timing]) -> [Double] {
    (0..<(timings.map(\.spans.count).min() ?? 0)).compactMap { repetition in
      let spans = timings.map { $0.spans[repetition] }
      guard spans.allSatisfy({ Double($0.cpu) >= ownCPUShare * Double($0.end - $0.start) }),
        let start = spans.map(\.start).min(), let end = spans.map(\.end).max(), end > start
      else { return nil }
      return Double(end - start)
    }
  }

  /// The best of the repetitions, in `work` a second. `body` does one unit of work on one thread; it is repeated until a
  /// repetition is long enough to time.
  ///
  /// - Parameter workPerUnit: operations or bytes of one call with `units: 1`, one thread.
  private func best<State: ~Copyable>(
    workPerUnit: Double, prepare: @escaping @Sendable (_ worker: Int) -> State,
    body: @escaping @Sendable (borrowing State, _ units: UInt64) -> Bool
  ) -> Measured<Double> {
    var (rate, undisturbed) = (0.0, 0)
    for _ in 0..<batches where undisturbed < Self.neededRepetitions {
      let timings = batch(prepare: prepare, body: body)
      guard timings.count == cpus.count else {
        return .unavailable(Unavailable("the system gives no \(cpus.count) threads", remedy: "ulimit -u unlimited"))
      }
      guard timings.allSatisfy(\.isRight) else {
        return .unavailable(Unavailable("the loop gave a wrong result on this machine"))
      }
      let times = Self.undisturbed(timings)
      undisturbed += times.count
      let work = timings.reduce(0) { $0 + Double($1.units) } * workPerUnit
      rate = max(rate, times.map { work / $0 * 1e9 }.max() ?? 0)
    }
    guard undisturbed >= Self.neededRepetitions else {
      return .unavailable(
        Unavailable(
          "other work took the CPUs while the machine's ceilings were measured, and what is left beside it is no ceiling",
          remedy: "profile again when the machine is quiet: the ceilings are measured once and kept"))
    }
    return Measured(rate, .clock)
  }

  /// A batch of repetitions on all CPUs at once.
  private func batch<State: ~Copyable>(
    prepare: @escaping @Sendable (_ worker: Int) -> State,
    body: @escaping @Sendable (borrowing State, _ units: UInt64) -> Bool
  ) -> [Timing] {
    let barrier = SpinBarrier(parties: cpus.count)
    let (repetitions, target) = (repetitions, repetitionNanoseconds)
    return onEveryCPU(cpus) { worker -> Timing in
      let state = prepare(worker)
      var timing = Timing()
      // Every thread calibrates for itself while all others do the same, then repeats its own amount of work.
      barrier.wait()
      while true {
        let start = Clock.threadCPU
        timing.isRight = body(state, timing.units) && timing.isRight
        let elapsed = Clock.threadCPU - start
        if elapsed >= target / 4 || timing.units > 1 << 50 {
          timing.units = max(1, timing.units * target / max(elapsed, 1))
          break
        }
        timing.units *= elapsed < target / 64 ? 8 : 2
      }
      // Once more in full and together: threads that end at different times would make the machine look slower.
      barrier.wait()
      let start = Clock.threadCPU
      timing.isRight = body(state, timing.units) && timing.isRight
      timing.units = max(1, timing.units * target / max(Clock.threadCPU - start, 1))
      for _ in 0..<repetitions {
        barrier.wait()
        let (start, cpu) = (Clock.monotonic, Clock.threadCPU)
        timing.isRight = body(state, timing.units) && timing.isRight
        timing.spans.append(Timing.Span(start: start, end: Clock.monotonic, cpu: Clock.threadCPU - cpu))
      }
      return timing
    }
  }

  private var threads: String { cpus.count == 1 ? "1 thread" : "\(cpus.count) threads, pinned" }

  private func quantity(_ name: String, _ unit: String, _ value: Measured<Double>, _ detail: String) -> Quantity {
    switch value {
    case .measured(let number, _):
      Quantity(name, unit: unit, Measured(.number(number), .clock, detail: "\(detail), best of \(repetitions)"))
    case .unavailable(let why): Quantity(name, unit: unit, .unavailable(why))
    }
  }

  /// Multiply-adds on registers, in single and double precision. One multiply-add is two FLOPs.
  func flops() -> [Quantity] {
    let (simd, bytes) = (simd, kiviat_simd_bytes(simd))
    let chains = Int(KIVIAT_FMA_CHAINS)
    // x ← x/2 + 1 goes to 2 in every lane, whatever the rounding, in fewer than 100 steps.
    let block: UInt64 = 1000
    func detail(_ lanes: Int) -> String {
      "\(simdName), \(lanes) lanes, \(chains) independent chains, \(threads)"
    }
    let single = best(workPerUnit: Double(2 * Int(block) * chains * (bytes / 4)), prepare: { _ in 0 }) { _, units in
      kiviat_fma_f32(simd, units * block, 0.5, 1) == Double(2 * chains * (bytes / 4))
    }
    let double = best(workPerUnit: Double(2 * Int(block) * chains * (bytes / 8)), prepare: { _ in 0 }) { _, units in
      kiviat_fma_f64(simd, units * block, 0.5, 1) == Double(2 * chains * (bytes / 8))
    }
    return [
      quantity("ceiling.flops.f32", "FLOP/s", single, detail(bytes / 4)),
      quantity("ceiling.flops.f64", "FLOP/s", double, detail(bytes / 8)),
    ]
  }

  /// The triad a = b + s·c (McCalpin's STREAM) over arrays of `totalElements` doubles each, shared out among the threads;
  /// every thread touches its part first, so that it lies in memory close to it.
  func triad(totalElements: Int) -> Quantity {
    let count = max(totalElements / cpus.count, 1024)
    func run(streaming: Bool) -> Measured<Double> {
      // Stores past the caches move three arrays. Plain stores first read the line that they write: four arrays.
      // Off x86, where cores may avoid that read by themselves, three are counted, as STREAM does.
      let arrays = streaming || kiviat_triad_can_stream() == 0 ? 3 : 4
      return best(workPerUnit: Double(arrays * count * 8), prepare: { _ in TriadArrays(count: count) }) {
        arrays, units in
        arrays.run(repetitions: units, streaming: streaming)
      }
    }
    let plain = run(streaming: false)
    let size = "arrays of \((count * cpus.count * 8) >> 20) MiB, \(threads)"
    let plainDetail =
      "triad a = b + s·c, \(kiviat_triad_can_stream() == 1 ? "4 arrays counted (plain stores read the line first)" : "3 arrays counted as in STREAM"), \(size)"
    guard kiviat_triad_can_stream() == 1 else { return quantity("ceiling.bandwidth.dram", "B/s", plain, plainDetail) }
    let streaming = run(streaming: true)
    return (streaming.value ?? 0) >= (plain.value ?? 0)
      ? quantity(
        "ceiling.bandwidth.dram", "B/s", streaming,
        "triad a = b + s·c, 3 arrays counted (stores past the caches), \(size)")
      : quantity("ceiling.bandwidth.dram", "B/s", plain, plainDetail)
  }

  /// Loads from a working set of `bytesPerThread` that stays in one level of cache.
  func read(_ name: String, bytesPerThread: Int, level: String) -> Quantity {
    let simd = simd
    // Whole strides of the loop's widest form (8 vectors of 64 bytes).
    let count = max(bytesPerThread / 8 / 64 * 64, 64)
    let value = best(workPerUnit: Double(count * 8), prepare: { _ in TriadArrays(count: count, arrays: 1) }) {
      arrays, units in
      arrays.read(simd, repetitions: units) == Double(count) * Double(units)
    }
    return quantity(
      name, "B/s", value, "loads from \(max((count * 8) >> 10, 1)) KiB a thread (half of \(level)), \(threads)")
  }
}

/// The arrays of one thread, page-aligned and touched by it.
private struct TriadArrays: ~Copyable {
  private let a, b, c: UnsafeMutablePointer<Double>
  private let base: UnsafeMutableRawPointer
  private let count: Int

  /// `b` and `c` (or only `a`, with `arrays: 1`) hold ones.
  init(count: Int, arrays: Int = 3) {
    self.count = count
    // A page and a line between the arrays, so that equal indices do not fall into the same cache set.
    let stride = (count * 8 + 4095) / 4096 * 4096 + 4096 + 64
    let base = UnsafeMutableRawPointer.allocate(byteCount: stride * arrays, alignment: 4096)
    madvise(base, stride * arrays, MADV_HUGEPAGE)
    func array(_ index: Int) -> UnsafeMutablePointer<Double> {
      let pointer = (base + stride * min(index, arrays - 1)).bindMemory(to: Double.self, capacity: count)
      pointer.initialize(repeating: 1, count: count)
      return pointer
    }
    self.base = base
    a = array(0)
    b = array(1)
    c = array(2)
  }

  deinit { base.deallocate() }

  /// Whether the result is right where it is looked at: 1 + 3·1.
  func run(repetitions: UInt64, streaming: Bool) -> Bool {
    kiviat_triad(a, b, c, 3, count, repetitions, streaming ? 1 : 0)
    return a[0] == 4 && a[count / 2] == 4 && a[count - 1] == 4
  }

  func read(_ simd: kiviat_simd, repetitions: UInt64) -> Double { kiviat_read(simd, a, count, repetitions) }
}
