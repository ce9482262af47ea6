// How are a subset's numbers written, the same on a page and in a terminal?
import Analysis
import ProfileModel

/// Words and numbers of a subset.
struct SubsetWords {
  let choice: SubsetChoice

  /// A cost: hours where the suite takes hours, so that members can be compared at a glance.
  func cost(_ value: Double) -> String {
    switch choice.cost.basis {
    case .number: NumberFormat.plain(value)
    case .timeToQuality, .wallTime:
      choice.cost.suite.value >= 2 * 3600
        ? "\(NumberFormat.fixed(value / 3600, decimals: 2))\(NumberFormat.space)h" : NumberFormat.duration(value * 1e9)
    }
  }

  /// A sum with what it lacks.
  func cost(_ total: SubsetCost.Total) -> String {
    guard total.counted > 0 else { return NumberFormat.none }
    return (total.lowerBounds.isEmpty ? "" : "≥ ") + cost(total.value)
  }

  /// An error in spreads.
  func error(_ value: Double) -> String { NumberFormat.fixed(value, decimals: 3) }

  /// A saving, `−12.0 %` when it costs more.
  func saved(_ value: Measured<Double>) -> String {
    value.value.map { NumberFormat.percent($0) } ?? NumberFormat.none
  }

  /// The members' titles, as a list in a sentence.
  var members: String {
    let titles = choice.chosen.map { choice.rules.members[$0].title }
    guard let last = titles.last, titles.count > 1 else { return titles.first ?? "none" }
    return titles.dropLast().joined(separator: ", ") + " and " + last
  }

  /// What was found, in sentences.
  var summary: [String] {
    guard !choice.chosen.isEmpty else {
      return ["No subset for \(choice.options.preset.title) can be given: \(choice.method)."]
    }
    var sentences = [
      "For \(choice.options.preset.title) \(choice.chosen.count) of \(choice.rules.members.count) stand for the suite: \(members)."
    ]
    if let saved = choice.cost.saved.value, choice.cost.basis != .number {
      sentences.append(
        "They cost \(cost(choice.cost.subset)) instead of \(cost(choice.cost.suite)): \(NumberFormat.percent(saved)) is saved."
      )
    }
    if !choice.isDefensible { sentences.append("This subset can’t be defended: see below.") }
    return sentences
  }

  /// What one member that decides the cost does to the saving.
  var concentration: String? {
    choice.cost.concentration.map {
      "\($0.title) alone is \(NumberFormat.percent($0.shareOfSubset)) of the subset’s cost. Without it the subset costs \(cost($0.subsetWithout)) of \(cost($0.suiteWithout)), and \(NumberFormat.percent($0.savedWithout)) is saved."
    }
  }

  /// The evidence by chance, by leaving out and by held-out runs, in sentences.
  var evidence: [String] {
    guard let evidence = choice.evidence.value, evidence.chosen != nil else { return [] }
    var sentences: [String] = []
    if let chosen = evidence.chosen {
      sentences.append(
        "Its member error is \(error(chosen.memberError)) spreads, its mean error \(error(chosen.meanError)).")
    }
    if let chance = evidence.chance {
      sentences.append(
        "\(NumberFormat.percent(chance.shareWorse)) of \(chance.isExact ? "all" : "") \(NumberFormat.grouped(Int64(chance.count))) \(chance.isExact ? "" : "random ")subsets of its size have a greater member error (\(error(chance.least)) to \(error(chance.greatest)), median \(error(chance.median)))."
          .replacing("  ", with: " "))
    }
    switch evidence.leaveOneOut {
    case .measured(let value, _):
      sentences.append("Leave-one-out, each member predicted by the best subset of the others: \(error(value)).")
    case .unavailable(let why): sentences.append("Leave-one-out can’t be done: \(why.reason).")
    }
    switch evidence.heldOut {
    case .measured(let held, _):
      sentences.append(
        "On runs that did not choose: this subset \(error(held.chosenMemberError)), the best of the other runs (\(held.best.members.joined(separator: ", "))) \(error(held.bestMemberError)), against \(error(held.best.memberError)) on the runs that chose it\(held.median.map { "; the median of all is \(error($0))" } ?? "")."
      )
    case .unavailable(let why):
      sentences.append("On runs that did not choose it, it can’t be judged: \(why.reason).")
    }
    return sentences
  }
}
