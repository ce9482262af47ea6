// Which events do the kernel's own directories describe: tracepoints, and the PMUs of this machine?
import CPerfEvent
import Glibc
import ProfileModel

/// The tracepoints, as tracefs lists them.
struct TracepointDirectory: Sendable {
  /// `…/tracing`.
  var root: String

  /// The place where tracefs is mounted; mounts it, as perf does, when it is not and the user is root.
  ///
  /// - Throws: `EventError.noTracepoints`.
  static func find() throws(EventError) -> TracepointDirectory {
    let usual = "/sys/kernel/tracing"
    var isForbidden = false
    for root in [usual, "/sys/kernel/debug/tracing"] {
      if access("\(root)/events", R_OK | X_OK) == 0 { return TracepointDirectory(root: root) }
      isForbidden = isForbidden || errno == EACCES
    }
    if geteuid() == 0, kiviat_mount_tracefs(usual) == 0 { return TracepointDirectory(root: usual) }
    if isForbidden {
      throw .noTracepoints(
        reason: "tracepoints are open to root only", remedy: "sudo mount -o remount,mode=755 \(usual)")
    }
    throw .noTracepoints(reason: "tracefs is not mounted", remedy: "sudo mount -t tracefs tracefs \(usual)")
  }

  /// A tracepoint by `system:name`.
  ///
  /// - Throws: `EventError.unknown` or `.noTracepoints`.
  func spec(_ name: String) throws(EventError) -> PerfEventSpec {
    let parts = name.split(separator: ":", omittingEmptySubsequences: false)
    guard parts.count == 2, Self.isPlain(parts[0]), Self.isPlain(parts[1]) else {
      throw .unknown(event: name, nearest: [])
    }
    let path = "\(root)/events/\(parts[0])/\(parts[1])/id"
    if let text = contents(ofSmallFile: path), let id = UInt64(text) {
      return PerfEventSpec(name, .tracepoint, type: PERF_TYPE_TRACEPOINT.rawValue, config: id)
    }
    if access(path, F_OK) == 0 || errno == EACCES {
      throw .noTracepoints(
        reason: "the ids of tracepoints are open to root only", remedy: "sudo chmod -R a+rX \(root)/events")
    }
    throw .unknown(event: name, nearest: Suggestion.nearest(to: name, among: names))
  }

  /// Whether a tracepoint of this name exists.
  func has(_ name: String) -> Bool { (try? spec(name)) != nil }

  /// All names.
  var names: [String] {
    Profiler.names(inDirectory: "\(root)/events").flatMap { system in
      Profiler.names(inDirectory: "\(root)/events/\(system)").compactMap { name in
        name == "enable" || name == "filter" ? nil : "\(system):\(name)"
      }
    }
  }

  /// A name and not a path.
  private static func isPlain(_ name: Substring) -> Bool {
    !name.isEmpty && name.utf8.allSatisfy { $0 == UInt8(ascii: "_") || $0 == UInt8(ascii: "-") || isAlphanumeric($0) }
  }
}

/// Whether a byte is an ASCII letter or digit.
func isAlphanumeric(_ byte: UInt8) -> Bool {
  switch byte {
  case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
    UInt8(ascii: "0")...UInt8(ascii: "9"):
    true
  default: false
  }
}

/// The PMUs of a machine, as `/sys/bus/event_source/devices` describes them.
struct PMUDirectory: Sendable {
  /// `/sys/bus/event_source/devices`.
  var root = "/sys/bus/event_source/devices"

  /// Names of the PMUs.
  var pmus: [String] { names(inDirectory: root) }

  /// The PMUs of the CPUs themselves: `cpu`; `cpu_core` and `cpu_atom` on hybrids; `armv8_…` on Arm.
  var coreNames: [String] { pmus.filter(Self.isCore) }

  private static func isCore(_ name: String) -> Bool { HostPerf.isCore(name) }

  /// The events that a PMU has names for.
  func aliases(of pmu: String) -> [String] {
    names(inDirectory: "\(root)/\(pmu)/events").filter { name in
      ![".unit", ".scale", ".snapshot", ".per-pkg"].contains { name.hasSuffix($0) }
    }
  }

