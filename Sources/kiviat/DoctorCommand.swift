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
  }
}
