// Profiles to make reports of: plausible runs of three kinds, a hostile one, and a large one.
import Analysis
import Foundation
import ProfileModel

/// Numbers that look random and are the same every time.
struct Repeatable: RandomNumberGenerator {
  private var state: UInt64

  init(seed: UInt64) { state = seed &* 0x9E37_79B9_7F4A_7C15 | 1 }

  mutating func next() -> UInt64 {
    // xorshift64*, Vigna 2016.
    state ^= state >> 12
    state ^= state << 25
    state ^= state >> 27
    return state &* 0x2545_F491_4F6C_DD1D
  }

  mutating func unit() -> Double { Double(next() >> 11) / Double(1 << 53) }
}

enum Fixtures {
  static let second: Int64 = 1_000_000_000

  // MARK: Host

  static var host: [Quantity] {
    func text(_ name: String, _ value: String) -> Quantity {
      Quantity(name, .init(.text(value), .kernelAccounting))
    }
    func number(_ name: String, _ value: Double, _ unit: String, _ source: Provenance.Source = .kernelAccounting)
      -> Quantity
    { Quantity(name, unit: unit, .init(.number(value), source)) }
    return [
      text("host.cpu.model", "Intel(R) Xeon(R) Processor @ 2.90GHz"), text("host.cpu.vendor", "GenuineIntel"),
      number("host.cpu.logical", 2, "1"), number("host.cpu.physical", 1, "1"),
      Quantity(
        "host.cpu.frequency.max", unit: "Hz", .unavailable(Unavailable("cpufreq is not offered by this machine"))),
      number("host.cache.l1d", 32768, "B"), number("host.cache.l2", 1_048_576, "B"),
      number("host.cache.l3", 34_603_008, "B"), number("host.memory.total", 8_271_028_224, "B"),
      text("host.kernel", "Linux 6.18.0 x86_64"), text("host.os", "Debian GNU/Linux 12 (bookworm)"),
      text("host.hypervisor", "kvm"), text("host.container", "docker"), text("host.pmu", "none"),
      number("host.perf_event_paranoid", 2, "1"), text("host.libraries.libtorch", "1.13.1"),
      text("host.libraries.oneDNN", "2.6.0"),
      Quantity("host.gpu", .unavailable(Unavailable("no GPU was found: /dev/nvidia0 does not exist"))),
      number("ceiling.flops.f32", 148.2e9, "FLOP/s", .clock), number("ceiling.flops.f64", 73.9e9, "FLOP/s", .clock),
      number("ceiling.bandwidth.dram", 18.4e9, "B/s", .clock), number("ceiling.bandwidth.l2", 121e9, "B/s", .clock),
    ]
  }

  // MARK: Samples

  /// Collects call stacks given as function names, root first.
  struct Stacks {
    var frames: [Int64: Frame] = [:]
    var nodes: [Int64: StackNode] = [:]
    private var frameIDs: [Frame: Int64] = [:]
    private var nodeIDs: [StackNode: Int64] = [:]

    mutating func stack(_ path: [Frame]) -> Int64 {
      var parent: Int64?
      for frame in path {
        let frameID = frameIDs[frame] ?? Int64(frames.count + 1)
        frameIDs[frame] = frameID
        frames[frameID] = frame
        let node = StackNode(parent: parent, frame: frameID)
        let id = nodeIDs[node] ?? Int64(nodes.count + 1)
        nodeIDs[node] = id
        nodes[id] = node
        parent = id
      }
      return parent ?? 0
    }
  }

  static func user(_ function: String, _ module: String = "/usr/lib/x86_64-linux-gnu/libtorch_cpu.so") -> Frame {
    Frame(function: function, module: module, kind: .user)
  }

  // MARK: Training

