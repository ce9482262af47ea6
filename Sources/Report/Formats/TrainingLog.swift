// How is a training run told in the log formats of other suites?
import Analysis
import ProfileModel

/// The log formats that other suites' tools read.
public enum TrainingLogFormat: String, CaseIterable, Sendable {
  /// MLPerf Training's `mllog`.
  case mllog
  /// AI-Rank's.
  case airank

  /// A profile that has no training log.
  public struct Failure: Error, CustomStringConvertible, Sendable {
    /// Why.
    public var description: String
  }

  /// The training log of a profile's shown run.
  ///
  /// - Throws: ``Failure`` when it did not train.
  public func text(_ profile: Profile) throws(Failure) -> String {
    let session: TrainingSession
    switch TrainingSession.of(profile) {
    case .measured(let found, _): session = found
    case .unavailable(let why):
      throw Failure(description: "no training log: \(why.reason)" + (why.remedy.map { " (\($0))" } ?? ""))
    }
    let lines =
      switch self {
      case .mllog: MLLog(session).lines()
      case .airank: AIRankLog(session).lines()
      }
    return lines.map { $0 + "\n" }.joined()
  }
}
