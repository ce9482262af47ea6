// Does the tracer see every operation once, where it ran, and count what hand figures say?
import CKernelTrace
import CTorch
import Foundation
import ProfileModel
import Testing

@testable import Profiler
@testable import Workloads

/// What a trace file says of one kernel.
struct TracedKernel {
  var name, module, shapes, types, thread: String
  var phase: KernelRecord.Phase
  var entry: kiviat_trace_entry
  var flops: Double { Double(entry.counted_calls) * entry.flops_per_call }
  var bytes: Double { Double(entry.counted_calls) * entry.bytes_per_call }
  var isCounter: Bool { UInt32(entry.flops_source) == KIVIAT_FLOPS_COUNTER.rawValue }
}

/// Traces `body` into a file and reads that.
func traced(_ body: () throws -> Void) throws -> (kernels: [TracedKernel], header: kiviat_trace_header) {
  let path = NSTemporaryDirectory() + "kiviat-test-\(getpid())-\(UInt64.random(in: 0...UInt64.max)).trace"
  defer { unlink(path) }
  try Trace.open(path: path)
  do {
    try body()
  } catch {
    Trace.close()
    throw error
  }
  Trace.close()
  let reader = try #require(try KernelTraceReader(path: path))
  return (kernels(reader), reader.header)
}

func kernels(_ reader: KernelTraceReader) -> [TracedKernel] {
  (0..<reader.threadCount).flatMap { thread in
    (0..<reader.entryCount(thread)).map { index in
      let entry = reader.entry(thread, index)
      return TracedKernel(
        name: reader.string(entry.name), module: reader.string(entry.module), shapes: reader.string(entry.shapes),
        types: reader.string(entry.types), thread: reader.thread(thread).name,
        phase: KernelRecord.Phase.allCases[Int(entry.phase)], entry: entry)
    }.filter { $0.entry.calls > 0 }
  }
}

/// The network of the FLOP comparison: conv 3 → 16, pooling, linear 4096 → 10.
final class ConvNet: Module, Layer {
  let conv = Conv2d(3, 16, kernel: 3, padding: 1)
  let pool = MaxPool2d(2)
  let fc = Linear(4096, 10)
  func forward(_ x: Tensor) -> Tensor { fc(pool(conv(x)).flattened(1)) }
}

extension Computing {
  @Suite struct Tracer {
    @Test func flopsOfAClassifierAreTheHandFigures() throws {
      let model = Sequential(
        Conv2d(3, 16, kernel: 3, padding: 1), BatchNorm2d(16), ReLU(), MaxPool2d(2), AvgPool2d(2), Flatten(),
        Linear(1024, 10), Softmax())
      model.assignPaths()
      model.train(false)
      let x = Tensor.random([4, 3, 32, 32])
      let counter = OpCounter2020(model)
      let (kernels, _) = try traced { withoutGradients { phase(.forward) { _ = model(x) } } }
      counter.stop()
      let counted = kernels.filter(\.isCounter)
      #expect(counted.reduce(0) { $0 + $1.flops } == 3_620_864)
      #expect(counted.filter { $0.module == "0" }.reduce(0) { $0 + $1.flops } == 3_538_944)
      #expect(counted.filter { $0.module == "6" }.reduce(0) { $0 + $1.flops } == 81_920)
      // Of our own formulas: inference normalization is 2 an element, ReLU 1.
      let norm = try #require(kernels.first { $0.name == "aten::native_batch_norm" })
      #expect(norm.flops == 131_072 && !norm.isCounter)
      #expect(norm.bytes == 2 * 262_144 + 4 * 16 * 4)
      // libtorch 1.13's relu calls clamp_min, and the innermost operation counts.
      #expect(kernels.filter { $0.module == "2" }.reduce(0) { $0 + $1.flops } == 65536)
      // pytorch-OpCounter: 1 a MAC with bias, 2 an element of the normalization, 1 an average, 1 a product.
      let expected: Double = 65536 * 28 + 2 * 65536 + 4 * 1024 + 4 * 10240
      #expect(counter.operations == expected)
    }

