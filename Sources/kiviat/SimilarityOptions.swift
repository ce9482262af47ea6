// By what are the members of a suite compared, and into how many groups?
import Analysis
import ArgumentParser

struct SimilarityOptions: ParsableArguments {
  @Option(
    name: .long,
    help: "patterns (Kiviat axes), categories (shares of kernel time), both, or model (size, FLOPs, epochs).")
  var features: FeatureSelection?

  @Option(name: .long, help: "ward or average: how the tree of benchmarks is made.")
  var linkage: Dendrogram.Linkage = .ward

  @Option(name: .long, help: "How many groups. Default: by silhouette and gap statistic.")
  var clusters: Int?

  @Option(name: .long, help: "Decides what is random in clusters and maps: the same seed gives the same page.")
  var seed: UInt64 = 1

  func validate() throws {
    if let clusters, clusters < 1 { throw ValidationError("--clusters \(clusters): there is at least one group") }
  }
}

extension FeatureSelection: ExpressibleByArgument {}
extension Dendrogram.Linkage: ExpressibleByArgument {}
