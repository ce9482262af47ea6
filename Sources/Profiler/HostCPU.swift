// Which processor is this: model, topology, caches, SIMD, frequency and governor?
import ProfileModel

/// The processor as the operating system describes it. `nil` where the kernel does not tell.
public struct HostCPU: Hashable, Sendable {
  /// One cache as one CPU sees it.
  public struct Cache: Hashable, Sendable {
    /// 1, 2, 3 …
    public var level: Int
    /// `Data`, `Instruction` or `Unified`.
    public var type: String
    /// Bytes of one instance.
    public var bytes: Int64
    /// Hardware threads that share one instance.
    public var sharedBy: Int
    /// Ways of associativity; `nil` where the kernel does not tell.
    public var ways: Int?
    /// Bytes of a line; `nil` where the kernel does not tell.
    public var lineBytes: Int?
  }
  /// A kind of core of a hybrid processor.
  public struct CoreType: Hashable, Sendable {
    /// The PMU's name: `cpu_core`, `cpu_atom`.
    public var name: String
    /// Its hardware threads.
    public var cpus: [Int]
  }

  /// Marketing name, or implementer and part for Arm.
  public var model: String?
  /// `GenuineIntel`, `AuthenticAMD`, `Arm` …
  public var vendor: String?
  /// CPUID family; the variant for Arm.
  public var family: Int?
  /// CPUID model; the part for Arm.
  public var modelNumber: Int?
  /// CPUID stepping; the revision for Arm.
  public var stepping: Int?
  /// Hardware threads online.
  public var logical = 0
  /// Cores; `nil` when the topology is not told.
  public var physical: Int?
  /// Packages; `nil` when the topology is not told.
  public var sockets: Int?
  /// Hardware threads that this process may run on, by number.
  public var availableCPUs: [Int] = []
  /// How many those are.
  public var available: Int { availableCPUs.count }
  /// SIMD features, weakest first: `sse4.2 avx avx2 fma avx512f`.
  public var simd: [String] = []
  /// The kinds of cores when there are several.
  public var coreTypes: [CoreType] = []
  /// The caches of the first hardware thread.
  public var caches: [Cache] = []
  /// Highest frequency that the governor may choose, turbo included, Hz.
  public var maximumFrequency: Double?
  /// Frequency now, Hz.
  public var currentFrequency: Double?
  /// Frequency governors in use.
  public var governors: [String] = []
  /// Whether the CPU says that it is virtual (x86).
  public var isVirtual = false

  /// The bytes of one instance of a cache.
  public func cache(level: Int, type: String) -> Cache? {
    caches.first { $0.level == level && ($0.type == type || $0.type == "Unified") }
  }

  /// The biggest cache.
  public var lastLevelCache: Cache? { caches.max { $0.level < $1.level } }
}

/// Reads a size such as `32K` or `32768K` into bytes.
func parseCacheSize(_ text: String) -> Int64? {
  let scale: Int64 = text.hasSuffix("K") ? 1 << 10 : text.hasSuffix("M") ? 1 << 20 : text.hasSuffix("G") ? 1 << 30 : 1
  return Int64(text.filter(\.isNumber)).map { $0 * scale }
}

extension HostCPU {
  /// Features worth telling, weakest first.
  private static let simdNames = [
    "sse2", "sse4_1", "sse4_2", "avx", "f16c", "fma", "avx2", "avx_vnni", "avx512f", "avx512dq", "avx512bw", "avx512vl",
    "avx512_vnni", "avx512_bf16", "avx512_fp16", "amx_tile", "amx_int8", "amx_bf16",
    "asimd", "asimdhp", "asimddp", "fphp", "sve", "sve2", "bf16", "i8mm", "sme",
  ]

  /// Arm leaves naming its cores to tables (`MIDR_EL1`, Arm's technical reference manuals).
  private static let armParts: [Int: [Int: String]] = [
    0x41: [
      0xd03: "Cortex-A53", 0xd05: "Cortex-A55", 0xd07: "Cortex-A57", 0xd08: "Cortex-A72", 0xd09: "Cortex-A73",
      0xd0a: "Cortex-A75", 0xd0b: "Cortex-A76", 0xd0c: "Neoverse N1", 0xd40: "Neoverse V1", 0xd41: "Cortex-A78",
      0xd44: "Cortex-X1", 0xd49: "Neoverse N2", 0xd4a: "Neoverse E1", 0xd4f: "Neoverse V2", 0xd84: "Neoverse V3",
      0xd8e: "Neoverse N3",
    ],
    0xc0: [0xac3: "Ampere-1", 0xac4: "Ampere-1A"],
    0x46: [0x001: "A64FX"],
    0x48: [0xd01: "Kunpeng 920"],
  ]
  private static let armImplementers = [
    0x41: "Arm", 0x42: "Broadcom", 0x43: "Cavium", 0x46: "Fujitsu", 0x48: "HiSilicon", 0x4e: "NVIDIA",
    0x50: "Applied Micro", 0x51: "Qualcomm", 0x61: "Apple", 0xc0: "Ampere",
  ]

  static func read(_ files: HostFiles) -> HostCPU {
    var cpu = HostCPU()
    cpu.readCPUInfo(files)
    cpu.readTopology(files)
    cpu.readCaches(files)
    cpu.readFrequency(files)
    // Only CPUs that are online: the mask of an unrestricted process may be longer than the machine.
    let online = files.text("/sys/devices/system/cpu/online").map(numbers(inKernelList:)) ?? Array(0..<cpu.logical)
    let allowed = files.text("/proc/self/status").flatMap { field("Cpus_allowed_list", in: $0) }.map(
      numbers(inKernelList:))
    cpu.availableCPUs = allowed.map { $0.filter(Set(online).contains) } ?? online
    return cpu
  }

