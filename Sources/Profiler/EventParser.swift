// Which events does the text of an `-e` option name?
import CPerfEvent
import ProfileModel

/// Reads event lists as perf writes them: `cycles,instructions:u`, `{L1-dcache-loads,L1-dcache-load-misses}`,
/// `sched:sched_switch`, `mem:0x401136:x`, `r1a8`, `cpu/event=0x3c,umask=1/`, and libpfm4's names.
public struct EventParser: Sendable {
  var pmus = PMUDirectory()

  /// Makes a parser for this machine's PMUs and tracepoints.
  public init() {}

  /// The set that is counted when the user names nothing.
  public func defaultSet() -> [PerfEventSpec] {
    // The tables of names are fixed, and a test parses them all: none can fail here.
    (try? parse(EventNames.defaultExpressions)) ?? []
  }

  /// Reads the texts of all `-e` options; the default set when there is none.
  ///
  /// - Throws: `EventError`.
  public func parse(options texts: [String]) throws(EventError) -> [PerfEventSpec] {
    texts.isEmpty ? defaultSet() : try parse(texts)
  }

  /// Reads event lists. Groups are numbered through all of them.
  ///
  /// - Throws: `EventError`.
  public func parse(_ texts: [String]) throws(EventError) -> [PerfEventSpec] {
    var specs: [PerfEventSpec] = []
    var groups = 0
    for text in texts {
      for item in try Self.split(text) {
        var members: [PerfEventSpec] = []
        for event in item.events {
          var spec = try resolve(event)
          if let modifiers = item.modifiers { try Self.apply(modifiers, to: &spec, in: text) }
          if item.isGroup { spec.group = groups }
          members.append(spec)
        }
        if item.isGroup { groups += 1 }
        specs += members
      }
    }
    return specs
  }

  /// All names that can be given on this machine, by where they come from: for a list.
  public func knownNames() -> [(source: String, names: [String])] {
    [
      ("perf", EventNames.all),
      ("PMU", pmus.pmus.flatMap { pmu in pmus.aliases(of: pmu).map { "\(pmu)/\($0)/" } }),
      ("libpfm4", Libpfm.names),
      ("tracepoint", (try? TracepointDirectory.find().names) ?? []),
    ]
  }

  // MARK: - The list

  /// An event alone, or a group in braces with what follows the closing one.
  struct Item: Equatable {
    var events: [String]
    var isGroup = false
    var modifiers: String?
  }

  /// Splits a list at its commas, except those between the slashes of a PMU event.
  static func split(_ text: String) throws(EventError) -> [Item] {
    var items: [Item] = []
    var group: Item?
    var word = ""
    var isInSlashes = false
    // After a closing brace only modifiers and a comma may follow.
    var isAfterGroup = false

    func finishWord() throws(EventError) {
      let event = word.trimmingSpaces()
      word = ""
      if isAfterGroup {
        isAfterGroup = false
        if event.isEmpty { return }
        guard event.first == ":" else {
          throw .malformed(text, detail: "a comma is missing after '}'")
        }
        items[items.count - 1].modifiers = String(event.dropFirst())
        return
      }
      guard !event.isEmpty else { throw .malformed(text, detail: "an event is missing beside a comma or brace") }
      if group != nil { group?.events.append(event) } else { items.append(Item(events: [event])) }
    }

    for character in text {
      switch character {
      case "/" where !word.trimmingSpaces().hasPrefix("mem:"):
        isInSlashes.toggle()
        word.append(character)
      case "," where !isInSlashes:
        try finishWord()
      case "{" where !isInSlashes:
        guard group == nil else { throw .malformed(text, detail: "groups can't be nested") }
        guard word.trimmingSpaces().isEmpty, !isAfterGroup else {
          throw .malformed(text, detail: "a comma is missing before '{'")
        }
        word = ""
        group = Item(events: [], isGroup: true)
      case "}" where !isInSlashes:
        guard group != nil else { throw .malformed(text, detail: "'}' without '{'") }
        try finishWord()
        if let group { items.append(group) }
        group = nil
        isAfterGroup = true
      default:
        word.append(character)
      }
    }
    guard !isInSlashes else { throw .malformed(text, detail: "the closing '/' of a PMU event is missing") }
    guard group == nil else { throw .malformed(text, detail: "the closing '}' is missing") }
    try finishWord()
    return items
  }

  // MARK: - One event

  private func resolve(_ text: String) throws(EventError) -> PerfEventSpec {
    if text.hasPrefix("mem:") { return try Self.breakpoint(text) }
    if let slash = text.firstIndex(of: "/") {
      guard let end = text.lastIndex(of: "/"), end > slash else {
        throw .malformed(text, detail: "the closing '/' of a PMU event is missing")
      }
      var spec = try pmus.spec(
        pmu: String(text[..<slash]), terms: String(text[text.index(after: slash)..<end]), text: text)
      var modifiers = text[text.index(after: end)...]
      if modifiers.first == ":" { modifiers = modifiers.dropFirst() }
      if !modifiers.isEmpty { try Self.apply(String(modifiers), to: &spec, in: text) }
      return spec
    }
    if let spec = plain(text) { return spec }
    guard let colon = text.lastIndex(of: ":") else {
      if let spec = Libpfm.spec(text) { return spec }
      throw .unknown(event: text, nearest: nearest(text))
    }
    let base = String(text[..<colon])
    let modifiers = String(text[text.index(after: colon)...])
    let hasModifiers = !modifiers.isEmpty && modifiers.allSatisfy { "ukhp".contains($0) }
    if hasModifiers, var spec = plain(base) {
      try Self.apply(modifiers, to: &spec, in: text)
      spec.name = text
      return spec
    }
    return try resolveQualified(text, base: base, modifiers: hasModifiers ? modifiers : nil)
  }

