// How does a YAML text become events and metrics, with the line of everything that is wrong?
import Suites
import Yams

/// Reads the catalogue's files and those of users, which have the same fields.
struct CatalogueReader {
  let file: String

  /// A family of the catalogue.
  func family(_ root: Node) throws(ManifestError) -> MetricFamily {
    var fields = try Fields(root, "the family", file)
    var family = MetricFamily(
      name: try fields.required("family", "its name", text), title: try fields.required("title", "for people", text))
    family.base = try fields.optional("extends", text)
    family.source = try fields.required("source", "where events and formulas come from", text)
    family.layout = try fields.optional("layout", layout) ?? .intel
    family.generalCounters =
      try fields.optional("counters") { field throws(ManifestError) in try field.integer(1...32) } ?? 4
    family.cpus = try fields.optional("cpus") { field throws(ManifestError) in try items(field, pattern) } ?? []
    try fields.optional("paper") { field throws(ManifestError) in family.paper = try named(field, paper) }
    try parts(&fields, into: &family)
    try fields.finish()
    return family
  }

  /// The processors of a family, from its `cpus` alone.
  func patterns(_ root: Node) throws(ManifestError) -> [CPUPattern] {
    var fields = try Fields(root, "the family", file)
    return try fields.optional("cpus") { field throws(ManifestError) in try items(field, pattern) } ?? []
  }

  /// A user's file, added to a family.
  func additions(_ root: Node, to family: MetricFamily) throws(ManifestError) -> MetricFamily {
    var fields = try Fields(root, "the file", file)
    var own = MetricFamily(name: family.name, title: family.title)
    own.layout = family.layout
    own.generalCounters = family.generalCounters
    own.source = "\(file)"
    try parts(&fields, into: &own)
    try fields.finish()
    return own
  }

  private func parts(_ fields: inout Fields, into family: inout MetricFamily) throws(ManifestError) {
    let source = family.source
    let layout = family.layout
    family.constants =
      try fields.optional("constants") { field throws(ManifestError) in try named(field, constant) } ?? []
    family.events =
      try fields.optional("events") { field throws(ManifestError) in
        try named(field) { name, node throws(ManifestError) in try event(name, node, layout, source) }
      } ?? []
    family.groups = try fields.optional("groups") { field throws(ManifestError) in try named(field, group) } ?? []
    family.metrics =
      try fields.optional("metrics") { field throws(ManifestError) in
        try named(field) { name, node throws(ManifestError) in try metric(name, node, source) }
      } ?? []
    family.consistency =
      try fields.optional("consistent") { field throws(ManifestError) in try items(field, relation) } ?? []
  }

  // MARK: - Lists

  private func items<Value>(
    _ field: Field, _ read: (Node) throws(ManifestError) -> Value
  ) throws(ManifestError) -> [Value] {
    guard let list = field.node.sequence else { throw field.error("it must be a list") }
    var result: [Value] = []
    for node in list { result.append(try read(node)) }
    return result
  }

  private func named<Value>(
    _ field: Field, _ read: (String, Node) throws(ManifestError) -> Value
  ) throws(ManifestError) -> [Value] {
    guard let mapping = field.node.mapping else { throw field.error("it must be a mapping of names to fields") }
    var result: [Value] = []
    for (key, node) in mapping {
      guard let name = key.string, Self.isName(name) else {
        throw ManifestError(
          file: file, line: key.mark?.line,
          "'\(key.string ?? "?")' in '\(field.name)' is no name: letters, digits, '_' and '.', a letter first")
      }
      result.append(try read(name, node))
    }
    return result
  }

