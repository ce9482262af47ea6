import ArgumentParser

@main
struct KiviatWorkload: ParsableCommand {
  static let configuration = CommandConfiguration(abstract: "Runs one component benchmark.", version: "0.1.0")
}
