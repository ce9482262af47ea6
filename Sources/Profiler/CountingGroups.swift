// How are events opened in groups, so that what belongs together is counted together and read with one call?
import CPerfEvent
import Glibc
import ProfileModel

/// What reading a group gives: its counts, and for how long it was wanted and for how long it really ran.
struct GroupReading: Hashable {
  /// Nanoseconds.
  var enabled: UInt64
  /// Nanoseconds.
  var running: UInt64
  /// In the order in which the members were opened.
  var counts: [UInt64]
}

/// A group as the kernel has it: on one PMU, scheduled as a whole.
final class PerfGroup {
  let events: [PerfEvent]
  /// Whether one read gives all members. Kernels before 4.13 refuse that for inherited events.
  private let isReadAtOnce: Bool

  init(_ events: [PerfEvent], isReadAtOnce: Bool) {
    self.events = events
    self.isReadAtOnce = isReadAtOnce
  }

  /// - Throws: `Unavailable` when the kernel gives no counts.
  func read() throws(Unavailable) -> GroupReading {
    guard isReadAtOnce else {
      // Once the target has ended nothing moves between two reads.
      var reading: GroupReading?
      for event in events {
        let words = try Self.words(event, 3)
        if reading == nil { reading = GroupReading(enabled: words[1], running: words[2], counts: []) }
        reading?.counts.append(words[0])
      }
      return reading ?? GroupReading(enabled: 0, running: 0, counts: [])
    }
    // nr, enabled, running, then one value a member.
    let words = try Self.words(events[0], 3 + events.count)
    guard words[0] == UInt64(events.count) else {
      throw Unavailable(
        "the kernel read \(words[0]) events of a group of \(events.count)", remedy: "count them without braces")
    }
    return GroupReading(enabled: words[1], running: words[2], counts: Array(words[3...]))
  }

  private static func words(_ event: PerfEvent, _ count: Int) throws(Unavailable) -> [UInt64] {
    let words: [UInt64]
    do {
      words = try event.read(count)
    } catch {
      throw Unavailable("its counter can't be read (\(error))", remedy: "run it again, with fewer events (-e)")
    }
    guard !words.isEmpty else {
      throw Unavailable(
        "the event is in error: its counter could not be scheduled", remedy: "count fewer events at once (-e)")
    }
    guard words.count == count else {
      throw Unavailable(
        "the kernel read \(words.count) of \(count) words of its counter",
        remedy: "run it again, with fewer events (-e)")
    }
    return words
  }
}

/// Events that are counted together: one group of the kernel, or one for each kind of core where there are several.
///
/// A processor with two kinds of cores has a PMU for each, and an event counts on one of them alone. What was counted on
/// all of them adds up to the target's count, and the times in which they ran add up to the time in which it was counted.
struct CountedGroup {
  /// Positions of the members in the user's list.
  var positions: [Int]
  /// One for each PMU.
  var parts: [PerfGroup]
  /// What the reader needs to know of every member.
  var note: String?
  /// Whether its counters take turns with others: those of a CPU, and what is scheduled with them.
  var isHardware: Bool
  /// Totals while it took turns.
  var estimate: MultiplexEstimate

  /// The counts of all its PMUs.
  ///
  /// - Throws: `Unavailable`; a sum that lacks a part would be a wrong number.
  func read() throws(Unavailable) -> GroupReading {
    var sum = try parts[0].read()
    for part in parts.dropFirst() {
      let reading = try part.read()
      sum.enabled = max(sum.enabled, reading.enabled)
      sum.running += reading.running
      for index in sum.counts.indices { sum.counts[index] &+= reading.counts[index] }
    }
    // The clocks of two PMUs are read one after the other.
    if parts.count > 1, sum.running > sum.enabled || sum.enabled - sum.running < sum.enabled / 1000 {
      sum.running = sum.enabled
    }
    return sum
  }
}

/// Opens groups on a process that waits before its exec.
struct GroupOpener {
  let access: PerfAccess
  let pid: Int32
  /// Why each event that could not be opened was not, by position.
  private(set) var refused: [Int: Unavailable] = [:]

  init(access: PerfAccess, pid: Int32) {
    self.access = access
    self.pid = pid
  }

  /// What opening all members on all PMUs came to.
  private enum Attempt {
    case opened([PerfGroup])
    /// A member that can't be counted, whatever it stands beside.
    case refused(Int, Unavailable)
    /// A member that can be counted, but not with those before it.
    case tooMany(Int, SystemCallError)
  }

