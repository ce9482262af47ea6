import ArgumentParser

@main
struct Kiviat: ParsableCommand {
  static let configuration = CommandConfiguration(abstract: "Characterizes AI workloads.", version: "0.1.0")
}
