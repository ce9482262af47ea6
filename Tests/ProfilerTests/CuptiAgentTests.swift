// Does the CUPTI agent record exactly what a CUDA program did, and never harm it?
//
// On a stand-in for CUDA and CUPTI (Tests/FakeCupti). Not yet run on a GPU.
import Foundation
import ProfileModel
import Testing

@testable import Profiler

@Suite("The CUPTI agent")
struct CuptiAgentTests {
  /// What `CudaVictim run` launches.
  static let relu = "_ZN2at6native29vectorized_elementwise_kernelE"
  static let gemm = "ampere_sgemm_128x64_nn"
  static let norm = "bn_fw_tr_1C11_kernel_NCHW"

  @Test("Every kernel, copy, fill, wait and call is recorded as it was")
  func exact() throws {
    let run = try CudaRun("run")
    #expect(run.exitCode == 0)
    #expect(run.errors.isEmpty)
    let recording = try run.recording()
    #expect(recording.isComplete)
    #expect(recording.unavailable == nil)
    #expect(recording.warnings.isEmpty)
    #expect(recording.library?.version == 28)
    #expect(recording.library?.driverVersion == 12090)
    #expect(recording.executable?.hasSuffix("/CudaVictim") == true)
    #expect(recording.command?.hasSuffix(" run") == true)

    try Self.checkKernels(recording)
    try Self.checkMemory(recording)
    try Self.checkCalls(recording)

    let device = try #require(recording.devices.first)
    #expect(device.name == "Fake H100")
    #expect(device.computeCapability == [9, 0])
    #expect(device.multiprocessors == 132)
    #expect(device.maxIPC == 4)
    #expect(device.maxWarpsPerMultiprocessor == 64)
    #expect(device.memoryBytes == 80 << 30)
    #expect(device.memoryBytesPerSecond == 3_350_000_000_000)
    #expect(device.coreClockKilohertz == 1_980_000)
    #expect(device.l2Bytes == 50 << 20)
    #expect(device.maxSharedBytesPerMultiprocessor == 228 << 10)
    #expect(device.maxRegistersPerMultiprocessor == 65536)
    #expect(device.uuid == Array(1...16))
    #expect(device.isECCEnabled && !device.isMIGEnabled)
    #expect(recording.contexts == [.init(id: 1, device: 0, nullStream: 7)])
  }

