// Which GPUs are there, as the kernel shows them without any vendor's library?

/// A graphics or compute accelerator.
public struct HostGPU: Hashable, Sendable {
  /// The driver's name for it, or vendor and PCI device number.
  public var name: String
  /// PCI vendor, `0x10de` for NVIDIA; `nil` when only the driver told of the device.
  public var vendor: Int?
  /// Whether it only draws a console (a server's management chip or a virtual display).
  public var isDisplayOnly: Bool
  /// Whether a kernel driver is bound to it.
  public var driver: String?
}

extension HostGPU {
  private static let vendors: [Int: (name: String, isDisplayOnly: Bool)] = [
    0x10de: ("NVIDIA", false), 0x1002: ("AMD", false), 0x8086: ("Intel", false), 0x1da3: ("Intel Habana", false),
    0x1234: ("QEMU display", true), 0x1013: ("Cirrus display", true), 0x1b36: ("QXL display", true),
    0x1af4: ("virtio display", true), 0x15ad: ("VMware display", true), 0x80ee: ("VirtualBox display", true),
    0x1a03: ("ASPEED management display", true), 0x102b: ("Matrox management display", true),
    0x1414: ("Hyper-V display", true),
  ]

  static func readAll(_ files: HostFiles) -> [HostGPU] {
    var names: [String: String] = [:]  // PCI address → the NVIDIA driver's model name
    for address in files.list("/proc/driver/nvidia/gpus").sorted() {
      let information = files.text("/proc/driver/nvidia/gpus/\(address)/information") ?? ""
      names[address] = field("Model", in: information)?.drop { $0 == " " || $0 == "\t" }.description ?? "NVIDIA GPU"
    }
    var gpus: [HostGPU] = []
    for address in files.list("/sys/bus/pci/devices").sorted() {
      let folder = "/sys/bus/pci/devices/\(address)"
      // Class 03: display controllers; 12: processing accelerators (PCI code and ID assignment).
      guard let code = files.text("\(folder)/class"), code.hasPrefix("0x03") || code.hasPrefix("0x12") else { continue }
      let vendor = hexadecimal(files.text("\(folder)/vendor"))
      let device = hexadecimal(files.text("\(folder)/device")) ?? 0
      let known = vendor.flatMap { vendors[$0] }
      let name = names.removeValue(forKey: address)
      gpus.append(
        HostGPU(
          name: name.map { $0.hasPrefix("NVIDIA") ? $0 : "NVIDIA \($0)" }
            ?? "\(known?.name ?? "vendor 0x\(String(vendor ?? 0, radix: 16))") device 0x\(String(device, radix: 16))",
          vendor: vendor, isDisplayOnly: known?.isDisplayOnly ?? false,
          driver: files.resolve("\(folder)/driver")?.split(separator: "/").last.map(String.init)))
    }
    // In a container the driver may show GPUs where /sys shows no PCI devices.
    for (_, name) in names.sorted(by: { $0.key < $1.key }) {
      gpus.append(
        HostGPU(
          name: name.hasPrefix("NVIDIA") ? name : "NVIDIA \(name)", vendor: 0x10de, isDisplayOnly: false,
          driver: "nvidia"))
    }
    return gpus
  }

  private static func hexadecimal(_ text: String?) -> Int? {
    text.flatMap { $0.hasPrefix("0x") ? Int($0.dropFirst(2), radix: 16) : nil }
  }

  /// The NVIDIA kernel driver's version.
  static func driverVersion(_ files: HostFiles) -> String? {
    files.text("/proc/driver/nvidia/version")?.split(separator: "\n").first?
      .split(separator: " ").first { $0.first?.isNumber == true && $0.contains(".") }.map(String.init)
  }
}
