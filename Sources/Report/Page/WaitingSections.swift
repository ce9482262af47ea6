// How does the report show what threads wait for: by thread, by kernel category, by phase?
import Analysis
import ProfileModel

extension ReportBuilder {
  /// Categories that a chart shows; the table has all.
  private static let categoryLimit = 14

  var waiting: ReportDocument.Section? {
    guard case .measured(let waiting, let provenance) = characterization.waiting, waiting.total.nanoseconds > 0 else {
      return nil
    }
    return section(
      "waiting", "What threads work and wait for", short: "Waiting",
      [
        waitingOfThreads(waiting, provenance), waitingOfCategories(waiting, provenance),
        waitingOfPhases(waiting, provenance),
      ])
  }

  private func waitingOfThreads(_ waiting: WaitingBreakdown, _ provenance: Provenance) -> ReportDocument.Block {
    let total = waiting.total
    let most = total.states.filter { $0.state != .working }.max { $0.share < $1.share }
    var title: Prose = "Threads work for \(NumberFormat.percent(total.share(.working))) of their time"
    if let most {
      title =
        title
        + "; most of the rest (\(NumberFormat.percent(most.share))) \(most.state.isOnCPU ? "they spend" : "they are") \(ReportBuilder.phrase(most.state))"
    }
    let rows = (waiting.threads.count > 1 ? [total] + waiting.threads : [total])
    var caption: Prose =
      "\(NumberFormat.duration(Double(total.nanoseconds))) of thread time in \(ReportBuilder.counted(total.threads, "thread"))."
    caption = caption + " \(ReportBuilder.check(waiting))"
    if waiting.samples > 0, waiting.splitShare >= 0.5 {
      caption =
        caption
        + " Time on a CPU is told apart into work, spinning and page faults by \(NumberFormat.count(Double(waiting.samples))) samples of call stacks, the ± being their 95 % error; everything else is the scheduler’s."
    }
    if waiting.splitShare < 0.5 {
      caption =
        caption
        + " Time on a CPU counts as work here: spinning at barriers is only told from it by samples, and there are too few\(waiting.noPageFaults.map { " (\($0.reason))" } ?? "")."
    } else if let why = waiting.noPageFaults {
      caption = caption + " Page faults count as work: \(why.reason)."
    }
    return .figure(
      ReportDocument.Figure(
        title: title,
        drawing: .chart(waitingChart("Time of threads by state", rows)),
        caption: caption + parallelism(waiting), table: waitingTable(.name("Threads"), rows), provenance: provenance))
  }

  /// How well the hardware threads are used.
  private func parallelism(_ waiting: WaitingBreakdown) -> Prose {
    var text: Prose = ""
    if let useful = waiting.usefulOccupancy.value {
      text = text + " Useful thread occupancy (work ÷ wall time × hardware threads): \(NumberFormat.percent(useful))."
    }
    if let barrier = waiting.barrierShare.value, barrier >= 0.0005 {
      text = text + " Spinning takes \(NumberFormat.percent(barrier)) of the time on CPUs."
    }
    if let imbalance = waiting.imbalance.value {
      text =
        text
        + " Of the threads that meet at barriers the busiest works \(NumberFormat.percent(imbalance)) longer than the mean."
    }
    return text
  }

  private static func check(_ waiting: WaitingBreakdown) -> String {
    abs(waiting.accounted - 1) <= 0.01
      ? "The states add up to the threads’ life (\(NumberFormat.percent(waiting.accounted)))."
      : "The states add up to \(NumberFormat.percent(waiting.accounted)) of the threads’ life; the rest was not accounted for."
  }

