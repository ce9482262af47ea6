// Which member of a record in the file is what of the plain one?
import CCuptiRecording

extension CuptiRecording.Kernel {
  init(_ r: kiviat_cupti_kernel, name: String?) {
    self.init(
      name: name, start: r.start_ns, end: r.end_ns, device: r.device, context: r.context, stream: r.stream,
      correlation: r.correlation, graph: r.graph, graphNode: r.graph_node,
      grid: SIMD3(r.grid.0, r.grid.1, r.grid.2), block: SIMD3(r.block.0, r.block.1, r.block.2),
      cluster: SIMD3(r.cluster.0, r.cluster.1, r.cluster.2), registersPerThread: r.registers_per_thread,
      staticSharedBytes: r.static_shared_bytes, dynamicSharedBytes: r.dynamic_shared_bytes,
      executedSharedBytes: r.executed_shared_bytes, localBytesPerThread: r.local_bytes_per_thread,
      // CUpti_ActivityLaunchType: 1 and 2 are cooperative.
      isCooperative: r.launch_type == 1 || r.launch_type == 2)
  }
}

extension CuptiRecording.Copy {
  init(_ r: kiviat_cupti_memcpy) {
    self.init(
      kind: r.copy_kind, sourceKind: r.source_kind, destinationKind: r.destination_kind,
      isAsynchronous: r.is_async != 0, bytes: r.bytes, start: r.start_ns, end: r.end_ns, device: r.device,
      context: r.context, stream: r.stream, correlation: r.correlation, sourceDevice: r.source_device,
      destinationDevice: r.destination_device, graph: r.graph, graphNode: r.graph_node)
  }
}

extension CuptiRecording.Fill {
  init(_ r: kiviat_cupti_memset) {
    self.init(
      value: r.value, bytes: r.bytes, memoryKind: r.memory_kind, start: r.start_ns, end: r.end_ns, device: r.device,
      context: r.context, stream: r.stream, correlation: r.correlation, graph: r.graph, graphNode: r.graph_node)
  }
}

extension CuptiRecording.Synchronization {
  init(_ r: kiviat_cupti_synchronization) {
    self.init(
      kind: Kind(rawValue: r.kind) ?? .unknown, start: r.start_ns, end: r.end_ns, context: r.context,
      stream: r.stream, event: r.event, correlation: r.correlation)
  }
}

extension CuptiRecording.Overhead {
  init(_ r: kiviat_cupti_overhead) {
    self.init(
      kind: Kind(rawValue: r.kind) ?? .unknown, start: r.start_ns, end: r.end_ns, process: r.process, thread: r.thread)
  }
}

extension CuptiRecording.Call {
  init(_ r: kiviat_cupti_api, name: String?) {
    self.init(
      isRuntime: r.domain == 2, callback: r.callback, name: name, start: r.start_ns, end: r.end_ns, thread: r.thread,
      correlation: r.correlation, result: r.result)
  }
}

extension CuptiRecording.Device {
  init(_ r: kiviat_cupti_device, name: String?) {
    self.init(
      id: r.device, name: name, computeCapability: SIMD2(r.compute_major, r.compute_minor),
      multiprocessors: r.multiprocessors, coreClockKilohertz: r.core_clock_khz, maxIPC: r.max_ipc,
      maxWarpsPerMultiprocessor: r.max_warps_per_multiprocessor,
      maxSharedBytesPerMultiprocessor: r.max_shared_per_multiprocessor,
      maxRegistersPerMultiprocessor: r.max_registers_per_multiprocessor, warpSize: r.warp_size, l2Bytes: r.l2_bytes,
      memoryBytes: r.memory_bytes,
      memoryBytesPerSecond: r.memory_bandwidth_kbps.multipliedReportingOverflow(by: 1000).partialValue,
      isECCEnabled: r.ecc_enabled != 0, isMIGEnabled: r.mig_enabled != 0,
      uuid: withUnsafeBytes(of: r.uuid) { Array($0) })
  }
}

extension CuptiRecording.Counts {
  init(_ r: kiviat_cupti_counts) {
    self.init(
      time: r.time_ns, buffers: r.buffers, bufferBytes: r.buffer_bytes, records: r.records, dropped: r.dropped,
      declinedBuffers: r.declined, untimed: r.untimed, unknown: r.unknown, leftOut: r.left_out,
      damagedBuffers: r.damaged, unnamed: r.unnamed, forks: r.forks, outstandingBuffers: r.outstanding)
  }
}
