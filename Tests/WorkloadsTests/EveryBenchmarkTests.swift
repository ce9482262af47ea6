// What every benchmark has to keep: complete facts, runs that only the seed decides, an answer to a query.
import Foundation
import Testing

@testable import Workloads

/// The names, because a test's argument is best something that can be read.
private let names = BenchmarkRegistry.all.map { $0.info.name }

private func make(_ name: String, mode: Mode = .train, seed: UInt64 = 1, batch: Int = 4) throws -> any Benchmark {
  let type = try #require(BenchmarkRegistry.find(name))
  Torch.seed(seed)
  return try type.init(
    BenchmarkConfiguration(
      scale: .small, mode: mode, seed: seed, batchSize: batch, maximumEpochs: type.info.small.maximumEpochs))
}

/// The losses of the first steps, to the last bit.
private func firstLosses(_ name: String, seed: UInt64, steps: Int) throws -> [UInt64] {
  let benchmark = try make(name, seed: seed)
  let stage = try benchmark.stage(benchmark.stageNames[0])
  stage.model.train()
  try stage.willBeginEpoch(0)
  var losses: [UInt64] = []
  let batches = stage.loader.batches(epoch: 0, limit: steps)
  while let batch = try batches.nextBatch()?.tensors() {
    losses.append(try stage.step(TrainingStep(batch, number: losses.count)).bitPattern)
  }
  return losses
}

extension Computing {
  @Suite struct EveryBenchmark {
    @Test func factsAreCompleteAndUnique() {
      let all = BenchmarkRegistry.all.map { $0.info }
      #expect(Set(all.map(\.id)).count == all.count && Set(all.map(\.name)).count == all.count)
      for info in all {
        for text in [info.task, info.model, info.dataSet, info.dataFormat, info.small.optimizer, info.paper.optimizer] {
          #expect(!text.isEmpty, "\(info.id)")
        }
        for scale in [info.small, info.paper] {
          #expect(scale.target.value.isFinite && !scale.target.metric.isEmpty, "\(info.id)")
          #expect(scale.batchSize > 0 && scale.maximumEpochs > 0, "\(info.id)")
        }
        #expect(BenchmarkRegistry.find(info.id.lowercased()) != nil && BenchmarkRegistry.find(info.name) != nil)
        guard let published = info.published else { continue }
        #expect(!published.source.isEmpty, "\(info.id)")
        expectReason(info.paper.parameters.map(Double.init), published.parameters, published, info.id)
        expectReason(info.paper.forwardFLOPs, published.forwardFLOPs, published, info.id)
      }
    }

    /// A published size that ours differs from by more than 1 % comes with the reason.
    private func expectReason(_ ours: Double?, _ theirs: Double?, _ published: PublishedSize, _ id: String) {
      guard let ours, let theirs, abs(ours / theirs - 1) > 0.01 else { return }
      #expect(published.difference != nil, "\(id): \(ours) against \(theirs)")
    }

    @Test(arguments: names) func onlyTheSeedDecides(name: String) throws {
      let threads = Torch.threads
      Torch.threads = 1
      defer { Torch.threads = threads }
      let first = try firstLosses(name, seed: 1, steps: 2)
      #expect(!first.isEmpty && first.allSatisfy { Double(bitPattern: $0).isFinite })
      #expect(try firstLosses(name, seed: 1, steps: 2) == first)
      #expect(try firstLosses(name, seed: 2, steps: 2) != first)
    }

    @Test(arguments: names) func modelsHaveTheStatedParametersAndAnswer(name: String) throws {
      let benchmark = try make(name, mode: .infer, batch: 2)
      #expect(benchmark.dataDescription.hasPrefix("synthetic: "))
      let info = type(of: benchmark).info
      let task = try benchmark.inference()
      task.model.train(false)
      let batch = try #require(try task.loader.batches(epoch: 0, limit: 1).nextBatch()).tensors()
      let answer = withoutGradients { task.answer(batch) }
      #expect(answer.count > 0 && answer.doubles().allSatisfy { !$0.isNaN })
      if let parameters = info.small.parameters {
        let trained = try benchmark.stage(benchmark.stageNames[0]).model.parameterCount
        #expect(trained == parameters)
      }
    }
  }
}
