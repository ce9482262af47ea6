// In which phase was the traced main thread, and in a kernel of which category, during any span of time?
import CKernelTrace
import Glibc
import ProfileModel

/// A phase with a category, as a number: what time of any thread is booked under.
struct TraceCell: Hashable, Sendable {
  /// 0 where nothing is traced; else 1 + the phase's number × (categories + 1) + the category's number + 1, with 0 in
  /// the place of the latter outside any kernel.
  var number: Int

  /// Nothing is traced, or nobody knows what ran.
  static let untraced = TraceCell(number: 0)
  static let count = 1 + phases.count * (categories.count + 1)
  private static let phases = KernelRecord.Phase.allCases
  private static let categories = KernelCategory.allCases
  private static let numbers = Dictionary(
    uniqueKeysWithValues: zip(KernelCategory.allCases, 0..<KernelCategory.allCases.count))

  init(number: Int) { self.number = number }

  /// A phase by its number; `.other` for one that there is not.
  init(phase: Int, category: KernelCategory?) {
    let phase = Self.phases.indices.contains(phase) ? phase : Self.phases.count - 1
    number = 1 + phase * (Self.categories.count + 1) + (category.flatMap { Self.numbers[$0] }.map { $0 + 1 } ?? 0)
  }

  /// `nil` where nothing is traced.
  var phase: KernelRecord.Phase? { number == 0 ? nil : Self.phases[(number - 1) / (Self.categories.count + 1)] }
  /// `nil` outside any kernel.
  var category: KernelCategory? {
    let category = number == 0 ? 0 : (number - 1) % (Self.categories.count + 1)
    return category == 0 ? nil : Self.categories[category - 1]
  }
}

/// A clock with one hand for each cell: at any time, the hand that moves is that of what the traced main thread does. A
/// span of any thread's time is split exactly by reading it at both ends, whatever number of kernels lies between.
///
/// It copies the transitions out of the trace's ring, which forgets them after a quarter of a second in the worst
/// case; kept are the last 500 000 changes of the cell, 8 MB at most.
final class KernelClock {
  private struct Segment {
    var start: UInt64
    var cell: UInt16
  }

  private let path: String
  private let pid: Int32
  private let now: () -> UInt64
  private var reader: KernelTraceReader?
  private var isUnreadable = false
  private var isClosed = false

  /// Ascending; the first reaches back without end.
  private var segments = [Segment(start: 0, cell: 0)]
  /// Segments that were forgotten.
  private var dropped = 0
  /// The segment in which ``time`` lies.
  private var cursor = 0
  /// Where the hands stand: the sum of their readings is the time, less a constant.
  private(set) var hands = [Int64](repeating: 0, count: TraceCell.count)
  /// The time that they show, CLOCK_MONOTONIC.
  private(set) var time: UInt64 = 0
  /// The latest time that was ever shown: what came before is settled.
  private var settled: UInt64 = 0
  /// Up to when the trace was read.
  private var readUntil: UInt64 = 0

  /// Transitions of the ring that were read, and the last one's time in units of 16 ns.
  private var position: UInt64 = 0
  private var units: UInt64 = 0
  private var opened: UInt64 = 0
  private var cells: [UInt16?] = []
  private var categories: [UInt32: KernelCategory] = [:]

  /// Time in which transitions were overwritten before they were read, nanoseconds: nobody knows what ran.
  private(set) var lostNanoseconds: UInt64 = 0
  static let mostSegments = 1 << 19

  /// - Parameters:
  ///   - path: the trace, which need not be there yet.
  ///   - pid: the process that writes it; another one's trace is not read.
  ///   - time: where the hands begin.
  ///   - now: the time, CLOCK_MONOTONIC.
  init(path: String, pid: Int32, startingAt time: UInt64, now: @escaping () -> UInt64 = { Clock.monotonic }) {
    self.path = path
    self.pid = pid
    self.now = now
    self.time = time
    settled = time
  }

  /// The cell whose hand moves now, and a number that changes when another begins to.
  var current: (cell: Int, segment: Int) { (Int(segments[cursor].cell), dropped + cursor) }

