// Does the model of simulated stalls come to what its formula gives by hand?
import ProfileModel
import Testing

@testable import Analysis

@Suite struct SimulatedStallsTests {
  static let constants: [(String, Double)] = [
    ("issue_width", 4), ("second_level_latency", 40), ("last_level_latency", 70), ("memory_latency", 200),
    ("branch_penalty", 15), ("overlap", 4),
  ]

  func counts(
    _ scope: SimulatedCount.Scope, _ category: KernelCategory?, _ name: String, _ events: [String: Double]
  ) -> [SimulatedCount] {
    events.map {
      SimulatedCount(scope: scope, category: category, name: name, module: "", event: $0.key, value: $0.value)
    }
  }

  /// 4000 instructions: a GEMM of 3000 of which 20 loads miss the last level, and 1000 elsewhere.
  func simulated(
    without: String? = nil, outcome: CollectorState.Outcome = .measured, reason: String? = nil
  ) -> Profile {
    profile { data in
      data.collectors = [CollectorState("simulation", outcome, method: "Callgrind", reason: reason)]
      data.quantities = Self.constants.filter { $0.0 != without }.map {
        Quantity("simulation.model.\($0.0)", unit: "cycle", Measured(.number($0.1), .clock))
      }
      data.quantities.append(quantity("simulation.iterations", 2, "1"))
      data.simulatedCounts =
        counts(
          .total, nil, "",
          [
            "Ir": 4000, "I1mr": 12, "ILmr": 2, "D1mr": 60, "DLmr": 20, "D1mw": 9, "Bc": 400, "Bcm": 8, "Bi": 10,
            "Bim": 2, "Dr": 900, "Dw": 300,
          ])
        + counts(.category, .gemm, "", ["Ir": 3000, "D1mr": 60, "DLmr": 20])
        + counts(.category, nil, "", ["Ir": 1000, "I1mr": 12, "ILmr": 2, "Bcm": 8, "Bim": 2])
        + counts(.function, .gemm, "sgemm", ["Ir": 3000, "D1mr": 60, "DLmr": 20])
        + counts(.function, .gemm, "(all others)", ["Ir": 0])
        + counts(.function, nil, "main", ["Ir": 1000, "I1mr": 12, "ILmr": 2, "Bcm": 8, "Bim": 2])
    }
  }

