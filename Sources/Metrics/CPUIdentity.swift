// Which processor is it, as far as its events depend on it?
import ProfileModel

/// A processor as its own identification names it.
public struct CPUIdentity: Hashable, Sendable {
  /// `GenuineIntel`, `AuthenticAMD`, or Arm's implementer in words (`Arm`).
  public var vendor: String
  /// CPUID family; unused for Arm.
  public var family: Int?
  /// CPUID model, or the part number of an Arm core.
  public var model: Int?

  /// Makes an identity.
  public init(vendor: String, family: Int?, model: Int?) {
    self.vendor = vendor
    self.family = family
    self.model = model
  }

  /// The identity that a profile's host facts (`host.cpu.…`) hold; `nil` where the vendor is not known.
  public init?(host: [Quantity]) {
    func value(_ name: String) -> QuantityValue? { host.first { $0.name == name }?.value.value }
    guard let vendor = value("host.cpu.vendor")?.text else { return nil }
    func integer(_ name: String) -> Int? { value(name)?.number.flatMap { Int(exactly: $0) } }
    self.init(vendor: vendor, family: integer("host.cpu.family"), model: integer("host.cpu.model_number"))
  }
}

/// What a family's processors have in common in their identification.
public struct CPUPattern: Hashable, Sendable {
  /// As in ``CPUIdentity/vendor``.
  public var vendor: String
  /// CPUID family; `nil` where it does not matter (Arm).
  public var family: Int?
  /// Models or part numbers; empty for all of the family.
  public var models: [Int]

  /// Whether a processor is one of these.
  public func matches(_ cpu: CPUIdentity) -> Bool {
    cpu.vendor == vendor && (family == nil || family == cpu.family)
      && (models.isEmpty || cpu.model.map(models.contains) ?? false)
  }
}
