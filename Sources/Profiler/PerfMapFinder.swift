// Which perf map belongs to a process: in its namespace, and not one left by an earlier process.
import Foundation

/// The perf maps of the processes that run generated code.
struct PerfMapFinder {
  private struct Process {
    var pid: Int32
    var parentInstance: Int?
    var map: PerfMap?
    /// It ended: what it has not written it never will.
    var isGone = false
  }
  private let procRoot: String
  private let notBefore: timespec
  private var processes: [Int: Process] = [:]

  init(procRoot: String, notBefore: timespec) {
    self.procRoot = procRoot
    self.notBefore = notBefore
  }

  /// A process runs code that no file holds. Its map is opened at once if it is there: a process that ends may take its
  /// file system with it.
  mutating func noteGeneratedCode(in space: AddressSpace) {
    guard processes[space.instance] == nil else { return }
    processes[space.instance] = Process(
      pid: space.pid, parentInstance: space.parent?.instance, map: open(pid: space.pid))
    if let parent = space.parent, processes[parent.instance] == nil {
      processes[parent.instance] = Process(pid: parent.pid, parentInstance: nil, map: open(pid: parent.pid))
    }
  }

  /// Opens maps that came to be, and reads what was appended to all; whether any grew.
  mutating func refresh() -> Bool {
    var grew = false
    for (instance, process) in processes {
      if let map = process.map {
        if map.refresh() { grew = true }
      } else if !process.isGone {
        let map = open(pid: process.pid)
        if map != nil { grew = true }
        processes[instance]?.map = map
        processes[instance]?.isGone = access("\(procRoot)/\(process.pid)", F_OK) != 0
      }
    }
    return grew
  }

  /// The name of generated code. A forked process that wrote no map runs its parent's code.
  func name(at address: UInt64, instance: Int) -> String? {
    var next: Int? = instance
    var seen = 0
    while let instance = next, let process = processes[instance], seen < 16 {
      if let name = process.map?.name(at: address) { return name }
      next = process.parentInstance
      seen += 1
    }
    return nil
  }

  private func open(pid: Int32) -> PerfMap? {
    guard pid > 0 else { return nil }
    let inner = namespacePID(of: pid)
    let map =
      PerfMap(path: "\(procRoot)/\(pid)/root/tmp/perf-\(inner).map", notBefore: notBefore)
      ?? PerfMap(path: "/tmp/perf-\(pid).map", notBefore: notBefore)
    _ = map?.refresh()
    return map
  }

  /// The id by which the process knows itself: the last of `NSpid` (proc_pid_status(5)).
  private func namespacePID(of pid: Int32) -> Int32 {
    guard let bytes = readWholeFile("\(procRoot)/\(pid)/status") else { return pid }
    let line = String(decoding: bytes, as: UTF8.self).split(separator: "\n").first { $0.hasPrefix("NSpid:") }
    return line?.split(whereSeparator: \.isWhitespace).last.flatMap { Int32($0) } ?? pid
  }
}
