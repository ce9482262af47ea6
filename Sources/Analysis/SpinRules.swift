// Is a thread that is on a CPU working, spinning until others get there, or having a page fault served?
import ProfileModel

/// What time on a CPU is spent on.
enum OnCPU: Int, CaseIterable {
  case working
  case spinning
  case pageFault

  /// The state that it is reported under.
  var state: TimeState {
    switch self {
    case .working: .working
    case .spinning: .spinning
    case .pageFault: .pageFault
    }
  }
}

/// The rules, as data: functions whose own time is waiting.
enum SpinRules {
  /// A function's name, in which a `*` stands for anything; the library, by how its file name begins (empty for any);
  /// and why its time is no work.
  struct Rule: Hashable, Sendable {
    var pattern: String
    var library: String
    var reason: String
  }

  /// Spinning in user mode. The functions are those whose loop it is; work that is called from them (a task that a
  /// thread runs while it waits) has a function of its own at the top of its stack and is not meant.
  static let rules: [Rule] = [
    (
      "", "a barrier of GCC's OpenMP: threads spin (OMP_WAIT_POLICY, GOMP_SPINCOUNT) until the last gets there",
      """
      gomp_barrier_wait* gomp_team_barrier_wait* gomp_simple_barrier* gomp_barrier_handle_tasks GOMP_barrier
      """
    ),
    ("libgomp", "the loops of its barriers and locks, inlined into them", "do_spin do_wait"),
    ("", "the end of a parallel region, where the main thread waits for its team", "gomp_team_end"),
    ("", "a worker's dock: it spins for the next parallel region", "gomp_thread_start"),
    (
      "", "a lock of GCC's OpenMP that is taken",
      "gomp_mutex_lock_slow gomp_ptrlock_get_slow gomp_sem_wait_slow gomp_doacross_wait* GOMP_taskwait"
    ),
    (
      "libgomp",
      "distributions strip libgomp of its names; of the time in its nameless functions 99 % was in the two that hold the barrier's loop (seven training benchmarks on two cores)",
      "libgomp.so*+0x*"
    ),
    (
      "", "a barrier of LLVM's and Intel's OpenMP: threads spin for KMP_BLOCKTIME until the last gets there",
      """
      __kmp_hyper_barrier* __kmp_tree_barrier* __kmp_linear_barrier* __kmp_dist_barrier* __kmp_hierarchical_barrier*
      __kmp_fork_barrier* __kmp_join_barrier* __kmp_barrier* *__kmp_wait* *__kmp_flag_*::wait* *kmp_flag_*::wait*
      *kmp_flag_*::done_check* *kmp_flag_*::notdone_check* __kmp_yield* __kmp_x86_pause* __kmp_mm_pause*
      """
    ),
    (
      "", "a lock of LLVM's OpenMP that is taken",
      "__kmp_acquire_*lock* *__kmp_acquire_*_lock_timed_template*"
    ),
    (
      "libomp", "a nameless function of a stripped OpenMP runtime, whose time is nearly all in its barriers",
      "libomp.so*+0x* libomp5.so*+0x* libiomp5.so*+0x*"
    ),
    ("", "a spin lock: its caller waits for another thread to release it", "pthread_spin_lock __pthread_spin_lock"),
    ("", "a thread that gives up its CPU and takes it again waits for another", "sched_yield __sched_yield"),
    ("", "the C++ library's name of the same", "std::this_thread::yield*"),
    (
      "", "OpenBLAS's own threads: its server loop yields until there is work, its caller until the work is done",
      "blas_thread_server exec_blas_async_wait"
    ),
    (
      "", "a worker of Threading Building Blocks that finds nothing to steal",
      "tbb::*machine_pause* tbb::*prolonged_pause* tbb::*atomic_backoff::pause* tbb::*receive_or_steal_task*"
    ),
    ("", "a worker of Eigen's thread pool that finds nothing to run", "Eigen::ThreadPoolTempl<*>::WorkerLoop*"),
  ].flatMap { library, reason, names in
    names.split { $0 == " " || $0 == "\n" }.map { Rule(pattern: String($0), library: library, reason: reason) }
  }
  /// LLVM's OpenMP under its other names.
  private static let aliases = ["libomp": ["libomp", "libiomp"]]

