// How does AI-Rank log a training run? Lines of `AI-Rank-log TIME KEY:VALUE`, as its document for software on training asks.
import Analysis
import Foundation

/// The log of a training run in AI-Rank's format.
///
/// By the document's definitions: `target_quality_time` is the time of the first evaluation that reached the target
/// less that of `test_begin`, and its line comes right behind that evaluation; `avg_ips` leaves no epoch out as warm-up.
struct AIRankLog {
  private let session: TrainingSession

  init(_ session: TrainingSession) { self.session = session }

  /// All lines, in the order of their times.
  func lines() -> [String] {
    let begin = session.runStart
    var lines = [line(begin, "test_begin")]
    for epoch in session.epochs {
      lines.append(line(epoch.end, "eval_accuracy:\(epoch.quality), total_epoch_cnt:\(epoch.number)"))
      if epoch.number == session.reachedEpoch {
        lines.append(line(epoch.end, "target_quality_time:\(Self.seconds(epoch.end - begin))sec"))
      }
    }
    let total = session.runStop - begin
    lines.append(line(session.runStop, "test_finish"))
    lines.append(line(session.runStop, "total_use_time:\(Self.seconds(total))sec"))
    let samples = session.epochs.reduce(0) { $0 + $1.samples }
    if total > 0, samples > 0 {
      let rate = Double(samples) / (Double(total) / 1e9)
      lines.append(line(session.runStop, "avg_ips:\(Self.rate(rate))\(unit)"))
    }
    return lines
  }

  private func line(_ time: Int64, _ text: String) -> String {
    let milliseconds = time / 1_000_000
    return "AI-Rank-log \(milliseconds / 1000).\(String(format: "%03d", milliseconds % 1000)) \(text)"
  }

  private static func seconds(_ nanoseconds: Int64) -> String { String(format: "%.2f", Double(nanoseconds) / 1e9) }

  /// Whole numbers, as in the document, unless that would leave too little.
  private static func rate(_ value: Double) -> String { String(format: value >= 100 ? "%.0f" : "%.2f", value) }

  /// The document's example says `images/sec`, its definition samples a second: images where samples are images.
  private var unit: String {
    let images: Set<String> = [
      "image-classification", "image-generation", "image-to-text", "image-to-image", "face-embedding",
      "3d-face-recognition", "object-detection", "object-detection-light", "object-detection-heavy",
      "image-compression",
      "spatial-transformer",
    ]
    return images.contains(session.benchmark) ? "images/sec" : "samples/sec"
  }
}