  private mutating func readCPUInfo(_ files: HostFiles) {
    guard let text = files.text("/proc/cpuinfo") else { return }
    var first: [Substring: Substring] = [:]
    var cores: Set<[Int]> = []
    var packages: Set<Int> = []
    var package = 0
    var megahertz = 0.0
    for line in text.utf8.split(separator: 0x0A).lazy.map({ Substring($0) }) {
      guard let colon = line.firstIndex(of: ":") else { continue }
      var key = line[..<colon]
      while let last = key.last, last == " " || last == "\t" { key.removeLast() }
      let value = line[line.index(after: colon)...].drop { $0 == " " }
      switch key {
      case "processor" where Int(value) != nil: logical += 1
      case "physical id":
        package = Int(value) ?? 0
        packages.insert(package)
      case "core id": cores.insert([package, Int(value) ?? 0])
      case "cpu MHz": megahertz = max(megahertz, Double(value) ?? 0)
      default: if first[key] == nil { first[key] = value }
      }
    }
    func integer(_ key: Substring) -> Int? {
      first[key].flatMap { $0.hasPrefix("0x") ? Int($0.dropFirst(2), radix: 16) : Int($0) }
    }
    if let implementer = integer("CPU implementer") {
      let part = integer("CPU part") ?? 0
      vendor = Self.armImplementers[implementer] ?? "implementer 0x\(String(implementer, radix: 16))"
      model = "\(vendor ?? "") \(Self.armParts[implementer]?[part] ?? "part 0x\(String(part, radix: 16))")"
      family = integer("CPU variant")
      modelNumber = part
      stepping = integer("CPU revision")
    } else {
      model = (first["model name"] ?? first["uarch"] ?? first["cpu"]).map(String.init)
      vendor = (first["vendor_id"] ?? first["mvendorid"]).map(String.init)
      family = integer("cpu family")
      modelNumber = integer("model")
      stepping = integer("stepping")
    }
    let features = Set((first["flags"] ?? first["Features"] ?? "").split(separator: " "))
    simd = Self.simdNames.filter { features.contains(Substring($0)) }
    isVirtual = features.contains("hypervisor")
    if !cores.isEmpty { physical = cores.count }
    if !packages.isEmpty { sockets = packages.count }
    if megahertz > 0 { currentFrequency = megahertz * 1e6 }
  }

  private mutating func readTopology(_ files: HostFiles) {
    let folder = "/sys/devices/system/cpu"
    let online = files.text("\(folder)/online").map(numbers(inKernelList:)) ?? []
    if logical == 0 || online.count > logical { logical = online.count }
    for name in ["cpu_core", "cpu_atom", "cpu_lowpower"] {
      if let cpus = files.text("/sys/devices/\(name)/cpus").map(numbers(inKernelList:)), !cpus.isEmpty {
        coreTypes.append(CoreType(name: name, cpus: cpus))
      }
    }
    // Arm and RISC-V tell the topology only here.
    guard physical == nil else { return }
    var cores: Set<String> = []
    var packages: Set<Int64> = []
    for cpu in online.isEmpty ? Array(0..<logical) : online {
      guard let siblings = files.text("\(folder)/cpu\(cpu)/topology/thread_siblings_list") else { return }
      cores.insert(siblings)
      packages.insert(files.number("\(folder)/cpu\(cpu)/topology/physical_package_id") ?? 0)
    }
    if !cores.isEmpty { physical = cores.count }
    if !packages.isEmpty { sockets = packages.count }
  }

  private mutating func readCaches(_ files: HostFiles) {
    let folder = "/sys/devices/system/cpu/cpu\(coreTypes.first?.cpus.first ?? 0)/cache"
    for name in files.list(folder).sorted() where name.hasPrefix("index") {
      guard let level = files.number("\(folder)/\(name)/level"), let type = files.text("\(folder)/\(name)/type"),
        let bytes = files.text("\(folder)/\(name)/size").flatMap(parseCacheSize)
      else { continue }
      let shared = files.text("\(folder)/\(name)/shared_cpu_list").map { numbers(inKernelList: $0).count } ?? 1
      caches.append(
        Cache(
          level: Int(level), type: type, bytes: bytes, sharedBy: max(shared, 1),
          ways: files.number("\(folder)/\(name)/ways_of_associativity").flatMap { $0 > 0 ? Int($0) : nil },
          lineBytes: files.number("\(folder)/\(name)/coherency_line_size").flatMap { $0 > 0 ? Int($0) : nil }))
    }
  }

  private mutating func readFrequency(_ files: HostFiles) {
    let root = "/sys/devices/system/cpu/cpufreq"
    // A policy covers CPUs that change frequency together; 64 are enough to see every kind of core.
    let policies = files.list(root).filter { $0.hasPrefix("policy") }.sorted().prefix(64)
    var found: Set<String> = []
    var current: Int64 = 0
    var maximum: Int64 = 0
    for policy in policies {
      maximum = max(maximum, files.number("\(root)/\(policy)/cpuinfo_max_freq") ?? 0)
      current = max(current, files.number("\(root)/\(policy)/scaling_cur_freq") ?? 0)
      if let governor = files.text("\(root)/\(policy)/scaling_governor") { found.insert(governor) }
    }
    if maximum > 0 { maximumFrequency = Double(maximum) * 1e3 }
    if current > 0 { currentFrequency = Double(current) * 1e3 }
    governors = found.sorted()
  }
}

/// The value of a `Name:\tvalue` line.
func field(_ name: String, in text: String) -> String? {
  for line in text.split(separator: "\n") where line.hasPrefix(name + ":") {
    var value = line.dropFirst(name.count + 1)
    while let first = value.first, first == " " || first == "\t" { value.removeFirst() }
    return String(value)
  }
  return nil
}
