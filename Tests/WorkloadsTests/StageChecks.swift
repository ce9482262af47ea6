// What tests of several benchmarks do with a stage, and models filled as the reference scripts fill theirs.
import Foundation
import Testing

@testable import Workloads

enum StageCheck {
  /// Trains for some steps and gives the losses.
  static func train(_ stage: TrainingStage, steps: Int, epoch: Int = 0, firstStep: Int = 0) throws -> [Double] {
    stage.model.train()
    try stage.willBeginEpoch(epoch)
    var losses: [Double] = []
    let batches = stage.loader.batches(epoch: epoch, limit: steps)
    while let batch = try batches.nextBatch()?.tensors() {
      losses.append(try stage.step(TrainingStep(batch, number: firstStep + losses.count)))
    }
    return losses
  }

  static func evaluate(_ stage: TrainingStage) throws -> Double {
    stage.model.train(false)
    defer { stage.model.train() }
    return try withoutGradients { try stage.evaluate() }
  }

  /// Number i of parameter k becomes 0.2 sin(0.37 i + k).
  static func fill(_ model: Module) {
    for (k, parameter) in model.parameters().enumerated() {
      withoutGradients { parameter.copy(from: wave(parameter.shape, Double(k), scale: 0.2)) }
    }
  }

  /// scale × sin(0.37 i + k).
  static func wave(_ shape: [Int], _ k: Double, scale: Double = 1) -> Tensor {
    let count = shape.reduce(1, *)
    return Tensor((0..<count).map { Float(scale * sin(0.37 * Double($0) + k)) }, shape: shape)
  }

  /// Follows the gradient of `loss` at a rate of 1 and gives how far each parameter went: its gradient's norm.
  static func gradientNorms(_ model: Module, _ loss: Tensor) -> [Double] {
    let parameters = model.parameters()
    let before = parameters.map { $0.detached().clone() }
    loss.backward()
    SGD(parameters, learningRate: 1).step()
    return withoutGradients { zip(parameters, before).map { ($0 - $1).norm().item } }
  }

  /// Whether numbers agree within 1e-5 or a thousandth: a gradient is told from a change of 0.2 in f32.
  static func agree(
    _ values: [Double], _ expected: [Double], sourceLocation: SourceLocation = #_sourceLocation
  ) {
    #expect(values.count == expected.count, sourceLocation: sourceLocation)
    for (index, (value, wanted)) in zip(values, expected).enumerated() {
      #expect(
        abs(value - wanted) < 1e-5 + 1e-3 * abs(wanted), "number \(index): \(value) for \(wanted)",
        sourceLocation: sourceLocation)
    }
  }
}