  /// ResNet-50 in training: kernels, samples, log, threads, series; no PMU.
  static func training(repetitions: Int = 1) -> Profile {
    var random = Repeatable(seed: 7)
    var stacks = Stacks()
    let wall = 61 * second
    let kernels = trainingKernels(wall: wall)
    var profile = Profile(
      settings: [
        "kind": "benchmark", "benchmark": "DC-AI-C1", "scale": "small", "mode": "train", "seed": "42", "device": "cpu",
        "data": "synthetic: 10 classes of textured shapes, 32 × 32", "batch_size": "64", "threads": "2",
        "optimizer": "SGD with momentum", "learning_rate": "0.1", "kiviat.version": "0.1.0",
        "command": #"["kiviat-workload","run","DC-AI-C1","--scale","small"]"#, "working_directory": "/home/user/work",
      ], host: host)
    for index in 0..<repetitions {
      let length = wall + Int64((random.unit() - 0.5) * 1.6e9)
      var data = RepetitionData(
        repetition: Repetition(
          index: index, startedAtUnixNanoseconds: 1_795_242_000 * second, startMonotonicNanoseconds: 77,
          wallNanoseconds: length, state: .finished, exitStatus: 0))
      data.collectors = collectors(kernelTrace: true)
      data.kernels = kernels
      data.kernelCounters = kernelCounters(kernels)
      data.quantities = trainingQuantities(wall: length, kernels: kernels)
      data.counters = softwareCounters(scale: 1 + random.unit() * 0.02)
      data.points = points(wall: length, busy: 1.86, memory: 1.1e9, random: &random)
      data.threads = trainingThreads(wall: length)
      data.threadTimes = trainingThreadTimes(data.threads, kernels)
      data.samples = trainingSamples(kernels, stacks: &stacks)
      var loss = 2.34
      let steps = 640
      for step in 0..<steps {
        loss += (0.31 + 1.9 * exp(-Double(step) / 130) - loss) * 0.3 + (random.unit() - 0.5) * 0.16
        let time = 3 * second + Int64(Double(step + 1) / Double(steps) * Double(length - 5 * second))
        data.steps.append(
          TrainingStep(
            step: step, epoch: step / 80, timeNanoseconds: time,
            durationNanoseconds: Int64(84e6 + random.unit() * 9e6 + (step % 80 == 0 ? 40e6 : 0)), samples: 64,
            loss: max(0.05, loss)))
      }
      for epoch in 0..<8 {
        data.epochs.append(
          TrainingEpoch(
            epoch: epoch, stage: "", timeNanoseconds: 3 * second + Int64(epoch + 1) * (length - 5 * second) / 8,
            durationNanoseconds: 7 * second, samples: 5120, meanLoss: 0.35 + 1.7 * exp(-Double(epoch) / 1.6),
            metric: "top-1 accuracy", quality: 0.94 - 0.62 * exp(-Double(epoch + 1) / 1.9)))
      }
      data.notes = [Note(.info, "data are synthetic: 10 classes of textured shapes, made in memory")]
      profile.repetitions.append(data)
    }
    profile.series = seriesNames
    profile.frames = stacks.frames
    profile.stacks = stacks.nodes
    return profile
  }

