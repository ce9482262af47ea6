// Which rules tell what limits a workload? The ordered table, and the rules about time that is not spent computing.
import ProfileModel

/// The rules. Each is a function of the measurements; a threshold is named beside the rule that uses it, and every
/// verdict carries the number that crossed it.
enum LimitRules {
  static let all: [LimitRule] = [
    // Time in which the main thread runs no kernel.
    LimitRule(name: "start-up", question: "Does starting and ending take a good part of the run?", find: startUp),
    LimitRule(name: "waits-for-data", question: "Does training wait for its data?", find: waitsForData),
    LimitRule(
      name: "framework-overhead", question: "Does the framework between the kernels take much?", find: framework),
    // Time in kernels.
    LimitRule(name: "small-kernels", question: "Are kernels too small to be worth their launch?", find: smallKernels),
    LimitRule(
      name: "arithmetic", question: "Do kernels run near the arithmetic ceiling of the machine?", find: arithmetic),
    LimitRule(
      name: "memory-bandwidth", question: "Do kernels run near the memory bandwidth of the machine?",
      find: memoryBandwidth),
    LimitRule(name: "below-ceilings", question: "Do kernels stay far below what the machine can do?", find: belowRoof),
    // Use of the processor by any program.
    LimitRule(name: "hot-function", question: "Does one function take most of the CPU time?", find: hotFunction),
    LimitRule(
      name: "spins-at-barriers", question: "Do threads burn CPU time waiting for each other?", find: spinsAtBarriers),
    LimitRule(name: "idle-processors", question: "Do hardware threads lie idle?", find: idleProcessors),
    LimitRule(name: "too-many-threads", question: "Do threads wait for a CPU?", find: tooManyThreads),
    LimitRule(name: "stalls", question: "Do instructions wait for memory or for each other?", find: stalls),
    LimitRule(name: "page-faults", question: "Do page faults take much CPU time?", find: pageFaults),
    LimitRule(name: "system-time", question: "Does the operating system take much CPU time?", find: systemTime),
    // Waiting.
    LimitRule(name: "waits-on-locks", question: "Does the leading thread wait for other threads?", find: waitsOnLocks),
    LimitRule(name: "waits-on-io", question: "Does the leading thread wait for I/O?", find: waitsOnIO),
    LimitRule(name: "asleep", question: "Does the program mostly sleep?", find: asleep),
    // The measurement itself.
    LimitRule(name: "failed", question: "Did the run fail?", isAboutMeasurement: true, find: failed),
    LimitRule(name: "diverged", question: "Did training diverge?", isAboutMeasurement: true, find: diverged),
    LimitRule(
      name: "profiler-cost", question: "Did profiling slow the target down?", isAboutMeasurement: true,
      find: profilerCost),
    LimitRule(name: "lost-samples", question: "Were samples lost?", isAboutMeasurement: true, find: lostSamples),
    LimitRule(name: "few-samples", question: "Are there enough samples?", isAboutMeasurement: true, find: fewSamples),
    LimitRule(
      name: "does-not-add-up", question: "Do the parts add up to the wall time?", isAboutMeasurement: true,
      find: doesNotAddUp),
  ]

  /// A verdict of the rule that is being applied: name and kind are filled in by the table.
  static func verdict(
    _ statement: String, weight: Double, _ evidence: [LimitedBy.Evidence], _ advice: [String]
  ) -> LimitRule.Finding {
    .limits(
      LimitedBy.Verdict(
        rule: "", statement: statement, weight: weight, evidence: evidence, advice: advice, isAboutMeasurement: false))
  }

  static func share(_ label: String, _ value: Double, threshold: Double? = nil) -> LimitedBy.Evidence {
    LimitedBy.Evidence(label: label, value: value, unit: "share", threshold: threshold)
  }

  static func number(_ label: String, _ value: Double, _ unit: String, threshold: Double? = nil) -> LimitedBy.Evidence {
    LimitedBy.Evidence(label: label, value: value, unit: unit, threshold: threshold)
  }

  // MARK: Outside kernels

  /// Start-up and exit above this share of the wall time are worth a word.
  static let startUpThreshold = 0.25

  static func startUp(_ facts: LimitFacts) -> LimitRule.Finding {
    guard case .measured(let breakdown, _) = facts.breakdown else { return cantTell(facts.breakdown) }
    let parts = breakdown.outside.filter { [.startUp, .exit, .startUpAndExit].contains($0.kind) }
    guard breakdown.phases.contains(where: { $0.wallNanoseconds.value != nil }) else {
      return .cantTell(Unavailable("the phases of the run were not clocked"))
    }
    let time = parts.sum(\.nanoseconds)
    let part = fraction(time, of: breakdown.wallNanoseconds)
    guard part >= startUpThreshold else { return .doesNotLimit }
    return verdict(
      "Start-up and exit take \(Words.percent(part)) of the run (\(Words.duration(Double(time)))).", weight: part,
      [share("start-up and exit, share of wall time", part, threshold: startUpThreshold)],
      [
        "Run longer (more steps or epochs) before you judge the steady state from this profile.",
        "Keep one process for many runs, or load data and libraries only when they are needed.",
      ])
  }

  /// Waiting for data above this share of the wall time is worth a word.
  static let dataThreshold = 0.1

