// Are other suites' log formats written as their own tools and documents have them?
import Analysis
import Foundation
import ProfileModel
import Testing

@testable import Report

@Suite struct TrainingLogTests {
  /// The run of AI-Rank's example: a test from 1558631910.424 on, an evaluation every two epochs.
  ///
  /// - Parameter times: milliseconds since the beginning at which evaluations end.
  static func profile(
    begin: Int64 = 1_558_631_910_424, qualities: [Double], times: [Int64], target: Double?, reached: Bool,
    samples: Int = 100, benchmark: String = "image-classification"
  ) -> Profile {
    var data = RepetitionData(
      repetition: Repetition(
        index: 0, startedAtUnixNanoseconds: (begin - 500) * 1_000_000, startMonotonicNanoseconds: 0,
        wallNanoseconds: 20_000_000_000, state: .finished, exitStatus: 0))
    // Set-up takes half a second; a step ends 100 ms before its evaluation.
    var last: Int64 = 500
    for (index, time) in times.enumerated() {
      let end = 500 + time
      data.steps.append(
        TrainingStep(
          step: index, epoch: index, timeNanoseconds: (end - 100) * 1_000_000,
          durationNanoseconds: (end - 100 - last) * 1_000_000, samples: samples, loss: 1))
      data.epochs.append(
        TrainingEpoch(
          epoch: index, stage: "", timeNanoseconds: end * 1_000_000,
          durationNanoseconds: (end - 100 - last) * 1_000_000, samples: samples, meanLoss: 1,
          metric: "top-1 accuracy", quality: qualities[index]))
      last = end
    }
    func quantity(_ name: String, _ value: Double) -> Quantity {
      Quantity(name, unit: "1", Measured(.number(value), .declared))
    }
    if let target { data.quantities.append(quantity("training.target", target)) }
    data.quantities.append(quantity("training.reached", reached ? 1 : 0))
    return Profile(
      settings: [
        "kind": "benchmark", "benchmark": "DC-AI-C1", "benchmark.name": benchmark, "seed": "7", "batch_size": "64",
        "optimizer": "SGD learning_rate=0.1 momentum=0.9 weight_decay=0.0001 nesterov=true",
      ],
      host: [Quantity("host.cpu.model", Measured(.text("Xeon \"Gold\" 6148 ®"), .kernelAccounting))],
      repetitions: [data])
  }

  private static let qualities = [
    0.16753999888896942, 0.3207400143146515, 0.4756399989128113, 0.6468799710273743, 0.7605400085449219,
    0.8005400085449219, 0.855400085449219, 0.9005400085449219, 0.955400085449219,
  ]

  private func lines(_ format: TrainingLogFormat, _ profile: Profile) throws -> [String] {
    try format.text(profile).split(separator: "\n").map(String.init)
  }

  /// The example of AI-Rank's document, line by line. Where it contradicts its own definitions the definitions hold: the
  /// target of 0.759 is reached 6.00 s after the beginning, not 8.03 s. An epoch counts one here, in the example two.
  @Test func airankExample() throws {
    let golden = """
      AI-Rank-log 1558631910.424 test_begin
      AI-Rank-log 1558631912.424 eval_accuracy:0.16753999888896942, total_epoch_cnt:1
      AI-Rank-log 1558631913.424 eval_accuracy:0.3207400143146515, total_epoch_cnt:2
      AI-Rank-log 1558631914.424 eval_accuracy:0.4756399989128113, total_epoch_cnt:3
      AI-Rank-log 1558631915.424 eval_accuracy:0.6468799710273743, total_epoch_cnt:4
      AI-Rank-log 1558631916.424 eval_accuracy:0.7605400085449219, total_epoch_cnt:5
      AI-Rank-log 1558631916.424 target_quality_time:6.00sec
      AI-Rank-log 1558631919.424 eval_accuracy:0.8005400085449219, total_epoch_cnt:6
      AI-Rank-log 1558631920.424 eval_accuracy:0.855400085449219, total_epoch_cnt:7
      AI-Rank-log 1558631921.424 eval_accuracy:0.9005400085449219, total_epoch_cnt:8
      AI-Rank-log 1558631922.454 eval_accuracy:0.955400085449219, total_epoch_cnt:9
      AI-Rank-log 1558631922.454 test_finish
      AI-Rank-log 1558631922.454 total_use_time:12.03sec
      AI-Rank-log 1558631922.454 avg_ips:1190images/sec

      """
    let profile = Self.profile(
      qualities: Self.qualities, times: [2000, 3000, 4000, 5000, 6000, 9000, 10_000, 11_000, 12_030], target: 0.759,
      reached: true, samples: 1591)
    #expect(try TrainingLogFormat.airank.text(profile) == golden)
  }