  static func trainingKernels(wall: Int64) -> [KernelRecord] {
    // Name, category, phase, shapes, module, share of the wall time, calls, FLOP/s reached, FLOP/B; 0 for no formula.
    let rows: [(String, KernelCategory, KernelRecord.Phase, String, String, Double, Int64, Double, Double)] = [
      (
        "aten::mkldnn_convolution", .convolution, .forward, "[64, 64, 8, 8] [64, 64, 3, 3]", "layer1.0.conv2", 0.101,
        12_800, 96e9, 38
      ),
      (
        "aten::mkldnn_convolution", .convolution, .forward, "[64, 256, 8, 8] [64, 256, 1, 1]", "layer1.1.conv1", 0.062,
        12_160, 71e9, 16
      ),
      (
        "aten::mkldnn_convolution", .convolution, .forward, "[64, 512, 4, 4] [2048, 512, 1, 1]", "layer4.0.conv3",
        0.031, 5_120, 88e9, 29
      ),
      (
        "aten::convolution_backward", .convolution, .backward, "[64, 64, 8, 8] [64, 64, 3, 3]", "layer1.0.conv2", 0.172,
        12_800, 84e9, 31
      ),
      (
        "aten::convolution_backward", .convolution, .backward, "[64, 256, 8, 8] [64, 256, 1, 1]", "layer1.1.conv1",
        0.098, 12_160, 62e9, 14
      ),
      (
        "aten::convolution_backward", .convolution, .backward, "[64, 512, 4, 4] [2048, 512, 1, 1]", "layer4.0.conv3",
        0.044, 5_120, 79e9, 26
      ),
      (
        "aten::native_batch_norm", .batchNormalization, .forward, "[64, 256, 8, 8] [256]", "layer1.0.bn3", 0.052,
        33_920, 3.1e9, 0.62
      ),
      (
        "aten::native_batch_norm_backward", .batchNormalization, .backward, "[64, 256, 8, 8] [256]", "layer1.0.bn3",
        0.071, 33_920, 3.4e9, 0.55
      ),
      ("aten::clamp_min_", .relu, .forward, "[64, 256, 8, 8]", "layer1.0.relu", 0.018, 31_360, 2.1e9, 0.125),
      ("aten::threshold_backward", .relu, .backward, "[64, 256, 8, 8]", "layer1.0.relu", 0.024, 31_360, 1.7e9, 0.083),
      (
        "aten::add_", .elementWise, .forward, "[64, 256, 8, 8] [64, 256, 8, 8]", "layer1.0", 0.016, 10_240, 1.4e9, 0.083
      ),
      (
        "aten::add_", .elementWise, .backward, "[64, 256, 8, 8] [64, 256, 8, 8]", "layer1.0", 0.013, 10_240, 1.5e9,
        0.083
      ),
      ("aten::addmm", .gemm, .forward, "[64, 2048] [2048, 10]", "fc", 0.006, 640, 21e9, 8),
      ("aten::mm", .gemm, .backward, "[64, 10] [10, 2048]", "fc", 0.009, 1280, 18e9, 6),
      ("aten::max_pool2d_with_indices", .pooling, .forward, "[64, 64, 16, 16]", "maxpool", 0.007, 640, 0.9e9, 0.4),
      (
        "aten::max_pool2d_with_indices_backward", .pooling, .backward, "[64, 64, 8, 8]", "maxpool", 0.006, 640, 0.4e9,
        0.1
      ),
      ("aten::copy_", .memoryCopy, .data, "[64, 3, 32, 32]", "", 0.011, 1280, 0, 0),
      ("aten::index_select", .dataArrangement, .data, "[5120, 3, 32, 32] [64]", "", 0.014, 640, 0, 0),
      ("aten::cat", .dataArrangement, .forward, "[64, 1024] [64, 1024]", "", 0.003, 640, 0, 0),
      ("aten::_log_softmax", .softmax, .forward, "[64, 10]", "", 0.0015, 640, 0.5e9, 0.6),
      ("aten::nll_loss_forward", .loss, .forward, "[64, 10] [64]", "", 0.0009, 640, 0, 0),
      ("aten::_foreach_add_", .optimizer, .optimizer, "[161 tensors]", "", 0.027, 1280, 2.2e9, 0.125),
      ("aten::_foreach_mul_", .optimizer, .optimizer, "[161 tensors]", "", 0.019, 1280, 1.9e9, 0.125),
      ("aten::empty", .allocation, .forward, "[]", "", 0.006, 210_000, 0, 0),
      ("aten::normal_", .random, .data, "[64, 3, 32, 32]", "", 0.004, 640, 0, 0),
      ("aten::sum", .reduction, .backward, "[64, 10]", "", 0.0012, 1280, 0.4e9, 0.25),
      (
        "aten::mkldnn_convolution", .convolution, .evaluation, "[64, 64, 8, 8] [64, 64, 3, 3]", "layer1.0.conv2", 0.021,
        1_600, 98e9, 38
      ),
      ("custom::augment<script>", .uncategorized, .data, "[64, 3, 32, 32]", "", 0.003, 640, 0, 0),
    ]
    return rows.enumerated().map { index, row in
      let time = Int64(Double(wall) * row.5)
      let flops = row.7 * Double(time) / 1e9
      return KernelRecord(
        id: Int64(index + 1), name: row.0, category: row.1, phase: row.2, modulePath: row.4, shapes: row.3,
        types: "f32 f32", calls: row.6, totalNanoseconds: time, selfNanoseconds: time,
        threadCPUNanoseconds: .init(time * 99 / 100, .clock),
        flops: row.7 > 0
          ? .init(flops, .declared, detail: "from shapes, one MAC is two")
          : .unavailable(Unavailable("no formula for \(row.0)")),
        bytes: row.8 > 0
          ? .init(flops / row.8, .declared, detail: "each tensor once")
          : .init(Double(time) * 4.2, .declared, detail: "each tensor once"))
    } + [
      KernelRecord(
        id: 900, name: "aten::index_select", category: .dataArrangement, phase: .data, modulePath: "",
        thread: "prefetch", shapes: "[5120, 3, 32, 32] [64]", types: "f32 i64", calls: 640,
        totalNanoseconds: 3 * second, selfNanoseconds: 3 * second, threadCPUNanoseconds: .init(3 * second, .clock),
        flops: .unavailable(Unavailable("no formula")), bytes: .init(4e9, .declared))
    ]
  }