  /// Functions that only pass on to the kernel or read a clock: the loop that calls them is what counts.
  static let passThrough: Set<String> = [
    "syscall", "clock_gettime", "__clock_gettime", "__vdso_clock_gettime", "__kmp_now_nsec", "cpu_relax",
  ]

  /// Of the operating system's kernel: a yield, whoever asked for it.
  static let yieldFunctions: Set<String> = [
    "__x64_sys_sched_yield", "__arm64_sys_sched_yield", "__riscv_sys_sched_yield", "do_sched_yield",
  ]

  /// Whether a user function's own time is spinning.
  static func spins(_ name: String, module: String) -> Bool { rule(for: name, module: module) != nil }

  /// The rule that says so.
  static func rule(for name: String, module: String) -> Rule? {
    let file = module.fileName
    return rules.first { rule in
      (rule.library.isEmpty || (aliases[rule.library] ?? [rule.library]).contains { file.hasPrefix($0) })
        && matches(name, rule.pattern)
    }
  }

  /// Whether a name is as a pattern says. Linear in practice: only the last `*` is ever gone back to.
  static func matches(_ name: String, _ pattern: String) -> Bool {
    let (text, glob) = (Array(name.utf8), Array(pattern.utf8))
    let star = UInt8(ascii: "*")
    var (i, j) = (0, 0)
    var afterStar: (text: Int, glob: Int)?
    while i < text.count {
      if j < glob.count, glob[j] == star {
        j += 1
        afterStar = (i, j)
      } else if j < glob.count, glob[j] == text[i] {
        i += 1
        j += 1
      } else if let (start, next) = afterStar {
        afterStar = (start + 1, next)
        (i, j) = (start + 1, next)
      } else {
        return false
      }
    }
    return glob[j...].allSatisfy { $0 == star }
  }
}

/// Tells what samples show a thread doing, by their stacks.
struct OnCPUClassifier {
  private let tree: CallTree
  /// By function: whether its own time is spinning; filled in as needed.
  private var spins: [Bool?]
  /// By node with samples of its own.
  private var known: [OnCPU?]

  init(_ tree: CallTree) {
    self.tree = tree
    spins = [Bool?](repeating: nil, count: tree.functions.count)
    known = [OnCPU?](repeating: nil, count: tree.parent.count)
  }

  /// What a thread does whose innermost function is this node of the tree.
  mutating func classify(_ leaf: Int32) -> OnCPU {
    guard leaf >= 0 else { return .working }
    if let known = known[Int(leaf)] { return known }
    let result = walk(leaf)
    known[Int(leaf)] = result
    return result
  }

  private mutating func walk(_ leaf: Int32) -> OnCPU {
    var node = leaf
    var yields = false
    // The kernel's part of the stack, from the inside.
    while node >= 0, tree.functions[Int(tree.function[Int(node)])].module == "[kernel]" {
      let name = tree.functions[Int(tree.function[Int(node)])].name
      if LimitRules.pageFaultFunctions.contains(name) { return .pageFault }
      yields = yields || SpinRules.yieldFunctions.contains(name)
      node = tree.parent[Int(node)]
    }
    if yields { return .spinning }
    // The function that runs, and those inlined into it.
    while node >= 0 {
      let function = Int(tree.function[Int(node)])
      if isSpinning(function) { return .spinning }
      let isInlined = tree.physical[Int(node)] != tree.function[Int(node)]
      guard isInlined || SpinRules.passThrough.contains(tree.functions[function].name) else { break }
      node = tree.parent[Int(node)]
    }
    return .working
  }

  private mutating func isSpinning(_ function: Int) -> Bool {
    if let known = spins[function] { return known }
    let result = SpinRules.spins(tree.functions[function].name, module: tree.functions[function].module)
    spins[function] = result
    return result
  }
}