  /// An event as perf writes it: `cpu/event=0x3c,umask=1/`, `msr/tsc/`.
  ///
  /// - Parameters:
  ///   - pmu: The PMU's name.
  ///   - terms: What stands between the slashes.
  ///   - text: The whole event, its name.
  /// - Throws: `EventError`.
  func spec(pmu: String, terms: String, text: String) throws(EventError) -> PerfEventSpec {
    guard !pmu.contains("/"), pmu != "..",
      let type = contents(ofSmallFile: "\(root)/\(pmu)/type").flatMap({ UInt32($0) })
    else { throw .unknown(event: text, nearest: Suggestion.nearest(to: pmu, among: pmus).map { "\($0)/…/" }) }
    var spec = PerfEventSpec(text, Self.isCore(pmu) ? .hardware : .device, type: type, config: 0)
    try apply(terms, of: pmu, to: &spec, mayUseAliases: true)
    return spec
  }

  private func apply(
    _ terms: String, of pmu: String, to spec: inout PerfEventSpec, mayUseAliases: Bool
  ) throws(EventError) {
    for term in terms.split(separator: ",") {
      let parts = term.split(separator: "=", maxSplits: 1).map(String.init)
      let key = parts[0]
      guard key.utf8.allSatisfy({ isAlphanumeric($0) || "_-.".utf8.contains($0) }), key != "..", key != "." else {
        throw .malformed(spec.name, detail: "'\(key)' is not a term")
      }
      if parts.count == 2, key == "name" {
        spec.name = parts[1]
        continue
      }
      if mayUseAliases, parts.count == 1, let alias = contents(ofSmallFile: "\(root)/\(pmu)/events/\(key)") {
        try apply(alias, of: pmu, to: &spec, mayUseAliases: false)
        if let unit = contents(ofSmallFile: "\(root)/\(pmu)/events/\(key).unit") { spec.unit = Self.unit(unit) }
        if let scale = contents(ofSmallFile: "\(root)/\(pmu)/events/\(key).scale").flatMap({ Double($0) }) {
          spec.scale = scale
        }
        continue
      }
      guard let value = parts.count == 1 ? 1 : Self.number(parts[1]) else {
        throw .malformed(spec.name, detail: "'\(parts[1])' is not a number")
      }
      let format =
        ["config", "config1", "config2"].contains(key)
        ? "\(key):0-63" : contents(ofSmallFile: "\(root)/\(pmu)/format/\(key)")
      guard let format else {
        let known = names(inDirectory: "\(root)/\(pmu)/format") + aliases(of: pmu)
        throw .unknownTerm(key, pmu: pmu, nearest: Suggestion.nearest(to: key, among: known))
      }
      guard Self.place(value, format: format, in: &spec) else { throw .valueTooLarge(term: key, pmu: pmu) }
    }
  }

  /// Puts a value's bits where a format (`config:0-7,32-35`) says. `false` when there are more bits than places.
  static func place(_ value: UInt64, format: String, in spec: inout PerfEventSpec) -> Bool {
    let parts = format.split(separator: ":")
    guard parts.count == 2 else { return false }
    var bits: UInt64 = 0
    var rest = value
    for position in numbers(inKernelList: String(parts[1])) where position < 64 {
      bits |= (rest & 1) << UInt64(position)
      rest >>= 1
    }
    guard rest == 0 else { return false }
    switch parts[0] {
    case "config": spec.config |= bits
    case "config1": spec.config1 |= bits
    case "config2": spec.config2 |= bits
    default: return false
    }
    return true
  }

  /// `Joules` and `MiB` in the units of a profile.
  private static func unit(_ text: String) -> String { text == "Joules" ? "J" : text }

  static func number(_ text: String) -> UInt64? {
    text.hasPrefix("0x") || text.hasPrefix("0X") ? UInt64(text.dropFirst(2), radix: 16) : UInt64(text)
  }
}