  /// Whether a formula could name it.
  static func isName(_ text: String) -> Bool {
    guard let first = text.first, first.isASCII, first.isLetter, text.utf8.count <= 80 else { return false }
    return text.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "_" || $0 == ".") }
  }

  // MARK: - Parts

  private func text(_ field: Field) throws(ManifestError) -> String { try field.text() }
  private func unit(_ field: Field) throws(ManifestError) -> MetricUnit {
    let text = try field.text()
    guard let unit = MetricUnit(text) else {
      throw field.error("'\(text)' is no unit; there are \(MetricUnit.words)")
    }
    return unit
  }
  private func layout(_ field: Field) throws(ManifestError) -> EventEncoding.Layout {
    EventEncoding.Layout(rawValue: try field.choice(EventEncoding.Layout.allCases.map(\.rawValue))) ?? .intel
  }
  private func truth(_ field: Field) throws(ManifestError) -> Bool { try field.truth() }
  private func number(_ field: Field) throws(ManifestError) -> Double { try field.number() }

  private func formula(_ field: Field) throws(ManifestError) -> Formula {
    let text = try field.text()
    do {
      return try Formula(text)
    } catch {
      throw field.error("syntax error at \(error): \(text)")
    }
  }

  private func pattern(_ node: Node) throws(ManifestError) -> CPUPattern {
    var fields = try Fields(node, "a processor", file)
    let pattern = CPUPattern(
      vendor: try fields.required("vendor", "as /proc/cpuinfo says it", text),
      family: try fields.optional("family") { field throws(ManifestError) in try field.integer(0...4096) },
      models: try fields.optional("models") { field throws(ManifestError) in
        try items(field) { node throws(ManifestError) in
          guard let number = node.int else { throw field.error("models are whole numbers") }
          return number
        }
      } ?? [])
    try fields.finish()
    return pattern
  }

  private func constant(_ name: String, _ node: Node) throws(ManifestError) -> MetricConstant {
    var fields = try Fields(node, "constant '\(name)'", file)
    let constant = MetricConstant(
      name: name, unit: try fields.required("unit", "what it is measured in", unit),
      value: try fields.optional("value", number), quantity: try fields.optional("quantity", text),
      text: try fields.required("text", "what it is", text))
    guard constant.value != nil || constant.quantity != nil else {
      throw fields.error("'value' is missing: a number, or 'quantity', the name of a number of the profile")
    }
    try fields.finish()
    return constant
  }

  private func event(
    _ name: String, _ node: Node, _ layout: EventEncoding.Layout, _ source: String
  ) throws(ManifestError) -> MetricEvent {
    var fields = try Fields(node, "event '\(name)'", file)
    let perf = try fields.optional("perf", text)
    let pmu = try fields.optional("pmu", text)
    let terms = try fields.optional("terms", text)
    let encoding: EventEncoding
    let code = try fields.optional("event") { field throws(ManifestError) in try field.integer(0...0xffff) }
    var raw = EventFields(event: UInt64(code ?? 0))
    raw.umask = UInt64(try fields.optional("umask") { field throws(ManifestError) in try field.integer(0...0xff) } ?? 0)
    raw.cmask = UInt64(try fields.optional("cmask") { field throws(ManifestError) in try field.integer(0...0xff) } ?? 0)
    raw.inv = try fields.optional("inv", truth) ?? false
    raw.edge = try fields.optional("edge", truth) ?? false
    raw.any = try fields.optional("any", truth) ?? false
    switch (perf, pmu, code) {
    case (let perf?, nil, nil): encoding = .named(perf)
    case (nil, let pmu?, nil): encoding = .device(pmu: pmu, terms: terms ?? "")
    case (nil, nil, .some): encoding = .raw(raw, layout)
    default:
      throw fields.error(
        "it needs one of 'perf' (a name of perf's or libpfm4's), 'event' (a code, with umask, cmask, inv, edge, any) "
          + "and 'pmu' (another PMU, with terms)")
    }
    var event = MetricEvent(
      name: name, encoding: encoding, unit: try fields.optional("unit", unit) ?? .count,
      text: try fields.required("counts", "what it counts", text),
      source: try fields.optional("source", text) ?? source)
    event.scale = try fields.optional("scale", number) ?? 1
    guard event.scale > 0 else { throw fields.error("'scale' must be more than 0") }
    let counters = MetricEvent.Counter.allCases.map(\.rawValue)
    event.counter =
      try fields.optional("counter") { field throws(ManifestError) in try field.choice(counters) }
      .flatMap(MetricEvent.Counter.init) ?? .general
    event.line = node.mark?.line
    try fields.finish()
    return event
  }

  private func group(_ name: String, _ node: Node) throws(ManifestError) -> MetricGroup {
    MetricGroup(
      name: name,
      events: try items(Field(name: name, subject: "groups", node: node, file: file)) { node throws(ManifestError) in
        guard let text = node.string else {
          throw ManifestError(file: file, line: node.mark?.line, "group '\(name)' must be a list of events' names")
        }
        return text
      }, line: node.mark?.line)
  }

  private func metric(_ name: String, _ node: Node, _ source: String) throws(ManifestError) -> Metric {
    var fields = try Fields(node, "metric '\(name)'", file)
    var metric = Metric(
      name: name, title: try fields.optional("title", text) ?? name,
      unit: try fields.required("unit", "what it is measured in", unit),
      formula: try fields.required("formula", "how it follows from events", formula),
      text: try fields.required("text", "what it says", text), source: try fields.optional("source", text) ?? source)
    metric.range = try fields.optional("range") { field throws(ManifestError) in
      let ends = try field.numbers()
      guard ends.count == 2, ends[0] < ends[1] else { throw field.error("it is two numbers, the lower first: [0, 1]") }
      return ends[0]...ends[1]
    }
    metric.group = try fields.optional("group", text)
    metric.level = try fields.optional("level") { field throws(ManifestError) in try field.integer(1...2) }
    metric.parent = try fields.optional("parent", text)
    metric.isEstimate = try fields.optional("estimate", truth) ?? false
    metric.isHelper = try fields.optional("helper", truth) ?? false
    metric.threshold = try fields.optional("threshold", number)
    metric.line = node.mark?.line
    try fields.finish()
    return metric
  }

  private func paper(_ name: String, _ node: Node) throws(ManifestError) -> PaperMetric {
    if let metric = node.string, CatalogueReader.isName(metric) {
      return PaperMetric(name: name, metrics: [metric], line: node.mark?.line)
    }
    if node.sequence != nil {
      let field = Field(name: name, subject: "paper", node: node, file: file)
      return PaperMetric(name: name, metrics: try field.texts(), line: node.mark?.line)
    }
    var fields = try Fields(node, "paper metric '\(name)'", file)
    let absent = try fields.required("absent", "why nothing on a CPU stands for it", text)
    try fields.finish()
    return PaperMetric(name: name, metrics: [], absent: absent, line: node.mark?.line)
  }

  private func relation(_ node: Node) throws(ManifestError) -> CountRelation {
    let line = node.mark?.line
    guard let text = node.string else {
      throw ManifestError(file: file, line: line, "'consistent' is a list of relations: misses <= references")
    }
    for sign in ["<=", "=="] {
      let parts = text.components(separatedBy: sign)
      guard parts.count == 2 else { continue }
      do {
        return CountRelation(
          left: try Formula(parts[0]), right: try Formula(parts[1]), isEqual: sign == "==", line: line)
      } catch {
        throw ManifestError(file: file, line: line, "syntax error in '\(text)': \(error.message)")
      }
    }
    throw ManifestError(file: file, line: line, "'\(text)' is no relation: write misses <= references, or a + b == c")
  }
}

extension String {
  fileprivate func components(separatedBy separator: String) -> [String] {
    var parts = [""]
    var rest = self[...]
    while let first = rest.first {
      if rest.hasPrefix(separator) {
        parts.append("")
        rest = rest.dropFirst(separator.count)
      } else {
        parts[parts.count - 1].append(first)
        rest = rest.dropFirst()
      }
    }
    return parts
  }
}
