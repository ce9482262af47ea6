// Which events does libpfm4 know by the vendors' names?
import CPerfEvent
import CPfm
import Glibc

/// libpfm4's tables: the events of each CPU model under the names of its manual.
enum Libpfm {
  // Loads tables and looks at the CPU: a millisecond, spent only when no other name fits.
  private static let isReady = pfm_initialize() == PFM_SUCCESS

  /// The event of a name such as `INST_RETIRED:ANY_P:u` or `amd64_fam19h_zen3::RETIRED_OPS`; `nil` when unknown.
  static func spec(_ name: String) -> PerfEventSpec? {
    guard isReady else { return nil }
    var attribute = perf_event_attr()
    attribute.size = UInt32(KIVIAT_ATTR_SIZE)
    let result = withUnsafeMutablePointer(to: &attribute) { pointer in
      var argument = pfm_perf_encode_arg_t()
      argument.attr = pointer
      argument.size = MemoryLayout<pfm_perf_encode_arg_t>.size
      return pfm_get_os_event_encoding(
        name, Int32(PFM_PLM0 | PFM_PLM3), PFM_OS_PERF_EVENT_EXT, &argument)
    }
    guard result == PFM_SUCCESS else { return nil }
    let kind: PerfEventSpec.Kind =
      switch attribute.type {
      case PERF_TYPE_HARDWARE.rawValue, PERF_TYPE_HW_CACHE.rawValue, PERF_TYPE_RAW.rawValue: .hardware
      case PERF_TYPE_SOFTWARE.rawValue: .software
      case PERF_TYPE_TRACEPOINT.rawValue: .tracepoint
      case PERF_TYPE_BREAKPOINT.rawValue: .breakpoint
      default: .device
      }
    var spec = PerfEventSpec(name, kind, type: attribute.type, config: attribute.config)
    spec.config1 = attribute.config1
    spec.config2 = attribute.config2
    spec.breakpointType = attribute.bp_type
    spec.excludesUser = attribute.exclude_user != 0
    spec.excludesKernel = attribute.exclude_kernel != 0
    spec.precision = UInt8(truncatingIfNeeded: attribute.precise_ip)
    return spec
  }

  /// The names of the events of the CPU models that libpfm4 takes this machine for, without their unit masks.
  static var names: [String] {
    guard isReady else { return [] }
    var names: [String] = []
    for model in 0..<PFM_PMU_MAX.rawValue {
      var pmu = pfm_pmu_info_t()
      pmu.size = MemoryLayout<pfm_pmu_info_t>.size
      guard pfm_get_pmu_info(pfm_pmu_t(rawValue: model), &pmu) == PFM_SUCCESS, pmu.is_present != 0 else { continue }
      var index = pmu.first_event
      while index != -1 {
        var event = pfm_event_info_t()
        event.size = MemoryLayout<pfm_event_info_t>.size
        if pfm_get_event_info(index, PFM_OS_PERF_EVENT, &event) == PFM_SUCCESS, let name = event.name {
          names.append(String(cString: name))
        }
        index = pfm_get_event_next(index)
      }
    }
    return names
  }
}