  /// Fresh memory for each call's result, read in each call of long kernels and in some of short ones.
  static func kernelCounters(_ kernels: [KernelRecord]) -> [KernelCounter] {
    kernels.flatMap { kernel -> [KernelCounter] in
      let isShort = kernel.totalNanoseconds / max(1, kernel.calls) < 100_000
      let source: Provenance.Source = isShort ? .sampled : .softwareCounter
      let faults = (kernel.bytes.value ?? 0) / 4096 / 8
      return [
        KernelCounter(
          kernel: kernel.id, event: "page-faults", value: Measured(faults, source),
          interval: isShort ? faults * 0.96...faults * 1.04 : nil),
        KernelCounter(
          kernel: kernel.id, event: "task-clock", unit: "ns",
          value: Measured(Double(kernel.selfNanoseconds) * 1.9, source)),
      ]
    }
  }

  static func trainingQuantities(wall: Int64, kernels: [KernelRecord]) -> [Quantity] {
    func quantity(_ name: String, _ value: Double, _ unit: String, _ source: Provenance.Source, _ detail: String? = nil)
      -> Quantity
    { Quantity(name, unit: unit, .init(.number(value), source, detail: detail)) }
    func phase(_ phase: KernelRecord.Phase, _ factor: Double) -> Quantity {
      let kernelTime = kernels.filter { $0.phase == phase && $0.thread == "main" }.reduce(0) { $0 + $1.selfNanoseconds }
      clocked += Double(kernelTime) * factor
      return quantity("phase.\(phase.rawValue).wall", Double(kernelTime) * factor, "ns", .clock)
    }
    var clocked = 0.0
    return [
      quantity("memory.peak_rss", 1_213_124_608, "B", .kernelAccounting),
      quantity("cpu.user", Double(wall) * 1.79, "ns", .kernelAccounting),
      quantity("cpu.system", Double(wall) * 0.05, "ns", .kernelAccounting),
      Quantity(
        "energy.package", unit: "J",
        .unavailable(
          Unavailable("no powercap zone and no power PMU (virtual machine)", remedy: "run on the host, as root"))),
      quantity("model.parameters", 23_528_522, "1", .declared, "learnable parameters"),
      quantity("model.forward_flops_per_sample", 166.4e6, "FLOP", .declared, "one MAC is two"),
      quantity("model.training_flops_per_sample", 497.3e6, "FLOP", .declared, "one MAC is two"),
      quantity("model.forward_macs_per_sample", 83.2e6, "MAC", .declared),
      quantity("model.forward_opcounter2020_per_sample", 85.1e6, "FLOP", .declared, "OpCounter, 2020"),
      quantity("training.target", 0.90, "1", .declared), quantity("training.quality", 0.931, "1", .declared),
      quantity("training.reached", 1, "1", .declared), quantity("training.epochs", 6, "1", .declared),
      phase(.forward, 1.09), phase(.backward, 1.03), phase(.optimizer, 1.12), phase(.data, 1.6),
      phase(.evaluation, 1.2),
      quantity("phase.other.wall", Double(wall) * 0.012, "ns", .clock),
      quantity("phase.startup.wall", Double(wall) * 0.983 - clocked, "ns", .clock),
      quantity("phase.exit.wall", Double(wall) * 0.002, "ns", .clock),
      quantity("kernel_trace.ops", 812_480, "1", .declared), quantity("kernel_trace.overflowed", 0, "1", .declared),
      quantity("kernel_trace.cost_per_op", 240, "ns", .clock), quantity("samples.taken", 54_211, "1", .softwareCounter),
      quantity("samples.lost", 0, "1", .softwareCounter), quantity("samples.unattributed", 112, "1", .sampled),
      quantity("profiler.cpu_time", 0.42e9, "ns", .kernelAccounting), quantity("profiler.wall", 31e6, "ns", .clock),
      quantity("profiler.peak_rss", 48e6, "B", .kernelAccounting),
    ]
  }