  /// A name with colons: a tracepoint, or libpfm4's event with its unit masks.
  private func resolveQualified(
    _ text: String, base: String, modifiers: String?
  ) throws(EventError) -> PerfEventSpec {
    if let spec = Libpfm.spec(text), spec.kind != .tracepoint { return spec }
    if plain(base) != nil {
      throw .malformed(text, detail: "'\(text.dropFirst(base.count + 1))' is not a modifier; those are u, k, h and p")
    }
    // Where libpfm4 knows the event but not what follows it, looking among tracepoints would mislead.
    let first = String(text.prefix { $0 != ":" })
    if Libpfm.names.contains(first) { throw .unknown(event: text, nearest: [first]) }
    let directory = try TracepointDirectory.find()
    if let modifiers, base.contains(":") {
      var spec = try directory.spec(base)
      try Self.apply(modifiers, to: &spec, in: text)
      spec.name = text
      return spec
    }
    do {
      return try directory.spec(text)
    } catch {
      guard case .unknown(_, let nearest) = error, nearest.isEmpty else { throw error }
      throw .unknown(event: text, nearest: self.nearest(text))
    }
  }

  /// A name of perf's tables, or one that the CPU's PMU has.
  private func plain(_ name: String) -> PerfEventSpec? {
    if let spec = EventNames.spec(name) { return spec }
    for pmu in pmus.coreNames where pmus.aliases(of: pmu).contains(name) {
      return try? pmus.spec(pmu: pmu, terms: name, text: name)
    }
    return nil
  }

  private func nearest(_ text: String) -> [String] {
    let core = pmus.coreNames.flatMap { pmus.aliases(of: $0) }
    let usual = Suggestion.nearest(to: text, among: EventNames.all + core)
    // libpfm4 has most of perf's names once more, in capitals.
    return usual.isEmpty ? Suggestion.nearest(to: text, among: Libpfm.names) : usual
  }

  /// `u` counts user mode, `k` the kernel, `h` the hypervisor; `p` asks for precise addresses.
  static func apply(_ modifiers: String, to spec: inout PerfEventSpec, in text: String) throws(EventError) {
    guard !modifiers.isEmpty, modifiers.allSatisfy({ "ukhp".contains($0) }) else {
      throw .malformed(text, detail: "'\(modifiers)' is not a modifier; those are u, k, h and p")
    }
    let user = modifiers.contains("u")
    let kernel = modifiers.contains("k")
    if user || kernel {
      spec.excludesUser = !user
      spec.excludesKernel = !kernel
    }
    let precision = modifiers.count { $0 == "p" }
    guard precision <= 3 else { throw .malformed(text, detail: "there are at most three p") }
    spec.precision = UInt8(precision)
  }

  /// `mem:ADDRESS[/LENGTH][:ACCESS][:MODIFIERS]`: a hardware breakpoint.
  private static func breakpoint(_ text: String) throws(EventError) -> PerfEventSpec {
    var parts = text.split(separator: ":", omittingEmptySubsequences: false).dropFirst()
    let place = parts.removeFirst().split(separator: "/", omittingEmptySubsequences: false)
    guard (1...2).contains(place.count), let address = PMUDirectory.number(String(place[0])) else {
      throw .malformed(text, detail: "an address is missing: mem:0x401136:x")
    }
    var spec = PerfEventSpec(text, .breakpoint, type: PERF_TYPE_BREAKPOINT.rawValue, config: 0)
    spec.config1 = address
    spec.breakpointType = KernelABI.breakpointRead | KernelABI.breakpointWrite
    if let access = parts.first, !access.isEmpty, access.allSatisfy({ "rwx".contains($0) }) {
      parts.removeFirst()
      spec.breakpointType =
        (access.contains("r") ? KernelABI.breakpointRead : 0) | (access.contains("w") ? KernelABI.breakpointWrite : 0)
        | (access.contains("x") ? KernelABI.breakpointExecute : 0)
    }
    // The kernel takes only the size of a long for executing.
    spec.config2 = spec.breakpointType == KernelABI.breakpointExecute ? UInt64(MemoryLayout<Int>.size) : 4
    if place.count == 2 {
      guard let length = UInt64(place[1]), [1, 2, 4, 8].contains(length) else {
        throw .malformed(text, detail: "a breakpoint is 1, 2, 4 or 8 bytes long")
      }
      spec.config2 = length
    }
    if let modifiers = parts.popFirst() { try apply(String(modifiers), to: &spec, in: text) }
    guard parts.isEmpty else { throw .malformed(text, detail: "too many parts: mem:ADDRESS/LENGTH:ACCESS:MODIFIERS") }
    return spec
  }
}

extension String {
  /// Without spaces at both ends.
  fileprivate func trimmingSpaces() -> String {
    var text = Substring(self)
    while text.first == " " { text.removeFirst() }
    while text.last == " " { text.removeLast() }
    return String(text)
  }
}
