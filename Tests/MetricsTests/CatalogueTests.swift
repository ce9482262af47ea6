// Is the catalogue right in itself, and is every processor taken for the right family?
import Testing

@testable import Metrics

@Suite struct CatalogueTests {
  static let catalogue = Result { try MetricCatalogue.builtIn() }

  @Test func everyFileIsRight() throws {
    let catalogue = try Self.catalogue.get()
    #expect(catalogue.families.count == 13)
    for family in catalogue.families {
      #expect(CatalogueCheck(family).problems().map(\.description) == [])
    }
  }

  @Test func processorsAreRecognised() throws {
    let catalogue = try Self.catalogue.get()
    func family(_ vendor: String, _ family: Int?, _ model: Int?) -> String {
      let cpu = CPUIdentity(vendor: vendor, family: family, model: model)
      let found = catalogue.family(of: cpu)
      #expect((try? MetricCatalogue.family(of: cpu)) == found)
      return found.name
    }
    #expect(family("GenuineIntel", 6, 85) == "intel-skylake-x")
    #expect(family("GenuineIntel", 6, 0x6a) == "intel-ice-lake")
    #expect(family("GenuineIntel", 6, 0x8f) == "intel-sapphire-rapids")
    #expect(family("GenuineIntel", 6, 0xcf) == "intel-sapphire-rapids")
    #expect(family("GenuineIntel", 6, 0x97) == "intel-sapphire-rapids")
    #expect(family("GenuineIntel", 6, 0xad) == "intel-granite-rapids")
    #expect(family("AuthenticAMD", 23, 0x31) == "amd-zen2")
    #expect(family("AuthenticAMD", 25, 1) == "amd-zen3")
    #expect(family("AuthenticAMD", 25, 0x21) == "amd-zen3")
    #expect(family("AuthenticAMD", 25, 0x11) == "amd-zen4")
    #expect(family("AuthenticAMD", 25, 0x61) == "amd-zen4")
    #expect(family("AuthenticAMD", 26, 2) == "amd-zen5")
    #expect(family("Arm", 3, 0xd0c) == "arm-neoverse-n1")
    #expect(family("Arm", 0, 0xd49) == "arm-neoverse-n2")
    #expect(family("Arm", 1, 0xd40) == "arm-neoverse-v1")
    #expect(family("Arm", 0, 0xd4f) == "arm-neoverse-v2")
    #expect(family("GenuineIntel", 6, 15) == "generic")
    #expect(family("AuthenticAMD", 23, 1) == "generic")
    #expect(family("Arm", nil, nil) == "generic")
    #expect(catalogue.family(of: nil).name == "generic")
    // No processor is of two families.
    for vendor in ["GenuineIntel", "AuthenticAMD", "Arm"] {
      for number in 0..<32 {
        for model in 0..<0x1000 {
          let cpu = CPUIdentity(vendor: vendor, family: number, model: model)
          #expect(catalogue.families.count { $0.cpus.contains { $0.matches(cpu) } } <= 1)
        }
      }
    }
  }

  @Test func rawConfigurationsAreLaidOutAsTheManualsSay() {
    func config(_ layout: EventEncoding.Layout, _ fields: EventFields) -> UInt64 { fields.config(layout) }
    // IA32_PERFEVTSELx: event 7:0, umask 15:8, edge 18, any 21, inv 23, cmask 31:24.
    #expect(config(.intel, EventFields(event: 0xa3, umask: 0x14, cmask: 20)) == 0x1400_14a3)
    #expect(config(.intel, EventFields(event: 0xc3, umask: 1, cmask: 1, edge: true)) == 0x0104_01c3)
    #expect(config(.intel, EventFields(event: 0x0d, umask: 1, any: true)) == 0x0020_010d)
    #expect(config(.intel, EventFields(event: 0xc0, cmask: 16, inv: true)) == 0x1080_00c0)
    // PERF_CTL: event 7:0 and 35:32.
    #expect(config(.amd, EventFields(event: 0x1a0, umask: 1, cmask: 6)) == 0x1_0600_01a0)
    #expect(config(.amd, EventFields(event: 0xc1)) == 0xc1)
    #expect(config(.arm, EventFields(event: 0x4005)) == 0x4005)
  }

  @Test func whatThePaperMeasuredHasAnAnalogueOrAReason() throws {
    for family in try Self.catalogue.get().families {
      #expect(family.paper.map(\.name) == PaperMetric.names)
      for entry in family.paper {
        #expect(entry.metrics.isEmpty == (entry.absent != nil), "\(family.name): \(entry.name)")
      }
      #expect(family.paper.first { $0.name == "stall_texture" }?.absent != nil)
    }
  }

  @Test func estimatesAreLabelled() throws {
    let catalogue = try Self.catalogue.get()
    for name in ["amd-zen2", "amd-zen3"] {
      let family = try #require(catalogue.family(named: name))
      for metric in family.level(1) + family.level(2) { #expect(metric.isEstimate, "\(name): \(metric.name)") }
    }
    for name in ["intel-skylake-x", "intel-sapphire-rapids", "amd-zen4"] {
      let family = try #require(catalogue.family(named: name))
      for metric in family.level(1) + family.level(2) { #expect(!metric.isEstimate, "\(name): \(metric.name)") }
    }
  }

  /// A check that finds nothing must be able to find something.
  @Test func mistakesAreFound() throws {
    func problems(_ name: String, _ change: (inout MetricFamily) throws -> Void) throws -> [String] {
      var family = try #require(try Self.catalogue.get().family(named: name))
      try change(&family)
      return CatalogueCheck(family).problems().map(\.message)
    }
    func formula(_ metric: String, _ text: String) -> (inout MetricFamily) throws -> Void {
      { family in
        let index = try #require(family.metrics.firstIndex { $0.name == metric })
        family.metrics[index].formula = try Formula(text)
      }
    }
    func expect(_ found: [String], _ words: String, sourceLocation: SourceLocation = #_sourceLocation) {
      #expect(found.contains { $0.contains(words) }, "\(found)", sourceLocation: sourceLocation)
    }
    let zen = "amd-zen4"
    expect(try problems(zen, formula("retiring", "2 * ex_ret_ops / total_slots")), "out of its range")
    expect(try problems(zen, formula("retiring", "0.5 * ex_ret_ops / total_slots")), "parts of level 1 add up")
    expect(
      try problems(zen, formula("core_bound", "0.5 * backend_bound - 0.5 * memory_bound")), "parts of backend_bound")
    expect(try problems(zen, formula("retiring", "ex_ret_ops / ls_not_halted_cyc")), "units don't fit")
    expect(try problems(zen, formula("retiring", "ex_ret_instr * slot_of / total_slots")), "does not count")
    expect(try problems(zen) { $0.paper.removeFirst() }, "achieved_occupancy")
    expect(try problems(zen) { $0.groups[0].events.append("resyncs") }, "needs 7 counters")
    expect(try problems("intel-ice-lake") { $0.groups[0].events.swapAt(0, 1) }, "the slots must lead")
    expect(try problems("intel-skylake-x") { $0.metrics[3].parent = "retirin" }, "level 1 has no parent")
    expect(
      try problems(zen) {
        $0.consistency.append(
          CountRelation(
            left: try Formula("ls_not_halted_cyc"), right: try Formula("ls_not_halted_cyc - 2 * ls_not_halted_cyc"),
            isEqual: false))
      }, "hardly any counts")
  }
}