  @Test func airankWithoutTarget() throws {
    let profile = Self.profile(
      qualities: [9.5], times: [4000], target: 8, reached: false, samples: 10, benchmark: "text-summarization")
    #expect(
      try lines(.airank, profile) == [
        "AI-Rank-log 1558631910.424 test_begin",
        "AI-Rank-log 1558631914.424 eval_accuracy:9.5, total_epoch_cnt:1",
        "AI-Rank-log 1558631914.424 test_finish", "AI-Rank-log 1558631914.424 total_use_time:4.00sec",
        "AI-Rank-log 1558631914.424 avg_ips:2.50samples/sec",
      ])
  }

  /// A lower perplexity is better: the first evaluation at or below the target counts.
  @Test func lowerIsBetter() throws {
    let profile = Self.profile(qualities: [30, 20, 10], times: [1000, 2000, 3000], target: 20, reached: true)
    #expect(try lines(.airank, profile)[3] == "AI-Rank-log 1558631912.424 target_quality_time:2.00sec")
  }

  /// As `mlperf_logging.mllog` writes them (`_encode_log`): the order of fields, `json.dumps` with its spaces, intervals
  /// and points. Only the line numbers of the caller are ours.
  @Test func mllogGolden() throws {
    let profile = Self.profile(qualities: [0.5, 0.76], times: [2000, 3000], target: 0.759, reached: true)
    let golden = #"""
      :::MLLOG {"namespace": "", "time_ms": 1558631909924, "event_type": "POINT_IN_TIME", "key": "submission_benchmark", "value": "resnet", "metadata": {"file": "Report/MLLog.swift", "lineno": 0}}
      :::MLLOG {"namespace": "", "time_ms": 1558631909924, "event_type": "POINT_IN_TIME", "key": "submission_platform", "value": "Xeon \"Gold\" 6148 \u00ae", "metadata": {"file": "Report/MLLog.swift", "lineno": 0}}
      :::MLLOG {"namespace": "", "time_ms": 1558631909924, "event_type": "INTERVAL_START", "key": "init_start", "value": null, "metadata": {"file": "Report/MLLog.swift", "lineno": 0}}
      :::MLLOG {"namespace": "", "time_ms": 1558631910424, "event_type": "POINT_IN_TIME", "key": "seed", "value": 7, "metadata": {"file": "Report/MLLog.swift", "lineno": 0}}
      :::MLLOG {"namespace": "", "time_ms": 1558631910424, "event_type": "POINT_IN_TIME", "key": "global_batch_size", "value": 64, "metadata": {"file": "Report/MLLog.swift", "lineno": 0}}
      :::MLLOG {"namespace": "", "time_ms": 1558631910424, "event_type": "POINT_IN_TIME", "key": "train_samples", "value": 100, "metadata": {"file": "Report/MLLog.swift", "lineno": 0}}
      :::MLLOG {"namespace": "", "time_ms": 1558631910424, "event_type": "POINT_IN_TIME", "key": "opt_name", "value": "sgd", "metadata": {"file": "Report/MLLog.swift", "lineno": 0}}
      :::MLLOG {"namespace": "", "time_ms": 1558631910424, "event_type": "POINT_IN_TIME", "key": "opt_base_learning_rate", "value": 0.1, "metadata": {"file": "Report/MLLog.swift", "lineno": 0}}
      :::MLLOG {"namespace": "", "time_ms": 1558631910424, "event_type": "POINT_IN_TIME", "key": "opt_momentum", "value": 0.9, "metadata": {"file": "Report/MLLog.swift", "lineno": 0}}
      :::MLLOG {"namespace": "", "time_ms": 1558631910424, "event_type": "POINT_IN_TIME", "key": "opt_weight_decay", "value": 0.0001, "metadata": {"file": "Report/MLLog.swift", "lineno": 0}}
      :::MLLOG {"namespace": "", "time_ms": 1558631910424, "event_type": "INTERVAL_END", "key": "init_stop", "value": null, "metadata": {"file": "Report/MLLog.swift", "lineno": 0}}
      :::MLLOG {"namespace": "", "time_ms": 1558631910424, "event_type": "INTERVAL_START", "key": "run_start", "value": null, "metadata": {"file": "Report/MLLog.swift", "lineno": 0}}
      :::MLLOG {"namespace": "", "time_ms": 1558631910424, "event_type": "INTERVAL_START", "key": "epoch_start", "value": null, "metadata": {"file": "Report/MLLog.swift", "lineno": 0, "epoch_num": 1}}
      :::MLLOG {"namespace": "", "time_ms": 1558631912324, "event_type": "INTERVAL_END", "key": "epoch_stop", "value": null, "metadata": {"file": "Report/MLLog.swift", "lineno": 0, "epoch_num": 1}}
      :::MLLOG {"namespace": "", "time_ms": 1558631912324, "event_type": "INTERVAL_START", "key": "eval_start", "value": null, "metadata": {"file": "Report/MLLog.swift", "lineno": 0, "epoch_num": 1}}
      :::MLLOG {"namespace": "", "time_ms": 1558631912424, "event_type": "POINT_IN_TIME", "key": "eval_accuracy", "value": 0.5, "metadata": {"file": "Report/MLLog.swift", "lineno": 0, "epoch_num": 1}}
      :::MLLOG {"namespace": "", "time_ms": 1558631912424, "event_type": "INTERVAL_END", "key": "eval_stop", "value": null, "metadata": {"file": "Report/MLLog.swift", "lineno": 0, "epoch_num": 1}}
      :::MLLOG {"namespace": "", "time_ms": 1558631912424, "event_type": "INTERVAL_START", "key": "epoch_start", "value": null, "metadata": {"file": "Report/MLLog.swift", "lineno": 0, "epoch_num": 2}}
      :::MLLOG {"namespace": "", "time_ms": 1558631913324, "event_type": "INTERVAL_END", "key": "epoch_stop", "value": null, "metadata": {"file": "Report/MLLog.swift", "lineno": 0, "epoch_num": 2}}
      :::MLLOG {"namespace": "", "time_ms": 1558631913324, "event_type": "INTERVAL_START", "key": "eval_start", "value": null, "metadata": {"file": "Report/MLLog.swift", "lineno": 0, "epoch_num": 2}}
      :::MLLOG {"namespace": "", "time_ms": 1558631913424, "event_type": "POINT_IN_TIME", "key": "eval_accuracy", "value": 0.76, "metadata": {"file": "Report/MLLog.swift", "lineno": 0, "epoch_num": 2}}
      :::MLLOG {"namespace": "", "time_ms": 1558631913424, "event_type": "INTERVAL_END", "key": "eval_stop", "value": null, "metadata": {"file": "Report/MLLog.swift", "lineno": 0, "epoch_num": 2}}
      :::MLLOG {"namespace": "", "time_ms": 1558631913424, "event_type": "INTERVAL_END", "key": "run_stop", "value": null, "metadata": {"file": "Report/MLLog.swift", "lineno": 0, "status": "success"}}

      """#
    let text = try TrainingLogFormat.mllog.text(profile).replacing(/"lineno": [0-9]+/, with: "\"lineno\": 0")
    #expect(text == golden)
  }

  @Test func mllogAborted() throws {
    let profile = Self.profile(qualities: [0.5], times: [2000], target: 0.759, reached: false)
    #expect(try lines(.mllog, profile).last?.contains(#""status": "aborted""#) == true)
  }

  @Test func optimizers() {
    func text(_ optimizer: String) -> [String] { MLLog.optimizer(optimizer).map { "\($0.0)=\($0.1.json)" } }
    #expect(
      text("AdamW learning_rate=0.001 betas=(0.9, 0.999) epsilon=1e-08 weight_decay=0.01") == [
        "opt_name=\"adamw\"", "opt_base_learning_rate=0.001", "opt_adam_beta_1=0.9", "opt_adam_beta_2=0.999",
        "opt_adam_epsilon=1e-08", "opt_weight_decay=0.01",
      ])
    #expect(text("").isEmpty)
    #expect(text("RMSprop alpha=0.99 odd") == ["opt_name=\"rmsprop\""])
  }

  @Test func noTraining() {
    #expect(throws: TrainingLogFormat.Failure.self) { try TrainingLogFormat.mllog.text(Profile()) }
  }

  // MARK: The independent checker

  static let checker = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
    .appendingPathComponent("../Reference/check-mllog.py").path
  static let hasPython = FileManager.default.isExecutableFile(atPath: "/usr/bin/python3")

  private func check(_ text: String) throws -> Int32 {
    let path = NSTemporaryDirectory() + "kiviat-mllog-\(UUID().uuidString)"
    try text.write(toFile: path, atomically: true, encoding: .utf8)
    defer { unlink(path) }
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/python3")
    process.arguments = [Self.checker, path]
    process.standardOutput = FileHandle.nullDevice
    process.standardError = FileHandle.nullDevice
    try process.run()
    process.waitUntilExit()
    return process.terminationStatus
  }

  @Test(.enabled(if: hasPython, "needs python3"))
  func checkerTakesOursAndRefusesOthers() throws {
    for (target, reached) in [(0.759, true), (0.9, false)] {
      let profile = Self.profile(qualities: [0.5, 0.76], times: [2000, 3000], target: target, reached: reached)
      let text = try TrainingLogFormat.mllog.text(profile)
      #expect(try check(text) == 0)
      #expect(try check(text.replacing("\"run_start\"", with: "\"run_begin\"")) != 0)
      #expect(try check(text.replacing(", \"value\": null", with: "")) != 0)
      #expect(try check(text.replacing("INTERVAL_END", with: "POINT_IN_TIME")) != 0)
      #expect(try check(text.replacing(":::MLLOG {", with: ":::MLLOG{")) != 0)
    }
  }
}
