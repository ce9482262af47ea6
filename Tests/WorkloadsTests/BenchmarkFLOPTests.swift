// Does the tracer count the FLOPs that torch.utils.flop_counter counts for the same model?
// The expected numbers are printed by Benchmarks/reference/flops.py (PyTorch 2.15).
import Testing

@testable import Workloads

/// FLOPs by flop_counter's rules of a forward pass, and of it with the backward pass.
private func count(_ model: Module, _ forward: () -> Tensor) throws -> (forward: Double, step: Double) {
  try Trace.openPrivately()
  defer { Trace.close() }
  let start = Trace.sums
  let loss = forward().sum()
  let middle = Trace.sums
  loss.backward()
  return ((middle - start).counterFLOPs, (Trace.sums - start).counterFLOPs)
}

private func indices(_ bound: Int, _ shape: [Int]) -> Tensor { Tensor.random(in: 0..<bound, shape) }

extension Computing {
  @Suite struct BenchmarkFLOPs {
    @Test func resNet50() throws {
      let model = ResNet(.resNet50, classes: 1000)
      let training = try count(model) { model(Tensor.randomNormal([2, 3, 224, 224])) }
      #expect(training.forward == 16_356_737_024)
      #expect(training.step == 48_598_155_264)

      model.train(false)
      try Trace.openPrivately()
      defer { Trace.close() }
      let start = Trace.sums
      withoutGradients { _ = model(Tensor.randomNormal([1, 3, 224, 224])) }
      // 4 089 184 256 multiply-accumulates.
      #expect((Trace.sums - start).counterFLOPs == 8_178_368_512)
    }

    @Test func smallResNet() throws {
      let model = ResNet(.small, classes: 10)
      let flops = try count(model) { model(Tensor.randomNormal([2, 3, 32, 32])) }
      #expect(flops.forward == 28_420_096)
      #expect(flops.step == 84_375_552)
    }

    @Test func recommendation() throws {
      let paper = NeuMF(.paper, users: 943, items: 1682)
      let flops = try count(paper) { paper(users: indices(943, [3]), items: indices(1682, [3])) }
      // 106 624 multiply-accumulates a pair.
      #expect(flops.forward == 639_744)
      #expect(flops.step == 1_919_232)
      let small = NeuMF(.small, users: 600, items: 400)
      let few = try count(small) { small(users: indices(600, [3]), items: indices(400, [3])) }
      #expect(few.forward == 3936)
      #expect(few.step == 11_808)
    }

    @Test func spatialTransformer() throws {
      let model = SpatialTransformerNetwork()
      let flops = try count(model) { model(Tensor.randomNormal([2, 1, 28, 28])) }
      // libtorch makes the sampling grid by a product of [784, 3] × [3, 2] an image, inside an operation that
      // flop_counter does not look into. It is computed, so the tracer counts it.
      let grid = Double(2 * 2 * 784 * 3 * 2)
      #expect(flops.forward == 3_085_200 + grid)
      #expect(flops.step == 8_515_504 + grid)
    }

    @Test(arguments: [
      (100, 13_149, 14_008, 16, 343_200.0, 1_029_600.0), (50, 13_149, 14_008, 16, 151_600, 454_800),
      (32, 500, 241, 8, 51_456, 154_368),
    ])
    func learningToRank(
      width: Int, users: Int, items: Int, filters: Int, forward: Double, step: Double
    ) throws {
      let model = Caser(width: width, users: users, items: items, horizontal: filters)
      let flops = try count(model) {
        model(indices(items, [2, 5]), indices(users, [2]), items: indices(items, [2, 4]))
      }
      #expect(flops.forward == forward)
      #expect(flops.step == step)
    }

    @Test func opCounterConventions() {
      // The report's own counter, per sample: 0.783 M and 85 440.
      let transformer = SpatialTransformerNetwork()
      transformer.train(false)
      let first = OpCounter2020(transformer)
      withoutGradients { _ = transformer(Tensor.randomNormal([1, 1, 28, 28])) }
      first.stop()
      #expect(abs(first.operations - 783_000) < 1000)
      let caser = Caser(width: 100, users: 10, items: 20, horizontal: 16)
      let second = OpCounter2020(caser)
      _ = caser(indices(20, [1, 5]), indices(10, [1]), items: indices(20, [1, 4]))
      second.stop()
      #expect(second.operations == 85_440)
    }
  }
}