  private func waitingOfCategories(_ waiting: WaitingBreakdown, _ provenance: Provenance) -> ReportDocument.Block? {
    guard let parts = waiting.categories.value, parts.contains(where: { $0.category != nil }) else { return nil }
    let categories = parts.filter { $0.category != nil }
    let shown = categories.prefix(Self.categoryLimit) + parts.filter { $0.category == nil }
    let large = categories.filter { $0.nanoseconds * 20 >= waiting.total.nanoseconds }
    let worst = (large.isEmpty ? categories : large).min { $0.share(.working) < $1.share(.working) }
    return .figure(
      ReportDocument.Figure(
        title: worst.map {
          "While \($0.name) kernels run, threads work for \(NumberFormat.percent($0.share(.working))) of their time"
        } ?? "What threads do while kernels of each category run",
        drawing: .chart(waitingChart("Time of all threads by kernel category and state", Array(shown))),
        caption:
          "All threads of the process, by the category of the kernel that the traced main thread ran meanwhile: OpenMP’s workers compute for it. A thread’s time is split exactly where kernels begin and end. “Outside the trace” are start-up, exit and other processes; idle threads want a CPU for less than 1 % of their life.",
        table: waitingTable(.name("Category"), parts), provenance: provenance))
  }

  private func waitingOfPhases(_ waiting: WaitingBreakdown, _ provenance: Provenance) -> ReportDocument.Block? {
    guard let parts = waiting.phases.value, parts.count > 1 else { return nil }
    return .figure(
      ReportDocument.Figure(
        title: "What threads do in each phase",
        drawing: .chart(waitingChart("Time of all threads by phase and state", parts)),
        caption: "By the phase of the traced main thread.", table: waitingTable(.name("Phase"), parts),
        provenance: provenance))
  }

  private func waitingChart(_ summary: String, _ parts: [WaitingBreakdown.Part]) -> StackedBarChart {
    StackedBarChart(
      summary: summary,
      rows: parts.map { part in
        StackedBarChart.Row(
          label: part.name,
          segments: part.states.map {
            StackedBarChart.Segment(
              color: ReportBuilder.color($0.state), name: ReportBuilder.name($0.state), value: Double($0.nanoseconds),
              details: $0.interval.map { ["share, 95 %: \(ReportBuilder.range($0))"] } ?? [])
          })
      }, format: .duration, isCompact: parts.count > 6)
  }

  private func waitingTable(_ first: Table.Column, _ parts: [WaitingBreakdown.Part]) -> Table {
    let states = TimeState.allCases.filter { state in parts.contains { $0.time(state) > 0 } }
    return Table(
      columns: [first, Table.Column("Threads"), Table.Column("Time")]
        + states.map { Table.Column(ReportBuilder.capitalized(ReportBuilder.name($0))) },
      rows: parts.map { part in
        [
          part.category.map { .key(part.name, .category($0)) } ?? Table.Cell(part.name), .count(part.threads),
          .duration(part.nanoseconds),
        ]
          + states.map { state in
            guard let time = part.states.first(where: { $0.state == state }) else { return .share(0, bar: false) }
            guard let interval = time.interval, let upper = interval.upper else {
              return .share(time.share, bar: false)
            }
            let half = (upper - interval.lower) / 2
            return Table.Cell(
              "\(NumberFormat.percent(time.share)) ±\u{202F}\(NumberFormat.percent(half))", sort: time.share)
          }
      })
  }

  private static func range(_ interval: Interval) -> String {
    "\(NumberFormat.percent(interval.lower)) to \(NumberFormat.percent(interval.upper ?? 1))"
  }

  // MARK: States

  static func color(_ state: TimeState) -> ColorKey {
    switch state {
    case .working: .running
    case .spinning: .spinning
    case .pageFault: .pageFault
    case .runnable: .runnable
    case .lock: .blockedLock
    case .io: .blockedIO
    case .sleeping: .sleeping
    case .other: .blockedOther
    }
  }

  /// What a state is called in a legend.
  static func name(_ state: TimeState) -> String {
    switch state {
    case .working: "working"
    case .spinning: "spinning at barriers"
    case .pageFault: "page faults"
    case .runnable: "waiting for a CPU"
    case .lock: "blocked on a lock"
    case .io: "blocked on I/O"
    case .sleeping: "asleep"
    case .other: "blocked, cause unknown"
    }
  }

  private static func phrase(_ state: TimeState) -> String { state == .pageFault ? "in page faults" : name(state) }
}

extension TimeState {
  /// Whether a thread in it has a CPU.
  fileprivate var isOnCPU: Bool { [.working, .spinning, .pageFault].contains(self) }
}
