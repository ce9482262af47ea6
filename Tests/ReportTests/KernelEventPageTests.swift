// Does the report show the events of kernels, in every format, and nothing where there are none?
import Analysis
import ProfileModel
import Testing

@testable import Report

struct KernelEventPageTests {
  /// A training run on a machine with counters.
  static let characterization: Characterization = {
    var profile = Fixtures.training()
    for kernel in profile.repetitions[0].kernels {
      func add(_ event: String, _ value: Double) {
        profile.repetitions[0].kernelCounters.append(
          KernelCounter(kernel: kernel.id, event: event, value: Measured(value, .hardwareCounter)))
      }
      let time = Double(kernel.selfNanoseconds)
      add("cycles", 3 * time)
      add("instructions", 6 * time)
      add("cache-misses", 0.03 * time)
    }
    return Characterization(of: profile)
  }()

  @Test func categoriesAndKernelsAreListedWithTheirRatios() throws {
    let builder = ReportBuilder(characterization: Self.characterization)
    let section = try #require(builder.kernelEvents)
    let tables = section.blocks.compactMap { block -> Table? in
      if case .table(_, let table, _) = block { table } else { nil }
    }
    #expect(tables.count == 2)
    for table in tables {
      #expect(!table.rows.isEmpty && table.rows.allSatisfy { $0.count == table.columns.count })
      let titles = table.columns.map(\.title)
      let ipc = try #require(titles.firstIndex(of: "instructions a cycle"))
      let mpki = try #require(titles.firstIndex(of: "last-level misses per 1000 instructions"))
      #expect(table.rows.allSatisfy { abs(($0[ipc].sort ?? 0) - 2) < 1e-9 && abs(($0[mpki].sort ?? 0) - 5) < 1e-9 })
      #expect(titles.contains("page-faults") && titles.contains("task-clock"))
    }
  }

  @Test(arguments: ReportFormat.allCases.filter { $0 != .text })
  func everyFormatHasThem(format: ReportFormat) throws {
    let text = try Report.render(Self.characterization, as: format)
    switch format {
    case .csv: #expect(text.contains("kernel_events.category") && text.contains("page-faults.per_call"))
    case .json: #expect(text.contains("\"kernelEvents\""))
    default: #expect(text.contains("Events in kernels") && text.contains("instructions a cycle"))
    }
  }

  @Test func whereNothingWasCountedThereIsNoSection() throws {
    let builder = ReportBuilder(characterization: Characterization(of: Fixtures.command()))
    #expect(builder.kernelEvents == nil)
    let csv = try Report.render(Characterization(of: Fixtures.command()), as: .csv)
    #expect(csv.contains("kernel_events"))
  }
}
