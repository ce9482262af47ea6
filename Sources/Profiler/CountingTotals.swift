// What is the count of an event: exact, scaled up with an interval, or none, and why?
import ProfileModel

extension CountedGroup {
  /// Whether it was seen to run less than it was enabled.
  var takesTurns: Bool { estimate.takesTurns }

  /// Reads it in between, for the estimate. A read that fails now is tried again later; the last one decides.
  mutating func look() {
    if let reading = try? read() { estimate.add(reading) }
  }

  /// The counts of its members as they are now, in their order.
  ///
  /// - Parameter isHybrid: Whether there are several kinds of cores, each with a PMU of its own.
  func totals(_ specs: [PerfEventSpec], isHybrid: Bool) -> [CounterTotal] {
    let outcome: Result<GroupReading, Unavailable>
    var latest = estimate
    do {
      let reading = try read()
      latest.add(reading)
      latest.settle()
      outcome = .success(reading)
    } catch {
      outcome = .failure(error)
    }
    return positions.enumerated().map { member, position in
      let spec = specs[position]
      var total = CounterTotal(
        event: spec.name, unit: spec.unit, group: spec.group, value: .unavailable(Unavailable("not read")))
      switch outcome {
      case .failure(let why): total.value = .unavailable(why)
      case .success(let reading):
        total.enabledNanoseconds = Int64(clamping: reading.enabled)
        total.runningNanoseconds = Int64(clamping: reading.running)
        let isReduced = parts.contains { $0.events[member].isReducedToUser } && !spec.isModeless
        let result = CounterReading(
          count: reading.counts[member], enabled: reading.enabled, running: reading.running,
          estimate: latest.total(member), mayTakeTurns: isHardware,
          isOnOneKindOfCore: isHybrid && spec.kind == .hardware && !spec.isGeneric)
        (total.value, total.interval) = result.value(
          isHardware: spec.kind == .hardware || spec.kind == .device, scale: spec.scale,
          details: (isReduced ? ["user mode only"] : []) + [note].compactMap(\.self))
      }
      return total
    }
  }
}

/// What reading a counter gave: a count, and for how long it was wanted and for how long it really ran.
struct CounterReading: Equatable {
  var count: UInt64
  /// Nanoseconds.
  var enabled: UInt64
  /// Nanoseconds.
  var running: UInt64
  /// The count scaled up, when it was looked at in between.
  var estimate: MultiplexEstimate.Total?
  /// Whether it is scheduled with counters of a CPU or a device, of which there are few.
  var mayTakeTurns = true
  /// Whether it counts on one of several kinds of cores: then it also does not run while the target is on another.
  var isOnOneKindOfCore = false

  /// The value with its provenance and its interval: exact when the counter always ran, scaled up when it took turns with
  /// others, and none when it never ran.
  ///
  /// - Parameters:
  ///   - isHardware: Whether a counter of the CPU or of a device counted, and not software.
  ///   - scale: Size of one count in the event's unit.
  ///   - details: What the reader needs to know.
  func value(
    isHardware: Bool, scale: Double, details: [String] = []
  ) -> (Measured<Double>, ClosedRange<Double>?) {
    func detail(_ more: String? = nil) -> String? {
      let all = details + [more].compactMap(\.self)
      return all.isEmpty ? nil : all.joined(separator: "; ")
    }
    let exact = Double(count) * scale
    if running == 0, mayTakeTurns || enabled > 0 {
      guard !isOnOneKindOfCore || enabled == 0 else {
        return (
          .unavailable(
            Unavailable(
              "the target never ran on this kind of core, or the counter never got a turn",
              remedy: "name the event without its PMU: it is then counted on all kinds of cores")), nil
        )
      }
      return (
        .unavailable(
          enabled == 0
            ? Unavailable("the target never ran while it was enabled", remedy: "run it for longer")
            : Unavailable(
              "the counter never ran: its group needs more counters than are free",
              remedy: "count fewer events in a group, or free a counter: sudo sysctl kernel.nmi_watchdog=0")), nil
      )
    }
    let source: Provenance.Source = isHardware ? .hardwareCounter : .softwareCounter
    guard running < enabled else { return (Measured(exact, source, detail: detail()), nil) }
    let share = Double(running) / Double(enabled)
    let percent = "\(Int((share * 100).rounded())) %"
    if isOnOneKindOfCore {
      // Time on other cores and time without a turn look the same from here; nothing is added to what was seen.
      return (
        .measured(
          exact,
          Provenance(
            source, runningFraction: share,
            detail: detail("on one kind of core, where it was counted in \(percent) of the time; not scaled"))), nil
      )
    }
    let scaled = estimate ?? MultiplexEstimate.Total(count: Double(count) / share, interval: nil)
    var more: [String] = []
    if share < CountingCollector.leastRunningShare {
      more.append("it ran \(percent) of the time: an estimate from little")
    }
    if scaled.interval == nil { more.append("too short a run to tell how sure it is") }
    return (
      .measured(
        scaled.count * scale,
        Provenance(
          .scaledCounter, runningFraction: share, detail: detail(more.isEmpty ? nil : more.joined(separator: "; ")))),
      scaled.interval.map { $0.lowerBound * scale...$0.upperBound * scale }
    )
  }
}