    @Test func aTrainingStepCountsBothGradientsWhereTheyAreNeeded() throws {
      let model = ConvNet()
      model.assignPaths()
      let x = Tensor.random([4, 3, 32, 32])
      let (kernels, _) = try traced {
        let y = phase(.forward) { model(x).sum() }
        phase(.backward) { y.backward() }
      }
      func flops(_ phase: KernelRecord.Phase, _ module: String) -> Double {
        kernels.filter { $0.isCounter && $0.phase == phase && $0.module == module }.reduce(0) { $0 + $1.flops }
      }
      #expect(flops(.forward, "conv") == 3_538_944)
      #expect(flops(.forward, "fc") == 327_680)
      // The first layer needs no gradient of its input.
      #expect(flops(.backward, "conv") == 3_538_944)
      #expect(flops(.backward, "fc") == 655_360)
      #expect(kernels.filter(\.isCounter).reduce(0) { $0 + $1.flops } == 8_060_928)
    }

    @Test func callsShapesTypesModulesAndPhasesAreExact() throws {
      let model = ConvNet()
      model.assignPaths("net")
      let x = Tensor.random([2, 3, 32, 32])
      let a = Tensor.ones([5, 7])
      let (kernels, _) = try traced {
        withoutGradients {
          for _ in 0..<3 { phase(.forward) { _ = model(x) } }
          phase(.evaluation) { _ = model(x) }
          for _ in 0..<10 { _ = a + a }
          _ = a.matmul(a.transposed())
        }
      }
      let convs = kernels.filter { $0.name == "aten::conv2d" }
      #expect(convs.map(\.phase) == [.forward, .evaluation])
      #expect(convs.map(\.entry.calls) == [3, 1])
      #expect(convs.allSatisfy { $0.module == "net.conv" && $0.thread == "main" })
      #expect(convs[0].shapes == "[2, 3, 32, 32] [16, 3, 3, 3] [16]")
      #expect(convs[0].types == "f32 f32 f32")
      let sums = kernels.filter { $0.name == "aten::add" }
      #expect(sums.map(\.entry.calls) == [10])
      #expect(sums[0].flops == 350 && sums[0].bytes == 10 * 3 * 35 * 4)
      #expect(sums[0].module == "" && sums[0].phase == .other)
      let product = try #require(kernels.first { $0.name == "aten::mm" })
      #expect(product.shapes == "[5, 7] [7, 5]" && product.flops == 2 * 5 * 7 * 5)
    }

    @Test func selfTimesOfNestedOperationsAddUpToTheWall() throws {
      let model = ConvNet()
      model.assignPaths()
      let x = Tensor.random([16, 3, 32, 32])
      var wall: UInt64 = 0
      let (kernels, header) = try traced {
        let start = Workloads.monotonicNanoseconds()
        for _ in 0..<5 {
          let y = phase(.forward) { model(x).sum() }
          phase(.backward) { y.backward() }
        }
        wall = Workloads.monotonicNanoseconds() - start
      }
      let selfTime = kernels.reduce(0) { $0 + $1.entry.self_ns }
      #expect(selfTime <= wall)
      // A training step is operations almost all the time.
      #expect(Double(selfTime) > 0.8 * Double(wall))
      for kernel in kernels {
        #expect(kernel.entry.self_ns <= kernel.entry.total_ns)
        #expect(kernel.entry.cpu_calls <= kernel.entry.calls)
        #expect(kernel.entry.cpu_wall_ns <= kernel.entry.self_ns)
      }
      let conv = try #require(kernels.first { $0.name == "aten::conv2d" })
      #expect(conv.entry.total_ns > 5 * conv.entry.self_ns)
      #expect(conv.entry.cpu_calls > 0)
      let phases = [
        header.phase_ns.0, header.phase_ns.1, header.phase_ns.2, header.phase_ns.3, header.phase_ns.4,
        header.phase_ns.5,
      ]
      let phaseSum = phases.reduce(0, +)
      #expect(phaseSum <= header.closed_ns - header.opened_ns)
      let computing = phases[0] + phases[1]
      #expect(computing <= wall)
      #expect(Double(computing) > 0.9 * Double(wall))
      #expect(phases[2] == 0)
    }

