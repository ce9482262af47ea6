// kiviat doctor: what this machine can measure; for what it can't, why, and the command that changes it.
import ArgumentParser
import Foundation
import Profiler

struct DoctorCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "doctor", abstract: "Tells what can be measured here, why not the rest, and what fixes it.")

  @Flag(name: .long, help: "As JSON.")
  var json = false

  @Flag(
    name: .long,
    help: "Measure anew what this machine can do at most: some seconds of full load. Benchmarks are compared with it.")
  var ceilings = false

  func run() throws {
    if ceilings { return try measureCeilings() }
    let report = Doctor.examine(workloadTool: (try? WorkloadTool.find())?.path)
    let out = try OutputFile("-")
    if json {
      let encoder = JSONEncoder()
      encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
      try out.write(String(decoding: encoder.encode(report), as: UTF8.self) + "\n")
    } else {
      try out.write(report.text(color: isatty(STDOUT_FILENO) == 1 && Terminal.isColorWanted))
    }
  }

  /// Peak FLOP/s and the bandwidth of each level; kept for the profiles to come.
  private func measureCeilings() throws {
    let host = Host.read()
    let measured = Ceilings.measure(host: host, kiviatVersion: kiviatVersion)
    if measured.isComplete { try? measured.save() }
    let out = try OutputFile("-")
    if json {
      let encoder = JSONEncoder()
      encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
      return try out.write(String(decoding: encoder.encode(measured.quantities), as: UTF8.self) + "\n")
    }
    for quantity in measured.quantities {
      switch quantity.value {
      case .measured(let value, let provenance):
        let number = String(format: "%.1f G%@", (value.number ?? .nan) / 1e9, quantity.unit)
        try out.write("\(quantity.name)\t\(number)\t\(provenance.detail ?? "")\n")
      case .unavailable(let why):
        try out.write("\(quantity.name)\tnot measured\t\(why.reason)\(why.remedy.map { "; \($0)" } ?? "")\n")
      }
    }
  }
}