  static func waitsForData(_ facts: LimitFacts) -> LimitRule.Finding {
    guard case .measured(let breakdown, _) = facts.breakdown else { return cantTell(facts.breakdown) }
    guard breakdown.phases.contains(where: { $0.phase == .data && $0.wallNanoseconds.value != nil }) else {
      return .cantTell(Unavailable("the data phase of the run was not clocked"))
    }
    let time = breakdown.outside.filter { $0.kind == .dataWait }.sum(\.nanoseconds)
    let part = fraction(time, of: breakdown.wallNanoseconds)
    guard part >= dataThreshold else { return .doesNotLimit }
    return verdict(
      "Waiting for data takes \(Words.percent(part)) of the run.", weight: part,
      [share("data phase outside kernels, share of wall time", part, threshold: dataThreshold)],
      [
        "Prepare batches ahead on more threads, so that loading overlaps with training.",
        "Make loading cheaper: decode once and cache, store smaller images, read larger blocks.",
      ])
  }

  /// Framework time between kernels above this share of the wall time is worth a word.
  static let frameworkThreshold = 0.2

  static func framework(_ facts: LimitFacts) -> LimitRule.Finding {
    guard case .measured(let breakdown, _) = facts.breakdown else { return cantTell(facts.breakdown) }
    guard breakdown.phases.contains(where: { $0.wallNanoseconds.value != nil }) else {
      return .cantTell(Unavailable("the phases of the run were not clocked"))
    }
    let time = breakdown.outside.filter { if case .framework = $0.kind { true } else { false } }.sum(\.nanoseconds)
    let part = fraction(time, of: breakdown.wallNanoseconds)
    guard part >= frameworkThreshold else { return .doesNotLimit }
    let calls = breakdown.categories.sum(\.calls)
    var evidence = [share("framework between kernels, share of wall time", part, threshold: frameworkThreshold)]
    if calls > 0 { evidence.append(number("time between kernels, a call", Double(time) / Double(calls), "ns")) }
    return verdict(
      "The framework's and the program's own work between kernels takes \(Words.percent(part)) of the run.",
      weight: part, evidence,
      [
        "Give each kernel more to do: a larger batch, or fused operations, so that fewer calls carry the same work.",
        "Look at the native functions below for what runs between the kernels.",
      ])
  }

  // MARK: Waiting

  /// Waiting above this share of the wall time is worth a word.
  static let waitThreshold = 0.15

  static func waitsOnLocks(_ facts: LimitFacts) -> LimitRule.Finding {
    waits(facts, .lock, "waits for other threads (locks, condition variables, barriers)") { name in
      [
        "Look at what \(name) waits for: shorten the section under the lock, split the lock, or balance the work.",
        "If it waits for workers by design, the workers are what to look at.",
      ]
    }
  }

  static func waitsOnIO(_ facts: LimitFacts) -> LimitRule.Finding {
    waits(facts, .io, "waits for I/O (storage, network, pipes, terminal)") { _ in
      [
        "Overlap I/O with computing (read ahead, write behind), or read and write larger blocks.",
        "Keep the data in memory or on faster storage.",
      ]
    }
  }

  private static func waits(
    _ facts: LimitFacts, _ state: Timeline.ThreadState, _ does: String, advice: (String) -> [String]
  ) -> LimitRule.Finding {
    guard let thread = facts.leadingThread, facts.timeline.wallNanoseconds > 0 else {
      return .cantTell(facts.run.failure(of: "off-cpu") ?? Unavailable("no threads were recorded"))
    }
    switch thread.states.first(where: { $0.state == state })?.nanoseconds {
    case .measured(let time, _)?:
      let part = fraction(time, of: facts.timeline.wallNanoseconds)
      guard part >= waitThreshold else { return .doesNotLimit }
      let name = "thread “\(Words.name(thread.name, limit: 32))”"
      return verdict(
        "The leading \(name) \(does) for \(Words.percent(part)) of the run.", weight: part,
        [share("\(state.rawValue), share of wall time", part, threshold: waitThreshold)], advice(name))
    default:
      let total = facts.timeline.totals.first { $0.state == state }?.nanoseconds.unavailable
      return .cantTell(total ?? Unavailable("this state was not told apart for the leading thread"))
    }
  }

  /// Asleep: fewer hardware threads busy than this, and that part of the run slept away.
  static let asleepThresholds = (busy: 0.5, share: 0.3)

  static func asleep(_ facts: LimitFacts) -> LimitRule.Finding {
    guard case .measured(let busy, _) = facts.ratio("cpu.busy") else { return cantTell(facts.ratio("cpu.busy")) }
    guard let thread = facts.leadingThread, facts.timeline.wallNanoseconds > 0,
      let time = thread.states.first(where: { $0.state == .sleeping })?.nanoseconds.value
    else {
      return .cantTell(facts.run.failure(of: "off-cpu") ?? Unavailable("sleeping was not told apart from waiting"))
    }
    let part = fraction(time, of: facts.timeline.wallNanoseconds)
    guard busy < asleepThresholds.busy, part >= asleepThresholds.share else { return .doesNotLimit }
    return verdict(
      "The program sleeps for \(Words.percent(part)) of the run: by timers, or waiting for other processes.",
      weight: part,
      [
        share("asleep, share of wall time", part, threshold: asleepThresholds.share),
        number("hardware threads busy", busy, "1", threshold: asleepThresholds.busy),
      ],
      ["Look for sleeps, polling intervals and time-outs in the program, or profile the process it waits for."])
  }

  /// Not measured, so not judged.
  static func cantTell<T>(_ value: Measured<T>) -> LimitRule.Finding {
    .cantTell(value.unavailable ?? Unavailable("not measured"))
  }
}
