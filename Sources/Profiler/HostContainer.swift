// Does this process run in a container or a virtual machine, and how much of the machine may it use?

/// What stands between this process and the whole machine.
public struct HostContainer: Hashable, Sendable {
  /// `docker`, `podman`, `kubernetes`, `lxc` …; `nil` for none.
  public var engine: String?
  /// CPUs that the control group may use at a time (`cpu.max`), or `nil` for no limit.
  public var cpuLimit: Double?
  /// Bytes that the control group may use (`memory.max`), or `nil` for no limit.
  public var memoryLimit: Int64?

  static func read(_ files: HostFiles, environment: [String: String]) -> HostContainer {
    var container = HostContainer()
    let groups = files.text("/proc/self/cgroup") ?? ""
    let mounts = files.text("/proc/self/mountinfo") ?? ""
    container.engine = engine(files, environment: environment, groups: groups, mounts: mounts)
    for group in ControlGroup.all(groups: groups, mounts: mounts) { container.apply(group, files) }
    return container
  }

  /// Engines leave marks; the more particular ones are looked for first (Kubernetes runs Docker or containerd).
  private static func engine(
    _ files: HostFiles, environment: [String: String], groups: String, mounts: String
  ) -> String? {
    func mentions(_ word: String) -> Bool { groups.contains(word) }
    if environment["KUBERNETES_SERVICE_HOST"] != nil || mentions("kubepods") { return "kubernetes" }
    if let text = files.text("/run/.containerenv") {
      return text.contains("podman") || text.isEmpty ? "podman" : "container"
    }
    if mentions("libpod") { return "podman" }
    if case .success = files.read("/.dockerenv") { return "docker" }
    if mentions("/docker") { return "docker" }
    if let name = files.text("/run/systemd/container"), !name.isEmpty { return name }
    if mentions("/lxc") { return "lxc" }
    if let name = environment["container"], !name.isEmpty { return name }
    if mentions("containerd") || mentions("/garden/") { return "container" }
    // A root file system in layers is a container's; a live system's carries a different upper folder.
    for line in mounts.split(separator: "\n") where line.contains(" / / ") && line.contains(" - overlay ") {
      return line.contains("docker") ? "docker" : "container"
    }
    return nil
  }

  private mutating func apply(_ group: ControlGroup, _ files: HostFiles) {
    // A limit of any ancestor holds too.
    for folder in group.foldersFromLeaf {
      if let text = files.text("\(folder)/cpu.max") {
        let parts = text.split(separator: " ")
        if parts.count == 2, let quota = Double(parts[0]), let period = Double(parts[1]), period > 0 {
          cpuLimit = min(cpuLimit ?? .infinity, quota / period)
        }
      } else if let quota = files.number("\(folder)/cpu.cfs_quota_us"), quota > 0,
        let period = files.number("\(folder)/cpu.cfs_period_us"), period > 0
      {
        cpuLimit = min(cpuLimit ?? .infinity, Double(quota) / Double(period))
      }
      // Version 1 writes "no limit" as the greatest multiple of a page.
      let limit = files.number("\(folder)/memory.max") ?? files.number("\(folder)/memory.limit_in_bytes")
      if let limit, limit < 1 << 60 { memoryLimit = min(memoryLimit ?? .max, limit) }
    }
  }
}

/// Where the files of one of this process's control groups lie.
struct ControlGroup: Hashable {
  var mountPoint: String
  /// Path below the mount point, without a slash at its ends; empty for the top.
  var path: String

  var foldersFromLeaf: [String] {
    var folders: [String] = []
    var parts = path.split(separator: "/")
    while !parts.isEmpty {
      folders.append(mountPoint + "/" + parts.joined(separator: "/"))
      parts.removeLast()
    }
    return folders + [mountPoint]
  }

  /// Reads `/proc/self/cgroup` (`id:controllers:path`) and `/proc/self/mountinfo`.
  static func all(groups: String, mounts: String) -> [ControlGroup] {
    struct Mount {
      var root: Substring
      var point: Substring
      var type: Substring
      var options: Set<Substring>
    }
    let mounted = mounts.split(separator: "\n").compactMap { line -> Mount? in
      let words = line.split(separator: " ")
      guard words.count > 6, let dash = words.firstIndex(of: "-"), dash + 3 < words.count else { return nil }
      return Mount(
        root: words[3], point: words[4], type: words[dash + 1], options: Set(words[dash + 3].split(separator: ",")))
    }
    return groups.split(separator: "\n").compactMap { line in
      let parts = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
      guard parts.count == 3 else { return nil }
      let mount =
        parts[1].isEmpty
        ? mounted.first { $0.type == "cgroup2" }
        : mounted.first { $0.type == "cgroup" && !$0.options.isDisjoint(with: parts[1].split(separator: ",")) }
      guard let mount else { return nil }
      var path = parts[2]
      // Inside a container the mount shows only the container's own part of the tree.
      if mount.root != "/", path.hasPrefix(mount.root) { path = path.dropFirst(mount.root.count) }
      if path.hasPrefix("/..") { path = "" }
      return ControlGroup(
        mountPoint: String(mount.point), path: path.split(separator: "/").joined(separator: "/"))
    }
  }
}

/// Names the hypervisor, or `nil` on bare metal (as far as the guest can tell).
func readHypervisor(_ files: HostFiles, signature: String?, cpuSaysVirtual: Bool, kernelRelease: String) -> String? {
  if kernelRelease.lowercased().contains("microsoft") { return "WSL (Hyper-V)" }
  // CPUID leaf 0x40000000.
  let signatures = [
    "KVMKVMKVM": "KVM", "Linux KVM Hv": "KVM", "Microsoft Hv": "Hyper-V", "VMwareVMware": "VMware",
    "XenVMMXenVMM": "Xen", "TCGTCGTCGTCG": "QEMU (emulated)", "bhyve bhyve": "bhyve", "ACRNACRNACRN": "ACRN",
    "prl hyperv": "Parallels", "VBoxVBoxVBox": "VirtualBox",
  ]
  if let signature, let name = signatures[signature] {
    let product = files.text("/sys/class/dmi/id/sys_vendor")
    return product.map { "\(name) (\($0))" } ?? name
  }
  if let type = files.text("/sys/hypervisor/type"), type == "xen" { return "Xen" }
  if let compatible = files.text("/proc/device-tree/hypervisor/compatible") {
    return compatible.contains("kvm") ? "KVM" : compatible.contains("xen") ? "Xen" : compatible
  }
  let product = [files.text("/sys/class/dmi/id/sys_vendor"), files.text("/sys/class/dmi/id/product_name")]
    .compactMap { $0 }.joined(separator: " ")
  for word in ["QEMU", "VMware", "VirtualBox", "Xen", "Google Compute Engine", "Amazon EC2", "KVM", "Virtual Machine"]
  where product.contains(word) && !product.contains(".metal") { return product }
  return cpuSaysVirtual || signature != nil ? "unknown hypervisor" : nil
}
