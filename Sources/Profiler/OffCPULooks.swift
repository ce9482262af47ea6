// What do threads wait for, and how long did they run, as `/proc` shows it without any privilege?
import Glibc

/// Looks at threads through `/proc/PID/task/TID`.
final class ThreadLooks {
  private let files: HostFiles
  private let architecture: String
  /// `USER_HZ`, the unit of times in `stat`: 100 on every architecture that Swift runs on.
  private static let ticksPerSecond: UInt64 = 100
  /// Threads looked at in one tick; of more, each tick takes the next ones.
  private static let perTick = 256
  private var offset = 0
  /// `schedstat` of each thread when it was last read, in accounting.
  private var accounted: [Int32: Accounting] = [:]

  private struct Accounting {
    var running: UInt64
    var delay: UInt64
  }

  init(files: HostFiles, architecture: String) {
    self.files = files
    self.architecture = architecture
  }

  /// Whether this process has one number here and another one outside (`NSpid` of `proc_pid_status(5)`).
  var isInNestedNamespace: Bool {
    let numbers = files.text("/proc/self/status").flatMap { field("NSpid", in: $0) } ?? ""
    return numbers.split { $0 == "\t" || $0 == " " }.count > 1
  }

  /// `/proc/PID/task/TID/schedstat`: nanoseconds on a CPU, nanoseconds waiting for one.
  private func schedstat(_ pid: Int32, _ tid: Int32) -> Accounting? {
    let words = files.text("/proc/\(pid)/task/\(tid)/schedstat")?.split(separator: " ") ?? []
    guard words.count >= 2, let running = UInt64(words[0]), let delay = UInt64(words[1]) else { return nil }
    return Accounting(running: running, delay: delay)
  }

  /// What a blocked thread waits for; `nil` when it is not blocked.
  func kindOfWait(_ pid: Int32, _ tid: Int32) -> WaitKind? {
    let folder = "/proc/\(pid)/task/\(tid)"
    guard case .success(let bytes) = files.read("\(folder)/stat"), let status = ProcessStatus(stat: bytes) else {
      return nil
    }
    let state = status.state
    guard state == UInt8(ascii: "S") || state == UInt8(ascii: "D") || state == UInt8(ascii: "I") else { return nil }
    if let function = files.text("\(folder)/wchan"), function != "0",
      let kind = OffCPURules.kind(ofFunction: function)
    {
      return kind
    }
    if let call = files.text("\(folder)/syscall")?.split(separator: " ").first.flatMap({ Int($0) }),
      let kind = OffCPURules.kind(ofSystemCall: call, architecture: architecture)
    {
      return kind
    }
    // Uninterruptible, and nobody tells why: as a rule it is storage.
    return state == UInt8(ascii: "D") ? .io : .other
  }

  /// The living threads whose turn it is.
  private func turn(_ ledger: OffCPULedger) -> [(pid: Int32, tid: Int32)] {
    let all = ledger.living.values.map { (pid: $0.pid, tid: $0.tid) }
    guard all.count > Self.perTick else { return all }
    let sorted = all.sorted { $0.tid < $1.tid }
    offset = (offset + Self.perTick) % sorted.count
    return (0..<Self.perTick).map { sorted[(offset + $0) % sorted.count] }
  }

  /// Notes how long each thread has waited for a CPU in all.
  func readRunDelays(_ ledger: inout OffCPULedger) {
    for (pid, tid) in turn(ledger) { readRunDelay(pid, tid, &ledger) }
  }

  private func readRunDelay(_ pid: Int32, _ tid: Int32, _ ledger: inout OffCPULedger) {
    guard let delay = schedstat(pid, tid)?.delay else { return }
    ledger.update(tid) {
      $0.runDelay = delay
      $0.runnableAtRunDelay = $0.runnable
    }
  }

  /// Looks at what each blocked thread waits for.
  func look(at ledger: inout OffCPULedger, readsRunDelay: Bool) {
    for (pid, tid) in turn(ledger) {
      if readsRunDelay { readRunDelay(pid, tid, &ledger) }
      if let kind = kindOfWait(pid, tid) { ledger.update(tid) { $0.looks[kind, default: 0] += 1 } }
    }
  }

  /// Without any records: finds threads by looking, and books what the scheduler says about them. Running and waiting
  /// for a CPU are the kernel's sums; the rest of the time they were blocked.
  func account(
    _ processes: some Collection<ProcessStatus>, departed: [ProcessStatus], in ledger: inout OffCPULedger,
    at now: UInt64, zero: UInt64
  ) {
    let boottime = offsetOfBootClock()
    var seen: Set<Int32> = []
    for process in processes where !process.hasEnded {
      for name in files.list("/proc/\(process.pid)/task") {
        guard let tid = Int32(name) else { continue }
        seen.insert(tid)
        if ledger.living[tid] == nil {
          guard case .success(let bytes) = files.read("/proc/\(process.pid)/task/\(tid)/stat"),
            let status = ProcessStatus(stat: bytes)
          else { continue }
          // The kernel tells the start in hundredths of a second; a thread can't be older than the command.
          let started = Int64(status.startTicks * 1_000_000_000 / Self.ticksPerSecond) - boottime
          let start = min(max(UInt64(max(started, 0)), zero), now)
          ledger.add(
            pid: process.pid, tid: tid, parentPID: process.parentPID, name: status.name, start: start,
            activity: .blocked(stack: -1))
        }
        book(process.pid, tid, &ledger, now)
      }
    }
    for tid in ledger.living.keys.filter({ !seen.contains($0) }) {
      accounted[tid] = nil
      ledger.remove(tid, at: ledger.living[tid]?.since ?? now)
    }
  }

  private func book(_ pid: Int32, _ tid: Int32, _ ledger: inout OffCPULedger, _ now: UInt64) {
    guard let sums = schedstat(pid, tid) else { return }
    let before = accounted[tid] ?? Accounting(running: 0, delay: 0)
    accounted[tid] = sums
    let clock = ledger.clock
    ledger.update(tid) { thread in
      let elapsed = now > thread.since ? now - thread.since : 0
      // A fork's first thread brings the CPU time of its own start; more than the time that went by is not booked.
      let running = min(sums.running >= before.running ? sums.running - before.running : 0, elapsed)
      let delay = min(sums.delay >= before.delay ? sums.delay - before.delay : 0, elapsed - running)
      thread.book(until: now, running: running, runnable: delay, clock)
    }
    if let kind = kindOfWait(pid, tid) { ledger.update(tid) { $0.looks[kind, default: 0] += 1 } }
  }

  /// CLOCK_BOOTTIME − CLOCK_MONOTONIC: `/proc` counts the time that the machine slept, profiles don't.
  private func offsetOfBootClock() -> Int64 {
    var boot = timespec()
    var monotonic = timespec()
    clock_gettime(CLOCK_BOOTTIME, &boot)
    clock_gettime(CLOCK_MONOTONIC, &monotonic)
    return Int64(boot.tv_sec - monotonic.tv_sec) * 1_000_000_000 + Int64(boot.tv_nsec - monotonic.tv_nsec)
  }
}
