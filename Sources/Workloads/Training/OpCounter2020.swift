// How many operations the counter of the AIBench report's time sees in a model: modules only, by its rules of
// April 2020. Functions called outside a module count nothing, which makes it a lower bound.

/// Adds up a forward pass by the conventions of pytorch-OpCounter as the technical report used it.
public final class OpCounter2020 {
  private let model: Module
  /// What was counted since it began.
  public private(set) var operations = 0.0

  /// Watches every layer of the model until ``stop()``.
  public init(_ model: Module) {
    self.model = model
    for (_, module) in model.namedModules() {
      module.observer = { [unowned self] module, x, y in operations += Self.operations(module, x, y) }
    }
  }

  /// Stops watching.
  public func stop() {
    for (_, module) in model.namedModules() { module.observer = nil }
  }

  /// What one call of a layer counts for the whole batch.
  static func operations(_ module: Module, _ x: Tensor, _ y: Tensor) -> Double {
    let (inputs, outputs) = (Double(x.count), Double(y.count))
    switch module {
    case let conv as Conv1d: return outputs * perOutput(conv.weight, conv.bias)
    case let conv as Conv2d: return outputs * perOutput(conv.weight, conv.bias)
    case let conv as ConvTranspose2d:
      // It takes the layer for a convolution: inputs over groups times the kernel for every output.
      let shape = conv.weight.shape
      let perOutput = Double(shape[0] / conv.groups * shape[2] * shape[3])
      return outputs * (perOutput + (conv.bias == nil ? 0 : 1))
    case let conv as Conv3d: return outputs * perOutput(conv.weight, conv.bias)
    case let conv as ConvTranspose3d:
      let shape = conv.weight.shape
      let perOutput = Double(shape[0] / conv.groups * shape[2...].reduce(1, *))
      return outputs * (perOutput + (conv.bias == nil ? 0 : 1))
    case let linear as Linear: return outputs * Double(linear.weight.size(1))
    case is BatchNorm2d: return 2 * inputs
    case is LeakyReLU: return inputs
    case is AvgPool2d: return outputs
    case is AdaptiveAvgPool2d:
      let window = Double((x.size(-2) / y.size(-2)) * (x.size(-1) / y.size(-1)))
      return outputs * (window + 1)
    default: return 0
    }
  }

  private static func perOutput(_ weight: Parameter, _ bias: Parameter?) -> Double {
    Double(weight.shape.dropFirst().reduce(1, *)) + (bias == nil ? 0 : 1)
  }
}
