// What does tracing cost an operation, and does memory stay constant however many operations run?
import ArgumentParser
import Foundation
import Workloads

/// Measures the tracer itself; `Benchmarks/tracer-cost.sh` calls it.
struct TracerCost: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "tracer-cost", abstract: "Measure what tracing costs an operation.", shouldDisplay: false)

  @Option(help: "Operations of the memory run.")
  var operations = 10_000_000
  @Option(help: "A file with the events to count by kernel, as kiviat profile leaves it for a benchmark.")
  var events: String?
  @Option(help: "Calibrations, of which the median is told.")
  var rounds = 15

  func run() throws {
    let path = NSTemporaryDirectory() + "kiviat-tracer-cost-\(getpid()).trace"
    defer { unlink(path) }
    Torch.threads = 1
    if let events { try Trace.count(events: String(contentsOfFile: events, encoding: .utf8)) }
    try Trace.open(path: path)
    defer { Trace.close() }
    var costs = (0..<rounds).map { _ in Trace.measureCost() }
    costs.sort()
    print(
      "traced over untraced, add_ of 4 floats: median \(Int(costs[costs.count / 2])) ns an operation,"
        + " best \(Int(costs[0])), worst \(Int(costs[costs.count - 1]))")

    let a = Tensor.ones([4])
    let b = Tensor.zeros([4])
    func add(_ count: Int) {
      withoutGradients {
        for _ in 0..<count { a.add(inPlace: b) }
      }
    }
    add(10_000)
    let before = (resident: residentKilobytes(), trace: Trace.sums.operations)
    print("after \(before.trace) traced operations: \(before.resident) KiB resident")
    let start = monotonicNanoseconds()
    add(operations)
    let seconds = Double(monotonicNanoseconds() - start) * 1e-9
    print(
      "after \(Trace.sums.operations) traced operations: \(residentKilobytes()) KiB resident"
        + String(format: " (%.1f s, %.0f ns an operation in all)", seconds, seconds * 1e9 / Double(operations)))
  }

  private func residentKilobytes() -> Int {
    let status = (try? String(contentsOfFile: "/proc/self/status", encoding: .utf8)) ?? ""
    let line = status.split(separator: "\n").first { $0.hasPrefix("VmRSS:") }
    return line.flatMap { Int($0.filter(\.isNumber)) } ?? 0
  }
}
