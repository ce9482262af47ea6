// How long does a report of a million samples take, and how large does it get? Makes such a profile, then reads,
// analyses and renders it.
//
//     swift run -c release LargeProfile [SAMPLES [STACKS [PAGE]]]
//
// Prints each step's wall and CPU time (medians of five) and the page's size, and leaves the page at PAGE. The times that count: a million samples in 2 s.
import Analysis
import Foundation
import ProfileModel
import Report

/// A reproducible source of numbers (SplitMix64), so that everyone measures the same profile.
struct Seeded: RandomNumberGenerator {
  var state: UInt64
  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
  }
}

/// A training run of ten minutes on 64 threads: the shape of a real one, larger than most.
struct Generator {
  var samples = 1_000_000
  var stacks = 100_000
  var functions = 20_000
  var kernels = 5_000
  var steps = 10_000
  let wall: Int64 = 600_000_000_000

  func write(to path: String) throws {
    var random = Seeded(state: 1)
    let writer = try ProfileWriter(
      creating: path, settings: ["kind": "benchmark", "benchmark": "large", "mode": "train", "kiviat.version": "0"])
    try writer.write { file in
      var repetition = Repetition(
        index: 0, startedAtUnixNanoseconds: 0, startMonotonicNanoseconds: 0, wallNanoseconds: wall, state: .finished)
      repetition.exitStatus = 0
      try file.repetition(repetition)
      for (name, value) in [
        ("ceiling.flops.f32", 1e12), ("ceiling.bandwidth.dram", 1e11), ("host.cpu.logical", 64), ("cpu.user", 3e13),
        ("cpu.system", 1e12),
      ] {
        try file.quantity(
          Quantity(name, unit: "1", Measured(.number(value), .clock)), repetition: name.hasPrefix("cpu.") ? 0 : -1)
      }
      try writeStacks(file, &random)
      try writeKernels(file, &random)
      try writeLog(file, &random)
    }
  }

  private func writeStacks(_ file: ProfileTransaction, _ random: inout Seeded) throws {
    for id in 0..<functions {
      try file.frame(
        Frame(
          function: "at::native::function_\(id)<float, at::Tensor const&, \(id % 7)>(at::Tensor const&, long, bool)",
          module: "/usr/lib/x86_64-linux-gnu/library_\(id % 40).so", kind: id % 50 == 0 ? .kernel : .user),
        id: Int64(id))
    }
    // A new stack leaves an old one somewhere and goes a few calls deeper: a tree as real ones are.
    var nodes: Int64 = 0
    var left = Int64(samples)
    for index in 0..<stacks {
      var parent: Int64? = nodes == 0 ? nil : Int64.random(in: 0..<nodes, using: &random)
      for _ in 0..<Int.random(in: 1...5, using: &random) {
        // Few functions are hot: the square of a random number prefers the small.
        let draw = Double.random(in: 0..<1, using: &random)
        try file.stack(StackNode(parent: parent, frame: Int64(draw * draw * Double(functions))), id: nodes)
        parent = nodes
        nodes += 1
      }
      let count = index == stacks - 1 ? max(1, left) : min(max(1, left), Int64.random(in: 1...19, using: &random))
      left -= count
      try file.sample(
        SampleTotal(
          stack: nodes - 1, pid: 1, tid: Int32(index % 64 + 1),
          kernel: index % 4 == 0 ? nil : Int64.random(in: 0..<Int64(kernels), using: &random), samples: count,
          weightNanoseconds: count * 2_004_008),
        repetition: 0)
    }
  }

  private func writeKernels(_ file: ProfileTransaction, _ random: inout Seeded) throws {
    let operations: [(String, KernelCategory)] = [
      ("aten::mkldnn_convolution", .convolution), ("aten::addmm", .gemm), ("aten::relu", .relu),
      ("aten::native_batch_norm", .batchNormalization), ("aten::add_", .elementWise), ("aten::copy_", .memoryCopy),
      ("aten::max_pool2d", .pooling), ("aten::cat", .dataArrangement), ("aten::embedding", .embedding),
    ]
    for id in 0..<kernels {
      let operation = operations[id % operations.count]
      let time = Int64.random(in: 1_000...80_000_000, using: &random)
      let flops: Measured<Double> =
        operation.1 == .memoryCopy
        ? .unavailable(Unavailable("no formula covers it")) : Measured(Double(time) * 90, .declared)
      try file.kernel(
        KernelRecord(
          id: Int64(id), name: operation.0, category: operation.1,
          phase: KernelRecord.Phase.allCases[id % KernelRecord.Phase.allCases.count],
          modulePath: "layer\(id % 40).\(id % 7).conv", shapes: "[64, \(id), 56, 56] [\(id), 64, 3, 3]",
          types: "f32 f32",
          calls: 1000, totalNanoseconds: time * 1000, selfNanoseconds: time * 1000,
          threadCPUNanoseconds: .unavailable(Unavailable("not read")), flops: flops,
          bytes: Measured(Double(time) * 20, .declared)),
        repetition: 0)
    }
  }