  private static func checkKernels(_ recording: CuptiRecording) throws {
    #expect(recording.kernels.map(\.name) == [gemm, relu, norm, relu, gemm, norm])
    #expect(recording.kernels.map { $0.end - $0.start } == [100_000, 5000, 20_000, 5000, 100_000, 20_000])
    #expect(recording.kernels.map(\.stream) == [13, 13, 14, 14, 14, 14])
    #expect(
      recording.kernels.map(\.grid) == [[8, 4, 2], [1000, 1, 1], [64, 1, 1], [10, 1, 1], [1, 1, 1], [1, 1, 1]])
    #expect(
      recording.kernels.map(\.block) == [[256, 1, 1], [128, 2, 1], [512, 1, 1], [32, 1, 1], [1, 1, 1], [1, 1, 1]])
    #expect(recording.kernels.map(\.registersPerThread) == [122, 18, 40, 18, 122, 40])
    #expect(recording.kernels.map(\.staticSharedBytes) == [12288, 0, 256, 0, 12288, 256])
    #expect(recording.kernels.map(\.dynamicSharedBytes) == [4096, 0, 0, 0, 0, 0])
    #expect(recording.kernels.allSatisfy { $0.executedSharedBytes == 8192 && $0.localBytesPerThread == 24 })
    #expect(recording.kernels.allSatisfy { $0.cluster == [1, 2, 3] && !$0.isCooperative && $0.isTimed })
    // The last two are the nodes of a graph, launched by one call.
    #expect(recording.kernels.map(\.graph) == [0, 0, 0, 0, 1, 1])
    #expect(recording.kernels.map(\.graphNode) == [0, 0, 0, 0, 0x1_0000_0001, 0x1_0000_0002])
    #expect(recording.kernels[4].correlation == recording.kernels[5].correlation)
    // One stream's kernels come one after the other.
    for stream in [13, 14] as [UInt32] {
      let ofStream = recording.kernels.filter { $0.stream == stream }
      for (a, b) in zip(ofStream, ofStream.dropFirst()) { #expect(a.end <= b.start) }
    }
  }

  private static func checkMemory(_ recording: CuptiRecording) throws {
    try #require(recording.copies.count == 2 && recording.fills.count == 1 && recording.synchronizations.count == 2)
    let (copy, peer) = (recording.copies[0], recording.copies[1])
    #expect(copy.kind == 1 && copy.sourceKind == 1 && copy.destinationKind == 3 && copy.isAsynchronous)
    #expect(copy.bytes == 65536 && copy.end - copy.start == 65536 && copy.stream == 13)
    #expect(copy.sourceDevice == 0 && copy.destinationDevice == 0)
    #expect(peer.kind == 10 && peer.bytes == 4096 && peer.sourceDevice == 0 && peer.destinationDevice == 1)
    #expect(!peer.isAsynchronous)
    let fill = recording.fills[0]
    #expect(fill.value == 0xab && fill.bytes == 1024 && fill.end - fill.start == 256 && fill.memoryKind == 3)
    #expect(recording.synchronizations.map(\.kind) == [.stream, .stream])
    #expect(recording.synchronizations.map(\.stream) == [13, 14])
    // Waiting for a stream ends after what is on it.
    #expect(recording.synchronizations[0].end >= peer.end)
    #expect(recording.overheads.map(\.kind) == [.functionLoading, .functionLoading])
    #expect(recording.overheads.allSatisfy { $0.process == UInt32(recording.pid) && $0.thread == $0.process })
  }

  private static func checkCalls(_ recording: CuptiRecording) throws {
    #expect(
      recording.calls.map(\.name) == [
        "cuLaunchKernel", "cuLaunchKernel", "cudaLaunchKernel_v7000", "cudaLaunchKernel_v7000",
        "cuMemcpyHtoDAsync_v2", "cuMemcpyPeerAsync", "cuMemsetD32Async", "cuGraphLaunch", "cuLaunchKernel",
        "cuStreamSynchronize", "cuStreamSynchronize",
      ])
    #expect(recording.calls.map(\.isRuntime) == [false, false, true, true] + [Bool](repeating: false, count: 7))
    // The launch that the driver refused.
    #expect(recording.calls.map(\.result) == [0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0])
    #expect(recording.calls.allSatisfy { $0.thread == UInt32(recording.pid) && $0.start <= $0.end })
    // Each kernel has the call that launched it, and began after it.
    for kernel in recording.kernels {
      let call = try #require(recording.calls.first { $0.correlation == kernel.correlation })
      #expect(call.start <= kernel.start)
    }
    // The one that was launched while 77 was pushed.
    let external = try #require(recording.externalCorrelations.first)
    #expect(recording.externalCorrelations.count == 1)
    #expect(external.kind == 5 && external.id == 77)
    #expect(external.correlation == recording.kernels[3].correlation)
    #expect(recording.clock.isMonotonic)
    #expect(recording.calls.allSatisfy { $0.start >= recording.opened && $0.end <= recording.closed ?? 0 })
  }

  @Test("Many threads: nothing is lost, and each has its own")
  func threads() throws {
    let run = try CudaRun(
      "threads", "8", "2000", environment: ["KIVIAT_CUPTI_BUFFER_BYTES": "65536", "KIVIAT_CUPTI_BUFFERS": "256"])
    #expect(run.exitCode == 0)
    let recording = try run.recording()
    #expect(recording.counts.dropped == 0)
    #expect(recording.counts.buffers > 40)
    for thread in 0..<8 as Range<UInt32> {
      let kernels = recording.kernels.filter { $0.block.x == thread + 1 }
      #expect(kernels.map(\.grid.x).sorted() == Array(1...2000))
      #expect(Set(kernels.map(\.stream)).count == 1)
    }
    // A launch's call was made by the thread whose kernel it is.
    let calls = Dictionary(grouping: recording.calls, by: \.correlation)
    let callers = Set(recording.kernels.map { [$0.block.x, calls[$0.correlation]?.first?.thread ?? 0] })
    #expect(callers.count == 8)
    #expect(Set(callers.map { $0[1] }).count == 8)
  }

  @Test("What a tracer pushes through the agent is recorded with the calls made meanwhile")
  func external() throws {
    let run = try CudaRun("external", "1")
    #expect(run.exitCode == 0)
    let recording = try run.recording()
    let ids = recording.kernels.map { kernel in
      recording.externalCorrelations.filter { $0.correlation == kernel.correlation && $0.kind == 5 }.map(\.id)
    }
    #expect(ids == [[], [1001], [1001, 1002], [1001], []])
    // Nothing is pushed where the agent stepped aside.
    #expect(try CudaRun("external", "0", environment: ["FAKE_CUPTI_FAIL": "cuptiSubscribe=39"]).exitCode == 0)
  }

  @Test("When buffers run out records are dropped and counted, and the program goes on")
  func overflow() throws {
    let run = try CudaRun(
      "launch", "50000", environment: ["KIVIAT_CUPTI_BUFFERS": "1", "KIVIAT_CUPTI_BUFFER_BYTES": "4096"])
    #expect(run.exitCode == 0)
    let recording = try run.recording()
    let counts = recording.counts
    #expect(counts.dropped > 0)
    // Device, context, 50 000 launches of two records, a wait of three: each was delivered or dropped.
    #expect(counts.records + counts.dropped == 100_005)
    #expect(recording.kernels.count + recording.calls.count < 100_001)
    #expect(recording.warnings.contains { $0.reason.contains("dropped") })
  }

  @Test("A kernel that still runs at the end has no times, and is counted")
  func endless() throws {
    let recording = try CudaRun("endless").recording()
    #expect(recording.kernels.map(\.isTimed) == [false])
    #expect(recording.counts.untimed == 1)
    #expect(recording.isComplete)
  }

  @Test("Records of a later version are longer, and read all the same")
  func laterVersion() throws {
    let later = try CudaRun("run", environment: ["FAKE_CUPTI_TAIL": "40", "FAKE_CUPTI_VERSION": "130500"]).recording()
    #expect(later.library?.version == 130500)
    try Self.checkKernels(later)
    try Self.checkMemory(later)
    try Self.checkCalls(later)
  }

  @Test("Calls that only ask are left out, also where CUPTI can't switch them off")
  func leftOut() throws {
    let recording = try CudaRun(
      "run", environment: ["FAKE_CUPTI_FAIL": "cuptiActivityEnableRuntimeApi=11,cuptiActivityEnableDriverApi=11"]
    ).recording()
    try Self.checkCalls(recording)
    #expect(recording.counts.leftOut == 1)
  }

  @Test("Where CUPTI keeps its own clock, times are converted; it may run fast")
  func clock() throws {
    let run = try CudaRun(
      "run",
      environment: ["FAKE_CUPTI_FAIL": "cuptiActivityRegisterTimestampCallback=15", "FAKE_CUPTI_DRIFT_PPM": "500"])
    let recording = try run.recording()
    #expect(!recording.clock.isMonotonic)
    #expect(recording.statuses.map(\.stage) == [.clock])
    let converted = try #require(recording.onMonotonicClock())
    #expect(converted.calls.allSatisfy { $0.start >= recording.opened && $0.end <= recording.closed ?? 0 })
    // 500 ppm of 100 µs, and half the pairs' widths.
    let kernel = try #require(converted.kernels.first)
    let length = Double(kernel.end - kernel.start)
    #expect(abs(length - 100_000 / 1.0005) < 0.05 * 100_000)
  }

  @Test("A long name is kept; more names than there is room for are counted")
  func names() throws {
    let long = try CudaRun("long-name").recording()
    #expect(long.kernels.map(\.name) == [String(repeating: "x", count: 3999)])
    let many = try CudaRun("names", "33000").recording()
    #expect(many.kernels.count == 33000)
    let unnamed = many.kernels.filter { $0.name == nil }.count
    #expect(unnamed > 0 && unnamed < 1000)
    // The wait at the end is a call whose name came too late as well.
    let unnamedCalls = many.calls.filter { $0.name == nil }.count
    #expect(many.counts.unnamed == UInt64(unnamed + unnamedCalls))
    for (i, kernel) in many.kernels.enumerated() where kernel.name != nil {
      #expect(kernel.name == "kernel_number_\(i)")
    }
  }
}
