// How does MLPerf log a training run? Lines of `:::MLLOG {json}`, as its package mlperf_logging writes them.
import Analysis
import Foundation

/// The log of a training run in MLPerf's format.
///
/// Keys, event types and the order of the fields are those of `mlperf_logging.mllog`. What a submission states about
/// itself (organisation, division, clearing of caches) is not known here and is not made up.
struct MLLog {
  private let session: TrainingSession

  init(_ session: TrainingSession) { self.session = session }

  private enum EventType: String {
    case start = "INTERVAL_START"
    case end = "INTERVAL_END"
    case point = "POINT_IN_TIME"
  }

  /// A value as `json.dumps` writes it.
  enum Value {
    case null
    case integer(Int)
    case number(Double)
    case text(String)

    var json: String {
      switch self {
      case .null: "null"
      case .integer(let value): "\(value)"
      // Python's names: JSON itself has none, and its own reader takes them.
      case .number(let value):
        value.isNaN ? "NaN" : value.isInfinite ? (value < 0 ? "-Infinity" : "Infinity") : "\(value)"
      case .text(let value): Self.quoted(value)
      }
    }

    /// ASCII, everything else escaped, as `json.dumps` does.
    static func quoted(_ text: String) -> String {
      var result = "\""
      for unit in text.utf16 {
        switch unit {
        case 0x22: result += "\\\""
        case 0x5C: result += "\\\\"
        case 0x0A: result += "\\n"
        case 0x0D: result += "\\r"
        case 0x09: result += "\\t"
        case 0x20..<0x7F: result.unicodeScalars.append(Unicode.Scalar(UInt8(unit)))
        default:
          let digits = String(unit, radix: 16)
          result += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
        }
      }
      return result + "\""
    }
  }

  /// One line. `metadata` begins with the place that logs, as mllog's does with its caller's.
  private func line(
    _ type: EventType, _ key: String, _ value: Value = .null, at time: Int64, _ metadata: [(String, Value)] = [],
    file: String = #fileID, line: Int = #line
  ) -> String {
    let fields = ([("file", .text(file)), ("lineno", .integer(line))] + metadata)
      .map { "\(Value.quoted($0.0)): \($0.1.json)" }.joined(separator: ", ")
    return ":::MLLOG {\"namespace\": \"\", \"time_ms\": \(time / 1_000_000), \"event_type\": \"\(type.rawValue)\", "
      + "\"key\": \(Value.quoted(key)), \"value\": \(value.json), \"metadata\": {\(fields)}}"
  }

  /// All lines, in the order of their times.
  func lines() -> [String] {
    let begin = session.initStart
    var lines = [
      line(.point, "submission_benchmark", .text(Self.benchmark(session.benchmark)), at: begin)
    ]
    if let platform = session.platform { lines.append(line(.point, "submission_platform", .text(platform), at: begin)) }
    lines.append(line(.start, "init_start", at: begin))
    let run = session.runStart
    if let seed = session.seed { lines.append(line(.point, "seed", .integer(seed), at: run)) }
    if let batch = session.batchSize { lines.append(line(.point, "global_batch_size", .integer(batch), at: run)) }
    if let samples = session.epochs.last?.samples {
      lines.append(line(.point, "train_samples", .integer(samples), at: run))
    }
    for (key, value) in Self.optimizer(session.optimizer ?? "") { lines.append(line(.point, key, value, at: run)) }
    lines.append(line(.end, "init_stop", at: run))
    lines.append(line(.start, "run_start", at: run))
    for epoch in session.epochs {
      let number = [("epoch_num", Value.integer(epoch.number))]
      lines += [
        line(.start, "epoch_start", at: epoch.start, number),
        line(.end, "epoch_stop", at: epoch.trainingEnd, number),
        line(.start, "eval_start", at: epoch.trainingEnd, number),
        line(.point, "eval_accuracy", .number(epoch.quality), at: epoch.end, number),
        line(.end, "eval_stop", at: epoch.end, number),
      ]
    }
    let isSuccess = session.reachedEpoch != nil && session.isComplete
    lines.append(
      line(.end, "run_stop", at: session.runStop, [("status", .text(isSuccess ? "success" : "aborted"))]))
    return lines
  }

  /// What MLPerf calls the benchmarks that it has too; others keep their names.
  static func benchmark(_ name: String) -> String {
    [
      "image-classification": "resnet", "object-detection-light": "ssd", "object-detection-heavy": "maskrcnn",
      "translation-nonrecurrent": "transformer", "translation-recurrent": "gnmt", "recommendation": "ncf",
      "reinforcement-learning": "minigo", "advertising": "dlrm", "natural-language-processing": "bert",
      "speech-recognition": "deepspeech2",
    ][name] ?? name
  }

  /// `Adam learning_rate=0.001 betas=(0.9, 0.999) epsilon=1e-08 weight_decay=0.0` in mllog's keys.
  static func optimizer(_ text: String) -> [(String, Value)] {
    guard let name = text.split(separator: " ").first else { return [] }
    var result: [(String, Value)] = [("opt_name", .text(name.lowercased()))]
    let isAdam = name.lowercased().hasPrefix("adam")
    // `name=value` pairs; a value in parentheses may hold spaces.
    var rest = text[name.endIndex...]
    while let equals = rest.firstIndex(of: "=") {
      let key = rest[..<equals].drop { $0 == " " }
      let after = rest[rest.index(after: equals)...]
      let isTuple = after.first == "("
      let end = after.firstIndex(of: isTuple ? ")" : " ") ?? after.endIndex
      let value = after[..<end].drop { $0 == "(" }
      rest = after[end...].drop { $0 == ")" }
      let numbers = value.split(separator: ",").compactMap { Double($0.trimmingPrefix(" ")) }
      switch (key, numbers.first) {
      case ("learning_rate", let rate?): result.append(("opt_base_learning_rate", .number(rate)))
      case ("weight_decay", let decay?): result.append(("opt_weight_decay", .number(decay)))
      case ("momentum", let momentum?): result.append(("opt_momentum", .number(momentum)))
      case ("epsilon", let epsilon?) where isAdam: result.append(("opt_adam_epsilon", .number(epsilon)))
      case ("betas", let first?) where isAdam && numbers.count == 2:
        result += [("opt_adam_beta_1", .number(first)), ("opt_adam_beta_2", .number(numbers[1]))]
      default: break
      }
    }
    return result
  }
}
