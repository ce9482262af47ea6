// How does a reference's text become members with the source of each number, and the line of everything that is wrong?
import Analysis
import ProfileModel
import Suites
import Yams

/// Turns nodes into a set of members. Every field is checked for its name and type; README.md beside this file documents them.
struct ReferenceReader {
  let file: String

  func memberSet(_ root: Node) throws(ManifestError) -> MemberSet {
    var fields = try Fields(root, "the reference", file)
    let name = try fields.required("reference", "its name") { (field) throws(ManifestError) in try self.name(field) }
    let title = try fields.optional("title") { (field) throws(ManifestError) in try field.text() }
    let source = try fields.required("source", "where its numbers come from") { (field) throws(ManifestError) in
      try field.text()
    }
    let machines = try fields.optional("machines") { (field) throws(ManifestError) in try field.texts() }
    let remarks = try fields.optional("remarks") { (field) throws(ManifestError) in try field.texts() }
    let ranges = try fields.optional("ranges") { (field) throws(ManifestError) in
      guard let list = field.node.sequence else { throw field.error("it must be a list, one entry a characteristic") }
      var ranges: [MemberSet.StatedRange] = []
      for node in list { ranges.append(try range(node)) }
      return ranges
    }
    let members = try fields.required("members", "a list of benchmarks") { (field) throws(ManifestError) in
      guard let list = field.node.sequence else { throw field.error("it must be a list, one entry a benchmark") }
      guard !list.isEmpty else { throw field.error("a suite has at least one benchmark") }
      var members: [SuiteMember] = []
      var lines: [String: Int] = [:]
      for (index, node) in list.enumerated() {
        let member = try self.member(node, number: index + 1)
        let line = node.mark?.line ?? 0
        if let other = lines.updateValue(line, forKey: member.id.lowercased()) {
          throw ManifestError(file: file, line: line, "id '\(member.id)' is there already, in line \(other)")
        }
        members.append(member)
      }
      return members
    }
    try fields.finish()
    return MemberSet(
      name: name, title: title ?? name, source: source, isPublished: true, members: members, statedRanges: ranges ?? [],
      machines: machines ?? [], remarks: remarks ?? [])
  }

  private func name(_ field: Field) throws(ManifestError) -> String {
    let name = try field.text()
    guard Suite.isName(name) else {
      throw field.error("a name has letters, digits, '.', '_' and '-', and begins with a letter or digit")
    }
    return name
  }

  private func range(_ node: Node) throws(ManifestError) -> MemberSet.StatedRange {
    var fields = try Fields(node, "range", file)
    let words = Characteristic.allCases.map(\.rawValue)
    let word = try fields.required("characteristic", words.joined(separator: ", ")) { (field) throws(ManifestError) in
      try field.choice(words)
    }
    let least = try fields.required("least", "its least value") { (field) throws(ManifestError) in try field.number() }
    let greatest = try fields.required("greatest", "its greatest value") { (field) throws(ManifestError) in
      let greatest = try field.number()
      guard greatest >= least else { throw field.error("it is below the least value, \(least)") }
      return greatest
    }
    let source = try fields.required("source", "where it is printed") { (field) throws(ManifestError) in
      try field.text()
    }
    let remark = try fields.optional("remark") { (field) throws(ManifestError) in try field.text() }
    try fields.finish()
    guard let characteristic = Characteristic(rawValue: word) else { throw fields.error("no such characteristic") }
    return MemberSet.StatedRange(
      characteristic: characteristic, least: least, greatest: greatest, source: source, remark: remark)
  }

  private func member(_ node: Node, number: Int) throws(ManifestError) -> SuiteMember {
    var fields = try Fields(node, "member \(number)", file)
    let id = try fields.required("id", "a name that is unique in the suite") { (field) throws(ManifestError) in
      try self.name(field)
    }
    fields.subject = "member '\(id)'"
    let title = try fields.optional("title") { (field) throws(ManifestError) in try field.text() }
    var member = SuiteMember(id: id, title: title ?? id, because: "not published")
    member.metric = try fields.optional("metric") { (field) throws(ManifestError) in try field.text() }
    if let accepted = try fields.optional(
      "widely-accepted-metric", { (field) throws(ManifestError) in try self.accepted(field.node) })
    {
      member.isMetricAccepted = accepted.isAccepted
      member.metricReason = accepted.reason
    }
    /// Reads a number into its place, times a factor.
    func read(
      _ name: String, _ characteristic: Characteristic, into place: WritableKeyPath<SuiteMember, Measured<Double>>,
      times factor: Double = 1
    ) throws(ManifestError) {
      guard
        let number = try fields.optional(name, { (field) throws(ManifestError) in try self.number(field) })
      else { return }
      member[keyPath: place] = number.value.map { $0 * factor }
      if number.isLowerBound { member.lowerBounds.append(characteristic) }
    }
    try read("parameters", .parameters, into: \.parameters)
    try read("forward-flops", .forwardFLOPs, into: \.forwardFLOPs)
    try read("opcounter-flops", .forwardOpCounter, into: \.forwardOpCounter)
    try read("seconds-per-epoch", .secondsPerEpoch, into: \.secondsPerEpoch)
    try read("hours-to-quality", .secondsToQuality, into: \.secondsToQuality, times: 3600)
    try read("epochs", .epochs, into: \.epochs)
    if let variation = try fields.optional(
      "variation", { (field) throws(ManifestError) in try self.variation(field.node) })
    {
      member.variation = variation
    }
    member.remarks =
      try fields.optional("remarks") { (field) throws(ManifestError) in try field.texts() } ?? []
    try fields.finish()
    if member.epochs.value == nil { member.epochs = Self.epochs(of: member) }
    return member
  }

