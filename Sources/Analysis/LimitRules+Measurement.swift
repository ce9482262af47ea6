// Which rules warn that the measurement itself is not to be trusted?
import ProfileModel

extension LimitRules {
  static func failed(_ facts: LimitFacts) -> LimitRule.Finding {
    let repetition = facts.run.data.repetition
    guard repetition.state != .finished || repetition.exitStatus ?? 0 != 0 || repetition.signal != nil else {
      return .doesNotLimit
    }
    return verdict(
      "The run did not end well (\(RunIdentity.ending(repetition))): all numbers are about what it did until then.",
      weight: 1, [], ["Look at the program's own messages, and profile a run that succeeds."])
  }

  static func diverged(_ facts: LimitFacts) -> LimitRule.Finding {
    guard case .measured(let training, _) = facts.training, training.stepCount > 0 else { return .doesNotLimit }
    guard training.nonFiniteLossCount > 0 else { return .doesNotLimit }
    let part = Double(training.nonFiniteLossCount) / Double(training.stepCount)
    return verdict(
      "The loss is not a number in \(training.nonFiniteLossCount) of \(training.stepCount) steps: training diverged.",
      weight: 1, [share("steps without a finite loss", part, threshold: 0)],
      ["Lower the learning rate, or clip gradients."])
  }

  /// Cost of profiling above this share of the target's time is worth a warning.
  static let costThreshold = 0.05

  static func profilerCost(_ facts: LimitFacts) -> LimitRule.Finding {
    let cpu = facts.cost.cpuShare.value
    let tracing = facts.cost.tracingShare.value
    guard let most = [cpu, tracing].compactMap({ $0 }).max() else { return cantTell(facts.cost.cpuShare) }
    guard most >= costThreshold else { return .doesNotLimit }
    let statement =
      most == tracing
      ? "Tracing kernels takes \(Words.percent(most)) of the wall time: times are that much too long."
      : "The profiler used \(Words.percent(most)) as much CPU time as the target, which may have been slower for it."
    var evidence: [LimitedBy.Evidence] = []
    if let cpu { evidence.append(share("profiler's CPU time ÷ target's", cpu, threshold: costThreshold)) }
    if let tracing { evidence.append(share("tracing, share of wall time", tracing, threshold: costThreshold)) }
    return verdict(statement, weight: most, evidence, ["Sample less often (-F 99), or profile a longer run."])
  }

  /// Lost samples above this share are worth a warning.
  static let lostThreshold = 0.01

  static func lostSamples(_ facts: LimitFacts) -> LimitRule.Finding {
    guard case .measured(let part, _) = facts.cost.lostShare else { return .doesNotLimit }
    guard part >= lostThreshold else { return .doesNotLimit }
    return verdict(
      "\(Words.percent(part)) of the samples were lost: shares of functions may be wrong by as much.", weight: part,
      [share("lost ÷ (taken + lost)", part, threshold: lostThreshold)], ["Sample less often (-F 199)."])
  }

  /// With fewer samples a share of 10 % has an error of ±6 percentage points or more.
  static let sampleThreshold = 100.0

  static func fewSamples(_ facts: LimitFacts) -> LimitRule.Finding {
    guard case .measured(let functions, _) = facts.functions else { return .doesNotLimit }
    guard Double(functions.samples) < sampleThreshold else { return .doesNotLimit }
    return verdict(
      "There are only \(functions.samples) samples: shares of functions are rough.",
      weight: 1 - Double(functions.samples) / sampleThreshold,
      [number("samples", Double(functions.samples), "1", threshold: sampleThreshold)],
      ["Profile a longer run, or sample more often (-F 1999)."])
  }

  static func doesNotAddUp(_ facts: LimitFacts) -> LimitRule.Finding {
    guard case .measured(let breakdown, _) = facts.breakdown else { return .doesNotLimit }
    guard !breakdown.addsUp else { return .doesNotLimit }
    return verdict(
      "Kernel time and the time outside kernels miss the wall time by \(Words.percent(abs(breakdown.residualShare))).",
      weight: abs(breakdown.residualShare),
      [share("residual, share of wall time", breakdown.residualShare, threshold: RuntimeBreakdown.tolerance)],
      ["Take the breakdown as rough; please report it with the profile."])
  }
}
