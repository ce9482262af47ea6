// Is thread time split into work, spinning, page faults and waiting as its rows and samples say, and completely?
import ProfileModel
import Testing

@testable import Analysis

private func row(
  _ state: TimeState, _ time: Int64, _ phase: KernelRecord.Phase? = nil, _ category: KernelCategory? = nil,
  tid: Int32 = 1
) -> ThreadTime {
  ThreadTime(
    pid: 1, tid: tid, startNanoseconds: 0, phase: phase, category: category, state: state, nanoseconds: time,
    provenance: Provenance(.softwareCounter))
}

private func thread(_ tid: Int32, _ life: Int64, _ name: String = "program") -> ThreadRecord {
  ThreadRecord(pid: 1, tid: tid, parentPID: 0, name: name, startNanoseconds: 0, endNanoseconds: life)
}

@Suite struct WaitingTests {
  // MARK: Rules

  @Test(arguments: [
    ("gomp_barrier_wait_end", "libgomp.so.1.0.0", true), ("gomp_team_barrier_wait_end", "/usr/lib/libgomp.so.1", true),
    ("gomp_team_barrier_wait_final", "libgomp.so.1", true), ("gomp_team_end", "libgomp.so.1", true),
    // Linked into the program.
    ("gomp_team_barrier_wait_end", "/bin/program", true), ("gomp_thread_start", "libgomp.so.1", true),
    ("do_spin", "libgomp.so.1", true), ("do_wait", "libgomp-a34b3233.so.1.0.0", true),
    // The same names of other programs are not meant.
    ("do_spin", "/bin/program", false), ("do_wait", "[kernel]", false),
    ("libgomp.so.1.0.0+0x1f5e0", "/usr/lib/x86_64-linux-gnu/libgomp.so.1.0.0", true),
    ("libm.so.6+0x1f5e0", "/usr/lib/x86_64-linux-gnu/libm.so.6", false),
    ("GOMP_parallel", "libgomp.so.1", false), ("omp_get_num_threads", "libgomp.so.1", false),
    ("gomp_iter_dynamic_next", "libgomp.so.1", false),
    ("__kmp_hyper_barrier_release(barrier_type, kmp_info*, int, int, int, void*)", "libomp.so.5", true),
    ("__kmp_fork_barrier(int, int)", "libiomp5.so", true), ("__kmp_join_barrier(int)", "libomp.so", true),
    ("bool __kmp_wait_template<kmp_flag_64<false, true>, false, true, false>(kmp_info*)", "libiomp5.so", true),
    ("kmp_flag_64<false, true>::wait(kmp_info*, int, void*)", "libomp.so", true),
    ("__kmp_acquire_queuing_lock", "libomp.so", true), ("__kmp_yield", "libomp.so", true),
    ("__kmp_invoke_microtask", "libomp.so", false), ("__kmp_release_queuing_lock", "libomp.so", false),
    ("libiomp5.so+0x9c2b0", "/opt/lib/libiomp5.so", true),
    ("pthread_spin_lock", "libc.so.6", true), ("pthread_mutex_lock", "libc.so.6", false),
    ("sched_yield", "libc.so.6", true), ("blas_thread_server", "libopenblas.so.0", true),
    ("sgemm_kernel", "libopenblas.so.0", false),
    ("Eigen::ThreadPoolTempl<tsl::thread::EigenEnvironment>::WorkerLoop(int)", "libtensorflow.so", true),
    ("main", "/bin/program", false), ("", "", false),
  ])
  func namesThatSpin(name: String, module: String, spins: Bool) {
    #expect(SpinRules.spins(name, module: module) == spins)
  }

  @Test func rulesAreWellFormed() {
    #expect(Set(SpinRules.rules.map { "\($0.library) \($0.pattern)" }).count == SpinRules.rules.count)
    for rule in SpinRules.rules {
      #expect(rule.reason.count > 20 && !rule.pattern.isEmpty && rule.pattern != "*")
      // A pattern without a library must say enough by itself.
      #expect(!rule.library.isEmpty || rule.pattern.filter { $0 != "*" }.count >= 10, "\(rule.pattern)")
    }
  }