  /// Opens the members of a group; several groups come back when the kernel refuses it whole.
  mutating func open(_ group: [(position: Int, spec: PerfEventSpec)]) -> [CountedGroup] {
    var members: [(position: Int, spec: PerfEventSpec)] = []
    for member in group {
      if let why = reason(against: member.spec) { refused[member.position] = why } else { members.append(member) }
    }
    // Stable, so that the others keep the user's order.
    members = (0...2).flatMap { rank in members.filter { $0.spec.groupRank == rank } }
    var rest: ArraySlice<(position: Int, spec: PerfEventSpec)> = []
    var groups: [CountedGroup] = []
    var cause: SystemCallError?
    while !members.isEmpty {
      switch attempt(members.map(\.spec)) {
      case .opened(let parts):
        groups.append(
          CountedGroup(
            positions: members.map(\.position), parts: parts, note: nil,
            isHardware: members.contains { $0.spec.kind == .hardware || $0.spec.kind == .device },
            estimate: MultiplexEstimate(count: members.count)))
        members = Array(rest)
        rest = []
      case .refused(let index, let why):
        refused[members[index].position] = why
        members.remove(at: index)
      case .tooMany(let index, let error):
        cause = error
        rest = members[index...] + rest
        members = Array(members[..<index])
      }
    }
    if let cause, groups.count > 1 {
      let error = cause.code == ENOSPC ? "ENOSPC" : "EINVAL"
      for index in groups.indices {
        groups[index].note =
          "its group of \(group.count) needs more counters than there are (\(error)) and was split in \(groups.count): "
          + "what stands in different parts was not counted at the same time"
      }
    }
    return groups
  }

  /// Why an event can't be counted, as far as that is known beforehand.
  private func reason(against spec: PerfEventSpec) -> Unavailable? {
    if let reason = access.noEvents { return reason }
    if spec.kind == .hardware, let reason = access.noHardware { return reason }
    if spec.kind == .software, spec.isKernelOnly, spec.excludesKernel {
      return Unavailable("it happens in the kernel only, which :u leaves out", remedy: "name it without :u")
    }
    return nil
  }

  private func attempt(_ specs: [PerfEventSpec]) -> Attempt {
    // Only the kernel's own names mean the same on every kind of core.
    let isSpread =
      access.corePMUs.count > 1 && specs.allSatisfy { $0.kind != .hardware || $0.isGeneric }
      && specs.contains { $0.isGeneric }
    var parts: [PerfGroup] = []
    for pmu in isSpread ? access.corePMUs.map(Optional.some) : [nil] {
      switch attempt(specs.map { $0.on(pmu) }, isReadAtOnce: specs.count > 1) {
      case .opened(let part): parts += part
      case .refused(let index, let why) where pmu != nil && specs[index].isGeneric:
        let others = access.corePMUs.filter { $0 != pmu }.map(\.name)
        return .refused(
          index,
          Unavailable(
            "\(why.reason) on the cores of \(pmu?.name ?? ""), where the target may run",
            remedy: others.first.map {
              "name the kind of core: -e \($0)/EVENT/"
            }))
      case let other: return other
      }
    }
    return .opened(parts)
  }

  private func attempt(_ specs: [PerfEventSpec], isReadAtOnce: Bool) -> Attempt {
    var events: [PerfEvent] = []
    for (index, spec) in specs.enumerated() {
      do {
        events.append(try open(spec, leader: events.first, isReadAtOnce: isReadAtOnce))
      } catch {
        if isReadAtOnce, index == 0, error.code == EINVAL,
          (try? open(spec, leader: nil, isReadAtOnce: false)) != nil
        {
          return attempt(specs, isReadAtOnce: false)
        }
        if index > 0, error.code == EINVAL || error.code == ENOSPC || error.code == EBUSY,
          (try? open(spec, leader: nil, isReadAtOnce: false)) != nil
        {
          return .tooMany(index, error)
        }
        return .refused(index, access.explanation(of: error, opening: spec))
      }
    }
    return .opened([PerfGroup(events, isReadAtOnce: isReadAtOnce)])
  }

  private func open(
    _ spec: PerfEventSpec, leader: PerfEvent?, isReadAtOnce: Bool
  ) throws(SystemCallError) -> PerfEvent {
    var attribute = spec.attribute()
    if leader != nil {
      // The leader starts them all; a member that waits for itself would never run.
      attribute.disabled = 0
      attribute.enable_on_exec = 0
    }
    if isReadAtOnce { attribute.read_format |= UInt64(PERF_FORMAT_GROUP.rawValue) }
    return try PerfEvent.open(
      attribute, on: access.system, pid: pid, leader: leader,
      mayReduce: !spec.isKernelOnly && spec.kind != .device)
  }
}