  private func writeLog(_ file: ProfileTransaction, _ random: inout Seeded) throws {
    for step in 0..<steps {
      try file.step(
        TrainingStep(
          step: step, epoch: step / 1000, timeNanoseconds: Int64(step) * wall / Int64(steps),
          durationNanoseconds: Int64.random(in: 50_000_000...60_000_000, using: &random), samples: 64,
          loss: 5 / Double(step + 1)),
        repetition: 0)
    }
    for name in ["cpu.use", "threads", "memory.rss", "io.read", "io.write", "context_switches"] {
      try file.series(Series(name: name, unit: "1", provenance: Provenance(.kernelAccounting)))
      for tick in 0..<6000 {
        try file.point(
          SeriesPoint(
            series: name, timeNanoseconds: Int64(tick) * 100_000_000, value: Double.random(in: 0...64, using: &random)),
          repetition: 0)
      }
    }
    for tid in 1...64 {
      var thread = ThreadRecord(
        pid: 1, tid: Int32(tid), parentPID: 0, name: "worker", startNanoseconds: 0, endNanoseconds: wall)
      thread.runningNanoseconds = wall / 2
      thread.blockedLockNanoseconds = wall / 2
      try file.thread(thread, repetition: 0)
    }
  }
}

/// Seconds. On a machine that does other work CPU time is the one to compare.
struct Times {
  var wall: Double
  var cpu: Double
}

@main struct LargeProfile {
  static func time<T>(_ what: String, runs: Int = 5, _ body: () throws -> T) rethrows -> (value: T, times: Times) {
    let clock = ContinuousClock()
    var times: [Double] = []
    var cpuTimes: [Double] = []
    var result: T!
    for _ in 0..<runs {
      let begin = clock.now
      let cpu = Glibc.clock()
      result = try body()
      cpuTimes.append(Double(Glibc.clock() - cpu) / Double(1_000_000))
      times.append((clock.now - begin) / .seconds(1))
    }
    let median = times.sorted()[runs / 2]
    let cpu = cpuTimes.sorted()[runs / 2]
    let label = what.padding(toLength: 28, withPad: " ", startingAt: 0)
    print(String(format: "%@ %8.3f s wall %8.3f s CPU", label, median, cpu))
    return (result, Times(wall: median, cpu: cpu))
  }

  static func main() throws {
    var generator = Generator()
    let numbers = CommandLine.arguments.dropFirst().compactMap(Int.init).filter { $0 > 0 }
    if let samples = numbers.first { generator.samples = samples }
    if let stacks = numbers.dropFirst().first { generator.stacks = stacks }
    let path = FileManager.default.temporaryDirectory.appendingPathComponent("large-\(getpid()).kiviat").path
    defer { try? FileManager.default.removeItem(atPath: path) }

    _ = try time("write the profile", runs: 1) { try generator.write(to: path) }
    let read = try time("read it") { try Profile(contentsOf: path) }
    let analysis = time("analyse it") { Characterization(of: read.value) }
    let page = try time("render HTML") { try Report.render([analysis.value], as: .html) }
    let size = try FileManager.default.attributesOfItem(atPath: path)[.size] as? Int ?? 0
    let all = read.value.repetitions[0].samples.reduce(0) { $0 + $1.samples }
    print(
      "\(all) samples in \(read.value.repetitions[0].samples.count) stacks of \(read.value.stacks.count) nodes, "
        + "profile \(size / 1_000_000) MB, page \(page.value.utf8.count / 1000) kB")
    let parts = [read.times, analysis.times, page.times]
    print(
      String(
        format: "report in all                %8.3f s wall %8.3f s CPU", parts.reduce(0) { $0 + $1.wall },
        parts.reduce(0) { $0 + $1.cpu }))
    if CommandLine.arguments.count > 3 {
      try page.value.write(toFile: CommandLine.arguments[3], atomically: true, encoding: .utf8)
    }
  }
}