  @Test(arguments: [
    ("abc", "abc", true), ("abc", "ab", false), ("abc", "ab*", true), ("abc", "*", true), ("", "*", true),
    ("", "", true),
    ("abc", "", false), ("aXbXc", "a*b*c", true), ("aXbX", "a*b*c", false), ("aab", "*ab", true), ("abab", "*ab", true),
    ("ab", "ab**", true), ("abcbd", "a*b?", false),
  ])
  func patterns(name: String, pattern: String, matches: Bool) { #expect(SpinRules.matches(name, pattern) == matches) }

  @Test(arguments: [
    ("main work", OnCPU.working), ("main gomp_team_barrier_wait_end", .spinning),
    ("main work gomp_team_end (do_wait)", .spinning), ("main gomp_team_barrier_wait_end task", .working),
    ("main work (gomp_barrier_wait_end)", .spinning), ("main work (helper)", .working),
    ("main work [asm_exc_page_fault] [clear_page_erms]", .pageFault),
    ("main gomp_barrier_wait_end [asm_exc_page_fault]", .pageFault),
    ("main gomp_barrier_wait_end [asm_sysvec_apic_timer_interrupt]", .spinning),
    ("main work [asm_sysvec_apic_timer_interrupt]", .working), ("main work [do_wait]", .working),
    ("main loop sched_yield", .spinning), ("main loop [do_sched_yield]", .spinning),
    ("main __kmp_hyper_barrier_release clock_gettime", .spinning), ("main work clock_gettime", .working),
    ("[do_idle]", .working), ("pthread_spin_lock", .spinning),
  ])
  func stacks(path: String, state: OnCPU) {
    var stacks = Stacks()
    stacks.add("main other", 1)
    stacks.add(path, 1)
    var classifier = OnCPUClassifier(stacks.tree)
    #expect(classifier.classify(stacks.tree.leaf[1]) == state)
    #expect(classifier.classify(-1) == .working)
  }

  // MARK: Splits

  static func waiting(_ profile: Profile) throws -> WaitingBreakdown {
    let run = run(profile)
    return try #require(WaitingBreakdown.of(CallTree(run), run).value)
  }

  private static func times(_ part: WaitingBreakdown.Part) -> [TimeState: Int64] {
    Dictionary(uniqueKeysWithValues: part.states.map { ($0.state, $0.nanoseconds) })
  }

  static let host = [quantity("host.cpu.logical", 2, "1")]

  /// 100 samples of a convolution, of which 40 spin; 10 outside kernels, too few to stand alone.
  static func traced() -> Profile {
    var stacks = Stacks()
    stacks.add("main work", 60, kernel: 5)
    stacks.add("main gomp_team_barrier_wait_end", 40, kernel: 5)
    stacks.add("main work [asm_exc_page_fault]", 10)
    var profile = stacks.profile {
      $0.kernels = [kernel("conv", .convolution, .forward, self: 600, id: 5)]
      $0.threads = [thread(1, 1000)]
      $0.threadTimes = [row(.working, 600, .forward, .convolution), row(.working, 100, .forward), row(.lock, 300)]
    }
    profile.host = host
    return profile
  }

  @Test func byHand() throws {
    let waiting = try Self.waiting(Self.traced())
    // 600 : 400 in the convolution; 100 ns outside by all 110 samples, 600 : 400 : 100.
    #expect(Self.times(waiting.total) == [.working: 414, .spinning: 276, .pageFault: 10, .lock: 300])
    let categories = try #require(waiting.categories.value)
    #expect(categories.map(\.name) == ["convolution", "outside kernels", "outside the trace"])
    #expect(Self.times(categories[0]) == [.working: 360, .spinning: 240])
    #expect(Self.times(categories[1]) == [.working: 54, .spinning: 36, .pageFault: 10])
    #expect(Self.times(categories[2]) == [.lock: 300])
    #expect(categories[0].category == .convolution && categories[1].category == nil)
    let phases = try #require(waiting.phases.value)
    #expect(phases.map(\.phase) == [.forward, nil] && phases.map(\.nanoseconds) == [700, 300])
    #expect(waiting.threads.map(\.name) == ["program, main thread"])
    #expect(waiting.accounted == 1 && waiting.splitShare == 1 && waiting.samples == 110)
    #expect(waiting.noPageFaults == nil)
    // The error of a share of 0.4 from 100 samples.
    let interval = try #require(categories[0].states[1].interval)
    let wilson = Statistics.wilson(0.4, count: 100)
    #expect(isClose(interval.lower, 0.4 - ((wilson.upper ?? 1) - wilson.lower) / 2))
    #expect(categories[2].states[0].interval == nil)
    #expect(isClose(try #require(waiting.usefulOccupancy.value), 414 / 2000.0))
    #expect(isClose(try #require(waiting.barrierShare.value), 276 / 700.0))
    #expect(waiting.imbalance.value == nil)
  }

  @Test func occupancyCountsWorkAlone() throws {
    let profile = Self.traced()
    let run = run(profile)
    let evidence = RunEvidence.of(profile, name: "a")[0]
    let axis = evidence.run.patterns.first { $0.name == AccessPattern.threadOccupancy.rawValue }?.value
    #expect(isClose(try #require(axis?.value), 0.207))
    #expect(axis?.provenance?.source == .derived)
    #expect(evidence.waiting.value?.first { $0.state == .spinning }?.share == 0.276)
    #expect(evidence.categoryWaiting.value?.map { ($0.share * 1000).rounded() } == [600, 100, 300])
    // Without samples it is the CPU time, and says so.
    var unsampled = profile
    unsampled.repetitions[0].samples = []
    unsampled.repetitions[0].quantities = [quantity("cpu.user", 900), quantity("cpu.system", 100)]
    let fallback = RunEvidence.of(unsampled, name: "a")[0].run.patterns[0].value
    #expect(fallback.value == 0.5)
    #expect(fallback.provenance?.detail?.contains("spinning at barriers and page faults included") == true)
    let waiting = try Self.waiting(unsampled)
    #expect(Self.times(waiting.total) == [.working: 700, .lock: 300] && waiting.splitShare == 0)
    #expect(waiting.usefulOccupancy.value == nil && waiting.noPageFaults != nil)
    #expect(run.wall == 1000)
  }

  /// A suite's member is the mean of its runs; what a run lacks is nothing there.
  @Test func membersAreTheMeanOfTheirRuns() throws {
    let one = Self.traced()
    var other = Self.traced()
    other.repetitions[0].kernels[0].category = .relu
    other.repetitions[0].threadTimes[0].category = .relu
    let member = SuiteMember(
      id: "A", title: "A", evidence: RunEvidence.of(one, name: "1") + RunEvidence.of(other, name: "2"))
    let parts = try #require(member.categoryWaiting.value)
    #expect(Set(parts.map(\.name)) == ["convolution", "ReLU", "outside the trace", "outside kernels"])
    for (name, share) in [("convolution", 0.3), ("ReLU", 0.3), ("outside the trace", 0.3), ("outside kernels", 0.1)] {
      #expect(isClose(try #require(parts.first { $0.name == name }).share, share))
    }
    let spinning = parts.first { $0.name == "ReLU" }?.states.first { $0.state == .spinning }?.share
    #expect(isClose(try #require(spinning), 0.12))
    #expect(isClose(try #require(member.waiting.value?.first { $0.state == .spinning }?.share), 0.276))
    #expect(SuiteMember(id: "B", title: "B", because: "nothing").categoryWaiting.unavailable?.reason == "nothing")
  }

  /// Two cells of 20 samples are one of 40; a third has enough of its own.
  @Test func smallCellsAreTakenTogether() throws {
    var stacks = Stacks()
    stacks.add("main work", 20, kernel: 1)
    stacks.add("main gomp_team_end", 20, kernel: 2)
    stacks.add("main work", 50, kernel: 3)
    let waiting = try Self.waiting(
      stacks.profile {
        $0.kernels = [
          kernel("a", .gemm, .forward, self: 1, id: 1), kernel("b", .relu, .forward, self: 1, id: 2),
          kernel("c", .convolution, .backward, self: 1, id: 3),
        ]
        $0.threads = [thread(1, 700)]
        $0.threadTimes = [
          row(.working, 100, .forward, .gemm), row(.working, 200, .forward, .relu),
          row(.working, 400, .backward, .convolution),
        ]
      })
    let parts = Dictionary(uniqueKeysWithValues: try #require(waiting.categories.value).map { ($0.name, $0) })
    #expect(Self.times(try #require(parts["GEMM"])) == [.working: 50, .spinning: 50])
    #expect(Self.times(try #require(parts["ReLU"])) == [.working: 100, .spinning: 100])
    #expect(Self.times(try #require(parts["convolution"])) == [.working: 400])
    // The pool errs as a whole: half widths add, not their squares.
    let wilson = Statistics.wilson(0.5, count: 40)
    let half = ((wilson.upper ?? 1) - wilson.lower) / 2
    let interval = try #require(parts["GEMM"]?.states[1].interval)
    #expect(isClose(interval.lower, 0.5 - half))
  }

  /// A prefetcher traces kernels of its own: its samples tell those, its time the main thread's.
  @Test func threadsWithKernelsOfTheirOwn() throws {
    var stacks = Stacks()
    stacks.add("main work", 50, tid: 2, kernel: 9)
    stacks.add("main gomp_team_end", 50, tid: 2, kernel: 9)
    let waiting = try Self.waiting(
      stacks.profile {
        $0.kernels = [
          kernel("a", .gemm, .forward, self: 1, id: 1),
          kernel("b", .decoding, .data, self: 1, thread: "prefetch", id: 9),
        ]
        $0.threads = [thread(2, 100)]
        $0.threadTimes = [row(.working, 100, .forward, .gemm, tid: 2)]
      })
    #expect(Self.times(waiting.total) == [.working: 50, .spinning: 50])
    #expect(waiting.categories.value?.map(\.name) == ["GEMM"])
  }

  @Test func threadsOfFewSamplesAreLikeTheirPool() throws {
    var stacks = Stacks()
    for tid in Int32(2)...11 {
      stacks.add("run work", 3, tid: tid)
      stacks.add("run sched_yield", 1, tid: tid)
    }
    let waiting = try Self.waiting(
      stacks.profile {
        $0.threads = [thread(1, 50)] + (Int32(2)...11).map { thread($0, 100, "worker-\($0)") }
        $0.threadTimes = [row(.sleeping, 50)] + (Int32(2)...11).map { row(.working, 100, tid: $0) }
      })
    #expect(waiting.threads.map(\.name) == ["worker, 10 threads", "program, main thread"])
    #expect(Self.times(waiting.threads[0]) == [.working: 750, .spinning: 250])
    #expect(waiting.phases.value == nil && waiting.categories.value == nil)
    #expect(waiting.imbalance.value == 0)
  }

  /// A pool that is kept and not used waits for no kernel.
  @Test func idleThreadsAreAPartOfTheirOwn() throws {
    var profile = Self.traced()
    profile.repetitions[0].threads += [thread(2, 1000), thread(3, 1000)]
    profile.repetitions[0].threadTimes += [
      row(.working, 9, .forward, .convolution, tid: 2), row(.lock, 991, .forward, .convolution, tid: 2),
      row(.runnable, 10, .forward, .convolution, tid: 3), row(.lock, 990, .forward, .convolution, tid: 3),
    ]
    let waiting = try Self.waiting(profile)
    let categories = try #require(waiting.categories.value)
    #expect(categories.map(\.name) == ["convolution", "outside kernels", "outside the trace", "idle threads"])
    #expect(categories.map(\.nanoseconds) == [1600, 100, 300, 1000] && categories[3].threads == 1)
    #expect(waiting.phases.value?.map(\.name) == ["forward", "outside the trace", "idle threads"])
    #expect(
      Set(waiting.threads.map(\.name)) == ["program, 1 idle thread", "program, 1 thread", "program, main thread"])
    #expect(waiting.accounted == 1)
  }

  @Test func imbalance() throws {
    var stacks = Stacks()
    stacks.add("main work", 75, tid: 1)
    stacks.add("main gomp_team_end", 25, tid: 1)
    stacks.add("run work", 25, tid: 2)
    stacks.add("run gomp_team_end", 75, tid: 2)
    let waiting = try Self.waiting(
      stacks.profile {
        $0.threads = [thread(1, 400), thread(2, 400), thread(3, 400)]
        $0.threadTimes = [row(.working, 400), row(.working, 400, tid: 2), row(.sleeping, 400, tid: 3)]
      })
    // 300 and 100: the longest is half again the mean.
    #expect(isClose(try #require(waiting.imbalance.value), 0.5))
    #expect(waiting.threads.map(\.threads) == [1, 1, 1])
  }

  @Test func firstLayoutHasThreadsAlone() throws {
    var stacks = Stacks()
    // Most of them while a kernel ran: the rows don't know of it, so all count alike.
    stacks.add("main work", 30, kernel: 1)
    stacks.add("main gomp_team_end", 10)
    let profile = stacks.profile {
      var one = thread(1, 1000)
      one.runningNanoseconds = 800
      one.blockedIONanoseconds = 150
      one.sleepingNanoseconds = 50
      $0.threads = [one]
      $0.kernels = [kernel("a", .gemm, self: 1, id: 1)]
    }
    let waiting = try Self.waiting(profile)
    #expect(Self.times(waiting.total) == [.working: 600, .spinning: 200, .io: 150, .sleeping: 50])
    #expect(waiting.accounted == 1)
    #expect(waiting.categories.unavailable?.reason.contains("version 2") == true)
    let empty = run(Profile(repetitions: [repetition()]))
    #expect(WaitingBreakdown.of(CallTree(empty), empty).unavailable != nil)
  }

  /// Whatever the rows and samples are, nothing is lost or counted twice.
  @Test func partsAddUp() throws {
    var generator = Seeded(state: 11)
    let phases = KernelRecord.Phase.allCases
    let categories: [KernelCategory] = [.gemm, .relu, .convolution]
    for _ in 0..<40 {
      var stacks = Stacks()
      for _ in 0..<Int.random(in: 0...30, using: &generator) {
        let path = ["main work", "main gomp_team_end", "main [asm_exc_page_fault]", "main sched_yield"].randomElement(
          using: &generator)
        stacks.add(
          path ?? "", Int64.random(in: 0...60, using: &generator), tid: Int32.random(in: 1...4, using: &generator),
          kernel: Bool.random(using: &generator) ? Int64.random(in: 0...17, using: &generator) : nil)
      }
      var rows: [ThreadTime] = []
      for _ in 0..<60 {
        let isTraced = Bool.random(using: &generator)
        rows.append(
          row(
            TimeState.allCases.filter { $0 != .spinning && $0 != .pageFault }.randomElement(using: &generator) ?? .io,
            Int64.random(in: 0...1_000_000, using: &generator),
            isTraced ? phases.randomElement(using: &generator) : nil,
            isTraced ? categories.randomElement(using: &generator) : nil,
            tid: Int32.random(in: 1...4, using: &generator)))
      }
      let profile = stacks.profile { data in
        data.kernels = (0..<18).map {
          kernel(
            "k", categories[$0 % 3], phases[$0 / 3], self: 1, thread: $0 == 17 ? "prefetch" : "main", id: Int64($0))
        }
        data.threads = (1...4).map { thread($0, 1) }
        data.threadTimes = rows
      }
      let waiting = try Self.waiting(profile)
      let sum = rows.sum(\.nanoseconds)
      for parts in [[waiting.total], waiting.threads, waiting.phases.value ?? [], waiting.categories.value ?? []] {
        #expect(parts.sum(\.nanoseconds) == sum)
        #expect(parts.sum { $0.states.sum(\.nanoseconds) } == sum)
      }
      for state in [TimeState.runnable, .lock, .io, .sleeping, .other] {
        #expect(waiting.total.time(state) == rows.filter { $0.state == state }.sum(\.nanoseconds))
      }
      for state in waiting.total.states {
        #expect(state.interval.map { $0.lower <= state.share && state.share <= ($0.upper ?? 1) } ?? true)
      }
    }
  }

  @Test func damagedRowsDoNotTrap() throws {
    let profile = profile {
      $0.threads = [thread(1, .max), thread(2, -5)]
      $0.threadTimes = [
        row(.working, .max), row(.working, .max, tid: 2), row(.lock, -7), row(.io, 0),
      ]
      $0.samples = [SampleTotal(stack: 99, pid: 1, tid: 1, kernel: 3, samples: .max, weightNanoseconds: .max)]
    }
    let waiting = try Self.waiting(profile)
    #expect(waiting.total.time(.lock) == 0 && waiting.accounted.isFinite)
    #expect(waiting.total.states.allSatisfy { $0.share.isFinite })
  }

  @Test(arguments: [
    ("worker-3", "worker"), ("python3", "python"), ("42", "42"), ("a", "a"), ("", ""), ("grpc_1:2", "grpc_1"),
    ("pool 7", "pool"),
  ])
  func pools(name: String, pool: String) { #expect(WaitingBreakdown.poolName(name) == pool) }

  // MARK: Verdicts

  @Test func verdictsHaveTheNumbers() throws {
    let verdict = try #require(try LimitTests.verdict("spins-at-barriers", Self.traced()))
    #expect(verdict.statement.hasPrefix("Limited by waiting at barriers"))
    #expect(verdict.statement.contains("convolution"))
    #expect(verdict.evidence.contains { isClose($0.value, 276 / 700.0) && $0.threshold != nil })
    var stacks = Stacks()
    stacks.add("main work", 50, kernel: 5)
    stacks.add("main work [asm_exc_page_fault]", 50, kernel: 5)
    let faults = try #require(
      try LimitTests.verdict(
        "page-faults",
        stacks.profile {
          $0.kernels = [kernel("copy", .memoryCopy, .forward, self: 600, id: 5)]
          $0.threads = [thread(1, 1000)]
          $0.threadTimes = [row(.working, 1000, .forward, .memoryCopy)]
        }))
    #expect(faults.statement.hasPrefix("Limited by page faults") && faults.statement.contains("memory copy"))
    #expect(faults.evidence.contains { $0.value == 500 && $0.unit == "ns" })
  }
}
