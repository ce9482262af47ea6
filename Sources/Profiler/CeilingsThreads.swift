// Runs the same work on every hardware thread at once, each pinned to its CPU.
import CCeilings
import Glibc
import Synchronization

/// Lets threads go on only when all have come. Spins: the threads of a measurement have a CPU each.
final class SpinBarrier: Sendable {
  private let parties: Int
  private let arrived = Atomic<Int>(0)
  private let generation = Atomic<Int>(0)

  init(parties: Int) { self.parties = parties }

  func wait() {
    let now = generation.load(ordering: .acquiring)
    if arrived.add(1, ordering: .acquiringAndReleasing).newValue == parties {
      arrived.store(0, ordering: .relaxed)
      generation.add(1, ordering: .releasing)
      return
    }
    var spins = 0
    while generation.load(ordering: .acquiring) == now {
      spins += 1
      // The CPU may be shared with others after all.
      if spins > 1000 { sched_yield() }
    }
  }
}

/// Opens once, for all: to go on, or to give up.
private final class StartGate: Sendable {
  private let state = Atomic<Int>(0)
  func open(_ goesOn: Bool) { state.store(goesOn ? 1 : 2, ordering: .releasing) }
  func pass() -> Bool {
    while state.load(ordering: .acquiring) == 0 { sched_yield() }
    return state.load(ordering: .acquiring) == 1
  }
}

/// One thread's work and its result, handed through `pthread_create`'s pointer.
private final class Job<Result: Sendable> {
  let cpu: Int
  let work: @Sendable () -> Result
  var result: Result?
  init(cpu: Int, work: @escaping @Sendable () -> Result) {
    self.cpu = cpu
    self.work = work
  }
  func run() {
    // Pinning may be forbidden; then the scheduler places the thread.
    _ = kiviat_pin_thread(Int32(cpu))
    result = work()
  }
}

/// Type-erased, because a C function pointer can't be generic.
private final class AnyJob {
  let run: () -> Void
  init(_ run: @escaping () -> Void) { self.run = run }
}

/// Runs `work` on one pinned thread a CPU and returns the results in the order of `cpus`. Empty when the system gives
/// no more threads.
func onEveryCPU<Result: Sendable>(
  _ cpus: [Int], _ work: @escaping @Sendable (_ worker: Int) -> Result
) -> [Result] {
  // The threads must all exist before any of them waits for the others: a gate holds them until then.
  let gate = StartGate()
  let jobs = cpus.enumerated().map { index, cpu in
    Job<Result?>(cpu: cpu) { gate.pass() ? work(index) : nil }
  }
  var threads: [pthread_t] = []
  for job in jobs {
    let box = Unmanaged.passRetained(AnyJob(job.run))
    var thread = pthread_t()
    let failure = pthread_create(
      &thread, nil,
      { argument in
        if let argument { Unmanaged<AnyJob>.fromOpaque(argument).takeRetainedValue().run() }
        return nil
      }, box.toOpaque())
    guard failure == 0 else {
      box.release()
      break
    }
    threads.append(thread)
  }
  gate.open(threads.count == cpus.count)
  for thread in threads { pthread_join(thread, nil) }
  return jobs.compactMap { $0.result ?? nil }
}