    /// Outside operations the ring tells the phase, so that time without a kernel has one.
    @Test func thePhaseOutsideOperationsIsInTheRing() throws {
      let path = NSTemporaryDirectory() + "kiviat-test-\(getpid())-phases.trace"
      defer { unlink(path) }
      try Trace.open(path: path)
      defer { Trace.close() }
      phase(.forward) { _ = Tensor.random([2, 3]) }
      phase(.data) {}
      let reader = try #require(try KernelTraceReader(path: path))
      var phases: [KernelRecord.Phase] = []
      for word in reader.transitions(0, from: 0).words {
        let number = Int(word & 0xfffff) - Int(KIVIAT_TRACE_IDLE_IN_PHASE)
        guard KernelRecord.Phase.allCases.indices.contains(number) else { continue }
        let phase = KernelRecord.Phase.allCases[number]
        if phase != phases.last { phases.append(phase) }
      }
      #expect(phases == [.forward, .other, .data, .other])
    }

    @Test func groupedAndTransposedConvolutionsFollowTheCounter() throws {
      let x = Tensor.random([2, 8, 10, 10])
      let (kernels, _) = try traced {
        withoutGradients {
          _ = x.conv2d(Tensor.random([12, 2, 3, 3]), stride: 2, padding: 1, groups: 4)
          _ = x.convTranspose2d(Tensor.random([8, 6, 3, 3]), stride: 2)
          _ = Tensor.random([2, 4, 20]).conv1d(Tensor.random([6, 4, 5]), dilation: 2)
          _ = Tensor.random([3, 4, 5]).bmm(Tensor.random([3, 5, 6]))
        }
      }
      let flops = kernels.filter { $0.isCounter && $0.flops > 0 }.map(\.flops).sorted()
      // 2 · batch · places · kernel · in/groups · out: output 5×5; input places 10×10; length 12; products.
      let transposed: Double = 2 * 2 * 100 * 9 * 8 * 6
      let grouped: Double = 2 * 2 * 25 * 9 * 2 * 12
      let dilated: Double = 2 * 2 * 12 * 5 * 4 * 6
      #expect(flops == [720, dilated, grouped, transposed])
    }

    @Test func optimizersAreTracedUnderTheirNames() throws {
      let parameter = Parameter(Tensor.ones([10]))
      let sgd = SGD([parameter], learningRate: 0.1, momentum: 0.9)
      parameter.sum().backward()
      let (kernels, _) = try traced { phase(.optimizer) { sgd.step() } }
      let step = try #require(kernels.first { $0.name == "kiviat::sgd_" })
      #expect(step.phase == .optimizer && step.entry.calls == 1)
      #expect(step.flops == 70 && step.bytes == 10 * 4 * 5)
      #expect(step.shapes == "[10] [10] [10]")
    }

    @Test func theRunningKernelIsFoundByTime() throws {
      let path = NSTemporaryDirectory() + "kiviat-test-\(getpid())-ring.trace"
      defer { unlink(path) }
      try Trace.open(path: path)
      defer { Trace.close() }
      let a = Tensor.random([400, 400])
      let before = Workloads.monotonicNanoseconds()
      _ = withoutGradients { a.mm(a) }
      let after = Workloads.monotonicNanoseconds()
      let reader = try #require(try KernelTraceReader(path: path))
      #expect(reader.runningEntry(0, at: before) == nil)
      #expect(reader.runningEntry(0, at: after + 1000) == nil)
      // The thread may have lost its CPU before or after the product, so no single time must lie within it.
      let running = (0..<200).compactMap { reader.runningEntry(0, at: before + (after - before) * $0 / 200) }
      // mm asks whether its operands are conjugated, an operation of its own.
      let names = Set(running.map { reader.string(reader.entry(0, $0).name) })
      #expect(names.contains("aten::mm") && names.isSubset(of: ["aten::mm", "aten::resolve_conj"]))
      Trace.close()
      #expect(reader.header.closed_ns > after)
    }

    @Test func theSameTraceIsNotOpenedTwice() throws {
      try Trace.openPrivately()
      #expect(throws: TorchError.self) { try Trace.openPrivately() }
      #expect(Trace.measureCost() >= 0)
      Trace.close()
      #expect(!Trace.isOpen)
      #expect(throws: TorchError.self) { try Trace.open(path: "/nonexistent/kernels.trace") }
      #expect(!Trace.isOpen)
    }
  }
}
