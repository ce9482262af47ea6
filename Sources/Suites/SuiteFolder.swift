// What does the folder of a suite's runs hold, and how far is the suite?
import Foundation

/// What became of one run of a suite.
public struct SuiteRun: Sendable, Hashable, Codable {
  /// How far it is.
  public enum State: String, Sendable, Hashable, Codable {
    /// It has not begun.
    case pending
    /// It began, and nobody wrote its end: it runs just now, or the profiler was killed.
    case running
    /// It ended well. Whether it reached its target says `isReached`.
    case finished
    /// It ended badly; `reason` says why. Its profile is kept.
    case failed
    /// Training diverged: the loss was no number any more. Its profile is kept.
    case diverged
    /// The user ended it.
    case interrupted
    /// It was left out with `--only`.
    case leftOut = "left out"
  }

  /// The benchmark's id in the suite.
  public var id: String
  /// Counted from 1.
  public var number: Int
  /// The profile's name in the folder.
  public var profile: String
  /// The name of the file with what it wrote to its standard streams.
  public var output: String
  /// How far it is.
  public var state: State
  /// Why it failed.
  public var reason: String?
  /// The settings that decide its result; a run with others is another run.
  public var settings: [String: String]
  /// Seconds from its start to its end.
  public var seconds: Double?
  /// Its quality, where it told one.
  public var quality: Double?
  /// The metric of its quality.
  public var metric: String?
  /// The quality to reach.
  public var target: Double?
  /// Whether it reached the target.
  public var isReached: Bool?
  /// Epochs that it trained.
  public var epochs: Double?
  /// Samples a second: of the median training step, or of inference.
  public var samplesPerSecond: Double?

  enum CodingKeys: String, CodingKey {
    case id, profile, output, state, reason, settings, seconds, quality, metric, target, epochs, samplesPerSecond
    case number = "repeat"
    case isReached = "reached"
  }

  /// A run that has not begun.
  public init(id: String, number: Int, settings: [String: String]) {
    self.id = id
    self.number = number
    // `@` is in no id, so no two runs share a file.
    let name = number == 1 ? id : "\(id)@\(number)"
    profile = "\(name).kiviat"
    output = "\(name).out"
    state = .pending
    self.settings = settings
  }
}

/// `suite.json`: which suite a folder's profiles belong to, and what became of each run.
public struct SuiteRecord: Sendable, Hashable, Codable {
  /// Its name in the folder.
  public static let fileName = "suite.json"
  /// The manifest's copy in the folder.
  public static let manifestName = "suite.yaml"
  /// What `format` says.
  public static let format = "kiviat-suite"
  /// Of the layout: raised when a key changes its meaning or goes.
  public static let version = 1

  /// `kiviat-suite`.
  public var format = SuiteRecord.format
  /// The layout.
  public var version = SuiteRecord.version
  /// The Kiviat that wrote it.
  public var kiviat: String
  /// The suite, defaults and options of the command line filled in.
  public var suite: Suite
  /// In the order in which they run.
  public var runs: [SuiteRun]

  /// Makes a record.
  public init(kiviat: String, suite: Suite, runs: [SuiteRun]) {
    self.kiviat = kiviat
    self.suite = suite
    self.runs = runs
  }

  /// A record that can't be used.
  public enum Failure: Error, Hashable, Sendable, CustomStringConvertible {
    case damaged(path: String, detail: String)
    case fromTheFuture(path: String, version: Int)
    case notWritable(path: String, detail: String)

    /// Cause and way out.
    public var description: String {
      switch self {
      case .damaged(let path, let detail): "\(path) is damaged: \(detail)"
      case .fromTheFuture(let path, let version):
        "\(path) is of version \(version), which a newer Kiviat wrote: this one reads version \(SuiteRecord.version)"
      case .notWritable(let path, let detail): "can't write \(path): \(detail)"
      }
    }
  }

  /// The record of a folder; `nil` where there is none.
  ///
  /// - Throws: ``Failure``.
  public static func read(folder: String) throws(Failure) -> SuiteRecord? {
    let path = folder + "/" + fileName
    guard let data = FileManager.default.contents(atPath: path) else { return nil }
    struct Head: Decodable { var format: String, version: Int }
    guard let head = try? JSONDecoder().decode(Head.self, from: data), head.format == format else {
      throw .damaged(path: path, detail: "it is no record of a suite")
    }
    guard head.version <= version else { throw .fromTheFuture(path: path, version: head.version) }
    let decoder = JSONDecoder()
    decoder.nonConformingFloatDecodingStrategy = .convertFromString(
      positiveInfinity: "inf", negativeInfinity: "-inf", nan: "nan")
    do {
      return try decoder.decode(SuiteRecord.self, from: data)
    } catch {
      throw .damaged(path: path, detail: "\(error)")
    }
  }

  /// Writes it, whole or not at all.
  ///
  /// - Throws: ``Failure``.
  public func write(folder: String) throws(Failure) {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    encoder.nonConformingFloatEncodingStrategy = .convertToString(
      positiveInfinity: "inf", negativeInfinity: "-inf", nan: "nan")
    let path = folder + "/" + Self.fileName
    do {
      try (encoder.encode(self) + Data("\n".utf8)).write(to: URL(fileURLWithPath: path), options: .atomic)
    } catch {
      throw .notWritable(path: path, detail: error.localizedDescription)
    }
  }
}