  static func trainingSamples(_ kernels: [KernelRecord], stacks: inout Stacks) -> [SampleTotal] {
    let root = [
      user("_start", "kiviat-workload"), user("main", "kiviat-workload"), user("TrainingLoop.run()", "kiviat-workload"),
    ]
    let leaves: [(String, Frame, Double)] = [
      (
        "aten::mkldnn_convolution", Frame(function: "jit_avx512_core_conv_fwd_kernel_f32", module: "[jit]", kind: .jit),
        0.71
      ),
      (
        "aten::mkldnn_convolution",
        user(
          "dnnl::impl::cpu::x64::jit_avx512_common_1x1_convolution_fwd_t<float>::execute_forward_thr(int, int, float const*) const"
        ), 0.21
      ),
      ("aten::mkldnn_convolution", user("gomp_team_barrier_wait_end", "/usr/lib/x86_64-linux-gnu/libgomp.so.1"), 0.08),
      (
        "aten::convolution_backward",
        Frame(function: "jit_avx512_core_conv_bwd_weights_kernel_f32", module: "[jit]", kind: .jit), 0.58
      ),
      (
        "aten::convolution_backward",
        Frame(function: "jit_avx512_core_conv_bwd_data_kernel_f32", module: "[jit]", kind: .jit), 0.34
      ),
      (
        "aten::convolution_backward", user("dnnl::impl::cpu::simple_reorder_impl<(dnnl_data_type_t)3>::execute()"), 0.08
      ),
      (
        "aten::native_batch_norm",
        user(
          "at::native::(anonymous namespace)::batch_norm_cpu_collect_stats_channels_last_impl<float>(at::Tensor&, at::Tensor const&)"
        ), 1
      ),
      (
        "aten::native_batch_norm_backward",
        user("at::native::(anonymous namespace)::batch_norm_cpu_backward_contiguous_impl<float>(at::Tensor&)"), 1
      ),
      ("aten::addmm", user("sgemm_kernel_HASWELL", "/usr/lib/x86_64-linux-gnu/libopenblas.so.0"), 1),
      ("aten::mm", user("sgemm_kernel_HASWELL", "/usr/lib/x86_64-linux-gnu/libopenblas.so.0"), 1),
    ]
    var result: [SampleTotal] = []
    for kernel in kernels where kernel.thread == "main" {
      let own = leaves.filter { $0.0 == kernel.name }
      let parts =
        own.isEmpty
        ? [
          (
            "", user("at::native::\(kernel.name.split(separator: ":").last ?? "op")_kernel(at::TensorIteratorBase&)"),
            1.0
          )
        ] : own
      for (_, leaf, share) in parts {
        let path =
          root + [
            user("Tensor.\(kernel.phase.rawValue)()", "kiviat-workload"),
            user("at::_ops::\(kernel.name.split(separator: ":").last ?? "op")::call(at::Tensor const&)"), leaf,
          ]
        for (tid, part) in [(Int32(4001), 0.52), (Int32(4002), 0.46)] {
          let weight = Int64(Double(kernel.selfNanoseconds) * share * part * 1.86)
          let samples = weight / 2_004_008
          guard samples > 0 else { continue }
          result.append(
            SampleTotal(
              stack: stacks.stack(path), pid: 4001, tid: tid, kernel: kernel.id, samples: samples,
              weightNanoseconds: weight))
        }
      }
    }
    let faults =
      root + [
        user("at::empty_cpu(c10::ArrayRef<long>)"),
        Frame(function: "asm_exc_page_fault", module: "[kernel]", kind: .kernel),
        Frame(function: "clear_page_erms", module: "[kernel]", kind: .kernel),
      ]
    result.append(
      SampleTotal(
        stack: stacks.stack(faults), pid: 4001, tid: 4001, kernel: nil, samples: 420, weightNanoseconds: 842_000_000))
    return result
  }

  static func trainingThreads(wall: Int64) -> [ThreadRecord] {
    func thread(
      _ tid: Int32, _ name: String, _ start: Int64, running: Double, runnable: Double, lock: Double, io: Double,
      sleeping: Double
    ) -> ThreadRecord {
      var record = ThreadRecord(
        pid: 4001, tid: tid, parentPID: 4000, name: name, startNanoseconds: start, endNanoseconds: wall)
      let life = Double(wall - start)
      record.runningNanoseconds = Int64(life * running)
      record.runnableNanoseconds = Int64(life * runnable)
      record.blockedLockNanoseconds = Int64(life * lock)
      record.blockedIONanoseconds = Int64(life * io)
      record.sleepingNanoseconds = Int64(life * sleeping)
      record.blockedOtherNanoseconds = 0
      return record
    }
    var main = thread(4001, "kiviat-workload", 0, running: 0.962, runnable: 0.021, lock: 0.012, io: 0.004, sleeping: 0)
    main.exitStatus = 0
    return [
      main, thread(4002, "omp worker", 2 * second, running: 0.861, runnable: 0.034, lock: 0.104, io: 0, sleeping: 0),
      thread(4003, "prefetch", 2 * second, running: 0.058, runnable: 0.011, lock: 0.929, io: 0.001, sleeping: 0),
    ]
  }