  /// Turns the hands to a time, forward or a little back.
  func move(to target: UInt64) {
    if target > readUntil { read() }
    if target >= time {
      while cursor + 1 < segments.count, segments[cursor + 1].start <= target {
        hands[Int(segments[cursor].cell)] += Int64(segments[cursor + 1].start - time)
        time = segments[cursor + 1].start
        cursor += 1
      }
      hands[Int(segments[cursor].cell)] += Int64(target - time)
    } else {
      while cursor > 0, segments[cursor].start > target {
        hands[Int(segments[cursor].cell)] -= Int64(time - segments[cursor].start)
        time = segments[cursor].start
        cursor -= 1
      }
      hands[Int(segments[cursor].cell)] -= Int64(time - target)
    }
    time = target
    settled = max(settled, target)
  }

  // MARK: - The trace

  /// Copies what the trace's ring holds by now.
  func read() {
    let until = now()
    defer { readUntil = max(readUntil, until) }
    if reader == nil, !isUnreadable { open() }
    guard let reader, !isClosed else { return }
    // Read before the ring: what is closed writes no more.
    let closed = reader.header.closed_ns
    while true {
      let found = reader.transitions(0, from: position)
      if found.hasGap { forget(until: found) }
      guard !found.words.isEmpty else {
        position = found.next
        break
      }
      position = found.next
      for word in found.words { append(word) }
    }
    if closed != 0 {
      append(.untraced, at: closed)
      isClosed = true
    }
    trim()
  }

  private func open() {
    do {
      reader = try KernelTraceReader(path: path)
    } catch {
      isUnreadable = true
    }
    guard let header = reader?.header else { return }
    guard header.pid == pid else {
      reader = nil
      isUnreadable = true
      return
    }
    opened = header.opened_ns
    append(TraceCell(phase: Int(KIVIAT_PHASE_OTHER.rawValue), category: nil), at: header.opened_ns)
  }

  /// Transitions were overwritten: what ran since the last reading is not known.
  private func forget(until found: KernelTraceReader.Transitions) {
    let from = max(readUntil, segments[segments.count - 1].start)
    append(.untraced, at: from)
    if let first = found.words.first {
      let until = advance(to: first)
      lostNanoseconds += until > from ? until - from : 0
    }
  }

  /// Takes the time of a transition, CLOCK_MONOTONIC. Its 44 bits wrap after 78 hours, which comparing differences undoes.
  private func advance(to word: UInt64) -> UInt64 {
    let difference = ((word >> 20) &- units) & 0xfff_ffff_ffff
    if difference < 1 << 43 { units += difference }
    return opened + units << 4
  }

  private func append(_ word: UInt64) {
    append(TraceCell(number: cell(ofEntry: UInt32(truncatingIfNeeded: word & 0xfffff))), at: advance(to: word))
  }

  /// What was shown already stays as it was: a transition that comes late begins where the hands have been.
  private func append(_ cell: TraceCell, at time: UInt64) {
    let last = segments[segments.count - 1]
    let start = max(time, settled, last.start)
    guard last.cell != UInt16(cell.number) else { return }
    segments.append(Segment(start: start, cell: UInt16(cell.number)))
  }

  private func cell(ofEntry entry: UInt32) -> Int {
    let phase = Int(entry) - Int(KIVIAT_TRACE_IDLE_IN_PHASE)
    if phase >= 0, phase < Int(KIVIAT_TRACE_PHASES) { return TraceCell(phase: phase, category: nil).number }
    guard let reader, Int(entry) < KernelTraceReader.entryLimit else { return 0 }
    let index = Int(entry)
    if index < cells.count, let known = cells[index] { return Int(known) }
    guard index < reader.entryCount(0) else { return 0 }
    let found = reader.entry(0, index)
    let category = categories[found.name] ?? KernelCategory.classify(reader.string(found.name))
    categories[found.name] = category
    let number = TraceCell(phase: Int(found.phase), category: category).number
    while cells.count <= index { cells.append(nil) }
    cells[index] = UInt16(number)
    return number
  }

  /// Forgets what lies far back.
  private func trim() {
    guard segments.count > Self.mostSegments else { return }
    let old = min(segments.count - Self.mostSegments / 2, cursor)
    segments.removeFirst(old)
    dropped += old
    cursor -= old
  }
}