  /// Total ÷ per epoch, with what both say.
  private static func epochs(of member: SuiteMember) -> Measured<Double> {
    guard let total = member.secondsToQuality.value, let one = member.secondsPerEpoch.value, one > 0,
      !member.lowerBounds.contains(.secondsToQuality)
    else { return member.epochs }
    let places = [member.secondsToQuality.provenance?.detail, member.secondsPerEpoch.provenance?.detail]
      .compactMap { $0 }
    let named = places.first == places.last ? places.prefix(1) : places[...]
    return Measured(
      total / one, .derived, detail: "time to quality ÷ time per epoch (\(named.joined(separator: "; ")))")
  }

  private func number(_ field: Field) throws(ManifestError) -> (value: Measured<Double>, isLowerBound: Bool) {
    var fields = try Fields(field.node, "'\(field.name)'", file)
    func positive(_ name: String) throws(ManifestError) -> Double? {
      try fields.optional(name) { (field) throws(ManifestError) in
        let number = try field.number()
        guard number >= 0 else { throw field.error("it is negative") }
        return number
      }
    }
    let exact = try positive("value")
    let bound = try positive("at-least")
    let missing = try fields.optional("missing") { (field) throws(ManifestError) in try field.text() }
    let source = try fields.optional("source") { (field) throws(ManifestError) in try field.text() }
    let counted = try fields.optional("counted") { (field) throws(ManifestError) in try field.text() }
    let remark = try fields.optional("remark") { (field) throws(ManifestError) in try field.text() }
    try fields.finish()
    switch (exact, bound, missing) {
    case (nil, nil, let reason?): return (.unavailable(Unavailable(reason)), false)
    case (let number?, nil, nil), (nil, let number?, nil):
      let isLowerBound = bound != nil
      var detail: String
      switch (source, counted) {
      case (let source?, nil): detail = source
      case (nil, let counted?): detail = "counted from the published architecture: \(counted)"
      default:
        throw fields.error("it needs 'source' (the table that prints it) or 'counted' (what was counted), not both")
      }
      if isLowerBound { detail = "a lower bound; " + detail }
      if let remark { detail += "; " + remark }
      return (Measured(number, source == nil ? .derived : .published, detail: detail), isLowerBound)
    default: throw fields.error("it needs one of 'value', 'at-least' and 'missing'")
    }
  }

  private func variation(_ node: Node) throws(ManifestError) -> Measured<RunVariation> {
    var fields = try Fields(node, "variation", file)
    let percent = try fields.optional("percent") { (field) throws(ManifestError) in
      let percent = try field.number()
      guard percent >= 0 else { throw field.error("it is negative") }
      return percent
    }
    let runs = try fields.optional("runs") { (field) throws(ManifestError) in try field.integer(2...1_000_000) }
    let epochs = try fields.optional("epochs") { (field) throws(ManifestError) in try field.numbers() }
    let missing = try fields.optional("missing") { (field) throws(ManifestError) in try field.text() }
    let source = try fields.optional("source") { (field) throws(ManifestError) in try field.text() }
    let remark = try fields.optional("remark") { (field) throws(ManifestError) in try field.text() }
    try fields.finish()
    if let missing {
      guard percent == nil, runs == nil, epochs == nil else { throw fields.error("it is 'missing' and there") }
      return .unavailable(Unavailable(missing))
    }
    guard let source else { throw fields.error("'source' is missing: the table that prints it") }
    let detail = [source, "population form", remark].compactMap { $0 }.joined(separator: "; ")
    switch (percent, runs, epochs) {
    case (let percent?, let runs?, nil):
      return Measured(RunVariation(populationCV: percent / 100, count: runs), .published, detail: detail)
    case (nil, nil, let epochs?):
      guard let variation = RunVariation(epochs) else {
        throw fields.error("'epochs' needs the numbers of two runs or more, not all zero")
      }
      return Measured(variation, .derived, detail: detail)
    default: throw fields.error("it needs 'percent' and 'runs', or 'epochs' (a list), or 'missing'")
    }
  }

  private func accepted(_ node: Node) throws(ManifestError) -> AcceptedMetric {
    var fields = try Fields(node, "widely-accepted-metric", file)
    let value = try fields.required("value", "true or false") { (field) throws(ManifestError) in try field.truth() }
    let reason = try fields.required("reason", "why") { (field) throws(ManifestError) in try field.text() }
    try fields.finish()
    return AcceptedMetric(isAccepted: value, reason: reason)
  }
}