  /// The states of the threads, shared over the kernels in proportion to their time, with a tenth outside them and a
  /// twentieth outside the trace.
  static func trainingThreadTimes(_ threads: [ThreadRecord], _ kernels: [KernelRecord]) -> [ThreadTime] {
    var times: [String: (phase: KernelRecord.Phase?, category: KernelCategory?, weight: Int64)] = [:]
    for kernel in kernels where kernel.thread == "main" {
      times["\(kernel.phase) \(kernel.category)", default: (kernel.phase, kernel.category, 0)].weight +=
        kernel.selfNanoseconds
    }
    let all = times.values.reduce(0) { $0 + $1.weight }
    times["outside"] = (.forward, nil, all / 10)
    times["untraced"] = (nil, nil, all / 20)
    let cells = times.sorted { $0.key < $1.key }.map(\.value)
    return threads.flatMap { thread in
      [
        (TimeState.working, thread.runningNanoseconds), (.runnable, thread.runnableNanoseconds),
        (.lock, thread.blockedLockNanoseconds), (.io, thread.blockedIONanoseconds),
        (.sleeping, thread.sleepingNanoseconds), (.other, thread.blockedOtherNanoseconds),
      ].flatMap { state, time in
        zip(cells, Apportionment.split(time ?? 0, by: cells.map(\.weight))).map { cell, part in
          ThreadTime(
            pid: thread.pid, tid: thread.tid, startNanoseconds: thread.startNanoseconds, phase: cell.phase,
            category: cell.category, state: state, nanoseconds: part,
            provenance: Provenance(.softwareCounter, detail: "context switches"))
        }
      }
    }
  }

  // MARK: A plain command

  /// A shell script with compilers, no PMU, sampling only.
  static func command() -> Profile {
    var random = Repeatable(seed: 3)
    var stacks = Stacks()
    let wall = 8_430_000_000 as Int64
    var data = RepetitionData(
      repetition: Repetition(
        index: 0, startedAtUnixNanoseconds: 1_795_243_211 * second, startMonotonicNanoseconds: 5,
        wallNanoseconds: wall, state: .finished, exitStatus: 2))
    data.collectors = collectors(kernelTrace: false)
    data.quantities = [
      Quantity("memory.peak_rss", unit: "B", .init(.number(212_336_640), .kernelAccounting)),
      Quantity("cpu.user", unit: "ns", .init(.number(9.71e9), .kernelAccounting)),
      Quantity("cpu.system", unit: "ns", .init(.number(1.92e9), .kernelAccounting)),
      Quantity("samples.taken", unit: "1", .init(.number(5804), .softwareCounter)),
      Quantity("samples.lost", unit: "1", .init(.number(0), .softwareCounter)),
      Quantity("profiler.cpu_time", unit: "ns", .init(.number(0.11e9), .kernelAccounting)),
      Quantity("profiler.wall", unit: "ns", .init(.number(24e6), .clock)),
    ]
    data.counters = softwareCounters(scale: 0.1035)
    data.points = points(wall: wall, busy: 1.4, memory: 2.1e8, random: &random)
    let make = "/usr/bin/make"
    let cc1 = "/usr/lib/gcc/x86_64-linux-gnu/12/cc1"
    let names = [
      "ggc_internal_alloc", "cpp_get_token_1", "df_worklist_dataflow", "htab_find_slot_with_hash",
      "cse_insn(rtx_insn*)", "bitmap_ior_into", "walk_tree_1", "et_splay", "lex_identifier",
      "constrain_operands(int, unsigned long)", "propagate_necessity(bool)", "ira_build", "record_reg_classes",
      "_cpp_lex_direct", "c_lex_one_token", "preprocess_constraints", "pool_alloc",
      "fold_binary_loc(unsigned int, tree_code, tree_node*, tree_node*, tree_node*)",
    ]
    for process in 0..<9 {
      let pid = Int32(5100 + process * 3)
      let start = Int64(Double(process) * 0.86e9)
      let end = min(wall, start + 1_100_000_000 + Int64(random.unit() * 4e8))
      var record = ThreadRecord(
        pid: pid, tid: pid, parentPID: 5000, name: "cc1", startNanoseconds: start, endNanoseconds: end)
      let life = Double(end - start)
      record.runningNanoseconds = Int64(life * 0.93)
      record.runnableNanoseconds = Int64(life * 0.04)
      record.blockedLockNanoseconds = 0
      record.blockedIONanoseconds = Int64(life * 0.025)
      record.sleepingNanoseconds = 0
      record.blockedOtherNanoseconds = 0
      record.exitStatus = process == 8 ? 1 : 0
      data.threads.append(record)
      for (index, name) in names.enumerated() {
        let samples = Int64(90 / Double(index + 2) * (0.6 + random.unit()))
        guard samples > 0 else { continue }
        let path = [
          user("_start", cc1), user("main", cc1), user("toplev::main(int, char**)", cc1), user("compile_file()", cc1),
          user(index % 3 == 0 ? "c_parse_file()" : "symbol_table::compile()", cc1), user(name, cc1),
        ]
        data.samples.append(
          SampleTotal(
            stack: stacks.stack(path), pid: pid, tid: pid, kernel: nil, samples: samples,
            weightNanoseconds: samples * 2_004_008))
      }
      let kernel = ["clear_page_erms", "do_user_addr_fault", "filemap_map_pages", "__x64_sys_execve"]
      for (index, name) in kernel.enumerated() {
        let path = [
          user("_start", cc1), user("main", cc1), user("ggc_internal_alloc", cc1),
          Frame(function: "asm_exc_page_fault", module: "[kernel]", kind: .kernel),
          Frame(function: name, module: "[kernel]", kind: .kernel),
        ]
        data.samples.append(
          SampleTotal(
            stack: stacks.stack(path), pid: pid, tid: pid, kernel: nil, samples: Int64(12 - index * 3),
            weightNanoseconds: Int64(12 - index * 3) * 2_004_008))
      }
    }
    var parent = ThreadRecord(
      pid: 5000, tid: 5000, parentPID: 4999, name: "make", startNanoseconds: 0, endNanoseconds: wall)
    parent.runningNanoseconds = 210_000_000
    parent.runnableNanoseconds = 30_000_000
    parent.blockedLockNanoseconds = 0
    parent.blockedIONanoseconds = 120_000_000
    parent.sleepingNanoseconds = wall - 360_000_000
    parent.blockedOtherNanoseconds = 0
    parent.exitStatus = 2
    data.threads.insert(parent, at: 0)
    data.samples.append(
      SampleTotal(
        stack: stacks.stack([user("_start", make), user("main", make), user("eval_makefile", make)]), pid: 5000,
        tid: 5000, kernel: nil, samples: 71, weightNanoseconds: 71 * 2_004_008))
    data.notes = [
      Note(.warning, "the target exited with status 2: the profile is complete, but it is one of a failed run")
    ]
    return Profile(
      settings: [
        "kind": "command", "command": #"["make","-j2","CFLAGS=-O2 -g","it's all"]"#,
        "working_directory": "/home/user/src",
        "kiviat.version": "0.1.0",
      ], host: host, repetitions: [data], series: seriesNames, frames: stacks.frames, stacks: stacks.nodes)
  }

