// What was run, with which settings, when, and how did it end?
import Foundation
import ProfileModel

/// What a profile is a profile of.
public struct RunIdentity: Codable, Sendable, Equatable {
  /// What kind of target it was.
  public enum Kind: String, Codable, Sendable, Equatable {
    /// Any program.
    case command
    /// One of Kiviat's component benchmarks.
    case benchmark
  }
  /// Where a benchmark's data came from.
  public enum DataOrigin: Codable, Sendable, Equatable {
    /// Made in memory; the description says how.
    case synthetic(description: String)
    /// Read from that directory.
    case real(directory: String)
    /// The profile does not say (always so for a plain command).
    case notStated
  }
  /// One setting of the run.
  public struct Setting: Codable, Sendable, Equatable {
    /// The setting's name: `batch_size`.
    public var name: String
    /// Its value as text.
    public var value: String
  }

  /// One line: the benchmark's name with mode and scale, or the command line.
  public var title: String
  /// What kind of target it was.
  public var kind: Kind
  /// The command and its arguments; empty when the profile does not say.
  public var command: [String]
  /// Real data or made up.
  public var data: DataOrigin
  /// All settings, by name.
  public var settings: [Setting]
  /// The Kiviat that profiled; `nil` when the profile does not say.
  public var kiviatVersion: String?
  /// Layout version of the profile file.
  public var schemaVersion: Int32
  /// The repetition that all single-run results are about: the one of median wall time among those that finished.
  /// `nil` when the profile holds no repetition.
  public var repetition: Repetition?
  /// How many repetitions the profile holds.
  public var repetitionCount: Int
  /// Whether the shown repetition ended by itself with status 0.
  public var succeeded: Bool
  /// How it ended, in words: `exited with status 0`, `killed by signal 9 (SIGKILL)`.
  public var ending: String
}

extension RunIdentity {
  static func of(_ profile: Profile, shown: RepetitionData?) -> RunIdentity {
    let settings = profile.settings
    let command = settings["command"].map(Self.command) ?? []
    let isBenchmark = settings["kind"] == "benchmark" || (settings["kind"] == nil && settings["benchmark"] != nil)
    let details = [
      settings["mode"].map { $0 == "infer" ? "inference" : $0 == "train" ? "training" : $0 },
      settings["scale"].map { "\($0) scale" },
    ].compactMap { $0 }
    var title: String
    if isBenchmark, let name = settings["benchmark"] {
      title = details.isEmpty ? name : "\(name), \(details.joined(separator: ", "))"
    } else {
      title = command.isEmpty ? "a command that the profile does not name" : command.joined(separator: " ")
    }
    if !isBenchmark, let id = settings["suite.id"] {
      title = "\(id): \(settings["suite.title"] ?? title)"
    }
    return RunIdentity(
      title: title, kind: isBenchmark ? .benchmark : .command, command: command, data: Self.data(settings["data"]),
      settings: settings.filter { $0.key != MetricSummary.fileSetting }.sorted { $0.key < $1.key }.map {
        Setting(name: $0.key, value: $0.value)
      },
      kiviatVersion: settings["kiviat.version"], schemaVersion: profile.schemaVersion,
      repetition: shown?.repetition, repetitionCount: profile.repetitions.count,
      succeeded: shown?.repetition.state == .finished && shown?.repetition.exitStatus == 0
        && shown?.repetition.signal == nil,
      ending: shown.map { Self.ending($0.repetition) + Self.divergence($0) } ?? "the profile holds no run")
  }

  /// The repetition that single-run results are about: median wall time among those that finished, else the last.
  static func shown(_ profile: Profile) -> RepetitionData? {
    let finished = profile.repetitions.filter { $0.repetition.state == .finished }
      .sorted { $0.repetition.wallNanoseconds < $1.repetition.wallNanoseconds }
    return finished.isEmpty ? profile.repetitions.last : finished[(finished.count - 1) / 2]
  }

  private static func command(_ json: String) -> [String] {
    (try? JSONDecoder().decode([String].self, from: Data(json.utf8))) ?? [json]
  }

  private static func data(_ setting: String?) -> DataOrigin {
    guard let setting, !setting.isEmpty else { return .notStated }
    guard setting.hasPrefix("synthetic") else { return .real(directory: setting) }
    let rest = setting.dropFirst("synthetic".count).drop { $0 == ":" || $0 == " " }
    return .synthetic(description: String(rest))
  }

  private static let signals: [Int32: String] = [
    1: "SIGHUP", 2: "SIGINT", 3: "SIGQUIT", 4: "SIGILL", 5: "SIGTRAP", 6: "SIGABRT", 7: "SIGBUS", 8: "SIGFPE",
    9: "SIGKILL", 10: "SIGUSR1", 11: "SIGSEGV", 12: "SIGUSR2", 13: "SIGPIPE", 14: "SIGALRM", 15: "SIGTERM",
    24: "SIGXCPU", 25: "SIGXFSZ", 31: "SIGSYS",
  ]

  /// Why training failed, when that is what happened.
  private static func divergence(_ data: RepetitionData) -> String {
    guard let provenance = data.quantity("training.diverged")?.value.provenance else { return "" }
    return ": training diverged" + (provenance.detail.map { ", \($0)" } ?? "")
  }

  static func ending(_ repetition: Repetition) -> String {
    func signal(_ number: Int32) -> String {
      "killed by signal \(number)" + (signals[number].map { " (\($0))" } ?? "")
    }
    switch repetition.state {
    case .running: return "the profile ends before the run did: the profiler itself was stopped"
    case .notStarted: return "the target could not be started"
    case .interrupted: return "interrupted" + (repetition.signal.map { ", \(signal($0))" } ?? "")
    case .finished:
      if let number = repetition.signal { return signal(number) }
      return repetition.exitStatus.map { "exited with status \($0)" } ?? "ended, and the status is not known"
    }
  }
}
