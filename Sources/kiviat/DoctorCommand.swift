// kiviat doctor: what this machine can measure; for what it can't, why, and the command that changes it.
import ArgumentParser
import Foundation
import Profiler

struct DoctorCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "doctor", abstract: "Tells what can be measured here, why not the rest, and what fixes it.")

  @Flag(name: .long, help: "As JSON.")
  var json = false

  func run() throws {
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
}
