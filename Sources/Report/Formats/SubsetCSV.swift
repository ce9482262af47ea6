// How does a subset become one long tidy table: one row a number or verdict?
import Analysis
import ProfileModel

/// RFC 4180 with a header: `suite,section,name,attribute,value,unit,source,detail,reason`.
struct SubsetCSV {
  let choice: SubsetChoice

  func text() -> String {
    var out = "suite,section,name,attribute,value,unit,source,detail,reason\r\n"
    func row(
      _ section: String, _ name: String, _ attribute: String, _ value: String, _ unit: String = "",
      provenance: Provenance? = nil, reason: String = ""
    ) {
      let fields = [
        choice.suite, section, name, attribute, value, unit, provenance?.source.rawValue ?? "",
        provenance?.detail ?? "", reason,
      ]
      out += fields.map(CSVReport.field).joined(separator: ",") + "\r\n"
    }
    func row(_ section: String, _ name: String, _ attribute: String, _ value: Double, _ unit: String) {
      row(section, name, attribute, NumberFormat.exact(value), unit)
    }
    func row(_ section: String, _ name: String, _ attribute: String, _ value: Measured<Double>, _ unit: String) {
      row(
        section, name, attribute, value.value.map(NumberFormat.exact) ?? "", unit, provenance: value.provenance,
        reason: value.unavailable?.reason ?? "")
    }
    let unit = choice.cost.basis.unit
    row("subset", "", "preset", choice.options.preset.rawValue)
    row("subset", "", "method", choice.method)
    row("subset", "", "defensible", choice.isDefensible ? "true" : "false")
    row("subset", "", "size", Double(choice.chosen.count), "1")
    let chosen = Set(choice.chosen)
    for (index, member) in choice.rules.members.enumerated() {
      row("member", member.id, "title", member.title)
      row("member", member.id, "eligible", member.isEligible ? "true" : "false")
      row("member", member.id, "chosen", chosen.contains(index) ? "true" : "false")
      row("member", member.id, "cost", choice.cost.members[index], unit)
      for verdict in member.verdicts {
        row("rule", member.id, verdict.rule.rawValue, verdict.outcome.rawValue, reason: verdict.reason)
      }
    }
    row("cost", "suite", "total", choice.cost.suite.value, unit)
    row("cost", "subset", "total", choice.cost.subset.value, unit)
    row("cost", "subset", "saved", choice.cost.saved, "share")
    if let concentration = choice.cost.concentration {
      row("cost", concentration.member, "share of the subset", concentration.shareOfSubset, "share")
      row("cost", concentration.member, "saved without it", concentration.savedWithout, "share")
    }
    for other in choice.comparisons {
      row("against", other.name, "total", other.cost.value, unit)
      row("against", other.name, "saved by the subset", other.savedBySubset, "share")
      row("against", other.name, "saved by the suite", other.savedBySuite, "share")
    }
    guard let evidence = choice.evidence.value else {
      row("evidence", "", "", "", reason: choice.evidence.unavailable?.reason ?? "")
      return out
    }
    func point(_ section: String, _ point: SubsetEvidence.Point) {
      let name = point.members.joined(separator: " ")
      row(section, name, "cost", point.cost, unit)
      row(section, name, "member error", point.memberError, "1")
      row(section, name, "mean error", point.meanError, "1")
    }
    if let own = evidence.chosen { point("evidence", own) }
    if let chance = evidence.chance { row("evidence", "", "subsets that are worse", chance.shareWorse, "share") }
    row("evidence", "", "leave-one-out error", evidence.leaveOneOut, "1")
    row("evidence", "", "held-out member error", evidence.heldOut.map(\.chosenMemberError), "1")
    for prediction in evidence.predictions {
      row("prediction", prediction.member, prediction.representative, prediction.error, "1")
    }
    evidence.best.forEach { point("best of size \($0.members.count)", $0) }
    evidence.front.forEach { point("front", $0) }
    for problem in choice.objections { row("objection", "", "", "", reason: problem) }
    for caveat in choice.caveats { row("caveat", "", "", "", reason: caveat) }
    return out
  }
}