  // MARK: Inference

  /// Recommendation in inference: latencies and kernels.
  static func inference() -> Profile {
    var random = Repeatable(seed: 11)
    var profile = training()
    profile.settings["benchmark"] = "DC-AI-C10"
    profile.settings["mode"] = "infer"
    profile.settings["batch_size"] = "1"
    let wall = 14 * second
    var data = profile.repetitions[0]
    data.repetition.wallNanoseconds = wall
    data.steps = []
    data.epochs = []
    data.kernels = [
      ("aten::embedding", KernelCategory.embedding, 0.121, 40_000 as Int64, 0.0),
      ("aten::addmm", .gemm, 0.342, 40_000, 31e9),
      ("aten::relu", .relu, 0.037, 30_000, 1e9), ("aten::mul", .elementWise, 0.041, 10_000, 1e9),
      ("aten::cat", .dataArrangement, 0.066, 20_000, 0), ("aten::sigmoid", .elementWise, 0.028, 10_000, 0.8e9),
      ("aten::empty", .allocation, 0.019, 140_000, 0),
    ].enumerated().map { index, row in
      let time = Int64(Double(wall) * row.2)
      return KernelRecord(
        id: Int64(index + 1), name: row.0, category: row.1, phase: .forward, modulePath: "mlp.\(index)",
        shapes: "[1, 64] [64, 32]",
        types: "f32 f32", calls: row.3, totalNanoseconds: time, selfNanoseconds: time,
        threadCPUNanoseconds: .init(time, .clock),
        flops: row.4 > 0
          ? .init(row.4 * Double(time) / 1e9, .declared) : .unavailable(Unavailable("no formula for \(row.0)")),
        bytes: .init(Double(time) * 5, .declared))
    }
    var stacks = Stacks()
    data.samples = trainingSamples(data.kernels, stacks: &stacks)
    profile.frames = stacks.frames
    profile.stacks = stacks.nodes
    data.queries = (0..<9000).map { index in
      let normal = (0..<6).reduce(0.0) { sum, _ in sum + random.unit() } - 3
      let tail = random.unit() > 0.985 ? 2.5 + random.unit() * 4 : 1
      return InferenceQuery(index: index, latencyNanoseconds: Int64(1.32e6 * exp(0.16 * normal) * tail), samples: 1)
    }
    data.threads = trainingThreads(wall: wall)
    data.points = points(wall: wall, busy: 1.1, memory: 3.4e8, random: &random)
    data.quantities.removeAll {
      $0.name.hasPrefix("training.") || $0.name.hasPrefix("phase.") || $0.name == "model.training_flops_per_sample"
    }
    data.quantities += [
      Quantity("phase.forward.wall", unit: "ns", .init(.number(Double(wall) * 0.86), .clock)),
      Quantity("phase.startup.wall", unit: "ns", .init(.number(Double(wall) * 0.09), .clock)),
    ]
    profile.repetitions = [data]
    return profile
  }