  @Test("Axes of the Kiviat diagram are the technical report's where a simulator tells them")
  func axes() throws {
    let patterns = try #require(RunEvidence.of(simulated(), name: "a").first).run.patterns
    #expect(
      patterns.map(\.name) == [
        "thread occupancy", "IPC efficiency, simulated", "load efficiency, simulated", "store efficiency, simulated",
        "memory-bandwidth use", "compute efficiency",
      ])
    // 1000 of 3350 cycles at full width; 60 of 900 loads and 9 of 300 stores miss.
    #expect(abs((patterns[1].value.value ?? 0) - 1000.0 / 3350) < 1e-12)
    #expect(abs((patterns[2].value.value ?? 0) - (1 - 60.0 / 900)) < 1e-12)
    #expect(abs((patterns[3].value.value ?? 0) - (1 - 9.0 / 300)) < 1e-12)
    #expect(patterns[1...3].allSatisfy { $0.value.provenance?.source == .simulated })
    var partial = simulated()
    partial.repetitions[0].simulatedCounts.removeAll { $0.event == "Dw" }
    let stores = try #require(RunEvidence.of(partial, name: "a").first).run.patterns[3]
    #expect(stores.value.unavailable != nil)
  }

  @Test("Cycles and shares by hand")
  func byHand() throws {
    let stalls = try #require(SimulatedStalls.of(run(simulated())).value)
    // 4000 ÷ 4; 10 × 40 + 2 × 200; (40 × 40 + 20 × 200) ÷ 4; 10 × 15.
    #expect(stalls.total.shares.map(\.part) == [.execution, .instructionFetch, .memoryDependency, .branch])
    #expect(stalls.total.shares.map(\.cycles) == [1000, 800, 1400, 150])
    #expect(abs(stalls.total.shares.reduce(0) { $0 + $1.share } - 1) < 1e-12)
    #expect(abs((stalls.total.shares[2].share) - 1400.0 / 3350) < 1e-12)
    // Twice the overlap halves the wait of 1400, beside 1950 other cycles; half the overlap doubles it.
    #expect(abs(stalls.total.memoryShareRange.lowerBound - 700.0 / 2650) < 1e-12)
    // And all from the last level: (40 × 70 + 20 × 200) ÷ 2.
    #expect(abs(stalls.total.memoryShareRange.upperBound - 3400.0 / 5350) < 1e-12)
    let rates = Dictionary(uniqueKeysWithValues: stalls.total.rates.map { ($0.event, $0.perThousand) })
    #expect(rates["D1mr+D1mw"] == 17.25)
    #expect(rates["Bcm+Bim"] == 2.5)
    #expect(rates["Dr+Dw"] == 300)
    #expect(rates["ILmr+DLmr+DLmw"] == 5.5)
  }

  @Test("Categories and functions: most cycles first, shares of the whole")
  func categories() throws {
    let measured = SimulatedStalls.of(run(simulated()))
    let stalls = try #require(measured.value)
    #expect(measured.provenance?.source == .simulated)
    // 750 + 1400 of 3350, and 250 + 800 + 150.
    #expect(stalls.categories.map(\.category) == [.gemm, nil])
    #expect(stalls.categories.map(\.entry.cycles) == [2150, 1200])
    #expect(abs(stalls.categories[0].entry.shareOfCycles - 2150.0 / 3350) < 1e-12)
    #expect(stalls.categories[0].entry.shareOfInstructions == 0.75)
    #expect(stalls.hotspots.map(\.function) == ["sgemm", "main"])
    #expect(stalls.constants.count == 6)
    #expect(stalls.conditions.map(\.name) == ["simulation.iterations"])
    #expect(stalls.degradation == nil)
    #expect(!stalls.absent.isEmpty)
  }

  @Test("Without counts, constants or a total there is a reason, never a zero")
  func missing() {
    let nothing = SimulatedStalls.of(run(profile()))
    #expect(nothing.unavailable?.remedy?.contains("--counters simulated") == true)
    let state = profile {
      $0.collectors = [
        CollectorState(
          "simulation", .unavailable, reason: "Valgrind was not found", remedy: "sudo apt-get install valgrind")
      ]
    }
    #expect(SimulatedStalls.of(run(state)).unavailable?.remedy == "sudo apt-get install valgrind")
    for (name, _) in Self.constants {
      #expect(SimulatedStalls.of(run(simulated(without: name))).unavailable != nil, "\(name)")
    }
    var empty = simulated()
    empty.repetitions[0].simulatedCounts.removeAll { $0.scope == .total }
    #expect(SimulatedStalls.of(run(empty)).unavailable != nil)
  }

  @Test("A run that was not whole says so; numbers that are none are left out")
  func damaged() throws {
    let cut = try #require(SimulatedStalls.of(run(simulated(outcome: .degraded, reason: "ended after 600 s"))).value)
    #expect(cut.degradation == "ended after 600 s")
    var bad = simulated()
    bad.repetitions[0].simulatedCounts += counts(.function, .gemm, "bad", ["Ir": .nan, "D1mr": -5, "DLmr": .infinity])
    bad.repetitions[0].simulatedCounts += counts(.function, .gemm, "odd", ["Ir": 10, "D1mr": 1, "DLmr": 7])
    let stalls = try #require(SimulatedStalls.of(run(bad)).value)
    // More misses of the last level than of the first: the difference is none, not less than nothing.
    let odd = try #require(stalls.hotspots.first { $0.function == "odd" })
    #expect(odd.entry.shares[2].cycles == 7 * 200 / 4.0)
    for hotspot in stalls.hotspots {
      for share in hotspot.entry.shares { #expect(share.share >= 0 && share.share <= 1 && share.cycles.isFinite) }
    }
  }

  @Test("One run is simulated for all repetitions: any of them shows it")
  func repetitions() throws {
    var several = simulated()
    several.repetitions.append(repetition(1))
    #expect(SimulatedStalls.of(Run(several, several.repetitions[1])).value?.total.cycles == 3350)
    #expect(Characterization(of: several).simulation.value?.total.cycles == 3350)
  }

  @Test("A suite's categories are means over the members in which they ran")
  func suite() throws {
    var one = SuiteMember(id: "a", title: "A", because: "no run")
    var two = SuiteMember(id: "b", title: "B", because: "no run")
    let three = SuiteMember(id: "c", title: "C", because: "no run", remedy: "run it")
    #expect(SuiteStalls.of([three]).unavailable?.remedy == "run it")
    one.simulatedStalls = SimulatedStalls.of(run(simulated()))
    var other = simulated()
    other.repetitions[0].simulatedCounts.removeAll { $0.scope == .category && $0.event != "Ir" }
    two.simulatedStalls = SimulatedStalls.of(run(other))
    let stalls = try #require(SuiteStalls.of([one, two, three]).value)
    #expect(stalls.members == 2 && stalls.missing == 1)
    let gemm = try #require(stalls.categories.first)
    #expect(gemm.category == .gemm && gemm.members == 2 && stalls.categories.count == 1)
    // 750 + 1400 cycles in one, 750 alone in the other.
    let memory = try #require(gemm.shares.first { $0.part == .memoryDependency })
    #expect(abs(memory.share - 1400.0 / 2150 / 2) < 1e-12)
    #expect(memory.range.lowerBound == 0)
    #expect(abs(memory.range.upperBound - 1400.0 / 2150) < 1e-12)
    #expect(abs(gemm.shareOfCycles - (2150.0 / 3350 + 750.0 / 3350) / 2) < 1e-12)
  }
}