  // MARK: Common parts

  static var seriesNames: [Series] {
    [
      Series(name: "cpu.use", unit: "1", provenance: Provenance(.kernelAccounting, detail: "/proc/PID/stat")),
      Series(name: "memory.rss", unit: "B", provenance: Provenance(.kernelAccounting, detail: "/proc/PID/statm")),
      Series(name: "io.read", unit: "B/s", provenance: Provenance(.kernelAccounting, detail: "/proc/PID/io")),
      Series(
        name: "context_switches", unit: "1/s", provenance: Provenance(.softwareCounter, detail: "context-switches")),
    ]
  }

  static func points(wall: Int64, busy: Double, memory: Double, random: inout Repeatable) -> [SeriesPoint] {
    var result: [SeriesPoint] = []
    for name in ["cpu.use", "memory.rss", "io.read", "context_switches"] {
      for time in stride(from: 100_000_000 as Int64, to: wall, by: 100_000_000) {
        let progress = Double(time) / Double(wall)
        let warm = min(1, Double(time) / 1.5e9)
        let value =
          switch name {
          case "cpu.use": (progress < 0.04 ? 0.9 : busy) * (0.93 + 0.1 * random.unit())
          case "memory.rss": memory * (0.2 + 0.8 * warm) * (0.99 + 0.02 * random.unit())
          case "io.read": progress < 0.05 ? 8e7 * random.unit() : random.unit() > 0.97 ? 3e6 : 0
          default: 90 + 300 * random.unit()
          }
        result.append(SeriesPoint(series: name, timeNanoseconds: time, value: value))
      }
    }
    return result
  }

  static func softwareCounters(scale: Double) -> [CounterTotal] {
    func counter(_ event: String, _ value: Double, _ unit: String = "1") -> CounterTotal {
      CounterTotal(
        event: event, unit: unit, value: .init((value * scale).rounded(), .softwareCounter, detail: event),
        enabledNanoseconds: 1, runningNanoseconds: 1)
    }
    func missing(_ event: String) -> CounterTotal {
      CounterTotal(
        event: event,
        value: .unavailable(
          Unavailable(
            "this machine has no hardware PMU (KVM guest)",
            remedy: "run on bare metal, or give the guest a vPMU (qemu: -cpu host,pmu=on)")))
    }
    return [
      counter("task-clock", 112.3e9, "ns"), counter("context-switches", 21_377), counter("cpu-migrations", 312),
      counter("minor-faults", 1_288_411), counter("major-faults", 14), missing("cycles"), missing("instructions"),
      missing("branches"), missing("branch-misses"), missing("cache-misses"),
    ]
  }

  static func collectors(kernelTrace: Bool) -> [CollectorState] {
    [
      CollectorState(
        "counting", .degraded, method: "software events only", reason: "this machine has no hardware PMU (KVM guest)",
        remedy: "qemu-system-x86_64 -cpu host,pmu=on"),
      CollectorState(
        "sampling", .degraded, method: "cpu-clock at 499 Hz, user and kernel, frame pointers",
        reason: "no hardware cycles event", remedy: nil),
      CollectorState("series", .measured, method: "every 100 ms"),
      CollectorState("off-cpu", .measured, method: "sched:sched_switch tracepoint"),
      CollectorState("memory", .measured, method: "rusage and /proc"),
      CollectorState(
        "energy", .unavailable, reason: "no powercap zone and no power PMU (virtual machine)",
        remedy: "run on the host: modprobe intel_rapl_msr"),
      kernelTrace
        ? CollectorState("kernel-trace", .measured, method: "libtorch record functions, every op")
        : CollectorState("kernel-trace", .off, reason: "only Kiviat’s own benchmarks are traced by kernel"),
    ]
  }
}
